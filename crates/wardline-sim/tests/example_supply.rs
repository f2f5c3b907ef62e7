//! The example estate's maps between the simulated back office and itself: what suppliers, docks and shelves tell must be
//! what the entities say, and what the estate makes of an order must be taken.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "rehearsals/listener.rs"]
mod listener;

use listener::{Heard, Stage, scenario};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_mapping::{
    CodeTable, CodeTables, Environment, Input, Otherwise, Output, Program, Runtime, Schema,
    Subject, Zone, from_json_bytes, to_json_bytes,
};
use wardline_sim::{Group, Scenario};

const LIMIT: usize = 1 << 20;

fn estate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(estate().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn codes() -> Arc<CodeTables> {
    let mut tables = CodeTables::new();
    for name in ["legal-entity", "zone", "account", "unit-from-ubl"] {
        let table = CodeTable::from_csv(&read(&format!("codes/{name}.csv"))).unwrap();
        tables.insert(name, table.otherwise(Otherwise::Value("unknown".into())));
    }
    Arc::new(tables)
}

/// What a map makes of a document.
fn mapped(map: &str, document: &Value) -> Value {
    let environment = Environment {
        codes: codes(),
        zone: Some(Zone::named("America/Chicago").unwrap()),
        ..Environment::for_input(Input::Json)
    };
    let program = Program::compile(&read(&format!("maps/{map}.vrl")), &environment)
        .unwrap_or_else(|problems| panic!("{map}: {problems:#?}"));
    let subject = Subject::json(from_json_bytes(document.to_string().as_bytes()).unwrap());
    match program.run(&subject, &mut Runtime::default()).unwrap() {
        Output::Json(value) => {
            serde_json::from_slice(&to_json_bytes(&value, LIMIT).unwrap()).unwrap()
        }
        other => panic!("one JSON result expected, got {other:?}"),
    }
}

fn assert_valid(entity: &str, document: &Value) {
    let schema = Schema::parse(&read(&format!("entities/{entity}.schema.json"))).unwrap();
    let value = from_json_bytes(document.to_string().as_bytes()).unwrap();
    let wrong = schema.validate(&value);
    assert!(wrong.is_empty(), "{entity}: {wrong:#?} {document}");
}

/// What was told, as the entity that the estate's flows make of it.
fn assert_told(heard: &Heard) {
    let (entity, map) = match heard.path.as_str() {
        "/in/supplier-network/acknowledgements" => {
            ("order-acknowledgement", Some("network-to-acknowledgement"))
        }
        "/in/supplier-network/ship-notices" => {
            ("advance-ship-notice", Some("network-to-ship-notice"))
        }
        "/in/supplier-network/invoices" => ("supplier-invoice", Some("network-to-invoice")),
        "/in/erp-legacy/receipts" => ("goods-receipt", Some("erp-to-receipt")),
        "/in/erp-cloud/receipts" => ("goods-receipt", None),
        "/in/erp-cloud/requisitions" => ("requisition", None),
        "/in/inventory/transactions" => ("inventory-transaction", None),
        "/in/inventory/levels" => ("stock-level", None),
        "/in/inventory/recalls" => ("recall-notice", None),
        "/in/cmms/work-orders" => ("work-order", None),
        "/in/cmms/part-uses" => ("part-use", None),
        "/in/contracts/price-files" => ("contract-price-file", None),
        "/in/accounts-payable/payments" => ("payment", None),
        other => panic!("{other} is nobody's"),
    };
    match map {
        None => assert_valid(entity, &heard.body),
        Some(map) => assert_valid(entity, &mapped(map, &heard.body)),
    }
}

fn order(number: &str, facility: &str) -> Value {
    let money = |amount: &str| json!({ "amount": amount, "currency": "USD" });
    json!({
        "number": number, "legal_entity": if facility == "south" { "SBH-S" } else { "SBH-N" }, "facility": facility,
        "supplier_id": "SUP-1001", "type": "standard", "currency": "USD", "ordered_on": "2026-11-02", "need_by": "2026-11-12",
        "lines": [{ "line": "1", "item_id": "ITM-100", "supplier_item": "GLV-100", "quantity": { "value": "10", "unit": "BX" },
            "unit_price": money("50.00"), "cost_center": "CC-4100", "account": "650000" }],
        "total": money("500.00"), "status": "approved",
    })
}

#[tokio::test]
async fn what_suppliers_tell_is_what_the_entities_say() {
    let stage = Stage::set(None).await;
    for one in Scenario::of(Group::Supply) {
        for facility in ["north", "south"] {
            let number = format!("{}-{facility}", one.name);
            let number = &number[..number.len().min(22)];
            let canonical = order(number, facility);
            assert_valid("purchase-order", &canonical);
            stage.hospital.pick(number, one, false);
            let published = mapped("order-to-network", &canonical);
            stage
                .done("supplier-network", "POST /orders", number, &published)
                .await;
            let told = stage.told(number).await;
            assert_eq!(told.is_empty(), one.name == "silence");
            told.iter().for_each(assert_told);
        }
    }
}

/// One supplier sends X12, another UBL: the invoice is the same.
#[tokio::test]
async fn an_invoice_is_the_same_in_ubl() {
    let stage = Stage::set(None).await;
    for one in ["accept", "tax", "freight", "partial"] {
        let mut made = Vec::new();
        for (supplier, path, map) in [
            ("SUP-1001", "/invoices", "network-to-invoice"),
            ("SUP-1003", "/ubl-invoices", "ubl-to-invoice"),
        ] {
            let number = format!("{one}-{supplier}");
            stage
                .hospital
                .pick(&number, scenario(&format!("supply/{one}")), false);
            let mut canonical = order(&number, "north");
            canonical["supplier_id"] = json!(supplier);
            let published = mapped("order-to-network", &canonical);
            stage
                .done("supplier-network", "POST /orders", &number, &published)
                .await;
            let told = stage.told(&number).await;
            let told = told
                .iter()
                .find(|heard| heard.path.ends_with(path))
                .unwrap();
            let mut invoice = mapped(map, &told.body);
            assert_valid("supplier-invoice", &invoice);
            // What names the order, the supplier and the document itself is each one's own.
            for field in [
                "invoice_number",
                "supplier_id",
                "purchase_order",
                "document_hash",
            ] {
                invoice.as_object_mut().unwrap().remove(field).unwrap();
            }
            made.push(invoice);
        }
        assert_eq!(made[0], made[1], "{one}");
    }
}

#[tokio::test]
async fn what_is_asked_for_scanned_and_mended_is_what_the_entities_say() {
    let stage = Stage::set(None).await;
    let groups = [Group::Requisition, Group::Stock];
    for one in groups.into_iter().flat_map(Scenario::of) {
        let about = stage.begin(&one.to_string());
        let told = stage.told(&about).await;
        assert!(!told.is_empty(), "{one}");
        told.iter().for_each(assert_told);
    }
    let usage = stage.begin("usage");
    let scan = stage.told(&usage).await.remove(0);
    stage
        .done("inventory", "POST /transactions", "a", &scan.body)
        .await;
    let levels = stage.told("north/ITM-100").await;
    assert_eq!(levels.len(), 1);
    levels.iter().for_each(assert_told);
    let about = stage.begin(&scenario("supply/accept").to_string());
    stage.told(&about).await.iter().for_each(assert_told);
}

#[tokio::test]
async fn what_the_estate_makes_of_an_order_is_taken() {
    let stage = Stage::set(None).await;
    let north = order("PO-1", "north");
    let made = stage
        .done(
            "erp-legacy",
            "POST /purchase-orders",
            "a",
            &mapped("order-to-erp", &north),
        )
        .await;
    assert_valid(
        "purchase-order-reference",
        &mapped("erp-to-order-reference", &made),
    );
    let made = stage
        .done("erp-cloud", "POST /v2/orders", "b", &order("PO-2", "south"))
        .await;
    assert_valid("purchase-order-reference", &made);
    let published = mapped("order-to-network", &north);
    stage
        .done("supplier-network", "POST /orders", "c", &published)
        .await;
    let told = stage.told("PO-1").await;
    let by = |path: &str| told.iter().find(|heard| heard.path.contains(path)).unwrap();
    // What came in goes on to the ERP, and the invoice is paid.
    let receipt = mapped("erp-to-receipt", &by("receipts").body);
    let posted = stage
        .done(
            "erp-legacy",
            "POST /goods-movements",
            "d",
            &mapped("receipt-to-erp", &receipt),
        )
        .await;
    assert_valid(
        "document-reference",
        &mapped("erp-to-document-reference", &posted),
    );
    let invoice = mapped("network-to-invoice", &by("invoices").body);
    let posted = stage
        .done(
            "erp-legacy",
            "POST /invoices",
            "e",
            &mapped("invoice-to-erp", &invoice),
        )
        .await;
    assert_valid(
        "document-reference",
        &mapped("erp-to-document-reference", &posted),
    );
    let payment = mapped(
        "invoice-to-payment",
        &json!({ "invoice": invoice, "order": north }),
    );
    assert_valid("payment", &payment);
    stage
        .done("accounts-payable", "POST /payments", "f", &payment)
        .await;
    let remittance = mapped("payment-to-network", &payment);
    stage
        .done("supplier-network", "POST /remittances", "g", &remittance)
        .await;
    let id = payment["payment_id"].as_str().unwrap();
    stage.told(id).await.iter().for_each(assert_told);
    assert_eq!(stage.ended("PO-1"), wardline_sim::Ended::AsSaid);
}

#[tokio::test]
async fn what_the_systems_answer_is_what_the_entities_say() {
    let stage = Stage::set(None).await;
    let get = async |system: &str, path: &str| {
        stage
            .done(system, &format!("GET {path}"), "", &Value::Null)
            .await
    };
    for item in ["ITM-100", "ITM-200", "ITM-300", "ITM-400"] {
        assert_valid(
            "item",
            &get("erp-cloud", &format!("/v2/items/{item}")).await,
        );
        let material = get("erp-legacy", &format!("/materials/{item}")).await;
        assert_valid("item", &mapped("erp-to-item", &material));
    }
    for center in ["CC-4100", "CC-9999"] {
        assert_valid(
            "cost-center",
            &get("erp-cloud", &format!("/v2/cost-centers/{center}")).await,
        );
        let kostl = get("erp-legacy", &format!("/cost-centers/{center}")).await;
        assert_valid("cost-center", &mapped("erp-to-cost-center", &kostl));
    }
    assert_valid(
        "supplier",
        &get("erp-cloud", "/v2/suppliers/SUP-1001").await,
    );
    let vendor = get("erp-legacy", "/vendors/SUP-1001").await;
    assert_valid("supplier", &mapped("erp-to-supplier", &vendor));
    assert_valid(
        "stock-level",
        &get("inventory", "/facilities/south/items/ITM-300/stock").await,
    );
    assert_valid("asset", &get("cmms", "/assets/AST-1001").await);
    let price = get(
        "contracts",
        "/prices/ITM-300/suppliers/SUP-1003/facilities/south",
    )
    .await;
    assert_valid("contract-price", &price);
    let all = get("contracts", "/contracts/C-SUP-1001/prices").await;
    assert_eq!(all["prices"].as_array().unwrap().len(), 2);
}
