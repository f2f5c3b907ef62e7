//! The two ERPs of the example estate: one that is being replaced and has words of its own, and
//! one in the cloud that speaks the canonical ones.
//!
//! Unlike the other systems they are asked for something and have to remember it: suppliers live
//! in memory, a number is taken once, and a create that comes again with its idempotency key gets
//! the first answer again.

use super::Desk;
use super::door::Connection;
use super::http::{fault_routes, suffer};
use super::operation::{Field, Shape, optional, problems, required};
use crate::fault::Fate;
use crate::ledger::{Effect, Outcome};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Json, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Suppliers that one ERP remembers; it takes no more.
const SUPPLIERS: usize = 10_000;
const BODY_LIMIT: usize = 64 * 1024;

/// How one ERP speaks.
pub(crate) struct Dialect {
    pub(crate) system: &'static str,
    /// Where suppliers are: `GET PATH/NUMBER`, `POST PATH`.
    path: &'static str,
    /// The field that holds a supplier's number.
    number: &'static str,
    fields: &'static [Field],
    create: &'static str,
    update: &'static str,
    /// Where name, tax number and the list of a search are.
    name: &'static str,
    tax: &'static str,
    list: &'static str,
    /// How it says no.
    refuse: fn(StatusCode, &str, &[String]) -> Response,
    /// Whom it knows from the beginning.
    first: fn() -> Value,
}

/// The ERP that is being replaced.
pub(crate) const ERP_LEGACY: Dialect = Dialect {
    system: "erp-legacy",
    path: "/vendors",
    number: "VENDOR_NO",
    fields: &[
        required("VENDOR_NO", Shape::Text),
        required("NAME1", Shape::Text),
        required("STATUS", Shape::Word(&["A", "B", "X"])),
        optional("ZTERM", Shape::Note(20)),
        optional("STCD1", Shape::Note(20)),
        optional("BANKN", Shape::Note(34)),
        optional("BANKL", Shape::Note(12)),
        optional("SMTP_ADDR", Shape::Note(254)),
        optional("TELF1", Shape::Note(30)),
    ],
    create: "create-vendor",
    update: "update-vendor",
    name: "NAME1",
    tax: "STCD1",
    list: "VENDORS",
    refuse: legacy_refusal,
    first: || {
        json!([
            { "VENDOR_NO": "V-100", "NAME1": "Acme Medical", "STATUS": "A", "ZTERM": "N30", "STCD1": "12-3456789",
              "BANKN": "DE00123456784711", "BANKL": "021000021", "SMTP_ADDR": "orders@acme.example", "TELF1": "555-0100", "LAND1": "US" },
            { "VENDOR_NO": "V-200", "NAME1": "Borealis Surgical", "STATUS": "B", "ZTERM": "N45", "STCD1": "98-7654321",
              "BANKN": "DE00987654321122", "BANKL": "021000021", "LAND1": "CA" },
            { "VENDOR_NO": "V-300", "NAME1": "Cedar Linen", "STATUS": "X", "ZTERM": "N60", "LAND1": "US" },
            { "VENDOR_NO": "SUP-1001", "NAME1": "Northwind Medical Supply", "STATUS": "A", "ZTERM": "N30", "STCD1": "36-1111111",
              "BANKN": "000123456781", "BANKL": "021000021", "SMTP_ADDR": "orders@northwind.example", "TELF1": "555-0141", "LAND1": "US" },
            { "VENDOR_NO": "SUP-1002", "NAME1": "Harbor Textiles", "STATUS": "B", "ZTERM": "N30", "STCD1": "36-2222222", "LAND1": "US" },
            { "VENDOR_NO": "SUP-1003", "NAME1": "Lakeside Surgical", "STATUS": "A", "ZTERM": "N45", "STCD1": "36-3333333",
              "BANKN": "000123456783", "BANKL": "021000021", "LAND1": "US" }
        ])
    },
};

/// Its own words, in its own shape, as such systems do.
pub(crate) fn legacy_refusal(status: StatusCode, text: &str, details: &[String]) -> Response {
    let body = json!({ "MSGTY": "E", "MSGNO": status.as_u16(), "TEXT": text, "DETAILS": details });
    (status, Json(body)).into_response()
}

