//! Reading: overview, search, trace, sums.

use super::words::attempt_view;
use super::{Desk, DeskError};
use crate::fingerprint;
use crate::view::{
    DeliveryView, DestinationView, ErrorGroupView, FlowView, MessageQuery, MessageView, Overview,
    PageView, Selection, SourceView, StoreView, TraceItem, TraceNode, TraceView,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use wardline_core::{DeliveryId, DeliveryState, Id, MessageId, Sym, Timestamp};
use wardline_store::{
    CounterKind, DeliveryFilter, DeliveryRow, MessageFilter, MessageOutcome, MessageRow, Series,
    TimeRange, Trace,
};

/// Nodes of a trace that are shown.
const TRACE_LIMIT: usize = 2_000;
/// Groups of failures that are shown.
const GROUP_LIMIT: usize = 500;

/// What a bare search text found.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// An id: this trace.
    Trace(Id),
    /// A key: these messages.
    Messages(PageView<MessageView>),
}

/// What is shown next of a trace, and how deep.
enum Step<'a> {
    Message(&'a MessageRow, u32),
    Delivery(&'a DeliveryRow, u32),
}

impl Desk {
    /// The dashboard.
    pub async fn overview(&self) -> Result<Overview, DeskError> {
        let store = &self.acceptor.store;
        let plan = &self.acceptor.plan;
        let now = self.acceptor.clock.now();
        let totals = store.totals().await?;
        let gauges = store.gauges().await?;
        let count = |kind: CounterKind, name: Sym| -> u64 {
            totals
                .iter()
                .filter(|c| c.kind == kind && c.name == name)
                .map(|c| c.count)
                .sum()
        };
        let flow_count = |kind: CounterKind, flow: Sym| -> u64 {
            totals
                .iter()
                .filter(|c| c.kind == kind && c.flow == Some(flow))
                .map(|c| c.count)
                .sum()
        };
        let mut states: HashMap<(Sym, DeliveryState), u64> = HashMap::new();
        for gauge in &gauges {
            *states.entry((gauge.destination, gauge.state)).or_default() +=
                u64::try_from(gauge.count).unwrap_or(0);
        }
        let stopped = store.stopped_keys(None, Id::ZERO, 10_000).await?;
        let groups = store.error_groups(GROUP_LIMIT).await?;

        let mut names: BTreeMap<String, Sym> = BTreeMap::new();
        for name in plan.destinations.keys() {
            if let Some(sym) = store.lookup(name) {
                names.insert(name.to_string(), sym);
            }
        }
        let owed_elsewhere = totals
            .iter()
            .filter(|c| c.kind == CounterKind::Owed)
            .map(|c| c.name);
        for sym in owed_elsewhere {
            names.entry(self.name(sym)).or_insert(sym);
        }
        let mut oldest: Option<Timestamp> = None;
        let mut destinations = Vec::with_capacity(names.len());
        for (name, sym) in names {
            let of = |state| states.get(&(sym, state)).copied().unwrap_or(0);
            let channel = self.dispatcher.channel(sym);
            let live = self.dispatcher.destination(sym);
            let outage = channel.and_then(|channel| channel.outage());
            let stopped_here: Vec<_> = stopped
                .iter()
                .filter(|lane| lane.destination == sym)
                .collect();
            let waiting = of(DeliveryState::Pending);
            let (retrying, held) = (of(DeliveryState::Retrying), of(DeliveryState::Held));
            let since = stopped_here.iter().map(|lane| lane.since).min();
            let dead =
                count(CounterKind::Dead, sym).saturating_sub(count(CounterKind::Resolved, sym));
            let (state, reason, since) = match outage {
                Some(outage) => (
                    "down",
                    format!(
                        "down: {}; {waiting} wait, one probe at a time",
                        outage.reason
                    ),
                    Some(outage.since),
                ),
                None if held > 0 => {
                    let keys = stopped_here
                        .iter()
                        .filter(|lane| lane.state == DeliveryState::Held)
                        .count();
                    (
                        "blocked",
                        format!(
                            "{} held for a person; other keys flow",
                            plural(keys as u64, "key")
                        ),
                        since,
                    )
                }
                None if retrying > 0 => (
                    "blocked",
                    format!(
                        "{} retrying; other keys flow",
                        plural(stopped_here.len() as u64, "key")
                    ),
                    since,
                ),
                None if waiting > 0 && live.is_none() && name.starts_with("flow/") => {
                    ("flowing", String::new(), None)
                }
                None if waiting > 0 && live.is_none() => (
                    "paused",
                    "nothing sends there now: it is not in the running estate".to_owned(),
                    None,
                ),
                None => ("flowing", String::new(), None),
            };
            if waiting + retrying > 0
                && let Some(first) = self.oldest_open(sym).await?
            {
                oldest = Some(oldest.map_or(first, |o| o.min(first)));
            }
            destinations.push(DestinationView {
                state: state.to_owned(),
                reason,
                since,
                waiting,
                retrying,
                held,
                dead,
                delivered: count(CounterKind::Delivered, sym),
                owed: count(CounterKind::Owed, sym),
                failed_attempts: count(CounterKind::Failed, sym),
                cancelled: count(CounterKind::Cancelled, sym),
                in_flight: live.map_or(0, |live| live.in_flight.load(Ordering::Relaxed)),
                p50_us: live.and_then(|live| live.latency.quantile(0.5)),
                p99_us: live.and_then(|live| live.latency.quantile(0.99)),
                last_error: live
                    .and_then(|live| live.last_error.lock().clone())
                    .or_else(|| {
                        groups
                            .iter()
                            .filter(|group| group.destination == sym)
                            .max_by_key(|group| group.last)
                            .map(|group| format!("{}: {}", group.note.code, group.note.text))
                    }),
                stopped_keys: stopped_here.len() as u64,
                runbook: plan
                    .destinations
                    .get(name.as_str())
                    .and_then(|d| d.runbook.clone()),
                name,
            });
        }
        destinations.sort_by_key(|d| (rank(d), d.name.clone()));

        let flows = plan
            .flows
            .iter()
            .map(|flow| {
                let sym = store.lookup(&flow.name);
                let of = |kind| sym.map_or(0, |sym| flow_count(kind, sym));
                let (owed, delivered, dead, cancelled) = (
                    of(CounterKind::Owed),
                    of(CounterKind::Delivered),
                    of(CounterKind::Dead).saturating_sub(of(CounterKind::Resolved)),
                    of(CounterKind::Cancelled),
                );
                FlowView {
                    name: flow.name.to_string(),
                    owner: flow.owner.clone(),
                    from: flow.from.clone(),
                    delivered,
                    owed: owed.saturating_sub(delivered + dead + cancelled),
                    dead,
                    emitted: sym.map_or(0, |sym| count(CounterKind::Derived, sym)),
                }
            })
            .collect();
        let places = self.places.read().clone();
        let mut sources: Vec<SourceView> = plan
            .sources
            .keys()
            .map(|name| {
                let sym = store.lookup(name);
                let of = |kind| sym.map_or(0, |sym| count(kind, sym));
                SourceView {
                    name: name.to_string(),
                    accepted: of(CounterKind::Accepted),
                    duplicates: of(CounterKind::Duplicate),
                    filtered: of(CounterKind::Filtered),
                    unrouted: of(CounterKind::Unrouted),
                    listening: places.get(&**name).cloned(),
                    ack_p99_us: self
                        .acceptor
                        .latency
                        .get(&**name)
                        .and_then(|latency| latency.quantile(0.99)),
                }
            })
            .collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));

        let hour = TimeRange {
            from: Some(Timestamp(now.0 - 3_600_000_000)),
            to: None,
        };
        let accepted = store.series(CounterKind::Accepted, None, hour).await?;
        let delivered = store.series(CounterKind::Delivered, None, hour).await?;
        let status = store.status();
        let (headline, well) = headline(&destinations, status.trouble.as_deref());
        Ok(Overview {
            estate: plan
                .estate
                .title
                .clone()
                .unwrap_or_else(|| plan.estate.name.clone()),
            headline,
            well,
            at: now,
            accepted: sources.iter().map(|source| source.accepted).sum(),
            accepted_per_minute: minutes(&accepted, now),
            delivered_per_minute: minutes(&delivered, now),
            oldest_waiting_ms: oldest.map(|first| now.since(first).as_millis() as u64),
            error_groups: groups.len() as u64,
            destinations,
            flows,
            sources,
            store: StoreView {
                trouble: status.trouble,
                bytes: status.file_bytes + status.wal_bytes,
                disk_free_bytes: status.disk_free_bytes,
                queued: status.queued as u64,
                commits: status.commits,
            },
        })
    }

    async fn oldest_open(&self, destination: Sym) -> Result<Option<Timestamp>, DeskError> {
        let mut oldest: Option<Timestamp> = None;
        for lane in wardline_core::Lane::ALL {
            let first = self
                .acceptor
                .store
                .window(destination, lane, Id::ZERO, 1)
                .await?;
            if let Some(row) = first.first().filter(|row| row.state != DeliveryState::Held) {
                oldest = Some(oldest.map_or(row.accepted, |o| o.min(row.accepted)));
            }
        }
        Ok(oldest)
    }

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

    /// The tree around a message or delivery.
    pub async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError> {
        let Some(trace) = self.acceptor.store.trace(id, TRACE_LIMIT).await? else {
            return Ok(None);
        };
        Ok(self.tree(&trace))
    }

    fn tree(&self, trace: &Trace) -> Option<TraceView> {
        let root = trace.messages.first()?;
        let start = root.received;
        let mut messages: HashMap<Id, Vec<&MessageRow>> = HashMap::new();
        let mut deliveries: HashMap<MessageId, Vec<&DeliveryRow>> = HashMap::new();
        let mut replays: HashMap<DeliveryId, Vec<&DeliveryRow>> = HashMap::new();
        for message in &trace.messages {
            if let Some(cause) = message.cause.filter(|_| message.id != root.id) {
                messages.entry(cause).or_default().push(message);
            }
        }
        for delivery in &trace.deliveries {
            match delivery.replay_of {
                Some(original) if trace.deliveries.iter().any(|d| d.id == original) => {
                    replays.entry(original).or_default().push(delivery);
                }
                _ => deliveries
                    .entry(delivery.message)
                    .or_default()
                    .push(delivery),
            }
        }
        let mut nodes = Vec::new();
        let mut stack = vec![Step::Message(root, 0)];
        let mut last = start;
        while let Some(step) = stack.pop() {
            match step {
                Step::Message(message, depth) => {
                    let at = message.received.since(start).as_micros() as u64;
                    nodes.push(TraceNode {
                        depth,
                        item: TraceItem::Message(Box::new(self.message_view(message))),
                        attempts: Vec::new(),
                        from_us: at,
                        to_us: at,
                    });
                    for next in messages.get(&message.id.0).into_iter().flatten().rev() {
                        stack.push(Step::Message(next, depth + 1));
                    }
                    for next in deliveries.get(&message.id).into_iter().flatten().rev() {
                        stack.push(Step::Delivery(next, depth + 1));
                    }
                }
                Step::Delivery(delivery, depth) => {
                    let end = delivery
                        .settled
                        .unwrap_or_else(|| self.acceptor.clock.now());
                    let accepted = Timestamp::from_unix_ms(delivery.id.0.unix_ms());
                    last = last.max(delivery.settled.unwrap_or(last));
                    nodes.push(TraceNode {
                        depth,
                        item: TraceItem::Delivery(Box::new(self.delivery_view(delivery))),
                        attempts: trace
                            .attempts
                            .iter()
                            .filter(|attempt| attempt.delivery == delivery.id)
                            .map(attempt_view)
                            .collect(),
                        from_us: accepted.since(start).as_micros() as u64,
                        to_us: end.since(start).as_micros() as u64,
                    });
                    for next in messages.get(&delivery.id.0).into_iter().flatten().rev() {
                        stack.push(Step::Message(next, depth + 1));
                    }
                    for next in replays.get(&delivery.id).into_iter().flatten().rev() {
                        stack.push(Step::Delivery(next, depth + 1));
                    }
                }
            }
        }
        Some(TraceView {
            root: root.id,
            headline: trace_headline(root, &trace.deliveries),
            took_us: last.since(start).as_micros() as u64,
            nodes,
            truncated: trace.truncated,
        })
    }

    /// Groups of dead and held deliveries.
    pub async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError> {
        let groups = self.acceptor.store.error_groups(GROUP_LIMIT).await?;
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
                owner: self
                    .acceptor
                    .plan
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

    /// Sums that must agree: accepted = routed + filtered + unrouted, and owed = delivered +
    /// dead + cancelled + open (+ removed by retention). Returns what does not.
    pub async fn balance(&self) -> Result<Balance, DeskError> {
        let totals = self.acceptor.store.totals().await?;
        let gauges = self.acceptor.store.gauges().await?;
        let sum = |kind: CounterKind| {
            totals
                .iter()
                .filter(|c| c.kind == kind)
                .map(|c| c.count)
                .sum::<u64>()
        };
        let (dispatched, latency) = self.live_sums();
        Ok(Balance {
            accepted: sum(CounterKind::Accepted),
            duplicates: sum(CounterKind::Duplicate),
            events: sum(CounterKind::Derived),
            filtered: sum(CounterKind::Filtered),
            unrouted: sum(CounterKind::Unrouted),
            owed: sum(CounterKind::Owed),
            delivered: sum(CounterKind::Delivered),
            dead: sum(CounterKind::Dead).saturating_sub(sum(CounterKind::Resolved)),
            cancelled: sum(CounterKind::Cancelled),
            open: gauges
                .iter()
                .map(|gauge| u64::try_from(gauge.count).unwrap_or(0))
                .sum(),
            failed_attempts: sum(CounterKind::Failed),
            sent_since_start: dispatched,
            p50_us: latency.0,
            p99_us: latency.1,
        })
    }

    fn live_sums(&self) -> (u64, (Option<u64>, Option<u64>)) {
        let sent = self
            .dispatcher
            .destinations()
            .map(|d| d.sent.load(Ordering::Relaxed))
            .sum();
        let worst = |q: f64| {
            self.dispatcher
                .destinations()
                .filter_map(|d| d.latency.quantile(q))
                .max()
        };
        (sent, (worst(0.5), worst(0.99)))
    }
}

