//! `x12_build`: an X12 interchange of one set as a program's result.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{Kind, ObjectMap, Value};
use wardline_edi::x12::{Builder, Envelope, Path, Record};

use super::{element, parse};
use crate::scope;
use crate::session::{Complaint, Refused, Session};

/// Segments of one set.
const MOST: usize = 200_000;

/// `x12_build(set, segments)`.
#[derive(Debug)]
pub(in super::super) struct Build(pub(super) Arc<Session>);

impl Function for Build {
    fn identifier(&self) -> &'static str {
        "x12_build"
    }

    fn summary(&self) -> &'static str {
        "Builds an outgoing X12 interchange with one set"
    }

    fn usage(&self) -> &'static str {
        "Builds an interchange, which goes out in place of the input. Each element of `segments` is an object with the elements of one segment by path (`{\"BEG-01\": \"00\", \"BEG-03\": .number}`), in the order of the set, or an array of such, to any depth: what `map_values` made of lines. Components are `\"SVC-01-2\"`, repetitions `\"STC-01[2]\"`. Values are text or integers; null leaves an element out, an object without values is no segment. Floats are refused: amounts are text. ST, SE, GE and IEA are made. ISA and GS may be given (`{\"ISA-06\": \"WARDLINE\", \"ISA-08\": \"SUPPLIER\", \"GS-08\": \"005010\"}`); without, the interchange is from WARDLINE to the sender of an X12 input, in version 005010. The control numbers are `control:`. A value with a delimiter in it cannot be written (W2220)."
    }

    fn category(&self) -> &'static str {
        "X12 writing"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "Something cannot be written: a value that is neither text nor integer, or has a delimiter in it (W2220). This ends the run; it cannot be handled.",
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
            Parameter::required("set", kind::BYTES, "The set, ST01, such as `\"850\"`."),
            Parameter::required(
                "segments",
                kind::ARRAY,
                "The segments between ST and SE, in order.",
            ),
            Parameter::required(
                "control",
                kind::INTEGER,
                "The control number, from 1 to 999999999: of the interchange, its group and its set.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[example! {
            title: "An acknowledgement of an order",
            source: r#"x12_build("855", [{"ISA-06": "WARDLINE", "ISA-08": "S1"}, {"BAK-01": "00", "BAK-02": "AC", "BAK-03": x12("BIG-04"), "BAK-04": "20260101"}], control: 7)"#,
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
        check(session, context, &kind)?;
        session.builds_x12();
        Ok(BuildFn {
            set: arguments.required("set"),
            control: arguments.required("control"),
            segments,
        }
        .as_expr())
    }
}

/// Checks the paths that are known while compiling, in arrays to any depth.
fn check(session: &Session, context: &FunctionCompileContext, kind: &Kind) -> Result<(), Refused> {
    for inner in kind
        .as_array()
        .into_iter()
        .flat_map(|array| array.known().values())
    {
        check(session, context, inner)?;
    }
    if let Some(unknown) = kind
        .as_array()
        .map(vrl::value::kind::Collection::unknown_kind)
        && (unknown.is_object() || unknown.is_array())
    {
        check(session, context, &unknown)?;
    }
    let mut own: Option<String> = None;
    let keys = kind
        .as_object()
        .into_iter()
        .flat_map(|object| object.known().keys());
    for key in keys {
        let path = parse(session, context, key.as_str())?;
        element(session, context, &path)?;
        let plain = path.picks().is_empty() && path.within().is_none();
        // The envelope may be said in one object.
        if plain && matches!(path.segment(), "ISA" | "GS") {
            continue;
        }
        let first = own.get_or_insert_with(|| path.segment().to_owned());
        if *first == path.segment() && plain {
            continue;
        }
        let complaint = if plain {
            Complaint::new(
                "W2123",
                format!("an object is one segment, but \"{path}\" is not of {first}"),
            )
            .help("begin another object for another segment")
        } else {
            Complaint::new(
                "W2123",
                format!("\"{path}\" says which segment to look for; here one is written"),
            )
            .help("leave the brackets and the loop out")
        };
        return Err(session.refuse(
            context,
            complaint.label("cannot be written").about(key.as_str()),
        ));
    }
    Ok(())
}

#[derive(Clone, Debug)]
struct BuildFn {
    set: Box<dyn Expression>,
    segments: Box<dyn Expression>,
    control: Box<dyn Expression>,
}

