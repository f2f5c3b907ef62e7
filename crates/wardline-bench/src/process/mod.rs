//! `process`: instances of a process of ten steps (six calls to nowhere, two waits, a timer, a
//! value) with several numbers of them under way, and what a million that wait cost.
//!
//! The limit is the store alone: bare commits of as many acceptances as can be under way. Every
//! step of an instance is durable before the next, and a call is two of them: what is asked, and
//! its end.

mod timers;

use crate::report::Row;
use crate::site::{File, Running, SINKS, Site};
use crate::{BenchError, Options, bare, machine};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wardline_connect::{ContentType, Intake, Received, Verdict};
use wardline_core::Timestamp;
use wardline_store::{InstanceFilter, Phase, Store as _};

macro_rules! files {
    ($($path:literal),* $(,)?) => { [$(($path, include_str!(concat!("../../estate/process/", $path)))),*] };
}

/// The estate.
const ORDERS: [File; 6] = files![
    "wardline.yaml",
    "systems/orders.yaml",
    "flows/orders.yaml",
    "entities/order.yaml",
    "entities/order.schema.json",
    "processes/orders.yaml",
];

/// Beside what every bench has: somebody must hear of discharges.
fn files() -> Vec<File> {
    ORDERS.into_iter().chain(SINKS).collect()
}

/// Instances under way at a time.
const CONCURRENT: [usize; 3] = [1, 100, 10_000];
const SECONDS: u64 = 10;
/// Steps of an instance.
const STEPS: u64 = 10;
/// Instances that wait; `--backlog` says otherwise.
const WAITING: u64 = 1_000_000;
/// Of those, how many are woken to measure how long that takes.
const WOKEN: u64 = 1_000;
/// Events handed in at a time while they are made.
const HANDS: usize = 256;
/// How long an engine that was started again is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(3);
/// Longest time without any progress.
const QUIET: Duration = Duration::from_mins(1);

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let concurrent = if options.connections.is_empty() {
        CONCURRENT.to_vec()
    } else {
        options.connections.clone()
    };
    let mut rows = Vec::new();
    for count in concurrent {
        rows.extend(Box::pin(steps(options, count, time)).await?);
    }
    let waiting = options.backlog.unwrap_or(WAITING);
    rows.extend(Box::pin(wait(options, waiting)).await?);
    rows.extend(Box::pin(timers::run(options)).await?);
    Ok(rows)
}

/// Hands events in.
#[derive(Clone)]
struct Hand {
    intake: Arc<dyn Intake>,
}

impl Hand {
    async fn tell(&self, kind: &str, number: &str) -> Result<(), BenchError> {
        self.hand_in(format!(
            r#"{{"kind":"{kind}","number":"{number}","amount":"125.00","lines":[{{"item":"4711","quantity":"10","unit":"BX"}},{{"item":"4712","quantity":"2","unit":"EA"}}]}}"#
        ))
        .await
    }

