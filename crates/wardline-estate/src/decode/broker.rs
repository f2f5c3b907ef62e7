//! Connections whose other side is a message broker.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Broker, BrokerContent, BrokerIn, BrokerOut, ClientTls, CloudEvents, Compression,
    ConnectionKind, FileContent, PublishInto, Sasl, Through,
};
use crate::shape::Object;
use crate::shape::broker::{
    AMQP_IN, AMQP_OUT, CLOUDEVENTS, KAFKA_IN, KAFKA_OUT, MQTT_IN, MQTT_OUT, NATS_IN, NATS_OUT,
};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;

/// Each broker with what its two directions may say.
const BROKERS: [(&str, &Object, &Object); 4] = [
    ("nats", &NATS_IN, &NATS_OUT),
    ("amqp", &AMQP_IN, &AMQP_OUT),
    ("mqtt", &MQTT_IN, &MQTT_OUT),
    ("kafka", &KAFKA_IN, &KAFKA_OUT),
];

impl Decoder<'_> {
    /// A connection to a broker, if it is one.
    pub(super) fn broker(&mut self, view: View<'_>, at: Span) -> Option<ConnectionKind> {
        let (word, taking, publishing, node) =
            BROKERS.iter().find_map(|(word, taking, publishing)| {
                Some((*word, *taking, *publishing, view.get(word)?))
            })?;
        if node.get("take").is_some() {
            let taken = self.broker_in(word, View::new(Some(node), taking), at);
            return Some(ConnectionKind::BrokerIn(Box::new(taken)));
        }
        node.get("publish")?;
        let published = self.broker_out(word, View::new(Some(node), publishing), at);
        Some(ConnectionKind::BrokerOut(Box::new(published)))
    }

    fn place(&mut self, word: &str, view: View<'_>) -> Broker {
        let login = self.secret(view.text("login"));
        let token = if word == "nats" {
            self.secret(view.text("token"))
        } else {
            None
        };
        if let (Some(_), Some(token)) = (&login, &token) {
            self.files.problems.push(
                Diagnostic::error(codes::NOT_EXACTLY_ONE, "there is a `login` and a `token`")
                    .at(token.at)
                    .label("a broker is shown one of them"),
            );
        }
        // Only `kafka` has the key.
        let sasl = (word == "kafka").then(|| view.string("sasl")).flatten();
        let sasl = match sasl.as_deref() {
            Some("plain") => Sasl::Plain,
            Some("scram-sha-256") => Sasl::ScramSha256,
            _ => Sasl::ScramSha512,
        };
        Broker {
            servers: view.texts("servers"),
            login,
            token,
            sasl,
            tls: if view.is_true("tls") {
                Some(ClientTls::default())
            } else {
                self.client_tls(view.get("tls"))
            },
            connect_timeout: view
                .parsed("connect_timeout", value::duration)
                .unwrap_or_default(),
        }
    }

    fn broker_in(&mut self, word: &str, view: View<'_>, at: Span) -> BrokerIn {
        let text = |key: &str| view.string(key).unwrap_or_default();
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let through = match word {
            "nats" => Through::Nats {
                stream: text("stream"),
                consumer: text("consumer"),
                ack_wait: duration("ack_wait"),
            },
            "amqp" => Through::Amqp {
                vhost: text("vhost"),
                message_id: view.is_true("message_id"),
            },
            "kafka" => Through::Kafka {
                group: text("group"),
                latest: view.string("begin").as_deref() == Some("latest"),
                record: view.is_true("record"),
                session: duration("session"),
            },
            _ => Through::Mqtt {
                client: text("client"),
                keep: duration("keep"),
            },
        };
        let names: &[&str] = if word == "nats" {
            &["stream", "consumer"]
        } else {
            &[]
        };
        for &key in names {
            if let Some(name) = view.text(key)
                && (name.value.is_empty() || name.value.contains(['.', '*', '>', ' ', '\t']))
            {
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_NAME, format!("this is no name of a {key}"))
                        .at(name.at)
                        .label("NATS allows neither dots, `*`, `>` nor spaces in it"),
                );
            }
        }
        let take = view.text_or_stand_in("take", at);
        if word == "nats" && take.value.chars().any(char::is_whitespace) {
            self.files.problems.push(
                Diagnostic::error(codes::BAD_MEMBERS, "this names no subjects")
                    .at(take.at)
                    .label("a subject has no spaces, such as `orders.>`"),
            );
        }
        if word == "kafka" {
            self.kafka_in(view, &take);
        }
        let content = match view.string("content").as_deref() {
            Some("text") => BrokerContent::As(FileContent::Text),
            Some("xml") => BrokerContent::As(FileContent::Xml),
            Some("hl7") => BrokerContent::As(FileContent::Hl7),
            Some("binary") => BrokerContent::As(FileContent::Binary),
            Some("cloudevents") => BrokerContent::CloudEvents,
            _ => BrokerContent::As(FileContent::Json),
        };
        BrokerIn {
            broker: self.place(word, view),
            take,
            through,
            content,
            ahead: view.integer("ahead"),
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            remember: duration("remember"),
        }
    }

    fn broker_out(&mut self, word: &str, view: View<'_>, at: Span) -> BrokerOut {
        let text = |key: &str| view.string(key).unwrap_or_default();
        let publish = view.text_or_stand_in("publish", at);
        self.template(Some(&publish), "publish");
        let into = match word {
            "nats" => PublishInto::Nats,
            "amqp" => PublishInto::Amqp {
                vhost: text("vhost"),
                exchange: text("exchange"),
            },
            "kafka" => self.kafka_out(view, &publish),
            _ => PublishInto::Mqtt,
        };
        BrokerOut {
            broker: self.place(word, view),
            publish,
            into,
            envelope: view.get("cloudevents").map(|node| self.envelope(node)),
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
        }
    }

    fn kafka_in(&mut self, view: View<'_>, take: &Spanned<String>) {
        self.topic(&take.value, take.at);
        let content = view.text("content");
        if view.is_true("record")
            && let Some(content) = content.filter(|content| content.value != "json")
        {
            self.files.problems.push(
                Diagnostic::error(
                    codes::NOT_EXACTLY_ONE,
                    "all of a record is JSON, whatever its value is",
                )
                .at(content.at)
                .label("remove this, or `record`"),
            );
        }
    }

    fn kafka_out(&mut self, view: View<'_>, publish: &Spanned<String>) -> PublishInto {
        // What stands in braces is not known here; a letter stands for it.
        let mut literal = String::new();
        let mut rest = publish.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            literal.push_str(before);
            literal.push('x');
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
        literal.push_str(rest);
        self.topic(&literal, publish.at);
        self.template(view.text("key").as_ref(), "key");
        PublishInto::Kafka {
            key: view.string("key"),
            compression: match view.string("compression").as_deref() {
                Some("gzip") => Compression::Gzip,
                Some("zstd") => Compression::Zstd,
                _ => Compression::None,
            },
            idempotent: view.is_true("idempotent"),
        }
    }

    /// A topic of Kafka has a name.
    fn topic(&mut self, name: &str, at: Span) {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !name.is_empty() && name.len() <= 249 && name.bytes().all(known) {
            return;
        }
        self.files.problems.push(
            Diagnostic::error(codes::BAD_MEMBERS, "this names no topic of Kafka")
                .at(at)
                .label("a topic has letters, digits, `.`, `_` and `-`, at most 249"),
        );
    }

    fn envelope(&mut self, node: &Node) -> CloudEvents {
        let view = View::new(Some(node), &CLOUDEVENTS);
        for key in ["type", "subject", "time"] {
            self.template(view.text(key).as_ref(), key);
        }
        CloudEvents {
            binary: view.string("mode").as_deref() == Some("binary"),
            source: view.string("source").unwrap_or_default(),
            kind: view.string("type").unwrap_or_default(),
            subject: view.string("subject"),
            time: view.string("time"),
            data: view.string("data"),
        }
    }

    /// Members of the payload stand in braces, and every brace has its other side.
    fn template(&mut self, written: Option<&Spanned<String>>, key: &str) {
        let Some(written) = written else { return };
        let Err(why) = members(&written.value) else {
            return;
        };
        self.files.problems.push(
            Diagnostic::error(codes::BAD_MEMBERS, format!("this makes no `{key}`"))
                .at(written.at)
                .label(why)
                .help(
                    "members of the payload stand in braces, such as `lab.{facility}.{order.type}`",
                ),
        );
    }
}

/// Checks a text with `{members}` in it.
fn members(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let after = &rest[open..];
        let close = after.find('}').filter(|_| after.starts_with('{'));
        let close = close.ok_or("a brace has no other side")?;
        let named = after[1..close].split('.').all(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        });
        if !named {
            return Err("this is no member of a payload");
        }
        rest = &after[close + 1..];
    }
    Ok(())
}
