//! One job while it runs: begins when it is due or asked for, takes page after page, and commits
//! each piece together with how far it came.

use super::Trouble;
use super::ask::{self, Page};
use super::deliver;
use super::ledger::{self, Book, FILES, Ledger, Place, Problem, Run, State, Written};
use super::part::Part;
use super::records;
use crate::accept::{AcceptError, Acceptor, unique_id};
use crate::codes;
use crate::dispatch::share::CallGate;
use crate::plan::JobPlan;
use crate::schedule::next_due;
use bytes::Bytes;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wardline_connect::Outbound;
use wardline_connect::files::Place as Directory;
use wardline_core::Timestamp;
use wardline_estate::model::{JobFile, JobPaging, JobWindow, JobWrite};
use wardline_store::Change;

/// Records of one commit: few, so that nobody waits behind them for long.
const PIECE: usize = 100;
/// Tries of one step before a run fails; with pauses up to a minute, some ten minutes.
const TRIES: u32 = 15;
/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_mins(1);
/// How often it is looked whether what it waits for is over.
const LOOK: Duration = Duration::from_millis(250);
/// The longest rest after a piece.
const REST: Duration = Duration::from_secs(1);

/// One job while an engine runs.
pub(crate) struct Worker {
    pub(crate) job: Arc<JobPlan>,
    pub(crate) book: Arc<Book>,
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) gate: CallGate,
    /// Who writes its files.
    pub(crate) files: Option<Arc<dyn Outbound>>,
    /// Where rows wait.
    pub(crate) room: Option<PathBuf>,
    pub(crate) acceptor: Arc<Acceptor>,
}

/// Why work stopped for now.
enum Halt {
    /// Somebody decided so, or the server stops.
    Told,
    Trouble(Trouble),
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<AcceptError> for Halt {
    fn from(error: AcceptError) -> Self {
        Self::Trouble(error.into())
    }
}

impl Worker {
    /// Works until told to stop. What is committed then is all that counts.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.see_whether_it_can_go_on().await;
        while !stop.is_cancelled() {
            let turned = self.book.turned.notified();
            if self.book.ledger.lock().await.running().is_some() {
                self.work(&stop).await;
                continue;
            }
            let due = self.due().await;
            let wait = due.map_or(Duration::from_secs(30), |due| {
                due.since(self.acceptor.clock.now())
                    .min(Duration::from_secs(30))
            });
            tokio::select! {
                () = turned => {}
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            if let Some(due) = due
                && self.acceptor.clock.now() >= due
            {
                self.begin_by_schedule(due).await;
            }
        }
    }

    /// A run that began by another declaration cannot go on by this one.
    async fn see_whether_it_can_go_on(&self) {
        let changed = {
            let ledger = self.book.ledger.lock().await;
            ledger.open().is_some_and(|run| run.said != self.job.said)
        };
        if changed {
            let problem = Trouble::lasting(
                codes::JOB_CHANGED,
                "what the job reads or writes was declared anew since this run began",
            );
            self.fail(&problem).await;
        }
    }

    /// When its schedule comes due next.
    async fn due(&self) -> Option<Timestamp> {
        let every = self.job.declared.every.as_ref()?;
        let zone = &self.job.declared.time_zone.value;
        let mut ledger = self.book.ledger.lock().await;
        let last = if let Some(last) = ledger.due {
            last
        } else {
            let now = self.acceptor.clock.now();
            let mut next = ledger.clone();
            next.due = Some(now);
            // Where it cannot be kept it is counted again from the next start.
            if self.keep(&next, Vec::new()).await.is_ok() {
                *ledger = next;
            }
            now
        };
        next_due(&every.value, zone, last)
    }

    async fn begin_by_schedule(&self, due: Timestamp) {
        let mut ledger = self.book.ledger.lock().await;
        let mut next = ledger.clone();
        // Times that were missed are made up for once.
        next.due = Some(self.acceptor.clock.now().max(due));
        if ledger.open().is_some() {
            tracing::warn!(job = %self.job.name, "due again while a run is under way; no other begins");
        } else {
            start(&self.job, &self.acceptor, &mut next, "schedule");
        }
        match self.keep(&next, Vec::new()).await {
            Ok(()) => *ledger = next,
            Err(error) => {
                tracing::error!(job = %self.job.name, code = %error.code, error = %error.text, "a run could not begin");
            }
        }
    }

