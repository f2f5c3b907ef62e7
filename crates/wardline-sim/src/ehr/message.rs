//! The messages of the simulated EHR: ADT (HL7 v2.5.1, chapter 3) of 0.8–1.2 KB, and some that nobody asked for.

use super::people::Patient;
use super::segments::Segments;
use crate::Sequence;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::fmt;

/// What happened to a patient, or what the message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// Admit.
    A01,
    /// Transfer to another bed.
    A02,
    /// Discharge.
    A03,
    /// Change of patient information.
    A08,
    /// Cancel discharge.
    A13,
    /// Add person information: out of scope for bed and billing flows.
    A28,
    /// Observation result (ORU^R01): out of scope for ADT flows.
    R01,
}

impl Trigger {
    /// Every trigger that the EHR sends.
    pub const ALL: [Self; 7] = [
        Self::A01,
        Self::A02,
        Self::A03,
        Self::A08,
        Self::A13,
        Self::A28,
        Self::R01,
    ];

    /// The event as in MSH-9.2.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A01 => "A01",
            Self::A02 => "A02",
            Self::A03 => "A03",
            Self::A08 => "A08",
            Self::A13 => "A13",
            Self::A28 => "A28",
            Self::R01 => "R01",
        }
    }

    /// MSH-9 whole; structures as in HL7 table 0354.
    const fn message_type(self) -> &'static str {
        match self {
            Self::A01 => "ADT^A01^ADT_A01",
            Self::A02 => "ADT^A02^ADT_A02",
            Self::A03 => "ADT^A03^ADT_A03",
            Self::A08 => "ADT^A08^ADT_A01",
            Self::A13 => "ADT^A13^ADT_A01",
            Self::A28 => "ADT^A28^ADT_A05",
            Self::R01 => "ORU^R01^ORU_R01",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A place to lie in: PL.1, PL.2, PL.3 and PL.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bed(u32);

const UNITS: [&str; 12] = [
    "2E", "2W", "3E", "3W", "4E", "4W", "5E", "5W", "ICU", "CCU", "OBS", "REHAB",
];
const SERVICES: [&str; 12] = [
    "MED", "MED", "SUR", "SUR", "CAR", "MED", "ORT", "NEU", "CCM", "CAR", "MED", "REH",
];

impl Bed {
    /// Bed number `index` of the hospital; every index is a different bed.
    pub const fn numbered(index: u32) -> Self {
        Self(index)
    }

    fn place(self) -> usize {
        self.0 as usize % UNITS.len()
    }

    /// The nursing unit (PL.1).
    pub fn unit(self) -> &'static str {
        UNITS[self.place()]
    }

    /// The facility (PL.4): `NORTH` or `SOUTH`.
    pub fn facility(self) -> &'static str {
        if self.place() % 3 == 2 {
            "SOUTH"
        } else {
            "NORTH"
        }
    }

    fn room(self) -> u32 {
        100 + self.0 / UNITS.len() as u32 / 2
    }

    fn letter(self) -> char {
        if (self.0 / UNITS.len() as u32).is_multiple_of(2) {
            'A'
        } else {
            'B'
        }
    }
}

/// The canonical bed id, as the example estate's maps make it: `NORTH-4W-112-A`.
impl fmt::Display for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}-{}",
            self.facility(),
            self.unit(),
            self.room(),
            self.letter()
        )
    }
}

/// Everything one message says.
#[derive(Debug)]
pub struct Event<'a> {
    /// What happened.
    pub trigger: Trigger,
    /// MSH-10.
    pub sequence: Sequence,
    /// To whom.
    pub patient: &'a Patient,
    /// Where they lie (PV1-3).
    pub bed: Bed,
    /// Where they lay before (PV1-6), for A02.
    pub prior_bed: Option<Bed>,
    /// When it happened and is told.
    pub now: Timestamp,
    /// Discharge disposition (PV1-36, HL7 table 0112), for A03.
    pub disposition: &'a str,
    /// Ask for commit acknowledgements only (MSH-15 `AL`, MSH-16 `NE`; HL7 v2.5.1, chapter 2.9.3)
    /// instead of the original mode.
    pub enhanced: bool,
}

