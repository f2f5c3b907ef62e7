//! What of a plan runs, and how another plan takes its place while messages come and go.
//!
//! [`Live::prepare`] does all that can fail (names recorded, secrets read, addresses bound) and
//! changes nothing. [`Live::apply`] cannot fail and does not wait. What says the same as before
//! is left alone: a listener keeps its connections, a sender its sessions and its window. A
//! message is routed by the plan that it met when it came; what it led to is sent as the plan of
//! that time says, which is what a restart would do too.

mod difference;
mod doors;
mod jobs;
mod mark;
mod schedules;
mod senders;
mod watches;

pub use difference::{Change, How, difference, needs_restart};

use crate::accept::Acceptor;
use crate::desk::Endpoints;
use crate::dispatch::Dispatcher;
use crate::dispatch::share::CallGates;
use crate::engine::StartError;
use crate::plan::Plan;
use crate::process;
use crate::renew::Renewals;
use crate::webhook::News;
use doors::{Doors, NextDoors};
use jobs::{Jobs, NextJobs};
use schedules::{NextSchedules, Schedules};
use senders::{NextSenders, Senders, SendersError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Intake, http};
use wardline_core::DeliveryState;
use watches::{NextWatches, Watches};

/// What runs.
pub(crate) struct Live {
    senders: Senders,
    doors: Doors,
    schedules: Schedules,
    watches: Watches,
    jobs: Jobs,
    /// Where rows of jobs wait.
    room: Option<PathBuf>,
    renewals: Arc<Renewals>,
    /// Where changes of clients' endpoints go, to be written down.
    tell: mpsc::Sender<News>,
}

/// Tasks of an engine, and what stops them: intake first, then work.
pub(crate) struct Tasks {
    pub(crate) intake: JoinSet<()>,
    pub(crate) work: JoinSet<()>,
    pub(crate) intake_stop: CancellationToken,
    pub(crate) work_stop: CancellationToken,
}

impl Tasks {
    /// Takes leave of what has ended, so that a thousand changes cost no memory.
    fn reap(&mut self) {
        for tasks in [&mut self.intake, &mut self.work] {
            while let Some(ended) = tasks.try_join_next() {
                if let Err(error) = ended {
                    tracing::error!(%error, "a part of the engine ended abnormally");
                }
            }
        }
    }
}

/// Another plan, made ready to run. Dropping it leaves everything as it is.
pub struct Prepared {
    plan: Arc<Plan>,
    senders: NextSenders,
    doors: NextDoors,
    schedules: NextSchedules,
    watches: NextWatches,
    jobs: NextJobs,
    inlets: BTreeMap<String, Arc<http::Inlet>>,
    gates: CallGates,
    changes: Vec<Change>,
}

impl Prepared {
    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Routes at listeners that a gateway opens, by the listener's name.
    pub fn inlets(&self) -> &BTreeMap<String, Arc<http::Inlet>> {
        &self.inlets
    }

    /// What each outbound connection will allow, to deliveries and to calls through Apis together.
    pub fn gates(&self) -> &CallGates {
        &self.gates
    }

    /// What is other than before, and what that means for what runs.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

impl Live {
    /// Nothing runs yet.
    pub(crate) fn new(
        renewals: Arc<Renewals>,
        tell: mpsc::Sender<News>,
        room: Option<PathBuf>,
    ) -> Self {
        Self {
            senders: Senders::default(),
            doors: Doors::default(),
            schedules: Schedules::default(),
            watches: Watches::default(),
            jobs: Jobs::default(),
            room,
            renewals,
            tell,
        }
    }

    /// Clients' endpoints that are sent to, by name.
    pub(crate) fn endpoints(&self) -> Endpoints {
        self.senders.endpoints()
    }

    /// What is known of bulk jobs, by name.
    pub(crate) fn jobs(&self) -> crate::desk::Jobs {
        self.jobs.books()
    }

    pub(crate) fn places(&self) -> BTreeMap<String, String> {
        let mut places = self.doors.places();
        places.extend(self.watches.places());
        places
    }

