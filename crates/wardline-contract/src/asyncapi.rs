//! AsyncAPI 3 made from an estate: what is taken from brokers and published to them, and which
//! events are told inside, with their entities' schemas.
//!
//! The same estate gives the same bytes. What a map makes of a message has no schema that could be
//! read from it; such a payload is described in words and left open.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wardline_estate::model::{
    BrokerContent, BrokerIn, BrokerOut, Connection, ConnectionKind, Entity, Estate, FileContent,
    Flow, PublishInto, Sasl, Source, System, Target, TargetKind, Through, Validate,
};

use crate::schema::walk;

/// The version of AsyncAPI that is written.
pub const ASYNCAPI: &str = "3.0.0";

/// Describes an estate's events and broker connections.
pub fn asyncapi(estate: &Estate) -> Value {
    let mut document = Document {
        estate,
        servers: Map::new(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
        secured: BTreeMap::new(),
    };
    for (system, connection) in estate.connections() {
        match &connection.kind {
            ConnectionKind::BrokerIn(declared) => document.taken(system, connection, declared),
            ConnectionKind::BrokerOut(declared) => document.published(system, connection, declared),
            _ => {}
        }
    }
    document.events();
    document.finish()
}

struct Document<'a> {
    estate: &'a Estate,
    servers: Map<String, Value>,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    /// Schemes of security by their keys.
    secured: BTreeMap<&'static str, &'static str>,
}

impl<'a> Document<'a> {
    /// What Wardline receives from a broker.
    fn taken(&mut self, system: &System, connection: &Connection, declared: &BrokerIn) {
        let (protocol, version, path) = match &declared.through {
            Through::Nats { .. } => ("nats", "2", None),
            Through::Amqp { vhost, .. } => ("amqp", "0.9.1", Some(vhost.as_str())),
            Through::Mqtt { .. } => ("mqtt", "5", None),
            Through::Kafka { .. } => ("kafka", "2.1", None),
        };
        let servers = self.servers(connection, &declared.broker, protocol, version, path);
        let content_type = match declared.content {
            BrokerContent::CloudEvents => "application/cloudevents+json",
            BrokerContent::As(kind) => media_type(kind),
        };
        let payload = match declared.content {
            BrokerContent::CloudEvents => event(json!({})),
            BrokerContent::As(FileContent::Json) => json!({}),
            BrokerContent::As(_) => json!({ "type": "string" }),
        };
        let flows = self.estate.flows_from(&connection.reference);
        let read: Vec<String> = flows.map(|flow| flow.name.clone()).collect();
        let message = json!({
            "title": format!("What {} sends", system.title.as_deref().unwrap_or(&system.name)),
            "description": format!("Read by the flows: {}.", read.join(", ")),
            "contentType": content_type,
            "payload": payload,
        });
        let name = id(&connection.reference);
        self.messages.insert(name.clone(), message);
        let mut channel = json!({
            "address": declared.take.value,
            "title": connection.reference,
            "servers": servers,
            "messages": { name.clone(): { "$ref": format!("#/components/messages/{name}") } },
        });
        match &declared.through {
            Through::Nats { stream, .. } => {
                channel["description"] = format!("A stream of JetStream: {stream}.").into();
            }
            Through::Amqp { vhost, .. } => {
                channel["bindings"] = json!({ "amqp": {
                    "is": "queue", "queue": { "name": declared.take.value, "durable": true, "vhost": vhost },
                    "bindingVersion": "0.3.0",
                } });
            }
            Through::Kafka { .. } => {
                channel["bindings"] = json!({ "kafka": {
                    "topic": declared.take.value, "bindingVersion": "0.5.0",
                } });
            }
            Through::Mqtt { .. } => {}
        }
        self.channels.insert(name.clone(), channel);
        let bindings = match &declared.through {
            Through::Mqtt { .. } => Some(at_least_once()),
            Through::Kafka { group, .. } => Some(json!({ "kafka": {
                "groupId": { "type": "string", "const": group }, "bindingVersion": "0.5.0",
            } })),
            _ => None,
        };
        self.operation(
            &name,
            "receive",
            "Acknowledged when it is on stable storage.",
            bindings,
        );
    }

