//! What Apis accept and send later, as flows: one for each system that may serve an operation,
//! or one that tells its event. So all that flows promise (order, retries, dead letters, replay)
//! holds for them without being written twice.

use super::compile::{Compiler, backoff};
use super::{FlowPlan, KeyPlan, TargetPlan};
use ahash::AHashMap;
use std::sync::Arc;
use wardline_core::Sensitivity;
use wardline_estate::Spanned;
use wardline_estate::model::{Api, ApiOperation, Estate, Exhausted, Later, Work};
use wardline_mapping::{Environment, Input, KeyExpression};

/// An operation of an Api that is answered before it is carried out.
pub(crate) struct LaterPlan {
    /// The flow that sends to each system; without a name the one that tells the event.
    pub(crate) ways: Vec<(Option<Arc<str>>, usize)>,
    /// Entity attributes by which people search: dotted paths.
    pub(crate) keys: Vec<String>,
    /// The process that begins with it.
    pub(crate) starts: Option<Arc<str>>,
}

/// Operations by `api/vMAJOR.operation`.
pub(crate) type LaterPlans = AHashMap<Arc<str>, LaterPlan>;

/// Compiles the operations that are served later, their flows numbered from `first` on. `None`
/// where one does not compile, which the compiler has told.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    estate: &Estate,
    first: usize,
) -> Option<(LaterPlans, Vec<FlowPlan>)> {
    let mut plans = LaterPlans::default();
    let mut flows = Vec::new();
    let mut whole = true;
    for api in estate.apis.values().filter(|api| api.state.is_served()) {
        for operation in api.operations.values() {
            let name: Arc<str> = format!("{}.{}", api.id, operation.name).into();
            let made = match (&operation.work, &operation.later) {
                (Work::Tell { event }, later) => {
                    tell(compiler, api, operation, later.as_ref(), event, &name)
                        .map(|flow| vec![(None, flow)])
                }
                (Work::Start { process }, later) => {
                    match starting(estate, operation, process) {
                        Some(event) => tell(compiler, api, operation, later.as_ref(), event, &name)
                            .map(|flow| vec![(None, flow)]),
                        // That no event of the process fits was told by the estate's own check.
                        None => continue,
                    }
                }
                (Work::Signal { .. }, later) => match operation.signal() {
                    Some(event) => tell(compiler, api, operation, later.as_ref(), &event, &name)
                        .map(|flow| vec![(None, flow)]),
                    None => continue,
                },
                (Work::Bound, Some(later)) => send(compiler, estate, api, operation, later, &name),
                _ => continue,
            };
            let Some(made) = made else {
                whole = false;
                continue;
            };
            let keys = operation
                .accepts
                .as_ref()
                .and_then(|entity| estate.entities.get(&entity.value))
                .map(|entity| {
                    let paths = entity.keys.values();
                    paths
                        .map(|path| path.value.trim_start_matches('.').to_owned())
                        .collect()
                })
                .unwrap_or_default();
            let mut ways = Vec::new();
            for (system, flow) in made {
                ways.push((system, first + flows.len()));
                flows.push(flow);
            }
            let starts = match &operation.work {
                Work::Start { process } => Some(process.value.as_str().into()),
                _ => None,
            };
            let plan = LaterPlan { ways, keys, starts };
            plans.insert(name, plan);
        }
    }
    whole.then_some((plans, flows))
}

/// The event that a call tells to start a process: the one of its events that is about what the
/// operation accepts.
fn starting<'a>(
    estate: &'a Estate,
    operation: &ApiOperation,
    process: &Spanned<String>,
) -> Option<&'a Spanned<String>> {
    let accepts = &operation.accepts.as_ref()?.value;
    let process = estate.processes.get(&process.value)?;
    let about = |event: &&Spanned<String>| {
        let entity = event.value.split('.').next().unwrap_or_default();
        entity.replace('_', "-") == *accepts
    };
    process.on.iter().find(about)
}

fn flow(api: &Api, operation: &ApiOperation, name: Arc<str>, key: KeyPlan) -> FlowPlan {
    FlowPlan {
        failed: format!("flow/{name}").into(),
        owner: api.owner.clone().unwrap_or_default(),
        from: format!("api {}.{}", api.id, operation.name),
        when: None,
        when_text: None,
        key,
        maps: Vec::new(),
        schema: None,
        enrich: Vec::new(),
        emit: None,
        lane: operation.lane,
        targets: Vec::new(),
        hook: None,
        process: None,
        name,
    }
}

