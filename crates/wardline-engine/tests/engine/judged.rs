//! Figures and boards over a real journal: what instances gave, folded; what is under way, the most
//! urgent first.

use crate::http_receiver::Receiver;
use crate::processes::{all, files};
use crate::sender::adt;
use crate::stage::{Stage, until};
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_engine::view::{FigureQuery, FigureView, Measured, TransactionQuery};

const PROCESS: &str = "process: stay\nversion: 1\nowner: patient-access\nentity: visit\non: visit.opened\nkey: .visit.visit\n\
    statuses: [opened, billed]\nboard: [beds, money]\nretry: { first: 1h, factor: 1, max: 1h, attempts: 9, jitter: none }\n\
    show: { value: '{ \"amount\": \"10.25\", \"currency\": \"USD\" }' }\n\
    figures:\n  \
    right: { title: Right stays, share: '.visit.visit != \"V2\"', goal: \">= 60 %\" }\n  \
    short: { lag: '[30, 90, null, \"soon\"]', goal: \"p50 <= 30s\" }\n  \
    owed: { of: open, sum: '{ \"amount\": \"12.50\", \"currency\": \"USD\" }', goal: \"<= 30 USD\" }\n  \
    whole: { lag: '{}' }\nsteps:\n  \
    - open: { call: billing.open, with: { visit: .visit.visit }, status: opened }\n  \
    - leave: { wait: { event: visit.closed, where: .visit == instance.key } }\n  \
    - close: { status: billed }\n";

async fn stage(billing: &Receiver) -> Stage {
    let mut files = files(billing, "");
    files.retain(|(path, _)| !path.starts_with("processes/"));
    files.push(("processes/1.yaml".to_owned(), PROCESS.to_owned()));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()))
        .collect();
    Stage::start(&files).await
}

fn of<'a>(rows: &'a [FigureView], name: &str) -> &'a FigureView {
    rows.iter().find(|row| row.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_folded_from_instances_and_a_board_shows_what_is_urgent() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.body["visit"] == "V4" {
            (503, None, "{}")
        } else {
            (200, None, "{}")
        }
    });
    let mut stage = stage(&billing).await;
    let mut sender = stage.sender().await;
    for (at, visit) in ["V1", "V2", "V3", "V4"].into_iter().enumerate() {
        sender.tell(&adt("A01", &format!("M{at}"), visit)).await;
    }
    for (at, visit) in ["V1", "V2"].into_iter().enumerate() {
        sender.tell(&adt("A03", &format!("N{at}"), visit)).await;
    }
    let desk = stage.desk();
    let retrying = TransactionQuery {
        state: Some("retrying".to_owned()),
        limit: 10,
        ..TransactionQuery::default()
    };
    until("two are done, one is under way, one retries", async || {
        let done = all(&stage).await;
        let done = done.iter().filter(|one| one.phase == "completed");
        done.count() == 2 && desk.transactions(&retrying).await.unwrap().rows.len() == 1
    })
    .await;

    let figures = desk.figures(&FigureQuery::default()).await.unwrap();
    assert!(!figures.partial);
    let right = of(&figures.rows, "right");
    assert_eq!(
        (right.title.as_str(), right.n, right.goal.as_deref()),
        ("Right stays", 2, Some("≥ 60 %"))
    );
    let half = Measured::Share {
        percent: Some(50.0),
    };
    assert_eq!((&right.measured, right.met), (&half, Some(false)));
    let short = of(&figures.rows, "short");
    assert_eq!((short.n, short.met), (4, Some(true)));
    let Measured::Lag { p50, max, .. } = short.measured else {
        panic!("times");
    };
    assert_eq!((p50, max), (Some(30.0), Some(90.0)));
    let owed = of(&figures.rows, "owed");
    let sums = [("USD".to_owned(), "25.00".to_owned())].into();
    assert_eq!(owed.measured, Measured::Sum { sums: Some(sums) });
    assert_eq!((owed.n, owed.met), (2, Some(true)));
    assert_eq!(of(&figures.rows, "whole").n, 2);
    assert_eq!(of(&figures.rows, "whole").met, None);

    // What ended before does not count; what is under way does.
    let later = FigureQuery {
        since: Some(Timestamp::now().after(Duration::from_secs(60))),
        process: Some("stay".to_owned()),
        ..FigureQuery::default()
    };
    let none = desk.figures(&later).await.unwrap().rows;
    assert_eq!((of(&none, "right").n, of(&none, "right").met), (0, None));
    assert_eq!(of(&none, "owed").n, 2);

    assert_eq!(desk.boards(), ["beds", "money"]);
    let board = desk.board("beds", None).await.unwrap();
    assert_eq!(board.processes, ["stay"]);
    assert_eq!(board.figures.rows.len(), 4);
    let keys: Vec<_> = board.rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(keys, ["retrying", "pending"]);
    assert_eq!((board.states["retrying"], board.states["pending"]), (1, 1));
    assert_eq!(board.ageing[0].count, 2);
    assert_eq!(desk.processes().await.unwrap()[0].retrying, 1);
    let wrong = FigureQuery {
        board: Some("bed".to_owned()),
        ..FigureQuery::default()
    };
    for error in [
        desk.board("bed", None).await.unwrap_err(),
        desk.figures(&wrong).await.unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("there are beds, money"),
            "{error}"
        );
    }
    stage.stop(Duration::from_secs(10)).await;
}
