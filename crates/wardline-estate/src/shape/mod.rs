//! What each file may say, declared once.
//!
//! A `Shape` says what a value may be, an `Object` which keys a mapping has. From these tables
//! come the loader's own checks, the JSON Schemas with which editors complete and check while
//! typing ([`schema`]), and the reference manual ([`reference()`]), so the three cannot drift apart.

#[cfg(test)]
mod agree;
pub(crate) mod api;
pub(crate) mod as2;
pub(crate) mod broker;
mod check;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod data;
pub(crate) mod dicom;
pub(crate) mod dropbox;
pub(crate) mod estate;
pub(crate) mod fhir;
pub(crate) mod flow;
mod form;
pub(crate) mod job;
mod manual;
pub(crate) mod people;
pub(crate) mod process;
pub(crate) mod remote;
mod schema;
pub(crate) mod scim;
pub(crate) mod secrets;
pub(crate) mod smtp;
pub(crate) mod soap_in;
pub(crate) mod sql;
pub(crate) mod step;
pub(crate) mod step_parts;
pub(crate) mod system;
pub(crate) mod test;
pub(crate) mod x12;

pub(crate) use check::check;
pub(crate) use form::Form;
pub use manual::{errors, reference};
pub use schema::schema;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `wardline.yaml`
    Estate,
    /// `defaults.yaml`
    Defaults,
    /// `systems/*.yaml`
    System,
    /// `flows/*.yaml`
    Flow,
    /// `processes/*.yaml`
    Process,
    /// `jobs/*.yaml`
    Job,
    /// `entities/*.yaml`
    Entity,
    /// `apis/*.yaml`
    Api,
    /// `clients/*.yaml`
    Client,
    /// `codes/*.yaml`
    Codes,
    /// `tests/*.yaml`
    Test,
}

impl Kind {
    /// All kinds in the order of the manual.
    pub const ALL: [Self; 11] = [
        Self::Estate,
        Self::System,
        Self::Entity,
        Self::Flow,
        Self::Process,
        Self::Job,
        Self::Api,
        Self::Client,
        Self::Codes,
        Self::Defaults,
        Self::Test,
    ];

    /// The word that names it: `wardline schema system`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Estate => "estate",
            Self::Defaults => "defaults",
            Self::System => "system",
            Self::Flow => "flow",
            Self::Process => "process",
            Self::Job => "job",
            Self::Entity => "entity",
            Self::Api => "api",
            Self::Client => "client",
            Self::Codes => "codes",
            Self::Test => "test",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Where its files are.
    pub const fn files(self) -> &'static str {
        match self {
            Self::Estate => "wardline.yaml",
            Self::Defaults => "defaults.yaml",
            Self::System => "systems/*.yaml",
            Self::Flow => "flows/*.yaml",
            Self::Process => "processes/*.yaml",
            Self::Job => "jobs/*.yaml",
            Self::Entity => "entities/*.yaml",
            Self::Api => "apis/*.yaml",
            Self::Client => "clients/*.yaml",
            Self::Codes => "codes/*.yaml",
            Self::Test => "tests/*.yaml",
        }
    }

    /// Whether a file holds several of them, parted by `---`.
    pub const fn several(self) -> bool {
        matches!(
            self,
            Self::System
                | Self::Flow
                | Self::Process
                | Self::Job
                | Self::Entity
                | Self::Api
                | Self::Client
                | Self::Test
        )
    }

    /// What its files say.
    pub(crate) const fn object(self) -> &'static Object {
        match self {
            Self::Estate => &estate::ESTATE,
            Self::Defaults => &estate::DEFAULTS,
            Self::System => &system::SYSTEM,
            Self::Flow => &flow::FLOW,
            Self::Process => &process::PROCESS,
            Self::Job => &job::JOB,
            Self::Entity => &data::ENTITY,
            Self::Api => &api::API,
            Self::Client => &client::CLIENT,
            Self::Codes => &data::CODES,
            Self::Test => &test::TEST,
        }
    }
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// With its article, as in "`x` is not a key of {name}".
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) fields: &'static [Field],
    /// Exactly one of these keys must be there; empty means no such rule.
    pub(crate) exactly_one: &'static [&'static str],
}

/// A key of a mapping.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// May be absent and then means this.
    Default(&'static str),
    /// Belongs to a later release: reported, not checked.
    Later,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// One text with a meaning of its own.
    Text(Form),
    Bool,
    Integer(i64, i64),
    Number(f64, f64),
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Any JSON value.
    Any,
    /// At least one.
    List(&'static Shape),
    /// A list that may be empty.
    ListOrNone(&'static Shape),
    OneOrMany(&'static Shape),
    /// Keys of the user's choice.
    Map(Form, &'static Shape),
    /// A mapping with one key, of the user's choice.
    Single(Form, &'static Shape),
    Object(&'static Object),
    /// A mapping whose kind shows in which of these keys it has. Where it has several of them, it
    /// is of the kind to which the others are keys as well.
    Keyed(&'static [(&'static str, &'static Object)]),
    /// The first that fits what the node is: scalar, list or mapping.
    Either(&'static [Shape]),
    /// What stands in a table of its own, so that it may contain itself.
    Defined(&'static Definition),
}

/// A shape with a name.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its name in JSON Schemas.
    pub(crate) key: &'static str,
    /// With its article, for messages and the manual.
    pub(crate) name: &'static str,
    /// What to write, for whoever wrote something else.
    pub(crate) help: &'static str,
    pub(crate) shape: Shape,
}

/// Shorthand for the tables.
const fn field(key: &'static str, shape: Shape, need: Need, doc: &'static str) -> Field {
    Field {
        key,
        shape,
        need,
        doc,
    }
}
