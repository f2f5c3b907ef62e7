//! Where a segment stands in the loops of a guide, and what is missing, too much or out of place.

use super::super::report::SegmentFault;
use super::super::segment::Segment;
use super::element::Usage;
use super::{Guide, Node, tag_of};
use std::ops::Range;
use std::sync::Arc;

/// Segments of one loop, by their numbers in the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopSpan {
    /// The loop's name.
    pub id: Arc<str>,
    /// Its segments, ST being 0.
    pub range: Range<usize>,
}

/// A walk through a guide beside the segments of one set.
pub struct Walk {
    guide: Arc<Guide>,
    stack: Vec<Frame>,
    spans: Option<Vec<LoopSpan>>,
    /// Number of the last segment that was given, ST being 1.
    last: u64,
}

struct Frame {
    /// The loop; 0 is the whole set.
    node: usize,
    /// Which child was met last.
    at: usize,
    /// Children before this one were found missing or not.
    checked: usize,
    counts: Vec<u32>,
    begin: usize,
}

impl Walk {
    /// Begins at ST.
    pub fn new(guide: Arc<Guide>) -> Self {
        let root = frame(&guide, 0, 0);
        Self {
            guide,
            stack: vec![root],
            spans: None,
            last: 1,
        }
    }

    /// Begins, and keeps where loops were.
    pub(super) fn tracking(guide: Arc<Guide>) -> Self {
        Self {
            spans: Some(Vec::new()),
            ..Self::new(guide)
        }
    }

    /// The next segment, which is the `position`-th of the set.
    pub fn step(&mut self, segment: &Segment<'_>, position: u64) -> Vec<SegmentFault> {
        let mut found = Vec::new();
        let place = (0..self.stack.len())
            .rev()
            .find_map(|depth| self.child(depth, segment).map(|child| (depth, child)));
        let Some((depth, child)) = place else {
            let code = self.misplaced(segment);
            found.push(self.fault(segment.name().to_owned(), position, code));
            self.last = position;
            return found;
        };
        while self.stack.len() > depth + 1 {
            self.leave(&mut found);
        }
        self.take(child, segment, position, &mut found);
        self.last = position;
        found
    }

    /// SE, which is the `position`-th segment: what was still to come is missing.
    pub fn finish(mut self, position: u64) -> Vec<SegmentFault> {
        let mut found = Vec::new();
        self.last = position.saturating_sub(1);
        while !self.stack.is_empty() {
            self.leave(&mut found);
        }
        found
    }

    /// The loops, once all segments were given.
    pub(super) fn spans(mut self, position: u64) -> Vec<LoopSpan> {
        self.last = position;
        let mut found = Vec::new();
        while self.stack.len() > 1 {
            self.leave(&mut found);
        }
        let mut spans = self.spans.unwrap_or_default();
        spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
        spans
    }

    /// The child of a frame that a segment is, or begins.
    fn child(&self, depth: usize, segment: &Segment<'_>) -> Option<usize> {
        let frame = &self.stack[depth];
        let kids = self.guide.kids(frame.node);
        let tag = tag_of(segment.tag())?;
        // Among neighbours of one name the order is free.
        let from = kids.get(frame.at).map_or(frame.at, |kid| kid.run.start);
        // The segment that begins a loop begins it again; it is never a second one within.
        let begun = frame.node != 0
            && kids
                .first()
                .is_some_and(|kid| kid.first == kid.node && frame.counts[0] > 0);
        let from = from.max(usize::from(begun));
        let rest = kids.get(from..)?.iter();
        rest.enumerate()
            .find(|(_, kid)| self.guide.begins(kid, tag, segment))
            .map(|(n, _)| from + n)
    }

