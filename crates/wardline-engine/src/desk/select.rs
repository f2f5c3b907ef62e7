//! Which deliveries an act is about: ids, filters or a key, together.

use super::{Desk, DeskError};
use crate::fingerprint;
use crate::view::Selection;
use std::collections::BTreeMap;
use wardline_core::{BlindIndex, Id};
use wardline_store::{DeliveryFilter, DeliveryRow, MessageFilter, TimeRange};

/// Deliveries that one act may touch. More than that is a decision to be taken in parts.
const MOST: usize = 100_000;

impl Desk {
    /// The deliveries that a selection names, oldest first.
    pub(super) async fn selected(&self, select: &Selection) -> Result<Vec<DeliveryRow>, DeskError> {
        let named = !select.deliveries.is_empty() || !select.messages.is_empty();
        let filtered = select.destination.is_some()
            || select.flow.is_some()
            || !select.states.is_empty()
            || select.fingerprint.is_some()
            || select.key.is_some()
            || select.from.is_some()
            || select.to.is_some();
        if !named && !filtered {
            return Err(DeskError::Invalid(
                "select something: ids, a destination, a flow, a state, a fingerprint, a key or a time".to_owned(),
            ));
        }
        let store = &self.acceptor.store;
        let mut rows: BTreeMap<Id, DeliveryRow> = BTreeMap::new();
        for id in &select.deliveries {
            let row = store.delivery(*id).await?;
            let row = row.ok_or_else(|| DeskError::NotFound {
                what: "delivery",
                id: id.to_string(),
            })?;
            rows.insert(row.id.0, row);
        }
        for id in &select.messages {
            let trace = store.trace(id.0, MOST).await?;
            let trace = trace.ok_or_else(|| DeskError::NotFound {
                what: "message",
                id: id.to_string(),
            })?;
            rows.extend(trace.deliveries.into_iter().map(|row| (row.id.0, row)));
        }
        let Some(mut filter) = self.filter_of(select)? else {
            return Ok(Vec::new());
        };
        if let Some(index) = filter.key.filter(|_| !named) {
            // A person types the key they know (an MRN); deliveries may be ordered by another
            // (a visit). What the message is found by selects all that followed from it.
            self.deliveries_of_key(index, &mut rows).await?;
        }
        if !rows.is_empty() {
            rows.retain(|_, row| {
                filter.destination.is_none_or(|d| d == row.destination)
                    && filter.flow.is_none_or(|f| f == row.flow)
                    && (filter.states.is_empty() || filter.states.contains(&row.state))
                    && filter
                        .fingerprint
                        .is_none_or(|f| row.note.as_ref().is_some_and(|note| note.fingerprint == f))
                    && filter
                        .range
                        .from
                        .is_none_or(|from| row.id.0.unix_ms() >= from.unix_ms())
                    && filter
                        .range
                        .to
                        .is_none_or(|to| row.id.0.unix_ms() < to.unix_ms())
            });
        }
        if !named {
            filter.limit = 1_000;
            loop {
                let page = store.deliveries(&filter).await?;
                rows.extend(page.rows.into_iter().map(|row| (row.id.0, row)));
                match page.next {
                    Some(next) if rows.len() <= MOST => filter.before = Some(next),
                    _ => break,
                }
            }
        }
        if rows.len() > MOST {
            return Err(DeskError::Invalid(format!(
                "more than {MOST} deliveries are selected: narrow it by time, state or destination"
            )));
        }
        Ok(rows.into_values().collect())
    }

    /// Everything that followed from the messages that are found by a key.
    async fn deliveries_of_key(
        &self,
        index: BlindIndex,
        rows: &mut BTreeMap<Id, DeliveryRow>,
    ) -> Result<(), DeskError> {
        let store = &self.acceptor.store;
        let mut filter = MessageFilter {
            term: Some(index),
            limit: 1_000,
            ..MessageFilter::default()
        };
        loop {
            let page = store.messages(&filter).await?;
            for message in &page.rows {
                if let Some(trace) = store.trace(message.id.0, MOST).await? {
                    rows.extend(trace.deliveries.into_iter().map(|row| (row.id.0, row)));
                }
            }
            match page.next {
                Some(next) if rows.len() <= MOST => filter.before = Some(next),
                _ => return Ok(()),
            }
        }
    }

    /// The filter of a selection; `None` when it names what never was.
    pub(super) fn filter_of(
        &self,
        select: &Selection,
    ) -> Result<Option<DeliveryFilter>, DeskError> {
        let sym = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => self.acceptor.store.lookup(name).map(Some).ok_or(()),
        };
        let (Ok(destination), Ok(flow)) = (sym(&select.destination), sym(&select.flow)) else {
            return Ok(None);
        };
        let fingerprint = match &select.fingerprint {
            None => None,
            Some(text) => Some(fingerprint::parse(text).ok_or_else(|| {
                DeskError::Invalid(format!(
                    "`{text}` is not a fingerprint: `wardline dead` prints them, as v1:…"
                ))
            })?),
        };
        Ok(Some(DeliveryFilter {
            destination,
            flow,
            states: select.states.clone(),
            key: select.key.as_deref().map(|key| self.blind(key)),
            fingerprint,
            error: None,
            range: TimeRange {
                from: select.from,
                to: select.to,
            },
            before: None,
            limit: 0,
        }))
    }
}

/// A selection in words, without key values.
pub(super) fn describe(select: &Selection) -> String {
    let mut parts = Vec::new();
    match select.deliveries.as_slice() {
        [] => {}
        [one] => parts.push(one.to_string()),
        many => parts.push(format!("{} deliveries", many.len())),
    }
    match select.messages.as_slice() {
        [] => {}
        [one] => parts.push(format!("message {one}")),
        many => parts.push(format!("{} messages", many.len())),
    }
    parts.extend(select.destination.iter().map(|name| format!("to {name}")));
    parts.extend(select.flow.iter().map(|name| format!("of flow {name}")));
    if !select.states.is_empty() {
        parts.push(
            select
                .states
                .iter()
                .map(|state| state.as_str())
                .collect::<Vec<_>>()
                .join(" or "),
        );
    }
    parts.extend(select.fingerprint.iter().cloned());
    if select.key.is_some() {
        parts.push("of one key".to_owned());
    }
    parts.extend(select.from.map(|t| format!("from {t}")));
    parts.extend(select.to.map(|t| format!("to {t}")));
    parts.join(", ")
}
