//! Claims and what payers make of them; the charges of a day.

use super::listener::{Stage, ask};
use serde_json::{Value, json};
use wardline_sim::{Ended, Group, Rehearse, Remote, Scenario};

fn submitted(claim: &str) -> Value {
    json!({ "document": "837I", "CLM": { "01": claim, "02": "1000.00", "05": "11:A:1" }, "payer": "HRT02", "account": "ACC-77", "facility": "north" })
}

fn remittance(trace: &str) -> Value {
    json!({ "trace": trace, "payer": "HRT02", "facility": "north", "claims": [{ "claim": "C", "paid": "600.00" }] })
}

#[tokio::test]
async fn payers_answer_as_the_scenario_says() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Claims) {
        let claim = stage.begin(&one.to_string());
        assert_eq!(stage.told(&claim).await[0].path, "/in/billing/claims");
        assert_eq!(stage.ended(&claim), Ended::Open);
        stage
            .done("clearinghouse", "POST /claims", &claim, &submitted(&claim))
            .await;
        let told = stage.told(&claim).await;
        let paths: Vec<&str> = told[1..]
            .iter()
            .map(|heard| heard.path.rsplit('/').next().unwrap())
            .collect();
        let (ack, remit, credit) = ("acknowledgements", "remittances", "credits");
        let expected: &[&str] = match one.name {
            "no-999" => &[],
            "rejected-277" | "silence" => &[ack, ack],
            "eft-missing" => &[ack, ack, remit],
            "eft-first" => &[ack, ack, credit, remit],
            "eft-without-835" => &[ack, ack, credit],
            "take-back" => &[ack, ack, remit, credit, remit],
            _ => &[ack, ack, remit, credit],
        };
        assert_eq!(paths, expected, "{one}");
        // Whoever is paid is well once that is posted; nobody else may be.
        let pays = matches!(one.name, "pays" | "eft-first" | "take-back");
        assert_eq!(stage.ended(&claim) == Ended::Open, pays, "{one}");
        let trace = format!("835-{claim}-1");
        stage
            .done("billing", "POST /remittances", &trace, &remittance(&trace))
            .await;
        if one.name == "take-back" {
            let back = format!("835-{claim}-2");
            stage
                .done("billing", "POST /remittances", &back, &remittance(&back))
                .await;
        }
        let never = matches!(
            one.name,
            "no-999" | "rejected-277" | "silence" | "eft-without-835"
        );
        let expected = if never { Ended::Wrong } else { Ended::AsSaid };
        assert_eq!(stage.ended(&claim), expected, "{one}");
        stage
            .done(
                "billing",
                "POST /remittances",
                &format!("{trace}-again"),
                &remittance(&trace),
            )
            .await;
        assert_eq!(stage.ended(&claim), Ended::Wrong, "{one}: posted twice");
    }
}

#[tokio::test]
async fn a_day_has_two_sides_and_the_difference_of_its_scenario() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Charges) {
        let about = stage.begin(&one.to_string());
        let told = stage.told(&about).await.remove(0);
        let day = told.body["day"].as_str().unwrap();
        let at = |path: &str| format!("GET /days/north/{day}{path}");
        let captured = stage
            .done("charge-capture", &at(""), "", &Value::Null)
            .await;
        let posted = stage
            .done("billing", &at("/postings"), "", &Value::Null)
            .await;
        let counts = [
            &captured["events"],
            &captured["charges"],
            &posted["postings"],
        ]
        .map(|list| list.as_array().unwrap().len());
        let more = |place: usize| counts[place] as i64 - counts[1] as i64;
        let expected = match one.name {
            "missing" => (1, 0),
            "not-posted" => (0, -1),
            "duplicate" | "orphan-reversal" | "unexpected" => (0, 1),
            _ => (0, 0),
        };
        assert_eq!((more(0), more(2)), expected, "{one}");
        // Both sides say the same whenever they are asked.
        assert_eq!(
            stage
                .done("billing", &at("/postings"), "", &Value::Null)
                .await,
            posted
        );
    }
}

#[tokio::test]
async fn the_ledger_takes_only_what_balances() {
    let stage = Stage::set(None).await;
    let journal = |credit: &str| json!({ "journal_number": "JE-1", "legal_entity": "SBH-N", "lines": [{ "side": "debit", "amount": "5.00" }, { "side": "credit", "amount": credit }] });
    assert_eq!(
        stage
            .ask("general-ledger", "POST /journals", "a", &journal("4.00"))
            .await
            .0,
        422
    );
    stage
        .done("general-ledger", "POST /journals", "a", &journal("5.00"))
        .await;
    let hold = json!({ "account": "ACC-1", "visit": "V-1", "generation": 2 });
    stage
        .done("billing", "PUT /accounts/ACC-1/bill-hold", "b", &hold)
        .await;
    let bill = stage
        .done("billing", "POST /accounts/ACC-1/final-bill", "c", &hold)
        .await;
    assert_eq!(
        bill,
        json!({ "account": "ACC-1", "state": "final", "bill": "B-ACC-1-2" })
    );
}

#[tokio::test]
async fn the_admin_listener_rehearses_too() {
    let stage = Stage::set(None).await;
    let at = stage.hospital.admin();
    let remote = Remote::at(&format!("http://{at}"));
    let begun = remote
        .begin(&Rehearse {
            count: 3,
            ..Rehearse::one(Scenario::named("claims/pays").unwrap())
        })
        .await
        .unwrap();
    assert_eq!(begun["about"].as_array().unwrap().len(), 3);
    remote
        .pick(Scenario::named("tax").unwrap(), Some("PO-1"), false)
        .await
        .unwrap();
    remote.mix(Group::Supply).await.unwrap();
    let report = remote.report().await.unwrap();
    assert_eq!(report["cases"][0]["scenario"], "claims/pays");
    assert_eq!(report["cases"][0]["ended"], "open");
    // What makes no sense is refused, with words.
    for body in [
        json!({ "scenario": "silence" }),
        json!({ "scenario": "tax", "count": 0 }),
        json!({ "scenario": "tax", "facility": "moon" }),
    ] {
        let (status, answer) = ask(at, "POST /_rehearsal/run", "", &body).await.unwrap();
        assert_eq!(status, 422);
        assert!(answer["title"].as_str().unwrap().len() > 10);
    }
    let (_, all) = ask(at, "GET /_rehearsal/scenarios", "", &Value::Null)
        .await
        .unwrap();
    assert_eq!(all.as_array().unwrap().len(), Scenario::ALL.len());
    let nobody = Remote::at("http://127.0.0.1:1").report().await.unwrap_err();
    assert!(nobody.to_string().contains("wardline-sim serve"));
}
