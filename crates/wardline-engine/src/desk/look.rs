//! Searching: messages, deliveries, what a bare text means, and what failed alike.

use super::{Desk, DeskError};
use crate::fingerprint;
use crate::view::{DeliveryView, ErrorGroupView, MessageQuery, MessageView, PageView, Selection};
use wardline_core::Id;
use wardline_store::{MessageFilter, MessageOutcome, TimeRange};

/// Groups of failures that are shown.
pub(super) const GROUP_LIMIT: usize = 500;

/// What a bare search text found.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// An id: this trace.
    Trace(Id),
    /// A key: these messages.
    Messages(PageView<MessageView>),
}

impl Desk {
    /// Messages that match.
    pub async fn messages(&self, query: &MessageQuery) -> Result<PageView<MessageView>, DeskError> {
        let mut filter = MessageFilter {
            term: query.key.as_deref().map(|key| self.blind(key)),
            range: TimeRange {
                from: query.from,
                to: query.to,
            },
            before: query.before,
            limit: query.limit,
            roots_only: !query.events,
            error: query.error.clone(),
            ..MessageFilter::default()
        };
        // A name that nothing ever had matches nothing.
        for (text, slot) in [
            (&query.kind, &mut filter.kind),
            (&query.source, &mut filter.source),
            (&query.flow, &mut filter.flow),
        ] {
            if let Some(text) = text {
                match self.acceptor.store.lookup(text) {
                    Some(sym) => *slot = Some(sym),
                    None => {
                        return Ok(PageView {
                            rows: Vec::new(),
                            scanned: 0,
                            next: None,
                        });
                    }
                }
            }
        }
        match query.state.as_deref() {
            None => {}
            Some("filtered") => filter.outcome = Some(MessageOutcome::Filtered),
            Some("unrouted") => filter.outcome = Some(MessageOutcome::Unrouted),
            Some(state) => filter.state = Some(state.parse().map_err(DeskError::Invalid)?),
        }
        let page = self.acceptor.store.messages(&filter).await?;
        Ok(PageView {
            rows: page.rows.iter().map(|row| self.message_view(row)).collect(),
            scanned: page.scanned,
            next: page.next,
        })
    }

    /// Deliveries that match a selection, newest first.
    pub async fn deliveries(
        &self,
        select: &Selection,
        before: Option<Id>,
        limit: usize,
    ) -> Result<PageView<DeliveryView>, DeskError> {
        if !select.deliveries.is_empty() || !select.messages.is_empty() || select.key.is_some() {
            let mut rows = self.selected(select).await?;
            let scanned = rows.len() as u64;
            rows.retain(|row| before.is_none_or(|before| row.id.0 < before));
            rows.reverse();
            let limit = limit.clamp(1, 1_000);
            let next = (rows.len() > limit).then(|| rows[limit - 1].id.0);
            rows.truncate(limit);
            let rows = rows.iter().map(|row| self.delivery_view(row)).collect();
            return Ok(PageView {
                rows,
                scanned,
                next,
            });
        }
        let Some(mut filter) = self.filter_of(select)? else {
            return Ok(PageView {
                rows: Vec::new(),
                scanned: 0,
                next: None,
            });
        };
        filter.before = before;
        filter.limit = limit.min(1_000);
        let page = self.acceptor.store.deliveries(&filter).await?;
        Ok(PageView {
            rows: page
                .rows
                .iter()
                .map(|row| self.delivery_view(row))
                .collect(),
            scanned: page.scanned,
            next: page.next,
        })
    }

    /// Finds by id, else by key.
    pub async fn find(&self, text: &str) -> Result<Found, DeskError> {
        let text = text.trim();
        if let Ok(id) = text.parse::<Id>()
            && self.acceptor.store.trace(id, 1).await?.is_some()
        {
            return Ok(Found::Trace(id));
        }
        let query = MessageQuery {
            key: Some(text.to_owned()),
            ..MessageQuery::default()
        };
        Ok(Found::Messages(self.messages(&query).await?))
    }

    /// Groups of dead and held deliveries.
    pub async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError> {
        let groups = self.acceptor.store.error_groups(GROUP_LIMIT).await?;
        let plan = self.acceptor.plan();
        let mut out = Vec::with_capacity(groups.len());
        for group in groups {
            let destination = self.name(group.destination);
            let flow = self
                .acceptor
                .store
                .delivery(group.sample)
                .await?
                .map(|row| self.name(row.flow))
                .unwrap_or_default();
            out.push(ErrorGroupView {
                fingerprint: fingerprint::text(group.fingerprint),
                runbook: self.runbook(&flow, &destination),
                owner: plan
                    .flow_named(&flow)
                    .map(|flow| flow.owner.clone())
                    .unwrap_or_default(),
                destination,
                code: group.note.code,
                text: group.note.text,
                dead: group.dead,
                held: group.held,
                first: group.first,
                last: group.last,
                sample: group.sample,
            });
        }
        Ok(out)
    }
}
