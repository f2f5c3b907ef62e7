//! What an instance runs by, complete in itself: the declaration with its maps and the schemas of
//! the entities it names. It is kept in the journal under its own name, so that an instance ends
//! by the definition it began with, whatever the estate has become.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_core::Sensitivity;
use wardline_estate::model::{Data, Estate, Figure, MapRef, Process, Step, StepKind};

/// Where definitions stand among the journal's meta values.
pub(crate) const META: &str = "definition/";

/// The classes of what an instance compares stand beside those of what it shows, under names that
/// nothing shown can have.
const HOPS: &str = "reconciliation.hops";
const BREAKS: &str = "reconciliation.breaks";

/// Fields of what an instance has compared, with the names of their classes.
pub(crate) const fn class_keys() -> [(&'static str, &'static str); 2] {
    [("hops", HOPS), ("breaks", BREAKS)]
}

/// A process as its instances run by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    /// What the estate says.
    pub(crate) process: Process,
    /// The texts of its maps, by path.
    pub(crate) maps: BTreeMap<String, String>,
    /// The schemas of the entities that its events and answers are made of, by entity.
    pub(crate) schemas: BTreeMap<String, Arc<serde_json::Value>>,
    /// The class of its business key.
    pub(crate) key_class: Sensitivity,
    /// The classes of what is shown of its instances, by name.
    pub(crate) show_classes: BTreeMap<String, Sensitivity>,
    /// The entities of the answers that its calls get, by operation.
    pub(crate) returns: BTreeMap<String, String>,
}

impl Definition {
    /// The definition of a declared process.
    pub(crate) fn of(estate: &Estate, process: &Process) -> Self {
        let mut gathered = Gathered {
            estate,
            maps: BTreeMap::new(),
            schemas: BTreeMap::new(),
            returns: BTreeMap::new(),
        };
        for event in &process.on {
            gathered.entity_of(event);
        }
        for figure in &process.figures {
            gathered.refs(&figure.map);
        }
        gathered.steps(&process.steps);
        if let Some(deadline) = &process.deadline {
            gathered.steps(&deadline.steps);
        }
        Self {
            key_class: class_of(estate, process, &process.key.value),
            show_classes: process
                .show
                .iter()
                .map(|(name, text)| {
                    let class = class_of(estate, process, &text.value);
                    (name.value.clone(), class)
                })
                .chain(process.figures.iter().map(|figure| {
                    let text = figure.value.value.as_str();
                    let of = if figure.map.is_empty() { text } else { "" };
                    (class_key(figure), class_of(estate, process, of))
                }))
                .chain(process.reconciliation.iter().flat_map(|declared| {
                    [(HOPS, &declared.hops), (BREAKS, &declared.breaks)]
                        .map(|(name, text)| (name.to_owned(), class_of(estate, process, text)))
                }))
                .collect(),
            maps: gathered.maps,
            schemas: gathered.schemas,
            returns: gathered.returns,
            process: process.clone(),
        }
    }

    /// Whether what instances give to a figure may be shown to all who may look.
    pub(crate) fn shows(&self, figure: &Figure) -> bool {
        let class = self.show_classes.get(&class_key(figure));
        class.is_some_and(|class| class.may_be_shown())
    }

    /// Its name: `procure-to-pay@3-9f2c51d07e6a44b1`. Definitions that say the same have the same.
    pub(crate) fn name(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = digest::digest(&digest::SHA256, &text);
        let hash: String = digest.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}@{}-{hash}", self.process.name, self.process.version)
    }
}

fn class_key(figure: &Figure) -> String {
    format!("figures.{}", figure.name.value)
}

struct Gathered<'a> {
    estate: &'a Estate,
    maps: BTreeMap<String, String>,
    schemas: BTreeMap<String, Arc<serde_json::Value>>,
    returns: BTreeMap<String, String>,
}

