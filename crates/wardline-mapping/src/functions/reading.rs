//! `hl7`, `hl7_required`, `hl7_exists`: one value of the message that a program runs on.

use std::borrow::Cow;
use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{Kind, Value};
use wardline_hl7::{Message, Value as Found};

use super::address::{AT, Address, PATH, REPETITION, needs_field};
use crate::scope;
use crate::session::Session;

/// A value of the message as the program sees it: text, `""` for HL7 null, null for nothing.
pub(super) fn visible(message: &Message, found: Found<'_>) -> Value {
    match found {
        Found::Text(text) => shared(message, text),
        Found::Null => Value::Bytes(bytes::Bytes::new()),
        Found::Absent | Found::Empty => Value::Null,
    }
}

/// Text as a value, without copying where it stands in the message as it is.
fn shared(message: &Message, text: Cow<'_, str>) -> Value {
    match text {
        Cow::Owned(text) => Value::from(text),
        Cow::Borrowed(text) => slice(message, text.as_bytes()),
    }
}

/// Bytes of a message as a value that shares them.
fn slice(message: &Message, part: &[u8]) -> Value {
    let all = message.text();
    let from = (part.as_ptr() as usize).checked_sub(all.as_ptr() as usize);
    match from.filter(|from| from + part.len() <= all.len()) {
        Some(from) => Value::Bytes(all.slice(from..from + part.len())),
        None => Value::from(part),
    }
}

const DEFAULT: Parameter = Parameter::optional(
    "default",
    kind::ANY,
    "The result where the position is absent or empty. HL7 null is not: it gives `\"\"`.",
);

const RAW: Parameter = Parameter::optional(
    "raw",
    kind::BOOLEAN,
    "Give all that stands there as it stands, with separators and escapes, to write it elsewhere with `hl7_set(…, raw: true)`. A literal.",
);

/// `hl7(path)`.
#[derive(Debug)]
pub(super) struct Hl7(pub(super) Arc<Session>);

impl Function for Hl7 {
    fn identifier(&self) -> &'static str {
        "hl7"
    }

    fn summary(&self) -> &'static str {
        "Reads a value of the HL7 message"
    }

    fn usage(&self) -> &'static str {
        "Reads one value of the message, un-escaped and decoded from the message's character set. A path that stops above a primitive reads the first one below it (HL7 v2.5.1 section 2.8.2): `hl7(\"PID-5\")` is the family name. Absent and empty positions give null; HL7 null (`\"\"` between separators, \"delete this value\") gives the empty string."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT, REPETITION, DEFAULT, RAW]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "A component", source: r#"hl7("PID-5.1")"#, result: Ok("Doe") },
            example! { title: "The second repetition", source: r#"hl7("PID-3[2].1")"#, result: Ok("900-11-2222") },
            example! { title: "A value for what is absent", source: r#"hl7("PID-19", default: "none")"#, result: Ok("none") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        needs_field(&self.0, context, address.path)?;
        let raw = arguments
            .optional("raw")
            .and_then(|raw| raw.resolve_constant(state))
            == Some(Value::Boolean(true));
        Ok(Hl7Fn {
            address,
            default: arguments.optional("default"),
            raw,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct Hl7Fn {
    address: Address,
    default: Option<Box<dyn Expression>>,
    raw: bool,
}

impl FunctionExpression for Hl7Fn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let located = self.address.locate(context)?;
        let value = scope::read(|message| match located.read(message) {
            Some(raw) if self.raw && !raw.is_empty() => slice(message, raw.bytes()),
            Some(raw) if !self.raw => visible(message, raw.to_value()),
            _ => Value::Null,
        });
        match (value, &self.default) {
            (None | Some(Value::Null), Some(default)) => default.resolve(context),
            (value, _) => Ok(value.unwrap_or(Value::Null)),
        }
    }

    fn type_def(&self, state: &TypeState) -> TypeDef {
        match &self.default {
            Some(default) => TypeDef::bytes().union(default.type_info(state).result),
            None => TypeDef::bytes().or_null().infallible(),
        }
    }
}

/// `hl7_required(path)`.
#[derive(Debug)]
pub(super) struct Required(pub(super) Arc<Session>);

impl Function for Required {
    fn identifier(&self) -> &'static str {
        "hl7_required"
    }

    fn summary(&self) -> &'static str {
        "Reads a value that must be there"
    }

    fn usage(&self) -> &'static str {
        "Like `hl7`, but always a string: fails where the position is absent, empty or null. Call it as `hl7_required!(…)` to fail the map (the message becomes a dead letter that names the path), or with `??` to go on."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &["The position is absent, empty or null (W2211)."]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT, REPETITION]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "The account number", source: r#"hl7_required!("PID-18.1")"#, result: Ok("ACC-77") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        needs_field(&self.0, context, address.path)?;
        Ok(RequiredFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct RequiredFn {
    address: Address,
}

impl FunctionExpression for RequiredFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let located = self.address.locate(context)?;
        let value = scope::read(
            |message| match located.read(message).map(|raw| raw.to_value()) {
                Some(found @ Found::Text(_)) => Some(visible(message, found)),
                _ => None,
            },
        );
        value.flatten().ok_or_else(|| {
            scope::fail(
                "W2211",
                format!("the message has no {}, which the map requires; ask the sender for it, or read it with hl7()", self.address.path),
            )
        })
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().fallible()
    }
}

/// `hl7_exists(path)`.
#[derive(Debug)]
pub(super) struct Exists(pub(super) Arc<Session>);

impl Function for Exists {
    fn identifier(&self) -> &'static str {
        "hl7_exists"
    }

    fn summary(&self) -> &'static str {
        "Whether the message has a segment or value"
    }

    fn usage(&self) -> &'static str {
        "True where the message has that segment, or where anything (HL7 null included) stands at that position."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::BOOLEAN
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT, REPETITION]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "A segment", source: r#"hl7_exists("NK1")"#, result: Ok("false") },
            example! { title: "A field", source: r#"hl7_exists("PID-3")"#, result: Ok("true") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        Ok(ExistsFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct ExistsFn {
    address: Address,
}

impl FunctionExpression for ExistsFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let located = self.address.locate(context)?;
        let exists =
            scope::read(|message| located.read(message).is_some_and(|raw| !raw.is_empty()));
        Ok(Value::Boolean(exists.unwrap_or(false)))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::from(Kind::boolean()).infallible()
    }
}
