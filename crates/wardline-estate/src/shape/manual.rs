//! The reference manual of the files and of the codes, as Markdown.

use super::{Definition, Kind, Need, Object, Shape};
use crate::codes;
use std::fmt::Write as _;

const FORMS: &str = "\
| written | is |
| --- | --- |
| a name | lower-case letters, digits and hyphens, starting with a letter, at most 64 characters |
| a reference | a system and a name in it: `ehr.adt`, `patient-accounting.close-account` |
| an event type | an entity and what happened to it: `encounter.discharged`; the entity is the part before the dot with `-` for `_` |
| a duration | `500ms`, `30s`, `5m`, `1h30m`, `7d`, `2w`, `7y` (a day is 24 hours, a year 365 days) |
| a size | `512B`, `256KiB`, `16MiB`, `1GiB`, or `KB`, `MB`, `GB` for powers of ten |
| a rate | `20/s`, `600/m`, `5000/h`, `100000/d` |
| a quota | `100000/day`, `5000/hour`, `1000000/week` |
| a share | `10%`, `0.5%` |
| a date | a day (`2027-03-31`, its beginning in UTC) or a moment as in RFC 3339 |
| a scope | letters, digits and `.`, `_`, `:`, `/`, `*`, `-`: `supplier.read` |
| a digest | the 64 hexadecimal digits of a SHA-256 digest |
| a local address | an IP address and a port: `0.0.0.0:2575`, `[::1]:8420` |
| a host and port | `ehr.example:2576` |
| a network | `10.1.0.0/16`, or one address |
| a field | an HL7 path (`MSH-10`, `PID-3.1`), a path into JSON (`.account.number`), or `header:name` |
| a reference to a secret | `secret:erp/ws`; the secret itself is never in a file of the estate |
| a file of the estate | a path relative to the estate directory, without `..` |
| a mapping program | such a path that ends in `.vrl` |
| an expression | [VRL](mapping-functions.md); it may span lines after `\\|` |
| a cron schedule | five fields: minute, hour, day of the month, month, day of the week |
| a time zone | a name of the IANA database: `America/Chicago` |
";

/// The reference of all files and keys: `docs/reference/estate-files.md`.
pub fn reference() -> String {
    let mut text = String::from(
        "# The files of an estate\n\n\
         <!-- Generated from the tables in crates/wardline-estate/src/shape by its tests with UPDATE=1. -->\n\n\
         An estate is a directory. `wardline check` reads all of it, reports every problem in one run, and\n\
         refuses keys that it does not know. Names are unique across files; a file may hold several\n\
         declarations parted by `---` where the heading says so. Files are UTF-8 YAML without anchors,\n\
         aliases and tags.\n\n",
    );
    text.push_str("| files | hold |\n| --- | --- |\n");
    for kind in Kind::ALL {
        line(
            &mut text,
            format_args!(
                "| [`{}`](#{}) | {} |",
                kind.files(),
                anchor(kind),
                first_sentence(kind.object().doc)
            ),
        );
    }
    text.push_str("| `codes/*.csv` | Rows of code tables, with the header `from,to` or `from,to,description`. |\n");
    text.push_str("| `policies/*.cedar` | Policies: who may do what beyond what scopes say, in Cedar. |\n| `clients/*.json` | Public keys of clients (JWK Sets). |\n");
    text.push_str("| `maps/*.vrl` | Mapping programs. |\n| `entities/*.schema.json` | JSON Schemas of entities. |\n| `schemas/**/*.xsd` | XML Schemas by which maps read and write documents. |\n");
    text.push_str(
        "| `runbooks/*.md` | What a person should do. |\n\n## How values are written\n\n",
    );
    text.push_str(FORMS);
    for kind in Kind::ALL {
        let several = if kind.several() {
            " (several a file)"
        } else {
            ""
        };
        line(
            &mut text,
            format_args!("\n## {}\n\n`{}`{several}", kind.word(), kind.files()),
        );
        let mut sections = Sections::of(kind.object());
        while let Some(definition) = sections.later.pop() {
            sections.shape(&definition.shape);
        }
        for (index, object) in sections.found.into_iter().enumerate() {
            section(&mut text, object, index == 0);
        }
    }
    text
}

/// The reference of this crate's codes: its part of `docs/reference/errors.md`.
pub fn errors() -> String {
    let mut text = String::new();
    for entry in codes::ALL {
        line(
            &mut text,
            format_args!("### {}: {}\n\n{}\n", entry.code, entry.title, entry.text),
        );
    }
    text
}

fn section(text: &mut String, object: &Object, top: bool) {
    if !top {
        line(text, format_args!("\n### {}", object.name));
    }
    line(text, format_args!("\n{}", object.doc));
    if object.fields.is_empty() {
        return;
    }
    text.push_str("\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n");
    for field in object.fields {
        let default = match field.need {
            Need::Required => "required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => format!("`{default}`"),
            Need::Later => "not supported yet".to_owned(),
        };
        let takes = field.shape.describe().replace('|', "\\|");
        line(
            text,
            format_args!("| `{}` | {takes} | {default} | {} |", field.key, field.doc),
        );
    }
    let usable = |key: &str| {
        object
            .fields
            .iter()
            .any(|field| field.key == key && field.need != Need::Later)
    };
    let choices = object.exactly_one.iter().filter(|key| usable(key));
    let choices: Vec<_> = choices.map(|key| format!("`{key}`")).collect();
    if !choices.is_empty() {
        line(
            text,
            format_args!("\nExactly one of {}.", choices.join(", ")),
        );
    }
}

/// The objects that an object's keys take, in order of mention, each once.
struct Sections {
    found: Vec<&'static Object>,
    /// What stands in a table of its own comes after what mentions it.
    later: Vec<&'static Definition>,
    seen: Vec<&'static str>,
}

impl Sections {
    fn of(object: &'static Object) -> Self {
        let mut sections = Self {
            found: Vec::new(),
            later: Vec::new(),
            seen: Vec::new(),
        };
        sections.object(object);
        sections
    }

    fn object(&mut self, object: &'static Object) {
        if self.found.iter().any(|known| std::ptr::eq(*known, object)) {
            return;
        }
        self.found.push(object);
        let fields = object.fields.iter();
        for field in fields.filter(|field| field.need != Need::Later) {
            self.shape(&field.shape);
        }
    }

    fn shape(&mut self, shape: &'static Shape) {
        match shape {
            Shape::Object(object) => self.object(object),
            Shape::Keyed(kinds) => kinds.iter().for_each(|(_, object)| self.object(object)),
            Shape::List(inner)
            | Shape::ListOrNone(inner)
            | Shape::OneOrMany(inner)
            | Shape::Map(_, inner)
            | Shape::Single(_, inner) => self.shape(inner),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| self.shape(shape)),
            Shape::Defined(definition) => {
                if !self.seen.contains(&definition.key) {
                    self.seen.push(definition.key);
                    self.later.push(definition);
                }
            }
            Shape::Any
            | Shape::Text(_)
            | Shape::Bool
            | Shape::Integer(..)
            | Shape::Number(..)
            | Shape::Word(_) => {}
        }
    }
}

fn first_sentence(doc: &str) -> &str {
    doc.find(". ").map_or(doc, |end| &doc[..=end])
}

fn anchor(kind: Kind) -> &'static str {
    kind.word()
}

/// Writing to a `String` cannot fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all text");
    text.push('\n');
}
