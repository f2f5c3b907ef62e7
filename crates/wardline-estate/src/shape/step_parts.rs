//! What stands inside a step: what is waited for, asked, chosen, repeated, undone.

use super::Need::{Default, Optional, Required};
use super::Shape::{Any, Defined, Either, Integer, List, Map, Object as Obj, Text};
use super::estate::{LANE, RETRY};
use super::step::{STEP, STEPS, STEPS_OR_NONE};
use super::{Form, Object, field};

pub(crate) static WAIT_EVENT: Object = Object {
    name: "`wait` (`event`)",
    doc: "Waits for one event.",
    fields: &[
        field("event", Text(Form::Event), Required, "Its type."),
        field(
            "where",
            Text(Form::Expression),
            Required,
            "Which events: a predicate in VRL in which `.` is the event's data, and `instance.key` and `instance.vars.NAME` are of the instance that waits. One of the parts that `&&` joins must be `EVENT == INSTANCE`; by it waiting instances are found.",
        ),
        field(
            "for",
            Text(Form::Duration),
            Optional,
            "How long; without it and `until` there is no limit.",
        ),
        field(
            "until",
            Text(Form::Expression),
            Optional,
            "Until when: an expression in VRL over the variables.",
        ),
        field(
            "else",
            Either(&[Defined(&STEPS_OR_NONE), Defined(&STEP)]),
            Optional,
            "What is done when nothing came in time: a list of steps (`[]` goes on), or one step without a name (it is called `else`). The step fails where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WAIT_ANY: Object = Object {
    name: "`wait` (`any`)",
    doc: "Waits for one event of any of some types.",
    fields: &[
        field("any", List(&Text(Form::Event)), Required, "Their types."),
        field(
            "where",
            Text(Form::Expression),
            Required,
            "Which events: a predicate in VRL in which `.` is the event's data, and `instance.key` and `instance.vars.NAME` are of the instance that waits. One of the parts that `&&` joins must be `EVENT == INSTANCE`; by it waiting instances are found.",
        ),
        field(
            "for",
            Text(Form::Duration),
            Optional,
            "How long; without it and `until` there is no limit.",
        ),
        field(
            "until",
            Text(Form::Expression),
            Optional,
            "Until when: an expression in VRL over the variables.",
        ),
        field(
            "else",
            Either(&[Defined(&STEPS_OR_NONE), Defined(&STEP)]),
            Optional,
            "What is done when nothing came in time: a list of steps (`[]` goes on), or one step without a name (it is called `else`). The step fails where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static WAIT_ALL: Object = Object {
    name: "`wait` (`all`)",
    doc: "Waits for one event of each of some types.",
    fields: &[
        field(
            "all",
            List(&Text(Form::Event)),
            Required,
            "Their types, two or more.",
        ),
        field(
            "where",
            Text(Form::Expression),
            Required,
            "Which events: a predicate in VRL in which `.` is the event's data, and `instance.key` and `instance.vars.NAME` are of the instance that waits. One of the parts that `&&` joins must be `EVENT == INSTANCE`; by it waiting instances are found.",
        ),
        field(
            "for",
            Text(Form::Duration),
            Optional,
            "How long; without it and `until` there is no limit.",
        ),
        field(
            "until",
            Text(Form::Expression),
            Optional,
            "Until when: an expression in VRL over the variables.",
        ),
        field(
            "else",
            Either(&[Defined(&STEPS_OR_NONE), Defined(&STEP)]),
            Optional,
            "What is done when nothing came in time: a list of steps (`[]` goes on), or one step without a name (it is called `else`). The step fails where absent.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static BRANCH: Object = Object {
    name: "a branch (`when`)",
    doc: "Steps for when a predicate holds.",
    fields: &[
        field(
            "when",
            Text(Form::Expression),
            Required,
            "A predicate in VRL over the variables.",
        ),
        field("steps", Defined(&STEPS), Required, "The steps."),
    ],
    exactly_one: &[],
};

pub(crate) static ELSE: Object = Object {
    name: "a branch (`else`)",
    doc: "Steps for when no predicate holds.",
    fields: &[field(
        "else",
        Defined(&STEPS_OR_NONE),
        Required,
        "The steps; `[]` for nothing, on purpose.",
    )],
    exactly_one: &[],
};

pub(crate) static REPEAT: Object = Object {
    name: "`repeat`",
    doc: "How long steps are run again and again.",
    fields: &[
        field(
            "until",
            Text(Form::Expression),
            Required,
            "A predicate in VRL over the variables, looked at after each round: the last one makes it true.",
        ),
        field(
            "most",
            Integer(1, 100_000),
            Default("1000"),
            "Most rounds; past them the step fails.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static TASK: Object = Object {
    name: "`task`",
    doc: "A question to a person. `wardline tasks` and the console show it to whoever has the role.",
    fields: &[
        field(
            "role",
            Text(Form::Prose),
            Required,
            "The role that is asked; `{{ … }}` holds an expression in VRL over the variables.",
        ),
        field(
            "ask",
            Text(Form::Prose),
            Required,
            "The question; `{{ … }}` holds an expression in VRL over the variables.",
        ),
        field(
            "choices",
            List(&Text(Form::Prose)),
            Required,
            "What may be answered: short texts, one of which is chosen.",
        ),
        field(
            "form",
            Map(Form::Identifier, &Text(Form::Prose)),
            Optional,
            "What else is filled in, by name, with what people call it.",
        ),
        field(
            "due",
            Either(&[Text(Form::Duration), Obj(&DUE)]),
            Optional,
            "When it is due: so long after it was asked, or a time.",
        ),
        field(
            "escalate",
            Obj(&ESCALATE),
            Optional,
            "Who is asked as well when it is overdue.",
        ),
        field(
            "show",
            Map(Form::Identifier, &Text(Form::Expression)),
            Optional,
            "What whoever decides should see, by name: expressions in VRL over the variables.",
        ),
        field(
            "accept",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL over `.choice`, `.by`, `.note`, `.form` and `.vars`. An answer for which it is false is refused: that is how two different people are made to decide.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What helps to decide.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static DUE: Object = Object {
    name: "`due`",
    doc: "A time.",
    fields: &[field(
        "until",
        Text(Form::Expression),
        Required,
        "An expression in VRL over the variables: a timestamp, or text as in RFC 3339.",
    )],
    exactly_one: &[],
};

pub(crate) static ESCALATE: Object = Object {
    name: "`escalate`",
    doc: "Who is asked as well when a task is overdue.",
    fields: &[
        field(
            "after",
            Text(Form::Duration),
            Required,
            "So long after it was due, or after it was asked where it is not due at any time.",
        ),
        field("to", Text(Form::Prose), Required, "The role."),
    ],
    exactly_one: &[],
};

pub(crate) static UNDO: Object = Object {
    name: "`undo`",
    doc: "How what a step did is undone. What is sent is computed when the step is done.",
    fields: &[
        field(
            "call",
            Text(Form::Reference),
            Required,
            "The operation: `system.operation`, or `api.operation` of a system Api.",
        ),
        field(
            "with",
            Any,
            Optional,
            "What is sent: as in a step that calls. Nothing where absent.",
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
            "How failed sends are tried again; as the process says where absent.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What a person should do when it cannot be undone; the process's where absent.",
        ),
    ],
    exactly_one: &[],
};
