//! Addresses inside a set: `BEG-03`, `N1[ST]-04`, `PO1[2]-04`, `2010AA/NM1-03`, `SV1-01-2`.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Which of several segments of one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pick {
    /// The n-th, from 1: `PO1[2]`.
    Nth(u32),
    /// The first whose element has this value: `N1[ST]` (element 01) or `NM1[01=85]`.
    Has {
        /// Number of the element.
        element: u16,
        /// Its value.
        value: Box<str>,
    },
}

/// Where a value stands in a set or its envelope.
///
/// All numbers count from 1. ISA and GS name the set's own envelope. What is not named: the first
/// segment of that name; all repetitions and components of the element.
///
/// A word in brackets is the value of element 01, a number is an occurrence; a value that is a number
/// is written with its element: `NM1[01=85]`. Two brackets are both: `REF[EI][2]-02`. A loop of a guide
/// stands before a slash.
///
/// ```
/// use wardline_edi::x12::Path;
/// for text in ["BEG-03", "N1[ST]-04", "PO1[2]-04", "2010AA/NM1[01=85]-03", "SV1-01-2", "REF[EI][2]-02", "STC-01[2]-1", "CLM"] {
///     assert_eq!(Path::parse(text).unwrap().to_string(), text);
/// }
/// assert!(Path::parse("BEG-0").is_err() && Path::parse("beg-01").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    pub(super) within: Option<Box<str>>,
    pub(super) segment: Box<str>,
    pub(super) picks: Vec<Pick>,
    pub(super) element: u16,
    pub(super) repetition: u16,
    pub(super) component: u16,
}

/// What is wrong with a path's text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not an X12 path: {reason} (at character {}); write it as BEG-03, N1[ST]-04, PO1[2]-04 or SV1-01-2", position + 1)]
pub struct PathError {
    /// The text as given.
    pub text: String,
    /// What is wrong, in words.
    pub reason: &'static str,
    /// Byte position in `text`, from 0.
    pub position: usize,
}

impl Path {
    /// Reads a path from text.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Reading { text, at: 0 }
            .path()
            .map_err(|(reason, position)| PathError {
                text: text.to_owned(),
                reason,
                position,
            })
    }

    /// The loop of a guide in which it is looked for.
    pub fn within(&self) -> Option<&str> {
        self.within.as_deref()
    }

    /// Name of the segment.
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// Which of the segments of that name.
    pub fn picks(&self) -> &[Pick] {
        &self.picks
    }

    /// Number of the element; `None` where the path names a segment.
    pub fn element(&self) -> Option<u16> {
        (self.element != 0).then_some(self.element)
    }

    /// Number of the component, where it names one.
    pub fn component(&self) -> Option<u16> {
        (self.component != 0).then_some(self.component)
    }

    /// Number of the repetition, where it names one.
    pub fn repetition(&self) -> Option<u16> {
        (self.repetition != 0).then_some(self.repetition)
    }
}

struct Reading<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, (&'static str, usize)>;

impl Reading<'_> {
    fn path(&mut self) -> Read<Path> {
        let within = match self.text.find('/') {
            Some(slash) => {
                let name = &self.text[..slash];
                if name.is_empty()
                    || name.len() > 16
                    || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                {
                    return Err(("a loop has a name of letters and digits, such as 2010AA", 0));
                }
                self.at = slash + 1;
                Some(name.into())
            }
            None => None,
        };
        let segment = self.segment()?;
        let mut picks = Vec::new();
        while self.eat('[') {
            picks.push(self.pick()?);
        }
        let (mut element, mut repetition, mut component) = (0, 0, 0);
        if self.eat('-') {
            element = self.number()?;
            if self.eat('[') {
                repetition = self.number()?;
                self.close()?;
            }
            if self.eat('-') || self.eat('.') {
                component = self.number()?;
            }
        }
        if self.at != self.text.len() {
            return Err(("here it should end", self.at));
        }
        Ok(Path {
            within,
            segment,
            picks,
            element,
            repetition,
            component,
        })
    }

    fn segment(&mut self) -> Read<Box<str>> {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit()))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        if !(2..=3).contains(&name.len()) || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err((
                "a segment has two or three capital letters and digits",
                self.at,
            ));
        }
        self.at += end;
        Ok(name.into())
    }

    fn pick(&mut self) -> Read<Pick> {
        let from = self.at;
        let Some(length) = self.text[from..].find(']') else {
            return Err(("the bracket is not closed", from));
        };
        let inner = &self.text[from..from + length];
        self.at = from + length + 1;
        if inner.is_empty() {
            return Err(("an occurrence or a value stands between brackets", from));
        }
        if let Some((element, value)) = inner.split_once('=') {
            let element = element.parse().ok().filter(|n| (1..=99).contains(n));
            let element = element.ok_or(("the number of an element stands before `=`", from))?;
            return Ok(Pick::Has {
                element,
                value: value.into(),
            });
        }
        if inner.bytes().all(|b| b.is_ascii_digit()) {
            return match inner.parse() {
                Ok(n) if n > 0 => Ok(Pick::Nth(n)),
                _ => Err(("occurrences count from 1", from)),
            };
        }
        Ok(Pick::Has {
            element: 1,
            value: inner.into(),
        })
    }

    fn number(&mut self) -> Read<u16> {
        let from = self.at;
        let digits = self.text[from..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        self.at += digits;
        match self.text[from..self.at].parse() {
            Ok(n) if (1..=999).contains(&n) => Ok(n),
            _ => Err(("a number from 1 stands here", from)),
        }
    }

    fn close(&mut self) -> Read<()> {
        if self.eat(']') {
            Ok(())
        } else {
            Err(("the bracket is not closed", self.at))
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        self.at += usize::from(found);
        found
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = &self.within {
            write!(f, "{within}/")?;
        }
        f.write_str(&self.segment)?;
        for pick in &self.picks {
            match pick {
                Pick::Nth(n) => write!(f, "[{n}]")?,
                Pick::Has { element: 1, value } if !value.bytes().all(|b| b.is_ascii_digit()) => {
                    write!(f, "[{value}]")?;
                }
                Pick::Has { element, value } => write!(f, "[{element:02}={value}]")?,
            }
        }
        if self.element != 0 {
            write!(f, "-{:02}", self.element)?;
        }
        if self.repetition != 0 {
            write!(f, "[{}]", self.repetition)?;
        }
        if self.component != 0 {
            write!(f, "-{}", self.component)?;
        }
        Ok(())
    }
}
