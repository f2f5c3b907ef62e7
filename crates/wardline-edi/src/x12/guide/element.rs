//! What a guide says of elements, and holding elements against it.

use super::super::report::ElementFault;
use super::super::segment::{Element, Segment};

/// Whether something must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It must.
    Required,
    /// It may.
    Optional,
    /// It must not.
    NotUsed,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A code.
    Code,
    /// A number with so many implied decimals.
    Whole(u8),
    /// A number with its decimal point.
    Decimal,
    /// CCYYMMDD, or YYMMDD of older versions.
    Date,
    /// HHMM, HHMMSS or longer.
    Time,
    /// Binary data.
    Binary,
    /// Components.
    Composite,
}

/// One element, or one component.
#[derive(Debug, Clone)]
pub(super) struct ElementDef {
    pub(super) usage: Usage,
    pub(super) kind: Kind,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) repeat: u16,
    pub(super) reference: Option<u16>,
    pub(super) codes: Vec<Box<str>>,
    pub(super) components: Vec<ElementDef>,
}

/// A rule between elements: which is which letter of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// P: all or none.
    Paired,
    /// R: one at least.
    OneOf,
    /// E: one at most.
    Exclusive,
    /// C: if the first, then all others.
    Conditional,
    /// L: if the first, then one of the others.
    ListConditional,
}

/// The elements of a segment.
#[derive(Debug, Clone, Default)]
pub(super) struct SegmentDef {
    pub(super) elements: Vec<ElementDef>,
    pub(super) rules: Vec<(Rule, Vec<u16>)>,
}

/// Faults listed for one segment.
const MOST: usize = 20;

impl SegmentDef {
    /// What is wrong with the elements of a segment.
    pub(super) fn check(&self, segment: &Segment<'_>) -> Vec<ElementFault> {
        let mut found = Vec::new();
        let mut number = 0_u16;
        let mut present = 0_u128;
        for element in segment.elements() {
            number = number.saturating_add(1);
            if !element.is_empty() && number < 128 {
                present |= 1 << number;
            }
            match self.elements.get(usize::from(number) - 1) {
                Some(def) => def.check(element, number, &mut found),
                None if element.is_empty() => {}
                None => {
                    found.push(fault(number, 0, 0, None, "3"));
                    break;
                }
            }
            if found.len() >= MOST {
                return found;
            }
        }
        for (at, def) in self.elements.iter().enumerate().skip(usize::from(number)) {
            if def.usage == Usage::Required {
                found.push(fault(at as u16 + 1, 0, 0, def.reference, "1"));
            }
        }
        for (rule, of) in &self.rules {
            let is = |n: &u16| *n < 128 && present & (1 << n) != 0;
            let there = of.iter().filter(|n| is(n)).count();
            let Some(first) = of.first() else { continue };
            let (broken, code) = match rule {
                Rule::Paired => (there != 0 && there != of.len(), "2"),
                Rule::OneOf => (there == 0, "2"),
                Rule::Exclusive => (there > 1, "10"),
                Rule::Conditional => (is(first) && there != of.len(), "2"),
                Rule::ListConditional => (is(first) && there == 1, "2"),
            };
            let at = match rule {
                Rule::Exclusive => of.iter().rev().find(|n| is(n)),
                _ => of.iter().find(|n| !is(n)),
            };
            let at = *at.unwrap_or(first);
            if broken && !found.iter().any(|known| known.element == at) {
                let reference = self
                    .elements
                    .get(usize::from(at).saturating_sub(1))
                    .and_then(|def| def.reference);
                found.push(fault(at, 0, 0, reference, code));
            }
        }
        found.truncate(MOST);
        found
    }
}

impl ElementDef {
    fn check(&self, element: Element<'_>, number: u16, found: &mut Vec<ElementFault>) {
        if element.is_empty() {
            if self.usage == Usage::Required {
                found.push(fault(number, 0, 0, self.reference, "1"));
            }
            return;
        }
        if self.usage == Usage::NotUsed {
            found.push(fault(number, 0, 0, self.reference, "I10"));
            return;
        }
        let mut count = 0_u16;
        for part in element.repetitions() {
            count = count.saturating_add(1);
            let repetition = if self.repeat > 1 { count } else { 0 };
            if count > self.repeat {
                found.push(fault(number, 0, count, self.reference, "12"));
                return;
            }
            if self.kind == Kind::Composite {
                self.check_components(part, number, repetition, found);
            } else if part.components().nth(1).is_some() {
                // A component separator in a simple element is a character that may not be there.
                found.push(fault(number, 0, repetition, self.reference, "6"));
            } else if let Some(code) = self.wrong(part.bytes()) {
                found.push(fault(number, 0, repetition, self.reference, code));
            }
        }
    }

