//! AMQP 0.9.1 on the wire: frames, and what stands in them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::super::fault::Fault;

/// The largest frame that is agreed on.
pub(super) const FRAME_MAX: u32 = 128 << 10;
/// What a frame has around its payload.
pub(super) const AROUND: usize = 8;
const END: u8 = 0xCE;

pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
pub(super) const HEARTBEAT: u8 = 8;

/// Class and method, as they stand in a frame.
pub(super) mod method {
    pub(in super::super) const START: (u16, u16) = (10, 10);
    pub(in super::super) const START_OK: (u16, u16) = (10, 11);
    pub(in super::super) const TUNE: (u16, u16) = (10, 30);
    pub(in super::super) const TUNE_OK: (u16, u16) = (10, 31);
    pub(in super::super) const OPEN: (u16, u16) = (10, 40);
    pub(in super::super) const OPEN_OK: (u16, u16) = (10, 41);
    pub(in super::super) const CLOSE: (u16, u16) = (10, 50);
    pub(in super::super) const CHANNEL_OPEN: (u16, u16) = (20, 10);
    pub(in super::super) const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
    pub(in super::super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
    pub(in super::super) const QOS: (u16, u16) = (60, 10);
    pub(in super::super) const QOS_OK: (u16, u16) = (60, 11);
    pub(in super::super) const CONSUME: (u16, u16) = (60, 20);
    pub(in super::super) const CONSUME_OK: (u16, u16) = (60, 21);
    pub(in super::super) const CANCEL: (u16, u16) = (60, 30);
    pub(in super::super) const PUBLISH: (u16, u16) = (60, 40);
    pub(in super::super) const RETURN: (u16, u16) = (60, 50);
    pub(in super::super) const DELIVER: (u16, u16) = (60, 60);
    pub(in super::super) const ACK: (u16, u16) = (60, 80);
    pub(in super::super) const REJECT: (u16, u16) = (60, 90);
    pub(in super::super) const NACK: (u16, u16) = (60, 120);
    pub(in super::super) const CONFIRM: (u16, u16) = (85, 10);
    pub(in super::super) const CONFIRM_OK: (u16, u16) = (85, 11);
}

/// One frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) channel: u16,
    pub(super) payload: Bytes,
}

pub(super) fn spoken(what: &str) -> Fault {
    Fault::Spoken(what.to_owned())
}

/// Takes the next frame out of what came, if it is whole.
pub(super) fn read_frame(input: &mut BytesMut) -> Result<Option<Frame>, Fault> {
    if input.starts_with(b"AMQP") {
        return Err(spoken("it speaks another version of AMQP"));
    }
    if input.len() < 7 {
        return Ok(None);
    }
    let size = u32::from_be_bytes([input[3], input[4], input[5], input[6]]);
    if size > FRAME_MAX || !matches!(input[0], METHOD | HEADER | BODY | HEARTBEAT) {
        return Err(spoken("it does not speak AMQP 0.9.1"));
    }
    let size = size as usize;
    if input.len() < size + AROUND {
        return Ok(None);
    }
    if input[size + 7] != END {
        return Err(spoken("a frame that does not end where it should"));
    }
    let (kind, channel) = (input[0], u16::from_be_bytes([input[1], input[2]]));
    input.advance(7);
    let payload = input.split_to(size).freeze();
    input.advance(1);
    Ok(Some(Frame {
        kind,
        channel,
        payload,
    }))
}

/// Writes a frame whose payload is written by `fill`.
pub(super) fn write_frame(
    output: &mut BytesMut,
    kind: u8,
    channel: u16,
    fill: impl FnOnce(&mut BytesMut),
) {
    output.put_u8(kind);
    output.put_u16(channel);
    let at = output.len();
    output.put_u32(0);
    fill(output);
    let size = (output.len() - at - 4) as u32;
    output[at..at + 4].copy_from_slice(&size.to_be_bytes());
    output.put_u8(END);
}

/// Writes a frame of a method.
pub(super) fn write_method(
    output: &mut BytesMut,
    channel: u16,
    (class, method): (u16, u16),
    fill: impl FnOnce(&mut BytesMut),
) {
    write_frame(output, METHOD, channel, |out| {
        out.put_u16(class);
        out.put_u16(method);
        fill(out);
    });
}

/// A text of at most 255 bytes; callers have checked that.
pub(super) fn put_short(out: &mut BytesMut, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    out.put_u8(bytes.len() as u8);
    out.put_slice(bytes);
}

