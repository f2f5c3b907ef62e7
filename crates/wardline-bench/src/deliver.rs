//! `deliver`: a backlog that stands in the journal, drained.
//!
//! Once to an HTTP service at which one key in twenty fails: its neighbours must not wait for it,
//! and once it is healed it must follow, in order. Once to nowhere, which leaves the engine's own
//! work. Both for a small and a large backlog: what a delivery costs must not depend on how many
//! others stand in the journal.

use crate::intake::{mb, per_message};
use crate::receiver::{Faults, Protocol, Receiver};
use crate::report::Row;
use crate::sample::Mark;
use crate::site::{BACKLOG, Site};
use crate::{BenchError, Options, bare, machine};
use std::time::{Duration, Instant};
use wardline_core::{DeliveryState, Lane, OrderingKey, Timestamp};
use wardline_sim::Dice;
use wardline_store::sqlite::SqliteStore;
use wardline_store::{
    Acceptance, Change, MessageRef, NewDelivery, NewMessage, Route, RouteOutcome, Store as _,
};
use wardline_vault::Kind;

const LARGE: u64 = 1_000_000;
const SMALL: u64 = 10_000;
const KEYS: u32 = 10_000;
/// One key in so many fails.
const FAILING: u32 = 20;
/// Rounds of the small backlog, so that it is measured for more than an instant.
const MOST_ROUNDS: u64 = 10;
/// Messages in one transaction while the backlog is made.
const FILL: u64 = 500;
/// A destination of the estate and the name of its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Service,
    Nowhere,
}

impl Way {
    const fn destination(self) -> &'static str {
        match self {
            Self::Service => "service.feed",
            Self::Nowhere => "nowhere.feed",
        }
    }

    /// What the names of its figures begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Service => "",
            Self::Nowhere => "null_",
        }
    }
}

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let directory = options.directory.as_deref();
    let large = options.backlog.unwrap_or(LARGE);
    let small = large.min(SMALL);
    options.say("deliver: bare settlements");
    let small_limit = bare::settling(directory, small as usize).await?;
    let large_limit = if small == large {
        small_limit
    } else {
        bare::settling(directory, large as usize).await?
    };
    let receiver = Receiver::start(Protocol::Http, KEYS, Faults::one_in(FAILING))?;
    let mut bench = Drain {
        options,
        receiver,
        counts: vec![0; KEYS as usize],
        dice: Dice::new(7),
        total: 0,
    };
    let mut rows = Vec::new();
    let mut largest = None;
    for way in [Way::Service, Way::Nowhere] {
        let rounds = MOST_ROUNDS.min(large / small);
        let few = bench.rounds(way, small, rounds).await?;
        rows.extend(few.rows(way, small, small_limit));
        if small == large {
            largest.get_or_insert(few);
            continue;
        }
        let many = bench.rounds(way, large, 1).await?;
        rows.extend(many.rows(way, large, large_limit));
        let ratio = many.per_s() / few.per_s();
        let name = format!("{}drain_per_s_{large}_to_{small}", way.prefix());
        rows.push(Row::new(name, ratio, ""));
        largest.get_or_insert(many);
    }
    let sums = bench.receiver.order().verdict("HTTP service")?;
    if sums.fresh != bench.total {
        return Err(BenchError::Sums {
            what: format!(
                "{} owed to the service, {} received",
                bench.total, sums.fresh
            ),
        });
    }
    let receiving = bench.receiver.stop()?;
    if let Some(drained) = largest {
        rows.extend([
            Row::new(
                "receiver_us",
                per_message(receiving, sums.received),
                "µs/delivery",
            ),
            Row::new("repeated", sums.repeated as f64, "deliveries"),
            Row::new("out_of_order", sums.out_of_order as f64, "deliveries"),
            Row::new("store_mb", mb(drained.store_bytes), "MB"),
            Row::new("start_ready_s", drained.ready.as_secs_f64(), "s"),
            Row::new("resident_mb", mb(drained.peak), "MB"),
        ]);
    }
    Ok(rows)
}

