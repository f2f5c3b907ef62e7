//! Searching: what the parameters of R4 mean, and whether a resource is what they ask for.
//!
//! The parameters are the official ones, as `definitions/search.txt` says them: strings, tokens, dates, references and
//! addresses. A question is read whole before a resource is looked at; what cannot be answered is refused
//! with words that hold nothing of the question.

mod date;
mod question;
mod value;

pub use question::{Criterion, SearchError};

use std::sync::LazyLock;

use ahash::AHashMap;

static TEXT: &str = include_str!("../../definitions/search.txt");
static R4: LazyLock<AHashMap<&'static str, Vec<Parameter>>> = LazyLock::new(read);

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Text, compared by how it begins.
    Text,
    /// A code or an identifier, perhaps with its system.
    Token,
    /// A date, or a time.
    Date,
    /// Another resource.
    Reference,
    /// An address, compared as it is.
    Uri,
}

impl ParameterKind {
    /// As FHIR spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Token => "token",
            Self::Date => "date",
            Self::Reference => "reference",
            Self::Uri => "uri",
        }
    }

    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::Text,
            "token" => Self::Token,
            "date" => Self::Date,
            "reference" => Self::Reference,
            "uri" => Self::Uri,
            _ => return None,
        })
    }
}

/// One parameter that resources of a type can be searched by.
#[derive(Debug)]
pub struct Parameter {
    /// What it is called in a question.
    pub name: &'static str,
    /// What its values are.
    pub kind: ParameterKind,
    /// The end of its definition's address.
    end: &'static str,
    /// Where it looks.
    paths: Vec<Vec<Step>>,
}

impl Parameter {
    /// The address of its definition.
    pub fn definition(&self) -> String {
        format!("http://hl7.org/fhir/SearchParameter/{}", self.end)
    }

    /// The elements of the resource that it looks at.
    pub fn elements(&self) -> impl Iterator<Item = &'static str> {
        self.paths
            .iter()
            .filter_map(|path| path.first().map(|step| step.name))
    }
}

/// One step of a path.
#[derive(Debug)]
struct Step {
    name: &'static str,
    /// Whether the type of the value follows in the name.
    choice: bool,
    /// An element of the value, and what it must be.
    only: Option<(&'static str, &'static str)>,
}

impl Step {
    fn read(text: &'static str) -> Self {
        let (text, only) = match text.split_once('{') {
            Some((text, only)) => (text, only.trim_end_matches('}').split_once('=')),
            None => (text, None),
        };
        let (name, choice) = match text.strip_suffix("[x]") {
            Some(name) => (name, true),
            None => (text, false),
        };
        Self { name, choice, only }
    }
}

fn read() -> AHashMap<&'static str, Vec<Parameter>> {
    let mut all: AHashMap<&'static str, Vec<Parameter>> = AHashMap::new();
    let mut open = "";
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let Some(line) = line.strip_prefix(' ') else {
            open = line;
            continue;
        };
        let mut words = line.split(' ');
        let (Some(name), Some(kind), Some(end), Some(paths)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some(kind) = ParameterKind::named(kind) else {
            continue;
        };
        let path = |path: &'static str| path.split('.').map(Step::read).collect();
        all.entry(open).or_default().push(Parameter {
            name,
            kind,
            end,
            paths: paths.split('|').map(path).collect(),
        });
    }
    all
}

/// The parameters of a type of resource.
pub fn parameters(resource: &str) -> &'static [Parameter] {
    R4.get(resource).map_or(&[], Vec::as_slice)
}

/// One of them.
///
/// ```
/// let family = wardline_fhir::search::parameter("Practitioner", "family");
/// assert_eq!(family.map(|one| one.kind.as_str()), Some("string"));
/// assert!(wardline_fhir::search::parameter("Practitioner", "shoe-size").is_none());
/// ```
pub fn parameter(resource: &str, name: &str) -> Option<&'static Parameter> {
    parameters(resource).iter().find(|one| one.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;

    #[test]
    fn every_parameter_looks_at_elements_that_there_are() {
        let r4 = Definitions::r4();
        let mut count = 0;
        for (resource, all) in R4.iter() {
            let known = r4.of(r4.datatype(resource).unwrap());
            for one in all {
                count += 1;
                for path in &one.paths {
                    let first = &path[0];
                    let there = known.slots.contains_key(first.name)
                        || known
                            .elements
                            .iter()
                            .any(|element| element.choice && element.name == first.name);
                    assert!(there, "{resource} {} {first:?}", one.name);
                }
            }
        }
        println!("{count} parameters of {} resources", R4.len());
        assert!(count > 1000 && R4.len() > 120);
        let phone = parameter("Practitioner", "phone").unwrap();
        assert_eq!(phone.paths[0][0].only, Some(("system", "phone")));
        assert!(parameter("Observation", "date").unwrap().paths[0][0].choice);
    }
}