/// Counts in and counts out.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Balance {
    /// Messages accepted from outside.
    pub accepted: u64,
    /// Duplicates answered again.
    pub duplicates: u64,
    /// Events and follow-ups.
    pub events: u64,
    /// Messages that every flow filtered.
    pub filtered: u64,
    /// Messages that no flow listens to.
    pub unrouted: u64,
    /// Deliveries recorded.
    pub owed: u64,
    /// Deliveries delivered.
    pub delivered: u64,
    /// Deliveries dead.
    pub dead: u64,
    /// Deliveries cancelled.
    pub cancelled: u64,
    /// Deliveries open.
    pub open: u64,
    /// Failed attempts.
    pub failed_attempts: u64,
    /// Deliveries delivered since this process started.
    pub sent_since_start: u64,
    /// Worst destination's median of acceptance-to-delivery, microseconds.
    pub p50_us: Option<u64>,
    /// Worst destination's 99th percentile, microseconds.
    pub p99_us: Option<u64>,
}

impl Balance {
    /// Whether every delivery that was ever owed is accounted for.
    pub const fn holds(&self) -> bool {
        self.owed == self.delivered + self.dead + self.cancelled + self.open
    }
}

fn plural(n: u64, word: &str) -> String {
    if n == 1 {
        format!("1 {word}")
    } else {
        format!("{n} {word}s")
    }
}