    fn check_components(
        &self,
        element: Element<'_>,
        number: u16,
        repetition: u16,
        found: &mut Vec<ElementFault>,
    ) {
        let mut at = 0_u16;
        for part in element.components() {
            at = at.saturating_add(1);
            let Some(def) = self.components.get(usize::from(at) - 1) else {
                if !part.is_empty() {
                    found.push(fault(number, at, repetition, self.reference, "3"));
                    return;
                }
                continue;
            };
            if part.is_empty() {
                if def.usage == Usage::Required {
                    found.push(fault(number, at, repetition, def.reference, "1"));
                }
            } else if def.usage == Usage::NotUsed {
                found.push(fault(number, at, repetition, def.reference, "I10"));
            } else if let Some(code) = def.wrong(part.bytes()) {
                found.push(fault(number, at, repetition, def.reference, code));
            }
        }
        for (more, def) in self.components.iter().enumerate().skip(usize::from(at)) {
            if def.usage == Usage::Required {
                found.push(fault(
                    number,
                    more as u16 + 1,
                    repetition,
                    def.reference,
                    "1",
                ));
            }
        }
    }

    /// What is wrong with a value, as an AK403 code.
    fn wrong(&self, bytes: &[u8]) -> Option<&'static str> {
        let length = match self.kind {
            // Sign and decimal point are not counted.
            Kind::Whole(_) | Kind::Decimal => bytes.iter().filter(|b| b.is_ascii_digit()).count(),
            _ if bytes.is_ascii() => bytes.len(),
            _ => super::super::text::text(bytes).chars().count(),
        } as u32;
        if matches!(self.kind, Kind::Code) && bytes.iter().all(|b| *b == b' ') {
            return Some("7");
        }
        match self.kind {
            Kind::Whole(_) if !is_whole(bytes) => return Some("6"),
            Kind::Decimal if !is_decimal(bytes) => return Some("6"),
            Kind::Date if !is_date(bytes) => return Some("8"),
            Kind::Time if !is_time(bytes) => return Some("9"),
            Kind::Text | Kind::Code if bytes.iter().any(u8::is_ascii_control) => return Some("6"),
            _ => {}
        }
        if length < self.min {
            return Some("4");
        }
        if length > self.max {
            return Some("5");
        }
        if !self.codes.is_empty() && !self.codes.iter().any(|code| code.as_bytes() == bytes) {
            return Some("7");
        }
        None
    }
}

fn fault(
    element: u16,
    component: u16,
    repetition: u16,
    reference: Option<u16>,
    code: &'static str,
) -> ElementFault {
    ElementFault {
        element,
        component,
        repetition,
        reference,
        code,
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn is_decimal(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let points = memchr::memchr_iter(b'.', digits).count();
    points <= 1 && digits.len() > points && digits.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

/// CCYYMMDD or YYMMDD, a day that exists.
pub(in super::super) fn is_date(bytes: &[u8]) -> bool {
    if !matches!(bytes.len(), 6 | 8) || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |part: &[u8]| {
        part.iter()
            .fold(0_u32, |sum, b| sum * 10 + u32::from(b - b'0'))
    };
    let (year, rest) = bytes.split_at(bytes.len() - 4);
    let (year, month, day) = (number(year), number(&rest[..2]), number(&rest[2..]));
    // A year of two digits is a leap year where it divides by four: 2000 was one.
    let leap = year.is_multiple_of(4)
        && (bytes.len() == 6 || !year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let in_reach = bytes.len() == 6 || (1800..=2200).contains(&year);
    in_reach && (1..=days).contains(&day)
}

/// HHMM, HHMMSS, HHMMSSD or HHMMSSDD.
pub(in super::super) fn is_time(bytes: &[u8]) -> bool {
    if !matches!(bytes.len(), 4 | 6..=8) || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let two = |at: usize| {
        bytes
            .get(at..at + 2)
            .map_or(0, |p| (p[0] - b'0') * 10 + p[1] - b'0')
    };
    two(0) < 24 && two(2) < 60 && (bytes.len() < 6 || two(4) < 60)
}
