//! The official definitions of R4, as `definitions/r4.txt` says them: what types there are, what
//! elements they have, and which codes are allowed where a binding is required.
//!
//! Read once, at the first use; afterwards a check is a walk over tables without a name being
//! built. A name of an element leads to everything that may stand under it: `value[x]` is in the
//! table as `valueString`, `valueQuantity` and so on, and `_birthDate` as what accompanies a primitive.

use std::sync::LazyLock;

use ahash::AHashMap;

use crate::primitive::Primitive;

static TEXT: &str = include_str!("../definitions/r4.txt");
static R4: LazyLock<Definitions> = LazyLock::new(|| Definitions::read(TEXT));

/// Where a type stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeId(u32);

/// What an element's value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A primitive.
    Primitive(Primitive),
    /// An object of a type.
    Object(TypeId),
    /// A whole resource, of any type.
    Resource,
    /// What accompanies a primitive: an id and extensions.
    Beside,
}

/// What may stand under one name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The element in [`Type::elements`] that it is.
    pub(crate) element: u16,
    pub(crate) kind: Kind,
    /// Types that a reference may lead to; empty for all.
    pub(crate) targets: &'static str,
}

/// One element of a type, whatever the type of its value.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) many: bool,
    /// Whether its name depends on the type of its value.
    pub(crate) choice: bool,
    /// The value set that its codes are of.
    pub(crate) set: Option<u32>,
}

/// A resource, a datatype, or a part of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) resource: bool,
    pub(crate) elements: Vec<Element>,
    pub(crate) slots: AHashMap<String, Slot>,
}

/// The codes of a value set, by system.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodeSet {
    pub(crate) name: &'static str,
    codes: Vec<(&'static str, Vec<&'static str>)>,
}

impl CodeSet {
    /// Whether a code is in it; without a system, of any of its systems.
    pub(crate) fn holds(&self, system: Option<&str>, code: &str) -> bool {
        self.codes
            .iter()
            .any(|(of, codes)| system.is_none_or(|system| system == *of) && codes.contains(&code))
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    types: Vec<Type>,
    names: AHashMap<&'static str, TypeId>,
    sets: Vec<CodeSet>,
}

/// A line of an element, before types are known by number.
struct Line<'a> {
    name: &'a str,
    cardinality: &'a str,
    types: &'a str,
    set: Option<&'a str>,
}

