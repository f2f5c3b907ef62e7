//! What an audit entry says, and the one way it is written.
//!
//! The written form is canonical JSON (RFC 8785: keys sorted, no spaces, integers only), so
//! that an auditor with other tools gets the same bytes from the same entry.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wardline_core::Timestamp;

/// Who did what to what, and why. Holds no payload and no sensitive value: `target` is an
/// id or a name, never an MRN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who: `user:anna`, `client:ghx`, `system:retention`.
    pub actor: String,
    /// What was done, as `noun.verb`: `payload.reveal`, `delivery.cancel`.
    pub act: String,
    /// To what: an id, or the name of an object of the estate.
    pub target: String,
    /// Why, in the actor's words; empty where none was asked for.
    pub reason: String,
    /// More about it: counts, selections, ids.
    pub detail: BTreeMap<String, Detail>,
}

/// A value of an entry's detail. Closed on purpose: each of these has exactly one written form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Detail {
    /// Yes or no.
    Flag(bool),
    /// A whole number. Other readers of JSON may round beyond ±2⁵³.
    Number(i64),
    /// A word or id.
    Text(String),
    /// Several words or ids.
    List(Vec<String>),
}

impl AuditEntry {
    /// An entry without reason or detail.
    pub fn new(
        actor: impl Into<String>,
        act: impl Into<String>,
        target: impl Into<String>,
    ) -> Self {
        Self {
            actor: actor.into(),
            act: act.into(),
            target: target.into(),
            reason: String::new(),
            detail: BTreeMap::new(),
        }
    }

    /// Adds why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Detail>) -> Self {
        self.detail.insert(name.into(), value.into());
        self
    }

    /// The canonical form, with the moment to the microsecond.
    pub(crate) fn to_canonical(&self, at: Timestamp) -> Vec<u8> {
        // Fields in the order of their names; RFC 8785 sorts by UTF-16, which for the
        // details' names differs from the order of `BTreeMap` only beyond U+FFFF.
        let mut detail: Vec<_> = self.detail.iter().collect();
        detail.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let mut out = Vec::with_capacity(160);
        for (opening, text) in [
            (&b"{\"act\":"[..], &self.act),
            (b",\"actor\":", &self.actor),
        ] {
            out.extend_from_slice(opening);
            write_text(&mut out, text);
        }
        out.extend_from_slice(b",\"at\":");
        write_text(&mut out, &written_time(at));
        out.extend_from_slice(b",\"detail\":{");
        for (index, (name, value)) in detail.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(&mut out, name);
            out.push(b':');
            match value {
                Detail::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
                Detail::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                Detail::Text(text) => write_text(&mut out, text),
                Detail::List(list) => {
                    out.push(b'[');
                    for (index, text) in list.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        write_text(&mut out, text);
                    }
                    out.push(b']');
                }
            }
        }
        out.extend_from_slice(b"},\"reason\":");
        write_text(&mut out, &self.reason);
        out.extend_from_slice(b",\"target\":");
        write_text(&mut out, &self.target);
        out.push(b'}');
        out
    }

    /// Reads the canonical form: the entry and its moment. What an
    /// [`AuditRecord`](super::AuditRecord) holds is usually sealed, and opened by
    /// [`Vault::open_audit`](crate::Vault::open_audit).
    ///
    /// # Errors
    /// What is wrong with the JSON; a body that the vault wrote has nothing wrong.
    pub fn from_body(body: &[u8]) -> Result<(Timestamp, Self), serde_json::Error> {
        let Written {
            act,
            actor,
            at,
            detail,
            reason,
            target,
        } = serde_json::from_slice(body)?;
        Ok((
            at,
            Self {
                actor,
                act,
                target,
                reason,
                detail,
            },
        ))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    act: String,
    actor: String,
    at: Timestamp,
    detail: BTreeMap<String, Detail>,
    reason: String,
    target: String,
}

/// RFC 3339, UTC, always six digits of fraction: two moments never share a text.
fn written_time(at: Timestamp) -> String {
    format!("{:.6}", at.to_jiff())
}

/// `serde_json` escapes exactly what RFC 8785 wants escaped, in the same way.
fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises and a Vec always takes it");
}

impl From<bool> for Detail {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<i64> for Detail {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}
impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Text(number.to_string()), Self::Number)
    }
}
impl From<usize> for Detail {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}
impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<Vec<String>> for Detail {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_canonical_and_reads_back() {
        let entry = AuditEntry::new("user:anna", "delivery.cancel", "0000-1")
            .because("sent \"twice\"\n\u{1}é")
            .with("flow", "discharge")
            .with("count", 3_usize)
            .with("bulk", true)
            .with("ids", vec!["a".to_owned(), "b".to_owned()]);
        let at = Timestamp(1_700_000_000_000_001);
        let body = entry.to_canonical(at);
        assert_eq!(
            String::from_utf8(body.clone()).unwrap(),
            r#"{"act":"delivery.cancel","actor":"user:anna","at":"2023-11-14T22:13:20.000001Z","detail":{"bulk":true,"count":3,"flow":"discharge","ids":["a","b"]},"reason":"sent \"twice\"\n\u0001é","target":"0000-1"}"#
        );
        assert_eq!(AuditEntry::from_body(&body).unwrap(), (at, entry));
    }

    #[test]
    fn names_sort_by_utf_16() {
        // U+10000 is D800 DC00 in UTF-16 and so comes before U+FF61, unlike in UTF-8.
        let entry = AuditEntry::new("a", "b", "c")
            .with("\u{ff61}", 1_i64)
            .with("\u{10000}", 2_i64);
        let body = String::from_utf8(entry.to_canonical(Timestamp(0))).unwrap();
        assert!(body.find('\u{10000}') < body.find('\u{ff61}'), "{body}");
    }
}
