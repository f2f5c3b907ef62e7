//! Functions that read an X12 set, and the one that builds one.
//!
//! As with HL7, paths are literals that are checked while the program is compiled, and reading copies nothing
//! but the value that is asked for.

mod building;
mod each;
mod reading;

use std::ops::Range;
use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{Context, Expression, ExpressionError, Function, Parameter, TypeState};
use vrl::value::Value;
use wardline_edi::x12::{Area, Path, Set};

use crate::session::{Complaint, Refused, Session};

pub(super) use building::Build;

/// All of them.
pub(super) fn functions(session: &Arc<Session>) -> Vec<Box<dyn Function>> {
    let session = || Arc::clone(session);
    vec![
        Box::new(reading::X12(session())),
        Box::new(reading::Required(session())),
        Box::new(reading::Exists(session())),
        Box::new(each::Each(session())),
        Box::new(Build(session())),
    ]
}

const PATH: Parameter = Parameter::required(
    "path",
    kind::BYTES,
    "Where to read, such as `\"BEG-03\"`, `\"N1[ST]-04\"` (the N1 whose element 01 is ST), `\"PO1[2]-04\"` (the second PO1), `\"SVC-01-2\"` (a component), `\"2010AA/NM1-03\"` (within a loop of the guide). `ISA` and `GS` are those of the set. A literal, checked while the program is compiled.",
);
const AT: Parameter = Parameter::optional(
    "at",
    kind::ARRAY,
    "Which part of the set: one of `x12_each`. Without it, the whole set.",
);

/// A path, and the part of the set that the program chooses.
#[derive(Clone, Debug)]
struct Address {
    path: Path,
    at: At,
}

/// The `at:` of a call.
#[derive(Clone, Debug)]
struct At(Option<Box<dyn Expression>>);

impl Address {
    fn compile(
        session: &Session,
        context: &FunctionCompileContext,
        state: &TypeState,
        arguments: &ArgumentList,
        function: &str,
    ) -> Result<Self, Refused> {
        session.needs_x12(context, function)?;
        let text = session
            .literal(context, state, arguments, "path")?
            .unwrap_or_default();
        let path = parse(session, context, &text)?;
        Ok(Self {
            path,
            at: At(arguments.optional("at")),
        })
    }
}

impl At {
    /// The part that is meant; nothing where the program computed what is none.
    fn resolve(&self, context: &mut Context) -> Result<Option<Range<usize>>, ExpressionError> {
        let Some(at) = &self.0 else { return Ok(None) };
        let Value::Array(ends) = at.resolve(context)? else {
            return Err("expected array".into());
        };
        let number = |value: Option<&Value>| {
            value
                .and_then(Value::as_integer)
                .and_then(|n| usize::try_from(n).ok())
        };
        let from = number(ends.first()).unwrap_or(0);
        let to = number(ends.get(1)).unwrap_or(0);
        // Positions count from 1 and name the last segment of the part, too.
        Ok(Some(from.saturating_sub(1)..to.max(from.saturating_sub(1))))
    }
}

/// A part as the program sees it.
fn part(range: &Range<usize>) -> Value {
    Value::Array(vec![Value::from(range.start + 1), Value::from(range.end)])
}

/// The part of a set that a call means.
fn within(at: Option<Range<usize>>, set: &Set) -> Range<usize> {
    match at {
        None => set.whole(),
        Some(range) => range.start.min(set.len())..range.end.min(set.len()),
    }
}

/// Reads a path that names an element, and says what is wrong with it where it is.
fn element(
    session: &Session,
    context: &FunctionCompileContext,
    path: &Path,
) -> Result<(), Refused> {
    if path.element().is_some() {
        return Ok(());
    }
    Err(session.refuse(
        context,
        Complaint::new(
            "W2120",
            format!("\"{path}\" names a segment, but an element is needed here"),
        )
        .label("which element?")
        .about(path.to_string())
        .help(format!(
            "write \"{path}-01\" or another element; `x12_exists` and `x12_each` take segments"
        )),
    ))
}

fn parse(session: &Session, context: &FunctionCompileContext, text: &str) -> Result<Path, Refused> {
    let path = Path::parse(text)
        .map_err(|error| refuse(session, context, text, error.reason, error.position))?;
    doubt(session, context, text, &path)?;
    Ok(path)
}

/// Reads what a set is taken apart by.
fn area(session: &Session, context: &FunctionCompileContext, text: &str) -> Result<Area, Refused> {
    let area = Area::parse(text)
        .map_err(|error| refuse(session, context, text, error.reason, error.position))?;
    match &area {
        Area::Loop(id) => known_loop(session, context, text, id)?,
        Area::Segment(path) => doubt(session, context, text, path)?,
    }
    Ok(area)
}

fn refuse(
    session: &Session,
    context: &FunctionCompileContext,
    text: &str,
    reason: &str,
    position: usize,
) -> Refused {
    session.refuse(
        context,
        Complaint::new("W2120", format!("{text:?} is not an X12 path"))
            .label(format!("{reason} (at character {})", position + 1))
            .about(text)
            .help("write it as BEG-03, N1[ST]-04, NM1[01=85]-03, PO1[2]-04 or SVC-01-2"),
    )
}

/// Refuses loops that no guide has, and warns of segments and elements that none has.
fn doubt(
    session: &Session,
    context: &FunctionCompileContext,
    text: &str,
    path: &Path,
) -> Result<(), Refused> {
    let guides = session.environment.guides();
    if let Some(id) = path.within() {
        known_loop(session, context, text, id)?;
    }
    let name = path.segment();
    let known = guides.iter().any(|guide| guide.has_segment(name));
    let most = guides
        .iter()
        .filter_map(|guide| guide.elements_of(name))
        .max();
    let complaint = match (most, path.element()) {
        _ if !known => Complaint::new(
            "W2122",
            format!("no guide that is known has a segment {name}"),
        )
        .label("unknown segment"),
        (Some(most), Some(element)) if usize::from(element) > most => Complaint::new(
            "W2122",
            format!("{name} has {most} elements in every guide that is known, but this is element {element:02}"),
        )
        .label("beyond the last element"),
        _ => return Ok(()),
    };
    session.warn(context, complaint.about(text));
    Ok(())
}

fn known_loop(
    session: &Session,
    context: &FunctionCompileContext,
    text: &str,
    id: &str,
) -> Result<(), Refused> {
    let guides = session.environment.guides();
    let names: Vec<&str> = guides.iter().flat_map(|guide| guide.loop_names()).collect();
    if names.contains(&id) {
        return Ok(());
    }
    let near =
        crate::problem::nearest(id, names.into_iter()).map(|near| format!("did you mean {near}?"));
    Err(session.refuse(
        context,
        Complaint::new("W2120", format!("no guide that is known has a loop {id}"))
            .label("unknown loop")
            .about(text)
            .maybe_help(near),
    ))
}
