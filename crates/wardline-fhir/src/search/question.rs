//! What is asked for by one parameter, and whether a resource is it.

use serde_json::Value;
use thiserror::Error;

use super::date::{Prefix, Span};
use super::value::{any, any_code, any_text};
use super::{Parameter, ParameterKind};

/// Values that stand side by side in one question.
const MOST_VALUES: usize = 64;
/// Bytes of one question.
const LONGEST: usize = 4096;

/// Why a question cannot be answered. Its values are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SearchError {
    /// No value, or too many of them.
    #[error("it has no value, more than 64, or is longer than 4096 bytes")]
    Values,
    /// A modifier that is none, or none of this type.
    #[error("its modifier is not known here")]
    Modifier,
    /// Not a date.
    #[error("its value is no date or time with one of eq, ne, gt, lt, ge, le, sa, eb before it")]
    Date,
    /// Neither true nor false.
    #[error("`:missing` is true or false")]
    Missing,
}

/// One value that is asked for.
#[derive(Debug, Clone)]
enum Wanted {
    /// As it is, or in small letters where case does not count.
    Text(String),
    Token {
        system: Option<String>,
        code: Option<String>,
    },
    Date(Prefix, Span),
    Reference(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    Exact,
    Contains,
    Not,
    Missing(bool),
    /// The identifier of what is referred to.
    Identifier,
}

/// One part of a question: all parts have to be so, of its values one.
#[derive(Debug, Clone)]
pub struct Criterion {
    parameter: &'static Parameter,
    how: How,
    wanted: Vec<Wanted>,
}

impl Criterion {
    /// Reads the part of a question behind `name:modifier=`. `base` is the address that references may begin with.
    ///
    /// ```
    /// use wardline_fhir::search::{Criterion, parameter};
    /// let name = parameter("Practitioner", "family").ok_or("no such parameter")?;
    /// let one = Criterion::read(name, None, "ross,smi", "")?;
    /// let smith = serde_json::json!({ "resourceType": "Practitioner", "name": [{ "family": "Smith" }] });
    /// assert!(one.admits(&smith));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the modifier is not known or a value is none of the parameter's type.
    pub fn read(
        parameter: &'static Parameter,
        modifier: Option<&str>,
        text: &str,
        base: &str,
    ) -> Result<Self, SearchError> {
        use ParameterKind as Of;
        let how = match (modifier, parameter.kind) {
            (None, _) => How::Plain,
            (Some("missing"), _) => How::Missing(match text {
                "true" => true,
                "false" => false,
                _ => return Err(SearchError::Missing),
            }),
            (Some("exact"), Of::Text) => How::Exact,
            (Some("contains"), Of::Text) => How::Contains,
            (Some("not"), Of::Token) => How::Not,
            (Some("identifier"), Of::Reference) => How::Identifier,
            (Some(kind), Of::Reference) if crate::is_resource(kind) => How::Plain,
            _ => return Err(SearchError::Modifier),
        };
        let mut wanted = Vec::new();
        if !matches!(how, How::Missing(_)) {
            if text.is_empty() || text.len() > LONGEST {
                return Err(SearchError::Values);
            }
            for value in split(text, ',') {
                let value = match (parameter.kind, how) {
                    (Of::Token, _) | (Of::Reference, How::Identifier) => token(&value),
                    (Of::Text, How::Exact) | (Of::Uri, _) => Wanted::Text(plain(&value)),
                    (Of::Text, _) => Wanted::Text(plain(&value).to_lowercase()),
                    (Of::Date, _) => {
                        let (prefix, rest) = Prefix::split(&value).ok_or(SearchError::Date)?;
                        Wanted::Date(prefix, Span::read(rest).ok_or(SearchError::Date)?)
                    }
                    (Of::Reference, _) => {
                        let value = plain(&value);
                        let value = local(&value, base);
                        match modifier {
                            Some(kind) if !value.contains('/') => {
                                Wanted::Reference(format!("{kind}/{value}"))
                            }
                            _ => Wanted::Reference(value.to_owned()),
                        }
                    }
                };
                if wanted.len() == MOST_VALUES {
                    return Err(SearchError::Values);
                }
                wanted.push(value);
            }
        }
        Ok(Self {
            parameter,
            how,
            wanted,
        })
    }

