//! Commands that look at messages and deliveries, and decide about them.

use super::Where;
use super::time::moment;
use clap::Args;
use std::path::PathBuf;
use wardline_core::{DeliveryId, DeliveryState};

#[derive(Debug, Args)]
pub(crate) struct Messages {
    /// A business key (account number, MRN, control id): exact.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A correlation id: found like a key.
    #[arg(long, conflicts_with = "key")]
    pub(crate) correlation: Option<String>,
    /// Message or event type, such as `ADT^A03`.
    #[arg(long = "type")]
    pub(crate) kind: Option<String>,
    /// Connection it came through.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Flow that took it.
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// Itself filtered or unrouted; or pending, retrying, held, delivered, dead or cancelled:
    /// in this state is a delivery that followed from it.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Text in the error of a delivery that followed from it.
    #[arg(long)]
    pub(crate) error: Option<String>,
    /// Received at or after: RFC 3339, or an age such as `4h`.
    #[arg(long, value_parser = moment)]
    pub(crate) since: Option<wardline_core::Timestamp>,
    /// Received before.
    #[arg(long, value_parser = moment)]
    pub(crate) until: Option<wardline_core::Timestamp>,
    /// Also list the events made from messages.
    #[arg(long)]
    pub(crate) events: bool,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// Id of a message or delivery, or a business key.
    pub(crate) what: String,
    /// Show payloads too (masked).
    #[arg(long)]
    pub(crate) payloads: bool,
    /// Show payloads unmasked; the reason goes into the audit log.
    #[arg(long, value_name = "REASON", requires = "payloads")]
    pub(crate) reveal: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(flatten)]
    pub(crate) place: Where,
}

/// Which deliveries.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Ids of deliveries or messages.
    pub(crate) ids: Vec<wardline_core::Id>,
    /// To this destination.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Of this flow.
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// In this state (may be repeated).
    #[arg(long)]
    pub(crate) state: Vec<DeliveryState>,
    /// With this fingerprint, as `wardline dead` prints it.
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// With this business key.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Accepted at or after: RFC 3339, or an age such as `4h`.
    #[arg(long, value_parser = moment)]
    pub(crate) since: Option<wardline_core::Timestamp>,
    /// Accepted before.
    #[arg(long, value_parser = moment)]
    pub(crate) until: Option<wardline_core::Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Run today's flows on the received messages instead of sending the bodies as they were.
    #[arg(long)]
    pub(crate) from_raw: bool,
    /// At most this many a second.
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u32,
    /// Why; without it nothing is done but counted.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Resubmit {
    /// The delivery.
    pub(crate) delivery: DeliveryId,
    /// Open the body in $EDITOR and send what you save.
    #[arg(long, conflicts_with = "body")]
    pub(crate) edit: bool,
    /// Send this file's content.
    #[arg(long, value_name = "FILE", required_unless_present = "edit")]
    pub(crate) body: Option<PathBuf>,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}
