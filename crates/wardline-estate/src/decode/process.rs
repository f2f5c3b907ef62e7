//! `processes/*.yaml`. Its steps are decoded in [`super::step`].

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Deadline, Estate, Figure, FigureOf, Measure, Process, Reconciliation};
use crate::shape::process::{DEADLINE, FIGURE, PROCESS, RECONCILIATION};
use crate::source::Spanned;
use crate::suggest::clip;
use crate::value;
use crate::yaml::Node;
use std::cell::Cell;
use std::path::PathBuf;

/// What the steps of a process have in common.
pub(super) struct Around<'a, 'e> {
    /// The process, whose settings stand behind those of a step.
    pub(super) process: &'a Node,
    pub(super) estate: &'e Estate,
    /// What a person should do where a step says nothing.
    pub(super) runbook: Option<PathBuf>,
    /// How many steps are still decoded.
    room: Cell<usize>,
}

impl Around<'_, '_> {
    /// Whether one more step is decoded. A process that is too large is refused, so that what is
    /// left out of it costs nothing and is missed by nobody.
    pub(super) fn has_room(&self) -> bool {
        let left = self.room.get().checked_sub(1);
        self.room.set(left.unwrap_or_default());
        left.is_some()
    }
}

impl<'a> Decoder<'a> {
    pub(super) fn process(&mut self, node: &'a Node, estate: &Estate) -> Process {
        let view = View::new(Some(node), &PROCESS);
        let name = view.text_or_stand_in("process", node.at);
        let path = format!("processes.{}", name.value);
        let on = view.texts("on");
        let around = Around {
            process: node,
            estate,
            runbook: self.runbook(view),
            room: Cell::new(Process::MOST_STEPS + 1),
        };
        Process {
            at: name.at,
            title: view.string("title"),
            version: view.integer("version"),
            owner: view.string("owner"),
            start_as: self.start_as(view, &on),
            on,
            when: view.text("when"),
            key: view.text_or_stand_in("key", node.at),
            entity: view.text("entity"),
            again: view.is_true("again"),
            keep_events: view
                .parsed("keep_events", value::duration)
                .unwrap_or_default(),
            statuses: view.texts("statuses"),
            deadline: view
                .get("deadline")
                .and_then(|node| self.deadline(node, &around, &path)),
            show: expressions(view.get("show")),
            facility: view.text("facility"),
            urgent: view.text("urgent"),
            reconciliation: view.get("reconciliation").map(reconciliation),
            figures: self.figures(view.get("figures")),
            boards: view.texts("board"),
            steps: self.steps(view.get("steps"), &around, &path),
            runbook: around.runbook,
            name: name.value,
        }
    }

    fn figures(&mut self, node: Option<&'a Node>) -> Vec<Figure> {
        let entries = node.map_or(&[][..], Node::entries).iter();
        entries
            .filter_map(|entry| {
                let view = View::new(Some(&entry.value), &FIGURE);
                let (measure, value) = [Measure::Share, Measure::Sum, Measure::Lag]
                    .into_iter()
                    .find_map(|measure| Some((measure, view.text(measure.as_str())?)))?;
                Some(Figure {
                    name: Spanned::new(entry.key.clone(), entry.key_at),
                    title: view.string("title"),
                    of: match view.string("of").as_deref() {
                        Some("open") => FigureOf::Open,
                        Some("any") => FigureOf::Any,
                        _ => FigureOf::Completed,
                    },
                    map: self.maps(view.texts("map")),
                    measure,
                    value,
                    goal: view.parsed("goal", value::goal),
                })
            })
            .collect()
    }

    /// What the event's data is called: said, or as the entity of all events is.
    fn start_as(&mut self, view: View<'_>, on: &[Spanned<String>]) -> String {
        if let Some(name) = view.text("as") {
            return name.value;
        }
        let entity =
            |event: &Spanned<String>| event.value.split('.').next().unwrap_or("").to_owned();
        let Some(first) = on.first() else {
            return String::new();
        };
        let other = on
            .iter()
            .find(|event| value::event(event).is_ok() && entity(event) != entity(first));
        if let Some(other) = other.filter(|_| value::event(first).is_ok()) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::AMBIGUOUS_START,
                    format!(
                        "the data would be called `{}` or `{}`",
                        clip(&entity(first)),
                        clip(&entity(other))
                    ),
                )
                .at(other.at)
                .related(first.at, "the first event")
                .help("say what it is called for all of them: `as: NAME`"),
            );
        }
        entity(first)
    }

    fn deadline(
        &mut self,
        node: &'a Node,
        around: &Around<'a, '_>,
        path: &str,
    ) -> Option<Deadline> {
        let view = View::new(Some(node), &DEADLINE);
        Some(Deadline {
            by: view.parsed("by", value::duration)?,
            steps: self.steps(view.get("steps"), around, &format!("{path}.deadline")),
            end: view.is_true("end"),
        })
    }
}

fn reconciliation(node: &Node) -> Reconciliation {
    let view = View::new(Some(node), &RECONCILIATION);
    Reconciliation {
        name: view.text_or_stand_in("name", node.at),
        date: view.text_or_stand_in("date", node.at),
        scope: view.text("scope"),
        hops: view.text_or_stand_in("hops", node.at),
        breaks: view.text_or_stand_in("breaks", node.at),
        begin: view.text("begin"),
        sign_off: view.text("sign_off"),
    }
}

/// Expressions by name, in the order of the file.
pub(super) fn expressions(node: Option<&Node>) -> Vec<(Spanned<String>, Spanned<String>)> {
    let entries = node.map_or(&[][..], Node::entries).iter();
    entries
        .filter_map(|entry| {
            let name = Spanned::new(entry.key.clone(), entry.key_at);
            Some((name, entry.value.text()?))
        })
        .collect()
}
