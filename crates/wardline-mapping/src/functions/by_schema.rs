//! `xml_read_as` and `xml_write`: documents by the types of an XML Schema of the estate.
//!
//! Schema and outermost element are literals, so that the schema is compiled once, with the
//! program; what it says of a document is the type of the value, and member names are held
//! against it ([`crate::members`] for those that are read, [`kinds`] for those that are written).

mod kinds;

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{ObjectMap, Value};
use wardline_soap::typed::{decode, encode, known};
use wardline_soap::xml::{Limits, parse, write_document};
use wardline_soap::xsd::{ElementId, Schemas};

use super::xml::because;
use crate::problem::nearest;
use crate::scope;
use crate::session::{Complaint, Refused, Session};

/// Values within values that are written.
const DEEPEST: usize = 128;

const SCHEMA: Parameter = Parameter::required(
    "schema",
    kind::BYTES,
    "The schema's file, such as `\"schemas/ubl/UBL-Order-2.1.xsd\"`: one of the `*.xsd` below `schemas/` of the estate. A literal.",
);
const ROOT: Parameter = Parameter::required(
    "root",
    kind::BYTES,
    "The outermost element, by its local name: one that the schema declares globally. A literal.",
);

/// All of them.
pub(super) fn functions(session: &Arc<Session>) -> Vec<Box<dyn Function>> {
    vec![
        Box::new(Read(Arc::clone(session))),
        Box::new(Write(Arc::clone(session))),
    ]
}

/// The schema and the element that a call names.
fn named(
    session: &Session,
    context: &FunctionCompileContext,
    state: &TypeState,
    arguments: &ArgumentList,
) -> Result<(Arc<Schemas>, ElementId), Refused> {
    let literal = |keyword| -> Result<String, Refused> {
        let text = session.literal(context, state, arguments, keyword)?;
        Ok(text.unwrap_or_default())
    };
    let (file, root) = (literal("schema")?, literal("root")?);
    let refused = |reason: String, help: &str| {
        let complaint = Complaint::new("W2125", format!("the schema {file:?} cannot be used"))
            .label(reason)
            .about(&file)
            .help(help);
        session.refuse(context, complaint)
    };
    let Some(library) = &session.environment.xml else {
        return Err(refused(
            "there is no estate around this program, so there are no schemas".to_owned(),
            "name the estate whose schema it is",
        ));
    };
    let schemas = library.get(&file).map_err(|error| {
        refused(
            error.to_string(),
            "schemas are the `*.xsd` files below `schemas/` of the estate, with all that they include and import: nothing is fetched",
        )
    })?;
    let Some(id) = schemas.root(&root) else {
        let near = nearest(&root, schemas.roots().into_iter());
        let help = near.map(|near| format!("did you mean {near:?}?"));
        let complaint = Complaint::new("W2126", format!("{file:?} declares no element {root:?}"))
            .label("no global element of the schema's own namespace")
            .about(&root)
            .maybe_help(help);
        return Err(session.refuse(context, complaint));
    };
    Ok((schemas, id))
}

/// `xml_read_as(text, schema, root)`.
#[derive(Debug)]
struct Read(Arc<Session>);

impl Function for Read {
    fn identifier(&self) -> &'static str {
        "xml_read_as"
    }

    fn summary(&self) -> &'static str {
        "A document as an object, by its schema"
    }

    fn usage(&self) -> &'static str {
        "What the outermost element of a document holds, by the types of an XML Schema. The document is held against the schema: elements that must be there, their order and number, and values of simple types; what does not fit ends the call with the path and the reason, never with a value. Names are local names. An element that may come more than once is an array wherever it is there; one that has attributes by its type is an object with its attributes as `@name` and its text as `\"$\"`, whether it brings attributes or not; others are their value. Whole numbers are integers (text beyond 64 bits), `xs:decimal` is text with all digits as they came, `xs:boolean` is a boolean, dates and times are text. An optional element that is not there is not there. `xsi:nil` is null. Names of members are checked while the program is compiled, on the call's result, on variables that are assigned once, and in `for_each`, `map_values` and `filter` over them. Types of values are known two levels deep. Document types, limits and encodings are as with `xml_read`. Patterns of simple types are not held against values."
    }

    fn category(&self) -> &'static str {
        "XML"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "The text is no XML, or has more of something than is taken (W2222).",
            "The document does not fit its schema (W2224).",
        ]
    }

    fn return_kind(&self) -> u16 {
        kind::OBJECT
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("text", kind::BYTES, "The document."),
            SCHEMA,
            ROOT,
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "An order", source: r#"xml_read_as!("<o:order xmlns:o='urn:po' id='7'><o:total>1.50</o:total><o:line>gloves</o:line></o:order>", schema: "schemas/order.xsd", root: "order")"#, result: Ok(r#"{"@id": 7, "total": "1.50", "line": ["gloves"]}"#) },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let (schemas, root) = named(&self.0, context, state, &arguments)?;
        let shape = known(&schemas, root);
        let kind = kinds::of(&schemas, root);
        self.0.reads_xml(context, &schemas, shape);
        Ok(ReadFn {
            text: arguments.required("text"),
            schemas,
            root,
            gives: TypeDef::from(kind).fallible(),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct ReadFn {
    text: Box<dyn Expression>,
    schemas: Arc<Schemas>,
    root: ElementId,
    gives: TypeDef,
}

impl FunctionExpression for ReadFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let text = self.text.resolve(context)?;
        let bytes = text.as_bytes().map_or(&[][..], |bytes| bytes);
        let document = parse(bytes, Limits::DOCUMENT)
            .map_err(|error| scope::fail("W2222", format!("xml_read_as: {}", because(&error))))?;
        decode(&self.schemas, self.root, &document)
            .map(value)
            .map_err(|error| scope::fail("W2224", format!("xml_read_as: {error}")))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        self.gives.clone()
    }
}

/// As a value. A whole number that does not fit stays exact as text.
fn value(json: Json) -> Value {
    match json {
        Json::Number(number) => match (number.as_i64(), number.is_u64()) {
            (Some(number), _) => Value::Integer(number),
            (None, true) => number.to_string().into(),
            (None, false) => Value::from(Json::Number(number)),
        },
        Json::Array(items) => items.into_iter().map(value).collect(),
        Json::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, field)| (name.into(), value(field)))
                .collect(),
        ),
        plain => Value::from(plain),
    }
}

