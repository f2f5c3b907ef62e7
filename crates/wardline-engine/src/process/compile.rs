//! From a definition to what runs. Expressions are compiled against what the schemas say of the
//! variables, so that a name that is never there is found before anything runs.

use super::correlate;
use super::definition::{Definition, entity_of};
use super::figure::FigurePlan;
use super::plan::{
    CallPlan, CallTerms, Correlator, DataPlan, DeadlinePlan, KindPlan, ProcessPlan, StepPlan,
    TaskPlan, UndoPlan, UntilPlan, WaitEvent, WaitPlan,
};
use super::reconcile::ReconciliationPlan;
use crate::codes;
use crate::plan::{EventPlan, MapPlan, backoff_of};
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_core::Code;
use wardline_estate::Spanned;
use wardline_estate::model::{
    CallStep, Data, Deadline, Exhausted, Figure, MapRef, Reconciliation, Step, StepKind, TaskStep,
    Undo, Until, WaitStep,
};
use wardline_mapping::{
    Environment, Expression, Input, KeyExpression, Predicate, Problem, Program, Schema, Severity,
    Shape, Template, Value,
};

/// What does not compile, and where.
pub(crate) enum Found {
    /// In an expression of the declaration.
    Inline(Spanned<String>, Vec<Problem>),
    /// In a map.
    InMap(MapRef, Vec<Problem>),
    /// In what a value says as a whole.
    Whole(Spanned<String>, Code, String, &'static str),
}

impl Found {
    /// In a line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Inline(_, problems) | Self::InMap(_, problems) => problems
                .first()
                .map(|problem| problem.message.clone())
                .unwrap_or_default(),
            Self::Whole(_, _, text, _) => text.clone(),
        }
    }
}

/// Compiles a definition. `None` where something of it does not compile.
pub(crate) fn compile(
    definition: &Arc<Definition>,
    base: &Environment,
    event: &dyn Fn(&str) -> EventPlan,
) -> (Option<ProcessPlan>, Vec<Found>) {
    let mut compiler = Compiler {
        definition,
        environment: Environment {
            input: Input::Json,
            data: None,
            ..base.clone()
        },
        event,
        schemas: AHashMap::new(),
        maps: BTreeMap::new(),
        known: BTreeMap::new(),
        correlators: Vec::new(),
        calls: Vec::new(),
        found: Vec::new(),
    };
    let plan = compiler.process();
    let failed = compiler.found.iter().any(|found| match found {
        Found::Inline(_, problems) | Found::InMap(_, problems) => problems
            .iter()
            .any(|problem| problem.severity == Severity::Error),
        Found::Whole(..) => true,
    });
    (plan.filter(|_| !failed), compiler.found)
}

struct Compiler<'a> {
    definition: &'a Arc<Definition>,
    environment: Environment,
    event: &'a dyn Fn(&str) -> EventPlan,
    schemas: AHashMap<String, Option<Arc<Schema>>>,
    maps: BTreeMap<String, Option<Arc<Program>>>,
    /// What is known of variables; `None` where several steps make them.
    known: BTreeMap<String, Option<Shape>>,
    correlators: Vec<Arc<Correlator>>,
    calls: Vec<CallTerms>,
    found: Vec<Found>,
}

