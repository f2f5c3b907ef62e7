//! Instances, questions and transactions: who sees them, who decides, and what never stands where.

use crate::fake::processes::{BANK, ORDER, VARIANCE};
use crate::people::house;
use crate::site::{Site, json};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use wardline_core::{InstanceId, TaskId};

fn instance(site: &Site, at: usize) -> InstanceId {
    site.hospital.orders.lock().instances[at].instance.id
}

fn task(site: &Site, at: usize) -> TaskId {
    site.hospital.orders.lock().tasks[at].id
}

/// A call of a page's script.
fn script(site: &Site, path: &str, body: &str) -> Request<Body> {
    site.request(Method::POST, path)
        .header("sec-fetch-site", "same-origin")
        .header("wardline-csrf", &site.csrf)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn pages_say_where_things_stand_and_hold_no_secret() {
    let site = Site::new().await;
    let list = site.get("/processes").await;
    assert!(list.text.contains("1 instance is stuck"), "{}", list.text);
    assert!(list.text.contains("Purchase order to payment"));
    let open = site.get("/processes/procure-to-pay").await;
    assert!(open.text.contains("W4107: supplier-network"));
    assert!(!open.text.contains("4500009"), "what is paid is not open");
    let late = site.get("/processes/procure-to-pay?late=yes").await;
    assert!(late.text.contains(ORDER) && !late.text.contains("4500013"));

    let stuck = instance(&site, 1);
    let page = site.get(&format!("/instances/{stuck}")).await;
    for said in [
        "Needs somebody",
        "runbooks/order-stuck.md",
        "validating",
        "••••",
        "12,480.00 USD",
        "value=\"retry\"",
        "value=\"migrate\"",
        "/trace/",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains(BANK));
    let paid = site
        .get(&format!("/instances/{}", instance(&site, 4)))
        .await;
    assert!(!paid.text.contains("action=\"/intents\""), "it has ended");

    let boards = site.get("/transactions").await;
    for said in [
        "Pending ",
        "Retrying ",
        "data-late",
        "match/variance",
        ORDER,
    ] {
        assert!(boards.text.contains(said), "{said}: {}", boards.text);
    }
    let failed = site.get("/transactions?kind=encounter&state=failed").await;
    assert!(failed.text.contains("4500013") && !failed.text.contains(ORDER));
    for nowhere in [
        "/processes/nothing",
        "/instances/x",
        "/tasks/0000000000000",
        "/transactions?before=x",
    ] {
        let status = site.get(nowhere).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test]
async fn a_key_stands_in_no_address() {
    let site = Site::new().await;
    for path in ["/transactions", "/processes/procure-to-pay"] {
        let found = site.post(path, &format!("key={ORDER}")).await;
        assert_eq!(found.status, StatusCode::SEE_OTHER, "{}", found.text);
        let to = found.header(header::LOCATION).to_owned();
        assert!(to.contains("?s=") && !to.contains(ORDER), "{to}");
        let page = site.get(&to).await;
        let instance = instance(&site, 0);
        assert!(page.text.contains(&format!("/instances/{instance}")));
        assert!(!page.text.contains("4500013"));
        let other = site.again().await.get(&to).await;
        assert_eq!(other.status, StatusCode::GONE, "another session's search");
    }
}

#[tokio::test]
async fn an_act_is_seen_before_it_is_done_and_done_once() {
    let site = Site::new().await;
    let stuck = instance(&site, 1);
    let made = site
        .post("/intents", &format!("act=retry&instance={stuck}"))
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    let to = made.header(header::LOCATION).to_owned();
    let preview = site.get(&to).await;
    assert!(preview.text.contains("nothing has been done"));
    assert!(preview.text.contains("Retry what failed"));
    let phase = || {
        site.hospital.orders.lock().instances[1]
            .instance
            .phase
            .clone()
    };
    assert_eq!(phase(), "stuck");
    let silent = site.post(&to, "reason=+").await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    let foreign = site.again().await.post(&to, "reason=INC-1").await;
    assert_eq!(foreign.status, StatusCode::GONE);
    for _ in 0..2 {
        let done = site.post(&to, "reason=the+network+is+back").await;
        assert_eq!(done.status, StatusCode::SEE_OTHER);
    }
    assert!(site.get(&to).await.text.contains("Retry: done"));
    assert_eq!(phase(), "running");
    let acts = site.hospital.acts();
    let retries: Vec<_> = acts
        .iter()
        .filter(|(act, _)| act == "process.retry")
        .collect();
    assert_eq!(retries.len(), 1, "{acts:?}");
    assert_eq!(retries[0].1, "the network is back");

    // What cannot be done is said, with its code.
    let form = format!("act=retry&instance={stuck}");
    let made = site.post("/intents", &form).await;
    let to = made.header(header::LOCATION).to_owned();
    site.post(&to, "reason=once+more").await;
    let failed = site.get(&to).await.text;
    assert!(failed.contains("did not work") && failed.contains("W7002"));
    for bad in ["act=drop", "act=set&name=&value=1", "act=set&name=a.b"] {
        let form = format!("{bad}&instance={stuck}");
        let refused = site.post("/intents", &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn variables_are_for_whoever_says_why() {
    let house = house();
    let site = house.person("integration-engineer").await;
    let id = instance(&site, 0);
    let path = format!("/instances/{id}");
    let shown = site.post(&path, "reason=INC-2231&purpose=HOPERAT").await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(shown.text.contains(BANK) && shown.text.contains("watermark"));
    for without in ["reason=INC-2231", "reason=&purpose=HOPERAT"] {
        let refused = site.post(&path, without).await;
        assert!(refused.status.is_client_error() && !refused.text.contains(BANK));
    }
    let auditor = house.person("security-auditor").await;
    let refused = auditor.post(&path, "reason=INC-2231&purpose=HOPERAT").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(house.acts("process.reveal"), ["HOPERAT: INC-2231"]);
}

#[tokio::test]
async fn a_question_is_for_its_role() {
    let house = house();
    let owner = house.person("process-owner").await;
    let (ask, other) = (task(&owner, 0), task(&owner, 1));
    let page = owner.get(&format!("/tasks/{ask}")).await;
    for said in [
        VARIANCE,
        "value=\"approve\"",
        "Cost centre",
        "13,002.00 USD",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    // Whoever may view sees that something is asked, not what.
    let engineer = house.person("integration-engineer").await;
    let page = engineer.get(&format!("/tasks/{ask}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains(VARIANCE) && !page.text.contains("value=\"approve\""));
    let path = format!("/instances/{}", instance(&engineer, 0));
    assert!(!engineer.get(&path).await.text.contains(VARIANCE));
    for path in ["/api/tasks", "/tasks?show=all"] {
        let listed = if path.starts_with("/api") {
            engineer.send(script(&engineer, path, "{}")).await
        } else {
            engineer.get(path).await
        };
        assert_eq!(listed.status, StatusCode::OK);
        assert!(!listed.text.contains(VARIANCE), "{path}");
        assert!(listed.text.contains(&ask.to_string()), "{path}");
    }
    let refused = engineer
        .post(&format!("/tasks/{ask}/answer"), "choice=approve")
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("W6117"), "{}", refused.text);
    assert_eq!(
        house.acts("act.forbid"),
        ["the role process-owner is asked"]
    );

    // Whoever may not view has the questions of their roles, and nothing else.
    let night = house.person("night-desk").await;
    let list = night.get("/tasks").await;
    assert!(list.text.contains("dock 2") && !list.text.contains("88-1"));
    assert!(!list.text.contains("href=\"/processes\""), "{}", list.text);
    let all = night
        .send(script(
            &night,
            "/api/tasks",
            r#"{"roles":["process-owner"]}"#,
        ))
        .await;
    assert_eq!(json(&all)["rows"], serde_json::json!([]));
    let foreign = night.get(&format!("/tasks/{ask}")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let answer = format!("/api/tasks/{other}/answer");
    let done = night
        .send(script(&night, &answer, r#"{"choice":"approve"}"#))
        .await;
    assert_eq!(json(&done)["by"], "user:night-desk", "{}", done.text);
}

#[tokio::test]
async fn answers_are_by_whom_and_with_what_was_filled_in() {
    let house = house();
    let owner = house.person("process-owner").await;
    let ask = task(&owner, 0);
    let path = format!("/tasks/{ask}");
    let taken = owner.post(&format!("{path}/claim"), "").await;
    assert_eq!(taken.header(header::LOCATION), path, "{}", taken.text);
    let mine = owner.get("/tasks?show=mine").await;
    assert!(mine.text.contains(&path) && mine.text.contains("user:process-owner"));
    // An operator gives it back; then it is answered.
    let support = house.person("support").await;
    let reason = "role=process-owner&to=bert&reason=Anna+is+away";
    let given = support.post(&format!("{path}/reassign"), reason).await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{}", given.text);
    let page = owner.get(&path).await;
    assert!(page.text.contains("user:bert") && !page.text.contains("value=\"approve\""));
    let not_theirs = owner
        .post(&format!("{path}/answer"), "choice=approve")
        .await;
    assert_eq!(not_theirs.status, StatusCode::UNPROCESSABLE_ENTITY);
    support.post(&format!("{path}/release"), "").await;
    let silent = owner.post(&format!("{path}/answer"), "note=x").await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = "choice=approve&note=as+agreed&field.cost_centre=4711";
    let done = owner.post(&format!("{path}/answer"), form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(house.acts("task.answer"), ["as agreed cost_centre=4711"]);
    let page = owner.get(&path).await;
    assert!(page.text.contains("answered by") && !page.text.contains("class=\"choices\""));
    let again = owner.post(&format!("{path}/answer"), form).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn programs_do_the_same() {
    let site = Site::new().await;
    let stuck = instance(&site, 1);
    let act = format!("/api/instances/{stuck}/act");
    for bad in [
        r#"{"act":"retry"}"#,
        r#"{"act":"retry","reason":" "}"#,
        r#"{"act":"drop","reason":"x"}"#,
        r#"{"act":"retry","stop":1,"reason":"x"}"#,
    ] {
        let refused = site.call(Method::POST, &act, bad).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        assert_eq!(json(&refused)["code"], "W7206");
    }
    let set = r#"{"act":"set","vars":{"a":1},"reason":"INC-1"}"#;
    let done = site.call(Method::POST, &act, set).await;
    assert_eq!(json(&done)["phase"], "stuck", "{}", done.text);
    let done = site
        .call(Method::POST, &act, r#"{"act":"retry","reason":"INC-1"}"#)
        .await;
    assert_eq!(json(&done)["phase"], "running");
    let seen = site
        .call(
            Method::POST,
            &format!("/api/instances/{stuck}/reveal"),
            r#"{"reason":"INC-1"}"#,
        )
        .await;
    assert_eq!(json(&seen)["vars"]["bank"], BANK);
    let ask = task(&site, 0);
    let of = |what: &str| format!("/api/tasks/{ask}/{what}");
    let claimed = site.call(Method::POST, &of("claim"), "").await;
    assert_eq!(json(&claimed)["claimed"], "admin");
    let mine = site
        .call(Method::POST, "/api/tasks", r#"{"claimed":"me"}"#)
        .await;
    assert_eq!(json(&mine)["rows"][0]["id"], ask.to_string());
    let moved = site
        .call(
            Method::POST,
            &of("reassign"),
            r#"{"role":"treasury","to":"anna","reason":"hers"}"#,
        )
        .await;
    assert_eq!(json(&moved)["claimed"], "user:anna");
    assert_eq!(json(&moved)["role"], "treasury");
    let released = site.call(Method::POST, &of("release"), "").await;
    assert_eq!(json(&released)["claimed"], serde_json::Value::Null);
    let nobody = site.call(Method::GET, "/api/tasks/0000000000000", "").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let boards = site
        .call(Method::POST, "/api/transactions", r#"{"state":"retrying"}"#)
        .await;
    assert_eq!(json(&boards)["rows"][0]["key"], "4500015");
}

#[tokio::test]
async fn a_board_shows_figures_goals_and_what_needs_somebody() {
    let house = house();
    let owner = house.person("process-owner").await;
    let page = owner.get("/boards").await;
    for said in [
        "Accounts payable",
        "Perfect order lines",
        "91.5 %",
        "goal ≥ 95 %",
        "missed",
        "7,310.25 USD",
        "1–3 d",
        "48.00 USD",
        "2 failed, 1 late",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let other = owner.get("/boards?board=supply-chain&facility=north").await;
    assert!(other.text.contains("Supply chain") && other.text.contains("north"));
    let none = owner.get("/boards?board=nothing").await;
    assert_eq!(
        none.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        none.text
    );

    // Amounts are for the role that answers for them, shares for all who look.
    let engineer = house.person("integration-engineer").await;
    let page = engineer.get("/boards?board=accounts-payable").await;
    assert!(page.text.contains("91.5 %") && !page.text.contains("310.25"));
    for (path, body) in [
        ("/api/figures", "{}"),
        ("/api/board", r#"{"name":"accounts-payable"}"#),
    ] {
        let said = engineer.send(script(&engineer, path, body)).await;
        assert_eq!(said.status, StatusCode::OK, "{}", said.text);
        assert!(said.text.contains("perfect-order") && !said.text.contains("310.25"));
    }
}

#[tokio::test]
async fn what_was_compared_is_shown_and_a_break_is_for_its_role() {
    let house = house();
    let owner = house.person("process-owner").await;
    let board = owner.get("/reconciliations").await;
    for said in ["charges 2026-11-24", "north", "do not tie", "4.00 USD"] {
        assert!(board.text.contains(said), "{said}: {}", board.text);
    }
    let path = format!("/reconciliations/{}", instance(&owner, 0));
    let page = owner.get(&path).await;
    for said in ["NOT_POSTED", "charge C-2", "posted", "-4.00"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let none = owner.get("/reconciliations?date=2026-01-01").await;
    assert!(none.text.contains("Nothing was compared that matches"));

    // What a break is about is for whoever answers for it; that there is one is for all who view.
    let engineer = house.person("integration-engineer").await;
    let page = engineer.get(&path).await;
    assert!(page.text.contains("NOT_POSTED") && !page.text.contains("C-2"));
    assert!(page.text.contains("posted") && !page.text.contains("-4.00"));
    let listed = engineer
        .send(script(&engineer, "/api/reconciliations", "{}"))
        .await;
    assert!(!listed.text.contains("C-2"), "{}", listed.text);
    let body = r#"{"name":"charges","date":"2026-11-24","reason":"month end"}"#;
    let begun = engineer
        .send(script(&engineer, "/api/reconcile", body))
        .await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
    assert_eq!(house.acts("reconcile"), ["month end"]);
    let auditor = house.person("security-auditor").await;
    let refused = auditor.send(script(&auditor, "/api/reconcile", body)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
