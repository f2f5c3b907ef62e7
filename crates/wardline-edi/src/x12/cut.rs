//! Where segments begin and end: the one place that knows, for slices and streams alike.

use super::Limits;
use super::delimiters::{self, Delimiters, Header};
use super::error::{Found, X12Error};

/// What stands at a place of the input.
pub(super) enum Cut {
    /// A segment: its bytes without terminator, and where the next one may begin.
    Segment {
        start: usize,
        end: usize,
        next: usize,
        /// The terminator was missing: the input ends here.
        open: bool,
        /// An ISA began here.
        header: Option<Header>,
    },
    /// More bytes are needed.
    More,
    /// Nothing but white space is left.
    End,
}

/// The state of cutting: the delimiters in force.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutter {
    pub(super) delimiters: Option<Delimiters>,
    pub(super) limits: Limits,
}

impl Cutter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            delimiters: None,
            limits,
        }
    }

    /// Cuts the next segment of `bytes` from `at` on. `base` is the offset of `bytes` in the whole
    /// input, `complete` whether nothing follows them.
    #[inline]
    pub(super) fn cut(
        &mut self,
        bytes: &[u8],
        at: usize,
        base: usize,
        complete: bool,
    ) -> Result<Cut, X12Error> {
        let mut start = at;
        // Line breaks and blanks between segments belong to none.
        while let Some(byte) = bytes.get(start) {
            let skip = byte.is_ascii_whitespace()
                || matches!(byte, 0x00 | 0x1A)
                || (self.delimiters.is_none() && matches!(byte, 0xEF | 0xBB | 0xBF));
            if !skip || self.delimiters.is_some_and(|d| d.element == *byte) {
                break;
            }
            start += 1;
        }
        let rest = bytes.get(start..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(if complete { Cut::End } else { Cut::More });
        }
        if rest.len() < 4 && !complete {
            return Ok(Cut::More);
        }
        if delimiters::begins(rest) {
            let Some(header) =
                delimiters::header(rest, base + start, self.limits.release, complete)?
            else {
                return Ok(Cut::More);
            };
            self.delimiters = Some(header.delimiters);
            let end = start + header.len;
            return Ok(Cut::Segment {
                start,
                end,
                next: end + 1,
                open: false,
                header: Some(header),
            });
        }
        let Some(delimiters) = self.delimiters else {
            return Err(X12Error::NoHeader {
                offset: base + start,
                found: Found::of(rest),
            });
        };
        let from = match binary(rest, delimiters) {
            Binary::No => start,
            Binary::Until(at) => start + at,
            Binary::More if complete => start,
            Binary::More => return self.more(rest.len(), base + start),
        };
        match delimiters.find(delimiters.terminator, bytes, from) {
            Some(end) if end - start > self.limits.segment => Err(self.too_long(base + start)),
            Some(end) => Ok(Cut::Segment {
                start,
                end,
                next: end + 1,
                open: false,
                header: None,
            }),
            None if complete && rest.len() > self.limits.segment => {
                Err(self.too_long(base + start))
            }
            None if complete => Ok(Cut::Segment {
                start,
                end: bytes.trim_ascii_end().len().max(start),
                next: bytes.len(),
                open: true,
                header: None,
            }),
            None => self.more(rest.len(), base + start),
        }
    }

    fn more(&self, have: usize, offset: usize) -> Result<Cut, X12Error> {
        if have > self.limits.segment {
            return Err(self.too_long(offset));
        }
        Ok(Cut::More)
    }

    fn too_long(&self, offset: usize) -> X12Error {
        X12Error::SegmentTooLong {
            offset,
            limit: self.limits.segment,
        }
    }
}

enum Binary {
    No,
    /// The terminator stands at or after this place.
    Until(usize),
    More,
}

/// BIN and BDS say how many bytes of data follow; these may look like delimiters.
fn binary(segment: &[u8], delimiters: Delimiters) -> Binary {
    let before = match segment.get(..4) {
        Some([b'B', b'I', b'N', byte]) if *byte == delimiters.element => 0,
        Some([b'B', b'D', b'S', byte]) if *byte == delimiters.element => 1,
        _ => return Binary::No,
    };
    let mut at = 4;
    for _ in 0..before {
        match memchr::memchr(delimiters.element, &segment[at..]) {
            Some(found) => at += found + 1,
            None => return Binary::No,
        }
    }
    let digits = segment[at..]
        .iter()
        .take(15)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let Some(&after) = segment.get(at + digits) else {
        return Binary::More;
    };
    let length = std::str::from_utf8(&segment[at..at + digits])
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let data = at + digits + 1;
    match length {
        Some(length) if after == delimiters.element => {
            let end = data.saturating_add(length);
            match segment.get(end) {
                Some(&byte) if byte == delimiters.terminator => Binary::Until(end),
                // The length is not what stands there: read it as any other segment.
                Some(_) => Binary::No,
                None => Binary::More,
            }
        }
        _ => Binary::No,
    }
}
