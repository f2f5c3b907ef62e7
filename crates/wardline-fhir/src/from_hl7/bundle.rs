//! The resources of a message while they are made, and the bundle in the end.

use ahash::AHashMap;
use uuid::Uuid;
use wardline_hl7::{Message, Raw};

use super::codes::{self, V2};
use super::values::{self, Authority, Reader, part, text};
use super::{Form, MapError, Options};
use crate::node::{Node, Object};

/// The namespace of all ids that are made here.
const NAMESPACE: Uuid = Uuid::from_u128(0x7f1c_2a54_9d0b_4a0e_8c52_6b1f_0d3e_97a1);

/// What messages refer to and do not own.
const REFERRED: [&str; 3] = ["Practitioner", "Organization", "Device"];

/// A resource that others refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made(usize);

struct Entry {
    kind: &'static str,
    id: Uuid,
    /// The identifier that a server finds it by.
    by: Option<String>,
    body: Object,
}

/// Everything that a message has become so far.
pub(super) struct Making<'a> {
    pub(super) message: &'a Message,
    pub(super) options: &'a Options,
    pub(super) event: String,
    pub(super) control: String,
    entries: Vec<Entry>,
    known: AHashMap<Uuid, usize>,
}

impl<'a> Making<'a> {
    pub(super) fn new(message: &'a Message, options: &'a Options) -> Self {
        let sender = [
            message.sending_application(),
            message.sending_facility(),
            message.control_id(),
        ];
        Self {
            message,
            options,
            event: message.trigger_event().unwrap_or_default().into_owned(),
            control: sender.into_iter().flatten().collect::<Vec<_>>().join("|"),
            entries: Vec::with_capacity(12),
            known: AHashMap::new(),
        }
    }