fn rank(destination: &DestinationView) -> u8 {
    match destination.state.as_str() {
        "down" => 0,
        "blocked" if destination.held > 0 => 1,
        "blocked" => 2,
        _ if destination.dead > 0 => 3,
        "paused" => 4,
        _ => 5,
    }
}

fn headline(destinations: &[DestinationView], trouble: Option<&str>) -> (String, bool) {
    if let Some(trouble) = trouble {
        return (
            format!("The journal cannot take messages: {trouble}"),
            false,
        );
    }
    let down: Vec<&DestinationView> = destinations.iter().filter(|d| d.state == "down").collect();
    let held: u64 = destinations.iter().map(|d| d.held).sum();
    let dead: u64 = destinations.iter().map(|d| d.dead).sum();
    let retrying: u64 = destinations.iter().map(|d| d.retrying).sum();
    if let [one, ..] = down.as_slice() {
        let others = if down.len() > 1 {
            format!(" and {} more", down.len() - 1)
        } else {
            String::new()
        };
        let since = one.since.map(|t| format!(" since {t}")).unwrap_or_default();
        return (
            format!(
                "{}{others} down{since} — {} waiting; everything else flows.",
                one.name,
                one.waiting + one.retrying
            ),
            false,
        );
    }
    match (held, dead, retrying) {
        (0, 0, 0) => ("All flows running.".to_owned(), true),
        (0, 0, n) => (
            format!(
                "All flows running; {} being tried again.",
                plural(n, "delivery").replace("deliverys", "deliveries")
            ),
            true,
        ),
        (held, dead, _) => {
            let mut parts = Vec::new();
            if held > 0 {
                parts.push(format!("{held} held"));
            }
            if dead > 0 {
                parts.push(format!("{dead} dead"));
            }
            (
                format!(
                    "{} — a person is needed; other keys flow.",
                    parts.join(", ")
                ),
                false,
            )
        }
    }
}

