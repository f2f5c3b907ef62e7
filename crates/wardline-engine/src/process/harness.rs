//! Instances of a process rehearsed: simulated time, answers as declared, no store and no
//! network. Months take milliseconds, because nothing is waited for but the next timer.

use super::act::InstanceAct;
use super::effects::{Effects, Input, OutCall, OutTask, Standing};
use super::figure::Looked;
use super::machine::{Context, Machine};
use super::plan::ProcessPlan;
use super::state::State;
use super::ways::{self, Asked};
use crate::plan::Plan;
use crate::route::{self, Arrival, Start};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{BlindIndex, Id, Lane, Timestamp};
use wardline_mapping::{Metadata, Runtime, Schema, Subject, Value, from_json_bytes};

/// Rounds of answers that one happening may lead to.
const ROUNDS: usize = 10_000;

/// What a system answers in a rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// This.
    With(Json),
    /// It refuses for good.
    Refused(String),
    /// It fails; trying again may help.
    Fails(String),
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    /// As the process names it.
    pub(crate) reference: String,
    /// The operation that the bindings chose.
    pub(crate) destination: String,
    /// What was sent.
    pub(crate) body: Json,
    /// In which lane.
    pub(crate) lane: Lane,
    /// As the process computed it, before the operation's request map.
    pub(crate) asked: Json,
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    n: u32,
    pub(crate) role: String,
    pub(crate) step: String,
    pub(crate) ask: String,
    pub(crate) choices: Vec<String>,
}

/// What happened since somebody last looked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Made>,
    pub(crate) events: Vec<(String, Json)>,
}

struct Kept {
    /// By which happening it came.
    message: i64,
    correlator: Arc<str>,
    key: String,
    data: Value,
    taken: bool,
}

/// One instance.
pub(crate) struct One {
    pub(crate) key: String,
    state: State,
    pub(crate) standing: Standing,
    timers: BTreeSet<(Timestamp, u32)>,
    waits: Vec<(u32, Arc<str>, String)>,
    pub(crate) open: Vec<Question>,
    /// What it gives to figures.
    pub(crate) figures: BTreeMap<Arc<str>, Vec<Json>>,
}

impl One {
    /// Its declared status.
    pub(crate) fn status(&self) -> Option<&str> {
        self.state.status.as_deref()
    }

    /// Its variables.
    pub(crate) fn vars(&self) -> Json {
        serde_json::to_value(&self.state.vars).unwrap_or(Json::Null)
    }
}

/// A call that is to be tried, or tried again.
struct Attempt {
    one: usize,
    call: OutCall,
    number: u32,
    since: Timestamp,
}

/// A rehearsal.
pub(crate) struct Rehearsal<'p> {
    plan: &'p Plan,
    process: Arc<ProcessPlan>,
    runtime: Runtime,
    now: Timestamp,
    answers: HashMap<String, VecDeque<Answer>>,
    pub(crate) ones: Vec<One>,
    kept: Vec<Kept>,
    pub(crate) seen: Seen,
    pending: VecDeque<Attempt>,
    /// Calls that failed, by when they are tried again.
    again: Vec<(Timestamp, Attempt)>,
    told: VecDeque<(String, Value)>,
    settling: bool,
    /// Counts what happens.
    happened: i64,
    schemas: HashMap<String, Schema>,
}

impl<'p> Rehearsal<'p> {
    pub(crate) fn new(
        plan: &'p Plan,
        process: &str,
        now: Timestamp,
        answers: HashMap<String, VecDeque<Answer>>,
    ) -> Option<Self> {
        let process = Arc::clone(plan.processes.current.get(process)?);
        let mut rehearsal = Self {
            plan,
            process,
            runtime: Runtime::default(),
            now,
            answers,
            ones: Vec::new(),
            kept: Vec::new(),
            seen: Seen::default(),
            pending: VecDeque::new(),
            again: Vec::new(),
            told: VecDeque::new(),
            settling: false,
            happened: 0,
            schemas: HashMap::new(),
        };
        rehearsal.set_clock();
        Some(rehearsal)
    }

