//! `apis/*.yaml`.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::{
    Api, ApiCall, ApiLimits, ApiOperation, Binding, BodyContent, ByHeader, Estate, FileRef,
    Idempotency, Later, Layer, Lifecycle, Method, QueryType, ResponseValidation, Sending, Shadow,
    Share, Validation, Version, Work,
};
use crate::shape::api::{
    API, API_CALL, API_LIMITS, API_OPERATION, BINDING, IDEMPOTENT, LATER, SHADOW, VALIDATE,
    VERSIONS,
};
use crate::source::Spanned;
use crate::value;
use crate::yaml::{Data, Entry, Node};
use std::collections::BTreeMap;
use std::time::Duration;
use wardline_core::{Lane, Timestamp, Zone};

impl<'a> Decoder<'a> {
    pub(super) fn api(&mut self, node: &'a Node, estate: &Estate) -> Api {
        let view = View::new(Some(node), &API);
        let name = view.text_or_stand_in("api", node.at);
        let version = view
            .text("version")
            .and_then(|text| Version::parse(&text.value))
            .unwrap_or_default();
        let by_header = by_header(view);
        let base = view.text("base").map_or_else(
            || {
                // One path for all versions where a header tells them apart.
                let path = match by_header {
                    Some(_) => format!("/{}", name.value),
                    None => format!("/{}/v{}", name.value, version.major),
                };
                Spanned::new(path, name.at)
            },
            // Templates bring their own slash.
            |written| written.map(|path| path.trim_end_matches('/').to_owned()),
        );
        let said = view
            .string("layer")
            .filter(|word| word == layer(view).as_str());
        let layer = layer(view);
        if said.is_some() && layer != Layer::System {
            for key in ["bindings", "shadow"] {
                self.misplaced(node, key, layer, "Api");
            }
        }
        let mut operations = BTreeMap::new();
        for entry in view.get("operations").map_or(&[][..], Node::entries) {
            let mut operation = self.api_operation(entry, &name.value, layer);
            operation.later = self.later(entry, view, layer, &operation.reference, estate);
            if said.is_some() {
                self.fits_layer(entry, layer);
            }
            operations.entry(entry.key.clone()).or_insert(operation);
        }
        let zones: Vec<_> = view
            .texts("zones")
            .iter()
            .filter_map(|text| zone(&text.value).ok())
            .collect();
        Api {
            id: format!("{}/v{}", name.value, version.major),
            at: name.at,
            title: view.string("title"),
            owner: view.string("owner"),
            layer,
            version,
            state: lifecycle(view),
            zones: if zones.is_empty() {
                vec![Zone::Internal]
            } else {
                zones
            },
            base,
            by_header,
            contract: self.contract(view),
            deprecated: date(view, "deprecated"),
            sunset: date(view, "sunset"),
            successor: view.text("successor"),
            operations,
            bindings: view
                .get("bindings")
                .map_or(&[][..], Node::one_or_many)
                .iter()
                .map(binding)
                .collect(),
            shadow: view.get("shadow").and_then(shadow),
            limits: limits(view.below("limits", &API_LIMITS)),
            name: name.value,
        }
    }

    /// The file of a given contract, read so that whoever understands it finds its text.
    fn contract(&mut self, view: View<'_>) -> Option<FileRef> {
        let reference = self.file(view.text("contract"))?;
        self.files.text(&reference.path, TEXT_LIMIT)?;
        Some(reference)
    }