fn tell(
    compiler: &mut Compiler<'_>,
    api: &Api,
    operation: &ApiOperation,
    later: Option<&Later>,
    event: &Spanned<String>,
    name: &Arc<str>,
) -> Option<FlowPlan> {
    let key = key(compiler, operation, later)?;
    let entity = operation.accepts.as_ref();
    let schema = match entity {
        Some(entity) => Some(compiler.schema(entity)?),
        None => None,
    };
    Some(FlowPlan {
        schema,
        emit: Some(compiler.event(&event.value)),
        ..flow(api, operation, Arc::clone(name), key)
    })
}

/// A flow for each system that a binding names.
fn send(
    compiler: &mut Compiler<'_>,
    estate: &Estate,
    api: &Api,
    operation: &ApiOperation,
    later: &Later,
    name: &Arc<str>,
) -> Option<Vec<(Option<Arc<str>>, FlowPlan)>> {
    let mut made: Vec<(Option<Arc<str>>, FlowPlan)> = Vec::new();
    for binding in &api.bindings {
        let system: Arc<str> = binding.system.value.as_str().into();
        if made
            .iter()
            .any(|(known, _)| known.as_ref() == Some(&system))
        {
            continue;
        }
        let reference = binding.reference(&operation.name);
        // One that is not there was told by the estate's own check.
        let (_, there) = estate.operation(&reference)?;
        let sending = later.sending.get(&*system)?;
        let request: Vec<_> = there.request.iter().cloned().collect();
        let key = key(compiler, operation, Some(later))?;
        let target = TargetPlan {
            destination: reference.as_str().into(),
            when: None,
            when_text: None,
            key: KeyPlan::Inherit,
            maps: compiler.maps(&request, Input::Json)?,
            lane: operation.lane,
            backoff: backoff(&sending.retry),
            park: sending.on_exhausted == Exhausted::Park,
            runbook: later
                .runbook
                .as_ref()
                .map(|path| path.display().to_string()),
            then: None,
        };
        let flow = FlowPlan {
            targets: vec![target],
            ..flow(api, operation, format!("{name}@{system}").into(), key)
        };
        made.push((Some(system), flow));
    }
    Some(made)
}

/// The key as declared; else what the path names, which is what the request is about.
fn key(
    compiler: &mut Compiler<'_>,
    operation: &ApiOperation,
    later: Option<&Later>,
) -> Option<KeyPlan> {
    if let Some(text) = later.and_then(|later| later.key.as_ref()) {
        if text.value.trim() == "none" {
            return Some(KeyPlan::Unordered);
        }
        let sensitivity = sensitivity(compiler.estate(), operation, text.value.trim());
        let program = compiler.expression(text, Input::Json)?;
        return Some(KeyPlan::Expression {
            program: Box::new(program),
            sensitivity,
        });
    }
    let names: Vec<&str> = operation.parameters().collect();
    let (text, path) = match names.as_slice() {
        [] => return Some(KeyPlan::Unordered),
        [one] => (format!(".{one:?}"), format!(".{one}")),
        many => {
            let parts: Vec<String> = many
                .iter()
                .map(|name| format!("(to_string(.{name:?}) ?? \"\")"))
                .collect();
            (parts.join(" + \"/\" + "), String::new())
        }
    };
    let environment = Environment::for_input(Input::Json);
    match KeyExpression::compile(&text, &environment) {
        Ok(program) => Some(KeyPlan::Expression {
            program: Box::new(program),
            sensitivity: sensitivity(compiler.estate(), operation, &path),
        }),
        Err(_) => Some(KeyPlan::Unordered),
    }
}

/// The class of the attribute that an expression names; the worst of the entity where it is more
/// than a name.
fn sensitivity(estate: &Estate, operation: &ApiOperation, expression: &str) -> Sensitivity {
    let Some(entity) = operation
        .accepts
        .as_ref()
        .and_then(|entity| estate.entities.get(&entity.value))
    else {
        return Sensitivity::Phi;
    };
    let plain = expression.strip_prefix('.').filter(|path| {
        path.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    });
    match plain {
        Some(path) => entity.sensitivity.get(path).copied().unwrap_or_default(),
        None => entity
            .sensitivity
            .values()
            .copied()
            .max()
            .unwrap_or_default(),
    }
}
