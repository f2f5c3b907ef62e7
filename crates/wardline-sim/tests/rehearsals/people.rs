//! Workers and payroll.

use super::listener::Stage;
use serde_json::{Value, json};
use wardline_sim::{Ended, SentState};

fn types(told: &[super::listener::Heard]) -> Vec<&str> {
    told.iter()
        .map(|heard| heard.body["type"].as_str().unwrap())
        .collect()
}

impl Stage {
    /// The number of somebody's account, where there is one.
    async fn user(&self, id: &str) -> Option<String> {
        let path = format!("GET /scim/v2/Users?filter=externalId%20eq%20%22{id}%22");
        let found = self.done("identity", &path, "", &Value::Null).await;
        found["Resources"][0]["id"].as_str().map(str::to_owned)
    }

    async fn put_user(&self, key: &str, user: &Value) -> Value {
        let place = match self.user(user["externalId"].as_str().unwrap()).await {
            Some(number) => format!("PUT /scim/v2/Users/{number}"),
            None => "POST /scim/v2/Users".to_owned(),
        };
        let (status, kept) = self.ask("identity", &place, key, user).await;
        assert!(status < 300, "{status}: {kept}");
        kept
    }

    /// What a platform does for somebody who works here.
    async fn let_in(&self, id: &str, key: &str) {
        let user = json!({ "schemas": [], "externalId": id, "userName": format!("n.{id}"), "name": { "familyName": "Okafor" }, "active": true });
        let at = |path: &str| path.replace("{}", id);
        self.put_user(key, &user).await;
        self.done(
            "badge",
            &at("PUT /badges/{}"),
            key,
            &json!({ "active": true, "zones": ["4W"] }),
        )
        .await;
        self.done(
            "scheduling",
            &at("PUT /workers/{}"),
            key,
            &json!({ "active": true, "unit": "4W" }),
        )
        .await;
        self.done(
            "ehr-accounts",
            &at("PUT /users/{}"),
            key,
            &json!({ "active": true }),
        )
        .await;
        self.done(
            "payroll",
            &at("PUT /employees/{}"),
            key,
            &json!({ "pay_group": "BIWEEKLY-N", "tax_id": "900-00-0000" }),
        )
        .await;
    }

    /// What it does for somebody who has left.
    async fn keep_out(&self, id: &str, key: &str) {
        let at = |path: &str| path.replace("{}", id);
        let off = json!({ "reason": "terminated" });
        let number = self.user(id).await.unwrap_or_default();
        let patch =
            json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
        self.done(
            "identity",
            &format!("PATCH /scim/v2/Users/{number}"),
            key,
            &patch,
        )
        .await;
        self.done("badge", &at("POST /badges/{}/revoke"), key, &off)
            .await;
        self.done("scheduling", &at("POST /workers/{}/end"), key, &off)
            .await;
        self.done("ehr-accounts", &at("POST /users/{}/disable"), key, &off)
            .await;
        self.done("payroll", &at("POST /employees/{}/final-pay"), key, &off)
            .await;
    }
}

#[tokio::test]
async fn hr_tells_what_the_scenario_says() {
    let stage = Stage::set(None).await;
    for (name, expected) in [
        ("hire", &["hire"][..]),
        ("future-hire", &["hire"]),
        ("rescind", &["hire", "rescind"]),
        ("transfer", &["hire", "transfer"]),
        ("leave", &["hire", "leave"]),
        ("rehire", &["rehire"]),
        ("name-change", &["hire", "name-change"]),
        ("terminate", &["hire", "terminate"]),
        ("terminate-now", &["hire", "terminate"]),
        ("out-of-order", &["hire", "terminate", "job-change"]),
    ] {
        let id = stage.begin(&format!("people/{name}"));
        let told = stage.told(&id).await;
        assert_eq!(types(&told), expected, "{name}");
        assert!(told.iter().all(|heard| heard.body["workerId"] == json!(id)));
        // HR's own log has its own order.
        let worker = stage
            .done("hr", &format!("GET /workers/{id}"), "", &Value::Null)
            .await;
        let events = worker["events"].as_array().unwrap();
        assert_eq!(events.len(), expected.len(), "{name}");
        let order: Vec<u64> = events
            .iter()
            .filter_map(|event| event["sequence"].as_u64())
            .collect();
        assert!(order.is_sorted(), "{name}: {order:?}");
    }
}

#[tokio::test]
async fn a_hire_is_well_once_everything_is_there() {
    let stage = Stage::set(None).await;
    let id = stage.begin("people/hire");
    stage.told(&id).await;
    assert_eq!(stage.ended(&id), Ended::Open);
    stage.let_in(&id, "a").await;
    assert_eq!(stage.ended(&id), Ended::AsSaid);
}

#[tokio::test]
async fn nobody_may_enter_before_the_first_day_or_after_the_last() {
    let stage = Stage::set(None).await;
    for name in ["people/future-hire", "people/rescind"] {
        let id = stage.begin(name);
        assert_eq!(stage.ended(&id), Ended::AsSaid);
        stage.let_in(&id, &id).await;
        assert_eq!(stage.ended(&id), Ended::Wrong);
    }
    for name in [
        "people/terminate",
        "people/terminate-now",
        "people/out-of-order",
    ] {
        let id = stage.begin(name);
        stage.let_in(&id, &format!("in-{id}")).await;
        assert_eq!(stage.ended(&id), Ended::Open);
        stage.keep_out(&id, &format!("out-{id}")).await;
        assert_eq!(stage.ended(&id), Ended::AsSaid, "{:?}", stage.case(&id));
        // A second final pay is one too many.
        stage
            .done(
                "payroll",
                &format!("POST /employees/{id}/final-pay"),
                &format!("again-{id}"),
                &json!({}),
            )
            .await;
        assert_eq!(stage.ended(&id), Ended::Wrong);
    }
}

