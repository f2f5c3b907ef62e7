//! CloudEvents 1.0: the envelope around what is published, and what is taken out of one.
//!
//! What comes in becomes the structured form whichever way it came, so that a flow reads one
//! shape: `.type`, `.source`, `.data.account`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::config::Envelope;
use super::template::Within;

/// The media type of an event that holds its attributes itself.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";
/// Attributes of an event that are read; one with more is refused.
const MOST_ATTRIBUTES: usize = 64;

/// A payload in its envelope.
pub(crate) struct Enveloped {
    pub(crate) content_type: String,
    /// Attributes beside the body, without the prefix that a protocol gives them.
    pub(crate) attributes: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Envelope {
    /// Puts a payload into it. `payload` is the same as `body`, read as JSON. The error says what
    /// is missing.
    pub(crate) fn wrap(
        &self,
        id: &str,
        payload: &Value,
        body: &Bytes,
        content_type: &str,
    ) -> Result<Enveloped, String> {
        let missing = |member: String| {
            format!(
                "the envelope needs `{member}`, which the payload does not have: let the map set it"
            )
        };
        let fill = |template: &super::Template| {
            let filled = template.render(payload, Within::Anything);
            filled.map_err(missing)
        };
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("id", id.to_owned()),
            ("source", self.source.clone()),
            ("type", fill(&self.kind)?),
        ];
        for (name, template) in [("subject", &self.subject), ("time", &self.time)] {
            if let Some(template) = template {
                attributes.push((name, fill(template)?));
            }
        }
        let (data, data_type) = match &self.data {
            None => (body.clone(), content_type),
            Some(member) => {
                let members: BTreeMap<Cow<'_, str>, &RawValue> =
                    serde_json::from_slice(body).map_err(|_| missing(member.clone()))?;
                let data = members.get(member.as_str());
                let data = data.ok_or_else(|| missing(member.clone()))?;
                (
                    Bytes::copy_from_slice(data.get().as_bytes()),
                    "application/json",
                )
            }
        };
        if self.binary {
            return Ok(Enveloped {
                content_type: data_type.to_owned(),
                attributes,
                body: data,
            });
        }
        attributes.push(("datacontenttype", data_type.to_owned()));
        let owned = attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Ok(Enveloped {
            content_type: STRUCTURED.to_owned(),
            attributes: Vec::new(),
            body: structured(owned, data_type, &data).into(),
        })
    }
}

/// Makes what came one structured event. `attributes` are those beside the body, without the
/// protocol's prefix. Gives its name (source and id) too; the error says what is wrong without
/// quoting it.
pub(crate) fn unwrap(
    content_type: &str,
    attributes: &[(String, String)],
    body: &Bytes,
) -> Result<(String, Bytes), String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(STRUCTURED) {
        let event: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(body).map_err(|_| "it is no JSON object".to_owned())?;
        let attribute = |name: &str| {
            let value = event.get(name)?;
            serde_json::from_str::<String>(value.get()).ok()
        };
        return Ok((identity(attribute)?, body.clone()));
    }
    if essence
        .to_ascii_lowercase()
        .starts_with("application/cloudevents")
    {
        return Err("batches, and formats other than JSON, are not read".to_owned());
    }
    let mut known: Vec<(String, String)> = Vec::new();
    for (name, value) in attributes {
        let name = name.to_ascii_lowercase();
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        let reserved = matches!(name.as_str(), "data" | "database64" | "datacontenttype");
        if !plain || reserved || known.iter().any(|(other, _)| *other == name) {
            continue;
        }
        known.push((name, value.clone()));
        if known.len() > MOST_ATTRIBUTES {
            return Err(format!("it has more than {MOST_ATTRIBUTES} attributes"));
        }
    }
    let find = |name: &str| {
        let found = known.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    };
    let identity = identity(find)?;
    let data_type = if essence.is_empty() {
        "application/json"
    } else {
        content_type
    };
    if is_json(data_type) && serde_json::from_slice::<&RawValue>(body).is_err() && !body.is_empty()
    {
        return Err("its data is not the JSON that it is said to be".to_owned());
    }
    let typed = known.into_iter().chain(std::iter::once((
        "datacontenttype".to_owned(),
        data_type.to_owned(),
    )));
    Ok((identity, structured(typed, data_type, body).into()))
}

