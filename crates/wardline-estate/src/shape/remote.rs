//! Connections whose files lie on other machines: how those are reached, and what is done there.

use super::Need::{Default, Optional, Required};
use super::Shape::{Integer, Object as Obj, OneOrMany, Text, Word};
use super::connection::CLIENT_TLS;
use super::{Field, Form, Object, field};

const HOST: Field = field("host", Text(Form::Host), Required, "The machine.");
const USER: Field = field(
    "user",
    Text(Form::Value),
    Required,
    "Who Wardline is there.",
);
const DIRECTORY: Field = field(
    "directory",
    Text(Form::Prose),
    Optional,
    "The directory, as seen after logging in; that itself where absent. `archive/` and `refused/` are made in it.",
);
const CONNECT_TIMEOUT: Field = field(
    "connect_timeout",
    Text(Form::Duration),
    Default("10s"),
    "Limit for connecting, and again for logging in.",
);
const TIMEOUT: Field = field(
    "timeout",
    Text(Form::Duration),
    Default("30s"),
    "How long the server may be silent when it is asked something.",
);
const PASSWORD: Field = field(
    "password",
    Text(Form::Secret),
    Optional,
    "A password; tried last.",
);
const SSH_PORT: Field = field("port", Integer(1, 65_535), Default("22"), "Its port.");
const HOST_KEY: Field = field(
    "host_key",
    OneOrMany(&Text(Form::HostKey)),
    Required,
    "The key by which the server is known: its fingerprint, `SHA256:…`, or the key itself, `ssh-ed25519 AAAA…`. Several while it is changed. Another is never trusted.",
);
const KEY: Field = field(
    "key",
    Text(Form::Secret),
    Optional,
    "A private key, as OpenSSH or PEM writes it.",
);
const PASSPHRASE: Field = field(
    "passphrase",
    Text(Form::Secret),
    Optional,
    "What opens the key, where it is locked.",
);
const CERTIFICATE: Field = field(
    "certificate",
    Text(Form::File),
    Optional,
    "The certificate of the key, as `ssh-keygen -s` writes it.",
);
const TLS: Field = field(
    "tls",
    Obj(&CLIENT_TLS),
    Optional,
    "How to verify the server and prove who we are.",
);
const FTPS_PORT: Field = field(
    "port",
    Integer(1, 65_535),
    Optional,
    "Its port; 21, or 990 where `mode` is `implicit`.",
);
const MODE: Field = field(
    "mode",
    Word(&["explicit", "implicit"]),
    Default("explicit"),
    "When TLS begins: when `AUTH TLS` asks for it, or with the first byte. Without TLS nothing is exchanged.",
);
const FTPS_PASSWORD: Field = field("password", Text(Form::Secret), Required, "What proves it.");
const S3_URL: Field = field(
    "url",
    Text(Form::Url),
    Required,
    "The service, such as `https://s3.eu-central-1.amazonaws.com`; without the bucket.",
);
const BUCKET: Field = field("bucket", Text(Form::Value), Required, "The bucket.");
const REGION: Field = field(
    "region",
    Text(Form::Value),
    Default("us-east-1"),
    "Its region, which is a part of every signature.",
);
const STYLE: Field = field(
    "style",
    Word(&["host", "path"]),
    Default("host"),
    "Where the bucket's name stands in addresses: in the host, as Amazon wants it, or in the path, as many others do.",
);
const KEY_ID: Field = field(
    "key_id",
    Text(Form::Secret),
    Required,
    "The id of our access key.",
);
const ACCESS_KEY: Field = field(
    "key",
    Text(Form::Secret),
    Required,
    "The secret access key. It signs requests and is never sent.",
);
const PREFIX: Field = field(
    "directory",
    Text(Form::Prose),
    Optional,
    "What the keys of all objects begin with, without the `/` at its end; the whole bucket where absent. `archive/` and `refused/` are below it.",
);

