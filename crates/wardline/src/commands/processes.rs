//! `process`: what runs over days, how it stands, and mending it.

use super::{Open, actor, print_json};
use crate::cli::{InstanceAct, InstanceList, InstanceShow, ProcessCommand, ProcessFilter, Where};
use crate::{paint, table};
use std::process::ExitCode;
use wardline_core::{InstanceId, Timestamp};
use wardline_engine::view::{
    HistoryView, InstanceDetail, InstanceQuery, InstanceView, PageView, ProcessAct, ProcessView,
};

pub(crate) async fn run(command: ProcessCommand) -> anyhow::Result<ExitCode> {
    use ProcessCommand as P;
    match command {
        P::List(filter) => list(filter).await,
        P::Instances(args) => instances(args).await,
        P::Show(args) => show(args).await,
        P::Retry(args) => {
            let step = args.step.clone();
            act(args, ProcessAct::Retry { step }).await
        }
        P::Skip(args) => {
            let step = args.step.clone();
            act(args, ProcessAct::Skip { step }).await
        }
        P::Set {
            id,
            vars,
            reason,
            place,
        } => {
            let vars = vars.into_iter().collect();
            done(id, ProcessAct::Set { vars }, reason, &place).await
        }
        P::Cancel(args) => act(args, ProcessAct::Cancel).await,
        P::Compensate(args) => act(args, ProcessAct::Compensate).await,
        P::Migrate(args) => act(args, ProcessAct::Migrate).await,
    }
}

async fn list(filter: ProcessFilter) -> anyhow::Result<ExitCode> {
    if filter.process.is_some() {
        return instances(InstanceList {
            process: filter.process,
            key: None,
            phase: vec!["open".to_owned()],
            status: None,
            facility: None,
            owner: None,
            overdue: false,
            before: None,
            limit: 50,
            place: filter.place,
        })
        .await;
    }
    let open = Open::at(&filter.place).await?;
    let all = open.desk.processes().await?;
    open.close().await?;
    if filter.place.json {
        print_json(&all)?;
    } else if all.is_empty() {
        println!("this estate has no process: `processes/*.yaml` declares them");
    } else {
        let rows: Vec<Vec<String>> = all.iter().map(process_row).collect();
        let head = [
            "process",
            "version",
            "owner",
            "running",
            "asking",
            "stuck",
            "failed",
            "completed",
            "status of those open",
        ];
        anstream::print!("{}", table::render(&head, &rows, &[1, 3, 4, 5, 6, 7]));
    }
    Ok(ExitCode::SUCCESS)
}

fn process_row(one: &ProcessView) -> Vec<String> {
    let count = |phase: &str| one.phases.get(phase).copied().unwrap_or_default();
    let loud = |phase: &str, paint: fn(&str) -> String| match count(phase) {
        0 => "0".to_owned(),
        some => paint(&table::number(some)),
    };
    let statuses: Vec<String> = one
        .statuses
        .iter()
        .map(|(status, many)| format!("{status} {}", table::number(*many)))
        .collect();
    vec![
        one.name.clone(),
        if one.declared {
            one.version.to_string()
        } else {
            "gone".to_owned()
        },
        one.owner.clone().unwrap_or_default(),
        table::number(count("running")),
        table::number(count("asking")),
        loud("stuck", paint::wait),
        loud("failed", paint::bad),
        table::number(count("completed")),
        statuses.join(", "),
    ]
}

