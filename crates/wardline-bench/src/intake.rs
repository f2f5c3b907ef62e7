//! `intake`: HL7 over MLLP, mapped to an event, three deliveries to nowhere, acknowledged when all
//! of it is durable; for several numbers of senders.
//!
//! The limit is the store alone with the same rows, in transactions as large as that many senders
//! can fill. Deliveries are sent and settled at the same time, through the same writer.

use crate::load::{self, Load};
use crate::receiver::{Faults, Protocol, Receiver};
use crate::report::Row;
use crate::site::{SINKS, Site};
use crate::{BenchError, Options, bare, machine};
use std::time::{Duration, Instant};
use wardline_store::Store as _;
use wardline_store::measure::{DELIVERIES, ROWS};

const CONNECTIONS: [usize; 4] = [1, 8, 32, 256];
const SECONDS: u64 = 10;
const KEYS: u32 = 10_000;
const WARM_UP: Duration = Duration::from_secs(1);
/// The limit is steady sooner than the whole.
const LONGEST_BARE: u64 = 5;
/// Senders with which the generator's own limit is taken.
const GENERATOR_CONNECTIONS: usize = 32;

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let window = options.window.unwrap_or(1);
    let connections = if options.connections.is_empty() {
        CONNECTIONS.to_vec()
    } else {
        options.connections.clone()
    };
    let mut rows = Vec::new();
    let mut idle = None;
    let mut peak = 0;
    let mut most_bare = 0.0_f64;
    for &count in &connections {
        let one = Box::pin(measure(options, count, window, time)).await?;
        rows.extend(one.rows);
        idle.get_or_insert(one.idle);
        peak = peak.max(one.peak);
        most_bare = most_bare.max(one.bare_rows);
    }
    rows.push(Row::new("bare_commit_rows_per_s", most_bare, "rows/s"));
    rows.push(generator_limit(options, window).await?);
    rows.push(Row::new("idle_resident_mb", mb(idle.unwrap_or(0)), "MB"));
    rows.push(Row::new("resident_mb", mb(peak), "MB"));
    Ok(rows)
}

struct One {
    rows: Vec<Row>,
    idle: u64,
    peak: u64,
    bare_rows: f64,
}

async fn measure(
    options: &Options,
    count: usize,
    window: usize,
    time: Duration,
) -> Result<One, BenchError> {
    let directory = options.directory.as_deref();
    let name = |what: &str| format!("{what}_c{count}");

    let site = Site::build(directory, &SINKS, &[])?;
    let running = site.start(site.store()?).await?;
    let idle = machine::resident();
    options.say(&format!(
        "intake: {count} connections, {window} under way on each"
    ));
    machine::forget_peak();
    let before = (
        running.store.status().commits,
        machine::processor_time(),
        Instant::now(),
    );
    let sent = load::send(Load {
        target: running.intake()?,
        connections: count,
        window,
        keys: KEYS.max(count as u32),
        warm_up: WARM_UP,
        time,
        brake: None,
    })
    .await?;
    let (took, processor) = (
        before.2.elapsed(),
        machine::processor_time().saturating_sub(before.1),
    );
    let commits = running.store.status().commits - before.0;
    let backlog = running.engine.desk().balance().await?.open;
    let owed = sent.all * u64::from(DELIVERIES);
    running.delivered(owed).await?;
    let peak = machine::peak_resident();
    let balance = running.engine.desk().balance().await?;
    let sums = (
        balance.accepted,
        balance.events,
        balance.owed,
        balance.delivered,
        balance.open,
    );
    running.stop().await;
    if sums != (sent.all, sent.all, owed, owed, 0) {
        let what = format!(
            "{} acknowledged, but {} accepted, {} events, {} owed, {} delivered, {} open",
            sent.all, sums.0, sums.1, sums.2, sums.3, sums.4
        );
        return Err(BenchError::Sums { what });
    }
    drop(site);

    options.say(&format!(
        "intake: bare commits of up to {} messages",
        count * window
    ));
    let bare = bare::accepting(
        directory,
        count * window,
        time.min(Duration::from_secs(LONGEST_BARE)),
    )
    .await?;
    let bare_rows = bare.messages_per_s * f64::from(ROWS);
    let p50 = Row::new(name("ack_p50_ms"), sent.ack_ms(0.5), "ms");
    let rows = vec![
        Row::new(name("accepted_per_s"), sent.per_s(), "messages/s").limit(bare.messages_per_s),
        // With one sender, the time to the acknowledgement is held against that of one commit.
        if count * window == 1 {
            p50.limit(bare.p50.as_secs_f64() * 1e3)
        } else {
            p50
        },
        Row::new(name("ack_p99_ms"), sent.ack_ms(0.99), "ms"),
        Row::new(
            name("commits_per_s"),
            commits as f64 / took.as_secs_f64(),
            "commits/s",
        ),
        Row::new(name("backlog"), backlog as f64, "deliveries"),
        Row::new(
            name("processor_us"),
            per_message(processor, sent.all),
            "µs/message",
        ),
        Row::new(name("generator_us"), sent.processor_us(), "µs/message"),
        Row::new(name("bare_commit_rows_per_s"), bare_rows, "rows/s"),
    ];
    Ok(One {
        rows,
        idle,
        peak,
        bare_rows,
    })
}

/// What the generator itself reaches where nothing has to be done but to say yes.
async fn generator_limit(options: &Options, window: usize) -> Result<Row, BenchError> {
    options.say("intake: the load generator alone");
    let receiver = Receiver::start(Protocol::Mllp, KEYS, Faults::default())?;
    let sent = load::send(Load {
        target: receiver.address(),
        connections: GENERATOR_CONNECTIONS,
        window,
        keys: KEYS,
        warm_up: Duration::from_millis(200),
        time: Duration::from_secs(options.seconds.unwrap_or(SECONDS).min(3)),
        brake: None,
    })
    .await?;
    receiver.order().verdict("acknowledging receiver")?;
    receiver.stop()?;
    Ok(Row::new(
        "generator_limit_per_s",
        sent.per_s(),
        "messages/s",
    ))
}

/// Processor time per message in microseconds.
pub(crate) fn per_message(time: Duration, messages: u64) -> f64 {
    time.as_secs_f64() * 1e6 / messages.max(1) as f64
}

/// Millions of bytes.
pub(crate) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
