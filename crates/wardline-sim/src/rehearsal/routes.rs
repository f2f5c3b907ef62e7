//! Rehearsing by hand: the admin listener's `/_rehearsal`.

use super::run::{Rehearse, Rehearser};
use super::{Group, Scenario};
use crate::service::problem;
use axum::Router;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    scenario: String,
    #[serde(default = "one")]
    count: u64,
    #[serde(default = "north")]
    facility: String,
    #[serde(default)]
    shuffled: bool,
}

fn one() -> u64 {
    1
}

fn north() -> String {
    "north".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// `supply/backorder`.
    scenario: Option<String>,
    /// One subject; everybody where absent.
    #[serde(rename = "for")]
    about: Option<String>,
    #[serde(default)]
    shuffled: bool,
    /// A group of which the seed draws.
    mixed: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Which {
    #[serde(default)]
    about: String,
}

/// The routes.
pub(crate) fn routes(rehearser: Arc<Rehearser>) -> Router {
    Router::new()
        .route(
            "/_rehearsal",
            get(|State(rehearser): State<Arc<Rehearser>>| async move { Json(rehearser.report()) }),
        )
        .route(
            "/_rehearsal/scenarios",
            get(|| async { Json(Scenario::ALL) }),
        )
        .route(
            "/_rehearsal/sent",
            get(
                |State(rehearser): State<Arc<Rehearser>>, Query(which): Query<Which>| async move {
                    Json(rehearser.sent(&which.about))
                },
            ),
        )
        .route("/_rehearsal/run", post(run))
        .route("/_rehearsal/pick", post(pick))
        .with_state(rehearser)
}

fn nonsense(text: &str) -> Response {
    problem(StatusCode::UNPROCESSABLE_ENTITY, text, &[])
}

const NO_SCENARIO: &str = "there is no scenario of this name, or several groups have it: see GET /_rehearsal/scenarios and say group/name";

async fn run(State(rehearser): State<Arc<Rehearser>>, Json(run): Json<Run>) -> Response {
    let Some(scenario) = Scenario::named(&run.scenario) else {
        return nonsense(NO_SCENARIO);
    };
    let begun = rehearser.begin(&Rehearse {
        scenario,
        count: run.count,
        facility: run.facility,
        shuffled: run.shuffled,
    });
    match begun {
        Ok(begun) => (StatusCode::CREATED, Json(begun)).into_response(),
        Err(error) => nonsense(&error.to_string()),
    }
}

async fn pick(State(rehearser): State<Arc<Rehearser>>, Json(choice): Json<Choice>) -> Response {
    if let Some(name) = &choice.mixed {
        let Some(group) = Group::ALL.into_iter().find(|one| one.as_str() == name) else {
            return nonsense("there is no group of this name");
        };
        rehearser.mix(group);
        return Json(json!({ "mixed": group })).into_response();
    }
    let named = choice.scenario.as_deref().and_then(Scenario::named);
    let Some(scenario) = named else {
        return nonsense(NO_SCENARIO);
    };
    match &choice.about {
        Some(about) => rehearser.pick(about, scenario, choice.shuffled),
        None => rehearser.pick_for_all(scenario, choice.shuffled),
    }
    Json(json!({ "scenario": scenario.to_string(), "for": choice.about })).into_response()
}
