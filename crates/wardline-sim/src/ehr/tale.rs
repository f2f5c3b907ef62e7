//! Stays with names: what the clinical record tells of one patient in each scenario, message by message.
//!
//! The load generator ([`super::ward`]) tells of many patients what goes well. This tells of one what goes wrong, with times
//! of its own.

use super::charge::{Charge, charges};
use super::segments::Segments;
use crate::dates;
use crate::departments::Scan;
use crate::office::Room;
use crate::rehearsal::{Case, Check, Scenario};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Between two messages, at speed 1.
const PAUSE: Duration = Duration::from_secs(3);

/// One message of a tale.
#[derive(Debug)]
pub(crate) struct Told {
    /// MSH-10.
    pub(crate) control: String,
    /// How long after the one before was acknowledged.
    pub(crate) after: Duration,
    /// The message, segments ended by CR.
    pub(crate) text: Vec<u8>,
}

/// Over which interface something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// The clinical record's: who comes, moves and goes, and charges.
    Admissions,
    /// The clinical record's: examinations.
    Orders,
    /// The clinical record's: documents.
    Documents,
    /// The laboratory's.
    Results,
}

impl Feed {
    /// Who tells over it.
    pub(crate) const fn sender(self) -> &'static str {
        match self {
            Self::Results => "laboratory",
            Self::Admissions | Self::Orders | Self::Documents => "ehr",
        }
    }
}

/// What is told of one visit, examination, document.
#[derive(Debug)]
pub(crate) struct Tale {
    pub(crate) about: String,
    pub(crate) feed: Feed,
    pub(crate) messages: Vec<Told>,
    /// What a device does once all is told.
    pub(crate) scan: Option<Scan>,
}

/// A time as HL7 writes it.
pub(crate) struct Stamp(pub(crate) Timestamp);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at: DateTime = dates::ZONE.to_datetime(self.0);
        write!(f, "{}-0600", at.strftime("%Y%m%d%H%M%S"))
    }
}

/// One patient, one visit, one bed.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) number: String,
    pub(super) account: String,
    pub(super) mrn: String,
    family: &'static str,
    given: &'static str,
    /// PV1-3.
    location: String,
    pub(super) facility: &'static str,
    admitted: Timestamp,
}

/// Where the beds of rehearsals are: a unit that no other patient of the simulated EHR lies in.
const UNIT: &str = "9R";

impl Visit {
    fn new(about: &str, facility: &str, admitted: Timestamp) -> Self {
        let facility = if facility == "south" {
            "SOUTH"
        } else {
            "NORTH"
        };
        // V-123456-7 lies in room 7 of the rehearsals' unit, under numbers of its own.
        let digits = about.trim_start_matches("V-").replace('-', "");
        let room = about.rsplit('-').next().unwrap_or("1");
        Self {
            number: about.to_owned(),
            account: format!("ACC-{digits}"),
            mrn: format!("7{digits}"),
            family: "O'Brien",
            given: "Zoë",
            location: format!("{UNIT}^{room}^A^{facility}"),
            facility,
            admitted,
        }
    }

    /// The bed's name as maps make it.
    fn bed(&self) -> String {
        let parts: Vec<&str> = self.location.split('^').collect();
        format!("{}-{}-{}-{}", self.facility, UNIT, parts[1], parts[2])
    }

    /// Somebody else in the same bed.
    fn next_patient(&self, admitted: Timestamp) -> Self {
        Self {
            number: format!("{}B", self.number),
            account: format!("{}B", self.account),
            mrn: format!("{}1", self.mrn),
            family: "Larsen",
            given: "Mina",
            admitted,
            ..self.clone()
        }
    }
}

/// What one message says beside who and where.
#[derive(Default)]
pub(super) struct Saying<'a> {
    /// When it happened (EVN-6); when it is told, where absent.
    occurred: Option<Timestamp>,
    discharged: Option<Timestamp>,
    disposition: &'a str,
    /// MRG-1: the number that loses.
    prior_mrn: &'a str,
}

/// Writes messages one after the other.
pub(super) struct Writer<'a> {
    now: Timestamp,
    about: &'a str,
    messages: Vec<Told>,
}

