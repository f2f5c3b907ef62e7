//! From XML to JSON.

use serde_json::{Map, Value};

use super::{Path, TypeError, loose, shown, value};
use crate::xml::{Element, XML, XSI};
use crate::xsd::{Complex, Content, Declaration, ElementId, Particle, Schemas, Term, Type, TypeId};

/// The value of an element that is declared so.
///
/// # Errors
/// Where it does not fit, and why.
pub fn decode(schemas: &Schemas, id: ElementId, element: &Element) -> Result<Value, TypeError> {
    let declaration = schemas.declaration(id);
    let path = Path::root(&declaration.name.local);
    if element.name != declaration.name {
        return Err(path.error(format!("is expected, and there is {}", element.name)));
    }
    declared(schemas, declaration, element, &path)
}

/// The value of an element of a type, whatever it is called.
pub(crate) fn decode_as(
    schemas: &Schemas,
    of: TypeId,
    element: &Element,
) -> Result<Value, TypeError> {
    let path = Path::root(&element.name.local);
    if element.is_nil() {
        return Ok(Value::Null);
    }
    typed(schemas, of, element, None, &path)
}

fn declared(
    schemas: &Schemas,
    declaration: &Declaration,
    element: &Element,
    path: &Path<'_>,
) -> Result<Value, TypeError> {
    if element.is_nil() {
        if !declaration.nillable {
            return Err(path.error("may not be nil"));
        }
        if element.elements().next().is_some() || element.has_text() {
            return Err(path.error("is nil and has a value"));
        }
        return Ok(Value::Null);
    }
    typed(schemas, declaration.of, element, Some(declaration), path)
}

fn typed(
    schemas: &Schemas,
    of: TypeId,
    element: &Element,
    declaration: Option<&Declaration>,
    path: &Path<'_>,
) -> Result<Value, TypeError> {
    let mut actual = of;
    let mut said = None;
    if let Some(written) = element.attribute_of(XSI, "type") {
        let name = element
            .resolve(written)
            .ok_or_else(|| path.error("has an xsi:type that is no name"))?;
        actual = schemas
            .type_named(&name)
            .filter(|id| schemas.is_derived(*id, of))
            .ok_or_else(|| path.error("has an xsi:type that cannot stand for its own"))?;
        if actual != of {
            said = Some(name.to_string());
        }
    }
    match schemas.type_of(actual) {
        Type::Simple(_) => {
            if element.elements().next().is_some() {
                return Err(path.error("holds elements where a value is expected"));
            }
            if let Some(other) = element
                .attributes
                .iter()
                .find(|attribute| &*attribute.name.namespace != XSI)
            {
                return Err(path.error(format!(
                    "has an attribute {} that is not declared",
                    shown(&other.name.local)
                )));
            }
            let value = text(schemas, actual, element, declaration, path)?;
            Ok(match said {
                Some(said) => Value::Object(Map::from_iter([
                    ("@xsi:type".to_owned(), said.into()),
                    ("$".to_owned(), value),
                ])),
                None => value,
            })
        }
        Type::Complex(complex) => {
            if complex.is_abstract {
                return Err(path.error("is of an abstract type and does not say which it is"));
            }
            if matches!(complex.content, Content::Anything) {
                return Ok(loose::decode(element, &element.name.namespace));
            }
            let mut object = Map::new();
            if let Some(said) = said {
                object.insert("@xsi:type".into(), said.into());
            }
            attributes(schemas, complex, element, path, &mut object)?;
            content(schemas, complex, element, declaration, path, &mut object)?;
            Ok(Value::Object(object))
        }
    }
}

fn text(
    schemas: &Schemas,
    of: TypeId,
    element: &Element,
    declaration: Option<&Declaration>,
    path: &Path<'_>,
) -> Result<Value, TypeError> {
    let mut text = element.text();
    if let Some(declaration) = declaration {
        if text.is_empty()
            && let Some(default) = declaration.default.as_ref().or(declaration.fixed.as_ref())
        {
            text = default.to_string();
        }
        if declaration
            .fixed
            .as_ref()
            .is_some_and(|fixed| **fixed != *text)
        {
            return Err(path.error("is not the one value that it may have"));
        }
    }
    value::decode(schemas, of, &text, element, path)
}

