//! From checked trees to the model.
//!
//! Shapes were checked before, and everything wrong with them was reported, so decoding does not
//! report it again: where a value is missing or unreadable it puts a stand-in and goes on, because
//! the checks that follow need everything else. An estate with errors is never handed out, so no
//! stand-in is ever used.

mod api;
mod as2;
mod broker;
mod client;
mod codes;
mod connection;
mod dicom;
mod dropbox;
mod entity;
mod fhir;
mod fhir_in;
mod files;
mod flow;
mod identity;
mod job;
mod people;
mod policy;
mod process;
mod remote;
mod scim_in;
mod script;
mod secrets;
mod settings;
mod smtp;
mod soap_in;
mod sql;
mod step;
mod system;
mod test;
mod top;
mod view;
mod x12;

pub(crate) use view::View;

use crate::diagnostic::Diagnostic;
use crate::files::{Files, TEXT_LIMIT};
use crate::model::{Estate, FileRef, MapRef, SecretRef};
use crate::origin::Origins;
use crate::shape::Kind;
use crate::source::{FileId, Spanned};
use crate::yaml::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The documents of an estate by their kind.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) estate: Option<Node>,
    pub(crate) defaults: Option<Node>,
    pub(crate) systems: Vec<Node>,
    pub(crate) entities: Vec<Node>,
    pub(crate) flows: Vec<Node>,
    pub(crate) processes: Vec<Node>,
    pub(crate) jobs: Vec<Node>,
    pub(crate) apis: Vec<Node>,
    pub(crate) clients: Vec<Node>,
    pub(crate) policies: Vec<PathBuf>,
    pub(crate) codes: Vec<Node>,
    pub(crate) tests: Vec<Node>,
    /// The rows of code tables.
    pub(crate) tables: Vec<PathBuf>,
    /// Kinds of which a file could not be read, so that names may be missing.
    pub(crate) incomplete: BTreeSet<&'static str>,
}

/// What decoding learned besides the model, for the checks.
#[derive(Default)]
pub(crate) struct Learned {
    /// References to secrets.
    pub(crate) secrets: Vec<SecretRef>,
    /// Mapping programs that something refers to.
    pub(crate) used_maps: BTreeSet<FileId>,
    /// Names of facilities that systems and connections say they belong to.
    pub(crate) facilities: Vec<Spanned<String>>,
    /// Names under `systems` in the defaults.
    pub(crate) default_systems: Vec<Spanned<String>>,
    /// Clients that say something under `auth`, whether or not it can be read.
    pub(crate) with_auth: BTreeSet<String>,
    /// Connections whose protocol is not known or not supported.
    pub(crate) unclear: BTreeSet<String>,
}

pub(crate) struct Decoder<'a> {
    pub(crate) files: &'a mut Files,
    defaults: Option<&'a Node>,
    origins: Origins,
    learned: Learned,
}

