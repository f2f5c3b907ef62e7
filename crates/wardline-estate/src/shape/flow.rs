//! `flows/*.yaml`.

use super::Need::{Default, Later, Optional, Required};
use super::Shape::{Any, Either, Keyed, Object as Obj, OneOrMany, Text, Word};
use super::estate::{EXHAUSTED, LANE, MAPS, RETRY};
use super::{Form, Object, field};

pub(crate) static FLOW: Object = Object {
    name: "a flow",
    doc: "When this arrives, what does it mean and who must hear of it: `from`, then `when`, `map`, `validate`, `enrich`, then `emit` or `to` or both.",
    fields: &[
        field("flow", Text(Form::Name), Required, "The name of the flow."),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "Who answers for it; a warning where absent.",
        ),
        field(
            "from",
            Either(&[
                Text(Form::Reference),
                Keyed(&[
                    ("event", &FROM_EVENT),
                    ("every", &FROM_CLOCK),
                    ("alert", &FROM_ALERT),
                    ("job", &FROM_JOB),
                ]),
            ]),
            Required,
            "Where messages come from: an inbound connection (`ehr.adt`), events, the clock, what is wrong with systems, or a bulk job.",
        ),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL. Messages for which it is false are recorded as filtered.",
        ),
        field(
            "key",
            Text(Form::Expression),
            Optional,
            "The ordering key, an expression in VRL. Deliveries of equal keys to one destination keep their order. `none`, or absent: order does not matter.",
        ),
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs, each fed by the one before.",
        ),
        field(
            "validate",
            Text(Form::Name),
            Optional,
            "The entity against which the result is validated; that of `emit` where absent, `none` for nothing.",
        ),
        field(
            "enrich",
            MAPS,
            Optional,
            "Mapping programs that add to the validated result.",
        ),
        field(
            "emit",
            Text(Form::Event),
            Optional,
            "The type of the event that is told to other flows. Its data must be valid by the entity before the dot.",
        ),
        field("lane", LANE, Optional, "How urgent what follows is."),
        field(
            "retry",
            Obj(&RETRY),
            Optional,
            "How failed sends are tried again, for all destinations of the flow.",
        ),
        field(
            "on_exhausted",
            EXHAUSTED,
            Optional,
            "What becomes of a delivery that exhausted its retries, for all destinations of the flow.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What a person should do when a delivery fails for good.",
        ),
        field(
            "to",
            OneOrMany(&Keyed(&[("call", &CALL), ("send", &SEND)])),
            Optional,
            "Who must hear of it.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FROM_EVENT: Object = Object {
    name: "`from` (events)",
    doc: "The flow hears canonical events.",
    fields: &[field(
        "event",
        OneOrMany(&Text(Form::Event)),
        Required,
        "Their types.",
    )],
    exactly_one: &[],
};

pub(crate) static FROM_CLOCK: Object = Object {
    name: "`from` (the clock)",
    doc: "The flow starts by the clock.",
    fields: &[
        field(
            "every",
            Text(Form::Cron),
            Required,
            "Five cron fields: minute, hour, day, month, weekday.",
        ),
        field(
            "zone",
            Text(Form::TimeZone),
            Optional,
            "The time zone; the estate's where absent.",
        ),
        field(
            "call",
            Text(Form::Reference),
            Optional,
            "An operation whose answer is the message.",
        ),
        field(
            "body",
            Any,
            Optional,
            "The message, where nothing is called.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FROM_ALERT: Object = Object {
    name: "`from` (alerts)",
    doc: "The flow hears when something begins to be wrong with a system that Wardline sends to, and when it is over: a message each, `state` being `raised` or `cleared`.",
    fields: &[
        field(
            "alert",
            OneOrMany(&Word(&["down", "held", "dead"])),
            Required,
            "What is told. `down`: it cannot be reached. `held`: deliveries to it need a person. `dead`: deliveries to it were given up, and nobody has dealt with them.",
        ),
        field(
            "after",
            Text(Form::Duration),
            Default("2m"),
            "How long it must have been wrong before it is told, and well before it is taken back.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FROM_JOB: Object = Object {
    name: "`from` (a job)",
    doc: "The flow hears the records of a bulk job, each as a message of its own. Its lane is `bulk` where it says no other.",
    fields: &[field("job", Text(Form::Name), Required, "The job.")],
    exactly_one: &[],
};

macro_rules! target {
    ($key:literal, $name:literal, $doc:literal, $what:literal) => {
        Object {
            name: $name,
            doc: $doc,
            fields: &[
                field($key, Text(Form::Reference), Required, $what),
                field("map", MAPS, Optional, "Mapping programs for this destination, each fed by the one before."),
                field("when", Text(Form::Expression), Optional, "A predicate in VRL; the destination is skipped where it is false."),
                field("key", Text(Form::Expression), Optional, "The ordering key here; the flow's where absent."),
                field("lane", LANE, Optional, "How urgent; the flow's where absent, else `normal`."),
                field("retry", Obj(&RETRY), Optional, "How failed sends are tried again."),
                field("on_exhausted", EXHAUSTED, Default("hold"), "`hold`: the key stays blocked until a person decides. `park`: the delivery becomes a dead letter and its followers pass."),
                field("runbook", Text(Form::File), Optional, "What a person should do then."),
                field("then", Obj(&THEN), Optional, "What becomes of the response."),
                field("batch", Any, Later, "Several deliveries in one send."),
            ],
            exactly_one: &[],
        }
    };
}

pub(crate) static CALL: Object = target!(
    "call",
    "a target (`call`)",
    "An operation of a system is called.",
    "The operation: `system.operation`."
);
pub(crate) static SEND: Object = target!(
    "send",
    "a target (`send`)",
    "The message goes straight to a connection.",
    "The connection: `system.connection`."
);

pub(crate) static THEN: Object = Object {
    name: "`then`",
    doc: "What becomes of a response: it is mapped, validated and told as an event.",
    fields: &[
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs of the response, each fed by the one before.",
        ),
        field(
            "validate",
            Text(Form::Name),
            Optional,
            "The entity against which the result is validated; that of `emit` where absent, `none` for nothing.",
        ),
        field(
            "emit",
            Text(Form::Event),
            Required,
            "The type of the event.",
        ),
    ],
    exactly_one: &[],
};