impl Writer<'_> {
    /// `ADT^A01^ADT_A01` and the like.
    fn tell(&mut self, event: &str, visit: &Visit, saying: &Saying<'_>) {
        let structure = match event {
            "A01" | "A08" | "A13" => "ADT_A01",
            "A11" => "ADT_A09",
            "A40" => "ADT_A39",
            _ => "ADT_A03",
        };
        let control = self.control();
        let mut text = Vec::with_capacity(1_024);
        let mut write = Segments::new(&mut text);
        self.head(
            &mut write,
            &format!("ADT^{event}^{structure}"),
            &control,
            visit,
        );
        let occurred = saying.occurred.unwrap_or(self.now);
        write.segment("EVN").at(1).raw(event);
        write.at(2).value(Stamp(self.now));
        write.at(6).value(Stamp(occurred)).at(7).raw(visit.facility);
        identify(&mut write, visit);
        if saying.prior_mrn.is_empty() {
            visit_line(&mut write, visit, saying);
        } else {
            write
                .segment("MRG")
                .at(1)
                .raw(saying.prior_mrn)
                .raw("^^^STB^MR");
        }
        write.end();
        self.put(control, text);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn control(&self) -> String {
        // MSH-10 has 20 characters in version 2.5.1.
        let name = self.about.trim_start_matches("V-").replace('-', "");
        format!("R{name}M{}", self.messages.len() + 1)
    }

    pub(super) fn head(&self, write: &mut Segments<'_>, kind: &str, control: &str, visit: &Visit) {
        write
            .header()
            .at(3)
            .raw("BRIGID-EHR")
            .at(4)
            .raw(visit.facility);
        write.at(5).raw("WARDLINE").at(6).raw("STB");
        write
            .at(7)
            .value(Stamp(self.now))
            .at(9)
            .raw(kind)
            .at(10)
            .raw(control);
        write
            .at(11)
            .raw("P")
            .at(12)
            .raw("2.5.1")
            .at(18)
            .raw("UNICODE UTF-8");
    }

    pub(super) fn put(&mut self, control: String, text: Vec<u8>) {
        let after = if self.messages.is_empty() {
            Duration::ZERO
        } else {
            PAUSE
        };
        self.messages.push(Told {
            control,
            after,
            text,
        });
    }
}

pub(super) fn identify(write: &mut Segments<'_>, visit: &Visit) {
    write.segment("PID").at(1).raw("1");
    write.at(3).raw(&visit.mrn).raw("^^^STB^MR");
    write.at(5).text(visit.family).raw("^").text(visit.given);
    write.at(7).raw("19670312").at(8).raw("F");
    write.at(18).raw(&visit.account).raw("^^^STB^AN");
}

pub(super) fn visit_line(write: &mut Segments<'_>, visit: &Visit, saying: &Saying<'_>) {
    write.segment("PV1").at(1).raw("1").at(2).raw("I");
    write.at(3).raw(&visit.location);
    write.at(7).raw("1000417^Ashby^Miriam").at(10).raw("MED");
    write.at(19).raw(&visit.number).raw("^^^STB^VN");
    if !saying.disposition.is_empty() {
        write.at(36).raw(saying.disposition);
    }
    write.at(44).value(Stamp(visit.admitted));
    if let Some(discharged) = saying.discharged {
        write.at(45).value(Stamp(discharged));
    }
}

/// A discharge at this time.
fn discharge(at: Timestamp) -> Saying<'static> {
    Saying {
        occurred: Some(at),
        discharged: Some(at),
        disposition: "01",
        ..Saying::default()
    }
}

