//! Inbound connections while they run. A listener that says the same is not touched; one that
//! changed hands its address to its successor and answers what it has in hand.

use super::mark::Mark;
use crate::plan::Plan;
use crate::renew::Renewals;
use crate::wire::{Listening, WireError, Wiring, soap_said};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::door::Socket;
use wardline_connect::{Intake, as2, http, mllp};
use wardline_estate::model::{Charset, ConnectionKind, MllpListen};

/// A listener that runs.
struct Open {
    mark: Mark,
    bind: String,
    socket: Socket,
    stop: CancellationToken,
    places: BTreeMap<String, String>,
}

/// Routes at a listener that a gateway opens.
#[derive(Clone)]
struct Inlet {
    mark: Mark,
    routes: Arc<http::Inlet>,
    places: BTreeMap<String, String>,
}

/// All inbound connections. Keys are a connection (`ehr.adt`), or the name of a listener, which
/// has no dot.
#[derive(Default)]
pub(super) struct Doors {
    open: BTreeMap<String, Open>,
    inlets: BTreeMap<String, Inlet>,
}

/// A listener that is bound and takes nobody yet.
struct Fresh {
    mark: Mark,
    bind: String,
    listening: Listening,
    socket: Socket,
    places: BTreeMap<String, String>,
}

/// The inbound connections of another plan.
#[derive(Default)]
pub(super) struct NextDoors {
    kept: BTreeSet<String>,
    fresh: BTreeMap<String, Fresh>,
    inlets: BTreeMap<String, Inlet>,
}

impl NextDoors {
    pub(super) fn inlets(&self) -> BTreeMap<String, Arc<http::Inlet>> {
        inlets(&self.inlets)
    }
}

fn inlets(all: &BTreeMap<String, Inlet>) -> BTreeMap<String, Arc<http::Inlet>> {
    all.iter()
        .map(|(name, one)| (name.clone(), Arc::clone(&one.routes)))
        .collect()
}

impl Doors {
    pub(super) fn inlets(&self) -> BTreeMap<String, Arc<http::Inlet>> {
        inlets(&self.inlets)
    }

    /// Where each source listens, in words.
    pub(super) fn places(&self) -> BTreeMap<String, String> {
        let open = self.open.values().map(|one| &one.places);
        let inlets = self.inlets.values().map(|one| &one.places);
        open.chain(inlets).flatten().map(clone).collect()
    }

