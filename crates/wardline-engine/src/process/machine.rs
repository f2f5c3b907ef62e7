//! The interpreter of processes: from a state and what came to the next state and what follows.
//!
//! It is a function of its inputs alone: no store, no network, no clock but the time it is given.
//! The running engine, the operators' acts and `wardline test` all call it.

use super::effects::{Effects, Input, OutCall, OutEvent, OutTask, OutWait, Standing};
use super::plan::{
    CallPlan, DataPlan, KindPlan, ProcessPlan, StepPlan, TaskPlan, UntilPlan, WaitPlan,
};
use super::state::{Closing, Here, Registered, Round, Run, State, VERSION};
use super::walk::walk;
use crate::codes;
use crate::plan::MapPlan;
use ahash::AHashMap;
use serde_json::json;
use std::sync::Arc;
use wardline_core::{Code, Id, Lane, Timestamp};
use wardline_mapping::{Content, KeyString, Metadata, ObjectMap, Output, Runtime, Subject, Value};
use wardline_store::{MailId, Phase, TaskEnd};

/// Steps that one advance may take: a loop that waits for nothing must end.
const STEPS: u32 = 20_000;
/// Values that an `each` may go through.
const ITEMS: usize = 10_000;

/// What is known of an instance besides its state.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) now: Timestamp,
    pub(crate) key: Arc<str>,
    /// Its id; none before it is durable for the first time.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) facility: Option<Arc<str>>,
}

/// Why a step cannot go on by itself.
struct Trouble {
    code: Code,
    text: String,
}

/// How far a sequence or a step came.
enum Move {
    Waiting,
    Done,
    End(Ending),
}

/// How an instance ends.
enum Ending {
    Completed,
    Failed { reason: String, undo: bool },
}

/// An instance at work.
pub(crate) struct Machine<'p> {
    plan: &'p ProcessPlan,
    pub(crate) state: State,
    /// The variables, while at work.
    subject: Subject,
    context: Context,
    inputs: AHashMap<u32, Input>,
    pub(crate) effects: Effects,
    left: u32,
    ended: Option<(Phase, Option<(String, String)>)>,
    /// What variables were outside of the round of an `each` that is at work.
    scopes: Vec<Vec<(KeyString, Option<Value>)>>,
}

impl<'p> Machine<'p> {
    /// An instance that begins.
    pub(crate) fn begin(plan: &'p ProcessPlan, data: Value, cause: Id, context: Context) -> Self {
        let vars = Value::Object(
            [(KeyString::from(&*plan.start_as), data)]
                .into_iter()
                .collect(),
        );
        let mut machine = Self::resume(
            plan,
            State {
                v: VERSION,
                vars,
                key: context.key.to_string(),
                facility: None,
                last: 0,
                main: Run::start(),
                beside: None,
                deadline: None,
                undo: Vec::new(),
                closing: None,
                status: None,
                began: context.now,
                cause,
                root: cause,
                correlation: None,
            },
            context,
        );
        if let Some(deadline) = &plan.deadline {
            let n = machine.number();
            machine.state.deadline = Some(n);
            let due = machine.context.now.after(deadline.by);
            machine.effects.timers.push((n, due));
        }
        machine.effects.tell("", "began", "");
        machine
    }

    /// One that goes on.
    pub(crate) fn resume(plan: &'p ProcessPlan, mut state: State, context: Context) -> Self {
        let vars = std::mem::replace(&mut state.vars, Value::Null);
        let subject = Subject::json(vars).with(Metadata {
            source: Some(Arc::clone(&plan.name)),
            key: Some(Arc::clone(&context.key)),
            id: context.id.clone(),
            facility: context.facility.clone(),
            received: Some(context.now.to_string().into()),
            correlation_id: state.correlation.as_deref().map(Arc::from),
            ..Metadata::default()
        });
        Self {
            plan,
            state,
            subject,
            context,
            inputs: AHashMap::new(),
            effects: Effects::default(),
            left: STEPS,
            ended: None,
            scopes: Vec::new(),
        }
    }

    /// What came for one of its numbers.
    pub(crate) fn give(&mut self, n: u32, input: Input) {
        self.inputs.insert(n, input);
    }

    /// For which of its numbers something came.
    pub(crate) fn given(&self) -> Vec<u32> {
        self.inputs.keys().copied().collect()
    }

    /// Takes back what was given and not used.
    pub(crate) fn unused(&mut self, n: u32) -> bool {
        self.inputs.remove(&n).is_some()
    }

    /// Goes on as far as it can.
    pub(crate) fn drive(&mut self, runtime: &mut Runtime) -> Standing {
        if self.state.closing.is_none() {
            self.open(runtime);
        }
        if self.ended.is_none() && self.state.closing.is_some() {
            self.close(runtime);
        }
        self.standing()
    }

    /// The state to keep.
    pub(crate) fn into_state(self) -> (State, Effects) {
        let mut state = self.state;
        if let Content::Json(vars) = self.subject.content {
            state.vars = vars;
        }
        (state, self.effects)
    }

    /// Its variables.
    pub(crate) fn vars(&self) -> &Value {
        match &self.subject.content {
            Content::Json(vars) => vars,
            _ => &Value::Null,
        }
    }

    /// The variables as what expressions look at.
    pub(crate) const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The same, to be changed by an operator.
    pub(super) const fn subject_mut(&mut self) -> &mut Subject {
        &mut self.subject
    }

