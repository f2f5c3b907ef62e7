//! From files to global components, includes and imports followed.

use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::{SchemaError, Schemas, XS};
use crate::source::Source;
use crate::xml::{Element, Limits, Name, XML, parse};

/// Files of one description.
const MOST_FILES: usize = 200;

/// What a component's surroundings say.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) target: Arc<str>,
    /// Names without a namespace belong to the target: the file that includes gave it its own.
    pub(crate) chameleon: bool,
    pub(crate) elements_qualified: bool,
    pub(crate) attributes_qualified: bool,
}

/// What can be declared globally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Type,
    Element,
    Group,
    Attribute,
    AttributeGroup,
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Element => "element",
            Self::Group => "group",
            Self::Attribute => "attribute",
            Self::AttributeGroup => "attribute group",
        }
    }
}

/// A component as it was written.
pub(crate) struct Global {
    pub(crate) element: Rc<Element>,
    pub(crate) context: Rc<Context>,
}

/// Gathers schemas before they are compiled together.
pub(crate) struct Collector<'a> {
    source: &'a dyn Source,
    pub(crate) globals: AHashMap<(Part, Name), Global>,
    /// In the order of declaration.
    pub(crate) order: Vec<(Part, Name)>,
    seen: AHashSet<(String, Option<Arc<str>>)>,
    /// The namespace of the first file.
    pub(crate) target: Option<Arc<str>>,
    /// Prefixes by which the files know namespaces, one of each.
    pub(crate) prefixes: Vec<(Arc<str>, Arc<str>)>,
    /// What was not loaded, and why.
    pub(crate) missing: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            globals: AHashMap::new(),
            order: Vec::new(),
            seen: AHashSet::new(),
            target: None,
            prefixes: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn compile(self) -> Result<Schemas, SchemaError> {
        super::compile::compile(self)
    }

    /// Reads a file. `include` is the target namespace of the file that includes it.
    pub(crate) fn file(
        &mut self,
        from: &str,
        location: &str,
        include: Option<&Arc<str>>,
    ) -> Result<(), SchemaError> {
        let loaded = self
            .source
            .read(from, location)
            .map_err(SchemaError::Wrong)?;
        if !self.seen.insert((loaded.name.clone(), include.cloned())) {
            return Ok(());
        }
        if self.seen.len() > MOST_FILES {
            return Err(SchemaError::TooMuch("200 files"));
        }
        let root = parse(&loaded.bytes, Limits::SCHEMA)
            .map_err(|error| SchemaError::Wrong(format!("{}: {error}", loaded.name)))?;
        if !root.name.is(XS, "schema") {
            return Err(SchemaError::Wrong(format!(
                "{} is not a schema but {}",
                loaded.name, root.name
            )));
        }
        self.schema(&loaded.name, &root, include)
    }

    /// Takes a schema element of the file `from`.
    pub(crate) fn schema(
        &mut self,
        from: &str,
        schema: &Element,
        include: Option<&Arc<str>>,
    ) -> Result<(), SchemaError> {
        let own: Option<Arc<str>> = schema.attribute("targetNamespace").map(Arc::from);
        let (target, chameleon) = match (own, include) {
            (Some(own), Some(other)) if own != *other => {
                return Err(SchemaError::Wrong(format!(
                    "{from} is included into another namespace than its own"
                )));
            }
            (Some(own), _) => (own, false),
            (None, Some(other)) => (Arc::clone(other), true),
            (None, None) => (Arc::from(""), false),
        };
        self.target.get_or_insert_with(|| Arc::clone(&target));
        for (prefix, uri) in &schema.scope.declared {
            let known = |one: &(Arc<str>, Arc<str>)| one.0 == *uri || one.1 == *prefix;
            if !prefix.is_empty() && !self.prefixes.iter().any(known) {
                self.prefixes.push((Arc::clone(uri), Arc::clone(prefix)));
            }
        }
        let qualified = |name: &str| schema.attribute(name) == Some("qualified");
        let context = Rc::new(Context {
            target: Arc::clone(&target),
            chameleon,
            elements_qualified: qualified("elementFormDefault"),
            attributes_qualified: qualified("attributeFormDefault"),
        });
        for child in schema.elements() {
            if &*child.name.namespace != XS {
                return Err(SchemaError::Unsupported(format!(
                    "{} in a schema",
                    child.name
                )));
            }
            let part = match &*child.name.local {
                "annotation" | "notation" => continue,
                "import" => {
                    self.import(from, child)?;
                    continue;
                }
                "include" => {
                    let location = child.attribute("schemaLocation").ok_or_else(|| {
                        SchemaError::Wrong(format!("{from}: an include names no file"))
                    })?;
                    self.file(from, location, Some(&target))?;
                    continue;
                }
                "simpleType" | "complexType" => Part::Type,
                "element" => Part::Element,
                "group" => Part::Group,
                "attribute" => Part::Attribute,
                "attributeGroup" => Part::AttributeGroup,
                other => return Err(SchemaError::Unsupported(format!("xs:{other}"))),
            };
            let local = child.attribute("name").ok_or_else(|| {
                SchemaError::Wrong(format!("{from}: a global {} has no name", part.word()))
            })?;
            let name = Name::new(Arc::clone(&target), local);
            let global = Global {
                element: Rc::new(child.clone()),
                context: Rc::clone(&context),
            };
            if self.globals.insert((part, name.clone()), global).is_some() {
                return Err(SchemaError::Twice {
                    what: part.word(),
                    name: name.to_string(),
                });
            }
            self.order.push((part, name));
        }
        Ok(())
    }

    fn import(&mut self, from: &str, import: &Element) -> Result<(), SchemaError> {
        let namespace = import.attribute("namespace").unwrap_or_default();
        let Some(location) = import.attribute("schemaLocation") else {
            return Ok(());
        };
        if namespace == XML || namespace == XS {
            return Ok(());
        }
        match self.source.read(from, location) {
            Ok(_) => self.file(from, location, None),
            // It matters only where something of it is used.
            Err(why) => {
                self.missing.push(why);
                Ok(())
            }
        }
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> impl Iterator<Item = String> + '_ {
        self.seen.iter().map(|(name, _)| name.clone())
    }

    /// What may be the reason that a name is nowhere declared.
    pub(crate) fn hint(&self) -> String {
        if self.missing.is_empty() {
            return String::new();
        }
        let shown: Vec<&str> = self.missing.iter().take(3).map(String::as_str).collect();
        format!(" ({})", shown.join("; "))
    }
}
