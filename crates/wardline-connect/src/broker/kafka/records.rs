//! Batches of records, version 2: the only form that brokers since 0.11 write. A batch is read
//! record by record, so that one of many small records costs no more memory than its bytes.

use std::io::Read;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::super::fault::Fault;
use super::crc::crc32c;
use super::wire::{Reader, put_varbytes, put_varlong, spoken};

/// What stands before the records.
const HEAD: usize = 61;
/// What stands before the part that the length counts.
const BEFORE_LENGTH: usize = 12;
/// What stands before the part that the checksum covers.
const BEFORE_SUM: usize = 21;
/// Headers of one record that are kept.
const MOST_HEADERS: usize = 256;
/// The largest window of zstd, as a power of two: 32 MiB.
const ZSTD_WINDOW: u32 = 25;
/// How Java's clients begin what they pack with snappy.
const XERIAL: &[u8] = b"\x82SNAPPY\0";

/// How records are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// A batch that came, whole and as its checksum says.
#[derive(Debug)]
pub(super) struct Batch {
    /// The offset of its first record, when it was written.
    pub(super) base: i64,
    /// The offset behind its last.
    pub(super) end: i64,
    pub(super) producer: i64,
    attributes: i16,
    first_time: i64,
    last_time: i64,
    count: i32,
    body: Bytes,
}

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(String, Bytes)>,
}

/// A batch whose records are being read.
#[derive(Debug)]
pub(super) struct Opened {
    reader: Reader,
    left: i32,
    base: i64,
    end: i64,
    first_time: i64,
    /// The time of all records, where the broker gave it.
    one_time: Option<i64>,
}

/// Takes the next batch out of what was fetched; `None` where nothing whole is left: brokers cut
/// the last one.
pub(super) fn next(set: &mut Bytes) -> Result<Option<Batch>, Fault> {
    let Some(head) = set.get(..HEAD) else {
        return Ok(None);
    };
    let mut reader = Reader(Bytes::copy_from_slice(head));
    let (base, length, _epoch) = (reader.i64()?, reader.i32()?, reader.i32()?);
    let length = usize::try_from(length).map_err(|_| spoken("a batch of negative length"))?;
    if reader.i8()? != 2 {
        return Err(spoken(
            "records in the form of before 0.11, which is not read: let the topic's people convert it",
        ));
    }
    if length < HEAD - BEFORE_LENGTH {
        return Err(spoken("a batch shorter than its head"));
    }
    if set.len() - BEFORE_LENGTH < length {
        return Ok(None);
    }
    let whole = set.split_to(BEFORE_LENGTH + length);
    let sum = reader.u32()?;
    // A fuzzer would never come past it.
    if !cfg!(feature = "fuzzing") && crc32c(&whole[BEFORE_SUM..]) != sum {
        return Err(spoken("a batch whose checksum is wrong"));
    }
    let attributes = reader.i16()?;
    let last = reader.i32()?;
    let (first_time, last_time) = (reader.i64()?, reader.i64()?);
    let (producer, _epoch, _sequence) = (reader.i64()?, reader.i16()?, reader.i32()?);
    let count = reader.i32()?;
    let end = (last >= 0 && base >= 0)
        .then(|| base.checked_add(i64::from(last) + 1))
        .flatten()
        .ok_or_else(|| spoken("a batch with offsets that make no sense"))?;
    Ok(Some(Batch {
        base,
        end,
        producer,
        attributes,
        first_time,
        last_time,
        count,
        body: whole.slice(HEAD..),
    }))
}

/// Base offset and end of a batch of which only the beginning is there.
pub(super) fn span(set: &[u8]) -> Option<(i64, i64)> {
    let mut reader = Reader(Bytes::copy_from_slice(set.get(..HEAD)?));
    let base = reader.i64().ok()?;
    reader.take(BEFORE_SUM - 8 + 2).ok()?;
    let last = reader.i32().ok()?;
    let end = base.checked_add(i64::from(last) + 1)?;
    (base >= 0 && end > base && set[16] == 2).then_some((base, end))
}

impl Batch {
    /// Bytes that it holds.
    pub(super) fn size(&self) -> usize {
        self.body.len() + HEAD
    }

    /// Whether it belongs to a transaction.
    pub(super) const fn is_transactional(&self) -> bool {
        self.attributes & 1 << 4 != 0
    }

    /// Whether it only says how a transaction ended.
    pub(super) const fn is_control(&self) -> bool {
        self.attributes & 1 << 5 != 0
    }

    /// Whether it says that a transaction was given up.
    pub(super) fn is_abort(&self) -> bool {
        // The record's key: its version, and 0 for an abort.
        let first = || self.open(1 << 16).ok()?.next().ok().flatten();
        self.is_control()
            && first()
                .and_then(|record: Record| record.key)
                .is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
    }

