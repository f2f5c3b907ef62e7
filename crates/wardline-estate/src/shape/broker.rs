//! Connections of `systems/*.yaml` whose other side is a message broker. All brokers are declared
//! alike; each adds what only it has.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Either, Integer, Object as Obj, OneOrMany, Text, Word};
use super::connection::CLIENT_TLS;
use super::{Form, Object, Shape, field};

/// Declares both directions of one broker.
macro_rules! broker {
    (
        $taking:ident $taking_name:literal $taking_doc:literal take $take_doc:literal [$($in:expr,)*]
        $publishing:ident $publishing_name:literal $publishing_doc:literal publish $publish_doc:literal [$($out:expr,)*]
    ) => {
        pub(crate) static $taking: Object = Object {
            name: $taking_name,
            doc: $taking_doc,
            fields: &[
                field(
                    "servers",
                    OneOrMany(&Text(Form::HostPort)),
                    Required,
                    "Host and port of each server, tried in turn.",
                ),
                field("take", Text(Form::Prose), Required, $take_doc),
                $($in,)*
                field(
                    "content",
                    Word(&["json", "text", "xml", "hl7", "binary", "cloudevents"]),
                    Default("json"),
                    "What bodies are. `cloudevents`: CloudEvents 1.0, structured or binary; flows read one shape, `.type`, `.data.account`, and each event is taken once.",
                ),
                field(
                    "ahead",
                    Integer(1, 1_000),
                    Default("64"),
                    "Messages that may be in hand together.",
                ),
                field(
                    "max_size",
                    Text(Form::Size),
                    Default("1MiB"),
                    "The largest body; larger ones are not read, and recorded as dead deliveries.",
                ),
                field(
                    "remember",
                    Text(Form::Duration),
                    Default("7d"),
                    "How long it is remembered which messages were taken, by the names that the broker gives them.",
                ),
                field(
                    "login",
                    Text(Form::Secret),
                    Optional,
                    "User and password; the secret holds `user:password`.",
                ),
                field(
                    "tls",
                    Either(&[Bool, Obj(&CLIENT_TLS)]),
                    Optional,
                    "`true`, or how to verify the server and prove who we are.",
                ),
                field(
                    "connect_timeout",
                    Text(Form::Duration),
                    Default("10s"),
                    "How long connecting may take, greetings included.",
                ),
            ],
            exactly_one: &[],
        };

        pub(crate) static $publishing: Object = Object {
            name: $publishing_name,
            doc: $publishing_doc,
            fields: &[
                field(
                    "servers",
                    OneOrMany(&Text(Form::HostPort)),
                    Required,
                    "Host and port of each server, tried in turn.",
                ),
                field("publish", Text(Form::Prose), Required, $publish_doc),
                $($out,)*
                field(
                    "cloudevents",
                    Obj(&CLOUDEVENTS),
                    Optional,
                    "The envelope of CloudEvents 1.0; payloads are published as they are where absent.",
                ),
                field(
                    "timeout",
                    Text(Form::Duration),
                    Default("10s"),
                    "How long to wait for a confirmation.",
                ),
                field(
                    "max_size",
                    Text(Form::Size),
                    Default("1MiB"),
                    "The largest payload; larger ones are not published.",
                ),
                field(
                    "login",
                    Text(Form::Secret),
                    Optional,
                    "User and password; the secret holds `user:password`.",
                ),
                field(
                    "tls",
                    Either(&[Bool, Obj(&CLIENT_TLS)]),
                    Optional,
                    "`true`, or how to verify the server and prove who we are.",
                ),
                field(
                    "connect_timeout",
                    Text(Form::Duration),
                    Default("10s"),
                    "How long connecting may take, greetings included.",
                ),
            ],
            exactly_one: &[],
        };
    };
}

broker! {
    NATS_IN "`nats` (taking)"
    "Messages of a stream of NATS JetStream, through a durable consumer. Each is acknowledged when it is on stable storage, and taken once."
    take "Which subjects of the stream, such as `orders.>`."
    [
        field("stream", Text(Form::Prose), Required, "The stream; it must be there."),
        field("consumer", Text(Form::Prose), Required, "The durable consumer; made where it is not there, else used as it is."),
        field("ack_wait", Text(Form::Duration), Default("30s"), "After how long the server sends again what was not acknowledged; of a consumer that is made."),
        field("token", Text(Form::Secret), Optional, "A token, in place of `login`."),
    ]
    NATS_OUT "`nats` (publishing)"
    "A stream of NATS JetStream that deliveries are published to. Each counts when the stream has confirmed it."
    publish "The subject, such as `lab.{facility}.{order.type}`: members of the payload in braces, each one token."
    [
        field("token", Text(Form::Secret), Optional, "A token, in place of `login`."),
    ]
}