    fn open(&mut self, runtime: &mut Runtime) {
        let plan = self.plan;
        if let Some(n) = self.state.deadline
            && self.inputs.remove(&n).is_some()
        {
            self.effects.fired.push(n);
            self.state.deadline = None;
            self.state.beside = Some(Run::start());
            self.effects.tell("deadline", "passed", "");
        }
        let mut run = std::mem::replace(&mut self.state.main, Run::start());
        let mut moved = self.steps(&plan.steps, &mut run, runtime);
        self.state.main = run;
        if let (Some(deadline), Some(mut run), Move::Waiting) =
            (&plan.deadline, self.state.beside.take(), &moved)
        {
            match self.steps(&deadline.steps, &mut run, runtime) {
                Move::Done if deadline.end => {
                    moved = Move::End(Ending::Failed {
                        reason: "not done by its deadline".to_owned(),
                        undo: false,
                    });
                }
                Move::Done => {}
                Move::Waiting => self.state.beside = Some(run),
                end @ Move::End(_) => moved = end,
            }
        }
        match moved {
            Move::Waiting => {}
            Move::Done | Move::End(Ending::Completed) => {
                self.effects.tell("", "completed", "");
                self.ended = Some((Phase::Completed, None));
            }
            Move::End(Ending::Failed { reason, undo }) => self.fail(reason, undo, false),
        }
    }

    /// Ends as failed, or as cancelled by an operator; what is done is undone first where `undo`.
    pub(crate) fn fail(&mut self, reason: String, undo: bool, cancelled: bool) {
        self.withdraw_all();
        self.state.beside = None;
        let word = if cancelled { "cancelled" } else { "failed" };
        self.effects.tell("", word, "");
        if undo && !self.state.undo.is_empty() {
            self.state.closing = Some(Closing {
                here: Here::Undoing { n: None },
                cancelled,
                reason,
            });
        } else {
            let phase = if cancelled {
                Phase::Cancelled
            } else {
                Phase::Failed
            };
            let trouble = (codes::PROCESS_FAILED.to_string(), reason);
            self.ended = Some((phase, Some(trouble)));
        }
    }

    fn close(&mut self, runtime: &mut Runtime) {
        let Some(mut closing) = self.state.closing.take() else {
            return;
        };
        let moved = self.undoing("undo", &mut closing.here, runtime);
        if matches!(moved, Move::Done) {
            let phase = if closing.cancelled {
                Phase::Cancelled
            } else {
                Phase::Failed
            };
            let trouble = (codes::PROCESS_FAILED.to_string(), closing.reason.clone());
            self.ended = Some((phase, Some(trouble)));
        }
        self.state.closing = Some(closing);
    }

    /// Withdraws everything that is waited for.
    fn withdraw_all(&mut self) {
        let plan = self.plan;
        let mut main = std::mem::replace(&mut self.state.main, Run::start());
        let mut beside = self.state.beside.take();
        let effects = &mut self.effects;
        walk(&plan.steps, &mut main, &mut |_, here| {
            withdraw(effects, here);
        });
        if let (Some(run), Some(deadline)) = (&mut beside, &plan.deadline) {
            walk(&deadline.steps, run, &mut |_, here| withdraw(effects, here));
        }
        self.state.main = main;
    }

    fn steps(&mut self, steps: &'p [StepPlan], run: &mut Run, runtime: &mut Runtime) -> Move {
        loop {
            let Some(step) = steps.get(run.at) else {
                return Move::Done;
            };
            if *run.name != *step.name {
                run.name = step.name.to_string();
            }
            if let Some(left) = self.left.checked_sub(1) {
                self.left = left;
            } else {
                self.stick(
                    step,
                    &mut run.here,
                    None,
                    Trouble {
                        code: codes::TOO_DEEP,
                        text: format!("more than {STEPS} steps without waiting for anything"),
                    },
                );
                return Move::Waiting;
            }
            match self.step(step, &mut run.here, runtime) {
                Move::Done => {
                    run.at += 1;
                    run.name = String::new();
                    run.here = Here::Fresh;
                }
                other => return other,
            }
        }
    }

    fn step(&mut self, step: &'p StepPlan, here: &mut Here, runtime: &mut Runtime) -> Move {
        if matches!(here, Here::Passed) {
            self.effects.tell(&step.path, "skipped", "by an operator");
            return Move::Done;
        }
        if let Here::Stuck { n, .. } = here {
            // Its call may have been repeated by a person, and arrived.
            match *n {
                Some(n) if self.inputs.contains_key(&n) => *here = Here::Call { n },
                _ => return Move::Waiting,
            }
        }
        if matches!(here, Here::Fresh)
            && let Some(when) = &step.when
        {
            match when.test(&self.subject, runtime) {
                Ok(true) => {}
                Ok(false) => {
                    self.effects.tell(&step.path, "skipped", "");
                    return Move::Done;
                }
                Err(error) => {
                    return self.stick(step, here, None, run_trouble("when", &error));
                }
            }
        }
        match self.work(step, here, runtime) {
            Ok((Move::Done, value)) => match self.finish(step, value, runtime) {
                Ok(()) => Move::Done,
                Err(trouble) => self.stick(step, here, None, trouble),
            },
            Ok((moved, _)) => moved,
            Err((n, trouble)) => self.stick(step, here, n, trouble),
        }
    }

