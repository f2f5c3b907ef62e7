//! `apis/*.yaml`.

use super::Need::{Default, Optional, Required};
use super::Shape::{Bool, Either, Integer, List, Map, Object as Obj, Text, Word};
use super::estate::{EXHAUSTED, LANE, RETRY};
use super::{Form, Object, Shape, field};

/// Zones in which an Api or a listener may be.
pub(crate) const ZONE: Shape = Word(&["internal", "partner", "admin"]);

pub(crate) static API: Object = Object {
    name: "an Api",
    doc: "What other applications may ask of this organisation, in terms of entities, whichever system answers. Each major version is one declaration.",
    fields: &[
        field(
            "api",
            Text(Form::Name),
            Required,
            "The name of the Api. Systems and Apis have no names in common: both can be called.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "Who answers for it. A published Api has one.",
        ),
        field(
            "layer",
            Word(&["system", "process", "experience"]),
            Required,
            "What fulfils it. `system`: systems, by `bindings`. `process`: something that takes time. `experience`: answers of other Apis, put together.",
        ),
        field(
            "version",
            Text(Form::Version),
            Required,
            "Its version. Changes that break callers need a new major version, which is a declaration of its own beside the old.",
        ),
        field(
            "state",
            Word(&["draft", "in-review", "published", "deprecated", "retired"]),
            Default("draft"),
            "Where it is in its life. Only `published` and `deprecated` ones are served.",
        ),
        field(
            "zones",
            List(&ZONE),
            Optional,
            "The zones whose listeners show it; `[internal]` where absent.",
        ),
        field(
            "base",
            Text(Form::Path),
            Optional,
            "The path in front of the paths of its operations; `/NAME/vMAJOR` where absent.",
        ),
        field(
            "versions",
            Obj(&VERSIONS),
            Optional,
            "How this version is told from the others of its name where all have one path: by a header. By the path where absent.",
        ),
        field(
            "contract",
            Text(Form::File),
            Optional,
            "An OpenAPI document (3.1 or 3.0; JSON or YAML) that describes it. It is compared with the operations and entities, served at `openapi.json` below `base`, and calls are held against it. Made from operations and entities where absent.",
        ),
        field(
            "deprecated",
            Text(Form::Date),
            Optional,
            "Since when callers should move on (`Deprecation`, RFC 9745).",
        ),
        field(
            "sunset",
            Text(Form::Date),
            Optional,
            "When it ends (`Sunset`, RFC 8594); not before `deprecated`.",
        ),
        field(
            "successor",
            Text(Form::Name),
            Optional,
            "The Api that takes its place.",
        ),
        field(
            "operations",
            Map(Form::Name, &Obj(&API_OPERATION)),
            Required,
            "What may be asked, by name.",
        ),
        field(
            "bindings",
            List(&Obj(&BINDING)),
            Optional,
            "Which system serves a system Api. The first binding that matches a request serves it.",
        ),
        field(
            "shadow",
            Obj(&SHADOW),
            Optional,
            "A second system that gets a copy of some requests. Its answers are compared field by field and never passed on.",
        ),
        field(
            "limits",
            Obj(&API_LIMITS),
            Optional,
            "How much callers may do.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static VERSIONS: Object = Object {
    name: "`versions`",
    doc: "A header tells the versions of an Api apart. Each of them says so, with the same header and the same `base` (`/NAME` where absent). The header's value is `2`, `v2` or the whole version; one that is not there is answered with those that are.",
    fields: &[
        field(
            "header",
            Text(Form::Header),
            Required,
            "The header, such as `X-Api-Version`. Answers bear it with the version that served.",
        ),
        field(
            "default",
            Bool,
            Optional,
            "`true`: requests without the header mean this version. Where no version says so, they are refused.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static API_OPERATION: Object = Object {
    name: "an operation of an Api",
    doc: "Something that may be asked. Exactly one key names the method and the path.",
    fields: &[
        field(
            "get",
            Text(Form::PathTemplate),
            Optional,
            "The path below `base`, for GET.",
        ),
        field(
            "post",
            Text(Form::PathTemplate),
            Optional,
            "The path below `base`, for POST.",
        ),
        field(
            "put",
            Text(Form::PathTemplate),
            Optional,
            "The path below `base`, for PUT.",
        ),
        field(
            "patch",
            Text(Form::PathTemplate),
            Optional,
            "The path below `base`, for PATCH.",
        ),
        field(
            "delete",
            Text(Form::PathTemplate),
            Optional,
            "The path below `base`, for DELETE.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "query",
            Map(
                Form::Identifier,
                &Word(&[
                    "string",
                    "integer",
                    "number",
                    "boolean",
                    "date",
                    "date-time",
                ]),
            ),
            Optional,
            "Query parameters that may be given, with their types. Others are refused.",
        ),
        field(
            "accepts",
            Text(Form::Name),
            Optional,
            "The entity of the request's body. Operations that write have one; DELETE need not.",
        ),
        field(
            "returns",
            Text(Form::Name),
            Optional,
            "The entity of the answer's body.",
        ),
        field(
            "list",
            Bool,
            Optional,
            "Whether the answer is an array of the entity.",
        ),
        field(
            "content",
            Word(&["json", "xml"]),
            Default("json"),
            "What bodies are written in. `xml` (`application/xml`, `text/xml`, `application/soap+xml`): they are passed on as they are, in both directions; document types, entities and what is not UTF-8 are refused, and depth, keys and texts are limited as those of JSON.",
        ),
        field(
            "scope",
            Text(Form::Scope),
            Optional,
            "The scope that a caller needs. Every operation has one, unless it is `public`.",
        ),
        field(
            "public",
            Bool,
            Optional,
            "`true`: whoever reaches the listener may ask.",
        ),
        field("lane", LANE, Default("realtime"), "How urgent it is."),
        field(
            "async",
            Either(&[Bool, Obj(&LATER)]),
            Optional,
            "`true`, or how it is sent: the caller gets 202 and a status URL as soon as the request is on stable storage. It is then sent to the system that the bindings chose, with order, retries and dead letters as a flow's.",
        ),
        field(
            "idempotent",
            Either(&[Word(&["key", "no"]), Obj(&IDEMPOTENT)]),
            Default("no"),
            "`key`: requests carry an `Idempotency-Key`, and a repeated one gets the first answer again.",
        ),
        field(
            "validate",
            Obj(&VALIDATE),
            Optional,
            "How requests and answers are held against the contract.",
        ),
        field(
            "timeout",
            Text(Form::Duration),
            Default("10s"),
            "Limit for one whole exchange.",
        ),
        field(
            "calls",
            Map(
                Form::Identifier,
                &Either(&[Text(Form::Reference), Obj(&API_CALL)]),
            ),
            Optional,
            "For an experience Api: operations of other Apis (`api.operation`), called in this order, by the name of their answer.",
        ),
        field(
            "map",
            Text(Form::Map),
            Optional,
            "For an experience Api: the map from `.calls.NAME`, `.params`, `.query` and `.client` to the answer. Without it the answer of a single call, or an object of all answers by name.",
        ),
        field(
            "starts",
            Text(Form::Name),
            Optional,
            "For a process Api: the process that starts with the body.",
        ),
        field(
            "signals",
            Text(Form::Name),
            Optional,
            "For a process Api: the process whose instance is told something. Its steps wait for an event with the body whose type is what is accepted and the operation's name: `cancel`, which accepts `order-cancellation`, tells `order_cancellation.cancel`. The path names the instance: `{id}`.",
        ),
        field(
            "status",
            Text(Form::Name),
            Optional,
            "For a process Api: the process of which it is answered how far the instance `{id}` is.",
        ),
        field(
            "event",
            Text(Form::Event),
            Optional,
            "For a process Api: the event that is told with the body. It is accepted like a message: durable, then acknowledged.",
        ),
    ],
    exactly_one: &["get", "post", "put", "patch", "delete"],
};

pub(crate) static LATER: Object = Object {
    name: "`async`",
    doc: "How a request that was accepted is sent to its system. Parameters of the path are added to the body, where it lacks them.",
    fields: &[
        field(
            "key",
            Text(Form::Expression),
            Optional,
            "The ordering key, an expression in VRL over the body. Requests of equal keys keep their order. The path's parameters where absent; `none`, or a path without any: order does not matter.",
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
            Default("hold"),
            "`hold`: the key stays blocked until a person decides. `park`: the request becomes a dead letter and its followers pass.",
        ),
        field(
            "runbook",
            Text(Form::File),
            Optional,
            "What a person should do then.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static IDEMPOTENT: Object = Object {
    name: "`idempotent`",
    doc: "Requests carry an `Idempotency-Key`.",
    fields: &[field(
        "keep",
        Text(Form::Duration),
        Default("24h"),
        "How long answers are kept.",
    )],
    exactly_one: &[],
};

pub(crate) static VALIDATE: Object = Object {
    name: "`validate`",
    doc: "How requests and answers are held against the contract.",
    fields: &[
        field(
            "request",
            Word(&["strict", "none"]),
            Default("strict"),
            "`strict`: a request that breaks the contract is refused.",
        ),
        field(
            "response",
            Word(&["strict", "sample", "none"]),
            Default("sample"),
            "`strict`: an answer that breaks the contract is not passed on. `sample`: some are checked, and reported.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static API_CALL: Object = Object {
    name: "a call",
    doc: "One of the calls of which an answer is made.",
    fields: &[
        field(
            "call",
            Text(Form::Reference),
            Required,
            "The operation: `api.operation`.",
        ),
        field(
            "with",
            Map(Form::Identifier, &Text(Form::Expression)),
            Optional,
            "Path and query parameters, and `body`, each an expression in VRL over `.params`, `.query`, `.body`, `.client` and `.calls.NAME`. A path parameter that is absent is the caller's of the same name.",
        ),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate over the same; the call is left out where it is false.",
        ),
        field(
            "optional",
            Bool,
            Optional,
            "`true`: the answer is made without it when it fails.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static BINDING: Object = Object {
    name: "a binding",
    doc: "A system that serves the Api, and when.",
    fields: &[
        field(
            "system",
            Text(Form::Name),
            Required,
            "The system. It has an operation of the same or a mapped name for each of the Api's.",
        ),
        field(
            "when",
            Text(Form::Expression),
            Optional,
            "A predicate in VRL over `.facility`, `.headers`, `.params`, `.body` and `.client`.",
        ),
        field(
            "share",
            Text(Form::Share),
            Optional,
            "The share of requests that it takes of those that reach it: `10%`.",
        ),
        field(
            "sticky",
            Text(Form::Expression),
            Optional,
            "An expression in VRL; requests for which it is equal fall on the same side of `share`.",
        ),
        field(
            "from",
            Text(Form::Date),
            Optional,
            "It serves from then on.",
        ),
        field("until", Text(Form::Date), Optional, "It serves until then."),
        field(
            "operations",
            Map(Form::Name, &Text(Form::Name)),
            Optional,
            "The system's names of operations by the Api's, where they differ.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SHADOW: Object = Object {
    name: "`shadow`",
    doc: "A second system that gets a copy of some requests. Neither its answers nor its failures are noticed by callers.",
    fields: &[
        field("system", Text(Form::Name), Required, "The system."),
        field(
            "sample",
            Text(Form::Share),
            Default("10%"),
            "How many requests.",
        ),
        field(
            "compare",
            List(&Text(Form::Attribute)),
            Optional,
            "Attributes of the answer that are compared; all where absent.",
        ),
        field(
            "ignore",
            List(&Text(Form::Attribute)),
            Optional,
            "Attributes that are not compared, such as the time of the last change.",
        ),
        field(
            "unordered",
            List(&Text(Form::Attribute)),
            Optional,
            "Lists whose order does not count.",
        ),
        field(
            "extra",
            Word(&["report", "ignore"]),
            Default("report"),
            "Whether what only the shadow has is a difference.",
        ),
        field(
            "operations",
            Map(Form::Name, &Text(Form::Name)),
            Optional,
            "The system's names of operations by the Api's, where they differ. Operations that it does not have are not copied.",
        ),
        field(
            "writes",
            Bool,
            Optional,
            "`true`: writes are copied too. They change the second system.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static API_LIMITS: Object = Object {
    name: "`limits` (of an Api)",
    doc: "How much callers may do. What is refused does not count against who was refused.",
    fields: &[
        field(
            "per_client",
            Text(Form::Rate),
            Optional,
            "Requests of one client per unit of time. No limit where absent.",
        ),
        field(
            "burst",
            Integer(1, 1_000_000),
            Optional,
            "How many requests a client may save up while idle; one second's worth where absent.",
        ),
        field(
            "quota",
            Text(Form::Quota),
            Optional,
            "Requests of one client in a longer time; survives restarts.",
        ),
        field(
            "concurrent",
            Integer(1, 100_000),
            Optional,
            "Requests of all clients in flight at a time. No limit where absent.",
        ),
        field(
            "body",
            Text(Form::Size),
            Default("256KiB"),
            "The largest body of a request, counted as it is read and unpacked.",
        ),
        field(
            "depth",
            Integer(1, 128),
            Default("32"),
            "The deepest nesting of JSON.",
        ),
        field(
            "keys",
            Integer(1, 10_000_000),
            Default("10000"),
            "The most keys and items of a JSON body.",
        ),
        field(
            "string",
            Text(Form::Size),
            Default("64KiB"),
            "The longest text in a JSON body.",
        ),
    ],
    exactly_one: &[],
};
