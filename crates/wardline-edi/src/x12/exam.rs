//! Holding what streams by against its envelopes and guides: counts, control numbers, order.
//!
//! Fed with one segment after the other; keeps numbers, not segments.

use super::guide::{Guides, Walk};
use super::report::{GroupReport, InterchangeReport, Problem, SegmentFault, SetReport};
use super::segment::Segment;
use super::text::{number, same_control, text};
use std::collections::HashSet;
use std::sync::Arc;

/// Problems kept: a file of garbage must not become a report of garbage.
const MOST_PROBLEMS: usize = 1000;
/// Sets that are kept by name; beyond that, those with faults only.
const MOST_SETS: usize = 20_000;
/// Sets with faults kept, and control numbers of a group that are compared.
const MOST_FAULTY: usize = 40_000;
/// Segments at fault kept for one set, and for all.
const MOST_FAULTS: usize = 100;
const MOST_FAULTS_OF_ALL: usize = 100_000;
/// Groups and interchanges kept.
const MOST_GROUPS: usize = 10_000;

/// An examination of what is read.
///
/// ```
/// use wardline_edi::x12::{Exam, Reader};
/// let text = b"ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~\
///              GS*PO*A*B*20260101*1200*1*X*004010~ST*850*0001~BEG*00*SA*1**20260101~SE*4*0001~GE*1*1~IEA*1*000000001~";
/// let mut exam = Exam::new(None);
/// let mut reader = Reader::new(text.as_slice());
/// while let Some(segment) = reader.next_segment()? {
///     exam.feed(&segment);
/// }
/// let (reports, problems) = exam.finish();
/// assert_eq!((problems[0].code, reports[0].groups[0].sets[0].errors[0]), ("x12.se.count", "4"));
/// # Ok::<(), wardline_edi::x12::X12Error>(())
/// ```
pub struct Exam {
    guides: Option<Arc<Guides>>,
    done: Vec<InterchangeReport>,
    problems: Vec<Problem>,
    refusals: u64,
    segments: u64,
    sets: u64,
    acknowledgements: u64,
    interchange: Option<Current>,
    group: Option<Group>,
    set: Option<Open>,
    end: usize,
    groups_kept: usize,
    sets_kept: usize,
    faulty_kept: usize,
    faults_kept: usize,
}

struct Current {
    report: InterchangeReport,
    groups: u64,
    group_controls: HashSet<Box<[u8]>>,
    control: Vec<u8>,
}

struct Group {
    report: GroupReport,
    set_controls: HashSet<Box<[u8]>>,
    control: Vec<u8>,
}

struct Open {
    report: SetReport,
    control: Vec<u8>,
    walk: Option<Walk>,
}

impl Exam {
    /// An examination by these guides; without, of the envelopes alone.
    pub fn new(guides: Option<Arc<Guides>>) -> Self {
        Self {
            guides,
            done: Vec::new(),
            problems: Vec::new(),
            refusals: 0,
            segments: 0,
            sets: 0,
            acknowledgements: 0,
            interchange: None,
            group: None,
            set: None,
            end: 0,
            groups_kept: 0,
            sets_kept: 0,
            faulty_kept: 0,
            faults_kept: 0,
        }
    }

    /// Segments seen.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Sets seen.
    pub fn sets(&self) -> u64 {
        self.sets
    }

    /// TA1 segments seen.
    pub fn acknowledgements(&self) -> u64 {
        self.acknowledgements
    }

    /// Problems for which something is to be refused, those that were not kept included.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Looks at the next segment.
    pub fn feed(&mut self, segment: &Segment<'_>) {
        self.segments += 1;
        self.end = segment.offset + segment.bytes.len();
        match segment.tag() {
            b"ISA" => self.isa(segment),
            b"IEA" => self.iea(segment),
            b"GS" => self.gs(segment),
            b"GE" => self.ge(segment),
            b"ST" => self.st(segment),
            b"SE" => self.se(segment),
            b"TA1" if self.set.is_none() => {
                self.acknowledgements += 1;
                self.close_group(segment.offset);
            }
            _ => self.detail(segment),
        }
        if segment.open {
            self.say(
                "x12.segment.open",
                segment,
                "the input ends without a segment terminator",
                false,
            );
        }
    }

