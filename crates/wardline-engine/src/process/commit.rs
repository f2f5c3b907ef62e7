//! From what the machine asks for to one change of the journal: sealed, numbered, with every
//! delivery on the way that the bindings choose now.

use super::effects::{Effects, OutCall, Standing};
use super::machine::Machine;
use super::plan::ProcessPlan;
use super::ways::{self, Asked};
use super::{figure, reconcile};
use crate::accept::{AcceptError, Acceptor, with_runtime};
use crate::plan::Plan;
use crate::route::{self, PlainKey, Told};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use wardline_core::{DeliveryState, Id, InstanceId, Lane, MessageId, OrderingKey, Timestamp};
use wardline_mapping::{Content, Metadata, Value, to_json_bytes};
use wardline_store::{
    Acceptance, Advance, CallRef, Cause, History, MailId, MessageRef, NewDelivery, NewTask,
    NewTimer, NewWait, Note, Phase, Which,
};
use wardline_vault::Kind;

/// Bytes of an instance's variables.
pub(crate) const MAX_STATE: usize = 16 << 20;
/// Lines of history that one advance leaves.
const MAX_LINES: usize = 10_000;

/// An advance with what the instance then is.
pub(crate) struct Ready {
    pub(super) advance: Advance,
    pub(super) state: super::state::State,
    pub(super) standing: Standing,
}

impl Ready {
    /// The instance, where it is not a new one.
    pub(super) const fn before(&self) -> Option<InstanceId> {
        match &self.advance.which {
            Which::Existing { id, .. } => Some(*id),
            Which::New { .. } => None,
        }
    }
}

impl Acceptor {
    /// Makes one change of what a machine decided.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that the change is made of"
    )]
    pub(super) async fn advance(
        &self,
        plan: &Plan,
        process: &ProcessPlan,
        which: Which,
        key: &OrderingKey,
        mut machine: Machine<'_>,
        standing: Standing,
        take: Vec<MailId>,
    ) -> Result<Ready, AcceptError> {
        let facility = facility_of(process, &machine);
        let summary = summary_of(process, &machine, &standing, self.clock.now());
        machine.state.facility.clone_from(&facility);
        let (state, effects) = machine.into_state();
        let cause = state.cause;
        let metadata = Metadata {
            source: Some(Arc::clone(&process.name)),
            key: Some(state.key.as_str().into()),
            received: Some(self.clock.now().to_string().into()),
            facility: facility.as_deref().map(Arc::from),
            correlation_id: state.correlation.as_deref().map(Arc::from),
            id: Some(crate::accept::unique_id(self.clock.now()).into()),
            ..Metadata::default()
        };
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
            history,
        } = effects;
        let told: Vec<Told> = events
            .into_iter()
            .map(|out| Told {
                event: out.event,
                content: Content::Json(out.body),
                key: Some(PlainKey::Value(
                    state.key.as_str().into(),
                    process.key_class,
                )),
                lane: Lane::Normal,
                metadata: metadata.clone(),
            })
            .collect();
        let mut acceptance = if told.is_empty() {
            Acceptance::default()
        } else {
            // Told in no other name than its own process's.
            let flow = plan
                .flow_of_process(&process.name)
                .ok_or_else(|| nameless(&process.name))?;
            let derived = with_runtime(|runtime| route::tell(plan, flow, told, runtime));
            self.seal(plan, derived, None, Some(Cause::Existing(cause)))?
        };
        for call in calls {
            let delivery = self
                .delivery(plan, call, cause, key, facility.as_deref(), &metadata)
                .await?;
            acceptance.deliveries.push(delivery);
        }
        let mut wait = Vec::with_capacity(waits.len());
        for one in waits {
            wait.push(NewWait {
                number: one.n,
                correlator: self.sym(&one.correlator.name).await?,
                key: self.business_key(&one.key),
                seen: one.seen,
            });
        }
        let mut ask = Vec::with_capacity(tasks.len());
        for task in tasks {
            let body = serde_json::to_vec(&task.body).unwrap_or_default();
            ask.push(NewTask {
                number: task.n,
                role: self.sym(&task.role).await?,
                step: self.sym(&task.step).await?,
                due: task.due,
                body: self.vault.seal(Kind::Variables, &body)?,
            });
        }
        let owner = match (&standing.asked, &process.owner) {
            (Some(role), _) if standing.phase == Phase::Asking => Some(self.sym(role).await?),
            (_, Some(owner)) => Some(self.sym(owner).await?),
            (_, None) => None,
        };
        let step = match standing.at.first() {
            Some(path) => Some(self.sym(path).await?),
            None => None,
        };
        let status = match &state.status {
            Some(status) => Some(self.sym(status).await?),
            None => None,
        };
        let facility = match &facility {
            Some(facility) => Some(self.sym(facility).await?),
            None => None,
        };
        let bytes = to_bytes(&state)?;
        let advance = Advance {
            lease: self.store.lease(),
            which,
            definition: self.sym(&process.definition_name).await?,
            phase: standing.phase,
            status,
            step,
            note: standing.trouble.as_ref().map(|(code, text)| Note {
                code: code.clone(),
                text: text.clone(),
                fingerprint: crate::fingerprint::of(code, &process.name, text),
            }),
            owner,
            facility,
            due: standing.due,
            state: self.vault.seal(Kind::Variables, &bytes)?,
            summary: match summary {
                Some(summary) => Some(self.vault.seal(Kind::Variables, &summary)?),
                None => None,
            },
            take,
            fire: fired,
            unwait,
            wait,
            unset,
            set: timers
                .into_iter()
                .map(|(number, due)| NewTimer { number, due })
                .collect(),
            answer: answered,
            ask,
            withdraw,
            follow: (!acceptance.messages.is_empty() || !acceptance.deliveries.is_empty())
                .then(|| Box::new(acceptance)),
            history: shortened(history),
        };
        Ok(Ready {
            advance,
            state,
            standing,
        })
    }

    /// A call as a delivery; one without a way, or whose map fails, is dead from the start and its
    /// instance hears of it as of every other end.
    async fn delivery(
        &self,
        plan: &Plan,
        call: OutCall,
        cause: Id,
        key: &OrderingKey,
        facility: Option<&str>,
        metadata: &Metadata,
    ) -> Result<NewDelivery, AcceptError> {
        let asked = Asked {
            reference: &call.reference,
            body: &call.body,
            facility,
            key: key.index,
            now: self.clock.now(),
        };
        let made = with_runtime(|runtime| {
            let way = ways::choose(&plan.processes, &asked, runtime)?;
            let made = ways::request(way, call.body.clone(), metadata, runtime);
            Ok::<_, Note>((Arc::clone(&way.destination), made))
        });
        let (destination, body, note) = match made {
            Ok((destination, Ok(body))) => (destination, body, None),
            Ok((destination, Err(note))) => (destination, plain(&call.body), Some(note)),
            Err(note) => (
                format!("flow/{}", call.flow).into(),
                plain(&call.body),
                Some(note),
            ),
        };
        let (body, content_type) = body;
        Ok(NewDelivery {
            message: MessageRef::Existing(MessageId(cause)),
            flow: self.sym(&call.flow).await?,
            destination: self.sym(&destination).await?,
            lane: call.lane,
            key: Some(key.clone()),
            state: if note.is_some() {
                DeliveryState::Dead
            } else {
                DeliveryState::Pending
            },
            note,
            size: u32::try_from(body.len()).unwrap_or(u32::MAX),
            body: Some(self.vault.seal(Kind::Message, &body)?),
            content_type: self.sym(content_type).await?,
            replay_of: None,
            call: Some(CallRef {
                instance: None,
                number: call.n,
            }),
        })
    }
}