    async fn keep(&self, ledger: &Ledger, mut changes: Vec<Change>) -> Result<(), Trouble> {
        changes.push(ledger::keep(&self.acceptor.vault, &self.job.name, ledger)?);
        self.acceptor.store.commit(changes).await?;
        Ok(())
    }

    /// Works on the run that is under way until it ends, or somebody says otherwise.
    async fn work(&self, stop: &CancellationToken) {
        let Some(id) = self.running_id().await else {
            return;
        };
        let mut tries = 0;
        loop {
            let before = Instant::now();
            match self.step(&id, stop).await {
                Ok(true) => {
                    tracing::info!(job = %self.job.name, run = id, "a run is done");
                    break;
                }
                Ok(false) => tries = 0,
                Err(Halt::Told) => break,
                Err(Halt::Trouble(trouble)) => {
                    let Some(wanted) = trouble.again.filter(|_| tries < TRIES) else {
                        self.fail(&trouble).await;
                        break;
                    };
                    // An export that is being made is no failure, however long it takes.
                    let made = trouble.code == wardline_connect::codes::FHIR_EXPORTING;
                    tries += u32::from(!made);
                    let pause = Duration::from_secs(1 << tries.min(6))
                        .min(LONGEST)
                        .max(wanted);
                    if made {
                        tracing::debug!(job = %self.job.name, "{}", trouble.text);
                    } else {
                        tracing::warn!(job = %self.job.name, code = %trouble.code, error = %trouble.text, tries, "a step is tried again");
                    }
                    *self.book.waits.lock() = Some(format!("{}: {}", trouble.code, trouble.text));
                    if self.pause(&id, pause, stop).await.is_err() {
                        break;
                    }
                    continue;
                }
            }
            // Others have the journal and the processor for as long as this took.
            let rest = before.elapsed().min(REST);
            if self.pause(&id, rest, stop).await.is_err() {
                break;
            }
        }
        *self.book.waits.lock() = None;
        let cancelled = {
            let ledger = self.book.ledger.lock().await;
            let newest = ledger.runs.front();
            newest.is_some_and(|run| run.state == State::Cancelled)
        };
        if cancelled && let Ok(part) = self.part() {
            part.forget();
        }
    }

    async fn running_id(&self) -> Option<String> {
        let ledger = self.book.ledger.lock().await;
        ledger.running().map(|run| run.id.clone())
    }

