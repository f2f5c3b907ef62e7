//! Whether something says the same as before: its declaration, wherever it stands. What the secrets
//! and files that it names hold is another matter: [`Renewals`](crate::renew::Renewals) puts those
//! in place while it runs. Only what has no such keeper is compared by what it was made of too.

use crate::wire::Wiring;
use std::fmt::Debug;
use wardline_estate::said;
use wardline_vault::{SecretRef, Vault};

/// What a declaration said when it was made ready.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    said: String,
    /// Keyed digests of what it leads to, in the order in which it names it.
    read: Vec<i64>,
}

/// As the model's references are written in what a declaration says. Inside a text both would
/// have their quotation marks escaped.
const SECRET: &str = "SecretRef { text: \"";
const FILE: &str = "FileRef { path: \"";

impl Mark {
    /// Of a declaration whose secrets and files are kept in step by somebody else.
    pub(crate) fn said(declared: &impl Debug) -> Self {
        Self {
            said: said(declared),
            read: Vec::new(),
        }
    }

    /// Reads secrets and certificates, so it may block for a moment.
    pub(crate) fn of(wiring: &Wiring<'_>, vault: &Vault, declared: &impl Debug) -> Self {
        let said = said(declared);
        let secrets = named(&said, SECRET).map(|reference| {
            let secret = reference
                .parse::<SecretRef>()
                .and_then(|reference| wiring.secrets.present(&reference));
            // What is missing now is told when the connection is made ready.
            secret.map_or(0, |secret| vault.digest(secret.expose()))
        });
        let files = named(&said, FILE).map(|path| {
            let bytes = std::fs::read(wiring.estate.root.join(path));
            bytes.map_or(0, |bytes| vault.digest(&bytes))
        });
        let read = secrets.chain(files).collect();
        Self { said, read }
    }
}

fn named<'t>(said: &'t str, prefix: &'static str) -> impl Iterator<Item = &'t str> {
    said.split(prefix)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_estate::{FileId, Span};

    #[test]
    fn what_is_named_is_found_and_what_looks_like_it_is_not() {
        let at = Span::new(FileId(7), 1, 2);
        let secret = |text: &str| wardline_estate::SecretRef {
            text: text.to_owned(),
            at,
        };
        let declared = (
            secret("secret:erp/ws"),
            "a text with SecretRef { text: \"secret:none\" } in it",
            [secret("secret:hr")],
        );
        let said = said(&declared);
        let found: Vec<_> = named(&said, SECRET).collect();
        assert_eq!(found, ["secret:erp/ws", "secret:hr"]);
        assert!(!said.contains("FileId"), "{said}");
    }
}