/// The ERP that takes over. It still has the old payment terms of one supplier: what the shadow finds.
pub(crate) const ERP_CLOUD: Dialect = Dialect {
    system: "erp-cloud",
    path: "/v2/suppliers",
    number: "supplier_id",
    fields: &[
        required("supplier_id", Shape::Text),
        required("name", Shape::Text),
        required(
            "status",
            Shape::Word(&["requested", "approved", "active", "blocked", "inactive"]),
        ),
        optional("payment_terms", Shape::Note(20)),
        optional("tax_id", Shape::Note(20)),
        optional(
            "bank",
            Shape::Fields(&[
                optional("account_number", Shape::Note(34)),
                optional("routing_number", Shape::Note(12)),
                optional("verified_at", Shape::Instant),
            ]),
        ),
        optional(
            "contact",
            Shape::Fields(&[
                optional("email", Shape::Note(254)),
                optional("phone", Shape::Note(30)),
            ]),
        ),
    ],
    create: "create-supplier",
    update: "update-supplier",
    name: "name",
    tax: "tax_id",
    list: "suppliers",
    refuse: super::http::problem,
    first: || {
        json!([
            { "supplier_id": "V-100", "name": "Acme Medical", "status": "active", "payment_terms": "N30", "tax_id": "12-3456789",
              "bank": { "account_number": "DE00123456784711", "routing_number": "021000021" },
              "contact": { "email": "orders@acme.example", "phone": "555-0100" } },
            { "supplier_id": "V-200", "name": "Borealis Surgical", "status": "blocked", "payment_terms": "N45", "tax_id": "98-7654321",
              "bank": { "account_number": "DE00987654321122", "routing_number": "021000021" } },
            { "supplier_id": "V-300", "name": "Cedar Linen", "status": "inactive", "payment_terms": "N30" },
            { "supplier_id": "SUP-1001", "name": "Northwind Medical Supply", "status": "active", "payment_terms": "N30", "tax_id": "36-1111111",
              "bank": { "account_number": "000123456781", "routing_number": "021000021" },
              "contact": { "email": "orders@northwind.example", "phone": "555-0141" } },
            { "supplier_id": "SUP-1002", "name": "Harbor Textiles", "status": "blocked", "payment_terms": "N30", "tax_id": "36-2222222" },
            { "supplier_id": "SUP-1003", "name": "Lakeside Surgical", "status": "active", "payment_terms": "N45", "tax_id": "36-3333333",
              "bank": { "account_number": "000123456783", "routing_number": "021000021" } }
        ])
    },
};

/// One supplier, and the key with which it was made.
struct Kept {
    document: Value,
    made_with: Option<String>,
}

/// What the handlers of one ERP share.
struct Books {
    dialect: &'static Dialect,
    desk: Arc<Desk>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl Books {
    fn new(dialect: &'static Dialect, desk: Arc<Desk>) -> Self {
        let first = (dialect.first)();
        let kept = first.as_array().into_iter().flatten().filter_map(|one| {
            let number = one.get(dialect.number)?.as_str()?.to_owned();
            let kept = Kept {
                document: one.clone(),
                made_with: None,
            };
            Some((number, kept))
        });
        Self {
            dialect,
            desk,
            kept: Mutex::new(kept.collect()),
        }
    }

    fn refuse(&self, status: StatusCode, text: &str, details: &[String]) -> Response {
        self.desk.ledger.count(|report| &mut report.refused);
        (self.dialect.refuse)(status, text, details)
    }

    /// Enters what a supplier is from now on.
    #[allow(
        clippy::result_large_err,
        reason = "the refusal is the answer as it is sent"
    )]
    fn change(&self, number: &str, document: Value, key: Option<&str>) -> Result<Value, Response> {
        let mut kept = self.kept.lock();
        let Some(known) = kept.get_mut(number) else {
            return Err(self.refuse(StatusCode::NOT_FOUND, "nobody has this number", &[]));
        };
        let outcome = self.desk.ledger.apply(&Effect {
            operation: self.dialect.update,
            key: number,
            idempotency_key: key,
            message_id: None,
        });
        match outcome {
            Outcome::Conflict => Err(self.refuse(
                StatusCode::CONFLICT,
                "this idempotency key was used for another request",
                &[],
            )),
            // What came in between stays: a repeat is only answered.
            Outcome::Repeated(_) => Ok(known.document.clone()),
            Outcome::Applied(_) => {
                known.document = document;
                Ok(known.document.clone())
            }
        }
    }

    /// Enters a supplier, or says what is wrong with it.
    #[allow(
        clippy::result_large_err,
        reason = "the refusal is the answer as it is sent"
    )]
    fn enter(&self, number: &str, document: Value, key: Option<&str>) -> Result<Value, Response> {
        let mut kept = self.kept.lock();
        if let Some(known) = kept.get(number)
            && (key.is_none() || known.made_with.as_deref() != key)
        {
            return Err(self.refuse(StatusCode::CONFLICT, "this number is taken", &[]));
        }
        if kept.len() >= SUPPLIERS && !kept.contains_key(number) {
            return Err(self.refuse(StatusCode::SERVICE_UNAVAILABLE, "the books are full", &[]));
        }
        let outcome = self.desk.ledger.apply(&Effect {
            operation: self.dialect.create,
            key: number,
            idempotency_key: key,
            message_id: None,
        });
        match outcome {
            Outcome::Conflict => Err(self.refuse(
                StatusCode::CONFLICT,
                "this idempotency key was used for another request",
                &[],
            )),
            Outcome::Applied(_) | Outcome::Repeated(_) => {
                let entry = kept.entry(number.to_owned()).or_insert_with(|| Kept {
                    document,
                    made_with: key.map(str::to_owned),
                });
                Ok(entry.document.clone())
            }
        }
    }
}