    fn api_operation(&mut self, entry: &Entry, api: &str, layer: Layer) -> ApiOperation {
        let view = View::new(Some(&entry.value), &API_OPERATION);
        let method = Method::ALL
            .into_iter()
            .find(|(key, _)| entry.value.get(key).is_some());
        let (key, method) = method.unwrap_or(Method::ALL[0]);
        let lane = view.parsed("lane", |text| {
            text.parse::<Lane>().map_err(|error| error.to_string())
        });
        ApiOperation {
            name: entry.key.clone(),
            reference: format!("{api}.{}", entry.key),
            at: entry.key_at,
            title: view.string("title"),
            method,
            path: view.text_or_stand_in(key, entry.key_at),
            query: view
                .get("query")
                .map_or(&[][..], Node::entries)
                .iter()
                .filter_map(|entry| {
                    let word = &entry.value.scalar()?.text;
                    let (_, kind) = QueryType::ALL.into_iter().find(|(name, _)| name == word)?;
                    Some((entry.key.clone(), kind))
                })
                .collect(),
            accepts: view.text("accepts"),
            returns: view.text("returns"),
            list: view.is_true("list"),
            content: match view.string("content").as_deref() {
                Some("xml") => BodyContent::Xml,
                _ => BodyContent::Json,
            },
            scope: view.text("scope"),
            public: view.is_true("public"),
            lane: lane.unwrap_or(Lane::Realtime),
            asynchronous: is_later(view),
            later: None,
            idempotent: idempotency(view),
            validate: validation(view.below("validate", &VALIDATE)),
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            work: self.work(view, layer),
        }
    }

    /// How an asynchronous operation sends what it accepted.
    fn later(
        &mut self,
        entry: &'a Entry,
        api: View<'a>,
        layer: Layer,
        reference: &str,
        estate: &Estate,
    ) -> Option<Later> {
        let operation = View::new(Some(&entry.value), &API_OPERATION);
        if !is_later(operation) {
            return None;
        }
        let written = operation.get("async").filter(|node| is_mapping(node));
        let view = View::new(written, &LATER);
        if layer == Layer::Process {
            for key in ["retry", "on_exhausted", "runbook"] {
                let Some(entry) = written.and_then(|node| node.entry(key)) else {
                    continue;
                };
                self.files.problems.push(
                    Diagnostic::error(
                        codes::WRONG_LAYER,
                        format!("an event is not sent, so it has no `{key}`"),
                    )
                    .at(entry.key_at)
                    .help("say it in the flows that hear the event"),
                );
            }
        }
        let mut later = Later {
            key: view.text("key"),
            runbook: self.file(view.text("runbook")).map(|file| file.path),
            ..Later::default()
        };
        let bindings = api.get("bindings").map_or(&[][..], Node::one_or_many);
        for node in bindings {
            let Some(system) = View::new(Some(node), &BINDING).string("system") else {
                continue;
            };
            let facility = estate
                .systems
                .get(&system)
                .and_then(|system| system.facility.clone());
            let nearest: Vec<&'a Node> = written.into_iter().collect();
            let levels = self.levels(&nearest, &system, facility.as_deref());
            let path = format!("apis.{reference}.{system}");
            let sending = Sending {
                retry: self.retry(&levels, &path),
                on_exhausted: self.exhausted(&levels, &path),
            };
            later.sending.insert(system, sending);
        }
        Some(later)
    }

    /// Whether an operation says what its layer needs, and nothing else.
    fn fits_layer(&mut self, entry: &Entry, layer: Layer) {
        let node = &entry.value;
        let (needed, foreign): (&[&str], &[&str]) = match layer {
            Layer::System => (
                &[],
                &["calls", "map", "event", "starts", "signals", "status"],
            ),
            Layer::Process => (&["event", "starts", "signals", "status"], &["calls", "map"]),
            Layer::Experience => (&["calls"], &["event", "starts", "signals", "status"]),
        };
        for key in foreign {
            self.misplaced(node, key, layer, "operation");
        }
        let mut said = needed.iter().filter_map(|key| node.entry(key));
        match (said.next(), said.next()) {
            (None, _) if !needed.is_empty() => {
                let keys: Vec<_> = needed.iter().map(|key| format!("`{key}`")).collect();
                self.files.problems.push(
                    Diagnostic::error(
                        codes::WRONG_LAYER,
                        format!("nothing fulfils `{}`", crate::suggest::clip(&entry.key)),
                    )
                    .at(entry.key_at)
                    .help(format!(
                        "an operation of {} Api needs {}",
                        article(layer),
                        keys.join(" or ")
                    )),
                );
            }
            (Some(first), Some(second)) => self.files.problems.push(
                Diagnostic::error(
                    codes::WRONG_LAYER,
                    format!(
                        "an operation has either `{}` or `{}`",
                        first.key, second.key
                    ),
                )
                .at(second.key_at)
                .related(first.key_at, "this"),
            ),
            _ => {}
        }
    }

