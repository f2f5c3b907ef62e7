//! What the demo rehearses besides patients who come and go: charges, orders from the hospital to payment, a device that is mended,
//! a supplier who comes, people who are hired and who leave, their pay, a payer's money, and what departments do. Each by a scenario of the simulated systems, which know how it
//! must end.

use crate::{paint, table};
use anyhow::Context as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;
use wardline_engine::Desk;
use wardline_engine::view::{Decision, TaskQuery, TransactionQuery};
use wardline_sim::{CaseReport, Ended, Hospital, Prompter, Question, Rehearse, Scenario};

/// What all four back offices do: money of patients, buying, the workshop, people; and what payroll and payers make of it.
const SCENARIOS: [&str; 14] = [
    "charges/ties",
    "supply/accept",
    "supply/partial",
    "suppliers/new",
    "stock/service",
    "people/hire",
    "people/terminate",
    "payroll/ties",
    "claims/pays",
    "departments/result",
    "departments/examination",
    "departments/document",
    "departments/dispute",
    "departments/video-visit",
];
/// How long to wait at the end until each has ended as it must.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often stand-ins look whether they are asked something.
const LOOK: Duration = Duration::from_secs(1);

/// Begins them. Stand-ins answer what people are asked, until what is returned is dropped: somebody has to, and who watches a
/// demo should not.
pub(super) fn begin(hospital: &Hospital, desk: Arc<Desk>) -> anyhow::Result<AbortOnDropHandle<()>> {
    for name in SCENARIOS {
        let scenario = Scenario::named(name).with_context(|| format!("no scenario {name}"))?;
        hospital.rehearse(&Rehearse::one(scenario))?;
    }
    let answering = answer(hospital.prompter(), desk);
    Ok(AbortOnDropHandle::new(tokio::spawn(answering)))
}

/// Answers questions as they come, each role by a person of its own: a second approval is never the first one's.
async fn answer(prompter: Prompter, desk: Arc<Desk>) {
    let query = TaskQuery {
        open: Some(true),
        limit: 200,
        ..TaskQuery::default()
    };
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(asked) = desk.tasks(&query).await else {
            continue;
        };
        for task in asked.rows {
            let question = Question {
                process: task.process,
                key: task.key,
                role: task.role,
                ask: task.ask,
                choices: task.choices,
            };
            let Some(choice) = prompter.answer(&question) else {
                continue;
            };
            let decision = Decision {
                choice: choice.to_owned(),
                note: "answered in the demo".to_owned(),
                ..Decision::default()
            };
            let who = format!("user:demo-{}", question.role);
            if let Err(error) = desk.answer_task(task.id, &decision, &who).await {
                tracing::info!(%error, task = %task.id, "a question was not answered");
            }
        }
    }
}

/// Waits until each has ended, says what became of it, and whether all is as it must be.
pub(super) async fn end(hospital: &Hospital, desk: &Desk) -> anyhow::Result<bool> {
    let began = Instant::now();
    while hospital.rehearsal().count(Ended::Open) > 0 && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let rehearsal = hospital.rehearsal();
    let mut rows = Vec::new();
    for case in &rehearsal.cases {
        // A requisition's scenario is told by its order.
        if case.about.starts_with("REQ-") {
            continue;
        }
        rows.push(vec![
            case.scenario.to_string(),
            case.about.clone(),
            transaction(desk, case).await?,
            if case.ended == Ended::AsSaid {
                case.scenario.ends.to_owned()
            } else {
                case.why.join("; ")
            },
        ]);
    }
    anstream::println!();
    anstream::print!(
        "{}",
        table::render(&["scenario", "about", "transaction", "end"], &rows, &[])
    );
    let mut well = true;
    for case in rehearsal
        .cases
        .iter()
        .filter(|case| case.ended != Ended::AsSaid)
    {
        well = false;
        anstream::println!(
            "{} {} did not end as it must: {}",
            paint::bad("✕"),
            case.scenario,
            case.why.join("; ")
        );
    }
    Ok(well)
}

/// How the transaction of a case stands, where its key is no secret.
async fn transaction(desk: &Desk, case: &CaseReport) -> anyhow::Result<String> {
    let query = TransactionQuery {
        key: Some(case.about.clone()),
        limit: 1,
        ..TransactionQuery::default()
    };
    let found = desk.transactions(&query).await?;
    let Some(one) = found.rows.first() else {
        return Ok(String::new());
    };
    let status = one.status.as_deref().unwrap_or_default();
    Ok(format!("{} {status}", one.state).trim_end().to_owned())
}
