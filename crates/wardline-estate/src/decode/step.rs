//! The steps of a process.

use super::process::{Around, expressions};
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    CallStep, Data, Escalate, Estate, Step, StepKind, TaskStep, Undo, Until, WaitStep,
};
use crate::shape::step::{
    CALL_STEP, CHOOSE_STEP, EACH_STEP, EMIT_STEP, END_STEP, FAIL_STEP, GROUP_STEP, MAP_STEP,
    PARALLEL_STEP, REPEAT_STEP, SET_STEP, SLEEP_STEP, TASK_STEP, UNDO_ALL_STEP, UNTIL_STEP,
    WAIT_STEP,
};
use crate::shape::step_parts::{
    BRANCH, DUE, ELSE, ESCALATE, REPEAT, TASK, UNDO, WAIT_ALL, WAIT_ANY, WAIT_EVENT,
};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::{self, Entry, Node};

impl<'a> Decoder<'a> {
    pub(super) fn steps(
        &mut self,
        list: Option<&'a Node>,
        around: &Around<'a, '_>,
        path: &str,
    ) -> Vec<Step> {
        let entries = list.map_or(&[][..], Node::one_or_many).iter();
        entries
            .filter_map(|node| node.entries().first())
            .filter(|_| around.has_room())
            .map(|entry| {
                let name = Spanned::new(entry.key.clone(), entry.key_at);
                self.step(name, &entry.value, around, path)
            })
            .collect()
    }

    fn step(
        &mut self,
        name: Spanned<String>,
        node: &'a Node,
        around: &Around<'a, '_>,
        path: &str,
    ) -> Step {
        let path = format!("{path}.{}", name.value);
        // Every kind of step has these keys or reports them as unknown.
        let text = |key| node.get(key).and_then(Node::text);
        let undo = node
            .get("undo")
            .filter(|undo| undo.get("call").is_some())
            .and_then(|undo| self.undo(undo, around, &path));
        Step {
            when: text("when"),
            status: text("status"),
            save: text("save"),
            undo,
            kind: self.kind_of_step(node, around, &path),
            name,
        }
    }

    /// What the step does, by the first of the keys that say so. `map` and `undo` are also keys of
    /// other kinds, and `status` of all.
    fn kind_of_step(&mut self, node: &'a Node, around: &Around<'a, '_>, path: &str) -> StepKind {
        let view = |object| View::new(Some(node), object);
        let has = |key| node.get(key).is_some();
        let stand_in = StepKind::Status;
        if has("call") {
            return self
                .call_step(node, around, path)
                .map_or(stand_in, |call| StepKind::Call(Box::new(call)));
        }
        if let Some(event) = view(&EMIT_STEP).text("emit") {
            let data = self.emitted(view(&EMIT_STEP), event.at);
            return StepKind::Emit { event, data };
        }
        if let Some(wait) = view(&WAIT_STEP).get("wait") {
            return StepKind::Wait(Box::new(self.wait(wait, around, path)));
        }
        if has("sleep") {
            let time = view(&SLEEP_STEP).parsed("sleep", value::duration);
            return StepKind::Sleep(Until::For(time.unwrap_or_default()));
        }
        if let Some(time) = view(&UNTIL_STEP).text("until") {
            return StepKind::Sleep(Until::At(time));
        }
        if let Some(task) = view(&TASK_STEP).get("task") {
            return StepKind::Task(Box::new(self.task(task)));
        }
        if let Some(branches) = view(&CHOOSE_STEP).get("choose") {
            return self.choose(branches, around, path);
        }
        if let Some(branches) = view(&PARALLEL_STEP).get("parallel") {
            let branches = branches.entries().iter().map(|entry| {
                let name = Spanned::new(entry.key.clone(), entry.key_at);
                let path = format!("{path}.{}", entry.key);
                (name, self.steps(Some(&entry.value), around, &path))
            });
            return StepKind::Parallel(branches.collect());
        }
        if let Some(of) = view(&EACH_STEP).text("each") {
            let view = view(&EACH_STEP);
            return StepKind::Each {
                of,
                as_name: view.string("as").unwrap_or_default(),
                at_once: view.integer("at_once"),
                steps: self.steps(view.get("steps"), around, path),
            };
        }
        if let Some(repeat) = view(&REPEAT_STEP).get("repeat") {
            let until = View::new(Some(repeat), &REPEAT);
            return StepKind::Repeat {
                most: until.integer("most"),
                until: until.text_or_stand_in("until", repeat.at),
                steps: self.steps(view(&REPEAT_STEP).get("steps"), around, path),
            };
        }
        if let Some(values) = view(&SET_STEP).get("set") {
            let entries = values.entries().iter();
            let values = entries.map(|entry| self.named_data(entry)).collect();
            return StepKind::Set { values };
        }
        if has("map") {
            return StepKind::Map(self.maps(view(&MAP_STEP).texts("map")));
        }
        if let Some(steps) = view(&GROUP_STEP).get("steps") {
            return StepKind::Group(self.steps(Some(steps), around, path));
        }
        if let Some(reason) = view(&FAIL_STEP).text("fail") {
            let undo = view(&FAIL_STEP).is_true("undo");
            return StepKind::Fail { reason, undo };
        }
        if view(&UNDO_ALL_STEP).get("undo").is_some() {
            return StepKind::Undo;
        }
        match view(&END_STEP).get("end") {
            Some(_) if view(&END_STEP).is_true("end") => return StepKind::End,
            Some(end) if end.describe() == "a boolean" => self.files.problems.push(
                Diagnostic::error(codes::UNKNOWN_WORD, "`end` is `true`, or is not there")
                    .at(end.at)
                    .help("a step that does not end the instance needs no `end`"),
            ),
            _ => {}
        }
        stand_in
    }

