//! The one thread that writes: takes what is queued, commits it as one transaction, answers.
//!
//! It never waits for more work on purpose, except with what nobody waits for: that rides with
//! the next call that somebody does wait for. While one transaction is being synced the next
//! batch gathers by itself, so the size of batches follows the load: one call alone costs
//! one commit, hundreds share it. Each call stands or falls alone, without savepoints: what
//! could be refused is checked before the first row of the call is written, and when the
//! database refuses a transaction of several calls, each is tried again by itself.

use super::Shared;
use super::ids::IdSource;
use super::inbox::Inbox;
use super::keyed::Keyed;
use super::mail::Post;
use super::prune::PruneCursor;
use super::queue::{Answer, Request, Work};
use super::runs::RunSource;
use super::schema::PAGE_BYTES;
use super::statements::Statements;
use super::tally::Tally;
use super::terms::TermBucket;
use super::trouble::{Fatal, Stage, Verdict, judge};
use crate::CommitListener;
use crate::error::StoreError;
use crate::query::Ready;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use wardline_core::{Id, Sym, Timestamp};

/// Most calls in one transaction.
const BATCH_CALLS: usize = 512;
/// Most changes in one transaction, where calls bring many.
const BATCH_CHANGES: usize = 4_096;
/// Bytes of payload after which a batch is full.
const BATCH_BYTES: usize = 4 << 20;
/// The log is copied back when it is this long and nobody waits …
const CHECKPOINT_IDLE_BYTES: u64 = 4 << 20;
/// … or this long, whoever waits.
const CHECKPOINT_BYTES: u64 = 16 << 20;
/// How long the writer waits for reads to end before it goes on with a long log.
const READS_END_WITHIN: Duration = Duration::from_secs(2);
/// How long what a commit made owed waits for the next commit to begin.
const HEAD_START: Duration = Duration::from_micros(300);
/// How long calls that nobody waits for wait for one to ride with, and how many of their changes.
const RIDE_WITHIN: Duration = Duration::from_millis(3);
const RIDE_MOST: usize = 48;
/// How often a store in trouble tries whether it can write again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What the writer continues from.
pub(super) struct Start {
    pub(super) ids: IdSource,
    pub(super) tally: Tally,
    pub(super) inbox: Inbox,
    pub(super) keyed: Keyed,
    pub(super) post: Post,
    pub(super) runs: RunSource,
    pub(super) audit_next: u64,
}

/// The state of the writing thread.
pub(super) struct Writer<'c> {
    pub(super) conn: &'c Connection,
    pub(super) sql: Statements<'c>,
    pub(super) shared: Arc<Shared>,
    pub(super) ids: IdSource,
    pub(super) tally: Tally,
    pub(super) terms: TermBucket,
    pub(super) runs: RunSource,
    pub(super) inbox: Inbox,
    pub(super) keyed: Keyed,
    pub(super) post: Post,
    pub(super) prune: PruneCursor,
    /// Deliveries that became owed in the transaction at hand.
    pub(super) ready: Vec<Ready>,
    /// The earliest of the timers set in the transaction at hand.
    pub(super) timed: Option<Timestamp>,
    /// Whether anyone listens, so that `ready` and the like are worth filling.
    pub(super) heard: bool,
    /// The time that the transaction at hand is made at.
    pub(super) now: Timestamp,
    /// Reused by [`Self::accept`]: which messages something follows from.
    pub(super) followed: Vec<bool>,
    pub(super) new_names: Vec<(Sym, Arc<str>)>,
    audit_next: u64,
    pub(super) audit_staged: u64,
    wal_pages: Arc<AtomicU64>,
    /// Pages of the log that the last checkpoint copied: the log begins anew only once no
    /// reader needs it.
    copied_pages: u64,
    /// Bytes of the log at which it should begin anew.
    anew_bytes: u64,
    fatal: Fatal,
    /// Whoever was told of the last commit and has not been let begin.
    told: Option<Arc<dyn CommitListener>>,
}

/// Why a call changed nothing: the database failed, or the call was refused before anything
/// of it was written.
pub(super) enum Halt {
    Sqlite(rusqlite::Error),
    Refused(StoreError),
}