impl Compiler<'_> {
    fn process(&mut self) -> Option<ProcessPlan> {
        let definition = Arc::clone(self.definition);
        let process = &definition.process;
        let start_shape = match process.on.as_slice() {
            [one] => self.shape(&entity_of(one)),
            _ => None,
        };
        self.known
            .insert(process.start_as.clone(), start_shape.clone());
        self.environment.data = Some(Shape::of_fields([(
            process.start_as.clone(),
            start_shape,
            true,
        )]));
        let when = process.when.as_ref().map(|text| self.predicate(text));
        let key = self.key(&process.key);
        // From here on there may be more variables.
        self.saved(&process.steps);
        if let Some(deadline) = &process.deadline {
            self.saved(&deadline.steps);
        }
        let certain = process.start_as.clone();
        self.environment.data =
            Some(Shape::of_fields(self.known.iter().map(|(name, shape)| {
                (name.clone(), shape.clone(), *name == certain)
            })));
        let show: Vec<_> = process
            .show
            .iter()
            .map(|(name, text)| Some((Arc::from(name.value.as_str()), self.expression(text)?)))
            .collect();
        let facility = process.facility.as_ref().map(|text| self.expression(text));
        let urgent = process.urgent.as_ref().map(|text| self.expression(text));
        let reconciliation = process
            .reconciliation
            .as_ref()
            .map(|declared| self.reconciliation(declared));
        let figures: Vec<_> = process
            .figures
            .iter()
            .map(|declared| self.figure(declared))
            .collect();
        let steps = self.steps(&process.steps, "");
        let deadline = process
            .deadline
            .as_ref()
            .map(|deadline| self.deadline(deadline));
        Some(ProcessPlan {
            name: process.name.as_str().into(),
            definition_name: definition.name().into(),
            owner: process.owner.as_deref().map(Arc::from),
            on: process
                .on
                .iter()
                .map(|event| event.value.as_str().into())
                .collect(),
            start_as: process.start_as.as_str().into(),
            when: match when {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            key: key?,
            key_class: definition.key_class,
            again: process.again,
            keep_events: process.keep_events,
            show: show.into_iter().collect::<Option<_>>()?,
            facility: match facility {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            urgent: match urgent {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            figures: figures.into_iter().collect::<Option<_>>()?,
            reconciliation: match reconciliation {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            runbook: process
                .runbook
                .as_ref()
                .map(|path| path.display().to_string().into()),
            deadline: match deadline {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            steps: steps?,
            correlators: std::mem::take(&mut self.correlators),
            calls: std::mem::take(&mut self.calls),
            definition,
        })
    }

    fn reconciliation(&mut self, declared: &Reconciliation) -> Option<ReconciliationPlan> {
        let date = self.expression(&declared.date);
        let scope = declared.scope.as_ref().map(|text| self.expression(text));
        let hops = self.expression(&declared.hops);
        let breaks = self.expression(&declared.breaks);
        // Whoever begins one says what it is about, and nothing else is known yet.
        let asked =
            Shape::of_fields(["date", "scope", "id"].map(|name| (name.to_owned(), None, true)));
        let variables = self.environment.data.replace(asked);
        let begin = declared.begin.as_ref().map(|text| self.expression(text));
        self.environment.data = variables;
        Some(ReconciliationPlan {
            name: declared.name.value.as_str().into(),
            date: date?,
            scope: match scope {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            hops: hops?,
            breaks: breaks?,
            begin: match begin {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            sign_off: declared
                .sign_off
                .as_ref()
                .map(|path| path.value.as_str().into()),
        })
    }

    fn figure(&mut self, declared: &Figure) -> Option<FigurePlan> {
        let maps = self.maps(&declared.map);
        // What maps make is theirs to know.
        let variables = self.environment.data.clone();
        if !declared.map.is_empty() {
            self.environment.data = None;
        }
        let value = self.expression(&declared.value);
        self.environment.data = variables;
        Some(FigurePlan {
            name: declared.name.value.as_str().into(),
            of: declared.of,
            measure: declared.measure,
            maps: maps?,
            value: value?,
        })
    }

    fn deadline(&mut self, deadline: &Deadline) -> Option<DeadlinePlan> {
        Some(DeadlinePlan {
            by: deadline.by,
            end: deadline.end,
            steps: self.steps(&deadline.steps, "deadline")?,
        })
    }

    /// Gathers the variables that steps make, with what is known of each.
    fn saved(&mut self, steps: &[Step]) {
        for step in steps {
            let shape = match &step.kind {
                StepKind::Call(call) => self
                    .definition
                    .returns
                    .get(&call.call.value)
                    .cloned()
                    .and_then(|entity| self.shape(&entity)),
                StepKind::Wait(wait) => match wait.events.as_slice() {
                    [one] => self.shape(&entity_of(one)),
                    _ => None,
                },
                _ => None,
            };
            if let Some(name) = &step.save {
                self.variable(&name.value, shape);
            }
            match &step.kind {
                StepKind::Call(call) => self.saved(call.on_failure.as_deref().unwrap_or_default()),
                StepKind::Wait(wait) => self.saved(wait.otherwise.as_deref().unwrap_or_default()),
                StepKind::Choose {
                    branches,
                    otherwise,
                } => {
                    for (_, steps) in branches {
                        self.saved(steps);
                    }
                    self.saved(otherwise.as_deref().unwrap_or_default());
                }
                StepKind::Parallel(branches) => {
                    for (_, steps) in branches {
                        self.saved(steps);
                    }
                }
                StepKind::Each { steps, as_name, .. } => {
                    self.variable(as_name, None);
                    self.saved(steps);
                }
                StepKind::Repeat { steps, .. } | StepKind::Group(steps) => self.saved(steps),
                StepKind::Set { values } => {
                    for (name, _) in values {
                        self.variable(&name.value, None);
                    }
                }
                _ => {}
            }
        }
    }

    fn variable(&mut self, name: &str, shape: Option<Shape>) {
        self.known
            .entry(name.to_owned())
            .and_modify(|known| {
                if *known != shape {
                    *known = None;
                }
            })
            .or_insert(shape);
    }

    fn schema(&mut self, entity: &str) -> Option<Arc<Schema>> {
        if let Some(known) = self.schemas.get(entity) {
            return known.clone();
        }
        // That it compiles was seen when the entity was read.
        let compiled = self
            .definition
            .schemas
            .get(entity)
            .and_then(|schema| Schema::compile(schema).ok())
            .map(Arc::new);
        self.schemas.insert(entity.to_owned(), compiled.clone());
        compiled
    }

    fn shape(&mut self, entity: &str) -> Option<Shape> {
        self.schema(entity).map(|schema| schema.shape().clone())
    }

    fn steps(&mut self, steps: &[Step], above: &str) -> Option<Vec<StepPlan>> {
        let compiled: Vec<_> = steps.iter().map(|step| self.step(step, above)).collect();
        compiled.into_iter().collect()
    }

    fn step(&mut self, step: &Step, above: &str) -> Option<StepPlan> {
        let path = if above.is_empty() {
            step.name.value.clone()
        } else {
            format!("{above}/{}", step.name.value)
        };
        let when = step.when.as_ref().map(|text| self.predicate(text));
        let undo = step.undo.as_ref().map(|undo| self.undo(undo, &path));
        let kind = self.kind(step, &path);
        Some(StepPlan {
            name: step.name.value.as_str().into(),
            path: path.into(),
            when: match when {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            status: step
                .status
                .as_ref()
                .map(|status| status.value.as_str().into()),
            save: step.save.as_ref().map(|name| name.value.as_str().into()),
            undo: match undo {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            kind: kind?,
        })
    }

    fn kind(&mut self, step: &Step, path: &str) -> Option<KindPlan> {
        Some(match &step.kind {
            StepKind::Call(call) => KindPlan::Call(Box::new(self.call(call, path)?)),
            StepKind::Emit { event, data } => {
                let data = self.data(data);
                KindPlan::Emit {
                    schema: self.schema(&entity_of(event)),
                    event: (self.event)(event),
                    data: data?,
                }
            }
            StepKind::Wait(wait) => KindPlan::Wait(Box::new(self.wait(wait, path)?)),
            StepKind::Sleep(until) => KindPlan::Sleep(self.until(until)?),
            StepKind::Task(task) => KindPlan::Task(Box::new(self.task(task)?)),
            StepKind::Choose {
                branches,
                otherwise,
            } => {
                let mut compiled = Vec::new();
                for (index, (when, steps)) in branches.iter().enumerate() {
                    let when = self.predicate(when);
                    let steps = self.steps(steps, &format!("{path}/{}", index + 1));
                    compiled.push(when.zip(steps));
                }
                let otherwise = otherwise
                    .as_ref()
                    .map(|steps| self.steps(steps, &format!("{path}/else")));
                KindPlan::Choose {
                    branches: compiled.into_iter().collect::<Option<_>>()?,
                    otherwise: match otherwise {
                        None => None,
                        Some(compiled) => Some(compiled?),
                    },
                }
            }
            StepKind::Parallel(branches) => {
                let compiled: Vec<_> = branches
                    .iter()
                    .map(|(name, steps)| {
                        let steps = self.steps(steps, &format!("{path}/{}", name.value))?;
                        Some((Arc::from(name.value.as_str()), steps))
                    })
                    .collect();
                KindPlan::Parallel(compiled.into_iter().collect::<Option<_>>()?)
            }
            StepKind::Each {
                of,
                as_name,
                at_once,
                steps,
            } => {
                let of = self.expression(of);
                let steps = self.steps(steps, path);
                KindPlan::Each {
                    of: of?,
                    as_name: as_name.as_str().into(),
                    at_once: (*at_once).max(1) as usize,
                    steps: steps?,
                }
            }
            StepKind::Repeat { until, most, steps } => {
                let until = self.predicate(until);
                let steps = self.steps(steps, path);
                KindPlan::Repeat {
                    until: until?,
                    most: *most,
                    steps: steps?,
                }
            }
            StepKind::Set { values } => {
                let compiled: Vec<_> = values
                    .iter()
                    .map(|(name, data)| Some((Arc::from(name.value.as_str()), self.data(data)?)))
                    .collect();
                KindPlan::Set(compiled.into_iter().collect::<Option<_>>()?)
            }
            StepKind::Map(maps) => KindPlan::Map(self.maps(maps)?),
            StepKind::Group(steps) => KindPlan::Group(self.steps(steps, path)?),
            StepKind::Status => KindPlan::Status,
            StepKind::Undo => KindPlan::Undo,
            StepKind::Fail { reason, undo } => KindPlan::Fail {
                reason: self.template(reason)?,
                undo: *undo,
            },
            StepKind::End => KindPlan::End,
        })
    }

    fn call(&mut self, call: &CallStep, path: &str) -> Option<CallPlan> {
        let with = self.data(&call.with);
        // Nothing is known of the answer here: whether it is what it should be is the question.
        let expect = call
            .expect
            .as_ref()
            .map(|text| self.predicate_in(text, None));
        let on_failure = call
            .on_failure
            .as_ref()
            .map(|steps| self.steps(steps, &format!("{path}/on_failure")));
        let flow = self.flow(path);
        self.calls.push(CallTerms {
            flow: Arc::clone(&flow),
            reference: call.call.value.as_str().into(),
            lane: call.lane,
            backoff: backoff_of(&call.retry),
            park: call.on_exhausted == Exhausted::Park,
            runbook: call
                .runbook
                .as_ref()
                .or(self.definition.process.runbook.as_ref())
                .map(|path| path.display().to_string().into()),
        });
        Some(CallPlan {
            reference: call.call.value.as_str().into(),
            flow,
            with: with?,
            expect: match expect {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            lane: call.lane,
            on_failure: match on_failure {
                None => None,
                Some(compiled) => Some(compiled?),
            },
        })
    }

    fn undo(&mut self, undo: &Undo, path: &str) -> Option<UndoPlan> {
        let with = self.data(&undo.with);
        let flow = self.flow(&format!("{path}/undo"));
        self.calls.push(CallTerms {
            flow: Arc::clone(&flow),
            reference: undo.call.value.as_str().into(),
            lane: undo.lane,
            backoff: backoff_of(&undo.retry),
            park: false,
            runbook: undo
                .runbook
                .as_ref()
                .map(|path| path.display().to_string().into()),
        });
        Some(UndoPlan {
            reference: undo.call.value.as_str().into(),
            flow,
            with: with?,
            lane: undo.lane,
        })
    }

    fn flow(&self, path: &str) -> Arc<str> {
        format!("{}/{path}", self.definition.process.name).into()
    }

    fn wait(&mut self, wait: &WaitStep, path: &str) -> Option<WaitPlan> {
        let text = &wait.matching;
        let (rewritten, put) = correlate::rewritten(&text.value);
        let environment = Environment {
            data: None,
            ..self.environment.clone()
        };
        let matching = match Predicate::compile(&rewritten, &environment) {
            Ok(predicate) => Some(predicate),
            Err(problems) => {
                let problems = moved(problems, |at| correlate::original(at, &put));
                self.found.push(Found::Inline(text.clone(), problems));
                None
            }
        };
        let Some((event_side, instance_side)) = correlate::sides(&text.value) else {
            self.found.push(Found::Whole(
                text.clone(),
                codes::NO_CORRELATION,
                "no part of this compares a value of the event with a value of the instance"
                    .to_owned(),
                "join one with `&&`: `.number == instance.key`. By it waiting instances are found; what else stands here is tested on those",
            ));
            return None;
        };
        let expression = &text.value[event_side.clone()];
        let mut events = Vec::new();
        for event in &wait.events {
            let environment = Environment {
                data: self.shape(&entity_of(event)),
                ..self.environment.clone()
            };
            let compiled = match KeyExpression::compile(expression, &environment) {
                Ok(compiled) => compiled,
                Err(problems) => {
                    let problems = moved(problems, |at| at + event_side.start);
                    self.found.push(Found::Inline(text.clone(), problems));
                    return None;
                }
            };
            let name = format!(
                "{}/{}/{expression}",
                self.definition.process.name, event.value
            );
            let correlator =
                if let Some(known) = self.correlators.iter().find(|known| *known.name == *name) {
                    Arc::clone(known)
                } else {
                    let correlator = Arc::new(Correlator {
                        name: name.into(),
                        event: event.value.as_str().into(),
                        expression: compiled,
                        keep: self.definition.process.keep_events,
                    });
                    self.correlators.push(Arc::clone(&correlator));
                    correlator
                };
            let (side, put) = correlate::rewritten(&text.value[instance_side.clone()]);
            let value =
                match KeyExpression::compile(&side, &environment_of_instance(&self.environment)) {
                    Ok(value) => value,
                    Err(problems) => {
                        let problems = moved(problems, |at| {
                            correlate::original(at, &put) + instance_side.start
                        });
                        self.found.push(Found::Inline(text.clone(), problems));
                        return None;
                    }
                };
            events.push(WaitEvent {
                event: event.value.as_str().into(),
                correlator,
                value,
            });
        }
        let until = wait.until.as_ref().map(|until| self.until(until));
        let otherwise = wait.otherwise.as_ref().map(|steps| self.steps(steps, path));
        Some(WaitPlan {
            events,
            all: wait.all,
            looks_at_vars: text.value.contains("instance.vars"),
            matching: matching?,
            until: match until {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            otherwise: match otherwise {
                None => None,
                Some(compiled) => Some(compiled?),
            },
        })
    }

    fn until(&mut self, until: &Until) -> Option<UntilPlan> {
        Some(match until {
            Until::For(duration) => UntilPlan::For(*duration),
            Until::At(text) => UntilPlan::At(Box::new(self.expression(text)?)),
        })
    }

    fn task(&mut self, task: &TaskStep) -> Option<TaskPlan> {
        let role = self.template(&task.role);
        let ask = self.template(&task.ask);
        let due = task.due.as_ref().map(|due| self.until(due));
        let show: Vec<_> = task
            .show
            .iter()
            .map(|(name, text)| Some((Arc::from(name.value.as_str()), self.expression(text)?)))
            .collect();
        let accept = task
            .accept
            .as_ref()
            .map(|text| self.predicate_in(text, None));
        Some(TaskPlan {
            role: role?,
            ask: ask?,
            choices: task
                .choices
                .iter()
                .map(|choice| choice.value.as_str().into())
                .collect(),
            form: task
                .form
                .iter()
                .map(|(name, label)| (name.value.as_str().into(), label.as_str().into()))
                .collect(),
            due: match due {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            escalate: task
                .escalate
                .as_ref()
                .map(|escalate| (escalate.after, escalate.to.value.as_str().into())),
            show: show.into_iter().collect::<Option<_>>()?,
            accept: match accept {
                None => None,
                Some(compiled) => Some(compiled?),
            },
            runbook: task
                .runbook
                .as_ref()
                .or(self.definition.process.runbook.as_ref())
                .map(|path| path.display().to_string().into()),
        })
    }

    fn data(&mut self, data: &Data) -> Option<DataPlan> {
        Some(match data {
            Data::Expression(text) => DataPlan::Expression(Box::new(self.expression(text)?)),
            Data::Constant(value) => DataPlan::Constant(Value::from(value.clone())),
            Data::Object(members) => {
                let compiled: Vec<_> = members
                    .iter()
                    .map(|(name, data)| Some((Arc::from(name.value.as_str()), self.data(data)?)))
                    .collect();
                DataPlan::Object(compiled.into_iter().collect::<Option<_>>()?)
            }
            Data::Array(items) => {
                let compiled: Vec<_> = items.iter().map(|data| self.data(data)).collect();
                DataPlan::Array(compiled.into_iter().collect::<Option<_>>()?)
            }
            Data::Mapped(data, maps) => {
                let data = self.data(data);
                let maps = self.maps(maps);
                DataPlan::Mapped(Box::new(data?), maps?)
            }
        })
    }

    fn maps(&mut self, refs: &[MapRef]) -> Option<Vec<MapPlan>> {
        let compiled: Vec<_> = refs.iter().map(|map| self.map(map)).collect();
        compiled.into_iter().collect()
    }

    fn map(&mut self, map: &MapRef) -> Option<MapPlan> {
        let name = map.path.display().to_string();
        let known = if let Some(known) = self.maps.get(&name) {
            known.clone()
        } else {
            let environment = Environment {
                data: None,
                ..self.environment.clone()
            };
            let text = self.definition.maps.get(&name).map_or("", String::as_str);
            let compiled = match Program::compile(text, &environment) {
                Ok(program) => {
                    let warnings = program.warnings().to_vec();
                    self.found.push(Found::InMap(map.clone(), warnings));
                    Some(Arc::new(program))
                }
                Err(problems) => {
                    self.found.push(Found::InMap(map.clone(), problems));
                    None
                }
            };
            self.maps.insert(name.clone(), compiled.clone());
            compiled
        };
        Some(MapPlan {
            name: name.into(),
            program: known?,
        })
    }

    fn predicate(&mut self, text: &Spanned<String>) -> Option<Predicate> {
        let data = self.environment.data.clone();
        self.predicate_in(text, data)
    }

    fn predicate_in(&mut self, text: &Spanned<String>, data: Option<Shape>) -> Option<Predicate> {
        let environment = Environment {
            data,
            ..self.environment.clone()
        };
        match Predicate::compile(&text.value, &environment) {
            Ok(predicate) => Some(predicate),
            Err(problems) => {
                self.found.push(Found::Inline(text.clone(), problems));
                None
            }
        }
    }

    fn expression(&mut self, text: &Spanned<String>) -> Option<Expression> {
        match Expression::compile(&text.value, &self.environment) {
            Ok(expression) => Some(expression),
            Err(problems) => {
                self.found.push(Found::Inline(text.clone(), problems));
                None
            }
        }
    }

    fn key(&mut self, text: &Spanned<String>) -> Option<KeyExpression> {
        match KeyExpression::compile(&text.value, &self.environment) {
            Ok(expression) => Some(expression),
            Err(problems) => {
                self.found.push(Found::Inline(text.clone(), problems));
                None
            }
        }
    }

    fn template(&mut self, text: &Spanned<String>) -> Option<Template> {
        match Template::compile(&text.value, &self.environment) {
            Ok(template) => Some(template),
            Err(problems) => {
                self.found.push(Found::Inline(text.clone(), problems));
                None
            }
        }
    }
}

/// What the waiting side of a `where` may look at: `.instance.key` and `.instance.vars`.
fn environment_of_instance(base: &Environment) -> Environment {
    let vars = base.data.clone();
    let instance = Shape::of_fields([
        ("key".to_owned(), Some(Shape::text()), true),
        ("id".to_owned(), Some(Shape::text()), true),
        ("vars".to_owned(), vars, true),
    ]);
    Environment {
        data: Some(Shape::of_fields([(
            "instance".to_owned(),
            Some(instance),
            true,
        )])),
        ..base.clone()
    }
}

fn moved(problems: Vec<Problem>, to: impl Fn(usize) -> usize) -> Vec<Problem> {
    problems
        .into_iter()
        .map(|problem| Problem {
            start: to(problem.start),
            end: to(problem.end),
            ..problem
        })
        .collect()
}