/// Decodes everything. The estate is a draft: its sources are still with the files, and its
/// references have not been followed.
pub(crate) fn decode(documents: &Documents, files: &mut Files) -> (Estate, Learned) {
    let mut decoder = Decoder {
        files,
        defaults: documents.defaults.as_ref(),
        origins: Origins::default(),
        learned: Learned::default(),
    };
    decoder.learn_defaults();
    let mut estate = decoder.top(documents.estate.as_ref());
    for node in &documents.systems {
        let system = decoder.system(node);
        decoder.declare(
            &mut estate.systems,
            "system",
            system.name.clone(),
            system,
            |system| system.at,
        );
    }
    for node in &documents.entities {
        if let Some(entity) = decoder.entity(node) {
            decoder.declare(
                &mut estate.entities,
                "entity",
                entity.name.clone(),
                entity,
                |entity| entity.at,
            );
        }
    }
    for node in &documents.apis {
        let api = decoder.api(node, &estate);
        if !api.name.is_empty() {
            decoder.declare(&mut estate.apis, "Api", api.id.clone(), api, |api| api.at);
        }
    }
    for node in &documents.clients {
        let client = decoder.client(node);
        decoder.declare(
            &mut estate.clients,
            "client",
            client.name.clone(),
            client,
            |client| client.at,
        );
    }
    estate.policies = decoder.policies(&documents.policies);
    for node in &documents.flows {
        let flow = decoder.flow(node, &estate);
        decoder.declare(&mut estate.flows, "flow", flow.name.clone(), flow, |flow| {
            flow.at
        });
    }
    for node in &documents.processes {
        let process = decoder.process(node, &estate);
        decoder.declare(
            &mut estate.processes,
            "process",
            process.name.clone(),
            process,
            |process| process.at,
        );
    }
    for node in &documents.jobs {
        let job = decoder.job(node, &estate);
        decoder.declare(&mut estate.jobs, "job", job.name.clone(), job, |job| job.at);
    }
    estate.codes = decoder.code_tables(&documents.tables, &documents.codes);
    estate.tests = documents
        .tests
        .iter()
        .filter_map(|node| decoder.test(node))
        .collect();
    estate.origins = decoder.origins;
    estate.secrets.used.clone_from(&decoder.learned.secrets);
    (estate, decoder.learned)
}

impl Decoder<'_> {
    /// Adds a declaration to those of its kind, or reports that its name is taken.
    fn declare<T>(
        &mut self,
        known: &mut BTreeMap<String, T>,
        kind: &str,
        name: String,
        item: T,
        at: impl Fn(&T) -> crate::source::Span,
    ) {
        if name.is_empty() {
            return;
        }
        if let Some(first) = known.get(&name) {
            self.files.problems.push(
                Diagnostic::error(
                    crate::codes::DUPLICATE_NAME,
                    format!("there are two {kind} declarations named `{name}`"),
                )
                .at(at(&item))
                .label("again here")
                .related(at(first), "first here")
                .help("rename one of them; names are unique across all files"),
            );
        } else {
            known.insert(name, item);
        }
    }

    fn secret(&mut self, written: Option<Spanned<String>>) -> Option<SecretRef> {
        let written = written?;
        crate::value::secret(&written.value).ok()?;
        let secret = SecretRef {
            text: written.value,
            at: written.at,
        };
        self.learned.secrets.push(secret.clone());
        Some(secret)
    }

    fn file(&mut self, written: Option<Spanned<String>>) -> Option<FileRef> {
        let written = written?;
        let path = self.files.refer("", &written)?;
        Some(FileRef {
            path,
            at: written.at,
        })
    }

    fn maps(&mut self, written: Vec<Spanned<String>>) -> Vec<MapRef> {
        written
            .into_iter()
            .filter_map(|written| self.map(written))
            .collect()
    }

    fn map(&mut self, written: Spanned<String>) -> Option<MapRef> {
        let map = self.tried_map(written)?;
        self.learned.used_maps.insert(map.file);
        Some(map)
    }

    /// A map that a test runs. That alone is no use of it.
    fn tried_map(&mut self, written: Spanned<String>) -> Option<MapRef> {
        if !crate::value::is_map(&written.value) {
            return None;
        }
        let path = self.files.refer("", &written)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        Some(MapRef {
            path,
            file,
            at: written.at,
        })
    }
}

impl Documents {
    /// Where documents of a kind that may have several are kept.
    pub(crate) fn several(&mut self, kind: Kind) -> Option<&mut Vec<Node>> {
        match kind {
            Kind::Estate | Kind::Defaults => None,
            Kind::System => Some(&mut self.systems),
            Kind::Entity => Some(&mut self.entities),
            Kind::Flow => Some(&mut self.flows),
            Kind::Process => Some(&mut self.processes),
            Kind::Job => Some(&mut self.jobs),
            Kind::Api => Some(&mut self.apis),
            Kind::Client => Some(&mut self.clients),
            Kind::Codes => Some(&mut self.codes),
            Kind::Test => Some(&mut self.tests),
        }
    }
}
