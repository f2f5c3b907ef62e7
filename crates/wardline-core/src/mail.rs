//! Addresses of people to whom mail goes, and who may be written to.

use std::fmt;

/// An address, perhaps with a name before it: `Supply chain <supply@st-brigid.example>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What people see.
    pub name: Option<String>,
    /// `local@domain`.
    pub mailbox: String,
}

/// Why a text is no address; it does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address such as `supply@st-brigid.example`, or `Supply chain <supply@st-brigid.example>`"
)]
pub struct BadAddress;

impl Address {
    /// Reads an address. Only what needs no quoting is taken: letters, digits and `.!#$%&'*+/=?^_{|}~-`
    /// before the `@`, and a host behind it.
    ///
    /// # Errors
    /// [`BadAddress`] where it is none.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.chars().any(char::is_control) || text.len() > 512 {
            return Err(BadAddress);
        }
        let (name, mailbox) = match text.split_once('<') {
            Some((name, rest)) => {
                let mailbox = rest.strip_suffix('>').ok_or(BadAddress)?;
                let name = name.trim().trim_matches('"').trim();
                if name.contains(['"', '<', '>', '\\']) {
                    return Err(BadAddress);
                }
                ((!name.is_empty()).then(|| name.to_owned()), mailbox)
            }
            None => (None, text),
        };
        let (local, domain) = mailbox.rsplit_once('@').ok_or(BadAddress)?;
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_{|}~-".contains(c);
        let dotted = |text: &str, plain: &dyn Fn(char) -> bool| {
            text.split('.')
                .all(|part| !part.is_empty() && part.chars().all(plain))
        };
        let host = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if local.len() > 64 || domain.len() > 253 || !dotted(local, &atom) || !dotted(domain, &host)
        {
            return Err(BadAddress);
        }
        Ok(Self {
            name,
            mailbox: mailbox.to_owned(),
        })
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.mailbox
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain)
    }
}

/// Who may be written to: addresses, and whole domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(Vec<String>);

impl Recipients {
    /// Of `a@b.example` or `b.example`.
    pub fn new(all: impl IntoIterator<Item = String>) -> Self {
        Self(
            all.into_iter()
                .map(|one| one.to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether an address is among them. A domain does not stand for those below it.
    pub fn hold(&self, address: &Address) -> bool {
        let (whole, domain) = (
            address.mailbox.to_ascii_lowercase(),
            address.domain().to_ascii_lowercase(),
        );
        self.0.iter().any(|one| *one == whole || *one == domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = Address::parse("Einkauf \u{fc}ber <supply+a@st-brigid.example>").unwrap();
        assert_eq!(read.name.as_deref(), Some("Einkauf \u{fc}ber"));
        assert_eq!(read.mailbox, "supply+a@st-brigid.example");
        for bad in [
            "",
            "a",
            "a@",
            "@b.example",
            "a b@c.example",
            "a@b.example\r\nBcc: x@y.example",
            "a@b.example, x@y.example",
            "\"a\"@b.example",
            "A <a@b.example",
            "A\nB <a@b.example>",
            "a@[127.0.0.1]",
            "a..b@c.example",
            "a@b..example",
            "a@b.example>",
            "<a@b.example> x",
        ] {
            assert_eq!(Address::parse(bad), Err(BadAddress), "{bad:?}");
        }
    }

    #[test]
    fn only_who_is_named_is_written_to() {
        let all = Recipients::new(["St-Brigid.example".into(), "night@ghx.example".into()]);
        for (address, holds) in [
            ("a@st-brigid.example", true),
            ("a@ST-BRIGID.example", true),
            ("night@ghx.example", true),
            ("day@ghx.example", false),
            ("a@sub.st-brigid.example", false),
            ("a@evil-st-brigid.example", false),
        ] {
            assert_eq!(
                all.hold(&Address::parse(address).unwrap()),
                holds,
                "{address}"
            );
        }
    }
}
