//! The message that a program writes: a copy of the input, or a new one.

use bytes::Bytes;
use vrl::value::{ObjectMap, Value};
use wardline_core::Code;
use wardline_hl7::{
    Builder, Charset, CharsetPolicy, EditError, Editor, Message, ParseOptions, Path, Segment,
};

use crate::run_error::RunError;
use crate::timestamp::{Wanted, to_hl7};

/// A message under the program's hands.
pub(crate) struct Draft {
    editor: Editor,
    /// Its segments in order: what the editor holds, and where each stands in the input.
    lines: Vec<Line>,
}

struct Line {
    name: String,
    /// Position in the input, from 1; 0 for a segment that the program added.
    origin: usize,
}

/// What a new message's header says.
pub(crate) struct Header<'a> {
    pub(crate) message_type: &'a str,
    pub(crate) event: &'a str,
    pub(crate) structure: Option<&'a str>,
    pub(crate) control_id: Option<String>,
    /// A stopped clock; the real one without.
    pub(crate) now: Option<&'a Value>,
}

/// Why a write was not done; no variant holds a value.
pub(crate) enum Refusal {
    Edit(EditError),
    /// Text for the user.
    Other(String),
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edit(error) => error.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Draft {
    /// A copy of a message.
    pub(crate) fn copy_of(message: &Message) -> Self {
        let lines = message
            .segments()
            .enumerate()
            .map(|(index, segment)| Line {
                name: segment.name().to_owned(),
                origin: index + 1,
            })
            .collect();
        Self {
            editor: message.edit(),
            lines,
        }
    }

    /// A new message with only its header. Delimiters, character set, processing id and version
    /// are those of the input, where that is HL7.
    pub(crate) fn begin(input: Option<&Message>, header: &Header<'_>) -> Result<Self, Refusal> {
        let now = header
            .now
            .and_then(|now| to_hl7(&now.to_string_lossy(), None, Wanted::Second).ok());
        let mut builder = Builder::new(header.message_type, header.event);
        if let Some(structure) = header.structure {
            builder = builder.structure(structure);
        }
        if let Some(id) = &header.control_id {
            builder = builder.control_id(id);
        }
        if let Some(now) = &now {
            builder = builder.time(now);
        }
        let message = match input {
            None => builder.build()?,
            Some(input) => Self::header_like(input, builder.build()?)?,
        };
        let lines = vec![Line {
            name: "MSH".to_owned(),
            origin: 0,
        }];
        Ok(Self {
            editor: Editor::new(message),
            lines,
        })
    }

    /// A header that speaks the input's dialect and says what `new` says.
    fn header_like(input: &Message, new: Message) -> Result<Message, Refusal> {
        let Some(first) = input.segment_at(0) else {
            return Ok(new);
        };
        let line = input
            .text()
            .slice(first.offset()..first.offset() + first.bytes().len());
        let is_copy = input.text().as_ptr() != input.bytes().as_ptr();
        let options = ParseOptions {
            charset: if is_copy {
                CharsetPolicy::Fixed(Charset::UTF_8)
            } else {
                CharsetPolicy::default()
            },
            ..ParseOptions::default()
        };
        let old = Message::parse_with(line, &options).map_err(EditError::from)?;
        let mut editor = Editor::new(old);
        for number in 3..=first.field_count() {
            if !matches!(number, 11 | 12 | 18)
                && let Ok(path) = Path::parse(&format!("MSH-{number}"))
            {
                editor.remove(path)?;
            }
        }
        if is_copy {
            // The text of the input is a UTF-8 copy of it, and so are the segments copied from it.
            editor.set("MSH-18", "UNICODE UTF-8")?;
        }
        for text in [
            "MSH-7", "MSH-9.1", "MSH-9.2", "MSH-9.3", "MSH-10", "MSH-11", "MSH-12",
        ] {
            let path = Path::parse(text).map_err(EditError::from)?;
            let kept = matches!(text, "MSH-11" | "MSH-12") && input.value(&path).is_some();
            if let Some(value) = new.value(&path).filter(|_| !kept) {
                editor.set(path, &value)?;
            }
        }
        Ok(editor.finish()?)
    }

    /// The message's bytes.
    pub(crate) fn finish(self) -> Result<Bytes, RunError> {
        match self.editor.finish() {
            Ok(message) => Ok(message.into_bytes()),
            Err(error) => Err(RunError::Function {
                code: Code("W2215"),
                text: error.to_string(),
                span: None,
            }),
        }
    }

    fn count(&self, name: &str) -> usize {
        self.lines.iter().filter(|line| line.name == name).count()
    }

    /// The path in this draft, of a segment given by its position in the input.
    fn place(&self, path: Path, at: Option<usize>) -> Result<Path, Refusal> {
        let Some(at) = at else { return Ok(path) };
        let index = self
            .lines
            .iter()
            .position(|line| line.origin == at && at > 0);
        let index = index.filter(|index| self.lines[*index].name == path.segment());
        let Some(index) = index else {
            return Err(Refusal::Other(format!(
                "there is no {} at the position given as `at:`; take it from hl7_each(\"{}\")",
                path.segment(),
                path.segment()
            )));
        };
        let occurrence = self.lines[..=index]
            .iter()
            .filter(|line| line.name == path.segment())
            .count();
        Ok(path.in_occurrence(u32::try_from(occurrence).unwrap_or(u32::MAX)))
    }

    /// Writes a value: text, escaped; null takes the value out; an array gives repetitions, an
    /// object components.
    pub(crate) fn set(
        &mut self,
        path: Path,
        at: Option<usize>,
        value: &Value,
    ) -> Result<(), Refusal> {
        let path = self.place(path, at)?;
        self.write(path, value)
    }

    /// Writes bytes that are already escaped.
    pub(crate) fn set_raw(
        &mut self,
        path: Path,
        at: Option<usize>,
        value: &Value,
    ) -> Result<(), Refusal> {
        let path = self.place(path, at)?;
        match value {
            Value::Null => self.clear(path),
            Value::Bytes(bytes) => {
                self.adding(path, |editor| editor.set_raw(path, bytes).map(drop))
            }
            Value::String(text) => self.adding(path, |editor| {
                editor.set_raw(path, text.as_bytes()).map(drop)
            }),
            _ => Err(Refusal::Other(format!(
                "cannot write {path}: raw content must be a string"
            ))),
        }
    }

    fn clear(&mut self, path: Path) -> Result<(), Refusal> {
        self.editor.remove(path)?;
        Ok(())
    }

    /// Does a write that may add the segment, and keeps the list of segments true.
    fn adding(
        &mut self,
        path: Path,
        act: impl FnOnce(&mut Editor) -> Result<(), EditError>,
    ) -> Result<(), Refusal> {
        act(&mut self.editor)?;
        let wanted = path.occurrence().unwrap_or(1);
        if self.count(path.segment()) < wanted as usize {
            self.lines.push(Line {
                name: path.segment().to_owned(),
                origin: 0,
            });
        }
        Ok(())
    }

    fn write(&mut self, path: Path, value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Null => self.clear(path),
            Value::Array(items) if path.component().is_none() && path.repetition().is_none() => {
                self.clear(path)?;
                for (index, item) in items.iter().enumerate() {
                    let number = u16::try_from(index + 1).map_err(|_| {
                        Refusal::Other(format!("cannot write {path}: too many repetitions"))
                    })?;
                    if *item != Value::Null {
                        self.write(path.in_repetition(number), item)?;
                    }
                }
                Ok(())
            }
            Value::Object(parts) if path.component().is_none() => {
                self.clear(path)?;
                for (key, part) in parts {
                    let below = below(path, key)?;
                    if *part != Value::Null {
                        self.write(below, part)?;
                    }
                }
                Ok(())
            }
            Value::Array(_) | Value::Object(_) | Value::Regex(_) => Err(Refusal::Other(format!(
                "cannot write {path}: a value must be a string, number, boolean, time or null; an array gives a field's repetitions and an object (keys \"1\", \"2.1\") its components"
            ))),
            scalar => {
                let text = text(scalar);
                self.adding(path, |editor| editor.set(path, &text).map(drop))
            }
        }
    }

