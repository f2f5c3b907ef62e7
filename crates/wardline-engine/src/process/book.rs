//! Instances at hand: read, one at a time, and committed. The runner and the operators' acts work
//! through it.

use super::act::{self, InstanceAct};
use super::commit::Ready;
use super::effects::Input;
use super::halt::{self, Went};
use super::machine::{Context, Machine};
use super::plan::ProcessPlan;
use super::state::State;
use crate::accept::{AcceptError, Acceptor, with_runtime};
use crate::codes;
use crate::dispatch::Dispatcher;
use crate::plan::Plan;
use ahash::AHashMap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use wardline_core::{InstanceId, OrderingKey, Timestamp};
use wardline_store::{
    Advance, Advanced, Change, InstanceRow, MailId, Outcome, StoreError, WaitRow, Which,
};
use wardline_vault::Kind;

/// Instances that are remembered as they were last committed.
const REMEMBERED: usize = 4_096;
/// Pieces of mail that one wait looks at when it begins.
const LOOK_BACK: usize = 64;
/// Rounds of mail that one advance takes.
const ROUNDS: usize = 64;

/// Instances at hand.
pub(crate) struct Book {
    pub(super) acceptor: Arc<Acceptor>,
    dispatcher: Arc<Dispatcher>,
    locks: Mutex<AHashMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
    remembered: Mutex<AHashMap<InstanceId, Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    revision: u64,
    state: Arc<State>,
    definition: Arc<str>,
    key: OrderingKey,
}

/// An instance as it was read.
pub(crate) struct Loaded {
    pub(super) id: InstanceId,
    pub(super) revision: u64,
    pub(super) key: OrderingKey,
    pub(super) process: Arc<ProcessPlan>,
    pub(super) state: Arc<State>,
    /// Whether it may go on though it has ended.
    pub(super) reopen: bool,
}

impl Loaded {
    /// Ready to go on.
    pub(super) fn machine(&self, now: Timestamp) -> Machine<'_> {
        let state = (*self.state).clone();
        let context = Context {
            now,
            key: state.key.as_str().into(),
            id: Some(self.id.to_string().into()),
            facility: state.facility.as_deref().map(Arc::from),
        };
        Machine::resume(&self.process, state, context)
    }
}

/// The right to change an instance: there is one at a time.
pub(crate) struct Held {
    _guard: OwnedMutexGuard<()>,
}

