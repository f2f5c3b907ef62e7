//! An instance advances: what must still hold is looked at first, then all of it is written.
//!
//! Nothing is written before every guard has been passed, so that an advance that comes too late
//! leaves no trace and the rest of its transaction stands.

use super::accept::{MAX_PAYLOAD_BYTES, kept_text, note_text};
use super::ids::MAX_BLOCK;
use super::rows;
use super::tally::InstancePlace;
use super::writer::{Halt, Writer};
use crate::change::Note;
use crate::error::StoreError;
use crate::process::{Advance, Advanced, History, NewTask, Phase, WITHDRAWN, Which};
use crate::query::LinkKind;
use rusqlite::OptionalExtension;
use wardline_core::{
    DeliveryId, DeliveryState, Id, InstanceId, OrderingKey, Sealed, Sym, Timestamp,
};

/// The most waits, timers, mails and the like that one advance touches.
const MAX_PARTS: usize = 65_536;
/// The most lines that one advance adds to the history.
const MAX_LINES: usize = 10_000;

/// What the journal knows of an instance before it advances.
struct Known {
    id: InstanceId,
    revision: u64,
    process: Sym,
    definition: Sym,
    key: OrderingKey,
    phase: Phase,
    status: u32,
    since: Timestamp,
    owner: Option<u32>,
    due: Option<i64>,
}

impl Known {
    const fn place(&self) -> InstancePlace {
        InstancePlace {
            process: self.process,
            definition: self.definition,
            phase: self.phase as u8,
            status: self.status,
        }
    }
}

