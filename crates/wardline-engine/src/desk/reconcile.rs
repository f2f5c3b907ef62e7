//! Reconciliations: listed, looked at, begun on demand.

use super::act::demand_reason;
use super::{Desk, DeskError};
use crate::accept::{unique_id, with_runtime};
use crate::later::LaterCall;
use crate::process::{ProcessDoor, RECONCILIATION, Refused, class_keys};
use crate::view::{
    BreakView, HopView, Reconcile, ReconciliationQuery, ReconciliationView, Reconciliations,
    TaskQuery, TaskView,
};
use ahash::{AHashMap, AHashSet};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use wardline_core::Sensitivity;
use wardline_mapping::{Subject, to_json_bytes};
use wardline_store::{InstanceFilter, InstanceRow};
use wardline_vault::{AuditEntry, Kind};

/// Bytes of what one begins with.
const MOST_ASKED: usize = 64 << 10;
/// Instances that are looked at in search of a date.
const SEARCHED: usize = 20_000;
/// Rows that are read at a time.
const PAGE: usize = 1_000;
/// Questions of one reconciliation that are read.
const MOST_TASKS: usize = 2_000;

impl Desk {
    /// Reconciliations that match, newest first; of each date and scope the newest only.
    ///
    /// # Errors
    /// Where the name is none, or the journal does not answer.
    pub async fn reconciliations(
        &self,
        query: &ReconciliationQuery,
    ) -> Result<Reconciliations, DeskError> {
        let declared = self.declared_reconciliations();
        if let Some(name) = &query.name
            && !declared.iter().any(|(declared, _)| declared == name)
        {
            return Err(no_such(name, &declared));
        }
        let limit = query.limit.clamp(1, PAGE);
        let mut found = Reconciliations {
            names: declared.iter().map(|(name, _)| name.clone()).collect(),
            ..Reconciliations::default()
        };
        if let Some(id) = query.instance {
            let row = self.instance_row(id).await?;
            let process = self.name(row.process);
            if let Some((name, _)) = declared.iter().find(|(_, of)| *of == process) {
                let compared = self.compared(&row);
                found
                    .rows
                    .push(self.reconciliation_view(name, &row, &compared).await?);
            }
            return Ok(found);
        }
        for (name, process) in &declared {
            if query.name.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            found.partial |= self
                .find_of(name, process, query, limit, &mut found.rows)
                .await?;
        }
        found
            .rows
            .sort_by_key(|row| std::cmp::Reverse(row.instance));
        found.rows.truncate(limit);
        Ok(found)
    }

    /// Those of one process; whether there may be more.
    async fn find_of(
        &self,
        name: &str,
        process: &str,
        query: &ReconciliationQuery,
        limit: usize,
        rows: &mut Vec<ReconciliationView>,
    ) -> Result<bool, DeskError> {
        let Some(sym) = self.acceptor.store.lookup(process) else {
            return Ok(false);
        };
        let mut filter = InstanceFilter {
            process: Some(sym),
            limit: PAGE,
            ..InstanceFilter::default()
        };
        let mut seen = AHashSet::new();
        let (mut looked, mut taken) = (0, 0);
        loop {
            let page = self.acceptor.store.instances(&filter).await?;
            for row in &page.rows {
                let compared = self.compared(row);
                let text = |field: &str| compared[field].as_str().map(str::to_owned);
                let (date, scope) = (text("date"), text("scope"));
                // An older one of the same is what a newer one was made to replace.
                if !seen.insert((date.clone(), scope.clone())) {
                    continue;
                }
                let other =
                    |wanted: &Option<String>, is: &Option<String>| wanted.is_some() && wanted != is;
                if other(&query.date, &date)
                    || other(&query.scope, &scope)
                    || (query.open && !row.phase.is_open())
                {
                    continue;
                }
                rows.push(self.reconciliation_view(name, row, &compared).await?);
                taken += 1;
                if taken >= limit {
                    return Ok(true);
                }
            }
            looked += page.rows.len();
            let Some(next) = page.next else {
                return Ok(false);
            };
            if looked >= SEARCHED {
                return Ok(true);
            }
            filter.before = Some(next);
        }
    }

