//! The Apis of a running estate: the gateway, who may pass it, and the audit log's word on it.

use super::quotas::Kept;
use crate::place::Place;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wardline_access::AccessEvent;
use wardline_access::identity::{AccessSink, Identity};
use wardline_access::quota::{Limiter, Quotas, Rates};
use wardline_connect::http::Inlet;
use wardline_core::RealClock;
use wardline_engine::{Desk, Engine};
use wardline_estate::model::Estate;
use wardline_gateway::Gateway;
use wardline_gateway::estate::{Front, KnownTls, Running};

/// Events that may wait for the audit log. Past it they are counted and named in one entry.
const WAITING: usize = 4_096;

/// The open doors of an estate.
pub(crate) struct Doors {
    pub(super) gateway: Gateway,
    places: Vec<(String, String)>,
    pub(super) identity: Arc<Identity>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) tls: KnownTls,
    keeping: JoinHandle<()>,
    auditing: JoinHandle<()>,
}

impl Doors {
    /// Opens every listener that shows Apis; `None` where there is none.
    pub(crate) async fn open(
        front: &Front,
        place: &Place,
        estate: &Estate,
        engine: &Engine,
        inlets: &BTreeMap<String, Arc<Inlet>>,
    ) -> anyhow::Result<Option<Self>> {
        if front.is_empty() {
            return Ok(None);
        }
        let secrets = place.secrets();
        let (tell, told) = mpsc::channel(WAITING);
        let sink = AccessSink::new(move |event| {
            // Full means that the journal does not take entries; then calls fail there too.
            if tell.try_send(event).is_err() {
                tracing::error!(
                    "the audit log does not keep up; an entry on access is only in this log"
                );
            }
        });
        let identity = front
            .identity(
                &place.data,
                place.key_provider(estate)?,
                &secrets,
                Arc::new(RealClock),
                sink,
            )
            .context("the Apis cannot be opened")?;
        // The loader has checked the name.
        let zone = jiff::tz::TimeZone::get(&estate.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let store = Arc::new(Kept(engine.store()));
        let quotas = Quotas::new(Arc::new(RealClock), zone, store);
        let limiter = Arc::new(Limiter::new(Rates::default(), quotas));
        let tls = KnownTls::default();
        let plan = front
            .plan(&Running {
                secrets: &secrets,
                identity: Arc::clone(&identity),
                limiter: Arc::clone(&limiter),
                root: engine.secret_for("pseudonyms"),
                inlets,
                tls: &tls,
            })
            .context("the Apis cannot be opened")?;
        let gateway = Gateway::start(plan)
            .await
            .context("the Apis cannot be opened")?;
        let mut places = Vec::new();
        for api in estate.apis.values().filter(|api| api.state.is_served()) {
            for listener in estate.listeners.values() {
                if api.visible_in(listener.zone)
                    && let Some(at) = gateway.address(&listener.name).await
                {
                    let scheme = if listener.tls.is_some() {
                        "https"
                    } else {
                        "http"
                    };
                    let base = &api.base.value;
                    places.push((format!("api {}", api.id), format!("{scheme}://{at}{base}")));
                }
            }
        }
        let (kept, flushed) = (Arc::clone(&identity), Arc::clone(&limiter));
        let keeping = tokio::spawn(async move {
            tokio::join!(kept.keep(), flush(flushed));
        });
        let auditing = tokio::spawn(audit(engine.desk(), told));
        Ok(Some(Self {
            gateway,
            places,
            identity,
            limiter,
            tls,
            keeping,
            auditing,
        }))
    }

    /// Each Api and where it is served.
    pub(crate) fn places(&self) -> impl Iterator<Item = &(String, String)> {
        self.places.iter()
    }

    /// Closes the doors, answers what is in hand, and writes down the last of who came.
    pub(crate) async fn close(self) {
        self.gateway.stop().await;
        if let Err(error) = self.limiter.quotas().flush().await {
            tracing::error!(%error, "the last counts of quotas are lost");
        }
        // The last holders of the way to the audit log go with it.
        self.keeping.abort();
        drop(self.keeping.await);
        drop(self.identity);
        if let Err(error) = self.auditing.await {
            tracing::error!(%error, "writing the audit log ended abnormally");
        }
    }
}

/// Keeps the counts of quotas durable, a second behind at most.
async fn flush(limiter: Arc<Limiter>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if limiter.quotas().flush().await.is_err() {
            // What went wrong is in the log; the counts stay in memory and are tried again.
            tracing::debug!("counts of quotas wait to be kept");
        }
    }
}

async fn audit(desk: Arc<Desk>, mut told: mpsc::Receiver<AccessEvent>) {
    while let Some(event) = told.recv().await {
        if let Err(error) = desk.record(&event.to_audit()).await {
            tracing::error!(%error, "an entry on access could not be written to the audit log");
        }
    }
}
