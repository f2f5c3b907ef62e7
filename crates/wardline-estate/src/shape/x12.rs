//! What partners who exchange X12 owe each other.

use super::Need::{Default, Optional};
use super::Shape::{Integer, OneOrMany, Text, Word};
use super::{Form, Object, field};

pub(crate) static X12: Object = Object {
    name: "`x12`",
    doc: "What partners who exchange X12 owe each other: control numbers, acknowledgements, and which guides hold.",
    fields: &[
        field(
            "numbers",
            Word(&["map", "counted"]),
            Default("map"),
            "Of a connection that goes out. `counted`: ISA13 and GS06 are given as an interchange leaves, one after the other and without gaps, whatever the map wrote. However often a delivery is tried, it keeps its number.",
        ),
        field(
            "first",
            Integer(1, 900_000_000),
            Default("1"),
            "The first number that is given, where the partner has seen others before.",
        ),
        field(
            "acknowledge",
            Word(&["997", "999"]),
            Optional,
            "Of a connection that receives: every interchange is answered with a 997 or 999, and with a TA1 where its envelope is wrong or asks for one.",
        ),
        field(
            "by",
            Text(Form::Reference),
            Optional,
            "The connection that sends those answers, `system.connection`.",
        ),
        field(
            "answers",
            Text(Form::Reference),
            Optional,
            "Of a connection that receives: TA1, 997 and 999 that come here speak of what this connection, `system.connection`, has sent. A refusal is a dead letter.",
        ),
        field(
            "answered_within",
            Text(Form::Duration),
            Optional,
            "Of a connection that goes out with `numbers: counted`: an interchange that the partner has not acknowledged by then is told in the log, and is a dead letter of the connection that receives the answers.",
        ),
        field(
            "guides",
            OneOrMany(&Text(Form::File)),
            Optional,
            "Guides of your own (YAML), of a connection that receives: what they refuse is not taken, the acknowledgement says why, and flows know their loops.",
        ),
    ],
    exactly_one: &[],
};
