//! `jobs/*.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Any, Bool, Either, Integer, Map, Object as Obj, Text, Word};
use super::estate::MAPS;
use super::{Form, Object, field};

pub(crate) static JOB: Object = Object {
    name: "a job",
    doc: "Much, piece by piece, from one place to another: extracts, loads and synchronisations. A run can be stopped anywhere and goes on where it was.",
    fields: &[
        field("job", Text(Form::Name), Required, "The name of the job."),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "Who answers for it; a warning where absent.",
        ),
        field(
            "every",
            Text(Form::Cron),
            Optional,
            "When it begins by itself: five cron fields. On demand only where absent. While a run is under way no other begins.",
        ),
        field(
            "zone",
            Text(Form::TimeZone),
            Optional,
            "The time zone of `every`, `window` and names of files; the estate's where absent.",
        ),
        field("read", Obj(&READ), Required, "What is read."),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL; records for which it is false are left out. Only where files are written: a flow has its own.",
        ),
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs for each record, each fed by the one before. Only where files are written: a flow has its own.",
        ),
        field(
            "write",
            Either(&[Word(&["messages"]), Obj(&WRITE)]),
            Required,
            "Where records go. `messages`: each becomes a message, and flows begin with `from: { job: NAME }`.",
        ),
        field(
            "rate",
            Text(Form::Rate),
            Optional,
            "Records at most, such as `500/s`. The limits of the connections hold all the same.",
        ),
        field(
            "window",
            Obj(&WINDOW),
            Optional,
            "Hours of the day within which it works; outside of them a run waits.",
        ),
        field(
            "errors",
            Integer(0, 1_000_000),
            Default("100"),
            "Records that may be refused before the run fails. Each is recorded as a message with a dead delivery that says why.",
        ),
        field(
            "open",
            Integer(1, 1_000_000),
            Default("2000"),
            "Deliveries of lane `bulk` that may be open where the records lead before the run waits. Only with `write: messages`.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static READ: Object = Object {
    name: "`read` (of a job)",
    doc: "An operation that is called for page after page.",
    fields: &[
        field(
            "call",
            Text(Form::Reference),
            Required,
            "The operation: `system.operation`, of any protocol; a statement of a database is one. Rate, sessions and breaker of its connection hold.",
        ),
        field(
            "with",
            Any,
            Optional,
            "What is asked for with every page: members of the body; of the query where the operation is a GET.",
        ),
        field(
            "page",
            Obj(&PAGE),
            Optional,
            "How pages follow each other. One page where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static PAGE: Object = Object {
    name: "`page`",
    doc: "How pages follow each other: by `after`, `next` or `offset`. A run ends with a page without records, or without `next`.",
    fields: &[
        field(
            "records",
            Text(Form::Attribute),
            Optional,
            "Where in an answer the records are, such as `data.items`. Where absent: the answer itself, or the rows of a statement.",
        ),
        field(
            "size",
            Integer(1, 10_000),
            Default("500"),
            "Records of a page.",
        ),
        field(
            "size_as",
            Text(Form::Identifier),
            Default("size"),
            "As what the size is asked for.",
        ),
        field(
            "after",
            Text(Form::Column),
            Optional,
            "The column by which pages are ordered; the next page is what comes after the last record. What is added or removed meanwhile shifts nothing.",
        ),
        field(
            "next",
            Text(Form::Attribute),
            Optional,
            "Where in an answer the place of the next page stands, such as `meta.next_cursor`.",
        ),
        field(
            "offset",
            Bool,
            Default("false"),
            "The next page is found by how many records came before. What is added or removed meanwhile shifts the others.",
        ),
        field(
            "place_as",
            Text(Form::Identifier),
            Optional,
            "As what the place is asked for; `after`, `next` or `offset` where absent, as pages are found.",
        ),
        field(
            "begin",
            Text(Form::Value),
            Optional,
            "The place of the first page. Nothing is asked for where absent.",
        ),
        field(
            "onward",
            Bool,
            Default("false"),
            "A run goes on where the last one that was done ended: only what is new is read. With `after` or `next`.",
        ),
        field(
            "total",
            Text(Form::Attribute),
            Optional,
            "Where in an answer it stands how many records there are in all; then progress has an end.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WRITE: Object = Object {
    name: "`write` (of a job)",
    doc: "Where records go.",
    fields: &[field("file", Obj(&WRITE_FILE), Required, "Into files.")],
    exactly_one: &[],
};

pub(crate) static WRITE_FILE: Object = Object {
    name: "`file` (of a job)",
    doc: "Files in the directory of a connection. Each appears there whole, under its name, when it is complete.",
    fields: &[
        field(
            "connection",
            Text(Form::Reference),
            Required,
            "A connection that writes files.",
        ),
        field(
            "name",
            Text(Form::Prose),
            Required,
            "Its name, with `{date}` and `{time}` of the beginning of the run, `{run}` (its id) and `{part}` (the number of the file).",
        ),
        field(
            "format",
            Word(&["csv", "ndjson", "parquet"]),
            Default("ndjson"),
            "How records are written.",
        ),
        field(
            "columns",
            Map(Form::Column, &COLUMN),
            Optional,
            "What of a record is written, in this order. Required for CSV and Parquet; NDJSON has whole records without it.",
        ),
        field(
            "split",
            Integer(1, 100_000_000),
            Optional,
            "Records of one file at most; then `{part}` belongs into the name.",
        ),
    ],
    exactly_one: &[],
};

const COLUMN: super::Shape = Text(Form::ColumnKind);

pub(crate) static WINDOW: Object = Object {
    name: "`window`",
    doc: "Hours of the day. May go over midnight.",
    fields: &[
        field("from", Text(Form::Hour), Required, "From, such as `20:00`."),
        field("to", Text(Form::Hour), Required, "To, such as `06:00`."),
    ],
    exactly_one: &[],
};
