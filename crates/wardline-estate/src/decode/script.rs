//! The scripts that processes live through in tests.

use super::test::{each, expected_event, values};
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    ActKind, ExpectedCall, ExpectedState, ExpectedTask, Intervention, ProcessTest, Scene,
    SceneKind, ScriptedAnswer, TaskAnswer,
};
use crate::shape::check;
use crate::shape::test::{
    EXPECTED_CALL, EXPECTED_STATE, EXPECTED_TASK, FAILING, SCRIPT_ACT, SCRIPT_AFTER, SCRIPT_ANSWER,
    SCRIPT_AT, SCRIPT_EVENT,
};
use crate::source::Spanned;
use crate::value;
use crate::yaml::{Data, Entry, Node};
use wardline_core::Lane;

impl Decoder<'_> {
    pub(super) fn process_test(
        &mut self,
        view: View<'_>,
        process: Spanned<String>,
    ) -> Option<ProcessTest> {
        let answers = view.get("answers").map_or(&[][..], Node::entries).iter();
        let answers = answers.map(|entry| self.answers(entry)).collect();
        let mut script = Vec::new();
        for node in view.get("script")?.one_or_many() {
            let at = node.entries().first().map_or(node.at, |entry| entry.key_at);
            let scene = self.scene(node);
            script.extend(scene.map(|kind| Scene { at, kind }));
        }
        Some(ProcessTest {
            process,
            answers,
            script,
        })
    }

    fn answers(&mut self, entry: &Entry) -> (Spanned<String>, Vec<ScriptedAnswer>) {
        let operation = Spanned::new(entry.key.clone(), entry.key_at);
        let all = match &entry.value.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        if all.is_empty() {
            self.files.problems.push(
                Diagnostic::error(codes::EMPTY, "the list is empty")
                    .at(entry.value.at)
                    .help("leave the operation away where it does not answer"),
            );
        }
        (
            operation,
            all.iter().map(|node| self.answer(node)).collect(),
        )
    }

    fn answer(&mut self, node: &Node) -> ScriptedAnswer {
        if node.get("fails").is_none() {
            return ScriptedAnswer::Body(node.to_json());
        }
        check(node, &FAILING, &mut self.files.problems);
        let view = View::new(Some(node), &FAILING);
        ScriptedAnswer::Fails {
            reason: view.string("fails").unwrap_or_default(),
            permanent: view.is_true("permanent"),
        }
    }

    fn scene(&mut self, node: &Node) -> Option<SceneKind> {
        let view = |object| View::new(Some(node), object);
        if let Some(expected) = node.get("expect") {
            return Some(SceneKind::Expect(Box::new(state(expected))));
        }
        if node.get("answer").is_some() {
            return answered(view(&SCRIPT_ANSWER)).map(SceneKind::Answer);
        }
        if node.get("act").is_some() {
            return self.intervention(node).map(SceneKind::Act);
        }
        if let Some(event) = view(&SCRIPT_EVENT).text("event") {
            let data = self.json(view(&SCRIPT_EVENT).get("data")?)?;
            return Some(SceneKind::Event { event, data });
        }
        let after = view(&SCRIPT_AFTER).parsed("after", value::duration);
        match after {
            Some(time) => Some(SceneKind::After(time)),
            None => view(&SCRIPT_AT).text("at").map(SceneKind::At),
        }
    }

    fn intervention(&mut self, node: &Node) -> Option<Intervention> {
        let view = View::new(Some(node), &SCRIPT_ACT);
        let act = view.parsed("act", |word| {
            let known = ActKind::ALL.into_iter().find(|(name, _)| *name == word);
            known.map(|(_, act)| act).ok_or_else(String::new)
        })?;
        let foreign = match act {
            ActKind::Set => "step",
            ActKind::Retry | ActKind::Skip => "vars",
            ActKind::Cancel | ActKind::Compensate => "",
        };
        let both = ["step", "vars"]
            .iter()
            .filter(|key| foreign.is_empty() || **key == foreign);
        for entry in both.filter_map(|key| node.entry(key)) {
            let word = view.string("act").unwrap_or_default();
            self.files.problems.push(
                Diagnostic::error(
                    codes::FOREIGN_PART,
                    format!("`{word}` has no `{}`", entry.key),
                )
                .at(entry.key_at)
                .help("`step` is for `retry` and `skip`, `vars` for `set`"),
            );
        }
        Some(Intervention {
            act,
            step: view.text("step"),
            vars: values(view.get("vars")),
            by: view.string("by").unwrap_or_default(),
            reason: view.string("reason"),
            key: view.text("key"),
        })
    }
}

fn answered(view: View<'_>) -> Option<TaskAnswer> {
    Some(TaskAnswer {
        step: view.text("answer")?,
        choice: view.text("choice")?,
        by: view.string("by").unwrap_or_default(),
        note: view.string("note"),
        form: values(view.get("form")),
        key: view.text("key"),
        refused: view.is_true("refused"),
    })
}

fn state(node: &Node) -> ExpectedState {
    let view = View::new(Some(node), &EXPECTED_STATE);
    let count = view.get("instances").and_then(|node| {
        let count = node.scalar()?.text.parse().ok()?;
        Some(Spanned::new(count, node.at))
    });
    ExpectedState {
        at: node.at,
        key: view.text("key"),
        instances: count,
        phase: view.text("phase"),
        status: view.text("status"),
        steps: view.get("at").map(|_| view.texts("at")),
        calls: view.get("calls").map(|list| each(list, expected_call)),
        events: view.get("events").map(|list| each(list, expected_event)),
        tasks: view
            .get("tasks")
            .map(|list| each(list, |node| Some(expected_task(node)))),
        vars: values(view.get("vars")),
        figures: values(view.get("figures")),
        error: view.text("error"),
    }
}

fn expected_call(node: &Node) -> Option<ExpectedCall> {
    let view = View::new(Some(node), &EXPECTED_CALL);
    Some(ExpectedCall {
        to: view.text("to")?,
        body: view.get("body").map(Node::to_json),
        lane: view.parsed("lane", |text| {
            text.parse::<Lane>().map_err(|error| error.to_string())
        }),
        at: node.at,
    })
}

fn expected_task(node: &Node) -> ExpectedTask {
    let view = View::new(Some(node), &EXPECTED_TASK);
    ExpectedTask {
        role: view.text("role"),
        ask: view.text("ask"),
        step: view.text("step"),
        choices: view.get("choices").map(|_| view.texts("choices")),
        at: node.at,
    }
}
