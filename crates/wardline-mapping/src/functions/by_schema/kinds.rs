//! What VRL knows of a value that was read by a schema, and what a schema says against one that is
//! to be written, before there is a value.

use std::collections::BTreeMap;

use vrl::value::Kind;
use vrl::value::kind::Collection;
use wardline_soap::typed::{Known, known, members};
use wardline_soap::xsd::{ElementId, Schemas};

use crate::problem::nearest;

/// How deep types are followed in reading; below, an object is known to be one, and no more. VRL
/// copies types for each expression. The depth is the same for a small schema and for the large one
/// that it is a part of, so that a map compiles by both.
const READ: usize = 2;
/// Types of one value, beyond which they are followed less deep.
const MOST: usize = 4_000;
/// How deep values that are written are followed; types that hold themselves would have no end.
const DEEPEST: usize = 64;

/// The kind of the value of an element.
pub(super) fn of(schemas: &Schemas, root: ElementId) -> Kind {
    let shape = known(schemas, root);
    let mut made = (0..=READ)
        .rev()
        .find_map(|depth| kind(schemas, &shape, depth, &mut { MOST }))
        .unwrap_or_else(Kind::json);
    if schemas.declaration(root).nillable {
        made = made.or_null();
    }
    made
}

/// `None` where it would be too large.
fn kind(schemas: &Schemas, shape: &Known, depth: usize, left: &mut usize) -> Option<Kind> {
    *left = left.checked_sub(1)?;
    Some(match shape {
        Known::Text => Kind::bytes(),
        Known::Whole => Kind::integer(),
        Known::Large => Kind::integer().or_bytes(),
        Known::Float => Kind::float().or_bytes(),
        Known::Truth => Kind::boolean(),
        Known::Anything => Kind::json(),
        Known::List(inner) => {
            Kind::array(Collection::from_unknown(kind(schemas, inner, depth, left)?))
        }
        Known::Object(_) if depth == 0 => Kind::object(Collection::json()),
        Known::Object(of) => {
            let all = members(schemas, *of);
            let mut fields = BTreeMap::new();
            for member in &all.all {
                let mut field = kind(schemas, &member.known, depth - 1, left)?;
                if member.null {
                    field = field.or_null();
                }
                if !member.always {
                    field = field.or_undefined();
                }
                fields.insert(member.name.as_str().into(), field);
            }
            let rest = if all.open {
                Kind::json().or_undefined()
            } else {
                Kind::undefined()
            };
            Kind::object(Collection::from_parts(fields, rest))
        }
    })
}

/// What a schema has against a value.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) label: &'static str,
    /// The name that it is about.
    pub(super) about: String,
    pub(super) help: Option<String>,
}

/// Holds the members that a value is known to have against an element's type.
pub(super) fn fits(schemas: &Schemas, root: ElementId, kind: &Kind) -> Result<(), Fault> {
    let at = schemas.declaration(root).name.local.to_string();
    held(schemas, &known(schemas, root), kind, &at, DEEPEST)
}

fn held(
    schemas: &Schemas,
    shape: &Known,
    kind: &Kind,
    at: &str,
    depth: usize,
) -> Result<(), Fault> {
    let of = match shape {
        _ if depth == 0 => return Ok(()),
        Known::List(inner) => {
            // One value stands for a list of one.
            if let Some(items) = kind.as_array() {
                for item in items.known().values() {
                    held(schemas, inner, item, at, depth - 1)?;
                }
                let others = items.unknown_kind();
                return held(schemas, inner, &others, at, depth - 1);
            }
            return held(schemas, inner, kind, at, depth - 1);
        }
        Known::Object(of) => *of,
        _ => return Ok(()),
    };
    let Some(object) = kind.as_object() else {
        return Ok(());
    };
    let all = members(schemas, of);
    for (name, field) in object.known() {
        let name = name.as_str();
        if field.is_undefined() || name == "@xsi:type" {
            continue;
        }
        match all.all.iter().find(|member| member.name == name) {
            Some(member) => {
                let inner = format!("{at}/{name}");
                held(schemas, &member.known, field, &inner, depth - 1)?;
            }
            None if all.open => {}
            None => {
                let names = all.all.iter().map(|member| member.name.as_str());
                return Err(Fault {
                    message: format!("{at} has no member {name:?}, so it cannot be written"),
                    label: "not in the schema",
                    about: name.to_owned(),
                    help: nearest(name, names).map(|near| format!("did you mean {near:?}?")),
                });
            }
        }
    }
    // What is not known to be there may come from elsewhere, unless nothing else can.
    let closed = kind.is_object() && !object.unknown_kind().contains_any_defined();
    let lacks = all.all.iter().find(|member| {
        member.always
            && object
                .known()
                .get(&member.name.as_str().into())
                .is_none_or(Kind::is_undefined)
    });
    match lacks.filter(|_| closed && !object.known().contains_key(&"@xsi:type".into())) {
        Some(member) => Err(Fault {
            message: format!("{at} lacks {:?}, which its schema requires", member.name),
            label: "never there",
            about: String::new(),
            help: Some(format!("add {:?}", member.name)),
        }),
        None => Ok(()),
    }
}
