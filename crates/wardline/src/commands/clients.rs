//! `clients`, `alerts`: who calls a running estate, and what stands out about it.

use super::print_json;
use crate::cli::{Alerts, Clients};
use crate::exit;
use crate::place::Place;
use crate::remote::RemoteDesk;
use crate::{paint, table};
use anyhow::{Context as _, bail};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::process::ExitCode;
use wardline_console::{AlertView, ClientView};

/// The server of a place. What callers do is known while one runs.
async fn server(place: &Place) -> anyhow::Result<RemoteDesk> {
    let desk = RemoteDesk::of(place)?.context(
        "no server runs here: `wardline serve` knows who calls, and keeps it for the next start",
    )?;
    if !desk.answers().await {
        bail!("the server does not answer: is `wardline serve` still running?");
    }
    Ok(desk)
}

pub(crate) async fn clients(args: Clients) -> anyhow::Result<ExitCode> {
    let desk = server(&Place::of(&args.place)).await?;
    if let (Some(client), Some(reason)) = (&args.client, &args.reason)
        && (args.quarantine || args.release)
    {
        return decide(&desk, client, args.quarantine, reason, args.place.json).await;
    }
    let all: Option<Vec<ClientView>> = desk.call(Method::GET, "/api/clients", None).await?;
    let mut all = all.unwrap_or_default();
    if let Some(wanted) = &args.client {
        all.retain(|one| one.client == *wanted);
        if all.is_empty() {
            anstream::eprintln!(
                "{} there is no client `{wanted}` in the estate",
                paint::bad("error:")
            );
            return Ok(ExitCode::from(exit::USAGE));
        }
    }
    if args.place.json {
        print_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    anstream::print!("{}", clients_table(&all));
    if args.client.is_some() {
        anstream::print!("\n{}", operations_table(&all));
    }
    Ok(ExitCode::SUCCESS)
}

async fn decide(
    desk: &RemoteDesk,
    client: &str,
    refuse: bool,
    reason: &str,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    #[derive(Deserialize)]
    struct Changed {
        changed: bool,
    }
    let verb = if refuse { "quarantine" } else { "release" };
    // Names of clients have no character that a path cannot have.
    let path = format!("/api/clients/{client}/{verb}");
    let body = json!({ "reason": reason });
    let Some(Changed { changed }) = desk.call(Method::POST, &path, Some(body)).await? else {
        anstream::eprintln!(
            "{} there is no client `{client}` in the estate",
            paint::bad("error:")
        );
        return Ok(ExitCode::from(exit::USAGE));
    };
    if as_json {
        print_json(&json!({ "client": client, "quarantined": refuse, "changed": changed }))?;
    } else {
        println!(
            "{client} {}",
            match (refuse, changed) {
                (true, true) => "is refused from now on, and so are its tokens",
                (true, false) => "was refused already; its tokens are void once more",
                (false, true) => "is let in again; it needs a new token",
                (false, false) => "was not refused",
            }
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn clients_table(all: &[ClientView]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let state = if one.quarantined.is_some() {
                paint::bad("! refused")
            } else if one.disabled {
                paint::faint("⊘ disabled")
            } else if one.alerts > 0 {
                paint::wait(&format!("! {} alerts", one.alerts))
            } else {
                paint::good("✓")
            };
            let expires = one.credentials.iter().filter_map(|one| one.expires).min();
            vec![
                one.client.clone(),
                one.zone.to_string(),
                state,
                one.last
                    .map_or_else(|| "never".to_owned(), |at| at.to_string()),
                table::number(one.today.calls),
                table::number(one.today.denied),
                table::number(one.today.failed),
                one.quota.as_ref().map_or_else(String::new, |quota| {
                    format!(
                        "{} of {} a {}",
                        table::number(quota.used),
                        table::number(quota.calls),
                        quota.per
                    )
                }),
                expires.map_or_else(String::new, |at| at.to_string()),
                versions(one),
            ]
        })
        .collect();
    table::render(
        &[
            "client",
            "zone",
            "state",
            "last call",
            "today",
            "denied",
            "failed",
            "quota",
            "expires",
            "versions",
        ],
        &rows,
        &[4, 5, 6],
    )
}

/// Versions that a client calls; what is not as it should be is said.
fn versions(client: &ClientView) -> String {
    let mut all: Vec<String> = client
        .operations
        .iter()
        .map(|one| {
            let name = format!("{}/{}", one.api, one.version);
            match one.state.as_str() {
                "published" => name,
                state => paint::wait(&format!("{name} ({state})")),
            }
        })
        .collect();
    all.dedup();
    all.join(", ")
}

fn operations_table(all: &[ClientView]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .flat_map(|client| &client.operations)
        .map(|one| {
            vec![
                format!("{}/{}.{}", one.api, one.version, one.operation),
                one.state.clone(),
                one.last.to_string(),
                table::number(one.today.calls),
                table::number(one.today.denied),
                table::number(one.today.throttled),
                table::number(one.today.failed),
                one.p99_ms
                    .map_or_else(String::new, |ms| format!("{ms:.1} ms")),
                table::number(one.total.calls),
            ]
        })
        .collect();
    table::render(
        &[
            "operation",
            "state",
            "last call",
            "today",
            "denied",
            "throttled",
            "failed",
            "p99",
            "in all",
        ],
        &rows,
        &[3, 4, 5, 6, 7, 8],
    )
}

pub(crate) async fn alerts(args: Alerts) -> anyhow::Result<ExitCode> {
    let desk = server(&Place::of(&args.place)).await?;
    if let (Some(id), Some(reason)) = (args.acknowledge, &args.reason) {
        let path = format!("/api/alerts/{id}/acknowledge");
        let body = json!({ "reason": reason });
        let seen: Option<AlertView> = desk.call(Method::POST, &path, Some(body)).await?;
        let Some(seen) = seen else {
            anstream::eprintln!("{} there is no alert {id}", paint::bad("error:"));
            return Ok(ExitCode::from(exit::USAGE));
        };
        if args.place.json {
            print_json(&seen)?;
        } else {
            let by = seen.acknowledged.as_ref().map_or("", |said| &said.by);
            println!("alert {id} is seen by {by}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let all: Option<Vec<AlertView>> = desk.call(Method::GET, "/api/alerts", None).await?;
    let mut all = all.unwrap_or_default();
    if !args.all {
        all.retain(|one| one.acknowledged.is_none());
    }
    if args.place.json {
        print_json(&all)?;
    } else if all.is_empty() {
        println!("nothing stands out that nobody has looked at");
    } else {
        for one in &all {
            anstream::println!("{}", alert(one));
        }
    }
    // What nobody has looked at is a finding.
    let open = all.iter().any(|one| one.acknowledged.is_none());
    Ok(if open {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

fn alert(one: &AlertView) -> String {
    let sign = match (&one.acknowledged, one.quarantined) {
        (Some(_), _) => paint::faint("seen"),
        (None, true) => paint::bad("refused since"),
        (None, false) => paint::wait("open"),
    };
    let mut text = format!(
        "{}  {}  {}  {sign}\n    {}",
        paint::strong(&one.id.to_string()),
        one.at,
        paint::strong(&one.client),
        one.text
    );
    if one.more > 0 {
        text.push_str(&format!(
            "\n    and {} more within the hour",
            table::number(one.more)
        ));
    }
    if let Some(said) = &one.acknowledged {
        text.push_str(&format!(
            "\n    {} at {}: {}",
            said.by, said.at, said.reason
        ));
    }
    text
}
