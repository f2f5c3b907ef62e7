//! What is handed in for a record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::consumer::Incoming;
use super::group::Part;
use super::records::Record;

/// The largest key or header that is handed in.
const LARGEST_HEADER: usize = 32 << 10;

/// How records become messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Whether all of a record is handed in, as one JSON object.
    pub(super) whole: bool,
    /// Whether values are JSON, so that one that is absent is `null`.
    pub(super) json: bool,
    /// The largest value.
    pub(super) max_size: usize,
}

/// The name of a record. Its time is part of it, since a topic that is made anew counts from
/// nought again.
fn name((topic, number): &Part, record: &Record) -> String {
    format!(
        "kafka\0{topic}\0{number}\0{}\0{}",
        record.offset, record.time
    )
}

/// A record as a message.
pub(super) fn message(part: &Part, record: Record, form: Form, tag: u64) -> Incoming {
    let mut incoming = Incoming {
        tag,
        name: Some(name(part, &record)),
        ..Incoming::default()
    };
    let size = record.value.as_ref().map_or(0, Bytes::len);
    let key = record.key.as_ref().map_or(0, Bytes::len);
    if size > form.max_size || key > LARGEST_HEADER {
        incoming.oversize = Some(size.max(key));
        return incoming;
    }
    for (header, value) in &record.headers {
        if value.len() > LARGEST_HEADER {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        let value = value.to_owned();
        if header.eq_ignore_ascii_case("content-type") {
            incoming.content_type = value;
        } else if let Some(attribute) = header.strip_prefix("ce_") {
            incoming.attributes.push((attribute.to_owned(), value));
        } else {
            incoming.headers.push((header.clone(), value));
        }
    }
    incoming.body = if form.whole {
        whole(part, &record).into()
    } else {
        match &record.value {
            // A copy: else the whole batch would stay as long as it is in hand.
            Some(value) => Bytes::copy_from_slice(value),
            None if form.json => Bytes::from_static(b"null"),
            None => Bytes::new(),
        }
    };
    incoming
}

/// All of a record as one JSON object. A value that is JSON stays byte for byte as it is.
fn whole((topic, number): &Part, record: &Record) -> String {
    let mut headers = serde_json::Map::new();
    for (name, value) in &record.headers {
        let text = std::str::from_utf8(value);
        let value = text.map_or_else(|_| STANDARD.encode(value), str::to_owned);
        headers.insert(name.clone(), value.into());
    }
    let time = jiff::Timestamp::from_millisecond(record.time)
        .ok()
        .map(|time| time.to_string());
    let mut out = json!({
        "topic": &**topic, "partition": number, "offset": record.offset,
        "time": time, "headers": headers,
    });
    match record.key.as_deref().map(std::str::from_utf8) {
        Some(Ok(key)) => out["key"] = key.into(),
        Some(Err(_)) => out["key_base64"] = base64(record.key.as_deref()),
        None => out["key"] = Value::Null,
    }
    let (name, value) = match record.value.as_deref() {
        None => ("value", "null".to_owned()),
        Some(value) => match std::str::from_utf8(value) {
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => {
                ("value", text.to_owned())
            }
            Ok(text) => ("value", Value::from(text).to_string()),
            Err(_) => ("value_base64", base64(Some(value)).to_string()),
        },
    };
    let mut text = out.to_string();
    text.pop();
    text.push_str(&format!(",\"{name}\":{value}}}"));
    text
}

fn base64(bytes: Option<&[u8]>) -> Value {
    STANDARD.encode(bytes.unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Option<&'static [u8]>) -> Record {
        Record {
            offset: 7,
            time: 1_700_000_000_123,
            key: Some(Bytes::from_static(b"K-1")),
            value: value.map(Bytes::from_static),
            headers: vec![
                ("ce_type".to_owned(), Bytes::from_static(b"t")),
                ("Content-Type".to_owned(), Bytes::from_static(b"text/plain")),
                ("x-correlation-id".to_owned(), Bytes::from_static(b"c-1")),
                ("odd".to_owned(), Bytes::from_static(b"\xFF")),
            ],
        }
    }

    #[test]
    fn a_record_becomes_a_message() {
        let part: Part = ("orders".into(), 3);
        let form = Form {
            whole: false,
            json: true,
            max_size: 10,
        };
        let one = message(&part, record(Some(b"{}")), form, 1);
        assert_eq!(
            one.name.as_deref(),
            Some("kafka\x00orders\x003\x007\x001700000000123")
        );
        assert_eq!(one.content_type, "text/plain");
        assert_eq!(one.attributes, [("type".to_owned(), "t".to_owned())]);
        assert_eq!(
            one.headers,
            [("x-correlation-id".to_owned(), "c-1".to_owned())]
        );
        assert_eq!(&one.body[..], b"{}");
        assert_eq!(&message(&part, record(None), form, 1).body[..], b"null");
        let large = message(&part, record(Some(b"12345678901")), form, 1);
        assert_eq!((large.oversize, large.body.len()), (Some(11), 0));
    }

    #[test]
    fn all_of_a_record_is_one_object() {
        let part: Part = ("orders".into(), 3);
        let read =
            |value| -> Value { serde_json::from_str(&whole(&part, &record(value))).unwrap() };
        let one = read(Some(b"{\"amount\":12.10}"));
        assert_eq!(one["key"], "K-1");
        assert_eq!(one["offset"], 7);
        assert_eq!(one["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(one["headers"]["x-correlation-id"], "c-1");
        let text = whole(&part, &record(Some(b"{\"amount\":12.10}")));
        assert!(text.contains("12.10"), "an amount is not touched: {text}");
        assert_eq!(read(Some(b"hello"))["value"], "hello");
        assert_eq!(read(Some(b"\xFF"))["value_base64"], "/w==");
        assert!(read(None)["value"].is_null());
    }
}