    /// The one identifier that is asked for, where it is one with a system.
    pub fn identifier(&self) -> Option<(&str, &str)> {
        let plain = self.how == How::Plain && self.parameter.name == "identifier";
        match self.wanted.as_slice() {
            [
                Wanted::Token {
                    system: Some(system),
                    code: Some(code),
                },
            ] if plain && !system.is_empty() => Some((system, code)),
            _ => None,
        }
    }

    /// Whether a resource is what is asked for.
    pub fn admits(&self, resource: &Value) -> bool {
        if let How::Missing(missing) = self.how {
            return any(self.parameter, resource, &mut |value| !value.is_null()) != missing;
        }
        let found = any(self.parameter, resource, &mut |value| {
            self.wanted.iter().any(|wanted| self.fits(wanted, value))
        });
        found != (self.how == How::Not)
    }

    fn fits(&self, wanted: &Wanted, value: &Value) -> bool {
        match wanted {
            Wanted::Text(wanted) if self.parameter.kind == ParameterKind::Uri => {
                value.as_str() == Some(wanted)
            }
            Wanted::Text(wanted) => any_text(value, &mut |text| match self.how {
                How::Exact => text == wanted,
                How::Contains => text.to_lowercase().contains(wanted.as_str()),
                _ => text.to_lowercase().starts_with(wanted.as_str()),
            }),
            Wanted::Token { system, code } => {
                let value = match self.how {
                    How::Identifier => value.get("identifier").unwrap_or(&Value::Null),
                    _ => value,
                };
                any_code(value, &mut |of, there| {
                    // The system of a plain code is that of its value set, which is not said.
                    let same = match (system.as_deref(), of) {
                        (Some(wanted), Some(of)) => wanted == of,
                        _ => true,
                    };
                    same && code.as_deref().is_none_or(|wanted| wanted == there)
                })
            }
            Wanted::Date(prefix, asked) => {
                Span::of(value).is_some_and(|there| prefix.holds(*asked, there))
            }
            Wanted::Reference(wanted) => {
                let named = match value {
                    Value::String(text) => Some(text.as_str()),
                    other => other.get("reference").and_then(Value::as_str),
                };
                let Some(named) = named else {
                    return false;
                };
                let named = named.split("/_history/").next().unwrap_or_default();
                named == wanted
                    || (!wanted.contains('/')
                        && named
                            .rsplit_once('/')
                            .is_some_and(|(kind, id)| id == wanted && crate::is_resource(kind)))
            }
        }
    }
}

/// A reference without the address of whoever is asked.
fn local<'a>(text: &'a str, base: &str) -> &'a str {
    match text.strip_prefix(base).filter(|_| !base.is_empty()) {
        Some(rest) => rest.trim_start_matches('/'),
        None => text,
    }
}

fn token(text: &str) -> Wanted {
    let mut parts = split(text, '|').into_iter();
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let filled = |text: &str| Some(plain(text)).filter(|text| !text.is_empty());
    match second {
        None => Wanted::Token {
            system: None,
            code: Some(plain(&first)),
        },
        Some(code) => Wanted::Token {
            system: Some(plain(&first)),
            code: filled(&code),
        },
    }
}

/// Parts between signs that nothing says to be part of a value.
fn split(text: &str, at: char) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut escaped = false;
    for one in text.chars() {
        if one == at && !escaped {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(one);
        }
        escaped = one == '\\' && !escaped;
    }
    all
}

