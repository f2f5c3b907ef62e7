//! Building a message from nothing.

use crate::edit::Editor;
use crate::time::Timestamp;
use crate::{Charset, Delimiters, EditError, Message, Path};

/// Builds a new message.
///
/// MSH-7 is now (UTC), MSH-11 `P` and MSH-12 `2.5.1` unless set. MSH-10 is the caller's to set:
/// only the caller knows what makes it unique.
///
/// ```
/// use wardline_hl7::Builder;
/// let message = Builder::new("ADT", "A03")
///     .sending("WARDLINE", "H1")
///     .control_id("77")
///     .time("20261124104203")
///     .set("PID-5.1", "O'NEIL & SON")
///     .build()?;
/// assert_eq!(
///     message.bytes().as_ref(),
///     b"MSH|^~\\&|WARDLINE|H1|||20261124104203||ADT^A03|77|P|2.5.1\rPID|||||O'NEIL \\T\\ SON\r"
/// );
/// # Ok::<(), wardline_hl7::EditError>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    delimiters: Delimiters,
    charset: Option<Charset>,
    fields: Vec<(Path, String)>,
    timed: bool,
    steps: Vec<Step>,
    failed: Option<EditError>,
}

enum Step {
    Set(Path, String),
    Raw(Path, Vec<u8>),
    Append(Path, String),
    Segment(String),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(path, _) => write!(f, "Set({path})"),
            Self::Raw(path, _) => write!(f, "Raw({path})"),
            Self::Append(path, _) => write!(f, "Append({path})"),
            Self::Segment(name) => write!(f, "Segment({name})"),
        }
    }
}

impl Builder {
    /// A message of that type and trigger event; an empty event leaves MSH-9.2 out.
    pub fn new(message_type: &str, event: &str) -> Self {
        let new = Self {
            delimiters: Delimiters::STANDARD,
            charset: None,
            fields: Vec::new(),
            timed: false,
            steps: Vec::new(),
            failed: None,
        };
        let new = new.header(const { Path::new("MSH-9.1") }, message_type);
        let new = if event.is_empty() {
            new
        } else {
            new.header(const { Path::new("MSH-9.2") }, event)
        };
        new.processing_id("P").version("2.5.1")
    }

    fn header(mut self, path: Path, text: &str) -> Self {
        self.fields.retain(|(known, _)| *known != path);
        self.fields.push((path, text.to_owned()));
        self
    }

    /// Other delimiters than `|^~\&`.
    #[must_use]
    pub fn delimiters(mut self, delimiters: Delimiters) -> Self {
        self.delimiters = delimiters;
        self
    }

    /// The character set; written to MSH-18. Without it MSH-18 is empty and the bytes are UTF-8.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Self {
        self.charset = Some(charset);
        self
    }

    /// MSH-3 and MSH-4.
    #[must_use]
    pub fn sending(self, application: &str, facility: &str) -> Self {
        self.header(const { Path::new("MSH-3") }, application)
            .header(const { Path::new("MSH-4") }, facility)
    }

    /// MSH-5 and MSH-6.
    #[must_use]
    pub fn receiving(self, application: &str, facility: &str) -> Self {
        self.header(const { Path::new("MSH-5") }, application)
            .header(const { Path::new("MSH-6") }, facility)
    }

    /// MSH-7.
    #[must_use]
    pub fn time(mut self, time: &str) -> Self {
        self.timed = true;
        self.header(const { Path::new("MSH-7") }, time)
    }

    /// MSH-9.3, the message structure (`ADT_A03`).
    #[must_use]
    pub fn structure(self, structure: &str) -> Self {
        self.header(const { Path::new("MSH-9.3") }, structure)
    }

    /// MSH-10.
    #[must_use]
    pub fn control_id(self, id: &str) -> Self {
        self.header(const { Path::new("MSH-10") }, id)
    }

    /// MSH-11: `P` production, `T` training, `D` debugging.
    #[must_use]
    pub fn processing_id(self, id: &str) -> Self {
        self.header(const { Path::new("MSH-11") }, id)
    }

    /// MSH-12.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.header(const { Path::new("MSH-12") }, version)
    }

    /// Writes text at a path; segments are added in the order in which they are first written.
    #[must_use]
    pub fn set<P>(self, path: P, text: &str) -> Self
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        self.step(path, |path| Step::Set(path, text.to_owned()))
    }

    /// Writes bytes with structure (`A^B~C`), already escaped.
    #[must_use]
    pub fn set_raw<P>(self, path: P, bytes: &[u8]) -> Self
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        self.step(path, |path| Step::Raw(path, bytes.to_owned()))
    }

    /// Adds a repetition to a field.
    #[must_use]
    pub fn append<P>(self, path: P, text: &str) -> Self
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        self.step(path, |path| Step::Append(path, text.to_owned()))
    }

    /// Adds an empty segment at the end; what follows can name it by its occurrence.
    #[must_use]
    pub fn segment(mut self, name: &str) -> Self {
        self.steps.push(Step::Segment(name.to_owned()));
        self
    }

    fn step<P>(mut self, path: P, step: impl FnOnce(Path) -> Step) -> Self
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        match path.try_into() {
            Ok(path) => self.steps.push(step(path)),
            // The first mistake is the one to report, at build().
            Err(error) => self.failed = self.failed.or(Some(error.into())),
        }
        self
    }

    /// The message.
    ///
    /// # Errors
    /// The first path that is wrong or cannot be written.
    pub fn build(self) -> Result<Message, EditError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut header = vec![b'M', b'S', b'H', self.delimiters.field()];
        header.extend(self.delimiters.encoding_characters());
        header.push(b'\r');
        let mut edit = Editor::new(Message::parse(header)?);
        if !self.timed {
            edit.set(const { Path::new("MSH-7") }, &Timestamp::now_utc().to_hl7())?;
        }
        if let Some(charset) = self.charset {
            edit.set_charset(charset)?;
        }
        for (path, text) in &self.fields {
            edit.set(path, text)?;
        }
        for step in &self.steps {
            match step {
                Step::Set(path, text) => edit.set(path, text).map(drop)?,
                Step::Raw(path, bytes) => edit.set_raw(path, bytes).map(drop)?,
                Step::Append(path, text) => edit.append(path, text).map(drop)?,
                Step::Segment(name) => edit.add_segment(name).map(drop)?,
            }
        }
        edit.finish()
    }
}
