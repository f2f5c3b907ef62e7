//! Operations that are answered before they are carried out: the bindings choose a system now,
//! the journal keeps the request, the engine sends it.

use super::programs::Programs;
use super::work::when;
use crate::plan::{Serve, When};
use crate::problem::{Kind, Problem, Violation};
use crate::seam::{Accepted, Acceptor, Receipt, Status};
use crate::serve::fits;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use wardline_access::Caller;
use wardline_engine::{Deferral, LaterCall, NotTaken, Once, Progress, Taken};
use wardline_estate::model::{Api, ApiOperation, Work};

/// When to ask again for what nothing was tried of yet.
const SOON: Duration = Duration::from_secs(2);
/// And for what waits for another attempt, or for a person.
const LATER: Duration = Duration::from_secs(30);

/// A system that may serve, and when.
struct Way {
    system: Arc<str>,
    when: When,
}

/// One operation.
struct Later {
    deferral: Deferral,
    /// `api/vMAJOR.operation`.
    operation: Arc<str>,
    /// In the order of the bindings; empty where an event is told.
    ways: Vec<Way>,
    tells: bool,
}

/// What serves an operation that is carried out later. `None` where a program of it did not
/// compile, which was told then.
pub(super) fn serve(
    api: &Api,
    operation: &ApiOperation,
    programs: &Programs,
    deferral: &Deferral,
) -> Option<Serve> {
    let tells = matches!(operation.work, Work::Tell { .. });
    let bindings = api.bindings.iter().filter(|_| !tells);
    let ways: Option<Vec<Way>> = bindings
        .map(|binding| {
            Some(Way {
                system: binding.system.value.as_str().into(),
                when: when(binding, programs)?,
            })
        })
        .collect();
    Some(Serve::Accept(Arc::new(Later {
        deferral: deferral.clone(),
        operation: format!("{}.{}", api.id, operation.name).into(),
        ways: ways?,
        tells,
    })))
}

fn client(caller: Option<&Caller>) -> &str {
    caller.map_or("", |caller| &caller.name)
}

#[async_trait]
impl Acceptor for Later {
    async fn accept(&self, request: Accepted<'_>) -> Result<Receipt, Problem> {
        let facts = &request.facts;
        let system = if self.tells {
            None
        } else {
            let mut ways = self.ways.iter();
            let way = ways.find(|way| fits(&way.system, &way.when, facts));
            Some(Arc::clone(&way.ok_or(Kind::NoBinding)?.system))
        };
        let call = LaterCall {
            operation: &self.operation,
            system: system.as_deref(),
            client: client(facts.caller),
            correlation: request.correlation,
            facility: facts.facility,
            body: whole(&request)?,
            once: request.once.map(|once| Once {
                key: once.key,
                digest: once.digest,
                keep: once.keep,
            }),
        };
        let (id, again) = match self.deferral.accept(call).await {
            Ok(Taken::Accepted(id)) => (id, false),
            Ok(Taken::Again(id)) => (id, true),
            Ok(Taken::Different) => return Err(Kind::KeyReused.into()),
            Err(NotTaken::Store(error)) if error.is_transient() => return Err(not_durable(&error)),
            Err(error @ (NotTaken::Stopping | NotTaken::Store(_) | NotTaken::Vault(_))) => {
                tracing::error!(%error, operation = %self.operation, "a call was not accepted");
                return Err(not_durable(&error));
            }
            Err(error @ NotTaken::Unknown(_)) => {
                tracing::error!(%error, "an Api and the engine were made from different estates");
                return Err(Kind::Internal.into());
            }
        };
        Ok(Receipt {
            id: id.to_string(),
            binding: system,
            again,
        })
    }

    async fn status(&self, id: &str, caller: Option<&Caller>) -> Result<Option<Status>, Problem> {
        let progress = self
            .deferral
            .progress(&self.operation, client(caller), id)
            .await;
        let progress = progress.map_err(|error| {
            tracing::warn!(%error, "the status of a call cannot be read");
            Problem::new(Kind::Busy).retry_after(SOON)
        })?;
        Ok(progress.map(|progress| Status {
            state: progress.as_str().into(),
            done: !progress.is_open(),
            again: match progress {
                Progress::Accepted => Some(SOON),
                Progress::Waiting => Some(LATER),
                _ => None,
            },
        }))
    }
}

pub(super) fn not_durable(error: &dyn std::fmt::Display) -> Problem {
    tracing::debug!(%error, "a call was not accepted");
    Problem::new(Kind::NotDurable).retry_after(SOON)
}

/// The body with what the path names: what is sent later has no path but what its body says.
fn whole(request: &Accepted<'_>) -> Result<Bytes, Problem> {
    let mut named: Map<String, Value> = Map::new();
    for (name, _) in request.facts.params.iter() {
        let value = request.facts.params.get(name).ok_or(Kind::BadPath)?;
        named.insert(name.to_owned(), value.into_owned().into());
    }
    if named.is_empty() && !request.body.is_empty() {
        return Ok(request.body.clone());
    }
    let mut fields = match request.facts.body {
        None => Map::new(),
        Some(Value::Object(fields)) => fields.clone(),
        Some(_) => {
            return Err(differs(
                "",
                "type",
                "an object, to which the path's names belong",
            ));
        }
    };
    for (name, value) in named {
        let same = match fields.get(&name) {
            None => true,
            Some(Value::Number(number)) => Value::String(number.to_string()) == value,
            Some(other) => *other == value,
        };
        if !same {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            return Err(differs(&pointer, "path", "the same value as in the path"));
        }
        fields.entry(name).or_insert(value);
    }
    Ok(Value::Object(fields).to_string().into())
}

fn differs(pointer: &str, rule: &str, detail: &str) -> Problem {
    Problem::new(Kind::Contract).errors(vec![Violation {
        pointer: pointer.to_owned(),
        rule: rule.to_owned(),
        detail: detail.to_owned(),
    }])
}
