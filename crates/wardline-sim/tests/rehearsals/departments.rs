//! What departments tell, and the systems that only they have to do with.

use super::listener::Stage;
use serde_json::{Value, json};
use wardline_sim::{Ended, Group, Scenario};

#[tokio::test]
async fn a_case_of_patient_relations_ends_with_its_answer() {
    let stage = Stage::set(None).await;
    let case = stage.begin("departments/dispute");
    let told = stage.told(&case).await.remove(0);
    assert_eq!(told.path, "/in/crm/cases");
    assert_eq!(told.key, format!("evt_{case}"));
    assert_eq!(told.body["data"]["case"], json!(case));
    assert_eq!(stage.ended(&case), Ended::Open);
    let answer = json!({ "case": case, "state": "answered", "outcome": "explained" });
    let line = format!("PUT /cases/{case}");
    stage.done("crm", &line, "a", &answer).await;
    assert_eq!(stage.ended(&case), Ended::AsSaid);
}

#[tokio::test]
async fn what_is_charged_twice_is_wrong() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Departments) {
        let about = stage.begin(&one.to_string());
        let charge = match one.name {
            "video-visit" => format!("TEL-{about}"),
            "examination" | "examination-cancelled" => format!("IMG-{about}"),
            "result-cancelled" => format!("LAB-{about}/24323-8"),
            _ => continue,
        };
        let body = json!({ "charge_id": charge, "code": "1", "amount": { "amount": "5.00", "currency": "USD" } });
        stage
            .done("billing", "POST /charges", &format!("{charge}-1"), &body)
            .await;
        stage
            .done("billing", "POST /charges", &format!("{charge}-2"), &body)
            .await;
        assert_eq!(stage.ended(&about), Ended::Wrong, "{one}");
    }
}

#[tokio::test]
async fn nothing_is_indexed_that_is_not_there() {
    let stage = Stage::set(None).await;
    let line = json!({ "title": "Discharge summary", "mrn": "1", "location": "/contents/D1" });
    let index = "PUT /index/D1";
    assert_eq!(stage.ask("documents", index, "a", &line).await.0, 409);
    let content = |text: &str| json!({ "content": text, "media_type": "text/plain" });
    let store = "PUT /contents/D1";
    let (status, _) = stage.ask("documents", store, "b", &content("?")).await;
    assert_eq!(status, 422);
    let stored = stage
        .done("documents", store, "c", &content("aGVsbG8="))
        .await;
    assert_eq!(
        stored,
        json!({ "document_id": "D1", "size": 5, "location": "/contents/D1" })
    );
    stage.done("documents", index, "d", &line).await;
}

#[tokio::test]
async fn a_ticket_is_opened_once_and_resolved() {
    let stage = Stage::set(None).await;
    let ticket = json!({ "short_description": "billing: cannot be reached", "urgency": "1", "correlation_id": "down/billing/1" });
    let open = "POST /api/now/table/incident";
    let first = stage.done("itsm", open, "a", &ticket).await;
    assert_eq!(first["result"]["number"], "INC0010001");
    assert_eq!(stage.done("itsm", open, "a", &ticket).await, first);
    let id = first["result"]["sys_id"].as_str().unwrap();
    let resolved = json!({ "state": "6", "close_code": "Resolved by monitoring" });
    let resolve = |id: &str| format!("PUT /api/now/table/incident/{id}");
    let (status, _) = stage.ask("itsm", &resolve("nobody"), "b", &resolved).await;
    assert_eq!(status, 404);
    let end = stage.done("itsm", &resolve(id), "c", &resolved).await;
    assert_eq!(end["result"]["state"], "6");
    let items = stage
        .done("erp-cloud", "GET /v2/items", "", &Value::Null)
        .await;
    assert!(items["items"].as_array().unwrap().len() > 2);
}
