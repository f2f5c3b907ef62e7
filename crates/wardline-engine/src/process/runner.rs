//! Brings what comes to the instances it is for: mail that was committed, and time.
//!
//! Nothing is kept in memory that the journal does not know: mail is read from there in the order
//! of its ids, timers in the order of their times. What comes for one address is handled in order,
//! what comes for different ones side by side; an instance is one at a time.

use super::book::Book;
use super::definition::{Definition, META};
use super::effects::Input;
use super::halt::{self, Went};
use super::machine::{Context, Machine};
use super::plan::ProcessPlan;
use super::ways;
use crate::accept::{AcceptError, with_runtime};
use crate::codes;
use crate::plan::Plan;
use crate::route;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, InstanceId, MessageId, Sym};
use wardline_mapping::{Content, Metadata, Value};
use wardline_store::{Change, Mail, MailId, MailTo, Outcome, StoreError, TimerRow};
use wardline_vault::Kind;

/// Mail and timers that are in hand at a time.
const IN_HAND: usize = 1_024;
/// Rows read at a time.
const READ: usize = 512;
/// How often an advance is tried again where somebody else was first.
const TRIES: u32 = 8;
/// How long to wait where somebody else was first so often; twice as long each time.
const BUSY: Duration = Duration::from_millis(50);
/// The longest of these waits.
const BUSY_MOST: Duration = Duration::from_secs(5);
/// How long to wait where the journal does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Timers are looked for at least so often, for clocks that jump.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);

/// Whether something was brought to its instance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// It was, or nobody wants it any more.
    Done,
    /// Somebody else was first again and again: once more, later.
    Again,
}

/// What became of an event that was offered to one that waits.
enum Given {
    /// It took it.
    Taken,
    /// It does not want it, or does not wait any more.
    Unwanted,
    /// Somebody else was first again and again.
    Busy,
}

/// One thing that has come.
enum Task {
    Mail(Mail),
    Timer(TimerRow),
}

/// For whom: what has the same address is handled in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Address {
    Waiting(Sym, BlindIndex),
    Instance(InstanceId),
}

/// Brings what comes to instances.
pub(crate) struct Runner {
    book: Arc<Book>,
    mailed: Notify,
    timed: Notify,
    queues: Mutex<HashMap<Address, VecDeque<(Task, OwnedSemaphorePermit)>>>,
    room: Arc<Semaphore>,
    /// Timers in hand: they stand in the journal until they are taken, and are read there again.
    timers: Mutex<BTreeSet<TimerRow>>,
    /// Mail that could not be handled may be now.
    anew: AtomicBool,
}

impl Runner {
    pub(crate) fn new(book: Arc<Book>) -> Self {
        Self {
            book,
            mailed: Notify::new(),
            timed: Notify::new(),
            queues: Mutex::default(),
            room: Arc::new(Semaphore::new(IN_HAND)),
            timers: Mutex::default(),
            anew: AtomicBool::new(false),
        }
    }

    /// Looks at all mail that nobody has taken again: another plan is in force.
    pub(crate) fn look_again(&self) {
        self.anew.store(true, Ordering::Release);
        self.mailed.notify_one();
        self.timed.notify_one();
    }

    /// Mail was committed.
    pub(crate) fn mailed(&self) {
        self.mailed.notify_one();
    }

    /// A timer was set.
    pub(crate) fn timed(&self) {
        self.timed.notify_one();
    }