    /// What Wardline publishes to a broker.
    fn published(&mut self, system: &System, connection: &Connection, declared: &BrokerOut) {
        let (protocol, version, path) = match &declared.into {
            PublishInto::Nats => ("nats", "2", None),
            PublishInto::Amqp { vhost, .. } => ("amqp", "0.9.1", Some(vhost.as_str())),
            PublishInto::Mqtt => ("mqtt", "5", None),
            PublishInto::Kafka { .. } => ("kafka", "2.1", None),
        };
        let servers = self.servers(connection, &declared.broker, protocol, version, path);
        let name = id(&connection.reference);
        let (address, parameters) = address(&declared.publish.value);
        let mut messages = Map::new();
        for (flow, target) in self.senders(system, connection) {
            let payload = self.payload(flow, target);
            let mut message = match &declared.envelope {
                None => json!({ "contentType": "application/json", "payload": payload }),
                Some(envelope) => {
                    let data = if envelope.data.is_some() {
                        json!({})
                    } else {
                        payload
                    };
                    let source = json!({ "const": envelope.source });
                    if envelope.binary {
                        let mut headers = event(json!({}));
                        headers["properties"]["source"] = source;
                        if let Some(properties) = headers["properties"].as_object_mut() {
                            properties.shift_remove("data");
                        }
                        json!({
                            "description": "CloudEvents 1.0, binary: attributes are headers.",
                            "contentType": "application/json", "headers": headers, "payload": data,
                        })
                    } else {
                        let mut whole = event(data);
                        whole["properties"]["source"] = source;
                        json!({
                            "description": "CloudEvents 1.0, structured.",
                            "contentType": "application/cloudevents+json", "payload": whole,
                        })
                    }
                }
            };
            if let PublishInto::Kafka { key: Some(key), .. } = &declared.into {
                message["bindings"] = json!({ "kafka": {
                    "key": { "type": "string", "description": format!("{key}: members of the payload in braces.") },
                    "bindingVersion": "0.5.0",
                } });
            }
            message["title"] = flow
                .title
                .clone()
                .unwrap_or_else(|| flow.name.clone())
                .into();
            let key = format!("{name}.{}", flow.name);
            let reference = json!({ "$ref": format!("#/components/messages/{key}") });
            messages.insert(flow.name.clone(), reference);
            self.messages.insert(key, message);
        }
        let mut channel = json!({
            "address": address,
            "title": connection.reference,
            "servers": servers,
            "messages": messages,
        });
        if !parameters.is_empty() {
            channel["parameters"] = parameters.into();
        }
        if let PublishInto::Amqp { vhost, exchange } = &declared.into {
            channel["bindings"] = json!({ "amqp": {
                "is": "routingKey", "exchange": { "name": exchange, "vhost": vhost },
                "bindingVersion": "0.3.0",
            } });
        }
        self.channels.insert(name.clone(), channel);
        let bindings = matches!(declared.into, PublishInto::Mqtt).then(at_least_once);
        self.operation(
            &name,
            "send",
            "Delivered when the broker has confirmed it.",
            bindings,
        );
    }

