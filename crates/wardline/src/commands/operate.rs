//! `replay`, `release`, `cancel`, `park`, `resubmit`: deciding.

use super::{Open, actor, print_json};
use crate::cli::{Act, Replay, Resubmit, Select};
use crate::{paint, table};
use anyhow::{Context as _, bail};
use std::process::ExitCode;
use wardline_console::ConsoleDesk;
use wardline_core::{DeliveryId, MessageId};
use wardline_engine::view::{Part, ReplayRequest, Selection};

/// Ids may name deliveries or messages; only the journal knows which.
async fn selection(desk: &dyn ConsoleDesk, select: Select) -> anyhow::Result<Selection> {
    let mut out = Selection {
        destination: select.to,
        flow: select.flow,
        states: select.state,
        fingerprint: select.fingerprint,
        key: select.key,
        from: select.since,
        to: select.until,
        ..Selection::default()
    };
    for id in select.ids {
        let Some(trace) = desk.trace(id).await? else {
            bail!("there is no message or delivery {id}: search with `wardline messages`");
        };
        let delivery = trace.nodes.iter().any(|node| {
            matches!(&node.item, wardline_engine::view::TraceItem::Delivery(d) if d.id.0 == id)
        });
        if delivery {
            out.deliveries.push(DeliveryId(id));
        } else {
            out.messages.push(MessageId(id));
        }
    }
    Ok(out)
}

pub(crate) async fn replay(args: Replay) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let select = selection(&*open.desk, args.select).await?;
    let request = ReplayRequest {
        select,
        from_raw: args.from_raw,
        preview: args.reason.is_none(),
        rate: args.rate,
        reason: args.reason.unwrap_or_default(),
    };
    let report = open.desk.replay(request, &actor()).await?;
    if args.place.json {
        print_json(&report)?;
    } else {
        let rows: Vec<Vec<String>> = report
            .destinations
            .iter()
            .map(|count| {
                vec![
                    count.destination.clone(),
                    table::number(count.count),
                    table::number(count.delivered_before),
                ]
            })
            .collect();
        anstream::print!(
            "{}",
            table::render(
                &["destination", "deliveries", "delivered before"],
                &rows,
                &[1, 2]
            )
        );
        if report.preview {
            println!(
                "{} selected: {} would be tried now, {} sent again in about {} s. Nothing was done; add --reason TEXT to do it.",
                table::number(report.selected),
                table::number(report.released),
                table::number(report.selected - report.released),
                report.seconds
            );
            if report
                .destinations
                .iter()
                .any(|count| count.delivered_before > 0)
            {
                anstream::println!(
                    "{}",
                    paint::wait(
                        "some were delivered before: they would arrive a second time, under a new idempotency key"
                    )
                );
            }
        } else {
            println!(
                "{} tried now, {} new deliveries",
                table::number(report.released),
                table::number(report.created)
            );
        }
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// What to do with the selected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Release,
    Cancel,
    Park,
}

pub(crate) async fn act(verb: Verb, args: Act) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let select = selection(&*open.desk, args.select).await?;
    let (count, word) = match verb {
        Verb::Release => (
            open.desk.release(select, args.reason, &actor()).await?,
            "tried now",
        ),
        Verb::Cancel => (
            open.desk.cancel(select, args.reason, &actor()).await?,
            "cancelled",
        ),
        Verb::Park => (
            open.desk.park(select, args.reason, &actor()).await?,
            "given up; their followers pass",
        ),
    };
    if args.place.json {
        print_json(&serde_json::json!({ "count": count }))?;
    } else {
        println!(
            "{} {word}",
            if count == 1 {
                "1 delivery".to_owned()
            } else {
                format!("{} deliveries", table::number(count))
            }
        );
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn resubmit(args: Resubmit) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let body = if let Some(path) = &args.body {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        let reason = format!("edit: {}", args.reason);
        let Some(payload) = open
            .desk
            .payload(Part::Body, args.delivery.0, Some(reason), &actor())
            .await?
        else {
            bail!("delivery {} has no body any more", args.delivery);
        };
        edit(&payload.text)?
    };
    let made = open
        .desk
        .resubmit(args.delivery, body, args.reason, &actor())
        .await?;
    if args.place.json {
        print_json(&serde_json::json!({ "delivery": made }))?;
    } else {
        println!("sent as {made}; follow: wardline trace {made}");
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the person edit a text in a file that only they can read.
fn edit(text: &str) -> anyhow::Result<String> {
    let editor = std::env::var("VISUAL")
        .or_else(|_| std::env::var("EDITOR"))
        .unwrap_or_else(|_| "vi".to_owned());
    let file = tempfile::Builder::new()
        .prefix("wardline-")
        .suffix(".txt")
        .tempfile()
        .context("cannot make a file to edit")?;
    std::fs::write(file.path(), text).context("cannot write the file to edit")?;
    let mut words = editor.split_whitespace();
    let program = words.next().context("$EDITOR is empty")?;
    let status = std::process::Command::new(program)
        .args(words)
        .arg(file.path())
        .status()
        .with_context(|| format!("cannot start the editor `{editor}`: set EDITOR"))?;
    if !status.success() {
        bail!("the editor ended with {status}; nothing was sent");
    }
    let edited = std::fs::read_to_string(file.path()).context("cannot read the edited file")?;
    if edited == text {
        bail!("nothing was changed; nothing was sent");
    }
    Ok(edited)
}
