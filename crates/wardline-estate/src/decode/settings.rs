//! Settings that may be declared at several levels: the nearest declaration wins, key by key, and
//! who won is recorded for `wardline explain`.

use super::Decoder;
use super::view::View;
use crate::model::{Breaker, Charset, Exhausted, Jitter, Limits, Retry};
use crate::origin::Origin;
use crate::shape::Object;
use crate::shape::estate::{BREAKER, DEFAULTS, LIMITS, RETRY};
use crate::source::Spanned;
use crate::value;
use crate::yaml::Node;
use std::time::Duration;
use wardline_core::Lane;

/// The levels at which a setting may be declared, nearest first.
pub(super) struct Levels<'a>(Vec<&'a Node>);

impl<'a> Levels<'a> {
    /// One level alone, whatever `defaults.yaml` says.
    pub(super) fn only(node: &'a Node) -> Self {
        Self(vec![node])
    }
}

/// A key and the group it is in: `retry` and `attempts`; or a key at the level itself.
#[derive(Clone, Copy)]
struct Key {
    group: Option<(&'static str, &'static Object)>,
    key: &'static str,
}

impl Key {
    const fn of(group: &'static str, object: &'static Object, key: &'static str) -> Self {
        Self {
            group: Some((group, object)),
            key,
        }
    }

    const fn plain(key: &'static str) -> Self {
        Self { group: None, key }
    }

    fn built_in(self) -> Option<&'static str> {
        let (_, object) = self.group?;
        View::new(None, object).default(self.key)
    }

    fn find(self, level: &Node) -> Option<&Node> {
        match self.group {
            Some((group, _)) => level.get(group)?.get(self.key),
            None => level.get(self.key),
        }
    }
}

impl<'a> Decoder<'a> {
    /// Notes which systems and facilities the defaults speak of.
    pub(super) fn learn_defaults(&mut self) {
        let defaults = View::new(self.defaults, &DEFAULTS);
        let names = |key| {
            let entries = defaults.get(key).map_or(&[][..], Node::entries).iter();
            entries
                .map(|entry| Spanned::new(entry.key.clone(), entry.key_at))
                .collect::<Vec<_>>()
        };
        self.learned.default_systems = names("systems");
        self.learned.facilities = names("facilities");
    }

    /// The given levels, then what `defaults.yaml` says for the system, the facility and all.
    pub(super) fn levels(
        &self,
        nearest: &[&'a Node],
        system: &str,
        facility: Option<&str>,
    ) -> Levels<'a> {
        let defaults = View::new(self.defaults, &DEFAULTS);
        let of_system = defaults
            .get("systems")
            .and_then(|systems| systems.get(system));
        let of_facility = facility.and_then(|facility| defaults.get("facilities")?.get(facility));
        Levels(
            nearest
                .iter()
                .copied()
                .chain(of_system)
                .chain(of_facility)
                .chain(self.defaults)
                .collect(),
        )
    }

    /// The nearest declaration that can be read, else the built-in one.
    fn setting<T>(
        &mut self,
        levels: &Levels<'a>,
        path: &str,
        key: Key,
        built_in: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let declared = levels.0.iter().find_map(|level| {
            let node = key.find(level)?;
            let scalar = node.scalar()?;
            Some((
                read(&scalar.text).ok()?,
                scalar.text.clone(),
                Origin::File(node.at),
            ))
        });
        let (found, text, origin) = match declared {
            Some((found, text, origin)) => (Some(found), text, origin),
            None => match built_in {
                Some(text) => (read(text).ok(), text.to_owned(), Origin::BuiltIn),
                None => (None, "none".to_owned(), Origin::BuiltIn),
            },
        };
        let group = key
            .group
            .map_or(String::new(), |(group, _)| format!("{group}."));
        self.origins
            .record(format!("{path}.{group}{}", key.key), text, origin);
        found
    }

