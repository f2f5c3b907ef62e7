//! Kafka's words: numbers in network order, texts and lists behind their length. No length that
//! comes is believed: a list is read item by item, and what is not there is an error.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::super::fault::Fault;

/// The most items of one list that are read; no cluster that we know comes near.
const MOST_ITEMS: usize = 100_000;
/// The longest name that is read, whether of a topic, a host or a member.
const LONGEST_TEXT: usize = 32_767;

pub(super) fn spoken(what: &str) -> Fault {
    Fault::Spoken(what.to_owned())
}

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader(pub(super) Bytes);

macro_rules! number {
    ($name:ident $kind:ty) => {
        pub(super) fn $name(&mut self) -> Result<$kind, Fault> {
            const SIZE: usize = size_of::<$kind>();
            let bytes = self.0.first_chunk::<SIZE>();
            let value = <$kind>::from_be_bytes(*bytes.ok_or_else(short)?);
            self.0.advance(SIZE);
            Ok(value)
        }
    };
}

fn short() -> Fault {
    spoken("an answer that ends too early")
}

impl Reader {
    number!(i8 i8);
    number!(i16 i16);
    number!(i32 i32);
    number!(u32 u32);
    number!(i64 i64);

    /// So many bytes.
    pub(super) fn take(&mut self, size: usize) -> Result<Bytes, Fault> {
        if self.0.len() < size {
            return Err(short());
        }
        Ok(self.0.split_to(size))
    }

    /// A text that may be absent.
    pub(super) fn text_if_any(&mut self) -> Result<Option<String>, Fault> {
        let size = self.i16()?;
        let Ok(size) = usize::try_from(size) else {
            return if size == -1 {
                Ok(None)
            } else {
                Err(spoken("a length that makes no sense"))
            };
        };
        let bytes = self.take(size.min(LONGEST_TEXT))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| spoken("a name that is no text"))?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        self.text_if_any()?
            .ok_or_else(|| spoken("a name that is missing"))
    }

    /// Bytes that may be absent.
    pub(super) fn bytes_if_any(&mut self) -> Result<Option<Bytes>, Fault> {
        let size = self.i32()?;
        match usize::try_from(size) {
            Ok(size) => self.take(size).map(Some),
            Err(_) if size == -1 => Ok(None),
            Err(_) => Err(spoken("a length that makes no sense")),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Fault> {
        Ok(self.bytes_if_any()?.unwrap_or_default())
    }

    /// A list; one that is absent is empty.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let count = self.i32()?;
        if count < -1 {
            return Err(spoken("a length that makes no sense"));
        }
        let count = usize::try_from(count).unwrap_or_default();
        // Every item has a byte at least, so nothing is made for items that cannot be there.
        if count > self.0.len() || count > MOST_ITEMS {
            return Err(spoken("a list longer than its answer"));
        }
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(item(self)?);
        }
        Ok(all)
    }

    /// A number in the variable length of records, which may be negative.
    pub(super) fn varlong(&mut self) -> Result<i64, Fault> {
        let mut bits = 0u64;
        for place in 0..10 {
            let byte = *self.0.first().ok_or_else(short)?;
            self.0.advance(1);
            bits |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(spoken("a number without an end"))
    }

    /// A length in that form; `None` where it says that nothing is there.
    pub(super) fn varsize(&mut self) -> Result<Option<usize>, Fault> {
        let size = self.varlong()?;
        match usize::try_from(size) {
            Ok(size) if size <= self.0.len() => Ok(Some(size)),
            Ok(_) => Err(short()),
            Err(_) if size == -1 => Ok(None),
            Err(_) => Err(spoken("a length that makes no sense")),
        }
    }

    /// Bytes behind such a length.
    pub(super) fn varbytes(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.varsize()? {
            Some(size) => self.take(size).map(Some),
            None => Ok(None),
        }
    }
}

/// Writes a text; callers see to it that it is not longer than 32,767 bytes.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    let size = text.len().min(LONGEST_TEXT);
    out.put_i16(size as i16);
    out.put_slice(&text.as_bytes()[..size]);
}

/// Says that a text is absent.
pub(super) fn put_no_text(out: &mut BytesMut) {
    out.put_i16(-1);
}

/// Writes bytes behind their length.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

/// Writes a list.
pub(super) fn put_list<T>(
    out: &mut BytesMut,
    items: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut BytesMut, T),
) {
    out.put_i32(items.len() as i32);
    for item in items {
        put(out, item);
    }
}

/// Writes a number in the variable length of records.
pub(super) fn put_varlong(out: &mut BytesMut, value: i64) {
    let mut bits = (value << 1 ^ value >> 63) as u64;
    while bits >= 0x80 {
        out.put_u8(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.put_u8(bits as u8);
}

/// Writes bytes behind such a length.
pub(super) fn put_varbytes(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_variable_length_come_back() {
        for value in [0, -1, 1, 63, -64, 64, 300, -300, i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            put_varlong(&mut out, value);
            assert_eq!(Reader(out.freeze()).varlong().unwrap(), value);
        }
        let endless = Reader(Bytes::from_static(&[0xFF; 11])).varlong();
        assert!(endless.is_err());
    }

    #[test]
    fn lengths_are_not_believed() {
        let read = |bytes: &'static [u8]| Reader(Bytes::from_static(bytes));
        assert!(read(&[0x7F, 0xFF, 0xFF, 0xFF]).list(Reader::i8).is_err());
        assert!(read(&[0xFF, 0xFF, 0xFF, 0xFE]).list(Reader::i8).is_err());
        assert!(
            read(&[0xFF, 0xFF, 0xFF, 0xFF])
                .list(Reader::i8)
                .unwrap()
                .is_empty()
        );
        assert!(read(&[0x7F, 0xFF, 0xFF, 0xFF, 1]).bytes().is_err());
        assert!(read(&[0xFF, 0xFF, 0xFF, 0xF0, 1]).bytes().is_err());
        assert!(read(&[0x7F, 0xFF, b'a']).text().is_err());
        assert!(read(&[0x80, 0x00, b'a']).text().is_err());
        assert!(read(&[0xFE, 0xFF, 0xFF, 0xFF, 0x0F]).varbytes().is_err());
    }
}
