//! One transaction set with the envelope it came in, read by paths.

use super::Limits;
use super::cut::{Cut, Cutter};
use super::delimiters::Delimiters;
use super::guide::{Guides, LoopSpan};
use super::index::Place;
use super::path::{Path, PathError, Pick};
use super::segment::{Element, Segment};
use super::text::text;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A transaction set: its segments from ST to SE, and the ISA and GS above it.
#[derive(Clone)]
pub struct Set {
    bytes: Bytes,
    place: Place,
    segments: Vec<Range<usize>>,
    guides: Option<Arc<Guides>>,
    loops: OnceLock<Arc<Vec<LoopSpan>>>,
}

/// What a set is taken apart by: a loop of its guide, or the segments that begin its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Area {
    /// A loop of a guide: `2300`, `2010AA`.
    Loop(Box<str>),
    /// A segment: `PO1`, `HL[03=O]`, `2300/LX`.
    Segment(Path),
}

impl Area {
    /// Reads one from text: what is no path of a segment is the name of a loop.
    ///
    /// # Errors
    /// Where the text is neither, or names an element.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        // A segment has two or three characters and begins with a letter; a loop that is called like its first
        // segment is found by that.
        let named = text.starts_with(|c: char| c.is_ascii_digit()) || text.len() > 3;
        if named && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(Self::Loop(text.into()));
        }
        let path = Path::parse(text)?;
        match path.element {
            0 => Ok(Self::Segment(path)),
            _ => Err(PathError {
                text: text.to_owned(),
                reason: "a loop or a segment is wanted, not an element",
                position: text.find('-').unwrap_or(0),
            }),
        }
    }
}

/// Shows its kind and size only.
impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Set({} segments)", self.segments.len())
    }
}

/// The same bytes in the same place.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.place.set == other.place.set && self.bytes == other.bytes
    }
}

impl Set {
    pub(super) fn new(
        bytes: Bytes,
        place: Place,
        limits: Limits,
        guides: Option<Arc<Guides>>,
    ) -> Self {
        let mut cutter = Cutter::new(limits);
        cutter.delimiters = Some(place.delimiters);
        let mut segments = Vec::with_capacity(place.segments);
        let part = &bytes[..place.set.end];
        let mut at = place.set.start;
        while let Ok(Cut::Segment {
            start, end, next, ..
        }) = cutter.cut(part, at, 0, true)
        {
            segments.push(start..end);
            at = next.min(part.len());
        }
        Self {
            bytes,
            place,
            segments,
            guides,
            loops: OnceLock::new(),
        }
    }