pub(super) fn put_long(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// A table of texts.
pub(super) fn put_table<'a>(out: &mut BytesMut, entries: impl Iterator<Item = (String, &'a str)>) {
    let at = out.len();
    out.put_u32(0);
    for (name, value) in entries {
        put_short(out, &name);
        out.put_u8(b'S');
        put_long(out, value.as_bytes());
    }
    let size = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// Reads what stands in a frame; past its end everything is an error.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    fn need(&self, bytes: usize) -> Result<(), Fault> {
        if self.0.len() < bytes {
            return Err(spoken("a frame that is too short"));
        }
        Ok(())
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        self.need(2)?;
        Ok(self.0.get_u16())
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.need(8)?;
        Ok(self.0.get_u64())
    }

    pub(super) fn method(&mut self) -> Result<(u16, u16), Fault> {
        Ok((self.u16()?, self.u16()?))
    }

    pub(super) fn bytes(&mut self, size: usize) -> Result<Bytes, Fault> {
        self.need(size)?;
        Ok(self.0.split_to(size))
    }

    pub(super) fn short(&mut self) -> Result<String, Fault> {
        let size = usize::from(self.u8()?);
        Ok(String::from_utf8_lossy(&self.bytes(size)?).into_owned())
    }

    pub(super) fn long(&mut self) -> Result<Bytes, Fault> {
        let size = self.u32()? as usize;
        self.bytes(size)
    }

    /// The texts of a table; what is of another kind is left out.
    pub(super) fn table(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let mut inside = Self(self.long()?);
        let mut found = Vec::new();
        while !inside.0.is_empty() {
            let name = inside.short()?;
            let size = match inside.u8()? {
                b'S' => {
                    let text = inside.long()?;
                    found.push((name, String::from_utf8_lossy(&text).into_owned()));
                    continue;
                }
                b'A' | b'F' | b'x' => inside.u32()? as usize,
                b't' | b'b' | b'B' => 1,
                b's' | b'u' | b'U' => 2,
                b'I' | b'i' | b'f' => 4,
                b'l' | b'L' | b'd' | b'T' => 8,
                b'D' => 5,
                b'V' => 0,
                _ => return Err(spoken("a table with a kind of value that nobody knows")),
            };
            inside.bytes(size)?;
        }
        Ok(found)
    }
}

/// Properties of a message that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) content_type: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) correlation: Option<String>,
    pub(super) message_id: Option<String>,
}

/// The header of a message: how large its body is, and its properties.
pub(super) fn read_header(payload: Bytes) -> Result<(u64, Properties), Fault> {
    let mut reader = Reader(payload);
    reader.u32()?;
    let size = reader.u64()?;
    let flags = reader.u16()?;
    if flags & 1 != 0 {
        return Err(spoken("properties that go on"));
    }
    let has = |bit: u8| flags & (1 << bit) != 0;
    let mut properties = Properties::default();
    if has(15) {
        properties.content_type = reader.short()?;
    }
    if has(14) {
        reader.short()?;
    }
    if has(13) {
        properties.headers = reader.table()?;
    }
    if has(12) {
        reader.u8()?;
    }
    if has(11) {
        reader.u8()?;
    }
    if has(10) {
        properties.correlation = Some(reader.short()?);
    }
    // Where to answer, and when it expires.
    for bit in [9, 8] {
        if has(bit) {
            reader.short()?;
        }
    }
    if has(7) {
        properties.message_id = Some(reader.short()?);
    }
    Ok((size, properties))
}

/// Writes header and body of a message.
pub(super) fn write_content(
    output: &mut BytesMut,
    frame_max: u32,
    properties: &Properties,
    body: &[u8],
) {
    write_frame(output, HEADER, 1, |out| {
        out.put_u16(60);
        out.put_u16(0);
        out.put_u64(body.len() as u64);
        // Content type, headers, delivery mode, correlation id, message id.
        out.put_u16(1 << 15 | 1 << 13 | 1 << 12 | 1 << 10 | 1 << 7);
        put_short(out, &properties.content_type);
        put_table(
            out,
            properties
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str())),
        );
        // Kept on disk.
        out.put_u8(2);
        put_short(out, properties.correlation.as_deref().unwrap_or_default());
        put_short(out, properties.message_id.as_deref().unwrap_or_default());
    });
    for part in body.chunks(frame_max as usize - AROUND) {
        write_frame(output, BODY, 1, |out| out.put_slice(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_is_read_as_it_was_written() {
        let properties = Properties {
            content_type: "application/json".into(),
            headers: vec![("cloudEvents_id".into(), "1".into())],
            correlation: Some("c".into()),
            message_id: Some("m".into()),
        };
        let mut out = BytesMut::new();
        write_content(&mut out, 4096, &properties, &[7; 5000]);
        let header = read_frame(&mut out).unwrap().unwrap();
        assert_eq!(header.kind, HEADER);
        assert_eq!(read_header(header.payload).unwrap(), (5000, properties));
        let sizes: Vec<usize> = std::iter::from_fn(|| read_frame(&mut out).unwrap())
            .map(|frame| frame.payload.len())
            .collect();
        assert_eq!(sizes, [4088, 912]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &b"HTTP/1.1 400"[..],
            b"AMQP\x00\x00\x09\x01",
            b"\x01\x00\x00\xff\xff\xff\xff",
            b"\x01\x00\x00\x00\x00\x00\x01ab",
        ] {
            assert!(read_frame(&mut BytesMut::from(bad)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_frame(&mut BytesMut::from(&input[..]));
            let _ = read_header(Bytes::from(input.clone()));
            let _ = Reader(Bytes::from(input)).table();
        }
    }
}
