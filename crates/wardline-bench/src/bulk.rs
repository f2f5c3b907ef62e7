//! `bulk`: what is urgent beside what is much. Discharges come at a steady pace over MLLP and go out to
//! three services; then the same while a job writes Parquet files, and while a job makes messages. The
//! jobs are measured alone as well.
//!
//! The figures that matter are ratios of times: what a discharge waits beside a job, over what it waits
//! alone.

use crate::load::{self, Brake, Load};
use crate::order::Order;
use crate::receiver::{Faults, Protocol, Receiver};
use crate::report::Row;
use crate::site::{File, JOBS, RECEIVERS, Running, Site};
use crate::{BenchError, Options};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_engine::view::JobAct;

const SECONDS: u64 = 15;
const CONNECTIONS: usize = 8;
const KEYS: u32 = 10_000;
/// Discharges a second: far more than any hospital's, far fewer than the machine can take.
const PACE: u64 = 200;
const WARM_UP: Duration = Duration::from_secs(2);
/// The receivers, by the names that the estate has for them.
const PARTIES: [(&str, Protocol); 3] = [
    ("billing", Protocol::Http),
    ("beds", Protocol::Http),
    ("archive", Protocol::Mllp),
];

/// What was seen in one run.
struct Seen {
    ack_ms: [f64; 2],
    delivered_ms: [f64; 2],
    records_per_s: f64,
}

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let alone = measure(options, true, None).await?;
    let mut rows = vec![
        Row::new("ack_p50_ms", alone.ack_ms[0], "ms"),
        Row::new("ack_p99_ms", alone.ack_ms[1], "ms"),
        Row::new("delivered_p50_ms", alone.delivered_ms[0], "ms"),
        Row::new("delivered_p99_ms", alone.delivered_ms[1], "ms"),
    ];
    for (job, name) in [("extract", "files"), ("load", "messages")] {
        let own = measure(options, false, Some(job)).await?;
        let both = measure(options, true, Some(job)).await?;
        let beside = |what: &str| format!("{what}_beside_{name}");
        rows.push(Row::new(beside("ack_p50_ms"), both.ack_ms[0], "ms").limit(alone.ack_ms[0]));
        rows.push(Row::new(beside("ack_p99_ms"), both.ack_ms[1], "ms").limit(alone.ack_ms[1]));
        // Deliveries of a job's messages would be counted among those that are urgent.
        if job == "extract" {
            let [p50, p99] = both.delivered_ms;
            rows.push(Row::new(beside("delivered_p50_ms"), p50, "ms").limit(alone.delivered_ms[0]));
            rows.push(Row::new(beside("delivered_p99_ms"), p99, "ms").limit(alone.delivered_ms[1]));
        }
        rows.push(
            Row::new(
                format!("{name}_records_per_s"),
                both.records_per_s,
                "records/s",
            )
            .limit(own.records_per_s),
        );
    }
    Ok(rows)
}

async fn measure(options: &Options, urgent: bool, job: Option<&str>) -> Result<Seen, BenchError> {
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let connections = options.connections.first().copied().unwrap_or(CONNECTIONS);
    let keys = KEYS.max(connections as u32);
    options.say(&format!(
        "bulk: {}{}{}",
        if urgent { "discharges" } else { "" },
        if urgent && job.is_some() {
            " beside "
        } else {
            ""
        },
        job.map_or_else(String::new, |job| format!("the job `{job}`"))
    ));
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
    let files: Vec<File> = RECEIVERS.into_iter().chain(JOBS).collect();
    let site = Site::build(options.directory.as_deref(), &files, &ports)?;
    site.prepare()?;
    let running = site.start(site.store()?).await?;
    if let Some(job) = job {
        act(&running, job, JobAct::Run).await?;
    }
    let began = Instant::now();
    let brake: Brake = Arc::new(move |acknowledged| {
        acknowledged >= (began.elapsed().as_secs_f64() * PACE as f64) as u64
    });
    let load = Load {
        target: running.intake()?,
        connections,
        window: 1,
        keys,
        warm_up: WARM_UP,
        time,
        brake: Some(brake),
    };
    let sending = async {
        if urgent {
            load::send(load).await.map(Some)
        } else {
            tokio::time::sleep(WARM_UP + time).await;
            Ok(None)
        }
    };
    let (sent, records_per_s) = tokio::join!(sending, records(&running, job, time));
    let (sent, records_per_s) = (sent?, records_per_s?);
    if let Some(job) = job {
        act(&running, job, JobAct::Cancel).await?;
    }
    let mut seen = Seen {
        ack_ms: [0.0; 2],
        delivered_ms: [0.0; 2],
        records_per_s,
    };
    if let Some(sent) = sent {
        all_came(&orders, sent.all).await?;
        let balance = running.engine.desk().balance().await?;
        let ms = |us: Option<u64>| us.unwrap_or(0) as f64 / 1e3;
        seen.ack_ms = [sent.ack_ms(0.5), sent.ack_ms(0.99)];
        seen.delivered_ms = [ms(balance.p50_us), ms(balance.p99_us)];
    }
    running.stop().await;
    for ((name, _), receiver) in PARTIES.iter().zip(receivers) {
        receiver.order().verdict(name)?;
        receiver.stop()?;
    }
    Ok(seen)
}

/// Waits until every receiver has everything.
async fn all_came(orders: &[Arc<Order>], all: u64) -> Result<(), BenchError> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let began = Instant::now();
    loop {
        let least = orders.iter().map(|order| order.sums().fresh).min();
        let least = least.unwrap_or(0);
        if least >= all {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(BenchError::Stuck {
                done: least,
                of: all,
                quiet_s: PATIENCE.as_secs(),
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Records a second of a job, once it is warm.
async fn records(running: &Running, job: Option<&str>, time: Duration) -> Result<f64, BenchError> {
    tokio::time::sleep(WARM_UP).await;
    let Some(job) = job else {
        return Ok(0.0);
    };
    let (began, before) = (Instant::now(), read(running, job).await?);
    tokio::time::sleep(time).await;
    let read = read(running, job).await? - before;
    if read == 0 {
        return Err(BenchError::Sums {
            what: format!("the job `{job}` read nothing"),
        });
    }
    Ok(read as f64 / began.elapsed().as_secs_f64())
}

async fn read(running: &Running, job: &str) -> Result<u64, BenchError> {
    let jobs = running.engine.desk().jobs().await?;
    let runs = jobs.into_iter().find(|one| one.name == job);
    let run = runs.and_then(|one| one.runs.into_iter().next());
    match run {
        Some(run) if run.problem.is_none() => Ok(run.read),
        Some(run) => Err(BenchError::Sums {
            what: run.problem.unwrap_or_default(),
        }),
        None => Ok(0),
    }
}

async fn act(running: &Running, job: &str, act: JobAct) -> Result<(), BenchError> {
    let desk = running.engine.desk();
    desk.act_on_job(job, act, "a measurement", "bench").await?;
    Ok(())
}