async fn instances(args: InstanceList) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let found = open
        .desk
        .instances(InstanceQuery {
            process: args.process,
            key: args.key,
            phases: args.phase,
            status: args.status,
            facility: args.facility,
            owner: args.owner,
            overdue: args.overdue,
            before: args.before,
            limit: args.limit,
        })
        .await;
    open.close().await?;
    let page = found?;
    if args.place.json {
        print_json(&page)?;
    } else if page.rows.is_empty() {
        println!("no instance matches");
    } else {
        print_instances(&page);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_instances(page: &PageView<InstanceView>) {
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|row| {
            vec![
                row.id.to_string(),
                row.process.clone(),
                row.key.clone().unwrap_or_else(|| "••••".to_owned()),
                paint::stand(&row.phase),
                row.status.clone().unwrap_or_default(),
                table::age(row.began, now),
                due(row.due, row.overdue, now),
                row.owner.clone().unwrap_or_default(),
                row.at.join(", "),
                row.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "id", "process", "key", "stands", "status", "age", "due", "owner", "next", "why",
    ];
    anstream::print!("{}", table::render(&head, &rows, &[5]));
    if let Some(next) = page.next {
        anstream::println!("{}", paint::faint(&format!("more with --before {next}")));
    }
}

/// When something is due, loud where that has passed.
pub(super) fn due(due: Option<Timestamp>, overdue: bool, now: Timestamp) -> String {
    let text = due.map(|due| table::due(due, now)).unwrap_or_default();
    if overdue { paint::wait(&text) } else { text }
}

async fn show(args: InstanceShow) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let found = open.desk.instance(args.id, args.reveal, &actor()).await;
    open.close().await?;
    let detail = found?;
    if args.place.json {
        print_json(&detail)?;
    } else {
        print_instance(&detail);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_instance(detail: &InstanceDetail) {
    let one = &detail.instance;
    let now = Timestamp::now();
    anstream::println!(
        "{}  {}  {}  {}",
        paint::strong(&format!("{} {}", one.process, one.id)),
        one.key.as_deref().unwrap_or("••••"),
        paint::stand(&one.phase),
        paint::faint(&one.definition),
    );
    let line = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            anstream::println!("  {}  {text}", paint::faint(&format!("{name:<9}")));
        }
    };
    line("status", one.status.clone());
    line("at", Some(one.at.join(", ")));
    line("why", one.reason.as_deref().map(paint::wait));
    line("runbook", detail.runbook.clone());
    line("owner", one.owner.clone());
    line("facility", one.facility.clone());
    line("due", Some(due(one.due, one.overdue, now)));
    line("began", Some(one.began.to_string()));
    line("ended", one.ended.map(|at| at.to_string()));
    for (name, value) in &one.show {
        let hidden = one.hidden.contains(name);
        let text = if hidden {
            "••••".to_owned()
        } else {
            table::value(value)
        };
        line(name, Some(text));
    }
    for HistoryView {
        at,
        step,
        what,
        text,
    } in &detail.history
    {
        let what = match what.as_str() {
            "failed" | "refused" | "timed out" | "not undone" => paint::bad(what),
            _ => paint::strong(what),
        };
        anstream::println!(
            "{}  {what} {step}  {}",
            paint::faint(&at.to_string()),
            paint::faint(text)
        );
    }
    for task in &detail.tasks {
        let how = match (&task.choice, &task.by, &task.claimed) {
            (Some(choice), Some(by), _) => format!("{choice} by {by}"),
            (_, _, Some(by)) => format!("taken on by {by}"),
            _ if task.ended.is_some() => "no longer asked".to_owned(),
            _ => format!("open {}", due(task.due, task.overdue, now)),
        };
        anstream::println!("? {} asks {}: {}  {how}", task.id, task.role, task.ask);
    }
    for call in &detail.calls {
        anstream::println!(
            "→ {}  {}  {}",
            call.destination,
            paint::state(call.state),
            paint::faint(&format!("wardline trace {}", call.id)),
        );
    }
    if let Some(vars) = &detail.vars {
        println!("{vars:#}");
    }
    if one.phase == "stuck" {
        println!("next: wardline process retry {} --reason TEXT", one.id);
    }
}

async fn act(args: InstanceAct, act: ProcessAct) -> anyhow::Result<ExitCode> {
    done(args.id, act, args.reason, &args.place).await
}

async fn done(
    id: InstanceId,
    act: ProcessAct,
    reason: String,
    place: &Where,
) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let acted = open.desk.act_on(id, act, reason, &actor()).await;
    open.close().await?;
    let now = acted?;
    if place.json {
        print_json(&now)?;
    } else {
        let at = if now.at.is_empty() {
            String::new()
        } else {
            format!(" at {}", now.at.join(", "))
        };
        anstream::println!("{id} is {}{at}", paint::stand(&now.phase));
        if let Some(reason) = &now.reason {
            anstream::println!("{}", paint::wait(reason));
        }
    }
    Ok(ExitCode::SUCCESS)
}
