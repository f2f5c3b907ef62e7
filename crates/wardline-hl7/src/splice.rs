//! The text under an editor: bytes that are spliced and the segment spans that follow along.
//!
//! This is all that knows how offsets move; [`edit`](crate::Editor) only knows paths.

use std::ops::Range;

use crate::index::{Span, Spans};
use crate::segment::pack;
use crate::{ParseError, scan};

/// An owned text and where its segments are.
pub(crate) struct SplicedText {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: Spans,
    /// What ends a segment that is added: as the first segment of the text ends.
    segment_end: &'static [u8],
}

impl SplicedText {
    pub(crate) fn new(bytes: Vec<u8>, segments: Spans) -> Self {
        let first_end = segments
            .first()
            .map_or(bytes.len(), |span| span.end as usize);
        let segment_end: &'static [u8] = match &bytes[first_end..] {
            [b'\r', b'\n', ..] => b"\r\n",
            [b'\n', ..] => b"\n",
            _ => b"\r",
        };
        Self {
            bytes,
            segments,
            segment_end,
        }
    }

    /// Index of the `nth` (from 0) segment of that name.
    pub(crate) fn position(&self, name: [u8; 3], nth: usize) -> Option<usize> {
        let wanted = pack(name);
        let mut named = self
            .segments
            .iter()
            .enumerate()
            .filter(|(_, span)| span.name == wanted);
        named.nth(nth).map(|(at, _)| at)
    }

    pub(crate) fn count(&self, name: [u8; 3]) -> usize {
        let wanted = pack(name);
        self.segments
            .iter()
            .filter(|span| span.name == wanted)
            .count()
    }

    /// Where a segment stands, without its end.
    pub(crate) fn range(&self, at: usize) -> Range<usize> {
        let span = self.segments[at];
        span.start as usize..span.end as usize
    }

    /// Where the `n`-th (from 1) part of `within`, cut at `separator`, stands.
    pub(crate) fn part(
        &self,
        within: Range<usize>,
        separator: u8,
        n: usize,
    ) -> Option<Range<usize>> {
        let bytes = &self.bytes[within.clone()];
        let start = if n == 1 {
            0
        } else {
            scan::nth(bytes, separator, n - 2)? + 1
        };
        let end = scan::first(&bytes[start..], separator).map_or(bytes.len(), |end| start + end);
        Some(within.start + start..within.start + end)
    }

    /// Replaces bytes inside one segment and moves what follows.
    pub(crate) fn splice(&mut self, range: Range<usize>, with: &[u8]) -> Result<(), ParseError> {
        if range.is_empty() && with.is_empty() {
            return Ok(());
        }
        self.check_size(with.len())?;
        let (from, to) = (range.end as u32, (range.start + with.len()) as u32);
        let at = self
            .segments
            .partition_point(|span| (span.end as usize) < range.end);
        for span in &mut self.segments[at..] {
            span.end = span.end - from + to;
            if span.start > from {
                span.start = span.start - from + to;
            }
        }
        self.bytes.splice(range, with.iter().copied());
        Ok(())
    }

    /// Inserts an empty segment after the `after`-th one.
    pub(crate) fn insert_segment(&mut self, after: usize, name: [u8; 3]) -> Result<(), ParseError> {
        let previous_end = self.segments[after].end as usize;
        let terminator = end_length(&self.bytes[previous_end..]);
        let at = previous_end + terminator;
        // Where the last segment has no end, the new one is set off and, like it, left without.
        let (line, start) = if terminator == 0 {
            (
                [self.segment_end, &name].concat(),
                at + self.segment_end.len(),
            )
        } else {
            ([&name, self.segment_end].concat(), at)
        };
        self.check_size(line.len())?;
        self.bytes.splice(at..at, line.iter().copied());
        for later in &mut self.segments[after + 1..] {
            later.start += line.len() as u32;
            later.end += line.len() as u32;
        }
        let span = Span {
            start: start as u32,
            end: start as u32 + 3,
            name: pack(name),
        };
        self.segments.insert(after + 1, span);
        Ok(())
    }

    /// Takes out the segments that `remove` chooses, each with its end, in one pass.
    pub(crate) fn remove_segments(
        &mut self,
        mut remove: impl FnMut(usize, &Span) -> bool,
    ) -> usize {
        let before = self.segments.len();
        let mut index = 0;
        // Bytes up to `kept` are final, bytes up to `read` are done with.
        let (mut kept, mut read) = (0, 0);
        let bytes = &mut self.bytes;
        self.segments.retain(|span| {
            let (start, end) = (span.start as usize, span.end as usize);
            let gone = remove(index, span);
            index += 1;
            let upto = if gone { start } else { end };
            bytes.copy_within(read..upto, kept);
            kept += upto - read;
            read = upto;
            if gone {
                read = end + end_length(&bytes[end..]);
                return false;
            }
            let length = span.end - span.start;
            span.end = kept as u32;
            span.start = span.end - length;
            true
        });
        bytes.copy_within(read.., kept);
        bytes.truncate(kept + bytes.len() - read);
        before - self.segments.len()
    }

    fn check_size(&self, added: usize) -> Result<(), ParseError> {
        let size = self.bytes.len().saturating_add(added);
        match u32::try_from(size) {
            Ok(_) => Ok(()),
            Err(_) => Err(ParseError::TooLarge { size }),
        }
    }
}

/// Length of the segment end that `rest` begins with.
fn end_length(rest: &[u8]) -> usize {
    match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}
