//! The Apis of a running estate: the gateway, who may pass it, and the audit log's word on it.

use super::quotas::Kept;
use crate::place::Place;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_access::identity::AccessSink;
use wardline_access::quota::{Limiter, Quotas, Rates};
use wardline_core::RealClock;
use wardline_engine::{Engine, Recorder};
use wardline_estate::model::Estate;
use wardline_gateway::Gateway;
use wardline_gateway::estate::{Front, Running};

/// The open doors of an estate.
pub(crate) struct Doors {
    gateway: Gateway,
    places: Vec<(String, String)>,
    limiter: Arc<Limiter>,
    keeping: JoinHandle<()>,
    auditing: JoinHandle<()>,
    stop_auditing: CancellationToken,
}

impl Doors {
    /// Opens every listener that shows Apis; `None` where there is none.
    pub(crate) async fn open(
        front: &Front,
        place: &Place,
        estate: &Estate,
        engine: &Engine,
    ) -> anyhow::Result<Option<Self>> {
        if front.is_empty() {
            return Ok(None);
        }
        let secrets = place.secrets();
        let recorder = Recorder::new(engine.desk());
        let told = Arc::clone(&recorder);
        let sink = AccessSink::new(move |event| {
            if event.is_refusal() {
                told.tell(event.to_audit());
            } else {
                told.insist(event.to_audit());
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
        let plan = front
            .plan(&Running {
                secrets: &secrets,
                identity: Arc::clone(&identity),
                limiter: Arc::clone(&limiter),
                root: engine.secret_for("pseudonyms"),
                deferral: engine.deferral(),
                keys: engine.key_book(),
                recorder: Arc::clone(&recorder),
                inlets: engine.inlets(),
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
        let flushed = Arc::clone(&limiter);
        let keeping = tokio::spawn(async move {
            tokio::join!(identity.keep(), flush(flushed));
        });
        let stop_auditing = CancellationToken::new();
        let auditing = tokio::spawn(recorder.run(stop_auditing.clone()));
        Ok(Some(Self {
            gateway,
            places,
            limiter,
            keeping,
            auditing,
            stop_auditing,
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
        self.keeping.abort();
        drop(self.keeping.await);
        // Nobody comes any more; what they did is written to the end.
        self.stop_auditing.cancel();
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