const POLL: Field = field(
    "poll",
    Text(Form::FilePattern),
    Required,
    "Which files are taken, such as `out/receipts-*.csv`: at most one directory, and a name in which `*` stands for any characters and `?` for one.",
);
const EVERY: Field = field(
    "every",
    Text(Form::Duration),
    Default("1m"),
    "How often it is looked at.",
);
const STABLE: Field = field(
    "stable",
    Text(Form::Duration),
    Default("30s"),
    "How long size and time of a file must stay the same before it is taken.",
);
const MARKER: Field = field(
    "marker",
    Text(Form::Ending),
    Optional,
    "A file is taken only when one with this ending lies beside it, such as `.done`; it is deleted with it.",
);
const THEN: Field = field(
    "then",
    Word(&["archive", "delete"]),
    Default("archive"),
    "What becomes of a file that was taken.",
);
const LAYOUT: Field = field(
    "layout",
    Text(Form::File),
    Optional,
    "How its records lie: a file that `wardline schema layout` describes.",
);
const SPLIT: Field = field(
    "split",
    Word(&["records", "whole"]),
    Default("whole"),
    "`records` makes a message of each record, `whole` one of the file.",
);
const CONTENT: Field = field(
    "content",
    Word(&["text", "json", "xml", "hl7", "x12", "binary"]),
    Default("text"),
    "What a whole file is. `x12`: an interchange; flows run once for each set.",
);
const TAKEN_SIZE: Field = field(
    "max_size",
    Text(Form::Size),
    Default("16MiB"),
    "The largest file that becomes one message; larger ones are refused.",
);
const REMEMBER: Field = field(
    "remember",
    Text(Form::Duration),
    Default("90d"),
    "How long it is remembered which records were taken: a file of the same name and content that comes again within this time is not taken twice.",
);
const WRITE: Field = field(
    "write",
    Text(Form::FileName),
    Required,
    "The name, such as `in/bill-{id}.json`: at most one directory, and `{id}` for the delivery's id.",
);
const WRITTEN_SIZE: Field = field(
    "max_size",
    Text(Form::Size),
    Default("64MiB"),
    "The largest payload; larger ones are not written.",
);

/// An object of a connection that takes files: how they are reached, and what all have in common.
macro_rules! taking {
    ($name:literal, $doc:literal, [$($reach:expr),* $(,)?]) => {
        Object {
            name: $name,
            doc: $doc,
            fields: &[
                $($reach,)*
                POLL, EVERY, STABLE, MARKER, THEN, LAYOUT, SPLIT, CONTENT, TAKEN_SIZE, REMEMBER,
                CONNECT_TIMEOUT, TIMEOUT,
            ],
            exactly_one: &[],
        }
    };
}

/// The same of one that writes them.
macro_rules! writing {
    ($name:literal, $doc:literal, [$($reach:expr),* $(,)?]) => {
        Object {
            name: $name,
            doc: $doc,
            fields: &[$($reach,)* WRITE, WRITTEN_SIZE, CONNECT_TIMEOUT, TIMEOUT],
            exactly_one: &[],
        }
    };
}

pub(crate) static SFTP_IN: Object = taking!(
    "`sftp` (taking)",
    "Files of another machine, over SFTP. Each is checked to its end before anything of it is taken, and every record is taken once.",
    [
        HOST,
        SSH_PORT,
        HOST_KEY,
        USER,
        KEY,
        PASSPHRASE,
        CERTIFICATE,
        PASSWORD,
        DIRECTORY,
    ]
);

pub(crate) static SFTP_OUT: Object = writing!(
    "`sftp` (writing)",
    "A directory of another machine into which each delivery is written as a file, over SFTP: whole or not at all, and under the same name however often it is tried.",
    [
        HOST,
        SSH_PORT,
        HOST_KEY,
        USER,
        KEY,
        PASSPHRASE,
        CERTIFICATE,
        PASSWORD,
        DIRECTORY,
    ]
);

pub(crate) static FTPS_IN: Object = taking!(
    "`ftps` (taking)",
    "Files of another machine, over FTP with TLS. Each is checked to its end before anything of it is taken, and every record is taken once.",
    [HOST, FTPS_PORT, MODE, USER, FTPS_PASSWORD, TLS, DIRECTORY]
);

pub(crate) static FTPS_OUT: Object = writing!(
    "`ftps` (writing)",
    "A directory of another machine into which each delivery is written as a file, over FTP with TLS: whole or not at all, and under the same name however often it is tried.",
    [HOST, FTPS_PORT, MODE, USER, FTPS_PASSWORD, TLS, DIRECTORY]
);

pub(crate) static S3_IN: Object = taking!(
    "`s3` (taking)",
    "Objects of a bucket, taken as files are. Each is checked to its end before anything of it is taken, and every record is taken once.",
    [
        S3_URL, BUCKET, REGION, STYLE, KEY_ID, ACCESS_KEY, TLS, PREFIX,
    ]
);

pub(crate) static S3_OUT: Object = writing!(
    "`s3` (writing)",
    "A bucket into which each delivery is written as an object: whole or not at all, and under the same key however often it is tried.",
    [
        S3_URL, BUCKET, REGION, STYLE, KEY_ID, ACCESS_KEY, TLS, PREFIX,
    ]
);
