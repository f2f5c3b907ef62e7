//! What the business sees: each thing with a key, where it stands, who has to do something, and
//! what it is worth. Folded from instances and what they owe.

use super::{Desk, DeskError};
use crate::view::{InstanceQuery, PageView, TransactionQuery, TransactionView};
use wardline_core::{DeliveryState, Sym};
use wardline_store::{InstanceRow, Phase};

/// Transactions with a call that is tried again that are looked at.
pub(super) const MOST_RETRYING: usize = 100_000;
/// The words for states.
const STATES: [&str; 5] = ["pending", "retrying", "failed", "completed", "cancelled"];

impl Desk {
    /// Business transactions that match, newest first.
    ///
    /// # Errors
    /// Where a state is unknown, or the journal does not answer.
    pub async fn transactions(
        &self,
        query: &TransactionQuery,
    ) -> Result<PageView<TransactionView>, DeskError> {
        let phases: &[&str] = match query.state.as_deref() {
            None => &[],
            Some("pending" | "retrying") => &["running", "asking"],
            // A stuck one needs a person as much as one that has failed.
            Some("failed") => &["stuck", "failed"],
            Some("completed") => &["completed"],
            Some("cancelled") => &["cancelled"],
            Some(other) => {
                return Err(DeskError::Invalid(format!(
                    "`{other}` is no state: there are {}",
                    STATES.join(", ")
                )));
            }
        };
        let plan = self.acceptor.plan();
        let processes: Vec<String> = match &query.kind {
            None => Vec::new(),
            Some(kind) => {
                let of_kind: Vec<String> = plan
                    .processes
                    .current
                    .values()
                    .filter(|process| {
                        let entity = &process.definition.process.entity;
                        *process.name == **kind
                            || entity.as_ref().is_some_and(|entity| entity.value == *kind)
                    })
                    .map(|process| process.name.to_string())
                    .collect();
                if of_kind.is_empty() {
                    vec![kind.clone()]
                } else {
                    of_kind
                }
            }
        };
        let base = InstanceQuery {
            process: None,
            key: query.key.clone(),
            phases: phases.iter().map(|phase| (*phase).to_owned()).collect(),
            status: None,
            facility: query.facility.clone(),
            owner: query.owner.clone(),
            overdue: query.overdue,
            before: query.before,
            limit: query.limit.clamp(1, 1_000),
        };
        if query.state.as_deref() == Some("retrying") {
            return self.retrying(query, &processes).await;
        }
        let mut found: Vec<InstanceRow> = Vec::new();
        let (mut scanned, mut next) = (0, None);
        let queries = if processes.is_empty() {
            vec![base]
        } else {
            processes
                .into_iter()
                .map(|process| InstanceQuery {
                    process: Some(process),
                    ..base.clone()
                })
                .collect()
        };
        for one in queries {
            let Some(filter) = self.instance_filter(&one)? else {
                continue;
            };
            let page = self.acceptor.store.instances(&filter).await?;
            scanned += page.scanned;
            next = next.max(page.next);
            found.extend(page.rows);
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
        let limit = query.limit.clamp(1, 1_000);
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|row| row.id.0);
        }
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let view = self.transaction_view(row).await?;
            if query
                .state
                .as_ref()
                .is_none_or(|state| view.state == *state)
            {
                rows.push(view);
            }
        }
        Ok(PageView {
            rows,
            scanned,
            next,
        })
    }

    /// Those with a call that is tried again or held: found by their calls, so that all are, however
    /// many others are under way.
    async fn retrying(
        &self,
        query: &TransactionQuery,
        processes: &[String],
    ) -> Result<PageView<TransactionView>, DeskError> {
        let store = &self.acceptor.store;
        let of: Vec<Sym> = processes
            .iter()
            .filter_map(|name| store.lookup(name))
            .collect();
        let key = query.key.as_deref().map(|key| self.blind(key));
        let limit = query.limit.clamp(1, 1_000);
        let mut page = PageView::<TransactionView> {
            rows: Vec::new(),
            scanned: 0,
            next: None,
        };
        for (id, process) in store.troubled(MOST_RETRYING).await? {
            let wanted = (query.kind.is_none() || of.contains(&process))
                && query.before.is_none_or(|before| id.0 < before);
            let row = if wanted {
                store.instance(id).await?
            } else {
                None
            };
            let Some(row) = row.filter(|row| key.is_none_or(|key| row.key.index == key)) else {
                continue;
            };
            page.scanned += 1;
            let view = self.transaction_view(&row).await?;
            let is =
                |wanted: &Option<String>, it: &Option<String>| wanted.is_none() || wanted == it;
            if view.state == "retrying"
                && is(&query.facility, &view.facility)
                && is(&query.owner, &view.owner)
                && (!query.overdue || view.overdue)
            {
                if page.rows.len() == limit {
                    page.next = page.rows.last().map(|row| row.instance.0);
                    break;
                }
                page.rows.push(view);
            }
        }
        Ok(page)
    }

    async fn transaction_view(&self, row: &InstanceRow) -> Result<TransactionView, DeskError> {
        let view = self.instance_view(row);
        let mut reason = view.reason.clone();
        let mut owner = view.owner.clone();
        let state = match row.phase {
            Phase::Completed => "completed",
            Phase::Cancelled => "cancelled",
            Phase::Stuck | Phase::Failed => "failed",
            Phase::Asking => {
                reason = reason.or_else(|| owner.as_ref().map(|owner| format!("{owner} is asked")));
                "pending"
            }
            Phase::Running => {
                let calls = self.acceptor.store.calls(row.id).await?;
                let troubled = calls.iter().map(|(_, call)| call).find(|call| {
                    matches!(call.state, DeliveryState::Retrying | DeliveryState::Held)
                });
                match troubled {
                    None => "pending",
                    Some(call) => {
                        let destination = self.name(call.destination);
                        reason = call
                            .note
                            .as_ref()
                            .map(|note| format!("{destination}: {}: {}", note.code, note.text));
                        if call.state == DeliveryState::Held {
                            owner = owner.or(Some(destination));
                        }
                        "retrying"
                    }
                }
            }
        };
        let plan = self.acceptor.plan();
        let kind = plan
            .processes
            .definition(&view.definition)
            .and_then(|known| known.definition.process.entity.as_ref())
            .map_or_else(|| view.process.clone(), |entity| entity.value.clone());
        Ok(TransactionView {
            kind,
            key: view.key,
            state: state.to_owned(),
            status: view.status,
            value: view
                .show
                .get("value")
                .filter(|value| !value.is_null())
                .cloned(),
            facility: view.facility,
            owner,
            reason,
            next: view.at,
            began: view.began,
            since: view.since,
            due: view.due,
            overdue: view.overdue,
            asked: row.phase == Phase::Asking,
            process: view.process,
            instance: view.id,
        })
    }
}
