//! Guides: what a set of a partner looks like, declared as data.
//!
//! A guide is a YAML file. `body` is the order of segments and loops between ST and SE; `segments` says what
//! elements they have. A segment is `NAME usage max`: usage `r` (required), `o` (optional, the default) or `n` (not
//! used); max a number (1 where nothing is said) or `*`. `NAME(41)` is one whose element 01 is 41, `NAME(03=22|23)`
//! one whose element 03 is either. A loop is a list below `ID usage max`; its first segment begins it.
//!
//! Elements stand in order, separated by `;`: `usage TYPE length {codes} @dictionary xREPEAT`, where the types are
//! AN, ID, N0 … N6, R, DT, TM, B; a composite is `usage C [element; element]`. Rules of the standard follow after `!`:
//! `!P0304` (paired), `!R…` (one of), `!E…` (one at most), `!C…`, `!L…`.
//!
//! ```
//! use wardline_edi::x12::Guide;
//! let guide = Guide::parse("
//! guide: order
//! set: 850
//! versions: ['004010']
//! segments:
//!   BEG: r ID 2 {00|05}; r ID 2; r AN 1/22; o AN 1/30; r DT 8
//!   N1: r ID 2/3; o AN 1/60; o ID 1/2; o AN 2/80; !R0203; !P0304
//! body:
//!   - BEG r
//!   - N1 o 200:
//!     - N1 r
//!     - N3 o 2
//!   - PO1 r *:
//!     - PO1 r
//! ")?;
//! assert_eq!(guide.set(), "850");
//! # Ok::<(), wardline_edi::x12::guide::GuideError>(())
//! ```

mod element;
mod read;
mod shipped;
mod walk;
mod yaml;

pub use element::{Kind, Usage};
pub use read::GuideError;
pub use walk::{LoopSpan, Walk};

pub(super) use element::{is_date, is_time};

use super::report::SegmentFault;
use super::segment::Segment;
use super::set::Set;
use element::SegmentDef;
use std::sync::Arc;

/// What one kind of set looks like.
#[derive(Debug, Clone)]
pub struct Guide {
    pub(super) name: Box<str>,
    set: Box<str>,
    versions: Vec<Box<str>>,
    nodes: Vec<Node>,
    children: Vec<Vec<usize>>,
    /// The same beside what is asked of them at every segment.
    kids: Vec<Vec<Kid>>,
}

/// A child of a loop.
#[derive(Debug, Clone)]
struct Kid {
    node: usize,
    /// The segment that it is, or begins with.
    first: usize,
    tag: Tag,
    /// Its neighbours that begin with the same segment, itself included.
    run: std::ops::Range<usize>,
}

/// A name of a segment, filled up with blanks.
type Tag = [u8; 3];

/// `None` where it is longer than a name is.
fn tag_of(name: &[u8]) -> Option<Tag> {
    match *name {
        [a, b, c] => Some([a, b, c]),
        [a, b] => Some([a, b, b' ']),
        _ => None,
    }
}

#[derive(Debug, Clone)]
enum Node {
    Segment(SegmentNode),
    Loop(LoopNode),
}

#[derive(Debug, Clone)]
struct SegmentNode {
    name: Box<str>,
    /// Values that some elements must have for a segment to be this one.
    picks: Vec<(u16, Vec<Box<str>>)>,
    usage: Usage,
    max: u32,
    def: Option<Arc<SegmentDef>>,
}

#[derive(Debug, Clone)]
struct LoopNode {
    id: Arc<str>,
    usage: Usage,
    max: u32,
}

impl Guide {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The set it is for: ST01.
    pub fn set(&self) -> &str {
        &self.set
    }