impl Book {
    pub(crate) fn new(acceptor: Arc<Acceptor>, dispatcher: Arc<Dispatcher>) -> Self {
        Self {
            acceptor,
            dispatcher,
            locks: Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    /// Waits until nobody else changes an instance.
    pub(crate) async fn lock(&self, id: InstanceId) -> Held {
        let lock = {
            let mut locks = self.locks.lock();
            if locks.len() > REMEMBERED {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(id).or_default())
        };
        Held {
            _guard: lock.lock_owned().await,
        }
    }

    /// Reads an open instance; `None` where it has ended or is unknown.
    pub(super) async fn load(
        &self,
        plan: &Plan,
        id: InstanceId,
    ) -> Result<Option<Loaded>, AcceptError> {
        let known = self.remembered.lock().get(&id).cloned();
        if let Some(known) = known {
            let process = definition(plan, &known.definition)?;
            return Ok(Some(Loaded {
                id,
                revision: known.revision,
                key: known.key,
                process,
                state: known.state,
                reopen: false,
            }));
        }
        let Some(row) = self.acceptor.store.instance(id).await? else {
            return Ok(None);
        };
        if !row.phase.is_open() {
            return Ok(None);
        }
        self.read(plan, &row).await.map(Some)
    }

    /// Reads an instance, whether or not it has ended.
    pub(crate) async fn read(&self, plan: &Plan, row: &InstanceRow) -> Result<Loaded, AcceptError> {
        let store = &self.acceptor.store;
        let name = store.name(row.definition).unwrap_or_else(|| "?".into());
        let process = definition(plan, &name)?;
        let state = self.state(row.id).await?;
        Ok(Loaded {
            id: row.id,
            revision: row.revision,
            key: row.key.clone(),
            process,
            state: Arc::new(state),
            reopen: !row.phase.is_open(),
        })
    }

    /// The variables and positions of an instance.
    pub(super) async fn state(&self, id: InstanceId) -> Result<State, AcceptError> {
        let Some(sealed) = self.acceptor.store.instance_state(id).await? else {
            return Err(unreadable(id, "nothing is kept of it"));
        };
        let bytes = self.acceptor.vault.open_sealed(Kind::Variables, &sealed)?;
        serde_json::from_slice(&bytes)
            .map_err(|_| unreadable(id, "what is kept of it is not what this version keeps"))
    }

    /// Drives a machine, takes mail that is there already, and commits; false where somebody else
    /// was first and nothing was done.
    pub(super) async fn drive(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        which: Which,
        key: &OrderingKey,
        machine: Machine<'_>,
        take: Vec<MailId>,
    ) -> Result<bool, AcceptError> {
        let ready = self
            .prepare(plan, process, which, key, machine, take)
            .await?;
        self.put(plan, process, key, ready).await
    }

    /// Commits what was made ready; false where somebody else was first.
    pub(super) async fn put(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        key: &OrderingKey,
        ready: Ready,
    ) -> Result<bool, AcceptError> {
        let (before, state, open) = (ready.before(), ready.state, ready.standing.phase.is_open());
        let withdrawn = ready.advance.withdraw.clone();
        let change = Change::Advance(Box::new(ready.advance));
        let outcomes = self.acceptor.store.commit(vec![change]).await?;
        let outcome = outcomes.into_iter().next();
        match self.learn(before, process, key, state, open, outcome)? {
            None => Ok(false),
            Some((id, mail)) => {
                self.withdrawn(id, &withdrawn).await?;
                if mail {
                    self.look_again(plan, id).await?;
                }
                Ok(true)
            }
        }
    }

    /// Calls were withdrawn: whoever sends must forget them.
    pub(super) async fn withdrawn(&self, id: InstanceId, calls: &[u32]) -> Result<(), AcceptError> {
        if calls.is_empty() {
            return Ok(());
        }
        let all = self.acceptor.store.calls(id).await?;
        let rows = all
            .iter()
            .filter(|(number, _)| calls.contains(number))
            .map(|(_, row)| row);
        self.dispatcher.revisit(rows);
        Ok(())
    }

    /// Drives a machine, takes mail that is there already, and makes one change of it.
    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        which: Which,
        key: &OrderingKey,
        mut machine: Machine<'_>,
        mut take: Vec<MailId>,
    ) -> Result<Ready, AcceptError> {
        let mut standing = with_runtime(|runtime| machine.drive(runtime));
        for _ in 0..ROUNDS {
            if !standing.phase.is_open() {
                break;
            }
            let given = self.fill(&mut machine, &take).await?;
            if given.is_empty() {
                break;
            }
            standing = with_runtime(|runtime| machine.drive(runtime));
            // Where one event was enough the others are still there for whoever waits next.
            take.extend(
                given
                    .into_iter()
                    .filter(|(n, _)| !machine.unused(*n))
                    .map(|(_, mail)| mail),
            );
        }
        self.acceptor
            .advance(plan, process, which, key, machine, standing, take)
            .await
    }

    /// What became of a change: the instance, and whether mail came for it meanwhile. `None` where
    /// somebody else was first.
    pub(super) fn learn(
        &self,
        before: Option<InstanceId>,
        process: &ProcessPlan,
        key: &OrderingKey,
        state: State,
        open: bool,
        outcome: Option<Outcome>,
    ) -> Result<Option<(InstanceId, bool)>, AcceptError> {
        match outcome {
            Some(Outcome::Advanced(Advanced::Stale)) => {
                if let Some(id) = before {
                    self.remembered.lock().remove(&id);
                }
                Ok(None)
            }
            Some(Outcome::Advanced(Advanced::Done {
                instance,
                revision,
                mail,
                ..
            })) => {
                self.remember(instance, open, revision, state, process, key);
                Ok(Some((instance, mail)))
            }
            _ => Err(StoreError::Closed.into()),
        }
    }

    pub(super) async fn go_on(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        machine: Machine<'_>,
        take: Vec<MailId>,
    ) -> Result<Went, AcceptError> {
        let which = Which::Existing {
            id: loaded.id,
            revision: loaded.revision,
            reopen: loaded.reopen,
        };
        let (given, mail) = (machine.given(), take.clone());
        let driven = self.drive(plan, &loaded.process, which, &loaded.key, machine, take);
        match driven.await {
            Err(why) if halt::is_refused(&why) => {
                Box::pin(self.halt(plan, loaded, &given, mail, &why)).await
            }
            driven => Ok(if driven? { Went::On } else { Went::Late }),
        }
    }

    fn remember(
        &self,
        id: InstanceId,
        open: bool,
        revision: u64,
        state: State,
        process: &ProcessPlan,
        key: &OrderingKey,
    ) {
        let mut remembered = self.remembered.lock();
        if !open {
            remembered.remove(&id);
            return;
        }
        if remembered.len() >= REMEMBERED
            && !remembered.contains_key(&id)
            && let Some(any) = remembered.keys().next().copied()
        {
            remembered.remove(&any);
        }
        remembered.insert(
            id,
            Remembered {
                revision,
                state: Arc::new(state),
                definition: Arc::clone(&process.definition_name),
                key: key.clone(),
            },
        );
    }

    /// Gives waits that begin the mail that came before them; says which wait what.
    async fn fill(
        &self,
        machine: &mut Machine<'_>,
        taken: &[MailId],
    ) -> Result<Vec<(u32, MailId)>, AcceptError> {
        let begun: Vec<(u32, Arc<str>, String)> = machine
            .effects
            .waits
            .iter()
            .map(|wait| (wait.n, Arc::clone(&wait.correlator.name), wait.key.clone()))
            .collect();
        let offered = self.offer(machine, begun, taken, usize::MAX).await?;
        for (n, mail) in offered.unwanted {
            let begun = &mut machine.effects.waits;
            if let Some(wait) = begun.iter_mut().find(|wait| wait.n == n) {
                wait.seen = wait.seen.max(mail);
            }
        }
        Ok(offered.given)
    }

    /// Offers waits the mail that is there, until so many have got some.
    async fn offer(
        &self,
        machine: &mut Machine<'_>,
        waits: Vec<(u32, Arc<str>, String)>,
        taken: &[MailId],
        most: usize,
    ) -> Result<Offered, AcceptError> {
        let store = &self.acceptor.store;
        let mut offered = Offered::default();
        for (n, correlator, key) in waits {
            if offered.given.len() >= most {
                break;
            }
            let correlator = self.acceptor.sym(&correlator).await?;
            let key = self.acceptor.business_key(&key);
            for mail in store.mail_for(correlator, key, LOOK_BACK).await? {
                let gone = offered.given.iter().any(|(_, given)| *given == mail.id);
                // What an instance began with is not what it waits for.
                let own = mail.message.0 == machine.state.root;
                if gone || own || taken.contains(&mail.id) {
                    continue;
                }
                let wanted = self
                    .event(mail.message)
                    .await?
                    .filter(|data| with_runtime(|runtime| machine.wants(n, data, runtime)));
                let Some(data) = wanted else {
                    offered.unwanted.push((n, mail.id));
                    continue;
                };
                machine.give(n, Input::Event(data));
                machine.state.cause = mail.message.0;
                offered.given.push((n, mail.id));
                break;
            }
        }
        Ok(offered)
    }

    /// Mail came while a wait was being written down.
    pub(super) async fn look_again(&self, plan: &Plan, id: InstanceId) -> Result<(), AcceptError> {
        for _ in 0..ROUNDS {
            let Some(loaded) = self.load(plan, id).await? else {
                return Ok(());
            };
            let mut machine = loaded.machine(self.acceptor.clock.now());
            let waits = with_runtime(|runtime| machine.open_waits(runtime));
            let offered = self.offer(&mut machine, waits, &[], 1).await?;
            if offered.given.is_empty() {
                return self.put_aside(id, &offered.unwanted).await;
            }
            let take = offered.given.iter().map(|(_, mail)| *mail).collect();
            // Where an instance has just begun somebody else may have been first; then it is as
            // it was, and its mail too.
            if Box::pin(self.go_on(plan, &loaded, machine, take)).await? == Went::Stuck {
                return self.put_aside(id, &offered.given).await;
            }
        }
        Ok(())
    }

    /// Keeps mail that an instance looked at and did not want for others.
    async fn put_aside(
        &self,
        id: InstanceId,
        unwanted: &[(u32, MailId)],
    ) -> Result<(), AcceptError> {
        let mut waits: BTreeMap<MailId, Vec<WaitRow>> = BTreeMap::new();
        for (number, mail) in unwanted {
            waits.entry(*mail).or_default().push(WaitRow {
                instance: id,
                number: *number,
            });
        }
        if waits.is_empty() {
            return Ok(());
        }
        let keep = waits
            .into_iter()
            .map(|(mail, unwilling)| Change::Keep { mail, unwilling })
            .collect();
        self.acceptor.store.commit(keep).await?;
        Ok(())
    }
}

/// What waits were offered: the wait's number, and the mail.
#[derive(Default)]
struct Offered {
    given: Vec<(u32, MailId)>,
    unwanted: Vec<(u32, MailId)>,
}

fn definition(plan: &Plan, name: &str) -> Result<Arc<ProcessPlan>, AcceptError> {
    plan.processes.definition(name).cloned().ok_or_else(|| {
        AcceptError::Vault(
            format!("the definition {name} cannot be run: see the log at start, or `wardline process migrate`"),
            codes::NO_DEFINITION,
        )
    })
}

fn unreadable(id: InstanceId, why: &str) -> AcceptError {
    AcceptError::Vault(
        format!("instance {id} cannot be read: {why}"),
        codes::NO_DEFINITION,
    )
}

/// What became of a wish to move an instance to the present definition.
pub(crate) enum Migration {
    /// It can go on by it.
    Done(Loaded),
    /// It does already.
    Current,
    /// There is none any more.
    Gone,
    /// A call is under way.
    Busy,
    /// It is at a step that the present definition does not have.
    Unlike(String),
}

/// What must be remembered once an act is durable.
pub(crate) struct After {
    before: Option<InstanceId>,
    state: State,
    open: bool,
    withdrawn: Vec<u32>,
}

impl Ready {
    /// The change, and what must be remembered once it is durable.
    pub(crate) fn parts(self) -> (Advance, After) {
        let after = After {
            before: self.before(),
            open: self.standing.phase.is_open(),
            withdrawn: self.advance.withdraw.clone(),
            state: self.state,
        };
        (self.advance, after)
    }
}

impl Book {
    /// What an operator's act makes of an instance; the inner error says why it does not fit.
    pub(crate) async fn acted(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        act: Option<&InstanceAct>,
        by: &str,
        reason: &str,
    ) -> Result<Result<Ready, String>, AcceptError> {
        let mut machine = loaded.machine(self.acceptor.clock.now());
        if let Some(act) = act {
            if let Err(why) = machine.act(act, &act.because(by, reason)) {
                return Ok(Err(why));
            }
        } else {
            machine
                .effects
                .tell("", "moved", loaded.process.definition_name.to_string());
        }
        self.ready(plan, loaded, machine).await.map(Ok)
    }

