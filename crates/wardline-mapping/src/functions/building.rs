//! `hl7_build`: a new HL7 message as a program's result.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{ObjectMap, Value};
use wardline_hl7::Path;

use super::address::{needs_field, parse};
use super::draft::{Draft, Header, Refusal};
use super::writing::{check_keys, settle};
use crate::scope;
use crate::session::Session;

/// `hl7_build(type, event, segments)`.
#[derive(Debug)]
pub(super) struct Build(pub(super) Arc<Session>);

impl Function for Build {
    fn identifier(&self) -> &'static str {
        "hl7_build"
    }

    fn summary(&self) -> &'static str {
        "Begins a new outgoing message"
    }

    fn usage(&self) -> &'static str {
        "Begins a new message, which goes out in place of the input. Each element of `segments` is an object with the fields of one segment by path (`{\"PID-3.1\": .mrn, \"PID-5.1\": .name}`), in the order of the message, with values as `hl7_set` takes them; or the name of a segment, which copies all segments of that name from an HL7 input. Fields of MSH may be given too. MSH-7 is the time, MSH-10 derived from the id of the message that this one comes from (`%id`); MSH-11 and MSH-12 (and delimiters and character set) are the input's where that is HL7, else `P` and `2.5.1`."
    }

    fn category(&self) -> &'static str {
        "HL7 writing"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "An element is not an object of one segment's fields, or cannot be written (W2215). This ends the run; it cannot be handled.",
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
            Parameter::required(
                "type",
                kind::BYTES,
                "Message type, MSH-9.1, such as `\"ADT\"`.",
            ),
            Parameter::required(
                "event",
                kind::BYTES,
                "Trigger event, MSH-9.2, such as `\"A08\"`.",
            ),
            Parameter::required("segments", kind::ARRAY, "The segments after MSH, in order."),
            Parameter::optional(
                "structure",
                kind::BYTES,
                "Message structure, MSH-9.3, such as `\"ADT_A01\"`.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[example! {
            title: "An update of a patient",
            source: r#"hl7_build("ADT", "A08", [{"MSH-3": "WARDLINE"}, {"EVN-1": "A08"}, "PID", {"PV1-2": "I"}])"#,
            result: Ok("null"),
        }]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        let segments = arguments.required("segments");
        let kind = segments.type_info(state).result.kind().clone();
        for element in kind
            .as_array()
            .into_iter()
            .flat_map(|elements| elements.known().values())
        {
            let keys = element
                .as_object()
                .into_iter()
                .flat_map(|fields| fields.known().keys());
            let mut own: Option<Path> = None;
            for key in keys {
                let path = parse(session, context, key.as_str())?;
                needs_field(session, context, path)?;
                check_keys(session, context, *own.get_or_insert(path), element)?;
            }
        }
        session.writes();
        Ok(BuildFn {
            message_type: arguments.required("type"),
            event: arguments.required("event"),
            structure: arguments.optional("structure"),
            segments,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct BuildFn {
    message_type: Box<dyn Expression>,
    event: Box<dyn Expression>,
    structure: Option<Box<dyn Expression>>,
    segments: Box<dyn Expression>,
}

impl FunctionExpression for BuildFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let message_type = self.message_type.resolve(context)?;
        let event = self.event.resolve(context)?;
        let structure = match &self.structure {
            Some(structure) => Some(structure.resolve(context)?),
            None => None,
        };
        let Value::Array(segments) = self.segments.resolve(context)? else {
            return Err("expected array".into());
        };
        let structure = structure.as_ref().map(Value::to_string_lossy);
        let outcome = scope::with(|scope| {
            let header = Header {
                message_type: &message_type.to_string_lossy(),
                event: &event.to_string_lossy(),
                structure: structure.as_deref(),
                control_id: scope.control_id(),
                now: scope.now.as_ref(),
            };
            let input = scope.message.as_deref();
            let mut draft = Draft::begin(input, &header)?;
            for element in &segments {
                match element {
                    Value::Object(fields) => add(&mut draft, fields)?,
                    Value::Null => {}
                    name @ (Value::Bytes(_) | Value::String(_)) => {
                        let name = name.to_string_lossy();
                        input.into_iter().flat_map(|message| message.segments_named(&name)).try_for_each(|segment| draft.copy(segment))?;
                    }
                    _ => return Err(Refusal::Other("an element of hl7_build's segments is neither an object nor the name of a segment".to_owned())),
                }
            }
            scope.draft = Some(draft);
            Ok(())
        });
        settle(outcome)
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}

/// Adds the segment whose fields these are; MSH is there already.
fn add(draft: &mut Draft, fields: &ObjectMap) -> Result<(), Refusal> {
    let Some(first) = fields.keys().next() else {
        return Ok(());
    };
    let Some(name) = first.get(..3).and_then(|name| Path::parse(name).ok()) else {
        return Err(Refusal::Other(
            "a key of an element of hl7_build's segments is no path such as \"PID-3.1\"".to_owned(),
        ));
    };
    if name.segment() == "MSH" {
        draft.fill(name, fields)
    } else {
        draft.append(name, None, fields)
    }
}
