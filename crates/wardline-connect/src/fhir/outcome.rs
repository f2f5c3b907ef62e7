//! What a server's refusal means. Of an `OperationOutcome` only codes and places are repeated:
//! its texts may quote the patient.

use serde_json::Value;

/// What follows from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another attempt may do.
    Later,
    /// Who we are is not enough.
    Credentials,
    /// It stands otherwise there than we believe.
    Conflict,
    /// The content is refused.
    Refused,
}

/// The meaning of an answer's body and where it is wrong; nothing where it is no outcome.
pub(super) fn read(body: &Value) -> Option<(Meaning, String)> {
    if body.get("resourceType").and_then(Value::as_str) != Some("OperationOutcome") {
        return None;
    }
    let issues = body.get("issue").and_then(Value::as_array)?;
    let bad = issues.iter().filter(|issue| {
        matches!(
            issue.get("severity").and_then(Value::as_str),
            Some("fatal" | "error")
        )
    });
    let mut meaning = None;
    let mut told = Vec::new();
    for issue in bad.take(5) {
        let code = issue
            .get("code")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let this = of_code(code);
        // What is final outweighs what may pass.
        meaning = Some(match (meaning, this) {
            (Some(Meaning::Refused), _) => Meaning::Refused,
            (_, this) => this,
        });
        let place = issue
            .get("expression")
            .and_then(|all| all.get(0))
            .and_then(Value::as_str)
            .filter(|place| is_place(place));
        told.push(match place {
            Some(place) => format!("{} at {place}", word(code)),
            None => word(code).to_owned(),
        });
    }
    meaning.map(|meaning| (meaning, told.join(", ")))
}

fn of_code(code: &str) -> Meaning {
    match code {
        "transient" | "lock-error" | "no-store" | "exception" | "timeout" | "incomplete"
        | "throttled" | "too-costly" => Meaning::Later,
        "security" | "login" | "expired" | "forbidden" | "suppressed" => Meaning::Credentials,
        "conflict" | "duplicate" | "multiple-matches" | "deleted" => Meaning::Conflict,
        _ => Meaning::Refused,
    }
}

/// A code of FHIR, and nothing else that somebody put there.
fn word(code: &str) -> &str {
    let good = !code.is_empty()
        && code.len() <= 32
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if good { code } else { "an error" }
}

/// A path of elements, which holds no value of them.
fn is_place(place: &str) -> bool {
    place.len() <= 120
        && place.starts_with(|one: char| one.is_ascii_uppercase())
        && place
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'[' | b']'))
}

/// How many entries of a response failed, and how many there are.
pub(super) fn failed_entries(body: &Value) -> Option<(usize, usize)> {
    let kind = body.get("type").and_then(Value::as_str)?;
    if !matches!(kind, "batch-response" | "transaction-response") {
        return None;
    }
    let entries = body
        .get("entry")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let failed = entries.iter().filter(|entry| {
        let status = entry
            .get("response")
            .and_then(|response| response.get("status"))
            .and_then(Value::as_str);
        !status.is_some_and(|status| status.starts_with('2') || status.starts_with("304"))
    });
    Some((failed.count(), entries.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_are_told_without_their_texts() {
        let body = json!({"resourceType":"OperationOutcome","issue":[
            {"severity":"error","code":"invalid","diagnostics":"JANE DOE is no date","expression":["Patient.birthDate"]},
            {"severity":"error","code":"JANE","expression":["Patient.name.where(family='DOE')"]},
            {"severity":"warning","code":"conflict"}]});
        let (meaning, told) = read(&body).unwrap();
        assert_eq!(
            (meaning, told.as_str()),
            (Meaning::Refused, "invalid at Patient.birthDate, an error")
        );
        let later = json!({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"lock-error"}]});
        assert_eq!(read(&later).unwrap().0, Meaning::Later);
        assert!(read(&json!({"resourceType":"Patient"})).is_none());
        let part = json!({"type":"batch-response","entry":[{"response":{"status":"201 Created"}},{"response":{"status":"422"}},{}]});
        assert_eq!(failed_entries(&part), Some((2, 3)));
    }
}
