//! `hl7_set`, `hl7_delete`, `hl7_append`: edits of the HL7 message that is a program's result.
//!
//! A program that writes edits a copy of its input (or begins a new message) and leaves `.` alone.
//! Writes cannot be handled one by one: where one fails the map fails, since half an edit is no
//! message to send. That is why these functions are infallible to VRL and still may end a run.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, ExpressionError, Function, FunctionExpression, Parameter, Resolved,
    TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{Kind, Value};
use wardline_hl7::Path;

use super::address::{AT, needs_field, parse, segment};
use super::draft::{Draft, Refusal, field_key};
use crate::scope;
use crate::session::{Complaint, Refused, Session};

const PATH: Parameter = Parameter::required(
    "path",
    kind::BYTES,
    "Where to write, such as `\"PV1-3.1\"`. A literal.",
);

/// Acts on the draft of this run; begins it as a copy of the input.
fn on_draft(act: impl FnOnce(&mut Draft) -> Result<(), Refusal>) -> Resolved {
    let outcome = scope::with(|scope| {
        let draft = match (&mut scope.draft, &scope.message) {
            (Some(draft), _) => draft,
            (slot @ None, Some(message)) => slot.insert(Draft::copy_of(message)),
            (None, None) => {
                return Err(Refusal::Other(
                    "there is no message to write to yet; call hl7_build first".to_owned(),
                ));
            }
        };
        act(draft)
    });
    settle(outcome)
}

pub(super) fn settle(outcome: Option<Result<(), Refusal>>) -> Resolved {
    match outcome {
        Some(Err(refusal)) => Err(scope::fail("W2215", refusal.to_string())),
        Some(Ok(())) | None => Ok(Value::Null),
    }
}

/// The `at:` of a call, resolved.
fn position(
    at: Option<&dyn Expression>,
    context: &mut Context,
) -> Result<Option<usize>, ExpressionError> {
    let Some(at) = at else { return Ok(None) };
    match at.resolve(context)? {
        Value::Integer(at) => Ok(Some(usize::try_from(at).unwrap_or(0))),
        _ => Err("expected integer".into()),
    }
}

/// The literal `path:` of a write, checked.
fn target(
    session: &Session,
    context: &FunctionCompileContext,
    state: &TypeState,
    arguments: &ArgumentList,
) -> Result<Path, Refused> {
    let text = session
        .literal(context, state, arguments, "path")?
        .unwrap_or_default();
    let path = parse(session, context, &text)?;
    if path.is_delimiters() {
        return Err(session.refuse(
            context,
            Complaint::new(
                "W2112",
                format!("{text:?} holds the message's delimiters, which are fixed"),
            )
            .label("cannot be written")
            .about(&text),
        ));
    }
    if path.occurrence().is_some() && arguments.optional("at").is_some() {
        return Err(session.refuse(
            context,
            Complaint::new(
                "W2111",
                format!("{text:?} names a segment, and so does `at:`"),
            )
            .label("which one is meant?")
            .about(&text)
            .help("leave the number in brackets out of the path, or leave `at:` out"),
        ));
    }
    session.writes();
    Ok(path)
}

/// `hl7_set(path, value)`.
#[derive(Debug)]
pub(super) struct Set(pub(super) Arc<Session>);

