//! The example estate, served by the real binary, with the hospital's other systems in the
//! test's process; and a patient whose name must stay where it belongs.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, each uses its part, and a helper fails like the test it serves"
)]

use crate::house::{House, free_address};
use std::path::{Path, PathBuf};
use wardline_sim::{Hospital, Record, SimConfig};

/// What must be in no log and in no error: they stand for a patient.
pub(crate) const MRN: &str = "MRNZQX7711";
pub(crate) const FAMILY: &str = "Wlxqvutsky";
pub(crate) const GIVEN: &str = "Qwzelda";
pub(crate) const ACCOUNT: &str = "ACCZQX88";

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/estates/ward/tests/fixtures")
        .join(name)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The example estate, served, with its other systems in this process.
pub(crate) struct Ward {
    pub(crate) house: House,
    pub(crate) hospital: Hospital,
}

impl Ward {
    pub(crate) async fn open() -> Self {
        let hospital = Hospital::start(SimConfig {
            record: Record::Full { per_key: 100 },
            ..SimConfig::for_tests()
        })
        .await
        .unwrap();
        let mut addresses = vec![
            ("127.0.0.1:8420".to_owned(), "127.0.0.1:0".to_owned()),
            ("127.0.0.1:8421".to_owned(), free_address()),
            ("127.0.0.1:8422".to_owned(), free_address()),
            ("127.0.0.1:2575".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        for (port, service) in (18_081..).zip(hospital.services()) {
            addresses.push((format!("127.0.0.1:{port}"), service.address().to_string()));
        }
        Self {
            house: House::example(&addresses),
            hospital,
        }
    }

    /// An admission of the `n`th patient.
    pub(crate) fn admission(&self, n: usize) -> PathBuf {
        let message = std::fs::read_to_string(fixture("adt-a01.hl7")).unwrap();
        let message = message
            .replace("20040077", &format!("{MRN}{n}"))
            .replace("O'Brien", FAMILY)
            .replace("Zoë", GIVEN)
            .replace("ACC-77", &format!("{ACCOUNT}{n}"))
            .replace("V-1001", &format!("VISITZQX{n}"))
            .replace("MSG-0001", &format!("CTL-{n}"))
            .replace("112^A", &format!("{n}^A"));
        let path = self.house.path(&format!("admission-{n}.hl7"));
        std::fs::write(&path, message).unwrap();
        path
    }
}

/// Nothing of a patient.
#[track_caller]
pub(crate) fn discreet(what: &str, text: &str) {
    for word in [MRN, FAMILY, GIVEN, ACCOUNT, "VISITZQX"] {
        assert!(
            !text.contains(word),
            "`{word}` is in {what}:\n{}",
            text.lines()
                .filter(|line| line.contains(word))
                .take(3)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}
