//! The interpreter of processes: from a state and what came to the next state and what follows.
//!
//! It is a function of its inputs alone: no store, no network, no clock but the time it is given.
//! The running engine, the operators' acts and `wardline test` all call it.

mod calls;
mod endings;
mod tasks;
mod values;
mod waits;

pub(super) use endings::withdraw;

use super::effects::{Effects, Input, OutEvent, Standing};
use super::plan::{KindPlan, ProcessPlan, StepPlan};
use super::state::{Here, Registered, Round, Run, State, VERSION};
use super::walk::walk;
use crate::codes;
use ahash::AHashMap;
use std::sync::Arc;
use values::run_trouble;
use wardline_core::{Code, Id, Timestamp};
use wardline_mapping::{Content, KeyString, Metadata, Runtime, Subject, Value};
use wardline_store::Phase;

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