    /// ST01, such as `850`.
    pub fn id(&self) -> Cow<'_, str> {
        self.segment(0)
            .map_or(Cow::Borrowed(""), |st| text(st.raw(1)))
    }

    /// ST02, the control number.
    pub fn control(&self) -> Cow<'_, str> {
        self.segment(0)
            .map_or(Cow::Borrowed(""), |st| text(st.raw(2)))
    }

    /// GS08 or, where it says more, ST03: the version and guide, such as `005010X222A1`.
    pub fn version(&self) -> Cow<'_, str> {
        let st03 = self.segment(0).map(|st| st.raw(3)).unwrap_or_default();
        if st03.is_empty() {
            self.gs().map_or(Cow::Borrowed(""), |gs| text(gs.raw(8)))
        } else {
            text(st03)
        }
    }

    /// The bytes from ST to the terminator of SE.
    pub fn bytes(&self) -> Bytes {
        self.bytes.slice(self.place.set.clone())
    }

    /// The bytes of everything that came with it: slices of values share them.
    pub fn shared(&self) -> &Bytes {
        &self.bytes
    }

    /// Where ST begins in the input.
    pub fn offset(&self) -> usize {
        self.place.set.start
    }

    /// The delimiters in force.
    pub fn delimiters(&self) -> Delimiters {
        self.place.delimiters
    }

    /// The ISA above it.
    pub fn isa(&self) -> Segment<'_> {
        Segment::new(
            &self.bytes[self.place.isa.clone()],
            self.place.delimiters,
            self.place.isa.start,
        )
    }

    /// The GS above it, where there is one.
    pub fn gs(&self) -> Option<Segment<'_>> {
        let range = self.place.gs.clone();
        (!range.is_empty()).then(|| {
            Segment::new(
                &self.bytes[range.clone()],
                self.place.delimiters,
                range.start,
            )
        })
    }

    /// How many segments it has, ST and SE included.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether it has none, which is not so where it was read.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The `n`-th segment, ST being 0.
    pub fn segment(&self, n: usize) -> Option<Segment<'_>> {
        let range = self.segments.get(n)?.clone();
        Some(Segment::new(
            &self.bytes[range.clone()],
            self.place.delimiters,
            range.start,
        ))
    }

    /// Its segments from ST to SE.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        (0..self.len()).filter_map(|n| self.segment(n))
    }

    /// All of it.
    pub fn whole(&self) -> Range<usize> {
        0..self.len()
    }

    /// The loops in it, as the guide of the set has them: none where no guide is known.
    pub fn loops(&self) -> &[LoopSpan] {
        self.loops.get_or_init(|| {
            let spans = self
                .guides
                .as_ref()
                .and_then(|guides| guides.for_set(&self.id(), &self.version()))
                .map(|guide| guide.loops(self));
            Arc::new(spans.unwrap_or_default())
        })
    }

    /// Whether a guide for this set is known.
    pub fn has_guide(&self) -> bool {
        self.guides
            .as_ref()
            .is_some_and(|guides| guides.for_set(&self.id(), &self.version()).is_some())
    }

    /// The ranges of a loop within a part of the set. By the guide where one knows the name; a segment that begins
    /// no known loop begins one that ends where the next of its kind begins, or the part does.
    pub fn each(&self, within: Range<usize>, area: &Area) -> Vec<Range<usize>> {
        let name = match area {
            Area::Loop(id) => return self.named(within, id),
            Area::Segment(path) => path,
        };
        let loops = self.loops();
        if name.picks.is_empty() && name.within.is_none() {
            let named = self.named(within.clone(), &name.segment);
            if !named.is_empty() {
                return named;
            }
        }
        let areas = match &name.within {
            Some(id) => self.named(within, id),
            None => vec![within],
        };
        let mut found = Vec::new();
        for area in areas {
            let starts: Vec<usize> = self.matching(area.clone(), name).collect();
            for (n, &start) in starts.iter().enumerate() {
                let next = starts.get(n + 1).copied().unwrap_or(area.end);
                // Where a guide knows the loop that this segment begins, it knows its end, too.
                let known = loops.iter().find(|span| span.range.start == start);
                let end = known.map_or_else(|| self.summary(start, next), |span| span.range.end);
                found.push(start..end.min(area.end));
            }
        }
        found
    }

    /// Without a guide, the last loop of a kind ends before what sums up a set.
    fn summary(&self, start: usize, end: usize) -> usize {
        (start + 1..end)
            .find(|&n| {
                self.segment(n)
                    .is_some_and(|s| matches!(s.tag(), b"CTT" | b"TDS" | b"SE" | b"PLB"))
            })
            .unwrap_or(end)
    }

    /// The ranges of the loops of this name.
    pub fn named(&self, within: Range<usize>, id: &str) -> Vec<Range<usize>> {
        self.loops()
            .iter()
            .filter(|span| *span.id == *id && inside(&span.range, &within))
            .map(|span| span.range.clone())
            .collect()
    }

    /// The numbers of the segments that a path names within a part of the set, its loop left aside.
    fn matching<'a>(
        &'a self,
        within: Range<usize>,
        path: &'a Path,
    ) -> impl Iterator<Item = usize> + 'a {
        let mut nth = 0;
        let wanted = path.picks.iter().find_map(|pick| match pick {
            Pick::Nth(n) => Some(*n),
            Pick::Has { .. } => None,
        });
        within.filter(move |&n| {
            let Some(segment) = self.segment(n) else {
                return false;
            };
            if segment.tag() != path.segment.as_bytes() || !has(&segment, &path.picks) {
                return false;
            }
            nth += 1;
            wanted.is_none_or(|wanted| wanted == nth)
        })
    }

    /// The first segment that a path names.
    pub fn find(&self, within: Range<usize>, path: &Path) -> Option<Segment<'_>> {
        match &*path.segment {
            "ISA" => return Some(self.isa()),
            "GS" => return self.gs(),
            _ => {}
        }
        match &path.within {
            None => self
                .matching(within, path)
                .next()
                .and_then(|n| self.segment(n)),
            Some(id) => self
                .named(within, id)
                .into_iter()
                .find_map(|range| self.matching(range, path).next())
                .and_then(|n| self.segment(n)),
        }
    }

    /// What stands at a path, within a part of the set.
    pub fn get(&self, within: Range<usize>, path: &Path) -> Option<Element<'_>> {
        let segment = self.find(within, path)?;
        let element = segment.element(usize::from(path.element))?;
        let element = match (path.repetition, path.component) {
            (0, 0) => element,
            (n, 0) => element.repetitions().nth(usize::from(n) - 1)?,
            (n, c) => element
                .repetitions()
                .nth(usize::from(n.max(1)) - 1)?
                .components()
                .nth(usize::from(c) - 1)?,
        };
        Some(element)
    }

    /// The text at a path, without the padding of ISA's elements; `None` where it is absent or empty.
    pub fn value(&self, path: &Path) -> Option<Cow<'_, str>> {
        self.value_in(self.whole(), path)
    }

    /// The same within a part of the set.
    pub fn value_in(&self, within: Range<usize>, path: &Path) -> Option<Cow<'_, str>> {
        let element = self.get(within, path)?;
        let bytes = element.bytes();
        let bytes = if element.literal {
            bytes.trim_ascii_end()
        } else {
            bytes
        };
        (!bytes.is_empty()).then(|| text(bytes))
    }
}

/// Whether a segment has the values that picks ask for.
fn has(segment: &Segment<'_>, picks: &[Pick]) -> bool {
    picks.iter().all(|pick| match pick {
        Pick::Nth(_) => true,
        Pick::Has { element, value } => segment.element(usize::from(*element)).is_some_and(|e| {
            e.bytes() == value.as_bytes()
                || e.component(1)
                    .is_some_and(|c| c.bytes() == value.as_bytes())
        }),
    })
}

fn inside(range: &Range<usize>, within: &Range<usize>) -> bool {
    range.start >= within.start && range.end <= within.end
}
