//! The dashboard: where everything stands, in one look.

use super::look::GROUP_LIMIT;
use super::{Desk, DeskError};
use crate::view::{DestinationView, FlowView, Overview, SourceView, StoreView};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use wardline_core::{DeliveryState, Id, Sym, Timestamp};
use wardline_store::{CounterKind, Series, TimeRange};

impl Desk {
    /// The dashboard.
    pub async fn overview(&self) -> Result<Overview, DeskError> {
        let store = &self.acceptor.store;
        let plan = self.acceptor.plan();
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
            let standing = self.disabled(&name).map(|disabled| {
                (
                    "down",
                    format!("disabled: {}; {waiting} wait", disabled.why),
                    Some(disabled.since),
                )
            });
            let (state, reason, since) = standing.unwrap_or_else(|| match outage {
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
            });
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
                in_flight: live
                    .as_ref()
                    .map_or(0, |live| live.in_flight.load(Ordering::Relaxed)),
                p50_us: live.as_ref().and_then(|live| live.latency.quantile(0.5)),
                p99_us: live.as_ref().and_then(|live| live.latency.quantile(0.99)),
                last_error: live
                    .as_ref()
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
        let handed_in = totals
            .iter()
            .filter(|c| c.kind == CounterKind::Accepted)
            .filter_map(|c| store.name(c.name))
            .filter(|name| !plan.sources.contains_key(name))
            .collect::<BTreeSet<_>>();
        let mut sources: Vec<SourceView> = plan
            .sources
            .keys()
            .chain(&handed_in)
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
                        .latency(name)
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
        let certificates = self.certificates.read().clone();
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
            certificates,
            applied: self.applied().await?,
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
