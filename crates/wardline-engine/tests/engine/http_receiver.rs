//! Another system, over HTTP: keeps what it was asked and answers what the test says.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) idempotency_key: String,
    pub(crate) body: serde_json::Value,
    pub(crate) at: Instant,
    /// The status that it was answered with.
    pub(crate) status: u16,
}

impl Call {
    /// The `id` in the body: the control id of the message that led to it.
    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_default()
    }
}

/// An answer: status, `Retry-After` in seconds, body.
pub(crate) type Answer = (u16, Option<u64>, &'static str);
type Rule = Box<dyn FnMut(&Call) -> Answer + Send>;

struct Shared {
    calls: Mutex<Vec<Call>>,
    rule: Mutex<Rule>,
    busy: AtomicUsize,
    busiest: AtomicUsize,
    takes: Mutex<Duration>,
}

pub(crate) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Answers everything with 200 until told otherwise.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            rule: Mutex::new(Box::new(|_| (200, None, ""))),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
            takes: Mutex::default(),
        });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            shared,
            address,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on answers like this.
    pub(crate) fn answers(&self, rule: impl FnMut(&Call) -> Answer + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on takes so long for an answer.
    pub(crate) fn takes(&self, long: Duration) {
        *self.shared.takes.lock().unwrap() = long;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Calls that were answered with 200.
    pub(crate) fn done(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.status == 200);
        calls
    }

    /// Most requests at the same time.
    pub(crate) fn busiest(&self) -> usize {
        self.shared.busiest.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let busy = shared.busy.fetch_add(1, Ordering::SeqCst) + 1;
    shared.busiest.fetch_max(busy, Ordering::SeqCst);
    let key = headers
        .get("idempotency-key")
        .map(|value| value.to_str().unwrap().to_owned());
    let mut call = Call {
        path: uri.path().to_owned(),
        idempotency_key: key.unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        at: Instant::now(),
        status: 0,
    };
    let (status, retry_after, text) = (shared.rule.lock().unwrap())(&call);
    call.status = status;
    shared.calls.lock().unwrap().push(call);
    let takes = *shared.takes.lock().unwrap();
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    shared.busy.fetch_sub(1, Ordering::SeqCst);
    let mut answer = (StatusCode::from_u16(status).unwrap(), text).into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert("retry-after", seconds.into());
    }
    if text.starts_with('{') {
        answer
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
    }
    answer
}