/// `xml_write(value, schema, root)`.
#[derive(Debug)]
struct Write(Arc<Session>);

impl Function for Write {
    fn identifier(&self) -> &'static str {
        "xml_write"
    }

    fn summary(&self) -> &'static str {
        "A document by its schema"
    }

    fn usage(&self) -> &'static str {
        "The document whose outermost element holds a value, by the types of an XML Schema: the reverse of `xml_read_as`. Elements stand in the order of the schema, whatever the order of the members is; namespaces, prefixes and the declaration are the schema's business. An element that may come more than once takes an array or one value; one that has only optional attributes takes its text alone. A member that is null is left out. What the schema requires and the value lacks, a member that it does not have, a value that does not fit its simple type, and floats (amounts are text or integers) end the call with the path and the reason, never with the value. Members whose names are known while the program is compiled are checked then. A map whose `.` is in the end what this gave (`. = xml_write!(…)`) sends it as it is, as `application/xml`."
    }

    fn category(&self) -> &'static str {
        "XML"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &["The value does not fit the schema (W2225)."]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("value", kind::ANY, "What the outermost element holds."),
            SCHEMA,
            ROOT,
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "An order", source: r#"xml_write!({"line": ["gloves"], "total": "1.50", "@id": 7}, schema: "schemas/order.xsd", root: "order")"#, result: Ok(r#"<?xml version="1.0" encoding="UTF-8"?><po:order xmlns:po="urn:po" id="7"><po:total>1.50</po:total><po:line>gloves</po:line></po:order>"#) },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let (schemas, root) = named(&self.0, context, state, &arguments)?;
        let given = arguments.required("value");
        let kind = given.type_info(state).result.kind().clone();
        if let Err(fault) = kinds::fits(&schemas, root, &kind) {
            let complaint = Complaint::new("W2127", fault.message)
                .label(fault.label)
                .about(fault.about)
                .maybe_help(fault.help);
            return Err(self.0.refuse(context, complaint));
        }
        self.0.writes_xml();
        Ok(WriteFn {
            value: given,
            schemas,
            root,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct WriteFn {
    value: Box<dyn Expression>,
    schemas: Arc<Schemas>,
    root: ElementId,
}

impl FunctionExpression for WriteFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let given = self.value.resolve(context)?;
        let fail = |reason: String| scope::fail("W2225", format!("xml_write: {reason}"));
        let mut path = self.schemas.declaration(self.root).name.local.to_string();
        let json = json(&given, &mut path, 0)
            .map_err(|reason| fail(format!("{} {reason}", shown(&path))))?;
        let element =
            encode(&self.schemas, self.root, &json).map_err(|error| fail(error.to_string()))?;
        let bytes = write_document(&element, self.schemas.prefixes())
            .map_err(|error| fail(error.to_string()))?;
        Ok(Value::Bytes(bytes.into()))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().fallible()
    }
}

/// A path for an error, shortened.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

/// As JSON. `path` is where it failed, if it did.
fn json(given: &Value, path: &mut String, depth: usize) -> Result<Json, &'static str> {
    if depth > DEEPEST {
        return Err("is nested too deep");
    }
    Ok(match given {
        Value::Null => Json::Null,
        Value::Boolean(truth) => Json::Bool(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Json::from(text),
            Err(_) => return Err("is no text"),
        },
        Value::Array(items) => {
            let mut all = Vec::with_capacity(items.len());
            let before = path.len();
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                all.push(json(item, path, depth + 1)?);
                path.truncate(before);
            }
            Json::Array(all)
        }
        Value::Object(fields) => fields_of(fields, path, depth)?,
        Value::Float(_) => {
            return Err("is a float, which is not exact: give text or an integer");
        }
        Value::String(text) => Json::from(text.to_string()),
        _ => return Err("is neither text nor a number: make text of it"),
    })
}

fn fields_of(fields: &ObjectMap, path: &mut String, depth: usize) -> Result<Json, &'static str> {
    let mut all = Map::new();
    let before = path.len();
    for (name, field) in fields {
        path.push('/');
        path.push_str(name.as_str());
        all.insert(name.to_string(), json(field, path, depth + 1)?);
        path.truncate(before);
    }
    Ok(Json::Object(all))
}
