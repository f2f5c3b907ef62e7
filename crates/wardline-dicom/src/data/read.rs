//! Reading data sets out of a stream. Every length is held against what holds it; what is not kept
//! is stepped over.

use std::io::{self, BufRead, BufReader, Read, Seek};

use thiserror::Error;

use super::{DataSet, Element, Encoding, Limits, Tag, Value, Vr, tags};

/// A length that is told by an end mark instead.
const UNDEFINED: u32 = u32::MAX;

/// Why bytes are no data set. Names places, never values.
#[derive(Debug, Error)]
pub enum Malformed {
    /// The bytes end within something.
    #[error("the bytes end at {at}, within {what}")]
    Cut {
        /// Bytes read.
        at: u64,
        /// What had begun.
        what: String,
    },
    /// Something is what it must not be.
    #[error("at byte {at}: {what}")]
    Wrong {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// Reading failed for a reason of its own.
    #[error("the bytes cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Where bytes come from: read, or stepped over.
pub trait Source {
    /// Fills `into`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()>;
    /// Steps over so many bytes, or fails likewise.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
    /// Whether there is nothing more.
    fn at_end(&mut self) -> io::Result<bool>;
}

/// Any reader; what is stepped over is read and thrown away.
pub struct Stream<R>(pub R);

impl<R: BufRead> Source for Stream<R> {
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact(into)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let passed = io::copy(&mut (&mut self.0).take(bytes), &mut io::sink())?;
        if passed == bytes {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.0.fill_buf()?.is_empty())
    }
}

/// A file of known length; what is stepped over is not read.
pub(crate) struct Seekable<F> {
    inner: BufReader<F>,
    at: u64,
    length: u64,
}

impl<F: Read + Seek> Seekable<F> {
    pub(crate) fn new(file: F, length: u64) -> Self {
        Self {
            inner: BufReader::with_capacity(8 << 10, file),
            at: 0,
            length,
        }
    }

    pub(crate) fn into_rest(self) -> BufReader<F> {
        self.inner
    }
}

impl<F: Read + Seek> Source for Seekable<F> {
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(into)?;
        self.at += into.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.length);
        let (Some(end), Ok(by)) = (end, i64::try_from(bytes)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.inner.seek_relative(by)?;
        self.at = end;
        Ok(())
    }

    fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.at >= self.length)
    }
}

/// Reads a data set to the end of its source.
///
/// # Errors
/// [`Malformed`] with the place.
pub fn read(
    source: &mut impl Source,
    encoding: Encoding,
    limits: Limits,
) -> Result<DataSet, Malformed> {
    let mut reader = Reader {
        source,
        at: 0,
        limits,
        used: 0,
    };
    let mut set = DataSet::new();
    while !reader.ended()? {
        reader.element(encoding, None, 0, &mut set)?;
    }
    Ok(set)
}

/// Reads the attributes of the first group only, and leaves the source behind them: the meta
/// information of a file, whose length its first attribute tells.
pub(crate) fn read_meta(source: &mut impl Source) -> Result<DataSet, Malformed> {
    let limits = Limits {
        value: 1024,
        total: 16 << 10,
        depth: 1,
    };
    let mut reader = Reader {
        source,
        at: 132,
        limits,
        used: 0,
    };
    let mut set = DataSet::new();
    reader.element(Encoding::ExplicitLittle, None, 0, &mut set)?;
    let length = match set.remove(tags::META_LENGTH).map(|one| one.value) {
        Some(Value::Bytes(bytes)) => bytes.try_into().map(u32::from_le_bytes).ok(),
        _ => None,
    };
    let Some(length) = length.filter(|length| *length <= 64 << 10) else {
        return Err(reader.wrong("the meta information does not begin with its own length"));
    };
    let end = reader.at + u64::from(length);
    while reader.at < end {
        reader.element(Encoding::ExplicitLittle, Some(end), 0, &mut set)?;
    }
    Ok(set)
}

