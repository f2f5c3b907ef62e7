//! The engine's error codes. `docs/reference/errors.md` has a paragraph for each.

mod below;

use std::collections::BTreeMap;
use wardline_core::Code;

/// A mapping program stopped with an error.
pub const MAP_FAILED: Code = Code("W2201");
/// A flow's predicate stopped with an error.
pub const PREDICATE_FAILED: Code = Code("W2202");
/// A key expression stopped with an error or gave no usable key.
pub const KEY_FAILED: Code = Code("W2401");
/// A map makes what the message that it is for does not have.
pub const MAP_MISFIT: Code = Code("W2405");
/// An event's data is not a valid entity.
pub const INVALID_ENTITY: Code = Code("W2402");
/// A body is not what its content type says.
pub const UNREADABLE_BODY: Code = Code("W3301");
/// More messages follow from one another than is allowed.
pub const TOO_DEEP: Code = Code("W2403");
/// The body lacks a value that the operation's path needs.
pub const PATH_VALUE_MISSING: Code = Code("W4001");
/// A client's endpoint is disabled.
pub const WEBHOOK_DISABLED: Code = Code("W4004");
/// An interchange gets no control number.
pub const NOT_NUMBERED: Code = Code("W4420");
/// A partner refuses what was sent.
pub const PARTNER_REFUSES: Code = Code("W4421");
/// A partner has not acknowledged what was sent.
pub const NOT_ANSWERED: Code = Code("W4422");
/// An interchange cannot be acknowledged.
pub const NOT_ACKNOWLEDGED: Code = Code("W4423");
/// The engine is stopping.
pub const STOPPING: Code = Code("W4002");
/// The journal cannot take messages.
pub const JOURNAL_UNAVAILABLE: Code = Code("W4003");
/// Nothing has this id.
pub const NOT_FOUND: Code = Code("W7001");
/// The request cannot be carried out as given.
pub const INVALID_REQUEST: Code = Code("W7002");
/// A payload is gone: retention destroyed it.
pub const PAYLOAD_GONE: Code = Code("W7003");
/// Events would go round in a circle.
pub const EVENT_CYCLE: Code = Code("W2404");
/// No test of the estate has the name that was asked for.
pub const NO_SUCH_TEST: Code = Code("W2501");
/// A `where` has no part by which waiting instances are found, or its value is empty.
pub const NO_CORRELATION: Code = Code("W2601");
/// A step of an instance failed.
pub const STEP_FAILED: Code = Code("W2602");
/// A call of an instance failed for good.
pub const CALL_FAILED: Code = Code("W2603");
/// An answer is not what the step expects.
pub const ANSWER_REFUSED: Code = Code("W2604");
/// Nothing came in time for a wait.
pub const NOTHING_CAME: Code = Code("W2605");
/// An instance ended by `fail`, its deadline or an operator.
pub const PROCESS_FAILED: Code = Code("W2606");
/// The definition of an instance is gone or no longer compiles.
pub const NO_DEFINITION: Code = Code("W2607");
/// No way leads to what a call names.
pub const NO_WAY: Code = Code("W2608");

/// A bulk job was declared anew while a run was under way.
pub const JOB_CHANGED: Code = Code("W2701");
/// The source of a bulk job gives no page that can be used.
pub const JOB_PAGE: Code = Code("W2702");
/// The source of a bulk job goes round in a circle.
pub const JOB_CIRCLE: Code = Code("W2703");
/// A record cannot be used.
pub const JOB_RECORD: Code = Code("W2704");
/// Too many records were refused.
pub const JOB_REFUSES: Code = Code("W2705");
/// Rows cannot be kept until their file is whole.
pub const JOB_ROOM: Code = Code("W2706");
/// A file was not written.
pub const JOB_FILE: Code = Code("W2707");
/// The connection takes nothing now.
pub const JOB_WAITS: Code = Code("W2708");
/// A step could not be carried out for a reason of our own.
pub const JOB_STUCK: Code = Code("W2709");