    /// What a step leaves behind when it is done.
    fn finish(
        &mut self,
        step: &StepPlan,
        value: Option<Value>,
        runtime: &mut Runtime,
    ) -> Result<(), Trouble> {
        if let (Some(name), Some(value)) = (&step.save, value) {
            self.set(name, value);
        }
        if let Some(undo) = &step.undo {
            let body = self.data(&undo.with, runtime)?;
            self.state.undo.push(Registered {
                step: step.path.to_string(),
                call: undo.reference.to_string(),
                flow: undo.flow.to_string(),
                lane: undo.lane,
                body,
            });
        }
        if let Some(status) = &step.status {
            self.state.status = Some(status.to_string());
            self.effects.tell(&step.path, "status", status.to_string());
        } else {
            self.effects.tell(&step.path, "done", "");
        }
        Ok(())
    }

    fn stick(
        &mut self,
        step: &StepPlan,
        here: &mut Here,
        n: Option<u32>,
        trouble: Trouble,
    ) -> Move {
        self.effects
            .tell(&step.path, "failed", trouble.code.to_string());
        let round = match (&step.kind, &*here) {
            (KindPlan::Repeat { steps, .. }, Here::Repeat { round, run })
                if run.at >= steps.len() =>
            {
                Some(*round)
            }
            _ => None,
        };
        *here = Here::Stuck {
            n,
            code: trouble.code.to_string(),
            text: trouble.text,
            round,
        };
        Move::Waiting
    }

    #[allow(clippy::type_complexity)]
    fn work(
        &mut self,
        step: &'p StepPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), (Option<u32>, Trouble)> {
        let plain = |trouble| (None, trouble);
        match &step.kind {
            KindPlan::Call(call) => self.call(step, call, here, runtime),
            KindPlan::Emit {
                event,
                schema,
                data,
            } => {
                let body = self.data(data, runtime).map_err(plain)?;
                if let Some(schema) = schema {
                    let violations = schema.validate(&body);
                    if let Some(first) = violations.first() {
                        return Err(plain(Trouble {
                            code: codes::INVALID_ENTITY,
                            text: format!("the data of {}: {first}", event.name),
                        }));
                    }
                }
                self.effects.events.push(OutEvent {
                    event: event.clone(),
                    body: body.clone(),
                });
                Ok((Move::Done, Some(body)))
            }
            KindPlan::Wait(wait) => self.wait(step, wait, here, runtime).map_err(plain),
            KindPlan::Sleep(until) => {
                if let Here::Sleep { timer } = here {
                    let n = *timer;
                    if self.inputs.remove(&n).is_none() {
                        return Ok((Move::Waiting, None));
                    }
                    self.effects.fired.push(n);
                    Ok((Move::Done, None))
                } else {
                    let due = self.until(until, runtime).map_err(plain)?;
                    if due <= self.context.now {
                        return Ok((Move::Done, None));
                    }
                    let timer = self.number();
                    self.effects.timers.push((timer, due));
                    self.effects
                        .tell(&step.path, "waiting", format!("until {due}"));
                    *here = Here::Sleep { timer };
                    Ok((Move::Waiting, None))
                }
            }
            KindPlan::Task(task) => self.task(step, task, here, runtime).map_err(plain),
            KindPlan::Choose {
                branches,
                otherwise,
            } => {
                if !matches!(here, Here::Inner { .. }) {
                    let mut taken = branches.len();
                    for (index, (when, _)) in branches.iter().enumerate() {
                        let holds = when
                            .test(&self.subject, runtime)
                            .map_err(|error| plain(run_trouble("when", &error)))?;
                        if holds {
                            taken = index;
                            break;
                        }
                    }
                    *here = Here::Inner {
                        branch: taken,
                        run: Box::new(Run::start()),
                    };
                }
                let Here::Inner { branch, run } = here else {
                    return Ok((Move::Waiting, None));
                };
                let steps = branches
                    .get(*branch)
                    .map(|(_, steps)| steps.as_slice())
                    .or(otherwise.as_deref())
                    .unwrap_or_default();
                Ok((self.steps(steps, run, runtime), None))
            }
            KindPlan::Parallel(branches) => {
                if !matches!(here, Here::Branches(_)) {
                    *here = Here::Branches(branches.iter().map(|_| Some(Run::start())).collect());
                }
                let Here::Branches(runs) = here else {
                    return Ok((Move::Waiting, None));
                };
                for ((_, steps), slot) in branches.iter().zip(runs.iter_mut()) {
                    let Some(run) = slot else { continue };
                    match self.steps(steps, run, runtime) {
                        Move::Waiting => {}
                        Move::Done => *slot = None,
                        end @ Move::End(_) => return Ok((end, None)),
                    }
                }
                let all = runs.iter().all(Option::is_none);
                Ok((if all { Move::Done } else { Move::Waiting }, None))
            }
            KindPlan::Each {
                of,
                as_name,
                at_once,
                steps,
            } => {
                if !matches!(here, Here::Each { .. }) {
                    let items = match of
                        .value(&self.subject, runtime)
                        .map_err(|error| plain(run_trouble("each", &error)))?
                    {
                        Value::Array(items) => items,
                        Value::Null => Vec::new(),
                        _ => {
                            return Err(plain(Trouble {
                                code: codes::STEP_FAILED,
                                text: "`each` needs an array".to_owned(),
                            }));
                        }
                    };
                    if items.len() > ITEMS {
                        return Err(plain(Trouble {
                            code: codes::TOO_DEEP,
                            text: format!("`each` goes through more than {ITEMS} values"),
                        }));
                    }
                    *here = Here::Each {
                        items,
                        next: 0,
                        running: Vec::new(),
                        done: Vec::new(),
                    };
                }
                let keeps = step.save.is_some();
                Ok(self.each(as_name, *at_once, steps, keeps, here, runtime))
            }
            KindPlan::Repeat { until, most, steps } => {
                if !matches!(here, Here::Repeat { .. }) {
                    *here = Here::Repeat {
                        round: 0,
                        run: Box::new(Run::start()),
                    };
                }
                loop {
                    let Here::Repeat { round, run } = here else {
                        return Ok((Move::Waiting, None));
                    };
                    match self.steps(steps, run, runtime) {
                        Move::Done => {}
                        other => return Ok((other, None)),
                    }
                    if until
                        .test(&self.subject, runtime)
                        .map_err(|error| plain(run_trouble("until", &error)))?
                    {
                        return Ok((Move::Done, None));
                    }
                    *round += 1;
                    if *round >= *most || self.left == 0 {
                        // Whoever tries it again allows as many once more.
                        let done = std::mem::take(round);
                        return Err(plain(Trouble {
                            code: codes::STEP_FAILED,
                            text: format!("{done} rounds did not make `until` true"),
                        }));
                    }
                    **run = Run::start();
                }
            }
            KindPlan::Set(values) => {
                for (name, data) in values {
                    let value = self.data(data, runtime).map_err(plain)?;
                    self.set(name, value);
                }
                Ok((Move::Done, None))
            }
            KindPlan::Map(maps) => {
                let value = self.vars().clone();
                let value = self.mapped(maps, value, runtime).map_err(plain)?;
                if step.save.is_none() {
                    if !value.is_object() {
                        return Err(plain(Trouble {
                            code: codes::STEP_FAILED,
                            text: "a map without `save` must give an object: all variables"
                                .to_owned(),
                        }));
                    }
                    self.subject.content = Content::Json(value);
                    return Ok((Move::Done, None));
                }
                Ok((Move::Done, Some(value)))
            }
            KindPlan::Group(steps) => {
                if !matches!(here, Here::Inner { .. }) {
                    *here = Here::Inner {
                        branch: 0,
                        run: Box::new(Run::start()),
                    };
                }
                let Here::Inner { run, .. } = here else {
                    return Ok((Move::Waiting, None));
                };
                Ok((self.steps(steps, run, runtime), None))
            }
            KindPlan::Status => Ok((Move::Done, None)),
            KindPlan::Undo => {
                if !matches!(here, Here::Undoing { .. }) {
                    *here = Here::Undoing { n: None };
                }
                Ok((self.undoing(&step.path, here, runtime), None))
            }
            KindPlan::Fail { reason, undo } => {
                let reason = reason
                    .text(&self.subject, runtime)
                    .map_err(|error| plain(run_trouble("fail", &error)))?;
                Ok((
                    Move::End(Ending::Failed {
                        reason,
                        undo: *undo,
                    }),
                    None,
                ))
            }
            KindPlan::End => Ok((Move::End(Ending::Completed), None)),
        }
    }

