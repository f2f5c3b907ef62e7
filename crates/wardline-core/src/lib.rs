//! What every part of Wardline shares: ids, ordering keys, lanes, zones, sensitivity,
//! delivery states, error codes and the clock. No I/O, no protocol, no storage.
//!
//! Start with [`Id`] (how everything recorded is named), [`OrderingKey`] (what must stay in
//! order) and [`DeliveryState`] (the only thing in the journal that changes).

mod clock;
mod code;
mod id;
mod key;
mod lane;
pub mod mail;
mod names;
mod sealed;
mod state;

pub use clock::{Clock, RealClock, SimulatedClock, Timestamp};
pub use code::Code;
pub use id::{DeliveryId, Id, IdParseError, InstanceId, MessageId, TaskId};
pub use key::{BlindIndex, OrderingKey};
pub use lane::{Lane, ParseLaneError};
pub use names::{Sensitivity, Sym, Zone};
pub use sealed::Sealed;
pub use state::DeliveryState;
