//! From JSON to XML.

use ahash::AHashMap;
use serde_json::Value;

use super::decode::{emptiable, wanted};
use super::{Path, TypeError, loose, shown, value};
use crate::xml::{Element, Name, Node, XSI};
use crate::xsd::{Complex, Content, Declaration, ElementId, Particle, Schemas, Term, Type, TypeId};

/// JSON within JSON.
const DEEPEST: usize = 128;

/// The element that is declared so, with a value.
///
/// # Errors
/// Where the value does not fit, and why.
pub fn encode(schemas: &Schemas, id: ElementId, value: &Value) -> Result<Element, TypeError> {
    let declaration = schemas.declaration(id);
    declared(
        schemas,
        declaration,
        value,
        &Path::root(&declaration.name.local),
        0,
    )
}

/// An element of a type under another name.
///
/// # Errors
/// Where the value does not fit, and why.
pub fn encode_as(
    schemas: &Schemas,
    name: Name,
    of: TypeId,
    value: &Value,
) -> Result<Element, TypeError> {
    let local = name.local.clone();
    let path = Path::root(&local);
    let mut element = Element::new(name);
    if value.is_null() {
        element.set(Name::new(XSI, "nil"), "true");
        return Ok(element);
    }
    fill(schemas, of, value, &mut element, &path, 0)?;
    Ok(element)
}

fn declared(
    schemas: &Schemas,
    declaration: &Declaration,
    value: &Value,
    path: &Path<'_>,
    depth: usize,
) -> Result<Element, TypeError> {
    let mut element = Element::new(declaration.name.clone());
    if value.is_null() {
        if !declaration.nillable {
            return Err(path.error("is null, and may not be nil"));
        }
        element.set(Name::new(XSI, "nil"), "true");
        return Ok(element);
    }
    fill(schemas, declaration.of, value, &mut element, path, depth)?;
    if declaration
        .fixed
        .as_ref()
        .is_some_and(|fixed| **fixed != *element.text())
    {
        return Err(path.error("is not the one value that it may have"));
    }
    Ok(element)
}

fn fill(
    schemas: &Schemas,
    of: TypeId,
    value: &Value,
    element: &mut Element,
    path: &Path<'_>,
    depth: usize,
) -> Result<(), TypeError> {
    if depth > DEEPEST {
        return Err(path.error("is nested too deep"));
    }
    let mut actual = of;
    if let Some(said) = value.get("@xsi:type").and_then(Value::as_str) {
        let name = written_name(said);
        actual = schemas
            .type_named(&name)
            .filter(|id| schemas.is_derived(*id, of))
            .ok_or_else(|| path.error("has an @xsi:type that cannot stand for its own"))?;
        let text = declare(element, &name);
        element.set(Name::new(XSI, "type"), text);
    }
    match schemas.type_of(actual) {
        Type::Simple(_) => {
            let value = if actual == of {
                value
            } else {
                value.get("$").unwrap_or(&Value::Null)
            };
            simple(schemas, actual, value, element, path)
        }
        Type::Complex(complex) => {
            if complex.is_abstract {
                return Err(path.error("is of an abstract type: say which by @xsi:type"));
            }
            complex_value(schemas, complex, value, element, path, depth)
        }
    }
}

/// `{namespace}name`.
fn written_name(text: &str) -> Name {
    match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((namespace, local)) => Name::new(namespace, local),
        None => Name::new("", text),
    }
}

/// Declares a prefix for a name that stands in a value, and gives the value.
pub(crate) fn declare(element: &mut Element, name: &Name) -> String {
    if name.namespace.is_empty() {
        return name.local.to_string();
    }
    let prefix = format!("q{}", element.scope.declared.len());
    let mut declared = element.scope.declared.clone();
    declared.push((prefix.as_str().into(), name.namespace.clone()));
    element.scope = std::sync::Arc::new(crate::xml::Scope {
        count: declared.len(),
        declared,
        parent: None,
    });
    format!("{prefix}:{}", name.local)
}

