//! What both ERPs know of orders, receipts and journals.

use super::listener::Stage;
use serde_json::{Value, json};

#[tokio::test]
async fn erps_know_orders_receipts_and_balanced_journals() {
    let stage = Stage::set(None).await;
    let item = stage
        .done("erp-legacy", "GET /materials/ITM-100", "", &Value::Null)
        .await;
    assert_eq!(item["MARM"][0]["UMREZ"], "100");
    let item = stage
        .done("erp-cloud", "GET /v2/items/ITM-100", "", &Value::Null)
        .await;
    assert_eq!(item["units"][0]["factor"], "100");
    assert_eq!(
        stage
            .ask("erp-cloud", "GET /v2/items/none", "", &Value::Null)
            .await
            .0,
        404
    );
    let new = json!({ "LIFNR": "SUP-1001", "WERKS": "north", "BUKRS": "SBH-N", "WAERS": "USD", "ITEMS": [{ "EBELP": "1" }] });
    let made = stage
        .done("erp-legacy", "POST /purchase-orders", "a", &new)
        .await;
    assert_eq!(made, json!({ "EBELN": "4500001", "STATUS": "OPEN" }));
    assert_eq!(
        stage
            .done("erp-legacy", "POST /purchase-orders", "a", &new)
            .await,
        made
    );
    let cancelled = stage
        .done(
            "erp-legacy",
            "POST /purchase-orders/4500001/cancel",
            "b",
            &json!({}),
        )
        .await;
    assert_eq!(cancelled["STATUS"], "CANCELLED");
    assert_eq!(
        stage
            .ask(
                "erp-legacy",
                "PUT /purchase-orders/4500001",
                "c",
                &json!({ "EBELN": "4500001", "ITEMS": [{}] })
            )
            .await
            .0,
        409
    );
    let journal = |credit: &str| json!({ "XBLNR": "JE-1", "BUKRS": "SBH-N", "LINES": [{ "SHKZG": "S", "WRBTR": "10.00" }, { "SHKZG": "H", "WRBTR": credit }] });
    assert_eq!(
        stage
            .ask("erp-legacy", "POST /journal-entries", "d", &journal("9.99"))
            .await
            .0,
        422
    );
    stage
        .done(
            "erp-legacy",
            "POST /journal-entries",
            "e",
            &journal("10.00"),
        )
        .await;
    let found = stage
        .done(
            "erp-legacy",
            "POST /vendors/search",
            "",
            &json!({ "NAME1": "NORTHWIND Inc" }),
        )
        .await;
    assert_eq!(found["VENDORS"][0]["VENDOR_NO"], "SUP-1001");
    let mut supplier = stage
        .done("erp-cloud", "GET /v2/suppliers/SUP-1003", "", &Value::Null)
        .await;
    supplier["status"] = json!("inactive");
    stage
        .done("erp-cloud", "PUT /v2/suppliers/SUP-1003", "f", &supplier)
        .await;
    let known = stage
        .done("erp-cloud", "GET /v2/suppliers/SUP-1003", "", &Value::Null)
        .await;
    assert_eq!(known["status"], "inactive");
}
