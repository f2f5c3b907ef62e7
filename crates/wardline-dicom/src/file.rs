//! Files of Part 10: a mark, what they say of themselves, and the object.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;
use thiserror::Error;

use crate::data::{
    self, Charset, DataSet, Limits, Malformed, Source, Tag, Value, Vr, read_meta, tags,
};
use crate::{Encoding, json, uid};

/// Why a file is none.
#[derive(Debug, Error)]
pub enum FileError {
    /// It has no mark.
    #[error("this is no DICOM file: 128 bytes and `DICM` do not stand at its beginning")]
    NoMark,
    /// It does not say what it is.
    #[error("the file does not say {0}")]
    Missing(&'static str),
    /// Its bytes are none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Malformed(Malformed::Io(error))
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The class of its object.
    pub class: String,
    /// The name of its object.
    pub instance: String,
    /// How its data set is laid out and compressed.
    pub transfer_syntax: String,
}

/// A file that was read to its end.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it says of itself.
    pub head: Head,
    /// Its attributes, without what is large.
    pub data: DataSet,
    /// Bytes of the whole.
    pub size: u64,
}

/// What is wrong with an object that can be read all the same. Names attributes, never values.
pub type Findings = Vec<String>;

/// The beginning of a file: everything before its data set.
pub fn file_head(head: &Head, source: Option<&str>) -> Vec<u8> {
    let mut meta = DataSet::new();
    meta.put(tags::META_VERSION, Vr::OB, Value::Bytes(vec![0, 1]));
    for (tag, text) in [
        (tags::MEDIA_SOP_CLASS, head.class.as_str()),
        (tags::MEDIA_SOP_INSTANCE, &head.instance),
        (tags::TRANSFER_SYNTAX, &head.transfer_syntax),
        (tags::IMPLEMENTATION_CLASS, uid::IMPLEMENTATION_CLASS),
    ] {
        meta.put_text(tag, Vr::UI, text);
    }
    meta.put_text(
        tags::IMPLEMENTATION_VERSION,
        Vr::SH,
        uid::IMPLEMENTATION_VERSION,
    );
    if let Some(source) = source {
        meta.put_text(tags::SOURCE_AE_TITLE, Vr::AE, source);
    }
    let mut group = Vec::new();
    data::write(&meta, Encoding::ExplicitLittle, &mut group);
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    bytes.extend_from_slice(&[2, 0, 0, 0, b'U', b'L', 4, 0]);
    bytes.extend_from_slice(&(group.len() as u32).to_le_bytes());
    bytes.append(&mut group);
    bytes
}

/// Reads what a file says of itself and leaves the reader at its data set.
///
/// # Errors
/// [`FileError`] where it is none.
pub fn head_of(reader: &mut impl BufRead) -> Result<Head, FileError> {
    read_head(&mut data::Stream(reader))
}

fn read_head(source: &mut impl Source) -> Result<Head, FileError> {
    let mut mark = [0; 132];
    source.fill(&mut mark).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FileError::NoMark,
        _ => error.into(),
    })?;
    if &mark[128..] != b"DICM" {
        return Err(FileError::NoMark);
    }
    let meta = read_meta(source)?;
    let uid = |tag: Tag, what| {
        let text = meta.ascii(tag).filter(|text| uid::is_valid(text));
        text.map(str::to_owned).ok_or(FileError::Missing(what))
    };
    Ok(Head {
        transfer_syntax: uid(tags::TRANSFER_SYNTAX, "how it is laid out (0002,0010)")?,
        class: uid(
            tags::MEDIA_SOP_CLASS,
            "of which class its object is (0002,0002)",
        )?,
        instance: uid(
            tags::MEDIA_SOP_INSTANCE,
            "which object it holds (0002,0003)",
        )?,
    })
}

/// Reads a file to its end: the structure of all of it, and the attributes within the limits.
///
/// # Errors
/// [`FileError`] with the place.
pub fn examine<F: Read + Seek>(mut file: F, limits: Limits) -> Result<Object, FileError> {
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut source = data::Seekable::new(file, size);
    let head = read_head(&mut source)?;
    let data = if head.transfer_syntax == uid::DEFLATED {
        let inflated = DeflateDecoder::new(source.into_rest());
        let mut stream = data::Stream(BufReader::new(inflated));
        data::read(&mut stream, Encoding::ExplicitLittle, limits)?
    } else {
        data::read(&mut source, uid::encoding(&head.transfer_syntax), limits)?
    };
    Ok(Object { head, data, size })
}

impl Object {
    /// What is wrong with it though it can be read.
    pub fn findings(&self) -> Findings {
        let mut found = Vec::new();
        for (tag, said, what) in [
            (tags::SOP_CLASS, &self.head.class, "class"),
            (tags::SOP_INSTANCE, &self.head.instance, "name"),
        ] {
            match self.data.ascii(tag) {
                None => found.push(format!(
                    "{} is missing: the object does not say its {what}",
                    name(tag)
                )),
                Some(text) if text != said => found.push(format!(
                    "{} is not what the file's head says of its {what}",
                    name(tag)
                )),
                Some(_) => {}
            }
        }
        values(&self.data, &Charset::default(), "", &mut found);
        found
    }
}

fn name(tag: Tag) -> String {
    tag.keyword().map_or_else(|| tag.to_string(), str::to_owned)
}

/// Holds every kept value against its representation.
fn values(set: &DataSet, around: &Charset, path: &str, found: &mut Findings) {
    let charset = set.charset(around);
    for (tag, element) in set.iter() {
        match &element.value {
            Value::Items(items) => {
                for (at, item) in items.iter().enumerate() {
                    values(
                        item,
                        &charset,
                        &format!("{path}{}[{at}].", name(tag)),
                        found,
                    );
                }
            }
            Value::Bytes(bytes) if element.vr.is_text() => {
                let texts = json::texts(bytes, element.vr, &charset);
                let wrong = texts
                    .iter()
                    .find_map(|text| json::check_text(text, element.vr).err());
                if let Some(wrong) = wrong {
                    found.push(format!(
                        "{path}{} ({}) {wrong}",
                        name(tag),
                        element.vr.as_str()
                    ));
                }
            }
            Value::Bytes(bytes) => {
                let width = match element.vr {
                    Vr::AT => 4,
                    other => other.width(),
                };
                if bytes.len() % width != 0 {
                    found.push(format!(
                        "{path}{} ({}) has {} bytes, which is no whole number of values",
                        name(tag),
                        element.vr.as_str(),
                        bytes.len()
                    ));
                }
            }
            Value::Left(_) => {}
        }
    }
}