impl Definitions {
    /// Those of R4 (4.0.1).
    pub(crate) fn r4() -> &'static Self {
        &R4
    }

    pub(crate) fn of(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    pub(crate) fn set(&self, set: u32) -> &CodeSet {
        &self.sets[set as usize]
    }

    /// A resource by the name in `resourceType`.
    pub(crate) fn resource(&self, name: &str) -> Option<TypeId> {
        let id = *self.names.get(name)?;
        self.of(id).resource.then_some(id)
    }

    /// Names of all resources.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &'static str> {
        self.types
            .iter()
            .filter(|one| one.resource)
            .map(|one| one.name)
    }

    fn read(text: &'static str) -> Self {
        let mut all = Self::default();
        let mut sets: AHashMap<&str, u32> = AHashMap::new();
        let mut bases: AHashMap<&str, &str> = AHashMap::new();
        let mut lines: Vec<Vec<&'static str>> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('=') {
                sets.insert(name, all.sets.len() as u32);
                all.sets.push(CodeSet {
                    name,
                    codes: Vec::new(),
                });
            } else if let Some(codes) = line.strip_prefix("  ") {
                let mut words = codes.split(' ');
                let system = words.next().unwrap_or_default();
                if let Some(set) = all.sets.last_mut() {
                    set.codes.push((system, words.collect()));
                }
            } else if let Some(element) = line.strip_prefix(' ') {
                if let Some(of) = lines.last_mut() {
                    of.push(element);
                }
            } else {
                let mut words = line.split(' ');
                let (Some(name), Some(base)) = (words.next(), words.next()) else {
                    continue;
                };
                let resource = words.next() == Some("resource") && words.next().is_none();
                all.names.insert(name, TypeId(all.types.len() as u32));
                bases.insert(name, base);
                lines.push(Vec::new());
                all.types.push(Type {
                    name,
                    resource,
                    ..Type::default()
                });
            }
        }
        for n in 0..all.types.len() {
            let mut built = std::mem::take(&mut all.types[n]);
            let mut chain = vec![n];
            let mut base = bases.get(built.name).copied().unwrap_or_default();
            while let Some(id) = all.names.get(base) {
                chain.push(id.0 as usize);
                base = bases.get(base).copied().unwrap_or_default();
            }
            for place in chain.into_iter().rev() {
                for line in &lines[place] {
                    if let Some(line) = split(line) {
                        all.add(&mut built, &line, &sets);
                    }
                }
            }
            all.types[n] = built;
        }
        all
    }

    fn add(&self, to: &mut Type, line: &Line<'static>, sets: &AHashMap<&str, u32>) {
        let element = to.elements.len() as u16;
        let (name, choice) = match line.name.strip_suffix("[x]") {
            Some(name) => (name, true),
            None => (line.name, false),
        };
        // A type may say more closely what it inherits.
        if to.elements.iter().any(|known| known.name == name) {
            return;
        }
        to.elements.push(Element {
            name,
            required: line.cardinality.starts_with('1'),
            many: !line.cardinality.ends_with('1'),
            choice,
            set: line.set.and_then(|set| sets.get(set)).copied(),
        });
        for one in line.types.split('|') {
            let (of, targets) = match one.split_once('(') {
                Some((of, targets)) => (of, targets.trim_end_matches(')')),
                None => (one, ""),
            };
            let Some(kind) = self.kind(of) else { continue };
            let spelt = if choice {
                let mut letters = of.chars();
                let first = letters.next().unwrap_or_default().to_ascii_uppercase();
                format!("{name}{first}{}", letters.as_str())
            } else {
                name.to_owned()
            };
            if matches!(kind, Kind::Primitive(primitive) if primitive != Primitive::Xhtml) {
                let beside = Slot {
                    element,
                    kind: Kind::Beside,
                    targets: "",
                };
                to.slots.insert(format!("_{spelt}"), beside);
            }
            to.slots.insert(
                spelt,
                Slot {
                    element,
                    kind,
                    targets,
                },
            );
        }
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        if name == "Resource" {
            return Some(Kind::Resource);
        }
        if let Some(primitive) = Primitive::named(name) {
            return Some(Kind::Primitive(primitive));
        }
        let id = self.names.get(name.trim_start_matches('@'))?;
        Some(Kind::Object(*id))
    }

    /// A datatype by its name.
    pub(crate) fn datatype(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied()
    }
}

fn split(line: &'static str) -> Option<Line<'static>> {
    let mut words = line.split(' ');
    Some(Line {
        name: words.next()?,
        cardinality: words.next()?,
        types: words.next()?,
        set: words.next().and_then(|word| word.strip_prefix('=')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_say_what_the_specification_says() {
        let r4 = Definitions::r4();
        assert_eq!(r4.resources().count(), 146);
        let patient = r4.of(r4.resource("Patient").unwrap());
        assert!(patient.slots.contains_key("deceasedDateTime"));
        assert!(patient.slots.contains_key("_birthDate"));
        assert!(patient.slots.contains_key("contained"));
        let gender = patient.elements[usize::from(patient.slots["gender"].element)].set;
        assert!(r4.set(gender.unwrap()).holds(None, "other"));
        let bundle = r4.of(r4.resource("Bundle").unwrap());
        assert!(matches!(bundle.slots["entry"].kind, Kind::Object(_)));
        let entry = r4.of(r4.datatype("Bundle.entry").unwrap());
        assert!(matches!(entry.slots["resource"].kind, Kind::Resource));
        assert!(entry.slots.contains_key("modifierExtension"));
        let value = r4.of(r4.datatype("Extension").unwrap());
        assert!(value.slots.contains_key("valueCodeableConcept"));
        // Nothing names a type that is not there.
        for one in &r4.types {
            for element in &one.elements {
                let named =
                    |slot: &&Slot| one.elements[usize::from(slot.element)].name == element.name;
                assert!(
                    one.slots.values().any(|slot| named(&slot)),
                    "{}.{}",
                    one.name,
                    element.name
                );
            }
        }
    }
}
