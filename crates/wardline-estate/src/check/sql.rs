//! Databases: statements have the parameters that they need, and what they name is there.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Connection, ConnectionKind, OperationKind, SqlAccess, SqlFollow, SqlIn, SqlOut, System,
    TargetKind,
};
use crate::suggest::{clip, did_you_mean};
use wardline_sql::{Place, Statement};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for (system, connection) in whole.estate.connections() {
        match &connection.kind {
            ConnectionKind::SqlIn(sql) => {
                access(&sql.access, problems);
                reading(sql, problems);
            }
            ConnectionKind::SqlOut(sql) => {
                access(&sql.access, problems);
                operations(whole, system, connection, sql, problems);
            }
            _ => {}
        }
    }
    straight(whole, problems);
}

fn access(access: &SqlAccess, problems: &mut Vec<Diagnostic>) {
    match &access.place {
        Place::File(_) => {
            if let Some(login) = &access.login {
                problems.push(
                    Diagnostic::error(codes::BAD_DATABASE, "a file has no login").at(login.at),
                );
            }
        }
        Place::Server { host, .. } => {
            if access.login.is_none() {
                problems.push(
                    Diagnostic::error(codes::BAD_DATABASE, "a database server needs a `login`")
                        .at(access.at)
                        .help("add `login: secret:NAME`; the secret holds `user:password`"),
                );
            }
            let here = host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback());
            if access.tls.is_none() && !here {
                problems.push(
                    Diagnostic::warning(
                        codes::PLAIN_DATABASE,
                        "what goes to and from this database can be read on the way",
                    )
                    .at(access.at)
                    .help("remove `tls: none`"),
                );
            }
        }
    }
}

fn reading(sql: &SqlIn, problems: &mut Vec<Diagnostic>) {
    let marked = matches!(sql.follow, SqlFollow::Mark { .. });
    if let Some(poll) = &sql.poll.statement {
        let mut refuse = |what: String, help: &str| {
            problems.push(
                Diagnostic::error(codes::BAD_POLL, what)
                    .at(sql.poll.at)
                    .help(help.to_owned()),
            );
        };
        if !(poll.only_reads() || poll.verb() == "with") {
            refuse(
                format!("`poll` reads, and this begins with `{}`", clip(poll.verb())),
                "what is to happen to rows that were taken is said by `done`",
            );
        }
        let has = |name: &str| poll.parameters().iter().any(|known| known == name);
        if marked && !has("mark") {
            refuse(
                "`poll` does not say from where on it reads".to_owned(),
                "add `where COLUMN > :mark order by COLUMN`",
            );
        }
        if !marked && has("mark") {
            refuse(
                "there is no mark where rows are marked as `done`".to_owned(),
                "remove the condition, or `done`",
            );
        }
        for name in poll.parameters() {
            if !["mark", "most"].contains(&name.as_str()) {
                refuse(
                    format!("nothing is bound to `:{}`", clip(name)),
                    "`poll` has `:mark` and `:most`",
                );
            }
        }
    }
    if let SqlFollow::Done(done) = &sql.follow
        && let Some(statement) = &done.statement
        && !names_rows(statement)
    {
        problems.push(
            Diagnostic::error(codes::BAD_POLL, "`done` does not say which row it is about")
                .at(done.at)
                .help("compare with columns of the row, as in `delete from outbox where id = :id`"),
        );
    }
}

/// Whether a statement of `done` names its row by a column.
fn names_rows(done: &Statement) -> bool {
    let names = done.parameters();
    !names.is_empty() && names.iter().all(|name| !name.contains('.'))
}

/// Operations name a statement that is there, and its parameters are attributes of what they take.
fn operations(
    whole: &Whole<'_>,
    system: &System,
    connection: &Connection,
    sql: &SqlOut,
    problems: &mut Vec<Diagnostic>,
) {
    for operation in system.operations.values() {
        let OperationKind::Sql { statement } = &operation.kind else {
            continue;
        };
        if operation.connection.value != connection.name {
            continue;
        }
        let Some(procedure) = sql.statements.get(&statement.value) else {
            let known = sql.statements.keys().map(String::as_str);
            let problem = Diagnostic::error(
                codes::UNKNOWN_STATEMENT,
                format!(
                    "`{}` has no statement `{}`",
                    connection.reference,
                    clip(&statement.value)
                ),
            )
            .at(statement.at);
            problems.push(problem.help_if(did_you_mean(&statement.value, known)));
            continue;
        };
        let entity = operation
            .accepts
            .as_ref()
            .filter(|_| operation.request.is_none())
            .and_then(|name| whole.estate.entities.get(&name.value));
        let Some(entity) = entity else { continue };
        for name in procedure.parameters() {
            let Some(missing) = crate::attribute::missing(&entity.schema, name.value) else {
                continue;
            };
            let problem = Diagnostic::error(
                codes::UNKNOWN_PARAMETER,
                format!(
                    "`{}` has no attribute `{}` to bind",
                    entity.name,
                    clip(name.value)
                ),
            )
            .at(name.at)
            .related(operation.at, "used by this operation");
            let help = missing.near.unwrap_or_else(|| {
                "or give the operation a `request` map that makes such a field".to_owned()
            });
            problems.push(problem.help(help));
        }
    }
}

/// What is sent straight to a connection does not say which statement is meant.
fn straight(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for target in whole.estate.flows.values().flat_map(|flow| &flow.to) {
        let TargetKind::Send { system, connection } = &target.kind else {
            continue;
        };
        let found = whole
            .estate
            .systems
            .get(system)
            .and_then(|system| system.connections.get(connection));
        if let Some(ConnectionKind::SqlOut(sql)) = found.map(|found| &found.kind)
            && sql.statements.len() != 1
        {
            problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_STATEMENT,
                    format!("`{system}.{connection}` has several statements"),
                )
                .at(target.at)
                .label("it is not said which is meant")
                .help("declare an operation for each, and use `call`"),
            );
        }
    }
}
