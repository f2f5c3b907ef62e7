//! MQTT 5 on the wire.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::super::fault::{Fault, quoted};

pub(super) const CONNECT: u8 = 0x10;
pub(super) const CONNACK: u8 = 0x20;
pub(super) const PUBLISH: u8 = 0x30;
pub(super) const PUBACK: u8 = 0x40;
pub(super) const SUBSCRIBE: u8 = 0x82;
pub(super) const SUBACK: u8 = 0x90;
pub(super) const PINGREQ: u8 = 0xC0;
pub(super) const PINGRESP: u8 = 0xD0;
pub(super) const DISCONNECT: u8 = 0xE0;

/// The most that a packet has besides its payload.
pub(super) const ROOM_FOR_HEAD: usize = 128 << 10;

/// One packet: its first byte, and what stands behind its length.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) first: u8,
    pub(super) rest: Bytes,
}

impl Packet {
    pub(super) const fn kind(&self) -> u8 {
        self.first & 0xF0
    }
}

pub(super) fn spoken(what: &str) -> Fault {
    Fault::Spoken(what.to_owned())
}

/// Takes the next packet out of what came, if it is whole.
pub(super) fn read_packet(input: &mut BytesMut, most: usize) -> Result<Option<Packet>, Fault> {
    let mut size = 0usize;
    for at in 0..4 {
        let Some(&byte) = input.get(1 + at) else {
            return Ok(None);
        };
        size |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 != 0 {
            continue;
        }
        if size > most {
            return Err(spoken("a packet larger than was agreed on"));
        }
        let head = 2 + at;
        if input.len() < head + size {
            return Ok(None);
        }
        let first = input[0];
        input.advance(head);
        let rest = input.split_to(size).freeze();
        return Ok(Some(Packet { first, rest }));
    }
    Err(spoken("it does not speak MQTT"))
}

/// Writes a packet.
pub(super) fn write_packet(output: &mut BytesMut, first: u8, rest: &[u8]) {
    output.put_u8(first);
    put_varint(output, rest.len());
    output.put_slice(rest);
}

pub(super) fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

/// A text or bytes of at most 65,535 bytes; callers have checked that.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

/// Properties of a packet, as far as they matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) content_type: String,
    pub(super) users: Vec<(String, String)>,
    pub(super) reason: Option<String>,
    pub(super) maximum_packet: Option<u32>,
    pub(super) keep_alive: Option<u16>,
}

/// Reads what stands in a packet; past its end everything is an error.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    fn need(&self, bytes: usize) -> Result<(), Fault> {
        if self.0.len() < bytes {
            return Err(spoken("a packet that is too short"));
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

    fn bytes(&mut self) -> Result<Bytes, Fault> {
        let size = usize::from(self.u16()?);
        self.need(size)?;
        Ok(self.0.split_to(size))
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    fn varint(&mut self) -> Result<usize, Fault> {
        let mut value = 0usize;
        for at in 0..4 {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(spoken("a length that makes no sense"))
    }

    pub(super) fn properties(&mut self) -> Result<Properties, Fault> {
        let size = self.varint()?;
        self.need(size)?;
        let mut inside = Self(self.0.split_to(size));
        let mut found = Properties::default();
        while !inside.0.is_empty() {
            match inside.u8()? {
                0x03 => found.content_type = inside.text()?,
                0x13 => found.keep_alive = Some(inside.u16()?),
                0x1F => found.reason = Some(quoted(&inside.bytes()?)),
                0x27 => found.maximum_packet = Some(inside.u32()?),
                0x26 => found.users.push((inside.text()?, inside.text()?)),
                // Of one byte, two, four, any, and texts.
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => drop(inside.u8()?),
                0x21..=0x23 => drop(inside.u16()?),
                0x02 | 0x11 | 0x18 => drop(inside.u32()?),
                0x0B => drop(inside.varint()?),
                0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C => drop(inside.bytes()?),
                _ => return Err(spoken("a property that MQTT 5 does not know")),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_read_as_they_were_written() {
        for size in [0, 1, 127, 128, 16_383, 16_384, 200_000] {
            let mut out = BytesMut::new();
            write_packet(&mut out, PUBLISH, &vec![7; size]);
            assert!(
                read_packet(&mut BytesMut::from(&out[..out.len() - 1]), 300_000)
                    .unwrap()
                    .is_none()
            );
            let packet = read_packet(&mut out, 300_000).unwrap().unwrap();
            assert_eq!((packet.kind(), packet.rest.len()), (PUBLISH, size));
        }
        assert!(read_packet(&mut BytesMut::from(&b"\x30\xff\xff\xff\x7f"[..]), 100).is_err());
        assert!(read_packet(&mut BytesMut::from(&b"HTTP/\xff\xff\xff\xff"[..]), 10).is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_packet(&mut BytesMut::from(&input[..]), 100);
            let _ = Reader(Bytes::from(input)).properties();
        }
    }
}
