//! `hl7_count`, `hl7_each`, `hl7_repeat`: segments and repetitions in their number.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::kind::Collection;
use vrl::value::{Kind, ObjectMap, Value};
use wardline_hl7::{Message, Path, Raw, Value as Found};

use super::address::{AT, Address, PATH, needs_field, segment};
use super::reading::visible;
use crate::scope;
use crate::session::{Complaint, Session};

/// `hl7_count(path)`.
#[derive(Debug)]
pub(super) struct Count(pub(super) Arc<Session>);

impl Function for Count {
    fn identifier(&self) -> &'static str {
        "hl7_count"
    }

    fn summary(&self) -> &'static str {
        "Counts segments or repetitions"
    }

    fn usage(&self) -> &'static str {
        "How many segments of a name the message has (`\"OBX\"`), or how many repetitions a field has (`\"PID-3\"`; 0 where it is absent or empty)."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::INTEGER
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "Segments", source: r#"hl7_count("OBX")"#, result: Ok("2") },
            example! { title: "Repetitions", source: r#"hl7_count("PID-3")"#, result: Ok("2") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        Ok(CountFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct CountFn {
    address: Address,
}

impl FunctionExpression for CountFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let located = self.address.locate(context)?;
        let path = self.address.path;
        let count = scope::read(|message| match path.field() {
            None if path.occurrence().is_none() => message.count(path.segment()),
            None => usize::from(located.read(message).is_some()),
            Some(_) => located
                .read(message)
                .filter(|raw| !raw.is_empty())
                .map_or(0, |raw| raw.repetitions().count()),
        });
        Ok(Value::from(count.unwrap_or(0)))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::integer().infallible()
    }
}

/// `hl7_each(segment)`.
#[derive(Debug)]
pub(super) struct Each(pub(super) Arc<Session>);