    /// Takes out a segment, all segments of a name, or a value.
    pub(crate) fn delete(&mut self, path: Path, at: Option<usize>) -> Result<(), Refusal> {
        let all = at.is_none() && path.occurrence().is_none();
        let path = self.place(path, at)?;
        if path.field().is_some() {
            return self.clear(path);
        }
        if all {
            self.editor.remove_segments(path.segment())?;
            self.lines.retain(|line| line.name != path.segment());
            return Ok(());
        }
        self.editor.remove(path)?;
        let nth = path.occurrence().unwrap_or(1) as usize - 1;
        let index = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.name == path.segment())
            .nth(nth)
            .map(|(index, _)| index);
        if let Some(index) = index {
            self.lines.remove(index);
        }
        Ok(())
    }

    /// Adds a segment: after the last one named `after`, where there is one, else at the end.
    pub(crate) fn append(
        &mut self,
        name: Path,
        after: Option<Path>,
        fields: &ObjectMap,
    ) -> Result<(), Refusal> {
        let last = after.and_then(|after| {
            self.lines
                .iter()
                .rposition(|line| line.name == after.segment())
                .zip(Some(after))
        });
        let line = Line {
            name: name.segment().to_owned(),
            origin: 0,
        };
        let added = if let Some((index, after)) = last {
            let occurrence = u32::try_from(self.count(after.segment())).unwrap_or(u32::MAX);
            self.lines.insert(index + 1, line);
            self.editor
                .insert_after(after.in_occurrence(occurrence), name.segment())?
        } else {
            self.lines.push(line);
            self.editor.add_segment(name.segment())?
        };
        let occurrence = added.occurrence().unwrap_or(1);
        for (key, value) in fields {
            self.write(field_key(name, key)?.in_occurrence(occurrence), value)?;
        }
        Ok(())
    }

    /// Writes fields of the one segment that `name` is, as MSH.
    pub(crate) fn fill(&mut self, name: Path, fields: &ObjectMap) -> Result<(), Refusal> {
        fields
            .iter()
            .try_for_each(|(key, value)| self.write(field_key(name, key)?, value))
    }

    /// Adds a copy of a segment of the input, byte for byte.
    pub(crate) fn copy(&mut self, segment: Segment<'_>) -> Result<(), Refusal> {
        let added = self.editor.add_segment(segment.name())?;
        self.lines.push(Line {
            name: segment.name().to_owned(),
            origin: 0,
        });
        let occurrence = added.occurrence().unwrap_or(1);
        for (index, field) in segment.fields().enumerate() {
            if !field.is_empty() {
                let path = Path::parse(&format!("{}-{}", segment.name(), index + 1))
                    .map_err(EditError::from)?;
                self.editor
                    .set_raw(path.in_occurrence(occurrence), field.bytes())?;
            }
        }
        Ok(())
    }
}

