//! The small things kept beside messages: names, named values, and the audit log.

use super::names;
use super::writer::{Halt, Writer};
use crate::change::AuditRecord;
use crate::error::StoreError;
use wardline_core::Sym;

impl Writer<'_> {
    pub(super) fn append_audit(&mut self, record: &AuditRecord) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("INSERT INTO audit (sequence, at, body, hash) VALUES (?1, ?2, ?3, ?4)")?
            .execute((
                record.sequence as i64,
                record.at.0,
                &record.body[..],
                &record.hash[..],
            ))?;
        self.audit_staged = record.sequence + 1;
        Ok(())
    }

    pub(super) fn set_meta(&self, name: &str, value: &[u8]) -> rusqlite::Result<()> {
        if value.is_empty() {
            self.conn
                .prepare_cached("DELETE FROM meta WHERE name = ?1")?
                .execute([name])?;
        } else {
            self.conn
                .prepare_cached(
                    "INSERT INTO meta (name, value) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )?
                .execute((name, value))?;
        }
        Ok(())
    }

    pub(super) fn intern(&mut self, name: &str) -> Result<Sym, Halt> {
        if let Some(sym) = self.shared.names.read().number(name) {
            return Ok(sym);
        }
        if let Some((sym, _)) = self.new_names.iter().find(|(_, known)| &**known == name) {
            return Ok(*sym);
        }
        let (known, next) = {
            let names = self.shared.names.read();
            (names.len() + self.new_names.len(), names.next())
        };
        if known >= names::MAX_NAMES {
            return Err(Halt::Refused(StoreError::Invalid(format!(
                "the store knows {known} names already and takes no new one"
            ))));
        }
        let sym = Sym(next.0 + self.new_names.len() as u32);
        self.conn
            .prepare_cached("INSERT INTO name (id, name) VALUES (?1, ?2)")?
            .execute((sym.0, name))?;
        self.new_names.push((sym, name.into()));
        Ok(sym)
    }
}
