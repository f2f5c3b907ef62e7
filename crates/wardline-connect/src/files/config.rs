//! What can be set.

use std::sync::Arc;
use std::time::Duration;

use wardline_edi::flat::Plan;

use crate::ContentType;

/// How a directory is watched.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// The connection, `system.connection`.
    pub source: Arc<str>,
    /// The directory below the connection's, without slashes at its ends; empty for itself.
    pub below: String,
    /// Which names: `*` stands for any characters, `?` for one.
    pub pattern: String,
    /// How often it is looked at.
    pub every: Duration,
    /// How long size and time of a file must stay the same before it is taken.
    pub stable: Duration,
    /// A file is taken only when one with this ending beside it says that it is whole.
    pub marker: Option<String>,
    /// What becomes of a file that was taken.
    pub then: Then,
    /// What becomes a message.
    pub split: Split,
}

/// What becomes of a file that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is moved into `archive/`.
    Archive,
    /// It is deleted.
    Delete,
}

/// What becomes a message.
#[derive(Debug, Clone)]
pub enum Split {
    /// The file as it is, checked by a layout where there is one.
    Whole {
        /// The layout.
        layout: Option<Arc<Plan>>,
        /// What it is.
        content_type: ContentType,
        /// The largest file taken, in bytes.
        max_size: u64,
    },
    /// Each record, as JSON.
    Records(Arc<Plan>),
}

impl WatchConfig {
    /// Whether a name is one that is taken.
    pub(crate) fn takes(&self, name: &str) -> bool {
        matches(self.pattern.as_bytes(), name.as_bytes())
    }
}

/// How files are written.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// The directory below the connection's.
    pub below: String,
    /// The name of each, with `{id}` for the delivery's id.
    pub name: String,
    /// The largest, in bytes.
    pub max_size: usize,
}

/// Matches a name; linear in both, whatever the pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.done", false),
            ("receipts-*.csv", "receipts-.csv", true),
            ("receipts-*.csv", "receipt-1.csv", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