/// The field that a key of a segment's object names: `"5"`, `"5.2"` or `"PID-5.2"`.
pub(crate) fn field_key(segment: Path, key: &str) -> Result<Path, Refusal> {
    let own = format!("{}-{key}", segment.segment());
    let text = if key.starts_with(|c: char| c.is_ascii_digit()) {
        own.as_str()
    } else {
        key
    };
    let path = Path::parse(text).map_err(EditError::from)?;
    if path.segment() != segment.segment()
        || path.field().is_none()
        || path.occurrence().is_some()
        || path.is_delimiters()
    {
        return Err(Refusal::Other(format!(
            "cannot write {text:?} into a {0} segment: name its fields \"5\", \"5.2\" or \"{0}-5.2\"",
            segment.segment()
        )));
    }
    Ok(path)
}

/// The component or subcomponent that a key of a field's object names.
fn below(path: Path, key: &str) -> Result<Path, Refusal> {
    let mut text = path.to_string();
    text.push('.');
    text.push_str(key);
    Path::parse(&text).map_err(|_| {
        Refusal::Other(format!(
            "cannot write into {path}: the keys of its components are \"1\", \"2\" or \"2.1\""
        ))
    })
}

/// A scalar as HL7 writes it: booleans are Y and N (HL7 table 0136).
fn text(value: &Value) -> String {
    match value {
        Value::Boolean(true) => "Y".to_owned(),
        Value::Boolean(false) => "N".to_owned(),
        Value::Timestamp(_) => {
            let text = value.to_string_lossy();
            to_hl7(&text, None, Wanted::Second).unwrap_or_else(|_| text.into_owned())
        }
        other => other.to_string_lossy().into_owned(),
    }
}
