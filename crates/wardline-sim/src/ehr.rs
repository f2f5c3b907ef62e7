//! The clinical record: tells what happens to patients as ADT over MLLP and keeps a ledger of what was acknowledged.
//!
//! The ledger is the sender's side of every proof: what was acknowledged must have its effects,
//! once, in order (see [`EhrReport`] and [`HospitalReport`](crate::HospitalReport)).

mod charge;
mod message;
mod people;
mod plan;
mod segments;
mod session;
mod tale;
mod teller;
mod ward;

pub use message::{Bed, Event, Trigger};
pub use people::Patient;
pub use plan::{Acknowledged, EhrPlan, EhrReport, Latency};
pub(crate) use tale::{Feed, Stamp, Tale, Told, tale};
pub(crate) use teller::Teller;
pub use ward::Mix;

use crate::{Dice, Record, Run, SimError};
use session::{Session, Shared, Tally};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use ward::Ward;

/// Counters of a run that is under way.
#[derive(Debug, Default)]
pub struct Progress {
    accepted: AtomicU64,
}

impl Progress {
    /// Messages acknowledged so far, each once.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// A run of the EHR that is under way. Dropping it stops the run without a report.
#[derive(Debug)]
pub struct Ehr {
    progress: Arc<Progress>,
    stop: CancellationToken,
    running: JoinHandle<Result<EhrReport, SimError>>,
}

impl Ehr {
    /// Starts a run on tasks of its own.
    ///
    /// # Errors
    /// [`SimError::Plan`] where a number makes no sense, [`SimError::Target`] where the target does not resolve. A
    /// target that does not answer (yet) is no error: the EHR keeps trying, as real ones do.
    pub async fn start(plan: EhrPlan) -> Result<Self, SimError> {
        plan.check()?;
        let target = tokio::net::lookup_host(&plan.target)
            .await
            .and_then(|mut found| {
                found
                    .next()
                    .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            })
            .map_err(|source| SimError::Target {
                target: plan.target.clone(),
                source,
            })?;
        let progress = Arc::new(Progress::default());
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            target,
            run: plan.run.unwrap_or_else(Run::begin),
            numbers: AtomicU64::new(1),
            budget: AtomicU64::new(plan.messages.unwrap_or(u64::MAX)),
            progress: progress.clone(),
            stop: stop.child_token(),
            enhanced: plan.enhanced,
            window: plan.window,
            ack_timeout: plan.ack_timeout,
            keep_ledger: matches!(plan.record, Record::Full { .. }),
        });
        let running = tokio::spawn(run(plan, shared));
        Ok(Self {
            progress,
            stop,
            running,
        })
    }

    /// What was done so far.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Whether the plan is done.
    pub fn is_finished(&self) -> bool {
        self.running.is_finished()
    }

    /// Sends nothing new, waits a while for acknowledgements that are still open, and reports.
    ///
    /// # Errors
    /// [`SimError::Ended`] where a connection's task panicked.
    pub async fn stop(self) -> Result<EhrReport, SimError> {
        self.stop.cancel();
        self.finish().await
    }

    /// Waits for the plan to be done and reports. A plan without a limit is never done.
    ///
    /// # Errors
    /// [`SimError::Ended`] where a connection's task panicked.
    pub async fn finish(mut self) -> Result<EhrReport, SimError> {
        (&mut self.running)
            .await
            .unwrap_or(Err(SimError::Ended { system: "EHR" }))
    }
}

impl Drop for Ehr {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Runs a plan to its end, or until `shutdown` is cancelled.
///
/// # Errors
/// As [`Ehr::start`] and [`Ehr::finish`].
pub async fn run_ehr(plan: EhrPlan, shutdown: &CancellationToken) -> Result<EhrReport, SimError> {
    let ehr = Ehr::start(plan).await?;
    let stop = ehr.stop.clone();
    let finish = ehr.finish();
    tokio::pin!(finish);
    tokio::select! {
        report = &mut finish => return report,
        () = shutdown.cancelled() => stop.cancel(),
    }
    finish.await
}

async fn run(plan: EhrPlan, shared: Arc<Shared>) -> Result<EhrReport, SimError> {
    let began = Instant::now();
    let connections = plan.connections;
    let dice = Dice::new(plan.seed);
    let serials = Arc::new(AtomicU64::new(1));
    let admissions = Arc::new(AtomicU64::new(plan.patients.unwrap_or(u64::MAX)));
    let interval = plan
        .rate
        .map(|rate| Duration::from_secs_f64(connections as f64 / rate));
    let census = plan.census.div_ceil(connections).max(plan.window + 1);
    let mut sessions = JoinSet::new();
    for number in 0..connections {
        let beds =
            (0..census * 2 + 4).map(|bed| Bed::numbered((bed * connections + number) as u32));
        let ward = Ward::new(
            dice.fork(number as u64),
            plan.mix.clone(),
            shared.run.to_string(),
            serials.clone(),
            admissions.clone(),
            beds,
            census,
        );
        // Connections take turns from the first message on.
        let first = began
            + interval.map_or(Duration::ZERO, |interval| {
                interval.mul_f64(number as f64 / connections as f64)
            });
        let session = Session::new(
            shared.clone(),
            ward,
            dice.fork(u64::MAX - number as u64),
            interval,
            first,
        );
        sessions.spawn(session.run());
    }
    let mut total = Tally::new();
    let deadline = async {
        match plan.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    let mut timed_out = false;
    loop {
        tokio::select! {
            ended = sessions.join_next() => match ended {
                None => break,
                Some(Ok(tally)) => total.add(tally),
                Some(Err(_)) => return Err(SimError::Ended { system: "EHR" }),
            },
            () = &mut deadline, if !timed_out => {
                timed_out = true;
                shared.stop.cancel();
            }
        }
    }
    Ok(total.into_report(shared.run, began.elapsed()))
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.frames += other.frames;
        for (trigger, count) in other.acknowledged {
            *self.acknowledged.entry(trigger).or_default() += count;
        }
        self.duplicates += other.duplicates;
        self.resent += other.resent;
        self.errors += other.errors;
        self.rejected += other.rejected;
        self.unanswered += other.unanswered;
        self.given_up += other.given_up;
        self.reconnects += other.reconnects;
        self.stray += other.stray;
        self.patients += other.patients;
        // Same bounds on both sides, so nothing can fall outside.
        if let Err(error) = self.ack.add(&other.ack) {
            tracing::warn!(%error, "latencies of one connection are missing from the report");
        }
        self.ledger.extend(other.ledger);
    }

    fn into_report(self, run: Run, elapsed: Duration) -> EhrReport {
        EhrReport {
            run,
            frames: self.frames,
            acknowledged: self.acknowledged,
            duplicates: self.duplicates,
            resent: self.resent,
            errors: self.errors,
            rejected: self.rejected,
            unanswered: self.unanswered,
            given_up: self.given_up,
            reconnects: self.reconnects,
            stray: self.stray,
            patients: self.patients,
            elapsed,
            ack: Latency::of(&self.ack),
            ledger: self.ledger,
        }
    }
}