broker! {
    AMQP_IN "`amqp` (taking)"
    "Messages of a queue of AMQP 0.9.1 (RabbitMQ). Each is acknowledged when it is on stable storage."
    take "The queue; it must be there."
    [
        field("vhost", Text(Form::Prose), Default("/"), "The virtual host."),
        field("message_id", Bool, Default("true"), "Whether the property `message-id` names a message, so that what comes again under it is not taken twice. `false` where senders use one twice; then `duplicate` of the connection may say what names a message."),
    ]
    AMQP_OUT "`amqp` (publishing)"
    "An exchange of AMQP 0.9.1 (RabbitMQ) that deliveries are published to. Each counts when the broker has confirmed it and a queue has taken it."
    publish "The routing key, such as `lab.{facility}`: members of the payload in braces, each one word."
    [
        field("vhost", Text(Form::Prose), Default("/"), "The virtual host."),
        field("exchange", Text(Form::Prose), Optional, "The exchange; where absent the routing key is the name of a queue."),
    ]
}

broker! {
    MQTT_IN "`mqtt` (taking)"
    "Messages of topics of MQTT 5, at QoS 1, through a session that the server keeps. Each is acknowledged when it is on stable storage."
    take "Which topics, such as `wards/+/vitals`."
    [
        field("client", Text(Form::Prose), Required, "The name of the session; nobody else may use it."),
        field("keep", Text(Form::Duration), Default("7d"), "How long the server keeps the session, and what comes, while we are away."),
    ]
    MQTT_OUT "`mqtt` (publishing)"
    "Topics of MQTT 5 that deliveries are published to, at QoS 1. Each counts when the server has acknowledged it."
    publish "The topic, such as `wards/{ward}/beds`: members of the payload in braces, each one level."
    []
}

broker! {
    KAFKA_IN "`kafka` (taking)"
    "Records of a topic of Kafka, as a member of a consumer group. An offset is committed when all before it is on stable storage, and each record is taken once."
    take "The topic; it must be there."
    [
        field("group", Text(Form::Prose), Required, "The consumer group; all who name it share the topic's partitions."),
        field("begin", Word(&["earliest", "latest"]), Default("earliest"), "Where to begin where the group has no offset, or one that is not there any more: with the first record, or behind the last."),
        field("record", Bool, Default("false"), "Whether flows read all of a record, as one JSON object: `.topic`, `.partition`, `.offset`, `.time`, `.key`, `.headers`, `.value`. Else they read its value alone."),
        field("session", Text(Form::Duration), Default("10s"), "After how long without a word of us the group goes on without us."),
        field("sasl", SASL, Default("scram-sha-512"), "How `login` is shown. `plain` gives the password away without `tls`."),
    ]
    KAFKA_OUT "`kafka` (publishing)"
    "A topic of Kafka that deliveries are published to. Each counts when all replicas that are in step have it."
    publish "The topic, such as `lab.{facility}`: members of the payload in braces, each of letters, digits, `_` and `-`."
    [
        field("key", Text(Form::Prose), Optional, "The record's key, such as `{order.number}`: records of one key stay in order, in the partition that Java's clients choose too. Where absent, records are spread."),
        field("compression", Word(&["none", "gzip", "zstd"]), Default("none"), "How records are packed."),
        field("idempotent", Bool, Default("true"), "Whether the broker sees within an attempt that it is given the same again. `false` where the broker does not let us."),
        field("sasl", SASL, Default("scram-sha-512"), "How `login` is shown. `plain` gives the password away without `tls`."),
    ]
}

const SASL: Shape = Word(&["scram-sha-512", "scram-sha-256", "plain"]);

pub(crate) static CLOUDEVENTS: Object = Object {
    name: "`cloudevents`",
    doc: "The envelope of CloudEvents 1.0. Its `id` is the delivery's, the same for all attempts.",
    fields: &[
        field(
            "mode",
            Word(&["structured", "binary"]),
            Default("structured"),
            "`structured`: attributes and data are one JSON object. `binary`: attributes are headers of the message.",
        ),
        field(
            "source",
            Text(Form::Prose),
            Required,
            "Who says it: a URI such as `/st-brigid/wardline`.",
        ),
        field(
            "type",
            Text(Form::Prose),
            Required,
            "What happened, such as `org.brigid.{type}`: members of the payload in braces.",
        ),
        field(
            "subject",
            Text(Form::Prose),
            Optional,
            "To what it happened, such as `{account_number}`.",
        ),
        field(
            "time",
            Text(Form::Prose),
            Optional,
            "When it happened, such as `{time}`: a moment as RFC 3339 writes it.",
        ),
        field(
            "data",
            Text(Form::Identifier),
            Optional,
            "The member of the payload that is the data; all of the payload where absent.",
        ),
    ],
    exactly_one: &[],
};
