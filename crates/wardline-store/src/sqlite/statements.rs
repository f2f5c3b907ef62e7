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
    pub(super) instance: Statement<'c>,
    pub(super) begin_instance: Statement<'c>,
    pub(super) advance: Statement<'c>,
    pub(super) stand: Statement<'c>,
    pub(super) owner: Statement<'c>,
    pub(super) due: Statement<'c>,
    pub(super) state: Statement<'c>,
    pub(super) history: Statement<'c>,
    pub(super) wait: Statement<'c>,
    pub(super) unwait: Statement<'c>,
    pub(super) timer: Statement<'c>,
    pub(super) unset: Statement<'c>,
    pub(super) mail: Statement<'c>,
    pub(super) mail_known: Statement<'c>,
    pub(super) mail_waits: Statement<'c>,
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
                     settled, note_code, note_text, fingerprint, own_body, size, content_type, replay_of, run,
                     instance, call)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
            )?,
            term: conn.prepare("INSERT OR IGNORE INTO term (bucket, value, message) VALUES (?1, ?2, ?3)")?,
            link: conn.prepare("INSERT OR IGNORE INTO link (origin, target, kind) VALUES (?1, ?2, ?3)")?,
            open: conn.prepare(
                "SELECT destination, lane, flow, state, fingerprint, first_attempt, since, message,
                     instance, call
                 FROM delivery WHERE id = ?1",
            )?,
            deliver: conn.prepare(
                "UPDATE delivery SET state = 3, attempts = ?2, next = NULL, first_attempt = ?3, settled = ?4,
                     took_us = ?5, status = ?6
                 WHERE id = ?1",
            )?,
            response: conn.prepare("INSERT OR REPLACE INTO response (id, sealed) VALUES (?1, ?2)")?,
            instance: conn.prepare(
                "SELECT revision, process, definition, key_index, key_text, phase, status, since,
                     owner, due
                 FROM instance WHERE id = ?1",
            )?,
            begin_instance: conn.prepare(
                "INSERT INTO instance (id, revision, definition, step, note_code, note_text, fingerprint, facility,
                     began, advanced, since, summary, process, key_index, key_text, phase, status, ended, owner, due)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
            )?,
            // Columns that indexes are over are written only where they change.
            advance: conn.prepare(
                "UPDATE instance SET revision = ?2, definition = ?3, step = ?4, note_code = ?5, note_text = ?6,
                     fingerprint = ?7, facility = ?8, advanced = ?9, since = ?10, summary = ?11
                 WHERE id = ?1",
            )?,
            stand: conn.prepare("UPDATE instance SET phase = ?2, status = ?3, ended = ?4 WHERE id = ?1")?,
            owner: conn.prepare("UPDATE instance SET owner = ?2 WHERE id = ?1")?,
            due: conn.prepare("UPDATE instance SET due = ?2 WHERE id = ?1")?,
            state: conn.prepare(
                "INSERT INTO instance_state (id, sealed) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
            )?,
            history: conn.prepare("INSERT INTO history (instance, revision, at, lines) VALUES (?1, ?2, ?3, ?4)")?,
            wait: conn.prepare("INSERT OR IGNORE INTO wait (correlator, key, instance, number) VALUES (?1, ?2, ?3, ?4)")?,
            unwait: conn.prepare("DELETE FROM wait WHERE instance = ?1 AND number = ?2")?,
            timer: conn.prepare("INSERT INTO timer (due, instance, number) VALUES (?1, ?2, ?3)")?,
            unset: conn.prepare("DELETE FROM timer WHERE instance = ?1 AND number = ?2")?,
            mail: conn.prepare(
                "INSERT INTO mail (id, state, message, correlator, key, digest, instance, call, delivery, until)
                 VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            mail_known: conn.prepare(
                "SELECT EXISTS (SELECT 1 FROM mail INDEXED BY mail_known
                 WHERE correlator IS NOT NULL AND digest = ?1 AND correlator = ?2 AND key = ?3 AND until > ?4)",
            )?,
            mail_waits: conn.prepare(
                "SELECT EXISTS (SELECT 1 FROM mail INDEXED BY mail_waits
                 WHERE correlator IS NOT NULL AND state <= 1 AND correlator = ?1 AND key = ?2
                     AND (state = 0 OR until > ?3) AND id > ?4)",
            )?,
        })
    }
}
