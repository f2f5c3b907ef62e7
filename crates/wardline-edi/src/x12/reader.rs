//! A stream of segments in constant memory.

use super::Limits;
use super::cut::{Cut, Cutter};
use super::delimiters::Delimiters;
use super::error::X12Error;
use super::segment::Segment;
use std::io::Read;

const CHUNK: usize = 256 << 10;

/// Segments of a stream, one at a time. Holds one segment, and at most [`Limits::segment`] bytes.
///
/// ```
/// use wardline_edi::x12::Reader;
/// let text = b"ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~IEA*0*000000001~";
/// let mut reader = Reader::new(text.as_slice());
/// let mut names = Vec::new();
/// while let Some(segment) = reader.next_segment()? {
///     names.push(segment.name().to_owned());
/// }
/// assert_eq!(names, ["ISA", "IEA"]);
/// # Ok::<(), wardline_edi::x12::X12Error>(())
/// ```
pub struct Reader<R> {
    from: R,
    cutter: Cutter,
    buffer: Vec<u8>,
    /// What of the buffer is filled, and where the next segment may begin.
    filled: usize,
    at: usize,
    /// Offset of the buffer in the input.
    base: usize,
    complete: bool,
    any: bool,
}

impl<R: Read> Reader<R> {
    /// Reads with the customary limits.
    pub fn new(from: R) -> Self {
        Self::with_limits(from, Limits::default())
    }

    /// Reads with other limits.
    pub fn with_limits(from: R, limits: Limits) -> Self {
        Self {
            from,
            cutter: Cutter::new(limits),
            buffer: vec![0; CHUNK],
            filled: 0,
            at: 0,
            base: 0,
            complete: false,
            any: false,
        }
    }

    /// The delimiters in force, once an ISA was read.
    pub fn delimiters(&self) -> Option<Delimiters> {
        self.cutter.delimiters
    }

    /// The next segment; `None` at the end.
    ///
    /// # Errors
    /// Where the source cannot be read, or what it holds is not X12.
    pub fn next_segment(&mut self) -> Result<Option<Segment<'_>>, X12Error> {
        loop {
            let cut = self.cutter.cut(
                &self.buffer[..self.filled],
                self.at,
                self.base,
                self.complete,
            )?;
            match cut {
                Cut::Segment {
                    start,
                    end,
                    next,
                    open,
                    header,
                } => {
                    self.any = true;
                    self.at = next.min(self.filled);
                    let Some(delimiters) = self.cutter.delimiters else {
                        return Ok(None);
                    };
                    return Ok(Some(Segment {
                        bytes: &self.buffer[start..end],
                        delimiters,
                        offset: self.base + start,
                        open,
                        regular: header.is_none_or(|header| header.regular),
                    }));
                }
                Cut::End if self.any => return Ok(None),
                Cut::End => return Err(X12Error::Empty),
                Cut::More => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> Result<(), X12Error> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.base += self.at;
        self.at = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = loop {
            match self.from.read(&mut self.buffer[self.filled..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.filled += read;
        self.complete = read == 0;
        Ok(())
    }
}
