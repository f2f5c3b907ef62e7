//! Accounts of people over the API, which the command line uses, and how long a session has
//! still, which a page's script asks.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use wardline_access::people::{AccountChange, AccountChanged, AccountView, Refused};
use wardline_vault::AuditEntry;

use crate::api::Body;
use crate::app::Shared;
use crate::guard::Caller;
use crate::problem::{ApiProblem, Problem};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/people", get(list).post(change))
        .route("/api/session", get(session))
}

async fn list(State(app): State<Shared>, _: Caller) -> Result<Json<Vec<AccountView>>, ApiProblem> {
    let entrance = app.entrance.as_ref().ok_or_else(no_accounts)?;
    let listed = entrance
        .hashing(|people| {
            let accounts = people.accounts()?;
            Some(accounts.list(people.now()))
        })
        .await?
        .ok_or_else(no_accounts)?;
    match listed {
        Ok(views) => Ok(Json(views)),
        Err(error) => Err(Problem::account(&error.into()).into()),
    }
}

async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Body(change): Body<AccountChange>,
) -> Result<Json<AccountChanged>, ApiProblem> {
    let entrance = app.entrance.as_ref().ok_or_else(no_accounts)?;
    let (act, name) = (change.act(), change.name().to_owned());
    let changed = entrance
        .hashing(move |people| {
            let accounts = people.accounts()?;
            Some(accounts.change(change, people.now()))
        })
        .await?
        .ok_or_else(no_accounts)?
        .map_err(|error| Problem::account(&error))?;
    // Whoever's rights have changed begins anew with those of now.
    let ended = app.sessions.end_person(&name);
    let entry = AuditEntry::new(&caller.actor, act, &name)
        .with(
            "roles",
            changed.account.roles.iter().cloned().collect::<Vec<_>>(),
        )
        .with("sessions_ended", ended);
    app.desk.record(&entry).await?;
    Ok(Json(changed))
}

fn no_accounts() -> Problem {
    Problem::refused(Refused::NotHere)
}

/// How long somebody is still signed in.
#[derive(Serialize)]
pub(crate) struct SessionView {
    /// Who it is.
    actor: String,
    /// Seconds until the session ends if nobody does anything.
    seconds_left: u64,
}

async fn session(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<SessionView>, ApiProblem> {
    let name = caller.session.ok_or_else(Problem::not_signed_in)?;
    let left = app
        .sessions
        .left(&name)
        .ok_or_else(Problem::not_signed_in)?;
    Ok(Json(SessionView {
        actor: caller.actor,
        seconds_left: left.as_secs(),
    }))
}
