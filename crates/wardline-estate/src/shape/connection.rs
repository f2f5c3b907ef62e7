//! Connections of `systems/*.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Either, Integer, Keyed, List, Map, Object as Obj, OneOrMany, Text, Word};
use super::as2::{AS2_IN, AS2_OUT};
use super::broker::{AMQP_IN, AMQP_OUT, KAFKA_IN, KAFKA_OUT, MQTT_IN, MQTT_OUT, NATS_IN, NATS_OUT};
use super::dicom::{DICOM_ENTRIES, DICOM_IN, DICOM_OUT, DICOM_WEB};
use super::estate::{BREAKER, LIMITS, SERVER_TLS};
use super::fhir::{FHIR_IN, FHIR_KEEP, FHIR_OUT};
use super::remote::{FTPS_IN, FTPS_OUT, S3_IN, S3_OUT, SFTP_IN, SFTP_OUT};
use super::scim::{SCIM_IN, SCIM_OUT};
use super::smtp::SMTP_OUT;
use super::soap_in::SOAP_IN;
use super::sql::{SQL_IN, SQL_OUT};
use super::x12::X12;
use super::{Form, Object, Shape, field};

pub(crate) static CONNECTION: Object = Object {
    name: "a connection",
    doc: "One way in or out. Exactly one key names the protocol.",
    fields: &[
        field(
            "mllp",
            Keyed(&[("listen", &MLLP_LISTEN), ("connect", &MLLP_CONNECT)]),
            Optional,
            "HL7 v2 over MLLP.",
        ),
        field(
            "http",
            Keyed(&[("listen", &HTTP_IN), ("url", &HTTP_OUT)]),
            Optional,
            "HTTP.",
        ),
        field(
            "files",
            Keyed(&[("poll", &FILES_IN), ("write", &FILES_OUT)]),
            Optional,
            "Files in a directory of this machine.",
        ),
        field(
            "null",
            Obj(&NOTHING),
            Optional,
            "Accepts everything and keeps nothing; for benches and tests.",
        ),
        field(
            "sftp",
            Keyed(&[("poll", &SFTP_IN), ("write", &SFTP_OUT)]),
            Optional,
            "Files of another machine, over SFTP.",
        ),
        field(
            "ftps",
            Keyed(&[("poll", &FTPS_IN), ("write", &FTPS_OUT)]),
            Optional,
            "Files of another machine, over FTP with TLS.",
        ),
        field(
            "s3",
            Keyed(&[("poll", &S3_IN), ("write", &S3_OUT)]),
            Optional,
            "Objects of an object store, as files.",
        ),
        field(
            "soap",
            Keyed(&[("listen", &SOAP_IN), ("url", &SOAP_OUT)]),
            Optional,
            "SOAP 1.1 and 1.2.",
        ),
        field(
            "sql",
            Keyed(&[("poll", &SQL_IN), ("statements", &SQL_OUT)]),
            Optional,
            "A database: PostgreSQL, MySQL, MariaDB or SQLite.",
        ),
        field(
            "kafka",
            Keyed(&[("take", &KAFKA_IN), ("publish", &KAFKA_OUT)]),
            Optional,
            "Kafka, 2.1 or newer.",
        ),
        field(
            "as2",
            Keyed(&[("listen", &AS2_IN), ("url", &AS2_OUT)]),
            Optional,
            "AS2.",
        ),
        field(
            "dicom",
            Keyed(&[
                ("listen", &DICOM_IN),
                ("connect", &DICOM_OUT),
                ("stow", &DICOM_WEB),
                ("entries", &DICOM_ENTRIES),
            ]),
            Optional,
            "DICOM.",
        ),
        field(
            "nats",
            Keyed(&[("take", &NATS_IN), ("publish", &NATS_OUT)]),
            Optional,
            "NATS with JetStream.",
        ),
        field(
            "amqp",
            Keyed(&[("take", &AMQP_IN), ("publish", &AMQP_OUT)]),
            Optional,
            "AMQP 0.9.1, as RabbitMQ speaks it.",
        ),
        field(
            "mqtt",
            Keyed(&[("take", &MQTT_IN), ("publish", &MQTT_OUT)]),
            Optional,
            "MQTT 5.",
        ),
        field(
            "fhir",
            Keyed(&[
                ("listen", &FHIR_IN),
                ("url", &FHIR_OUT),
                ("keep", &FHIR_KEEP),
            ]),
            Optional,
            "FHIR R4: a service of ours, what it keeps, or a server that is called.",
        ),
        field(
            "scim",
            Keyed(&[("listen", &SCIM_IN), ("url", &SCIM_OUT)]),
            Optional,
            "People and groups by SCIM 2.0.",
        ),
        field("smtp", Obj(&SMTP_OUT), Optional, "Mail out."),
        field(
            "limits",
            Obj(&LIMITS),
            Optional,
            "How hard the other side may be pushed.",
        ),
        field(
            "breaker",
            Obj(&BREAKER),
            Optional,
            "When to stop trying for a while.",
        ),
        field(
            "failover",
            List(&Text(Form::Prose)),
            Optional,
            "Addresses (MLLP) or URLs (HTTP) to try in turn when the first cannot be reached.",
        ),
        field(
            "health",
            Obj(&HEALTH),
            Optional,
            "How it is found out whether an HTTP service is well. Each of its addresses is judged for itself.",
        ),
        field(
            "hedge",
            Obj(&HEDGE),
            Optional,
            "When a read through an Api is asked a second time because the first is slow. Never where absent.",
        ),
        field(
            "duplicate",
            Obj(&DUPLICATE),
            Optional,
            "How duplicates of inbound messages are recognised. They get the first answer again.",
        ),
        field(
            "x12",
            Obj(&X12),
            Optional,
            "What partners who exchange X12 owe each other.",
        ),
        field(
            "keys",
            Map(Form::Identifier, &Text(Form::Field)),
            Optional,
            "Fields by which people search for inbound messages: `{ mrn: PID-3.1 }`.",
        ),
        field(
            "sensitivity",
            SENSITIVITY,
            Default("phi"),
            "The class of what passes through.",
        ),
        field(
            "facility",
            Text(Form::Name),
            Optional,
            "The site it belongs to; the system's where absent.",
        ),
    ],
    exactly_one: &[
        "mllp", "http", "files", "null", "sftp", "ftps", "s3", "soap", "sql", "smtp", "scim",
        "kafka", "nats", "amqp", "mqtt", "dicom", "as2", "fhir",
    ],
};