fn simple(
    schemas: &Schemas,
    of: TypeId,
    value: &Value,
    element: &mut Element,
    path: &Path<'_>,
) -> Result<(), TypeError> {
    let mut text = value::encode(schemas, of, value, path)?;
    if value::is_name(schemas, of) && text.starts_with('{') {
        let name = written_name(&text);
        text = declare(element, &name);
    }
    element.is_base64 = value::is_base64(schemas, of);
    if !text.is_empty() {
        element.children.push(Node::Text(text));
    }
    Ok(())
}

fn complex_value(
    schemas: &Schemas,
    complex: &Complex,
    value: &Value,
    element: &mut Element,
    path: &Path<'_>,
    depth: usize,
) -> Result<(), TypeError> {
    if matches!(complex.content, Content::Anything) {
        let namespace = element.name.namespace.clone();
        return loose::fill(element, &namespace, value, path);
    }
    let Value::Object(object) = value else {
        // A value without its attributes, where none of them must be there.
        if let Content::Simple(of) = complex.content
            && !complex.attributes.iter().any(|known| known.required)
        {
            return simple(schemas, of, value, element, path);
        }
        return Err(path.error("is not an object"));
    };
    let mut given: AHashMap<&str, Given<'_>> = AHashMap::with_capacity(object.len());
    for (key, value) in object {
        if key == "@xsi:type" {
            continue;
        }
        if let Some(name) = key.strip_prefix('@') {
            let known = complex
                .attributes
                .iter()
                .find(|known| &*known.name.local == name);
            let inner = path.down(key, None);
            match known {
                Some(_) if value.is_null() => {}
                Some(known) => {
                    let text = value::encode(schemas, known.of, value, &inner)?;
                    if known.fixed.as_ref().is_some_and(|fixed| **fixed != *text) {
                        return Err(inner.error("is not the one value that it may have"));
                    }
                    element.set(known.name.clone(), text);
                }
                None if complex.any_attribute && crate::xml::is_name(name) => {
                    let text = match value {
                        Value::String(text) => text.clone(),
                        Value::Bool(_) | Value::Number(_) => value.to_string(),
                        Value::Null => continue,
                        Value::Array(_) | Value::Object(_) => {
                            return Err(inner.error("is no value that an attribute can hold"));
                        }
                    };
                    element.set(Name::new("", name), text);
                }
                None => return Err(inner.error("is not an attribute that is declared")),
            }
            continue;
        }
        if key == "$" {
            match (&complex.content, value) {
                (Content::Simple(of), _) => simple(schemas, *of, value, element, path)?,
                (_, Value::String(text)) if complex.mixed => {
                    element.children.push(Node::Text(text.clone()));
                }
                _ => return Err(path.error("holds no text")),
            }
            continue;
        }
        // A list type is one value that is a list.
        let one = complex
            .fields
            .get(key.as_str())
            .is_some_and(|field| !field.repeated);
        let all = match value {
            Value::Array(all) if !one => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        given.insert(
            key.as_str(),
            Given {
                all,
                next: 0,
                listed: value.is_array() && !one,
            },
        );
    }
    for known in complex.attributes.iter().filter(|known| known.required) {
        let there = element
            .attribute_of(&known.name.namespace, &known.name.local)
            .is_some();
        if !there {
            return Err(path.error(format!("lacks its attribute @{}", known.name.local)));
        }
    }
    let mut writer = Writer {
        schemas,
        complex,
        given,
        element,
        depth,
    };
    if let Content::Elements(particle) = &complex.content {
        writer.particle(particle, path)?;
    }
    // An optional element that is null is not there.
    let not_there = |key: &str, given: &Given<'_>| {
        given.all[given.next].is_null() && !given.listed && complex.fields.contains_key(key)
    };
    let left = writer
        .given
        .iter()
        .filter(|(key, given)| given.next < given.all.len() && !not_there(key, given))
        .min_by_key(|(key, _)| **key);
    match left {
        Some((key, _)) if complex.fields.contains_key(*key) => Err(path
            .down(key, None)
            .error("occurs more often, or together with others, than its type allows")),
        Some((key, _)) => {
            Err(path.error(format!("has {}, which is not declared there", shown(key))))
        }
        None => Ok(()),
    }
}

/// The values of one key that have not been written.
struct Given<'a> {
    all: &'a [Value],
    next: usize,
    listed: bool,
}

