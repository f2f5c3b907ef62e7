//! The place that an HL7 function reads: a path checked while compiling, and what is added to it
//! while running.

use vrl::compiler::function::{ArgumentList, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{Context, Expression, ExpressionError, Parameter, TypeState};
use vrl::value::Value;
use wardline_hl7::{Message, Path, Raw, names};

use crate::session::{Complaint, Refused, Session};

pub(super) const PATH: Parameter = Parameter::required(
    "path",
    kind::BYTES,
    "Where to read, such as `\"PID-5.1\"`, `\"PID-3[2].1\"` (second repetition) or `\"OBX[3]-5\"` (third OBX). A literal, checked while the program is compiled.",
);
pub(super) const AT: Parameter = Parameter::optional(
    "at",
    kind::INTEGER,
    "Which segment: a position from `hl7_each`. Without it, the first segment of that name.",
);
pub(super) const REPETITION: Parameter = Parameter::optional(
    "repetition",
    kind::INTEGER,
    "Which repetition of the field, from 1. Without it, the first.",
);

/// A path, and the segment and repetition that the program computes.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) path: Path,
    at: Option<Box<dyn Expression>>,
    repetition: Option<Box<dyn Expression>>,
}

/// An address whose computed parts are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    path: Path,
    /// Position of the segment from 1; 0 (which is none) where the program computed a negative one.
    at: Option<usize>,
}

impl Address {
    /// Checks the arguments `path`, `at` and `repetition` of a call of `function`.
    pub(super) fn compile(
        session: &Session,
        context: &FunctionCompileContext,
        state: &TypeState,
        arguments: &ArgumentList,
        function: &str,
    ) -> Result<Self, Refused> {
        session.needs_hl7(context, function)?;
        let text = session
            .literal(context, state, arguments, "path")?
            .unwrap_or_default();
        let path = parse(session, context, &text)?;
        let (at, repetition) = (arguments.optional("at"), arguments.optional("repetition"));
        let twice = match (
            at.is_some() && path.occurrence().is_some(),
            repetition.is_some() && path.repetition().is_some(),
        ) {
            (true, _) => Some(("at:", "segment")),
            (_, true) => Some(("repetition:", "repetition")),
            _ => None,
        };
        if let Some((keyword, what)) = twice {
            return Err(session.refuse(
                context,
                Complaint::new(
                    "W2111",
                    format!("{text:?} names a {what}, and so does `{keyword}`"),
                )
                .label("which one is meant?")
                .about(&text)
                .help(format!(
                    "leave the number in brackets out of the path, or leave `{keyword}` out"
                )),
            ));
        }
        Ok(Self {
            path,
            at,
            repetition,
        })
    }

    pub(super) fn locate(&self, context: &mut Context) -> Result<Located, ExpressionError> {
        let mut path = self.path;
        if let Some(repetition) = &self.repetition {
            // No field has that many repetitions, so a number out of range finds nothing.
            path = path.in_repetition(
                number(repetition.as_ref(), context)?
                    .try_into()
                    .unwrap_or(u16::MAX)
                    .max(1),
            );
        }
        let at = match &self.at {
            Some(at) => Some(number(at.as_ref(), context)?),
            None => None,
        };
        Ok(Located { path, at })
    }
}

impl Located {
    pub(super) fn read<'m>(&self, message: &'m Message) -> Option<Raw<'m>> {
        match self.at {
            None => message.get(&self.path),
            Some(at) => {
                let segment = message.segment_at(at.checked_sub(1)?)?;
                (segment.name() == self.path.segment())
                    .then(|| segment.get(&self.path))
                    .flatten()
            }
        }
    }
}

fn number(expression: &dyn Expression, context: &mut Context) -> Result<usize, ExpressionError> {
    match expression.resolve(context)? {
        Value::Integer(number) => Ok(usize::try_from(number).unwrap_or(0)),
        _ => Err(ExpressionError::from("expected integer")),
    }
}

/// Reads a path, and says what is wrong with it where it is.
pub(super) fn parse(
    session: &Session,
    context: &FunctionCompileContext,
    text: &str,
) -> Result<Path, Refused> {
    let path = Path::parse(text).map_err(|error| {
        session.refuse(
            context,
            Complaint::new("W2101", format!("{text:?} is not an HL7 path"))
                .label(format!(
                    "{} (at character {})",
                    error.reason,
                    error.position + 1
                ))
                .about(text)
                .help(match mended(text) {
                    Some(path) => format!("did you mean \"{path}\"?"),
                    None => "write it as PID-5.1, PID-5[2].1.2 or OBX[3]-5".to_owned(),
                }),
        )
    })?;
    doubt(session, context, text, path);
    Ok(path)
}