    /// An order that sleeps until a time.
    async fn timed(&self, number: &str, due: Timestamp) -> Result<(), BenchError> {
        let body = format!(r#"{{"kind":"timed","number":"{number}","due":"{due}"}}"#);
        self.hand_in(body).await
    }

    async fn hand_in(&self, body: String) -> Result<(), BenchError> {
        loop {
            let received = Received {
                source: "orders.in".into(),
                content_type: ContentType::Json,
                body: Bytes::from(body.clone()),
                received: Timestamp::now(),
                peer: None,
                headers: Vec::new(),
                answer: Bytes::new(),
                once: None,
                fault: None,
            };
            match self.intake.accept(received).await {
                Verdict::Accepted { .. } | Verdict::Duplicate { .. } => return Ok(()),
                Verdict::Busy { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
                other @ Verdict::Refused { .. } => {
                    return Err(BenchError::Sums {
                        what: format!("an event was refused: {other:?}"),
                    });
                }
            }
        }
    }
}

/// How many instances have come to their end.
async fn completed(running: &Running) -> Result<u64, BenchError> {
    let counts = running.store.instance_counts().await?;
    if let Some(stuck) = counts
        .iter()
        .find(|count| count.phase == Phase::Stuck && count.count > 0)
    {
        return Err(BenchError::Sums {
            what: format!("{} instances are stuck", stuck.count),
        });
    }
    Ok(counts
        .iter()
        .filter(|count| count.phase == Phase::Completed)
        .map(|count| count.count)
        .sum())
}

/// As many instances as come to their end in `time`, `count` of them under way.
async fn steps(options: &Options, count: usize, time: Duration) -> Result<Vec<Row>, BenchError> {
    let directory = options.directory.as_deref();
    options.say(&format!("process: {count} instances under way"));
    let site = Site::build(directory, &files(), &[])?;
    let running = site.start(site.store()?).await?;
    let hand = Hand {
        intake: running.engine.intake(),
    };
    let began = Instant::now();
    let processor = machine::processor_time();
    let (mut begun, mut ended) = (0_u64, 0_u64);
    let mut last = (0, Instant::now());
    // One at a time is asked for as soon as the one before is over, a crowd now and then.
    let look = if count < 10 {
        Duration::from_micros(200)
    } else {
        Duration::from_millis(20)
    };
    loop {
        let open = began.elapsed() < time;
        if open {
            let room = (count as u64).saturating_sub(begun - ended);
            let mut hands = JoinSet::new();
            let turn = Arc::new(Semaphore::new(HANDS));
            for number in begun..begun + room {
                let (hand, turn) = (hand.clone(), Arc::clone(&turn));
                hands.spawn(async move {
                    let _turn = turn.acquire().await;
                    let number = format!("PO-{number:08}");
                    hand.tell("opened", &number).await?;
                    // One of them comes before it is waited for.
                    hand.tell("invoiced", &number).await?;
                    hand.tell("shipped", &number).await
                });
            }
            while let Some(told) = hands.join_next().await {
                told.unwrap_or(Ok(()))?;
            }
            begun += room;
        }
        ended = completed(&running).await?;
        if !open && ended == begun {
            break;
        }
        if ended > last.0 {
            last = (ended, Instant::now());
        } else if last.1.elapsed() > QUIET {
            return Err(BenchError::Stuck {
                done: ended,
                of: begun,
                quiet_s: QUIET.as_secs(),
            });
        }
        tokio::time::sleep(look).await;
    }
    let took = began.elapsed().as_secs_f64();
    let processor = machine::processor_time()
        .saturating_sub(processor)
        .as_secs_f64();
    let p50 = median_step(&running).await?;
    let balance = running.engine.desk().balance().await?;
    running.stop().await;
    if balance.owed != ended * 6 || balance.open != 0 {
        return Err(BenchError::Sums {
            what: format!(
                "{ended} instances owe six calls each, but {} were recorded and {} are open",
                balance.owed, balance.open
            ),
        });
    }
    drop(site);
    let done = (ended * STEPS) as f64;
    options.say("process: bare commits");
    let bare = bare::accepting(directory, count, Duration::from_secs(2)).await?;
    let name = |what: &str| format!("{what}_c{count}");
    Ok(vec![
        Row::new(name("steps_per_s"), done / took, "steps/s"),
        Row::new(name("steps_per_cpu_s"), done / processor, "steps/s"),
        Row::new(name("instances_per_s"), ended as f64 / took, "instances/s"),
        Row::new(name("step_p50_ms"), p50, "ms"),
        Row::new(name("bare_commit_rows_per_s"), bare.rows_per_s, "rows/s"),
        Row::new(
            name("bare_commit_p50_ms"),
            bare.p50.as_secs_f64() * 1_000.0,
            "ms",
        ),
    ])
}

/// The median of how long instances took, for each step: of those that ended last, when the number
/// under way was what was asked for.
async fn median_step(running: &Running) -> Result<f64, BenchError> {
    let filter = InstanceFilter {
        phases: vec![Phase::Completed],
        limit: 2_000,
        ..InstanceFilter::default()
    };
    let page = running.store.instances(&filter).await?;
    let mut took: Vec<f64> = page
        .rows
        .iter()
        .filter_map(|row| Some(row.ended?.since(row.began).as_secs_f64() * 1_000.0))
        .collect();
    took.sort_by(f64::total_cmp);
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(middle / STEPS as f64)
}

/// What many instances that wait cost, and how long it takes to find one of them.
async fn wait(options: &Options, waiting: u64) -> Result<Vec<Row>, BenchError> {
    let directory = options.directory.as_deref();
    options.say(&format!("process: {waiting} instances that wait"));
    let site = Site::build(directory, &files(), &[])?;
    let running = site.start(site.store()?).await?;
    let hand = Hand {
        intake: running.engine.intake(),
    };
    let before = machine::resident();
    let processor = machine::processor_time();
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let (hand, next) = (hand.clone(), Arc::clone(&next));
        hands.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= waiting {
                    return Ok(());
                }
                hand.tell("parked", &format!("W-{number:08}")).await?;
            }
        });
    }
    while let Some(told) = hands.join_next().await {
        told.unwrap_or(Ok::<(), BenchError>(()))?;
    }
    let mut last = (0, Instant::now());
    loop {
        let counts = running.store.instance_counts().await?;
        let open: u64 = counts
            .iter()
            .filter(|count| count.phase == Phase::Running)
            .map(|count| count.count)
            .sum();
        if open >= waiting {
            break;
        }
        if open > last.0 {
            last = (open, Instant::now());
        } else if last.1.elapsed() > QUIET {
            return Err(BenchError::Stuck {
                done: open,
                of: waiting,
                quiet_s: QUIET.as_secs(),
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun_per_s = waiting as f64 / began.elapsed().as_secs_f64();
    let processor_us = machine::processor_time()
        .saturating_sub(processor)
        .as_secs_f64()
        * 1e6
        / waiting as f64;
    let begun = machine::resident();
    // Caches that beginning them has filled are not theirs: pages of the journal, states that were
    // committed last. A process that is started on the same journal has none of it.
    options.say("process: starting again with all of them");
    drop(hand);
    running.stop().await;
    let again = Instant::now();
    let running = site.start(site.store()?).await?;
    let start_s = again.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    let resident = machine::resident();
    let hand = Hand {
        intake: running.engine.intake(),
    };
    options.say("process: waking some of them");
    // How long it takes to know who waits, apart from what it then does.
    let correlator = running
        .store
        .lookup("waits/order.invoiced/.number")
        .ok_or_else(|| BenchError::Sums {
            what: "nobody waits for anything".to_owned(),
        })?;
    let (mut found, mut woken) = (Vec::new(), Vec::new());
    let step = (waiting / WOKEN).max(1);
    for number in (0..waiting).step_by(step as usize) {
        let text = format!("W-{number:08}");
        let key = site.vault().blind("key", &text);
        let began = Instant::now();
        let rows = running.store.waiting(correlator, key, 8).await?;
        found.push(began.elapsed().as_secs_f64() * 1_000.0);
        if rows.len() != 1 {
            return Err(BenchError::Sums {
                what: format!("{} wait for {text}", rows.len()),
            });
        }
        let before = completed(&running).await?;
        let began = Instant::now();
        hand.tell("invoiced", &text).await?;
        while completed(&running).await? == before {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        woken.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    found.sort_by(f64::total_cmp);
    woken.sort_by(f64::total_cmp);
    let store_mb = running.store.status().file_bytes as f64 / 1e6;
    running.stop().await;
    let of = |sorted: &[f64], part: f64| {
        let at = (sorted.len() as f64 * part) as usize;
        sorted
            .get(at.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(vec![
        Row::new("waiting_instances", waiting as f64, "instances"),
        Row::new("begun_per_s_waiting", begun_per_s, "instances/s"),
        Row::new("begun_processor_us_waiting", processor_us, "µs"),
        Row::new(
            "waiting_million_mb",
            resident.saturating_sub(before) as f64 / 1e6,
            "MB",
        )
        .limit(200.0),
        Row::new(
            "waiting_begun_mb",
            begun.saturating_sub(before) as f64 / 1e6,
            "MB",
        ),
        Row::new("waiting_start_s", start_s, "s"),
        Row::new("waiting_store_mb", store_mb, "MB"),
        Row::new("correlate_ms_million", of(&found, 0.5), "ms").limit(1.0),
        Row::new("correlate_p99_ms_million", of(&found, 0.99), "ms"),
        Row::new("woken_p50_ms_million", of(&woken, 0.5), "ms"),
        Row::new("woken_p99_ms_million", of(&woken, 0.99), "ms"),
    ])
}

#[cfg(test)]
mod tests {
    use super::{Site, files};

    #[test]
    fn the_estate_is_well() {
        if let Err(error) = Site::build(None, &files(), &[]) {
            panic!("{error}");
        }
    }
}
