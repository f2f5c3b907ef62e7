//! Where text came from: files, byte ranges in them, and values that remember their place.
//!
//! Everything a later step may complain about carries a [`Span`], so that the complaint can show
//! the line that caused it. Expressions live inside YAML scalars; [`Spanned::inner`] maps a byte
//! offset within such an expression back to the file that holds it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a declaration says, wherever it stands: two that say the same have the same text, though
/// one moved to another line or file. It is for comparing, not for showing.
///
/// ```
/// use wardline_estate::{FileId, Span, Spanned, said};
/// let above = Spanned::new("a".to_owned(), Span::new(FileId(0), 4, 5));
/// let below = Spanned::new("a".to_owned(), Span::new(FileId(3), 90, 91));
/// assert_eq!(said(&above), said(&below));
/// ```
pub fn said(declaration: &impl fmt::Debug) -> String {
    // The formatter hands its flags down to every part, so places know that they are not wanted.
    // Nothing else heeds this one, and a key that is added to the model is compared by itself.
    format!("{declaration:-?}")
}

/// A file of the estate, by its position in the [`SourceMap`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.sign_minus() {
            return f.write_str("_");
        }
        f.debug_tuple("FileId").field(&self.0).finish()
    }
}

/// A range of bytes in one file; `start` is inclusive, `end` exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Of what stands in no file that was read.
    pub const NOWHERE: Self = Self {
        file: FileId(u32::MAX),
        start: 0,
        end: 0,
    };
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.sign_minus() {
            return f.write_str("_");
        }
        f.debug_struct("Span")
            .field("file", &self.file)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish()
    }
}

impl Span {
    /// A span of `file`, from byte `start` up to but without byte `end`.
    pub const fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }
}

/// How the characters of a YAML scalar lie in its file.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// The value stands in the file byte for byte, from this offset.
    Verbatim(u32),
    /// A literal block (`|`): every line of the value stands in the file after `indent` blanks;
    /// the first line begins (blanks included) at `start`.
    Block {
        /// Offset of the first byte of the first content line.
        start: u32,
        /// Blanks before the content of each line.
        indent: u32,
    },
    /// Escapes or folded lines: offsets cannot be mapped, only the whole scalar can be shown.
    #[default]
    Opaque,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            _ if f.sign_minus() => f.write_str("_"),
            Self::Verbatim(base) => f.debug_tuple("Verbatim").field(base).finish(),
            Self::Block { start, indent } => f
                .debug_struct("Block")
                .field("start", start)
                .field("indent", indent)
                .finish(),
            Self::Opaque => f.write_str("Opaque"),
        }
    }
}

/// A value and the place that said so.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Span,
    /// How its text lies in the file; meaningful for text only.
    pub layout: Layout,
}

impl<T> Spanned<T> {
    /// A value whose inner offsets need no mapping.
    pub const fn new(value: T, at: Span) -> Self {
        Self {
            value,
            at,
            layout: Layout::Opaque,
        }
    }

    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            value: change(self.value),
            at: self.at,
            layout: self.layout,
        }
    }
}

/// What is kept of a declaration beyond its file keeps the value alone.
impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self::new(value, Span::NOWHERE))
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl Spanned<String> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// The file range of the bytes `range` of this text: exact where the text stands in the file
    /// as it is (plain or quoted without escapes on one line, or a literal block), otherwise the
    /// whole scalar. A compiler of embedded expressions uses this for its own diagnostics.
    pub fn inner(&self, range: Range<usize>, sources: &SourceMap) -> Span {
        let limit = |at: usize| u32::try_from(at.min(self.value.len())).unwrap_or(u32::MAX);
        match self.layout {
            Layout::Opaque => self.at,
            Layout::Verbatim(base) => Span::new(
                self.at.file,
                base.saturating_add(limit(range.start)),
                base.saturating_add(limit(range.end.max(range.start))),
            ),
            Layout::Block { start, indent } => {
                let text = sources.text(self.at.file);
                let place = |at: usize| block_offset(&self.value, text, start, indent, at);
                match (place(range.start), place(range.end.max(range.start))) {
                    (Some(from), Some(to)) => Span::new(self.at.file, from, to.max(from)),
                    _ => self.at,
                }
            }
        }
    }
}

/// The offset in `file_text` of byte `at` of a literal block's value.
fn block_offset(value: &str, file_text: &str, start: u32, indent: u32, at: usize) -> Option<u32> {
    let before = value.get(..at.min(value.len()))?;
    let line = before.bytes().filter(|&b| b == b'\n').count();
    let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
    let block = file_text.get(start as usize..)?;
    let mut line_start = 0;
    for _ in 0..line {
        line_start += block.get(line_start..)?.find('\n')? + 1;
    }
    let length = block
        .get(line_start..)?
        .find('\n')
        .unwrap_or(block.len() - line_start);
    // A blank line may be shorter than the indentation.
    let column = (indent as usize + column).min(length);
    u32::try_from(start as usize + line_start + column).ok()
}

