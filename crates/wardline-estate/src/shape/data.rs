//! `entities/*.yaml` and `codes/*.yaml`.

use super::Need::{Default, Later, Optional, Required};
use super::Shape::{Any, Either, Map, Object as Obj, Text, Word};
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
