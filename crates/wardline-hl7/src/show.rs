//! A message as lines for a person: every field that is not empty, with its name.
//!
//! The lines are data, so that a terminal, a web page or a test chooses the look; [`to_text`] is the
//! plain one.

use std::fmt::Write as _;

use crate::{Level, Message, Raw, names};

/// Bytes of a value that are shown before it is cut with `…`.
const LONGEST: usize = 200;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A segment starts.
    Segment {
        /// `PID`, or the beginning of a line that is no segment.
        id: String,
        /// Its name in the standard, where it is in the dictionary.
        name: Option<&'static str>,
        /// Which of that name it is, from 1.
        occurrence: usize,
    },
    /// A value.
    Value {
        /// `PID-5[2]`, or with component and subcomponent where there are several: `PID-5.1`.
        path: String,
        /// The field's name in the standard, on its first value only.
        name: Option<&'static str>,
        /// The field's data type, on its first value only.
        data_type: Option<&'static str>,
        /// The text, un-escaped; control characters as `␤` and `·`; cut where it is long.
        text: String,
        /// 0 for the field itself, 1 for a component, 2 for a subcomponent.
        depth: usize,
    },
}

/// The lines of a message. A field without components is one line, others one per component that is
/// not empty.
pub fn lines(message: &Message) -> Vec<Line> {
    let mut out = Vec::new();
    let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for segment in message.segments() {
        let id = segment.name();
        let occurrence = seen.entry(id).or_default();
        *occurrence += 1;
        let known = names::segment(id);
        out.push(Line::Segment {
            id: id.into(),
            name: known.map(|known| known.name),
            occurrence: *occurrence,
        });
        for (index, field) in segment
            .fields()
            .enumerate()
            .filter(|(_, field)| !field.is_empty())
        {
            let number = index + 1;
            let name = known.and_then(|known| known.field(number));
            let mut first = name.map(|name| (name.name, name.data_type));
            let several = field.level() != Level::Literal && field.repetitions().nth(1).is_some();
            for (index, repetition) in field
                .repetitions()
                .enumerate()
                .filter(|(_, repetition)| !repetition.is_empty())
            {
                let path = if several {
                    format!("{id}-{number}[{}]", index + 1)
                } else {
                    format!("{id}-{number}")
                };
                push_repetition(&mut out, &path, repetition, &mut first);
            }
        }
    }
    out
}

fn push_repetition(
    out: &mut Vec<Line>,
    path: &str,
    repetition: Raw<'_>,
    first: &mut Option<(&'static str, &'static str)>,
) {
    let mut push = |path: String, raw: Raw<'_>, depth: usize| {
        let (name, data_type) = first.take().unzip();
        out.push(Line::Value {
            path,
            name,
            data_type,
            text: visible(raw),
            depth,
        });
    };
    if repetition.level() == Level::Literal
        || repetition.components().nth(1).is_none() && repetition.subcomponents().nth(1).is_none()
    {
        push(path.to_owned(), repetition, 0);
        return;
    }
    for (c, component) in repetition
        .components()
        .enumerate()
        .filter(|(_, component)| !component.is_empty())
    {
        if component.subcomponents().nth(1).is_none() {
            push(format!("{path}.{}", c + 1), component, 1);
            continue;
        }
        for (s, subcomponent) in component
            .subcomponents()
            .enumerate()
            .filter(|(_, subcomponent)| !subcomponent.is_empty())
        {
            push(format!("{path}.{}.{}", c + 1, s + 1), subcomponent, 2);
        }
    }
}

/// A value on one line, without control characters that a terminal would obey.
fn visible(raw: Raw<'_>) -> String {
    let text = raw.decode();
    let mut out = String::with_capacity(text.len().min(LONGEST + 4));
    for c in text.chars() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\r' => out.push('␤'),
            _ if c.is_control() => out.push('·'),
            _ => out.push(c),
        }
    }
    out
}

/// The lines as plain text.
///
/// ```
/// use wardline_hl7::{Message, show};
/// let message = Message::parse("MSH|^~\\&|EHR\rPID|1||||DOE^JANE\r")?;
/// let text = show::to_text(&message);
/// assert!(text.contains("PID  Patient Identification\n"));
/// assert!(text.contains("PID-5.2"));
/// # Ok::<(), wardline_hl7::ParseError>(())
/// ```
pub fn to_text(message: &Message) -> String {
    let mut out = String::new();
    for line in lines(message) {
        // Writing to a String cannot fail.
        let written = match line {
            Line::Segment { id, name, .. } => writeln!(out, "{id}  {}", name.unwrap_or_default()),
            Line::Value {
                path,
                name,
                text,
                depth,
                ..
            } => {
                let indent = "  ".repeat(depth + 1);
                writeln!(
                    out,
                    "{:<20} {:<36} {text}",
                    format!("{indent}{path}"),
                    name.unwrap_or_default()
                )
            }
        };
        debug_assert!(written.is_ok());
    }
    out
}
