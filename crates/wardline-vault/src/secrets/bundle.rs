//! Many secrets in one file: `NAME: VALUE` a line, as in a flat YAML mapping, or `NAME=VALUE`, as
//! in a file of variables, or one JSON object. It is read here and not by a YAML library, because
//! the text is a secret: it must be wiped afterwards, and an error must not quote it.

use super::SecretRef;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What one file holds. Wiped when dropped, never printed.
pub(super) struct Bundle(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl Bundle {
    /// Reads a decrypted file. The error names a line, never what stands there.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it does not hold text".to_owned())?;
        if text.trim_start().starts_with('{') {
            let all: BTreeMap<String, Zeroizing<String>> = serde_json::from_str(text)
                .map_err(|error| format!("line {} is not JSON of names and texts", error.line()))?;
            let bytes = |value: Zeroizing<String>| Zeroizing::new(value.as_bytes().to_vec());
            return Ok(Self(
                all.into_iter()
                    .map(|(name, value)| (name, bytes(value)))
                    .collect(),
            ));
        }
        let mut all = BTreeMap::new();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            let bad = |what: &str| format!("line {}: {what}", index + 1);
            if line.trim().is_empty() || line.trim_start().starts_with('#') || line == "---" {
                continue;
            }
            let at = line
                .find([':', '='])
                .ok_or_else(|| bad("expected NAME: VALUE or NAME=VALUE"))?;
            let (name, value) = (line[..at].trim(), line[at + 1..].trim());
            if name.is_empty() || line.starts_with(char::is_whitespace) {
                return Err(bad("expected a name at the line's beginning"));
            }
            let value = match value {
                "|" => {
                    let mut block = Zeroizing::new(String::new());
                    let mut indent = None;
                    while let Some((_, line)) = lines.next_if(|(_, line)| {
                        line.is_empty() || line.starts_with(char::is_whitespace)
                    }) {
                        let own = line.len() - line.trim_start().len();
                        let indent = *indent.get_or_insert(own);
                        block.push_str(line.get(indent.min(own)..).unwrap_or_default());
                        block.push('\n');
                    }
                    block
                }
                _ if value.starts_with('"') => serde_json::from_str(value)
                    .map_err(|_| bad("its value begins a text in quotes that is none"))?,
                _ if value.starts_with('\'') => {
                    let inner = value
                        .strip_prefix('\'')
                        .and_then(|value| value.strip_suffix('\''))
                        .ok_or_else(|| bad("its value begins a text in quotes that is none"))?;
                    Zeroizing::new(inner.replace("''", "'"))
                }
                _ => Zeroizing::new(value.to_owned()),
            };
            let value = Zeroizing::new(value.as_bytes().to_vec());
            if all.insert(name.to_owned(), value).is_some() {
                return Err(bad("its name occurred before"));
            }
        }
        Ok(Self(all))
    }

    /// The value by its name, or by the name of its variable.
    pub(super) fn get(&self, reference: &SecretRef) -> Option<Zeroizing<Vec<u8>>> {
        let value = self.0.get(reference.name());
        value.or_else(|| self.0.get(&reference.variable())).cloned()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(bundle: &Bundle, name: &str) -> Option<String> {
        let value = bundle.get(&SecretRef::named(name).unwrap())?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn lines_blocks_variables_and_json_are_read() {
        let yaml = "# ours\n---\nerp/ws: user:pa=ss\nhr/hook: \"a\\\"b\"\nlab/pin: '12''3'\nnode/key: |\n  -----BEGIN\n  abc\n   d\n\nWARDLINE_SECRET_BED_TOKEN=t0k\n";
        let bundle = Bundle::parse(yaml.as_bytes()).unwrap();
        for (name, value) in [
            ("erp/ws", "user:pa=ss"),
            ("hr/hook", "a\"b"),
            ("lab/pin", "12'3"),
            ("node/key", "-----BEGIN\nabc\n d\n\n"),
            ("bed/token", "t0k"),
        ] {
            assert_eq!(get(&bundle, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(get(&bundle, "other"), None);
        let json = Bundle::parse(br#"{"erp/ws": "x", "a": "b"}"#).unwrap();
        assert_eq!(get(&json, "erp/ws").as_deref(), Some("x"));
        assert_eq!(json.names().count(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_only() {
        for bad in [
            "hunter2",
            "a: 1\na: hunter2",
            "a: \"hunter2",
            "{\"a\": hunter2}",
            "  a: hunter2",
            ": hunter2",
        ] {
            let error = Bundle::parse(bad.as_bytes()).err().unwrap();
            assert!(
                error.contains("line") && !error.contains("hunter2"),
                "{error}"
            );
        }
        assert!(Bundle::parse(&[0xFF]).is_err());
    }
}
