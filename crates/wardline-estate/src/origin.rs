//! Which declaration an effective setting came from.
//!
//! Settings such as `retry` may be given at a target, a flow, for a system or a facility in
//! `defaults.yaml`, or not at all; the nearest declaration wins, key by key. Whoever wonders why a
//! delivery gave up after twelve attempts asks [`Origins::explain`].

use crate::source::{SourceMap, Span};
use std::collections::BTreeMap;

/// The declaration that won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in a file.
    File(Span),
    /// Nothing was declared: Wardline's own default.
    BuiltIn,
}

/// One effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value, as a file would write it.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// Every effective setting by its path, such as
/// `flows.discharge-to-billing.to[0].retry.attempts` or `systems.ehr.adt.charset`.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    settings: BTreeMap<String, Setting>,
}

impl Origins {
    /// Records who decided a setting.
    pub(crate) fn record(&mut self, path: String, value: String, origin: Origin) {
        self.settings.insert(path, Setting { value, origin });
    }

    /// The setting at exactly this path.
    pub fn get(&self, path: &str) -> Option<&Setting> {
        self.settings.get(path)
    }

    /// All settings at or below a path, in order; the empty path means all.
    pub fn under<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        self.settings
            .iter()
            .map(|(at, setting)| (at.as_str(), setting))
            .filter(move |(at, _)| {
                path.is_empty()
                    || at
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
    }

    /// One line for each setting at or below a path: `path = value  (file:line:column)`.
    /// Empty where no setting has that path.
    pub fn explain(&self, path: &str, sources: &SourceMap) -> String {
        let mut text = String::new();
        for (at, setting) in self.under(path) {
            let from = match setting.origin {
                Origin::File(span) => sources.place(span),
                Origin::BuiltIn => "built in".to_owned(),
            };
            text.extend([at, " = ", &setting.value, "  (", &from, ")\n"]);
        }
        text
    }
}
