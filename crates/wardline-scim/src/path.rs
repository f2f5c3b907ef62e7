//! Which attribute is meant: `userName`, `name.givenName`, `emails[type eq "work"].value`,
//! `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value`.

use crate::filter::Filter;
use crate::schema::{Attribute, ResourceType, Schema};
use crate::{Error, Why};
use serde_json::{Map, Value};

/// The longest path that is read.
const LONGEST: usize = 1024;

/// An attribute, or one of its own.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// The extension that it belongs to.
    pub extension: Option<&'static Schema>,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// An attribute of a complex one.
    pub sub: Option<&'static Attribute>,
}

impl Path {
    /// Reads a name such as `urn:…:User:name.givenName`. `None` where no schema knows it.
    pub fn read(of: &ResourceType, text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (extension, rest) = split(of, text)?;
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let attribute = match extension {
            Some(schema) => schema.attribute(name),
            None => of.attribute(name),
        }?;
        let sub = match sub {
            Some(name) => Some(attribute.sub(name)?),
            None => None,
        };
        Some(Self {
            extension,
            attribute,
            sub,
        })
    }

    /// What is compared where only the attribute is named: of a complex one its `value`.
    pub(crate) fn leaf(&self) -> Option<&'static Attribute> {
        match (self.sub, self.attribute.sub.is_empty()) {
            (Some(sub), _) => Some(sub),
            (None, true) => Some(self.attribute),
            (None, false) => self.attribute.sub("value"),
        }
    }

    /// The attribute's value in a resource.
    pub(crate) fn whole<'a>(&self, resource: &'a Map<String, Value>) -> Option<&'a Value> {
        let within = match self.extension {
            Some(schema) => resource.get(schema.id)?.as_object()?,
            None => resource,
        };
        within.get(self.attribute.name)
    }

    /// All values that it names: one, or those of a list.
    pub(crate) fn values<'a>(&self, resource: &'a Map<String, Value>) -> Vec<&'a Value> {
        let all = match self.whole(resource) {
            None => return Vec::new(),
            Some(Value::Array(all)) => all.iter().collect(),
            Some(one) => vec![one],
        };
        match self.leaf() {
            Some(leaf) if !self.attribute.sub.is_empty() => all
                .into_iter()
                .filter_map(|one| one.get(leaf.name))
                .collect(),
            _ => all,
        }
    }
}

/// A URN before the name, where there is one; the rest. The core schema's is the same as none.
fn split<'a>(of: &ResourceType, text: &'a str) -> Option<(Option<&'static Schema>, &'a str)> {
    if !text
        .get(..4)
        .is_some_and(|urn| urn.eq_ignore_ascii_case("urn:"))
    {
        return Some((None, text));
    }
    let behind = |schema: &Schema| {
        let prefix = text.get(..schema.id.len())?;
        let rest = text.get(schema.id.len()..)?.strip_prefix(':')?;
        prefix.eq_ignore_ascii_case(schema.id).then_some(rest)
    };
    if let Some(rest) = behind(of.schema) {
        return Some((None, rest));
    }
    of.extensions
        .iter()
        .find_map(|schema| Some((Some(*schema), behind(schema)?)))
}

/// What an operation of PATCH is for.
#[derive(Debug, Clone)]
pub enum Target {
    /// A whole extension.
    Extension(&'static Schema),
    /// An attribute; of a list, those elements that the filter lets pass.
    Attribute {
        /// Which.
        path: Path,
        /// Which elements.
        filter: Option<Filter>,
    },
}

impl Target {
    /// Reads a path of PATCH.
    ///
    /// # Errors
    /// Where it names nothing that the schemas know.
    pub fn read(of: &'static ResourceType, text: &str) -> Result<Self, Error> {
        let unknown = || {
            Error::bad(
                Why::InvalidPath,
                "the path names no attribute of the schemas",
            )
        };
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(Error::bad(Why::InvalidPath, "the path is too long"));
        }
        if let Some(schema) = of.extension(text) {
            return Ok(Self::Extension(schema));
        }
        let Some((name, rest)) = text.split_once('[') else {
            let path = Path::read(of, text).ok_or_else(unknown)?;
            return Ok(Self::Attribute { path, filter: None });
        };
        let mut path = Path::read(of, name.trim()).ok_or_else(unknown)?;
        if path.sub.is_some() || !path.attribute.multi || path.attribute.sub.is_empty() {
            let what = "only elements of a list are chosen by a filter";
            return Err(Error::bad(Why::InvalidPath, what));
        }
        // The filter may hold brackets in its texts, never behind its end.
        let (inner, behind) = rest.rsplit_once(']').ok_or_else(unknown)?;
        match behind.trim() {
            "" => {}
            sub => {
                let sub = sub.strip_prefix('.').ok_or_else(unknown)?;
                path.sub = Some(path.attribute.sub(sub).ok_or_else(unknown)?);
            }
        }
        let filter = Filter::of_elements(path.attribute, inner)?;
        Ok(Self::Attribute {
            path,
            filter: Some(filter),
        })
    }
}
