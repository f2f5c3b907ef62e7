//! What an endpoint gets, in the form that Standard Webhooks recommends: `type`, `timestamp`, `data`.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Longest body that can be a thin one: names and a time, nothing of the event.
const LONGEST_THIN: usize = 1_024;

/// An event with its data.
pub(crate) fn full(event: &str, received: Option<&str>, data: Value) -> Bytes {
    let mut body = head(event, received);
    body.insert("data".to_owned(), data);
    Bytes::from(Value::Object(body).to_string())
}

/// An event without its data. The id is that of the delivery, which exists once it is committed,
/// so it is put in on the way out.
pub(crate) fn thin(event: &str, received: Option<&str>) -> Bytes {
    Bytes::from(Value::Object(head(event, received)).to_string())
}

fn head(event: &str, received: Option<&str>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("type".to_owned(), event.into());
    if let Some(received) = received {
        body.insert("timestamp".to_owned(), received.into());
    }
    body
}

/// Puts id and address into a thin event; a full one stays as it is.
pub(super) fn completed(body: &Bytes, id: &str, events: &str) -> Bytes {
    if body.len() > LONGEST_THIN {
        return body.clone();
    }
    let Ok(Value::Object(mut thin)) = serde_json::from_slice(body) else {
        return body.clone();
    };
    if thin.contains_key("data") {
        return body.clone();
    }
    let data = serde_json::json!({ "id": id, "url": format!("{events}/{id}") });
    thin.insert("data".to_owned(), data);
    Bytes::from(Value::Object(thin).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_thin_event_says_where_the_rest_is_and_nothing_else() {
        let thin = thin("bed.freed", Some("2026-11-27T01:00:00Z"));
        let sent = completed(&thin, "0000-1", "https://api.example/webhooks/events");
        assert_eq!(
            serde_json::from_slice::<Value>(&sent).unwrap(),
            json!({
                "type": "bed.freed", "timestamp": "2026-11-27T01:00:00Z",
                "data": { "id": "0000-1", "url": "https://api.example/webhooks/events/0000-1" },
            })
        );
        assert_eq!(completed(&sent, "0000-2", "https://elsewhere"), sent);
        let full = full("bed.freed", None, json!({}));
        assert_eq!(completed(&full, "0000-1", "https://api.example"), full);
    }
}
