//! Writing HL7 v2 text straight into a buffer.
//!
//! The load generator shares the machine with what it loads, so it appends to one buffer instead
//! of building a message object; `wardline-hl7` is used on the reading side, which keeps the two
//! from sharing a mistake.

use std::fmt::{self, Write};

/// Appends segments, fields and components; escapes text (HL7 v2.5.1, chapter 2.7).
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    out: &'a mut Vec<u8>,
    field: usize,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, field: 0 }
    }

    /// Starts a segment (ending the one before).
    pub(crate) fn segment(&mut self, name: &str) -> &mut Self {
        if !self.out.is_empty() && self.out.last() != Some(&b'\r') {
            self.out.push(b'\r');
        }
        self.out.extend_from_slice(name.as_bytes());
        self.field = 0;
        self
    }

    /// Starts the header: MSH-1 and MSH-2 are written, the next field is MSH-3.
    pub(crate) fn header(&mut self) -> &mut Self {
        self.out.extend_from_slice(b"MSH|^~\\&");
        self.field = 2;
        self
    }

    /// Moves on to field `number` of the segment, which must lie ahead.
    pub(crate) fn at(&mut self, number: usize) -> &mut Self {
        debug_assert!(number > self.field, "fields are written in order");
        while self.field < number {
            self.out.push(b'|');
            self.field += 1;
        }
        self
    }

    /// Text that came from data: delimiters in it are escaped.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for &byte in text.as_bytes() {
            let escaped: &[u8] = match byte {
                b'|' => b"\\F\\",
                b'^' => b"\\S\\",
                b'~' => b"\\R\\",
                b'\\' => b"\\E\\",
                b'&' => b"\\T\\",
                b'\r' => b"\\.br\\",
                _ => {
                    self.out.push(byte);
                    continue;
                }
            };
            self.out.extend_from_slice(escaped);
        }
        self
    }

    /// Text of ours, delimiters and all.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// A number or other value whose text has no delimiters.
    pub(crate) fn value(&mut self, value: impl fmt::Display) -> &mut Self {
        // Writing into a vector cannot fail, and `Bytes` never says it did.
        let written = write!(Bytes(self.out), "{value}");
        debug_assert!(written.is_ok());
        self
    }

    /// Ends the last segment.
    pub(crate) fn end(&mut self) {
        self.out.push(b'\r');
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Segments;

    #[test]
    fn fields_land_where_they_belong_and_text_is_escaped() {
        let mut out = Vec::new();
        let mut write = Segments::new(&mut out);
        write.header().at(3).text("A&B").at(9).raw("ADT^A01");
        write
            .segment("PID")
            .at(1)
            .value(1)
            .at(5)
            .text("O|B^~\\")
            .raw("^")
            .text("Ann");
        write.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "MSH|^~\\&|A\\T\\B||||||ADT^A01\rPID|1||||O\\F\\B\\S\\\\R\\\\E\\^Ann\r"
        );
    }
}