    /// Works until told to stop; what is in hand is finished.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let workers = Arc::new(Mutex::new(JoinSet::new()));
        let mail = Arc::clone(&self).read_mail(Arc::clone(&workers), shutdown.clone());
        let time = Arc::clone(&self).watch_time(Arc::clone(&workers), shutdown.clone());
        tokio::join!(mail, time);
        let mut workers = std::mem::take(&mut *workers.lock());
        while workers.join_next().await.is_some() {}
    }

    async fn read_mail(
        self: Arc<Self>,
        workers: Arc<Mutex<JoinSet<()>>>,
        shutdown: CancellationToken,
    ) {
        let mut after = MailId(0);
        while !shutdown.is_cancelled() {
            let mailed = self.mailed.notified();
            tokio::pin!(mailed);
            mailed.as_mut().enable();
            if self.anew.swap(false, Ordering::AcqRel) {
                after = MailId(0);
            }
            match self.book.acceptor.store.unread(after, READ).await {
                Ok(mail) if mail.is_empty() => {
                    tokio::select! {
                        () = &mut mailed => {}
                        () = shutdown.cancelled() => return,
                    }
                }
                Ok(mail) => {
                    for one in mail {
                        after = after.max(one.id);
                        let address = match one.to {
                            MailTo::Waiting { correlator, key } => {
                                Address::Waiting(correlator, key)
                            }
                            MailTo::Instance { instance, .. } => Address::Instance(instance),
                        };
                        if !self
                            .put(address, Task::Mail(one), &workers, &shutdown)
                            .await
                        {
                            return;
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(code = %error.code(), %error, "processes wait for the journal");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = shutdown.cancelled() => return,
                    }
                }
            }
        }
    }

    async fn watch_time(
        self: Arc<Self>,
        workers: Arc<Mutex<JoinSet<()>>>,
        shutdown: CancellationToken,
    ) {
        let acceptor = &self.book.acceptor;
        let mut after: Option<TimerRow> = None;
        while !shutdown.is_cancelled() {
            let timed = self.timed.notified();
            tokio::pin!(timed);
            timed.as_mut().enable();
            let now = acceptor.clock.now();
            let due = match acceptor.store.timers(now, after, READ).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(code = %error.code(), %error, "timers wait for the journal");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = shutdown.cancelled() => return,
                    }
                    continue;
                }
            };
            if !due.is_empty() {
                for row in due {
                    after = Some(row);
                    if !self.timers.lock().insert(row) {
                        continue;
                    }
                    let address = Address::Instance(row.instance);
                    if !self
                        .put(address, Task::Timer(row), &workers, &shutdown)
                        .await
                    {
                        return;
                    }
                }
                continue;
            }
            // All that is due is in hand. Whatever is set from now on may be due before it.
            after = None;
            let wait = match acceptor.store.next_timer(Some(now)).await {
                Ok(None) => LOOK_AT_LEAST,
                Ok(Some(next)) => next
                    .since(acceptor.clock.now())
                    .clamp(Duration::from_millis(1), LOOK_AT_LEAST),
                Err(error) => {
                    tracing::warn!(code = %error.code(), %error, "timers wait for the journal");
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut timed => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Hands something to whoever works for its address; false where it is time to stop.
    async fn put(
        self: &Arc<Self>,
        address: Address,
        task: Task,
        workers: &Arc<Mutex<JoinSet<()>>>,
        shutdown: &CancellationToken,
    ) -> bool {
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_owned() => room,
            () = shutdown.cancelled() => return false,
        };
        let Ok(room) = room else { return false };
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get_mut(&address) {
            queue.push_back((task, room));
            return true;
        }
        queues.insert(address, VecDeque::new());
        drop(queues);
        let (runner, shutdown) = (Arc::clone(self), shutdown.clone());
        let mut workers = workers.lock();
        while workers.try_join_next().is_some() {}
        workers.spawn(async move { runner.work(address, task, room, shutdown).await });
        true
    }

    async fn work(
        self: Arc<Self>,
        address: Address,
        first: Task,
        room: OwnedSemaphorePermit,
        shutdown: CancellationToken,
    ) {
        let mut next = Some((first, room));
        while let Some((task, room)) = next.take() {
            let mut busy = BUSY;
            loop {
                let pause = match self.handle(&task).await {
                    Ok(Brought::Done) => break,
                    Ok(Brought::Again) => {
                        let pause = busy;
                        busy = (busy * 2).min(BUSY_MOST);
                        tracing::warn!(
                            tries = TRIES,
                            "an instance changed each time it was to advance; trying again"
                        );
                        pause
                    }
                    Err(AcceptError::Vault(error, codes::NO_DEFINITION)) => {
                        // It stays in the journal, for when another plan is in force.
                        tracing::error!(error, "an instance cannot go on");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an instance could not advance; trying again");
                        PAUSE
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // It is in the journal still.
                    () = shutdown.cancelled() => break,
                }
            }
            if let Task::Timer(row) = &task {
                self.timers.lock().remove(row);
            }
            drop(room);
            let mut queues = self.queues.lock();
            next = queues.get_mut(&address).and_then(VecDeque::pop_front);
            if next.is_none() {
                queues.remove(&address);
            }
        }
    }

    async fn handle(&self, task: &Task) -> Result<Brought, AcceptError> {
        match task {
            Task::Timer(row) => self.book.fire(row).await,
            Task::Mail(mail) => match mail.to {
                MailTo::Waiting { correlator, key } => {
                    let name = self.book.acceptor.store.name(correlator);
                    match name.as_deref().and_then(|name| name.strip_prefix("start/")) {
                        Some(process) => self.book.start(mail, process, key).await,
                        None => self.book.correlate(mail, correlator, key).await,
                    }
                }
                MailTo::Instance {
                    instance,
                    call,
                    delivery,
                } => self.book.answer(mail, instance, call, delivery).await,
            },
        }
    }
}

impl Book {
    /// Begins an instance, unless its key has one.
    async fn start(
        &self,
        mail: &Mail,
        process: &str,
        key: BlindIndex,
    ) -> Result<Brought, AcceptError> {
        let acceptor = &self.acceptor;
        let plan = acceptor.plan();
        let Some(process) = plan.processes.current.get(process).cloned() else {
            tracing::warn!(
                process,
                "an event for a process that left the estate begins nothing"
            );
            return self.discard(mail.id).await;
        };
        let sym = acceptor.sym(&process.name).await?;
        let last = acceptor.store.instances_of(sym, key, 1).await?;
        if last
            .first()
            .is_some_and(|last| last.phase.is_open() || !process.again)
        {
            return self.discard(mail.id).await;
        }
        let Some(data) = self.event(mail.message).await? else {
            tracing::error!(message = %mail.message, process = %process.name, "an event whose payload is gone begins nothing");
            return self.discard(mail.id).await;
        };
        let facility = None;
        for _ in 0..TRIES {
            let context = self.context(&process, &data, facility.clone());
            let mut machine = Machine::begin(&process, data.clone(), mail.message.0, context);
            // By it everything that follows is found again.
            machine.state.correlation = Some(mail.message.to_string());
            let ordering = acceptor.ordering_key(&route::PlainKey::Value(
                machine.state.key.as_str().into(),
                process.key_class,
            ));
            let which = wardline_store::Which::New {
                process: sym,
                key: ordering.clone(),
                again: process.again,
            };
            let driven = self
                .drive(
                    &plan,
                    &process,
                    which.clone(),
                    &ordering,
                    machine,
                    vec![mail.id],
                )
                .await;
            let done = match driven {
                Err(why) if halt::is_refused(&why) => {
                    let context = self.context(&process, &data, facility.clone());
                    let mut machine =
                        Machine::begin(&process, data.clone(), mail.message.0, context);
                    machine.state.correlation = Some(mail.message.to_string());
                    self.begin_halted(&plan, &process, which, &ordering, machine, mail.id, &why)
                        .await?
                }
                other => other?,
            };
            if done {
                return Ok(Brought::Done);
            }
            // Somebody else began it, or took this very mail.
            let last = acceptor.store.instances_of(sym, key, 1).await?;
            if last
                .first()
                .is_some_and(|last| last.phase.is_open() || !process.again)
            {
                return self.discard(mail.id).await;
            }
        }
        self.once_more(mail).await
    }

    /// Brings an event to whoever waits for it, or keeps it.
    async fn correlate(
        &self,
        mail: &Mail,
        correlator: Sym,
        key: BlindIndex,
    ) -> Result<Brought, AcceptError> {
        let store = &self.acceptor.store;
        let mut unwilling = Vec::new();
        for _ in 0..TRIES {
            for wait in store.waiting(correlator, key, READ).await? {
                if unwilling.contains(&wait) {
                    continue;
                }
                let Some(data) = self.event(mail.message).await? else {
                    return self.discard(mail.id).await;
                };
                match self.deliver(wait.instance, wait.number, mail, data).await? {
                    Given::Taken => return Ok(Brought::Done),
                    Given::Unwanted => unwilling.push(wait),
                    Given::Busy => return self.once_more(mail).await,
                }
            }
            let keep = Change::Keep {
                mail: mail.id,
                unwilling: unwilling.clone(),
            };
            match store.commit(vec![keep]).await?.first() {
                // It began to wait in this moment.
                Some(Outcome::Kept(Some(_))) => {}
                _ => return Ok(Brought::Done),
            }
        }
        self.once_more(mail).await
    }

    /// Gives an event to one that waits.
    async fn deliver(
        &self,
        id: InstanceId,
        wait: u32,
        mail: &Mail,
        data: Value,
    ) -> Result<Given, AcceptError> {
        let _one_at_a_time = self.lock(id).await;
        for _ in 0..TRIES {
            let plan = self.acceptor.plan();
            let Some(loaded) = self.load(&plan, id).await? else {
                return Ok(Given::Unwanted);
            };
            let mut machine = loaded.machine(self.acceptor.clock.now());
            if mail.message.0 == machine.state.root
                || !with_runtime(|runtime| machine.wants(wait, &data, runtime))
            {
                return Ok(Given::Unwanted);
            }
            machine.give(wait, Input::Event(data.clone()));
            machine.state.cause = mail.message.0;
            match self.go_on(&plan, &loaded, machine, vec![mail.id]).await? {
                Went::On => return Ok(Given::Taken),
                Went::Stuck => return Ok(Given::Unwanted),
                Went::Late => {}
            }
        }
        Ok(Given::Busy)
    }

    /// Brings the end of a delivery to the instance that owes it.
    async fn answer(
        &self,
        mail: &Mail,
        id: InstanceId,
        call: u32,
        delivery: DeliveryId,
    ) -> Result<Brought, AcceptError> {
        let _one_at_a_time = self.lock(id).await;
        for _ in 0..TRIES {
            let plan = self.acceptor.plan();
            let Some(loaded) = self.load(&plan, id).await? else {
                return self.discard(mail.id).await;
            };
            let input = self.end_of(&plan, delivery).await?;
            let mut machine = loaded.machine(self.acceptor.clock.now());
            machine.give(call, input);
            match self.go_on(&plan, &loaded, machine, vec![mail.id]).await? {
                Went::On => return Ok(Brought::Done),
                // Nobody else waits for the end of its call.
                Went::Stuck => return self.discard(mail.id).await,
                Went::Late => {}
            }
        }
        self.once_more(mail).await
    }

    /// What became of a delivery, for the instance.
    async fn end_of(&self, plan: &Plan, delivery: DeliveryId) -> Result<Input, AcceptError> {
        let store = &self.acceptor.store;
        let Some(row) = store.delivery(delivery).await? else {
            return Ok(Input::Fault {
                code: codes::NOT_FOUND.to_string(),
                text: "the delivery is no longer in the journal".to_owned(),
            });
        };
        if row.state != DeliveryState::Delivered {
            let (code, text) = row.note.map_or_else(
                || (codes::CALL_FAILED.to_string(), row.state.to_string()),
                |note| (note.code, note.text),
            );
            return Ok(Input::Fault { code, text });
        }
        let body = match store.response(delivery).await? {
            Some(sealed) => self.acceptor.vault.open_sealed(Kind::Response, &sealed)?,
            None => bytes::Bytes::new(),
        };
        let destination = store.name(row.destination);
        let maps = destination
            .as_deref()
            .and_then(|name| plan.processes.ways.get(name))
            .and_then(|ways| ways.first())
            .map_or(&[][..], |way| &way.response);
        let metadata = Metadata {
            source: destination.clone(),
            received: Some(self.acceptor.clock.now().to_string().into()),
            ..Metadata::default()
        };
        Ok(
            match with_runtime(|runtime| ways::answer(maps, &body, &metadata, runtime)) {
                Ok(value) => Input::Answer(value),
                Err(note) => Input::Fault {
                    code: note.code,
                    text: note.text,
                },
            },
        )
    }

    /// A time has come.
    async fn fire(&self, row: &TimerRow) -> Result<Brought, AcceptError> {
        let _one_at_a_time = self.lock(row.instance).await;
        for _ in 0..TRIES {
            // It may have been taken, or taken back, since it was read.
            if !self.is_set(row).await? {
                return Ok(Brought::Done);
            }
            let plan = self.acceptor.plan();
            let Some(loaded) = self.load(&plan, row.instance).await? else {
                return Ok(Brought::Done);
            };
            let mut machine = loaded.machine(self.acceptor.clock.now());
            machine.give(row.number, Input::Time);
            if self.go_on(&plan, &loaded, machine, Vec::new()).await? != Went::Late {
                return Ok(Brought::Done);
            }
        }
        Ok(Brought::Again)
    }

    /// Whether a timer still stands in the journal.
    async fn is_set(&self, row: &TimerRow) -> Result<bool, StoreError> {
        let before = TimerRow {
            number: row.number.saturating_sub(1),
            ..*row
        };
        let next = self.acceptor.store.timers(row.due, Some(before), 1).await?;
        Ok(next.first() == Some(row))
    }

    /// What was not brought though nothing is wrong with it: once more, unless it was looked at
    /// meanwhile, and taken or kept for another.
    async fn once_more(&self, mail: &Mail) -> Result<Brought, AcceptError> {
        let before = MailId(mail.id.0 - 1);
        let unread = self.acceptor.store.unread(before, 1).await?;
        Ok(if unread.first().is_some_and(|one| one.id == mail.id) {
            Brought::Again
        } else {
            Brought::Done
        })
    }

    /// The data of an event; `None` where it is gone or none.
    pub(super) async fn event(&self, message: MessageId) -> Result<Option<Value>, AcceptError> {
        let Some(sealed) = self.acceptor.store.payload(message).await? else {
            return Ok(None);
        };
        let body = self.acceptor.vault.open_sealed(Kind::Message, &sealed)?;
        Ok(match route::read(route::JSON, &body) {
            Ok(Content::Json(value)) => Some(value),
            _ => None,
        })
    }

    async fn discard(&self, mail: MailId) -> Result<Brought, AcceptError> {
        self.acceptor
            .store
            .commit(vec![Change::Discard(mail)])
            .await?;
        Ok(Brought::Done)
    }

    /// What is known of an instance that begins.
    fn context(&self, process: &ProcessPlan, data: &Value, facility: Option<Arc<str>>) -> Context {
        let vars: wardline_mapping::ObjectMap = [(
            wardline_mapping::KeyString::from(&*process.start_as),
            data.clone(),
        )]
        .into_iter()
        .collect();
        let subject = wardline_mapping::Subject::json(Value::Object(vars));
        // It had one when it was accepted.
        let key = with_runtime(|runtime| process.key.key(&subject, runtime))
            .ok()
            .flatten()
            .unwrap_or_default();
        Context {
            now: self.acceptor.clock.now(),
            key: key.into(),
            id: None,
            facility,
        }
    }
}

/// Definitions that instances still run by, as the journal keeps them.
pub(crate) async fn definitions_in_use(
    store: &dyn wardline_store::Store,
) -> Result<Vec<Definition>, StoreError> {
    let mut names: Vec<Sym> = store
        .instance_counts()
        .await?
        .into_iter()
        .filter(|count| count.phase.is_open() && count.count > 0)
        .map(|count| count.definition)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for sym in names {
        let Some(name) = store.name(sym) else {
            continue;
        };
        let Some(bytes) = store.meta(&format!("{META}{name}")).await? else {
            tracing::error!(definition = %name, "instances run by a definition that the journal does not have");
            continue;
        };
        match serde_json::from_slice(&bytes) {
            Ok(definition) => found.push(definition),
            Err(error) => {
                tracing::error!(definition = %name, %error, "a definition cannot be read");
            }
        }
    }
    Ok(found)
}

/// Makes a plan's definitions durable, before an instance begins by one, and adds to it those
/// that instances run by: those of the journal, and those of the plan before it.
pub(crate) async fn acquaint(
    plan: &Plan,
    before: &Plan,
    store: &dyn wardline_store::Store,
) -> Result<(), StoreError> {
    let mut changes = Vec::new();
    for (name, definition) in plan.definitions() {
        let name = format!("{META}{name}");
        if store.meta(&name).await?.is_none() {
            let value = serde_json::to_vec(&*definition).unwrap_or_default();
            changes.push(Change::SetMeta { name, value });
        }
    }
    if !changes.is_empty() {
        store.commit(changes).await?;
    }
    let mut past: Vec<Arc<Definition>> = definitions_in_use(store)
        .await?
        .into_iter()
        .map(Arc::new)
        .collect();
    past.extend(before.definitions().into_values());
    plan.remember(past);
    Ok(())
}
