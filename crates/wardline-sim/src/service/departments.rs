//! The four HTTP systems of the example estate, as data.

use super::operation::{Department, Operation, Shape, optional, required};

/// HL7 table 0112 in words, as patient accounting wants it.
const DISPOSITIONS: &[&str] = &[
    "home",
    "home-care",
    "skilled-nursing",
    "against-advice",
    "other-hospital",
    "hospice",
    "expired",
    "unknown",
];
const REASONS: &[&str] = &["discharge", "transfer"];
const KINDS: &[&str] = &["standard", "isolation"];
const CENSUS_REASONS: &[&str] = &["admit", "discharge", "discharge-cancelled"];
const FACILITIES: &[&str] = &["north", "south"];

/// Opens, closes and reopens patient accounts. Key: the account.
pub(crate) const PATIENT_ACCOUNTING: Department = Department {
    system: "patient-accounting",
    reference: "PA",
    operations: &[
        Operation {
            name: "open-account",
            path: "/accounts/{account}/open",
            key: "account",
            fields: &[
                required("account", Shape::Text),
                required("visit", Shape::Text),
                required("admitted_at", Shape::Instant),
                required("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "close-account",
            path: "/accounts/{account}/close",
            key: "account",
            fields: &[
                required("account", Shape::Text),
                required("visit", Shape::Text),
                required("discharged_at", Shape::Instant),
                required("disposition", Shape::Word(DISPOSITIONS)),
                required("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "reopen-account",
            path: "/accounts/{account}/reopen",
            key: "account",
            fields: &[
                required("account", Shape::Text),
                required("visit", Shape::Text),
                required("message_id", Shape::Text),
            ],
        },
    ],
};

/// Shows who lies where. Key: the bed. What a process asks for follows from no one message and names none.
pub(crate) const BED_BOARD: Department = Department {
    system: "bed-board",
    reference: "BB",
    operations: &[
        Operation {
            name: "occupy-bed",
            path: "/beds/occupy",
            key: "bed",
            fields: &[
                required("bed", Shape::Text),
                required("visit", Shape::Text),
                required("at", Shape::Instant),
                optional("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "release-bed",
            path: "/beds/release",
            key: "bed",
            fields: &[
                required("bed", Shape::Text),
                required("visit", Shape::Text),
                required("at", Shape::Instant),
                optional("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "bed-cleaned",
            path: "/beds/cleaned",
            key: "bed",
            fields: &[
                required("bed", Shape::Text),
                required("at", Shape::Instant),
                required("clean_request", Shape::Text),
            ],
        },
    ],
};

/// Cleans rooms. Key: the bed.
pub(crate) const HOUSEKEEPING: Department = Department {
    system: "housekeeping",
    reference: "HK",
    operations: &[
        Operation {
            name: "request-clean",
            path: "/clean-requests",
            key: "bed",
            fields: &[
                required("bed", Shape::Text),
                required("reason", Shape::Word(REASONS)),
                required("kind", Shape::Word(KINDS)),
                required("requested_at", Shape::Instant),
                optional("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "cancel-clean",
            path: "/clean-requests/cancel",
            key: "bed",
            fields: &[
                required("bed", Shape::Text),
                optional("message_id", Shape::Text),
                optional("cancelled_at", Shape::Instant),
            ],
        },
    ],
};

/// Plans who works where. It is told how many patients a unit gains or loses, never who they are:
/// the key is a pseudonym of the visit.
pub(crate) const STAFFING: Department = Department {
    system: "staffing",
    reference: "ST",
    operations: &[
        Operation {
            name: "change-census",
            path: "/census-changes",
            key: "encounter_ref",
            fields: &[
                required("encounter_ref", Shape::Text),
                required("facility", Shape::Word(FACILITIES)),
                required("unit", Shape::Text),
                required("change", Shape::Whole(-1, 1)),
                required("reason", Shape::Word(CENSUS_REASONS)),
                required("at", Shape::Instant),
                required("message_id", Shape::Text),
            ],
        },
        Operation {
            name: "move-census",
            path: "/census-moves",
            key: "encounter_ref",
            fields: &[
                required("encounter_ref", Shape::Text),
                required("facility", Shape::Word(FACILITIES)),
                required("from_unit", Shape::Text),
                required("to_unit", Shape::Text),
                required("at", Shape::Instant),
                required("message_id", Shape::Text),
            ],
        },
    ],
};