pub(super) const SENSITIVITY: Shape =
    Word(&["public", "internal", "financial", "pii", "phi", "secret"]);

pub(crate) static NOTHING: Object = Object {
    name: "`null`",
    doc: "Nothing to say: write `null: {}`.",
    fields: &[],
    exactly_one: &[],
};

pub(crate) static HEALTH: Object = Object {
    name: "`health`",
    doc: "An HTTP service is asked, now and then, whether it is well. An answer below 400 is a good one.",
    fields: &[
        field("get", Text(Form::Path), Required, "The path that is asked."),
        field("every", Text(Form::Duration), Default("10s"), "How often."),
        field(
            "timeout",
            Text(Form::Duration),
            Default("2s"),
            "How long to wait for an answer.",
        ),
        field(
            "healthy_after",
            Integer(1, 100),
            Default("2"),
            "So many good answers in a row make it well again.",
        ),
        field(
            "unhealthy_after",
            Integer(1, 100),
            Default("3"),
            "So many bad answers in a row make it unwell.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static HEDGE: Object = Object {
    name: "`hedge`",
    doc: "A read (GET, HEAD) through an Api that is not answered in time is sent once more, to the next address where there is one; the first answer counts. At most one call in twenty is sent twice.",
    fields: &[field(
        "after",
        Text(Form::Duration),
        Required,
        "How long the first may take before the second is sent: what nineteen of twenty calls need.",
    )],
    exactly_one: &[],
};

pub(crate) static DUPLICATE: Object = Object {
    name: "`duplicate`",
    doc: "How duplicates of inbound messages are recognised.",
    fields: &[
        field(
            "by",
            OneOrMany(&Text(Form::Field)),
            Required,
            "Fields that together name a message.",
        ),
        field(
            "within",
            Text(Form::Duration),
            Default("7d"),
            "How long a name is remembered.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static MLLP_LISTEN: Object = Object {
    name: "`mllp` (listening)",
    doc: "An MLLP port that Wardline listens on.",
    fields: &[
        field("listen", Text(Form::Bind), Required, "The local address."),
        field(
            "charset",
            Text(Form::Charset),
            Default("auto"),
            "`auto`: UTF-8 where valid, else what MSH-18 declares, else Windows-1252.",
        ),
        field(
            "ack",
            Obj(&MLLP_ACK),
            Optional,
            "How messages are acknowledged.",
        ),
        field(
            "tls",
            Obj(&SERVER_TLS),
            Optional,
            "TLS, if the port speaks it.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("16MiB"),
            "The largest message; larger ones get a negative acknowledgement.",
        ),
        field(
            "idle_timeout",
            Text(Form::Duration),
            Default("10m"),
            "A connection that is silent for so long is closed.",
        ),
        field(
            "max_connections",
            Integer(1, 100_000),
            Default("256"),
            "Most connections at a time.",
        ),
        field(
            "allow",
            OneOrMany(&Text(Form::Network)),
            Optional,
            "Networks that may connect; all where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static MLLP_ACK: Object = Object {
    name: "`ack`",
    doc: "How messages are acknowledged (HL7 v2 chapter 2.9).",
    fields: &[
        field(
            "when",
            Word(&["committed"]),
            Default("committed"),
            "`committed`: when the message and all that follows from it are on stable storage.",
        ),
        field(
            "mode",
            Word(&["auto", "original", "enhanced"]),
            Default("auto"),
            "`auto` does as MSH-15 and MSH-16 of each message ask.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static MLLP_CONNECT: Object = Object {
    name: "`mllp` (connecting)",
    doc: "An MLLP port that Wardline connects to.",
    fields: &[
        field("connect", Text(Form::HostPort), Required, "Host and port."),
        field(
            "ack_timeout",
            Text(Form::Duration),
            Default("30s"),
            "How long to wait for an acknowledgement.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("10s"),
            "How long to wait for the connection.",
        ),
        field(
            "reuse",
            Bool,
            Default("true"),
            "Whether a connection carries message after message. `false` for receivers that close it after every acknowledgement: each message then gets a connection of its own.",
        ),
        field(
            "tls",
            Either(&[Bool, Obj(&CLIENT_TLS)]),
            Optional,
            "`true`, or how to verify the server and prove who we are.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CLIENT_TLS: Object = Object {
    name: "`tls`",
    doc: "TLS towards a server. Its certificate is always verified.",
    fields: &[
        field(
            "ca",
            Text(Form::File),
            Optional,
            "Authorities to trust instead of the system's, PEM.",
        ),
        field(
            "cert",
            Text(Form::File),
            Optional,
            "Our certificate chain for mutual TLS, PEM.",
        ),
        field("key", Text(Form::Secret), Optional, "Our private key, PEM."),
        field(
            "server_name",
            Text(Form::Prose),
            Optional,
            "The name the certificate must carry, where it is not the host.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FILES_IN: Object = Object {
    name: "`files` (taking)",
    doc: "Files that others put into a directory. Each is checked to its end before anything of it is taken, and every record is taken once.",
    fields: &[
        field(
            "directory",
            Text(Form::Prose),
            Required,
            "Where it is; relative to the estate. `archive/` and `refused/` are made in it.",
        ),
        field(
            "poll",
            Text(Form::FilePattern),
            Required,
            "Which files are taken, such as `in/receipts-*.csv`: at most one directory, and a name in which `*` stands for any characters and `?` for one.",
        ),
        field(
            "every",
            Text(Form::Duration),
            Default("10s"),
            "How often it is looked at.",
        ),
        field(
            "stable",
            Text(Form::Duration),
            Default("5s"),
            "How long size and time of a file must stay the same before it is taken.",
        ),
        field(
            "marker",
            Text(Form::Ending),
            Optional,
            "A file is taken only when one with this ending lies beside it, such as `.done`; it is deleted with it.",
        ),
        field(
            "then",
            Word(&["archive", "delete"]),
            Default("archive"),
            "What becomes of a file that was taken.",
        ),
        field(
            "layout",
            Text(Form::File),
            Optional,
            "How its records lie: a file that `wardline schema layout` describes.",
        ),
        field(
            "split",
            Word(&["records", "whole"]),
            Default("whole"),
            "`records` makes a message of each record, `whole` one of the file.",
        ),
        field(
            "content",
            Word(&["text", "json", "xml", "hl7", "x12", "binary"]),
            Default("text"),
            "What a whole file is. `x12`: an interchange; flows run once for each set.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("16MiB"),
            "The largest file that becomes one message; larger ones are refused.",
        ),
        field(
            "remember",
            Text(Form::Duration),
            Default("90d"),
            "How long it is remembered which records were taken: a file of the same name and content that comes again within this time is not taken twice.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FILES_OUT: Object = Object {
    name: "`files` (writing)",
    doc: "A directory into which each delivery is written as a file: whole or not at all, and under the same name however often it is tried.",
    fields: &[
        field(
            "directory",
            Text(Form::Prose),
            Required,
            "Where it is; relative to the estate.",
        ),
        field(
            "write",
            Text(Form::FileName),
            Required,
            "The name, such as `out/bill-{id}.json`: at most one directory, and `{id}` for the delivery's id.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("64MiB"),
            "The largest payload; larger ones are not written.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static HTTP_IN: Object = Object {
    name: "`http` (receiving)",
    doc: "A path on one of the estate's listeners that receives messages.",
    fields: &[
        field(
            "listen",
            Text(Form::Name),
            Required,
            "The listener it hangs on.",
        ),
        field("post", Text(Form::Path), Optional, "The path, for POST."),
        field("put", Text(Form::Path), Optional, "The path, for PUT."),
        field("auth", AUTH, Required, "Who may send; `none` must be said."),
        field(
            "ack",
            Obj(&HTTP_ACK),
            Optional,
            "The answer to a message that was taken.",
        ),
        field(
            "max_size",
            Text(Form::Size),
            Default("1MiB"),
            "The largest body; larger ones are refused.",
        ),
        field(
            "content",
            Word(&["json", "x12"]),
            Default("json"),
            "What bodies are. `x12`: interchanges, whatever their media type says; flows run once for each set and read it with `x12(…)`.",
        ),
    ],
    exactly_one: &["post", "put"],
};

pub(crate) static HTTP_ACK: Object = Object {
    name: "`ack`",
    doc: "The answer to a message that was taken.",
    fields: &[
        field(
            "when",
            Word(&["committed"]),
            Default("committed"),
            "`committed`: when the message and all that follows from it are on stable storage.",
        ),
        field(
            "status",
            Integer(200, 204),
            Default("202"),
            "The status of a success.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static HTTP_OUT: Object = Object {
    name: "`http` (calling)",
    doc: "An HTTP service that Wardline calls.",
    fields: &[
        field(
            "url",
            Text(Form::Url),
            Required,
            "The base URL; paths of operations are appended.",
        ),
        field(
            "auth",
            AUTH,
            Default("none"),
            "How Wardline proves who it is.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("30s"),
            "Limit for one whole exchange.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("5s"),
            "Limit for establishing the connection.",
        ),
        field(
            "headers",
            Map(Form::Header, &Text(Form::SecretOrText)),
            Optional,
            "Headers sent with every request; a value may be `secret:NAME`.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server and prove who we are.",
        ),
        field(
            "webhook",
            Obj(&WEBHOOK),
            Optional,
            "Sign every request by Standard Webhooks; the delivery's id is the webhook's.",
        ),
        field(
            "reach",
            Word(&["anywhere", "public"]),
            Default("anywhere"),
            "`public` for urls that others supplied: https only, and never an address inside.",
        ),
    ],
    exactly_one: &[],
};

pub(super) const AUTH: Shape = Either(&[Word(&["none"]), Obj(&AUTH_OBJECT)]);

pub(crate) static AUTH_OBJECT: Object = Object {
    name: "`auth`",
    doc: "How a caller proves who it is. Secrets are named, never written.",
    fields: &[
        field(
            "basic",
            Text(Form::Secret),
            Optional,
            "HTTP basic; the secret holds `user:password`.",
        ),
        field("bearer", Text(Form::Secret), Optional, "A bearer token."),
        field(
            "header",
            Obj(&AUTH_HEADER),
            Optional,
            "A token in a header.",
        ),
        field(
            "webhook",
            OneOrMany(&Text(Form::Secret)),
            Optional,
            "An HMAC over id, time and body (Standard Webhooks), or with `whpk_…` an Ed25519 signature; inbound only. \
             Any one of several secrets will do, while they are changed.",
        ),
        field(
            "signed_by",
            OneOrMany(&Text(Form::WebhookKey)),
            Optional,
            "The sender's public key, `whpk_…`: signatures by Ed25519 (Standard Webhooks), where nothing is shared and so nothing is secret; inbound only. \
             Any one of several keys will do, while they are changed.",
        ),
        field(
            "hmac",
            Obj(&HMAC),
            Optional,
            "An HMAC in a header, as a vendor does it; inbound only.",
        ),
    ],
    exactly_one: &["basic", "bearer", "header", "webhook", "signed_by", "hmac"],
};

pub(crate) static HMAC: Object = Object {
    name: "`hmac`",
    doc: "How a vendor signs its webhooks. Verified before anything of the body is read.",
    fields: &[
        field(
            "secret",
            OneOrMany(&Text(Form::Secret)),
            Required,
            "The key; any one of several will do, while they are changed.",
        ),
        field(
            "header",
            Text(Form::Header),
            Required,
            "The header that holds the signature.",
        ),
        field(
            "algorithm",
            Word(&["sha256", "sha512", "sha1"]),
            Default("sha256"),
            "The digest.",
        ),
        field(
            "encoding",
            Word(&["hex", "base64"]),
            Default("hex"),
            "How the signature is spelt.",
        ),
        field(
            "prefix",
            Text(Form::Value),
            Optional,
            "What stands before the signature, such as `sha256=`.",
        ),
        field(
            "timestamp",
            Text(Form::Header),
            Optional,
            "The header with the time, where time, a dot and the body are signed; else the body alone.",
        ),
        field(
            "fields",
            Obj(&HMAC_FIELDS),
            Optional,
            "Where the header is a list such as `t=1700000000,v1=…`: the names in it.",
        ),
        field(
            "signs",
            Text(Form::Value),
            Optional,
            "What is signed, such as `v0:{timestamp}:{body}`, where it is neither `{timestamp}.{body}` nor, without a time, `{body}`.",
        ),
        field(
            "tolerance",
            Text(Form::Duration),
            Default("5m"),
            "How far that time may be off, either way.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static HMAC_FIELDS: Object = Object {
    name: "`fields`",
    doc: "Names within a header that is a list.",
    fields: &[
        field(
            "signature",
            Text(Form::Value),
            Required,
            "The name of the signature; it may occur several times while keys are changed.",
        ),
        field(
            "timestamp",
            Text(Form::Value),
            Optional,
            "The name of the time.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SOAP_OUT: Object = Object {
    name: "`soap` (calling)",
    doc: "A SOAP service that Wardline calls. What is sent and answered is JSON, by the types of its description: `wardline soap show` prints the shapes.",
    fields: &[
        field(
            "wsdl",
            Text(Form::File),
            Required,
            "The description (WSDL 1.1). What it imports is read from the estate and from nowhere else.",
        ),
        field(
            "service",
            Text(Form::Prose),
            Optional,
            "The service of the description; its first where absent.",
        ),
        field(
            "port",
            Text(Form::Prose),
            Optional,
            "The port of the description, which says the version of SOAP; its first where absent.",
        ),
        field(
            "url",
            Text(Form::Url),
            Required,
            "Where it is. The address in the description is not used: it is often that of a vendor's test system.",
        ),
        field(
            "auth",
            AUTH,
            Default("none"),
            "How Wardline proves who it is by HTTP.",
        ),
        field(
            "security",
            Obj(&WS_SECURITY),
            Optional,
            "What messages carry to be believed (WS-Security).",
        ),
        field(
            "mtom",
            Bool,
            Default("false"),
            "Whether values of bytes from 1 KiB on travel beside the message (MTOM). Answers are read either way.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("30s"),
            "Limit for one whole exchange.",
        ),
        field(
            "connect_timeout",
            Text(Form::Duration),
            Default("5s"),
            "Limit for establishing the connection.",
        ),
        field(
            "headers",
            Map(Form::Header, &Text(Form::SecretOrText)),
            Optional,
            "HTTP headers sent with every request; a value may be `secret:NAME`.",
        ),
        field(
            "tls",
            Obj(&CLIENT_TLS),
            Optional,
            "How to verify the server and prove who we are.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WS_SECURITY: Object = Object {
    name: "`security`",
    doc: "What messages carry to be believed: WS-Security 1.1.",
    fields: &[
        field(
            "username",
            Text(Form::Secret),
            Optional,
            "A user token; the secret holds `user:password`.",
        ),
        field(
            "password",
            Word(&["digest", "text"]),
            Default("digest"),
            "`digest` with nonce and time; `text` only over https.",
        ),
        field(
            "cert",
            Text(Form::File),
            Optional,
            "The certificate (PEM) of a signature over body, timestamp and user token: rsa-sha256, or ecdsa-sha256 where the key is one of P-256.",
        ),
        field(
            "key",
            Text(Form::Secret),
            Optional,
            "The private key (PEM, PKCS#8) of that certificate.",
        ),
        field(
            "good_for",
            Text(Form::Duration),
            Optional,
            "How long a message is good, said by a timestamp; `5m` where it is signed.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WEBHOOK: Object = Object {
    name: "`webhook`",
    doc: "Signs every request by the Standard Webhooks specification; an answer of 410 is final.",
    fields: &[
        field(
            "secret",
            Text(Form::Secret),
            Required,
            "`whsec_…`, shared with the receiver, or `whsk_…`, an Ed25519 key of our own.",
        ),
        field(
            "previous",
            OneOrMany(&Text(Form::Secret)),
            Optional,
            "Keys that sign too: the old one while it is changed, or one of the other kind.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static AUTH_HEADER: Object = Object {
    name: "`header`",
    doc: "A token in a header.",
    fields: &[
        field("name", Text(Form::Header), Required, "The header."),
        field("value", Text(Form::Secret), Required, "Its value."),
    ],
    exactly_one: &[],
};