/// All routes of its suppliers.
pub(super) fn routes(dialect: &'static Dialect, desk: Arc<Desk>) -> Router {
    let books = Arc::new(Books::new(dialect, Arc::clone(&desk)));
    Router::new()
        .route(dialect.path, axum::routing::post(create))
        .route(
            &format!("{}/search", dialect.path),
            axum::routing::post(search),
        )
        .route(
            &format!("{}/{{number}}", dialect.path),
            get(read).put(update),
        )
        .with_state(books)
        .merge(fault_routes("", Arc::clone(&desk)))
        .route("/health", get(health).with_state(desk))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// What the gateway asks to know whether it is well: as ill as its faults make it.
async fn health(State(desk): State<Arc<Desk>>) -> Response {
    match desk.faults.fate("").await {
        Fate::Unavailable | Fate::Busy { .. } => suffer(&desk, Fate::Unavailable),
        _ => (StatusCode::OK, "well\n").into_response(),
    }
}

async fn read(State(books): State<Arc<Books>>, Path(number): Path<String>) -> Response {
    let desk = &books.desk;
    desk.ledger.count(|report| &mut report.requests);
    match desk.faults.fate(&number).await {
        Fate::Serve | Fate::ServeButLoseReply => {}
        fate => return suffer(desk, fate),
    }
    let found = books
        .kept
        .lock()
        .get(&number)
        .map(|kept| kept.document.clone());
    match found {
        Some(document) => Json(document).into_response(),
        None => books.refuse(StatusCode::NOT_FOUND, "nobody has this number", &[]),
    }
}

async fn create(
    State(books): State<Arc<Books>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (dialect, desk) = (books.dialect, &books.desk);
    desk.ledger.count(|report| &mut report.requests);
    let document: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let number = document
        .get(dialect.number)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let lose_reply = match desk.faults.fate(&number).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        fate => return suffer(desk, fate),
    };
    let wrong = problems(dialect.fields, &document);
    if !wrong.is_empty() {
        return books.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the request makes no sense",
            &wrong,
        );
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    let entered = books.enter(&number, document, key);
    if lose_reply && entered.is_ok() {
        desk.ledger.count(|report| &mut report.lost_replies);
        connection.hang_up().await;
    }
    match entered {
        Err(refusal) => refusal,
        Ok(document) => {
            let mut response = (StatusCode::CREATED, Json(document)).into_response();
            if let Ok(place) = HeaderValue::from_str(&format!("{}/{number}", dialect.path)) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            response
        }
    }
}

/// A supplier as it is from now on. The same request again changes nothing, and is counted once.
async fn update(
    State(books): State<Arc<Books>>,
    Extension(connection): Extension<Connection>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (dialect, desk) = (books.dialect, &books.desk);
    desk.ledger.count(|report| &mut report.requests);
    let document: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let lose_reply = match desk.faults.fate(&number).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        fate => return suffer(desk, fate),
    };
    let wrong = problems(dialect.fields, &document);
    if !wrong.is_empty() {
        return books.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the request makes no sense",
            &wrong,
        );
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    let changed = books.change(&number, document, key);
    if lose_reply && changed.is_ok() {
        desk.ledger.count(|report| &mut report.lost_replies);
        connection.hang_up().await;
    }
    match changed {
        Err(refusal) => refusal,
        Ok(document) => Json(document).into_response(),
    }
}

/// Whoever has the tax number that is asked for, or a word of the name.
async fn search(State(books): State<Arc<Books>>, body: Bytes) -> Response {
    let (dialect, desk) = (books.dialect, &books.desk);
    desk.ledger.count(|report| &mut report.requests);
    match desk.faults.fate("").await {
        Fate::Serve | Fate::ServeButLoseReply => {}
        fate => return suffer(desk, fate),
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let text = |document: &Value, field: &str| -> String {
        let value = document.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_lowercase()
    };
    let (name, tax) = (text(&asked, dialect.name), text(&asked, dialect.tax));
    // Short words are in every name: `of`, `inc`.
    let words: Vec<&str> = name
        .split_whitespace()
        .filter(|word| word.len() > 3)
        .collect();
    let alike = |document: &Value| {
        let known = text(document, dialect.name);
        let mut shared = known.split_whitespace().filter(|word| words.contains(word));
        shared.next().is_some() || (!tax.is_empty() && text(document, dialect.tax) == tax)
    };
    let found: Vec<Value> = {
        let kept = books.kept.lock();
        let all = kept.values().map(|kept| &kept.document);
        all.filter(|document| alike(document)).cloned().collect()
    };
    Json(json!({ (dialect.list): found })).into_response()
}