    /// What an answer to a question makes of an instance; the inner error says why it is refused.
    pub(crate) async fn decided(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        number: u32,
        said: &serde_json::Value,
    ) -> Result<Result<Ready, String>, AcceptError> {
        let mut machine = loaded.machine(self.acceptor.clock.now());
        if let Err(why) = with_runtime(|runtime| machine.accepts(number, said, runtime)) {
            return Ok(Err(why));
        }
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        machine.give(
            number,
            Input::Decision {
                choice: text("choice"),
                by: text("by"),
                note: text("note"),
                form: said["form"].clone(),
            },
        );
        self.ready(plan, loaded, machine).await.map(Ok)
    }

    async fn ready(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        machine: Machine<'_>,
    ) -> Result<Ready, AcceptError> {
        let which = Which::Existing {
            id: loaded.id,
            revision: loaded.revision,
            reopen: loaded.reopen,
        };
        self.prepare(
            plan,
            &loaded.process,
            which,
            &loaded.key,
            machine,
            Vec::new(),
        )
        .await
    }

    /// An act is durable, or somebody else was first (false).
    pub(crate) async fn acted_on(
        &self,
        plan: &Plan,
        loaded: &Loaded,
        after: After,
        outcomes: Vec<Outcome>,
    ) -> Result<bool, AcceptError> {
        let outcome = outcomes.into_iter().next();
        let (process, key) = (&loaded.process, &loaded.key);
        match self.learn(after.before, process, key, after.state, after.open, outcome)? {
            None => Ok(false),
            Some((id, mail)) => {
                self.withdrawn(id, &after.withdrawn).await?;
                if mail {
                    self.look_again(plan, id).await?;
                }
                Ok(true)
            }
        }
    }