    /// Reports a key that another layer has.
    fn misplaced(&mut self, node: &Node, key: &str, layer: Layer, what: &str) {
        let Some(entry) = node.entry(key) else {
            return;
        };
        let (of, owner) = match key {
            "bindings" | "shadow" => ("", "a system"),
            "calls" | "map" => ("an operation of ", "an experience"),
            _ => ("an operation of ", "a process"),
        };
        let whose = if what == "Api" {
            ""
        } else {
            "an operation of "
        };
        self.files.problems.push(
            Diagnostic::error(
                codes::WRONG_LAYER,
                format!("{whose}{} Api has no `{key}`", article(layer)),
            )
            .at(entry.key_at)
            .help(format!("`{key}` belongs to {of}{owner} Api")),
        );
    }

    fn work(&mut self, view: View<'_>, layer: Layer) -> Work {
        let map = view.text("map").and_then(|written| self.map(written));
        if layer == Layer::Process {
            let word = |key| view.text(key);
            if let Some(event) = word("event") {
                return Work::Tell { event };
            }
            if let Some(process) = word("starts") {
                return Work::Start { process };
            }
            if let Some(process) = word("signals") {
                return Work::Signal { process };
            }
            return match word("status") {
                Some(process) => Work::Status { process },
                None => Work::Bound,
            };
        }
        match layer {
            Layer::Experience => Work::Gather {
                calls: view
                    .get("calls")
                    .map_or(&[][..], Node::entries)
                    .iter()
                    .filter_map(call)
                    .collect(),
                map,
            },
            _ => Work::Bound,
        }
    }
}

/// Whether `async` is `true`, or says how.
fn is_later(operation: View<'_>) -> bool {
    operation.is_true("async") || operation.get("async").is_some_and(is_mapping)
}

fn is_mapping(node: &Node) -> bool {
    matches!(node.data, Data::Mapping(_))
}

fn by_header(view: View<'_>) -> Option<ByHeader> {
    let versions = view.below("versions", &VERSIONS);
    Some(ByHeader {
        header: versions.text("header")?,
        default: versions.is_true("default"),
    })
}

fn article(layer: Layer) -> String {
    let article = if layer == Layer::Experience {
        "an"
    } else {
        "a"
    };
    format!("{article} {}", layer.as_str())
}

fn layer(view: View<'_>) -> Layer {
    let read = |text: &str| {
        [Layer::System, Layer::Process, Layer::Experience]
            .into_iter()
            .find(|layer| layer.as_str() == text)
            .ok_or_else(String::new)
    };
    view.parsed("layer", read).unwrap_or(Layer::System)
}

