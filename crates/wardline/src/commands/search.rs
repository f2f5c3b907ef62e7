//! `messages`, `trace`, `dead`, `status`: reading the journal.

use super::{Open, print_json};
use crate::cli::{Dead, Messages, Trace, Where};
use crate::{exit, paint, table};
use std::process::ExitCode;
use wardline_console::ConsoleDesk;
use wardline_core::Id;
use wardline_engine::Found;
use wardline_engine::view::{DeliveryView, MessageQuery, MessageView, Part, TraceItem, TraceView};

pub(crate) async fn messages(args: Messages) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let page = open
        .desk
        .messages(MessageQuery {
            key: args.key.or(args.correlation),
            kind: args.kind,
            source: args.source,
            flow: args.flow,
            state: args.state,
            error: args.error,
            from: args.since,
            to: args.until,
            before: None,
            limit: args.limit,
            events: args.events,
        })
        .await?;
    if args.place.json {
        print_json(&page)?;
    } else if page.rows.is_empty() {
        println!(
            "no message matches ({} looked at); widen --since, or drop a filter",
            table::number(page.scanned)
        );
    } else {
        anstream::print!("{}", message_table(&page.rows));
        let more = if page.next.is_some() {
            "; more with --limit or --until"
        } else {
            ""
        };
        anstream::println!(
            "{}",
            paint::faint(&format!(
                "{} shown, {} looked at{more}",
                page.rows.len(),
                table::number(page.scanned)
            ))
        );
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn message_table(rows: &[MessageView]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.received.to_string(),
                row.id.to_string(),
                row.kind.clone(),
                row.source.clone(),
                row.key.clone().unwrap_or_default(),
                table::bytes(u64::from(row.size)),
                row.outcome.clone(),
            ]
        })
        .collect();
    table::render(
        &[
            "received (UTC)",
            "id",
            "type",
            "source",
            "key",
            "size",
            "outcome",
        ],
        &rows,
        &[5],
    )
}

