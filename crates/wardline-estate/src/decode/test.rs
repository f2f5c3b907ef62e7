//! `tests/*.yaml`. The scripts of processes are decoded in [`super::script`].

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::{FIXTURE_LIMIT, TEXT_LIMIT};
use crate::model::{
    Expect, ExpectedDelivery, ExpectedEvent, ExpectedResult, Fixture, Given, MapInput, MapTest,
    TestCase, TestKind,
};
use crate::shape::test::{
    EXPECT, EXPECTED_DELIVERY, EXPECTED_EVENT, GIVEN_EVENT, GIVEN_MAP, GIVEN_MESSAGE, TEST,
};
use crate::source::Spanned;
use crate::suggest::clip;
use crate::yaml::{Data, Entry, Node};
use serde_json::Value;

impl Decoder<'_> {
    pub(super) fn test(&mut self, node: &Node) -> Option<TestCase> {
        let view = View::new(Some(node), &TEST);
        let name = view.text("test")?;
        Some(TestCase {
            name: name.value,
            at: name.at,
            now: view.text("now"),
            kind: self.kind_of_test(view, node)?,
        })
    }

    fn kind_of_test(&mut self, view: View<'_>, node: &Node) -> Option<TestKind> {
        if let Some(process) = view.text("process") {
            self.foreign(
                node,
                &["expect"],
                "a process",
                "a `script` says what must follow",
            );
            self.needed(node, "process", "script");
            return self.process_test(view, process).map(TestKind::Process);
        }
        self.foreign(
            node,
            &["answers", "script"],
            "what is given",
            "a script is of a `process`",
        );
        let given = view.get("given")?;
        self.needed(node, "given", "expect");
        let expect = view.get("expect");
        if given.get("map").is_some() {
            if let Some(expect) = expect {
                self.foreign(
                    expect,
                    &["events", "deliveries"],
                    "a map",
                    "a map has a `result`, or `results`",
                );
            }
            return self.map_test(given, expect?).map(TestKind::Map);
        }
        if let Some(expect) = expect {
            self.foreign(
                expect,
                &["result", "results"],
                "what arrives",
                "flows make `events` and `deliveries` of it",
            );
        }
        Some(TestKind::Arrival {
            given: self.given(given)?,
            expect: self.expect(expect),
        })
    }

    /// Reports keys that tests of this kind do not have.
    fn foreign(&mut self, node: &Node, keys: &[&str], kind: &str, help: &str) {
        for entry in keys.iter().filter_map(|key| node.entry(key)) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::FOREIGN_PART,
                    format!("a test of {kind} has no `{}`", entry.key),
                )
                .at(entry.key_at)
                .help(help),
            );
        }
    }

    /// Reports that what goes with a key is missing.
    fn needed(&mut self, node: &Node, key: &str, other: &str) {
        if let (Some(entry), None) = (node.entry(key), node.entry(other)) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::MISSING_KEY,
                    format!("`{other}` is missing in a test with `{key}`"),
                )
                .at(entry.key_at)
                .help(format!("without `{other}` the test shows nothing")),
            );
        }
    }

    fn given(&mut self, node: &Node) -> Option<Given> {
        if node.get("event").is_some() {
            let view = View::new(Some(node), &GIVEN_EVENT);
            return Some(Given::Event {
                event: view.text("event")?,
                data: self.json(view.get("data")?)?,
            });
        }
        let view = View::new(Some(node), &GIVEN_MESSAGE);
        let written = view.text("message")?;
        let path = self.files.refer("tests", &written)?;
        let content = Fixture(self.files.bytes(&path, FIXTURE_LIMIT)?.into());
        Some(Given::Message {
            path,
            content,
            into: view.text("into")?,
        })
    }

    fn map_test(&mut self, given: &Node, expect: &Node) -> Option<MapTest> {
        let view = View::new(Some(given), &GIVEN_MAP);
        let map = self.tried_map(view.text("map")?);
        let input = view.get("input").and_then(|node| self.input(node));
        let result = View::new(Some(expect), &EXPECT);
        if let (Some(first), Some(second)) = (expect.entry("result"), expect.entry("results")) {
            self.files.problems.push(
                Diagnostic::error(
                    codes::NOT_EXACTLY_ONE,
                    "a map has either one `result` or `results`",
                )
                .at(second.key_at)
                .label("and this")
                .related(first.key_at, "this"),
            );
        }
        let filtered = result.get("filtered");
        if let Some(node) = filtered.filter(|node| node.describe() != "a boolean") {
            self.files.problems.push(
                Diagnostic::error(codes::FOREIGN_PART, "a map has no flows that filter")
                    .at(node.at)
                    .help("write `filtered: true` where the map must filter its input"),
            );
        }
        Some(MapTest {
            map: map?,
            input: input?,
            expect: ExpectedResult {
                result: result.get("result").map(Node::to_json),
                results: result
                    .get("results")
                    .map(|list| list.one_or_many().iter().map(Node::to_json).collect()),
                filtered: filtered.map(|_| result.is_true("filtered")),
                error: result.text("error"),
                at: expect.at,
            },
        })
    }

    /// What a map is given: in place, or a fixture.
    fn input(&mut self, node: &Node) -> Option<MapInput> {
        let Some(written) = node.text() else {
            return Some(MapInput::Json(node.to_json()));
        };
        if is_json(&written) {
            return self.json(node).map(MapInput::Json);
        }
        let path = self.files.refer("tests", &written)?;
        let content = Fixture(self.files.bytes(&path, FIXTURE_LIMIT)?.into());
        Some(MapInput::Fixture { path, content })
    }

    /// A value in place, or that of a fixture in JSON.
    pub(super) fn json(&mut self, node: &Node) -> Option<Value> {
        let Some(written) = node.text() else {
            return Some(node.to_json());
        };
        let path = self.files.refer("tests", &written)?;
        let bytes = self.files.bytes(&path, TEXT_LIMIT)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                // The fixture itself is not shown: it may look like a patient's.
                let message = format!("`{}` is not JSON", clip(&path.display().to_string()));
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_JSON, message)
                        .at(written.at)
                        .label(error.to_string()),
                );
                None
            }
        }
    }

    fn expect(&mut self, node: Option<&Node>) -> Expect {
        let view = View::new(node, &EXPECT);
        let boolean = view
            .get("filtered")
            .filter(|node| node.describe() == "a boolean");
        if let Some(node) = boolean {
            self.files.problems.push(
                Diagnostic::error(codes::FOREIGN_PART, "nobody knows which flow is to filter")
                    .at(node.at)
                    .help("name the flow: `filtered: FLOW`"),
            );
        }
        Expect {
            events: view.get("events").map(|list| each(list, expected_event)),
            deliveries: view
                .get("deliveries")
                .map(|list| each(list, expected_delivery)),
            filtered: match boolean {
                Some(_) => Vec::new(),
                None => view.texts("filtered"),
            },
            error: view.text("error"),
        }
    }
}

