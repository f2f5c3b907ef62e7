//! Shelves, devices, prices, and those whom others ask.

use super::listener::Stage;
use serde_json::{Value, json};
use wardline_sim::Ended;

#[tokio::test]
async fn a_scan_is_counted_once() {
    let stage = Stage::set(None).await;
    let about = stage.begin("duplicate-scan");
    let told = stage.told(&about).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].body, told[1].body);
    assert_ne!(told[0].key, told[1].key);
    // Inventory knows it already. Whoever posts it there once more counts it twice.
    assert_eq!(stage.ended(&about), Ended::AsSaid);
    let stock = "GET /facilities/north/items/ITM-100/stock";
    for (key, heard) in [("a", &told[0]), ("b", &told[1])] {
        stage
            .done("inventory", "POST /transactions", key, &heard.body)
            .await;
    }
    let level = stage.done("inventory", stock, "", &Value::Null).await;
    assert_eq!(level["on_hand"], "397");
    let levels = stage.told("north/ITM-100").await;
    assert_eq!(
        (levels.len(), &levels[0].body["on_hand"]),
        (1, &json!("397"))
    );
    let box_back = json!({ "transaction_id": "T-9", "facility": "north", "type": "receipt", "item_id": "ITM-100", "quantity": { "value": "2", "unit": "BX" } });
    let answer = stage
        .done("inventory", "POST /transactions", "c", &box_back)
        .await;
    assert_eq!(answer["on_hand"], json!({ "value": "597", "unit": "EA" }));
    assert_eq!(stage.ended(&about), Ended::Wrong);
}

#[tokio::test]
async fn a_recall_ends_when_the_lot_is_quarantined() {
    let stage = Stage::set(None).await;
    let about = stage.begin("recall");
    let notice = stage.told(&about).await.remove(0);
    let found = stage
        .done(
            "inventory",
            "POST /lots/search",
            "",
            &json!({ "item_id": notice.body["item_id"], "lots": notice.body["lots"] }),
        )
        .await;
    assert_eq!(found["positions"].as_array().unwrap().len(), 2);
    assert_eq!(stage.ended(&about), Ended::Open);
    let hold = json!({ "item_id": "ITM-300", "lot": "LOT-A", "facility": "north", "location": "MAIN", "recall_id": about });
    let held = stage
        .done("inventory", "POST /lots/quarantine", "a", &hold)
        .await;
    assert_eq!(held["quantity"], json!({ "value": "72", "unit": "EA" }));
    assert_eq!(stage.ended(&about), Ended::AsSaid);
}

#[tokio::test]
async fn a_device_keeps_what_was_built_into_it() {
    let stage = Stage::set(None).await;
    let about = stage.begin("part-reversed");
    let told = stage.told(&about).await;
    let paths: Vec<&str> = told
        .iter()
        .map(|heard| heard.path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "work-orders",
            "work-orders",
            "part-uses",
            "part-uses",
            "work-orders",
            "work-orders"
        ]
    );
    assert_eq!(told[3].body["reversal_of"], told[2].body["part_use_id"]);
    let line = json!({ "work_order_number": about, "asset_tag": "AST-1001", "item_id": "ITM-200" });
    for (key, kind) in [("0", "issue"), ("1", "return")] {
        assert_eq!(stage.ended(&about), Ended::Open);
        stage
            .done("cmms", "POST /assets/AST-1001/history", key, &line)
            .await;
        let moved = json!({ "transaction_id": format!("CMMS/{about}/1/{key}"), "facility": "north", "type": kind, "item_id": "ITM-200",
            "quantity": { "value": "1", "unit": "EA" } });
        stage
            .done("inventory", "POST /transactions", key, &moved)
            .await;
        let lines = json!([{ "SAKTO": "655000", "KOSTL": "CC-4200", "SHKZG": "S", "WRBTR": "120.00" }, { "SAKTO": "140000", "SHKZG": "H", "WRBTR": "120.00" }]);
        let cost =
            json!({ "XBLNR": format!("JE-{about}-1-{key}"), "BUKRS": "SBH-N", "LINES": lines });
        stage
            .done("erp-legacy", "POST /journal-entries", key, &cost)
            .await;
    }
    assert_eq!(stage.ended(&about), Ended::AsSaid);
}

#[tokio::test]
async fn prices_screenings_and_accounts_are_answered() {
    let stage = Stage::set(None).await;
    let price = stage
        .done(
            "contracts",
            "GET /prices/ITM-100/suppliers/SUP-1001/facilities/south",
            "",
            &Value::Null,
        )
        .await;
    assert_eq!(
        (&price["price"]["amount"], &price["facility"]),
        (&json!("50.00"), &json!("south"))
    );
    assert_eq!(
        stage
            .ask(
                "contracts",
                "GET /prices/ITM-100/suppliers/SUP-1003/facilities/south",
                "",
                &Value::Null
            )
            .await
            .0,
        404
    );
    let about = stage.begin("price-file");
    assert_eq!(
        stage.told(&about).await[0].body["prices"][0]["price"]["amount"],
        "51.00"
    );
    stage
        .done(
            "contracts",
            "POST /price-acknowledgements",
            "a",
            &json!({ "file_id": about, "accepted": 2, "refused": 0 }),
        )
        .await;
    assert_eq!(stage.ended(&about), Ended::AsSaid);
    let screen = |name: &str| json!({ "request_id": "R-1", "name": name, "tax_id": "36-1" });
    let hit = stage
        .done(
            "compliance",
            "POST /screenings",
            "b",
            &screen("Excluded Goods Ltd"),
        )
        .await;
    assert_eq!(hit["result"], "hit");
    let verify = json!({ "reference": "B-1", "routing_number": "021000021", "account_number": "000123456789", "name": "Acme" });
    let answer = stage
        .done("bank-verification", "POST /verifications", "c", &verify)
        .await;
    assert_eq!(answer["result"], "mismatch");
    stage
        .done(
            "analytics",
            "POST /facts",
            "d",
            &json!({ "fact": "purchase-line" }),
        )
        .await;
    assert_eq!(
        stage
            .ask("analytics", "POST /facts", "e", &json!({}))
            .await
            .0,
        422
    );
}