    /// Begins one now, or finds the one that is under way. The reason is in the audit log before
    /// anything is done.
    ///
    /// # Errors
    /// Where the name is none, nothing says how one begins, or the journal does not answer.
    pub async fn reconcile(&self, asked: &Reconcile, actor: &str) -> Result<(), DeskError> {
        let Reconcile {
            name,
            date,
            scope,
            reason,
        } = asked;
        demand_reason(reason)?;
        date.parse::<jiff::civil::Date>().map_err(|_| {
            DeskError::Invalid(format!("`{date}` is no date: write it as 2026-11-24"))
        })?;
        let declared = self.declared_reconciliations();
        let (_, process) = declared
            .iter()
            .find(|(declared, _)| declared == name)
            .ok_or_else(|| no_such(name, &declared))?;
        let plan = self.acceptor.plan();
        let known = plan.processes.current.get(process.as_str());
        let begin = known
            .and_then(|known| known.reconciliation.as_ref())
            .and_then(|plan| plan.begin.as_ref());
        // An operation that starts the process by name, or tells an event that starts it.
        let operation = plan
            .later
            .iter()
            .find(|(_, later)| {
                let told = later.ways.first();
                let told = told.and_then(|(_, flow)| plan.flows[*flow].emit.as_ref());
                later.starts.as_deref() == Some(process.as_str())
                    || told
                        .zip(known)
                        .is_some_and(|(event, known)| known.on.contains(&event.name))
            })
            .map(|(operation, _)| operation.to_string());
        let (Some(begin), Some(operation)) = (begin, operation) else {
            return Err(DeskError::Invalid(format!(
                "`{name}` begins by itself, not on demand: its process says no `begin`, or no Api starts it"
            )));
        };
        let id = unique_id(self.acceptor.clock.now());
        let asked = json!({ "date": date, "scope": scope, "id": id });
        let asked = wardline_mapping::Value::from(asked);
        let data = with_runtime(|runtime| begin.value(&Subject::json(asked), runtime)).map_err(
            |error| DeskError::Invalid(format!("`begin` of `{name}` gives nothing: {error}")),
        )?;
        let body = to_json_bytes(&data, MOST_ASKED)
            .map_err(|error| DeskError::Invalid(format!("`begin` of `{name}`: {error}")))?;
        let entry = AuditEntry::new(actor, "reconcile", format!("{name} {date}")).because(reason);
        self.record(&entry).await?;
        let call = LaterCall {
            operation: &operation,
            system: None,
            client: "",
            correlation: &id,
            facility: None,
            body: body.into(),
            once: None,
        };
        let door = ProcessDoor::new(Arc::clone(&self.acceptor), Arc::clone(&self.book));
        match door.start(process, call).await {
            Ok(_) => Ok(()),
            Err(Refused::Store(error)) => Err(error.into()),
            Err(refused) => Err(DeskError::Invalid(refused.to_string())),
        }
    }

    /// Name and process of each.
    fn declared_reconciliations(&self) -> Vec<(String, String)> {
        let plan = self.acceptor.plan();
        let mut all: Vec<_> = plan
            .processes
            .current
            .values()
            .filter_map(|process| {
                let declared = process.reconciliation.as_ref()?;
                Some((declared.name.to_string(), process.name.to_string()))
            })
            .collect();
        all.sort();
        all
    }