/// Warns of a path that no message of the standard has. Senders do have segments and fields of
/// their own, so this never refuses.
fn doubt(session: &Session, context: &FunctionCompileContext, text: &str, path: Path) {
    let name = path.segment();
    if name.starts_with('Z') {
        return;
    }
    let complaint = match (names::segment(name), path.field()) {
        (None, _) => Complaint::new("W2116", format!("HL7 v2 has no segment {name}"))
            .label("unknown segment")
            .maybe_help(misspelt(name).map(|near| format!("did you mean {near}?"))),
        (Some(known), Some(field)) if usize::from(field) > known.fields().len() => Complaint::new(
            "W2117",
            format!(
                "{name} ({}) has {} fields in HL7 v2, but this is field {field}",
                known.name,
                known.fields().len()
            ),
        )
        .label("beyond the last field"),
        _ => return,
    };
    session.warn(context, complaint.about(text));
}

/// A segment of the standard that differs by two letters swapped or one replaced.
fn misspelt(name: &str) -> Option<&'static str> {
    let letters: [u8; 3] = name.as_bytes().try_into().ok()?;
    let known = |letters: [u8; 3]| {
        std::str::from_utf8(&letters)
            .ok()
            .and_then(names::segment)
            .map(|segment| segment.id)
    };
    let swapped = [
        [letters[1], letters[0], letters[2]],
        [letters[0], letters[2], letters[1]],
    ];
    let replaced = (0..3).rev().flat_map(|at| {
        (b'A'..=b'Z').chain(b'0'..=b'9').map(move |letter| {
            let mut letters = letters;
            letters[at] = letter;
            letters
        })
    });
    swapped.into_iter().chain(replaced).find_map(known)
}

/// The same, for functions that read a value and not a whole segment.
pub(super) fn needs_field(
    session: &Session,
    context: &FunctionCompileContext,
    path: Path,
) -> Result<(), Refused> {
    if path.field().is_some() {
        return Ok(());
    }
    Err(session.refuse(
        context,
        Complaint::new(
            "W2101",
            format!("\"{path}\" names a segment, but a field is needed here"),
        )
        .label("which field?")
        .about(path.to_string())
        .help(format!(
            "write \"{path}-1\" or another field; `hl7_exists` and `hl7_count` take segments"
        )),
    ))
}

/// A segment name as a literal argument.
pub(super) fn segment(
    session: &Session,
    context: &FunctionCompileContext,
    text: &str,
) -> Result<Path, Refused> {
    let path = parse(session, context, text)?;
    if path.field().is_none() && path.occurrence().is_none() {
        return Ok(path);
    }
    Err(session.refuse(
        context,
        Complaint::new(
            "W2101",
            format!("{text:?} is more than the name of a segment"),
        )
        .label("only a segment name may stand here")
        .about(text)
        .help(format!("write \"{}\"", path.segment())),
    ))
}

/// What was probably meant by a path that is none.
fn mended(text: &str) -> Option<Path> {
    let upper = text.trim().to_uppercase().replace('_', "-");
    let spaced: String = upper
        .chars()
        .map(|c| if c.is_whitespace() { '-' } else { c })
        .collect();
    let dashed = upper
        .char_indices()
        .find(|(at, c)| *at == 3 && c.is_ascii_digit())
        .map(|_| format!("{}-{}", &upper[..3], &upper[3..]));
    let from_one = upper
        .replace("-0", "-1")
        .replace(".0", ".1")
        .replace("[0]", "[1]")
        .replace("(0)", "(1)");
    let closed = format!("{upper}]");
    let shorter = upper.rsplit_once('.').map(|(head, _)| head.to_owned());
    [
        Some(upper),
        Some(spaced),
        dashed,
        Some(from_one),
        Some(closed),
        shorter,
    ]
    .into_iter()
    .flatten()
    .find_map(|candidate| Path::parse(&candidate).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mends_what_people_write() {
        for (text, meant) in [
            ("pid-5.1", "PID-5.1"),
            ("PID5.1", "PID-5.1"),
            ("PID 5", "PID-5"),
            ("PID_5", "PID-5"),
            ("PID-5.0", "PID-5.1"),
            ("OBX[0]-5", "OBX[1]-5"),
            ("PID-5[2", "PID-5[2]"),
            ("PID-5.1.2.3", "PID-5.1.2"),
        ] {
            assert_eq!(
                mended(text).map(|path| path.to_string()).as_deref(),
                Some(meant),
                "{text}"
            );
        }
        assert_eq!(misspelt("PDI"), Some("PID"));
        assert_eq!(mended("patient name"), None);
        assert_eq!(mended("é1-2"), None);
    }
}