// The hospital lies six hours west of Greenwich and knows no summer time, so that a run does not
// depend on the time zone files of the machine.
const ZONE: Offset = Offset::constant(-6);

struct Stamp(DateTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at) = self;
        write!(
            f,
            "{:04}{:02}{:02}{:02}{:02}{:02}-0600",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

impl Event<'_> {
    /// Appends the message to `out`, which is expected to be empty: segments end with CR, text is UTF-8.
    pub fn write(&self, out: &mut Vec<u8>) {
        let now = Stamp(ZONE.to_datetime(self.now));
        let mut write = Segments::new(out);
        self.header(&mut write, &now);
        if self.trigger != Trigger::R01 {
            write
                .segment("EVN")
                .at(1)
                .raw(self.trigger.as_str())
                .at(2)
                .value(&now);
            write
                .at(5)
                .raw("OPR214^Reyes^Dana^^^^^^STB")
                .at(6)
                .value(&now)
                .at(7)
                .raw(self.bed.facility());
        }
        self.identification(&mut write);
        match self.trigger {
            Trigger::R01 => self.result(&mut write, &now),
            Trigger::A28 => self.relative(&mut write),
            _ => {
                self.relative(&mut write);
                self.visit(&mut write, &now);
                self.diagnosis(&mut write, &now);
                self.insurance(&mut write);
            }
        }
        write.end();
    }

    fn header(&self, write: &mut Segments<'_>, now: &Stamp) {
        write
            .header()
            .at(3)
            .raw("BRIGID-EHR")
            .at(4)
            .raw(self.bed.facility())
            .at(5)
            .raw("WARDLINE")
            .at(6)
            .raw("STB");
        write
            .at(7)
            .value(now)
            .at(9)
            .raw(self.trigger.message_type())
            .at(10)
            .value(self.sequence);
        write.at(11).raw("P").at(12).raw("2.5.1");
        if self.enhanced {
            write.at(15).raw("AL").at(16).raw("NE");
        }
        write.at(18).raw("UNICODE UTF-8");
    }

    fn identification(&self, write: &mut Segments<'_>) {
        let patient = self.patient;
        let born = patient.born;
        write
            .segment("PID")
            .at(1)
            .raw("1")
            .at(3)
            .raw(&patient.mrn)
            .raw("^^^STB^MR");
        write
            .at(5)
            .text(patient.family)
            .raw("^")
            .text(patient.given)
            .raw("^")
            .value(patient.middle)
            .raw("^^^^L");
        write
            .at(7)
            .value(format_args!(
                "{:04}{:02}{:02}",
                born.year(),
                born.month(),
                born.day()
            ))
            .at(8)
            .value(patient.sex);
        write
            .at(11)
            .value(patient.house)
            .raw(" ")
            .text(patient.street)
            .raw("^^")
            .text(patient.town.0);
        write.raw("^IL^").raw(patient.town.1).raw("^USA^H");
        write
            .at(13)
            .value(format_args!("^PRN^PH^^1^312^55501{:02}", patient.phone));
        write
            .at(15)
            .raw("eng^English^HL70296")
            .at(16)
            .raw("M^Married^HL70002");
        write.at(18).raw(&patient.account).raw("^^^STB^AN");
    }

    fn relative(&self, write: &mut Segments<'_>) {
        let patient = self.patient;
        write
            .segment("NK1")
            .at(1)
            .raw("1")
            .at(2)
            .text(patient.family)
            .raw("^")
            .text(patient.relative)
            .raw("^^^^^L");
        write.at(3).raw("SPO^Spouse^HL70063");
        write
            .at(4)
            .value(patient.house)
            .raw(" ")
            .text(patient.street)
            .raw("^^")
            .text(patient.town.0);
        write.raw("^IL^").raw(patient.town.1).raw("^USA^H");
        write.at(5).value(format_args!(
            "^PRN^CP^^1^312^55501{:02}",
            (patient.phone + 37) % 100
        ));
        write.at(7).raw("C^Emergency contact^HL70131");
    }

    fn visit(&self, write: &mut Segments<'_>, now: &Stamp) {
        let patient = self.patient;
        write.segment("PV1").at(1).raw("1").at(2).raw("I").at(3);
        location(write, self.bed);
        write.at(4).raw("E^Emergency^HL70007");
        if let Some(prior) = self.prior_bed {
            location(write.at(6), prior);
        }
        write.at(7);
        doctor(write, patient.doctor);
        write
            .at(10)
            .raw(SERVICES[self.bed.place()])
            .at(14)
            .raw("7^Emergency room^HL70023")
            .at(17);
        doctor(write, patient.admitting);
        write
            .at(18)
            .raw("IN")
            .at(19)
            .raw(&patient.visit)
            .raw("^^^STB^VN");
        if self.trigger == Trigger::A03 {
            write.at(36).raw(self.disposition);
        }
        write.at(39).raw("STB").at(44).value(self.admitted(now));
        if self.trigger == Trigger::A03 {
            write.at(45).value(now);
        }
        write.segment("PV2").at(3).text(patient.diagnosis.1);
        if patient.isolation {
            write.at(41).raw("ISO^Isolation^99STB");
        }
    }

    fn admitted(&self, now: &Stamp) -> Stamp {
        if self.trigger == Trigger::A01 {
            return Stamp(now.0);
        }
        let stay = jiff::Span::new()
            .days(self.patient.stay_days)
            .hours(3)
            .minutes(17);
        Stamp(now.0.saturating_sub(stay))
    }

    fn diagnosis(&self, write: &mut Segments<'_>, now: &Stamp) {
        let (code, name) = self.patient.diagnosis;
        write
            .segment("DG1")
            .at(1)
            .raw("1")
            .at(3)
            .raw(code)
            .raw("^")
            .text(name)
            .raw("^I10")
            .at(5)
            .value(self.admitted(now));
        write.at(6).raw("A").at(15).raw("1");
    }

    fn insurance(&self, write: &mut Segments<'_>) {
        let patient = self.patient;
        let (code, name, plan) = patient.insurer;
        write
            .segment("IN1")
            .at(1)
            .raw("1")
            .at(2)
            .raw(plan)
            .raw("^")
            .text(name)
            .at(3)
            .raw(code)
            .at(4)
            .text(name);
        write
            .at(5)
            .raw("PO Box 1400^^Wexley^IL^60094^USA")
            .at(8)
            .value(format_args!("GRP{:05}", patient.policy % 100_000));
        write
            .at(12)
            .raw("20260101")
            .at(15)
            .raw(plan)
            .at(16)
            .text(patient.family)
            .raw("^")
            .text(patient.given);
        write
            .at(17)
            .raw("SEL^Self^HL70063")
            .at(36)
            .value(patient.policy);
    }

    fn result(&self, write: &mut Segments<'_>, now: &Stamp) {
        write
            .segment("OBR")
            .at(1)
            .raw("1")
            .at(3)
            .value(format_args!("L{:09}", self.sequence.number));
        write
            .at(4)
            .raw("24323-8^Comprehensive metabolic panel^LN")
            .at(7)
            .value(now)
            .at(22)
            .value(now)
            .at(25)
            .raw("F");
        for (set, line) in [
            "2345-7^Glucose^LN||104|mg/dL|70-99|H",
            "2160-0^Creatinine^LN||0.9|mg/dL|0.6-1.3|N",
            "2951-2^Sodium^LN||139|mmol/L|136-145|N",
            "2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N",
        ]
        .iter()
        .enumerate()
        {
            write
                .segment("OBX")
                .at(1)
                .value(set + 1)
                .at(2)
                .raw("NM")
                .at(3)
                .raw(line)
                .raw("|||F");
        }
    }
}

fn location(write: &mut Segments<'_>, bed: Bed) {
    write.value(format_args!(
        "{}^{}^{}^{}",
        bed.unit(),
        bed.room(),
        bed.letter(),
        bed.facility()
    ));
}

fn doctor(write: &mut Segments<'_>, (number, family, given): (&str, &str, &str)) {
    write
        .raw(number)
        .raw("^")
        .text(family)
        .raw("^")
        .text(given)
        .raw("^^^^^^STB^L^^^EI");
}