    fn call_step(
        &mut self,
        node: &'a Node,
        around: &Around<'a, '_>,
        path: &str,
    ) -> Option<CallStep> {
        let view = View::new(Some(node), &CALL_STEP);
        let call = view.text("call")?;
        let (system, facility) = served_by(around.estate, &call);
        let levels = self.levels(&[node, around.process], &system, facility.as_deref());
        let runbook = self.runbook(view).or_else(|| around.runbook.clone());
        Some(CallStep {
            with: self.sent(view, call.at),
            expect: view.text("expect"),
            lane: self.lane(&levels, path),
            retry: self.retry(&levels, path),
            on_exhausted: self.exhausted(&levels, path),
            runbook,
            on_failure: view
                .get("on_failure")
                .map(|list| self.steps(Some(list), around, &format!("{path}.on_failure"))),
            call,
        })
    }

    fn undo(&mut self, node: &'a Node, around: &Around<'a, '_>, path: &str) -> Option<Undo> {
        let view = View::new(Some(node), &UNDO);
        let call = view.text("call")?;
        let path = format!("{path}.undo");
        let (system, facility) = served_by(around.estate, &call);
        let levels = self.levels(&[node, around.process], &system, facility.as_deref());
        let runbook = self.runbook(view).or_else(|| around.runbook.clone());
        Some(Undo {
            with: match view.get("with") {
                Some(node) => self.data(node),
                None => Data::Object(Vec::new()),
            },
            lane: self.lane(&levels, &path),
            retry: self.retry(&levels, &path),
            runbook,
            call,
        })
    }

    /// What a call sends: `with`, or all variables where only maps are said, through these maps.
    fn sent(&mut self, view: View<'_>, at: Span) -> Data {
        let maps = self.maps(view.texts("map"));
        let with = match view.get("with") {
            Some(node) => self.data(node),
            None if maps.is_empty() => return Data::Object(Vec::new()),
            None => Data::Expression(Spanned::new(".".to_owned(), at)),
        };
        if maps.is_empty() {
            with
        } else {
            Data::Mapped(Box::new(with), maps)
        }
    }

    /// What an event carries is said, because an empty object is hardly ever meant.
    fn emitted(&mut self, view: View<'_>, at: Span) -> Data {
        if view.get("with").is_none() && view.get("map").is_none() {
            self.files.problems.push(
                Diagnostic::error(codes::MISSING_KEY, "the event has no data")
                    .at(at)
                    .help("add `with`, or a `map` that makes it of all variables"),
            );
        }
        self.sent(view, at)
    }