    /// What an instance has compared, as far as its classes let it be shown.
    fn compared(&self, row: &InstanceRow) -> Value {
        let summary = row.summary.as_ref().and_then(|sealed| {
            let vault = &self.acceptor.vault;
            let bytes = vault.open_sealed(Kind::Variables, sealed).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let mut compared =
            summary.map_or(Value::Null, |mut summary| summary[RECONCILIATION].take());
        let plan = self.acceptor.plan();
        let known = plan.processes.definition(&self.name(row.definition));
        for (field, class) in class_keys() {
            let class = known
                .and_then(|known| known.definition.show_classes.get(class).copied())
                .unwrap_or(Sensitivity::Phi);
            // Totals are money, and no person's: whom they are shown to is for who shows them.
            let shown = class.may_be_shown() || class == Sensitivity::Financial;
            if !shown && compared.is_object() {
                compared[field] = Value::Null;
            }
        }
        compared
    }

    async fn reconciliation_view(
        &self,
        name: &str,
        row: &InstanceRow,
        compared: &Value,
    ) -> Result<ReconciliationView, DeskError> {
        let instance = self.instance_view(row);
        let tasks = self.questions(row).await?;
        let plan = self.acceptor.plan();
        let sign_off = plan
            .processes
            .definition(&instance.definition)
            .and_then(|known| known.reconciliation.as_ref()?.sign_off.clone());
        let signed = tasks
            .iter()
            .filter(|task| !row.phase.is_open() && sign_off.as_deref() == Some(&*task.step))
            .filter(|task| task.choice.is_some())
            .max_by_key(|task| task.ended);
        let hops = hops(&compared["hops"]);
        let breaks = breaks(&compared["breaks"], &tasks);
        let open = breaks.iter().filter(|one| one.closed.is_none());
        Ok(ReconciliationView {
            name: name.to_owned(),
            date: compared["date"].as_str().map(str::to_owned),
            scope: compared["scope"].as_str().map(str::to_owned),
            facility: instance.facility,
            status: instance.status.unwrap_or(instance.phase),
            owner: instance.owner,
            done: !row.phase.is_open(),
            reason: instance.reason,
            instance: row.id,
            began: row.began,
            ended: row.ended,
            ties: hops.iter().all(HopView::same),
            breaks_total: compared["count"].as_u64().unwrap_or_default(),
            breaks_open: open.clone().count() as u64,
            amount_open: worth(open),
            signed_by: signed.and_then(|task| task.by.clone()),
            signed_at: signed.and_then(|task| task.ended),
            hops,
            breaks,
        })
    }

    async fn questions(&self, row: &InstanceRow) -> Result<Vec<TaskView>, DeskError> {
        let mut query = TaskQuery {
            instance: Some(row.id),
            limit: PAGE,
            ..TaskQuery::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.tasks(&query).await?;
            all.extend(page.rows);
            match page.next {
                Some(next) if all.len() < MOST_TASKS => query.before = Some(next),
                _ => return Ok(all),
            }
        }
    }
}

fn no_such(name: &str, declared: &[(String, String)]) -> DeskError {
    let names: Vec<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
    DeskError::Invalid(if names.is_empty() {
        format!("there is no reconciliation `{name}`: no process of the estate is one")
    } else {
        format!(
            "there is no reconciliation `{name}`: there are {}",
            names.join(", ")
        )
    })
}

impl HopView {
    /// Whether the same was counted as at the hop before.
    fn same(&self) -> bool {
        self.count_difference.is_none_or(|more| more == 0)
            && self
                .amount_difference
                .as_ref()
                .is_none_or(|more| more.parse() == Ok(Decimal::ZERO))
    }
}

fn hops(found: &Value) -> Vec<HopView> {
    let mut all: Vec<HopView> = Vec::new();
    for line in found.as_array().into_iter().flatten() {
        let count = line["count"].as_u64();
        let amount = line["amount"].as_str().map(str::to_owned);
        let before = all.last();
        let sum =
            |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Decimal>().ok());
        let more = before.and_then(|before| sum(&amount)?.checked_sub(sum(&before.amount)?));
        all.push(HopView {
            hop: line["hop"].as_str().unwrap_or_default().to_owned(),
            count_difference: before.and_then(|before| {
                let before = before.count?.cast_signed();
                Some(count?.cast_signed().saturating_sub(before))
            }),
            amount_difference: more.map(|more| more.to_string()),
            count,
            amount,
        });
    }
    all
}

/// Breaks with the questions that are asked about them: those that show the same code and subject.
fn breaks(found: &Value, tasks: &[TaskView]) -> Vec<BreakView> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut asked: AHashMap<(String, String), &TaskView> = AHashMap::new();
    // Of several the newest counts; they come newest first.
    for task in tasks.iter().rev() {
        if let (Some(code), Some(subject)) = (text(&task.show["code"]), text(&task.show["subject"]))
        {
            asked.insert((code, subject), task);
        }
    }
    found
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let code = text(&one["code"]).unwrap_or_default();
            let subject = text(&one["subject"]).unwrap_or_default();
            let task = asked.get(&(code.clone(), subject.clone()));
            let mut detail = one.clone();
            if let Some(detail) = detail.as_object_mut() {
                for stands_elsewhere in ["code", "subject", "owner"] {
                    detail.remove(stands_elsewhere);
                }
            }
            BreakView {
                code,
                subject: Some(subject),
                owner: task
                    .map(|task| task.role.clone())
                    .or_else(|| text(&one["owner"])),
                state: match task {
                    None => "new".to_owned(),
                    Some(task) => task
                        .choice
                        .clone()
                        .filter(|choice| !choice.is_empty())
                        .unwrap_or_else(|| "assigned".to_owned()),
                },
                by: task.and_then(|task| task.by.clone().or_else(|| task.claimed.clone())),
                detail,
                since: task.map(|task| task.asked),
                closed: task.and_then(|task| task.ended),
                task: task.map(|task| task.id),
            }
        })
        .collect()
}

/// What breaks are worth together: nothing where they are in several currencies.
fn worth<'a>(breaks: impl Iterator<Item = &'a BreakView>) -> Option<String> {
    let mut sum: Option<(Decimal, String)> = None;
    for one in breaks {
        let difference = &one.detail["difference"];
        let Some(amount) = difference["amount"]
            .as_str()
            .and_then(|text| text.parse::<Decimal>().ok())
        else {
            continue;
        };
        let currency = difference["currency"].as_str().unwrap_or_default();
        sum = Some(match sum {
            None => (amount.abs(), currency.to_owned()),
            Some((all, same)) if same == currency => (all.checked_add(amount.abs())?, same),
            Some(_) => return None,
        });
    }
    sum.map(|(amount, currency)| format!("{amount} {currency}").trim_end().to_owned())
}
