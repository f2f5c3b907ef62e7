//! Who calls: what the console and the command line are told of clients and alerts, and what is
//! done when an alert is raised.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wardline_access::identity::Identity;
use wardline_access::quota::{Bucket, Limiter, Period};
use wardline_access::usage::Counts;
use wardline_access::watch::Raised;
use wardline_console::{
    AccessDesk, AcknowledgedView, AlertView, ClientView, CountsView, CredentialView, DeskError,
    DeskErrorKind, OperationView, QuotaView,
};
use wardline_core::Code;
use wardline_engine::Desk;
use wardline_estate::model::{Client, Estate, OAuth2, WatchAction};
use wardline_gateway::estate::{Lookout, Newcomers, Told};
use wardline_vault::AuditEntry;

/// How often what is known of clients is written down.
const FLUSH: Duration = Duration::from_secs(10);

/// What is known of an estate's callers.
pub(crate) struct Callers {
    estate: ArcSwap<Estate>,
    lookout: Arc<Lookout>,
    /// Weak, since the console lives on when the doors are closed, and the way to the audit log
    /// ends with identity.
    identity: Weak<Identity>,
    limiter: Arc<Limiter>,
    desk: Arc<Desk>,
}

impl Callers {
    /// Refuses from the start whoever was refused when the last run ended.
    pub(crate) fn new(
        estate: Arc<Estate>,
        lookout: Arc<Lookout>,
        identity: &Arc<Identity>,
        limiter: Arc<Limiter>,
        desk: Arc<Desk>,
    ) -> Self {
        identity.hold(lookout.held().into_keys().collect());
        Self {
            estate: ArcSwap::new(estate),
            lookout,
            identity: Arc::downgrade(identity),
            limiter,
            desk,
        }
    }

    /// Watches their calls.
    pub(crate) fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// From now on the clients are those of this estate.
    pub(crate) fn follow(&self, estate: &Arc<Estate>, newcomers: Newcomers) {
        self.lookout.follow(estate, newcomers);
        self.estate.store(Arc::clone(estate));
    }

    /// Writes down what is known, every so often. Runs until it is dropped.
    pub(crate) async fn keep(&self) {
        loop {
            tokio::time::sleep(FLUSH).await;
            self.write_down().await;
        }
    }

    /// Writes down what is known.
    pub(crate) async fn write_down(&self) {
        if let Err(error) = self.lookout.flush().await {
            tracing::error!(code = %error.code(), %error, "what is known of clients is not kept yet; it is tried again");
        }
    }

    /// Hears alerts: puts them into the audit log and the log, and does what the client's file
    /// says. Ends when told to stop, after those that were raised until then.
    pub(crate) async fn hear(&self, mut told: mpsc::Receiver<Told>, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                one = told.recv() => match one {
                    Some(one) => self.heard(one).await,
                    None => return,
                },
                () = stop.cancelled() => return,
            }
        }
    }

    async fn heard(&self, Told { raised, action }: Told) {
        let client = &raised.alert.client;
        tracing::warn!(
            alert = raised.id,
            %client,
            evidence = %raised.alert,
            "calls of a client stand out"
        );
        let entry = AuditEntry::new("system:watch", "alert.raise", &**client)
            .because(raised.alert.to_string())
            .with("alert", number(raised.id));
        self.record(entry).await;
        if action == WatchAction::Quarantine && self.refuse(client, Some(raised.id)).await {
            tracing::warn!(%client, "the client is refused until somebody lets it in again");
            let entry = AuditEntry::new("system:watch", "client.quarantine", &**client)
                .because("its file says so for calls that stand out")
                .with("alert", number(raised.id));
            self.record(entry).await;
        }
        // An alert must not be lost with the process.
        self.write_down().await;
    }

    async fn record(&self, entry: AuditEntry) {
        if let Err(error) = self.desk.record(&entry).await {
            tracing::error!(%error, act = %entry.act, "an entry could not be written to the audit log");
        }
    }

    /// Refuses a client and its tokens; whether it was not refused already.
    async fn refuse(&self, client: &Arc<str>, because: Option<u64>) -> bool {
        let new = self.lookout.hold(client, because);
        let Some(identity) = self.identity.upgrade() else {
            return new;
        };
        identity.hold(self.lookout.held().into_keys().collect());
        let name = Arc::clone(client);
        // Written to disk before it returns.
        let stopped = tokio::task::spawn_blocking(move || identity.stop_tokens(Some(&name))).await;
        if let Ok(Err(error)) = stopped {
            tracing::error!(code = %error.code(), %error, "a stop of tokens is not written down; the client is refused all the same");
        }
        new
    }

    fn admit(&self, client: &str) -> bool {
        let was = self.lookout.release(client);
        if let Some(identity) = self.identity.upgrade() {
            identity.hold(self.lookout.held().into_keys().collect());
        }
        was
    }

    async fn view(&self, client: &Client, open: &BTreeMap<Arc<str>, u64>) -> ClientView {
        let seen = self.lookout.seen(&client.name);
        let quota = match client.limits.quota {
            None => None,
            Some(quota) => match Period::of(quota.per) {
                None => None,
                Some(per) => {
                    let bucket = Bucket::of_client(client.name.as_str().into());
                    let used = self.limiter.quotas().used(&bucket, per).await;
                    used.ok().map(|used| QuotaView {
                        per: per.name().to_owned(),
                        calls: quota.count,
                        used,
                    })
                }
            },
        };
        let operations = seen.iter().flat_map(|seen| &seen.operations);
        let operations = operations.map(|one| OperationView {
            api: one.api.to_string(),
            version: one.version.to_string(),
            state: self.state(&one.api, &one.version),
            operation: one.operation.to_string(),
            last: one.last,
            today: counts(one.today),
            total: counts(one.total),
            p99_ms: one
                .latency
                .percentile(99)
                .map(|p99| p99.as_secs_f64() * 1e3),
        });
        ClientView {
            client: client.name.clone(),
            title: client.title.clone(),
            owner: client.owner.clone(),
            kind: client.kind.as_str().to_owned(),
            zone: client.zone,
            disabled: client.disabled,
            quarantined: self.lookout.held().get(client.name.as_str()).copied(),
            alerts: open.get(client.name.as_str()).copied().unwrap_or(0),
            last: seen.as_ref().map(|seen| seen.last),
            address: seen
                .as_ref()
                .and_then(|seen| seen.address)
                .map(|address| address.to_string()),
            today: seen
                .as_ref()
                .map(|seen| counts(seen.today))
                .unwrap_or_default(),
            total: seen
                .as_ref()
                .map(|seen| counts(seen.total))
                .unwrap_or_default(),
            quota,
            credentials: credentials(client),
            operations: operations.collect(),
        }
    }

    fn state(&self, api: &str, version: &str) -> String {
        let estate = self.estate.load();
        let declared = estate
            .apis
            .values()
            .find(|one| one.name == api && one.version.to_string() == version);
        declared.map_or_else(|| "gone".to_owned(), |one| one.state.as_str().to_owned())
    }
}

