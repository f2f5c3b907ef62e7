//! The reference of our functions, written from what they say about themselves.

use vrl::compiler::Function;
use vrl::compiler::value::kind;

use super::withheld::WITHHELD;

const BEGINNING: &str = "\
# Functions of maps

Maps, predicates and keys are written in [VRL](https://vrl.dev). Beside
[its own functions](https://functions.vrl.dev) they have these.

Reading always reads the message as it arrived; writing writes another message, which is then the
map's result. A map has one result: either `.`, or the message that it wrote.

The examples run on this message, those for X12 on the set below it:
";

/// The message that the examples of the functions run on.
const EXAMPLE_MESSAGE: &[&str] = &[
    r"MSH|^~\&|EHR|H1|WARDLINE|H1|20261124104203-0600||ADT^A03^ADT_A03|MSG00001|P|2.5.1",
    "EVN|A03|20261124104203",
    "PID|1||77^^^H1^MR~900-11-2222^^^^SS||Doe^Jane^Q||19560302|F||||||||||ACC-77",
    "PV1|1|I|4W^401^1|||||||||||||||||||||||||||||||||03||||||||20261120081500|20261124104203",
    "OBR|1|||VITALS",
    "OBX|1|NM|8310-5^Temperature||98.6|[degF]",
    "OBX|2|NM|8867-4^Heart rate||72|/min",
];

/// The set that the examples of X12 functions run on.
const EXAMPLE_SET: &[&str] = &[
    "ISA*00*          *00*          *ZZ*S1             *ZZ*WARDLINE       *260101*1200*U*00401*000000007*0*P*>~",
    "GS*IN*S1*WARDLINE*20260101*1200*7*X*004010~",
    "ST*810*0001~",
    "BIG*20260101*INV-7**4500012~",
    "N1*VN*Gloves Inc*92*S1~",
    "IT1*1*2*EA*3.50**IN*77~",
    "IT1*2*1*BX*12**IN*78~",
    "TDS*1900~",
    "SE*7*0001~",
    "GE*1*7~",
    "IEA*1*000000007~",
];

/// The schema that the examples of XML are read and written by.
const EXAMPLE_SCHEMA: &[&str] = &[
    r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:po="urn:po" targetNamespace="urn:po" elementFormDefault="qualified">"#,
    r#"  <xs:element name="order"><xs:complexType>"#,
    "    <xs:sequence>",
    r#"      <xs:element name="total" type="xs:decimal"/>"#,
    r#"      <xs:element name="line" type="xs:string" maxOccurs="unbounded"/>"#,
    "    </xs:sequence>",
    r#"    <xs:attribute name="id" type="xs:int" use="required"/>"#,
    "  </xs:complexType></xs:element>",
    "</xs:schema>",
];

/// The reference as Markdown (`docs/reference/mapping-functions.md` in the repository is this text).
pub fn reference() -> String {
    let functions = super::functions();
    let mut lines = vec![BEGINNING.to_owned(), "```".to_owned()];
    lines.extend(EXAMPLE_MESSAGE.iter().map(|line| (*line).to_owned()));
    lines.extend(["```".to_owned(), String::new(), "```".to_owned()]);
    lines.extend(EXAMPLE_SET.iter().map(|line| (*line).to_owned()));
    let schema = "```\n\nThose by an XML Schema use `schemas/order.xsd`:\n\n```";
    lines.push(schema.to_owned());
    lines.extend(EXAMPLE_SCHEMA.iter().map(|line| (*line).to_owned()));
    lines.push("```".to_owned());
    let mut categories: Vec<&str> = Vec::new();
    for function in &functions {
        if !categories.contains(&function.category()) {
            categories.push(function.category());
        }
    }
    for category in categories {
        lines.push(format!("\n## {category}"));
        for function in functions
            .iter()
            .filter(|function| function.category() == category)
        {
            describe(&mut lines, function.as_ref());
        }
    }
    lines.push("\n## Withheld\n\nThese functions of VRL are not available in maps.\n\n| function | why |\n| --- | --- |".to_owned());
    lines.extend(
        WITHHELD
            .iter()
            .map(|(name, reason)| format!("| `{name}` | {reason} |")),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn describe(lines: &mut Vec<String>, function: &dyn Function) {
    let parameters: Vec<String> = function
        .parameters()
        .iter()
        .map(|parameter| {
            if parameter.required {
                parameter.keyword.to_owned()
            } else {
                format!("[{}:]", parameter.keyword)
            }
        })
        .collect();
    lines.push(format!(
        "\n### `{}({})` → {}",
        function.identifier(),
        parameters.join(", "),
        kinds(function.return_kind())
    ));
    lines.push(format!("\n{}. {}", function.summary(), function.usage()));
    if !function.parameters().is_empty() {
        lines.push("\n| parameter | takes | |\n| --- | --- | --- |".to_owned());
        lines.extend(function.parameters().iter().map(|parameter| {
            format!(
                "| `{}` | {} | {} |",
                parameter.keyword,
                kinds(parameter.kind),
                parameter.description
            )
        }));
    }
    lines.extend(
        function
            .internal_failure_reasons()
            .iter()
            .map(|reason| format!("\nFails: {reason}")),
    );
    if !function.examples().is_empty() {
        lines.push("\n```coffee".to_owned());
        lines.extend(function.examples().iter().map(|example| {
            let result = example.result.unwrap_or_else(|error| error);
            format!("{}  # {}: {result}", example.source, example.title)
        }));
        lines.push("```".to_owned());
    }
}

fn kinds(bits: u16) -> String {
    if bits == kind::ANY {
        return "anything".to_owned();
    }
    let names = [
        (kind::BYTES, "string"),
        (kind::INTEGER, "integer"),
        (kind::FLOAT, "float"),
        (kind::BOOLEAN, "boolean"),
        (kind::TIMESTAMP, "timestamp"),
        (kind::OBJECT, "object"),
        (kind::ARRAY, "array"),
        (kind::NULL, "null"),
    ];
    let named: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| bits & bit == *bit)
        .map(|(_, name)| *name)
        .collect();
    named.join(" or ")
}
