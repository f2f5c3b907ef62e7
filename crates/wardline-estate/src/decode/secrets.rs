//! `secrets:` of `wardline.yaml`.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Secrets, VaultLogin, VaultServer};
use crate::shape::secrets::{APP_ROLE, SECRETS, VAULT};
use crate::source::Span;
use crate::value;
use std::path::PathBuf;

impl Decoder<'_> {
    /// References that stand elsewhere are added when everything is decoded.
    pub(super) fn secret_sources(&mut self, top: View<'_>) -> Secrets {
        let at = top.get("secrets").map(|node| node.at);
        let view = top.below("secrets", &SECRETS);
        let vault = match (view.get("vault"), at) {
            (Some(_), Some(at)) => Some(self.vault_server(view.below("vault", &VAULT), at)),
            _ => None,
        };
        Secrets {
            file: view.string("file").map(PathBuf::from),
            identities: view.string("identities").map(PathBuf::from),
            recipients: view.texts("recipients"),
            overlap: view.parsed("overlap", value::duration).unwrap_or_default(),
            vault,
            used: Vec::new(),
        }
    }

    /// `keys: { provider: vault }` without a server.
    pub(super) fn no_vault(&mut self, at: Span) {
        let problem = Diagnostic::error(codes::NO_VAULT, "there is no Vault to wrap keys with");
        let help = "name the server: `secrets: { vault: { address: … } }`";
        self.files.problems.push(problem.at(at).help(help));
    }

    /// A revocation list where nobody's certificate is asked for.
    pub(super) fn crl_of_nobody(&mut self, at: Span) {
        let problem = Diagnostic::error(codes::MISSING_KEY, "`crl` needs `client_ca`");
        let help = "name the authorities whose certificates are asked for";
        self.files.problems.push(problem.at(at).help(help));
    }

    fn vault_server(&mut self, view: View<'_>, at: Span) -> VaultServer {
        let duration = |key| view.parsed(key, value::duration).unwrap_or_default();
        let role = view.below("approle", &APP_ROLE);
        let login = if view.get("approle").is_some() {
            let secret = self.secret(role.text("secret_id"));
            secret.map(|secret| VaultLogin::AppRole {
                mount: role.string("mount").unwrap_or_default(),
                role: role.string("role_id").unwrap_or_default(),
                secret,
            })
        } else {
            self.secret(view.text("token")).map(VaultLogin::Token)
        };
        VaultServer {
            address: view.text_or_stand_in("address", at),
            namespace: view.string("namespace"),
            ca: self.file(view.text("ca")),
            login,
            mount: view.string("mount").unwrap_or_default(),
            path: view.string("path").unwrap_or_default(),
            every: duration("every"),
            stale: duration("stale"),
        }
    }
}
