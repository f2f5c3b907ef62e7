//! How the keys of issuers and clients are fetched: from the origins that the estate names, each
//! verified by the authorities that it names for it, and from nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use wardline_access::identity::{Fetch, Fetched, MAX_KEY_SET};
use wardline_connect::http::Asker;
use wardline_connect::tls::{ClientTls, Pem};
use wardline_estate::model::{Estate, FileRef, IssuerKeys, OAuth2};

/// How long an answer may take. Nobody waits for it, so a slow issuer is good enough.
const PATIENCE: Duration = Duration::from_secs(45);

/// Fetches what this estate names. An issuer whose authorities cannot be read is told in the log,
/// and its keys are not fetched.
pub(super) fn of(estate: &Estate) -> Fetch {
    let mut askers: BTreeMap<String, Asker> = BTreeMap::new();
    let mut add = |url: &str, ca: Option<&FileRef>, name: &str| {
        let Some(origin) = origin(url) else { return };
        let tls = ClientTls {
            ca: ca.map(|file| Pem::File(estate.root.join(&file.path))),
            ..ClientTls::default()
        };
        match Asker::new(name, &tls, MAX_KEY_SET, PATIENCE) {
            Ok(asker) => {
                askers.entry(origin).or_insert(asker);
            }
            Err(error) => tracing::error!(%error, "keys of {name} cannot be fetched"),
        }
    };
    for issuer in estate.identity.issuers.values() {
        let name = format!("issuer {}", issuer.name);
        match &issuer.keys {
            IssuerKeys::Discovered => add(&issuer.url, issuer.ca.as_ref(), &name),
            IssuerKeys::Url(url) => add(url, issuer.ca.as_ref(), &name),
            IssuerKeys::File(_) => {}
        }
    }
    for client in estate.clients.values() {
        if let Some(OAuth2::PublishedKeys { url }) = &client.auth.oauth2 {
            add(url, None, &format!("client {}", client.name));
        }
    }
    let askers = Arc::new(askers);
    Fetch::new(move |url| {
        let asker = origin(&url).and_then(|origin| askers.get(&origin).cloned());
        Box::pin(async move {
            let asker = asker.ok_or("its host is not one that the estate names")?;
            let document = asker.get(&url).await?;
            Ok(Fetched {
                status: document.status().as_u16(),
                body: document.into_body(),
            })
        })
    })
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some(format!("{scheme}://{}:{port}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origins_are_compared_as_browsers_do() {
        for (url, same) in [
            ("https://Login.example/a", "https://login.example:443"),
            ("https://login.example:8443/", "https://login.example:8443"),
            ("http://127.0.0.1:9/x?y", "http://127.0.0.1:9"),
            ("http://[::1]/x", "http://[::1]:80"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(same), "{url}");
        }
        assert_eq!(origin("/only/a/path"), None);
        assert_eq!(origin("mailto:x@y"), None);
    }
}
