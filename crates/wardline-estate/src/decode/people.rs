//! `people:` of `wardline.yaml`.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{GroupRoles, Oidc, People, SessionSettings};
use crate::shape::people::{OIDC, SESSION};
use crate::source::Span;
use crate::value;
use crate::yaml::Node;
use std::time::Duration;

/// A screen that nobody sits at must not stay open (45 CFR 164.312(a)(2)(iii)).
const LONGEST_IDLE: Duration = Duration::from_secs(3_600);
/// Longer than any shift.
const LONGEST_SESSION: Duration = Duration::from_secs(24 * 3_600);

impl Decoder<'_> {
    pub(super) fn people(&mut self, view: View<'_>) -> People {
        People {
            url: view.text("url"),
            local: view.is_true("local"),
            oidc: view.get("oidc").map(|node| self.oidc(node, node.at)),
            roles: view.texts("roles"),
            session: self.session(view.below("session", &SESSION)),
        }
    }

    fn session(&mut self, view: View<'_>) -> SessionSettings {
        let mut read = |key: &str, most: Duration, words: &str| {
            let duration = view.parsed(key, value::duration).unwrap_or_default();
            if let Some(node) = view.get(key).filter(|_| duration > most) {
                self.files.problems.push(
                    Diagnostic::error(codes::TOO_LONG, words)
                        .at(node.at)
                        .help("leave it out: `15m` idle and `10h` in all are what is usual"),
                );
            }
            duration
        };
        SessionSettings {
            idle: read(
                "idle",
                LONGEST_IDLE,
                "a session may be idle for an hour at most",
            ),
            longest: read(
                "longest",
                LONGEST_SESSION,
                "a session may last for a day at most",
            ),
        }
    }

    fn oidc(&mut self, node: &Node, at: Span) -> Oidc {
        let view = View::new(Some(node), &OIDC);
        let word = |key| {
            view.parsed(key, |text| Ok(text.to_owned()))
                .unwrap_or_default()
        };
        let values = |key| {
            let texts = view.texts(key).into_iter();
            texts.map(|text| text.value).collect::<Vec<_>>()
        };
        let mut scopes = values("scopes");
        if scopes.is_empty() {
            scopes = ["profile", "email"].map(str::to_owned).to_vec();
        }
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let roles = view.get("roles").map_or(&[][..], Node::entries).iter();
        let roles = roles
            .map(|entry| GroupRoles {
                group: entry.key.clone(),
                roles: entry
                    .value
                    .one_or_many()
                    .iter()
                    .filter_map(Node::text)
                    .collect(),
            })
            .collect();
        let client_secret = self.secret(view.text("client_secret"));
        let ca = self.file(view.text("ca"));
        Oidc {
            title: word("title"),
            issuer: view.text_or_stand_in("issuer", at),
            client_id: view.string("client_id").unwrap_or_default(),
            client_secret,
            scopes,
            name: word("name"),
            groups: word("groups"),
            roles,
            acr: values("acr"),
            amr: values("amr"),
            ca,
            at,
        }
    }
}