    fn take(
        &mut self,
        child: usize,
        segment: &Segment<'_>,
        position: u64,
        found: &mut Vec<SegmentFault>,
    ) {
        let Some(top) = self.stack.len().checked_sub(1) else {
            return;
        };
        let node = self.stack[top].node;
        let guide = Arc::clone(&self.guide);
        let Some(kid) = guide.kids(node).get(child) else {
            return;
        };
        let (run, index) = (kid.run.clone(), kid.node);
        self.missing(top, run.start, found);
        let own = &mut self.stack[top];
        own.checked = own.checked.max(run.start);
        own.at = child;
        own.counts[child] += 1;
        let over = |max: u32, count: u32| max != 0 && count > max;
        let count = own.counts[child];
        match &guide.nodes[index] {
            Node::Segment(own) => {
                if own.usage == Usage::NotUsed {
                    found.push(self.fault(segment.name().to_owned(), position, "2"));
                } else if over(own.max, count) {
                    found.push(self.fault(segment.name().to_owned(), position, "5"));
                }
                let elements = own
                    .def
                    .as_ref()
                    .map(|def| def.check(segment))
                    .unwrap_or_default();
                if !elements.is_empty() {
                    let fault = self.fault(segment.name().to_owned(), position, "8");
                    found.push(SegmentFault { elements, ..fault });
                }
            }
            Node::Loop(own) => {
                if own.usage == Usage::NotUsed {
                    found.push(self.fault(segment.name().to_owned(), position, "2"));
                } else if over(own.max, count) {
                    found.push(self.fault(segment.name().to_owned(), position, "4"));
                }
                let begin = usize::try_from(position)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(1);
                let inner = frame(&guide, index, begin);
                self.stack.push(inner);
                let tag = tag_of(segment.tag()).unwrap_or_default();
                let first = guide
                    .kids(index)
                    .iter()
                    .position(|inner| guide.begins(inner, tag, segment));
                if let Some(first) = first {
                    self.take(first, segment, position, found);
                }
            }
        }
    }

    /// Says which required children before `until` were not there.
    fn missing(&mut self, top: usize, until: usize, found: &mut Vec<SegmentFault>) {
        let frame = &self.stack[top];
        let children = self.guide.children(frame.node);
        let end = until.min(children.len());
        let passed = children.get(frame.checked..end).unwrap_or_default();
        for (&child, &count) in passed.iter().zip(&frame.counts[frame.checked.min(end)..]) {
            if count == 0 && self.guide.usage(child) == Usage::Required {
                let name = self.guide.first_name(child).to_owned();
                found.push(self.fault(name, self.last, "3"));
            }
        }
    }

    fn leave(&mut self, found: &mut Vec<SegmentFault>) {
        let Some(top) = self.stack.len().checked_sub(1) else {
            return;
        };
        let count = self.guide.children(self.stack[top].node).len();
        self.missing(top, count, found);
        if let Some(frame) = self.stack.pop()
            && let (Node::Loop(own), Some(spans)) = (&self.guide.nodes[frame.node], &mut self.spans)
            && frame.node != 0
        {
            let end = usize::try_from(self.last).unwrap_or(usize::MAX);
            spans.push(LoopSpan {
                id: Arc::clone(&own.id),
                range: frame.begin..end,
            });
        }
    }

    /// Why a segment has no place: AK304.
    fn misplaced(&self, segment: &Segment<'_>) -> &'static str {
        let tag = tag_of(segment.tag());
        let before = self.stack.iter().any(|frame| {
            let mut kids = self.guide.kids(frame.node).iter();
            tag.is_some_and(|tag| kids.any(|kid| self.guide.begins(kid, tag, segment)))
        });
        if before {
            "7"
        } else if self.guide.knows(segment.tag()) {
            "2"
        } else {
            "6"
        }
    }

    fn fault(&self, segment: String, position: u64, code: &'static str) -> SegmentFault {
        let within =
            self.stack
                .last()
                .filter(|frame| frame.node != 0)
                .and_then(|frame| match &self.guide.nodes[frame.node] {
                    Node::Loop(own) => Some(own.id.to_string()),
                    Node::Segment(_) => None,
                });
        SegmentFault {
            segment,
            position,
            within,
            code,
            elements: Vec::new(),
        }
    }
}

fn frame(guide: &Guide, node: usize, begin: usize) -> Frame {
    Frame {
        node,
        at: 0,
        checked: 0,
        counts: vec![0; guide.children(node).len()],
        begin,
    }
}
