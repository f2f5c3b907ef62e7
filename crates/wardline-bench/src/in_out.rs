//! `in-out`: HL7 in over MLLP, each message out to two HTTP services and an MLLP archive, at the
//! same time and in balance.
//!
//! Receivers check that everything comes complete and in order per key. Senders are held back
//! while more than [`LAG`] deliveries are on their way, so that what is measured can be kept up:
//! the backlog is as flat after ten minutes as after ten seconds.

use crate::intake::{mb, per_message};
use crate::load::{self, Brake, Load};
use crate::order::Order;
use crate::receiver::{Faults, Protocol, Receiver};
use crate::report::Row;
use crate::site::{RECEIVERS, Running, Site};
use crate::{BenchError, Options, bare, machine};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_store::Store as _;
use wardline_store::measure::DELIVERIES;

const SECONDS: u64 = 30;
const CONNECTIONS: usize = 64;
const KEYS: u32 = 10_000;
const WARM_UP: Duration = Duration::from_secs(2);
/// Deliveries on their way, over all destinations, past which senders wait.
const LAG: u64 = 6_000;

/// The receivers, by the names that the estate has for them.
const PARTIES: [(&str, Protocol); DELIVERIES as usize] = [
    ("billing", Protocol::Http),
    ("beds", Protocol::Http),
    ("archive", Protocol::Mllp),
];

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let directory = options.directory.as_deref();
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let window = options.window.unwrap_or(1);
    let connections = options.connections.first().copied().unwrap_or(CONNECTIONS);
    let keys = KEYS.max(connections as u32);

    let mut receivers = Vec::new();
    for (_, protocol) in PARTIES {
        receivers.push(Receiver::start(protocol, keys, Faults::default())?);
    }
    let orders: Vec<Arc<Order>> = receivers.iter().map(Receiver::order).collect();
    let ports: Vec<_> = PARTIES
        .iter()
        .zip(&receivers)
        .map(|((name, _), one)| (*name, one.address()))
        .collect();
    let site = Site::build(directory, &RECEIVERS, &ports)?;
    let running = site.start(site.store()?).await?;

    options.say(&format!(
        "in-out: {connections} connections for {} s",
        time.as_secs()
    ));
    machine::forget_peak();
    let before = (
        machine::processor_time(),
        running.store.status().commits,
        Instant::now(),
    );
    let brake: Brake = {
        let orders = orders.clone();
        Arc::new(move |acknowledged| acknowledged * u64::from(DELIVERIES) > received(&orders) + LAG)
    };
    let load = Load {
        target: running.intake()?,
        connections,
        window,
        keys,
        warm_up: WARM_UP,
        time,
        brake: Some(brake),
    };
    let (sent, watched) = tokio::join!(load::send(load), watch(&running, &orders, time));
    let (sent, watched) = (sent?, watched?);
    let (took, processor) = (
        before.2.elapsed(),
        machine::processor_time().saturating_sub(before.0),
    );
    let commits = running.store.status().commits - before.1;

    options.say("in-out: the rest is delivered and compared");
    let owed = sent.all * u64::from(DELIVERIES);
    running.delivered(owed).await?;
    let peak = machine::peak_resident();
    let balance = running.engine.desk().balance().await?;
    running.stop().await;
    let mut receiving = Duration::ZERO;
    for ((name, _), receiver) in PARTIES.iter().zip(receivers) {
        let sums = receiver.order().verdict(name)?;
        if sums.fresh != sent.all {
            return Err(BenchError::Sums {
                what: format!("{} acknowledged, {name} has {}", sent.all, sums.fresh),
            });
        }
        receiving += receiver.stop()?;
    }
    if (balance.accepted, balance.delivered, balance.open) != (sent.all, owed, 0) {
        let what = format!(
            "{} acknowledged, but {} accepted, {} delivered, {} open",
            sent.all, balance.accepted, balance.delivered, balance.open
        );
        return Err(BenchError::Sums { what });
    }
    drop(site);

    options.say("in-out: bare commits of the same rows");
    let bare = bare::accepting(
        directory,
        connections * window,
        Duration::from_secs(time.as_secs().min(5)),
    )
    .await?;
    let ms = |us: Option<u64>| us.unwrap_or(0) as f64 / 1e3;
    Ok(vec![
        Row::new(
            "in_out_per_s",
            sent.per_s() + watched.out_per_s,
            "messages/s",
        )
        .limit(bare.messages_per_s * f64::from(1 + DELIVERIES)),
        Row::new("in_per_s", sent.per_s(), "messages/s"),
        Row::new("out_per_s", watched.out_per_s, "messages/s"),
        Row::new("ack_p50_ms", sent.ack_ms(0.5), "ms"),
        Row::new("ack_p99_ms", sent.ack_ms(0.99), "ms"),
        Row::new("delivered_p50_ms", ms(balance.p50_us), "ms"),
        Row::new("delivered_p99_ms", ms(balance.p99_us), "ms"),
        Row::new("backlog_half", watched.half as f64, "deliveries"),
        Row::new("backlog_end", watched.end as f64, "deliveries"),
        Row::new(
            "commits_per_s",
            commits as f64 / took.as_secs_f64(),
            "commits/s",
        ),
        Row::new(
            "processor_us",
            per_message(processor, sent.all),
            "µs/message",
        ),
        Row::new("generator_us", sent.processor_us(), "µs/message"),
        Row::new(
            "receivers_us",
            per_message(receiving, sent.all),
            "µs/message",
        ),
        Row::new("resident_mb", mb(peak), "MB"),
    ])
}

fn received(orders: &[Arc<Order>]) -> u64 {
    orders.iter().map(|order| order.sums().fresh).sum()
}

/// What was seen from beside while it ran.
struct Watched {
    out_per_s: f64,
    half: u64,
    end: u64,
}

async fn watch(
    running: &Running,
    orders: &[Arc<Order>],
    time: Duration,
) -> Result<Watched, BenchError> {
    let desk = running.engine.desk();
    tokio::time::sleep(WARM_UP).await;
    let (began, first) = (Instant::now(), received(orders));
    tokio::time::sleep(time / 2).await;
    let half = desk.balance().await?.open;
    tokio::time::sleep(time.saturating_sub(began.elapsed())).await;
    let out_per_s = (received(orders) - first) as f64 / began.elapsed().as_secs_f64();
    let end = desk.balance().await?.open;
    Ok(Watched {
        out_per_s,
        half,
        end,
    })
}
