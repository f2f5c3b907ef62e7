//! `tests/*.yaml`.

use super::{Decoder, View};
use crate::files::FIXTURE_LIMIT;
use crate::model::{Expect, ExpectedDelivery, ExpectedEvent, Fixture, Given, TestCase};
use crate::shape::data::{
    EXPECT, EXPECTED_DELIVERY, EXPECTED_EVENT, GIVEN_EVENT, GIVEN_MESSAGE, TEST,
};
use crate::yaml::Node;

impl Decoder<'_> {
    pub(super) fn test(&mut self, node: &Node) -> Option<TestCase> {
        let view = View::new(Some(node), &TEST);
        let name = view.text("test")?;
        let given = self.given(view.get("given")?)?;
        let now = view.text("now");
        Some(TestCase {
            name: name.value,
            at: name.at,
            given,
            now,
            expect: expect(view.get("expect")),
        })
    }

    fn given(&mut self, node: &Node) -> Option<Given> {
        if node.get("event").is_some() {
            let view = View::new(Some(node), &GIVEN_EVENT);
            return Some(Given::Event {
                event: view.text("event")?,
                data: view.get("data")?.to_json(),
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
}

fn expect(node: Option<&Node>) -> Expect {
    let view = View::new(node, &EXPECT);
    Expect {
        events: view.get("events").map(|list| {
            list.one_or_many()
                .iter()
                .filter_map(expected_event)
                .collect()
        }),
        deliveries: view.get("deliveries").map(|list| {
            list.one_or_many()
                .iter()
                .filter_map(expected_delivery)
                .collect()
        }),
        filtered: view.texts("filtered"),
        error: view.text("error"),
    }
}

fn expected_event(node: &Node) -> Option<ExpectedEvent> {
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
                let path = crate::source::Spanned::new(entry.key.clone(), entry.key_at);
                Some((path, entry.value.text()?.value))
            })
            .collect(),
        key: view.string("key"),
        at: node.at,
    })
}