    #[allow(clippy::type_complexity)]
    fn call(
        &mut self,
        step: &'p StepPlan,
        call: &'p CallPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), (Option<u32>, Trouble)> {
        match here {
            Here::Inner { run, .. } => {
                let steps = call.on_failure.as_deref().unwrap_or_default();
                Ok((self.steps(steps, run, runtime), None))
            }
            Here::Call { n } => {
                let n = *n;
                let fault = match self.inputs.remove(&n) {
                    None => return Ok((Move::Waiting, None)),
                    Some(Input::Answer(answer)) => {
                        let fits = match &call.expect {
                            None => Ok(true),
                            Some(expect) => {
                                let subject = Subject {
                                    content: Content::Json(answer.clone()),
                                    metadata: self.subject.metadata.clone(),
                                };
                                expect.test(&subject, runtime)
                            }
                        };
                        match fits {
                            Ok(true) => return Ok((Move::Done, Some(answer))),
                            Ok(false) => Trouble {
                                code: codes::ANSWER_REFUSED,
                                text: format!(
                                    "{} answered, but not what `expect` says",
                                    call.reference
                                ),
                            },
                            Err(error) => run_trouble("expect", &error),
                        }
                    }
                    Some(Input::Fault { code, text }) => {
                        self.effects.tell(&step.path, "refused", code.clone());
                        Trouble {
                            code: codes::CALL_FAILED,
                            text: format!("{code}: {text}"),
                        }
                    }
                    Some(_) => Trouble {
                        code: codes::STEP_FAILED,
                        text: "something else came than an answer".to_owned(),
                    },
                };
                if call.on_failure.is_none() {
                    return Err((Some(n), fault));
                }
                if let Some(name) = &step.save {
                    let what =
                        json!({ "failed": { "code": fault.code.to_string(), "text": fault.text } });
                    self.set(name, Value::from(what));
                }
                let mut run = Box::new(Run::start());
                let steps = call.on_failure.as_deref().unwrap_or_default();
                let moved = self.steps(steps, &mut run, runtime);
                *here = Here::Inner { branch: 0, run };
                Ok((moved, None))
            }
            _ => {
                let body = self
                    .data(&call.with, runtime)
                    .map_err(|trouble| (None, trouble))?;
                let n = self.number();
                let lane = self.lane(call.lane, runtime);
                self.effects.calls.push(OutCall {
                    n,
                    reference: Arc::clone(&call.reference),
                    flow: Arc::clone(&call.flow),
                    lane,
                    body,
                });
                self.effects
                    .tell(&step.path, "called", call.reference.to_string());
                *here = Here::Call { n };
                Ok((Move::Waiting, None))
            }
        }
    }

