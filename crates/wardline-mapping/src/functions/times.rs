//! `hl7_time`, `hl7_timestamp`: HL7 timestamps to RFC 3339 and back.

use std::sync::Arc;

use jiff::tz::TimeZone;
use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::Value;
use wardline_hl7::{Path, Value as Found};

use super::address::{AT, Address, REPETITION, needs_field};
use crate::environment::{Input, Zone};
use crate::problem::nearest;
use crate::scope;
use crate::session::{Complaint, Refused, Session};
use crate::timestamp::{Unreadable, Wanted, to_hl7, to_rfc3339};

const ZONE: Parameter = Parameter::optional(
    "zone",
    kind::BYTES,
    "IANA time zone, such as `\"America/Chicago\"`. A literal. Without it, the facility's zone.",
);

/// The `zone:` of a call, or the facility's.
fn zone(
    session: &Session,
    context: &FunctionCompileContext,
    state: &TypeState,
    arguments: &ArgumentList,
) -> Result<Option<TimeZone>, Refused> {
    let Some(name) = session.literal(context, state, arguments, "zone")? else {
        return Ok(session
            .environment
            .zone
            .as_ref()
            .map(|zone| zone.rules.clone()));
    };
    match Zone::named(&name) {
        Ok(zone) => Ok(Some(zone.rules)),
        Err(unknown) => Err(session.refuse(
            context,
            Complaint::new("W2104", format!("{name:?} is not an IANA time zone"))
                .label("no such zone")
                .about(&name)
                .maybe_help(unknown.near.map(|near| format!("did you mean {near:?}?"))),
        )),
    }
}

/// `hl7_time(path or string)`.
#[derive(Debug)]
pub(super) struct Time(pub(super) Arc<Session>);

impl Function for Time {
    fn identifier(&self) -> &'static str {
        "hl7_time"
    }

    fn summary(&self) -> &'static str {
        "An HL7 timestamp as RFC 3339"
    }

    fn usage(&self) -> &'static str {
        "Reads an HL7 timestamp (`YYYYMMDDHHMMSS.SSSS+ZZZZ`, which may end early) from a position of the message, or from a string, and gives it as RFC 3339. The precision is kept: a date stays a date (`2026-11-24`), a month a month (`2026-11`). From the hour on the result is a full date and time with an offset: the one in the text, else that of the zone on that day. Null where the position is absent, empty or null. A literal that is a path is read from the message, any other string is the timestamp itself."
    }

    fn category(&self) -> &'static str {
        "Time"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "The text is no HL7 timestamp (W2212).",
            "It has a time but no offset, and no zone is known (W2213).",
        ]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required(
                "path",
                kind::BYTES | kind::NULL,
                "A path as a literal, or a string that holds a timestamp.",
            ),
            ZONE,
            AT,
            REPETITION,
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "From the message", source: r#"hl7_time!("PV1-45", zone: "America/Chicago")"#, result: Ok("2026-11-24T10:42:03-06:00") },
            example! { title: "A date", source: r#"hl7_time!("PID-7")"#, result: Ok("1956-03-02") },
            example! { title: "From a string", source: r#"hl7_time!("20261124104203.12-0600")"#, result: Ok("2026-11-24T10:42:03.12-06:00") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        let zone = zone(session, context, state, &arguments)?;
        let constant = arguments.required("path").resolve_constant(state);
        let is_path = constant.as_ref().is_some_and(|value| {
            let text = value.to_string_lossy();
            // A literal that begins with a letter cannot be a timestamp, so a path is meant.
            Path::parse(&text).is_ok() || text.starts_with(|c: char| c.is_ascii_alphabetic())
        });
        if is_path {
            let address = Address::compile(session, context, state, &arguments, self.identifier())?;
            needs_field(session, context, address.path)?;
            return Ok(TimeFn {
                from: From::Path(address),
                zone,
            }
            .as_expr());
        }
        if arguments.optional("at").is_some() || arguments.optional("repetition").is_some() {
            let help = if session.environment.input == Input::Hl7 {
                "write the path as a literal, such as \"OBX-14\""
            } else {
                "leave it out"
            };
            return Err(session.refuse(
                context,
                Complaint::new(
                    "W2111",
                    "`at:` and `repetition:` need a path to read from the message",
                )
                .label("this is read from a string")
                .help(help),
            ));
        }
        Ok(TimeFn {
            from: From::Text(arguments.required("path")),
            zone,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
enum From {
    Path(Address),
    Text(Box<dyn Expression>),
}

#[derive(Clone, Debug)]
struct TimeFn {
    from: From,
    zone: Option<TimeZone>,
}

impl TimeFn {
    fn convert(&self, text: &str) -> Resolved {
        to_rfc3339(text, self.zone.as_ref()).map(Value::from).map_err(|unreadable| {
            let what = match &self.from {
                From::Path(address) => address.path.to_string(),
                From::Text(_) => "the string given to hl7_time".to_owned(),
            };
            match unreadable {
                Unreadable::Malformed => scope::fail(
                    "W2212",
                    format!("{what} is no HL7 timestamp (YYYYMMDDHHMMSS.SSSS+ZZZZ, which may end early); correct it at the sender, or handle it with `??`"),
                ),
                Unreadable::Zoneless => scope::fail(
                    "W2213",
                    format!("{what} has a time without an offset, and no zone is known; write `zone: \"…\"` or declare the facility's zone"),
                ),
            }
        })
    }
}

impl FunctionExpression for TimeFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        match &self.from {
            From::Path(address) => {
                let located = address.locate(context)?;
                let text =
                    scope::read(
                        |message| match located.read(message).map(|raw| raw.to_value()) {
                            Some(Found::Text(text)) => Some(text.into_owned()),
                            _ => None,
                        },
                    );
                text.flatten()
                    .map_or(Ok(Value::Null), |text| self.convert(&text))
            }
            From::Text(expression) => match expression.resolve(context)? {
                Value::Null => Ok(Value::Null),
                value => {
                    let text = value.to_string_lossy();
                    if text.is_empty() {
                        Ok(Value::Null)
                    } else {
                        self.convert(&text)
                    }
                }
            },
        }
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().or_null().fallible()
    }
}

/// The literal `precision:` of a call.
fn wanted(
    session: &Session,
    context: &FunctionCompileContext,
    name: &str,
) -> Result<Wanted, Refused> {
    let known = Wanted::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, wanted)| *wanted);
    known.ok_or_else(|| {
        let near = nearest(name, Wanted::ALL.iter().map(|(known, _)| *known));
        session.refuse(
            context,
            Complaint::new("W2115", format!("{name:?} is not a precision"))
                .label("year, month, day, hour, minute, second or fraction")
                .about(name)
                .maybe_help(near.map(|near| format!("did you mean {near:?}?"))),
        )
    })
}