/// Every code of the engine with a one-line title and what to do, for `wardline explain` and
/// the reference.
pub const EXPLANATIONS: &[(Code, &str, &str)] = &[
    (
        JOB_CHANGED,
        "a bulk job was declared anew",
        "What the job reads or writes is other than when the run began, so where it stands may mean nothing now. The run \
         failed; begin a new one (`wardline jobs run`). Maps, rates, hours and limits may change under a run.",
    ),
    (
        JOB_PAGE,
        "a page that cannot be used",
        "The answer is no JSON, has no list where `page.records` looks, is larger than an answer of its connection may be, or \
         its last record lacks the column of `page.after`. Mend `page`, or ask for fewer records (`page.size`).",
    ),
    (
        JOB_CIRCLE,
        "a source that goes round in a circle",
        "The same place or the same page came again, and the run would never end. Most often the source does not know the \
         name under which it is asked for the place (`page.place_as`), or a statement lacks its `order by`.",
    ),
    (
        JOB_RECORD,
        "a record that cannot be used",
        "It is no object, or a value does not fit its column; the text names the column. The record is kept with this dead \
         delivery and counted, and the run goes on. Mend map or columns, and run the job again.",
    ),
    (
        JOB_REFUSES,
        "too many records were refused",
        "More than `errors` of the job allows. See why: `wardline dead`. Mend the map and let the run go on (`wardline jobs resume`), \
         or mend the source and begin a new run.",
    ),
    (
        JOB_ROOM,
        "rows cannot be kept",
        "Rows wait sealed below `jobs/` of the data directory until their file is whole. The disk is full, the directory \
         cannot be written, or the file there was shortened; then begin a new run.",
    ),
    (
        JOB_FILE,
        "a file of a bulk job was not written",
        "The text has what the directory said. It is tried again for some ten minutes; then the run fails and can go on \
         (`wardline jobs resume`) when the directory takes files again.",
    ),
    (
        JOB_WAITS,
        "a connection takes nothing now",
        "It is down, or its rate and sessions are used by others, who come first. The job waits and tries again.",
    ),
    (
        JOB_STUCK,
        "a step of a bulk job could not be carried out",
        "The text says what was attempted. Let the run go on (`wardline jobs resume`); if it fails again, tell us.",
    ),
    (
        NO_CORRELATION,
        "nothing to find the waiting instance by",
        "A `where` needs a part that compares a value of the event with a value of the instance, such as \
         `.number == instance.key`: waits are indexed by that value. Where it compiles but the instance's side is \
         empty when the wait begins, the step is stuck: `wardline process set` the variable, then `retry`.",
    ),
    (
        STEP_FAILED,
        "a step of a process failed",
        "An expression, map or value of the step stopped with an error, or what would follow is more than can be recorded \
         at once (16 MiB of variables, 65,536 waits, timers and tasks); the text names which. The instance waits. Set \
         the variable that is wrong (`wardline process set`), or mend the estate and `wardline process migrate`, then \
         `wardline process retry`; or `skip` the step, or `cancel`.",
    ),
    (
        CALL_FAILED,
        "a call of a process failed for good",
        "The other side refused it, or its retries are used up, and the step has no `on_failure`. `wardline trace` \
         shows the attempts. Mend the cause, then `wardline process retry` sends it anew, or replay the delivery: its \
         answer reaches the instance as well.",
    ),
    (
        ANSWER_REFUSED,
        "an answer is not what the step expects",
        "The call was delivered, but `expect` is false for the answer: many systems say 200 and mean an error. The \
         answer is kept with the delivery. Decide, then `wardline process retry`, `set` and `skip`, or `cancel`.",
    ),
    (
        NOTHING_CAME,
        "nothing came in time",
        "The time of a `wait` has passed and it has no `else`. `wardline process retry` waits again.",
    ),
    (
        PROCESS_FAILED,
        "an instance ended without reaching its end",
        "A `fail` step, the deadline, or an operator ended it; the text says why. What it had done was undone where \
         the process says so. `wardline process show` has its history.",
    ),
    (
        NO_DEFINITION,
        "the definition of an instance cannot be run",
        "The instance began with a definition that is missing in the journal or no longer compiles (a function or \
         code table is gone). `wardline process migrate` moves it to the present one where the steps match.",
    ),
    (
        NO_WAY,
        "no system serves a call",
        "No binding of the Api holds for this call's facility, time and data, or the operation left the estate. \
         Mend the bindings, then `wardline process retry`.",
    ),
    (
        EVENT_CYCLE,
        "events go round in a circle",
        "A flow emits an event that, through other flows, makes it run again. Break the circle: let one of the flows \
         emit another event, or give it a `when` on data that ends it and split the event in two.",
    ),
    (
        NO_SUCH_TEST,
        "no test has this name",
        "`wardline test DIR TEXT` runs the tests whose name contains the text, as it is written. None does, so nothing \
         was tried. The message names the closest; without a text all tests run.",
    ),
    (
        MAP_FAILED,
        "a map stopped with an error",
        "The message was accepted and is kept; this delivery is dead because its map failed. The text names the map \
         and the line. Mend the map, try it with `wardline map run MAP --input FILE`, then \
         `wardline replay --fingerprint … --from-raw`.",
    ),
    (
        PREDICATE_FAILED,
        "a predicate stopped with an error",
        "A `when` could not be decided for this message, so the flow did not run. Mend the expression (often \
         `?? false`), then replay from raw.",
    ),
    (
        KEY_FAILED,
        "no ordering key",
        "The flow's `key` stopped with an error or is neither text, number nor null. The delivery is dead because \
         sending it without its order could overtake others.",
    ),
    (
        MAP_MISFIT,
        "a map that does not fit the message it is for",
        "What a SOAP operation sends, or what a service answers with, is described by its WSDL; the map makes a member that is \
         not there. Names are those of the elements, `@name` for attributes, `$` for text beside them: `wardline soap show FILE` \
         prints the shape of each message.",
    ),
    (
        INVALID_ENTITY,
        "an event's data does not fit its entity",
        "The map's result breaks the entity's JSON Schema at the named places. Mend the map or the schema, then \
         replay from raw.",
    ),
    (
        TOO_DEEP,
        "too many events follow from one message",
        "One message led to more events or deliveries than the limit. Look for a map that returns very many events.",
    ),
    (
        UNREADABLE_BODY,
        "a body is not what it claims to be",
        "The message was accepted as it is and kept, but it is not valid JSON or HL7, so no flow could read it.",
    ),
    (
        PATH_VALUE_MISSING,
        "the operation's path needs a value that the body lacks",
        "An operation such as `/accounts/{account}/close` takes `account` from the body. Let the map set it.",
    ),
    (
        WEBHOOK_DISABLED,
        "a client's endpoint is disabled",
        "It answered 410, failed as long or as often as its file allows, its client has expired, or a person disabled \
         it. Events for it wait in the journal and nothing is lost. `wardline webhooks list` says why and since when; \
         try it with `wardline webhooks test NAME`, then `wardline webhooks enable NAME`.",
    ),
    (
        NOT_NUMBERED,
        "an interchange got no control number",
        "The connection gives control numbers (`x12: { numbers: counted }`), and what was to be sent is not one whole X12 \
         interchange, or thousands that have a number wait to be sent. Nothing was sent. Correct the map, or the destination.",
    ),
    (
        PARTNER_REFUSES,
        "a partner refuses what was sent",
        "A TA1, 997 or 999 says that an interchange or group was not accepted, or not whole. The message holds the partner's reasons: \
         `wardline x12 show`. Correct the map or the data, then replay what was sent: it gets a new number.",
    ),
    (
        NOT_ANSWERED,
        "a partner has not acknowledged what was sent",
        "No TA1, 997 or 999 came for an interchange within `answered_within`. Ask the partner for its control number. Where it did \
         not arrive, replay the delivery.",
    ),
    (
        NOT_ACKNOWLEDGED,
        "an interchange could not be acknowledged",
        "Its parties cannot be written into an answer. The interchange itself was taken, or refused, all the same.",
    ),
    (
        STOPPING,
        "wardline is stopping",
        "Nothing was accepted. Send again; the next process takes it.",
    ),
    (
        JOURNAL_UNAVAILABLE,
        "the journal cannot take messages now",
        "Nothing was accepted. The reason is in `wardline doctor` and on the console: a full or read-only disk, or a \
         queue that is too long. Intake resumes by itself.",
    ),
    (
        NOT_FOUND,
        "nothing has this id",
        "Search with `wardline messages`; retention may have removed it.",
    ),
    (
        INVALID_REQUEST,
        "the request cannot be carried out as given",
        "The text says what to change.",
    ),
    (
        PAYLOAD_GONE,
        "the payload is gone",
        "Retention removed the payload, or destroyed the key of its day. What is left is the record: times, states, \
         sizes.",
    ),
];

/// Every code of a running estate, those of the journal, the vault, the maps and the
/// connectors included, by code: title and what to do. Codes of estate files are in
/// [`wardline_estate::codes`].
pub fn all() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let ours = EXPLANATIONS
        .iter()
        .map(|(code, title, text)| (code.0, (*title, *text)));
    let connectors = wardline_connect::codes::ALL
        .iter()
        .map(|entry| (entry.code.0, (entry.title, entry.explanation)));
    let below = below::MAPPING
        .iter()
        .chain(below::STORE)
        .chain(below::VAULT)
        .chain(below::ACCESS)
        .map(|(code, title, text)| (*code, (*title, *text)));
    ours.chain(connectors).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_has_two_meanings() {
        let sum = EXPLANATIONS.len()
            + wardline_connect::codes::ALL.len()
            + below::MAPPING.len()
            + below::STORE.len()
            + below::VAULT.len()
            + below::ACCESS.len();
        assert_eq!(all().len(), sum);
    }
}
