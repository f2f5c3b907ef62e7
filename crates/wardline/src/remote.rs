//! The desk of a running server, asked over its console's API with the admin token that
//! `serve` left beside the data.

mod processes;

use crate::commands::actor;
use crate::place::Place;
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use wardline_console::{ConsoleDesk, DeskError, DeskErrorKind};
use wardline_core::{Code, DeliveryId, Id};
use wardline_engine::Found;
use wardline_engine::view::{
    AppliedView, AuditRecordView, AuditStateView, AuditView, DeliveryView, DestroyKeys,
    DestroyedKeys, ErrorGroupView, JobAct, JobView, MessageQuery, MessageView, Overview, PageView,
    Part, PayloadView, ReloadView, ReplayReport, ReplayRequest, Selection, TraceView,
    WebhookTrialView, WebhookView,
};

/// Bytes of one answer at most.
const ANSWER: usize = 256 << 20;

/// What `serve` writes about itself.
#[derive(Debug, Clone, serde::Serialize, Deserialize)]
pub(crate) struct Server {
    /// Where the console listens for the command line, without TLS.
    pub(crate) console: SocketAddr,
    /// Where browsers reach it; at the same address where absent.
    #[serde(default)]
    pub(crate) base: Option<String>,
    /// Process id.
    pub(crate) pid: u32,
}

/// A [`ConsoleDesk`] over HTTP.
pub(crate) struct RemoteDesk {
    server: Server,
    token: String,
    /// Who runs the command; empty where the name cannot stand in a header.
    person: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Deserialize)]
struct ProblemBody {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    help: Option<String>,
}

/// The server's code, where this version knows it.
fn known(code: &str) -> Option<Code> {
    let console = wardline_console::EXPLANATIONS.iter();
    console
        .map(|(known, ..)| *known)
        .find(|known| known.0 == code)
        .or_else(|| {
            let all = wardline_engine::codes::all();
            all.get_key_value(code).map(|(known, _)| Code(known))
        })
}

impl RemoteDesk {
    /// The server of a place, if one says that it runs.
    pub(crate) fn of(place: &Place) -> anyhow::Result<Option<Self>> {
        let Ok(text) = std::fs::read(place.server_file()) else {
            return Ok(None);
        };
        let server: Server = serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} cannot be read: remove it if no server runs",
                place.server_file().display()
            )
        })?;
        let token = std::fs::read_to_string(place.token_file()).with_context(|| {
            format!(
                "cannot read the admin token {}",
                place.token_file().display()
            )
        })?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let person = actor().trim_start_matches("user:").to_owned();
        let plain = person.bytes().all(|byte| byte.is_ascii_graphic());
        Ok(Some(Self {
            person: if plain { person } else { String::new() },
            server,
            token: token.trim().to_owned(),
            client,
        }))
    }

    /// Where browsers reach its console.
    pub(crate) fn base(&self) -> String {
        let Server { console, base, .. } = &self.server;
        base.clone()
            .unwrap_or_else(|| wardline_console::base_of(*console, false))
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> bool {
        let connect = tokio::net::TcpStream::connect(self.server.console);
        matches!(
            tokio::time::timeout(std::time::Duration::from_secs(2), connect).await,
            Ok(Ok(_))
        )
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Option<T>, DeskError> {
        let (status, bytes) = self.answer(method, path, body).await?;
        self.understood(status, &bytes)
    }

    fn unreachable(&self, text: &str) -> DeskError {
        DeskError {
            kind: DeskErrorKind::Unavailable,
            code: Code("W7101"),
            text: format!(
                "the server at {} does not answer: {text}",
                self.server.console
            ),
            help: Some("is `wardline serve` still running?".to_owned()),
        }
    }

    /// What it says to a request.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<(http::StatusCode, Bytes), DeskError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server.console))
            .header(
                http::header::AUTHORIZATION,
                format!("Bearer {}", self.token),
            )
            .header(http::header::CONTENT_TYPE, "application/json")
            // On whose behalf, for the audit log and for questions that two people must answer.
            .header("wardline-actor", self.person.as_str())
            .body(Full::new(
                body.map(|body| Bytes::from(body.to_string()))
                    .unwrap_or_default(),
            ))
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), ANSWER)
            .collect()
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?
            .to_bytes();
        Ok((status, bytes))
    }

    fn understood<T: DeserializeOwned>(
        &self,
        status: http::StatusCode,
        bytes: &[u8],
    ) -> Result<Option<T>, DeskError> {
        if status == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            let problem: ProblemBody = serde_json::from_slice(bytes).unwrap_or(ProblemBody {
                title: status.to_string(),
                detail: String::new(),
                code: String::new(),
                help: None,
            });
            let text = if problem.detail.is_empty() {
                problem.title
            } else {
                problem.detail
            };
            let kind = match status.as_u16() {
                401 | 403 => DeskErrorKind::Forbidden,
                410 => DeskErrorKind::Gone,
                400..500 => DeskErrorKind::Invalid,
                _ => DeskErrorKind::Unavailable,
            };
            return Err(DeskError {
                kind,
                code: known(&problem.code).unwrap_or(Code("W7102")),
                text,
                help: problem.help,
            });
        }
        serde_json::from_slice(bytes).map(Some).map_err(|error| {
            self.unreachable(&format!(
                "its answer cannot be read ({error}); are both of one version?"
            ))
        })
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: serde_json::Value,
    ) -> Result<T, DeskError> {
        self.call(Method::POST, path, Some(body))
            .await?
            .ok_or_else(gone)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DeskError> {
        self.call(Method::GET, path, None).await?.ok_or_else(gone)
    }

    async fn act(&self, path: &str, select: Selection, reason: String) -> Result<u64, DeskError> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let Count { count } = self
            .post(path, json!({ "select": select, "reason": reason }))
            .await?;
        Ok(count)
    }
}