/// `hl7_timestamp(value)`.
#[derive(Debug)]
pub(super) struct Stamp(pub(super) Arc<Session>);

impl Function for Stamp {
    fn identifier(&self) -> &'static str {
        "hl7_timestamp"
    }

    fn summary(&self) -> &'static str {
        "A time as an HL7 timestamp"
    }

    fn usage(&self) -> &'static str {
        "Writes a time (RFC 3339, a date, or a VRL timestamp) as HL7 does, with offset from the hour on and never more precise than it is. With `zone:` it is converted to that zone, else it keeps its own offset. Null gives null, so that an absent time stays absent."
    }

    fn category(&self) -> &'static str {
        "Time"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &["The text is no RFC 3339 time or date, or has no offset (W2212)."]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required(
                "value",
                kind::BYTES | kind::TIMESTAMP | kind::NULL,
                "The time.",
            ),
            Parameter::optional(
                "precision",
                kind::BYTES,
                "`\"year\"`, `\"month\"`, `\"day\"`, `\"hour\"`, `\"minute\"`, `\"second\"` (the default) or `\"fraction\"`. A literal.",
            ),
            ZONE,
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "In its own offset", source: r#"hl7_timestamp!("2026-11-24T10:42:03-06:00")"#, result: Ok("20261124104203-0600") },
            example! { title: "A day", source: r#"hl7_timestamp!("2026-11-24T10:42:03-06:00", precision: "day")"#, result: Ok("20261124") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        // The facility's zone is for reading; what is written keeps the offset it has.
        let zone = match arguments.optional("zone") {
            Some(_) => zone(session, context, state, &arguments)?,
            None => None,
        };
        let precision = match session.literal(context, state, &arguments, "precision")? {
            Some(name) => wanted(session, context, &name)?,
            None => Wanted::Second,
        };
        Ok(StampFn {
            value: arguments.required("value"),
            precision,
            zone,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct StampFn {
    value: Box<dyn Expression>,
    precision: Wanted,
    zone: Option<TimeZone>,
}

impl FunctionExpression for StampFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let value = self.value.resolve(context)?;
        if value == Value::Null {
            return Ok(Value::Null);
        }
        to_hl7(&value.to_string_lossy(), self.zone.as_ref(), self.precision).map(Value::from).map_err(|_| {
            scope::fail(
                "W2212",
                "the value given to hl7_timestamp is no RFC 3339 time with offset and no date; convert it first, or handle it with `??`",
            )
        })
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().or_null().fallible()
    }
}
