//! From global components as written to types and elements.

use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::collect::{Collector, Context, Global, Part};
use super::{
    AttributeUse, Complex, Content, Declaration, ElementId, Facets, Kind, Particle, SchemaError,
    Schemas, Simple, Term, Type, TypeId, Variety, Wildcard, XS, finish, lexical,
};
use crate::xml::{Element, Name, XML};

/// Whatever: `xs:anyType`.
pub(crate) const ANY_TYPE: TypeId = TypeId(0);
/// Groups within groups.
const DEEPEST_GROUP: usize = 32;
/// Parts of all content models together.
const MOST_PARTICLES: usize = 200_000;

pub(super) fn compile(mut collector: Collector<'_>) -> Result<Schemas, SchemaError> {
    let mut compiler = Compiler {
        schemas: Schemas {
            target: collector.target.clone().unwrap_or_else(|| Arc::from("")),
            prefixes: std::mem::take(&mut collector.prefixes),
            types: Vec::new(),
            elements: Vec::new(),
            named_types: AHashMap::new(),
            named_elements: AHashMap::new(),
            substitutes: AHashMap::new(),
            derived: AHashSet::new(),
        },
        particles: 0,
        groups: 0,
        collector,
    };
    compiler.builtins();
    compiler.reserve();
    compiler.all()?;
    let mut schemas = compiler.schemas;
    finish::finish(&mut schemas)?;
    Ok(schemas)
}

struct Compiler<'a> {
    schemas: Schemas,
    collector: Collector<'a>,
    particles: usize,
    groups: usize,
}

fn anything() -> Complex {
    Complex {
        name: Some(Name::new(XS, "anyType")),
        is_abstract: false,
        mixed: true,
        base: None,
        extends: false,
        own: None,
        own_simple: None,
        own_attributes: Vec::new(),
        content: Content::Anything,
        attributes: Vec::new(),
        any_attribute: true,
        fields: AHashMap::new(),
    }
}

fn simple(name: Option<Name>, variety: Variety) -> Type {
    Type::Simple(Box::new(Simple {
        name,
        variety,
        facets: Facets::default(),
    }))
}

fn wrong(text: impl Into<String>) -> SchemaError {
    SchemaError::Wrong(text.into())
}

/// Children that say something.
fn parts(element: &Element) -> impl Iterator<Item = &Element> {
    element
        .elements()
        .filter(|child| !child.name.is(XS, "annotation"))
}