fn gone() -> DeskError {
    DeskError {
        kind: DeskErrorKind::NotFound,
        code: Code("W7001"),
        text: "there is nothing with this id in the journal".to_owned(),
        help: Some("search with `wardline messages`".to_owned()),
    }
}

#[async_trait]
impl ConsoleDesk for RemoteDesk {
    async fn overview(&self) -> Result<Overview, DeskError> {
        self.get("/api/overview").await
    }
    async fn messages(&self, query: MessageQuery) -> Result<PageView<MessageView>, DeskError> {
        self.post("/api/messages", json!(query)).await
    }
    async fn deliveries(
        &self,
        select: Selection,
        before: Option<Id>,
        limit: usize,
    ) -> Result<PageView<DeliveryView>, DeskError> {
        self.post(
            "/api/deliveries",
            json!({ "select": select, "before": before, "limit": limit }),
        )
        .await
    }
    async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError> {
        self.call(Method::GET, &format!("/api/trace/{id}"), None)
            .await
    }
    async fn find(&self, text: &str) -> Result<Found, DeskError> {
        self.post("/api/find", json!({ "text": text })).await
    }
    async fn payload(
        &self,
        part: Part,
        id: Id,
        reveal: Option<String>,
        _actor: &str,
    ) -> Result<Option<PayloadView>, DeskError> {
        self.call(
            Method::POST,
            "/api/payload",
            Some(json!({ "part": part, "id": id, "reveal": reveal })),
        )
        .await
    }
    async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError> {
        self.get("/api/dead").await
    }
    async fn replay(
        &self,
        request: ReplayRequest,
        _actor: &str,
    ) -> Result<ReplayReport, DeskError> {
        self.post("/api/replay", json!(request)).await
    }
    async fn release(
        &self,
        select: Selection,
        reason: String,
        _actor: &str,
    ) -> Result<u64, DeskError> {
        self.act("/api/release", select, reason).await
    }
    async fn cancel(
        &self,
        select: Selection,
        reason: String,
        _actor: &str,
    ) -> Result<u64, DeskError> {
        self.act("/api/cancel", select, reason).await
    }
    async fn park(
        &self,
        select: Selection,
        reason: String,
        _actor: &str,
    ) -> Result<u64, DeskError> {
        self.act("/api/park", select, reason).await
    }
    async fn resubmit(
        &self,
        delivery: DeliveryId,
        body: String,
        reason: String,
        _actor: &str,
    ) -> Result<DeliveryId, DeskError> {
        #[derive(Deserialize)]
        struct Made {
            delivery: DeliveryId,
        }
        let Made { delivery } = self
            .post(
                "/api/resubmit",
                json!({ "delivery": delivery, "body": body, "reason": reason }),
            )
            .await?;
        Ok(delivery)
    }
    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditView>, DeskError> {
        let before = before
            .map(|before| format!("before={before}&"))
            .unwrap_or_default();
        self.get(&format!("/api/audit?{before}limit={limit}")).await
    }
    async fn audit_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<AuditRecordView>, DeskError> {
        self.get(&format!("/api/audit/records?from={from}&limit={limit}"))
            .await
    }
    async fn webhooks(&self) -> Result<Vec<WebhookView>, DeskError> {
        self.get("/api/webhooks").await
    }
    async fn set_webhook(
        &self,
        name: &str,
        enabled: bool,
        reason: String,
        _actor: &str,
    ) -> Result<WebhookView, DeskError> {
        let body = json!({ "name": name, "enabled": enabled, "reason": reason });
        self.post("/api/webhooks", body).await
    }
    async fn try_webhook(&self, name: &str, _actor: &str) -> Result<WebhookTrialView, DeskError> {
        self.post("/api/webhooks/test", json!({ "name": name }))
            .await
    }
    async fn jobs(&self) -> Result<Vec<JobView>, DeskError> {
        self.get("/api/jobs").await
    }
    async fn act_on_job(
        &self,
        name: &str,
        act: JobAct,
        reason: String,
        _actor: &str,
    ) -> Result<JobView, DeskError> {
        let body = json!({ "name": name, "act": act, "reason": reason });
        self.post("/api/jobs", body).await
    }
    async fn record(&self, _entry: &wardline_vault::AuditEntry) -> Result<(), DeskError> {
        // The server writes down what it does by itself.
        Ok(())
    }
    async fn applied(&self) -> Result<Option<AppliedView>, DeskError> {
        self.call(Method::GET, "/api/estate", None).await
    }
    async fn reload(&self, reason: String, _actor: &str) -> Result<ReloadView, DeskError> {
        let body = json!({ "reason": reason });
        let (status, bytes) = self.answer(Method::POST, "/api/reload", Some(body)).await?;
        // Refused is an answer too: it says what is wrong in the files.
        if status == http::StatusCode::UNPROCESSABLE_ENTITY
            && let Ok(view) = serde_json::from_slice(&bytes)
        {
            return Ok(view);
        }
        self.understood(status, &bytes)?.ok_or_else(gone)
    }
    async fn audit_state(&self, sign: bool) -> Result<AuditStateView, DeskError> {
        let method = if sign { Method::POST } else { Method::GET };
        self.call(method, "/api/audit/state", None)
            .await?
            .ok_or_else(gone)
    }
    async fn destroy_keys(
        &self,
        request: DestroyKeys,
        _actor: &str,
    ) -> Result<DestroyedKeys, DeskError> {
        self.post("/api/keys/destroy", json!(request)).await
    }
}
