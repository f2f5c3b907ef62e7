//! What a step of a process may say: one key that says what kind of step it is, and the keys that
//! kind has. Steps hold steps, so this table refers to itself.

use super::Need::{Default, Optional, Required};
use super::Shape::{
    Any, Bool, Defined, Integer, Keyed, List, ListOrNone, Map, Object as Obj, Single, Text, Word,
};
use super::estate::{EXHAUSTED, LANE, MAPS, RETRY};
use super::step_parts::{BRANCH, ELSE, REPEAT, TASK, UNDO, WAIT_ALL, WAIT_ANY, WAIT_EVENT};
use super::{Definition, Field, Form, Object, field};

const WHEN: Field = field(
    "when",
    Text(Form::Expression),
    Optional,
    "A predicate in VRL over the variables; the step is skipped where it is false.",
);
const STATUS: Field = field(
    "status",
    Text(Form::Identifier),
    Optional,
    "The status that the instance has once the step is done.",
);
const UNDONE_BY: Field = field(
    "undo",
    Obj(&UNDO),
    Optional,
    "How what the step did is undone; it runs, in reverse order, when the instance is undone.",
);
/// A function, because a constant cannot refer to what refers to it.
const fn inner() -> Field {
    field("steps", Defined(&STEPS), Required, "The steps.")
}

pub(crate) static STEPS: Definition = Definition {
    key: "steps",
    name: "a list of steps",
    help: "write `- NAME:` for each, and what it does below it",
    shape: List(&Single(Form::Name, &Defined(&STEP))),
};

/// Where doing nothing is an answer as well.
pub(crate) static STEPS_OR_NONE: Definition = Definition {
    key: "steps-or-none",
    name: "a list of steps, or `[]`",
    help: "write `- NAME:` for each, and what it does below it",
    shape: ListOrNone(&Single(Form::Name, &Defined(&STEP))),
};

/// A status alone is a step too, so `status` stands last: it is a key of the others.
pub(crate) static STEP: Definition = Definition {
    key: "step",
    name: "a step",
    help: "write what it does below its name: `- NAME: { call: SYSTEM.OPERATION }`",
    shape: Keyed(&[
        ("call", &CALL_STEP),
        ("emit", &EMIT_STEP),
        ("wait", &WAIT_STEP),
        ("sleep", &SLEEP_STEP),
        ("until", &UNTIL_STEP),
        ("task", &TASK_STEP),
        ("choose", &CHOOSE_STEP),
        ("parallel", &PARALLEL_STEP),
        ("each", &EACH_STEP),
        ("repeat", &REPEAT_STEP),
        ("set", &SET_STEP),
        ("map", &MAP_STEP),
        ("steps", &GROUP_STEP),
        ("fail", &FAIL_STEP),
        ("undo", &UNDO_ALL_STEP),
        ("end", &END_STEP),
        ("status", &STATUS_STEP),
    ]),
};

