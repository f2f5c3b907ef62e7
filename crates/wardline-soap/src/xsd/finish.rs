//! What only shows when all is known: what types inherit, what may stand for what, and by which
//! names a type's elements are known.

use ahash::AHashMap;

use super::{
    Complex, Content, ElementId, Field, Particle, SchemaError, Schemas, Term, Type, TypeId, Variety,
};

/// Types derived from types derived from types.
pub(crate) const LONGEST_CHAIN: usize = 64;
/// Lists of unions of lists.
const DEEPEST_SIMPLE: usize = 32;
/// Parts of all types, with what they inherit.
const MOST_INHERITED: usize = 1_000_000;

pub(super) fn finish(schemas: &mut Schemas) -> Result<(), SchemaError> {
    substitutes(schemas);
    for at in 0..schemas.types.len() {
        simple(schemas, TypeId(at), 0)?;
    }
    let mut particles = 0_usize;
    for at in 0..schemas.types.len() {
        let Type::Complex(complex) = &schemas.types[at] else {
            continue;
        };
        schemas.derived.extend(complex.base);
        if matches!(complex.content, Content::Anything) {
            continue;
        }
        let made = inherit(schemas, complex)?;
        // Types that inherit much from each other multiply.
        if let Content::Elements(particle) = &made.content {
            particles += count(particle);
        }
        particles += made.attributes.len();
        if particles > MOST_INHERITED {
            return Err(SchemaError::TooMuch(
                "a million parts of types, inherited ones included",
            ));
        }
        schemas.types[at] = Type::Complex(Box::new(made));
    }
    Ok(())
}

fn substitutes(schemas: &mut Schemas) {
    let mut all: AHashMap<ElementId, Vec<ElementId>> = AHashMap::new();
    for (at, declaration) in schemas.elements.iter().enumerate() {
        let mut head = declaration.head;
        let mut steps = 0;
        while let Some(id) = head {
            if !declaration.is_abstract && id.0 != at {
                all.entry(id).or_default().push(ElementId(at));
            }
            steps += 1;
            if steps > LONGEST_CHAIN {
                break;
            }
            head = schemas.elements[id.0].head;
        }
    }
    schemas.substitutes = all;
}

/// Whether a simple type ends somewhere, and in simple types.
fn simple(schemas: &Schemas, id: TypeId, depth: usize) -> Result<(), SchemaError> {
    let Type::Simple(this) = schemas.type_of(id) else {
        return if depth == 0 {
            Ok(())
        } else {
            Err(SchemaError::Wrong(
                "a simple type is made of a complex one".into(),
            ))
        };
    };
    if depth > DEEPEST_SIMPLE {
        return Err(SchemaError::Wrong(
            "simple types are made of each other".into(),
        ));
    }
    match &this.variety {
        Variety::Kind(_) => Ok(()),
        Variety::Of(inner) | Variety::List(inner) => simple(schemas, *inner, depth + 1),
        Variety::Union(members) => {
            if members.len() > 64 {
                return Err(SchemaError::TooMuch("64 members of a union"));
            }
            // Unions of unions multiply; two levels are more than anybody writes.
            members
                .iter()
                .try_for_each(|member| simple(schemas, *member, depth + DEEPEST_SIMPLE / 2))
        }
    }
}

fn count(particle: &Particle) -> usize {
    match &particle.term {
        Term::Element(_) | Term::Any(_) => 1,
        Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => {
            1 + parts.iter().map(count).sum::<usize>()
        }
    }
}

fn inherit(schemas: &Schemas, complex: &Complex) -> Result<Complex, SchemaError> {
    // From itself to what it is derived from, first.
    let mut chain: Vec<&Complex> = vec![complex];
    let mut value = complex.own_simple;
    let mut base = complex.base;
    let mut anything = false;
    while let Some(id) = base {
        if chain.len() > LONGEST_CHAIN {
            return Err(SchemaError::Wrong(
                "types are derived from each other".into(),
            ));
        }
        match schemas.type_of(id) {
            Type::Simple(_) => {
                value = Some(id);
                break;
            }
            Type::Complex(next) => {
                if matches!(next.content, Content::Anything) {
                    anything = true;
                    break;
                }
                value = next.own_simple.or(value);
                chain.push(next);
                base = next.base;
            }
        }
    }
    let mut made = complex.clone();
    let mut content: Vec<Particle> = Vec::new();
    made.attributes.clear();
    for part in chain.iter().rev() {
        if part.extends {
            made.any_attribute |= part.any_attribute;
            made.mixed |= part.mixed;
        } else {
            content.clear();
            made.any_attribute = part.any_attribute;
            made.mixed = part.mixed;
        }
        content.extend(part.own.clone());
        for attribute in &part.own_attributes {
            made.attributes.retain(|known| known.name != attribute.name);
            if !attribute.prohibited {
                made.attributes.push(attribute.clone());
            }
        }
    }
    made.content = match (value, content.len()) {
        (Some(id), _) if complex.own_simple.is_some() => match schemas.type_of(id) {
            Type::Simple(_) => Content::Simple(id),
            Type::Complex(_) => {
                return Err(SchemaError::Wrong(
                    "simple content has no simple base".into(),
                ));
            }
        },
        (_, 0) if anything && complex.extends => Content::Anything,
        (_, 0) => Content::Empty,
        (_, 1) => content.pop().map_or(Content::Empty, Content::Elements),
        _ => Content::Elements(Particle {
            min: 1,
            max: Some(1),
            term: Term::Sequence(content),
        }),
    };
    made.fields.clear();
    if let Content::Elements(particle) = &made.content {
        let mut fields = AHashMap::new();
        gather(schemas, particle, false, &mut fields)?;
        made.fields = fields;
    }
    Ok(made)
}

fn gather(
    schemas: &Schemas,
    particle: &Particle,
    repeated: bool,
    fields: &mut AHashMap<std::sync::Arc<str>, Field>,
) -> Result<(), SchemaError> {
    let repeated = repeated || particle.max != Some(1);
    match &particle.term {
        Term::Element(id) => {
            let none = Vec::new();
            let others = schemas.substitutes.get(id).unwrap_or(&none);
            for one in std::iter::once(id).chain(others) {
                let name = &schemas.declaration(*one).name;
                match fields.get_mut(&*name.local) {
                    None => {
                        fields.insert(
                            name.local.clone(),
                            Field {
                                element: *one,
                                repeated,
                            },
                        );
                    }
                    Some(known) if schemas.declaration(known.element).name == *name => {
                        known.repeated = true;
                    }
                    Some(_) => {
                        return Err(SchemaError::Unsupported(format!(
                            "a type with two elements {} of different namespaces",
                            name.local
                        )));
                    }
                }
            }
        }
        Term::Choice(inner) => {
            // In a choice the same name in two branches is still one.
            let mut all: AHashMap<std::sync::Arc<str>, Field> = AHashMap::new();
            for one in inner {
                let mut branch = AHashMap::new();
                gather(schemas, one, repeated, &mut branch)?;
                for (local, field) in branch {
                    let known = all.entry(local).or_insert(field);
                    known.repeated |= field.repeated;
                }
            }
            for (local, field) in all {
                match fields.get_mut(&local) {
                    Some(known) => known.repeated = true,
                    None => {
                        fields.insert(local, field);
                    }
                }
            }
        }
        Term::Sequence(inner) | Term::All(inner) => {
            for one in inner {
                gather(schemas, one, repeated, fields)?;
            }
        }
        Term::Any(_) => {}
    }
    Ok(())
}
