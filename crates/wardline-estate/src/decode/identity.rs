//! `identity:` of `wardline.yaml`.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    FileRef, Identity, Issuer, IssuerKeys, IssuerScopes, Listener, TokenAlgorithm, TokenSettings,
    WatchAction, WatchSettings,
};
use crate::shape::estate::{ISSUER, TOKEN, WATCH};
use crate::source::Spanned;
use crate::value;
use crate::yaml::{Entry, Node};
use std::collections::BTreeMap;
use std::time::Duration;
use wardline_core::Zone;

/// What may stand in a file where nothing does.
const ALGORITHMS: [&str; 2] = ["ES256", "RS256"];
/// A token cannot be called back everywhere at once, so it must not be good for long.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);

impl Decoder<'_> {
    pub(super) fn identity(
        &mut self,
        view: View<'_>,
        listeners: &BTreeMap<String, Listener>,
    ) -> Identity {
        let written = view.text("issuer");
        let token = view.below("token", &TOKEN);
        let life = token.parsed("life", value::duration).unwrap_or_default();
        if let Some(at) = token
            .get("life")
            .filter(|_| life > LONGEST_LIFE)
            .map(|node| node.at)
        {
            self.files.problems.push(
                Diagnostic::error(codes::TOO_LONG, "a token may be good for an hour at most")
                    .at(at)
                    .help("`5m` is long enough: clients ask for a new one"),
            );
        }
        let algorithm = token.parsed("algorithm", |text| match text {
            "EdDSA" => Ok(TokenAlgorithm::EdDsa),
            _ => Ok(TokenAlgorithm::Es256),
        });
        let mut issuers = BTreeMap::new();
        for entry in view.get("issuers").map_or(&[][..], Node::entries) {
            let issuer = self.issuer(entry);
            issuers.entry(entry.key.clone()).or_insert(issuer);
        }
        Identity {
            issuer_at: written.as_ref().map(|url| url.at),
            issuer: written.map_or_else(
                || derived(listeners),
                |url| url.value.trim_end_matches('/').to_owned(),
            ),
            token: TokenSettings {
                life,
                algorithm: algorithm.unwrap_or(TokenAlgorithm::Es256),
            },
            issuers,
            watch: watch(view.below("watch", &WATCH)),
        }
    }

    fn issuer(&mut self, entry: &Entry) -> Issuer {
        let view = View::new(Some(&entry.value), &ISSUER);
        let algorithms: Vec<_> = view
            .texts("algorithms")
            .into_iter()
            .map(|text| text.value)
            .collect();
        let url = view.text_or_stand_in("url", entry.key_at);
        if view.text("jwks").is_none() {
            // Its keys come from there.
            self.trustworthy(&url);
        }
        Issuer {
            name: entry.key.clone(),
            at: entry.key_at,
            url,
            keys: view
                .text("jwks")
                .and_then(|written| self.issuer_keys(written))
                .unwrap_or(IssuerKeys::Discovered),
            audience: view.text_or_stand_in("audience", entry.key_at),
            algorithms: if algorithms.is_empty() {
                ALGORITHMS.map(str::to_owned).to_vec()
            } else {
                algorithms
            },
            scopes: view
                .parsed("scopes", |text| match text {
                    "granted" => Ok(IssuerScopes::Granted),
                    _ => Ok(IssuerScopes::Token),
                })
                .unwrap_or(IssuerScopes::Token),
            ca: self.file(view.text("ca")),
        }
    }

    fn issuer_keys(&mut self, written: Spanned<String>) -> Option<IssuerKeys> {
        if !written.value.contains("://") {
            let (file, _): (FileRef, _) = self.key_set(&written)?;
            return Some(IssuerKeys::File(file));
        }
        self.published_at(written).map(IssuerKeys::Url)
    }

    /// A URL that keys are fetched from.
    pub(super) fn published_at(&mut self, written: Spanned<String>) -> Option<Spanned<String>> {
        let problem = match value::url(&written.value) {
            Ok(()) => return self.trustworthy(&written).then_some(written),
            Err(value::BadUrl::Malformed(why)) => {
                Diagnostic::error(codes::BAD_URL, "this is not a URL").label(why)
            }
            Err(value::BadUrl::Password) => Diagnostic::error(
                codes::PASSWORD_IN_FILE,
                "the URL holds a user or a password",
            ),
        };
        self.files.problems.push(problem.at(written.at));
        None
    }

    /// Whether keys that come from a URL are those of whom it names.
    fn trustworthy(&mut self, url: &Spanned<String>) -> bool {
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let here = |origin: &&str| {
            url.strip_prefix(*origin)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        };
        if !url.starts_with("http://") || local.iter().any(here) {
            return true;
        }
        self.files.problems.push(
            Diagnostic::error(codes::BAD_URL, "keys are fetched over `https` only")
                .at(url.at)
                .help(
                    "whoever is on the way could put keys of their own there, and sign for anybody",
                ),
        );
        false
    }
}

/// A word of `watch`.
pub(super) fn watch_action(text: &str) -> Result<WatchAction, String> {
    match text {
        "off" => Ok(WatchAction::Off),
        "alert" => Ok(WatchAction::Alert),
        "quarantine" => Ok(WatchAction::Quarantine),
        other => Err(other.to_owned()),
    }
}

fn watch(view: View<'_>) -> WatchSettings {
    // What does not fit was told, and the default stands in for it.
    let days = |key| u16::try_from(view.integer(key)).unwrap_or_default();
    WatchSettings {
        action: view
            .parsed("action", watch_action)
            .unwrap_or(WatchAction::Alert),
        learning_days: days("learning_days"),
        active_days: days("active_days"),
        quiet_calls: view.integer("quiet_calls"),
        times_most: view.integer("times_most"),
        few_denials: view.integer("few_denials"),
        denials_ceiling: view.integer("denials_ceiling"),
    }
}

/// The URL of the first internal listener. Where it listens on all addresses nobody can know which
/// of them callers use, so that is `localhost`: right on one machine, and for others a reason to say
/// what is.
fn derived(listeners: &BTreeMap<String, Listener>) -> String {
    let internal = listeners
        .values()
        .find(|listener| listener.zone == Zone::Internal)
        .or_else(|| listeners.values().next());
    let Some(listener) = internal else {
        return "http://localhost".to_owned();
    };
    let scheme = if listener.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let bind = listener.bind.value;
    if bind.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", bind.port())
    } else {
        format!("{scheme}://{bind}")
    }
}
