//! Who issues tokens, for whom, and for how long.

use crate::AccessError;
use crate::token::SigningAlgorithm;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use wardline_core::Zone;

/// The longest life of an access token (SMART Backend Services: SHOULD NOT exceed five
/// minutes).
pub const MAX_LIFE: Duration = Duration::from_secs(300);

/// How Wardline acts as an authorization server.
///
/// ```
/// use wardline_access::identity::Settings;
/// use wardline_core::Zone;
/// let settings = Settings::new()
///     .with_zone(Zone::Internal, "https://api.st-brigid.example")?
///     .with_zone(Zone::Partner, "https://partners.st-brigid.example")?;
/// assert!(Settings::new().with_zone(Zone::Partner, "http://partners.st-brigid.example").is_err());
/// # Ok::<(), wardline_access::AccessError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// One for each zone that has listeners.
    pub(crate) authorities: BTreeMap<Zone, Authority>,
    pub(crate) life: i64,
    /// What tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// Scopes named in the metadata; who may hold which is nobody else's business, so these
    /// are none unless set.
    pub scopes_supported: Vec<String>,
}

/// The issuer of one zone. Each zone has its own issuer and audience: a token of one is
/// nothing in another, whatever else holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// `iss`, without a slash at its end.
    pub(crate) issuer: Arc<str>,
    /// `aud` of its tokens.
    pub(crate) audience: Arc<str>,
}

impl Authority {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

impl Settings {
    /// Five minutes, ES256, and no zone yet.
    pub fn new() -> Self {
        Self {
            authorities: BTreeMap::new(),
            life: 300,
            algorithm: SigningAlgorithm::default(),
            scopes_supported: Vec::new(),
        }
    }

    /// Adds the zone whose listeners are reached under this URL, which becomes the issuer
    /// (`iss`) and the audience (`aud`) of its tokens.
    ///
    /// # Errors
    /// [`AccessError::IssuerUrl`] where it is not an `https` URL of a host alone. Plain
    /// `http` is for this machine itself (`localhost`, 127.0.0.0/8, ::1).
    pub fn with_zone(mut self, zone: Zone, issuer: &str) -> Result<Self, AccessError> {
        let refused = |reason| AccessError::IssuerUrl {
            url: issuer.chars().take(200).collect(),
            reason,
        };
        let url = Url::parse(issuer).map_err(|_| refused("it is not a URL"))?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(refused("it has no host")),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            return Err(refused("it is not https"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has more than a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it has a user"));
        }
        let issuer: Arc<str> = issuer.trim_end_matches('/').into();
        let authority = Authority {
            audience: Arc::clone(&issuer),
            issuer,
        };
        self.authorities.insert(zone, authority);
        Ok(self)
    }

    /// Sets how long tokens live.
    ///
    /// # Errors
    /// [`AccessError::TokenLife`] outside of one second to [`MAX_LIFE`].
    pub fn with_life(mut self, life: Duration) -> Result<Self, AccessError> {
        if life < Duration::from_secs(1) || life > MAX_LIFE {
            return Err(AccessError::TokenLife {
                seconds: life.as_secs(),
            });
        }
        self.life = i64::try_from(life.as_secs()).unwrap_or(300);
        Ok(self)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