    /// Unpacks it; the error says what it is that cannot be read. Unpacked it has at most `most`
    /// bytes.
    pub(super) fn open(&self, most: usize) -> Result<Opened, String> {
        let body = match self.attributes & 7 {
            0 => self.body.clone(),
            1 => unpack(flate2::bufread::MultiGzDecoder::new(&*self.body), most)?,
            2 => snappy(&self.body, most)?,
            3 => unpack(lz4_flex::frame::FrameDecoder::new(&*self.body), most)?,
            4 => {
                let broken = |_| "it is not the zstd that it is said to be".to_owned();
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(&*self.body).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(broken)?;
                unpack(decoder, most)?
            }
            other => return Err(format!("it is packed in a way that is not known ({other})")),
        };
        Ok(Opened {
            reader: Reader(body),
            left: self.count,
            base: self.base,
            end: self.end,
            first_time: self.first_time,
            one_time: (self.attributes & 1 << 3 != 0).then_some(self.last_time),
        })
    }
}

impl Opened {
    /// The offset behind its last record.
    pub(super) const fn end(&self) -> i64 {
        self.end
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        let size = self.reader.varsize()?.unwrap_or_default();
        let mut one = Reader(self.reader.take(size)?);
        let _attributes = one.i8()?;
        let time = self.first_time.saturating_add(one.varlong()?);
        let offset = self.base.saturating_add(one.varlong()?);
        if !(self.base..self.end).contains(&offset) {
            return Err(spoken("a record outside its batch"));
        }
        let (key, value) = (one.varbytes()?, one.varbytes()?);
        let mut headers = Vec::new();
        let count = one.varlong()?;
        if usize::try_from(count).map_or(true, |count| count > one.0.len()) {
            return Err(spoken("a record with headers that it does not have"));
        }
        for _ in 0..count {
            let name = one.varbytes()?.unwrap_or_default();
            let value = one.varbytes()?.unwrap_or_default();
            if headers.len() < MOST_HEADERS
                && let Ok(name) = std::str::from_utf8(&name)
            {
                headers.push((name.to_owned(), value));
            }
        }
        Ok(Some(Record {
            offset,
            time: self.one_time.unwrap_or(time),
            key,
            value,
            headers,
        }))
    }
}

fn unpack(mut packed: impl Read, most: usize) -> Result<Bytes, String> {
    let mut out = Vec::new();
    packed
        .by_ref()
        .take(most as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| "it cannot be unpacked".to_owned())?;
    if out.len() > most {
        return Err(too_large(most));
    }
    Ok(out.into())
}

fn too_large(most: usize) -> String {
    format!("unpacked it has more than {most} bytes")
}

fn snappy(packed: &[u8], most: usize) -> Result<Bytes, String> {
    let broken = || "it is not the snappy that it is said to be".to_owned();
    let mut out = Vec::new();
    let mut one = |block: &[u8]| {
        let size = snap::raw::decompress_len(block).map_err(|_| broken())?;
        let begin = out.len();
        if size > most.saturating_sub(begin) {
            return Err(too_large(most));
        }
        out.resize(begin + size, 0);
        let made = snap::raw::Decoder::new().decompress(block, &mut out[begin..]);
        made.map_err(|_| broken()).map(drop)
    };
    let Some(blocks) = packed.strip_prefix(XERIAL) else {
        one(packed)?;
        return Ok(out.into());
    };
    // Two versions, then blocks behind their length.
    let mut rest = Reader(Bytes::copy_from_slice(blocks));
    rest.take(8).map_err(|_| broken())?;
    while !rest.0.is_empty() {
        let block = rest.bytes().map_err(|_| broken())?;
        one(&block)?;
    }
    Ok(out.into())
}

/// Who writes, so that the broker sees when it is given the same again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Producer {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// A record to be written.
pub(super) struct Written<'a> {
    pub(super) time: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: &'a [u8],
    pub(super) headers: &'a [(String, String)],
}