impl From<rusqlite::Error> for Halt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        shared: Arc<Shared>,
        start: Start,
        wal_pages: Arc<AtomicU64>,
        fatal: Fatal,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            sql: Statements::prepare(conn)?,
            now: shared.clock.now(),
            anew_bytes: shared.log_bytes,
            shared,
            ids: start.ids,
            tally: start.tally,
            terms: TermBucket::default(),
            runs: start.runs,
            inbox: start.inbox,
            keyed: start.keyed,
            post: start.post,
            prune: PruneCursor::default(),
            ready: Vec::new(),
            timed: None,
            heard: false,
            followed: Vec::new(),
            new_names: Vec::new(),
            audit_next: start.audit_next,
            audit_staged: start.audit_next,
            wal_pages,
            copied_pages: 0,
            fatal,
            told: None,
        })
    }

    /// Serves until the queue is closed and empty, or the state of the disk is unknown.
    pub(super) fn serve(&mut self, queue: &mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH_CALLS);
        loop {
            let first = if self.shared.health.in_trouble() {
                self.let_begin();
                match queue.recv_timeout(PROBE_EVERY) {
                    Ok(request) => Some(request),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        if self.probe().is_err() {
                            return;
                        }
                        continue;
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match self.next(queue, &mut batch) {
                    Ok(request) => request,
                    Err(mpsc::RecvError) => break,
                }
            };
            let drained = gather(first, queue, &mut batch);
            let closing = batch.pop_if(|request| matches!(request.work, Work::Close));
            if self.run(&mut batch).is_err() {
                return;
            }
            let due = self.uncopied_bytes();
            if (due >= CHECKPOINT_IDLE_BYTES && drained || due >= CHECKPOINT_BYTES)
                && self.checkpoint().is_err()
            {
                return;
            }
            if self.wal_bytes() >= self.anew_bytes && self.begin_anew().is_err() {
                return;
            }
            if let Some(request) = closing {
                self.finish();
                // Whoever closed may have stopped waiting; the store is closed all the same.
                drop(request.reply.send(Ok(Answer::Closed)));
                return;
            }
        }
        self.finish();
    }

    /// Commits a batch and answers every call in it; `Err` when the writer must end.
    pub(super) fn run(&mut self, batch: &mut Vec<Request>) -> Result<(), ()> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.transact(batch) {
            Ok(answers) => {
                self.announce();
                for (request, answer) in batch.drain(..).zip(answers) {
                    answer_call(request, answer);
                }
                Ok(())
            }
            Err(Verdict::Fatal(reason)) => {
                self.die(&reason, batch);
                Err(())
            }
            Err(Verdict::Environment(error)) => {
                self.shared.health.trouble(&error);
                for request in batch.drain(..) {
                    answer_call(request, Err(error.clone()));
                }
                Ok(())
            }
            Err(Verdict::Refused(error)) if batch.len() == 1 => {
                for request in batch.drain(..) {
                    answer_call(request, Err(error.clone()));
                }
                Ok(())
            }
            Err(Verdict::Refused(_)) => {
                let mut rest: Vec<Request> = std::mem::take(batch);
                let mut alone = Vec::with_capacity(1);
                let mut rest_iter = rest.drain(..);
                while let Some(request) = rest_iter.next() {
                    alone.push(request);
                    if self.run(&mut alone).is_err() {
                        for request in rest_iter {
                            answer_call(request, Err(StoreError::Closed));
                        }
                        return Err(());
                    }
                }
                Ok(())
            }
        }
    }

    /// One transaction. On `Err` nothing of it remains, in memory or on disk.
    fn transact(&mut self, batch: &[Request]) -> Result<Vec<Result<Answer, StoreError>>, Verdict> {
        self.now = self.shared.clock.now();
        self.heard = self.shared.listener.read().is_some();
        let mut answers = Vec::with_capacity(batch.len());
        let mut changes = 0;
        let done = (|| {
            self.sql.begin.execute([])?;
            self.inbox.begin();
            for request in batch {
                answers.push(match self.apply(&request.work) {
                    Ok(answer) => Ok(answer),
                    Err(Halt::Refused(error)) => Err(error),
                    Err(Halt::Sqlite(error)) => return Err(error),
                });
                if let Work::Commit(list) = &request.work {
                    changes += list.len() as u64;
                }
            }
            self.terms.flush(&mut self.sql)?;
            self.inbox.advance(self.conn)?;
            self.tally.flush(self.conn, self.now)
        })();
        self.let_begin();
        let done = done.map_err(|error| (Stage::Work, error)).and_then(|()| {
            self.sql
                .commit
                .execute([])
                .map(|_| ())
                .map_err(|error| (Stage::Commit, error))
        });
        match done {
            Ok(()) => {
                self.tally.committed();
                self.terms.committed();
                self.runs.committed();
                self.inbox.committed();
                self.keyed.committed();
                self.post.committed();
                self.audit_next = self.audit_staged;
                if !self.new_names.is_empty() {
                    let mut names = self.shared.names.write();
                    for (sym, name) in self.new_names.drain(..) {
                        names.insert(sym, name);
                    }
                }
                self.shared.health.committed(changes, self.wal_bytes());
                Ok(answers)
            }
            Err((stage, error)) => {
                let doing = match stage {
                    Stage::Work => "writing to the journal",
                    Stage::Commit => "committing to the journal",
                };
                let verdict = judge(&self.shared.path, doing, stage, &error);
                self.roll_back()?;
                Err(verdict)
            }
        }
    }

    /// Takes back the transaction at hand, with everything remembered of it.
    fn roll_back(&mut self) -> Result<(), Verdict> {
        self.tally.rolled_back();
        self.terms.rolled_back();
        self.runs.rolled_back();
        self.inbox.rolled_back();
        self.keyed.rolled_back();
        self.post.rolled_back();
        self.prune.rolled_back();
        self.new_names.clear();
        self.ready.clear();
        self.timed = None;
        self.audit_staged = self.audit_next;
        // SQLite itself rolls back on the graver errors.
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            let reason = format!("a transaction could not be taken back ({error})");
            return Err(Verdict::Fatal(reason));
        }
        Ok(())
    }

    /// Tells the listener what is owed now, what mail came, and when it must wake.
    fn announce(&mut self) {
        if self.ready.is_empty() && self.post.told().is_empty() && self.timed.is_none() {
            return;
        }
        let listener = self.shared.listener.read().clone();
        if let Some(listener) = listener {
            if !self.ready.is_empty() {
                self.ready.sort_by_key(|ready| ready.id);
                listener.committed(&self.ready);
            }
            if !self.post.told().is_empty() {
                listener.mailed(self.post.told());
            }
            if let Some(earliest) = self.timed {
                listener.timed(earliest);
            }
            self.told = Some(listener);
        }
        self.ready.clear();
        self.ready.shrink_to(BATCH_CHANGES);
        self.post.announced();
        self.timed = None;
    }

    /// Lets whoever was told begin. Where there is little to do that is when the disk writes the
    /// next commit: before, it would only take the processor from the sender whose next message
    /// is on its way.
    fn let_begin(&mut self) {
        if let Some(listener) = self.told.take() {
            listener.answered();
        }
    }

    /// The next call that somebody waits for. Those that nobody waits for are put into `batch`
    /// meanwhile; `None` where they have waited long enough for one to ride with.
    pub(super) fn next(
        &mut self,
        queue: &mpsc::Receiver<Request>,
        batch: &mut Vec<Request>,
    ) -> Result<Option<Request>, mpsc::RecvError> {
        let mut until = None;
        let mut changes = 0;
        loop {
            let Some(request) = self.receive(queue, until)? else {
                return Ok(None);
            };
            if !request.patient {
                return Ok(Some(request));
            }
            until.get_or_insert_with(|| Instant::now() + RIDE_WITHIN);
            changes += request.changes();
            batch.push(request);
            if changes >= RIDE_MOST {
                return Ok(None);
            }
        }
    }

    /// The next call, or `None` at this time. Lets what the last commit made owed begin once
    /// the next transaction begins, or has not for a while.
    fn receive(
        &mut self,
        queue: &mpsc::Receiver<Request>,
        until: Option<Instant>,
    ) -> Result<Option<Request>, mpsc::RecvError> {
        if self.told.is_some() {
            if let Ok(request) = queue.try_recv() {
                self.let_begin();
                return Ok(Some(request));
            }
            match queue.recv_timeout(HEAD_START) {
                Ok(request) => return Ok(Some(request)),
                Err(mpsc::RecvTimeoutError::Timeout) => self.let_begin(),
                Err(mpsc::RecvTimeoutError::Disconnected) => {}
            }
        }
        let Some(until) = until else {
            return queue.recv().map(Some);
        };
        let left = until.saturating_duration_since(Instant::now());
        // Where the queue is closed what has waited is still done; the next call tells.
        Ok(queue.recv_timeout(left).ok())
    }

    /// Tries whether a store in trouble takes writes again.
    pub(super) fn probe(&mut self) -> Result<(), ()> {
        let tried = super::schema::set_internal(self.conn, "probed_at", self.shared.clock.now().0);
        match tried
            .map_err(|error| judge(&self.shared.path, "trying to write", Stage::Commit, &error))
        {
            Ok(()) => {
                self.shared.health.committed(0, self.wal_bytes());
                Ok(())
            }
            Err(Verdict::Fatal(reason)) => {
                self.die(&reason, &mut Vec::new());
                Err(())
            }
            Err(Verdict::Environment(error) | Verdict::Refused(error)) => {
                self.shared.health.trouble(&error);
                Ok(())
            }
        }
    }

    fn wal_bytes(&self) -> u64 {
        self.wal_pages.load(Ordering::Relaxed) * PAGE_BYTES
    }

    /// Bytes of the log that are not in the database yet.
    fn uncopied_bytes(&mut self) -> u64 {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.copied_pages {
            self.copied_pages = 0;
        }
        (pages - self.copied_pages) * PAGE_BYTES
    }

    /// Copies the log back into the database as far as readers allow.
    fn checkpoint(&mut self) -> Result<(), ()> {
        let copied = self.sql.checkpoint.query_row([], |row| row.get(2));
        self.copied(copied)
    }

    /// Copies all of the log back and empties it, with all reads held back. They never leave a
    /// gap by themselves when enough is read, and the log would grow as long as that lasts.
    fn begin_anew(&mut self) -> Result<(), ()> {
        let shared = Arc::clone(&self.shared);
        let turn = shared.turn.try_write_for(READS_END_WITHIN);
        if turn.is_none() {
            tracing::warn!(
                log_bytes = self.wal_bytes(),
                "a read takes so long that the log cannot begin anew; it grows meanwhile"
            );
        }
        let (sql, emptied) = if turn.is_some() {
            ("PRAGMA wal_checkpoint(TRUNCATE)", true)
        } else {
            ("PRAGMA wal_checkpoint(PASSIVE)", false)
        };
        let copied = self.conn.query_row(sql, [], |row| {
            // Another process may read too, as a backup does.
            Ok((row.get::<_, i64>(0)? == 0, row.get(2)?))
        });
        let emptied = emptied && matches!(copied, Ok((true, _)));
        if emptied {
            self.wal_pages.store(0, Ordering::Relaxed);
        }
        self.anew_bytes = if emptied {
            self.shared.log_bytes
        } else {
            self.wal_bytes() + self.shared.log_bytes
        };
        self.copied(copied.map(|(_, pages)| pages))
    }

    fn copied(&mut self, copied: rusqlite::Result<i64>) -> Result<(), ()> {
        match copied {
            Ok(copied) => {
                self.copied_pages = u64::try_from(copied).unwrap_or(0);
                Ok(())
            }
            Err(error) => match judge(
                &self.shared.path,
                "copying the log back",
                Stage::Work,
                &error,
            ) {
                Verdict::Fatal(reason) => {
                    self.die(&reason, &mut Vec::new());
                    Err(())
                }
                Verdict::Environment(error) | Verdict::Refused(error) => {
                    // The log still holds everything; the next commit tries again.
                    self.shared.health.trouble(&error);
                    Ok(())
                }
            },
        }
    }

    /// The last act of an orderly end: an empty log makes the next start quick.
    pub(super) fn finish(&mut self) {
        self.let_begin();
        if let Err(error) = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the log stays as it is; the next start reads it");
        }
    }

    fn die(&mut self, reason: &str, batch: &mut Vec<Request>) {
        self.fatal.strike(reason);
        let error = StoreError::Database {
            doing: "keeping the journal",
            reason: reason.to_owned(),
        };
        self.shared.health.trouble(&error);
        for request in batch.drain(..) {
            answer_call(request, Err(error.clone()));
        }
    }

    /// The highest id given so far.
    pub(super) fn last_id(&self) -> Id {
        self.ids.last()
    }
}

/// Takes what is queued, up to a full batch; true when the queue was emptied. A
/// [`Work::Close`] is always the last of a batch.
pub(super) fn gather(
    first: Option<Request>,
    queue: &mpsc::Receiver<Request>,
    batch: &mut Vec<Request>,
) -> bool {
    let mut bytes: usize = batch.iter().map(|request| request.bytes).sum();
    let mut changes: usize = batch.iter().map(Request::changes).sum();
    let mut next = first.or_else(|| queue.try_recv().ok());
    while let Some(request) = next {
        bytes += request.bytes;
        changes += match &request.work {
            // Retention gives way: a step of it ends the batch.
            Work::Prune(_) => BATCH_CHANGES,
            _ => request.changes(),
        };
        let closes = matches!(request.work, Work::Close);
        batch.push(request);
        if closes {
            return true;
        }
        if batch.len() >= BATCH_CALLS || changes >= BATCH_CHANGES || bytes >= BATCH_BYTES {
            return false;
        }
        next = queue.try_recv().ok();
    }
    true
}

fn answer_call(request: Request, answer: Result<Answer, StoreError>) {
    drop(request.room);
    // A caller that stopped waiting has its changes all the same; nobody is left to tell.
    drop(request.reply.send(answer));
}