    fn wait(&mut self, node: &'a Node, around: &Around<'a, '_>, path: &str) -> WaitStep {
        let (key, object) = [
            ("event", &WAIT_EVENT),
            ("any", &WAIT_ANY),
            ("all", &WAIT_ALL),
        ]
        .into_iter()
        .find(|(key, _)| node.get(key).is_some())
        .unwrap_or(("event", &WAIT_EVENT));
        let view = View::new(Some(node), object);
        let events = view.texts(key);
        if let (Some(first), Some(second)) = (node.entry("for"), node.entry("until")) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::NOT_EXACTLY_ONE,
                    "a wait cannot have both `for` and `until`",
                )
                .at(second.key_at)
                .label("and this")
                .related(first.key_at, "this"),
            );
        }
        let until = match view.parsed("for", value::duration) {
            Some(time) => Some(Until::For(time)),
            None => view.text("until").map(Until::At),
        };
        let otherwise = node.entry("else").map(|entry| match &entry.value.data {
            yaml::Data::Mapping(_) => {
                let name = Spanned::new("else".to_owned(), entry.key_at);
                vec![self.step(name, &entry.value, around, path)]
            }
            _ => self.steps(Some(&entry.value), around, &format!("{path}.else")),
        });
        WaitStep {
            events,
            all: key == "all",
            matching: view.text_or_stand_in("where", node.at),
            until,
            otherwise,
        }
    }

    fn task(&mut self, node: &'a Node) -> TaskStep {
        let view = View::new(Some(node), &TASK);
        let due = view.get("due").and_then(|node| match &node.data {
            yaml::Data::Mapping(_) => View::new(Some(node), &DUE).text("until").map(Until::At),
            _ => view.parsed("due", value::duration).map(Until::For),
        });
        let escalate = view.get("escalate").and_then(|node| {
            let view = View::new(Some(node), &ESCALATE);
            Some(Escalate {
                after: view.parsed("after", value::duration)?,
                to: view.text("to")?,
            })
        });
        let form = view.get("form").map_or(&[][..], Node::entries).iter();
        TaskStep {
            role: view.text_or_stand_in("role", node.at),
            ask: view.text_or_stand_in("ask", node.at),
            choices: view.texts("choices"),
            form: form
                .filter_map(|entry| {
                    let name = Spanned::new(entry.key.clone(), entry.key_at);
                    Some((name, entry.value.text()?.value))
                })
                .collect(),
            due,
            escalate,
            show: expressions(view.get("show")),
            accept: view.text("accept"),
            runbook: self.file(view.text("runbook")).map(|file| file.path),
        }
    }

    fn choose(&mut self, list: &'a Node, around: &Around<'a, '_>, path: &str) -> StepKind {
        let mut branches = Vec::new();
        let mut otherwise: Option<(Span, Vec<Step>)> = None;
        for (index, node) in list.one_or_many().iter().enumerate() {
            if let Some((first, _)) = &otherwise {
                let at = node.entries().first().map_or(node.at, |entry| entry.key_at);
                self.files.problems.push(
                    Diagnostic::error(codes::UNREACHABLE, "no choice ever comes this far")
                        .at(at)
                        .related(*first, "what is left is taken here")
                        .help("`else` stands last, once"),
                );
            }
            if let Some(entry) = node.entry("else") {
                let view = View::new(Some(node), &ELSE);
                let path = format!("{path}.else");
                let steps = self.steps(view.get("else"), around, &path);
                otherwise.get_or_insert((entry.key_at, steps));
                continue;
            }
            let view = View::new(Some(node), &BRANCH);
            if let Some(when) = view.text("when") {
                let path = format!("{path}.choose[{index}]");
                branches.push((when, self.steps(view.get("steps"), around, &path)));
            }
        }
        StepKind::Choose {
            branches,
            otherwise: otherwise.map(|(_, steps)| steps),
        }
    }

    /// A value that is made when it is needed.
    fn data(&mut self, node: &Node) -> Data {
        match &node.data {
            yaml::Data::Null => Data::Constant(serde_json::Value::Null),
            yaml::Data::List(items) => {
                Data::Array(items.iter().map(|item| self.data(item)).collect())
            }
            yaml::Data::Mapping(entries) => {
                let values = entries.iter().map(|entry| self.named_data(entry));
                Data::Object(values.collect())
            }
            yaml::Data::Scalar(scalar) if scalar.resolve() != yaml::Plain::Text => {
                Data::Constant(node.to_json())
            }
            yaml::Data::Scalar(scalar) => {
                if scalar.text.trim().is_empty() {
                    self.files.problems.push(
                        Diagnostic::error(codes::EMPTY, "the expression is empty")
                            .at(node.at)
                            .help("write `'\"\"'` for an empty text, `null` for nothing"),
                    );
                }
                let text = node.text();
                text.map_or(Data::Constant(serde_json::Value::Null), Data::Expression)
            }
        }
    }

    fn named_data(&mut self, entry: &Entry) -> (Spanned<String>, Data) {
        let name = Spanned::new(entry.key.clone(), entry.key_at);
        (name, self.data(&entry.value))
    }
}

/// The system that a call reaches, where that is always the same one, and its facility: settings
/// may be declared for both.
fn served_by(estate: &Estate, call: &Spanned<String>) -> (String, Option<String>) {
    let through = estate
        .api_operation(call)
        .and_then(|(api, _)| api.only_binding());
    let name = match (estate.operation(call), through) {
        (Some((system, _)), _) => system.name.clone(),
        (None, Some(binding)) => binding.system.value.clone(),
        (None, None) => return (String::new(), None),
    };
    let facility = estate
        .systems
        .get(&name)
        .and_then(|system| system.facility.clone());
    (name, facility)
}