/// A batch of one record.
pub(super) fn batch(
    record: &Written<'_>,
    compression: Compression,
    producer: Option<Producer>,
    sequence: i32,
) -> Result<Bytes, Fault> {
    let mut one = BytesMut::with_capacity(record.value.len() + 256);
    one.put_i8(0);
    put_varlong(&mut one, 0);
    put_varlong(&mut one, 0);
    put_varbytes(&mut one, record.key);
    put_varbytes(&mut one, Some(record.value));
    put_varlong(&mut one, record.headers.len() as i64);
    for (name, value) in record.headers {
        put_varbytes(&mut one, Some(name.as_bytes()));
        put_varbytes(&mut one, Some(value.as_bytes()));
    }
    let mut records = BytesMut::with_capacity(one.len() + 8);
    put_varbytes(&mut records, Some(&one));
    let failed = |error: std::io::Error| Fault::Unsendable(format!("it cannot be packed: {error}"));
    let (attributes, records) = match compression {
        Compression::None => (0, records.freeze()),
        Compression::Gzip => {
            let mut packed = Vec::new();
            flate2::read::GzEncoder::new(&*records, flate2::Compression::default())
                .read_to_end(&mut packed)
                .map_err(failed)?;
            (1, packed.into())
        }
        Compression::Zstd => (4, zstd::bulk::compress(&records, 3).map_err(failed)?.into()),
    };
    let mut summed = BytesMut::with_capacity(records.len() + 64);
    summed.put_i16(attributes);
    summed.put_i32(0);
    summed.put_i64(record.time);
    summed.put_i64(record.time);
    let producer = producer.unwrap_or(Producer { id: -1, epoch: -1 });
    summed.put_i64(producer.id);
    summed.put_i16(producer.epoch);
    summed.put_i32(if producer.id < 0 { -1 } else { sequence });
    summed.put_i32(1);
    summed.put_slice(&records);
    let mut out = BytesMut::with_capacity(summed.len() + BEFORE_SUM);
    out.put_i64(0);
    out.put_i32((summed.len() + BEFORE_SUM - BEFORE_LENGTH) as i32);
    out.put_i32(-1);
    out.put_i8(2);
    out.put_u32(crc32c(&summed));
    out.put_slice(&summed);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &[(String, String)]) -> Written<'_> {
        Written {
            time: 1_700_000_000_000,
            key: Some(b"k"),
            value: b"{\"n\":1}",
            headers,
        }
    }

    #[test]
    fn what_is_written_is_read_however_it_is_packed() {
        let headers = [("message-id".to_owned(), "d-1".to_owned())];
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let producer = Some(Producer { id: 7, epoch: 0 });
            let mut set = batch(&written(&headers), compression, producer, 3).unwrap();
            let one = next(&mut set).unwrap().unwrap();
            assert!(set.is_empty() && !one.is_control() && !one.is_transactional());
            assert_eq!((one.base, one.end, one.producer), (0, 1, 7));
            let mut opened = one.open(1_000).unwrap();
            let record = opened.next().unwrap().unwrap();
            assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
            assert_eq!(record.value.as_deref(), Some(&b"{\"n\":1}"[..]));
            assert_eq!(record.time, 1_700_000_000_000);
            assert_eq!(record.headers[0].0, "message-id");
            assert_eq!(&record.headers[0].1[..], b"d-1");
            assert!(opened.next().unwrap().is_none());
            if compression != Compression::None {
                assert!(one.open(10).unwrap_err().contains("more than 10"));
            }
        }
    }

    /// What others pack with snappy (raw and as Java does) and LZ4 is read too.
    #[test]
    fn what_others_pack_is_read() {
        let plain = batch(&written(&[]), Compression::None, None, 0).unwrap();
        let records = &plain[HEAD..];
        let raw = snap::raw::Encoder::new().compress_vec(records).unwrap();
        let mut xerial = BytesMut::from(XERIAL);
        xerial.put_i32(1);
        xerial.put_i32(1);
        xerial.put_i32(raw.len() as i32);
        xerial.put_slice(&raw);
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut lz4, records).unwrap();
        let lz4 = lz4.finish().unwrap();
        for (kind, packed) in [(2, raw), (2, xerial.to_vec()), (3, lz4)] {
            let mut one = next(&mut plain.clone()).unwrap().unwrap();
            one.attributes = kind;
            one.body = packed.into();
            let record = one.open(1_000).unwrap().next().unwrap().unwrap();
            assert_eq!(record.value.as_deref(), Some(&b"{\"n\":1}"[..]));
            assert!(one.open(10).is_err(), "no more than was allowed");
            one.body = Bytes::from_static(b"\x82SNAPPY\0what is this");
            assert!(one.open(1_000).is_err());
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        let good = batch(&written(&[]), Compression::None, None, 0).unwrap();
        assert!(next(&mut good.slice(..good.len() - 1)).unwrap().is_none());
        assert!(next(&mut good.slice(..10)).unwrap().is_none());
        assert_eq!(span(&good[..70]), Some((0, 1)));
        assert_eq!(span(&good[..60]), None);
        // Each byte behind the epoch is under the sum, the sum itself or the form.
        for place in 16..good.len() {
            let mut bad = good.to_vec();
            bad[place] ^= 1;
            assert!(next(&mut Bytes::from(bad)).is_err(), "{place}");
        }
        // A record that says what is not so, under a sum that is right.
        for place in HEAD..good.len() {
            for value in [0x7F, 0xFF, 0x80] {
                let mut bad = good.to_vec();
                bad[place] = value;
                let sum = crc32c(&bad[BEFORE_SUM..]);
                bad[17..21].copy_from_slice(&sum.to_be_bytes());
                let one = next(&mut Bytes::from(bad)).unwrap().unwrap();
                let mut opened = one.open(1_000).unwrap();
                while let Ok(Some(_)) = opened.next() {}
            }
        }
    }
}