pub(crate) static CALL_STEP: Object = Object {
    name: "a step (`call`)",
    doc: "Asks a system, or an Api, for something and waits for its answer.",
    fields: &[
        field(
            "call",
            Text(Form::Reference),
            Required,
            "The operation: `system.operation`, or `api.operation` of a system Api.",
        ),
        WHEN,
        field(
            "with",
            Any,
            Optional,
            "What is sent. In it every text is an expression in VRL over the variables (`.order.number`, `'\"text\"'`); numbers, truth values and `null` stand for themselves. Nothing is sent where absent, or all variables where there is a `map`.",
        ),
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs of what is sent, each fed by the one before.",
        ),
        field(
            "expect",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL over the answer (`.`). Where it is false the call has failed, whatever the other side said.",
        ),
        field(
            "lane",
            LANE,
            Optional,
            "How urgent; the process's where absent, else `normal`.",
        ),
        field(
            "retry",
            Obj(&RETRY),
            Optional,
            "How failed sends are tried again.",
        ),
        field(
            "on_exhausted",
            EXHAUSTED,
            Optional,
            "`hold`: the key stays blocked until a person decides. `park`: the call becomes a dead letter and its followers pass. The process's where absent, else `hold`.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What a person should do then; the process's where absent.",
        ),
        field(
            "on_failure",
            Defined(&STEPS_OR_NONE),
            Optional,
            "Steps for when the call failed for good; `[]` goes on as it is. The variable of `save` is then `{ failed: { code, text } }`. Where absent the step is stuck until a person decides.",
        ),
        field(
            "save",
            Text(Form::Identifier),
            Optional,
            "The variable that the answer becomes.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static EMIT_STEP: Object = Object {
    name: "a step (`emit`)",
    doc: "Tells an event to flows, other processes and webhooks.",
    fields: &[
        field(
            "emit",
            Text(Form::Event),
            Required,
            "Its type. Its data must be valid by the entity before the dot.",
        ),
        WHEN,
        field(
            "with",
            Any,
            Optional,
            "Its data. In it every text is an expression in VRL over the variables; numbers, truth values and `null` stand for themselves. Where absent, all variables, through `map`.",
        ),
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs of the data, each fed by the one before.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static WAIT_STEP: Object = Object {
    name: "a step (`wait`)",
    doc: "Waits for events, which may have come before.",
    fields: &[
        field(
            "wait",
            Keyed(&[
                ("event", &WAIT_EVENT),
                ("any", &WAIT_ANY),
                ("all", &WAIT_ALL),
            ]),
            Required,
            "For what, and how long.",
        ),
        WHEN,
        field(
            "save",
            Text(Form::Identifier),
            Optional,
            "The variable that becomes the data of the event; `{ event, data }` where there are several types under `any`; with `all`, an object of the data of each by the part of its type before the dot.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static SLEEP_STEP: Object = Object {
    name: "a step (`sleep`)",
    doc: "Waits for so long.",
    fields: &[
        field("sleep", Text(Form::Duration), Required, "How long."),
        WHEN,
        STATUS,
    ],
    exactly_one: &[],
};

pub(crate) static UNTIL_STEP: Object = Object {
    name: "a step (`until`)",
    doc: "Waits until a time.",
    fields: &[
        field(
            "until",
            Text(Form::Expression),
            Required,
            "An expression in VRL over the variables: a timestamp, or text as in RFC 3339. A time that has passed does not wait.",
        ),
        WHEN,
        STATUS,
    ],
    exactly_one: &[],
};

pub(crate) static TASK_STEP: Object = Object {
    name: "a step (`task`)",
    doc: "Asks a person and waits for the answer.",
    fields: &[
        field("task", Obj(&TASK), Required, "The question."),
        WHEN,
        field(
            "save",
            Text(Form::Identifier),
            Optional,
            "The variable that the answer (`choice`, `by`, `note`, `at`, `form`) becomes.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static CHOOSE_STEP: Object = Object {
    name: "a step (`choose`)",
    doc: "Takes the first branch whose predicate holds.",
    fields: &[
        field(
            "choose",
            List(&Keyed(&[("when", &BRANCH), ("else", &ELSE)])),
            Required,
            "Branches, `else` last; a warning where there is no `else`.",
        ),
        WHEN,
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static PARALLEL_STEP: Object = Object {
    name: "a step (`parallel`)",
    doc: "Runs branches side by side and waits for all.",
    fields: &[
        field(
            "parallel",
            Map(Form::Name, &Defined(&STEPS)),
            Required,
            "Branches, by name.",
        ),
        WHEN,
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static EACH_STEP: Object = Object {
    name: "a step (`each`)",
    doc: "Runs steps for each of some values.",
    fields: &[
        field(
            "each",
            Text(Form::Expression),
            Required,
            "An expression in VRL over the variables: an array.",
        ),
        WHEN,
        field(
            "as",
            Text(Form::Identifier),
            Default("item"),
            "The variable that the value is, in these steps.",
        ),
        field(
            "at_once",
            Integer(1, 100),
            Default("1"),
            "How many at a time.",
        ),
        inner(),
        field(
            "save",
            Text(Form::Identifier),
            Optional,
            "The variable that becomes an array: for each value, in its order, an object of the value and of the variables that its steps made. Without it they are forgotten.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static REPEAT_STEP: Object = Object {
    name: "a step (`repeat`)",
    doc: "Runs steps again and again.",
    fields: &[
        field("repeat", Obj(&REPEAT), Required, "How long."),
        WHEN,
        inner(),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static SET_STEP: Object = Object {
    name: "a step (`set`)",
    doc: "Computes variables.",
    fields: &[
        field(
            "set",
            Map(Form::Identifier, &Any),
            Required,
            "Values by variable. In them every text is an expression in VRL over the variables as they were before the step; numbers, truth values and `null` stand for themselves.",
        ),
        WHEN,
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static MAP_STEP: Object = Object {
    name: "a step (`map`)",
    doc: "Computes from all variables with mapping programs.",
    fields: &[
        field(
            "map",
            MAPS,
            Required,
            "Mapping programs, each fed by the one before; the first is given the object of all variables.",
        ),
        WHEN,
        field(
            "save",
            Text(Form::Identifier),
            Optional,
            "The variable that the result becomes. Without it the result is all variables.",
        ),
        STATUS,
        UNDONE_BY,
    ],
    exactly_one: &[],
};

pub(crate) static GROUP_STEP: Object = Object {
    name: "a step (`steps`)",
    doc: "Steps under one name: they are skipped, and undone, together.",
    fields: &[inner(), WHEN, STATUS, UNDONE_BY],
    exactly_one: &[],
};

pub(crate) static FAIL_STEP: Object = Object {
    name: "a step (`fail`)",
    doc: "Ends the instance as failed.",
    fields: &[
        field(
            "fail",
            Text(Form::Prose),
            Required,
            "Why, for people; `{{ … }}` holds an expression in VRL.",
        ),
        WHEN,
        field(
            "undo",
            Bool,
            Default("false"),
            "Whether what is done is undone first.",
        ),
        STATUS,
    ],
    exactly_one: &[],
};

pub(crate) static UNDO_ALL_STEP: Object = Object {
    name: "a step (`undo`)",
    doc: "Runs what steps registered to undo what they did, in reverse order.",
    fields: &[
        field("undo", Word(&["all"]), Required, "`all`."),
        WHEN,
        STATUS,
    ],
    exactly_one: &[],
};

pub(crate) static END_STEP: Object = Object {
    name: "a step (`end`)",
    doc: "Ends the instance as completed.",
    fields: &[field("end", Bool, Required, "`true`."), WHEN, STATUS],
    exactly_one: &[],
};

pub(crate) static STATUS_STEP: Object = Object {
    name: "a step (`status`)",
    doc: "Sets the status and does nothing else.",
    fields: &[
        field(
            "status",
            Text(Form::Identifier),
            Required,
            "The status that the instance has from here on.",
        ),
        WHEN,
    ],
    exactly_one: &[],
};