    /// The lane of a call: what its step says, unless the instance is in a hurry. What is not
    /// known yet is no hurry.
    fn lane(&self, declared: Lane, runtime: &mut Runtime) -> Lane {
        let urgent = self.plan.urgent.as_ref().is_some_and(|expression| {
            let value = expression.value(&self.subject, runtime);
            matches!(value, Ok(Value::Boolean(true)))
        });
        if urgent { Lane::Realtime } else { declared }
    }

    fn wait(
        &mut self,
        step: &'p StepPlan,
        wait: &'p WaitPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), Trouble> {
        if let Here::Inner { run, .. } = here {
            let steps = wait.otherwise.as_deref().unwrap_or_default();
            return Ok((self.steps(steps, run, runtime), None));
        }
        if !matches!(here, Here::Wait { .. }) {
            let mut open = Vec::new();
            let instance = self.as_instance(true);
            for (place, event) in wait.events.iter().enumerate() {
                let key = event
                    .value
                    .key(&instance, runtime)
                    .map_err(|error| run_trouble("where", &error))?
                    .ok_or_else(|| Trouble {
                        code: codes::NO_CORRELATION,
                        text: format!(
                            "nothing to know {} by: the instance's side of `where` is empty",
                            event.event
                        ),
                    })?;
                let n = self.number();
                self.effects.waits.push(OutWait {
                    n,
                    correlator: Arc::clone(&event.correlator),
                    key,
                    seen: MailId(0),
                });
                open.push((place, n));
            }
            let timer = match &wait.until {
                None => None,
                Some(until) => {
                    let due = self.until(until, runtime)?;
                    let n = self.number();
                    self.effects.timers.push((n, due));
                    Some(n)
                }
            };
            let names: Vec<&str> = wait.events.iter().map(|event| &*event.event).collect();
            self.effects
                .tell(&step.path, "waiting", format!("for {}", names.join(", ")));
            *here = Here::Wait {
                open,
                timer,
                got: Vec::new(),
            };
        }
        let Here::Wait { open, timer, got } = here else {
            return Ok((Move::Waiting, None));
        };
        let mut still = Vec::new();
        for (place, n) in open.drain(..) {
            // One of any is enough: what came besides is left for another.
            if !wait.all && !got.is_empty() {
                still.push((place, n));
                continue;
            }
            match self.inputs.remove(&n) {
                Some(Input::Event(data)) => {
                    self.effects.end_wait(n);
                    got.push((place, data));
                }
                _ => still.push((place, n)),
            }
        }
        *open = still;
        if (wait.all && open.is_empty()) || (!wait.all && !got.is_empty()) {
            for (_, n) in open.iter() {
                self.effects.end_wait(*n);
            }
            if let Some(n) = *timer {
                self.effects.end_timer(n);
            }
            let value = if wait.events.len() == 1 {
                got.pop().map(|(_, data)| data)
            } else if wait.all {
                let members = got.drain(..).map(|(place, data)| {
                    let name = variable_of(&wait.events[place].event);
                    (KeyString::from(name), data)
                });
                Some(Value::Object(members.collect::<ObjectMap>()))
            } else {
                got.pop().map(|(place, data)| {
                    let event = &wait.events[place].event;
                    Value::Object(
                        [
                            (KeyString::from("event"), Value::from(&**event)),
                            (KeyString::from("data"), data),
                        ]
                        .into_iter()
                        .collect(),
                    )
                })
            };
            return Ok((Move::Done, value));
        }
        let Some(n) = *timer else {
            return Ok((Move::Waiting, None));
        };
        if self.inputs.remove(&n).is_none() {
            return Ok((Move::Waiting, None));
        }
        self.effects.fired.push(n);
        for (_, n) in open.iter() {
            self.effects.end_wait(*n);
        }
        self.effects.tell(&step.path, "timed out", "");
        let Some(otherwise) = wait.otherwise.as_deref() else {
            return Err(Trouble {
                code: codes::NOTHING_CAME,
                text: "nothing came in time, and no `else` says what to do then".to_owned(),
            });
        };
        let mut run = Box::new(Run::start());
        let moved = self.steps(otherwise, &mut run, runtime);
        *here = Here::Inner { branch: 0, run };
        Ok((moved, None))
    }

    fn task(
        &mut self,
        step: &'p StepPlan,
        task: &'p TaskPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), Trouble> {
        let Here::Task { n, escalate } = here else {
            let role = task
                .role
                .text(&self.subject, runtime)
                .map_err(|error| run_trouble("role", &error))?;
            let due = match &task.due {
                None => None,
                Some(due) => Some(self.until(due, runtime)?),
            };
            let escalate = match &task.escalate {
                None => None,
                Some((after, _)) => {
                    let n = self.number();
                    let from = due.unwrap_or(self.context.now);
                    self.effects.timers.push((n, from.after(*after)));
                    Some(n)
                }
            };
            let n = self.ask(step, task, role, due, false, runtime)?;
            *here = Here::Task { n, escalate };
            return Ok((Move::Waiting, None));
        };
        if let Some(Input::Decision {
            choice,
            by,
            note,
            form,
        }) = self.inputs.remove(n)
        {
            if let Some(timer) = *escalate {
                self.effects.end_timer(timer);
            }
            self.effects.end_task(TaskEnd {
                number: *n,
                by: by.clone(),
                choice: choice.clone(),
            });
            self.effects
                .tell(&step.path, "answered", format!("{choice} by {by}"));
            let answer = json!({
                "choice": choice, "by": by, "note": note, "form": form,
                "at": self.context.now.to_string(),
            });
            return Ok((Move::Done, Some(Value::from(answer))));
        }
        if let Some(timer) = *escalate
            && self.inputs.remove(&timer).is_some()
        {
            self.effects.fired.push(timer);
            *escalate = None;
            if let Some((_, to)) = &task.escalate {
                self.effects.end_task(TaskEnd {
                    number: *n,
                    by: String::new(),
                    choice: String::new(),
                });
                self.effects
                    .tell(&step.path, "escalated", format!("to {to}"));
                *n = self.ask(
                    step,
                    task,
                    to.to_string(),
                    Some(self.context.now),
                    true,
                    runtime,
                )?;
            }
        }
        Ok((Move::Waiting, None))
    }

