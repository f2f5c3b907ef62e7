//! What both ERPs know from the beginning: items, cost centers, and what was agreed about prices.

use crate::office::Doc;
use serde_json::{Value, json};

/// What everything is asked for, ordered and used in these rehearsals.
pub(super) fn items() -> Vec<Value> {
    vec![
        json!({ "item_id": "ITM-100", "description": "Exam gloves", "status": "active", "category": "supplies", "base_unit": "EA",
            "units": [{ "unit": "BX", "factor": "100" }], "suppliers": [{ "supplier_id": "SUP-1001", "supplier_item": "GLV-100", "primary": true }],
            "facilities": ["north", "south"], "stocked": true, "criticality": "routine", "account": "650000", "tax_exempt": true }),
        json!({ "item_id": "ITM-200", "description": "Infusion pump battery", "status": "active", "category": "parts", "base_unit": "EA",
            "suppliers": [{ "supplier_id": "SUP-1001", "supplier_item": "BAT-7", "primary": true }],
            "facilities": ["north", "south"], "stocked": true, "tracked": ["lot"], "criticality": "life-support", "account": "651000", "tax_exempt": true }),
        json!({ "item_id": "ITM-300", "description": "Suture 3-0", "status": "active", "category": "surgical", "base_unit": "EA",
            "units": [{ "unit": "BX", "factor": "36" }], "suppliers": [{ "supplier_id": "SUP-1003", "supplier_item": "SUT-30", "primary": true }],
            "facilities": ["north", "south"], "stocked": true, "tracked": ["lot", "expiry"], "criticality": "essential", "account": "650000", "tax_exempt": true }),
        json!({ "item_id": "ITM-400", "description": "Drape, large", "status": "active", "category": "surgical", "base_unit": "EA",
            "suppliers": [{ "supplier_id": "SUP-1002", "supplier_item": "DRP-1", "primary": true }],
            "facilities": ["north", "south"], "stocked": false, "criticality": "routine", "account": "650000", "tax_exempt": true }),
        json!({ "item_id": "ITM-900", "description": "Mercury thermometer", "status": "inactive", "category": "supplies", "base_unit": "EA",
            "facilities": ["north"], "stocked": false, "criticality": "routine", "account": "650000", "tax_exempt": true }),
    ]
}

/// Cost centers of the north; the south has the same numbers in books of its own.
pub(super) fn cost_centers() -> Vec<Value> {
    let open = |code: &str, facility: &str, department: &str, owner: &str| {
        json!({ "cost_center": code, "legal_entity": super::legal_entity(facility), "facility": facility, "name": department,
            "owner": owner, "departments": [department], "from": "2020-01-01", "to": "9999-12-31", "status": "open" })
    };
    let mut closed = open("CC-9999", "north", "4W", "m.ortiz");
    closed["to"] = json!("2026-06-30");
    closed["status"] = json!("closed");
    vec![
        // Whoever fills a shelf pays for it until it is used: the central stores.
        open("CC-1100", "north", "STORES", "s.keane"),
        open("CC-1200", "south", "STORES", "s.keane"),
        open("CC-4100", "north", "4W", "m.ortiz"),
        open("CC-4200", "north", "ICU", "m.ortiz"),
        open("CC-7300", "north", "BIOMED", "j.falk"),
        closed,
    ]
}

/// A canonical item in the words of the ERP that is being replaced.
pub(super) fn material(item: &Value) -> Value {
    let units: Vec<Value> = item
        .list("/units")
        .iter()
        .map(|unit| json!({ "MEINH": unit.text("/unit"), "UMREZ": unit.text("/factor") }))
        .collect();
    let exempt = item["tax_exempt"] == json!(true);
    json!({
        "MATNR": item.text("/item_id"),
        "MAKTX": item.text("/description"),
        "STATUS": if item.text("/status") == "active" { "A" } else { "X" },
        "MEINS": item.text("/base_unit"),
        "MARM": units,
        "MATKL": item.text("/category"),
        "LIFNR": item.text("/suppliers/0/supplier_id"),
        "IDNLF": item.text("/suppliers/0/supplier_item"),
        "PLANTS": item["facilities"],
        "TAXM": if exempt { "0" } else { "1" },
    })
}

/// A canonical cost center in the words of the ERP that is being replaced.
pub(super) fn kostl(center: &Value) -> Value {
    json!({
        "KOSTL": center.text("/cost_center"),
        "BUKRS": center.text("/legal_entity"),
        "WERKS": center.text("/facility"),
        "DATAB": center.text("/from"),
        "DATBI": center.text("/to"),
        "VERAK": center.text("/owner"),
        "DEPTS": center["departments"],
    })
}

/// What was agreed: item, supplier, unit, price.
pub(super) const PRICES: [(&str, &str, &str, &str); 4] = [
    ("ITM-100", "SUP-1001", "BX", "50.00"),
    ("ITM-200", "SUP-1001", "EA", "120.00"),
    ("ITM-300", "SUP-1003", "BX", "90.00"),
    ("ITM-400", "SUP-1002", "EA", "14.50"),
];

#[cfg(test)]
mod tests {
    use super::{cost_centers, items, kostl, material};
    use serde_json::json;

    #[test]
    fn both_erps_say_the_same_in_their_own_words() {
        let gloves = material(&items()[0]);
        assert_eq!(gloves["MATNR"], json!("ITM-100"));
        assert_eq!(gloves["MARM"], json!([{ "MEINH": "BX", "UMREZ": "100" }]));
        assert_eq!(
            (&gloves["STATUS"], &gloves["IDNLF"]),
            (&json!("A"), &json!("GLV-100"))
        );
        let closed = cost_centers().pop().unwrap();
        assert_eq!(kostl(&closed)["DATBI"], json!("2026-06-30"));
    }
}
