//! All of an interchange in hand: where its sets are, and taking them apart.

use super::Limits;
use super::cut::{Cut, Cutter};
use super::delimiters::Delimiters;
use super::error::X12Error;
use super::guide::Guides;
use super::segment::Segment;
use super::set::Set;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Where one set stands, and what is around it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) isa: Range<usize>,
    pub(super) gs: Range<usize>,
    pub(super) set: Range<usize>,
    pub(super) delimiters: Delimiters,
    pub(super) segments: usize,
    /// Which group of the input it is in, from 0.
    pub(super) group: usize,
}

/// One interchange or several that follow each other, in memory.
#[derive(Debug, Clone)]
pub struct Interchange {
    bytes: Bytes,
    places: Vec<Place>,
    limits: Limits,
    guides: Option<Arc<Guides>>,
    acknowledgements: Vec<(Range<usize>, Delimiters)>,
}

impl Interchange {
    /// Finds the sets. What is wrong but can be read is told by [`Exam`](super::Exam), not here.
    ///
    /// # Errors
    /// Where the bytes are not X12, or hold neither a set nor an interchange acknowledgement.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, X12Error> {
        Self::parse_with(bytes, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Interchange::parse`].
    pub fn parse_with(bytes: impl Into<Bytes>, limits: Limits) -> Result<Self, X12Error> {
        let bytes: Bytes = bytes.into();
        let mut cutter = Cutter::new(limits);
        let mut found = Self {
            bytes: bytes.clone(),
            places: Vec::new(),
            limits,
            guides: None,
            acknowledgements: Vec::new(),
        };
        let (mut at, mut isa, mut gs, mut group) = (0, 0..0, 0..0, 0);
        let mut open: Option<Place> = None;
        let mut any = false;
        while let Cut::Segment {
            start, end, next, ..
        } = cutter.cut(&bytes, at, 0, true)?
        {
            let Some(delimiters) = cutter.delimiters else {
                break;
            };
            any = true;
            at = next.min(bytes.len());
            let tag = Segment::new(&bytes[start..end], delimiters, start).tag();
            match tag {
                b"ISA" | b"GS" | b"ST" | b"GE" | b"IEA" => {
                    // A set without its trailer ends where the next thing begins.
                    found.places.extend(open.take());
                }
                _ => {}
            }
            match tag {
                b"ISA" => (isa, gs) = (start..end, 0..0),
                b"GS" => {
                    gs = start..end;
                    group += 1;
                }
                b"ST" => {
                    open = Some(Place {
                        isa: isa.clone(),
                        gs: gs.clone(),
                        set: start..at,
                        delimiters,
                        segments: 1,
                        group,
                    });
                }
                b"TA1" if open.is_none() => found.acknowledgements.push((start..end, delimiters)),
                _ => {
                    if let Some(place) = &mut open {
                        place.set.end = at;
                        place.segments += 1;
                        if place.segments > limits.set_segments {
                            return Err(X12Error::SetTooLong {
                                offset: place.set.start,
                                limit: limits.set_segments,
                            });
                        }
                        if tag == b"SE" {
                            found.places.extend(open.take());
                        }
                    }
                }
            }
        }
        found.places.extend(open);
        if !any {
            return Err(X12Error::Empty);
        }
        if found.places.is_empty() && found.acknowledgements.is_empty() {
            return Err(X12Error::NoSets);
        }
        Ok(found)
    }

    /// Knows loops by these guides from now on.
    #[must_use]
    pub fn with_guides(mut self, guides: Arc<Guides>) -> Self {
        self.guides = Some(guides);
        self
    }

    /// All bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many sets there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no set, only TA1 segments.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The sets, in order; each is indexed when it is asked for.
    pub fn sets(&self) -> impl Iterator<Item = Set> + '_ {
        (0..self.len()).filter_map(|n| self.set(n))
    }

    /// The `n`-th set, from 0.
    pub fn set(&self, n: usize) -> Option<Set> {
        let place = self.places.get(n)?.clone();
        Some(Set::new(
            self.bytes.clone(),
            place,
            self.limits,
            self.guides.clone(),
        ))
    }

    /// TA1 segments: what a partner says of interchanges that we sent.
    pub fn interchange_acknowledgements(&self) -> impl Iterator<Item = Segment<'_>> {
        self.acknowledgements.iter().map(|(range, delimiters)| {
            Segment::new(&self.bytes[range.clone()], *delimiters, range.start)
        })
    }

    /// The first ISA.
    pub fn isa(&self) -> Option<Segment<'_>> {
        let mut cutter = Cutter::new(self.limits);
        match cutter.cut(&self.bytes, 0, 0, true) {
            Ok(Cut::Segment { start, end, .. }) => Some(Segment::new(
                &self.bytes[start..end],
                cutter.delimiters?,
                start,
            )),
            _ => None,
        }
    }

    /// One set as an interchange of its own: its ISA and GS as they came, trailers that count one.
    pub fn split(&self, n: usize) -> Option<Bytes> {
        let place = self.places.get(n)?;
        Some(join(&self.bytes, std::iter::once(place)))
    }

    /// The sets that `keep` says, under the envelopes they came in; groups and interchanges of which none
    /// is kept are left out. `None` where none is.
    pub fn join(&self, mut keep: impl FnMut(&Set) -> bool) -> Option<Bytes> {
        let kept: Vec<&Place> = self
            .places
            .iter()
            .enumerate()
            .filter(|(n, _)| self.set(*n).is_some_and(|set| keep(&set)))
            .map(|(_, place)| place)
            .collect();
        (!kept.is_empty()).then(|| join(&self.bytes, kept.into_iter()))
    }
}

/// Writes sets under their envelopes, with trailers that count what is there.
fn join<'a>(bytes: &[u8], places: impl Iterator<Item = &'a Place>) -> Bytes {
    struct Open<'a> {
        place: &'a Place,
        sets: usize,
        groups: usize,
    }
    let part = |range: &Range<usize>| &bytes[range.clone()];
    let close_group = |out: &mut Vec<u8>, open: &Open<'_>| {
        let d = open.place.delimiters;
        let gs = Segment::new(part(&open.place.gs), d, 0);
        trailer(out, d, "GE", open.sets, gs.raw(6));
    };
    let close = |out: &mut Vec<u8>, open: &Open<'_>| {
        let d = open.place.delimiters;
        let isa = Segment::new(part(&open.place.isa), d, 0);
        trailer(out, d, "IEA", open.groups, isa.raw(13));
    };
    let mut out = Vec::new();
    let mut open: Option<Open<'a>> = None;
    for place in places {
        let d = place.delimiters;
        let (new_isa, new_group) = match &open {
            None => (true, true),
            Some(open) => (open.place.isa != place.isa, open.place.group != place.group),
        };
        if let Some(open) = &open
            && (new_isa || new_group)
        {
            close_group(&mut out, open);
            if new_isa {
                close(&mut out, open);
            }
        }
        if new_isa {
            out.extend_from_slice(part(&place.isa));
            out.push(d.terminator);
        }
        if new_isa || new_group {
            out.extend_from_slice(part(&place.gs));
            out.push(d.terminator);
            let groups = open
                .as_ref()
                .filter(|_| !new_isa)
                .map_or(0, |open| open.groups)
                + 1;
            open = Some(Open {
                place,
                sets: 0,
                groups,
            });
        }
        if let Some(open) = &mut open {
            open.sets += 1;
        }
        let set = part(&place.set).trim_ascii_end();
        out.extend_from_slice(set);
        if set.last() != Some(&d.terminator) {
            out.push(d.terminator);
        }
    }
    if let Some(open) = &open {
        close_group(&mut out, open);
        close(&mut out, open);
    }
    out.into()
}

fn trailer(out: &mut Vec<u8>, d: Delimiters, name: &str, count: usize, control: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(d.element);
    out.extend_from_slice(count.to_string().as_bytes());
    out.push(d.element);
    out.extend_from_slice(control);
    out.push(d.terminator);
}
