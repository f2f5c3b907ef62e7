//! The Apis of another estate take the place of those that are served. What callers have (tokens,
//! counts, keys, what is known of them) stays; what they may do is another from then on.

use super::doors::{Doors, Ways};
use crate::place::Place;
use anyhow::Context as _;
use std::sync::Arc;
use wardline_access::identity::{ClientDirectory, ExternalIssuer, Fetch};
use wardline_engine::{Engine, Inputs};
use wardline_estate::model::Estate;
use wardline_gateway::estate::{Front, Newcomers};

/// The Apis, clients and issuers of another estate, ready.
pub(crate) struct NextDoors {
    gateway: wardline_gateway::Prepared,
    clients: ClientDirectory,
    issuers: (Vec<ExternalIssuer>, Fetch),
    newcomers: Newcomers,
    /// What the listeners' TLS was made of.
    listeners: Vec<(String, Inputs)>,
}

impl Doors {
    /// Makes another estate's Apis ready. Signing keys, revocations, quotas and rates stay.
    pub(super) async fn prepare(
        &self,
        front: &Front,
        estate: &Arc<Estate>,
        place: &Place,
        engine: &Engine,
        ways: Ways<'_>,
    ) -> anyhow::Result<NextDoors> {
        let secrets = place.secrets();
        let newcomers = self
            .kept
            .callers
            .lookout()
            .prepare(estate)
            .await
            .context("what is known of the clients cannot be read")?;
        // Certificates are read and documents written: not on the runtime either.
        let (listeners, plan, issuers) = tokio::task::block_in_place(|| {
            let listeners = front.listener_inputs(&secrets);
            let plan = front.plan(&self.kept.running(engine, &secrets, ways));
            (listeners, plan, front.issuers())
        });
        let plan = plan.context("the Apis cannot be served")?;
        let clients = front
            .clients(&secrets)
            .context("the clients cannot be used")?;
        let gateway = self
            .gateway
            .prepare(plan)
            .await
            .context("the Apis cannot be served")?;
        Ok(NextDoors {
            gateway,
            clients,
            issuers,
            newcomers,
            listeners,
        })
    }

    /// Serves what was made ready.
    pub(super) async fn apply(
        &self,
        front: &Front,
        estate: &Arc<Estate>,
        engine: &Engine,
        next: NextDoors,
    ) {
        let (issuers, fetch) = next.issuers;
        self.kept.identity.replace_issuers(issuers, fetch);
        self.kept.identity.replace_clients(next.clients);
        self.gateway.apply(next.gateway).await;
        self.kept.callers.follow(estate, next.newcomers);
        // A secret or certificate that changes from now on is looked up in this estate.
        let renewals = engine.renewals();
        front.keep_clients(&self.kept.identity, renewals);
        front
            .keep_listeners(&self.gateway, renewals, next.listeners)
            .await;
    }
}