    /// What was found.
    pub fn finish(mut self) -> (Vec<InterchangeReport>, Vec<Problem>) {
        self.close_interchange(self.end);
        (self.done, self.problems)
    }

    fn problem(&mut self, problem: Problem) {
        self.refusals += u64::from(problem.refuses);
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn say(&mut self, code: &'static str, segment: &Segment<'_>, text: &str, refuses: bool) {
        let position = self.set.as_ref().map(|set| set.report.segments);
        let name = segment.has_valid_name().then(|| segment.name().to_owned());
        self.problem(Problem {
            code,
            text: text.to_owned(),
            offset: segment.offset,
            segment: name,
            position,
            refuses,
        });
    }

    fn at(&mut self, code: &'static str, offset: usize, text: &str) {
        self.problem(Problem {
            code,
            text: text.to_owned(),
            offset,
            segment: None,
            position: None,
            refuses: true,
        });
    }

    fn note(&mut self, code: &'static str) {
        if let Some(current) = &mut self.interchange
            && !current.report.notes.contains(&code)
        {
            current.report.notes.push(code);
        }
    }

    fn group_error(&mut self, code: &'static str) {
        if let Some(group) = &mut self.group
            && !group.report.errors.contains(&code)
        {
            group.report.errors.push(code);
        }
    }

    fn set_error(&mut self, code: &'static str) {
        if let Some(set) = &mut self.set
            && !set.report.errors.contains(&code)
        {
            set.report.errors.push(code);
        }
    }

    fn isa(&mut self, segment: &Segment<'_>) {
        self.close_interchange(segment.offset);
        let own = |n: usize| text(segment.raw(n).trim_ascii_end()).into_owned();
        let report = InterchangeReport {
            offset: segment.offset,
            delimiters: segment.delimiters,
            sender: (own(5), own(6)),
            receiver: (own(7), own(8)),
            when: (own(9), own(10)),
            version: own(12),
            control: own(13),
            wants_ta1: segment.raw(14) == b"1",
            usage: own(15),
            notes: Vec::new(),
            groups: Vec::new(),
        };
        let control = segment.raw(13).to_vec();
        let date = super::guide::is_date(segment.raw(9));
        let time = super::guide::is_time(segment.raw(10));
        self.interchange = Some(Current {
            report,
            groups: 0,
            group_controls: HashSet::new(),
            control: control.clone(),
        });
        if !segment.regular {
            self.say(
                "x12.isa.width",
                segment,
                "elements of ISA are not of their prescribed widths; it was read by its separators",
                false,
            );
        }
        if !date {
            self.note("014");
            self.say("x12.isa.date", segment, "ISA09 is not a date", true);
        }
        if !time {
            self.note("015");
            self.say("x12.isa.time", segment, "ISA10 is not a time", true);
        }
        if number(&control).is_none() {
            self.note("018");
            self.say("x12.isa.control", segment, "ISA13 is not a number", true);
        }
        if !matches!(segment.raw(15), b"P" | b"T" | b"I") {
            self.say(
                "x12.isa.usage",
                segment,
                "ISA15 is none of P, T and I",
                false,
            );
        }
    }

    fn iea(&mut self, segment: &Segment<'_>) {
        self.close_group(segment.offset);
        let Some(current) = &self.interchange else {
            self.say("x12.stray", segment, "IEA without an ISA before it", true);
            return;
        };
        let (groups, control) = (current.groups, current.control.clone());
        if number(segment.raw(1)) != Some(groups) {
            self.note("021");
            self.say(
                "x12.iea.count",
                segment,
                &format!("IEA01 does not say how many groups there are; found {groups}"),
                true,
            );
        }
        if !same_control(segment.raw(2), &control) {
            self.note("001");
            self.say(
                "x12.iea.control",
                segment,
                "IEA02 is not the control number of ISA13",
                true,
            );
        }
        self.finish_interchange();
    }

    fn gs(&mut self, segment: &Segment<'_>) {
        self.close_group(segment.offset);
        let own = |n: usize| text(segment.raw(n).trim_ascii()).into_owned();
        let control = segment.raw(6).to_vec();
        self.group = Some(Group {
            report: GroupReport {
                functional: own(1),
                sender: own(2),
                receiver: own(3),
                control: own(6),
                version: own(8),
                declared: None,
                received: 0,
                accepted: 0,
                errors: Vec::new(),
                sets: Vec::new(),
            },
            set_controls: HashSet::new(),
            control: control.clone(),
        });
        let Some(current) = &mut self.interchange else {
            self.say("x12.stray", segment, "GS outside an interchange", true);
            return;
        };
        current.groups += 1;
        let known = current.group_controls.len() < MOST_GROUPS;
        let repeated = known && !current.group_controls.insert(control.trim_ascii().into());
        if repeated {
            self.group_error("19");
            self.say(
                "x12.gs.control",
                segment,
                "GS06 repeats the control number of another group of the interchange",
                true,
            );
        } else if number(&control).is_none() {
            self.group_error("6");
            self.say("x12.gs.control", segment, "GS06 is not a number", true);
        }
    }

    fn ge(&mut self, segment: &Segment<'_>) {
        self.close_set(segment.offset);
        let Some(group) = &mut self.group else {
            self.say("x12.stray", segment, "GE without a GS before it", true);
            return;
        };
        group.report.declared = number(segment.raw(1));
        let (received, control) = (group.report.received, group.control.clone());
        if group.report.declared != Some(received) {
            self.group_error("5");
            self.say(
                "x12.ge.count",
                segment,
                &format!("GE01 does not say how many sets there are; found {received}"),
                true,
            );
        }
        if !same_control(segment.raw(2), &control) {
            self.group_error("4");
            self.say(
                "x12.ge.control",
                segment,
                "GE02 is not the control number of GS06",
                true,
            );
        }
        self.finish_group();
    }

    fn st(&mut self, segment: &Segment<'_>) {
        self.close_set(segment.offset);
        self.sets += 1;
        let own = |n: usize| text(segment.raw(n).trim_ascii()).into_owned();
        let (id, version) = (own(1), own(3));
        let of_group = self
            .group
            .as_ref()
            .map(|group| group.report.version.clone());
        let guide = self.guides.as_ref().and_then(|guides| {
            let version = if version.is_empty() {
                of_group.as_deref().unwrap_or_default()
            } else {
                &version
            };
            guides.for_set(&id, version)
        });
        let control = segment.raw(2).to_vec();
        self.set = Some(Open {
            report: SetReport {
                guide: guide.as_ref().map(|guide| guide.name.to_string()),
                id,
                control: own(2),
                version,
                offset: segment.offset,
                segments: 1,
                errors: Vec::new(),
                faults: Vec::new(),
            },
            control: control.clone(),
            walk: guide.map(Walk::new),
        });
        if segment.raw(1).trim_ascii().is_empty() {
            self.set_error("6");
            self.say(
                "x12.st.id",
                segment,
                "ST01 is empty: the set has no kind",
                true,
            );
        }
        if control.trim_ascii().is_empty() || control.trim_ascii() != control {
            self.set_error("7");
            self.say(
                "x12.st.control",
                segment,
                "ST02 is empty or has blanks around it",
                true,
            );
        }
        let Some(group) = &mut self.group else {
            self.say("x12.stray", segment, "ST outside a group", true);
            return;
        };
        group.report.received += 1;
        let known = group.set_controls.len() < MOST_FAULTY;
        if known && !group.set_controls.insert(control.trim_ascii().into()) {
            self.set_error("23");
            self.say(
                "x12.st.control",
                segment,
                "ST02 repeats the control number of another set of the group",
                true,
            );
        }
    }

    fn se(&mut self, segment: &Segment<'_>) {
        let Some(set) = &mut self.set else {
            self.say("x12.stray", segment, "SE without an ST before it", true);
            return;
        };
        set.report.segments += 1;
        let (count, control) = (set.report.segments, set.control.clone());
        if let Some(walk) = set.walk.take() {
            let found = walk.finish(count);
            self.faults(found, segment);
        }
        if number(segment.raw(1)) != Some(count) {
            self.set_error("4");
            self.say(
                "x12.se.count",
                segment,
                &format!("SE01 does not say how many segments there are; found {count}"),
                true,
            );
        }
        if segment.raw(2) != control {
            self.set_error("3");
            self.say(
                "x12.se.control",
                segment,
                "SE02 is not the control number of ST02",
                true,
            );
        }
        self.finish_set();
    }

    fn detail(&mut self, segment: &Segment<'_>) {
        let Some(set) = &mut self.set else {
            let text = if self.interchange.is_some() {
                "a segment outside every set"
            } else {
                "a segment outside every interchange"
            };
            if self.interchange.is_some() {
                self.note("024");
            }
            self.say("x12.stray", segment, text, true);
            return;
        };
        set.report.segments += 1;
        if !segment.has_valid_name() {
            self.set_error("5");
            self.say(
                "x12.segment.name",
                segment,
                "the segment has no name; often a terminator or line break inside an element",
                true,
            );
            return;
        }
        let position = set.report.segments;
        if let Some(walk) = &mut set.walk {
            let found = walk.step(segment, position);
            self.faults(found, segment);
        }
    }

    fn faults(&mut self, found: Vec<SegmentFault>, segment: &Segment<'_>) {
        for fault in found {
            self.set_error("5");
            self.problem(Problem {
                code: super::guide::code_of(&fault),
                text: super::guide::says(&fault),
                offset: segment.offset,
                segment: Some(fault.segment.clone()),
                position: Some(fault.position),
                refuses: true,
            });
            if let Some(set) = &mut self.set
                && set.report.faults.len() < MOST_FAULTS
                && self.faults_kept < MOST_FAULTS_OF_ALL
            {
                self.faults_kept += 1;
                set.report.faults.push(fault);
            }
        }
    }

    fn close_set(&mut self, offset: usize) {
        if self.set.is_some() {
            self.set_error("2");
            self.at("x12.se.missing", offset, "the set has no SE");
            self.finish_set();
        }
    }

    fn close_group(&mut self, offset: usize) {
        self.close_set(offset);
        if self.group.is_some() {
            self.group_error("3");
            self.at("x12.ge.missing", offset, "the group has no GE");
            self.finish_group();
        }
    }

    fn close_interchange(&mut self, offset: usize) {
        self.close_group(offset);
        if self.interchange.is_some() {
            self.note("023");
            self.at(
                "x12.iea.missing",
                offset,
                "the interchange has no IEA: it was cut off",
            );
            self.finish_interchange();
        }
    }

    fn finish_set(&mut self) {
        let (Some(set), Some(group)) = (self.set.take(), &mut self.group) else {
            return;
        };
        let accepted = set.report.accepted();
        group.report.accepted += u64::from(accepted);
        if self.sets_kept < MOST_SETS || (!accepted && self.faulty_kept < MOST_FAULTY) {
            self.sets_kept += 1;
            self.faulty_kept += usize::from(!accepted);
            group.report.sets.push(set.report);
        }
    }

    fn finish_group(&mut self) {
        let Some(mut group) = self.group.take() else {
            return;
        };
        group.report.sets.shrink_to_fit();
        if let Some(current) = &mut self.interchange
            && self.groups_kept < MOST_GROUPS
        {
            self.groups_kept += 1;
            current.report.groups.push(group.report);
        }
    }

    fn finish_interchange(&mut self) {
        if let Some(current) = self.interchange.take()
            && self.done.len() < MOST_GROUPS
        {
            self.done.push(current.report);
        }
    }
}
