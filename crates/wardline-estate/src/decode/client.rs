//! `clients/*.yaml` and the key sets they name.

use super::api::{date, zone};
use super::settings::Levels;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::{
    ApiKey, CertificateMatch, Client, ClientAuth, ClientKind, ClientLimits, ClientWebhook,
    DisableRule, Exhausted, FileRef, IssuerClaim, OAuth2,
};
use crate::shape::client::{
    API_KEY, CLIENT, CLIENT_AUTH, CLIENT_LIMITS, CLIENT_WEBHOOK, DISABLE, ISSUER_CLAIM, MTLS,
    OAUTH2,
};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;
use serde_json::Value;
use std::sync::Arc;
use wardline_core::{Lane, Timestamp, Zone};

/// Members of a JWK that only the owner of the key may have (RFC 7518, 6.2.2, 6.3.2, 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl<'a> Decoder<'a> {
    pub(super) fn client(&mut self, node: &'a Node) -> Client {
        let view = View::new(Some(node), &CLIENT);
        let name = view.text_or_stand_in("client", node.at);
        let facilities = view.texts("facilities");
        self.learned.facilities.extend(facilities.iter().cloned());
        let kind = view.parsed("kind", |text| match text {
            "partner" => Ok(ClientKind::Partner),
            "person-group" => Ok(ClientKind::PersonGroup),
            "service" => Ok(ClientKind::Service),
            other => Err(other.to_owned()),
        });
        let said = view
            .get("auth")
            .is_none_or(|auth| !auth.entries().is_empty());
        if said {
            // A client without the key at all was told so.
            self.learned.with_auth.insert(name.value.clone());
        }
        let limits = view.below("limits", &CLIENT_LIMITS);
        let some = |number| Some(number).filter(|number| *number > 0);
        Client {
            at: name.at,
            title: view.string("title"),
            owner: view.string("owner"),
            kind: kind.unwrap_or(ClientKind::Service),
            zone: view.parsed("zone", zone).unwrap_or(Zone::Partner),
            facilities,
            roles: view.texts("roles"),
            auth: self.client_auth(view.below("auth", &CLIENT_AUTH), name.at),
            scopes: view.texts("scopes"),
            purpose: view.texts("purpose"),
            reveal: view
                .texts("reveal")
                .iter()
                .filter_map(|text| super::connection::sensitivity(&text.value).ok())
                .collect(),
            addresses: view
                .texts("addresses")
                .iter()
                .filter_map(|text| value::network(&text.value).ok())
                .collect(),
            limits: ClientLimits {
                rate: limits.parsed("rate", value::rate),
                burst: some(limits.integer("burst")),
                quota: limits.parsed("quota", value::quota),
                concurrent: some(limits.integer("concurrent")),
                body: limits.parsed("body", value::size),
            },
            webhooks: self.client_webhooks(view, &name.value),
            expires: date(view, "expires"),
            disabled: view.is_true("disabled"),
            watch: view.parsed("watch", super::identity::watch_action),
            name: name.value,
        }
    }

    fn client_auth(&mut self, view: View<'_>, at: Span) -> ClientAuth {
        ClientAuth {
            ssh: self.ssh_keys(view.text("ssh")),
            oauth2: view.get("oauth2").and_then(|node| self.oauth2(node)),
            mtls: view.get("mtls").and_then(certificate),
            api_key: view.get("api_key").map(|node| {
                let view = View::new(Some(node), &API_KEY);
                ApiKey {
                    // A key that nobody can have, and that has expired, stands in for one that
                    // cannot be read.
                    sha256: view.parsed("sha256", value::digest).unwrap_or_default(),
                    expires: date(view, "expires")
                        .unwrap_or_else(|| Spanned::new(Timestamp::default(), at)),
                    apis: view.texts("apis"),
                }
            }),
            issuer: view.get("issuer").and_then(|node| {
                let view = View::new(Some(node), &ISSUER_CLAIM);
                Some(IssuerClaim {
                    name: view.text("name")?,
                    claim: view.parsed("claim", |text| Ok(text.to_owned()))?,
                    equals: view.text("equals")?,
                })
            }),
        }
    }

    fn oauth2(&mut self, node: &Node) -> Option<OAuth2> {
        let view = View::new(Some(node), &OAUTH2);
        let method = view.text("method")?;
        let (jwks, secret) = (view.text("jwks"), view.text("secret"));
        let wrong = match method.value.as_str() {
            "private_key_jwt" => secret.as_ref().map(|secret| ("secret", secret.at)),
            "client_secret_basic" => jwks.as_ref().map(|jwks| ("jwks", jwks.at)),
            _ => secret
                .as_ref()
                .map(|secret| ("secret", secret.at))
                .or(jwks.as_ref().map(|jwks| ("jwks", jwks.at))),
        };
        if let Some((key, at)) = wrong {
            self.files.problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_KEY,
                    format!("`{}` has no use for `{key}`", method.value),
                )
                .at(at)
                .related(method.at, "for this method"),
            );
        }
        let lacks = |key: &str, what: &str| {
            Diagnostic::error(
                codes::NO_CREDENTIAL,
                format!("`{}` needs `{key}`", method.value),
            )
            .at(method.at)
            .help(what.to_owned())
        };
        match method.value.as_str() {
            "private_key_jwt" => {
                let Some(written) = jwks else {
                    let problem = lacks(
                        "jwks",
                        "add `jwks: clients/NAME.jwks.json`, the client's public keys",
                    );
                    self.files.problems.push(problem);
                    return None;
                };
                if written.value.contains("://") {
                    let url = self.published_at(written)?;
                    return Some(OAuth2::PublishedKeys { url });
                }
                let (file, jwks) = self.key_set(&written)?;
                Some(OAuth2::PrivateKeyJwt { file, jwks })
            }
            "client_secret_basic" => {
                if secret.is_none() {
                    let problem = lacks("secret", "add `secret: secret:NAME`");
                    self.files.problems.push(problem);
                }
                let secret = self.secret(secret)?;
                Some(OAuth2::ClientSecretBasic { secret })
            }
            "tls_client_auth" => Some(OAuth2::TlsClientAuth),
            _ => None,
        }
    }

    /// A file of public keys. Private ones are refused, and masked in everything that is shown.
    pub(super) fn key_set(&mut self, written: &Spanned<String>) -> Option<(FileRef, Arc<Value>)> {
        let path = self.files.refer("", written)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        let whole = Span::new(
            file,
            0,
            u32::try_from(self.files.sources.text(file).len()).ok()?,
        );
        let set: Option<Value> = serde_json::from_str(self.files.sources.text(file)).ok();
        let keys = set
            .as_ref()
            .and_then(|set| set.get("keys"))
            .and_then(Value::as_array);
        let private = |key: &Value| PRIVATE.iter().any(|member| key.get(member).is_some());
        let kind = |key: &Value| {
            key.get("kty")
                .and_then(Value::as_str)
                .is_some_and(|kind| matches!(kind, "EC" | "OKP" | "RSA"))
        };
        let problem = match keys {
            Some(keys) if keys.iter().any(private) => {
                Diagnostic::error(codes::KEY_IN_FILE, "the file holds a private key")
                    .at(whole)
                    .related(written.at, "named here")
                    .help("make a new key, and put only its public part into the estate")
            }
            Some(keys) if !keys.is_empty() && keys.iter().all(kind) => {
                let reference = FileRef {
                    path,
                    at: written.at,
                };
                return Some((reference, Arc::new(set.unwrap_or_default())));
            }
            Some(_) | None => Diagnostic::error(
                codes::BAD_KEYS,
                format!("`{}` is not a set of public keys", path.display()),
            )
            .at(written.at)
            .label("expected a JWK Set: `{ \"keys\": [ … ] }`"),
        };
        // The same set may be named twice.
        if !self.files.problems.iter().any(|known| *known == problem) {
            self.files.problems.push(problem);
        }
        None
    }

    /// `webhook`, which has the client's own name, and those of `webhooks`, which have two.
    fn client_webhooks(&mut self, view: View<'a>, client: &str) -> Vec<ClientWebhook> {
        let one = view.get("webhook").map(|node| (client.to_owned(), node));
        let named = view.get("webhooks").map_or(&[][..], Node::entries).iter();
        let all: Vec<(String, &'a Node)> = one
            .into_iter()
            .chain(named.map(|entry| (format!("{client}.{}", entry.key), &entry.value)))
            .collect();
        all.into_iter()
            .filter_map(|(name, node)| self.client_webhook(name, node))
            .collect()
    }

    fn client_webhook(&mut self, name: String, node: &'a Node) -> Option<ClientWebhook> {
        let view = View::new(Some(node), &CLIENT_WEBHOOK);
        let url = view.text("url");
        let secret = self.secret(view.text("secret"));
        let previous = self.secrets(view.texts("previous"));
        if let Some(url) = url.as_ref().filter(|url| url.starts_with("http://")) {
            self.files.problems.push(
                Diagnostic::error(codes::BAD_URL, "events are sent to `https` only")
                    .at(url.at)
                    .help("anybody on the way could read them"),
            );
        }
        let registers = view.is_true("register");
        let reach = view.text("reach");
        if let Some(reach) = reach
            .as_ref()
            .filter(|reach| registers && reach.value == "anywhere")
        {
            self.files.problems.push(
                Diagnostic::error(
                    codes::BAD_URL,
                    "what a client registers leads to public addresses only",
                )
                .at(reach.at)
                .help("write its `url` here instead"),
            );
        }
        if url.is_none() && !registers {
            return None;
        }
        let disable = view.below("disable", &DISABLE);
        let failures = disable.integer("failures");
        // Only what the file itself says: defaults are those of systems of this house.
        let own = Levels::only(node);
        let path = format!("webhooks.{name}");
        Some(ClientWebhook {
            at: url.as_ref().map_or(node.at, |url| url.at),
            url,
            secret: secret?,
            previous,
            events: view.texts("events"),
            when: view.text("when"),
            purpose: view.text("purpose"),
            thin: view.get("thin").map(|_| view.is_true("thin")),
            fetch: view.text("fetch"),
            lane: view
                .parsed("lane", |text| {
                    text.parse::<Lane>().map_err(|error| error.to_string())
                })
                .unwrap_or_default(),
            retry: view.get("retry").is_some().then(|| self.retry(&own, &path)),
            on_exhausted: match view.string("on_exhausted").as_deref() {
                Some("hold") => Exhausted::Hold,
                _ => Exhausted::Park,
            },
            disable: DisableRule {
                after: disable.parsed("after", value::duration).unwrap_or_default(),
                failures: (failures > 0).then_some(failures),
            },
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            concurrent: view.integer("concurrent"),
            public_only: reach.is_none_or(|reach| reach.value != "anywhere"),
            tls: self.client_tls(view.get("tls")),
            name,
        })
    }
}

fn certificate(node: &Node) -> Option<Spanned<CertificateMatch>> {
    let view = View::new(Some(node), &MTLS);
    if let Some(subject) = view.text("subject") {
        return Some(subject.map(CertificateMatch::Subject));
    }
    if let Some(san) = view.text("san") {
        return Some(san.map(CertificateMatch::San));
    }
    let thumbprint = view.text("thumbprint")?;
    let digest = value::digest(&thumbprint.value).ok()?;
    Some(thumbprint.map(|_| CertificateMatch::Thumbprint(digest)))
}
