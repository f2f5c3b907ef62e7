//! Writing: segments from values, sets from segments, interchanges from sets.

use super::delimiters::Delimiters;
use bytes::Bytes;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why something cannot be written. Carries no values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value has a delimiter or a control character in it, for which X12 has no escape.
    #[error(
        "{segment}-{element:02} cannot be written: its value holds a delimiter of the interchange or a control character; choose other delimiters or clean the value"
    )]
    Delimiter {
        /// The segment.
        segment: String,
        /// The element.
        element: u16,
    },
    /// Two delimiters are the same, or one is a letter, a digit or a blank.
    #[error(
        "these delimiters cannot be used: each must be a different byte that is no letter, digit or blank"
    )]
    Delimiters,
    /// A value is longer than its place in ISA.
    #[error("{element} is longer than the {width} characters it has in ISA")]
    TooLong {
        /// Which.
        element: &'static str,
        /// Its width.
        width: usize,
    },
    /// A name that is none of a segment.
    #[error("`{0}` is not the name of a segment")]
    Name(String),
    /// A control number that does not fit.
    #[error("the control number {0} has more than nine digits")]
    Control(u64),
    /// GS01 for this set is not known.
    #[error("the functional identifier (GS01) of set {0} is not known; give it")]
    Functional(String),
}

/// One segment to be written: its values by element, repetition and component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    name: String,
    values: BTreeMap<(u16, u16, u16), String>,
}

impl Record {
    /// A segment without values.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: BTreeMap::new(),
        }
    }

    /// A segment with simple elements in order; empty ones are left out.
    pub fn of(name: impl Into<String>, elements: &[&str]) -> Self {
        let mut record = Self::new(name);
        for (n, value) in elements.iter().enumerate() {
            record.set(n as u16 + 1, *value);
        }
        record
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Puts a value into an element.
    pub fn set(&mut self, element: u16, value: impl Into<String>) -> &mut Self {
        self.put(element, 1, 1, value)
    }

    /// Puts a value into a component of a repetition, all counted from 1.
    pub fn put(
        &mut self,
        element: u16,
        repetition: u16,
        component: u16,
        value: impl Into<String>,
    ) -> &mut Self {
        let value = value.into();
        if !value.is_empty() {
            self.values
                .insert((element, repetition.max(1), component.max(1)), value);
        }
        self
    }

    fn write(&self, d: Delimiters, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let name = self.name.as_bytes();
        let named = (2..=3).contains(&name.len())
            && name[0].is_ascii_uppercase()
            && name
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !named {
            return Err(BuildError::Name(self.name.clone()));
        }
        out.extend_from_slice(name);
        let (mut element, mut repetition, mut component) = (0, 1, 1);
        for ((e, r, c), value) in &self.values {
            let refused = || BuildError::Delimiter {
                segment: self.name.clone(),
                element: *e,
            };
            while element < *e {
                out.push(d.element);
                (element, repetition, component) = (element + 1, 1, 1);
            }
            while repetition < *r {
                out.push(d.repetition.ok_or_else(refused)?);
                (repetition, component) = (repetition + 1, 1);
            }
            while component < *c {
                out.push(d.component);
                component += 1;
            }
            for byte in value.bytes() {
                if byte.is_ascii_control() {
                    return Err(refused());
                }
                if d.contains(byte) {
                    out.push(d.release.ok_or_else(refused)?);
                }
                out.push(byte);
            }
        }
        out.push(d.terminator);
        Ok(())
    }
}

/// What stands around sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// ISA05 and ISA06.
    pub sender: (String, String),
    /// ISA07 and ISA08.
    pub receiver: (String, String),
    /// CCYYMMDD.
    pub date: String,
    /// HHMM.
    pub time: String,
    /// ISA12, `00401` or `00501`.
    pub version: String,
    /// ISA13.
    pub control: u64,
    /// ISA14.
    pub wants_ta1: bool,
    /// ISA15.
    pub usage: char,
    /// GS02; ISA06 where it is empty.
    pub application_sender: String,
    /// GS03; ISA08 where it is empty.
    pub application_receiver: String,
    /// GS06 of the first group; the next ones count on.
    pub group_control: u64,
    /// GS08, such as `004010` or `005010X222A1`.
    pub group_version: String,
    /// The delimiters.
    pub delimiters: Delimiters,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            sender: ("ZZ".into(), String::new()),
            receiver: ("ZZ".into(), String::new()),
            date: "20000101".into(),
            time: "0000".into(),
            version: "00501".into(),
            control: 1,
            wants_ta1: false,
            usage: 'P',
            application_sender: String::new(),
            application_receiver: String::new(),
            group_control: 1,
            group_version: "005010".into(),
            delimiters: Delimiters::default(),
        }
    }
}

