//! Measures the store alone: `cargo run --release -p wardline-store --example bare [SECONDS] [FOLDER]`.
//!
//! Prints bare group commits at several sizes of transactions, with and without search terms
//! and the inbox, then what many callers reach together, then the cost of claiming behind a
//! blocked key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_core::{BlindIndex, Id, Lane, OrderingKey};
use wardline_store::measure::{Generator, Load, bare_commits, delivered};
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{Change, Outcome, Store, StoreError};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(4.0), |text| text.parse())?;
    let folder = arguments
        .next()
        .map_or_else(|| std::env::temp_dir().join("wardline-bare"), PathBuf::from);
    let time = Duration::from_secs_f64(seconds);
    std::fs::create_dir_all(&folder)?;
    println!(
        "{:<34} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "bare commits", "messages/s", "rows/s", "p50 ms", "p99 ms", "max ms", "CPU µs"
    );
    let plain = Load {
        per_transaction: 1,
        terms: 0,
        dedup: false,
        keys: 10_000,
    };
    let full = Load {
        terms: 3,
        dedup: true,
        ..plain
    };
    for (what, load) in [("rows only", plain), ("with inbox and 3 terms", full)] {
        for per_transaction in [1, 10, 100, 500] {
            let path = folder.join("bare.db");
            let store = fresh(&path)?;
            let before = cpu_time();
            let rate = bare_commits(
                &*store,
                Load {
                    per_transaction,
                    ..load
                },
                time,
            )
            .await?;
            let messages = rate.transactions * per_transaction as u64;
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{:<34} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>9.1}",
                format!("{per_transaction} a transaction, {what}"),
                rate.messages_per_s,
                rate.rows_per_s,
                ms(rate.p50),
                ms(rate.p99),
                ms(rate.max),
                cpu_time().saturating_sub(before).as_secs_f64() * 1e6 / messages as f64,
            );
            store.close().await?;
            if per_transaction >= 100 {
                let bytes = std::fs::metadata(&path)?.len();
                println!(
                    "{:<34} {:>10.2} KB a message on disk",
                    "",
                    bytes as f64 / messages as f64 / 1e3
                );
            }
        }
    }
    for callers in [1, 8, 32, 256] {
        together(&folder, callers, time, full).await?;
    }
    blocked_key(&folder).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Processor time of this process so far, to a hundredth of a second: on a shared machine
/// the only figure that can be compared between runs. Zero where the system does not tell.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc(5): utime and stime are fields 14 and 15, counted after the name in parentheses.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2);
    Duration::from_millis(
        10 * fields
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>(),
    )
}

fn fresh(path: &std::path::Path) -> Result<Arc<SqliteStore>, StoreError> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        if let Err(error) = std::fs::remove_file(&name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("{}: {error}", PathBuf::from(name).display());
        }
    }
    SqliteStore::open(path, Options::default())
}

/// Many callers with one message each in flight, as connections are; each settles what it
/// sent before.
async fn together(
    folder: &std::path::Path,
    callers: usize,
    time: Duration,
    load: Load,
) -> Result<(), Box<dyn std::error::Error>> {
    let store = fresh(&folder.join("together.db"))?;
    let (began, before) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut generator = Generator::new(&*store).await?;
                generator.skip(caller as u64 * 10_000_000);
                let mut times = Vec::new();
                while began.elapsed() < time {
                    let accept = Change::Accept(Box::new(generator.acceptance(&load)));
                    let start = Instant::now();
                    let outcomes = store.commit(vec![accept]).await?;
                    times.push(start.elapsed());
                    if let [Outcome::Accepted(accepted)] = &outcomes[..] {
                        let settle = (2..5).map(|n| {
                            Change::Settle(Box::new(delivered(&*store, accepted.first.offset(n))))
                        });
                        let (store, settle) = (Arc::clone(&store), settle.collect());
                        tokio::spawn(async move { store.commit(settle).await });
                    }
                }
                Ok::<_, StoreError>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let elapsed = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        times[((times.len() as f64 * share) as usize).min(times.len() - 1)].as_secs_f64() * 1e3
    };
    let commits = store.status().commits;
    println!(
        "{:<34} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>9.1}  {:.1} messages a commit",
        format!("{callers} callers, inbox and 3 terms"),
        times.len() as f64 / elapsed,
        times.len() as f64 * 8.0 / elapsed,
        at(0.5),
        at(0.99),
        at(1.0),
        cpu_time().saturating_sub(before).as_secs_f64() * 1e6 / times.len() as f64,
        times.len() as f64 / commits as f64,
    );
    store.close().await?;
    Ok(())
}

/// One key with 50,000 deliveries in front of 50,000 others: what a claim costs.
async fn blocked_key(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    const ROWS: usize = 50_000;
    let store = fresh(&folder.join("blocked.db"))?;
    let mut generator = Generator::new(&*store).await?;
    let load = Load {
        per_transaction: 1,
        terms: 0,
        dedup: false,
        keys: 10_000,
    };
    let mut firsts = Vec::new();
    for batch in 0..2 * ROWS / 500 {
        let changes = (0..500).map(|_| {
            let mut acceptance = generator.acceptance(&load);
            if batch < ROWS / 500 {
                let blocked = OrderingKey {
                    index: BlindIndex(-1),
                    shown: None,
                };
                acceptance
                    .deliveries
                    .iter_mut()
                    .for_each(|delivery| delivery.key = Some(blocked.clone()));
            }
            Change::Accept(Box::new(acceptance))
        });
        for outcome in store.commit(changes.collect()).await? {
            if let Outcome::Accepted(accepted) = outcome {
                firsts.push(accepted.first);
            }
        }
    }
    let destination = generator.destinations()[0];
    let behind = firsts[ROWS];
    let other = store.window(destination, Lane::Normal, behind, 1).await?;
    let other = other
        .first()
        .and_then(|ready| ready.key.clone())
        .ok_or("nothing is owed behind the key")?
        .index;
    println!(
        "{:<34} {:>10} {:>9}",
        "claims behind one blocked key", "p50 µs", "p99 µs"
    );
    for (what, key, from, limit) in [
        ("window of 100, from the start", None, Id::ZERO, 100),
        ("window of 100, behind the key", None, behind, 100),
        ("window of 1,000, behind the key", None, behind, 1_000),
        (
            "key window of 10, the blocked key",
            Some(BlindIndex(-1)),
            Id::ZERO,
            10,
        ),
        ("key window of 10, another key", Some(other), Id::ZERO, 10),
    ] {
        let mut times = Vec::new();
        for _ in 0..300 {
            let start = Instant::now();
            let rows = match key {
                None => store.window(destination, Lane::Normal, from, limit).await?,
                Some(key) => {
                    store
                        .key_window(destination, Lane::Normal, Some(key), from, limit)
                        .await?
                }
            };
            times.push(start.elapsed());
            if rows.is_empty() {
                return Err(format!("{what}: found nothing").into());
            }
        }
        times.sort_unstable();
        println!(
            "{what:<34} {:>10} {:>9}",
            times[150].as_micros(),
            times[296].as_micros()
        );
    }
    let start = Instant::now();
    store.close().await?;
    drop(store);
    let closed = start.elapsed();
    let start = Instant::now();
    let store = SqliteStore::open(&folder.join("blocked.db"), Options::default())?;
    let mb = store.status().file_bytes as f64 / 1e6;
    println!(
        "closing {:.0} ms, opening {:.0} ms at {mb:.0} MB",
        closed.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64() * 1e3
    );
    store.close().await?;
    Ok(())
}
