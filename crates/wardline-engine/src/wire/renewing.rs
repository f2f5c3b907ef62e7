//! What the wiring makes, kept in step with the secrets and files it was made of.

use super::{Failover, WireError, Wiring};
use crate::renew::{Inputs, Renewals};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use rustls::ServerConfig;
use std::sync::Arc;
use wardline_connect::door::SwappableTls;
use wardline_connect::http::{AnyOf, InboundAuth, SwappableAuth};
use wardline_connect::{Failure, FailureKind, Outbound, Reply, Request};
use wardline_core::Code;
use wardline_estate::model::{Connection, Estate, ServerTls};

impl Renewals {
    /// Keeps a listener's TLS in step with its certificate, key, authorities and revocation
    /// lists. Connections that come later see the new ones; open ones keep what they agreed on.
    pub fn server_tls(
        &self,
        estate: &Arc<Estate>,
        name: &str,
        declared: &ServerTls,
        target: &SwappableTls,
        alpn: &'static [&'static [u8]],
        inputs: Inputs,
    ) {
        let (estate, secrets) = (Arc::clone(estate), self.secrets().clone());
        let (listener, declared) = (name.to_owned(), declared.clone());
        self.keep(
            format!("listener {name}"),
            target,
            inputs,
            None,
            move || {
                let wiring = Wiring::new(&estate, &secrets);
                let built = wiring.server_tls(&declared)?.build(&listener, alpn)?;
                Ok::<(ServerConfig, Inputs), WireError>((
                    Arc::unwrap_or_clone(built),
                    wiring.inputs(),
                ))
            },
        );
    }

    /// Keeps what senders must show in step with the secrets it is compared with.
    pub(super) fn inbound_auth(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        target: &SwappableAuth,
        inputs: Inputs,
    ) {
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let reference = connection.reference.clone();
        let nobody = Arc::new(InboundAuth::Bearer(AnyOf::default()));
        let what = format!("connection {reference}");
        self.keep(what, target, inputs, Some(nobody), move || {
            let wiring = Wiring::new(&owned, &secrets);
            let auth = match owned.connection(&reference) {
                Some((_, connection)) => match connection.kind.receives_at() {
                    Some(declared) => wiring.inbound_auth(connection, declared)?,
                    None => InboundAuth::Bearer(AnyOf::default()),
                },
                None => InboundAuth::Bearer(AnyOf::default()),
            };
            Ok((auth, wiring.inputs()))
        });
    }

    /// Makes the sender of an outbound connection. After a change of a secret or certificate
    /// the next attempt goes out with the new one; those under way end as they began.
    pub(crate) fn outbound(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
    ) -> Result<Option<Arc<dyn Outbound>>, WireError> {
        let wiring = Wiring::new(estate, self.secrets());
        let Some(outbound) = wiring.outbound(connection)? else {
            return Ok(None);
        };
        let inputs = wiring.inputs();
        if inputs.is_empty() {
            return Ok(Some(outbound));
        }
        let sender = Arc::new(ArcSwap::from_pointee(outbound));
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let reference = connection.reference.clone();
        let withheld: Arc<dyn Outbound> = Arc::new(Withheld(reference.clone()));
        let what = format!("connection {reference}");
        self.keep(what, &sender, inputs, Some(Arc::new(withheld)), move || {
            let wiring = Wiring::new(&owned, &secrets);
            let made = match owned.connection(&reference) {
                Some((_, connection)) => wiring.outbound(connection)?,
                None => None,
            };
            Ok((
                made.unwrap_or_else(|| Arc::new(Failover(Vec::new()))),
                wiring.inputs(),
            ))
        });
        Ok(Some(Arc::new(Renewing(sender))))
    }
}

/// A sender whose credentials may change between two attempts.
struct Renewing(Arc<ArcSwap<Arc<dyn Outbound>>>);

#[async_trait]
impl Outbound for Renewing {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let now = self.0.load_full();
        now.send(request).await
    }

    fn place(&self) -> Option<wardline_connect::files::Place> {
        self.0.load().place()
    }

    fn describe(&self) -> String {
        self.0.load().describe()
    }
}

/// A sender whose secret may not be used any more. What waits for it goes out once it may.
struct Withheld(String);

#[async_trait]
impl Outbound for Withheld {
    async fn send(&self, _: Request<'_>) -> Result<Reply, Failure> {
        let text = format!(
            "nothing is sent to {}: the keeper of its secret has been away for too long",
            self.0
        );
        Err(Failure::new(FailureKind::Transient, Code("W6027"), text))
    }

    fn describe(&self) -> String {
        format!("{} (its secret is withheld)", self.0)
    }
}
