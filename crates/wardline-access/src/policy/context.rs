//! What policies are told about a request, and only what they ask for.
//!
//! Making a value costs more than most policies cost to evaluate, so a decision makes those
//! that its policies name. Which these are is read from the text of the policies, on the safe
//! side: a text that could name an attribute in another way wants all of them.

use std::ops::BitOr;

/// Attributes of the context, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted(u16);

/// The attributes in the order of their bits.
const ATTRIBUTES: [&str; 13] = [
    "zone",
    "purpose",
    "hour",
    "weekday",
    "strength",
    "mtls",
    "facility",
    "facility_allowed",
    "scopes",
    "has_scope",
    "shown",
    "version",
    "class",
];

impl Wanted {
    pub(crate) const ZONE: Self = Self(1);
    pub(crate) const PURPOSE: Self = Self(1 << 1);
    pub(crate) const HOUR: Self = Self(1 << 2);
    pub(crate) const WEEKDAY: Self = Self(1 << 3);
    pub(crate) const STRENGTH: Self = Self(1 << 4);
    pub(crate) const MTLS: Self = Self(1 << 5);
    pub(crate) const FACILITY: Self = Self(1 << 6);
    pub(crate) const FACILITY_ALLOWED: Self = Self(1 << 7);
    pub(crate) const SCOPES: Self = Self(1 << 8);
    pub(crate) const HAS_SCOPE: Self = Self(1 << 9);
    pub(crate) const SHOWN: Self = Self(1 << 10);
    pub(crate) const VERSION: Self = Self(1 << 11);
    pub(crate) const CLASS: Self = Self(1 << 12);
    /// All of them.
    pub(crate) const ALL: Self = Self((1 << ATTRIBUTES.len()) - 1);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[cfg(test)]
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What the text of a policy names.
    pub(crate) fn of(text: &str) -> Self {
        // `context["z\u{6f}ne"]`, or the context as a whole.
        if text.contains('\\') || whole_context(text) {
            return Self::ALL;
        }
        ATTRIBUTES
            .iter()
            .enumerate()
            .filter(|(_, name)| text.contains(**name))
            .fold(Self::default(), |all, (at, _)| all | Self(1 << at))
    }
}

impl BitOr for Wanted {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether the context is used otherwise than by `context.x`, `context["x"]`, `context has x`.
fn whole_context(text: &str) -> bool {
    text.match_indices("context").any(|(at, word)| {
        let rest = text[at + word.len()..].trim_start();
        !(rest.starts_with('.') || rest.starts_with('[') || rest.starts_with("has"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_wants_what_it_names_and_all_where_that_cannot_be_told() {
        assert_eq!(
            Wanted::of("permit(principal, action, resource);"),
            Wanted(0)
        );
        assert_eq!(
            Wanted::of("… when { context.hour < 6 && context has purpose };"),
            Wanted::HOUR | Wanted::PURPOSE
        );
        assert_eq!(Wanted::of("context[\"mtls\"]"), Wanted::MTLS);
        for all in [
            r#"context["m\u{74}ls"]"#,
            "context == principal.context",
            "context // the\n .zone",
            "[context].contains(context)",
        ] {
            assert_eq!(Wanted::of(all), Wanted::ALL, "{all}");
        }
        // Longer names contain shorter ones; that only makes one value too many.
        assert!(Wanted::of("context.facility_allowed").has(Wanted::FACILITY_ALLOWED));
    }
}
