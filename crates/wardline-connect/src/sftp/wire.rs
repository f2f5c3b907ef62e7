//! Packets of SFTP version 3, the one that every server and client speaks
//! (draft-ietf-secsh-filexfer-02). What comes in is hostile: every length is held against what is
//! there before a byte is taken.

use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The version spoken.
pub(super) const VERSION: u32 = 3;
/// The largest packet that is taken, either way; what OpenSSH takes.
pub(super) const LARGEST: usize = 256 << 10;
/// Bytes of one read or write. Every server must allow packets of 34,000 bytes.
pub(super) const BLOCK: usize = 32 << 10;

/// What a packet is.
pub(super) mod kind {
    pub(crate) const INIT: u8 = 1;
    pub(crate) const VERSION: u8 = 2;
    pub(crate) const OPEN: u8 = 3;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const READ: u8 = 5;
    pub(crate) const WRITE: u8 = 6;
    pub(crate) const LSTAT: u8 = 7;
    pub(crate) const FSTAT: u8 = 8;
    pub(crate) const SETSTAT: u8 = 9;
    pub(crate) const FSETSTAT: u8 = 10;
    pub(crate) const OPENDIR: u8 = 11;
    pub(crate) const READDIR: u8 = 12;
    pub(crate) const REMOVE: u8 = 13;
    pub(crate) const MKDIR: u8 = 14;
    pub(crate) const REALPATH: u8 = 16;
    pub(crate) const STAT: u8 = 17;
    pub(crate) const RENAME: u8 = 18;
    pub(crate) const STATUS: u8 = 101;
    pub(crate) const HANDLE: u8 = 102;
    pub(crate) const DATA: u8 = 103;
    pub(crate) const NAME: u8 = 104;
    pub(crate) const ATTRS: u8 = 105;
    pub(crate) const EXTENDED: u8 = 200;
}

/// How an operation ended.
pub(super) mod status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const EOF: u32 = 1;
    pub(crate) const NO_SUCH_FILE: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 3;
    pub(crate) const FAILURE: u32 = 4;
    pub(crate) const UNSUPPORTED: u32 = 8;
}

/// How a file is opened.
pub(super) mod open {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const APPEND: u32 = 4;
    pub(crate) const CREATE: u32 = 8;
    pub(crate) const TRUNCATE: u32 = 16;
    pub(crate) const EXCLUSIVE: u32 = 32;
}

/// A packet does not hold what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A packet that is being written. Its length comes first and is known last.
pub(super) struct Packet(BytesMut);

impl Packet {
    pub(super) fn new(kind: u8) -> Self {
        Self::with_room(kind, 96)
    }

    /// One that will hold so many bytes more.
    pub(super) fn with_room(kind: u8, room: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(room + 5);
        bytes.put_u32(0);
        bytes.put_u8(kind);
        Self(bytes)
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.put_u32(value);
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.put_u64(value);
        self
    }

    pub(super) fn text(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.put_u32(value.len() as u32);
        self.0.put_slice(value);
        self
    }

    pub(super) fn attributes(mut self, of: &Attributes) -> Self {
        let flags = (u32::from(of.size.is_some()) * flag::SIZE)
            | (u32::from(of.mode.is_some()) * flag::PERMISSIONS)
            | (u32::from(of.modified.is_some()) * flag::TIMES);
        self.0.put_u32(flags);
        if let Some(size) = of.size {
            self.0.put_u64(size);
        }
        if let Some(mode) = of.mode {
            self.0.put_u32(mode);
        }
        if let Some(modified) = of.modified {
            self.0.put_u32(modified);
            self.0.put_u32(modified);
        }
        self
    }

    pub(super) fn finish(mut self) -> Bytes {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0.freeze()
    }
}

mod flag {
    pub(super) const SIZE: u32 = 1;
    pub(super) const OWNER: u32 = 2;
    pub(super) const PERMISSIONS: u32 = 4;
    pub(super) const TIMES: u32 = 8;
    pub(super) const EXTENDED: u32 = 0x8000_0000;
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    /// Kind and permissions, as `st_mode`.
    pub(super) mode: Option<u32>,
    /// Seconds since 1970.
    pub(super) modified: Option<u32>,
}

