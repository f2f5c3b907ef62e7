//! Interned names in memory: a few hundred words, read on every screen and every log line.

use ahash::AHashMap;
use rusqlite::Connection;
use std::sync::Arc;
use wardline_core::Sym;

/// The most names a store takes. Kinds of messages come from outside (MSH-9 of anything
/// that can reach a listener), so there must be an end; an estate of thousands of flows
/// uses a few thousand.
pub(super) const MAX_NAMES: usize = 65_536;
/// The longest name in bytes.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// Both directions between names and numbers. Numbers start at 1; 0 stands for "none" in
/// keys of counters.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: AHashMap<Arc<str>, Sym>,
    by_number: Vec<Arc<str>>,
}

impl Names {
    /// Reads all names.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut names = Self::default();
        let mut statement = conn.prepare("SELECT id, name FROM name ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            names.insert(Sym(row.get(0)?), row.get_ref(1)?.as_str()?.into());
        }
        Ok(names)
    }

    /// Adds a name under the number it has on disk.
    pub(super) fn insert(&mut self, sym: Sym, name: Arc<str>) {
        let at = (sym.0 as usize).saturating_sub(1);
        if self.by_number.len() <= at {
            self.by_number.resize_with(at + 1, || Arc::from(""));
        }
        self.by_number[at] = Arc::clone(&name);
        self.by_name.insert(name, sym);
    }

    /// The name of a number.
    pub(super) fn name(&self, sym: Sym) -> Option<Arc<str>> {
        let at = (sym.0 as usize).checked_sub(1)?;
        self.by_number.get(at).cloned()
    }

    /// The number of a name.
    pub(super) fn number(&self, name: &str) -> Option<Sym> {
        self.by_name.get(name).copied()
    }

    /// The number that the next new name gets.
    pub(super) fn next(&self) -> Sym {
        Sym(u32::try_from(self.by_number.len() + 1).unwrap_or(u32::MAX))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }
}
