//! `hl7_find`: a value beside another that is known, wherever a sender puts it.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::Value;
use wardline_hl7::{Path, Raw, Segment, Value as Found};

use super::address::{needs_field, parse};
use super::reading::visible;
use super::sequences::below;
use crate::scope;
use crate::session::{Complaint, Session};

/// `hl7_find(path, where, equals)`.
#[derive(Debug)]
pub(super) struct Find(pub(super) Arc<Session>);

impl Function for Find {
    fn identifier(&self) -> &'static str {
        "hl7_find"
    }

    fn summary(&self) -> &'static str {
        "A value beside another that is known"
    }

    fn usage(&self) -> &'static str {
        "The value at `path` in the first segment, or the first repetition, in which the value at `where` equals `equals`; null where there is none. With paths into the same field the repetitions of that field are gone through, else the segments of that name. This is how an identifier of a certain type, or a result with a certain code, is found wherever a sender puts it."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("path", kind::BYTES, "What to read. A literal."),
            Parameter::required(
                "where",
                kind::BYTES,
                "Where to look, in the same segment. A literal.",
            ),
            Parameter::required("equals", kind::BYTES, "What must stand there."),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! {
                title: "The identifier of a type",
                source: r#"hl7_find("PID-3.1", where: "PID-3.5", equals: "SS")"#,
                result: Ok("900-11-2222"),
            },
            example! {
                title: "The result with a code",
                source: r#"hl7_find("OBX-5", where: "OBX-3.1", equals: "8867-4")"#,
                result: Ok("72"),
            },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        session.needs_hl7(context, self.identifier())?;
        let mut paths = Vec::with_capacity(2);
        for keyword in ["path", "where"] {
            let text = session
                .literal(context, state, &arguments, keyword)?
                .unwrap_or_default();
            let path = parse(session, context, &text)?;
            needs_field(session, context, path)?;
            if path.occurrence().is_some() || path.repetition().is_some() {
                return Err(session.refuse(
                    context,
                    Complaint::new(
                        "W2111",
                        format!("{text:?} names one place, but `hl7_find` looks at all"),
                    )
                    .label("leave the numbers in brackets out")
                    .about(text),
                ));
            }
            paths.push(path);
        }
        let [wanted, known] = paths[..] else {
            return Err(session.refuse(context, Complaint::new("W2101", "two paths are needed")));
        };
        if wanted.segment() != known.segment() {
            return Err(session.refuse(
                context,
                Complaint::new(
                    "W2111",
                    format!("\"{wanted}\" and \"{known}\" are of different segments"),
                )
                .label("both must be of one segment")
                .about(known.to_string())
                .help(format!(
                    "look into {0}, as in `where: \"{0}-1\"`",
                    wanted.segment()
                )),
            ));
        }
        Ok(FindFn {
            wanted,
            known,
            equals: arguments.required("equals"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct FindFn {
    wanted: Path,
    known: Path,
    equals: Box<dyn Expression>,
}

impl FindFn {
    fn look<'m>(&self, segment: Segment<'m>, equals: &str) -> Option<Raw<'m>> {
        let field = segment.field(self.known.field()?.into())?;
        let matches = |repetition: &Raw<'m>| {
            below(*repetition, &self.known)
                .is_some_and(|raw| matches!(raw.to_value(), Found::Text(text) if text == equals))
        };
        let matching = field.repetitions().find(matches)?;
        if self.wanted.field() == self.known.field() {
            below(matching, &self.wanted)
        } else {
            segment.get(&self.wanted)
        }
    }
}

impl FunctionExpression for FindFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let equals = self.equals.resolve(context)?;
        let equals = equals.to_string_lossy();
        let value = scope::read(|message| {
            let found = message
                .segments_named(self.wanted.segment())
                .find_map(|segment| self.look(segment, &equals))
                .map_or(Found::Absent, |raw| raw.to_value());
            visible(message, found)
        });
        Ok(value.unwrap_or(Value::Null))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().or_null().infallible()
    }
}
