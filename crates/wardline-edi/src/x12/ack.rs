//! Acknowledgements: TA1 for an interchange, 997 or 999 for its groups; made and understood.
//!
//! Made of an [`InterchangeReport`], so an answer says what the examination found and nothing else. No value of
//! the set that is answered is copied into an answer: it may be sensitive, and the partner has it.

use super::build::{BuildError, Builder, Envelope, Record};
use super::report::{InterchangeReport, SetReport};
use super::segment::Segment;
use super::set::Set;
use super::text::{number, text};
use bytes::Bytes;

/// Which set answers a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 997, functional acknowledgement.
    F997,
    /// 999, implementation acknowledgement.
    F999,
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// 997 or 999.
    pub form: Form,
    /// ISA13 of the answer.
    pub control: u64,
    /// GS06 of the answer.
    pub group_control: u64,
    /// CCYYMMDD.
    pub date: String,
    /// HHMM.
    pub time: String,
    /// A TA1, whether or not the sender asked for one.
    pub ta1: bool,
}

/// The answer to an interchange, with its own delimiters and its parties exchanged. `None` where there is
/// nothing to be answered: acknowledgements are not acknowledged.
///
/// # Errors
/// Where the parties of the interchange cannot be written.
pub fn answer(report: &InterchangeReport, how: &Answering) -> Result<Option<Bytes>, BuildError> {
    let groups: Vec<_> = report
        .groups
        .iter()
        .filter(|group| group.functional != "FA")
        .collect();
    let only_answers = groups.is_empty() && !report.groups.is_empty();
    let ta1 = how.ta1 || report.wants_ta1 || !report.notes.is_empty();
    if only_answers || (groups.is_empty() && !ta1) {
        return Ok(None);
    }
    let first = groups.first();
    let five = report.version.as_bytes() >= b"00501".as_slice();
    let envelope = Envelope {
        sender: report.receiver.clone(),
        receiver: report.sender.clone(),
        date: how.date.clone(),
        time: how.time.clone(),
        version: report.version.clone(),
        control: how.control,
        wants_ta1: false,
        usage: report.usage.chars().next().unwrap_or('P'),
        application_sender: first
            .map(|group| group.receiver.clone())
            .unwrap_or_default(),
        application_receiver: first.map(|group| group.sender.clone()).unwrap_or_default(),
        group_control: how.group_control,
        group_version: match how.form {
            Form::F997 if five => "005010".into(),
            Form::F997 => first.map_or("004010".into(), |group| {
                group.version.chars().take(6).collect()
            }),
            Form::F999 => "005010X231A1".into(),
        },
        delimiters: report.delimiters,
    };
    let mut builder = Builder::new(envelope);
    if ta1 {
        let note = report.notes.first().copied().unwrap_or("000");
        let record = [
            report.control.as_str(),
            &report.when.0,
            &report.when.1,
            report.status(),
            note,
        ];
        builder.answer(Record::of("TA1", &record));
    }
    for (n, group) in groups.into_iter().enumerate() {
        let version = match how.form {
            Form::F999 => group.version.as_str(),
            Form::F997 => "",
        };
        let mut records = vec![Record::of(
            "AK1",
            &[&group.functional, &group.control, version],
        )];
        for set in &group.sets {
            answer_set(set, how.form, &mut records);
        }
        let declared = group.declared.unwrap_or(group.received).to_string();
        let mut end = vec![group.status(), &declared];
        let (received, accepted) = (group.received.to_string(), group.accepted.to_string());
        // Of a group that is refused, no set is accepted.
        let accepted = if group.status() == "R" {
            "0"
        } else {
            &accepted
        };
        end.extend([received.as_str(), accepted]);
        end.extend(group.errors.iter().take(5).copied());
        records.push(Record::of("AK9", &end));
        let (id, version) = match how.form {
            Form::F997 => ("997", None),
            Form::F999 => ("999", Some("005010X231A1")),
        };
        builder
            .set(id, records)
            .named(None, Some(&format!("{:04}", n + 1)), version);
    }
    builder.finish().map(Some)
}

fn answer_set(set: &SetReport, form: Form, records: &mut Vec<Record>) {
    let (segment, element, end) = match form {
        Form::F997 => ("AK3", "AK4", "AK5"),
        Form::F999 => ("IK3", "IK4", "IK5"),
    };
    let version = if form == Form::F999 {
        set.version.as_str()
    } else {
        ""
    };
    records.push(Record::of("AK2", &[&set.id, &set.control, version]));
    for fault in &set.faults {
        let position = fault.position.to_string();
        let within = fault
            .within
            .as_deref()
            .filter(|id| id.len() <= 6)
            .unwrap_or_default();
        records.push(Record::of(
            segment,
            &[&fault.segment, &position, within, fault.code],
        ));
        for inner in &fault.elements {
            let mut record = Record::new(element);
            record.put(1, 1, 1, inner.element.to_string());
            if inner.component != 0 {
                record.put(1, 1, 2, inner.component.to_string());
            }
            if inner.repetition != 0 && form == Form::F999 {
                record.put(1, 1, 3, inner.repetition.to_string());
            }
            if let Some(reference) = inner.reference {
                record.set(2, reference.to_string());
            }
            let code = match (form, inner.code) {
                (Form::F997, "I10") => "10",
                (_, code) => code,
            };
            record.set(3, code);
            records.push(record);
        }
    }
    let status = if set.accepted() { "A" } else { "R" };
    let mut last = vec![status];
    last.extend(set.errors.iter().take(5).copied());
    records.push(Record::of(end, &last));
}