    fn ask(
        &mut self,
        step: &'p StepPlan,
        task: &'p TaskPlan,
        role: String,
        due: Option<Timestamp>,
        escalated: bool,
        runtime: &mut Runtime,
    ) -> Result<u32, Trouble> {
        let ask = task
            .ask
            .text(&self.subject, runtime)
            .map_err(|error| run_trouble("ask", &error))?;
        let mut show = serde_json::Map::new();
        for (name, expression) in &task.show {
            let value = expression
                .value(&self.subject, runtime)
                .map_err(|error| run_trouble("show", &error))?;
            show.insert(
                name.to_string(),
                serde_json::to_value(&value).unwrap_or_default(),
            );
        }
        let n = self.number();
        let form: serde_json::Map<String, serde_json::Value> = task
            .form
            .iter()
            .map(|(name, label)| (name.to_string(), json!(label)))
            .collect();
        let choices: Vec<&str> = task.choices.iter().map(|choice| &**choice).collect();
        self.effects.tell(&step.path, "asked", role.clone());
        self.effects.tasks.push(OutTask {
            n,
            role,
            step: Arc::clone(&step.path),
            due,
            body: json!({
                "ask": ask, "choices": choices, "form": form, "show": show,
                "runbook": task.runbook, "escalated": escalated,
            }),
        });
        Ok(n)
    }

    fn each(
        &mut self,
        as_name: &Arc<str>,
        at_once: usize,
        steps: &'p [StepPlan],
        keeps: bool,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> (Move, Option<Value>) {
        let Here::Each {
            items,
            next,
            running,
            done,
        } = here
        else {
            return (Move::Waiting, None);
        };
        let mut index = 0;
        loop {
            if index == running.len() {
                if running.len() >= at_once || *next >= items.len() || self.left == 0 {
                    break;
                }
                let vars = [(KeyString::from(&**as_name), items[*next].clone())];
                running.push(Round {
                    item: *next,
                    vars: Value::Object(vars.into_iter().collect()),
                    run: Run::start(),
                });
                *next += 1;
            }
            let round = &mut running[index];
            self.enter(&mut round.vars);
            let moved = self.steps(steps, &mut round.run, runtime);
            round.vars = self.leave();
            match moved {
                Move::Waiting => index += 1,
                Move::Done => {
                    let round = running.remove(index);
                    if keeps {
                        done.push((round.item, round.vars));
                    }
                }
                end @ Move::End(_) => return (end, None),
            }
        }
        if running.is_empty() && *next >= items.len() {
            done.sort_by_key(|(item, _)| *item);
            let all = done.drain(..).map(|(_, vars)| vars).collect();
            return (Move::Done, Some(Value::Array(all)));
        }
        (Move::Waiting, None)
    }

    /// Calls what was registered, the last first.
    fn undoing(&mut self, path: &str, here: &mut Here, _runtime: &mut Runtime) -> Move {
        loop {
            if let Here::Stuck { n, .. } = here {
                match *n {
                    Some(n) if self.inputs.contains_key(&n) => *here = Here::Undoing { n: Some(n) },
                    _ => return Move::Waiting,
                }
            }
            let waiting = match here {
                Here::Undoing { n } => *n,
                _ => None,
            };
            if let Some(n) = waiting {
                match self.inputs.remove(&n) {
                    None => return Move::Waiting,
                    Some(Input::Fault { code, text }) => {
                        let step = self
                            .state
                            .undo
                            .last()
                            .map_or(path, |one| &one.step)
                            .to_owned();
                        self.effects.tell(&step, "not undone", code.clone());
                        *here = Here::Stuck {
                            n: Some(n),
                            code: codes::CALL_FAILED.to_string(),
                            text: format!("undoing {step}: {code}: {text}"),
                            round: None,
                        };
                        return Move::Waiting;
                    }
                    Some(_) => {
                        if let Some(one) = self.state.undo.pop() {
                            self.effects.tell(&one.step, "undone", "");
                        }
                    }
                }
            }
            let Some(next) = self.state.undo.last() else {
                *here = Here::Undoing { n: None };
                return Move::Done;
            };
            self.state.last += 1;
            let n = self.state.last;
            self.effects.calls.push(OutCall {
                n,
                reference: next.call.as_str().into(),
                flow: next.flow.as_str().into(),
                lane: next.lane,
                body: next.body.clone(),
            });
            self.effects
                .tell(&next.step.clone(), "undoing", next.call.clone());
            *here = Here::Undoing { n: Some(n) };
        }
    }

    fn until(&mut self, until: &UntilPlan, runtime: &mut Runtime) -> Result<Timestamp, Trouble> {
        match until {
            UntilPlan::For(duration) => Ok(self.context.now.after(*duration)),
            UntilPlan::At(expression) => {
                let value = expression
                    .value(&self.subject, runtime)
                    .map_err(|error| run_trouble("until", &error))?;
                let found = match &value {
                    Value::Timestamp(at) => Some(Timestamp(at.timestamp_micros())),
                    Value::Bytes(_) | Value::String(_) => {
                        Timestamp::try_from(value.to_string_lossy().into_owned()).ok()
                    }
                    _ => None,
                };
                found.ok_or_else(|| Trouble {
                    code: codes::STEP_FAILED,
                    text: "`until` is no time: RFC 3339 with an offset is needed".to_owned(),
                })
            }
        }
    }

    fn data(&mut self, data: &DataPlan, runtime: &mut Runtime) -> Result<Value, Trouble> {
        Ok(match data {
            DataPlan::Expression(expression) => expression
                .value(&self.subject, runtime)
                .map_err(|error| run_trouble("with", &error))?,
            DataPlan::Constant(value) => value.clone(),
            DataPlan::Object(members) => {
                let mut object = ObjectMap::new();
                for (name, data) in members {
                    object.insert(KeyString::from(&**name), self.data(data, runtime)?);
                }
                Value::Object(object)
            }
            DataPlan::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for item in items {
                    array.push(self.data(item, runtime)?);
                }
                Value::Array(array)
            }
            DataPlan::Mapped(data, maps) => {
                let value = self.data(data, runtime)?;
                self.mapped(maps, value, runtime)?
            }
        })
    }

