//! `webhooks`: clients' endpoints, how they stand, and what people decide about them.

use super::{Open, actor, print_json};
use crate::cli::{WebhookAct, WebhooksCommand, Where};
use crate::{exit, paint, table};
use std::process::ExitCode;
use wardline_engine::view::WebhookView;

pub(crate) async fn run(command: WebhooksCommand) -> anyhow::Result<ExitCode> {
    match command {
        WebhooksCommand::List { place } => list(place).await,
        WebhooksCommand::Test { name, place } => test(&name, place).await,
        WebhooksCommand::Enable(act) => decide(act, true).await,
        WebhooksCommand::Disable(act) => decide(act, false).await,
    }
}

async fn list(place: Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(&place).await?;
    let all = open.desk.webhooks().await?;
    open.close().await?;
    if place.json {
        print_json(&all)?;
    } else if all.is_empty() {
        println!(
            "no client of this estate has a webhook: a client's file declares them as `webhook:`"
        );
    } else {
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        anstream::print!(
            "{}",
            table::render(
                &["webhook", "state", "since", "waiting", "events", "url"],
                &rows,
                &[3]
            )
        );
        for one in &all {
            for key in &one.public_keys {
                anstream::println!(
                    "{}: its client verifies with {key}",
                    paint::strong(&one.name)
                );
            }
        }
        for one in all.iter().filter(|one| !one.reason.is_empty()) {
            let by = one.by.as_deref().unwrap_or_default();
            anstream::println!("{}: {} {by}", paint::strong(&one.name), one.reason);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(one: &WebhookView) -> Vec<String> {
    let state = match one.state.as_str() {
        "enabled" => one.state.clone(),
        "failing" => paint::wait(&one.state),
        _ => paint::bad(&one.state),
    };
    vec![
        one.name.clone(),
        state,
        one.since.map(|since| since.to_string()).unwrap_or_default(),
        table::number(one.waiting),
        one.events.join(", "),
        one.url.clone(),
    ]
}

async fn test(name: &str, place: Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(&place).await?;
    let trial = open.desk.try_webhook(name, &actor()).await?;
    open.close().await?;
    if place.json {
        print_json(&trial)?;
    } else {
        let took = trial.took_us / 1_000;
        match &trial.error {
            None => println!("{name} took {} ({}, {took} ms)", trial.id, trial.status),
            Some(error) => anstream::println!("{} {error}", paint::bad("not taken:")),
        }
    }
    Ok(match trial.error {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(exit::FINDINGS),
    })
}

async fn decide(act: WebhookAct, enable: bool) -> anyhow::Result<ExitCode> {
    let WebhookAct {
        name,
        reason,
        place,
    } = act;
    let open = Open::at(&place).await?;
    let now = open
        .desk
        .set_webhook(&name, enable, reason, &actor())
        .await?;
    open.close().await?;
    if place.json {
        print_json(&now)?;
    } else if enable {
        println!("{name} is enabled: what waits is sent");
    } else {
        println!("{name} is disabled: its events wait");
    }
    Ok(ExitCode::SUCCESS)
}
