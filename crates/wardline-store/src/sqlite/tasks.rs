//! Tasks: asked and ended by advances, taken on and handed over by people.

use super::rows;
use super::writer::{Halt, Writer};
use crate::error::StoreError;
use crate::process::{TaskAct, TaskEnd, TaskRow};
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{InstanceId, TaskId};

/// Columns of [`rows::task`], of `task AS t`.
pub(super) const TASK_COLUMNS: &str = "t.id, t.instance, t.number, t.process, t.key_index, t.key_text, t.step, t.role, \
     t.facility, t.claimed, t.asked, t.due, t.ended, t.ended_by, t.choice, t.body";
/// The longest name of a person, or choice, in bytes.
const MAX_WORD_BYTES: usize = 1_024;

/// Refuses an act that could not be recorded.
pub(super) fn check_act(act: &TaskAct) -> Result<(), Halt> {
    match act {
        TaskAct::Claim { by } if by.is_empty() => Err(Halt::Refused(StoreError::Invalid(
            "that nobody takes a task on".into(),
        ))),
        TaskAct::Claim { by: word } | TaskAct::Reassign { to: word, .. } => check_word(word),
        TaskAct::Release => Ok(()),
    }
}

/// Refuses the end of a task that could not be recorded.
pub(super) fn check_end(end: &TaskEnd) -> Result<(), Halt> {
    check_word(&end.by)?;
    check_word(&end.choice)
}

fn check_word(word: &str) -> Result<(), Halt> {
    if word.len() > MAX_WORD_BYTES {
        return Err(Halt::Refused(StoreError::Invalid(format!(
            "a name or choice of {} bytes at a task; at most {MAX_WORD_BYTES} are kept",
            word.len()
        ))));
    }
    Ok(())
}

impl Writer<'_> {
    /// What a person does about a task; false where it has ended or is somebody else's.
    pub(super) fn act_on(&mut self, TaskId(id): TaskId, act: &TaskAct) -> rusqlite::Result<bool> {
        let id = id.as_i64();
        let touched = match act {
            TaskAct::Claim { by } => self
                .conn
                .prepare_cached(
                    "UPDATE task SET claimed = ?2
                     WHERE id = ?1 AND ended IS NULL AND (claimed IS NULL OR claimed = ?2)",
                )?
                .execute((id, by))?,
            TaskAct::Release => self
                .conn
                .prepare_cached("UPDATE task SET claimed = NULL WHERE id = ?1 AND ended IS NULL")?
                .execute([id])?,
            TaskAct::Reassign { role, to, due } => self
                .conn
                .prepare_cached(
                    "UPDATE task SET role = coalesce(?2, role), claimed = nullif(?3, ''), due = coalesce(?4, due)
                     WHERE id = ?1 AND ended IS NULL",
                )?
                .execute((id, role.map(|role| role.0), to, due.map(|due| due.0)))?,
        };
        Ok(touched > 0)
    }

    /// Ends the tasks that an instance has open under a number.
    pub(super) fn end_task(&self, instance: InstanceId, end: &TaskEnd) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE task SET ended = ?3, ended_by = nullif(?4, ''), choice = nullif(?5, '')
                 WHERE instance = ?1 AND number = ?2 AND ended IS NULL",
            )?
            .execute((
                instance.0.as_i64(),
                end.number,
                self.now.0,
                &end.by,
                &end.choice,
            ))?;
        Ok(())
    }

    /// Ends all tasks that an instance has open: nobody has to answer any more.
    pub(super) fn end_tasks(&self, instance: InstanceId) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("UPDATE task SET ended = ?2 WHERE instance = ?1 AND ended IS NULL")?
            .execute((instance.0.as_i64(), self.now.0))?;
        Ok(())
    }
}

/// One task.
pub(super) fn task(conn: &Connection, TaskId(id): TaskId) -> rusqlite::Result<Option<TaskRow>> {
    conn.prepare_cached(&format!(
        "SELECT {TASK_COLUMNS} FROM task AS t WHERE t.id = ?1"
    ))?
    .query_row([id.as_i64()], rows::task)
    .optional()
}
