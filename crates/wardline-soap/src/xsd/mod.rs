//! XML Schema 1.0, as far as messages of services need it: which elements there are, in what order,
//! how often, and what their values may be.
//!
//! [`Schemas`] is made once, by [`crate::wsdl`] or [`Schemas::read`], and does not change. What it
//! cannot express is refused while it is read, with the place, so that nothing is half understood
//! later: `xs:redefine`, encoded arrays of SOAP, names that are used and nowhere declared.

mod collect;
mod compile;
mod finish;
mod lexical;
mod library;

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use crate::source::Source;
use crate::xml::Name;

pub(crate) use collect::Collector;
pub use lexical::Kind;
pub use library::Library;

/// The namespace of XML Schema.
pub const XS: &str = "http://www.w3.org/2001/XMLSchema";

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Something is named that is nowhere declared.
    #[error("{what} {name} is nowhere declared{hint}")]
    Unknown {
        /// `type`, `element`, `group` …
        what: &'static str,
        /// Its name.
        name: String,
        /// Files that were not loaded, where that may be why.
        hint: String,
    },
    /// Two of the same name.
    #[error("{what} {name} is declared twice")]
    Twice {
        /// `type`, `element` …
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A part of XML Schema that is not taken.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// It says nothing sensible.
    #[error("{0}")]
    Wrong(String),
    /// It is larger than anything that was meant.
    #[error("the schema has more than {0}")]
    TooMuch(&'static str),
}

/// A type, by its place in [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub(crate) usize);

/// An element, by its place in [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElementId(pub(crate) usize);

/// All that was declared.
#[derive(Debug)]
pub struct Schemas {
    /// The namespace of the first file.
    pub(crate) target: Arc<str>,
    /// Prefixes that the files use for namespaces, those of the first file first.
    pub(crate) prefixes: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) types: Vec<Type>,
    pub(crate) elements: Vec<Declaration>,
    pub(crate) named_types: AHashMap<Name, TypeId>,
    pub(crate) named_elements: AHashMap<Name, ElementId>,
    /// Elements that may stand where another is asked for.
    pub(crate) substitutes: AHashMap<ElementId, Vec<ElementId>>,
    /// Types from which others are derived.
    pub(crate) derived: AHashSet<TypeId>,
}

/// A type.
#[derive(Clone, Debug)]
pub enum Type {
    /// A text that stands for a value.
    Simple(Box<Simple>),
    /// Elements and attributes.
    Complex(Box<Complex>),
}

/// A text that stands for a value.
#[derive(Clone, Debug)]
pub struct Simple {
    /// Its name, unless it has none.
    pub name: Option<Name>,
    /// What it is made of.
    pub variety: Variety,
    /// What is more.
    pub facets: Facets,
}

/// What a simple type is made of.
#[derive(Clone, Debug)]
pub enum Variety {
    /// One that XML Schema knows.
    Kind(Kind),
    /// Another simple type, with more facets.
    Of(TypeId),
    /// Values with blanks between them.
    List(TypeId),
    /// A value of any of these.
    Union(Vec<TypeId>),
}

/// A number, and whether it itself is one too many.
pub type Bound = (Arc<str>, bool);

/// What a value must obey beyond its type. Patterns are not held against values.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// One of these, where there are any.
    pub enumeration: Vec<Arc<str>>,
    /// Characters, bytes or list items: at least and at most.
    pub length: (Option<u64>, Option<u64>),
    /// Smallest and largest number.
    pub range: (Option<Bound>, Option<Bound>),
    /// Digits of a decimal, all and behind the point.
    pub digits: (Option<u64>, Option<u64>),
}

/// Elements and attributes.
#[derive(Clone, Debug)]
pub struct Complex {
    /// Its name, unless it has none.
    pub name: Option<Name>,
    /// Whether only types derived from it may be used.
    pub is_abstract: bool,
    /// Whether text may stand between its elements.
    pub mixed: bool,
    /// What it is derived from.
    pub base: Option<TypeId>,
    /// Whether it adds to its base instead of narrowing it.
    pub(crate) extends: bool,
    /// As declared; `content` is what counts.
    pub(crate) own: Option<Particle>,
    pub(crate) own_simple: Option<TypeId>,
    pub(crate) own_attributes: Vec<AttributeUse>,
    /// What it holds, its base included.
    pub content: Content,
    /// Attributes, its base's included.
    pub attributes: Vec<AttributeUse>,
    /// Whether others are allowed.
    pub any_attribute: bool,
    /// Its elements by local name.
    pub fields: AHashMap<Arc<str>, Field>,
}

/// What an element of a complex type holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// A value.
    Simple(TypeId),
    /// Elements.
    Elements(Particle),
    /// Whatever.
    Anything,
}