    pub(super) fn reader(&self, name: &str) -> Option<Reader<'a>> {
        self.readers(name).next()
    }

    pub(super) fn needed(&self, name: &'static str) -> Result<Reader<'a>, MapError> {
        self.reader(name).ok_or(MapError::Missing(name))
    }

    pub(super) fn readers(&self, name: &str) -> impl Iterator<Item = Reader<'a>> + use<'a> {
        let options = self.options;
        let all: Vec<_> = self.message.segments_named(name).collect();
        all.into_iter()
            .map(move |segment| Reader { segment, options })
    }

    /// All segments from the first of `first` on, each with its name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, Reader<'a>)> + use<'a> {
        let options = self.options;
        self.message
            .segments()
            .map(move |segment| (segment.name(), Reader { segment, options }))
    }

    /// Adds a resource. `key` is what makes it the same in the next message; where it was added
    /// before, that one stays.
    pub(super) fn add(&mut self, kind: &'static str, key: &str, body: Object) -> Made {
        self.put(kind, key, None, body)
    }

    /// Adds a resource that has identifiers: the first with a system is what it is known by.
    pub(super) fn add_known(&mut self, kind: &'static str, otherwise: &str, body: Object) -> Made {
        let by = match body.get("identifier") {
            Some(Node::Array(all)) => all.iter().find_map(search),
            Some(one @ Node::Object(_)) => search(one),
            _ => None,
        };
        match by {
            Some(by) => self.put(kind, &by.clone(), Some(by), body),
            None => self.put(kind, otherwise, None, body),
        }
    }

    fn put(&mut self, kind: &'static str, key: &str, by: Option<String>, body: Object) -> Made {
        let mut name = String::with_capacity(kind.len() + key.len() + 1);
        name.push_str(kind);
        name.push('|');
        name.push_str(key);
        let id = Uuid::new_v5(&NAMESPACE, name.as_bytes());
        if let Some(at) = self.known.get(&id) {
            return Made(*at);
        }
        let at = self.entries.len();
        self.known.insert(id, at);
        self.entries.push(Entry { kind, id, by, body });
        Made(at)
    }

    pub(super) fn body(&mut self, made: Made) -> &mut Object {
        &mut self.entries[made.0].body
    }

    /// What the id of a resource is made of anew: a key for what belongs to it.
    pub(super) fn key(&self, made: Made) -> String {
        self.entries[made.0].id.to_string()
    }

    /// A reference to a resource of the bundle.
    pub(super) fn reference(&self, made: Made) -> Object {
        let entry = &self.entries[made.0];
        let mut reference = Object::new();
        reference.put("reference", format!("urn:uuid:{}", entry.id));
        reference
    }

    /// A person by number and name (XCN).
    pub(super) fn practitioner(&mut self, raw: Raw<'_>) -> Option<Made> {
        let number = part(raw, 1);
        let name = values::name_at(raw, 2, part(raw, 10));
        if number.is_none() && name.is_none() {
            return None;
        }
        let mut body = Object::new();
        if let Some(value) = number {
            let authority = Authority::read(raw.component(9));
            body.push(
                "identifier",
                values::identifier_of(value, part(raw, 13), &authority, self.options),
            );
        }
        if let Some(name) = name {
            body.push("name", name);
        }
        let otherwise = raw.decode().into_owned();
        Some(self.add_known("Practitioner", &otherwise, body))
    }

    /// The practitioners of a field.
    pub(super) fn practitioners(&mut self, reader: Reader<'_>, n: usize) -> Vec<Made> {
        reader
            .each(n)
            .filter_map(|raw| self.practitioner(raw))
            .collect()
    }

    /// An organisation by name and number (XON).
    pub(super) fn organization(&mut self, raw: Raw<'_>) -> Option<Made> {
        let name = part(raw, 1);
        let number = part(raw, 10).or_else(|| part(raw, 3));
        if name.is_none() && number.is_none() {
            return None;
        }
        let mut body = Object::new();
        if let Some(value) = number {
            let authority = Authority::read(raw.component(6));
            body.push(
                "identifier",
                values::identifier_of(value, part(raw, 7), &authority, self.options),
            );
        }
        body.put("name", name);
        let otherwise = raw.decode().into_owned();
        Some(self.add_known("Organization", &otherwise, body))
    }

    /// Where somebody is (PL): a location for each level, the narrowest is given.
    pub(super) fn location(&mut self, raw: Raw<'_>) -> Option<Made> {
        const LEVELS: [(usize, &str); 6] = [
            (4, "si"),
            (7, "bu"),
            (8, "lvl"),
            (1, "wa"),
            (2, "ro"),
            (3, "bd"),
        ];
        let mut within: Option<Made> = None;
        let mut key = String::new();
        for (n, level) in LEVELS {
            let Some(name) = text(raw.component(n)) else {
                continue;
            };
            key.push_str(level);
            key.push('=');
            key.push_str(&name);
            key.push('/');
            let mut body = Object::new();
            body.put("status", "active")
                .put("name", name)
                .put("mode", "instance");
            let system = "http://terminology.hl7.org/CodeSystem/location-physical-type".to_owned();
            body.put(
                "physicalType",
                values::concept_of(system, level.to_owned(), None),
            );
            if let Some(within) = within {
                let reference = self.reference(within);
                body.put("partOf", reference);
            }
            within = Some(self.add("Location", &key, body));
        }
        within
    }

    /// The bundle.
    pub(super) fn finish(mut self) -> Object {
        let mut bundle = Object::new();
        let header = self.message.segment("MSH", 1).map(|segment| Reader {
            segment,
            options: self.options,
        });
        let form = self.options.form;
        let focus = self.entries.first().map(|_| self.reference(Made(0)));
        let header_entry = (form == Form::Message)
            .then(|| self.header(header, focus))
            .flatten();
        let kind = if form == Form::Message {
            "message"
        } else {
            "transaction"
        };
        bundle.put("resourceType", "Bundle").put(
            "id",
            Uuid::new_v5(&NAMESPACE, format!("Bundle|{}", self.control).as_bytes()).to_string(),
        );
        if let Some(control) = self.message.control_id() {
            let mut identifier = Object::new();
            let system = header.and_then(|header| {
                Authority::read(header.raw(3)?.component(1)).system(self.options)
            });
            identifier
                .put("system", system)
                .put("value", control.into_owned());
            bundle.put("identifier", identifier.some());
        }
        bundle.put("type", kind);
        bundle.put(
            "timestamp",
            header.and_then(|header| values::instant(&header.text(7)?, self.options)),
        );
        let mut entries = Vec::with_capacity(self.entries.len() + 1);
        entries.extend(header_entry.map(Node::Object));
        for entry in self.entries.drain(..) {
            let mut resource = Object::new();
            resource.put("resourceType", entry.kind);
            let by = entry.by.filter(|_| form == Form::Transaction);
            if by.is_none() {
                resource.put("id", entry.id.to_string());
            }
            resource.0.extend(entry.body.0);
            let mut made = Object::new();
            made.put("fullUrl", format!("urn:uuid:{}", entry.id))
                .put("resource", resource);
            if form == Form::Transaction {
                let mut request = Object::new();
                match by {
                    // Others own what a message only refers to: it is made where it is missing,
                    // and never overwritten with the little that the message says of it.
                    Some(by) if REFERRED.contains(&entry.kind) => request
                        .put("method", "POST")
                        .put("url", entry.kind)
                        .put("ifNoneExist", format!("identifier={by}")),
                    Some(by) => request
                        .put("method", "PUT")
                        .put("url", format!("{}?identifier={by}", entry.kind)),
                    None => request
                        .put("method", "PUT")
                        .put("url", format!("{}/{}", entry.kind, entry.id)),
                };
                made.put("request", request);
            }
            entries.push(Node::Object(made));
        }
        bundle.put("entry", entries);
        bundle
    }

    fn header(&self, msh: Option<Reader<'_>>, focus: Option<Object>) -> Option<Object> {
        let msh = msh?;
        let id = Uuid::new_v5(
            &NAMESPACE,
            format!("MessageHeader|{}", self.control).as_bytes(),
        );
        let mut body = Object::new();
        body.put("resourceType", "MessageHeader")
            .put("id", id.to_string());
        if let Some(mode) = msh.text(11) {
            let mut tag = Object::new();
            tag.put("system", format!("{V2}0103")).put("code", mode);
            let mut meta = Object::new();
            meta.push("tag", tag);
            body.put("meta", meta);
        }
        let mut event = Object::new();
        let shown = format!(
            "{}^{}",
            self.message.message_type().unwrap_or_default(),
            self.event
        );
        event
            .put("system", format!("{V2}0003"))
            .put("code", self.event.clone())
            .put("display", shown);
        body.put("eventCoding", event);
        let address = |n| {
            msh.text(n)
                .map(|name| format!("urn:id:{}", codes::plain(&name)))
        };
        if let Some(endpoint) = address(5) {
            let mut destination = Object::new();
            destination
                .put("name", msh.text(5))
                .put("endpoint", endpoint);
            body.push("destination", destination);
        }
        let mut source = Object::new();
        source.put("name", msh.text(3)).put(
            "endpoint",
            address(3).unwrap_or_else(|| "urn:id:unknown".to_owned()),
        );
        body.put("source", source);
        if let Some(focus) = focus {
            body.push("focus", focus);
        }
        let mut made = Object::new();
        made.put("fullUrl", format!("urn:uuid:{id}"))
            .put("resource", body);
        Some(made)
    }
}

/// `system|value`, as a search has it.
fn search(identifier: &Node) -> Option<String> {
    let Node::Object(identifier) = identifier else {
        return None;
    };
    let word = |name| match identifier.get(name) {
        Some(Node::Text(text)) => Some(text.as_str()),
        Some(Node::Word(text)) => Some(*text),
        _ => None,
    };
    Some(format!(
        "{}%7C{}",
        codes::plain(word("system")?),
        codes::plain(word("value")?)
    ))
}