    /// The variables of an instance.
    pub(crate) async fn vars(&self, id: InstanceId) -> Result<serde_json::Value, AcceptError> {
        let state = self.state(id).await?;
        Ok(serde_json::to_value(&state.vars).unwrap_or_default())
    }

    /// An instance as it would go on by the present definition of its process.
    pub(crate) async fn migrated(
        &self,
        plan: &Plan,
        row: &InstanceRow,
    ) -> Result<Migration, AcceptError> {
        let store = &self.acceptor.store;
        let process = store.name(row.process).unwrap_or_else(|| "?".into());
        let Some(to) = plan.processes.current.get(&process) else {
            return Ok(Migration::Gone);
        };
        let name = store.name(row.definition).unwrap_or_else(|| "?".into());
        if *to.definition_name == *name {
            return Ok(Migration::Current);
        }
        let loaded = self.read(plan, row).await?;
        if !act::is_idle(&loaded.process, &loaded.state) {
            return Ok(Migration::Busy);
        }
        Ok(match act::moved(&loaded.process, to, &loaded.state) {
            Ok(state) => Migration::Done(Loaded {
                state: Arc::new(state),
                process: Arc::clone(to),
                ..loaded
            }),
            Err(step) => Migration::Unlike(step),
        })
    }
}

impl Book {
    /// What the process shows of an instance, where everybody may see it.
    pub(crate) fn shown(&self, row: &InstanceRow) -> serde_json::Map<String, serde_json::Value> {
        let plan = self.acceptor.plan();
        let name = self.acceptor.store.name(row.definition);
        let known = name.and_then(|name| plan.processes.definition(&name).cloned());
        let summary = row.summary.as_ref().and_then(|sealed| {
            let bytes = self
                .acceptor
                .vault
                .open_sealed(Kind::Variables, sealed)
                .ok()?;
            serde_json::from_slice::<serde_json::Value>(&bytes).ok()
        });
        let (Some(known), Some(serde_json::Value::Object(mut summary))) = (known, summary) else {
            return serde_json::Map::new();
        };
        let Some(serde_json::Value::Object(mut show)) = summary.remove("show") else {
            return serde_json::Map::new();
        };
        show.retain(|name, _| {
            known
                .definition
                .show_classes
                .get(name)
                .is_some_and(|class| class.may_be_shown())
        });
        show
    }
}