/// Writes an interchange: sets of one kind that follow each other share a group, trailers are made.
///
/// ```
/// use wardline_edi::x12::{Builder, Envelope, Record, inspect};
/// let envelope = Envelope {
///     sender: ("ZZ".into(), "BUYER".into()),
///     receiver: ("01".into(), "123456789".into()),
///     date: "20260101".into(),
///     control: 7,
///     ..Envelope::default()
/// };
/// let mut builder = Builder::new(envelope);
/// builder.set("850", vec![Record::of("BEG", &["00", "SA", "4500012", "", "20260101"])]);
/// let bytes = builder.finish()?;
/// assert!(inspect(&bytes[..], None).problems.is_empty());
/// # Ok::<(), wardline_edi::x12::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    envelope: Envelope,
    sets: Vec<OneSet>,
    answers: Vec<Record>,
}

#[derive(Debug, Clone)]
struct OneSet {
    functional: Option<String>,
    id: String,
    control: Option<String>,
    version: Option<String>,
    records: Vec<Record>,
}

impl Builder {
    /// An interchange without sets.
    pub fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            sets: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Adds a set: what stands between ST and SE.
    pub fn set(&mut self, id: impl Into<String>, records: Vec<Record>) -> &mut Self {
        self.sets.push(OneSet {
            functional: None,
            id: id.into(),
            control: None,
            version: None,
            records,
        });
        self
    }

    /// Says GS01, ST02 or ST03 of the set that was added last.
    pub fn named(
        &mut self,
        functional: Option<&str>,
        control: Option<&str>,
        version: Option<&str>,
    ) -> &mut Self {
        if let Some(set) = self.sets.last_mut() {
            set.functional = functional.map(str::to_owned).or(set.functional.take());
            set.control = control.map(str::to_owned).or(set.control.take());
            set.version = version.map(str::to_owned).or(set.version.take());
        }
        self
    }

    /// Adds a TA1, which stands before the groups.
    pub(super) fn answer(&mut self, record: Record) -> &mut Self {
        self.answers.push(record);
        self
    }

    /// The bytes.
    ///
    /// # Errors
    /// Where something cannot be written.
    pub fn finish(&self) -> Result<Bytes, BuildError> {
        let d = self.envelope.delimiters;
        let all = [
            Some(d.element),
            Some(d.component),
            Some(d.terminator),
            d.repetition,
            d.release,
        ];
        let all: Vec<u8> = all.into_iter().flatten().collect();
        let usable = all.iter().enumerate().all(|(n, byte)| {
            !byte.is_ascii_alphanumeric()
                && *byte != b' '
                && byte.is_ascii()
                && !all[..n].contains(byte)
        });
        if !usable {
            return Err(BuildError::Delimiters);
        }
        let mut out = Vec::new();
        self.isa(&mut out)?;
        for answer in &self.answers {
            answer.write(d, &mut out)?;
        }
        let mut groups = 0;
        let mut at = 0;
        while let Some(first) = self.sets.get(at) {
            let functional = functional_of(first)?;
            let alike = self.sets[at..].iter().take_while(|set| {
                set.id == first.id && functional_of(set).is_ok_and(|own| own == functional)
            });
            let count = alike.count();
            let control = self.envelope.group_control + groups;
            self.group(&functional, control, &self.sets[at..at + count], &mut out)?;
            at += count;
            groups += 1;
        }
        Record::of(
            "IEA",
            &[
                &groups.to_string(),
                &format!("{:09}", self.envelope.control),
            ],
        )
        .write(d, &mut out)?;
        Ok(out.into())
    }

