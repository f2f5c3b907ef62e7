//! Code tables of the estate (`codes/*.csv`), which `code("table", "x")` translates by.

use std::sync::Arc;

use ahash::AHashMap;
use thiserror::Error;

/// What a code that a table does not know becomes, unless the call says `otherwise:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// The map fails: `code` is fallible and must be handled (`code!`, `??`).
    #[default]
    Error,
    /// The code itself.
    Keep,
    /// This value.
    Value(Arc<str>),
}

/// One table: codes of one side and what they mean on the other.
///
/// ```
/// use wardline_mapping::CodeTable;
/// let table = CodeTable::from_pairs([("01", "home"), ("03", "nursing-facility")]);
/// assert_eq!(table.get("03"), Some("nursing-facility"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CodeTable {
    entries: AHashMap<Arc<str>, Arc<str>>,
    /// What unknown codes become.
    pub otherwise: Otherwise,
}

/// Why the text of a code table was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "cannot read the code table: line {line} {reason}; write from,to[,description] on each line"
)]
pub struct UnreadableTable {
    /// Line of the text, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl CodeTable {
    /// A table from pairs; of two with the same code the later one stands.
    pub fn from_pairs<K: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entries = pairs
            .into_iter()
            .map(|(from, to)| (from.into(), to.into()))
            .collect();
        Self {
            entries,
            otherwise: Otherwise::default(),
        }
    }

    /// Reads `from,to[,description]` lines with that header (RFC 4180 quoting; columns in any order).
    ///
    /// # Errors
    /// Where a column is missing, a quote is not closed or a code stands twice.
    pub fn from_csv(text: &str) -> Result<Self, UnreadableTable> {
        let mut rows = records(text);
        let (line, header) = match rows.next() {
            Some(row) => row?,
            None => {
                return Err(UnreadableTable {
                    line: 1,
                    reason: "is missing: the table is empty",
                });
            }
        };
        let column = |name: &str| {
            header
                .iter()
                .position(|cell| cell.trim().eq_ignore_ascii_case(name))
        };
        let from = column("from").ok_or(UnreadableTable {
            line,
            reason: "has no column \"from\"",
        })?;
        let to = column("to").ok_or(UnreadableTable {
            line,
            reason: "has no column \"to\"",
        })?;
        let mut entries = AHashMap::new();
        for row in rows {
            let (line, mut cells) = row?;
            let (Some(key), Some(value)) = (
                cells.get_mut(from).map(std::mem::take),
                cells.get_mut(to).map(std::mem::take),
            ) else {
                return Err(UnreadableTable {
                    line,
                    reason: "has fewer cells than the header",
                });
            };
            if entries
                .insert(Arc::from(key.trim()), Arc::from(value.trim()))
                .is_some()
            {
                return Err(UnreadableTable {
                    line,
                    reason: "repeats a code that stands above",
                });
            }
        }
        Ok(Self {
            entries,
            otherwise: Otherwise::default(),
        })
    }

    /// The same table with another rule for unknown codes.
    #[must_use]
    pub fn otherwise(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// What a code means, where the table knows it.
    pub fn get(&self, code: &str) -> Option<&str> {
        self.entries.get(code).map(AsRef::as_ref)
    }

    /// How many codes it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Rows of RFC 4180 text with the line each begins on; blank lines and `#` lines are passed over.
fn records(text: &str) -> impl Iterator<Item = Result<(usize, Vec<String>), UnreadableTable>> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 0;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            line += 1;
            let first = rest.lines().next().unwrap_or_default();
            if !first.trim().is_empty() && !first.starts_with('#') {
                break;
            }
            rest = rest
                .get(rest.find('\n').map_or(rest.len(), |at| at + 1)..)
                .unwrap_or_default();
        }
        let start = line;
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' if quoted => quoted = false,
                '"' if cell.is_empty() => quoted = true,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                '\n' if !quoted => {
                    end = at + 1;
                    break;
                }
                '\n' => {
                    line += 1;
                    cell.push(c);
                }
                '\r' if !quoted => {}
                _ => cell.push(c),
            }
        }
        rest = &rest[end..];
        if quoted {
            return Some(Err(UnreadableTable {
                line: start,
                reason: "opens a quote that is never closed",
            }));
        }
        cells.push(cell);
        Some(Ok((start, cells)))
    })
}

/// All code tables of an estate by name.
#[derive(Clone, Debug, Default)]
pub struct CodeTables {
    tables: AHashMap<String, Arc<CodeTable>>,
}

impl CodeTables {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table; gives back the one that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, table: CodeTable) -> Option<Arc<CodeTable>> {
        self.tables.insert(name.into(), Arc::new(table))
    }

    /// A table by name.
    pub fn get(&self, name: &str) -> Option<&Arc<CodeTable>> {
        self.tables.get(name)
    }

    /// Names of all tables, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotes_comments_and_any_column_order() {
        let table = CodeTable::from_csv(
            "# ours\ndescription,to,from\n\"a, b\",home,01\r\n,\"say \"\"x\"\"\",02\n\n",
        )
        .unwrap();
        assert_eq!(
            (table.get("01"), table.get("02"), table.len()),
            (Some("home"), Some("say \"x\""), 2)
        );
    }

    #[test]
    fn says_which_line_is_wrong() {
        let wrong = |text| CodeTable::from_csv(text).unwrap_err().line;
        assert_eq!(wrong(""), 1);
        assert_eq!(wrong("from,too\na,b\n"), 1);
        assert_eq!(wrong("from,to\na,b\nc\n"), 3);
        assert_eq!(wrong("from,to\na,\"b\nx\"\na,c\n"), 4);
        assert_eq!(wrong("from,to\n\na,\"b\n"), 3);
    }
}
