//! A bounded view of a file as UTF-8: what is not read yet costs nothing, what is read is gone.

use super::plan::Charset;
use super::problem::What;
use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE};
use std::io::{self, Read};

const CHUNK: usize = 64 * 1024;

pub(crate) struct Window<R> {
    input: R,
    charset: Charset,
    decoder: Option<Decoder>,
    /// Bytes that are not decoded yet.
    raw: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
    begun: bool,
    ended: bool,
    /// Bytes of the mark at the beginning that says which charset it is.
    pub(crate) mark: u64,
}

/// What became of asking for more.
pub(crate) enum More {
    Some,
    None,
    Broken(What),
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R, charset: Charset, limit: usize) -> Self {
        Self {
            input,
            charset,
            decoder: None,
            raw: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            limit,
            begun: false,
            ended: false,
            mark: 0,
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) const fn ended(&self) -> bool {
        self.ended
    }

    pub(crate) const fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// So many bytes of the file these bytes of text are.
    pub(crate) fn bytes_in_file(&self, text: &[u8]) -> u64 {
        let chars = || text.iter().filter(|&&b| b & 0xC0 != 0x80).count() as u64;
        match self.charset {
            Charset::Utf8 => text.len() as u64,
            Charset::Single(_) => chars(),
            // What takes four bytes in UTF-8 takes two units in UTF-16.
            Charset::Utf16 => 2 * (chars() + text.iter().filter(|&&b| b >= 0xF0).count() as u64),
        }
    }

    /// Reads on. What is in view stays; a record longer than the limit ends it.
    pub(crate) fn more(&mut self) -> io::Result<More> {
        if !self.begun {
            self.begun = true;
            if let Some(what) = self.begin()? {
                self.ended = true;
                return Ok(More::Broken(what));
            }
            if self.end > self.start {
                return Ok(More::Some);
            }
        }
        if self.ended {
            return Ok(More::None);
        }
        if self.end - self.start > self.limit {
            self.ended = true;
            return Ok(More::Broken(What::TooLong));
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() < self.end + CHUNK {
            let room = (self.buffer.len() * 2).max(2 * CHUNK);
            self.buffer.resize(room.min(self.limit + 4 * CHUNK), 0);
        }
        if self.decoder.is_some() {
            return self.decode();
        }
        let read = read(&mut self.input, &mut self.buffer[self.end..])?;
        self.end += read;
        self.ended = read == 0;
        Ok(if read == 0 { More::None } else { More::Some })
    }

    /// Looks at the first bytes: packed files and marks of charsets.
    fn begin(&mut self) -> io::Result<Option<What>> {
        let mut first = vec![0; CHUNK];
        let mut length = 0;
        while length < 4 {
            match read(&mut self.input, &mut first[length..])? {
                0 => break,
                some => length += some,
            }
        }
        first.truncate(length);
        if first.starts_with(&[0x1F, 0x8B]) || first.starts_with(b"PK\x03\x04") {
            return Ok(Some(What::Compressed));
        }
        let little = first.starts_with(&[0xFF, 0xFE]);
        let big = first.starts_with(&[0xFE, 0xFF]);
        let utf8 = first.starts_with(&[0xEF, 0xBB, 0xBF]);
        let (decoder, mark) = match self.charset {
            Charset::Utf8 if little || big => return Ok(Some(What::Charset)),
            Charset::Utf8 => (None, if utf8 { 3 } else { 0 }),
            Charset::Utf16 if utf8 => return Ok(Some(What::Charset)),
            Charset::Utf16 if big => (Some(UTF_16BE.new_decoder_without_bom_handling()), 2),
            Charset::Utf16 => (
                Some(UTF_16LE.new_decoder_without_bom_handling()),
                if little { 2 } else { 0 },
            ),
            Charset::Single(_) if little || big || utf8 => return Ok(Some(What::Charset)),
            Charset::Single(encoding) => (Some(encoding.new_decoder_without_bom_handling()), 0),
        };
        self.mark = mark as u64;
        first.drain(..mark);
        self.decoder = decoder;
        if self.decoder.is_some() {
            self.raw = first;
        } else {
            self.end = first.len();
            self.buffer = first;
        }
        Ok(None)
    }

    fn decode(&mut self) -> io::Result<More> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(More::None);
        };
        loop {
            let mut last = false;
            if self.raw.is_empty() {
                self.raw.resize(CHUNK, 0);
                let length = read(&mut self.input, &mut self.raw)?;
                self.raw.truncate(length);
                last = length == 0;
            }
            let (result, used, written) = decoder.decode_to_utf8_without_replacement(
                &self.raw,
                &mut self.buffer[self.end..],
                last,
            );
            self.raw.drain(..used);
            self.end += written;
            if let DecoderResult::Malformed(..) = result {
                self.ended = true;
                return Ok(More::Broken(What::Charset));
            }
            self.ended = last;
            if written > 0 {
                return Ok(More::Some);
            }
            if last {
                return Ok(More::None);
            }
        }
    }
}

fn read(input: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