fn trace_headline(root: &MessageRow, deliveries: &[DeliveryRow]) -> String {
    let open = deliveries.iter().filter(|d| d.state.is_open()).count();
    let dead = deliveries
        .iter()
        .filter(|d| d.state == DeliveryState::Dead)
        .count();
    let retries: u32 = deliveries
        .iter()
        .map(|d| d.attempts.saturating_sub(1))
        .sum();
    let all = deliveries.len();
    match (all, open, dead) {
        (0, ..) if root.outcome == MessageOutcome::Filtered => {
            "filtered: no flow wanted it".to_owned()
        }
        (0, ..) if root.outcome == MessageOutcome::Unrouted => {
            "no flow listens to its source".to_owned()
        }
        (0, ..) => "nobody had to hear of it".to_owned(),
        (_, 0, 0) if retries == 0 => "completed".to_owned(),
        (_, 0, 0) => format!(
            "completed with {}",
            if retries == 1 {
                "1 retry".to_owned()
            } else {
                format!("{retries} retries")
            }
        ),
        (_, 0, dead) => format!("{dead} of {all} deliveries dead"),
        (_, open, 0) => format!("{open} of {all} deliveries waiting"),
        (_, open, dead) => format!("{open} of {all} deliveries waiting, {dead} dead"),
    }
}

/// The last 60 minutes, oldest first.
fn minutes(series: &Series, now: Timestamp) -> Vec<u64> {
    let last = now.0.div_euclid(60_000_000) * 60;
    let mut out = vec![0; 60];
    for (minute, count) in &series.points {
        let back = (last - minute) / 60;
        if (0..60).contains(&back) {
            out[59 - back as usize] += count;
        }
    }
    out
}