fn is_json(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// What can be read of a list's items.
pub(super) fn each<T>(list: &Node, read: impl Fn(&Node) -> Option<T>) -> Vec<T> {
    match &list.data {
        Data::List(items) => items.iter().filter_map(read).collect(),
        _ => Vec::new(),
    }
}

/// Values by name.
pub(super) fn values(node: Option<&Node>) -> Vec<(Spanned<String>, Value)> {
    let value = |entry: &Entry| {
        let name = Spanned::new(entry.key.clone(), entry.key_at);
        (name, entry.value.to_json())
    };
    let entries = node.map_or(&[][..], Node::entries).iter();
    entries.map(value).collect()
}

pub(super) fn expected_event(node: &Node) -> Option<ExpectedEvent> {
    let view = View::new(Some(node), &EXPECTED_EVENT);
    Some(ExpectedEvent {
        event: view.text("type")?,
        data: view.get("data").map(Node::to_json),
        at: node.at,
    })
}

fn expected_delivery(node: &Node) -> Option<ExpectedDelivery> {
    let view = View::new(Some(node), &EXPECTED_DELIVERY);
    let fields = view.get("fields").map_or(&[][..], Node::entries).iter();
    Some(ExpectedDelivery {
        to: view.text("to")?,
        body: view.get("body").map(Node::to_json),
        fields: fields
            .filter_map(|entry| {
                let path = Spanned::new(entry.key.clone(), entry.key_at);
                Some((path, entry.value.text()?.value))
            })
            .collect(),
        key: view.string("key"),
        at: node.at,
    })
}
