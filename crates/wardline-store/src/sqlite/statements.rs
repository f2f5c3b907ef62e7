//! The statements of the hot path, prepared once. Rare ones are prepared where they are used
//! and cached by the connection.

use rusqlite::{Connection, Statement};

/// Prepared statements of the writing connection.
pub(super) struct Statements<'c> {
    pub(super) begin: Statement<'c>,
    pub(super) commit: Statement<'c>,
    pub(super) checkpoint: Statement<'c>,
    pub(super) message: Statement<'c>,
    pub(super) content: Statement<'c>,
    pub(super) delivery: Statement<'c>,
    pub(super) term: Statement<'c>,
    pub(super) link: Statement<'c>,
    pub(super) open: Statement<'c>,
    pub(super) deliver: Statement<'c>,
    pub(super) response: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            checkpoint: conn.prepare("PRAGMA wal_checkpoint(PASSIVE)")?,
            message: conn.prepare(
                "INSERT INTO message (id, ordinal, block, source, kind, content_type, cause, key_index, key_text,
                     lane, received, size, outcome, flagged, routes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?,
            content: conn.prepare("INSERT INTO content (id, sealed) VALUES (?1, ?2)")?,
            delivery: conn.prepare(
                "INSERT INTO delivery (id, message, flow, destination, lane, key_index, key_text, state, attempts,
                     settled, note_code, note_text, fingerprint, own_body, size, content_type, replay_of, run)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?,
            term: conn.prepare("INSERT OR IGNORE INTO term (bucket, value, message) VALUES (?1, ?2, ?3)")?,
            link: conn.prepare("INSERT OR IGNORE INTO link (origin, target, kind) VALUES (?1, ?2, ?3)")?,
            open: conn.prepare(
                "SELECT destination, lane, flow, state, fingerprint, first_attempt, since
                 FROM delivery WHERE id = ?1",
            )?,
            deliver: conn.prepare(
                "UPDATE delivery SET state = 3, attempts = ?2, next = NULL, first_attempt = ?3, settled = ?4,
                     took_us = ?5, status = ?6
                 WHERE id = ?1",
            )?,
            response: conn.prepare("INSERT OR REPLACE INTO response (id, sealed) VALUES (?1, ?2)")?,
        })
    }
}
