//! What a program may refer to while it is compiled: its input, code tables, the facility's zone.

use std::sync::Arc;

use jiff::tz::TimeZone;
use thiserror::Error;

use wardline_edi::x12::Guides;
use wardline_soap::xsd::Library;

use crate::codes::CodeTables;
use crate::problem::nearest;
use crate::shape::Shape;

/// What a program reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// An HL7 v2 message: read with `hl7(…)`; `.` begins as `{}`.
    Hl7,
    /// One set of an X12 interchange: read with `x12(…)`; `.` begins as `{}`.
    X12,
    /// JSON, or the data of an event: `.` is that value.
    #[default]
    Json,
    /// Any other text: `.text` is it (bytes that are not UTF-8 become U+FFFD when written as JSON).
    Text,
}

/// An IANA time zone that exists, such as `America/Chicago`.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    pub(crate) rules: TimeZone,
    name: Arc<str>,
}

/// A name that is no IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name:?} is not a time zone of the IANA database{}; write one such as America/Chicago", match near { Some(near) => format!(" (did you mean {near:?}?)"), None => String::new() })]
pub struct UnknownZone {
    /// The name as given.
    pub name: String,
    /// The nearest name that exists.
    pub near: Option<String>,
}

impl Zone {
    /// Finds a zone by its IANA name.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        if let Ok(rules) = TimeZone::get(name) {
            return Ok(Self {
                rules,
                name: Arc::from(name),
            });
        }
        let all: Vec<String> = jiff::tz::db()
            .available()
            .map(|zone| zone.as_str().to_owned())
            .collect();
        let near = nearest(name, all.iter().map(String::as_str)).map(str::to_owned);
        Err(UnknownZone {
            name: name.to_owned(),
            near,
        })
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a program is compiled against.
///
/// ```
/// use wardline_mapping::{Environment, Input, Zone};
/// let mut environment = Environment::for_input(Input::Hl7);
/// environment.zone = Some(Zone::named("America/Chicago")?);
/// # Ok::<(), wardline_mapping::UnknownZone>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// What the program reads.
    pub input: Input,
    /// The estate's code tables.
    pub codes: Arc<CodeTables>,
    /// The facility's zone: that of timestamps which carry none. Without it such timestamps are
    /// errors unless the call names a zone.
    pub zone: Option<Zone>,
    /// Guides of X12 sets beside the shipped ones, by which loops are known.
    pub guides: Option<Arc<Guides>>,
    /// XML Schemas of the estate, for `xml_read_as` and `xml_write`.
    pub xml: Option<Arc<Library>>,
    /// What is known of `.` before the program runs, from an entity's schema or the map before
    /// this one; anything where nothing is known.
    pub data: Option<Shape>,
}

impl Environment {
    /// The guides of X12 sets: the shipped ones where nothing else was said.
    pub(crate) fn guides(&self) -> Arc<Guides> {
        self.guides.clone().unwrap_or_else(Guides::shipped)
    }

    /// An environment of that input without code tables or zone.
    pub fn for_input(input: Input) -> Self {
        Self {
            input,
            ..Self::default()
        }
    }
}