    /// Waits, unless somebody decides that there is nothing to wait for.
    async fn pause(&self, id: &str, wait: Duration, stop: &CancellationToken) -> Result<(), Halt> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            let turned = self.book.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            if self.running_id().await.as_deref() != Some(id) {
                return Err(Halt::Told);
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = turned => {}
                () = stop.cancelled() => return Err(Halt::Told),
            }
        }
    }

    /// One step: a page, or the end. Says whether the run is done.
    async fn step(&self, id: &str, stop: &CancellationToken) -> Result<bool, Halt> {
        self.wait_for_window(id, stop).await?;
        let (place, began) = {
            let ledger = self.book.ledger.lock().await;
            let run = ledger.running().filter(|run| run.id == id);
            let run = run.ok_or(Halt::Told)?;
            (run.place.clone(), run.began)
        };
        if place.read {
            return self.end(id, &place, began).await;
        }
        let size = self.size();
        let key = format!(
            "{id}-{}",
            ask::digest(
                place
                    .at
                    .iter()
                    .map(ToString::to_string)
                    .collect::<String>()
                    .as_bytes()
            )
        );
        let begun = Instant::now();
        let page = ask::page(&self.job, &*self.outbound, &self.gate, &place, size, &key);
        let page = tokio::select! {
            page = page => page?,
            () = stop.cancelled() => return Err(Halt::Told),
        };
        let next = self.next_place(&place, &page)?;
        let records = page.records.len();
        match &self.job.declared.write {
            JobWrite::File(file) => self.write(id, file, &place, next, page, began).await?,
            JobWrite::Messages => self.tell(id, &place, next, page, stop).await?,
        }
        if let Some(rate) = self.job.declared.rate {
            let due = Duration::from_secs_f64((records as f64 / rate).min(86_400.0));
            self.pause(id, due.saturating_sub(begun.elapsed()), stop)
                .await?;
        }
        Ok(false)
    }

    /// Records of a page; a file may hold fewer.
    fn size(&self) -> u32 {
        let size = self.job.declared.read.page.size;
        match &self.job.declared.write {
            JobWrite::File(JobFile {
                split: Some(split), ..
            }) => size.min(*split),
            _ => size,
        }
    }

    /// Where the run stands when all of a page is dealt with.
    fn next_place(&self, place: &Place, page: &Page) -> Result<Place, Trouble> {
        let mut next = place.clone();
        next.skip = 0;
        let circle = || {
            Trouble::lasting(
                codes::JOB_CIRCLE,
                "the source gives the same again and again, and would for ever",
            )
        };
        if self.job.declared.read.page.by == JobPaging::Offset
            && !page.records.is_empty()
            && place.page.as_ref() == Some(&page.digest)
        {
            return Err(circle());
        }
        next.page = Some(page.digest.clone());
        match &page.next {
            None => next.read = true,
            Some(at) => {
                let digest = ask::digest(at.to_string().as_bytes());
                let stands = place.at.as_ref() == Some(at);
                if next.goes_to(at.clone(), digest) || stands {
                    return Err(circle());
                }
            }
        }
        Ok(next)
    }

    /// Commits changes with how far the run came, unless somebody decided otherwise meanwhile.
    async fn commit(
        &self,
        id: &str,
        changes: Vec<Change>,
        note: impl FnOnce(&mut Run),
    ) -> Result<(), Halt> {
        let mut ledger = self.book.ledger.lock().await;
        if ledger.running().is_none_or(|run| run.id != id) {
            return Err(Halt::Told);
        }
        let mut next = ledger.clone();
        if let Some(run) = next.runs.front_mut() {
            note(run);
        }
        self.keep(&next, changes).await?;
        *ledger = next;
        Ok(())
    }

    /// Records become messages, a few a commit.
    async fn tell(
        &self,
        id: &str,
        place: &Place,
        next: Place,
        page: Page,
        stop: &CancellationToken,
    ) -> Result<(), Halt> {
        let total = page.total;
        let records = page.records.len();
        let mut done = place.skip.min(records);
        loop {
            self.wait_for_room(id, stop).await?;
            let begun = Instant::now();
            let piece: Vec<Bytes> = page.records[done..]
                .iter()
                .take(PIECE)
                .map(|record| Bytes::from(record.to_string()))
                .collect();
            let count = piece.len();
            let plan = self.acceptor.plan();
            let changes = self.acceptor.records(&plan, &self.job.name, piece)?;
            done += count;
            let last = done >= records;
            let (place, next) = (place, &next);
            self.commit(id, changes, |run| {
                run.place = if last {
                    next.clone()
                } else {
                    Place {
                        skip: done,
                        ..place.clone()
                    }
                };
                run.counts.read += count as u64;
                run.counts.written += count as u64;
                run.counts.pages += u64::from(last);
                run.total = total.or(run.total);
                run.worked_ms += millis(begun.elapsed());
            })
            .await?;
            if last {
                return Ok(());
            }
            self.pause(id, begun.elapsed().min(REST), stop).await?;
        }
    }

    /// Rows wait for their file to be whole.
    async fn write(
        &self,
        id: &str,
        file: &JobFile,
        place: &Place,
        mut next: Place,
        page: Page,
        began: Timestamp,
    ) -> Result<(), Halt> {
        let begun = Instant::now();
        let part = self.part()?;
        let total = page.total;
        let read = page.records.len() as u64;
        let job = Arc::clone(&self.job);
        let full = |rows: u64| {
            file.split
                .is_some_and(|split| place.rows > 0 && place.rows + rows > u64::from(split))
        };
        let records = page.records;
        let making = tokio::task::spawn_blocking(move || records::rows(&job, &records));
        let rows = making
            .await
            .map_err(|error| Trouble::passing(codes::JOB_STUCK, error.to_string()))?;
        if full(rows.written) {
            let written = self.hand_over(file, place, began).await?;
            next.part = place.part + 1;
            next.rows = 0;
            next.bytes = 0;
            let (part, changes) = (next.part, Vec::new());
            // On its own: what comes next takes the place of these rows.
            self.commit(id, changes, |run| {
                (run.place.part, run.place.rows, run.place.bytes) = (part, 0, 0);
                noted(run, written);
            })
            .await?;
        }
        if rows.written > 0 {
            let (length, lines) = (next.bytes, rows.lines);
            let adding = tokio::task::spawn_blocking(move || part.add(length, &lines));
            next.bytes = adding
                .await
                .map_err(|error| Trouble::passing(codes::JOB_STUCK, error.to_string()))??;
            next.rows += rows.written;
        }
        let refused = rows.refused.len() as u64;
        // With how far the run came, so that none is told twice.
        let changes = deliver::refused(&self.acceptor, &self.job.name, rows.refused)?;
        self.commit(id, changes, |run| {
            run.place = next;
            run.counts.read += read;
            run.counts.pages += 1;
            run.counts.written += rows.written;
            run.counts.left_out += rows.left_out;
            run.counts.refused += refused;
            run.total = total.or(run.total);
            run.worked_ms += millis(begun.elapsed());
        })
        .await?;
        let refused = self.refused().await;
        let limit = self.job.declared.errors;
        if refused > u64::from(limit) {
            return Err(Halt::Trouble(Trouble::lasting(
                codes::JOB_REFUSES,
                format!("{refused} records were refused, and `errors` allows {limit}"),
            )));
        }
        Ok(())
    }

    async fn refused(&self) -> u64 {
        let ledger = self.book.ledger.lock().await;
        ledger.running().map_or(0, |run| run.counts.refused)
    }

    fn part(&self) -> Result<Part, Trouble> {
        let room = self.room.as_ref().ok_or_else(|| {
            Trouble::lasting(codes::JOB_ROOM, "this engine has no directory for rows")
        })?;
        Ok(Part::of(
            room,
            &self.job.name,
            Arc::clone(&self.acceptor.vault),
        ))
    }

    /// Writes the file whose rows wait. Tried again after a crash it is the same file with the same name.
    async fn hand_over(
        &self,
        file: &JobFile,
        place: &Place,
        began: Timestamp,
    ) -> Result<Written, Trouble> {
        let Directory { directory, below } = self
            .files
            .as_ref()
            .and_then(|files| files.place())
            .ok_or_else(|| {
                Trouble::passing(
                    codes::JOB_FILE,
                    format!("{} takes no files now", file.connection.value),
                )
            })?;
        let name = self.name(file, place.part, began);
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        let part = self.part()?;
        let (length, rows, job) = (place.bytes, place.rows, Arc::clone(&self.job));
        let writing = tokio::task::spawn_blocking(move || {
            let format = records::format(&job);
            let mut whole = part.whole(length, format, Arc::clone(&job.columns))?;
            directory.write(&path, &mut whole).map_err(|error| {
                let text = format!(
                    "{} was not written into {}: {error}",
                    path,
                    directory.describe()
                );
                if error.kind() == std::io::ErrorKind::InvalidInput {
                    Trouble::lasting(codes::JOB_FILE, text)
                } else {
                    Trouble::passing(codes::JOB_FILE, text)
                }
            })?;
            Ok::<u64, Trouble>(whole.given())
        });
        let bytes = writing
            .await
            .map_err(|error| Trouble::passing(codes::JOB_STUCK, error.to_string()))??;
        Ok(Written { name, rows, bytes })
    }

    fn name(&self, file: &JobFile, part: u32, began: Timestamp) -> String {
        let zone = jiff::tz::TimeZone::get(&self.job.declared.time_zone.value)
            .unwrap_or(jiff::tz::TimeZone::UTC);
        let at = jiff::Timestamp::from_microsecond(began.0)
            .unwrap_or_default()
            .to_zoned_datetime(zone);
        file.name
            .value
            .replace("{date}", &at.strftime("%Y-%m-%d").to_string())
            .replace("{time}", &at.strftime("%H%M%S").to_string())
            .replace("{run}", &unique_of(began))
            .replace("{part}", &format!("{part:04}"))
    }

    /// All pages were read.
    async fn end(&self, id: &str, place: &Place, began: Timestamp) -> Result<bool, Halt> {
        let written = match &self.job.declared.write {
            // One without records is a file all the same: whoever waits for it knows that there is nothing.
            JobWrite::File(file) => Some(self.hand_over(file, place, began).await?),
            JobWrite::Messages => None,
        };
        let now = self.acceptor.clock.now();
        let onward = self.job.declared.read.page.onward;
        let mut ledger = self.book.ledger.lock().await;
        if ledger.running().is_none_or(|run| run.id != id) {
            return Err(Halt::Told);
        }
        let mut next = ledger.clone();
        if onward {
            next.onward = place.at.clone().or(next.onward);
        }
        if let Some(run) = next.runs.front_mut() {
            run.state = State::Done;
            run.ended = Some(now);
            if let Some(written) = written {
                noted(run, written);
            }
        }
        self.keep(&next, Vec::new()).await?;
        *ledger = next;
        drop(ledger);
        if let Ok(part) = self.part() {
            part.forget();
        }
        Ok(true)
    }

    /// The run cannot go on; how far it came stays.
    async fn fail(&self, trouble: &Trouble) {
        tracing::error!(job = %self.job.name, code = %trouble.code, error = %trouble.text, "a run failed");
        let mut ledger = self.book.ledger.lock().await;
        let mut next = ledger.clone();
        let Some(run) = next.runs.front_mut() else {
            return;
        };
        if !matches!(run.state, State::Running | State::Paused) {
            return;
        }
        run.state = State::Failed;
        run.ended = Some(self.acceptor.clock.now());
        run.problem = Some(Problem {
            code: trouble.code.to_string(),
            text: trouble.text.clone(),
        });
        match self.keep(&next, Vec::new()).await {
            Ok(()) => *ledger = next,
            Err(error) => {
                // Tried again from where it stands at the next turn.
                tracing::error!(job = %self.job.name, code = %error.code, error = %error.text, "that a run failed was not recorded");
                drop(ledger);
                tokio::time::sleep(LONGEST).await;
            }
        }
    }

    async fn wait_for_window(&self, id: &str, stop: &CancellationToken) -> Result<(), Halt> {
        let Some(window) = self.job.declared.window else {
            return Ok(());
        };
        while !self.is_open(window) {
            let to = format!("{:02}:{:02}", window.from / 60, window.from % 60);
            *self.book.waits.lock() = Some(format!("its window opens at {to}"));
            self.pause(id, Duration::from_secs(5), stop).await?;
        }
        *self.book.waits.lock() = None;
        Ok(())
    }

    fn is_open(&self, window: JobWindow) -> bool {
        let zone = jiff::tz::TimeZone::get(&self.job.declared.time_zone.value)
            .unwrap_or(jiff::tz::TimeZone::UTC);
        let now = jiff::Timestamp::from_microsecond(self.acceptor.clock.now().0)
            .unwrap_or_default()
            .to_zoned_datetime(zone);
        let minute =
            u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        within(window, minute)
    }

    /// Waits until fewer deliveries are open than may be.
    async fn wait_for_room(&self, id: &str, stop: &CancellationToken) -> Result<(), Halt> {
        let limit = u64::from(self.job.declared.open);
        let destinations = deliver::destinations(&self.acceptor.plan(), &self.job.name);
        loop {
            let open = deliver::open(&self.acceptor, &destinations).await?;
            if open < limit {
                *self.book.waits.lock() = None;
                return Ok(());
            }
            *self.book.waits.lock() = Some(format!("{open} deliveries are open"));
            self.pause(id, LOOK, stop).await?;
        }
    }
}

/// Begins a run of a job.
pub(crate) fn start(job: &JobPlan, acceptor: &Acceptor, ledger: &mut Ledger, by: &str) {
    let now = acceptor.clock.now();
    let onward = job.declared.read.page.onward;
    let at: Option<Value> = ledger.onward.clone().filter(|_| onward);
    ledger.begin(unique_id(now), by, &job.said, at, now);
}

fn noted(run: &mut Run, written: Written) {
    run.counts.files += 1;
    run.files.push_front(written);
    run.files.truncate(FILES);
}

fn within(window: JobWindow, minute: u16) -> bool {
    let JobWindow { from, to } = window;
    if from <= to {
        (from..to).contains(&minute)
    } else {
        minute >= from || minute < to
    }
}

/// A short name of a run for file names.
fn unique_of(began: Timestamp) -> String {
    format!("{:x}", began.0.unsigned_abs())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_over_midnight() {
        let night = JobWindow {
            from: 1200,
            to: 360,
        };
        assert!(
            within(night, 1200) && within(night, 0) && !within(night, 360) && !within(night, 700)
        );
        let day = JobWindow {
            from: 480,
            to: 1020,
        };
        assert!(within(day, 480) && !within(day, 1020) && !within(day, 0));
    }
}
