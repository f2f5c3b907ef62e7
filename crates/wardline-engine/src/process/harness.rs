//! One instance of a process rehearsed: simulated time, answers as declared, no store and no
//! network. Months take milliseconds, because nothing is waited for but the next timer.

use super::act::InstanceAct;
use super::effects::{Effects, Input, OutCall, OutTask, Standing};
use super::machine::{Context, Machine};
use super::plan::ProcessPlan;
use super::state::State;
use super::ways::{self, Asked};
use crate::plan::Plan;
use crate::route::{self, Arrival, Start};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{BlindIndex, Id, Lane, Timestamp};
use wardline_mapping::{Content, Metadata, Runtime, Subject, Value, from_json_bytes};
use wardline_store::Phase;

/// Rounds of answers that one happening may lead to.
const ROUNDS: usize = 10_000;

/// What a system answers in a rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// This.
    With(Json),
    /// It refuses for good.
    Refused(String),
    /// Nothing: it is down.
    Nothing,
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
    pub(crate) show: Json,
    pub(crate) due: Option<Timestamp>,
}

/// What happened since somebody last looked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Made>,
    pub(crate) events: Vec<(String, Json)>,
    pub(crate) asked: Vec<Question>,
}

struct Kept {
    correlator: Arc<str>,
    key: String,
    data: Value,
    taken: bool,
}