struct Writer<'a, 'e> {
    schemas: &'a Schemas,
    complex: &'a Complex,
    given: AHashMap<&'a str, Given<'a>>,
    element: &'e mut Element,
    depth: usize,
}

impl<'a> Writer<'a, '_> {
    fn particle(&mut self, particle: &Particle, path: &Path<'_>) -> Result<(), TypeError> {
        let mut times = 0_u32;
        while particle.max.is_none_or(|max| times < max) && self.has(&particle.term) {
            let before = self.element.children.len();
            self.term(&particle.term, path)?;
            if self.element.children.len() == before {
                break;
            }
            times += 1;
        }
        if times < particle.min && !emptiable(&particle.term) {
            return Err(path.error(format!("lacks {}", wanted(self.schemas, &particle.term))));
        }
        Ok(())
    }

    /// Whether anything that begins here is left.
    fn has(&self, term: &Term) -> bool {
        match term {
            Term::Element(asked) => self.next(*asked).is_some(),
            Term::Any(_) => self.other().is_some(),
            Term::Choice(parts) | Term::All(parts) | Term::Sequence(parts) => {
                parts.iter().any(|part| self.has(&part.term))
            }
        }
    }

    /// The element that comes next where one is asked for, and its value.
    fn next(&self, asked: ElementId) -> Option<(ElementId, &'a Value)> {
        let none = Vec::new();
        let others = self.schemas.substitutes.get(&asked).unwrap_or(&none);
        for id in std::iter::once(&asked).chain(others) {
            let declaration = self.schemas.declaration(*id);
            let Some(given) = self.given.get(&*declaration.name.local) else {
                continue;
            };
            if declaration.is_abstract {
                continue;
            }
            match given.all.get(given.next) {
                None => {}
                Some(Value::Null) if !declaration.nillable => {}
                Some(value) => return Some((*id, value)),
            }
        }
        None
    }

    /// A value whose key no element of the type has, for a place where anything may stand.
    fn other(&self) -> Option<(&'a str, &'a Value)> {
        self.given
            .iter()
            .filter(|(key, _)| !self.complex.fields.contains_key(**key))
            .filter_map(|(key, given)| given.all.get(given.next).map(|value| (*key, value)))
            .min_by_key(|(key, _)| *key)
    }

    fn take(&mut self, key: &str) {
        if let Some(given) = self.given.get_mut(key) {
            given.next += 1;
        }
    }

    fn term(&mut self, term: &Term, path: &Path<'_>) -> Result<(), TypeError> {
        match term {
            Term::Element(asked) => {
                let Some((id, value)) = self.next(*asked) else {
                    return Ok(());
                };
                let declaration = self.schemas.declaration(id);
                let local = &*declaration.name.local;
                let index = self
                    .given
                    .get(local)
                    .and_then(|given| given.listed.then_some(given.next));
                let inner = path.down(local, index);
                let child = declared(self.schemas, declaration, value, &inner, self.depth + 1)?;
                self.element.children.push(Node::Element(child));
                self.take(local);
                Ok(())
            }
            Term::Any(wildcard) => {
                let Some((key, value)) = self.other() else {
                    return Ok(());
                };
                // An element that is declared globally is written as that, where its name says
                // which it is.
                let mut known = self
                    .schemas
                    .elements()
                    .filter(|(name, _)| *name.local == *key && wildcard.takes(&name.namespace));
                let inner = path.down(key, None);
                let child = match (known.next(), known.next()) {
                    (Some((_, id)), None) if value.get("@xmlns").is_none() => {
                        let declaration = self.schemas.declaration(id);
                        declared(self.schemas, declaration, value, &inner, self.depth + 1)?
                    }
                    _ => loose::encode(key, "", value, &inner)?,
                };
                if !wildcard.takes(&child.name.namespace) {
                    return Err(inner.error("is of a namespace that may not stand there"));
                }
                self.element.children.push(Node::Element(child));
                self.take(key);
                Ok(())
            }
            Term::Sequence(parts) | Term::All(parts) => {
                parts.iter().try_for_each(|part| self.particle(part, path))
            }
            Term::Choice(parts) => match parts.iter().find(|part| self.has(&part.term)) {
                Some(part) => self.particle(part, path),
                None => Ok(()),
            },
        }
    }
}