    /// Binds what is new. Nobody is taken in yet.
    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        renewals: &Renewals,
        intake: &Arc<dyn Intake>,
    ) -> Result<NextDoors, WireError> {
        let mut next = NextDoors::default();
        let estate = &plan.estate;
        let secrets = renewals.secrets();
        let answers = &plan.soap_answers;
        let mut routes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (_, connection) in plan.estate.connections() {
            match &connection.kind {
                ConnectionKind::MllpListen(declared) => {
                    let name = &connection.reference;
                    let bind = declared.bind.value.to_string();
                    // How texts are encoded is the plan's business, not the listener's.
                    let mark = MllpListen {
                        charset: Charset::Auto,
                        ..declared.clone()
                    };
                    let mark = Mark::said(&mark);
                    if self.keeps(name, &mark) {
                        next.kept.insert(name.clone());
                        continue;
                    }
                    let wiring = Wiring::new(estate, secrets);
                    let config = wiring.mllp(connection, declared)?;
                    let secured = if config.tls.is_some() { " (tls)" } else { "" };
                    let listener = match self.address_of(name, &bind) {
                        Some(socket) => mllp::Listener::over(socket, config)?,
                        None => mllp::Listener::bind(config).await?,
                    };
                    if let (Some(declared), Some(tls)) = (&declared.tls, listener.tls()) {
                        let (alpn, inputs) = (mllp::ALPN, wiring.inputs());
                        renewals.server_tls(estate, name, declared, &tls, alpn, inputs);
                    }
                    let place = format!("mllp {}{secured}", listener.local_addr());
                    let fresh = Fresh {
                        mark,
                        bind,
                        socket: listener.socket(),
                        listening: Listening::Mllp(listener),
                        places: BTreeMap::from([(name.clone(), place)]),
                    };
                    next.fresh.insert(name.clone(), fresh);
                }
                ConnectionKind::As2In(declared) => {
                    let wiring = Wiring::new(estate, secrets);
                    let name = &connection.reference;
                    let bind = declared.bind.value.to_string();
                    let mark = Mark::said(declared);
                    if self.keeps(name, &mark) {
                        next.kept.insert(name.clone());
                        continue;
                    }
                    let before = self.address_of(name, &bind);
                    let listener = wiring.as2_listener(connection, declared, before).await?;
                    if let (Some(declared), Some(tls)) = (&declared.tls, listener.tls()) {
                        let (alpn, inputs) = (as2::ALPN, wiring.inputs());
                        renewals.server_tls(estate, name, declared, &tls, alpn, inputs);
                    }
                    let scheme = if declared.tls.is_some() {
                        "https"
                    } else {
                        "http"
                    };
                    let place = format!("as2 {scheme} {}{}", listener.local_addr(), declared.path);
                    let fresh = Fresh {
                        mark,
                        bind,
                        socket: listener.socket(),
                        listening: Listening::As2(Box::new(listener)),
                        places: BTreeMap::from([(name.clone(), place)]),
                    };
                    next.fresh.insert(name.clone(), fresh);
                }
                ConnectionKind::DicomIn(declared) => {
                    let wiring = Wiring::new(estate, secrets);
                    let name = &connection.reference;
                    let bind = declared.bind.value.to_string();
                    let mark = Mark::said(declared);
                    if self.keeps(name, &mark) {
                        next.kept.insert(name.clone());
                        continue;
                    }
                    let before = self.address_of(name, &bind);
                    let listener = wiring.dicom_listener(connection, declared, before).await?;
                    if let (Some(declared), Some(tls)) = (&declared.tls, listener.tls()) {
                        renewals.server_tls(estate, name, declared, &tls, &[], wiring.inputs());
                    }
                    let secured = if declared.tls.is_some() { " (tls)" } else { "" };
                    let place = format!(
                        "dicom {} {}{secured}",
                        declared.title,
                        listener.local_addr()
                    );
                    let fresh = Fresh {
                        mark,
                        bind,
                        socket: listener.socket(),
                        listening: Listening::Dicom(Box::new(listener)),
                        places: BTreeMap::from([(name.clone(), place)]),
                    };
                    next.fresh.insert(name.clone(), fresh);
                }
                kind if kind.receives_at().is_some() => {
                    if let Some(declared) = kind.receives_at() {
                        let listener = declared.listener.value.as_str();
                        let all = routes.entry(listener).or_default();
                        all.push((connection, declared));
                    }
                }
                // Nothing is listened on.
                _ => {}
            }
        }
        for (name, routes) in routes {
            let Some(declared) = estate.listeners.get(name) else {
                continue;
            };
            let said: Vec<_> = routes
                .iter()
                .map(|(connection, declared)| {
                    // What a service is beyond its path.
                    let soap = match &connection.kind {
                        ConnectionKind::SoapIn(soap) => Some((soap, soap_said(estate, soap))),
                        _ => None,
                    };
                    let scim = match &connection.kind {
                        ConnectionKind::ScimIn(scim) => Some(&scim.address),
                        _ => None,
                    };
                    let fhir = match &connection.kind {
                        ConnectionKind::FhirIn(fhir) => Some(said_of(estate, fhir)),
                        _ => None,
                    };
                    (&connection.reference, declared, soap, scim, fhir)
                })
                .collect();
            let mark = Mark::said(&(&declared.bind, &declared.tls, said));
            let bind = declared.bind.value.to_string();
            let scheme = if declared.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let words = |at: &dyn std::fmt::Display| -> BTreeMap<String, String> {
                let place = |(connection, declared): &(
                    &wardline_estate::Connection,
                    &wardline_estate::HttpIn,
                )| {
                    let verb = match connection.kind {
                        ConnectionKind::ScimIn(_) => "SCIM",
                        ConnectionKind::FhirIn(_) => "FHIR",
                        _ => declared.method.as_str(),
                    };
                    let path = &declared.path.value;
                    let words = format!("{scheme} {at} {verb} {path}");
                    (connection.reference.clone(), words)
                };
                routes.iter().map(place).collect()
            };
            let wiring = Wiring::new(estate, secrets);
            if estate.has_apis_at(declared) {
                // A gateway opens this door; what comes for a connection is handed in.
                let known = self.inlets.get(name).filter(|known| known.mark == mark);
                let inlet = match known {
                    Some(known) => known.clone(),
                    None => Inlet {
                        mark,
                        routes: Arc::new(http::Inlet::new(
                            &wiring.ingress(estate, renewals, declared, &routes, answers)?,
                            Arc::clone(intake),
                        )?),
                        places: words(&bind),
                    },
                };
                next.inlets.insert(name.to_owned(), inlet);
                continue;
            }
            if self.keeps(name, &mark) {
                next.kept.insert(name.to_owned());
                continue;
            }
            let config = wiring.ingress(estate, renewals, declared, &routes, answers)?;
            let ingress = match self.address_of(name, &bind) {
                Some(socket) => http::Ingress::over(socket, config)?,
                None => http::Ingress::bind(config).await?,
            };
            if let (Some(declared), Some(tls)) = (&declared.tls, ingress.tls()) {
                let (alpn, inputs) = (http::ALPN, wiring.inputs());
                renewals.server_tls(estate, name, declared, &tls, alpn, inputs);
            }
            let fresh = Fresh {
                mark,
                bind,
                socket: ingress.socket(),
                places: words(&ingress.local_addr()),
                listening: Listening::Http(ingress),
            };
            next.fresh.insert(name.to_owned(), fresh);
        }
        Ok(next)
    }

    fn keeps(&self, name: &str, mark: &Mark) -> bool {
        self.open.get(name).is_some_and(|open| open.mark == *mark)
    }

    /// The address that a listener of before leaves to this one. One with a port of its own
    /// choice leaves it to nobody else.
    fn address_of(&self, name: &str, bind: &str) -> Option<Socket> {
        let own = self.open.get(name).filter(|open| open.bind == bind);
        let any = || {
            let mut all = self.open.values();
            all.find(|open| open.bind == bind && !bind.ends_with(":0"))
        };
        own.or_else(any).map(|open| open.socket.clone())
    }

    pub(super) fn apply(
        &mut self,
        next: NextDoors,
        intake: &Arc<dyn Intake>,
        tasks: &mut JoinSet<()>,
        intake_stop: &CancellationToken,
    ) {
        let mut retired = std::mem::take(&mut self.open);
        for name in next.kept {
            if let Some(kept) = retired.remove(&name) {
                self.open.insert(name, kept);
            }
        }
        for one in retired.values() {
            one.stop.cancel();
        }
        for (name, fresh) in next.fresh {
            let (stop, intake) = (intake_stop.child_token(), Arc::clone(intake));
            let open = Open {
                mark: fresh.mark,
                bind: fresh.bind,
                socket: fresh.socket,
                stop: stop.clone(),
                places: fresh.places,
            };
            self.open.insert(name, open);
            match fresh.listening {
                Listening::Mllp(listener) => tasks.spawn(listener.run(intake, stop)),
                Listening::As2(listener) => tasks.spawn(listener.run(intake, stop)),
                Listening::Dicom(listener) => tasks.spawn(listener.run(intake, stop)),
                Listening::Http(ingress) => tasks.spawn(ingress.run(intake, stop)),
            };
        }
        for (name, old) in std::mem::replace(&mut self.inlets, next.inlets) {
            let now = self.inlets.get(&name);
            if !now.is_some_and(|now| Arc::ptr_eq(&now.routes, &old.routes)) {
                tasks.spawn(async move { old.routes.drain().await });
            }
        }
    }
}

/// What a FHIR service says, with what is said where its resources are kept.
fn said_of<'a>(
    estate: &'a wardline_estate::Estate,
    fhir: &'a wardline_estate::model::FhirIn,
) -> (
    &'a wardline_estate::model::FhirIn,
    Option<&'a ConnectionKind>,
) {
    let kept = fhir.of.as_ref();
    let kept = kept.and_then(|of| estate.connection(&of.value));
    (fhir, kept.map(|(_, kept)| &kept.kind))
}

fn clone((name, place): (&String, &String)) -> (String, String) {
    (name.clone(), place.clone())
}
