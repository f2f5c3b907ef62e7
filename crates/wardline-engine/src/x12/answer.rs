//! Acknowledgements: those that are owed for what came, and those that a partner gives for what was sent.

use super::ledger::Said;
use crate::codes;
use crate::plan::SourcePlan;
use crate::route::{Derived, DerivedDelivery, X12};
use bytes::Bytes;
use std::sync::Arc;
use wardline_core::{Lane, Timestamp};
use wardline_edi::x12::ack::{self, Answering, Ta1};
use wardline_edi::x12::{Interchange, inspect};
use wardline_store::Note;

/// Adds the acknowledgement that is owed for an interchange: of what is wrong with it, and of what is not.
pub(crate) fn acknowledge(
    source: &SourcePlan,
    body: &Bytes,
    received: Timestamp,
    derived: &mut Derived,
) {
    let Some(owed) = &source.acknowledge else {
        return;
    };
    let guides = source.guides.as_ref().map(|guides| Arc::clone(&guides.own));
    let report = inspect(body, guides);
    let Some(mut first) = report.interchanges.into_iter().next() else {
        // What has no header that can be read has nobody who could be answered.
        return;
    };
    // An interchange is taken as a whole or not at all, and that is what is told.
    if !report.ok {
        for group in &mut first.groups {
            group.accepted = 0;
        }
    }
    let digits: String = received
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let how = Answering {
        form: owed.form,
        // The connection that sends it gives the numbers.
        control: 1,
        group_control: 1,
        date: digits.chars().take(8).collect(),
        time: digits.chars().skip(8).take(4).collect(),
        ta1: false,
    };
    let (answer, failed) = match ack::answer(&first, &how) {
        Ok(Some(answer)) => (Some((answer, X12)), None),
        Ok(None) => return,
        Err(error) => {
            let text = format!("no acknowledgement can be written: {error}");
            (
                None,
                Some(crate::accept::note_of(codes::NOT_ACKNOWLEDGED, text)),
            )
        }
    };
    derived.deliveries.push(DerivedDelivery {
        message: 0,
        flow: owed.flow,
        target: failed.is_none().then_some(0),
        key: None,
        lane: Lane::Normal,
        body: answer,
        failed,
    });
}

/// What an interchange says of interchanges of ours. What is refused is also a dead letter, so that
/// somebody looks at it.
pub(crate) fn said_of_ours(
    source: &SourcePlan,
    interchange: &Arc<Interchange>,
    derived: &mut Derived,
) -> Vec<Said> {
    let Some(flow) = source.told_of.as_ref().map(|told| told.flow) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let number = |text: &str| text.trim().parse().ok();
    for segment in interchange.interchange_acknowledgements() {
        if let Some(ta1) = Ta1::read(&segment)
            && let Some(number) = number(&ta1.control)
        {
            all.push(Said {
                of_group: false,
                number,
                status: ta1.status,
            });
        }
    }
    for set in interchange.sets() {
        if let Some(ack) = ack::read(&set)
            && let Some(number) = number(&ack.control)
        {
            all.push(Said {
                of_group: true,
                number,
                status: ack.status,
            });
        }
    }
    for said in all.iter().filter(|said| said.refuses()).take(100) {
        let what = if said.of_group {
            "group"
        } else {
            "interchange"
        };
        let text = format!(
            "the partner refuses {what} {} (it says {})",
            said.number,
            status(said)
        );
        derived.deliveries.push(DerivedDelivery {
            message: 0,
            flow,
            target: None,
            key: None,
            lane: Lane::Normal,
            body: None,
            failed: Some(Note {
                fingerprint: crate::fingerprint::of(codes::PARTNER_REFUSES.0, what, ""),
                code: codes::PARTNER_REFUSES.to_string(),
                text,
            }),
        });
    }
    all
}

/// A status as the standard has it; nothing else is repeated.
fn status(said: &Said) -> &str {
    match said.status.as_str() {
        known @ ("P" | "R" | "M" | "W" | "X") => known,
        _ => "something else",
    }
}
