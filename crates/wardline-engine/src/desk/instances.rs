//! Instances of processes: looked at, and acted upon.

use super::act::demand_reason;
use super::transactions::MOST_RETRYING;
use super::{Desk, DeskError};
use crate::process::{InstanceAct, Loaded, Migration};
use crate::view::{
    HistoryView, InstanceDetail, InstanceQuery, InstanceView, PageView, ProcessAct, ProcessView,
    TaskQuery,
};
use serde_json::Value;
use std::collections::BTreeMap;
use wardline_core::{InstanceId, Sensitivity};
use wardline_store::{Change, InstanceFilter, InstanceRow, Phase};
use wardline_vault::{AuditEntry, Kind};

/// Lines of a history that are shown.
const HISTORY: usize = 2_000;

impl Desk {
    /// Every process, with how many instances stand where.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn processes(&self) -> Result<Vec<ProcessView>, DeskError> {
        let plan = self.acceptor.plan();
        let mut all: BTreeMap<String, ProcessView> = plan
            .processes
            .current
            .values()
            .map(|process| {
                let declared = &process.definition.process;
                let view = ProcessView {
                    name: process.name.to_string(),
                    title: declared.title.clone(),
                    owner: declared.owner.clone(),
                    entity: declared.entity.as_ref().map(|entity| entity.value.clone()),
                    version: declared.version,
                    definition: process.definition_name.to_string(),
                    declared: true,
                    phases: BTreeMap::new(),
                    retrying: 0,
                    statuses: BTreeMap::new(),
                    older: 0,
                };
                (process.name.to_string(), view)
            })
            .collect();
        for count in self.acceptor.store.instance_counts().await? {
            if count.count == 0 {
                continue;
            }
            let name = self.name(count.process);
            let definition = self.name(count.definition);
            let view = all.entry(name.clone()).or_insert_with(|| ProcessView {
                name,
                title: None,
                owner: None,
                entity: None,
                version: 0,
                definition: definition.clone(),
                declared: false,
                phases: BTreeMap::new(),
                retrying: 0,
                statuses: BTreeMap::new(),
                older: 0,
            });
            *view
                .phases
                .entry(count.phase.as_str().to_owned())
                .or_default() += count.count;
            if count.phase.is_open() {
                if let Some(status) = count.status {
                    *view.statuses.entry(self.name(status)).or_default() += count.count;
                }
                if view.definition != definition {
                    view.older += count.count;
                }
            }
        }
        for (_, process) in self.acceptor.store.troubled(MOST_RETRYING).await? {
            if let Some(view) = all.get_mut(&self.name(process)) {
                view.retrying += 1;
            }
        }
        Ok(all.into_values().collect())
    }

    /// Instances that match, newest first.
    ///
    /// # Errors
    /// Where a phase is unknown, or the journal does not answer.
    pub async fn instances(
        &self,
        query: &InstanceQuery,
    ) -> Result<PageView<InstanceView>, DeskError> {
        let Some(filter) = self.instance_filter(query)? else {
            return Ok(PageView {
                rows: Vec::new(),
                scanned: 0,
                next: None,
            });
        };
        let page = self.acceptor.store.instances(&filter).await?;
        let rows = page.rows.iter().map(|row| self.instance_view(row));
        Ok(PageView {
            rows: rows.collect(),
            scanned: page.scanned,
            next: page.next,
        })
    }

    /// `None` where it names what the journal has never heard of.
    pub(super) fn instance_filter(
        &self,
        query: &InstanceQuery,
    ) -> Result<Option<InstanceFilter>, DeskError> {
        let mut phases = Vec::new();
        for word in &query.phases {
            if word == "open" {
                phases.extend(Phase::ALL.into_iter().filter(|phase| phase.is_open()));
                continue;
            }
            let known = Phase::ALL.map(Phase::as_str).join(", ");
            phases.push(Phase::from_word(word).ok_or_else(|| {
                DeskError::Invalid(format!("`{word}` is no phase: there are open, {known}"))
            })?);
        }
        let mut unknown = false;
        let mut sym = |name: &Option<String>| {
            let name = name.as_ref()?;
            let sym = self.acceptor.store.lookup(name);
            unknown |= sym.is_none();
            sym
        };
        let filter = InstanceFilter {
            process: sym(&query.process),
            definition: None,
            key: query.key.as_deref().map(|key| self.blind(key)),
            status: sym(&query.status),
            facility: sym(&query.facility),
            owner: sym(&query.owner),
            due_before: query.overdue.then(|| self.acceptor.clock.now()),
            range: wardline_store::TimeRange::default(),
            before: query.before,
            limit: query.limit.clamp(1, 1_000),
            phases: if query.overdue && phases.is_empty() {
                vec![Phase::Running, Phase::Asking, Phase::Stuck]
            } else {
                phases
            },
        };
        Ok((!unknown).then_some(filter))
    }

    pub(super) fn instance_view(&self, row: &InstanceRow) -> InstanceView {
        let now = self.acceptor.clock.now();
        let process = self.name(row.process);
        let definition = self.name(row.definition);
        let plan = self.acceptor.plan();
        let known = plan.processes.definition(&definition);
        let summary = row.summary.as_ref().and_then(|sealed| {
            let bytes = self
                .acceptor
                .vault
                .open_sealed(Kind::Variables, sealed)
                .ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let mut show = BTreeMap::new();
        let mut hidden = Vec::new();
        let shown = summary
            .as_ref()
            .and_then(|summary| summary["show"].as_object());
        for (name, value) in shown.into_iter().flatten() {
            let class = known
                .and_then(|known| known.definition.show_classes.get(name).copied())
                .unwrap_or(Sensitivity::Phi);
            if class.may_be_shown() {
                show.insert(name.clone(), value.clone());
            } else {
                show.insert(name.clone(), Value::Null);
                hidden.push(name.clone());
            }
        }
        let at = summary
            .as_ref()
            .and_then(|summary| summary["at"].as_array())
            .map(|all| {
                all.iter()
                    .filter_map(|at| at.as_str().map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default();
        InstanceView {
            id: row.id,
            process,
            definition,
            key: row.key.shown.as_deref().map(str::to_owned),
            phase: row.phase.as_str().to_owned(),
            status: row.status.map(|status| self.name(status)),
            at: if row.phase.is_open() { at } else { Vec::new() },
            reason: row
                .note
                .as_ref()
                .map(|note| format!("{}: {}", note.code, note.text)),
            owner: row.owner.map(|owner| self.name(owner)),
            facility: row.facility.map(|facility| self.name(facility)),
            due: row.due,
            overdue: row.phase.is_open() && row.due.is_some_and(|due| due < now),
            began: row.began,
            advanced: row.advanced,
            since: row.since,
            ended: row.ended,
            show,
            hidden,
        }
    }

    /// Everything about one instance; its variables only where a reason is given, which is in the
    /// audit log before they are shown.
    ///
    /// # Errors
    /// Where there is none, or the journal does not answer.
    pub async fn instance(
        &self,
        id: InstanceId,
        reveal: Option<&str>,
        actor: &str,
    ) -> Result<InstanceDetail, DeskError> {
        let row = self.instance_row(id).await?;
        let store = &self.acceptor.store;
        let vars = match reveal {
            None => None,
            Some(reason) => {
                demand_reason(reason)?;
                let entry =
                    AuditEntry::new(actor, "process.reveal", id.to_string()).because(reason);
                self.commit_audited(&entry, Vec::new()).await?;
                Some(self.book.vars(id).await?)
            }
        };
        let history = store.history(id, 0, HISTORY).await?;
        let calls = store.calls(id).await?;
        let tasks = self
            .tasks(&TaskQuery {
                instance: Some(id),
                limit: 1_000,
                ..TaskQuery::default()
            })
            .await?;
        let mut instance = self.instance_view(&row);
        if vars.is_some()
            && let Some(summary) = &row.summary
            && let Ok(bytes) = self.acceptor.vault.open_sealed(Kind::Variables, summary)
            && let Ok(summary) = serde_json::from_slice::<Value>(&bytes)
        {
            instance.key = summary["key"].as_str().map(str::to_owned);
            for name in std::mem::take(&mut instance.hidden) {
                let value = summary["show"][&name].clone();
                instance.show.insert(name, value);
            }
        }
        let plan = self.acceptor.plan();
        Ok(InstanceDetail {
            runbook: plan
                .processes
                .definition(&instance.definition)
                .and_then(|known| known.runbook.as_deref().map(str::to_owned)),
            instance,
            history: history
                .into_iter()
                .map(|row| HistoryView {
                    at: row.at,
                    step: row.line.step,
                    what: row.line.what,
                    text: row.line.text,
                })
                .collect(),
            calls: calls
                .iter()
                .map(|(_, row)| self.delivery_view(row))
                .collect(),
            tasks: tasks.rows,
            vars,
        })
    }

    pub(super) async fn instance_row(&self, id: InstanceId) -> Result<InstanceRow, DeskError> {
        self.acceptor
            .store
            .instance(id)
            .await?
            .ok_or_else(|| DeskError::NotFound {
                what: "instance",
                id: id.to_string(),
            })
    }

    /// Acts on an instance. The act and its reason are in the audit log together with what it
    /// changed.
    ///
    /// # Errors
    /// Where no reason is given, the act does not fit where the instance stands, it changed
    /// meanwhile, or the journal does not answer.
    pub async fn act_on(
        &self,
        id: InstanceId,
        act: &ProcessAct,
        reason: &str,
        actor: &str,
    ) -> Result<InstanceView, DeskError> {
        demand_reason(reason)?;
        let _one_at_a_time = self.book.lock(id).await;
        let row = self.instance_row(id).await?;
        if !row.phase.is_open() {
            return Err(DeskError::Invalid(format!(
                "instance {id} has ended ({}): nothing can be done to it any more",
                row.phase.as_str()
            )));
        }
        let plan = self.acceptor.plan();
        let (loaded, act) = match act {
            ProcessAct::Migrate => (self.moved(&plan, &row).await?, None),
            ProcessAct::Retry { step } => (
                self.book.read(&plan, &row).await?,
                Some(InstanceAct::Retry { step: step.clone() }),
            ),
            ProcessAct::Skip { step } => (
                self.book.read(&plan, &row).await?,
                Some(InstanceAct::Skip { step: step.clone() }),
            ),
            ProcessAct::Set { vars } => (
                self.book.read(&plan, &row).await?,
                Some(InstanceAct::Set { vars: vars.clone() }),
            ),
            ProcessAct::Cancel => (
                self.book.read(&plan, &row).await?,
                Some(InstanceAct::Cancel),
            ),
            ProcessAct::Compensate => (
                self.book.read(&plan, &row).await?,
                Some(InstanceAct::Compensate),
            ),
        };
        let entry_word = act.as_ref().map_or("process.migrate", InstanceAct::word);
        let mut entry = AuditEntry::new(actor, entry_word, id.to_string()).because(reason);
        if let Some(InstanceAct::Set { vars }) = &act {
            let names: Vec<&str> = vars.keys().map(String::as_str).collect();
            entry = entry.with("variables", names.join(", "));
        }
        let ready = self
            .book
            .acted(&plan, &loaded, act.as_ref(), actor, reason)
            .await?
            .map_err(DeskError::Invalid)?;
        let (change, after) = ready.parts();
        let outcomes = self
            .commit_audited(&entry, vec![Change::Advance(Box::new(change))])
            .await?;
        if !self.book.acted_on(&plan, &loaded, after, outcomes).await? {
            return Err(DeskError::Invalid(format!(
                "instance {id} changed in this moment: look again, then decide"
            )));
        }
        let row = self.instance_row(id).await?;
        Ok(self.instance_view(&row))
    }

    /// An instance as it would run by the present definition.
    async fn moved(
        &self,
        plan: &crate::plan::Plan,
        row: &InstanceRow,
    ) -> Result<Loaded, DeskError> {
        match self.book.migrated(plan, row).await? {
            Migration::Done(loaded) => Ok(loaded),
            Migration::Current => Err(DeskError::Invalid(
                "it runs by the present definition already".to_owned(),
            )),
            Migration::Gone => Err(DeskError::Invalid(
                "the estate does not declare its process any more".to_owned(),
            )),
            Migration::Busy => Err(DeskError::Invalid(
                "a call of it is under way: move it once it has been answered".to_owned(),
            )),
            Migration::Unlike(step) => Err(DeskError::Invalid(format!(
                "it is at step `{step}`, which the present definition does not have, or has otherwise"
            ))),
        }
    }
}
