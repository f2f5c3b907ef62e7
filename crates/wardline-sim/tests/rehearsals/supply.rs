//! Orders and what suppliers make of them.

use super::listener::{Heard, Stage, ask, scenario};
use serde_json::{Value, json};
use wardline_sim::{Ended, Fault, Group, Scenario, SentState};

/// An 850 for ten boxes at 50.00.
fn order(number: &str, facility: &str) -> Value {
    json!({
        "document": "850", "control": format!("{number}-0"), "BEG": { "purpose": "00", "type": "SA", "number": number, "date": "2026-11-02" },
        "CUR": "USD", "SU": "SUP-1001", "ST": facility, "BY": if facility == "south" { "SBH-S" } else { "SBH-N" },
        "PO1": [{ "line": "1", "quantity": "10", "unit": "BX", "price": "50.00", "VN": "GLV-100", "IN": "ITM-100" }], "CTT": 1,
    })
}

fn payment(id: &str, order: &str, amount: &str) -> Value {
    let money = json!({ "amount": amount, "currency": "USD" });
    json!({
        "payment_id": id, "legal_entity": "SBH-N", "facility": "north", "supplier_id": "SUP-1001", "purchase_order": order, "amount": money,
        "remittance": [{ "invoice_number": "INV-1", "gross": money, "paid": money }], "status": "approved",
    })
}

impl Stage {
    /// Publishes an order for which this was picked.
    async fn publish(&self, name: &str, number: &str) -> Vec<Heard> {
        self.hospital
            .pick(number, scenario(&format!("supply/{name}")), false);
        let answer = self
            .done(
                "supplier-network",
                "POST /orders",
                number,
                &order(number, "north"),
            )
            .await;
        assert_eq!(answer["status"], "A");
        self.told(number).await
    }
}

fn documents(told: &[Heard]) -> Vec<&str> {
    let name = |heard: &&Heard| heard.path.contains("receipts");
    told.iter()
        .map(|heard| {
            if name(&heard) {
                "GR"
            } else {
                heard.body["document"].as_str().unwrap()
            }
        })
        .collect()
}

#[tokio::test]
async fn suppliers_answer_as_their_scenario_says() {
    let stage = Stage::set(None).await;
    let whole: &[&str] = &["855", "856", "GR", "810"];
    let twice: &[&str] = &["855", "856", "GR", "810", "856", "GR", "810"];
    for (name, expected) in [
        ("accept", whole),
        ("backorder", twice),
        ("price-change", whole),
        ("substitute", whole),
        ("unit-error", whole),
        ("partial", twice),
        ("over-shipment", whole),
        ("tax", whole),
        ("freight", whole),
        ("reject", &["855"]),
        ("silence", &[]),
        ("duplicate-invoice", &["855", "856", "GR", "810", "810"]),
        ("invoice-first", &["855", "810", "856", "GR"]),
        ("price-up", whole),
        ("credit", &["855", "856", "GR", "810", "810"]),
        ("shipped-already", whole),
    ] {
        let told = stage.publish(name, &format!("PO-{name}")).await;
        assert_eq!(documents(&told), expected, "{name}");
    }
    // Nothing is forgotten: every scenario of the group was here.
    assert_eq!(
        stage.hospital.rehearsal().cases.len(),
        Scenario::of(Group::Supply).count()
    );
}

#[tokio::test]
async fn the_south_has_receipts_in_other_words() {
    let stage = Stage::set(None).await;
    stage
        .done(
            "supplier-network",
            "POST /orders",
            "k",
            &order("PO-S", "south"),
        )
        .await;
    let told = stage.told("PO-S").await;
    let receipt = told
        .iter()
        .find(|heard| heard.path == "/in/erp-cloud/receipts")
        .unwrap();
    assert_eq!(
        receipt.body["lines"][0]["quantity"],
        json!({ "value": "10", "unit": "BX" })
    );
    assert_eq!(receipt.body["legal_entity"], "SBH-S");
}

#[tokio::test]
async fn an_order_is_well_once_it_is_paid_once() {
    let stage = Stage::set(None).await;
    let number = "4500012";
    stage.publish("accept", number).await;
    assert_eq!(stage.ended(number), Ended::Open);
    let pay = payment("PAY-1", number, "500.00");
    stage
        .done("accounts-payable", "POST /payments", "a", &pay)
        .await;
    assert_eq!(stage.ended(number), Ended::AsSaid);
    // The same payment under another key: the answer again, and no money.
    let again = stage
        .done("accounts-payable", "POST /payments", "b", &pay)
        .await;
    assert_eq!(again["payment_id"], "PAY-1");
    assert_eq!(stage.ended(number), Ended::AsSaid);
    let other = payment("PAY-1", number, "1.00");
    assert_eq!(
        stage
            .ask("accounts-payable", "POST /payments", "c", &other)
            .await
            .0,
        409
    );
    let told = stage.told("PAY-1").await;
    assert_eq!(
        (told.len(), &told[0].body["status"]),
        (1, &json!("settled"))
    );
    let known = stage
        .done(
            "accounts-payable",
            "GET /suppliers/SUP-1001/invoices",
            "",
            &Value::Null,
        )
        .await;
    assert_eq!(known["invoices"][0]["amount"], "500.00");
    // Paid twice under two numbers is what must never be.
    stage
        .done(
            "accounts-payable",
            "POST /payments",
            "d",
            &payment("PAY-2", number, "500.00"),
        )
        .await;
    assert_eq!(stage.ended(number), Ended::Wrong);
}