#[tokio::test]
async fn somebody_who_comes_back_is_asked_about() {
    let stage = Stage::set(None).await;
    let id = stage.begin("people/rehire");
    let ask = json!({ "employee_id": id, "family_name": "Doe-Marsh" });
    assert_eq!(stage.ended(&id), Ended::Open);
    let found = stage.done("identity", "POST /matches", "a", &ask).await;
    assert_eq!(
        found["candidates"][0],
        json!({ "employee_id": "E0311", "user_name": "jdoe", "score": "0.90" })
    );
    assert_eq!(stage.ended(&id), Ended::AsSaid);
    let nobody = stage
        .done(
            "identity",
            "POST /matches",
            "b",
            &json!({ "employee_id": "E1", "family_name": "x" }),
        )
        .await;
    assert_eq!(nobody["candidates"], json!([]));
}

#[tokio::test]
async fn identities_are_unique() {
    let stage = Stage::set(None).await;
    let user =
        |id: &str, name: &str| json!({ "externalId": id, "userName": name, "active": false });
    let (status, made) = stage
        .ask("identity", "POST /scim/v2/Users", "a", &user("E1", "one"))
        .await;
    assert_eq!((status, &made["id"]), (201, &json!("U-1")));
    // The same key again is the same answer; another key finds that the user exists.
    assert_eq!(
        stage
            .ask("identity", "POST /scim/v2/Users", "a", &user("E1", "one"))
            .await,
        (201, made)
    );
    assert_eq!(
        stage
            .ask("identity", "POST /scim/v2/Users", "b", &user("E1", "two"))
            .await
            .0,
        409
    );
    assert_eq!(
        stage
            .ask("identity", "POST /scim/v2/Users", "c", &user("E2", "one"))
            .await
            .0,
        409
    );
    let number = stage.user("E1").await.unwrap();
    let place = format!("DELETE /scim/v2/Users/{number}");
    stage.done("identity", &place, "d", &json!({})).await;
    assert_eq!(stage.user("E1").await, None);
}

#[tokio::test]
async fn a_run_that_does_not_tie_is_not_approved() {
    let stage = Stage::set(None).await;
    let run = stage.begin("payroll/ties");
    let told = stage.told(&run).await.remove(0);
    assert_eq!(
        (told.path.as_str(), &told.body["headcount"]),
        ("/in/payroll/runs", &json!(3))
    );
    let sheet = stage
        .done("payroll", &format!("GET /runs/{run}"), "", &Value::Null)
        .await;
    assert_eq!(
        sheet["hops"]["register"]["gross"],
        told.body["gross"]["amount"]
    );
    let group = sheet["pay_group"].as_str().unwrap();
    let workers = stage
        .done(
            "hr",
            &format!("GET /pay-groups/{group}/workers"),
            "",
            &Value::Null,
        )
        .await;
    assert_eq!(
        workers["workers"][0]["workerId"],
        sheet["lines"][0]["employee_id"]
    );
    assert_eq!(stage.ended(&run), Ended::Open);
    stage
        .done(
            "payroll",
            &format!("POST /runs/{run}/approve"),
            "a",
            &json!({}),
        )
        .await;
    assert_eq!(stage.ended(&run), Ended::AsSaid);
    assert_eq!(stage.told(&run).await[1].body["status"], "paid");
    for name in ["hash-off", "terminated-paid", "ach-off", "journal-off"] {
        let run = stage.begin(&format!("payroll/{name}"));
        assert_eq!(stage.ended(&run), Ended::AsSaid);
        stage
            .done(
                "payroll",
                &format!("POST /runs/{run}/approve"),
                name,
                &json!({}),
            )
            .await;
        assert_eq!(stage.ended(&run), Ended::Wrong, "{name}");
    }
    // A pay group that HR knows has runs that tie, whoever asks.
    let usual = stage
        .done("payroll", "GET /runs/BIWEEKLY-N:2026-24", "", &Value::Null)
        .await;
    assert_eq!(usual["hops"]["hr"]["hash"], "26");
}

#[tokio::test]
async fn payroll_takes_nobody_after_the_cutoff() {
    let stage = Stage::set(None).await;
    let id = stage.begin("cutoff-missed");
    let (status, answer) = stage
        .ask(
            "payroll",
            &format!("PUT /employees/{id}"),
            "a",
            &json!({ "pay_group": "BIWEEKLY-N" }),
        )
        .await;
    assert_eq!((status, &answer["code"]), (422, &json!("CUTOFF_MISSED")));
    stage.told(&id).await;
    assert_eq!(stage.ended(&id), Ended::AsSaid);
    assert!(
        stage
            .hospital
            .sent(&id)
            .iter()
            .all(|line| line.state == SentState::Accepted)
    );
}