/// What makes an event an event, and its name.
fn identity(attribute: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let needed = |name: &str| {
        attribute(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("it has no attribute `{name}`"))
    };
    if needed("specversion")? != "1.0" {
        return Err("its `specversion` is not 1.0".to_owned());
    }
    needed("type")?;
    Ok(format!("{}\0{}", needed("source")?, needed("id")?))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// One JSON object of attributes and data. JSON that is data stays byte for byte as it is.
fn structured(
    attributes: impl Iterator<Item = (String, String)>,
    data_type: &str,
    data: &[u8],
) -> String {
    let text = |value: &str| Value::from(value).to_string();
    let mut out = String::with_capacity(data.len() + 256);
    for (name, value) in attributes {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&text(&name));
        out.push(':');
        out.push_str(&text(&value));
    }
    let utf8 = std::str::from_utf8(data);
    match utf8 {
        _ if data.is_empty() => {}
        Ok(json) if is_json(data_type) => {
            out.push_str(",\"data\":");
            out.push_str(json);
        }
        Ok(words) if data_type.trim_start().starts_with("text/") => {
            out.push_str(",\"data\":");
            out.push_str(&text(words));
        }
        _ => {
            out.push_str(",\"data_base64\":");
            out.push_str(&text(&STANDARD.encode(data)));
        }
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::super::Template;
    use super::*;
    use serde_json::json;

    fn envelope(binary: bool) -> Envelope {
        Envelope {
            binary,
            source: "/st-brigid".into(),
            kind: Template::new("org.brigid.{type}").unwrap(),
            subject: Some(Template::new("{data.account}").unwrap()),
            time: None,
            data: Some("data".into()),
        }
    }

    #[test]
    fn both_forms_read_as_the_same_event() {
        let body = Bytes::from_static(
            br#"{"type":"discharged","data":{"account":"A-7","amount":1234567890123456789.10}}"#,
        );
        let payload: Value = serde_json::from_slice(&body).unwrap();
        let wrap = |binary| {
            let made = envelope(binary);
            made.wrap("d-1", &payload, &body, "application/json")
                .unwrap()
        };
        let whole = wrap(false);
        let (name, one) = unwrap(&whole.content_type, &[], &whole.body).unwrap();
        let parts = wrap(true);
        assert_eq!(
            parts.body,
            &br#"{"account":"A-7","amount":1234567890123456789.10}"#[..]
        );
        let attributes: Vec<_> = parts
            .attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let (again, other) = unwrap(&parts.content_type, &attributes, &parts.body).unwrap();
        assert_eq!((&name, one.clone()), (&again, other));
        assert_eq!(name, "/st-brigid\0d-1");
        // An amount is not touched.
        assert!(
            std::str::from_utf8(&one)
                .unwrap()
                .contains("1234567890123456789.10")
        );
        let read: Value = serde_json::from_slice(&one).unwrap();
        assert_eq!(read["type"], "org.brigid.discharged");
        assert_eq!(read["subject"], "A-7");
    }

    #[test]
    fn what_is_no_event_is_refused_without_being_quoted() {
        let body = Bytes::from_static(b"{\"secret\": 1}");
        let cases: [(&str, Value, &[u8]); 5] = [
            ("application/json", json!({}), b"{}"),
            (STRUCTURED, json!({}), b"{\"specversion\":\"1.0\"}"),
            (STRUCTURED, json!({}), b"[1]"),
            ("application/cloudevents-batch+json", json!({}), b"[]"),
            (
                "application/json",
                json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}),
                b"not json",
            ),
        ];
        for (media_type, attributes, body) in cases {
            let attributes: Vec<_> = attributes
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect();
            assert!(unwrap(media_type, &attributes, &Bytes::from_static(body)).is_err());
        }
        let error = unwrap(STRUCTURED, &[], &body).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn data_that_is_no_json_is_text_or_base64() {
        let attributes: Vec<(String, String)> = [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "s"),
            ("type", "t"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let read = |media_type: &str, body: &'static [u8]| -> Value {
            let (_, event) = unwrap(media_type, &attributes, &Bytes::from_static(body)).unwrap();
            serde_json::from_slice(&event).unwrap()
        };
        assert_eq!(read("text/plain", b"a \"b\"")["data"], "a \"b\"");
        assert_eq!(
            read("application/octet-stream", &[0, 255])["data_base64"],
            "AP8="
        );
    }
}