/// A rehearsal.
pub(crate) struct Rehearsal<'p> {
    plan: &'p Plan,
    process: Arc<ProcessPlan>,
    runtime: Runtime,
    pub(crate) now: Timestamp,
    answers: HashMap<String, VecDeque<Answer>>,
    state: Option<State>,
    standing: Option<Standing>,
    timers: BTreeSet<(Timestamp, u32)>,
    waits: Vec<(u32, Arc<str>, String)>,
    kept: Vec<Kept>,
    pub(crate) open: Vec<Question>,
    pub(crate) seen: Seen,
    begun: u32,
    pending: VecDeque<OutCall>,
    told: VecDeque<(String, Value)>,
    settling: bool,
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
            state: None,
            standing: None,
            timers: BTreeSet::new(),
            waits: Vec::new(),
            kept: Vec::new(),
            open: Vec::new(),
            seen: Seen::default(),
            begun: 0,
            pending: VecDeque::new(),
            told: VecDeque::new(),
            settling: false,
        };
        rehearsal.set_clock();
        Some(rehearsal)
    }

    fn set_clock(&mut self) {
        let now = self.now.to_string();
        self.runtime.stop_clock_at(&now);
    }

    /// Where the instance stands; `None` before it began.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Its declared status.
    pub(crate) fn status(&self) -> Option<&str> {
        self.state.as_ref()?.status.as_deref()
    }

    /// Its variables.
    pub(crate) fn vars(&self) -> Json {
        self.state
            .as_ref()
            .and_then(|state| serde_json::to_value(&state.vars).ok())
            .unwrap_or(Json::Null)
    }

    /// How many instances have begun.
    pub(crate) const fn begun(&self) -> u32 {
        self.begun
    }

    /// What systems answer from now on.
    pub(crate) fn answer_with(&mut self, operation: &str, answers: VecDeque<Answer>) {
        self.answers.insert(operation.to_owned(), answers);
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

    /// A message arrives at a connection.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn message(&mut self, source: &str, body: Bytes) -> Result<(), String> {
        let known = self
            .plan
            .sources
            .get(source)
            .ok_or_else(|| format!("`{source}` is no source of messages"))?;
        let content_type = match known.input {
            wardline_mapping::Input::Hl7 => route::HL7,
            _ => route::JSON,
        };
        let content = route::read_as(content_type, &body, known.charset)
            .map_err(|note| format!("{}: {}", note.code, note.text))?;
        let kind = match &content {
            Content::Hl7(message) => crate::accept::hl7_kind(message),
            _ => content_type.to_owned(),
        };
        let subject = Subject::new(content).with(Metadata {
            source: Some(source.into()),
            message_type: Some(kind.into()),
            facility: known.facility.clone(),
            ..self.metadata()
        });
        self.routed(subject, Start::Source(source))
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

    fn valid(&self, event: &str, value: &Value) -> Result<(), String> {
        let entity = super::definition::entity_of(event);
        let Some(entity) = self.plan.estate.entities.get(&entity) else {
            return Ok(());
        };
        let schema =
            wardline_mapping::Schema::compile(&entity.schema).map_err(|error| error.to_string())?;
        match schema.validate(value).first() {
            None => Ok(()),
            Some(violation) => Err(format!(
                "the data of `{event}` is no valid {}: {violation}",
                entity.name
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
            correlator,
            key,
            data: data.clone(),
            taken: starts,
        });
        if starts {
            self.start(data);
            return;
        }
        self.offer();
    }

    fn start(&mut self, data: Value) {
        let open = self
            .standing
            .as_ref()
            .is_some_and(|one| one.phase.is_open());
        if open || (self.standing.is_some() && !self.process.again) {
            return;
        }
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
        self.begun += 1;
        self.timers.clear();
        self.waits.clear();
        self.open.clear();
        let context = self.context(key.into(), None);
        let mut machine = Machine::begin(&process, data, Id::ZERO, context);
        let standing = machine.drive(&mut self.runtime);
        self.after(machine, standing);
        self.settle();
    }

    fn context(&self, key: Arc<str>, facility: Option<Arc<str>>) -> Context {
        Context {
            now: self.now,
            key,
            id: Some("0000000000001".into()),
            facility,
        }
    }

    /// Lets the instance go on with what came.
    fn go_on(&mut self, inputs: Vec<(u32, Input)>) {
        let process = Arc::clone(&self.process);
        let Some(state) = self.state.take() else {
            return;
        };
        let context = self.context(
            state.key.as_str().into(),
            state.facility.as_deref().map(Arc::from),
        );
        let mut machine = Machine::resume(&process, state, context);
        for (n, input) in inputs {
            machine.give(n, input);
        }
        let standing = machine.drive(&mut self.runtime);
        self.after(machine, standing);
        self.settle();
    }

    fn after(&mut self, mut machine: Machine<'_>, standing: Standing) {
        let facility = self.process.facility.as_ref().and_then(|expression| {
            let value = expression
                .value(machine.subject(), &mut self.runtime)
                .ok()?;
            Some(value.to_str_lossy()?.into_owned())
        });
        machine.state.facility = facility;
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
            ..
        } = effects;
        self.waits.retain(|(n, _, _)| !unwait.contains(n));
        self.waits.extend(
            waits
                .into_iter()
                .map(|wait| (wait.n, Arc::clone(&wait.correlator.name), wait.key)),
        );
        self.timers
            .retain(|(_, n)| !unset.contains(n) && !fired.contains(n));
        self.timers
            .extend(timers.into_iter().map(|(n, due)| (due, n)));
        self.open
            .retain(|task| !answered.iter().any(|end| end.number == task.n));
        for task in tasks {
            let question = question(task);
            self.seen.asked.push(question.clone());
            self.open.push(question);
        }
        if !standing.phase.is_open() {
            self.waits.clear();
            self.timers.clear();
            self.open.clear();
        }
        self.standing = Some(standing);
        self.state = Some(state);
        for event in events {
            let body = serde_json::to_value(&event.body).unwrap_or_default();
            self.seen.events.push((event.event.name.to_string(), body));
            self.told
                .push_back((event.event.name.to_string(), event.body));
        }
        self.pending.extend(calls);
    }

    /// Answers what was asked and tells what was told, until nothing more follows.
    fn settle(&mut self) {
        if self.settling {
            return;
        }
        self.settling = true;
        for _ in 0..ROUNDS {
            if let Some(call) = self.pending.pop_front() {
                self.made(call);
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
        let Some(state) = self.state.clone() else {
            return false;
        };
        if !self
            .standing
            .as_ref()
            .is_some_and(|one| one.phase.is_open())
        {
            return false;
        }
        let context = self.context(
            state.key.as_str().into(),
            state.facility.as_deref().map(Arc::from),
        );
        let mut machine = Machine::resume(&process, state, context);
        let mut found = None;
        'waits: for (n, correlator, key) in &self.waits {
            for (index, kept) in self.kept.iter().enumerate() {
                if !kept.taken
                    && kept.correlator == *correlator
                    && kept.key == *key
                    && machine.wants(*n, &kept.data, &mut self.runtime)
                {
                    found = Some((*n, index));
                    break 'waits;
                }
            }
        }
        drop(machine);
        let Some((n, index)) = found else {
            return false;
        };
        self.kept[index].taken = true;
        let data = self.kept[index].data.clone();
        self.go_on(vec![(n, Input::Event(data))]);
        true
    }

    fn made(&mut self, call: OutCall) {
        let facility = self.state.as_ref().and_then(|state| state.facility.clone());
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
                self.seen.calls.push(Made {
                    reference: call.reference.to_string(),
                    destination: destination.to_string(),
                    body: serde_json::from_slice(&body).unwrap_or_else(|_| {
                        Json::String(String::from_utf8_lossy(&body).into_owned())
                    }),
                    asked: serde_json::to_value(&call.body).unwrap_or_default(),
                });
                self.answered(&call.reference, &destination)
            }
        };
        if let Some(input) = input {
            self.go_on(vec![(call.n, input)]);
        }
    }

    fn answered(&mut self, reference: &str, destination: &str) -> Option<Input> {
        let (raw, answers) = match (self.answers.get_mut(reference), destination != reference) {
            (Some(answers), _) => (false, Some(answers)),
            (None, true) => (true, self.answers.get_mut(destination)),
            (None, false) => (false, None),
        };
        let answer = match answers {
            None => Answer::With(json!({})),
            Some(answers) if answers.len() > 1 => answers.pop_front()?,
            Some(answers) => answers.front().cloned()?,
        };
        match answer {
            Answer::Nothing => None,
            Answer::Refused(text) => Some(Input::Fault {
                code: crate::codes::CALL_FAILED.to_string(),
                text,
            }),
            Answer::With(json) if raw => {
                let maps = self
                    .plan
                    .processes
                    .ways
                    .get(destination)
                    .and_then(|ways| ways.first())
                    .map_or(&[][..], |way| &way.response);
                let body = Bytes::from(json.to_string());
                let metadata = self.metadata();
                Some(
                    match ways::answer(maps, &body, &metadata, &mut self.runtime) {
                        Ok(value) => Input::Answer(value),
                        Err(note) => Input::Fault {
                            code: note.code,
                            text: note.text,
                        },
                    },
                )
            }
            Answer::With(json) => Some(Input::Answer(Value::from(json))),
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.until(self.now.after(time));
    }

    /// It becomes this time.
    pub(crate) fn until(&mut self, until: Timestamp) {
        while let Some((due, n)) = self
            .timers
            .first()
            .copied()
            .filter(|(due, _)| *due <= until)
        {
            self.timers.remove(&(due, n));
            self.now = self.now.max(due);
            self.set_clock();
            self.go_on(vec![(n, Input::Time)]);
        }
        self.now = self.now.max(until);
        self.set_clock();
    }

    /// Somebody answers a question.
    ///
    /// # Errors
    /// Why the answer is refused.
    pub(crate) fn decide(
        &mut self,
        step: &str,
        choice: &str,
        by: &str,
        note: &str,
        form: &Json,
    ) -> Result<(), String> {
        let Some(task) = self.open.iter().find(|task| task.step == step) else {
            let open: Vec<&str> = self.open.iter().map(|task| task.step.as_str()).collect();
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
        let Some(state) = self.state.clone() else {
            return Err("no instance has begun".to_owned());
        };
        let context = self.context(
            state.key.as_str().into(),
            state.facility.as_deref().map(Arc::from),
        );
        let decision = json!({
            "choice": choice, "by": by, "note": note, "form": form,
            "at": self.now.to_string(),
        });
        Machine::resume(&process, state, context).accepts(n, &decision, &mut self.runtime)?;
        self.go_on(vec![(
            n,
            Input::Decision {
                choice: choice.to_owned(),
                by: by.to_owned(),
                note: note.to_owned(),
                form: form.clone(),
            },
        )]);
        Ok(())
    }

    /// An operator acts.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(crate) fn act(&mut self, act: &InstanceAct, reason: &str) -> Result<(), String> {
        let process = Arc::clone(&self.process);
        let Some(state) = self.state.clone() else {
            return Err("no instance has begun".to_owned());
        };
        let context = self.context(
            state.key.as_str().into(),
            state.facility.as_deref().map(Arc::from),
        );
        let mut machine = Machine::resume(&process, state, context);
        machine.act(act, reason)?;
        let standing = machine.drive(&mut self.runtime);
        self.after(machine, standing);
        self.settle();
        Ok(())
    }

    /// The word for where it stands.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.standing.as_ref().map(|one| one.phase)
    }
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
        show: task.body["show"].clone(),
        due: task.due,
    }
}