pub(crate) async fn trace(args: Trace) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let found = open.desk.find(&args.what).await?;
    let traces: Vec<TraceView> = match found {
        Found::Trace(id) => open.desk.trace(id).await?.into_iter().collect(),
        Found::Messages(page) => {
            // Newest first in the journal; a story is read from its beginning.
            let mut traces = Vec::new();
            for row in page.rows.iter().rev() {
                if let Some(trace) = open.desk.trace(row.id.0).await?
                    && !traces
                        .iter()
                        .any(|known: &TraceView| known.root == trace.root)
                {
                    traces.push(trace);
                }
            }
            traces
        }
    };
    if traces.is_empty() {
        eprintln!("nothing in the journal has this id or key");
        open.close().await?;
        return Ok(ExitCode::from(exit::FINDINGS));
    }
    if args.place.json {
        print_json(&traces)?;
    } else {
        for trace in &traces {
            print_trace(trace);
            if args.payloads {
                payloads(&*open.desk, trace, args.reveal.as_deref()).await?;
            }
        }
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn print_trace(trace: &TraceView) {
    anstream::println!(
        "{}  {}  {}",
        paint::strong(&format!("Trace {}", trace.root)),
        trace.headline,
        paint::faint(&table::micros(trace.took_us))
    );
    for node in &trace.nodes {
        let indent = "  ".repeat(node.depth as usize);
        match &node.item {
            TraceItem::Message(message) => {
                let key = message
                    .key
                    .as_ref()
                    .map(|key| format!("  key {key}"))
                    .unwrap_or_default();
                let from = if node.depth == 0 {
                    format!(" from {}", message.source)
                } else {
                    format!(" by {}", message.source)
                };
                anstream::println!(
                    "{} {indent}▪ {}{from}  {}{key}  {}",
                    paint::faint(&clock(&message.received.to_string())),
                    paint::strong(&message.kind),
                    table::bytes(u64::from(message.size)),
                    paint::faint(&message.id.to_string()),
                );
                for taken in &node.taken {
                    anstream::println!(
                        "             {indent}  {}",
                        paint::faint(&format!(
                            "⊢ taken by {} {} ({}, instance {})",
                            taken.process,
                            taken.key.as_deref().unwrap_or("•••"),
                            taken.stands,
                            taken.id
                        ))
                    );
                }
                for route in message
                    .routes
                    .iter()
                    .filter(|route| route.outcome == "filtered")
                {
                    let what = route
                        .destination
                        .as_ref()
                        .map_or(route.flow.clone(), |d| format!("{} → {d}", route.flow));
                    let why = route
                        .predicate
                        .as_ref()
                        .map(|p| format!(": {p}"))
                        .unwrap_or_default();
                    anstream::println!(
                        "             {indent}  {}",
                        paint::faint(&format!("⊘ filtered by {what}{why}"))
                    );
                }
            }
            TraceItem::Delivery(delivery) => {
                print_delivery(delivery, &indent);
                for attempt in &node.attempts {
                    anstream::println!(
                        "             {indent}    {}",
                        paint::faint(&format!(
                            "attempt {} at {}  {}  {} {}",
                            attempt.number,
                            clock(&attempt.started.to_string()),
                            table::micros(attempt.took_us),
                            attempt.status,
                            attempt.error
                        ))
                    );
                }
            }
        }
    }
    if trace.truncated {
        println!("… there is more than can be shown");
    }
}

fn print_delivery(delivery: &DeliveryView, indent: &str) {
    let status = delivery
        .status
        .as_ref()
        .map(|s| format!(" {s}"))
        .unwrap_or_default();
    let took = delivery
        .took_us
        .map(|us| format!("  {}", table::micros(us)))
        .unwrap_or_default();
    let tries = if delivery.attempts > 1 {
        format!("  {} attempts", delivery.attempts)
    } else {
        String::new()
    };
    let replay = delivery
        .replay_of
        .map(|id| format!("  repeats {id}"))
        .unwrap_or_default();
    anstream::println!(
        "{} {indent}→ {}  {}{status}{took}{tries}{replay}  {}",
        paint::faint(&clock(&delivery.accepted.to_string())),
        delivery.destination,
        paint::state(delivery.state),
        paint::faint(&delivery.id.to_string()),
    );
    let error = delivery.error.as_ref().map(|error| {
        format!(
            "{} {error}",
            delivery.error_code.as_deref().unwrap_or_default()
        )
    });
    if delivery.state != wardline_core::DeliveryState::Delivered {
        for line in [
            Some(delivery.reason.clone()).filter(|r| !r.is_empty()),
            error,
            delivery.runbook.as_ref().map(|r| format!("runbook: {r}")),
        ]
        .into_iter()
        .flatten()
        {
            anstream::println!("             {indent}  {}", paint::wait(&line));
        }
    }
}

/// The time of day of an RFC 3339 text.
fn clock(text: &str) -> String {
    text.get(11..23).unwrap_or(text).to_owned()
}

async fn payloads(
    desk: &dyn ConsoleDesk,
    trace: &TraceView,
    reveal: Option<&str>,
) -> anyhow::Result<()> {
    let actor = super::actor();
    for node in &trace.nodes {
        let parts: Vec<(Part, Id, String)> = match &node.item {
            TraceItem::Message(message) => vec![(
                Part::Payload,
                message.id.0,
                format!("{} {}", message.kind, message.id),
            )],
            TraceItem::Delivery(delivery) => {
                let mut parts = Vec::new();
                if delivery.own_body {
                    parts.push((
                        Part::Body,
                        delivery.id.0,
                        format!("body for {}", delivery.destination),
                    ));
                }
                if delivery.has_response {
                    parts.push((
                        Part::Response,
                        delivery.id.0,
                        format!("answer of {}", delivery.destination),
                    ));
                }
                parts
            }
        };
        for (part, id, title) in parts {
            match desk
                .payload(part, id, reveal.map(str::to_owned), &actor)
                .await
            {
                Ok(Some(payload)) => {
                    anstream::println!("\n{}", paint::strong(&title));
                    println!("{}", payload.text);
                }
                Ok(None) => {}
                Err(error) => anstream::println!(
                    "\n{}  {}",
                    paint::strong(&title),
                    paint::wait(&error.to_string())
                ),
            }
        }
    }
    Ok(())
}

pub(crate) async fn dead(args: Dead) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let groups = open.desk.dead().await?;
    if args.place.json {
        print_json(&groups)?;
    } else if groups.is_empty() {
        println!("nothing is dead or held");
    } else {
        let rows: Vec<Vec<String>> = groups
            .iter()
            .map(|group| {
                let text: String = group.text.chars().take(72).collect();
                vec![
                    group.fingerprint.clone(),
                    group.code.clone(),
                    group.destination.clone(),
                    table::number(group.dead),
                    table::number(group.held),
                    group.last.to_string(),
                    text,
                    group.owner.clone(),
                ]
            })
            .collect();
        anstream::print!(
            "{}",
            table::render(
                &[
                    "fingerprint",
                    "code",
                    "destination",
                    "dead",
                    "held",
                    "last (UTC)",
                    "what",
                    "owner"
                ],
                &rows,
                &[3, 4]
            )
        );
        println!(
            "next: wardline replay --fingerprint {} (a preview; --reason TEXT does it)",
            groups[0].fingerprint
        );
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn status(place: Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(&place).await?;
    let overview = open.desk.overview().await?;
    let (mut owed, mut open_now, mut delivered, mut dead, mut cancelled) = (0, 0, 0, 0, 0);
    for one in &overview.destinations {
        owed += one.owed;
        delivered += one.delivered;
        dead += one.dead;
        cancelled += one.cancelled;
        open_now += one.waiting + one.retrying + one.held;
    }
    // Read while messages flow, the parts may be a moment apart; at rest they must agree.
    let balanced = owed == delivered + dead + cancelled + open_now;
    if place.json {
        print_json(&serde_json::json!({
            "schema": "wardline.status/1",
            "sums": { "accepted": overview.accepted, "deliveries": owed, "balanced": balanced, "open": open_now, "delivered": delivered, "dead": dead, "cancelled": cancelled },
            "overview": overview,
        }))?;
    } else {
        anstream::println!(
            "{}  {}",
            paint::strong(&overview.estate),
            if overview.well {
                paint::good(&overview.headline)
            } else {
                paint::wait(&overview.headline)
            }
        );
        for one in &overview.certificates {
            anstream::println!("{}", paint::wait(&super::certs::sentence(one)));
        }
        let rows: Vec<Vec<String>> = overview
            .destinations
            .iter()
            .map(|one| {
                vec![
                    one.name.clone(),
                    one.state.clone(),
                    table::number(one.waiting),
                    table::number(one.retrying),
                    table::number(one.held),
                    table::number(one.dead),
                    table::number(one.delivered),
                    one.p99_us.map(table::micros).unwrap_or_default(),
                    one.reason.clone(),
                ]
            })
            .collect();
        anstream::print!(
            "{}",
            table::render(
                &[
                    "destination",
                    "state",
                    "waiting",
                    "retrying",
                    "held",
                    "dead",
                    "delivered",
                    "p99",
                    "why"
                ],
                &rows,
                &[2, 3, 4, 5, 6, 7]
            )
        );
        if let Some(applied) = &overview.applied {
            println!("{}", super::reload::told(applied));
        }
        println!(
            "accepted {}; deliveries {} = delivered {} + open {} + dead {} + cancelled {}{}; journal {}",
            table::number(overview.accepted),
            table::number(owed),
            table::number(delivered),
            table::number(open_now),
            table::number(dead),
            table::number(cancelled),
            if balanced { "" } else { " (moving)" },
            table::bytes(overview.store.bytes),
        );
    }
    open.close().await?;
    Ok(if overview.well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}