    /// Beginnings of the versions it is for; any where there is none.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.versions.iter().map(|version| &**version)
    }

    /// Names of its loops.
    pub fn loop_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().skip(1).filter_map(|node| match node {
            Node::Loop(own) => Some(&*own.id),
            Node::Segment(_) => None,
        })
    }

    /// Whether a segment of this name is in it.
    pub fn has_segment(&self, name: &str) -> bool {
        matches!(name, "ST" | "SE" | "ISA" | "GS") || self.knows(name.as_bytes())
    }

    /// Whether a loop has a segment of this name, itself or in a loop within.
    pub fn loop_has(&self, id: &str, name: &str) -> bool {
        let mut open: Vec<usize> = (1..self.nodes.len())
            .filter(|&n| matches!(&self.nodes[n], Node::Loop(own) if *own.id == *id))
            .collect();
        while let Some(node) = open.pop() {
            for &child in &self.children[node] {
                match &self.nodes[child] {
                    Node::Segment(own) if *own.name == *name => return true,
                    Node::Segment(_) => {}
                    Node::Loop(_) => open.push(child),
                }
            }
        }
        false
    }

    /// How many elements a segment of this name has at most; `None` where the guide does not say.
    pub fn elements_of(&self, name: &str) -> Option<usize> {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Segment(own) if *own.name == *name => {
                    own.def.as_ref().map(|def| def.elements.len())
                }
                _ => None,
            })
            .max()
    }

    /// The loops of a set.
    pub(super) fn loops(self: &Arc<Self>, set: &Set) -> Vec<LoopSpan> {
        let mut walk = Walk::tracking(Arc::clone(self));
        let mut position = 1;
        for segment in set.segments().skip(1) {
            if segment.tag() == b"SE" {
                break;
            }
            position += 1;
            walk.step(&segment, position);
        }
        walk.spans(position)
    }

    /// Prepares what walks ask for, once all nodes are there.
    fn prepare(&mut self) {
        self.kids = (0..self.nodes.len())
            .map(|node| {
                let mut kids: Vec<Kid> = self
                    .children(node)
                    .iter()
                    .map(|&child| {
                        let mut first = child;
                        while let Some(&inner) = self.children(first).first() {
                            first = inner;
                        }
                        Kid {
                            node: child,
                            first,
                            tag: tag_of(self.first_name(child).as_bytes()).unwrap_or_default(),
                            run: 0..0,
                        }
                    })
                    .collect();
                let mut from = 0;
                while from < kids.len() {
                    let tag = kids[from].tag;
                    let end = from + kids[from..].iter().take_while(|kid| kid.tag == tag).count();
                    for kid in &mut kids[from..end] {
                        kid.run = from..end;
                    }
                    from = end;
                }
                kids
            })
            .collect();
    }

    fn kids(&self, node: usize) -> &[Kid] {
        self.kids.get(node).map_or(&[], Vec::as_slice)
    }

    fn children(&self, node: usize) -> &[usize] {
        self.children.get(node).map_or(&[], Vec::as_slice)
    }

    /// The segment that a node is, or begins with.
    fn first(&self, node: usize) -> Option<&SegmentNode> {
        let mut at = node;
        loop {
            match &self.nodes[at] {
                Node::Segment(own) => return Some(own),
                Node::Loop(_) => at = *self.children(at).first()?,
            }
        }
    }

    fn first_name(&self, node: usize) -> &str {
        self.first(node).map_or("", |own| &own.name)
    }

    fn usage(&self, node: usize) -> Usage {
        match &self.nodes[node] {
            Node::Segment(own) => own.usage,
            Node::Loop(own) => own.usage,
        }
    }

    /// Whether a segment, of this name, is this child or begins it.
    fn begins(&self, kid: &Kid, tag: Tag, segment: &Segment<'_>) -> bool {
        if kid.tag != tag {
            return false;
        }
        let Some(Node::Segment(own)) = self.nodes.get(kid.first) else {
            return false;
        };
        own.picks.iter().all(|(element, values)| {
            let found = segment.element(usize::from(*element));
            let found = found
                .and_then(|element| element.component(1))
                .map_or(&[][..], |part| part.bytes());
            values.iter().any(|value| value.as_bytes() == found)
        })
    }

    fn knows(&self, tag: &[u8]) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node, Node::Segment(own) if own.name.as_bytes() == tag))
    }
}

/// The guides that are known.
#[derive(Debug, Clone, Default)]
pub struct Guides {
    list: Vec<Arc<Guide>>,
}

impl Guides {
    /// The guides that are shipped: the sets of procurement and of claims, in our own words and without code lists.
    ///
    /// They know loops and the elements that matter to both versions in use; a partner's own guide says more.
    pub fn shipped() -> Arc<Self> {
        shipped::guides()
    }

    /// Adds one; of several that fit, the one with the longest version is taken, then the last.
    pub fn add(&mut self, guide: Guide) {
        self.list.push(Arc::new(guide));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Guide>> {
        self.list.iter()
    }

    /// The guide for a set of this kind and version.
    pub fn for_set(&self, id: &str, version: &str) -> Option<Arc<Guide>> {
        self.list
            .iter()
            .filter(|guide| *guide.set == *id)
            .filter_map(|guide| {
                let fits = guide
                    .versions
                    .iter()
                    .filter(|known| version.starts_with(&***known))
                    .map(|known| known.len() + 1);
                let rank = if guide.versions.is_empty() {
                    Some(0)
                } else {
                    fits.max()
                };
                rank.map(|rank| (rank, guide))
            })
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, guide)| Arc::clone(guide))
    }

    /// All guides for sets of this kind, whatever their version.
    pub fn of_set<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Arc<Guide>> {
        self.list.iter().filter(move |guide| *guide.set == *id)
    }
}

/// A stable code for a fault.
pub(super) fn code_of(fault: &SegmentFault) -> &'static str {
    match fault.code {
        "3" => "x12.guide.missing",
        "4" => "x12.guide.loop-too-often",
        "5" => "x12.guide.too-often",
        "6" => "x12.guide.unknown-segment",
        "7" => "x12.guide.order",
        "8" => "x12.guide.elements",
        _ => "x12.guide.unexpected",
    }
}

/// A fault in words.
pub(super) fn says(fault: &SegmentFault) -> String {
    let name = &fault.segment;
    let within = fault
        .within
        .as_ref()
        .map(|id| format!(" in loop {id}"))
        .unwrap_or_default();
    match fault.code {
        "3" => format!("{name}{within} is required and missing"),
        "4" => format!("the loop that {name} begins occurs too often"),
        "5" => format!("{name} occurs too often{within}"),
        "6" => format!("{name} is no segment of this set"),
        "7" => format!("{name} stands too late{within}: it belongs before what was read"),
        "8" => {
            let elements: Vec<String> = fault.elements.iter().map(element_says).collect();
            format!(
                "{}{within}",
                elements
                    .iter()
                    .map(|said| format!("{name}{said}"))
                    .collect::<Vec<_>>()
                    .join("; ")
            )
        }
        _ => format!("{name} is not expected here{within}"),
    }
}

fn element_says(fault: &super::report::ElementFault) -> String {
    let component = match fault.component {
        0 => String::new(),
        n => format!("-{n}"),
    };
    let what = match fault.code {
        "1" => "is required and missing",
        "2" => "is required with what else is there, and missing",
        "3" => "is more than the segment has",
        "4" => "is too short",
        "5" => "is too long",
        "6" => "has a character that may not be there",
        "7" => "is not one of its codes",
        "8" => "is not a date",
        "9" => "is not a time",
        "10" => "may not be there with what else is",
        "12" => "repeats too often",
        _ => "is not used",
    };
    format!("{:02}{component} {what}", fault.element)
}
