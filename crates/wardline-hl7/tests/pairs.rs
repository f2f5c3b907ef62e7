//! The structure of messages as another library (node-hl7-complete) sees it.
//!
//! It forgets some data: components that a data type of the message's version does not have, and
//! blanks at the ends of values. So every leaf it shows must be ours, and what it does not show may only
//! be a further component or subcomponent. It nests a component in its data type (`"PID.5": [{"XPN.1": [{"FN.1": ["DOE"]}]}]`) and
//! leaves empty parts out, so both sides are compared as lists of leaves: segment, its occurrence,
//! field, repetition, component, subcomponent, text. It ends segments at CR only, as we do here.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value;
use wardline_hl7::{Message, ParseOptions, SegmentEnds};

/// Segment, occurrence, field, repetition, component, subcomponent.
type At = (String, usize, usize, usize, usize, usize);
type Leaves = BTreeMap<At, String>;

/// The number in `PID.5` or `XPN.1`; `None` for a segment or group name.
fn number(key: &str) -> Option<usize> {
    key.rsplit_once('.')?.1.parse().ok()
}

fn add(leaves: &mut Leaves, at: At, text: &str) {
    if !text.trim().is_empty() {
        leaves.insert(at, text.trim().to_owned());
    }
}

fn theirs(value: &Value, counts: &mut HashMap<String, usize>, leaves: &mut Leaves) {
    let Value::Object(entries) = value else {
        panic!("an object of segments and groups")
    };
    for (key, occurrences) in entries {
        let occurrences = occurrences.as_array().expect("a list of occurrences");
        for occurrence in occurrences {
            if key.len() != 3 {
                theirs(occurrence, counts, leaves);
                continue;
            }
            let n = counts.entry(key.clone()).or_default();
            *n += 1;
            for (field, repetitions) in occurrence.as_object().expect("an object of fields") {
                let field = number(field).expect("a field number");
                for (repetition, value) in repetitions
                    .as_array()
                    .expect("repetitions")
                    .iter()
                    .enumerate()
                {
                    let at = |c, s| (key.clone(), *n, field, repetition + 1, c, s);
                    their_repetition(value, &at, leaves);
                }
            }
        }
    }
}

fn their_repetition(value: &Value, at: &dyn Fn(usize, usize) -> At, leaves: &mut Leaves) {
    match value {
        Value::String(text) => add(leaves, at(1, 1), text),
        Value::Object(components) => {
            for (component, value) in components {
                let c = number(component).expect("a component number");
                for value in value.as_array().expect("one component") {
                    match value {
                        Value::String(text) => add(leaves, at(c, 1), text),
                        Value::Object(subcomponents) => {
                            for (subcomponent, value) in subcomponents {
                                let s = number(subcomponent).expect("a subcomponent number");
                                let text = value[0].as_str().expect("text");
                                add(leaves, at(c, s), text);
                            }
                        }
                        other => panic!("unexpected {other}"),
                    }
                }
            }
        }
        other => panic!("unexpected {other}"),
    }
}

fn ours(message: &Message) -> Leaves {
    let mut leaves = Leaves::new();
    for (path, raw) in message.leaves() {
        let n = |number: Option<u16>| usize::from(number.unwrap_or(1));
        let at = (
            path.segment().to_owned(),
            path.occurrence().unwrap_or(1) as usize,
            n(path.field()),
            n(path.repetition()),
            n(path.component()),
            n(path.subcomponent()),
        );
        add(&mut leaves, at, &raw.decode());
    }
    leaves
}

#[test]
fn structure_equals_node_hl7_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/testdata/pairs/node-hl7-complete-json");
    if !folder.is_dir() {
        println!(
            "skipped: no ../shared/testdata/pairs/node-hl7-complete-json beside the workspace"
        );
        return;
    }
    let (mut compared, mut forgotten) = (0, 0);
    for case in std::fs::read_dir(&folder).unwrap() {
        let case = case.unwrap().path();
        let input = std::fs::read(case.join("input.hl7")).unwrap();
        let expected: Value =
            serde_json::from_slice(&std::fs::read(case.join("expected.json.txt")).unwrap())
                .unwrap();
        let options = ParseOptions {
            segment_ends: SegmentEnds::CrOnly,
            ..ParseOptions::default()
        };
        let message = Message::parse_with(input, &options).unwrap();
        let mut their_leaves = Leaves::new();
        let structure = expected.as_object().unwrap().values().next().unwrap();
        theirs(structure, &mut HashMap::new(), &mut their_leaves);
        let our_leaves = ours(&message);
        for (at, text) in &their_leaves {
            assert_eq!(our_leaves.get(at), Some(text), "{} {at:?}", case.display());
        }
        for at in our_leaves
            .keys()
            .filter(|at| !their_leaves.contains_key(*at))
        {
            let (segment, n, field, _, component, subcomponent) = at;
            // A second header inside of what counts as one segment here: it leaves its MSH-2 out.
            if message
                .segment(segment, *n)
                .and_then(|segment| segment.field(*field))
                .is_some_and(|raw| raw.bytes() == b"^~\\&")
            {
                continue;
            }
            assert!(
                *component > 1 || *subcomponent > 1,
                "{} {at:?} is ours only",
                case.display()
            );
            forgotten += 1;
        }
        compared += their_leaves.len();
    }
    println!("{compared} leaves equal, {forgotten} forgotten by the other library");
    assert!(
        compared > 1000 && forgotten < compared / 10,
        "{compared} leaves were compared, {forgotten} were ours only"
    );
}
