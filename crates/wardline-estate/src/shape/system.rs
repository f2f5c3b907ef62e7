//! `systems/*.yaml` and their operations.

use super::Need::{Optional, Required};
use super::Shape::{Either, Map, Object as Obj, Text};
use super::connection::CONNECTION;
use super::fhir::FHIR_CALL;
use super::scim::SCIM_CALL;
use super::sql::SQL_CALL;
use super::{Form, Object, field};

pub(crate) static SYSTEM: Object = Object {
    name: "a system",
    doc: "An application: how it is reached and what may be asked of it.",
    fields: &[
        field(
            "system",
            Text(Form::Name),
            Required,
            "The name of the system.",
        ),
        field("title", Text(Form::Prose), Optional, "What people call it."),
        field(
            "owner",
            Text(Form::Prose),
            Optional,
            "Who answers for it; a warning where absent.",
        ),
        field(
            "facility",
            Text(Form::Name),
            Optional,
            "The site it belongs to, if it serves one only.",
        ),
        field(
            "connections",
            Map(Form::Name, &Obj(&CONNECTION)),
            Optional,
            "Ways in and out, by name.",
        ),
        field(
            "operations",
            Map(Form::Name, &Obj(&OPERATION)),
            Optional,
            "What may be asked of it, by name.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static OPERATION: Object = Object {
    name: "an operation",
    doc: "Something that may be asked of the system, in terms of entities. Exactly one key names the protocol.",
    fields: &[
        field("http", Obj(&HTTP_CALL), Optional, "One HTTP request."),
        field(
            "mllp",
            Obj(&PLAIN_CALL),
            Optional,
            "One HL7 message and its acknowledgement.",
        ),
        field(
            "null",
            Obj(&PLAIN_CALL),
            Optional,
            "Nothing, on a `null` connection.",
        ),
        field(
            "soap",
            Obj(&SOAP_CALL),
            Optional,
            "One operation of a SOAP service.",
        ),
        field(
            "scim",
            Obj(&SCIM_CALL),
            Optional,
            "Something done with a person or a group of a SCIM service.",
        ),
        field(
            "sql",
            Obj(&SQL_CALL),
            Optional,
            "One statement, or several in one transaction.",
        ),
        field(
            "fhir",
            Obj(&FHIR_CALL),
            Optional,
            "Something asked of a FHIR server: a resource, a search, an export.",
        ),
        field(
            "accepts",
            Text(Form::Name),
            Optional,
            "The entity it takes.",
        ),
        field(
            "returns",
            Text(Form::Name),
            Optional,
            "The entity it answers with.",
        ),
        field(
            "request",
            Text(Form::Map),
            Optional,
            "The map from the accepted entity to the request's body; the same where absent.",
        ),
        field(
            "response",
            Text(Form::Map),
            Optional,
            "The map from the response's body to the returned entity; the same where absent.",
        ),
        field(
            "cache",
            Either(&[Text(Form::Duration), Obj(&CACHE)]),
            Optional,
            "How long an answer may be given again to callers of Apis. Only for GET, and not where it holds phi. What the system says of its answer (`Cache-Control`, `Vary`) holds as well.",
        ),
    ],
    exactly_one: &["http", "mllp", "null", "soap", "sql", "scim", "fhir"],
};

pub(crate) static CACHE: Object = Object {
    name: "`cache`",
    doc: "How long an answer may be given again. It is kept in memory as the system gave it, and masked for each caller; a changed estate forgets it.",
    fields: &[
        field(
            "keep",
            Text(Form::Duration),
            Required,
            "Without asking the system again.",
        ),
        field(
            "stale_if_error",
            Text(Form::Duration),
            Optional,
            "And for how long after that, where the system cannot be asked or fails.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static SOAP_CALL: Object = Object {
    name: "`soap` (an operation)",
    doc: "One operation of a SOAP service. The body is JSON by the types of the description.",
    fields: &[
        field(
            "connection",
            Text(Form::Name),
            Required,
            "A connection of the same system.",
        ),
        field(
            "operation",
            Text(Form::Prose),
            Required,
            "The operation's name in the description.",
        ),
    ],
    exactly_one: &[],
};

pub(crate) static HTTP_CALL: Object = Object {
    name: "`http` (an operation)",
    doc: "One HTTP request. Names in braces are filled from the data.",
    fields: &[
        field(
            "connection",
            Text(Form::Name),
            Required,
            "A connection of the same system.",
        ),
        field(
            "get",
            Text(Form::PathTemplate),
            Optional,
            "The path, for GET.",
        ),
        field(
            "post",
            Text(Form::PathTemplate),
            Optional,
            "The path, for POST.",
        ),
        field(
            "put",
            Text(Form::PathTemplate),
            Optional,
            "The path, for PUT.",
        ),
        field(
            "patch",
            Text(Form::PathTemplate),
            Optional,
            "The path, for PATCH.",
        ),
        field(
            "delete",
            Text(Form::PathTemplate),
            Optional,
            "The path, for DELETE.",
        ),
    ],
    exactly_one: &["get", "post", "put", "patch", "delete"],
};

pub(crate) static PLAIN_CALL: Object = Object {
    name: "an operation without a path",
    doc: "Names the connection.",
    fields: &[field(
        "connection",
        Text(Form::Name),
        Required,
        "A connection of the same system.",
    )],
    exactly_one: &[],
};
