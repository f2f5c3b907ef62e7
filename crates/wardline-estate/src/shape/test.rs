//! `tests/*.yaml`: what must follow from a message, what a map must make of an input, how a process
//! must live through a script.

use super::Need::{Default, Optional, Required};
use super::Shape::{
    Any, Bool, Either, Integer, Keyed, List, ListOrNone, Map, Object as Obj, OneOrMany, Text, Word,
};
use super::estate::LANE;
use super::{Form, Object, Shape, field};

/// A value in place, or a file that holds it.
const VALUE: Shape = Either(&[Text(Form::File), Map(Form::Value, &Any), ListOrNone(&Any)]);

pub(crate) static TEST: Object = Object {
    name: "a test",
    doc: "What must follow from a message or an event, or what a map must make of an input (`given`, `expect`); or how a process must live through a `script`. `wardline test` runs it without network and clock.",
    fields: &[
        field(
            "test",
            Text(Form::Prose),
            Required,
            "What it shows, in words.",
        ),
        field(
            "given",
            Keyed(&[
                ("message", &GIVEN_MESSAGE),
                ("event", &GIVEN_EVENT),
                ("map", &GIVEN_MAP),
            ]),
            Optional,
            "What arrives, or what a map is given.",
        ),
        field(
            "process",
            Text(Form::Name),
            Optional,
            "The process that lives through `script`.",
        ),
        field(
            "now",
            Text(Form::Moment),
            Optional,
            "The moment it arrives; the beginning of the script.",
        ),
        field(
            "answers",
            Map(Form::Reference, &Any),
            Optional,
            "What operations answer to the process: by the reference with which its steps call them, in the words of the Api; or by that of the system's operation that serves an Api, in the system's words, which its `response` maps. A value, or `{ fails: REASON }`, with `permanent: true` for a failure that trying again does not mend. Of a list one after the other is answered, and the last from then on. An operation that is not here does not answer.",
        ),
        field(
            "script",
            List(&Keyed(&[
                ("event", &SCRIPT_EVENT),
                ("expect", &SCRIPT_EXPECT),
                ("after", &SCRIPT_AFTER),
                ("at", &SCRIPT_AT),
                ("answer", &SCRIPT_ANSWER),
                ("act", &SCRIPT_ACT),
            ])),
            Optional,
            "What happens to the process and what must follow, in order.",
        ),
        field(
            "expect",
            Obj(&EXPECT),
            Optional,
            "What must follow from `given`.",
        ),
    ],
    exactly_one: &["given", "process"],
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
    doc: "An event is told to flows.",
    fields: &[
        field("event", Text(Form::Event), Required, "Its type."),
        field(
            "data",
            VALUE,
            Required,
            "Its data, or a file of JSON that holds it, relative to `tests/`.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static GIVEN_MAP: Object = Object {
    name: "`given` (a map)",
    doc: "A map is run by itself.",
    fields: &[
        field("map", Text(Form::Map), Required, "The mapping program."),
        field(
            "input",
            VALUE,
            Required,
            "What it is given, or a file that holds it, relative to `tests/`: `.json` is read as JSON, anything else is given as it is.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECT: Object = Object {
    name: "`expect`",
    doc: "What must follow. What is absent is not checked. `result` and `results` are of a map, `events` and `deliveries` of what arrives.",
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
            "result",
            Any,
            Optional,
            "What the one result of the map must have: a mapping may leave out keys, anything else must be equal.",
        ),
        field(
            "results",
            ListOrNone(&Any),
            Optional,
            "What the results of the map must have, each as `result`: exactly so many, in this order.",
        ),
        field(
            "filtered",
            Either(&[Bool, OneOrMany(&Text(Form::Name))]),
            Optional,
            "Flows that must filter the message; for a map, `true` where it must filter its input, `false` where it must not.",
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

pub(crate) static SCRIPT_EVENT: Object = Object {
    name: "a script's `event`",
    doc: "An event is told.",
    fields: &[
        field("event", Text(Form::Event), Required, "Its type."),
        field(
            "data",
            VALUE,
            Required,
            "Its data, or a file of JSON that holds it, relative to `tests/`.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SCRIPT_AFTER: Object = Object {
    name: "a script's `after`",
    doc: "Time passes, and what is due happens.",
    fields: &[field("after", Text(Form::Duration), Required, "How much.")],
    exactly_one: &[],
};

pub(crate) static SCRIPT_AT: Object = Object {
    name: "a script's `at`",
    doc: "Time passes until a moment, and what is due happens.",
    fields: &[field(
        "at",
        Text(Form::Moment),
        Required,
        "The moment; not before the one that is reached.",
    )],
    exactly_one: &[],
};

pub(crate) static SCRIPT_ANSWER: Object = Object {
    name: "a script's `answer`",
    doc: "A person answers an open task.",
    fields: &[
        field(
            "answer",
            Text(Form::Prose),
            Required,
            "The step that asks: its name, with those of the steps around it (`await-acknowledgement/else`).",
        ),
        field("choice", Text(Form::Prose), Required, "The answer."),
        field("by", Text(Form::Prose), Default("somebody"), "Who answers."),
        field("note", Text(Form::Prose), Optional, "Why."),
        field(
            "form",
            Map(Form::Identifier, &Any),
            Optional,
            "What else is filled in, by name.",
        ),
        field(
            "key",
            Text(Form::Value),
            Optional,
            "The business key of the instance, where there are several.",
        ),
        field(
            "refused",
            Bool,
            Default("false"),
            "Whether `accept` must refuse the answer.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SCRIPT_ACT: Object = Object {
    name: "a script's `act`",
    doc: "A person steps in, as the console and `wardline processes` allow.",
    fields: &[
        field(
            "act",
            Word(&["retry", "skip", "set", "cancel", "compensate"]),
            Required,
            "`retry` or `skip` the step that is stuck, `set` variables, `cancel` the instance, or `compensate`: undo what it did, then cancel it.",
        ),
        field(
            "step",
            Text(Form::Prose),
            Optional,
            "The step: its name, with those of the steps around it. For `retry` and `skip`, where several are stuck.",
        ),
        field(
            "vars",
            Map(Form::Identifier, &Any),
            Optional,
            "For `set`: variables and what they become.",
        ),
        field("by", Text(Form::Prose), Default("somebody"), "Who acts."),
        field("reason", Text(Form::Prose), Optional, "Why."),
        field(
            "key",
            Text(Form::Value),
            Optional,
            "The business key of the instance, where there are several.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SCRIPT_EXPECT: Object = Object {
    name: "a script's `expect`",
    doc: "How it must be by now.",
    fields: &[field(
        "expect",
        Obj(&EXPECTED_STATE),
        Required,
        "What must be so.",
    )],
    exactly_one: &[],
};

pub(crate) static EXPECTED_STATE: Object = Object {
    name: "`expect` of a script",
    doc: "How an instance must be by now. What is absent is not checked.",
    fields: &[
        field(
            "key",
            Text(Form::Value),
            Optional,
            "The business key of the instance, where there are several.",
        ),
        field(
            "instances",
            Integer(0, 10_000),
            Optional,
            "How many instances there are in all, ended ones too.",
        ),
        field(
            "phase",
            Word(&[
                "running",
                "asking",
                "stuck",
                "completed",
                "failed",
                "cancelled",
            ]),
            Optional,
            "Whether it runs, asks a person, is stuck, or has ended, and how.",
        ),
        field("status", Text(Form::Identifier), Optional, "Its status."),
        field(
            "at",
            Either(&[Text(Form::Prose), ListOrNone(&Text(Form::Prose))]),
            Optional,
            "Exactly these steps are under way, in any order: each its name, with those of the steps around it.",
        ),
        field(
            "calls",
            ListOrNone(&Obj(&EXPECTED_CALL)),
            Optional,
            "Exactly these calls since the `expect` before that lists calls, in any order.",
        ),
        field(
            "events",
            ListOrNone(&Obj(&EXPECTED_EVENT)),
            Optional,
            "Exactly these events since the `expect` before that lists events, in any order.",
        ),
        field(
            "tasks",
            ListOrNone(&Obj(&EXPECTED_TASK)),
            Optional,
            "Exactly these open tasks, in any order.",
        ),
        field(
            "vars",
            Map(Form::Identifier, &Any),
            Optional,
            "Variables: a mapping may leave out keys, anything else must be equal.",
        ),
        field(
            "figures",
            Map(Form::Name, &Any),
            Optional,
            "What it gives to figures of its process, by name: an array of its values (true or false, decimals as text, seconds); the empty one where it has none.",
        ),
        field(
            "error",
            Text(Form::Prose),
            Optional,
            "What the reason must say for which it is stuck or has failed.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECTED_CALL: Object = Object {
    name: "an expected call",
    doc: "A call that must be made.",
    fields: &[
        field(
            "to",
            Text(Form::Reference),
            Required,
            "The operation, by the reference with which the step calls it, or by that of the system's operation that serves an Api.",
        ),
        field(
            "body",
            Any,
            Optional,
            "What must be in its body, as the step or as the system puts it: a mapping may leave out keys, a text must be equal.",
        ),
        field("lane", LANE, Optional, "The lane that it must take."),
    ],
    exactly_one: &[],
};

pub(crate) static EXPECTED_TASK: Object = Object {
    name: "an expected task",
    doc: "A task that must be open. What is absent is not checked.",
    fields: &[
        field(
            "role",
            Text(Form::Prose),
            Optional,
            "The role that is asked.",
        ),
        field("ask", Text(Form::Prose), Optional, "The question."),
        field(
            "step",
            Text(Form::Prose),
            Optional,
            "The step that asks: its name, with those of the steps around it.",
        ),
        field(
            "choices",
            OneOrMany(&Text(Form::Prose)),
            Optional,
            "Exactly these choices, in this order.",
        ),
    ],
    exactly_one: &[],
};

/// An answer to a call that failed; [`TEST`] says it in words, because any other value is an answer.
pub(crate) static FAILING: Object = Object {
    name: "an answer that fails",
    doc: "The operation fails.",
    fields: &[
        field("fails", Text(Form::Prose), Required, "Why."),
        field(
            "permanent",
            Bool,
            Default("false"),
            "Whether trying again does not help.",
        ),
    ],
    exactly_one: &[],
};