/// An element by which a type is known to its reader.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The element.
    pub element: ElementId,
    /// Whether there may be more than one, so that it is a list.
    pub repeated: bool,
}

/// Something that may occur so many times.
#[derive(Clone, Debug)]
pub struct Particle {
    /// At least.
    pub min: u32,
    /// At most; without end where absent.
    pub max: Option<u32>,
    /// What.
    pub term: Term,
}

/// What may occur.
#[derive(Clone, Debug)]
pub enum Term {
    /// An element.
    Element(ElementId),
    /// All of these, in order.
    Sequence(Vec<Particle>),
    /// One of these.
    Choice(Vec<Particle>),
    /// All of these, in any order.
    All(Vec<Particle>),
    /// An element that is not said.
    Any(Wildcard),
}

/// Which namespaces an element that is not said may have.
#[derive(Clone, Debug)]
pub enum Wildcard {
    /// Any.
    Any,
    /// Any but this one and none.
    Other(Arc<str>),
    /// One of these.
    In(Vec<Arc<str>>),
}

impl Wildcard {
    /// Whether an element of a namespace is meant.
    pub fn takes(&self, namespace: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Other(but) => !namespace.is_empty() && namespace != &**but,
            Self::In(these) => these.iter().any(|one| &**one == namespace),
        }
    }
}

/// An element.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub of: TypeId,
    /// Whether `xsi:nil` may say that it has no value.
    pub nillable: bool,
    /// Whether only its substitutes may be used.
    pub is_abstract: bool,
    /// The value of an empty one, or the only one.
    pub default: Option<Arc<str>>,
    /// The only value.
    pub fixed: Option<Arc<str>>,
    pub(crate) head: Option<ElementId>,
}

/// An attribute of a type.
#[derive(Clone, Debug)]
pub struct AttributeUse {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub of: TypeId,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may not be there any more.
    pub(crate) prohibited: bool,
    /// The only value.
    pub fixed: Option<Arc<str>>,
}

impl Schemas {
    /// Reads a schema file and all that it includes and imports.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(source: &dyn Source, location: &str) -> Result<Self, SchemaError> {
        let mut collector = Collector::new(source);
        collector.file("", location, None)?;
        collector.compile()
    }

    /// A global element by its name.
    pub fn element(&self, name: &Name) -> Option<ElementId> {
        self.named_elements.get(name).copied()
    }

    /// The global element of this local name in the namespace of the file that was read first.
    pub fn root(&self, local: &str) -> Option<ElementId> {
        self.element(&Name::new(Arc::clone(&self.target), local))
    }

    /// Prefixes that the files use for namespaces.
    pub fn prefixes(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.prefixes
    }

    /// The local names of the elements that [`Self::root`] finds, sorted.
    pub fn roots(&self) -> Vec<&str> {
        let own = self.named_elements.keys();
        let mut all: Vec<&str> = own
            .filter(|name| name.namespace == self.target)
            .map(|name| &*name.local)
            .collect();
        all.sort_unstable();
        all
    }

    /// What an element is declared as.
    pub fn declaration(&self, id: ElementId) -> &Declaration {
        &self.elements[id.0]
    }

    /// A global type by its name.
    pub fn type_named(&self, name: &Name) -> Option<TypeId> {
        self.named_types.get(name).copied()
    }

    /// A type.
    pub fn type_of(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }

    /// All global elements.
    pub fn elements(&self) -> impl Iterator<Item = (&Name, ElementId)> {
        self.named_elements.iter().map(|(name, id)| (name, *id))
    }

    /// How many types and elements there are.
    pub fn size(&self) -> (usize, usize) {
        (self.types.len(), self.elements.len())
    }

    /// The element of this name that may stand where `asked` is asked for.
    pub(crate) fn stands_for(&self, asked: ElementId, name: &Name) -> Option<ElementId> {
        let own = self.declaration(asked);
        if own.name == *name {
            return (!own.is_abstract).then_some(asked);
        }
        self.substitutes
            .get(&asked)?
            .iter()
            .copied()
            .find(|id| self.declaration(*id).name == *name)
    }

    /// Whether other types are derived from one.
    pub(crate) fn has_derived(&self, id: TypeId) -> bool {
        self.derived.contains(&id)
    }

    /// Whether a type is another one or derived from it.
    pub(crate) fn is_derived(&self, id: TypeId, from: TypeId) -> bool {
        let mut at = Some(id);
        let mut steps = 0;
        while let Some(this) = at {
            if this == from || from == compile::ANY_TYPE {
                return true;
            }
            steps += 1;
            if steps > finish::LONGEST_CHAIN {
                return false;
            }
            at = match self.type_of(this) {
                Type::Complex(complex) => complex.base,
                Type::Simple(simple) => match simple.variety {
                    Variety::Of(base) => Some(base),
                    _ => None,
                },
            };
        }
        false
    }
}