fn attributes(
    schemas: &Schemas,
    complex: &Complex,
    element: &Element,
    path: &Path<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), TypeError> {
    for attribute in &element.attributes {
        if &*attribute.name.namespace == XSI {
            continue;
        }
        let local = &attribute.name.local;
        let key = format!("@{local}");
        match complex
            .attributes
            .iter()
            .find(|known| known.name == attribute.name)
        {
            Some(known) => {
                let value = value::decode(
                    schemas,
                    known.of,
                    &attribute.value,
                    element,
                    &path.down(&key, None),
                )?;
                if known
                    .fixed
                    .as_ref()
                    .is_some_and(|fixed| **fixed != *attribute.value)
                {
                    return Err(path
                        .down(&key, None)
                        .error("is not the one value that it may have"));
                }
                object.insert(key, value);
            }
            None if complex.any_attribute || &*attribute.name.namespace == XML => {
                object
                    .entry(key)
                    .or_insert_with(|| attribute.value.as_str().into());
            }
            None => {
                return Err(path.error(format!(
                    "has an attribute {} that is not declared",
                    shown(local)
                )));
            }
        }
    }
    for known in complex.attributes.iter().filter(|known| known.required) {
        if element
            .attribute_of(&known.name.namespace, &known.name.local)
            .is_none()
        {
            return Err(path.error(format!("lacks its attribute {}", known.name.local)));
        }
    }
    Ok(())
}

fn content(
    schemas: &Schemas,
    complex: &Complex,
    element: &Element,
    declaration: Option<&Declaration>,
    path: &Path<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), TypeError> {
    if let Content::Simple(of) = &complex.content {
        if element.elements().next().is_some() {
            return Err(path.error("holds elements where a value is expected"));
        }
        let value = text(schemas, *of, element, declaration, path)?;
        object.insert("$".into(), value);
        return Ok(());
    }
    if element.has_text() {
        if !complex.mixed {
            return Err(path.error("holds text where elements are expected"));
        }
        object.insert("$".into(), element.text().into());
    }
    let children: Vec<&Element> = element.elements().collect();
    let mut reader = Reader {
        schemas,
        complex,
        children: &children,
        at: 0,
        object,
    };
    if let Content::Elements(particle) = &complex.content {
        reader.particle(particle, path)?;
    }
    if let Some(next) = children.get(reader.at) {
        return Err(path.error(format!(
            "holds an element {} that does not belong there",
            shown(&next.name.local)
        )));
    }
    Ok(())
}

struct Reader<'a, 'o> {
    schemas: &'a Schemas,
    complex: &'a Complex,
    children: &'a [&'a Element],
    at: usize,
    object: &'o mut Map<String, Value>,
}

impl Reader<'_, '_> {
    fn particle(&mut self, particle: &Particle, path: &Path<'_>) -> Result<(), TypeError> {
        let mut times = 0_u32;
        while particle.max.is_none_or(|max| times < max) {
            let Some(next) = self.children.get(self.at) else {
                break;
            };
            if !starts(self.schemas, &particle.term, next) {
                break;
            }
            let before = self.at;
            self.term(&particle.term, path)?;
            times += 1;
            if self.at == before {
                break;
            }
        }
        if times < particle.min && !emptiable(&particle.term) {
            return Err(path.error(format!("lacks {}", wanted(self.schemas, &particle.term))));
        }
        Ok(())
    }

