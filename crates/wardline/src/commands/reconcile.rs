//! `reconcile`: compares now, and shows what was counted and what does not tie.

use super::{Open, actor, print_json};
use crate::cli::Reconcile as Args;
use crate::{paint, table};
use anyhow::bail;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wardline_core::Timestamp;
use wardline_engine::view::{
    BreakView, HopView, Reconcile, ReconciliationQuery, ReconciliationView, Reconciliations,
};

/// How often it is looked at what became of a comparison.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let done = reconcile(&open, &args).await;
    open.close().await?;
    done
}

async fn reconcile(open: &Open, args: &Args) -> anyhow::Result<ExitCode> {
    let query = ReconciliationQuery {
        name: args.name.clone(),
        date: args.date.clone(),
        scope: args.scope.clone(),
        instance: None,
        open: args.open,
        limit: args.limit,
    };
    let Some(reason) = &args.reason else {
        return show(args, &open.desk.reconciliations(query).await?);
    };
    let (Some(name), Some(date)) = (&args.name, &args.date) else {
        bail!("say what is to be compared, and of which day: wardline reconcile NAME --date DAY");
    };
    let begun = Timestamp::now();
    let asked = Reconcile {
        name: name.clone(),
        date: date.clone(),
        scope: args.scope.clone(),
        reason: reason.clone(),
    };
    open.desk.reconcile(asked, &actor()).await?;
    let until = Instant::now() + args.wait;
    loop {
        let found = open.desk.reconciliations(query.clone()).await?;
        let compared = found.rows.iter().find(|row| !row.hops.is_empty());
        if compared.is_some_and(|row| row.done || row.began >= begun || !row.breaks.is_empty())
            || Instant::now() >= until
        {
            return show(args, &found);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether all ties, or somebody has said why not.
fn show(args: &Args, found: &Reconciliations) -> anyhow::Result<ExitCode> {
    let settled = found.rows.iter().all(|row| {
        row.breaks_open == 0
            && row.reason.is_none()
            && (row.ties || row.done || row.breaks_total > 0)
    });
    let code = if settled && !found.rows.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    if args.place.json {
        print_json(found)?;
        return Ok(code);
    }
    let now = Timestamp::now();
    match found.rows.as_slice() {
        [] => {
            println!("nothing was compared that matches");
            if found.names.is_empty() {
                anstream::println!(
                    "{}",
                    paint::faint("no process of the estate says `reconciliation:`")
                );
            } else {
                let names = found.names.join(", ");
                anstream::println!(
                    "{}",
                    paint::faint(&format!(
                        "there are {names}; compare now with --date DAY --reason WHY"
                    ))
                );
            }
        }
        [one] => one_of(one, now),
        many => {
            let rows: Vec<Vec<String>> = many.iter().map(|row| line(row, now)).collect();
            let head = [
                "name",
                "date",
                "scope",
                "state",
                "totals",
                "open",
                "worth",
                "oldest",
                "owner",
                "signed off",
                "instance",
            ];
            anstream::print!("{}", table::render(&head, &rows, &[5, 6, 7]));
        }
    }
    Ok(code)
}

fn line(row: &ReconciliationView, now: Timestamp) -> Vec<String> {
    let oldest = row
        .breaks
        .iter()
        .filter(|one| one.closed.is_none())
        .filter_map(|one| one.since)
        .min();
    vec![
        row.name.clone(),
        row.date.clone().unwrap_or_default(),
        row.scope.clone().unwrap_or_default(),
        row.status.clone(),
        totals(row).to_owned(),
        row.breaks_open.to_string(),
        row.amount_open.clone().unwrap_or_default(),
        oldest.map(|at| table::age(at, now)).unwrap_or_default(),
        row.owner.clone().unwrap_or_default(),
        row.signed_by.clone().unwrap_or_default(),
        row.instance.to_string(),
    ]
}

fn totals(row: &ReconciliationView) -> &'static str {
    match (row.hops.is_empty(), row.ties) {
        (true, _) => "not counted yet",
        (false, true) => "tie",
        (false, false) => "do not tie",
    }
}

fn one_of(row: &ReconciliationView, now: Timestamp) {
    let scope = row.scope.as_deref().unwrap_or_default();
    let date = row.date.as_deref().unwrap_or_default();
    anstream::println!(
        "{} {date} {scope}  {}  totals {}  instance {}",
        row.name,
        row.status,
        totals(row),
        row.instance
    );
    if let Some(reason) = &row.reason {
        anstream::println!("{}", paint::bad(reason));
    }
    let hops: Vec<Vec<String>> = row.hops.iter().map(hop).collect();
    let head = ["hop", "count", "difference", "amount", "difference"];
    anstream::print!("{}", table::render(&head, &hops, &[1, 2, 3, 4]));
    if row.breaks.is_empty() {
        println!("no break");
    } else {
        let rows: Vec<Vec<String>> = row.breaks.iter().map(|one| broken(one, now)).collect();
        let head = [
            "break",
            "subject",
            "owner",
            "state",
            "age",
            "expected",
            "found",
            "difference",
            "why",
        ];
        anstream::print!("{}", table::render(&head, &rows, &[4]));
    }
    match (&row.signed_by, row.signed_at) {
        (Some(by), Some(at)) => println!("signed off by {by} {} ago", table::age(at, now)),
        _ if row.done => {}
        _ => println!(
            "{} of {} breaks open{}",
            row.breaks_open,
            row.breaks_total,
            row.amount_open
                .as_ref()
                .map(|worth| format!(", worth {worth}"))
                .unwrap_or_default()
        ),
    }
}

fn hop(hop: &HopView) -> Vec<String> {
    vec![
        hop.hop.clone(),
        hop.count.map(|count| count.to_string()).unwrap_or_default(),
        hop.count_difference
            .filter(|more| *more != 0)
            .map(|more| format!("{more:+}"))
            .unwrap_or_default(),
        hop.amount.clone().unwrap_or_default(),
        hop.amount_difference.clone().unwrap_or_default(),
    ]
}

fn broken(one: &BreakView, now: Timestamp) -> Vec<String> {
    let detail = |name: &str| match &one.detail[name] {
        serde_json::Value::Null => String::new(),
        value => table::value(value),
    };
    vec![
        one.code.clone(),
        one.subject.clone().unwrap_or_else(|| "••••".to_owned()),
        one.owner.clone().unwrap_or_default(),
        one.state.clone(),
        one.since.map(|at| table::age(at, now)).unwrap_or_default(),
        detail("expected"),
        detail("found"),
        detail("difference"),
        detail("reason"),
    ]
}
