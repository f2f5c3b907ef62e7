//! `tasks`: what processes ask of people.

use super::processes::due;
use super::{Open, actor, print_json};
use crate::cli::{TaskAnswer, TaskCommand, TaskFilter, TaskReassign, Tasks, Where};
use crate::{paint, table};
use std::process::ExitCode;
use wardline_console::{DeskError, Reassign, person};
use wardline_core::Timestamp;
use wardline_engine::view::{Decision, TaskQuery, TaskView};

pub(crate) async fn run(args: Tasks) -> anyhow::Result<ExitCode> {
    match args.command {
        None => list(args.filter).await,
        Some(TaskCommand::Show(one)) => {
            let open = Open::at(&one.place).await?;
            let found = open.desk.task(one.id).await;
            told(open, found, &one.place, print_task).await
        }
        Some(TaskCommand::Claim(one)) => {
            let open = Open::at(&one.place).await?;
            let now = open.desk.claim_task(one.id, &actor()).await;
            told(open, now, &one.place, |task| {
                let by = task.claimed.as_deref().unwrap_or_default();
                println!("{} is taken on by {by}", task.id);
            })
            .await
        }
        Some(TaskCommand::Release(one)) => {
            let open = Open::at(&one.place).await?;
            let now = open.desk.release_task(one.id, &actor()).await;
            told(open, now, &one.place, |task| {
                println!("{} is free again: {} is asked", task.id, task.role);
            })
            .await
        }
        Some(TaskCommand::Reassign(args)) => reassign(args).await,
        Some(TaskCommand::Answer(args)) => answer(args).await,
    }
}

/// Closes, and prints the question as it is now.
async fn told(
    open: Open,
    now: Result<TaskView, DeskError>,
    place: &Where,
    print: impl FnOnce(&TaskView),
) -> anyhow::Result<ExitCode> {
    open.close().await?;
    let task = now?;
    if place.json {
        print_json(&task)?;
    } else {
        print(&task);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(filter: TaskFilter) -> anyhow::Result<ExitCode> {
    let open = Open::at(&filter.place).await?;
    let query = TaskQuery {
        roles: filter.role,
        process: filter.process,
        claimed: filter.mine.then(|| open.me()),
        open: Some(!filter.ended),
        overdue: filter.overdue,
        limit: filter.limit,
        ..TaskQuery::default()
    };
    let found = open.desk.tasks(query).await;
    open.close().await?;
    let mut page = found?;
    if !filter.ended {
        // Late ones first, then those that will be next.
        page.rows.sort_by_key(|task| {
            let due = task.due.map_or(i64::MAX, |due| due.0);
            (!task.overdue, due, task.id)
        });
    }
    if filter.place.json {
        print_json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    if page.rows.is_empty() {
        println!("nothing is asked");
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|task| {
            let answer = match (&task.choice, &task.by) {
                (Some(choice), Some(by)) => format!("{choice} by {by}"),
                _ => task.claimed.clone().unwrap_or_default(),
            };
            vec![
                task.id.to_string(),
                task.role.clone(),
                table::age(task.asked, now),
                due(task.due, task.overdue, now),
                task.key.clone().unwrap_or_else(|| "••••".to_owned()),
                answer,
                task.ask.clone(),
            ]
        })
        .collect();
    let fifth = if filter.ended {
        "answer"
    } else {
        "taken on by"
    };
    let head = ["id", "role", "age", "due", "key", fifth, "question"];
    anstream::print!("{}", table::render(&head, &rows, &[2]));
    Ok(ExitCode::SUCCESS)
}

fn print_task(task: &TaskView) {
    let now = Timestamp::now();
    anstream::println!("{}", paint::strong(&task.ask));
    let line = |name: &str, text: &str| {
        if !text.is_empty() {
            anstream::println!("  {}  {text}", paint::faint(&format!("{name:<9}")));
        }
    };
    line("role", &task.role);
    line("key", task.key.as_deref().unwrap_or("••••"));
    line("due", &due(task.due, task.overdue, now));
    line("instance", &task.instance.to_string());
    line("step", &task.step);
    line("runbook", task.runbook.as_deref().unwrap_or_default());
    line("taken by", task.claimed.as_deref().unwrap_or_default());
    for (name, value) in task.show.as_object().into_iter().flatten() {
        line(name, &table::value(value));
    }
    for (name, label) in &task.form {
        line("field", &format!("{name}: {label}"));
    }
    match (&task.choice, &task.by) {
        (Some(choice), Some(by)) => line("answer", &format!("{choice} by {by}")),
        _ if task.ended.is_some() => line("answer", "no longer asked"),
        _ => {
            line("choices", &task.choices.join(", "));
            println!("next: wardline tasks answer {} CHOICE --note TEXT", task.id);
        }
    }
}

async fn reassign(args: TaskReassign) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let change = Reassign {
        role: args.role,
        to: person(args.to.as_deref().unwrap_or_default()),
        due: args.due,
    };
    let now = open
        .desk
        .reassign_task(args.id, change, args.reason, &actor())
        .await;
    told(open, now, &args.place, |task| {
        let who = task.claimed.as_deref().unwrap_or(&task.role);
        println!("{} is for {who} now", task.id);
    })
    .await
}

async fn answer(args: TaskAnswer) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let decision = Decision {
        choice: args.choice,
        note: args.note,
        form: args.field.into_iter().collect(),
    };
    let now = open.desk.answer_task(args.id, decision, &actor()).await;
    told(open, now, &args.place, |task| {
        println!(
            "{}: {} by {}",
            task.id,
            task.choice.as_deref().unwrap_or_default(),
            task.by.as_deref().unwrap_or_default()
        );
    })
    .await
}