/// The bits of a mode that say what it is.
const KIND: u32 = 0o170_000;
pub(super) const PLAIN: u32 = 0o100_000;
pub(super) const DIRECTORY: u32 = 0o040_000;

impl Attributes {
    /// Whether it is said to be a plain file; `None` where nothing is said.
    pub(super) fn is_plain(&self) -> Option<bool> {
        self.mode.map(|mode| mode & KIND == PLAIN)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.mode.is_some_and(|mode| mode & KIND == DIRECTORY)
    }

    pub(super) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.modified.unwrap_or_default().into())
    }
}

/// A packet that is being read, from its kind on.
#[derive(Debug, Clone)]
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.u32()? as usize;
        if length > self.0.len() {
            return Err(Malformed);
        }
        Ok(self.0.split_to(length))
    }

    /// A text; one that is no UTF-8 names nothing of ours.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| Malformed)
    }

    pub(super) fn attributes(&mut self) -> Result<Attributes, Malformed> {
        let flags = self.u32()?;
        let mut of = Attributes::default();
        if flags & flag::SIZE != 0 {
            of.size = Some(self.u64()?);
        }
        if flags & flag::OWNER != 0 {
            self.u64()?;
        }
        if flags & flag::PERMISSIONS != 0 {
            of.mode = Some(self.u32()?);
        }
        if flags & flag::TIMES != 0 {
            self.u32()?;
            of.modified = Some(self.u32()?);
        }
        if flags & flag::EXTENDED != 0 {
            for _ in 0..self.u32()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Ok(of)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Cuts packets out of a stream.
#[derive(Default)]
pub(super) struct Cutter(BytesMut);

impl Cutter {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next packet, where it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Fields>, Malformed> {
        let Some(length) = self.0.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > LARGEST {
            return Err(Malformed);
        }
        if self.0.len() < 4 + length {
            self.0.reserve(4 + length - self.0.len());
            return Ok(None);
        }
        self.0.advance(4);
        Ok(Some(Fields::new(self.0.split_to(length).freeze())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_however_it_is_cut() {
        let of = Attributes {
            size: Some(5_000_000_000),
            mode: Some(PLAIN | 0o640),
            modified: Some(1_700_000_000),
        };
        let packet = Packet::new(kind::OPEN)
            .u32(7)
            .text("in/a.csv")
            .u64(9)
            .attributes(&of)
            .finish();
        for cut in 0..packet.len() {
            let mut cutter = Cutter::default();
            cutter.push(&packet[..cut]);
            assert!(cutter.next().unwrap().is_none());
            cutter.push(&packet[cut..]);
            let mut fields = cutter.next().unwrap().unwrap();
            assert_eq!(fields.u8(), Ok(kind::OPEN));
            assert_eq!(fields.u32(), Ok(7));
            assert_eq!(fields.text().as_deref(), Ok("in/a.csv"));
            assert_eq!(fields.u64(), Ok(9));
            assert_eq!(fields.attributes(), Ok(of));
            assert!(fields.is_empty());
            assert!(cutter.next().unwrap().is_none());
        }
    }

    #[test]
    fn lengths_that_lie_are_found() {
        for wrong in [&[0, 0, 0, 0][..], &[255, 255, 255, 255], &[0, 4, 0, 1]] {
            let mut cutter = Cutter::default();
            cutter.push(wrong);
            assert!(cutter.next().is_err());
        }
        let mut text = Fields::new(Bytes::from_static(&[0, 0, 0, 5, b'a']));
        assert_eq!(text.text(), Err(Malformed));
        // Four billion extensions in eight bytes.
        let mut many = Fields::new(Bytes::from_static(&[128, 0, 0, 0, 255, 255, 255, 255]));
        assert_eq!(many.attributes(), Err(Malformed));
    }
}
