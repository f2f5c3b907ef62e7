//! Connections to databases, and their operations.

use super::Need::{Default, Optional, Required};
use super::Shape::{Either, Integer, Map, Object as Obj, OneOrMany, Text, Word};
use super::connection::CLIENT_TLS;
use super::{Field, Form, Object, Shape, field};

const DATABASE: Field = field(
    "database",
    Text(Form::Database),
    Required,
    "`postgres://host/database`, `mysql://host/database` (also MariaDB) or `sqlite:file`; a relative file is below the estate.",
);
const LOGIN: Field = field(
    "login",
    Text(Form::Secret),
    Optional,
    "The secret holds `user:password`. Required for servers.",
);
const NONE_OR_TLS: Shape = Either(&[Word(&["none"]), Obj(&CLIENT_TLS)]);
const TLS: Field = field(
    "tls",
    NONE_OR_TLS,
    Optional,
    "How to verify the server and prove who we are. Servers are reached by TLS unless `none` is said.",
);
const CONNECT_TIMEOUT: Field = field(
    "connect_timeout",
    Text(Form::Duration),
    Default("10s"),
    "How long to wait for a session.",
);
const TIMEOUT: Field = field(
    "timeout",
    Text(Form::Duration),
    Default("30s"),
    "Limit for all statements of one delivery, or of one look.",
);

pub(crate) static SQL_IN: Object = Object {
    name: "`sql` (reading)",
    doc: "Rows of a database that become messages: JSON objects of their columns. Each is taken once.",
    fields: &[
        DATABASE,
        LOGIN,
        TLS,
        CONNECT_TIMEOUT,
        TIMEOUT,
        field(
            "poll",
            Text(Form::Prose),
            Required,
            "The statement that reads rows. `:mark` is how far it came, `:most` how many rows are wanted.",
        ),
        field(
            "mark",
            Obj(&SQL_MARK),
            Optional,
            "A column that rises, by which it is known what was taken.",
        ),
        field(
            "done",
            Text(Form::Prose),
            Optional,
            "The statement that marks or deletes a row of an outbox table when its message is on stable storage. Its parameters are columns of the row.",
        ),
        field(
            "key",
            OneOrMany(&Text(Form::Column)),
            Optional,
            "Columns that name a row (with the mark, where there is one); all columns where absent. What has the same name is the same message, and is not taken twice.",
        ),
        field(
            "every",
            Text(Form::Duration),
            Default("10s"),
            "How often it is looked.",
        ),
        field(
            "most",
            Integer(1, 10_000),
            Default("500"),
            "Rows that are read at a time; where there are more, it is looked again at once.",
        ),
        field(
            "remember",
            Text(Form::Duration),
            Default("90d"),
            "How long it is remembered which rows were taken.",
        ),
    ],
    exactly_one: &["mark", "done"],
};

const OVERLAP: Shape = Either(&[Integer(1, 1_000_000_000), Text(Form::Duration)]);

pub(crate) static SQL_MARK: Object = Object {
    name: "`mark`",
    doc: "How far reading came. The mark is kept as it is, so its column must hold nothing sensitive.",
    fields: &[
        field(
            "column",
            Text(Form::Column),
            Required,
            "The column; `poll` orders by it.",
        ),
        field(
            "begin",
            Text(Form::Value),
            Required,
            "The first mark, such as `\"0\"` or `\"2026-01-01T00:00:00Z\"`.",
        ),
        field(
            "overlap",
            OVERLAP,
            Optional,
            "How far before the mark is read again, for rows that were committed late: `100`, where marks are numbers, or `5m`. What was taken is recognised.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SQL_OUT: Object = Object {
    name: "`sql` (running statements)",
    doc: "Statements with named parameters, `:name` or `:name.within`, that are bound from the payload. `:delivery_id` and `:correlation_id` are there as well.",
    fields: &[
        DATABASE,
        LOGIN,
        TLS,
        CONNECT_TIMEOUT,
        TIMEOUT,
        field(
            "statements",
            Map(Form::Name, &STATEMENT),
            Required,
            "What may be asked, by name. Where there is one only, messages may be sent straight to the connection.",
        ),
    ],
    exactly_one: &[],
};

const STATEMENT: Shape = Either(&[Text(Form::Prose), Obj(&SQL_STATEMENT)]);

pub(crate) static SQL_STATEMENT: Object = Object {
    name: "a statement",
    doc: "Statements that are run in one transaction. The answer is `{ \"affected\": 1, \"rows\": […] }` of the last.",
    fields: &[
        field(
            "run",
            OneOrMany(&Text(Form::Prose)),
            Required,
            "The statement, or several.",
        ),
        field(
            "expect",
            Word(&["any", "some", "one"]),
            Default("any"),
            "How many rows the last statement must give or change. Otherwise the transaction is undone and the delivery dead.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SQL_CALL: Object = Object {
    name: "`sql` (an operation)",
    doc: "One of the statements of a connection.",
    fields: &[
        field(
            "connection",
            Text(Form::Name),
            Required,
            "A connection of the same system.",
        ),
        field(
            "statement",
            Text(Form::Name),
            Required,
            "The statement's name.",
        ),
    ],
    exactly_one: &[],
};