struct Drain<'a> {
    options: &'a Options,
    receiver: Receiver,
    /// Per key, how many deliveries the service was ever owed.
    counts: Vec<u32>,
    dice: Dice,
    /// Deliveries that the service was ever owed.
    total: u64,
}

/// What one backlog, or several rounds of one, took.
#[derive(Debug, Default)]
struct Drained {
    /// Deliveries whose key did not fail, without those done before the engine was ready.
    flowing: u64,
    /// All deliveries.
    all: u64,
    /// From ready to the last of `flowing`.
    time: Duration,
    /// Processor time until all were delivered.
    processor: Duration,
    /// The longest start.
    ready: Duration,
    /// The highest memory.
    peak: u64,
    /// The largest store.
    store_bytes: u64,
}

impl Drained {
    fn per_s(&self) -> f64 {
        self.flowing as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }

    fn rows(&self, way: Way, backlog: u64, limit: f64) -> [Row; 2] {
        let prefix = way.prefix();
        let processor = per_message(self.processor, self.all);
        [
            Row::new(
                format!("{prefix}drain_per_s_{backlog}"),
                self.per_s(),
                "deliveries/s",
            )
            .limit(limit),
            Row::new(
                format!("{prefix}processor_us_{backlog}"),
                processor,
                "µs/delivery",
            ),
        ]
    }
}

impl Drain<'_> {
    async fn rounds(&mut self, way: Way, backlog: u64, rounds: u64) -> Result<Drained, BenchError> {
        let ports = [("service", self.receiver.address())];
        let site = Site::build(self.options.directory.as_deref(), &BACKLOG, &ports)?;
        let mut sum = Drained::default();
        for _ in 0..rounds {
            self.options.say(&format!(
                "deliver: {backlog} deliveries to {} are written",
                way.destination()
            ));
            self.receiver.heal(false);
            let flowing = self.fill(&site, way, backlog).await?;
            self.options.say(&format!(
                "deliver: {backlog} deliveries to {} are drained",
                way.destination()
            ));
            let one = self.drain(&site, flowing, backlog).await?;
            sum.flowing += one.flowing;
            sum.all += backlog;
            sum.time += one.time;
            sum.processor += one.processor;
            sum.ready = sum.ready.max(one.ready);
            sum.peak = sum.peak.max(one.peak);
            sum.store_bytes = sum.store_bytes.max(one.store_bytes);
        }
        Ok(sum)
    }

    /// Writes the backlog into the journal; gives how many of its keys do not fail.
    async fn fill(&mut self, site: &Site, way: Way, backlog: u64) -> Result<u64, BenchError> {
        let store = site.store()?;
        let names = Names::intern(&store, way).await?;
        let mut flowing = 0;
        let mut written = 0;
        while written < backlog {
            let count = FILL.min(backlog - written);
            let mut changes = Vec::with_capacity(count as usize);
            for _ in 0..count {
                let key = self.dice.below(u64::from(KEYS)) as u32;
                let mark = Mark {
                    key,
                    count: self.counts[key as usize],
                };
                if way == Way::Service {
                    self.counts[key as usize] += 1;
                    self.total += 1;
                }
                flowing += u64::from(way == Way::Nowhere || !self.receiver.faults().concern(key));
                changes.push(Change::Accept(Box::new(names.acceptance(site, mark)?)));
            }
            store.commit(changes).await?;
            written += count;
        }
        store.close().await?;
        Ok(flowing)
    }

    /// Starts the engine on the backlog, waits for what flows, heals what fails, waits for the rest.
    async fn drain(&self, site: &Site, flowing: u64, all: u64) -> Result<Drained, BenchError> {
        machine::forget_peak();
        let before = machine::processor_time();
        let began = Instant::now();
        let running = site.start(site.store()?).await?;
        let ready = began.elapsed();
        // Delivering begins while the start is not yet over; what was done then does not count.
        let early = running.engine.desk().balance().await?.sent_since_start;
        let began = Instant::now();
        running.delivered(flowing).await?;
        let time = began.elapsed();
        self.receiver.heal(true);
        running.delivered(all).await?;
        let balance = running.engine.desk().balance().await?;
        let store_bytes = running.store.status().file_bytes;
        let peak = machine::peak_resident();
        running.stop().await;
        if balance.open != 0 || !balance.holds() {
            let what = format!("{} deliveries open after all were delivered", balance.open);
            return Err(BenchError::Sums { what });
        }
        let processor = machine::processor_time().saturating_sub(before);
        Ok(Drained {
            flowing: flowing.saturating_sub(early),
            all,
            time,
            processor,
            ready,
            peak,
            store_bytes,
        })
    }
}

