//! A process that compares: begun on demand, with what was counted, what does not tie, and who
//! says why.

use crate::http_receiver::Receiver;
use crate::processes::{files, tasks};
use crate::stage::{Stage, until};
use std::time::Duration;
use wardline_engine::view::{Decision, Reconcile, ReconciliationQuery, ReconciliationView};

const PROCESS: &str = "process: day\nversion: 1\nowner: finance\nentity: visit\non: visit.opened\nkey: .visit.visit\nagain: true\n\
    statuses: [comparing, signed_off]\nreconciliation:\n  name: charges\n  date: .visit.day\n  scope: .visit.ward\n  \
    hops: .found.totals\n  breaks: .found.breaks\n  \
    begin: '{ \"id\": .id, \"visit\": string!(.scope) + \":\" + string!(.date), \"day\": .date, \"ward\": .scope }'\n  \
    sign_off: sign-off\nsteps:\n  \
    - look: { call: billing.open, with: { day: .visit.day }, save: found, status: comparing }\n  \
    - each-break:\n      each: .found.breaks\n      as: one\n      at_once: 10\n      steps:\n        \
    - ask: { task: { role: \"{{ string!(.one.owner) }}\", ask: Why, choices: [explained, corrected], show: { code: .one.code, subject: .one.subject } } }\n  \
    - sign-off: { task: { role: finance, ask: Sign off, choices: [signed-off] } }\n  \
    - signed: { status: signed_off }\n";

const APIS: &str = "api: days\nowner: finance\nlayer: process\nversion: 1.0.0\nstate: published\noperations:\n  \
    compare: { post: \"/\", accepts: visit, scope: visit.write, starts: day }\n";

const FOUND: &str = r#"{
  "totals": [
    { "hop": "charged", "count": 2, "amount": "10.00" },
    { "hop": "charged", "count": 1, "amount": "0.50" },
    { "hop": "posted", "count": 2, "amount": "6.50" }
  ],
  "breaks": [
    { "code": "NOT_POSTED", "subject": "C-1", "owner": "integration", "difference": { "amount": "-4.00", "currency": "USD" }, "patient": "DOE" },
    { "code": "LATE", "subject": "C-2", "owner": "finance", "difference": { "amount": "1.25", "currency": "USD" } }
  ]
}"#;

async fn stage(billing: &Receiver) -> Stage {
    let mut files = files(billing, "");
    files.retain(|(path, _)| !path.starts_with("processes/"));
    files.push(("processes/1.yaml".to_owned(), PROCESS.to_owned()));
    files.push(("apis/1.yaml".to_owned(), APIS.to_owned()));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()))
        .collect();
    Stage::start(&files).await
}

fn asked(name: &str, date: &str, reason: &str) -> Reconcile {
    Reconcile {
        name: name.to_owned(),
        date: date.to_owned(),
        scope: Some("north".to_owned()),
        reason: reason.to_owned(),
    }
}

async fn of(stage: &Stage, date: &str) -> Vec<ReconciliationView> {
    let query = ReconciliationQuery {
        name: Some("charges".to_owned()),
        date: Some(date.to_owned()),
        limit: 10,
        ..ReconciliationQuery::default()
    };
    stage.desk().reconciliations(&query).await.unwrap().rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_compared_on_demand_until_every_break_has_an_answer() {
    let billing = Receiver::start().await;
    billing.answers(|_| (200, None, FOUND));
    let mut stage = stage(&billing).await;
    let desk = stage.desk();
    desk.reconcile(&asked("charges", "2026-11-24", "month end"), "user:pat")
        .await
        .unwrap();
    until("both breaks are asked about", async || {
        tasks(&stage).await.len() == 2
    })
    .await;

    let [day] = &of(&stage, "2026-11-24").await[..] else {
        panic!("one day was compared");
    };
    let hops: Vec<_> = day
        .hops
        .iter()
        .map(|hop| {
            (
                hop.hop.as_str(),
                hop.count.unwrap(),
                hop.amount.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(hops, [("charged", 3, "10.50"), ("posted", 2, "6.50")]);
    let more = &day.hops[1];
    assert_eq!(
        (more.count_difference, more.amount_difference.as_deref()),
        (Some(-1), Some("-4.00"))
    );
    assert!(!day.ties && !day.done && day.status == "comparing");
    assert_eq!((day.breaks_open, day.breaks_total), (2, 2));
    assert_eq!(day.amount_open.as_deref(), Some("5.25 USD"));
    let broken = &day.breaks[0];
    assert_eq!(
        (
            broken.code.as_str(),
            broken.state.as_str(),
            broken.owner.as_deref()
        ),
        ("NOT_POSTED", "assigned", Some("integration"))
    );
    assert!(!broken.detail.to_string().contains("DOE"));
    assert!(of(&stage, "2026-11-23").await.is_empty());

    for task in tasks(&stage).await {
        let decision = Decision {
            choice: if task.role == "finance" {
                "explained"
            } else {
                "corrected"
            }
            .to_owned(),
            ..Decision::default()
        };
        desk.answer_task(task.id, &decision, "user:kim")
            .await
            .unwrap();
    }
    until("it is to be signed off", async || {
        tasks(&stage)
            .await
            .iter()
            .any(|task| task.step == "sign-off")
    })
    .await;
    let day = of(&stage, "2026-11-24").await.remove(0);
    assert_eq!((day.breaks_open, day.amount_open), (0, None));
    assert_eq!(day.breaks[0].state, "corrected");
    assert_eq!(day.breaks[1].by.as_deref(), Some("user:kim"));
    let decision = Decision {
        choice: "signed-off".to_owned(),
        ..Decision::default()
    };
    let task = tasks(&stage).await.remove(0);
    desk.answer_task(task.id, &decision, "user:lee")
        .await
        .unwrap();
    until("it is signed off", async || {
        of(&stage, "2026-11-24")
            .await
            .first()
            .is_some_and(|day| day.done)
    })
    .await;
    let day = of(&stage, "2026-11-24").await.remove(0);
    assert_eq!(day.status, "signed_off");
    assert_eq!(day.signed_by.as_deref(), Some("user:lee"));

    // Compared again it is the newer comparison that counts.
    billing.answers(|_| (200, None, r#"{ "totals": [], "breaks": [] }"#));
    desk.reconcile(&asked("charges", "2026-11-24", "again"), "user:pat")
        .await
        .unwrap();
    until("it is compared again", async || {
        of(&stage, "2026-11-24")
            .await
            .first()
            .is_some_and(|day| day.breaks.is_empty() && !day.done)
    })
    .await;
    assert_eq!(of(&stage, "2026-11-24").await.len(), 1);

    for (wrong, why) in [
        (asked("payroll", "2026-11-24", "x"), "there are charges"),
        (asked("charges", "24.11.2026", "x"), "2026-11-24"),
        (asked("charges", "2026-11-24", " "), "reason"),
    ] {
        let error = desk.reconcile(&wrong, "user:pat").await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    stage.stop(Duration::from_secs(10)).await;
}