    fn term(&mut self, term: &Term, path: &Path<'_>) -> Result<(), TypeError> {
        match term {
            Term::Element(asked) => self.element(*asked, path),
            Term::Any(_) => {
                let child = self.children[self.at];
                self.at += 1;
                let value = match self.schemas.element(&child.name) {
                    Some(id) => {
                        let path = path.down(&child.name.local, None);
                        declared(self.schemas, self.schemas.declaration(id), child, &path)?
                    }
                    None => loose::decode(child, ""),
                };
                loose::add(self.object, &child.name.local, value);
                Ok(())
            }
            Term::Sequence(parts) => parts.iter().try_for_each(|part| self.particle(part, path)),
            Term::Choice(parts) => {
                let next = self.children[self.at];
                let chosen = parts
                    .iter()
                    .find(|part| starts(self.schemas, &part.term, next));
                match chosen {
                    Some(part) => self.particle(part, path),
                    None => Ok(()),
                }
            }
            Term::All(parts) => {
                let mut done = vec![false; parts.len()];
                while let Some(next) = self.children.get(self.at) {
                    let found = parts
                        .iter()
                        .position(|part| starts(self.schemas, &part.term, next));
                    match found {
                        Some(index) if !done[index] => {
                            done[index] = true;
                            self.particle(&parts[index], path)?;
                        }
                        _ => break,
                    }
                }
                for (part, done) in parts.iter().zip(done) {
                    if !done && part.min > 0 && !emptiable(&part.term) {
                        return Err(
                            path.error(format!("lacks {}", wanted(self.schemas, &part.term)))
                        );
                    }
                }
                Ok(())
            }
        }
    }

    fn element(&mut self, asked: ElementId, path: &Path<'_>) -> Result<(), TypeError> {
        let child = self.children[self.at];
        self.at += 1;
        let Some(id) = self.schemas.stands_for(asked, &child.name) else {
            return Err(path.error("holds an element that does not belong there"));
        };
        let local = &child.name.local;
        let repeated = self
            .complex
            .fields
            .get(local)
            .is_some_and(|field| field.repeated);
        let index = match self.object.get(&**local) {
            Some(Value::Array(all)) if repeated => Some(all.len()),
            _ => repeated.then_some(0),
        };
        let inner = path.down(local, index);
        let value = declared(self.schemas, self.schemas.declaration(id), child, &inner)?;
        if !repeated {
            self.object.insert(local.to_string(), value);
            return Ok(());
        }
        let list = self
            .object
            .entry(local.to_string())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value);
        }
        Ok(())
    }
}

fn starts(schemas: &Schemas, term: &Term, next: &Element) -> bool {
    match term {
        Term::Element(asked) => schemas.stands_for(*asked, &next.name).is_some(),
        Term::Any(wildcard) => wildcard.takes(&next.name.namespace),
        Term::Choice(parts) | Term::All(parts) => {
            parts.iter().any(|part| starts(schemas, &part.term, next))
        }
        Term::Sequence(parts) => {
            for part in parts {
                if starts(schemas, &part.term, next) {
                    return true;
                }
                if part.min > 0 && !emptiable(&part.term) {
                    return false;
                }
            }
            false
        }
    }
}

pub(crate) fn emptiable(term: &Term) -> bool {
    let part = |part: &Particle| part.min == 0 || emptiable(&part.term);
    match term {
        Term::Element(_) | Term::Any(_) => false,
        Term::Sequence(parts) | Term::All(parts) => parts.iter().all(part),
        Term::Choice(parts) => parts.is_empty() || parts.iter().any(part),
    }
}

/// What is missing, for people.
pub(crate) fn wanted(schemas: &Schemas, term: &Term) -> String {
    match term {
        Term::Element(id) => schemas.declaration(*id).name.local.to_string(),
        Term::Any(_) => "an element".into(),
        Term::Choice(parts) => {
            let all: Vec<String> = parts
                .iter()
                .take(6)
                .map(|part| wanted(schemas, &part.term))
                .collect();
            format!("one of {}", all.join(", "))
        }
        Term::Sequence(parts) | Term::All(parts) => parts
            .iter()
            .find(|part| part.min > 0)
            .or(parts.first())
            .map_or_else(|| "elements".into(), |part| wanted(schemas, &part.term)),
    }
}
