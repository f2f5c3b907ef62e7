//! `transactions`: what the business sees.

use super::processes::due;
use super::{Open, print_json};
use crate::cli::Transactions;
use crate::{paint, table};
use std::process::ExitCode;
use wardline_core::Timestamp;
use wardline_engine::view::{TransactionQuery, TransactionView};

pub(crate) async fn run(args: Transactions) -> anyhow::Result<ExitCode> {
    let open = Open::at(&args.place).await?;
    let found = open
        .desk
        .transactions(TransactionQuery {
            kind: args.kind,
            key: args.key,
            state: args.state,
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
        return Ok(ExitCode::SUCCESS);
    }
    if page.rows.is_empty() {
        println!("no transaction matches");
    } else {
        let now = Timestamp::now();
        let rows: Vec<Vec<String>> = page.rows.iter().map(|one| row(one, now)).collect();
        let head = [
            "kind", "key", "state", "status", "age", "due", "value", "owner", "next", "why",
            "instance",
        ];
        anstream::print!("{}", table::render(&head, &rows, &[4, 6]));
    }
    // A state may be rare among those that were looked at: there may be more even where none is shown.
    if let Some(next) = page.next {
        anstream::println!("{}", paint::faint(&format!("more with --before {next}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(one: &TransactionView, now: Timestamp) -> Vec<String> {
    vec![
        one.kind.clone(),
        one.key.clone().unwrap_or_else(|| "••••".to_owned()),
        paint::stand(&one.state),
        one.status.clone().unwrap_or_default(),
        table::age(one.began, now),
        due(one.due, one.overdue, now),
        one.value.as_ref().map(table::value).unwrap_or_default(),
        one.owner.clone().unwrap_or_default(),
        one.next.join(", "),
        one.reason.clone().unwrap_or_default(),
        one.instance.to_string(),
    ]
}
