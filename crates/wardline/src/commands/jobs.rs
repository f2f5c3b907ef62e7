//! `jobs`: bulk jobs, how far they came, and what people decide about them.

use super::{Open, actor, print_json};
use crate::cli::{JobAct as Args, JobsCommand, Where};
use crate::{paint, table};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_engine::view::{JobAct, JobRunView, JobView};

/// How often it is looked how far a run came.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) async fn run(command: JobsCommand) -> anyhow::Result<ExitCode> {
    match command {
        JobsCommand::List(place) => list(&place, None).await,
        JobsCommand::Show { name, place } => list(&place, Some(&name)).await,
        JobsCommand::Run(args) => decide(&args, JobAct::Run).await,
        JobsCommand::Pause(args) => decide(&args, JobAct::Pause).await,
        JobsCommand::Resume(args) => decide(&args, JobAct::Resume).await,
        JobsCommand::Cancel(args) => decide(&args, JobAct::Cancel).await,
    }
}

async fn list(place: &Where, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let all = open.desk.jobs().await;
    open.close().await?;
    let mut all = all?;
    if let Some(name) = name {
        all.retain(|job| job.name == name);
        anyhow::ensure!(!all.is_empty(), "there is no job `{name}`");
    }
    if place.json {
        print_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    match (name, all.first()) {
        (_, None) => println!("this estate has no jobs: declare them in `jobs/*.yaml`"),
        (Some(_), Some(job)) => one(job),
        (None, Some(_)) => {
            let rows: Vec<Vec<String>> = all.iter().map(row).collect();
            let head = [
                "job", "state", "read", "of", "refused", "per s", "ends in", "begun", "owner",
            ];
            anstream::print!("{}", table::render(&head, &rows, &[2, 3, 4, 5]));
            for job in &all {
                if let Some(waits) = &job.waits {
                    anstream::println!("{}: waits, {waits}", paint::strong(&job.name));
                }
                if let Some(problem) = job.runs.first().and_then(|run| run.problem.as_ref()) {
                    anstream::println!("{}: {problem}", paint::strong(&job.name));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state(word: &str) -> String {
    match word {
        "failed" => paint::bad(word),
        "paused" => paint::wait(word),
        "done" => paint::good(word),
        _ => word.to_owned(),
    }
}

fn row(job: &JobView) -> Vec<String> {
    let mut row = vec![job.name.clone(), state(&job.state)];
    match job.runs.first() {
        None => row.extend(std::iter::repeat_n(String::new(), 6)),
        Some(run) => row.extend(figures(run)),
    }
    row.push(job.owner.clone().unwrap_or_default());
    row
}

fn figures(run: &JobRunView) -> [String; 6] {
    [
        table::number(run.read),
        run.total.map(table::number).unwrap_or_default(),
        table::number(run.refused),
        format!("{:.0}", run.rate),
        run.eta_s.map(seconds).unwrap_or_default(),
        table::age(run.began, Timestamp::now()),
    ]
}

fn seconds(all: u64) -> String {
    match all {
        0..60 => format!("{all}s"),
        60..3_600 => format!("{}m{:02}s", all / 60, all % 60),
        _ => format!("{}h{:02}m", all / 3_600, all % 3_600 / 60),
    }
}

fn one(job: &JobView) {
    let title = job.title.as_deref().unwrap_or_default();
    anstream::println!("{} {title}", paint::strong(&job.name));
    println!("  {} -> {}", job.reads, job.writes);
    if let Some(every) = &job.every {
        let next = job.next.map(|at| at.to_string()).unwrap_or_default();
        println!("  every {every} ({}), next {next}", job.zone);
    }
    if let Some(waits) = &job.waits {
        println!("  waits: {waits}");
    }
    for run in &job.runs {
        anstream::println!(
            "  {} {} by {}: {} read, {} written, {} left out, {} refused, {} pages, {:.0}/s  {}",
            run.began,
            state(&run.state),
            run.by,
            table::number(run.read),
            table::number(run.written),
            table::number(run.left_out),
            table::number(run.refused),
            table::number(run.pages),
            run.rate,
            paint::faint(&run.id)
        );
        for file in &run.last_files {
            let (rows, size) = (table::number(file.rows), table::bytes(file.bytes));
            println!("    {}: {rows} records, {size}", file.name);
        }
        if let Some(problem) = &run.problem {
            anstream::println!("    {} {problem}", paint::bad("failed:"));
        }
    }
}

async fn decide(args: &Args, act: JobAct) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let decided = decided(&open, args, act).await;
    open.close().await?;
    let job = decided?;
    if args.place.json {
        print_json(&job)?;
    } else {
        println!("{}", sentence(&job));
        for file in job.runs.iter().take(1).flat_map(|run| &run.last_files) {
            println!("  {}: {} records", file.name, table::number(file.rows));
        }
    }
    Ok(if job.state == "failed" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn decided(open: &Open, args: &Args, act: JobAct) -> anyhow::Result<JobView> {
    let mut job = open
        .desk
        .act_on_job(&args.name, act, args.reason.clone(), &actor())
        .await?;
    if args.detach || !matches!(act, JobAct::Run | JobAct::Resume) {
        return Ok(job);
    }
    let shows = std::io::stderr().is_terminal() && !args.place.json;
    let began = job.runs.first().map(|run| run.id.clone());
    while job.state == "running" && job.runs.first().map(|run| &run.id) == began.as_ref() {
        tokio::time::sleep(LOOK).await;
        let all = open.desk.jobs().await?;
        job = all
            .into_iter()
            .find(|one| one.name == args.name)
            .ok_or_else(|| anyhow::anyhow!("the job `{}` left the estate", args.name))?;
        if shows {
            let mut terminal = std::io::stderr();
            write!(terminal, "\r\x1b[2K{}", sentence(&job))?;
            terminal.flush()?;
        }
    }
    if shows {
        eprint!("\r\x1b[2K");
    }
    Ok(job)
}

/// How a job stands, in a line.
fn sentence(job: &JobView) -> String {
    let Some(run) = job.runs.first() else {
        return format!("{}: no run yet", job.name);
    };
    let mut text = format!(
        "{}: {}, {} read",
        job.name,
        run.state,
        table::number(run.read)
    );
    if let Some(total) = run.total.filter(|total| *total > 0) {
        let percent = run.read.min(total) * 100 / total;
        text.push_str(&format!(" of {} ({percent} %)", table::number(total)));
    }
    text.push_str(&format!(", {:.0}/s", run.rate));
    if let Some(eta) = run.eta_s {
        text.push_str(&format!(", ends in {}", seconds(eta)));
    }
    if run.refused > 0 {
        text.push_str(&format!(", {} refused", table::number(run.refused)));
    }
    if let Some(waits) = &job.waits {
        text.push_str(&format!(", waits: {waits}"));
    }
    if let Some(problem) = &run.problem {
        text.push_str(&format!("; {problem}"));
    }
    text
}
