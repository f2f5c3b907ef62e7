//! How late timers are while very many are set: most of them far ahead, some due one after the
//! other.

use super::{HANDS, Hand, QUIET, files};
use crate::report::Row;
use crate::site::Site;
use crate::{BenchError, Options, machine};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use wardline_core::Timestamp;
use wardline_store::{InstanceFilter, Phase, Store as _};

/// Timers that are set.
const TIMERS: u64 = 100_000;
/// Of those, so many are due while it is measured.
const DUE: u64 = 10_000;
/// Between one that is due and the next.
const APART: Duration = Duration::from_millis(2);
/// Until the first of them is due: by then all have begun, also on a busy machine.
const AHEAD: Duration = Duration::from_secs(45);

pub(super) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    options.say(&format!("process: {TIMERS} timers"));
    let site = Site::build(options.directory.as_deref(), &files(), &[])?;
    let running = site.start(site.store()?).await?;
    let hand = Hand {
        intake: running.engine.intake(),
    };
    let far = Timestamp::now().after(Duration::from_hours(24));
    begin(&hand, 0, TIMERS - DUE, move |_| far).await?;
    let first = Timestamp::now().after(AHEAD);
    let due = move |number: u64| {
        let at = u32::try_from(number - (TIMERS - DUE)).unwrap_or(u32::MAX);
        first.after(APART * at)
    };
    begin(&hand, TIMERS - DUE, TIMERS, due).await?;
    let processor = machine::processor_time();
    let mut last = (0, Instant::now());
    loop {
        let counts = running.store.instance_counts().await?;
        let done: u64 = counts
            .iter()
            .filter(|count| count.phase == Phase::Completed)
            .map(|count| count.count)
            .sum();
        if done >= DUE {
            break;
        }
        if done > last.0 {
            last = (done, Instant::now());
        } else if last.1.elapsed() > QUIET + AHEAD {
            return Err(BenchError::Stuck {
                done,
                of: DUE,
                quiet_s: QUIET.as_secs(),
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let processor = machine::processor_time().saturating_sub(processor);
    let mut late = lateness(&running.store, due).await?;
    running.stop().await;
    late.sort_by(f64::total_cmp);
    let of = |part: f64| {
        let at = (late.len() as f64 * part) as usize;
        let at = at.min(late.len().saturating_sub(1));
        late.get(at).copied().unwrap_or_default()
    };
    Ok(vec![
        Row::new("timers_late_p50_ms_100k", of(0.5), "ms"),
        Row::new("timers_late_p99_ms_100k", of(0.99), "ms").limit(1_000.0),
        Row::new("timers_late_most_ms_100k", of(1.0), "ms"),
        Row::new(
            "timers_processor_us_100k",
            processor.as_secs_f64() * 1e6 / DUE as f64,
            "µs",
        ),
    ])
}

/// Begins instances that sleep, from one number to another.
async fn begin(
    hand: &Hand,
    from: u64,
    to: u64,
    due: impl Fn(u64) -> Timestamp + Copy + Send + 'static,
) -> Result<(), BenchError> {
    let next = Arc::new(AtomicU64::new(from));
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let (hand, next) = (hand.clone(), Arc::clone(&next));
        hands.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= to {
                    return Ok(());
                }
                hand.timed(&name(number), due(number)).await?;
            }
        });
    }
    while let Some(told) = hands.join_next().await {
        told.unwrap_or(Ok::<(), BenchError>(()))?;
    }
    Ok(())
}

fn name(number: u64) -> String {
    format!("T-{number:08}")
}

/// Milliseconds from when each was due to when its end was recorded. An instance that began when
/// it was due already proves nothing: then the machine was too slow for this bench.
async fn lateness(
    store: &wardline_store::sqlite::SqliteStore,
    due: impl Fn(u64) -> Timestamp,
) -> Result<Vec<f64>, BenchError> {
    let times: HashMap<String, Timestamp> = (TIMERS - DUE..TIMERS)
        .map(|number| (name(number), due(number)))
        .collect();
    let mut filter = InstanceFilter {
        phases: vec![Phase::Completed],
        limit: 10_000,
        ..InstanceFilter::default()
    };
    let mut late = Vec::new();
    loop {
        let page = store.instances(&filter).await?;
        let Some(last) = page.rows.last() else { break };
        filter.before = Some(last.id.0);
        for row in page.rows {
            let due = row.key.shown.as_deref().and_then(|key| times.get(key));
            let (Some(due), Some(ended)) = (due, row.ended) else {
                return Err(BenchError::Sums {
                    what: "an instance ended that was not due".to_owned(),
                });
            };
            if row.began.0 >= due.0 {
                return Err(BenchError::Sums {
                    what: "an instance began when its timer was due already".to_owned(),
                });
            }
            if ended.0 < due.0 {
                return Err(BenchError::Sums {
                    what: "a timer fired before it was due".to_owned(),
                });
            }
            late.push((ended.0 - due.0) as f64 / 1_000.0);
        }
    }
    Ok(late)
}