impl Function for Each {
    fn identifier(&self) -> &'static str {
        "hl7_each"
    }

    fn summary(&self) -> &'static str {
        "Positions of all segments of a name"
    }

    fn usage(&self) -> &'static str {
        "The positions of all segments of that name, to go through with `for_each` or `map_values` and to pass on as `at:`. Positions are numbers; nothing is copied out of the message. With `group:` and `at:` only the segments that belong to one of another name: those between it and the next of its kind, as the OBX of one OBR."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::ARRAY
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required(
                "segment",
                kind::BYTES,
                "The segment's name, such as `\"OBX\"`. A literal.",
            ),
            Parameter::optional(
                "group",
                kind::BYTES,
                "Name of the segment that begins a group, such as `\"OBR\"`. A literal; needs `at:`.",
            ),
            Parameter::optional(
                "at",
                kind::INTEGER,
                "Which group: a position from `hl7_each` of the group's segment.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! {
                title: "All results",
                source: r#"map_values(hl7_each("OBX")) -> |obx| { hl7("OBX-5", at: obx) }"#,
                result: Ok(r#"["98.6", "72"]"#),
            },
            example! {
                title: "The results of each request",
                source: r#"map_values(hl7_each("OBR")) -> |obr| { length(hl7_each("OBX", group: "OBR", at: obr)) }"#,
                result: Ok("[2]"),
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
        let name = session
            .literal(context, state, &arguments, "segment")?
            .unwrap_or_default();
        let wanted = segment(session, context, &name)?;
        let group = match session.literal(context, state, &arguments, "group")? {
            Some(name) => Some(segment(session, context, &name)?),
            None => None,
        };
        let at = arguments.optional("at");
        if group.is_some() != at.is_some() {
            return Err(session.refuse(
                context,
                Complaint::new("W2111", "`group:` and `at:` say together which segments are meant")
                    .label("one of them is missing")
                    .help("write `hl7_each(\"OBX\", group: \"OBR\", at: obr)`, where `obr` comes from `hl7_each(\"OBR\")`"),
            ));
        }
        Ok(EachFn {
            wanted,
            group: group.zip(at),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct EachFn {
    wanted: Path,
    group: Option<(Path, Box<dyn Expression>)>,
}

impl FunctionExpression for EachFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let start = match &self.group {
            Some((_, at)) => match at.resolve(context)? {
                Value::Integer(at) => usize::try_from(at).unwrap_or(usize::MAX),
                _ => return Err("expected integer".into()),
            },
            None => 0,
        };
        let positions = scope::read(|message| {
            let after = message.segments().enumerate().skip(start);
            let in_group = after.take_while(|(_, segment)| {
                self.group
                    .as_ref()
                    .is_none_or(|(group, _)| segment.name() != group.segment())
            });
            in_group
                .filter(|(_, segment)| segment.name() == self.wanted.segment())
                .map(|(index, _)| Value::from(index + 1))
                .collect::<Vec<_>>()
        });
        Ok(Value::Array(positions.unwrap_or_default()))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::array(Collection::from_unknown(Kind::integer())).infallible()
    }
}

/// `hl7_repeat(path)`.
#[derive(Debug)]
pub(super) struct Repeat(pub(super) Arc<Session>);

impl Function for Repeat {
    fn identifier(&self) -> &'static str {
        "hl7_repeat"
    }

    fn summary(&self) -> &'static str {
        "All repetitions of a field"
    }

    fn usage(&self) -> &'static str {
        "All repetitions of a field, in order. With a component in the path (`\"PID-3.1\"`), an array of that component's values (null where one has none). Without (`\"PID-3\"`), an array of objects with the components that hold a value, by number: `.\"1\"`, `.\"4\"`. An absent or empty field gives an empty array."
    }

    fn category(&self) -> &'static str {
        "HL7 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::ARRAY
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "One component", source: r#"hl7_repeat("PID-3.1")"#, result: Ok(r#"["77", "900-11-2222"]"#) },
            example! {
                title: "All components",
                source: r#"hl7_repeat("PID-3")"#,
                result: Ok(r#"[{"1": "77", "4": "H1", "5": "MR"}, {"1": "900-11-2222", "5": "SS"}]"#),
            },
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
        if address.path.repetition().is_some() {
            let text = address.path.to_string();
            return Err(self.0.refuse(
                context,
                Complaint::new(
                    "W2111",
                    format!("\"{text}\" names one repetition, but `hl7_repeat` gives all"),
                )
                .label("leave the number in brackets out")
                .help("read a single repetition with `hl7`"),
            ));
        }
        Ok(RepeatFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct RepeatFn {
    address: Address,
}

impl FunctionExpression for RepeatFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let field = Path::parse(&format!(
            "{}-{}",
            self.address.path.segment(),
            self.address.path.field().unwrap_or(1)
        ));
        let Ok(field) = field else {
            return Ok(Value::Array(Vec::new()));
        };
        let mut located = self.address.clone();
        located.path = match self.address.path.occurrence() {
            Some(n) => field.in_occurrence(n),
            None => field,
        };
        let located = located.locate(context)?;
        let path = self.address.path;
        let all = scope::read(|message| {
            let Some(raw) = located.read(message).filter(|raw| !raw.is_empty()) else {
                return Vec::new();
            };
            raw.repetitions()
                .map(|repetition| match path.component() {
                    Some(_) => visible(
                        message,
                        below(repetition, &path).map_or(Found::Absent, |raw| raw.to_value()),
                    ),
                    None => components(message, repetition),
                })
                .collect()
        });
        Ok(Value::Array(all.unwrap_or_default()))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        let element = match self.address.path.component() {
            Some(_) => Kind::bytes().or_null(),
            None => Kind::object(Collection::from_unknown(Kind::bytes().or_undefined())),
        };
        TypeDef::array(Collection::from_unknown(element)).infallible()
    }
}

/// The component and subcomponent that a path names, inside of a repetition.
pub(super) fn below<'m>(repetition: Raw<'m>, path: &Path) -> Option<Raw<'m>> {
    let component = match path.component() {
        Some(n) => repetition.component(n.into())?,
        None => repetition,
    };
    match path.subcomponent() {
        Some(n) => component.subcomponent(n.into()),
        None => Some(component),
    }
}

fn components(message: &Message, repetition: Raw<'_>) -> Value {
    let object: ObjectMap = repetition
        .components()
        .enumerate()
        .filter_map(
            |(index, component)| match visible(message, component.to_value()) {
                Value::Null => None,
                value => Some(((index + 1).to_string().into(), value)),
            },
        )
        .collect();
    Value::Object(object)
}
