//! Every value of a message in one pass, with its path.

use std::collections::HashMap;
use std::fmt;

use smallvec::SmallVec;

use crate::message::Message;
use crate::path::{Path, is_header};
use crate::raw::{Level, Raw};

/// What a byte means in the text of one message.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Plain,
    Field,
    Repetition,
    Component,
    Subcomponent,
}

impl Message {
    /// Every value that is not empty, in order, with its full path; MSH-1 and MSH-2 included.
    ///
    /// Lines without a well-formed segment name have no path and are passed over; see
    /// [`Message::segments`] for them. The text is read once, whatever the message's shape.
    ///
    /// ```
    /// use wardline_hl7::Message;
    /// let message = Message::parse("MSH|^~\\&|EHR\rPID|1||7^^^A&B~8\r")?;
    /// let paths: Vec<String> = message.leaves().skip(3).map(|(path, _)| path.to_string()).collect();
    /// assert_eq!(paths, ["PID[1]-1[1].1.1", "PID[1]-3[1].1.1", "PID[1]-3[1].4.1", "PID[1]-3[1].4.2", "PID[1]-3[2].1.1"]);
    /// # Ok::<(), wardline_hl7::ParseError>(())
    /// ```
    pub fn leaves(&self) -> Leaves<'_> {
        let mut classes = [Class::Plain; 256];
        let delimiters = self.delimiters();
        // CR stands for "no such delimiter" and is in no segment, so marking it does no harm.
        classes[usize::from(delimiters.subcomponent)] = Class::Subcomponent;
        classes[usize::from(delimiters.component)] = Class::Component;
        classes[usize::from(delimiters.repetition)] = Class::Repetition;
        classes[usize::from(delimiters.field)] = Class::Field;
        Leaves {
            message: self,
            classes,
            next_segment: 0,
            seen: Occurrences::default(),
            rest: None,
            path: Path::new("MSH-1"),
        }
    }
}

/// Iterator of [`Message::leaves`].
pub struct Leaves<'a> {
    message: &'a Message,
    classes: [Class; 256],
    next_segment: usize,
    seen: Occurrences,
    /// What is left of the current segment, from the value at `path` on.
    rest: Option<&'a [u8]>,
    path: Path,
}

impl fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaves(before {})", self.path)
    }
}

/// How often each segment name came so far. A message has few names, so a list beats a map; a
/// hostile one may have thousands, which go to the map.
#[derive(Default)]
struct Occurrences {
    few: SmallVec<[(u32, u32); 16]>,
    many: HashMap<u32, u32>,
}

impl Occurrences {
    fn next(&mut self, name: u32) -> u32 {
        let known = self.few.iter().position(|(known, _)| *known == name);
        let count = match known {
            Some(at) => &mut self.few[at].1,
            None if self.few.len() < self.few.inline_size() => {
                self.few.push((name, 1));
                return 1;
            }
            None => self.many.entry(name).or_default(),
        };
        *count = count.saturating_add(1);
        *count
    }
}

impl<'a> Leaves<'a> {
    /// Goes to the next segment that has a name and a field.
    fn enter_segment(&mut self) -> Option<()> {
        loop {
            let span = *self.message.segments.get(self.next_segment)?;
            self.next_segment += 1;
            let bytes = &self.message.text()[span.start as usize..span.end as usize];
            if span.name == 0 {
                continue;
            }
            let occurrence = self.seen.next(span.name);
            let segment = [bytes[0], bytes[1], bytes[2]];
            self.path = Path {
                segment,
                occurrence,
                field: 1,
                repetition: 1,
                component: 1,
                subcomponent: 1,
            };
            // A header's field 1 is the separator at byte 3 itself.
            let from = if is_header(segment) { 3 } else { 4 };
            self.rest = bytes.get(from..).filter(|rest| !rest.is_empty());
            if self.rest.is_some() {
                return Some(());
            }
        }
    }

    fn step(&mut self, class: Class) {
        let path = &mut self.path;
        match class {
            Class::Field => {
                path.field = path.field.saturating_add(1);
                (path.repetition, path.component, path.subcomponent) = (1, 1, 1);
            }
            Class::Repetition => {
                path.repetition = path.repetition.saturating_add(1);
                (path.component, path.subcomponent) = (1, 1);
            }
            Class::Component => {
                path.component = path.component.saturating_add(1);
                path.subcomponent = 1;
            }
            Class::Subcomponent => path.subcomponent = path.subcomponent.saturating_add(1),
            Class::Plain => {}
        }
    }

    /// MSH-1 and MSH-2, which hold the delimiters and so are not cut at them.
    fn literal(&mut self, rest: &'a [u8]) -> (Path, Raw<'a>) {
        let path = Path {
            repetition: 0,
            component: 0,
            subcomponent: 0,
            ..self.path
        };
        let separator = self.message.delimiters().field;
        let bytes = if path.field == 1 {
            // `enter_segment` left at least the separator here.
            self.rest = Some(&rest[1..]);
            &rest[..1]
        } else {
            let end = memchr::memchr(separator, rest);
            self.rest = end.map(|end| &rest[end + 1..]);
            &rest[..end.unwrap_or(rest.len())]
        };
        self.path.field += 1;
        (
            path,
            Raw::new(bytes, Level::Literal, self.message.context()),
        )
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = (Path, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(rest) = self.rest else {
                self.enter_segment()?;
                continue;
            };
            if self.path.is_delimiters() {
                let (path, literal) = self.literal(rest);
                if literal.is_empty() {
                    continue;
                }
                return Some((path, literal));
            }
            let end = rest
                .iter()
                .position(|byte| self.classes[usize::from(*byte)] != Class::Plain);
            let path = self.path;
            let leaf = if let Some(end) = end {
                self.step(self.classes[usize::from(rest[end])]);
                self.rest = Some(&rest[end + 1..]);
                &rest[..end]
            } else {
                self.rest = None;
                rest
            };
            if !leaf.is_empty() {
                return Some((
                    path,
                    Raw::new(leaf, Level::Subcomponent, self.message.context()),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_few_and_many_names() {
        let mut seen = Occurrences::default();
        for round in 1..4 {
            for name in 0..40 {
                assert_eq!(seen.next(name), round, "{name}");
            }
        }
    }
}
