//! How people come into the console of a running estate: the accounts beside its data, the
//! organisation's identity provider, and the door that they come through.

use crate::place::Place;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wardline_access::people::oidc::{Ask, ClientSecret, MAX_ANSWER, Provider, Settings};
use wardline_access::people::{Accounts, People};
use wardline_access::policy::Policies;
use wardline_connect::door::{Admission, Door};
use wardline_connect::http::Asker;
use wardline_connect::tls::{ClientTls, Pem};
use wardline_console::{Auth, Entrance, base_of};
use wardline_core::RealClock;
use wardline_engine::Wiring;
use wardline_estate::model::{Estate, Listener, Oidc};

/// Where the identity provider sends people back to.
const RETURN: &str = "/login/return";
/// Connections of browsers at a time.
const CONNECTIONS: usize = 1_024;
/// How long open pages may take to finish at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long an identity provider may take for an answer: a person waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bound doors of a console, before anybody is let in.
pub(crate) struct Doors {
    /// For people; the command line too, unless it speaks TLS.
    people: Door,
    /// For the command line, on this machine only, where the other speaks TLS.
    local: Option<Door>,
    tls: bool,
}

impl Doors {
    /// Binds the listener of the console.
    pub(crate) async fn bind(
        listener: &Listener,
        estate: &Estate,
        place: &Place,
    ) -> anyhow::Result<Self> {
        let bind = listener.bind.value;
        let secrets = place.secrets();
        let wiring = Wiring::new(estate, &secrets);
        let tls = match &listener.tls {
            None => None,
            Some(declared) => Some(Arc::new(ArcSwap::new(
                wiring
                    .server_tls(declared)?
                    .build(&listener.name, &[b"h2", b"http/1.1"])?,
            ))),
        };
        let secure = tls.is_some();
        let admission = |name: &str, bind: String, tls| Admission {
            name: name.into(),
            bind,
            tls,
            allow: Vec::new(),
            max_connections: CONNECTIONS.min(listener.limits.connections as usize),
            drain: DRAIN,
            threads: None,
        };
        let people = Door::bind(admission(&listener.name, bind.to_string(), tls))
            .await
            .with_context(|| {
                format!("cannot open the console on {bind}: is another wardline running? `listeners:` in wardline.yaml names the address")
            })?;
        let local = if secure {
            let admission = admission("console (command line)", "127.0.0.1:0".to_owned(), None);
            Some(Door::bind(admission).await?)
        } else {
            None
        };
        Ok(Self {
            people,
            local,
            tls: secure,
        })
    }

    /// Where people reach it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.people.address()
    }

    /// Where the command line reaches it.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.local.as_ref().unwrap_or(&self.people).address()
    }

    /// Where browsers reach it.
    pub(crate) fn base(&self, estate: &Estate) -> String {
        base(estate, self.address(), self.tls)
    }

    /// The names and the TLS of the doors, for the cookies.
    pub(crate) fn known_to(&self, auth: Auth, estate: &Estate) -> Auth {
        let auth = if self.tls { auth.with_tls() } else { auth };
        match estate.people.base() {
            Some(url) => auth.with_url(url),
            None => auth,
        }
    }

    pub(crate) fn into_all(self) -> Vec<Door> {
        [Some(self.people), self.local]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Where browsers reach the console of an estate.
pub(crate) fn base(estate: &Estate, console: SocketAddr, tls: bool) -> String {
    match estate.people.base() {
        Some(url) => url.to_owned(),
        None => base_of(console, tls),
    }
}

/// How people come in.
pub(crate) fn open(
    estate: &Estate,
    place: &Place,
    policies: Arc<ArcSwap<Policies>>,
    base: &str,
) -> anyhow::Result<Entrance> {
    let people = &estate.people;
    let accounts = if people.local {
        Some(accounts(estate, place).context("the accounts of people cannot be used")?)
    } else {
        None
    };
    let provider = match &people.oidc {
        None => None,
        Some(oidc) => Some(
            provider(estate, oidc, place, base).context("the identity provider cannot be used")?,
        ),
    };
    // The loader has checked the name.
    let zone = jiff::tz::TimeZone::get(&estate.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let people_of = Arc::new(People::new(accounts, provider, Arc::new(RealClock)));
    Ok(Entrance::new(people_of, move || policies.load_full(), zone)
        .with_sessions(people.session.idle, people.session.longest))
}

/// The accounts kept beside the data of an estate.
pub(crate) fn accounts(estate: &Estate, place: &Place) -> anyhow::Result<Accounts> {
    let clients = estate.clients.values().flat_map(|client| &client.roles);
    let roles = estate
        .people
        .all_roles()
        .map(str::to_owned)
        .chain(clients.map(|role| role.value.clone()));
    Ok(Accounts::open(
        &place.data,
        &estate.name,
        place.key_provider(estate)?,
        roles,
    )?)
}

fn provider(estate: &Estate, oidc: &Oidc, place: &Place, base: &str) -> anyhow::Result<Provider> {
    let tls = ClientTls {
        ca: oidc
            .ca
            .as_ref()
            .map(|file| Pem::File(estate.root.join(&file.path))),
        ..ClientTls::default()
    };
    let asker = Asker::new("people.oidc", &tls, MAX_ANSWER, PATIENCE)?;
    let ask = Ask::new(move |request| {
        let asker = asker.clone();
        Box::pin(async move { asker.ask(request).await })
    });
    let client_secret = oidc.client_secret.as_ref().map(|reference| {
        let secrets = place.secrets();
        let reference = reference.text.clone();
        // Read each time, so that a new one holds without a restart.
        ClientSecret::new(move || {
            let parsed = reference
                .parse::<wardline_vault::SecretRef>()
                .map_err(|error| error.to_string())?;
            let secret = secrets
                .resolve(&parsed)
                .map_err(|error| error.to_string())?;
            let text = secret
                .expose_text()
                .ok_or_else(|| format!("{reference} is not text"))?;
            Ok(text.trim().to_owned().into())
        })
    });
    let roles = oidc.roles.iter().map(|group| {
        let roles = group.roles.iter().map(|role| role.value.as_str().into());
        (group.group.clone(), roles.collect())
    });
    let settings = Settings {
        title: oidc.title.clone(),
        issuer: oidc.issuer.value.clone(),
        client_id: oidc.client_id.clone(),
        client_secret,
        redirect: format!("{base}{RETURN}"),
        scopes: oidc.scopes.clone(),
        name: oidc.name.clone(),
        groups: oidc.groups.clone(),
        roles: roles.collect(),
        acr: oidc.acr.clone(),
        amr: oidc.amr.clone(),
    };
    Ok(Provider::new(settings, ask))
}