    fn operation(&mut self, channel: &str, action: &str, summary: &str, bindings: Option<Value>) {
        let mut operation = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{channel}") },
            "summary": summary,
        });
        if let Some(bindings) = bindings {
            operation["bindings"] = bindings;
        }
        self.operations
            .insert(format!("{action}-{channel}"), operation);
    }

    fn servers(
        &mut self,
        connection: &Connection,
        broker: &wardline_estate::model::Broker,
        protocol: &str,
        version: &str,
        path: Option<&str>,
    ) -> Vec<Value> {
        let protocol = match (protocol, broker.tls.is_some()) {
            ("amqp", true) => "amqps",
            ("mqtt", true) => "secure-mqtt",
            ("kafka", true) => "kafka-secure",
            (plain, _) => plain,
        };
        let mut references = Vec::new();
        for (number, server) in broker.servers.iter().enumerate() {
            let name = format!("{}-{}", id(&connection.reference), number + 1);
            let mut written = json!({
                "host": server.value, "protocol": protocol, "protocolVersion": version,
            });
            if let Some(path) = path {
                written["pathname"] = format!("/{}", path.trim_start_matches('/')).into();
            }
            if broker.login.is_some() {
                let scheme = match (protocol, broker.sasl) {
                    ("kafka" | "kafka-secure", Sasl::ScramSha512) => "scramSha512",
                    ("kafka" | "kafka-secure", Sasl::ScramSha256) => "scramSha256",
                    ("kafka" | "kafka-secure", Sasl::Plain) => "plain",
                    _ => "userPassword",
                };
                let key = if scheme == "userPassword" {
                    "login"
                } else {
                    scheme
                };
                self.secured.insert(key, scheme);
                let reference = format!("#/components/securitySchemes/{key}");
                written["security"] = json!([{ "$ref": reference }]);
            }
            references.push(json!({ "$ref": format!("#/servers/{name}") }));
            self.servers.insert(name, written);
        }
        references
    }

    /// The flows that send to a connection.
    fn senders(&self, system: &System, connection: &Connection) -> Vec<(&'a Flow, &'a Target)> {
        let wanted = TargetKind::Send {
            system: system.name.clone(),
            connection: connection.name.clone(),
        };
        let estate: &'a Estate = self.estate;
        let flows = estate.flows.values();
        flows
            .filter_map(|flow| {
                let target = flow.to.iter().find(|target| target.kind == wanted)?;
                Some((flow, target))
            })
            .collect()
    }

    /// What is known of what a flow sends: its entity, where nothing changes it any more.
    fn payload(&self, flow: &Flow, target: &Target) -> Value {
        let open =
            || json!({ "description": "What the flow's map makes; its golden test shows one." });
        if !target.map.is_empty() || !flow.enrich.is_empty() {
            return open();
        }
        match (&flow.validate, &flow.source) {
            (Validate::Entity(entity), _) => self.entity(&entity.value).unwrap_or_else(open),
            (Validate::Nothing, Source::Event(events)) if flow.map.is_empty() => {
                let of_all = events.iter().map(|event| entity_of(&event.value));
                let mut entities: Vec<String> = of_all.collect();
                entities.dedup();
                match entities.as_slice() {
                    [one] => self.entity(one).unwrap_or_else(open),
                    _ => open(),
                }
            }
            _ => open(),
        }
    }

    fn entity(&self, name: &str) -> Option<Value> {
        self.estate
            .entities
            .contains_key(name)
            .then(|| json!({ "$ref": format!("#/components/schemas/{name}") }))
    }

    /// Events that are told inside, each with those who tell it.
    fn events(&mut self) {
        let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for flow in self.estate.flows.values() {
            let then = flow.to.iter().filter_map(|target| target.then.as_ref());
            let all = flow.emit.iter().chain(then.map(|then| &then.emit));
            for event in all {
                told.entry(&event.value).or_default().push(&flow.name);
            }
        }
        let told: Vec<(String, String)> = told
            .into_iter()
            .map(|(event, flows)| (event.to_owned(), flows.join(", ")))
            .collect();
        for (event, flows) in told {
            let payload = self.entity(&entity_of(&event)).unwrap_or_else(|| json!({}));
            let message = json!({
                "name": event, "contentType": "application/json", "payload": payload,
                "description": format!("Told by the flows: {flows}."),
            });
            let name = id(&event);
            self.messages.insert(name.clone(), message);
            let channel = json!({
                "address": null, "title": event,
                "description": "Inside Wardline: flows hear it by `from: { event: … }`, processes by `on:` and waits, clients by webhooks.",
                "messages": { name.clone(): { "$ref": format!("#/components/messages/{name}") } },
            });
            self.channels.insert(name, channel);
        }
    }

    fn finish(self) -> Value {
        let estate = self.estate;
        let title = estate.title.as_deref().unwrap_or(&estate.name);
        let mut schemas = Map::new();
        let text = json!([self.messages, self.channels]).to_string();
        for (name, entity) in &estate.entities {
            if text.contains(&format!("\"#/components/schemas/{name}\"")) {
                schemas.insert(name.clone(), component(name, entity));
            }
        }
        let mut components = json!({ "messages": self.messages, "schemas": schemas });
        if !self.secured.is_empty() {
            let schemes = self.secured.iter().map(|(key, scheme)| {
                let scheme = json!({ "type": scheme, "description": "User and password." });
                ((*key).to_owned(), scheme)
            });
            components["securitySchemes"] = Value::Object(schemes.collect());
        }
        json!({
            "asyncapi": ASYNCAPI,
            "info": {
                "title": title, "version": "1.0.0",
                "description": "What this estate takes from brokers and publishes to them, and the events that it tells.",
            },
            "defaultContentType": "application/json",
            "servers": self.servers,
            "channels": self.channels,
            "operations": self.operations,
            "components": components,
        })
    }
}

