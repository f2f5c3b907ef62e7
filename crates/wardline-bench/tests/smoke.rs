//! Every bench from end to end, small: what it says must be there, and its own proofs (order,
//! sums, refusals) must hold. How fast it is, is no matter for a test.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use wardline_bench::{Bench, BenchError, Options, Report, run};

fn small() -> Options {
    Options {
        seconds: Some(1),
        directory: Some(env!("CARGO_TARGET_TMPDIR").into()),
        ..Options::default()
    }
}

async fn report(bench: Bench, options: Options) -> Report {
    match run(bench, options).await {
        Ok(report) => report,
        Err(error) => panic!("{bench}: {error}"),
    }
}

fn has(report: &Report, names: &[&str]) {
    let text = report.to_text();
    for name in names {
        assert!(report.value(name).is_some(), "{name} is missing:\n{text}");
    }
    let unique: BTreeSet<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        unique.len(),
        report.rows.len(),
        "a name stands twice:\n{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hl7() {
    let report = report(Bench::Hl7, small()).await;
    has(
        &report,
        &[
            "index_12_fields_per_s",
            "walk_mb_per_s",
            "large_read_mb",
            "large_edited_mb",
            "large_peak_mb",
        ],
    );
    let peers: Vec<_> = report.rows.iter().filter_map(|row| row.peer_name).collect();
    assert_eq!(peers, ["hl7-parser", "hl7-parser"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn intake() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let options = Options {
        connections: vec![1, 6],
        window: Some(4),
        progress: Some(Arc::new(move |text: &str| {
            heard.lock().unwrap().push(text.to_owned());
        })),
        ..small()
    };
    let report = report(Bench::Intake, options).await;
    has(
        &report,
        &[
            "accepted_per_s_c1",
            "accepted_per_s_c6",
            "ack_p50_ms_c1",
            "ack_p99_ms_c6",
            "commits_per_s_c6",
        ],
    );
    has(
        &report,
        &[
            "bare_commit_rows_per_s",
            "generator_limit_per_s",
            "resident_mb",
            "idle_resident_mb",
        ],
    );
    assert!(report.value("accepted_per_s_c6").unwrap() > 0.0);
    assert!(
        said.lock()
            .unwrap()
            .iter()
            .any(|text| text.contains("6 connections"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deliver() {
    let report = report(
        Bench::Deliver,
        Options {
            backlog: Some(12_000),
            ..small()
        },
    )
    .await;
    has(
        &report,
        &[
            "drain_per_s_10000",
            "drain_per_s_12000",
            "null_drain_per_s_10000",
            "null_drain_per_s_12000",
        ],
    );
    has(
        &report,
        &[
            "start_ready_s",
            "store_mb",
            "resident_mb",
            "drain_per_s_12000_to_10000",
        ],
    );
    assert_eq!(report.value("out_of_order"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_out() {
    let report = report(
        Bench::InOut,
        Options {
            connections: vec![8],
            ..small()
        },
    )
    .await;
    has(
        &report,
        &[
            "in_out_per_s",
            "in_per_s",
            "out_per_s",
            "backlog_half",
            "backlog_end",
            "resident_mb",
        ],
    );
    assert!(report.value("out_per_s").unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk() {
    let report = report(Bench::Bulk, small()).await;
    has(
        &report,
        &[
            "ack_p99_ms",
            "ack_p99_ms_beside_files",
            "delivered_p99_ms_beside_files",
            "files_records_per_s",
            "ack_p99_ms_beside_messages",
            "messages_records_per_s",
        ],
    );
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused() {
    assert!(matches!(
        run(Bench::Intake, small()).await,
        Err(BenchError::OneThread)
    ));
    let options = Options {
        window: Some(65),
        ..small()
    };
    assert!(matches!(
        run(Bench::Intake, options).await,
        Err(BenchError::Options { .. })
    ));
    assert!(matches!(
        "intak".parse::<Bench>(),
        Err(BenchError::UnknownBench { .. })
    ));
    for bench in Bench::ALL {
        assert_eq!(bench.name().parse::<Bench>().ok(), Some(bench));
    }
}