    pub(crate) fn inlets(&self) -> BTreeMap<String, Arc<http::Inlet>> {
        self.doors.inlets()
    }

    pub(crate) async fn prepare(
        &self,
        plan: Arc<Plan>,
        acceptor: &Arc<Acceptor>,
    ) -> Result<Prepared, StartError> {
        let before = acceptor.plan();
        // The first plan was made ready when the desk was opened.
        if !Arc::ptr_eq(&before, &plan) {
            process::acquaint(&plan, &before, &*acceptor.store).await?;
        }
        acceptor.intern_all(&plan).await?;
        let senders = self
            .senders
            .prepare(&plan, acceptor, &self.renewals, &self.tell)
            .await
            .map_err(|error| match error {
                SendersError::Wire(error) => StartError::Wire(error),
                SendersError::Store(error) => StartError::Store(error),
            })?;
        let intake = Arc::clone(acceptor) as Arc<dyn Intake>;
        let doors = self.doors.prepare(&plan, &self.renewals, &intake).await?;
        let schedules = self
            .schedules
            .prepare(&plan, &senders, acceptor.clock.now());
        let watches = self.watches.prepare(&plan, &self.renewals)?;
        let gates = senders.gates(Arc::clone(&acceptor.clock));
        let jobs = self
            .jobs
            .prepare(&plan, &senders, &gates, acceptor, self.room.as_ref())
            .await?;
        let before = acceptor.plan();
        let mut changes = difference(&before.estate, &plan.estate);
        changes.extend(senders.reopened.iter().map(|name| Change {
            what: name.clone(),
            how: How::Changed,
            effect: "what is being sent ends first; what is owed goes the new way".to_owned(),
        }));
        changes.extend(left_behind(&before, &plan, acceptor).await?);
        Ok(Prepared {
            inlets: doors.inlets(),
            gates,
            plan,
            senders,
            doors,
            schedules,
            watches,
            jobs,
            changes,
        })
    }

    pub(crate) fn apply(
        &mut self,
        next: Prepared,
        acceptor: &Arc<Acceptor>,
        dispatcher: &Dispatcher,
        tasks: &mut Tasks,
    ) {
        tasks.reap();
        let Tasks {
            intake,
            work,
            intake_stop,
            work_stop,
        } = tasks;
        self.senders
            .apply(next.senders, dispatcher, work, work_stop);
        acceptor.replace(next.plan);
        let takes = Arc::clone(acceptor) as Arc<dyn Intake>;
        self.doors.apply(next.doors, &takes, intake, intake_stop);
        let marks = Arc::clone(&acceptor.store);
        self.watches
            .apply(next.watches, &takes, marks, intake, intake_stop);
        self.schedules
            .apply(next.schedules, acceptor, intake, intake_stop);
        self.jobs.apply(next.jobs, intake, intake_stop);
    }
}

/// Destinations that the new plan lacks though something is owed to them: as after a restart, it
/// stays in the journal, where a person can see and cancel it.
async fn left_behind(
    before: &Plan,
    after: &Plan,
    acceptor: &Acceptor,
) -> Result<Vec<Change>, StartError> {
    let removed: Vec<_> = before
        .destinations
        .keys()
        .filter(|name| !after.destinations.contains_key(name))
        .collect();
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let gauges = acceptor.store.gauges().await?;
    let open = |name: &str| -> i64 {
        let sym = acceptor.store.lookup(name);
        gauges
            .iter()
            .filter(|gauge| Some(gauge.destination) == sym && gauge.state != DeliveryState::Dead)
            .map(|gauge| gauge.count)
            .sum()
    };
    Ok(removed
        .into_iter()
        .map(|name| {
            let effect = match open(name) {
                ..=0 => String::new(),
                1 => format!("1 delivery to it stays in the journal: cancel it (`wardline cancel --to {name}`) or declare the destination again"),
                open => format!("{open} deliveries to it stay in the journal: cancel them (`wardline cancel --to {name}`) or declare the destination again"),
            };
            Change {
                what: format!("destination {name}"),
                how: How::Removed,
                effect,
            }
        })
        .collect())
}