impl FunctionExpression for BuildFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let set = self.set.resolve(context)?.to_string_lossy().into_owned();
        let segments = self.segments.resolve(context)?;
        let Value::Integer(control) = self.control.resolve(context)? else {
            return Err("expected integer".into());
        };
        let built = scope::with(|scope| {
            let now = scope
                .now
                .as_ref()
                .map(|now| now.to_string_lossy().into_owned());
            let mut envelope = envelope(scope.set.as_deref(), now.as_deref());
            envelope.control = u64::try_from(control)
                .ok()
                .filter(|n| (1..=999_999_999).contains(n))
                .ok_or("the control number is not from 1 to 999999999")?;
            envelope.group_control = envelope.control;
            let mut records = Vec::new();
            gather(&segments, &mut records, &mut envelope)?;
            let own = format!("{:04}", envelope.control);
            let late = envelope.group_version.len() > 6;
            let version = late.then(|| envelope.group_version.clone());
            let mut builder = Builder::new(envelope);
            builder
                .set(set, records)
                .named(None, Some(&own), version.as_deref());
            scope.built = Some(builder.finish().map_err(|error| error.to_string())?);
            Ok::<(), String>(())
        });
        match built {
            Some(Err(reason)) => Err(scope::fail("W2220", format!("x12_build: {reason}"))),
            _ => Ok(Value::Null),
        }
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}

/// What stands around the set where the program does not say it.
fn envelope(input: Option<&wardline_edi::x12::Set>, now: Option<&str>) -> Envelope {
    let now = now.map_or_else(|| jiff::Timestamp::now().to_string(), str::to_owned);
    let digits: String = now.chars().filter(char::is_ascii_digit).take(12).collect();
    let mut envelope = Envelope {
        sender: ("ZZ".into(), "WARDLINE".into()),
        date: digits.chars().take(8).collect(),
        time: digits.chars().skip(8).collect(),
        ..Envelope::default()
    };
    if let Some(input) = input {
        let isa = input.isa();
        let own = |n| wardline_edi::x12::text(isa.raw(n).trim_ascii_end()).into_owned();
        envelope.receiver = (own(5), own(6));
        envelope.sender = (own(7), own(8));
    }
    envelope
}

fn gather(value: &Value, records: &mut Vec<Record>, envelope: &mut Envelope) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| gather(item, records, envelope)),
        Value::Object(fields) => one(fields, records, envelope),
        _ => Err("an element of the segments is neither an object nor an array".to_owned()),
    }
}

fn one(
    fields: &ObjectMap,
    records: &mut Vec<Record>,
    envelope: &mut Envelope,
) -> Result<(), String> {
    let mut record: Option<Record> = None;
    for (key, value) in fields {
        let path = Path::parse(key.as_str())
            .map_err(|_| "a key of the segments is no path such as BEG-03".to_owned())?;
        let number = path
            .element()
            .filter(|_| path.picks().is_empty() && path.within().is_none());
        let number =
            number.ok_or("a key of the segments is no path of an element such as BEG-03")?;
        let text = match value {
            Value::Null => continue,
            Value::Bytes(_) | Value::String(_) => value.to_string_lossy().into_owned(),
            Value::Integer(n) => n.to_string(),
            Value::Float(_) => {
                return Err(format!(
                    "{path} is a float, which is not exact; write numbers as text or integers"
                ));
            }
            _ => return Err(format!("{path} is neither text nor an integer")),
        };
        match path.segment() {
            "ISA" | "GS" => around(envelope, path.segment(), number, text)?,
            name @ ("ST" | "SE" | "GE" | "IEA") => {
                return Err(format!("{name} is made, not given"));
            }
            name => {
                let record = record.get_or_insert_with(|| Record::new(name));
                if record.name() != name {
                    return Err(format!(
                        "an object is one segment, but holds {name} and {}",
                        record.name()
                    ));
                }
                record.put(
                    number,
                    path.repetition().unwrap_or(1),
                    path.component().unwrap_or(1),
                    text,
                );
            }
        }
    }
    if records.len() >= MOST {
        return Err(format!("a set of more than {MOST} segments"));
    }
    records.extend(record.filter(|record| !record.is_empty()));
    Ok(())
}

/// Elements of ISA and GS that a program may say.
fn around(
    envelope: &mut Envelope,
    segment: &str,
    element: u16,
    text: String,
) -> Result<(), String> {
    let place = match (segment, element) {
        ("ISA", 5) => &mut envelope.sender.0,
        ("ISA", 6) => &mut envelope.sender.1,
        ("ISA", 7) => &mut envelope.receiver.0,
        ("ISA", 8) => &mut envelope.receiver.1,
        ("ISA", 12) => &mut envelope.version,
        ("GS", 2) => &mut envelope.application_sender,
        ("GS", 3) => &mut envelope.application_receiver,
        ("GS", 8) => &mut envelope.group_version,
        ("ISA", 14) => {
            envelope.wants_ta1 = text == "1";
            return Ok(());
        }
        ("ISA", 15) => {
            envelope.usage = text.chars().next().unwrap_or('P');
            return Ok(());
        }
        _ => return Err(format!("{segment}-{element:02} is made, not given")),
    };
    *place = text;
    Ok(())
}