fn counts(counts: Counts) -> CountsView {
    CountsView {
        calls: counts.calls,
        denied: counts.denied,
        throttled: counts.throttled,
        failed: counts.failed,
    }
}

/// Numbers of alerts are small.
fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn credentials(client: &Client) -> Vec<CredentialView> {
    let auth = &client.auth;
    let end = client.expires.as_ref().map(|end| end.value);
    let mut all = Vec::new();
    let mut add = |kind: &str, expires| {
        all.push(CredentialView {
            kind: kind.to_owned(),
            expires,
        });
    };
    match &auth.oauth2 {
        None => {}
        Some(OAuth2::PrivateKeyJwt { .. }) => add("private_key_jwt", end),
        Some(OAuth2::PublishedKeys { .. }) => add("private_key_jwt (keys at a URL)", end),
        Some(OAuth2::ClientSecretBasic { .. }) => add("client_secret_basic", end),
        Some(OAuth2::TlsClientAuth) => add("tls_client_auth", end),
    }
    if auth.mtls.is_some() {
        add("mtls", end);
    }
    if let Some(key) = &auth.api_key {
        let expires = end.map_or(key.expires.value, |end| end.min(key.expires.value));
        add("api_key", Some(expires));
    }
    if let Some(issuer) = &auth.issuer {
        add(&format!("issuer {}", issuer.name.value), end);
    }
    all
}

fn alert(raised: &Raised) -> AlertView {
    AlertView {
        id: raised.id,
        client: raised.alert.client.to_string(),
        at: raised.alert.at,
        text: raised
            .alert
            .signs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
        evidence: serde_json::to_value(&raised.alert.signs).unwrap_or_default(),
        more: raised.more,
        quarantined: raised.quarantined,
        acknowledged: raised.acknowledged.as_ref().map(|said| AcknowledgedView {
            by: said.by.clone(),
            at: said.at,
            reason: said.reason.clone(),
        }),
    }
}

fn not_recorded(error: &wardline_engine::DeskError) -> DeskError {
    DeskError {
        kind: DeskErrorKind::Unavailable,
        code: Code("W7101"),
        text: format!("nothing was done, since it cannot be written to the audit log: {error}"),
        help: None,
    }
}

#[async_trait]
impl AccessDesk for Callers {
    async fn clients(&self) -> Result<Vec<ClientView>, DeskError> {
        let mut open: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for raised in self.lookout.alerts() {
            if raised.acknowledged.is_none() {
                *open.entry(raised.alert.client).or_default() += 1;
            }
        }
        let mut all = Vec::new();
        let estate = self.estate.load_full();
        for client in estate.clients.values() {
            all.push(self.view(client, &open).await);
        }
        Ok(all)
    }

    async fn alerts(&self) -> Result<Vec<AlertView>, DeskError> {
        Ok(self.lookout.alerts().iter().map(alert).collect())
    }

    async fn acknowledge(
        &self,
        id: u64,
        reason: &str,
        actor: &str,
    ) -> Result<Option<AlertView>, DeskError> {
        let known = self.lookout.alerts().into_iter().find(|one| one.id == id);
        let Some(known) = known else { return Ok(None) };
        let entry = AuditEntry::new(actor, "alert.acknowledge", &*known.alert.client)
            .because(reason)
            .with("alert", number(id));
        self.desk
            .record(&entry)
            .await
            .map_err(|error| not_recorded(&error))?;
        let raised = self.lookout.acknowledge(id, actor, reason);
        self.write_down().await;
        Ok(raised.as_ref().map(alert))
    }

    async fn quarantine(
        &self,
        client: &str,
        refused: bool,
        reason: &str,
        actor: &str,
    ) -> Result<Option<bool>, DeskError> {
        let estate = self.estate.load_full();
        let Some(client) = estate.clients.get(client) else {
            return Ok(None);
        };
        let name: Arc<str> = client.name.as_str().into();
        let act = if refused {
            "client.quarantine"
        } else {
            "client.release"
        };
        let entry = AuditEntry::new(actor, act, &*name).because(reason);
        self.desk
            .record(&entry)
            .await
            .map_err(|error| not_recorded(&error))?;
        let changed = if refused {
            self.refuse(&name, None).await
        } else {
            self.admit(&name)
        };
        self.write_down().await;
        Ok(Some(changed))
    }
}
