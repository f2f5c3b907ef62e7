//! The person who answers: every open question, again and again until the answer is acknowledged,
//! and then once more with the other choice, which must be refused.

use crate::orders::Order;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long one answer of the desk may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How long to wait before looking again.
const AGAIN: Duration = Duration::from_millis(40);
/// On whose behalf the clerk asks.
const CLERK: &str = "clerk";
/// By whom the journal says that it was answered: whoever holds the token, for the clerk.
const NAME: &str = "user:tester for clerk";

/// What the clerk knows.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Questions whose answer was acknowledged, or found to have taken effect.
    pub(crate) answered: BTreeSet<Order>,
    /// Answers of which nothing was heard.
    pub(crate) unheard: u64,
    /// Second answers that were refused, as they must.
    pub(crate) refused: u64,
    /// What should never be.
    pub(crate) strange: Vec<String>,
}

pub(crate) struct Clerk {
    pub(crate) notes: Arc<Mutex<Notes>>,
    task: JoinHandle<()>,
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Clerk {
    /// Answers at a desk, with the token that its server keeps in a file.
    pub(crate) fn start(desk: &str, token: PathBuf) -> Self {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let hand = Hand {
            desk: desk.to_owned(),
            token,
            client: Client::builder(TokioExecutor::new()).build_http(),
            notes: Arc::clone(&notes),
        };
        let task = tokio::spawn(async move {
            loop {
                hand.look().await;
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self { notes, task }
    }

    /// Everything that is not as it should be, with what the journal says was answered.
    pub(crate) fn problems(
        &self,
        orders: &BTreeSet<Order>,
        answers: &BTreeMap<Order, Vec<(String, String)>>,
    ) -> Vec<String> {
        let notes = self.notes.lock().unwrap();
        let mut found = notes.strange.clone();
        for order in orders.iter().filter(|order| order.is_asked()) {
            let said = answers.get(order).map_or(&[][..], Vec::as_slice);
            let wanted = [(NAME.to_owned(), order.choice().0.to_owned())];
            if *said != wanted {
                found.push(format!("{}: answered {said:?}", order.number()));
            }
            if !notes.answered.contains(order) {
                found.push(format!("{}: the clerk never knew", order.number()));
            }
        }
        found
    }
}

struct Hand {
    desk: String,
    token: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
    notes: Arc<Mutex<Notes>>,
}

impl Hand {
    /// Answers what is open.
    async fn look(&self) {
        let open = json!({ "open": true, "limit": 200 });
        let Some((200, page)) = self.ask("/api/tasks", &open).await else {
            return;
        };
        for task in page["rows"].as_array().into_iter().flatten() {
            let (Some(id), Some(order)) = (
                task["id"].as_str(),
                task["key"].as_str().and_then(Order::of),
            ) else {
                self.strange(format!("a question about nothing: {task}"));
                continue;
            };
            self.answer(id, order).await;
        }
    }

    async fn answer(&self, id: &str, order: Order) {
        let path = format!("/api/tasks/{id}/answer");
        let (right, late) = order.choice();
        loop {
            match self.ask(&path, &json!({ "choice": right })).await {
                Some((200, _)) => break,
                // An answer of which nothing was heard took effect.
                Some((400..=499, said)) if self.was_unheard() => {
                    if self.is_answered(id, right).await {
                        break;
                    }
                    self.strange(format!("{}: refused: {said}", order.number()));
                    return;
                }
                Some((400..=499, said)) => {
                    self.strange(format!("{}: refused: {said}", order.number()));
                    return;
                }
                _ => {
                    self.notes.lock().unwrap().unheard += 1;
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        self.notes.lock().unwrap().answered.insert(order);
        loop {
            match self.ask(&path, &json!({ "choice": late })).await {
                Some((400..=499, _)) => {
                    self.notes.lock().unwrap().refused += 1;
                    return;
                }
                Some((200..=299, said)) => {
                    self.strange(format!("{}: answered twice: {said}", order.number()));
                    return;
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    fn was_unheard(&self) -> bool {
        self.notes.lock().unwrap().unheard > 0
    }

    async fn is_answered(&self, id: &str, choice: &str) -> bool {
        loop {
            let ended = json!({ "open": false, "limit": 1_000 });
            if let Some((200, page)) = self.ask("/api/tasks", &ended).await {
                let rows = page["rows"].as_array().into_iter().flatten();
                return rows
                    .filter(|task| task["id"] == id)
                    .any(|task| task["choice"] == choice && task["by"] == NAME);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn strange(&self, what: String) {
        self.notes.lock().unwrap().strange.push(what);
    }

    /// Status and body of one request; `None` where no answer came.
    async fn ask(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let token = std::fs::read_to_string(&self.token).ok()?;
        let request = Request::post(format!("http://{}{path}", self.desk))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("wardline-actor", CLERK)
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = tokio::time::timeout(ANSWER, async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await.ok()?.to_bytes();
            // A token of a server that is gone, or too much at once.
            if matches!(status, 401 | 429) {
                return None;
            }
            Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
        });
        answer.await.ok()?
    }
}