impl Function for Set {
    fn identifier(&self) -> &'static str {
        "hl7_set"
    }

    fn summary(&self) -> &'static str {
        "Writes a value into the outgoing message"
    }

    fn usage(&self) -> &'static str {
        "Writes a value into the message that goes out: a copy of the input, or the one that `hl7_build` began. Text is escaped; numbers are written as they are, booleans as `Y`/`N`, VRL timestamps as HL7 timestamps in UTC. Null takes out what stands there, `\"\"` empties it, and HL7 null (\"delete this value\") is written as the string of two quotes, `s'\"\"'`. An array writes the field's repetitions, an object its components (keys `\"1\"`, `\"2.1\"`). Missing segments and positions are added. Reading functions keep reading the input."
    }

    fn category(&self) -> &'static str {
        "HL7 writing"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "The position cannot be written, or the message's character set lacks a character (W2215). This ends the run; it cannot be handled.",
        ]
    }

    fn return_kind(&self) -> u16 {
        kind::NULL
    }

    fn pure(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            PATH,
            Parameter::required("value", kind::ANY, "What to write."),
            AT,
            Parameter::optional(
                "raw",
                kind::BOOLEAN,
                "Write the string as it is, with separators and escapes, as `hl7(…, raw: true)` reads it.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "Another ward", source: r#"hl7_set("PV1-3.1", "ICU")"#, result: Ok("null") },
            example! {
                title: "Two identifiers",
                source: r#"hl7_set("PID-3", [{"1": "77", "5": "MR"}, {"1": "8", "5": "PI"}])"#,
                result: Ok("null"),
            },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let path = target(&self.0, context, state, &arguments)?;
        needs_field(&self.0, context, path)?;
        let raw = arguments.optional("raw");
        Ok(SetFn {
            path,
            value: arguments.required("value"),
            at: arguments.optional("at"),
            raw,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct SetFn {
    path: Path,
    value: Box<dyn Expression>,
    at: Option<Box<dyn Expression>>,
    raw: Option<Box<dyn Expression>>,
}

impl FunctionExpression for SetFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let value = self.value.resolve(context)?;
        let at = position(self.at.as_deref(), context)?;
        let raw = match &self.raw {
            Some(raw) => raw.resolve(context)? == Value::Boolean(true),
            None => false,
        };
        on_draft(|draft| {
            if raw {
                draft.set_raw(self.path, at, &value)
            } else {
                draft.set(self.path, at, &value)
            }
        })
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}

/// `hl7_delete(path)`.
#[derive(Debug)]
pub(super) struct Delete(pub(super) Arc<Session>);

impl Function for Delete {
    fn identifier(&self) -> &'static str {
        "hl7_delete"
    }

    fn summary(&self) -> &'static str {
        "Takes segments or values out of the outgoing message"
    }

    fn usage(&self) -> &'static str {
        "Takes out all segments of a name (`\"NK1\"`), one of them (`\"NK1[2]\"`, or `at:`), or what stands at a position (`\"PID-19\"`; a repetition goes with its separator, anything else becomes empty). What is not there is no error."
    }

    fn category(&self) -> &'static str {
        "HL7 writing"
    }

    fn return_kind(&self) -> u16 {
        kind::NULL
    }

    fn pure(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "All segments of a name", source: r#"hl7_delete("OBX")"#, result: Ok("null") },
            example! { title: "A value", source: r#"hl7_delete("PID-18")"#, result: Ok("null") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let path = target(&self.0, context, state, &arguments)?;
        if path.segment() == "MSH" && path.field().is_none() {
            return Err(self.0.refuse(
                context,
                Complaint::new("W2112", "a message has exactly one MSH segment")
                    .label("cannot be taken out")
                    .about("MSH")
                    .help("begin a new message with `hl7_build`"),
            ));
        }
        Ok(DeleteFn {
            path,
            at: arguments.optional("at"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct DeleteFn {
    path: Path,
    at: Option<Box<dyn Expression>>,
}

impl FunctionExpression for DeleteFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let at = position(self.at.as_deref(), context)?;
        on_draft(|draft| draft.delete(self.path, at))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}

/// `hl7_append(segment, fields)`.
#[derive(Debug)]
pub(super) struct Append(pub(super) Arc<Session>);

impl Function for Append {
    fn identifier(&self) -> &'static str {
        "hl7_append"
    }

    fn summary(&self) -> &'static str {
        "Adds a segment to the outgoing message"
    }

    fn usage(&self) -> &'static str {
        "Adds a segment at the end of the message that goes out, or after the last segment of another name. Fields are given by number (`\"1\"`, `\"5.2\"`) or path (`\"ZXX-5.2\"`), with values as `hl7_set` takes them."
    }

    fn category(&self) -> &'static str {
        "HL7 writing"
    }

    fn return_kind(&self) -> u16 {
        kind::NULL
    }

    fn pure(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("segment", kind::BYTES, "The segment's name. A literal."),
            Parameter::required("fields", kind::OBJECT, "Its fields."),
            Parameter::optional(
                "after",
                kind::BYTES,
                "Name of the segment to add it after. A literal. At the end where the message has none.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "A Z segment", source: r#"hl7_append("ZBD", {"1": "bed 4", "2.1": "clean"}, after: "PV1")"#, result: Ok("null") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        let name = session
            .literal(context, state, &arguments, "segment")?
            .unwrap_or_default();
        let name = segment(session, context, &name)?;
        let after = match session.literal(context, state, &arguments, "after")? {
            Some(after) => Some(segment(session, context, &after)?),
            None => None,
        };
        let fields = arguments.required("fields");
        check_keys(
            session,
            context,
            name,
            fields.type_info(state).result.kind(),
        )?;
        session.writes();
        Ok(AppendFn {
            name,
            after,
            fields,
        }
        .as_expr())
    }
}

/// Checks the keys that are known of a segment's object.
pub(super) fn check_keys(
    session: &Session,
    context: &FunctionCompileContext,
    name: Path,
    kind: &Kind,
) -> Result<(), Refused> {
    let Some(fields) = kind.as_object() else {
        return Ok(());
    };
    for key in fields.known().keys() {
        if let Err(refusal) = field_key(name, key.as_str()) {
            return Err(session.refuse(
                context,
                Complaint::new(
                    "W2101",
                    format!("{:?} names no field of {}", key.as_str(), name.segment()),
                )
                .label("not a field of this segment")
                .about(key.as_str())
                .help(refusal.to_string()),
            ));
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
struct AppendFn {
    name: Path,
    after: Option<Path>,
    fields: Box<dyn Expression>,
}

impl FunctionExpression for AppendFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let Value::Object(fields) = self.fields.resolve(context)? else {
            return Err("expected object".into());
        };
        on_draft(|draft| draft.append(self.name, self.after, &fields))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}