struct Reader<'s, S> {
    source: &'s mut S,
    at: u64,
    limits: Limits,
    used: usize,
}

/// What ended an element.
#[derive(PartialEq, Eq)]
enum Next {
    More,
    ItemEnd,
}

impl<S: Source> Reader<'_, S> {
    fn ended(&mut self) -> Result<bool, Malformed> {
        Ok(self.source.at_end()?)
    }

    fn wrong(&self, what: impl Into<String>) -> Malformed {
        Malformed::Wrong {
            at: self.at,
            what: what.into(),
        }
    }

    fn failed(&self, error: io::Error, what: impl FnOnce() -> String) -> Malformed {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Malformed::Cut {
                at: self.at,
                what: what(),
            }
        } else {
            Malformed::Io(error)
        }
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Malformed> {
        let mut bytes = [0; N];
        self.source
            .fill(&mut bytes)
            .map_err(|error| self.failed(error, || what.to_owned()))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u16(&mut self, encoding: Encoding, what: &str) -> Result<u16, Malformed> {
        let bytes = self.bytes(what)?;
        Ok(if encoding.big() {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&mut self, encoding: Encoding, what: &str) -> Result<u32, Malformed> {
        let bytes = self.bytes(what)?;
        Ok(if encoding.big() {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn tag(&mut self, encoding: Encoding) -> Result<Tag, Malformed> {
        let group = self.u16(encoding, "a tag")?;
        Ok(Tag(group, self.u16(encoding, "a tag")?))
    }

    /// Reads one attribute into a set; `end` is where what holds it ends.
    fn element(
        &mut self,
        encoding: Encoding,
        end: Option<u64>,
        depth: usize,
        set: &mut DataSet,
    ) -> Result<Next, Malformed> {
        let began = self.at;
        let tag = self.tag(encoding)?;
        if tag.0 == 0xfffe {
            let length = self.u32(encoding, "an end mark")?;
            if tag == tags::ITEM_END && length == 0 && depth > 0 && end.is_none() {
                return Ok(Next::ItemEnd);
            }
            return Err(Malformed::Wrong {
                at: began,
                what: "an item or end mark stands where an attribute should".into(),
            });
        }
        let (vr, length) = if encoding.explicit() {
            let letters: [u8; 2] = self.bytes("a value representation")?;
            match Vr::of(letters) {
                Some(vr) if vr.is_long() => {
                    self.u16(encoding, "a length")?;
                    (vr, self.u32(encoding, "a length")?)
                }
                Some(vr) => (vr, u32::from(self.u16(encoding, "a length")?)),
                // Letters that the standard may give a meaning some day. All it brought in late have long lengths.
                None if letters.iter().all(u8::is_ascii_uppercase) => {
                    self.u16(encoding, "a length")?;
                    (Vr::UN, self.u32(encoding, "a length")?)
                }
                None => {
                    return Err(Malformed::Wrong {
                        at: began,
                        what: format!("{tag} has no value representation"),
                    });
                }
            }
        } else {
            let length = self.u32(encoding, "a length")?;
            (tag.vr(), length)
        };
        if length != UNDEFINED
            && let Some(end) = end
            && self.at + u64::from(length) > end
        {
            return Err(Malformed::Wrong {
                at: began,
                what: format!("{tag} is longer than what holds it"),
            });
        }
        // What is unknown and has no length is a sequence, whose items are implicit.
        let hidden = vr == Vr::UN && length == UNDEFINED;
        let value = if vr == Vr::SQ || hidden {
            let inner = if hidden {
                Encoding::ImplicitLittle
            } else {
                encoding
            };
            self.sequence(tag, length, inner, depth + 1, set)?
        } else if length == UNDEFINED {
            if !matches!(vr, Vr::OB | Vr::OW) {
                return Err(Malformed::Wrong {
                    at: began,
                    what: format!("{tag} has no length and cannot be without one"),
                });
            }
            self.fragments(tag, encoding)?;
            Value::Left(None)
        } else {
            self.value(tag, vr, length, encoding, set)?
        };
        let vr = if hidden { Vr::SQ } else { vr };
        if self.keeps(64, set) {
            set.elements.entry(tag).or_insert(Element { vr, value });
        }
        Ok(Next::More)
    }

    /// Whether there is room for so much more; notes where there is not.
    fn keeps(&mut self, bytes: usize, set: &mut DataSet) -> bool {
        if self.used + bytes > self.limits.total {
            set.cut = true;
            return false;
        }
        self.used += bytes;
        true
    }

    fn value(
        &mut self,
        tag: Tag,
        vr: Vr,
        length: u32,
        encoding: Encoding,
        set: &mut DataSet,
    ) -> Result<Value, Malformed> {
        // An unknown short one may be a text: it is worth its few bytes.
        let wanted = length <= self.limits.value && (!vr.is_bulk() || length <= 64);
        if !wanted || !self.keeps(length as usize, set) {
            self.skip(u64::from(length), tag)?;
            return Ok(Value::Left(Some(length)));
        }
        let mut bytes = vec![0; length as usize];
        self.source
            .fill(&mut bytes)
            .map_err(|error| self.failed(error, || tag.to_string()))?;
        self.at += u64::from(length);
        if encoding.big() && vr.width() > 1 {
            for number in bytes.chunks_exact_mut(vr.width()) {
                number.reverse();
            }
        }
        Ok(Value::Bytes(bytes))
    }

    fn skip(&mut self, bytes: u64, tag: Tag) -> Result<(), Malformed> {
        self.source
            .skip(bytes)
            .map_err(|error| self.failed(error, || tag.to_string()))?;
        self.at += bytes;
        Ok(())
    }

    /// Steps over the fragments of pixel data.
    fn fragments(&mut self, tag: Tag, encoding: Encoding) -> Result<(), Malformed> {
        loop {
            let mark = self.tag(encoding)?;
            let length = self.u32(encoding, "a fragment's length")?;
            match mark {
                tags::SEQUENCE_END if length == 0 => return Ok(()),
                tags::ITEM if length != UNDEFINED => self.skip(u64::from(length), tag)?,
                _ => return Err(self.wrong(format!("{tag} has something else than fragments"))),
            }
        }
    }

    fn sequence(
        &mut self,
        tag: Tag,
        length: u32,
        encoding: Encoding,
        depth: usize,
        set: &mut DataSet,
    ) -> Result<Value, Malformed> {
        if depth > self.limits.depth {
            return Err(self.wrong(format!(
                "{tag} lies more than {} levels deep",
                self.limits.depth
            )));
        }
        let end = (length != UNDEFINED).then(|| self.at + u64::from(length));
        let mut items = Vec::new();
        loop {
            if end.is_some_and(|end| self.at >= end) {
                return Ok(Value::Items(items));
            }
            let began = self.at;
            let mark = self.tag(encoding)?;
            let length = self.u32(encoding, "an item's length")?;
            if mark == tags::SEQUENCE_END && end.is_none() && length == 0 {
                return Ok(Value::Items(items));
            }
            if mark != tags::ITEM {
                return Err(Malformed::Wrong {
                    at: began,
                    what: format!("{tag} has something else than items"),
                });
            }
            let item_end = (length != UNDEFINED).then(|| self.at + u64::from(length));
            if let (Some(item), Some(end)) = (item_end, end)
                && item > end
            {
                return Err(Malformed::Wrong {
                    at: began,
                    what: format!("an item of {tag} is longer than its sequence"),
                });
            }
            let mut item = DataSet::new();
            loop {
                if item_end.is_some_and(|end| self.at >= end) {
                    break;
                }
                if self.element(encoding, item_end, depth, &mut item)? == Next::ItemEnd {
                    break;
                }
            }
            set.cut |= item.cut;
            if self.keeps(64, set) {
                items.push(item);
            }
        }
    }
}