/// What MQTT says of an operation.
fn at_least_once() -> Value {
    json!({ "mqtt": { "qos": 1, "bindingVersion": "0.2.0" } })
}

/// The envelope of an event around data.
fn event(data: Value) -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" }, "id": text(), "source": text(), "type": text(),
            "subject": text(), "time": { "type": "string", "format": "date-time" },
            "datacontenttype": text(), "data": data,
        },
    })
}

/// An entity's schema as a component: what was relative to the schema becomes relative to the document.
fn component(name: &str, entity: &Entity) -> Value {
    let home = format!("#/components/schemas/{name}");
    let mut schema = (*entity.schema).clone();
    if let Value::Object(map) = &mut schema {
        map.shift_remove("$schema");
        map.shift_remove("$id");
    }
    walk(&mut schema, &mut |map| {
        let local = map.get("$ref").and_then(Value::as_str);
        let local = local
            .and_then(|target| target.strip_prefix('#'))
            .map(str::to_owned);
        if let Some(rest) = local
            && !rest.starts_with("/components/schemas/")
        {
            map.insert("$ref".to_owned(), format!("{home}{rest}").into());
        }
    });
    schema
}

/// A template as an address with parameters, whose names have no dots.
fn address(template: &str) -> (String, Map<String, Value>) {
    let mut parameters = Map::new();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (member, after) = after.split_once('}').unwrap_or((after, ""));
        let name = member.replace('.', "_");
        out.push_str(&format!("{before}{{{name}}}"));
        let pointer = member.replace('.', "/");
        let parameter = json!({
            "description": format!("`{member}` of the payload, percent-encoded."),
            "location": format!("$message.payload#/{pointer}"),
        });
        parameters.insert(name, parameter);
        rest = after;
    }
    out.push_str(rest);
    (out, parameters)
}

/// A name that AsyncAPI takes as a key everywhere.
fn id(name: &str) -> String {
    name.replace('.', "-")
}

/// The entity an event belongs to: `purchase_order.approved` → `purchase-order`.
fn entity_of(event: &str) -> String {
    event.split('.').next().unwrap_or(event).replace('_', "-")
}

const fn media_type(kind: FileContent) -> &'static str {
    match kind {
        FileContent::Json => "application/json",
        FileContent::Text => "text/plain",
        FileContent::Xml => "application/xml",
        FileContent::Hl7 => "application/hl7-v2",
        FileContent::X12 => "application/edi-x12",
        FileContent::Binary => "application/octet-stream",
    }
}
