//! Subjects, topics and keys with members of the payload in them: `lab.{facility}.{order.type}`.

use serde_json::Value;

/// A text with `{members}` of a JSON payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The names that lead to a value, outermost first.
    Member(Vec<String>),
}

/// What a value may be made of where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// One level of a subject or topic: all that could part levels or stand for others is
    /// percent-encoded, so that a value can never lead somewhere else.
    Level,
    /// Any text.
    Anything,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(open);
            let close = after
                .starts_with('{')
                .then(|| after.find('}'))
                .flatten()
                .ok_or("a brace has no other side")?;
            let names: Vec<String> = after[1..close].split('.').map(str::to_owned).collect();
            if names
                .iter()
                .any(|name| name.is_empty() || !name.bytes().all(is_name))
            {
                return Err("expected a member in braces, such as `{order.number}`".to_owned());
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Member(names));
            rest = &after[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it needs a payload.
    pub(crate) fn has_members(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Member(_)))
    }

    /// Fills it. The error is the name of the member that is missing, empty, or no text, number or
    /// boolean; never its value.
    pub(crate) fn render(&self, payload: &Value, within: Within) -> Result<String, String> {
        let mut out = String::with_capacity(self.text.len() + 16);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Member(names) => {
                    let value = names.iter().try_fold(payload, |at, name| at.get(name));
                    let text = match value {
                        Some(Value::String(text)) if !text.is_empty() => text.clone(),
                        Some(Value::Number(number)) => number.to_string(),
                        Some(Value::Bool(flag)) => flag.to_string(),
                        _ => return Err(names.join(".")),
                    };
                    match within {
                        Within::Anything => out.push_str(&text),
                        Within::Level => encode(&text, &mut out),
                    }
                }
            }
        }
        Ok(out)
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_name(byte) || byte == b'~' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_stays_one_level() {
        let template = Template::new("lab.{facility}.{order.type}").unwrap();
        let payload = json!({ "facility": "north.>", "order": { "type": "a/b *#+" } });
        assert_eq!(
            template.render(&payload, Within::Level).unwrap(),
            "lab.north%2E%3E.a%2Fb%20%2A%23%2B"
        );
        let plain = Template::new("{n}-{flag}").unwrap();
        let payload = json!({ "n": 12, "flag": true });
        assert_eq!(plain.render(&payload, Within::Anything).unwrap(), "12-true");
    }

    #[test]
    fn what_is_missing_is_named() {
        let template = Template::new("x.{a.b}").unwrap();
        for payload in [json!({}), json!({"a": {"b": ""}}), json!({"a": {"b": []}})] {
            assert_eq!(template.render(&payload, Within::Level).unwrap_err(), "a.b");
        }
        for bad in ["", "a{", "a}", "{}", "{a..b}", "{a b}", "{{a}}"] {
            assert!(Template::new(bad).is_err(), "{bad}");
        }
    }
}
