//! What is known of a value before there is one: which members an object of a type has. It is for
//! those who check names before anything runs, and goes no deeper than it is asked.

use ahash::AHashSet;

use super::value::{Shape, shape};
use crate::xsd::{Content, ElementId, Kind, Particle, Schemas, Term, Type, TypeId};

/// What a value will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Text.
    Text,
    /// A whole number that fits 64 bits.
    Whole,
    /// A whole number; text where it does not fit 64 bits.
    Large,
    /// A number with a fraction; text where it is none that JSON has.
    Float,
    /// `true` or `false`.
    Truth,
    /// A list of such.
    List(Box<Self>),
    /// An object with these [`members`].
    Object(TypeId),
    /// Whatever.
    Anything,
}

/// Something that an object may have.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its key.
    pub name: String,
    /// What it will be.
    pub known: Known,
    /// Whether it is always there.
    pub always: bool,
    /// Whether it may be null.
    pub null: bool,
}

/// What an object has.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// All that are declared.
    pub all: Vec<Member>,
    /// Whether there may be others.
    pub open: bool,
}

/// What the value of an element will be.
pub fn known(schemas: &Schemas, id: ElementId) -> Known {
    of_type(schemas, schemas.declaration(id).of)
}

fn of_type(schemas: &Schemas, of: TypeId) -> Known {
    match schemas.type_of(of) {
        Type::Complex(complex) if matches!(complex.content, Content::Anything) => Known::Anything,
        Type::Complex(_) => Known::Object(of),
        Type::Simple(_) => simple(schemas, of),
    }
}

fn simple(schemas: &Schemas, of: TypeId) -> Known {
    match shape(schemas, of) {
        Shape::One(Kind::Boolean) => Known::Truth,
        Shape::One(Kind::Float) => Known::Float,
        Shape::One(Kind::Integer(Some(low), Some(high)))
            if low >= i128::from(i64::MIN) && high <= i128::from(i64::MAX) =>
        {
            Known::Whole
        }
        Shape::One(Kind::Integer(..)) => Known::Large,
        Shape::List(item) => Known::List(Box::new(simple(schemas, item))),
        Shape::One(_) | Shape::Union => Known::Text,
    }
}

/// The members of an object of a type.
pub fn members(schemas: &Schemas, of: TypeId) -> Members {
    let mut found = Members::default();
    let Type::Complex(complex) = schemas.type_of(of) else {
        return found;
    };
    let text = |name: &str, known, always| Member {
        name: name.to_owned(),
        known,
        always,
        null: false,
    };
    for attribute in &complex.attributes {
        let name = format!("@{}", attribute.name.local);
        let known = simple(schemas, attribute.of);
        found.all.push(text(&name, known, attribute.required));
    }
    found.open = complex.any_attribute;
    // Another type may stand for it, with other members, and says so.
    if schemas.has_derived(of) {
        found.open = true;
        found.all.push(text("@xsi:type", Known::Text, false));
    }
    match &complex.content {
        Content::Simple(inner) => found.all.push(text("$", simple(schemas, *inner), true)),
        Content::Anything => found.open = true,
        Content::Empty | Content::Elements(_) if complex.mixed => {
            found.all.push(text("$", Known::Text, false));
        }
        Content::Empty | Content::Elements(_) => {}
    }
    if let Content::Elements(particle) = &complex.content {
        found.open |= has_any(particle);
        let mut always = AHashSet::new();
        certain(schemas, particle, &mut always);
        let mut fields: Vec<_> = complex.fields.values().collect();
        fields.sort_unstable_by_key(|field| field.element.0);
        for field in fields {
            let declaration = schemas.declaration(field.element);
            let one = of_type(schemas, declaration.of);
            found.all.push(Member {
                name: declaration.name.local.to_string(),
                always: always.contains(&field.element),
                null: declaration.nillable && !field.repeated,
                known: match field.repeated {
                    // An element of a list may be null.
                    true if declaration.nillable => Known::List(Box::new(Known::Anything)),
                    true => Known::List(Box::new(one)),
                    false => one,
                },
            });
        }
    }
    found
}

fn has_any(particle: &Particle) -> bool {
    match &particle.term {
        Term::Any(_) => true,
        Term::Element(_) => false,
        Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => parts.iter().any(has_any),
    }
}

/// Elements without which nothing fits.
fn certain(schemas: &Schemas, particle: &Particle, found: &mut AHashSet<ElementId>) {
    if particle.min == 0 {
        return;
    }
    match &particle.term {
        Term::Element(id) if !schemas.substitutes.contains_key(id) => {
            found.insert(*id);
        }
        Term::Sequence(parts) | Term::All(parts) => {
            for part in parts {
                certain(schemas, part, found);
            }
        }
        Term::Element(_) | Term::Choice(_) | Term::Any(_) => {}
    }
}