/// What a partner says of a group that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// GS01 of the group.
    pub functional: String,
    /// GS06 of the group.
    pub control: String,
    /// `A`, `E`, `P`, `R` …
    pub status: String,
    /// Sets declared, received and accepted.
    pub counts: (u64, u64, u64),
    /// AK905 codes.
    pub errors: Vec<String>,
    /// Its sets, as far as the answer names them.
    pub sets: Vec<Answer>,
}

/// What a partner says of a set that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// ST01.
    pub id: String,
    /// ST02.
    pub control: String,
    /// `A`, `E`, `R` …
    pub status: String,
    /// AK502 / IK502 codes.
    pub errors: Vec<String>,
    /// Segments at fault: name, position, code, and for each element its position and code.
    pub faults: Vec<Fault>,
}

/// A segment that a partner finds at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name.
    pub segment: String,
    /// Which segment of the set, ST being 1.
    pub position: u64,
    /// AK304 / IK304 code.
    pub code: String,
    /// Elements: number, component (0 for none), AK403 / IK403 code.
    pub elements: Vec<(u64, u64, String)>,
}

/// What a partner says of an interchange that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ta1 {
    /// ISA13 of the interchange.
    pub control: String,
    /// ISA09 and ISA10 of it.
    pub when: (String, String),
    /// `A`, `E` or `R`.
    pub status: String,
    /// TA105.
    pub note: String,
}

impl Ta1 {
    /// Reads a TA1; `None` where it is none.
    pub fn read(segment: &Segment<'_>) -> Option<Self> {
        let own = |n| text(segment.raw(n).trim_ascii()).into_owned();
        (segment.tag() == b"TA1").then(|| Self {
            control: own(1),
            when: (own(2), own(3)),
            status: own(4),
            note: own(5),
        })
    }
}

/// Reads a 997 or 999; `None` where the set is neither or says nothing of a group.
pub fn read(set: &Set) -> Option<Acknowledgement> {
    if !matches!(&*set.id(), "997" | "999") {
        return None;
    }
    let mut read: Option<Acknowledgement> = None;
    for segment in set.segments() {
        let own = |n| text(segment.raw(n).trim_ascii()).into_owned();
        let codes = |from: usize| -> Vec<String> {
            segment
                .elements()
                .skip(from - 1)
                .filter(|element| !element.is_empty())
                .map(|element| text(element.bytes()).into_owned())
                .collect()
        };
        if segment.tag() == b"AK1" {
            read = Some(Acknowledgement {
                functional: own(1),
                control: own(2),
                status: String::new(),
                counts: (0, 0, 0),
                errors: Vec::new(),
                sets: Vec::new(),
            });
            continue;
        }
        let Some(ack) = &mut read else { continue };
        match segment.tag() {
            b"AK2" => ack.sets.push(Answer {
                id: own(1),
                control: own(2),
                status: String::new(),
                errors: Vec::new(),
                faults: Vec::new(),
            }),
            b"AK9" => {
                ack.status = own(1);
                let count = |n| number(segment.raw(n)).unwrap_or(0);
                ack.counts = (count(2), count(3), count(4));
                ack.errors = codes(5);
            }
            tag => {
                let Some(answer) = ack.sets.last_mut() else {
                    continue;
                };
                match tag {
                    b"AK3" | b"IK3" => answer.faults.push(Fault {
                        segment: own(1),
                        position: number(segment.raw(2)).unwrap_or(0),
                        code: own(4),
                        elements: Vec::new(),
                    }),
                    b"AK4" | b"IK4" => {
                        let part = |n| {
                            let element = segment.element(1)?;
                            element.component(n).and_then(|part| number(part.bytes()))
                        };
                        if let Some(fault) = answer.faults.last_mut() {
                            fault.elements.push((
                                part(1).unwrap_or(0),
                                part(2).unwrap_or(0),
                                own(3),
                            ));
                        }
                    }
                    b"AK5" | b"IK5" => {
                        answer.status = own(1);
                        answer.errors = codes(2);
                    }
                    _ => {}
                }
            }
        }
    }
    read
}
