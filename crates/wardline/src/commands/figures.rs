//! `figures`: what owners are judged by, beside its goals.

use super::{Open, print_json};
use crate::cli::Figures as Args;
use crate::{paint, table};
use std::process::ExitCode;
use wardline_engine::view::{FigureQuery, FigureView, Measured};

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let found = open
        .desk
        .figures(FigureQuery {
            process: args.process,
            board: args.board,
            facility: args.facility,
            since: Some(args.since),
            by_facility: args.by_facility,
        })
        .await;
    open.close().await?;
    let figures = found?;
    if args.place.json {
        print_json(&figures)?;
        return Ok(ExitCode::SUCCESS);
    }
    if figures.rows.is_empty() {
        println!("no process says `figures:` that matches");
        return Ok(ExitCode::SUCCESS);
    }
    let by_facility = figures.rows.iter().any(|row| row.facility.is_some());
    let mut head = vec!["figure", "process", "value", "goal", "", "values", "owner"];
    if by_facility {
        head.insert(2, "facility");
    }
    let rows: Vec<Vec<String>> = figures
        .rows
        .iter()
        .map(|one| row(one, by_facility))
        .collect();
    let numbers = if by_facility { [3, 6] } else { [2, 5] };
    anstream::print!("{}", table::render(&head, &rows, &numbers));
    if figures.partial {
        anstream::println!(
            "{}",
            paint::faint("there is more than was looked at: the newest count")
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn row(one: &FigureView, by_facility: bool) -> Vec<String> {
    let mut cells = vec![
        one.name.clone(),
        one.process.clone(),
        value(&one.measured),
        one.goal.clone().unwrap_or_default(),
        match one.met {
            Some(true) => paint::good("met"),
            Some(false) => paint::bad("missed"),
            None => String::new(),
        },
        table::number(one.n),
        one.owner.clone().unwrap_or_default(),
    ];
    if by_facility {
        let facility = one.facility.clone().unwrap_or_else(|| "all".to_owned());
        cells.insert(2, facility);
    }
    cells
}

fn value(measured: &Measured) -> String {
    let nothing = || "—".to_owned();
    match measured {
        Measured::Share { percent } => {
            percent.map_or_else(nothing, |percent| format!("{percent:.1} %"))
        }
        Measured::Sum { sums: None } => "••••".to_owned(),
        Measured::Sum { sums: Some(sums) } if sums.is_empty() => "0".to_owned(),
        Measured::Sum { sums: Some(sums) } => {
            let one = |(currency, sum): (&String, &String)| {
                format!("{sum} {currency}").trim_end().to_owned()
            };
            sums.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Measured::Lag { p50, p99, max, .. } => {
            let time = |time: &Option<f64>| {
                time.map_or_else(nothing, |time| table::micros((time * 1e6) as u64))
            };
            format!("p50 {}, p99 {}, max {}", time(p50), time(p99), time(max))
        }
    }
}
