//! Bulk jobs: how they stand, and what people decide about them.

use super::act::demand_reason;
use super::{Desk, DeskError};
use crate::bulk::{Ledger, Run, State, Trouble, ledger, run};
use crate::plan::JobPlan;
use crate::schedule::next_due;
use crate::view::{JobAct, JobFileView, JobRunView, JobView};
use wardline_core::Timestamp;
use wardline_estate::model::JobWrite;
use wardline_vault::AuditEntry;

impl From<Trouble> for DeskError {
    fn from(trouble: Trouble) -> Self {
        Self::Vault(trouble.text, trouble.code)
    }
}

impl Desk {
    /// All jobs of the estate, by name.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn jobs(&self) -> Result<Vec<JobView>, DeskError> {
        let plan = self.acceptor.plan();
        let books = self.jobs.load_full();
        let mut all = Vec::with_capacity(plan.jobs.len());
        for (name, job) in &plan.jobs {
            let (ledger, waits) = match books.get(name) {
                Some(book) => (book.ledger.lock().await.clone(), book.waits.lock().clone()),
                None => (ledger::read(&self.acceptor, name).await?, None),
            };
            all.push(shown(job, &ledger, waits, self.acceptor.clock.now()));
        }
        Ok(all)
    }

    /// Acts on a job; the act is in the audit log in the commit that carries it out.
    ///
    /// # Errors
    /// Where there is no such job, where the act does not fit how it stands, or where nothing runs here.
    pub async fn act_on_job(
        &self,
        name: &str,
        act: JobAct,
        reason: &str,
        actor: &str,
    ) -> Result<JobView, DeskError> {
        demand_reason(reason)?;
        let plan = self.acceptor.plan();
        let job = plan.jobs.get(name).ok_or_else(|| DeskError::NotFound {
            what: "job",
            id: name.to_owned(),
        })?;
        let books = self.jobs.load_full();
        let book = books.get(name).ok_or_else(|| {
            DeskError::Invalid(
                "jobs run while a server does: start it with `wardline serve`".to_owned(),
            )
        })?;
        let mut ledger = book.ledger.lock().await;
        let mut next = ledger.clone();
        let now = self.acceptor.clock.now();
        decide(&mut next, job, act, now)?;
        if act == JobAct::Run {
            run::start(job, &self.acceptor, &mut next, actor);
        }
        let id = next.runs.front().map(|run| run.id.clone());
        let mut entry = AuditEntry::new(actor, format!("job.{}", act.as_str()), name);
        entry = entry.because(reason);
        if let Some(id) = id {
            entry
                .detail
                .insert("run".to_owned(), wardline_vault::audit::Detail::Text(id));
        }
        let kept = ledger::keep(&self.acceptor.vault, name, &next)?;
        self.commit_audited(&entry, vec![kept]).await?;
        *ledger = next;
        let view = shown(job, &ledger, None, now);
        drop(ledger);
        book.turned.notify_waiters();
        book.turned.notify_one();
        Ok(view)
    }
}

/// Whether an act fits, and what becomes of the newest run.
fn decide(
    ledger: &mut Ledger,
    job: &JobPlan,
    act: JobAct,
    now: Timestamp,
) -> Result<(), DeskError> {
    let refuse = |text: String| Err(DeskError::Invalid(text));
    let name = &job.name;
    let state = ledger.runs.front().map(|run| run.state);
    match (act, state) {
        (JobAct::Run, Some(State::Running | State::Paused)) => {
            return refuse(format!(
                "a run of `{name}` is under way: let it end, or cancel it"
            ));
        }
        (JobAct::Run, _) => return Ok(()),
        (JobAct::Pause, Some(State::Running))
        | (JobAct::Resume, Some(State::Paused | State::Failed))
        | (JobAct::Cancel, Some(State::Running | State::Paused | State::Failed)) => {}
        (_, state) => {
            let stands = state.map_or("has no run", State::as_str);
            return refuse(format!(
                "`{name}` {}{stands}, so there is nothing to {}",
                if state.is_some() { "is " } else { "" },
                act.as_str()
            ));
        }
    }
    let Some(run) = ledger.runs.front_mut() else {
        return Ok(());
    };
    if act == JobAct::Resume && run.said != job.said {
        return refuse(format!(
            "what `{name}` reads or writes was declared anew: begin a new run"
        ));
    }
    run.state = match act {
        JobAct::Pause => State::Paused,
        JobAct::Cancel => State::Cancelled,
        JobAct::Run | JobAct::Resume => State::Running,
    };
    run.ended = (act == JobAct::Cancel).then_some(now);
    if act == JobAct::Resume {
        run.problem = None;
    }
    Ok(())
}

fn shown(job: &JobPlan, ledger: &Ledger, waits: Option<String>, now: Timestamp) -> JobView {
    let declared = &job.declared;
    let every = declared.every.as_ref().map(|every| every.value.clone());
    let zone = declared.time_zone.value.clone();
    let next = every
        .as_ref()
        .and_then(|every| next_due(every, &zone, ledger.due.unwrap_or(now)));
    let newest = ledger.runs.front();
    JobView {
        name: declared.name.clone(),
        title: declared.title.clone(),
        owner: declared.owner.clone(),
        next,
        every,
        zone,
        reads: declared.read.call.value.clone(),
        writes: match &declared.write {
            JobWrite::Messages => "messages".to_owned(),
            JobWrite::File(file) => format!("{} in {}", file.name.value, file.connection.value),
        },
        state: newest.map_or("idle", |run| run.state.as_str()).to_owned(),
        waits: waits.filter(|_| ledger.running().is_some()),
        runs: ledger.runs.iter().map(|run| one(run, now)).collect(),
    }
}

fn one(run: &Run, now: Timestamp) -> JobRunView {
    let counts = &run.counts;
    let until = run.ended.unwrap_or(now);
    let seconds = until.since(run.began).as_secs_f64().max(0.001);
    let rate = counts.read as f64 / seconds;
    let left = run.total.map(|total| total.saturating_sub(counts.read));
    let eta = left.filter(|_| run.state == State::Running && rate > 0.0);
    JobRunView {
        id: run.id.clone(),
        state: run.state.as_str().to_owned(),
        by: run.by.clone(),
        began: run.began,
        ended: run.ended,
        pages: counts.pages,
        read: counts.read,
        written: counts.written,
        left_out: counts.left_out,
        refused: counts.refused,
        total: run.total,
        rate: (rate * 10.0).round() / 10.0,
        eta_s: eta.map(|left| (left as f64 / rate).ceil() as u64),
        files: counts.files,
        last_files: run
            .files
            .iter()
            .map(|file| JobFileView {
                name: file.name.clone(),
                rows: file.rows,
                bytes: file.bytes,
            })
            .collect(),
        problem: run
            .problem
            .as_ref()
            .map(|problem| format!("{}: {}", problem.code, problem.text)),
    }
}
