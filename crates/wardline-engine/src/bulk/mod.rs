//! Bulk jobs: much, piece by piece, from one place to another.
//!
//! What is promised:
//! - A run can be killed anywhere and goes on where it was: nothing is lost and nothing comes twice.
//!   What a piece of records leads to and how far the run came are **one commit**; rows of a file wait
//!   sealed beside the journal, cut back to what was committed, and the file appears whole.
//! - It yields. One page is in hand at a time, a commit holds few records, and after each piece a run
//!   rests for as long as the piece took. Deliveries that it makes are of lane `bulk` and bounded in
//!   number; its calls wait behind those of others for the same connection.
//! - A source that does not move is noticed, whatever it answers.
//! - A record that cannot be used stops nothing: it is kept with its reason, and counted.
//!
//! Begin with [`run::Worker`], which is one job while it runs; what it knows is a [`ledger::Ledger`],
//! kept in the journal.

mod ask;
mod deliver;
pub(crate) mod ledger;
mod part;
mod records;
pub(crate) mod run;

pub(crate) use ledger::{Book, Ledger, Run, State};
pub(crate) use run::Worker;

use std::time::Duration;
use wardline_core::Code;

/// Why a step could not be done.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) code: Code,
    pub(crate) text: String,
    /// When to try again; `None` where that is pointless.
    pub(crate) again: Option<Duration>,
}

impl Trouble {
    fn lasting(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            again: None,
        }
    }

    fn passing(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            again: Some(Duration::ZERO),
        }
    }
}
