//! The Apis of a running estate: the gateway, who may pass it, and the audit log's word on it.

use super::callers::Callers;
use super::quotas::Kept;
use super::shadows::Shadows;
use crate::place::Place;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_access::AccessEvent;
use wardline_access::identity::{AccessSink, Identity};
use wardline_access::quota::{Limiter, Quotas, Rates};
use wardline_access::token::Reason;
use wardline_connect::http::Inlet;
use wardline_core::RealClock;
use wardline_engine::{CallGates, Engine, Recorder};
use wardline_estate::model::Estate;
use wardline_gateway::Gateway;
use wardline_gateway::estate::{Front, KnownUpstreams, Lookout, Observers, Running};
use wardline_vault::Secrets;

/// What of an engine Apis go through: that which runs, or that which is about to.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'a> {
    /// Routes at listeners that the gateway opens.
    pub(crate) inlets: &'a BTreeMap<String, Arc<Inlet>>,
    /// What connections allow.
    pub(crate) gates: &'a CallGates,
}

/// What stays when another estate takes the place of the one that is served.
pub(super) struct Lasting {
    pub(super) identity: Arc<Identity>,
    limiter: Arc<Limiter>,
    shadows: Arc<Shadows>,
    pub(super) callers: Arc<Callers>,
    recorder: Arc<Recorder>,
    upstreams: KnownUpstreams,
}

impl Lasting {
    /// What Apis are served with.
    pub(super) fn running<'a>(
        &'a self,
        engine: &'a Engine,
        secrets: &'a Secrets,
        ways: Ways<'a>,
    ) -> Running<'a> {
        Running {
            secrets,
            renewals: engine.renewals(),
            identity: Arc::clone(&self.identity),
            limiter: Arc::clone(&self.limiter),
            root: engine.secret_for("pseudonyms"),
            deferral: engine.deferral(),
            processes: engine.process_door(),
            keys: engine.key_book(),
            recorder: Arc::clone(&self.recorder),
            inlets: ways.inlets,
            shadows: self.shadows.ledger(),
            gates: ways.gates,
            observers: Observers::default().with(Arc::clone(self.callers.lookout()) as _),
            desk: engine.desk(),
            upstreams: &self.upstreams,
        }
    }
}

/// The open doors of an estate.
pub(crate) struct Doors {
    pub(super) gateway: Gateway,
    places: Vec<(String, String)>,
    pub(super) kept: Lasting,
    keeping: JoinHandle<()>,
    auditing: JoinHandle<()>,
    stop_auditing: CancellationToken,
    quiet: CancellationToken,
    hearing: JoinHandle<()>,
}

impl Doors {
    /// Opens every listener that shows Apis; `None` where there is none.
    pub(crate) async fn open(
        front: &Front,
        place: &Place,
        estate: &Arc<Estate>,
        engine: &Engine,
        ways: Ways<'_>,
    ) -> anyhow::Result<Option<Self>> {
        if front.is_empty() {
            return Ok(None);
        }
        let secrets = place.secrets();
        let (lookout, alerts) = Lookout::open(estate, engine.store(), Arc::new(RealClock))
            .await
            .context("the Apis cannot be opened")?;
        let lookout = Arc::new(lookout);
        let watched = Arc::clone(&lookout);
        let recorder = Recorder::new(engine.desk());
        let told = Arc::clone(&recorder);
        let sink = AccessSink::new(move |event| {
            if let AccessEvent::CallRefused {
                client: Some(client),
                reason,
                address,
                ..
            } = &event
                && *reason != Reason::Held
            {
                watched.refused(client, *address);
            }
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
        let shadows = Arc::new(Shadows::open(&place.data));
        let renewals = engine.renewals();
        let listeners = front.listener_inputs(&secrets);
        // Before anybody comes: who was refused at the end of the last run still is.
        let callers = Arc::new(Callers::new(
            Arc::clone(estate),
            lookout,
            &identity,
            Arc::clone(&limiter),
            engine.desk(),
        ));
        let kept = Lasting {
            identity,
            limiter,
            shadows,
            callers,
            recorder,
            upstreams: KnownUpstreams::default(),
        };
        let plan = front
            .plan(&kept.running(engine, &secrets, ways))
            .context("the Apis cannot be opened")?;
        let gateway = Gateway::start(plan)
            .await
            .context("the Apis cannot be opened")?;
        front.keep_listeners(&gateway, renewals, listeners).await;
        front.keep_clients(&kept.identity, renewals);
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
        let (issuing, flushed) = (Arc::clone(&kept.identity), Arc::clone(&kept.limiter));
        let (shadows, known) = (Arc::clone(&kept.shadows), Arc::clone(&kept.callers));
        let keeping = tokio::spawn(async move {
            tokio::join!(issuing.keep(), flush(flushed), shadows.keep(), known.keep());
        });
        let heard = Arc::clone(&kept.callers);
        let quiet = CancellationToken::new();
        let until = quiet.clone();
        let hearing = tokio::spawn(async move { heard.hear(alerts, until).await });
        let stop_auditing = CancellationToken::new();
        let auditing = tokio::spawn(Arc::clone(&kept.recorder).run(stop_auditing.clone()));
        Ok(Some(Self {
            gateway,
            places,
            kept,
            keeping,
            auditing,
            stop_auditing,
            quiet,
            hearing,
        }))
    }

    /// Who calls, for the console.
    pub(crate) fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.kept.callers)
    }

    /// Each Api and where it is served.
    pub(crate) fn places(&self) -> impl Iterator<Item = &(String, String)> {
        self.places.iter()
    }

    /// Closes the doors, answers what is in hand, and writes down the last of who came.
    pub(crate) async fn close(self) {
        self.gateway.stop().await;
        if let Err(error) = self.kept.limiter.quotas().flush().await {
            tracing::error!(%error, "the last counts of quotas are lost");
        }
        self.kept.shadows.flush().await;
        // The lookout could always raise one more, so whoever hears is told when it is over.
        self.quiet.cancel();
        if let Err(error) = self.hearing.await {
            tracing::error!(%error, "hearing alerts ended abnormally");
        }
        self.kept.callers.write_down().await;
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
