//! Operations that processes serve: the engine's door, in the gateway's words.

use super::later::not_durable;
use crate::plan::{Process, ProcessAct, Serve};
use crate::problem::{Kind, Problem, Violation};
use crate::seam::{Instance, ProcessCall, Processes};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use wardline_engine::{Begun, LaterCall, NotTaken, Once, ProcessDoor, Refused};
use wardline_estate::model::{Api, ApiOperation, Work};

/// When to ask again.
const AGAIN: Duration = Duration::from_secs(5);
/// When to try again where the journal does not answer.
const SOON: Duration = Duration::from_secs(2);
/// The path's name for an instance.
const INSTANCE: &str = "id";

/// What serves an operation of a process; `None` where it is none.
pub(super) fn serve(api: &Api, operation: &ApiOperation, door: &ProcessDoor) -> Option<Serve> {
    let (process, act) = match &operation.work {
        Work::Start { process } => (process, ProcessAct::Start),
        Work::Signal { process } => (process, ProcessAct::Signal),
        Work::Status { process } => (process, ProcessAct::Status),
        Work::Bound | Work::Gather { .. } | Work::Tell { .. } => return None,
    };
    // Where to ask how far it is, if this Api says that of the same process.
    let status = api
        .operations
        .values()
        .find(|other| {
            matches!(&other.work, Work::Status { process: of } if of.value == process.value)
        })
        .map(|other| other.path.value.clone());
    Some(Serve::Process(Process {
        engine: Arc::new(Door {
            door: door.clone(),
            api: api.id.as_str().into(),
        }),
        name: process.value.as_str().into(),
        act,
        status,
    }))
}

struct Door {
    door: ProcessDoor,
    /// `api/vMAJOR`.
    api: Arc<str>,
}

#[async_trait]
impl Processes for Door {
    async fn start(&self, call: ProcessCall<'_>) -> Result<Instance, Problem> {
        let body = whole(&call)?;
        let operation = format!("{}.{}", self.api, call.operation);
        let begun = self
            .door
            .start(call.process, later(&call, &operation, body))
            .await
            .map_err(refused)?;
        Ok(instance(begun))
    }

    async fn signal(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem> {
        let body = whole(&call)?;
        let operation = format!("{}.{}", self.api, call.operation);
        let told = self
            .door
            .signal(call.process, id, later(&call, &operation, body))
            .await
            .map_err(refused)?;
        Ok(told.map(instance))
    }

    async fn status(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem> {
        let client = call.caller.map_or("", |caller| &caller.name);
        let known = self.door.status(call.process, client, id).await;
        let known = known.map_err(|error| {
            tracing::warn!(%error, "the status of an instance cannot be read");
            Problem::new(Kind::Busy).retry_after(SOON)
        })?;
        Ok(known.map(instance))
    }
}

fn later<'a>(call: &'a ProcessCall<'_>, operation: &'a str, body: Bytes) -> LaterCall<'a> {
    LaterCall {
        operation,
        system: None,
        client: call.caller.map_or("", |caller| &caller.name),
        correlation: call.correlation,
        facility: call.facility,
        body,
        once: call.once.map(|once| Once {
            key: once.key,
            digest: once.digest,
            keep: once.keep,
        }),
    }
}

fn instance(begun: Begun) -> Instance {
    Instance {
        id: begun.id.to_string(),
        state: begun.state.as_str().into(),
        done: begun.done,
        result: (!begun.show.is_empty()).then(|| Value::Object(begun.show)),
        again: (!begun.done).then_some(AGAIN),
        known: begun.known,
    }
}

/// The body with what the path names besides the instance: an event has no path.
fn whole(call: &ProcessCall<'_>) -> Result<Bytes, Problem> {
    let mut named: Map<String, Value> = Map::new();
    for (name, _) in call.params.iter().filter(|(name, _)| *name != INSTANCE) {
        let value = call.params.get(name).ok_or(Kind::BadPath)?;
        named.insert(name.to_owned(), value.into_owned().into());
    }
    if named.is_empty() && !call.body.is_empty() {
        return Ok(call.body.clone());
    }
    let mut fields: Map<String, Value> = if call.body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(&call.body)
            .map_err(|_| unfit("an object, to which the path's names belong"))?
    };
    for (name, value) in named {
        if fields.get(&name).is_some_and(|known| *known != value) {
            return Err(unfit("the same values as in the path"));
        }
        fields.entry(name).or_insert(value);
    }
    Ok(Value::Object(fields).to_string().into())
}

fn unfit(detail: &str) -> Problem {
    Problem::new(Kind::Contract).errors(vec![Violation {
        pointer: String::new(),
        rule: "process".to_owned(),
        detail: detail.to_owned(),
    }])
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::NotTaken(error @ NotTaken::Unknown(_)) => {
            tracing::error!(%error, "an Api and the engine were made from different estates");
            Kind::Internal.into()
        }
        Refused::NotTaken(error) => not_durable(&error),
        Refused::Store(error) => not_durable(&error),
        Refused::Reused => Kind::KeyReused.into(),
        Refused::Unfit(detail) => unfit(&detail),
        Refused::Another => unfit("a body about the instance that the address names"),
    }
}