    fn mapped(
        &self,
        maps: &[MapPlan],
        value: Value,
        runtime: &mut Runtime,
    ) -> Result<Value, Trouble> {
        let mut value = value;
        for map in maps {
            let subject = Subject {
                content: Content::Json(value),
                metadata: self.subject.metadata.clone(),
            };
            let output = map
                .program
                .run(&subject, runtime)
                .map_err(|error| Trouble {
                    code: codes::MAP_FAILED,
                    text: format!("{}: {error}", map.name),
                })?;
            value = match output {
                Output::Json(value) => value,
                Output::Many(values) => Value::Array(values),
                Output::Filtered { .. } => Value::Null,
                Output::Hl7(_) | Output::X12(_) => {
                    return Err(Trouble {
                        code: codes::MAP_FAILED,
                        text: format!("{} writes a message, which is no variable", map.name),
                    });
                }
            };
        }
        Ok(value)
    }

    fn number(&mut self) -> u32 {
        self.state.last += 1;
        self.state.last
    }

    /// Sets a variable; within a round of an `each` it belongs to that round.
    fn set(&mut self, name: &str, value: Value) {
        let Content::Json(Value::Object(vars)) = &mut self.subject.content else {
            return;
        };
        let before = vars.insert(KeyString::from(name), value);
        if let Some(scope) = self.scopes.last_mut()
            && !scope.iter().any(|(known, _)| known.as_str() == name)
        {
            scope.push((KeyString::from(name), before));
        }
    }

    fn enter(&mut self, vars: &mut Value) {
        self.scopes.push(Vec::new());
        if let Value::Object(vars) = std::mem::replace(vars, Value::Null) {
            for (name, value) in vars {
                self.set(name.as_str(), value);
            }
        }
    }

    fn leave(&mut self) -> Value {
        let scope = self.scopes.pop().unwrap_or_default();
        let Content::Json(Value::Object(vars)) = &mut self.subject.content else {
            return Value::Null;
        };
        let mut own = ObjectMap::new();
        for (name, before) in scope {
            let value = match before {
                Some(before) => vars.insert(name.clone(), before),
                None => vars.remove(&name),
            };
            own.insert(name, value.unwrap_or(Value::Null));
        }
        Value::Object(own)
    }

    /// What a `where` sees of the instance.
    fn as_instance(&self, with_vars: bool) -> Subject {
        let mut event = Value::Object(ObjectMap::new());
        self.put_instance(&mut event, with_vars);
        Subject {
            content: Content::Json(event),
            metadata: self.subject.metadata.clone(),
        }
    }

    fn put_instance(&self, event: &mut Value, with_vars: bool) {
        let Value::Object(members) = event else {
            return;
        };
        let mut instance = ObjectMap::new();
        instance.insert("key".into(), Value::from(&*self.context.key));
        instance.insert(
            "id".into(),
            self.context
                .id
                .as_deref()
                .map_or(Value::from(""), Value::from),
        );
        if with_vars {
            instance.insert("vars".into(), self.vars().clone());
        }
        members.insert("instance".into(), Value::Object(instance));
    }

    /// Whether an event is one that an open wait waits for.
    pub(crate) fn wants(&mut self, n: u32, event: &Value, runtime: &mut Runtime) -> bool {
        let Some(wait) = self.open_wait(n) else {
            return false;
        };
        let mut event = event.clone();
        self.put_instance(&mut event, wait.looks_at_vars);
        let subject = Subject {
            content: Content::Json(event),
            metadata: self.subject.metadata.clone(),
        };
        // A predicate that fails on an event does not want it.
        wait.matching.test(&subject, runtime).unwrap_or(false)
    }

