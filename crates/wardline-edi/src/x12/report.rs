//! What an examination found: problems for people, and the numbers of which acknowledgements are made.

use super::delimiters::Delimiters;
use std::fmt;

/// Something that is not as the standard, or the guide, says. Carries no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable and machine-readable: `x12.se.count` …
    pub code: &'static str,
    /// What is wrong.
    pub text: String,
    /// Byte offset in the input.
    pub offset: usize,
    /// The segment it is in, where it is in one.
    pub segment: Option<String>,
    /// Which segment of its set that is, ST being 1.
    pub position: Option<u64>,
    /// What it is in is to be refused.
    pub refuses: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.code, self.offset, self.text)
    }
}

/// One interchange as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterchangeReport {
    /// Where its ISA begins.
    pub offset: usize,
    /// Its delimiters.
    pub delimiters: Delimiters,
    /// ISA05 and ISA06.
    pub sender: (String, String),
    /// ISA07 and ISA08.
    pub receiver: (String, String),
    /// ISA09 and ISA10.
    pub when: (String, String),
    /// ISA12.
    pub version: String,
    /// ISA13.
    pub control: String,
    /// ISA14: the sender asks for a TA1.
    pub wants_ta1: bool,
    /// ISA15: `P`, `T` or `I`.
    pub usage: String,
    /// TA105 codes of what is wrong with the envelope.
    pub notes: Vec<&'static str>,
    /// Its groups.
    pub groups: Vec<GroupReport>,
}

/// One functional group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// GS01.
    pub functional: String,
    /// GS02.
    pub sender: String,
    /// GS03.
    pub receiver: String,
    /// GS06.
    pub control: String,
    /// GS08.
    pub version: String,
    /// GE01, where there is a GE that says it.
    pub declared: Option<u64>,
    /// Sets that were there.
    pub received: u64,
    /// Sets without a fault.
    pub accepted: u64,
    /// AK905 codes.
    pub errors: Vec<&'static str>,
    /// Its sets; of very many, those with faults and the first that have none.
    pub sets: Vec<SetReport>,
}

/// One transaction set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetReport {
    /// ST01.
    pub id: String,
    /// ST02.
    pub control: String,
    /// ST03.
    pub version: String,
    /// Where ST begins.
    pub offset: usize,
    /// Segments that were there, ST and SE included.
    pub segments: u64,
    /// AK502 / IK502 codes.
    pub errors: Vec<&'static str>,
    /// What the guide says of its segments; at most a hundred.
    pub faults: Vec<SegmentFault>,
    /// The guide it was held against.
    pub guide: Option<String>,
}

/// A segment that is not as the guide says: one AK3 / IK3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFault {
    /// Its name.
    pub segment: String,
    /// Which segment of the set it is, ST being 1.
    pub position: u64,
    /// The loop, where it has a name in the guide.
    pub within: Option<String>,
    /// AK304 / IK304 code.
    pub code: &'static str,
    /// Its elements.
    pub elements: Vec<ElementFault>,
}

/// An element that is not as the guide says: one AK4 / IK4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementFault {
    /// Number of the element.
    pub element: u16,
    /// Number of the component, 0 for none.
    pub component: u16,
    /// Number of the repetition, 0 for none.
    pub repetition: u16,
    /// Number of the element in the data element dictionary, where the guide says it.
    pub reference: Option<u16>,
    /// AK403 / IK403 code.
    pub code: &'static str,
}

impl SetReport {
    /// Whether nothing is wrong with it.
    pub fn accepted(&self) -> bool {
        self.errors.is_empty() && self.faults.is_empty()
    }
}

impl GroupReport {
    /// AK901 / AK9: `A` all accepted, `P` some, `R` none, `E` accepted though something is wrong with the group.
    pub fn status(&self) -> &'static str {
        if !self.errors.is_empty() {
            "R"
        } else if self.accepted == self.received {
            "A"
        } else if self.accepted == 0 {
            "R"
        } else {
            "P"
        }
    }
}

impl InterchangeReport {
    /// TA104: `A`, or `R` where the envelope cannot be relied on.
    pub fn status(&self) -> &'static str {
        if self.notes.is_empty() { "A" } else { "R" }
    }

    /// All its sets.
    pub fn sets(&self) -> impl Iterator<Item = &SetReport> {
        self.groups.iter().flat_map(|group| &group.sets)
    }

    /// Whether nothing is wrong with it.
    pub fn accepted(&self) -> bool {
        self.notes.is_empty() && self.groups.iter().all(|group| group.status() == "A")
    }
}