/// What is told in a scenario; opens its case.
pub(crate) fn tale(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
) -> Tale {
    let now = room.now;
    let admitted = dates::before(now, 4 * 3_600);
    let visit = Visit::new(about, facility, admitted);
    let mut teller = Writer {
        now,
        about,
        messages: Vec::new(),
    };
    let admission = Saying {
        occurred: Some(admitted),
        ..Saying::default()
    };
    for subject in [&visit.account, &visit.bed()] {
        room.books
            .keep("ehr", "subjects", subject, json!({ "about": about }));
    }
    let of_mrn = json!([{ "visit_number": visit.number, "account_number": visit.account }]);
    room.books.keep("billing", "patients", &visit.mrn, of_mrn);
    let closed = account_is(&visit, "closed");
    let one_clean = || Check::Count {
        system: "housekeeping",
        kind: "requests",
        fields: vec![("/bed", json!(visit.bed()))],
        least: 1,
        most: 1,
    };
    let mut checks = vec![closed];
    match scenario.name {
        "duplicate" => {
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(now));
            teller.tell("A03", &visit, &discharge(now));
            checks.push(one_clean());
        }
        "cancel" => {
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(now));
            teller.tell("A13", &visit, &Saying::default());
            checks = vec![
                account_is(&visit, "open"),
                effect("patient-accounting", "reopen-account", &visit.account, 1),
            ];
        }
        "cancel-then-again" => {
            let first = dates::before(now, 1_800);
            let cancelled = Saying {
                occurred: Some(dates::before(now, 1_500)),
                ..Saying::default()
            };
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(first));
            teller.tell("A13", &visit, &cancelled);
            teller.tell("A03", &visit, &discharge(now));
            checks.push(effect(
                "patient-accounting",
                "close-account",
                &visit.account,
                2,
            ));
        }
        "late" => {
            // It happened three hours ago. Meanwhile the bed was cleaned, and somebody else lies in it.
            let next = visit.next_patient(dates::before(now, 3_600));
            let admitted = Saying {
                occurred: Some(next.admitted),
                ..Saying::default()
            };
            teller.tell("A01", &visit, &admission);
            teller.tell("A01", &next, &admitted);
            teller.tell("A03", &visit, &discharge(dates::before(now, 3 * 3_600)));
            checks.push(Check::Holds {
                system: "bed-board",
                kind: "beds",
                id: visit.bed(),
                field: "/visit",
                value: json!(next.number),
            });
        }
        "out-of-order" => {
            teller.tell("A03", &visit, &discharge(now));
            teller.tell("A01", &visit, &admission);
        }
        "merge" => {
            let keeps = Visit {
                mrn: format!("{}0", visit.mrn),
                ..visit.clone()
            };
            let merged = Saying {
                prior_mrn: &visit.mrn,
                ..Saying::default()
            };
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(now));
            teller.tell("A40", &keeps, &merged);
            checks.push(effect("billing", "merge-patient", &visit.mrn, 1));
        }
        "correct" => {
            let mut corrected = discharge(now);
            corrected.disposition = "20";
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(now));
            teller.tell("A08", &visit, &corrected);
            checks.push(effect("billing", "correct-account", &visit.account, 1));
        }
        "cancel-admit" => {
            teller.tell("A01", &visit, &admission);
            teller.tell("A11", &visit, &Saying::default());
            checks = vec![Check::HoldsNot {
                system: "bed-board",
                kind: "beds",
                id: visit.bed(),
                field: "/state",
                value: json!("occupied"),
            }];
        }
        "charges" => {
            teller.tell("A01", &visit, &admission);
            let lines = Charge::of(&visit);
            charges(&mut teller, &visit, &lines);
            teller.tell("A03", &visit, &discharge(now));
            for line in &lines {
                checks.push(effect("billing", "post-charge", &line.id, 1));
            }
            capture(room, &visit, &lines);
        }
        _ => {
            teller.tell("A01", &visit, &admission);
            teller.tell("A03", &visit, &discharge(now));
            checks.push(one_clean());
        }
    }
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks,
    });
    Tale {
        about: about.to_owned(),
        feed: Feed::Admissions,
        messages: teller.messages,
        scan: None,
    }
}

/// Charge capture knows what the clinical record charged.
fn capture(room: &mut Room<'_>, visit: &Visit, lines: &[Charge]) {
    let day = room.day(0);
    let id = format!("{}/{day}", visit.facility.to_lowercase());
    let mut told = match room.books.find("charge-capture", "told", &id) {
        Some(Value::Array(told)) => told.clone(),
        _ => Vec::new(),
    };
    told.extend(lines.iter().map(|line| line.captured(visit, &day)));
    room.books.keep("charge-capture", "told", &id, json!(told));
}

fn account_is(visit: &Visit, state: &'static str) -> Check {
    Check::Holds {
        system: "patient-accounting",
        kind: "accounts",
        id: visit.account.clone(),
        field: "/state",
        value: json!(state),
    }
}

fn effect(system: &'static str, duty: &'static str, subject: &str, count: u64) -> Check {
    Check::Effects {
        system,
        duty,
        subject: subject.to_owned(),
        least: count,
        most: count,
    }
}
