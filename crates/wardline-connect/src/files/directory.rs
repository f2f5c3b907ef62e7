//! The seam between what is done with files and where they are.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use wardline_core::Code;

/// A directory of a connection: on this machine, or on another. Calls block; they are made on
/// threads that may.
///
/// A path is at most one directory and a name, as in `in/a.csv`; anything else is refused, and so
/// are links and whatever is no plain file.
pub trait Directory: Send + Sync {
    /// Plain files right below, at most so many. A directory that is not there holds none.
    fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>>;

    /// Opens a plain file to be read from its beginning.
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Moves a file; makes the directory it goes to. Never takes the place of another: then the
    /// error is [`io::ErrorKind::AlreadyExists`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a file; one that is gone is no error.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Writes a file so that it is there whole or not at all, and stays. One of the same name is
    /// replaced. What is written is read to its end, and never whole in memory; an error in reading
    /// it leaves nothing.
    fn write(&self, path: &str, from: &mut dyn Read) -> io::Result<()>;

    /// Where it is, for people.
    fn describe(&self) -> String;
}

/// Where files of a connection go.
#[derive(Clone)]
pub struct Place {
    /// The directory.
    pub directory: std::sync::Arc<dyn Directory>,
    /// The one below it; empty for itself.
    pub below: String,
}

/// A plain file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

/// A directory and a name in it, where neither leads elsewhere.
pub(crate) fn split(path: &str) -> io::Result<(Option<&str>, &str)> {
    let (below, name) = match path.split_once('/') {
        Some((below, name)) => (Some(below), name),
        None => (None, path),
    };
    if below.is_none_or(is_name) && is_name(name) {
        Ok((below, name))
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name leads elsewhere",
        ))
    }
}

/// Whether a text names something right here and nothing else.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\', '\0'])
        && !name.chars().any(char::is_control)
}

/// A time as directories tell it; to the millisecond, and none before 1970.
pub(crate) fn time_of(at: jiff::Timestamp) -> SystemTime {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Fills a block as far as there is something to read; less than it holds is the end.
pub(crate) fn read_block(from: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match from.read(&mut block[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// `a/b`, or `b` where there is no `a`.
pub(crate) fn join(below: &str, name: &str) -> String {
    if below.is_empty() {
        name.to_owned()
    } else {
        format!("{below}/{name}")
    }
}

/// Why another machine did not do what was asked; travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Trouble {
    /// A stable code of [`crate::codes`].
    pub code: Code,
    /// What was attempted on what; never holds payload.
    pub text: String,
}

impl Trouble {
    pub(crate) fn error(kind: io::ErrorKind, code: Code, text: impl Into<String>) -> io::Error {
        let text = text.into();
        io::Error::new(kind, Self { code, text })
    }

    /// What an error says of another machine, where it does.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}