impl Writer<'_> {
    /// Refuses an advance that could not be recorded as a whole.
    pub(super) fn check_advance(&self, advance: &Advance) -> Result<(), Halt> {
        let refuse = |what: String| Err(Halt::Refused(StoreError::Invalid(what)));
        let parts = advance.take.len()
            + advance.fire.len()
            + advance.unwait.len()
            + advance.wait.len()
            + advance.unset.len()
            + advance.set.len()
            + advance.answer.len()
            + advance.ask.len()
            + advance.withdraw.len();
        if parts > MAX_PARTS || advance.ask.len() >= MAX_BLOCK {
            return refuse(format!(
                "an advance of {parts} waits, timers, tasks and the like; at most {MAX_PARTS} are taken together"
            ));
        }
        if advance.history.len() > MAX_LINES {
            return refuse(format!(
                "{} lines of history in one advance; at most {MAX_LINES} are",
                advance.history.len()
            ));
        }
        let waits = advance.wait.len() + advance.set.len() + advance.ask.len();
        if !advance.phase.is_open() && waits > 0 {
            return refuse(format!(
                "an instance that is {} and waits for something",
                advance.phase.as_str()
            ));
        }
        let bodies = advance.ask.iter().map(|task| &task.body);
        if bodies
            .chain([&advance.state])
            .chain(&advance.summary)
            .any(|sealed| sealed.len() > MAX_PAYLOAD_BYTES)
        {
            return refuse(format!(
                "variables or a task of more than {MAX_PAYLOAD_BYTES} bytes"
            ));
        }
        for end in &advance.answer {
            super::tasks::check_end(end)?;
        }
        let Some(follow) = &advance.follow else {
            return Ok(());
        };
        if follow.dedup.is_some() {
            return refuse("an advance that would be recognised as a duplicate message".into());
        }
        self.check_acceptance(follow, true)
    }

    /// Applies an advance that [`Self::check_advance`] let pass.
    pub(super) fn advance(&mut self, advance: &Advance) -> rusqlite::Result<Advanced> {
        if advance.lease != self.shared.lease {
            return Ok(Advanced::Stale);
        }
        let known = match &advance.which {
            Which::New {
                process,
                key,
                again,
            } => {
                if self.is_taken(*process, key, *again)? {
                    return Ok(Advanced::Stale);
                }
                None
            }
            Which::Existing {
                id,
                revision,
                reopen,
            } => match self.as_read(*id, *revision, *reopen)? {
                Some(known) => Some(known),
                None => return Ok(Advanced::Stale),
            },
        };
        let own = known.as_ref().map(|known| known.id);
        if !self.is_there(&advance.take, own)? || !self.are_set(&advance.fire, own)? {
            return Ok(Advanced::Stale);
        }
        let mut events = Vec::new();
        for mail in &advance.take {
            events.extend(self.take(*mail)?);
        }
        let block = usize::from(known.is_none()) + advance.ask.len();
        let first = if block > 0 {
            self.ids.take(block, self.now)
        } else {
            Id::ZERO
        };
        let (id, revision, first_task) = match &known {
            Some(known) => (known.id, known.revision + 1, first),
            None => (InstanceId(first), 1, first.offset(1)),
        };
        self.put_instance(advance, known.as_ref(), id, revision)?;
        for event in events {
            self.sql
                .link
                .execute((event, id.0.as_i64(), LinkKind::Taken as u8))?;
        }
        self.put_state(id, &advance.state)?;
        if known.is_some() {
            self.close_parts(advance, id)?;
        }
        let mail = self.open_parts(advance, id)?;
        let (process, key) = match (&known, &advance.which) {
            (Some(known), _) => (known.process, &known.key),
            (None, Which::New { process, key, .. }) => (*process, key),
            (None, Which::Existing { .. }) => unreachable!("an existing instance is known"),
        };
        for (n, task) in (0..).zip(&advance.ask) {
            let place = (process, key, advance.facility);
            self.put_task(first_task.offset(n), id, task, place)?;
        }
        self.put_history(id, revision, &advance.history)?;
        let first = match &advance.follow {
            Some(follow) => Some(self.accept(follow, Some(id))?.first),
            None => None,
        };
        Ok(Advanced::Done {
            instance: id,
            revision,
            first,
            mail,
        })
    }

    /// Whether a process has an instance with this key that keeps another from beginning.
    fn is_taken(&self, process: Sym, key: &OrderingKey, again: bool) -> rusqlite::Result<bool> {
        // A key that begins again and again has many that ended: they are not looked at.
        let sql = if again {
            "SELECT 1 FROM instance INDEXED BY instance_open
             WHERE key_index = ?1 AND process = ?2 AND phase <= 2"
        } else {
            "SELECT 1 FROM instance INDEXED BY instance_key WHERE key_index = ?1 AND process = ?2"
        };
        self.conn
            .prepare_cached(sql)?
            .exists((key.index.0, process.0))
    }

    /// An instance, where it stands as it was read and may go on.
    fn as_read(
        &mut self,
        id: InstanceId,
        revision: u64,
        reopen: bool,
    ) -> rusqlite::Result<Option<Known>> {
        let known = self
            .sql
            .instance
            .query_row([id.0.as_i64()], |row| {
                Ok(Known {
                    id,
                    revision: row.get::<_, i64>(0)?.unsigned_abs(),
                    process: Sym(row.get(1)?),
                    definition: Sym(row.get(2)?),
                    key: rows::key(row, 3)?.ok_or_else(|| rows::unknown("an instance"))?,
                    phase: rows::phase(row.get(5)?)?,
                    status: row.get(6)?,
                    since: Timestamp(row.get(7)?),
                    owner: row.get(8)?,
                    due: row.get(9)?,
                })
            })
            .optional()?;
        let Some(known) = known.filter(|known| known.revision == revision) else {
            return Ok(None);
        };
        if known.phase.is_open() {
            return Ok(Some(known));
        }
        // Another may have begun with its key since it ended.
        let may = reopen && !self.is_taken(known.process, &known.key, true)?;
        Ok(may.then_some(known))
    }

    fn are_set(&self, timers: &[u32], own: Option<InstanceId>) -> rusqlite::Result<bool> {
        let Some(InstanceId(id)) = own else {
            return Ok(timers.is_empty());
        };
        let mut find = self
            .conn
            .prepare_cached("SELECT 1 FROM timer WHERE instance = ?1 AND number = ?2")?;
        for number in timers {
            if !find.exists((id.as_i64(), number))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes where an instance stands from now on.
    fn put_instance(
        &mut self,
        advance: &Advance,
        known: Option<&Known>,
        InstanceId(id): InstanceId,
        revision: u64,
    ) -> rusqlite::Result<()> {
        let since = known
            .filter(|known| known.phase == advance.phase)
            .map_or(self.now, |known| known.since);
        let ended = (!advance.phase.is_open()).then_some(since.0);
        let note = advance.note.as_ref();
        let summary = advance.summary.as_ref().map(Sealed::as_sealed_bytes);
        let status = advance.status.map_or(0, |status| status.0);
        let owner = advance.owner.map(|owner| owner.0);
        let due = advance.due.map(|due| due.0);
        let statement = if known.is_some() {
            &mut self.sql.advance
        } else {
            &mut self.sql.begin_instance
        };
        statement.raw_bind_parameter(1, id.as_i64())?;
        statement.raw_bind_parameter(2, revision as i64)?;
        statement.raw_bind_parameter(3, advance.definition.0)?;
        statement.raw_bind_parameter(4, advance.step.map(|step| step.0))?;
        statement.raw_bind_parameter(5, note.map(|note| note.code.as_str()))?;
        statement.raw_bind_parameter(6, note.map(note_text))?;
        statement.raw_bind_parameter(7, note.map(|note| note.fingerprint))?;
        statement.raw_bind_parameter(8, advance.facility.map(|facility| facility.0))?;
        statement.raw_bind_parameter(9, self.now.0)?;
        statement.raw_bind_parameter(10, since.0)?;
        statement.raw_bind_parameter(11, summary.map(|bytes| &bytes[..]))?;
        let process = match (known, &advance.which) {
            (Some(known), _) => {
                statement.raw_execute()?;
                if (known.phase, known.status) != (advance.phase, status) {
                    self.sql
                        .stand
                        .execute((id.as_i64(), advance.phase as u8, status, ended))?;
                }
                if known.owner != owner {
                    self.sql.owner.execute((id.as_i64(), owner))?;
                }
                if known.due != due {
                    self.sql.due.execute((id.as_i64(), due))?;
                }
                self.tally.instances(known.place(), -1);
                known.process
            }
            (None, Which::New { process, key, .. }) => {
                statement.raw_bind_parameter(12, process.0)?;
                statement.raw_bind_parameter(13, key.index.0)?;
                statement.raw_bind_parameter(14, key.shown.as_deref())?;
                statement.raw_bind_parameter(15, advance.phase as u8)?;
                statement.raw_bind_parameter(16, status)?;
                statement.raw_bind_parameter(17, ended)?;
                statement.raw_bind_parameter(18, owner)?;
                statement.raw_bind_parameter(19, due)?;
                statement.raw_execute()?;
                *process
            }
            (None, Which::Existing { .. }) => unreachable!("an existing instance is known"),
        };
        let place = InstancePlace {
            process,
            definition: advance.definition,
            phase: advance.phase as u8,
            status,
        };
        self.tally.instances(place, 1);
        Ok(())
    }

    fn put_state(&mut self, InstanceId(id): InstanceId, state: &Sealed) -> rusqlite::Result<()> {
        if state.is_empty() {
            self.conn
                .prepare_cached("DELETE FROM instance_state WHERE id = ?1")?
                .execute([id.as_i64()])?;
        } else {
            self.sql
                .state
                .execute((id.as_i64(), &state.as_sealed_bytes()[..]))?;
        }
        Ok(())
    }

    /// Ends what is no longer needed; all of it where the instance has ended.
    fn close_parts(&mut self, advance: &Advance, id: InstanceId) -> rusqlite::Result<()> {
        let own = id.0.as_i64();
        for end in &advance.answer {
            self.end_task(id, end)?;
        }
        self.withdraw(&advance.withdraw, id)?;
        if !advance.phase.is_open() {
            for sql in [
                "DELETE FROM wait WHERE instance = ?1",
                "DELETE FROM timer WHERE instance = ?1",
            ] {
                self.conn.prepare_cached(sql)?.execute([own])?;
            }
            return self.end_tasks(id);
        }
        for number in &advance.unwait {
            self.sql.unwait.execute((own, number))?;
        }
        // A number stands for one timer: setting one that is set moves it.
        let moved = advance.set.iter().map(|timer| &timer.number);
        for number in advance.fire.iter().chain(&advance.unset).chain(moved) {
            self.sql.unset.execute((own, number))?;
        }
        Ok(())
    }

    /// Cancels what is still owed for calls, without telling the instance: it asked for it.
    fn withdraw(&mut self, calls: &[u32], id: InstanceId) -> rusqlite::Result<()> {
        for number in calls {
            let owed: Vec<i64> = self
                .conn
                .prepare_cached(
                    "SELECT id FROM delivery INDEXED BY delivery_call
                     WHERE instance IS NOT NULL AND instance = ?1 AND call = ?2 AND state <= 2",
                )?
                .query_map((id.0.as_i64(), number), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for delivery in owed {
                let delivery = DeliveryId(Id::from_i64(delivery));
                self.end(delivery, DeliveryState::Cancelled, &withdrawn(), false)?;
            }
        }
        Ok(())
    }

    /// Begins what the instance waits for; true where mail for some of it is there that it has not
    /// seen.
    fn open_parts(&mut self, advance: &Advance, id: InstanceId) -> rusqlite::Result<bool> {
        let own = id.0.as_i64();
        let mut mail = false;
        for wait in &advance.wait {
            let (correlator, key) = (wait.correlator.0, wait.key.0);
            self.sql.wait.execute((correlator, key, own, wait.number))?;
            let there: bool = self
                .sql
                .mail_waits
                .query_row((correlator, key, self.now.0, wait.seen.0), |row| row.get(0))?;
            if there {
                self.renew_mail(wait)?;
                mail = true;
            }
        }
        for timer in &advance.set {
            self.sql.timer.execute((timer.due.0, own, timer.number))?;
            if self.heard {
                self.timed = Some(self.timed.map_or(timer.due, |due| due.min(timer.due)));
            }
        }
        Ok(mail)
    }

    fn put_task(
        &mut self,
        task_id: Id,
        InstanceId(id): InstanceId,
        task: &NewTask,
        (process, key, facility): (Sym, &OrderingKey, Option<Sym>),
    ) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO task (id, instance, number, process, key_index, key_text, step, role, facility,
                     asked, due, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute((
                task_id.as_i64(),
                id.as_i64(),
                task.number,
                process.0,
                key.index.0,
                key.shown.as_deref(),
                task.step.0,
                task.role.0,
                facility.map(|facility| facility.0),
                self.now.0,
                task.due.map(|due| due.0),
                &task.body.as_sealed_bytes()[..],
            ))?;
        Ok(())
    }

    fn put_history(
        &mut self,
        InstanceId(id): InstanceId,
        revision: u64,
        lines: &[History],
    ) -> rusqlite::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines: Vec<[&str; 3]> = lines
            .iter()
            .map(|line| [&line.step, &line.what, kept_text(&line.text)])
            .collect();
        let text = serde_json::to_string(&lines)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.sql
            .history
            .execute((id.as_i64(), revision as i64, self.now.0, text))?;
        Ok(())
    }
}

/// Why a delivery ended whose instance no longer wants it.
fn withdrawn() -> Note {
    Note {
        code: WITHDRAWN.into(),
        text: "withdrawn by the process that asked for it".into(),
        fingerprint: 0,
    }
}