/// At most as many lines as are kept of one advance; the last says how many more there were.
fn shortened(mut history: Vec<History>) -> Vec<History> {
    let more = history.len().saturating_sub(MAX_LINES);
    if more > 0 {
        history.truncate(MAX_LINES - 1);
        history.push(History {
            step: String::new(),
            what: "shortened".to_owned(),
            text: format!("{} more lines are not kept", more + 1),
        });
    }
    history
}

fn plain(body: &Value) -> (Bytes, &'static str) {
    let bytes = to_json_bytes(body, MAX_STATE).unwrap_or_default();
    (Bytes::from(bytes), route::JSON)
}

fn to_bytes(state: &super::state::State) -> Result<Vec<u8>, AcceptError> {
    let bytes = serde_json::to_vec(state).map_err(|_| too_large())?;
    if bytes.len() > MAX_STATE {
        return Err(too_large());
    }
    Ok(bytes)
}

fn nameless(process: &str) -> AcceptError {
    AcceptError::Vault(
        format!(
            "process {process} is known neither to the estate nor to the journal: its event is not told"
        ),
        crate::codes::NO_DEFINITION,
    )
}

fn too_large() -> AcceptError {
    AcceptError::Vault(
        format!("the variables of an instance are larger than {MAX_STATE} bytes"),
        crate::codes::STEP_FAILED,
    )
}

/// The facility that an instance is about.
fn facility_of(process: &ProcessPlan, machine: &Machine<'_>) -> Option<String> {
    let expression = process.facility.as_ref()?;
    let value = with_runtime(|runtime| expression.value(machine.subject(), runtime)).ok()?;
    let text = value.to_str_lossy()?.into_owned();
    (!text.is_empty()).then_some(text)
}

/// What the business sees of an instance besides its row.
fn summary_of(
    process: &ProcessPlan,
    machine: &Machine<'_>,
    standing: &Standing,
    now: Timestamp,
) -> Option<Vec<u8>> {
    let mut shown = serde_json::Map::new();
    for (name, expression) in &process.show {
        // What is not there yet is not shown yet.
        let value = with_runtime(|runtime| expression.value(machine.subject(), runtime));
        if let Ok(value) = value
            && value != Value::Null
        {
            shown.insert(
                name.to_string(),
                serde_json::to_value(&value).unwrap_or_default(),
            );
        }
    }
    let at: Vec<&str> = standing.at.iter().map(|path| &**path).collect();
    let key = &machine.state.key;
    let mut summary = json!({ "key": key, "show": shown, "at": at });
    if let Some(plan) = &process.reconciliation {
        summary[reconcile::SUMMARY] = plan.compared(machine.subject());
    }
    let looked = figure::Looked {
        subject: machine.subject(),
        phase: standing.phase,
        began: machine.state.began,
        now,
    };
    let given = with_runtime(|runtime| figure::given(&process.figures, &looked, runtime));
    if let Some(given) = given {
        summary[figure::SUMMARY] = given;
    }
    serde_json::to_vec(&summary).ok()
}