    fn set_clock(&mut self) {
        let now = self.now.to_string();
        self.runtime.stop_clock_at(&now);
    }

    /// The instance with a key, the last of several; the last of all where no key is given.
    pub(crate) fn find(&self, key: Option<&str>) -> Option<&One> {
        self.position(key).map(|index| &self.ones[index])
    }

    fn position(&self, key: Option<&str>) -> Option<usize> {
        self.ones
            .iter()
            .rposition(|one| key.is_none_or(|key| one.key == key))
    }

    /// An event is told.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn event(&mut self, name: &str, data: &Json) -> Result<(), String> {
        let bytes = Bytes::from(data.to_string());
        let value = from_json_bytes(&bytes).map_err(|error| error.to_string())?;
        self.valid(name, &value)?;
        self.arrive(name, value, Start::Event(name))
    }

    fn arrive(&mut self, name: &str, value: Value, start: Start<'_>) -> Result<(), String> {
        let subject = Subject::json(value).with(Metadata {
            message_type: Some(name.into()),
            ..self.metadata()
        });
        self.routed(subject, start)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            received: Some(self.now.to_string().into()),
            id: Some("0000000000001".into()),
            ..Metadata::default()
        }
    }

    fn routed(&mut self, subject: Subject, start: Start<'_>) -> Result<(), String> {
        let arrival = Arrival {
            subject: Ok(subject),
            key: None,
            lane: Lane::Normal,
        };
        let derived = route::route(self.plan, start, arrival, &mut self.runtime);
        let failed: Vec<String> = derived
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.failed.as_ref())
            .map(|note| format!("{}: {}", note.code, note.text))
            .collect();
        if let Some(first) = failed.first() {
            return Err(first.clone());
        }
        self.happened += 1;
        for mail in derived.mail {
            let own = self
                .process
                .correlators
                .iter()
                .any(|one| one.name == mail.correlator)
                || *mail.correlator == *ProcessPlan::start_name(&self.process.name);
            if !own {
                continue;
            }
            let data = from_json_bytes(&mail.body).map_err(|error| error.to_string())?;
            self.mail(mail.correlator, mail.key, data);
        }
        Ok(())
    }

    fn valid(&mut self, event: &str, value: &Value) -> Result<(), String> {
        let entity = super::definition::entity_of(event);
        let Some(declared) = self.plan.estate.entities.get(&entity) else {
            return Ok(());
        };
        let schema = match self.schemas.entry(entity) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Schema::compile(&declared.schema).map_err(|error| error.to_string())?)
            }
        };
        match schema.validate(value).first() {
            None => Ok(()),
            Some(violation) => Err(format!(
                "the data of `{event}` is no valid {}: {violation}",
                declared.name
            )),
        }
    }

    fn mail(&mut self, correlator: Arc<str>, key: String, data: Value) {
        if self
            .kept
            .iter()
            .any(|known| known.correlator == correlator && known.key == key && known.data == data)
        {
            return;
        }
        let starts = correlator.starts_with("start/");
        self.kept.push(Kept {
            message: self.happened,
            correlator,
            key,
            data: data.clone(),
            taken: starts,
        });
        if starts {
            self.start(data);
            return;
        }
        self.settle();
    }

    fn start(&mut self, data: Value) {
        let process = Arc::clone(&self.process);
        let vars: wardline_mapping::ObjectMap = [(
            wardline_mapping::KeyString::from(&*process.start_as),
            data.clone(),
        )]
        .into_iter()
        .collect();
        let subject = Subject::json(Value::Object(vars));
        let Ok(Some(key)) = process.key.key(&subject, &mut self.runtime) else {
            return;
        };
        if let Some(index) = self.position(Some(&key))
            && (self.ones[index].standing.phase.is_open() || !process.again)
        {
            return;
        }
        let context = Context {
            now: self.now,
            key: key.as_str().into(),
            id: None,
            facility: None,
        };
        let mut machine = Machine::begin(&process, data, Id::from_i64(self.happened), context);
        let standing = machine.drive(&mut self.runtime);
        let index = self.ones.len();
        self.after(index, key, machine, standing);
        self.settle();
    }

    fn machine<'m>(&self, process: &'m ProcessPlan, index: usize) -> Machine<'m> {
        let one = &self.ones[index];
        let context = Context {
            now: self.now,
            key: one.key.as_str().into(),
            id: Some(format!("{:013}", index + 1).into()),
            facility: one.state.facility.as_deref().map(Arc::from),
        };
        Machine::resume(process, one.state.clone(), context)
    }

    /// Lets an instance go on with what came.
    fn go_on(&mut self, index: usize, n: u32, input: Input) {
        let process = Arc::clone(&self.process);
        let mut machine = self.machine(&process, index);
        machine.give(n, input);
        let standing = machine.drive(&mut self.runtime);
        let key = self.ones[index].key.clone();
        self.after(index, key, machine, standing);
        self.settle();
    }

    fn after(&mut self, index: usize, key: String, mut machine: Machine<'_>, standing: Standing) {
        machine.state.facility = self.process.facility.as_ref().and_then(|expression| {
            let value = expression
                .value(machine.subject(), &mut self.runtime)
                .ok()?;
            Some(value.to_str_lossy()?.into_owned())
        });
        let looked = Looked {
            subject: machine.subject(),
            phase: standing.phase,
            began: machine.state.began,
            now: self.now,
        };
        let mut figures = BTreeMap::new();
        for figure in &self.process.figures {
            let values = figure.values(&looked, &mut self.runtime);
            figures.insert(Arc::clone(&figure.name), values);
        }
        let (state, effects) = machine.into_state();
        let Effects {
            calls,
            events,
            waits,
            unwait,
            timers,
            unset,
            fired,
            tasks,
            answered,
            withdraw,
            ..
        } = effects;
        if index == self.ones.len() {
            self.ones.push(One {
                key,
                state: state.clone(),
                standing: standing.clone(),
                timers: BTreeSet::new(),
                waits: Vec::new(),
                open: Vec::new(),
                figures: BTreeMap::new(),
            });
        }
        let one = &mut self.ones[index];
        one.waits.retain(|(n, _, _)| !unwait.contains(n));
        let begun = waits.into_iter();
        one.waits
            .extend(begun.map(|wait| (wait.n, Arc::clone(&wait.correlator.name), wait.key)));
        one.timers
            .retain(|(_, n)| !unset.contains(n) && !fired.contains(n));
        one.timers
            .extend(timers.into_iter().map(|(n, due)| (due, n)));
        one.open
            .retain(|task| !answered.iter().any(|end| end.number == task.n));
        one.open.extend(tasks.into_iter().map(question));
        if !standing.phase.is_open() {
            one.waits.clear();
            one.timers.clear();
            one.open.clear();
        }
        one.standing = standing;
        one.figures = figures;
        one.state = state;
        self.again
            .retain(|(_, one)| one.one != index || !withdraw.contains(&one.call.n));
        self.pending
            .retain(|one| one.one != index || !withdraw.contains(&one.call.n));
        for event in events {
            let body = serde_json::to_value(&event.body).unwrap_or_default();
            let name = event.event.name.to_string();
            self.seen.events.push((name.clone(), body));
            self.told.push_back((name, event.body));
        }
        let since = self.now;
        self.pending.extend(calls.into_iter().map(|call| Attempt {
            one: index,
            call,
            number: 1,
            since,
        }));
    }

    /// Answers what was asked and tells what was told, until nothing more follows.
    fn settle(&mut self) {
        if self.settling {
            return;
        }
        self.settling = true;
        for _ in 0..ROUNDS {
            if let Some(attempt) = self.pending.pop_front() {
                self.made(attempt);
                continue;
            }
            if let Some((event, data)) = self.told.pop_front() {
                // What others make of it is not rehearsed here.
                drop(self.arrive(&event, data, Start::Event(&event)));
                continue;
            }
            if !self.offer() {
                break;
            }
        }
        self.settling = false;
    }

    /// Gives open waits the events that came before them.
    fn offer(&mut self) -> bool {
        let process = Arc::clone(&self.process);
        let mut found = None;
        'ones: for index in 0..self.ones.len() {
            let mut machine = self.machine(&process, index);
            for (n, correlator, key) in &self.ones[index].waits {
                for (at, kept) in self.kept.iter().enumerate() {
                    if !kept.taken
                        && self.ones[index].state.root != Id::from_i64(kept.message)
                        && kept.correlator == *correlator
                        && kept.key == *key
                        && machine.wants(*n, &kept.data, &mut self.runtime)
                    {
                        found = Some((index, *n, at));
                        break 'ones;
                    }
                }
            }
        }
        let Some((index, n, at)) = found else {
            return false;
        };
        self.kept[at].taken = true;
        let data = self.kept[at].data.clone();
        self.go_on(index, n, Input::Event(data));
        true
    }

    fn made(&mut self, attempt: Attempt) {
        let call = &attempt.call;
        let facility = self.ones[attempt.one].state.facility.clone();
        let asked = Asked {
            reference: &call.reference,
            body: &call.body,
            facility: facility.as_deref(),
            key: BlindIndex(0),
            now: self.now,
        };
        let metadata = self.metadata();
        let way = ways::choose(&self.plan.processes, &asked, &mut self.runtime);
        let sent = way.and_then(|way| {
            let body = ways::request(way, call.body.clone(), &metadata, &mut self.runtime)?;
            Ok((Arc::clone(&way.destination), body.0))
        });
        let input = match sent {
            Err(note) => Some(Input::Fault {
                code: note.code,
                text: note.text,
            }),
            Ok((destination, body)) => {
                if attempt.number == 1 {
                    self.seen.calls.push(Made {
                        reference: call.reference.to_string(),
                        destination: destination.to_string(),
                        lane: call.lane,
                        body: serde_json::from_slice(&body).unwrap_or_else(|_| {
                            Json::String(String::from_utf8_lossy(&body).into_owned())
                        }),
                        asked: serde_json::to_value(&call.body).unwrap_or_default(),
                    });
                }
                let (reference, n) = (Arc::clone(&call.reference), call.n);
                match self.answered(&reference, &destination) {
                    Reply::Never => None,
                    Reply::Now(input) => Some(input),
                    Reply::Again(text) => {
                        let one = attempt.one;
                        match self.try_again(attempt, text) {
                            None => return,
                            Some(input) => return self.go_on(one, n, input),
                        }
                    }
                }
            }
        };
        if let Some(input) = input {
            self.go_on(attempt.one, attempt.call.n, input);
        }
    }

    /// Puts a call that failed aside until its next attempt, as its step says; the end where there
    /// is none. One that is held waits for ever.
    fn try_again(&mut self, attempt: Attempt, text: String) -> Option<Input> {
        let terms = self
            .process
            .calls
            .iter()
            .find(|terms| terms.flow == attempt.call.flow)?;
        let backoff = crate::dispatch::backoff::Backoff {
            jitter: false,
            ..terms.backoff
        };
        let next = self.now.after(backoff.wait(attempt.number, 1.0));
        let used_up = backoff.attempts > 0 && attempt.number >= backoff.attempts;
        let old = backoff
            .max_age
            .is_some_and(|most| next.since(attempt.since) > most);
        if used_up || old {
            return terms.park.then(|| Input::Fault {
                code: crate::codes::CALL_FAILED.to_string(),
                text,
            });
        }
        let number = attempt.number + 1;
        self.again.push((next, Attempt { number, ..attempt }));
        None
    }

    fn answered(&mut self, reference: &str, destination: &str) -> Reply {
        let raw = !self.answers.contains_key(reference);
        let name = if raw { destination } else { reference };
        let Some(answers) = self.answers.get_mut(name) else {
            return Reply::Never;
        };
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        let answer = match answer {
            None => return Reply::Never,
            Some(Answer::Fails(text)) => return Reply::Again(text),
            Some(Answer::Refused(text)) => {
                return Reply::Now(Input::Fault {
                    code: crate::codes::CALL_FAILED.to_string(),
                    text,
                });
            }
            Some(Answer::With(json)) => json,
        };
        if !raw || destination == reference {
            return Reply::Now(Input::Answer(Value::from(answer)));
        }
        // In the system's own words.
        let maps = self
            .plan
            .processes
            .ways
            .get(destination)
            .and_then(|ways| ways.first())
            .map_or(&[][..], |way| &way.response);
        let body = Bytes::from(answer.to_string());
        let metadata = self.metadata();
        Reply::Now(
            match ways::answer(maps, &body, &metadata, &mut self.runtime) {
                Ok(value) => Input::Answer(value),
                Err(note) => Input::Fault {
                    code: note.code,
                    text: note.text,
                },
            },
        )
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.until(self.now.after(time));
    }

    /// It becomes this time; whatever is due on the way happens in its order.
    pub(crate) fn until(&mut self, until: Timestamp) {
        loop {
            let timer = self
                .ones
                .iter()
                .enumerate()
                .filter_map(|(index, one)| one.timers.first().map(|(due, n)| (*due, index, *n)))
                .min();
            let again = self.again.iter().map(|(due, _)| *due).min();
            match (timer, again) {
                (Some((due, index, n)), again)
                    if due <= until && again.is_none_or(|again| due <= again) =>
                {
                    self.ones[index].timers.remove(&(due, n));
                    self.move_clock(due);
                    self.go_on(index, n, Input::Time);
                }
                (_, Some(due)) if due <= until => {
                    self.move_clock(due);
                    let at = self.again.iter().position(|(at, _)| *at == due);
                    if let Some(at) = at {
                        let (_, attempt) = self.again.remove(at);
                        self.pending.push_back(attempt);
                        self.settle();
                    }
                }
                _ => break,
            }
        }
        self.move_clock(until);
    }

    fn move_clock(&mut self, to: Timestamp) {
        self.now = self.now.max(to);
        self.set_clock();
    }

    /// Somebody answers a question.
    ///
    /// # Errors
    /// Why the answer is refused.
    pub(crate) fn decide(
        &mut self,
        key: Option<&str>,
        step: &str,
        choice: &str,
        by: &str,
        note: &str,
        form: &Json,
    ) -> Result<(), String> {
        let index = self
            .position(key)
            .ok_or_else(|| "no such instance has begun".to_owned())?;
        let open = &self.ones[index].open;
        let Some(task) = open.iter().find(|task| task.step == step) else {
            let open: Vec<&str> = open.iter().map(|task| task.step.as_str()).collect();
            return Err(format!(
                "nothing is asked at `{step}`; open questions: {}",
                if open.is_empty() {
                    "none".to_owned()
                } else {
                    open.join(", ")
                }
            ));
        };
        let n = task.n;
        let process = Arc::clone(&self.process);
        let decision = json!({
            "choice": choice, "by": by, "note": note, "form": form,
            "at": self.now.to_string(),
        });
        self.machine(&process, index)
            .accepts(n, &decision, &mut self.runtime)?;
        let input = Input::Decision {
            choice: choice.to_owned(),
            by: by.to_owned(),
            note: note.to_owned(),
            form: form.clone(),
        };
        self.go_on(index, n, input);
        Ok(())
    }

    /// An operator acts.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(crate) fn act(
        &mut self,
        key: Option<&str>,
        act: &InstanceAct,
        by: &str,
        reason: &str,
    ) -> Result<(), String> {
        let index = self
            .position(key)
            .ok_or_else(|| "no such instance has begun".to_owned())?;
        let process = Arc::clone(&self.process);
        let mut machine = self.machine(&process, index);
        machine.act(act, &act.because(by, reason))?;
        let standing = machine.drive(&mut self.runtime);
        let key = self.ones[index].key.clone();
        self.after(index, key, machine, standing);
        self.settle();
        Ok(())
    }
}

/// What comes of a call.
enum Reply {
    /// Nothing: it stays under way.
    Never,
    /// This.
    Now(Input),
    /// It failed, and is tried again.
    Again(String),
}

fn question(task: OutTask) -> Question {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    Question {
        n: task.n,
        role: task.role,
        step: task.step.to_string(),
        ask: text(&task.body["ask"]),
        choices: task.body["choices"]
            .as_array()
            .map(|all| all.iter().map(text).collect())
            .unwrap_or_default(),
    }
}
