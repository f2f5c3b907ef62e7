//! What partners who exchange X12 owe each other besides the sets themselves: control numbers without gaps,
//! acknowledgements of what came, and the books on what was sent and what the partner said of it.

mod answer;
mod ledger;
mod numbered;
mod watch;

pub(crate) use answer::{acknowledge, said_of_ours};
pub(crate) use ledger::{Ledgers, Said};
pub(crate) use numbered::Numbered;
pub(crate) use watch::watch;
