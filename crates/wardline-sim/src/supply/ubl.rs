//! The same invoice as UBL 2.3 in JSON: one supplier sends it so, and what comes out must be the same.
//!
//! Every element is a list there and its value stands under `_`; units are of UN/ECE Recommendation 20 and 21.

use super::documents::{Bill, Order};
use crate::amount::Amount;
use crate::dates;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The supplier that sends UBL.
pub(super) const SENDER: &str = "SUP-1003";

fn one(value: impl Into<Value>) -> Value {
    json!([{ "_": value.into() }])
}

fn money(amount: Amount, currency: &str) -> Value {
    json!([{ "_": amount.to_string(), "currencyID": currency }])
}

/// Recommendation 21 marks packages with an X.
fn unit(unit: &str) -> String {
    match unit {
        "BX" => "XBX".to_owned(),
        "CA" => "XCS".to_owned(),
        "PK" => "XPK".to_owned(),
        other => other.to_owned(),
    }
}

/// A UBL invoice. Credits have a document of their own in UBL and are sent as an 810.
pub(super) fn invoice(order: &Order, at: Timestamp, bill: &Bill) -> Value {
    let currency = order.currency.as_str();
    let lines: Vec<Value> = bill
        .parts
        .iter()
        .map(|part| {
            let line = &part.line;
            let extended = part.quantity.times(line.price).to_cents();
            json!({
                "ID": one(line.number.as_str()),
                "InvoicedQuantity": [{ "_": part.quantity.plain(), "unitCode": unit(&line.unit) }],
                "LineExtensionAmount": money(extended, currency),
                "OrderLineReference": [{ "LineID": one(line.number.as_str()) }],
                "Item": [{
                    "SellersItemIdentification": [{ "ID": one(line.catalog.as_str()) }],
                    "BuyersItemIdentification": [{ "ID": one(line.item.as_str()) }],
                }],
                "Price": [{ "PriceAmount": money(line.price, currency) }],
            })
        })
        .collect();
    let mut invoice = json!({
        "ID": one(bill.number.as_str()),
        "IssueDate": one(dates::day(at, 0).to_string()),
        "DueDate": one(dates::day(at, 30).to_string()),
        "DocumentCurrencyCode": one(currency),
        "OrderReference": [{ "ID": one(order.number.as_str()) }],
        "AccountingSupplierParty": [{ "CustomerAssignedAccountID": one(order.supplier.as_str()) }],
        "Delivery": [{ "DeliveryLocation": [{ "ID": one(order.facility.as_str()) }] }],
        "LegalMonetaryTotal": [{ "PayableAmount": money(bill.total(), currency) }],
        "InvoiceLine": lines,
    });
    if bill.tax > Amount::ZERO {
        invoice["TaxTotal"] = json!([{ "TaxAmount": money(bill.tax, currency) }]);
    }
    if bill.freight > Amount::ZERO {
        invoice["AllowanceCharge"] = json!([{
            "ChargeIndicator": one(true), "AllowanceChargeReasonCode": one("FC"), "Amount": money(bill.freight, currency),
        }]);
    }
    json!({ "Invoice": [invoice] })
}