/// Numbers of the names that a backlog's rows need.
struct Names {
    source: wardline_core::Sym,
    kind: wardline_core::Sym,
    content_type: wardline_core::Sym,
    flow: wardline_core::Sym,
    destination: wardline_core::Sym,
}

impl Names {
    async fn intern(store: &SqliteStore, way: Way) -> Result<Self, BenchError> {
        Ok(Self {
            source: store.intern("discharge").await?,
            kind: store.intern("encounter.discharged").await?,
            content_type: store.intern("application/json").await?,
            flow: store.intern("backlog").await?,
            destination: store.intern(way.destination()).await?,
        })
    }

    /// One event and the delivery that follows from it.
    fn acceptance(&self, site: &Site, mark: Mark) -> Result<Acceptance, BenchError> {
        let body = body(mark);
        let size = body.len() as u32;
        let visit = format!("V{:08}", mark.key);
        let key = OrderingKey {
            index: site.vault().blind("key", &visit),
            shown: None,
        };
        Ok(Acceptance {
            dedup: None,
            messages: vec![NewMessage {
                source: self.source,
                kind: self.kind,
                content_type: self.content_type,
                cause: None,
                key: Some(key.clone()),
                lane: Lane::Normal,
                received: Timestamp::now(),
                size,
                payload: site.vault().seal(Kind::Message, body.as_bytes())?,
                routes: vec![Route {
                    flow: self.flow,
                    destination: None,
                    outcome: RouteOutcome::Taken,
                }],
                flagged: false,
            }],
            deliveries: vec![NewDelivery {
                message: MessageRef::Ordinal(0),
                flow: self.flow,
                destination: self.destination,
                lane: Lane::Normal,
                key: Some(key),
                state: DeliveryState::Pending,
                note: None,
                body: None,
                size,
                content_type: self.content_type,
                replay_of: None,
                call: None,
            }],
            terms: Vec::new(),
            mail: Vec::new(),
            resource: None,
        })
    }
}

/// The event as the mapping of the benches makes it.
fn body(mark: Mark) -> String {
    let mut digits = [0; Mark::DIGITS];
    mark.write(&mut digits);
    let (id, key) = (String::from_utf8_lossy(&digits), mark.key);
    format!(
        "{{\"message_id\":\"{id}\",\"visit_number\":\"V{key:08}\",\"account_number\":\"A{key:08}\",\"mrn\":\"{key:08}\",\
         \"facility\":\"north\",\"unit\":\"4W\",\"bed\":\"NORTH-4W-112-A\",\"service\":\"MED\",\"attending\":\"1000417\",\
         \"isolation\":true,\"admitted_at\":\"2026-11-20T22:15:00-06:00\",\"occurred_at\":\"2026-11-24T10:40:00-06:00\",\
         \"discharged_at\":\"2026-11-24T10:39:00-06:00\",\"disposition\":\"home-care\",\
         \"patient\":{{\"family_name\":\"Okafor\",\"given_name\":\"Adaeze\",\"birth_date\":\"1967-03-12\",\"sex\":\"female\"}}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::sample::Mark;

    #[test]
    fn the_body_is_the_canonical_encounter() {
        let schema = include_str!("../estate/entities/encounter.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let body: serde_json::Value =
            serde_json::from_str(&body(Mark { key: 42, count: 7 })).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        for name in body.as_object().unwrap().keys() {
            assert!(properties.contains_key(name), "{name}");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(body.get(name.as_str().unwrap()).is_some(), "{name}");
        }
        assert_eq!(body["message_id"], "00000042000000007");
    }
}