#[tokio::test]
async fn nothing_may_be_paid_for_what_was_refused() {
    let stage = Stage::set(None).await;
    stage.publish("reject", "PO-R").await;
    assert_eq!(stage.ended("PO-R"), Ended::AsSaid);
    stage
        .done(
            "accounts-payable",
            "POST /payments",
            "a",
            &payment("PAY-1", "PO-R", "0.01"),
        )
        .await;
    assert_eq!(stage.ended("PO-R"), Ended::Wrong);
}

#[tokio::test]
async fn the_same_request_again_has_one_effect() {
    let stage = Stage::set(None).await;
    let network = stage.system("supplier-network");
    network.set_fault(Fault::lost_replies(1.0)).unwrap();
    let body = order("PO-L", "north");
    assert_eq!(
        ask(network.address(), "POST /orders", "k", &body).await,
        None
    );
    network.heal();
    let first = stage
        .done("supplier-network", "POST /orders", "k", &body)
        .await;
    assert_eq!(first["status"], "A");
    // Another key for the same document, and another document for the same number.
    stage
        .done("supplier-network", "POST /orders", "l", &body)
        .await;
    let mut other = body.clone();
    other["control"] = json!("PO-L-9");
    assert_eq!(
        stage
            .ask("supplier-network", "POST /orders", "m", &other)
            .await
            .0,
        409
    );
    assert_eq!(
        stage
            .ask(
                "supplier-network",
                "POST /orders",
                "k",
                &order("PO-M", "north")
            )
            .await
            .0,
        409
    );
    let report = network.report();
    assert_eq!(
        (report.applied, report.repeated, report.lost_replies),
        (1, 1, 1)
    );
    assert_eq!(stage.told("PO-L").await.len(), 4);
}

#[tokio::test]
async fn a_cancellation_stops_what_is_not_on_its_way() {
    let stage = Stage::set(None).await;
    stage
        .hospital
        .pick_for_all(scenario("supply/partial"), false);
    stage
        .done(
            "supplier-network",
            "POST /orders",
            "a",
            &order("PO-C", "north"),
        )
        .await;
    let cancel = |number: &str| json!({ "document": "860", "BCH": { "purpose": "01", "number": number }, "reason": "no" });
    stage
        .done(
            "supplier-network",
            "POST /cancellations",
            "b",
            &cancel("PO-C"),
        )
        .await;
    stage.told("PO-C").await;
    let sent = stage.hospital.sent("PO-C");
    assert!(sent.iter().any(|line| line.state == SentState::Withdrawn));
    // Too late: it is said so, and everything comes.
    stage
        .hospital
        .pick("PO-D", scenario("shipped-already"), false);
    stage
        .done(
            "supplier-network",
            "POST /orders",
            "c",
            &order("PO-D", "north"),
        )
        .await;
    stage
        .done(
            "supplier-network",
            "POST /cancellations",
            "d",
            &cancel("PO-D"),
        )
        .await;
    let told = stage.told("PO-D").await;
    let late = told
        .iter()
        .find(|heard| heard.body["document"] == "865")
        .unwrap();
    assert_eq!(late.body["BAK"]["type"], "RD");
    assert_eq!(told.len(), 5);
}

#[tokio::test]
async fn what_is_not_taken_is_told_again_and_in_its_order() {
    let stage = Stage::failing(None, 2).await;
    let told = stage.publish("accept", "PO-F").await;
    assert_eq!(documents(&told), ["855", "856", "GR", "810"]);
    let sent = stage.hospital.sent("PO-F");
    assert_eq!(sent.iter().map(|line| line.attempts).sum::<u32>(), 6);
    assert_eq!(stage.hospital.rehearsal().sent.accepted, 4);
}

#[tokio::test]
async fn shuffled_documents_come_in_the_order_of_the_seed() {
    let mut orders = Vec::new();
    for _ in 0..2 {
        let stage = Stage::set(None).await;
        stage
            .hospital
            .pick("PO-X", scenario("supply/backorder"), true);
        stage
            .done(
                "supplier-network",
                "POST /orders",
                "a",
                &order("PO-X", "north"),
            )
            .await;
        let told = stage.told("PO-X").await;
        let keys: Vec<String> = told.into_iter().map(|heard| heard.key).collect();
        orders.push(keys);
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], {
        let mut sorted = orders[0].clone();
        sorted.sort();
        sorted
    });
}

#[tokio::test]
async fn a_requisition_carries_its_scenario_to_its_order() {
    let stage = Stage::set(None).await;
    let about = stage.begin("supply/reject");
    let told = stage.told(&about).await;
    assert_eq!(told[0].path, "/in/erp-cloud/requisitions");
    assert_eq!(told[0].body["requisition_number"], json!(about));
    assert_eq!(stage.ended(&about), Ended::Open);
    let number = format!("PO-{about}-1");
    assert!(number.len() <= 22, "{number}");
    stage
        .done(
            "supplier-network",
            "POST /orders",
            "a",
            &order(&number, "north"),
        )
        .await;
    assert_eq!(documents(&stage.told(&number).await), ["855"]);
    assert_eq!(stage.ended(&about), Ended::AsSaid);
    // What may not be ordered must not come.
    let closed = stage.begin("closed-cost-center");
    assert_eq!(
        stage.told(&closed).await[0].body["lines"][0]["cost_center"],
        "CC-9999"
    );
    assert_eq!(stage.ended(&closed), Ended::AsSaid);
    stage
        .done(
            "supplier-network",
            "POST /orders",
            "b",
            &order(&format!("PO-{closed}-1"), "north"),
        )
        .await;
    assert_eq!(stage.ended(&closed), Ended::Wrong);
}
