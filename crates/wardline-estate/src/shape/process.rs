//! `processes/*.yaml`. What a step may say is in [`super::step`].

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Defined, Integer, Map, Object as Obj, OneOrMany, Text, Word};
use super::estate::{EXHAUSTED, LANE, MAPS, RETRY};
use super::step::STEPS;
use super::{Form, Object, field};

pub(crate) static PROCESS: Object = Object {
    name: "a process",
    doc: "What has to happen, over hours or months, until one thing is done: events start it, steps follow, and what it waits for survives every restart. In expressions `.` is the object of its variables and `%key` its business key.",
    fields: &[
        field(
            "process",
            Text(Form::Name),
            Required,
            "The name of the process.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "version",
            Integer(1, 1_000_000),
            Default("1"),
            "Its version, for people. Instances that run finish with the steps they began with.",
        ),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "The role that answers for it; a warning where absent.",
        ),
        field(
            "entity",
            Text(Form::Name),
            Optional,
            "The entity that the business key identifies.",
        ),
        field(
            "on",
            OneOrMany(&Text(Form::Event)),
            Required,
            "The types of the events that start an instance.",
        ),
        field(
            "as",
            Text(Form::Identifier),
            Optional,
            "The variable that the event's data becomes; the part of its type before the dot where absent, on which all types of `on` must then agree.",
        ),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL over the variables. No instance begins where it is false.",
        ),
        field(
            "key",
            Text(Form::Expression),
            Required,
            "The business key, an expression in VRL over the variables. At a time there is one instance of a key.",
        ),
        field(
            "again",
            Bool,
            Default("false"),
            "Whether a key may start again after its instance has ended.",
        ),
        field(
            "keep_events",
            Text(Form::Duration),
            Default("7d"),
            "How long an event is kept for an instance that does not wait for it yet, and is remembered so that its duplicate does nothing.",
        ),
        field(
            "facility",
            Text(Form::Expression),
            Optional,
            "The facility that an instance is about, an expression in VRL over the variables.",
        ),
        field(
            "urgent",
            Text(Form::Expression),
            Optional,
            "While it holds, the calls of an instance take the realtime lane, whatever its steps say: a predicate in VRL over the variables.",
        ),
        field(
            "statuses",
            OneOrMany(&Text(Form::Identifier)),
            Optional,
            "The statuses that steps may set: how the business calls how far it is.",
        ),
        field(
            "show",
            Map(Form::Identifier, &Text(Form::Expression)),
            Optional,
            "What the business sees of an instance, by name: expressions in VRL over the variables. `value` (an amount), `title` and `due` (a time) have a meaning of their own.",
        ),
        field(
            "reconciliation",
            Obj(&RECONCILIATION),
            Optional,
            "Its instances compare both sides of something; `wardline reconcile` shows totals and breaks.",
        ),
        field(
            "figures",
            Map(Form::Name, &Obj(&FIGURE)),
            Optional,
            "Figures that its owner is judged by, by name; `wardline figures` and boards show them.",
        ),
        field(
            "board",
            OneOrMany(&Text(Form::Name)),
            Optional,
            "The boards that show its figures and its instances. All processes that name a board share it.",
        ),
        field(
            "deadline",
            Obj(&DEADLINE),
            Optional,
            "What happens when an instance is not done in time.",
        ),
        field("lane", LANE, Optional, "How urgent calls are."),
        field(
            "retry",
            Obj(&RETRY),
            Optional,
            "How failed sends are tried again, for all calls of the process.",
        ),
        field(
            "on_exhausted",
            EXHAUSTED,
            Optional,
            "What becomes of a call that exhausted its retries, for all calls of the process.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What a person should do when a step fails for good.",
        ),
        field(
            "steps",
            Defined(&STEPS),
            Required,
            "What has to happen, in order: `- NAME: { … }`.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static RECONCILIATION: Object = Object {
    name: "`reconciliation`",
    doc: "What the instances of a process compare. A task that shows `subject` and `code` of a break asks about it: whoever holds its role owns the break, the answer closes it.",
    fields: &[
        field(
            "name",
            Text(Form::Name),
            Required,
            "What people call it: `wardline reconcile NAME`. One process has the name.",
        ),
        field(
            "date",
            Text(Form::Expression),
            Required,
            "The business date (`2026-11-24`), an expression in VRL over the variables.",
        ),
        field(
            "scope",
            Text(Form::Expression),
            Optional,
            "What besides the date tells one from another, such as a facility or a run: an expression in VRL over the variables.",
        ),
        field(
            "hops",
            Text(Form::Expression),
            Required,
            "Control totals, an expression in VRL over the variables: an array of `{ hop, count, amount }` in the order in which things go. Several of one hop are added up.",
        ),
        field(
            "breaks",
            Text(Form::Expression),
            Required,
            "What does not tie, an expression in VRL over the variables: an array of `{ code, subject, owner }`, and with it `expected`, `found`, `difference` (an amount with its currency), `reason`, `department`.",
        ),
        field(
            "begin",
            Text(Form::Expression),
            Optional,
            "The data of the event that begins one, an expression in VRL over `.date`, `.scope` and `.id` (another one each time: what says the same as before is taken for its duplicate). Without it none begins on demand.",
        ),
        field(
            "sign_off",
            Text(Form::Prose),
            Optional,
            "The task at which somebody signs it off: the path of the step (`rounds/sign-off`).",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static FIGURE: Object = Object {
    name: "a figure",
    doc: "What the instances of a process come to together: a share, a sum, or how long something takes. Each instance gives one value, an array of them, or null where it has none.",
    fields: &[
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "of",
            Word(&["completed", "open", "any"]),
            Default("completed"),
            "Whose values count: those of instances that are done, of those under way (how it stands now), or of all.",
        ),
        field(
            "map",
            MAPS,
            Optional,
            "Mapping programs, each fed by the one before; the first is given the object of all variables. The expression is then over what they make.",
        ),
        field(
            "share",
            Text(Form::Expression),
            Optional,
            "True or false: the figure is the share of those that are true. An expression in VRL over the variables.",
        ),
        field(
            "sum",
            Text(Form::Expression),
            Optional,
            "A number, a decimal as text, or `{ amount, currency }`: the figure is the sum, for each currency. An expression in VRL over the variables.",
        ),
        field(
            "lag",
            Text(Form::Expression),
            Optional,
            "Seconds, or `{ from, to }` of two times: the figure is how they are spread. An expression in VRL over the variables.",
        ),
        field(
            "goal",
            Text(Form::Goal),
            Optional,
            "What it should be: `>= 95 %` of a share, `<= 50000 USD` of a sum, `p99 <= 5m` of a lag (`p50`, `p90`, `p95`, `p99`, `max`; `p99` where nothing is said).",
        ),
    ],
    exactly_one: &["share", "sum", "lag"],
};

pub(crate) static DEADLINE: Object = Object {
    name: "`deadline`",
    doc: "What happens when an instance is not done in time. It goes on, unless `end` says otherwise.",
    fields: &[
        field(
            "by",
            Text(Form::Duration),
            Required,
            "So long after it began.",
        ),
        field(
            "end",
            Bool,
            Default("false"),
            "Whether the instance then ends, as failed, after these steps.",
        ),
        field(
            "steps",
            Defined(&STEPS),
            Optional,
            "Steps that run then, beside the others.",
        ),
    ],
    exactly_one: &[],
};