    /// The waits that are open: number, correlator's name, and the value waited for.
    pub(crate) fn open_waits(&mut self, runtime: &mut Runtime) -> Vec<(u32, Arc<str>, String)> {
        let mut found: Vec<(u32, &'p WaitPlan, usize)> = Vec::new();
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Wait(wait), Here::Wait { open, .. }) = (&step.kind, here) {
                found.extend(open.iter().map(|(place, n)| (*n, &**wait, *place)));
            }
        });
        let instance = self.as_instance(true);
        found
            .into_iter()
            .filter_map(|(n, wait, place)| {
                let event = wait.events.get(place)?;
                let key = event.value.key(&instance, runtime).ok()??;
                Some((n, Arc::clone(&event.correlator.name), key))
            })
            .collect()
    }

    fn open_wait(&mut self, n: u32) -> Option<&'p WaitPlan> {
        let mut found = None;
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Wait(wait), Here::Wait { open, .. }) = (&step.kind, here)
                && open.iter().any(|(_, number)| *number == n)
            {
                found = Some(&**wait);
            }
        });
        found
    }

    /// The task that has a number, where it is still asked.
    pub(crate) fn open_task(&mut self, number: u32) -> Option<&'p TaskPlan> {
        let mut found = None;
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Task(task), Here::Task { n, .. }) = (&step.kind, here)
                && *n == number
            {
                found = Some(&**task);
            }
        });
        found
    }

    /// Whether an answer to a task is acceptable; else why not.
    pub(crate) fn accepts(
        &mut self,
        number: u32,
        decision: &serde_json::Value,
        runtime: &mut Runtime,
    ) -> Result<(), String> {
        let Some(task) = self.open_task(number) else {
            return Err("the question is no longer open".to_owned());
        };
        let choice = decision["choice"].as_str().unwrap_or_default();
        if !task.choices.iter().any(|known| **known == *choice) {
            let known: Vec<&str> = task.choices.iter().map(|choice| &**choice).collect();
            return Err(format!(
                "`{choice}` is not one of the choices: {}",
                known.join(", ")
            ));
        }
        let Some(accept) = &task.accept else {
            return Ok(());
        };
        let mut value = Value::from(decision.clone());
        if let Value::Object(members) = &mut value {
            members.insert("vars".into(), self.vars().clone());
        }
        let subject = Subject {
            content: Content::Json(value),
            metadata: self.subject.metadata.clone(),
        };
        match accept.test(&subject, runtime) {
            Ok(true) => Ok(()),
            _ => Err("this answer is not accepted from you here: `accept` of the task says who may decide (another person, for example)".to_owned()),
        }
    }

    /// Looks at every leaf of what is in progress.
    pub(crate) fn each_leaf(&mut self, f: &mut dyn FnMut(&'p StepPlan, &mut Here)) {
        let plan = self.plan;
        walk(&plan.steps, &mut self.state.main, f);
        if let (Some(run), Some(deadline)) = (&mut self.state.beside, &plan.deadline) {
            walk(&deadline.steps, run, f);
        }
    }

    /// Where it stands.
    pub(crate) fn standing(&mut self) -> Standing {
        if let Some((phase, trouble)) = &self.ended {
            return Standing {
                phase: *phase,
                at: Vec::new(),
                trouble: trouble.clone(),
                asked: None,
                due: None,
            };
        }
        let mut standing = Standing {
            phase: Phase::Running,
            at: Vec::new(),
            trouble: None,
            asked: None,
            due: None,
        };
        if let Some(closing) = &self.state.closing {
            if let Here::Stuck { code, text, .. } = &closing.here {
                standing.phase = Phase::Stuck;
                standing.trouble = Some((code.clone(), text.clone()));
            }
            standing.at.push("undo".into());
            return standing;
        }
        let mut at = Vec::new();
        let (mut asking, mut trouble) = (false, None);
        self.each_leaf(&mut |step, here| {
            at.push(Arc::clone(&step.path));
            match here {
                Here::Task { .. } => asking = true,
                Here::Stuck { code, text, .. } => {
                    trouble.get_or_insert_with(|| (code.clone(), format!("{}: {text}", step.path)));
                }
                _ => {}
            }
        });
        standing.at = at;
        standing.phase = if trouble.is_some() {
            Phase::Stuck
        } else if asking {
            Phase::Asking
        } else {
            Phase::Running
        };
        standing.trouble = trouble;
        standing.asked = self.effects.tasks.last().map(|task| task.role.clone());
        standing.due = self
            .effects
            .tasks
            .iter()
            .filter_map(|task| task.due)
            .min()
            .or_else(|| self.effects.timers.iter().map(|(_, due)| *due).min());
        standing
    }
}

fn run_trouble(what: &str, error: &wardline_mapping::RunError) -> Trouble {
    Trouble {
        code: codes::STEP_FAILED,
        text: format!("`{what}`: {error}"),
    }
}

/// The variable that an event's data becomes.
fn variable_of(event: &str) -> &str {
    event.split('.').next().unwrap_or(event)
}

/// Ends everything that a leaf waits for.
pub(super) fn withdraw(effects: &mut Effects, here: &mut Here) {
    match here {
        Here::Call { n } | Here::Undoing { n: Some(n) } | Here::Stuck { n: Some(n), .. } => {
            effects.withdraw.push(*n);
        }
        Here::Wait { open, timer, .. } => {
            for (_, n) in open.iter() {
                effects.end_wait(*n);
            }
            if let Some(n) = timer {
                effects.end_timer(*n);
            }
        }
        Here::Sleep { timer } => effects.end_timer(*timer),
        Here::Task { n, escalate } => {
            effects.end_task(TaskEnd {
                number: *n,
                by: String::new(),
                choice: String::new(),
            });
            if let Some(n) = escalate {
                effects.end_timer(*n);
            }
        }
        _ => {}
    }
}
