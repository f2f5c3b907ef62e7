//! `entities/*.yaml`, `codes/*.yaml` and `tests/*.yaml`.

use super::Need::{Default, Later, Optional, Required};
use super::Shape::{Any, Either, Keyed, ListOrNone, Map, Object as Obj, OneOrMany, Text, Word};
use super::connection::SENSITIVITY;
use super::{Form, Object, field};

pub(crate) static ENTITY: Object = Object {
    name: "an entity",
    doc: "What a supplier, an encounter, a purchase order means here.",
    fields: &[
        field(
            "entity",
            Text(Form::Name),
            Required,
            "The name of the entity.",
        ),
        field(
            "version",
            Text(Form::Version),
            Required,
            "The version of its schema.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field("owner", Text(Form::Prose), Optional, "Who answers for it."),
        field(
            "schema",
            Text(Form::File),
            Required,
            "Its JSON Schema, relative to `entities/`.",
        ),
        field(
            "sensitivity",
            Map(Form::Attribute, &SENSITIVITY),
            Optional,
            "The class of attributes, by dotted path; `internal` where nothing is said.",
        ),
        field(
            "keys",
            Map(Form::Identifier, &Text(Form::Attribute)),
            Optional,
            "Attributes by which people search: `{ account: account_number }`.",
        ),
        field("record", Obj(&RECORD), Optional, "Who owns the record."),
        field("quality", Any, Later, "Rules that data must satisfy."),
        field("match", Any, Later, "When two records are the same."),
    ],
    exactly_one: &[],
};

pub(crate) static RECORD: Object = Object {
    name: "`record`",
    doc: "Which system owns the record.",
    fields: &[
        field(
            "master",
            Text(Form::Name),
            Required,
            "The system of record.",
        ),
        field(
            "attributes",
            Map(Form::Attribute, &Text(Form::Name)),
            Optional,
            "Attributes that another system owns.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static CODES: Object = Object {
    name: "a code table",
    doc: "Settings of the code table whose rows are in `codes/NAME.csv` (header `from,to` or `from,to,description`). A table without settings needs no such file.",
    fields: &[
        field(
            "codes",
            Text(Form::Name),
            Required,
            "The name of the table: that of its CSV file.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "otherwise",
            Either(&[Word(&["error", "keep"]), Obj(&OTHERWISE)]),
            Default("error"),
            "What a code without a row becomes. `error`: the map fails. `keep`: it stays as it is.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static OTHERWISE: Object = Object {
    name: "`otherwise`",
    doc: "One code for all others.",
    fields: &[field("value", Text(Form::Value), Required, "The code.")],
    exactly_one: &[],
};

pub(crate) static TEST: Object = Object {
    name: "a test",
    doc: "What must follow from a message. `wardline test` runs it without network and clock.",
    fields: &[
        field(
            "test",
            Text(Form::Prose),
            Required,
            "What it shows, in words.",
        ),
        field(
            "given",
            Keyed(&[("message", &GIVEN_MESSAGE), ("event", &GIVEN_EVENT)]),
            Required,
            "What arrives.",
        ),
        field(
            "now",
            Text(Form::Moment),
            Optional,
            "The moment it arrives.",
        ),
        field("expect", Obj(&EXPECT), Required, "What must follow."),
    ],
    exactly_one: &[],
};

pub(crate) static GIVEN_MESSAGE: Object = Object {
    name: "`given` (a message)",
    doc: "A message arrives on a connection.",
    fields: &[
        field(
            "message",
            Text(Form::File),
            Required,
            "The fixture, relative to `tests/`.",
        ),
        field("into", Text(Form::Reference), Required, "The connection."),
    ],
    exactly_one: &[],
};

pub(crate) static GIVEN_EVENT: Object = Object {
    name: "`given` (an event)",
    doc: "An event is told.",
    fields: &[
        field("event", Text(Form::Event), Required, "Its type."),
        field("data", Any, Required, "Its data."),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECT: Object = Object {
    name: "`expect`",
    doc: "What must follow. What is absent is not checked.",
    fields: &[
        field(
            "events",
            ListOrNone(&Obj(&EXPECTED_EVENT)),
            Optional,
            "Exactly these events, in any order.",
        ),
        field(
            "deliveries",
            ListOrNone(&Obj(&EXPECTED_DELIVERY)),
            Optional,
            "Exactly these deliveries, in any order.",
        ),
        field(
            "filtered",
            OneOrMany(&Text(Form::Name)),
            Optional,
            "Flows that must filter the message.",
        ),
        field(
            "error",
            Text(Form::Prose),
            Optional,
            "The code of the error that must stop it.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECTED_EVENT: Object = Object {
    name: "an expected event",
    doc: "An event that must be told.",
    fields: &[
        field("type", Text(Form::Event), Required, "Its type."),
        field(
            "data",
            Any,
            Optional,
            "Data that must be in it; more may be.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECTED_DELIVERY: Object = Object {
    name: "an expected delivery",
    doc: "A delivery that must be made.",
    fields: &[
        field(
            "to",
            Text(Form::Destination),
            Required,
            "The operation or connection, or `webhook/NAME` for a client's webhook.",
        ),
        field(
            "body",
            Any,
            Optional,
            "What must be in its body: a mapping may leave out keys, a text must be equal.",
        ),
        field(
            "fields",
            Map(Form::Field, &Text(Form::Value)),
            Optional,
            "HL7 fields of its body, by path.",
        ),
        field("key", Text(Form::Value), Optional, "Its ordering key."),
    ],
    exactly_one: &[],
};
