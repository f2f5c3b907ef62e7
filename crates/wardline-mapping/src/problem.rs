//! What is wrong with a program's source, in a form that a person can act on.
//!
//! VRL's compiler reports well; here its reports are given Wardline's codes, one help line and the
//! place in the source, and our functions' own faults are put in place of the generic
//! "function compilation error" they are wrapped in.

use vrl::diagnostic::{Diagnostic, Note};
use wardline_core::Code;

use crate::session::Session;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program compiles and is suspicious.
    Warning,
    /// The program does not compile.
    Error,
}

/// One problem in a program's source. Offsets count bytes from the start of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, `W2001` to `W2199`.
    pub code: Code,
    /// What is wrong, in a line.
    pub message: String,
    /// Where it starts.
    pub start: usize,
    /// Where it ends (exclusive; equal to `start` for a place between two characters).
    pub end: usize,
    /// What to write at that place of the source, beside the underline.
    pub label: String,
    /// Further lines: other places, the VRL code.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// The nearest of `names` to `name`, where one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    names
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .min_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 3)
        .map(|(_, candidate)| candidate)
}

/// A fault that one of our functions found while it was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Span of the whole call, by which VRL's report of it is recognised.
    pub(crate) call: (usize, usize),
}

impl Fault {
    pub(crate) fn to_problem(&self, severity: Severity) -> Problem {
        Problem {
            code: self.code,
            message: self.message.clone(),
            start: self.start,
            end: self.end,
            label: self.label.clone(),
            notes: Vec::new(),
            help: self.help.clone(),
            severity,
        }
    }
}

/// Wardline's code for a VRL diagnostic code.
fn code_for(vrl: usize) -> Code {
    Code(match vrl {
        200..=207 | 209..=211 => "W2001",
        105 => "W2002",
        106..=111 | 114 | 120..=122 | 400..=499 | 610 => "W2003",
        100 | 103 | 630 | 631 => "W2004",
        104 | 620 | 651 => "W2005",
        102 | 113 | 300..=314 | 316 | 652 | 660 => "W2006",
        701 => "W2007",
        101 | 112 | 208 | 601 | 602 => "W2008",
        315 => "W2009",
        900 => "W2011",
        801 => "W2012",
        _ => "W2010",
    })
}

/// Our own words, message and label, where VRL's would mislead or only name a concept.
fn wording(code: &str) -> Option<(Option<&'static str>, &'static str)> {
    match code {
        "W2004" => Some((
            Some(
                "this may fail on some messages, and the program does not say what should happen then",
            ),
            "may fail",
        )),
        "W2011" => Some((None, "not used")),
        _ => None,
    }
}

/// Notes of VRL that repeat, less well, what our advice says.
fn is_repeated(note: &str) -> bool {
    let note = note.trim();
    [
        "update the expression to be infallible",
        "or change this to an infallible assignment",
        "this expression has no side-effects",
    ]
    .iter()
    .any(|start| note.starts_with(start))
        || note.starts_with("remove this abort")
        || note.starts_with("handle the error case")
        || note.contains(", err = ")
}

/// Our own advice for codes where VRL only links to its documentation.
fn advice(code: &str) -> Option<&'static str> {
    match code {
        "W2004" => Some(
            "handle the error: add `!` after the function's name to fail the map, `?? value` to go on with a value, or `x, err = …` to look at it",
        ),
        "W2005" => Some("this cannot fail: remove the `!`, the `?? …` or the `, err`"),
        "W2009" => {
            Some("`%…` describes the message and cannot be changed; assign to `.` or to a variable")
        }
        "W2011" => Some(
            "assign the result, or remove the expression; a name that begins with `_` is ignored",
        ),
        _ => None,
    }
}

pub(crate) fn problem(diagnostic: Diagnostic, session: &Session) -> Problem {
    let severity = if diagnostic.is_problem() {
        Severity::Error
    } else {
        Severity::Warning
    };
    if diagnostic.code == 610
        && let Some(label) = diagnostic.labels.first()
        && let Some(fault) = session.fault_of(label.span.start(), label.span.end())
    {
        return fault.to_problem(severity);
    }
    // A standard function's complaint about its arguments comes as
    // "function compilation error: error[E401] invalid enum variant".
    let (vrl_code, message) = diagnostic
        .message
        .strip_prefix("function compilation error: error[E")
        .and_then(|rest| rest.split_once("] "))
        .and_then(|(number, text)| Some((number.parse().ok()?, text.to_owned())))
        .unwrap_or((diagnostic.code, diagnostic.message.clone()));
    let code = code_for(vrl_code);
    let mut labels = diagnostic.labels;
    labels.sort_by_key(|label| !label.primary);
    let mut notes = Vec::new();
    let mut help = None;
    let (start, end, mut label) = match labels.first() {
        Some(label) => (label.span.start(), label.span.end(), label.message.clone()),
        None => (0, 0, String::new()),
    };
    for label in labels.iter().skip(1) {
        match label.message.strip_prefix("did you mean ") {
            Some(_) if help.is_none() => help = Some(label.message.clone()),
            _ => notes.push(label.message.clone()),
        }
    }
    let mut message = message;
    if let Some((ours, short)) = wording(code.0) {
        message = ours.map_or(message, str::to_owned);
        short.clone_into(&mut label);
    }
    let help = advice(code.0).map(str::to_owned).or(help);
    let mut hints = Vec::new();
    for note in diagnostic.notes {
        match note {
            Note::Hint(hint) => hints.push(hint),
            Note::CoerceValue => {
                hints.push("convert the value first, as with `string!(…)` or `int!(…)`".to_owned());
            }
            Note::Example(example) => notes.push(format!("example: {example}")),
            Note::Basic(text) | Note::UserErrorMessage(text) if !text.trim().is_empty() => {
                notes.push(text.trim_end().to_owned());
            }
            // The rest link to VRL's pages; the code below leads there too.
            _ => {}
        }
    }
    notes.retain(|note: &String| !is_repeated(note));
    if vrl_code != 0 {
        notes.push(format!("VRL calls this E{vrl_code:03}"));
    }
    let help = help.or_else(|| (!hints.is_empty()).then(|| hints.remove(0)));
    notes.extend(hints);
    let limit = session.source.len();
    Problem {
        code,
        message,
        start: start.min(limit),
        end: end.clamp(start.min(limit), limit),
        label,
        notes,
        help,
        severity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_wants_to_be_near() {
        assert_eq!(
            nearest("dispositon", ["sex", "disposition"].into_iter()),
            Some("disposition")
        );
        assert_eq!(
            nearest(
                "America/Chikago",
                ["America/Chicago", "Europe/Oslo"].into_iter()
            ),
            Some("America/Chicago")
        );
        assert_eq!(nearest("zzzzz", ["sex", "disposition"].into_iter()), None);
    }
}