impl Gathered<'_> {
    fn entity_of(&mut self, event: &str) {
        self.entity(&entity_of(event));
    }

    fn entity(&mut self, name: &str) {
        if let Some(entity) = self.estate.entities.get(name) {
            self.schemas
                .entry(name.to_owned())
                .or_insert_with(|| entity.schema.clone());
        }
    }

    fn refs(&mut self, maps: &[MapRef]) {
        for map in maps {
            let text = self.estate.sources.text(map.file).to_owned();
            self.maps.insert(map.path.display().to_string(), text);
        }
    }

    fn data(&mut self, data: &Data) {
        match data {
            Data::Expression(_) | Data::Constant(_) => {}
            Data::Object(members) => members.iter().for_each(|(_, data)| self.data(data)),
            Data::Array(items) => items.iter().for_each(|data| self.data(data)),
            Data::Mapped(data, maps) => {
                self.data(data);
                self.refs(maps);
            }
        }
    }

    fn call(&mut self, reference: &str) {
        let of_api = self
            .estate
            .api_operation(reference)
            .and_then(|(_, operation)| operation.returns.as_ref());
        let of_system = self
            .estate
            .operation(reference)
            .and_then(|(_, operation)| operation.returns.as_ref());
        if let Some(entity) = of_api.or(of_system) {
            self.returns
                .insert(reference.to_owned(), entity.value.clone());
            self.entity(&entity.value.clone());
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            if let Some(undo) = &step.undo {
                self.call(&undo.call);
                self.data(&undo.with);
            }
            match &step.kind {
                StepKind::Call(call) => {
                    self.call(&call.call);
                    self.data(&call.with);
                    self.steps(call.on_failure.as_deref().unwrap_or_default());
                }
                StepKind::Emit { event, data } => {
                    self.entity_of(event);
                    self.data(data);
                }
                StepKind::Wait(wait) => {
                    for event in &wait.events {
                        self.entity_of(event);
                    }
                    self.steps(wait.otherwise.as_deref().unwrap_or_default());
                }
                StepKind::Choose {
                    branches,
                    otherwise,
                } => {
                    for (_, steps) in branches {
                        self.steps(steps);
                    }
                    self.steps(otherwise.as_deref().unwrap_or_default());
                }
                StepKind::Parallel(branches) => {
                    for (_, steps) in branches {
                        self.steps(steps);
                    }
                }
                StepKind::Each { steps, .. }
                | StepKind::Repeat { steps, .. }
                | StepKind::Group(steps) => self.steps(steps),
                StepKind::Set { values } => values.iter().for_each(|(_, data)| self.data(data)),
                StepKind::Map(maps) => self.refs(maps),
                StepKind::Sleep(_)
                | StepKind::Task(_)
                | StepKind::Status
                | StepKind::Undo
                | StepKind::Fail { .. }
                | StepKind::End => {}
            }
        }
    }
}

/// The entity of an event: `purchase_order.approved` is about a `purchase-order`.
pub(crate) fn entity_of(event: &str) -> String {
    event.split('.').next().unwrap_or(event).replace('_', "-")
}

/// The class of what an expression over the variables gives: that of the attribute it names, where
/// it is such a name; the worst of the process's entity where it is more.
fn class_of(estate: &Estate, process: &Process, expression: &str) -> Sensitivity {
    let path = expression
        .trim()
        .strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(process.start_as.as_str()))
        .and_then(|rest| rest.strip_prefix('.'))
        .filter(|path| {
            path.chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        });
    let classes = process.on.iter().map(|event| {
        let Some(entity) = estate.entities.get(&entity_of(event)) else {
            return Sensitivity::Phi;
        };
        match path {
            Some(path) => entity.class_of(path).unwrap_or_default(),
            None => entity
                .sensitivity
                .values()
                .copied()
                .max()
                .unwrap_or_default(),
        }
    });
    classes.max().unwrap_or(Sensitivity::Phi)
}
