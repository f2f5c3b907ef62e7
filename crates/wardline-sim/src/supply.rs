//! Buying, keeping and mending: two ERPs, the supplier network, accounts payable, contracts, shelves, maintenance, and those
//! whom they ask.

mod bench;
mod contracts;
mod documents;
mod erp_cloud;
mod erp_legacy;
mod masters;
mod network;
mod newcomers;
mod outside;
mod payable;
mod script;
mod shelves;
mod ubl;
mod wishes;

pub(crate) use bench::CMMS;
pub(crate) use contracts::CONTRACTS;
pub(crate) use erp_cloud::{ERP_CLOUD_OFFICE, UNBALANCED, balances};
pub(crate) use erp_legacy::ERP_LEGACY_OFFICE;
pub(crate) use network::SUPPLIER_NETWORK;
pub(crate) use newcomers::begin_supplier;
pub(crate) use outside::{ANALYTICS, BANK_VERIFICATION, COMPLIANCE};
pub(crate) use payable::ACCOUNTS_PAYABLE;
pub(crate) use shelves::INVENTORY;
pub(crate) use wishes::{begin_requisition, begin_stock};

use serde_json::{Value, json};

/// Money as the canonical entities write it.
fn money(amount: crate::amount::Amount) -> Value {
    json!({ "amount": amount.to_string(), "currency": "USD" })
}

/// A quantity as the canonical entities write it.
fn quantity(value: crate::amount::Amount, unit: &str) -> Value {
    json!({ "value": value.plain(), "unit": unit })
}

/// Whose books a facility is in.
fn legal_entity(facility: &str) -> &'static str {
    if facility == "south" {
        "SBH-S"
    } else {
        "SBH-N"
    }
}