    pub(super) fn retry(&mut self, levels: &Levels<'a>, path: &str) -> Retry {
        let key = |name| Key::of("retry", &RETRY, name);
        let mut duration = |name| {
            self.setting(
                levels,
                path,
                key(name),
                key(name).built_in(),
                value::duration,
            )
        };
        let (first, max, max_age) = (duration("first"), duration("max"), duration("max_age"));
        let factor = self.setting(
            levels,
            path,
            key("factor"),
            key("factor").built_in(),
            number::<f64>,
        );
        let attempts = self.setting(
            levels,
            path,
            key("attempts"),
            key("attempts").built_in(),
            number::<u32>,
        );
        let jitter = self.setting(
            levels,
            path,
            key("jitter"),
            key("jitter").built_in(),
            |text| match text {
                "full" => Ok(Jitter::Full),
                "none" => Ok(Jitter::None),
                other => Err(other.to_owned()),
            },
        );
        Retry {
            first: first.unwrap_or_default(),
            factor: factor.unwrap_or(1.0),
            max: max.unwrap_or_default(),
            attempts: attempts.unwrap_or_default(),
            max_age,
            jitter: jitter.unwrap_or(Jitter::Full),
        }
    }

    /// Limits; `concurrent` is what the protocol bears where nothing is declared.
    pub(super) fn limits(&mut self, levels: &Levels<'a>, path: &str, concurrent: &str) -> Limits {
        let key = |name| Key::of("limits", &LIMITS, name);
        let rate = self.setting(levels, path, key("rate"), None, value::rate);
        let a_second = rate.map_or(1.0, |rate| rate.ceil().max(1.0)) as u32;
        let burst = self.setting(
            levels,
            path,
            key("burst"),
            Some(&a_second.to_string()),
            number::<u32>,
        );
        let concurrent = self.setting(
            levels,
            path,
            key("concurrent"),
            Some(concurrent),
            number::<u32>,
        );
        Limits {
            rate,
            burst: burst.unwrap_or(a_second),
            concurrent: concurrent.unwrap_or(1),
        }
    }

    pub(super) fn breaker(&mut self, levels: &Levels<'a>, path: &str) -> Breaker {
        let key = |name| Key::of("breaker", &BREAKER, name);
        let open_after = self.setting(
            levels,
            path,
            key("open_after"),
            key("open_after").built_in(),
            number::<u32>,
        );
        let mut duration = |name| -> Duration {
            self.setting(
                levels,
                path,
                key(name),
                key(name).built_in(),
                value::duration,
            )
            .unwrap_or_default()
        };
        Breaker {
            open_after: open_after.unwrap_or_default(),
            within: duration("within"),
            probe_every: duration("probe_every"),
        }
    }

    pub(super) fn lane(&mut self, levels: &Levels<'a>, path: &str) -> Lane {
        self.lane_or(levels, path, Lane::Normal)
    }

    /// The lane, where `otherwise` is meant when nothing is said.
    pub(super) fn lane_or(&mut self, levels: &Levels<'a>, path: &str, otherwise: Lane) -> Lane {
        let read = |text: &str| {
            text.parse()
                .map_err(|error: wardline_core::ParseLaneError| error.to_string())
        };
        self.setting(
            levels,
            path,
            Key::plain("lane"),
            Some(&otherwise.to_string()),
            read,
        )
        .unwrap_or(otherwise)
    }

    pub(super) fn exhausted(&mut self, levels: &Levels<'a>, path: &str) -> Exhausted {
        let read = |text: &str| match text {
            "hold" => Ok(Exhausted::Hold),
            "park" => Ok(Exhausted::Park),
            other => Err(other.to_owned()),
        };
        self.setting(levels, path, Key::plain("on_exhausted"), Some("hold"), read)
            .unwrap_or(Exhausted::Hold)
    }

    pub(super) fn charset(&mut self, levels: &Levels<'a>, path: &str) -> Charset {
        self.setting(
            levels,
            path,
            Key::plain("charset"),
            Some("auto"),
            value::charset,
        )
        .unwrap_or(Charset::Auto)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}