impl Compiler<'_> {
    fn builtins(&mut self) {
        self.push(Type::Complex(Box::new(anything())));
        self.schemas
            .named_types
            .insert(Name::new(XS, "anyType"), ANY_TYPE);
        for local in lexical::ALL {
            let Some((kind, list)) = lexical::known(local) else {
                continue;
            };
            let name = Name::new(XS, local);
            let mut id = self.push(simple(Some(name.clone()), Variety::Kind(kind)));
            if list {
                id = self.push(simple(Some(name.clone()), Variety::List(id)));
            }
            self.schemas.named_types.insert(name, id);
        }
    }

    /// Gives every global type and element its place, so that each can name each.
    fn reserve(&mut self) {
        for (part, name) in self.collector.order.clone() {
            match part {
                Part::Type => {
                    let id = self.push(simple(None, Variety::Kind(Kind::Text)));
                    self.schemas.named_types.insert(name, id);
                }
                Part::Element => {
                    let id = ElementId(self.schemas.elements.len());
                    self.schemas.elements.push(Declaration {
                        name: name.clone(),
                        of: ANY_TYPE,
                        nillable: false,
                        is_abstract: false,
                        default: None,
                        fixed: None,
                        head: None,
                    });
                    self.schemas.named_elements.insert(name, id);
                }
                Part::Group | Part::Attribute | Part::AttributeGroup => {}
            }
        }
    }

    fn all(&mut self) -> Result<(), SchemaError> {
        for (part, name) in self.collector.order.clone() {
            if !matches!(part, Part::Type | Part::Element) {
                continue;
            }
            let (element, context) = self.global(part, &name)?;
            if part == Part::Type {
                let made = self.named_type(&element, &context, Some(name.clone()))?;
                if let Some(id) = self.schemas.named_types.get(&name) {
                    self.schemas.types[id.0] = made;
                }
            } else {
                let made = self.element(&element, &context, name.clone())?;
                if let Some(id) = self.schemas.named_elements.get(&name) {
                    self.schemas.elements[id.0] = made;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, made: Type) -> TypeId {
        self.schemas.types.push(made);
        TypeId(self.schemas.types.len() - 1)
    }

    fn global(&self, part: Part, name: &Name) -> Result<(Rc<Element>, Rc<Context>), SchemaError> {
        let Some(Global { element, context }) = self.collector.globals.get(&(part, name.clone()))
        else {
            return Err(self.unknown(part, name));
        };
        Ok((Rc::clone(element), Rc::clone(context)))
    }

    fn unknown(&self, part: Part, name: &Name) -> SchemaError {
        SchemaError::Unknown {
            what: part.word(),
            name: name.to_string(),
            hint: self.collector.hint(),
        }
    }

    /// What a name that stands in a value means.
    fn name(written: &str, at: &Element, context: &Context) -> Result<Name, SchemaError> {
        let name = at
            .resolve(written)
            .ok_or_else(|| wrong("a name has a prefix that stands for nothing"))?;
        if name.namespace.is_empty() && context.chameleon {
            return Ok(Name::new(Arc::clone(&context.target), name.local));
        }
        Ok(name)
    }

    fn reference(
        &self,
        written: &str,
        at: &Element,
        context: &Context,
    ) -> Result<TypeId, SchemaError> {
        let name = Self::name(written, at, context)?;
        self.schemas
            .named_types
            .get(&name)
            .copied()
            .ok_or_else(|| self.unknown(Part::Type, &name))
    }

    fn element_reference(&self, name: &Name) -> Result<ElementId, SchemaError> {
        self.schemas
            .named_elements
            .get(name)
            .copied()
            .ok_or_else(|| self.unknown(Part::Element, name))
    }

    fn named_type(
        &mut self,
        written: &Element,
        context: &Context,
        name: Option<Name>,
    ) -> Result<Type, SchemaError> {
        if &*written.name.local == "simpleType" {
            self.simple(written, context, name)
        } else {
            self.complex(written, context, name)
        }
    }

    /// The type of an element or attribute: named, or within.
    fn own_type(
        &mut self,
        written: &Element,
        context: &Context,
        otherwise: TypeId,
    ) -> Result<TypeId, SchemaError> {
        if let Some(name) = written.attribute("type") {
            return self.reference(name, written, context);
        }
        let inner = parts(written)
            .find(|child| child.name.is(XS, "simpleType") || child.name.is(XS, "complexType"));
        let Some(inner) = inner else {
            return Ok(otherwise);
        };
        let made = self.named_type(inner, context, None)?;
        Ok(self.push(made))
    }

    fn element(
        &mut self,
        written: &Element,
        context: &Context,
        name: Name,
    ) -> Result<Declaration, SchemaError> {
        let head = match written.attribute("substitutionGroup") {
            Some(head) => {
                let head = Self::name(head, written, context)?;
                Some(self.element_reference(&head)?)
            }
            None => None,
        };
        let flag = |name| matches!(written.attribute(name), Some("true" | "1"));
        Ok(Declaration {
            of: self.own_type(written, context, ANY_TYPE)?,
            name,
            nillable: flag("nillable"),
            is_abstract: flag("abstract"),
            default: written.attribute("default").map(Arc::from),
            fixed: written.attribute("fixed").map(Arc::from),
            head,
        })
    }

    fn simple(
        &mut self,
        written: &Element,
        context: &Context,
        name: Option<Name>,
    ) -> Result<Type, SchemaError> {
        let inner = parts(written)
            .next()
            .ok_or_else(|| wrong("a simple type says nothing"))?;
        let variety = match &*inner.name.local {
            "restriction" => Variety::Of(self.base(inner, context, "base")?),
            "list" => Variety::List(self.base(inner, context, "itemType")?),
            "union" => {
                let mut members = Vec::new();
                for member in inner
                    .attribute("memberTypes")
                    .unwrap_or_default()
                    .split_ascii_whitespace()
                {
                    members.push(self.reference(member, inner, context)?);
                }
                for member in parts(inner).filter(|child| child.name.is(XS, "simpleType")) {
                    let made = self.simple(member, context, None)?;
                    members.push(self.push(made));
                }
                Variety::Union(members)
            }
            other => {
                return Err(SchemaError::Unsupported(format!(
                    "xs:{other} in a simple type"
                )));
            }
        };
        Ok(Type::Simple(Box::new(Simple {
            name,
            variety,
            facets: facets(inner)?,
        })))
    }

    fn base(
        &mut self,
        written: &Element,
        context: &Context,
        attribute: &str,
    ) -> Result<TypeId, SchemaError> {
        if let Some(base) = written.attribute(attribute) {
            return self.reference(base, written, context);
        }
        let inner = parts(written)
            .find(|child| child.name.is(XS, "simpleType"))
            .ok_or_else(|| wrong("a simple type has no base"))?;
        let made = self.simple(inner, context, None)?;
        Ok(self.push(made))
    }

    fn complex(
        &mut self,
        written: &Element,
        context: &Context,
        name: Option<Name>,
    ) -> Result<Type, SchemaError> {
        let flag = |element: &Element, name| matches!(element.attribute(name), Some("true" | "1"));
        let mut made = Complex {
            name,
            is_abstract: flag(written, "abstract"),
            mixed: flag(written, "mixed"),
            content: Content::Empty,
            any_attribute: false,
            ..anything()
        };
        let first = parts(written).next();
        let derived =
            first.filter(|first| matches!(&*first.name.local, "simpleContent" | "complexContent"));
        if let Some(content) = derived {
            made.mixed |= flag(content, "mixed");
            let derivation = parts(content)
                .next()
                .ok_or_else(|| wrong("a derived type does not say from what"))?;
            made.extends = match &*derivation.name.local {
                "extension" => true,
                "restriction" => false,
                other => return Err(SchemaError::Unsupported(format!("xs:{other}"))),
            };
            let base = derivation
                .attribute("base")
                .ok_or_else(|| wrong("a derived type does not say from what"))?;
            let base_name = Self::name(base, derivation, context)?;
            if &*base_name.namespace == "http://schemas.xmlsoap.org/soap/encoding/" {
                return Err(SchemaError::Unsupported(
                        "SOAP encoding (rpc/encoded arrays); ask for a document/literal description: it".into(),
                    ));
            }
            let base = self.reference(base, derivation, context)?;
            made.base = Some(base);
            if &*content.name.local == "simpleContent" {
                made.own_simple = Some(base);
            } else {
                made.own = self.content(derivation, context)?;
            }
            self.attributes(derivation, context, &mut made)?;
        } else {
            made.own = self.content(written, context)?;
            self.attributes(written, context, &mut made)?;
        }
        Ok(Type::Complex(Box::new(made)))
    }

    fn content(
        &mut self,
        written: &Element,
        context: &Context,
    ) -> Result<Option<Particle>, SchemaError> {
        for child in parts(written) {
            if matches!(&*child.name.local, "sequence" | "choice" | "all" | "group") {
                return self.particle(child, context);
            }
        }
        Ok(None)
    }

    /// `None` where it may not occur at all.
    fn particle(
        &mut self,
        written: &Element,
        context: &Context,
    ) -> Result<Option<Particle>, SchemaError> {
        self.particles += 1;
        if self.particles > MOST_PARTICLES {
            return Err(SchemaError::TooMuch("200 000 parts of types"));
        }
        let count = |text: &str| {
            text.trim()
                .parse::<u32>()
                .map_err(|_| wrong("minOccurs or maxOccurs is not a number"))
        };
        let min = written.attribute("minOccurs").map_or(Ok(1), count)?;
        let max = match written.attribute("maxOccurs") {
            None => Some(1),
            Some("unbounded") => None,
            Some(text) => Some(count(text)?),
        };
        if max == Some(0) {
            return Ok(None);
        }
        if max.is_some_and(|max| max < min) {
            return Err(wrong("minOccurs is larger than maxOccurs"));
        }
        let term = match &*written.name.local {
            "element" => Term::Element(self.local_element(written, context)?),
            "any" => Term::Any(wildcard(written, context)),
            "group" => return self.group(written, context, min, max),
            word @ ("sequence" | "choice" | "all") => {
                let mut inner = Vec::new();
                for child in parts(written) {
                    inner.extend(self.particle(child, context)?);
                }
                match word {
                    "sequence" => Term::Sequence(inner),
                    "choice" => Term::Choice(inner),
                    _ => Term::All(inner),
                }
            }
            other => return Err(SchemaError::Unsupported(format!("xs:{other} in a type"))),
        };
        Ok(Some(Particle { min, max, term }))
    }

    fn group(
        &mut self,
        written: &Element,
        context: &Context,
        min: u32,
        max: Option<u32>,
    ) -> Result<Option<Particle>, SchemaError> {
        let reference = written
            .attribute("ref")
            .ok_or_else(|| wrong("a group within a type names none"))?;
        let name = Self::name(reference, written, context)?;
        let (group, its) = self.global(Part::Group, &name)?;
        self.groups += 1;
        if self.groups > DEEPEST_GROUP {
            return Err(wrong("groups hold each other"));
        }
        let inner = self.content(&group, &its)?;
        self.groups -= 1;
        Ok(inner.map(|inner| Particle {
            min,
            max,
            term: Term::Sequence(vec![inner]),
        }))
    }

    fn local_element(
        &mut self,
        written: &Element,
        context: &Context,
    ) -> Result<ElementId, SchemaError> {
        if let Some(reference) = written.attribute("ref") {
            let name = Self::name(reference, written, context)?;
            return self.element_reference(&name);
        }
        let local = written
            .attribute("name")
            .ok_or_else(|| wrong("an element has neither a name nor a reference"))?;
        let qualified = match written.attribute("form") {
            Some(form) => form == "qualified",
            None => context.elements_qualified,
        };
        let name = if qualified {
            Name::new(Arc::clone(&context.target), local)
        } else {
            Name::new("", local)
        };
        let made = self.element(written, context, name)?;
        self.schemas.elements.push(made);
        Ok(ElementId(self.schemas.elements.len() - 1))
    }

    fn attributes(
        &mut self,
        written: &Element,
        context: &Context,
        made: &mut Complex,
    ) -> Result<(), SchemaError> {
        for child in parts(written) {
            match &*child.name.local {
                "attribute" => {
                    let attribute = self.attribute(child, context)?;
                    made.own_attributes.push(attribute);
                }
                "anyAttribute" => made.any_attribute = true,
                "attributeGroup" => {
                    let reference = child
                        .attribute("ref")
                        .ok_or_else(|| wrong("an attribute group within a type names none"))?;
                    let name = Self::name(reference, child, context)?;
                    let (group, its) = self.global(Part::AttributeGroup, &name)?;
                    self.groups += 1;
                    if self.groups > DEEPEST_GROUP {
                        return Err(wrong("attribute groups hold each other"));
                    }
                    self.attributes(&group, &its, made)?;
                    self.groups -= 1;
                    if made.own_attributes.len() > 4096 {
                        return Err(SchemaError::TooMuch("4096 attributes of one type"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        written: &Element,
        context: &Context,
    ) -> Result<AttributeUse, SchemaError> {
        let usage = written.attribute("use");
        let text = self.schemas.named_types[&Name::new(XS, "string")];
        let (name, of, fixed) = if let Some(reference) = written.attribute("ref") {
            let name = Self::name(reference, written, context)?;
            if &*name.namespace == XML {
                (name, text, None)
            } else {
                let (global, its) = self.global(Part::Attribute, &name)?;
                let of = self.own_type(&global, &its, text)?;
                (name, of, global.attribute("fixed").map(Arc::from))
            }
        } else {
            let local = written
                .attribute("name")
                .ok_or_else(|| wrong("an attribute has neither a name nor a reference"))?;
            let qualified = match written.attribute("form") {
                Some(form) => form == "qualified",
                None => context.attributes_qualified,
            };
            let name = if qualified {
                Name::new(Arc::clone(&context.target), local)
            } else {
                Name::new("", local)
            };
            (name, self.own_type(written, context, text)?, None)
        };
        Ok(AttributeUse {
            name,
            of,
            required: usage == Some("required"),
            prohibited: usage == Some("prohibited"),
            fixed: written.attribute("fixed").map(Arc::from).or(fixed),
        })
    }
}

fn wildcard(written: &Element, context: &Context) -> Wildcard {
    match written.attribute("namespace").unwrap_or("##any").trim() {
        "##any" | "" => Wildcard::Any,
        "##other" => Wildcard::Other(Arc::clone(&context.target)),
        list => Wildcard::In(
            list.split_ascii_whitespace()
                .map(|one| match one {
                    "##targetNamespace" => Arc::clone(&context.target),
                    "##local" => Arc::from(""),
                    other => Arc::from(other),
                })
                .collect(),
        ),
    }
}

fn facets(written: &Element) -> Result<Facets, SchemaError> {
    let mut facets = Facets::default();
    for child in parts(written) {
        let value = child.attribute("value").unwrap_or_default();
        let count = || {
            value
                .trim()
                .parse::<u64>()
                .map_err(|_| wrong(format!("xs:{} is not a number", child.name.local)))
        };
        match &*child.name.local {
            "enumeration" => facets.enumeration.push(Arc::from(value)),
            "length" => facets.length = (Some(count()?), Some(count()?)),
            "minLength" => facets.length.0 = Some(count()?),
            "maxLength" => facets.length.1 = Some(count()?),
            "minInclusive" => facets.range.0 = Some((Arc::from(value.trim()), false)),
            "minExclusive" => facets.range.0 = Some((Arc::from(value.trim()), true)),
            "maxInclusive" => facets.range.1 = Some((Arc::from(value.trim()), false)),
            "maxExclusive" => facets.range.1 = Some((Arc::from(value.trim()), true)),
            "totalDigits" => facets.digits.0 = Some(count()?),
            "fractionDigits" => facets.digits.1 = Some(count()?),
            // Attributes of a restricted simple content stand here too.
            _ => {}
        }
    }
    Ok(facets)
}
