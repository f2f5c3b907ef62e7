//! The compact protocol of Thrift, as far as Parquet's footers and page headers need it: written only.

/// Types on the wire.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct that is being written.
pub(crate) struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last: i16,
}

impl<'a> Struct<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, last: 0 }
    }

    fn field(&mut self, id: i16, kind: u8) {
        let delta = id - self.last;
        debug_assert!((1..16).contains(&delta), "fields rise in small steps");
        self.out.push(((delta as u8) << 4) | kind);
        self.last = id;
    }

    pub(crate) fn int(mut self, id: i16, value: i32) -> Self {
        self.field(id, I32);
        zigzag(self.out, value.into());
        self
    }

    pub(crate) fn long(mut self, id: i16, value: i64) -> Self {
        self.field(id, I64);
        zigzag(self.out, value);
        self
    }

    pub(crate) fn flag(mut self, id: i16, value: bool) -> Self {
        self.field(id, if value { TRUE } else { FALSE });
        self
    }

    pub(crate) fn text(mut self, id: i16, value: &str) -> Self {
        self.field(id, BINARY);
        binary(self.out, value);
        self
    }

    pub(crate) fn ints(mut self, id: i16, values: &[i32]) -> Self {
        self.field(id, LIST);
        head(self.out, values.len(), I32);
        for value in values {
            zigzag(self.out, (*value).into());
        }
        self
    }

    pub(crate) fn texts(mut self, id: i16, values: &[&str]) -> Self {
        self.field(id, LIST);
        head(self.out, values.len(), BINARY);
        for value in values {
            binary(self.out, value);
        }
        self
    }

    /// A struct within; `write` ends it.
    pub(crate) fn within(mut self, id: i16, write: impl FnOnce(Struct<'_>)) -> Self {
        self.field(id, STRUCT);
        write(Struct::new(self.out));
        self
    }

    /// A list of structs; `write` ends each.
    pub(crate) fn all<T>(mut self, id: i16, items: &[T], write: impl Fn(&T, Struct<'_>)) -> Self {
        self.field(id, LIST);
        head(self.out, items.len(), STRUCT);
        for item in items {
            write(item, Struct::new(self.out));
        }
        self
    }

    pub(crate) fn end(self) {
        self.out.push(0);
    }
}

fn head(out: &mut Vec<u8>, count: usize, kind: u8) {
    if count < 15 {
        out.push(((count as u8) << 4) | kind);
    } else {
        out.push(0xF0 | kind);
        varint(out, count as u64);
    }
}

fn binary(out: &mut Vec<u8>, value: &str) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_protocol_says() {
        let mut out = Vec::new();
        Struct::new(&mut out)
            .int(1, -1)
            .long(3, 300)
            .flag(4, true)
            .end();
        assert_eq!(out, [0x15, 0x01, 0x26, 0xD8, 0x04, 0x11, 0x00]);
    }
}