/// One file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path relative to the estate directory, with forward slashes.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    lines: Vec<u32>,
}

/// All files that were read, by [`FileId`].
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    by_path: HashMap<PathBuf, FileId>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file under its path relative to the estate directory.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> FileId {
        let (path, text) = (path.into(), text.into());
        let newlines = text.bytes().enumerate().filter(|&(_, b)| b == b'\n');
        let after = newlines.filter_map(|(at, _)| u32::try_from(at + 1).ok());
        let lines = std::iter::once(0).chain(after).collect();
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.by_path.insert(path.clone(), id);
        self.files.push(SourceFile { path, text, lines });
        id
    }

    /// The file, if there is one of that id.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// The file read from `path` (relative to the estate directory).
    pub fn find(&self, path: &Path) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    /// The text of a file; empty for an id of another map.
    pub fn text(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.text)
    }

    /// The path of a file relative to the estate directory; empty for an id of another map.
    pub fn path(&self, id: FileId) -> &Path {
        self.file(id).map_or(Path::new(""), |file| &file.path)
    }

    /// The text a span covers.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file)
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Blots out a text that must not be shown, such as a password that somebody wrote into a file.
    /// Places stay as they are: every byte but those of line ends becomes an asterisk.
    pub(crate) fn mask(&mut self, span: Span) {
        let Some(file) = self.files.get_mut(span.file.0 as usize) else {
            return;
        };
        let mut bytes = file.text.as_bytes().to_vec();
        let end = (span.end as usize).min(bytes.len());
        for byte in bytes
            .get_mut(span.start as usize..end)
            .into_iter()
            .flatten()
        {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            file.text = text.into();
        }
    }

    /// Line and column, both counted from 1, of the start of a span. Columns count characters.
    pub fn line_column(&self, span: Span) -> (u32, u32) {
        let Some(file) = self.file(span.file) else {
            return (1, 1);
        };
        let line = file
            .lines
            .partition_point(|&start| start <= span.start)
            .max(1);
        let start = file.lines.get(line - 1).copied().unwrap_or(0);
        let column = file
            .text
            .get(start as usize..span.start as usize)
            .map_or(0, |text| text.chars().count());
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column + 1).unwrap_or(u32::MAX),
        )
    }

    /// `file:line:column` of a span, as editors and terminals like it.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.line_column(span);
        format!("{}:{line}:{column}", self.path(span.file).display())
    }

    /// All files in the order in which they were read.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0..).map(FileId).zip(&self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> SourceMap {
        let mut sources = SourceMap::new();
        sources.add("a.yaml", text);
        sources
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let sources = map("ab\nçd: e\n");
        let span = Span::new(FileId(0), 7, 8);
        assert_eq!(sources.place(span), "a.yaml:2:4");
        assert_eq!(sources.slice(span), " ");
    }

    #[test]
    fn inner_offsets_map_through_verbatim_text() {
        let sources = map("when: .a == 1\n");
        let when = Spanned {
            value: ".a == 1".to_owned(),
            at: Span::new(FileId(0), 6, 13),
            layout: Layout::Verbatim(6),
        };
        assert_eq!(sources.slice(when.inner(3..5, &sources)), "==");
        assert_eq!(when.inner(100..200, &sources), Span::new(FileId(0), 13, 13));
    }

    #[test]
    fn inner_offsets_map_through_a_block() {
        let sources = map("when: |\n  .a &&\n\n  .bcd\nkey: x\n");
        let when = Spanned {
            value: ".a &&\n\n.bcd\n".to_owned(),
            at: Span::new(FileId(0), 6, 24),
            layout: Layout::Block {
                start: 8,
                indent: 2,
            },
        };
        assert_eq!(sources.slice(when.inner(0..2, &sources)), ".a");
        assert_eq!(sources.slice(when.inner(7..11, &sources)), ".bcd");
        assert_eq!(sources.slice(when.inner(3..8, &sources)), "&&\n\n  .");
    }

    #[test]
    fn opaque_text_points_at_the_whole_scalar() {
        let sources = map("when: \"a\\tb\"\n");
        let when = Spanned::new("a\tb".to_owned(), Span::new(FileId(0), 6, 12));
        assert_eq!(sources.slice(when.inner(2..3, &sources)), "\"a\\tb\"");
    }
}
