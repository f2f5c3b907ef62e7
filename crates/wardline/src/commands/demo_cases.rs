//! What the demo rehearses besides patients who come and go: orders from the hospital to payment,
//! people who are hired and who leave. Each by a scenario of the simulated systems, which know how
//! it must end.

use crate::{paint, table};
use anyhow::Context as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;
use wardline_engine::Desk;
use wardline_engine::view::{Decision, TaskQuery, TransactionQuery};
use wardline_sim::{Ended, Hospital, Rehearse, Scenario};

/// One of each group of owners: supply chain and workforce.
const SCENARIOS: [&str; 3] = ["supply/accept", "people/hire", "people/terminate"];
/// How long to wait at the end until each has ended as it must.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who approves, and how often they look.
const APPROVER: &str = "user:demo-director";
const LOOK: Duration = Duration::from_secs(1);

/// Begins them. Whoever must approve does, until what is returned is dropped: somebody has to, and
/// who watches a demo should not.
pub(super) fn begin(hospital: &Hospital, desk: Arc<Desk>) -> anyhow::Result<AbortOnDropHandle<()>> {
    for name in SCENARIOS {
        let scenario = Scenario::named(name).with_context(|| format!("no scenario {name}"))?;
        hospital.rehearse(&Rehearse::one(scenario))?;
    }
    Ok(AbortOnDropHandle::new(tokio::spawn(approve(desk))))
}

/// Approves requisitions as they come.
async fn approve(desk: Arc<Desk>) {
    let query = TaskQuery {
        process: Some("requisition".to_owned()),
        open: Some(true),
        limit: 50,
        ..TaskQuery::default()
    };
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(asked) = desk.tasks(&query).await else {
            continue;
        };
        for task in asked.rows {
            let yes = task
                .choices
                .iter()
                .find(|choice| choice.starts_with("approve"));
            let Some(choice) = yes.cloned() else { continue };
            let decision = Decision {
                choice,
                note: "approved in the demo".to_owned(),
                ..Decision::default()
            };
            if let Err(error) = desk.answer_task(task.id, &decision, APPROVER).await {
                tracing::info!(%error, task = %task.id, "a requisition was not approved");
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
    let transactions = desk
        .transactions(&TransactionQuery {
            limit: 50,
            ..TransactionQuery::default()
        })
        .await?;
    let rehearsal = hospital.rehearsal();
    let rows: Vec<Vec<String>> = rehearsal
        .cases
        .iter()
        .map(|case| {
            let known = transactions
                .rows
                .iter()
                .find(|one| one.key.as_deref() == Some(case.about.as_str()));
            let state = known.map_or_else(String::new, |one| {
                let status = one.status.as_deref().unwrap_or_default();
                format!("{} {status}", one.state).trim_end().to_owned()
            });
            vec![
                case.scenario.to_string(),
                case.about.clone(),
                state,
                if case.ended == Ended::AsSaid {
                    case.scenario.ends.to_owned()
                } else {
                    case.why.join("; ")
                },
            ]
        })
        .collect();
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
