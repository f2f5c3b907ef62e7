//! Departments: what the laboratory, imaging and medical records tell over protocols of their own, and what the service desk,
//! patient relations and telehealth say by HTTP.

mod broker;
mod filing;
mod help;
mod messages;
mod modality;
mod signer;

pub(crate) use broker::{PLACE as BROKER_PLACE, start as start_broker};
pub(crate) use filing::DOCUMENTS;
pub(crate) use help::{CRM, ITSM};
pub(crate) use modality::Scan;
pub(crate) use signer::signature;

use crate::dates;
use crate::ehr::{Feed, Tale};
use crate::office::{Post, Room};
use crate::rehearsal::{Case, Check, Scenario};
use serde_json::{Value, json};
use std::time::Duration;

/// Letters before the number of a scenario's subject.
pub(crate) fn prefix(scenario: &Scenario) -> &'static str {
    match scenario.name {
        "document" => "DOC",
        "examination" | "examination-cancelled" => "A",
        "dispute" => "CS",
        "video-visit" => "T",
        _ => "LAB",
    }
}

/// Whose books a facility is in, as HL7 writes it.
fn site(facility: &str) -> &'static str {
    match facility {
        "south" => "SOUTH",
        "west" => "WEST",
        _ => "NORTH",
    }
}

/// Begins one scenario. What is told by HL7 or DICOM is given back.
pub(crate) fn begin(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
) -> Option<Tale> {
    let now = room.now;
    let patient = messages::Patient::of(about, site(facility));
    let charged = |id: String, times: u64| Check::Effects {
        system: "billing",
        duty: "post-charge",
        subject: id,
        least: times,
        most: times,
    };
    let (checks, tale) = match scenario.name {
        "document" => {
            let indexed = Check::Effects {
                system: "documents",
                duty: "put-index",
                subject: about.to_owned(),
                least: 1,
                most: 1,
            };
            let told = messages::document(&patient, about, now);
            (vec![indexed], Some((Feed::Documents, told, None)))
        }
        "examination" | "examination-cancelled" => {
            let cancelled = scenario.name == "examination-cancelled";
            let told = messages::examination(&patient, about, now, cancelled);
            let scan = Scan {
                accession: about.to_owned(),
                day: dates::day(now, 0),
                performs: !cancelled,
            };
            let check = charged(format!("IMG-{about}"), u64::from(!cancelled));
            (vec![check], Some((Feed::Orders, told, Some(scan))))
        }
        "dispute" => {
            let data = json!({ "case": about, "topic": "bill", "reason": "amount", "account": patient.account, "facility": facility, "text": "That cannot be right." });
            webhook(room, "crm", "/in/crm/cases", about, "case.opened", &data);
            let answered = Check::Holds {
                system: "crm",
                kind: "cases",
                id: about.to_owned(),
                field: "/state",
                value: json!("answered"),
            };
            (vec![answered], None)
        }
        "video-visit" => {
            let data = json!({ "visit": about, "account": patient.account, "facility": facility, "clinician": "1000417", "minutes": 22, "ended_at": room.instant() });
            webhook(
                room,
                "telehealth",
                "/in/telehealth/visits",
                about,
                "visit.ended",
                &data,
            );
            (vec![charged(format!("TEL-{about}"), 1)], None)
        }
        name => {
            let cancelled = name == "result-cancelled";
            let id = |test: &str| format!("LAB-{about}/{test}");
            let checks = if cancelled {
                let back = format!("{}-R", id(messages::PANEL));
                vec![charged(id(messages::PANEL), 1), charged(back, 1)]
            } else {
                vec![
                    charged(id(messages::PANEL), 1),
                    charged(id(messages::COUNT), 1),
                ]
            };
            let told = messages::results(&patient, about, now, cancelled);
            (checks, Some((Feed::Results, told, None)))
        }
    };
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks,
    });
    tale.map(|(feed, messages, scan)| Tale {
        about: about.to_owned(),
        feed,
        messages,
        scan,
    })
}

/// Tells by a webhook, which is signed when it leaves.
fn webhook(
    room: &mut Room<'_>,
    from: &'static str,
    path: &'static str,
    about: &str,
    kind: &str,
    data: &Value,
) {
    let body = json!({ "type": kind, "timestamp": room.instant(), "data": data });
    room.posts.push(vec![Post {
        from,
        path,
        key: format!("evt_{about}"),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    }]);
}

/// Where departments reach Wardline by protocols of their own; nobody is told where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feeds {
    /// MLLP, for orders of examinations (`127.0.0.1:2576`).
    pub orders: Option<String>,
    /// MLLP, for results of the laboratory (`127.0.0.1:2577`).
    pub results: Option<String>,
    /// MLLP, for documents (`127.0.0.1:2578`).
    pub documents: Option<String>,
    /// DICOM, for worklists and steps (`127.0.0.1:11104`).
    pub modalities: Option<String>,
}