    fn isa(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let e = &self.envelope;
        let d = e.delimiters;
        if e.control > 999_999_999 {
            return Err(BuildError::Control(e.control));
        }
        let late = e.version.as_bytes() >= b"00402".as_slice();
        let eleven = d
            .repetition
            .filter(|_| late)
            .map_or("U".to_owned(), |byte| char::from(byte).to_string());
        let date = e.date.get(2..).unwrap_or_default();
        let control = format!("{:09}", e.control);
        let usage = e.usage.to_string();
        let parts: [(&str, usize, &'static str); 15] = [
            ("00", 2, "ISA01"),
            ("", 10, "ISA02"),
            ("00", 2, "ISA03"),
            ("", 10, "ISA04"),
            (&e.sender.0, 2, "the sender's qualifier"),
            (&e.sender.1, 15, "the sender's id"),
            (&e.receiver.0, 2, "the receiver's qualifier"),
            (&e.receiver.1, 15, "the receiver's id"),
            (date, 6, "the date"),
            (&e.time, 4, "the time"),
            (&eleven, 1, "ISA11"),
            (&e.version, 5, "the version"),
            (&control, 9, "the control number"),
            (if e.wants_ta1 { "1" } else { "0" }, 1, "ISA14"),
            (&usage, 1, "ISA15"),
        ];
        out.extend_from_slice(b"ISA");
        for (n, (text, width, element)) in parts.into_iter().enumerate() {
            if text.len() > width {
                return Err(BuildError::TooLong { element, width });
            }
            let delimiter = n != 10 && text.bytes().any(|byte| d.contains(byte));
            if delimiter
                || text
                    .bytes()
                    .any(|byte| byte.is_ascii_control() || !byte.is_ascii())
            {
                return Err(BuildError::Delimiter {
                    segment: "ISA".into(),
                    element: n as u16 + 1,
                });
            }
            out.push(d.element);
            out.extend_from_slice(format!("{text:<width$}").as_bytes());
        }
        out.extend_from_slice(&[d.element, d.component, d.terminator]);
        Ok(())
    }

    fn group(
        &self,
        functional: &str,
        control: u64,
        sets: &[OneSet],
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let e = &self.envelope;
        let d = e.delimiters;
        let or = |own: &str, other: &str| {
            if own.is_empty() {
                other.to_owned()
            } else {
                own.to_owned()
            }
        };
        let control = control.to_string();
        let header = Record::of(
            "GS",
            &[
                functional,
                &or(&e.application_sender, &e.sender.1),
                &or(&e.application_receiver, &e.receiver.1),
                &e.date,
                &e.time,
                &control,
                "X",
                &e.group_version,
            ],
        );
        header.write(d, out)?;
        for (n, set) in sets.iter().enumerate() {
            let own = set
                .control
                .clone()
                .unwrap_or_else(|| format!("{:04}", n + 1));
            let version = set.version.as_deref().unwrap_or_default();
            Record::of("ST", &[&set.id, &own, version]).write(d, out)?;
            for record in &set.records {
                record.write(d, out)?;
            }
            let count = (set.records.len() + 2).to_string();
            Record::of("SE", &[&count, &own]).write(d, out)?;
        }
        Record::of("GE", &[&sets.len().to_string(), &control]).write(d, out)
    }
}

fn functional_of(set: &OneSet) -> Result<String, BuildError> {
    match &set.functional {
        Some(own) => Ok(own.clone()),
        None => functional(&set.id)
            .map(str::to_owned)
            .ok_or_else(|| BuildError::Functional(set.id.clone())),
    }
}

/// GS01 of the sets that are usual here.
pub fn functional(set: &str) -> Option<&'static str> {
    Some(match set {
        "270" => "HS",
        "271" => "HB",
        "276" => "HR",
        "277" => "HN",
        "278" => "HI",
        "810" => "IN",
        "820" => "RA",
        "832" => "SC",
        "834" => "BE",
        "835" => "HP",
        "837" => "HC",
        "846" => "IB",
        "850" => "PO",
        "855" => "PR",
        "856" => "SH",
        "860" => "PC",
        "861" => "RC",
        "865" => "CA",
        "867" => "PT",
        "997" | "999" => "FA",
        _ => return None,
    })
}