/// A value without what says that a sign is part of it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        match one {
            '\\' => out.extend(rest.next()),
            one => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::parameter;
    use super::*;
    use serde_json::json;

    fn admits(resource: &Value, name: &str, value: &str) -> bool {
        let (name, modifier) = match name.split_once(':') {
            Some((name, modifier)) => (name, Some(modifier)),
            None => (name, None),
        };
        let kind = resource["resourceType"].as_str().unwrap();
        let parameter = parameter(kind, name).unwrap_or_else(|| panic!("{kind} {name}"));
        Criterion::read(parameter, modifier, value, "https://x.example/r4")
            .unwrap()
            .admits(resource)
    }

    #[test]
    fn a_practitioner_is_found_by_what_it_is() {
        let one = json!({
            "resourceType": "Practitioner", "active": true, "gender": "female",
            "identifier": [{ "system": "urn:npi", "value": "12|3" }, { "value": "B,1" }],
            "name": [{ "use": "official", "family": "Ängström", "given": ["Ann", "Mae"] }],
            "telecom": [{ "system": "phone", "value": "555-1" }, { "system": "email", "value": "a@b.example" }],
            "address": [{ "city": "Springfield", "line": ["1 Main St"] }]
        });
        for (name, value, wanted) in [
            ("family", "äng", true),
            ("family", "x,ÄNG", true),
            ("family:exact", "Ängström", true),
            ("family:exact", "ängström", false),
            ("name:contains", "stR", true),
            ("name", "official", false),
            ("given", "mae", true),
            ("identifier", "urn:npi|12\\|3", true),
            ("identifier", "urn:npi|", true),
            ("identifier", "|B\\,1", true),
            ("identifier", "|12\\|3", false),
            ("identifier", "B,1", false),
            ("active", "true", true),
            ("active:not", "true", false),
            (
                "gender",
                "http://hl7.org/fhir/administrative-gender|female",
                true,
            ),
            ("phone", "555-1", true),
            ("phone", "a@b.example", false),
            ("email", "a@b.example", true),
            ("address-city", "spring", true),
            ("address:missing", "false", true),
            ("communication:missing", "true", true),
        ] {
            assert_eq!(admits(&one, name, value), wanted, "{name}={value}");
        }
    }

    #[test]
    fn references_and_dates_of_several_types_are_looked_at() {
        let one = json!({
            "resourceType": "Observation", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "718-7" }] },
            "subject": { "reference": "Patient/7", "identifier": { "system": "urn:mrn", "value": "M7" } },
            "effectivePeriod": { "start": "2026-11-01", "end": "2026-11-03" }
        });
        for (name, value, wanted) in [
            ("subject", "Patient/7", true),
            ("subject", "7", true),
            ("subject", "8,https://x.example/r4/Patient/7", true),
            ("subject:Patient", "7", true),
            ("subject:Group", "7", false),
            ("subject:identifier", "urn:mrn|M7", true),
            ("patient", "Patient/7", true),
            ("date", "2026-11", true),
            ("date", "gt2026-11-02", true),
            ("date", "sa2026-11-03", false),
            ("code", "http://loinc.org|718-7", true),
            ("code", "http://other|718-7", false),
        ] {
            assert_eq!(admits(&one, name, value), wanted, "{name}={value}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let read = |name: &str, modifier, value: &str| {
            Criterion::read(parameter("Observation", name).unwrap(), modifier, value, "").err()
        };
        assert_eq!(read("date", None, "ap2026"), Some(SearchError::Date));
        assert_eq!(read("date", None, ""), Some(SearchError::Values));
        assert_eq!(
            read("code", Some("below"), "x"),
            Some(SearchError::Modifier)
        );
        assert_eq!(
            read("code", Some("missing"), "x"),
            Some(SearchError::Missing)
        );
        assert_eq!(
            read("code", None, &"x,".repeat(65)),
            Some(SearchError::Values)
        );
        assert_eq!(
            read("code", None, &"x".repeat(5000)),
            Some(SearchError::Values)
        );
    }
}