fn lifecycle(view: View<'_>) -> Lifecycle {
    let read = |text: &str| {
        [
            Lifecycle::Draft,
            Lifecycle::InReview,
            Lifecycle::Published,
            Lifecycle::Deprecated,
            Lifecycle::Retired,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(String::new)
    };
    view.parsed("state", read).unwrap_or(Lifecycle::Draft)
}

pub(super) fn zone(text: &str) -> Result<Zone, String> {
    match text {
        "partner" => Ok(Zone::Partner),
        "admin" => Ok(Zone::Admin),
        "internal" => Ok(Zone::Internal),
        other => Err(other.to_owned()),
    }
}

/// A day or moment and its place.
pub(super) fn date(view: View<'_>, key: &str) -> Option<Spanned<Timestamp>> {
    let written = view.text(key)?;
    let moment = value::date(&written.value).ok()?;
    Some(written.map(|_| moment))
}

fn idempotency(view: View<'_>) -> Idempotency {
    match view.get("idempotent") {
        Some(node) if matches!(node.data, Data::Mapping(_)) => keyed(Some(node)),
        Some(node) if node.scalar().is_some_and(|scalar| scalar.text == "key") => keyed(None),
        _ => Idempotency::No,
    }
}

fn keyed(node: Option<&Node>) -> Idempotency {
    let keep = View::new(node, &IDEMPOTENT).parsed("keep", value::duration);
    Idempotency::Key {
        keep: keep.unwrap_or(Duration::ZERO),
    }
}

fn validation(view: View<'_>) -> Validation {
    let word = |key| view.parsed(key, |text| Ok(text.to_owned()));
    Validation {
        request: word("request").as_deref() != Some("none"),
        response: match word("response").as_deref() {
            Some("strict") => ResponseValidation::Strict,
            Some("none") => ResponseValidation::None,
            _ => ResponseValidation::Sample,
        },
    }
}

fn call(entry: &Entry) -> Option<ApiCall> {
    let name = entry.key.clone();
    if let Some(call) = entry.value.text() {
        return Some(ApiCall {
            name,
            at: entry.key_at,
            call,
            with: BTreeMap::new(),
            when: None,
            optional: false,
        });
    }
    let view = View::new(Some(&entry.value), &API_CALL);
    Some(ApiCall {
        name,
        at: entry.key_at,
        call: view.text("call")?,
        with: texts_by_key(view.get("with")),
        when: view.text("when"),
        optional: view.is_true("optional"),
    })
}

fn binding(node: &Node) -> Binding {
    let view = View::new(Some(node), &BINDING);
    let system = view.text_or_stand_in("system", node.at);
    let (from, until) = (date(view, "from"), date(view, "until"));
    let share = view.parsed("share", value::share);
    // A condition that cannot be read is a condition still: what follows is not unreachable.
    let unread = (view.get("share").is_some() && share.is_none())
        || (view.get("from").is_some() && from.is_none())
        || (view.get("until").is_some() && until.is_none());
    Binding {
        at: system.at,
        system,
        when: view.text("when"),
        share: share.or(unread.then_some(Share(1))),
        sticky: view.text("sticky"),
        from,
        until,
        operations: texts_by_key(view.get("operations")),
    }
}

fn shadow(node: &Node) -> Option<Shadow> {
    let view = View::new(Some(node), &SHADOW);
    Some(Shadow {
        system: view.text("system")?,
        sample: view.parsed("sample", value::share).unwrap_or(Share::ALL),
        compare: view.texts("compare"),
        ignore: view.texts("ignore"),
        unordered: view.texts("unordered"),
        extra: view.string("extra").as_deref() != Some("ignore"),
        operations: texts_by_key(view.get("operations")),
        writes: view.is_true("writes"),
    })
}

fn limits(view: View<'_>) -> ApiLimits {
    let per_client = view.parsed("per_client", value::rate);
    let burst = match view.integer("burst") {
        0 => a_second(per_client.unwrap_or(1.0)),
        written => written,
    };
    ApiLimits {
        per_client,
        burst,
        quota: view.parsed("quota", value::quota),
        concurrent: Some(view.integer("concurrent")).filter(|most| *most > 0),
        body: view.parsed("body", value::size).unwrap_or_default(),
        depth: view.integer("depth"),
        keys: view.integer("keys"),
        string: view.parsed("string", value::size).unwrap_or_default(),
    }
}

/// One second's worth of a rate.
pub(super) fn a_second(rate: f64) -> u32 {
    rate.ceil().max(1.0) as u32
}

fn texts_by_key(node: Option<&Node>) -> BTreeMap<String, Spanned<String>> {
    let entries: &[Entry] = node.map_or(&[][..], Node::entries);
    entries
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?)))
        .collect()
}
