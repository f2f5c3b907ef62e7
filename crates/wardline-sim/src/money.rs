//! Money from patients and payers: billing and the charges it posts, the clearinghouse, the bank, the general ledger.

mod answers;
mod billing;
mod clearinghouse;
mod day;
mod general_ledger;

pub(crate) use billing::{BILLING, CHARGE_CAPTURE, begin_day};
pub(crate) use clearinghouse::{CLEARINGHOUSE, begin_claim};
pub(crate) use general_ledger::GENERAL_LEDGER;

/// Whose books a facility is in.
fn legal_entity(facility: &str) -> &'static str {
    match facility {
        "south" => "SBH-S",
        "west" => "SBH-W",
        _ => "SBH-N",
    }
}
