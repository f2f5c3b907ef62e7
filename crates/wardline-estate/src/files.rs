//! Reading an estate's files: inside its directory only, bounded, and each at most once.

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{FileId, SourceMap, Spanned};
use crate::suggest;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Declarations, maps and schemas: the largest that people write are a few hundred KiB.
pub(crate) const TEXT_LIMIT: u64 = 4 << 20;
/// Code tables come from terminologies with hundreds of thousands of rows.
pub(crate) const TABLE_LIMIT: u64 = 64 << 20;
/// Fixtures may hold a large document in an OBX-5.
pub(crate) const FIXTURE_LIMIT: u64 = 128 << 20;
/// Directories below `systems/` and the like.
const MAX_DEPTH: usize = 8;

/// The files of one estate and what was wrong with reading them.
pub(crate) struct Files {
    root: PathBuf,
    pub(crate) sources: SourceMap,
    pub(crate) problems: Diagnostics,
}

impl Files {
    /// Files below `root`, which must be canonical.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            sources: SourceMap::new(),
            problems: Diagnostics::new(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is such a file or directory.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Files below a directory whose name ends in one of `endings`, sorted. Others, unless they are
    /// among `tolerated` endings, are reported as ignored.
    pub(crate) fn list(
        &mut self,
        directory: &str,
        endings: &[&str],
        tolerated: &[&str],
    ) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if self.exists(directory) {
            self.walk(Path::new(directory), endings, tolerated, 0, &mut found);
        }
        found.sort();
        found
    }

    fn walk(
        &mut self,
        directory: &Path,
        endings: &[&str],
        tolerated: &[&str],
        depth: usize,
        found: &mut Vec<PathBuf>,
    ) {
        let entries = match fs::read_dir(self.root.join(directory)) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(directory, &error),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable(directory, &error),
            };
            let name = entry.file_name();
            let Some(text) = name.to_str() else {
                self.problems.push(Diagnostic::error(
                    codes::NOT_UTF8,
                    format!(
                        "a file in `{}` has a name that is not UTF-8",
                        directory.display()
                    ),
                ));
                continue;
            };
            // Editors and version control keep their own files under names that start with a dot.
            if text.starts_with('.') {
                continue;
            }
            let path = directory.join(text);
            // A symbolic link is followed once, when the file is read; never while walking.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < MAX_DEPTH {
                    self.walk(&path, endings, tolerated, depth + 1, found);
                }
            } else if endings.iter().any(|ending| text.ends_with(ending)) {
                found.push(path);
            } else if !tolerated.iter().any(|ending| text.ends_with(ending)) {
                let expected: Vec<_> = endings
                    .iter()
                    .map(|ending| format!("`*{ending}`"))
                    .collect();
                self.problems.push(
                    Diagnostic::warning(
                        codes::IGNORED_FILE,
                        format!("nothing reads `{}`", path.display()),
                    )
                    .help(format!("files here are {}", expected.join(" or "))),
                );
            }
        }
    }

    /// Reads a text file, once however often it is asked for. `None` after reporting why not.
    pub(crate) fn text(&mut self, path: &Path, limit: u64) -> Option<FileId> {
        if let Some(known) = self.sources.find(path) {
            return Some(known);
        }
        let bytes = self.bytes(path, limit)?;
        match String::from_utf8(bytes) {
            Ok(text) => {
                // A byte order mark is no part of the text.
                let text = text
                    .strip_prefix('\u{feff}')
                    .map_or(text.as_str(), |rest| rest);
                Some(self.sources.add(path, text))
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].split(|&b| b == b'\n').count();
                self.problems.push(
                    Diagnostic::error(
                        codes::NOT_UTF8,
                        format!("`{}` is not UTF-8 (line {line})", path.display()),
                    )
                    .help("save it as UTF-8"),
                );
                None
            }
        }
    }

    /// Reads a file's bytes. `None` after reporting why not.
    pub(crate) fn bytes(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        if !self.is_inside(path) {
            self.problems.push(Diagnostic::error(
                codes::OUTSIDE,
                format!(
                    "`{}` leads out of the estate through a symbolic link",
                    path.display()
                ),
            ));
            return None;
        }
        let mut bytes = Vec::new();
        // A device or pipe could block or never end, so only regular files are opened.
        let full = self.root.join(path);
        let read = fs::metadata(&full).and_then(|about| {
            if about.is_file() {
                fs::File::open(&full)?
                    .take(limit + 1)
                    .read_to_end(&mut bytes)
            } else {
                Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "not a regular file",
                ))
            }
        });
        match read {
            Err(error) => {
                self.unreadable(path, &error);
                None
            }
            Ok(_) if bytes.len() as u64 > limit => {
                self.problems.push(Diagnostic::error(
                    codes::TOO_LARGE,
                    format!("`{}` has more than {} MiB", path.display(), limit >> 20),
                ));
                None
            }
            Ok(_) => Some(bytes),
        }
    }

    /// The file that `written` names, relative to `base` (a directory of the estate). `None` after
    /// reporting why there is none.
    pub(crate) fn refer(&mut self, base: &str, written: &Spanned<String>) -> Option<PathBuf> {
        let mut path = PathBuf::from(base);
        for component in Path::new(&written.value).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    self.problems.push(
                        Diagnostic::error(
                            codes::OUTSIDE,
                            format!(
                                "`{}` leads out of the estate",
                                suggest::clip(&written.value)
                            ),
                        )
                        .at(written.at)
                        .help("paths are relative to the estate directory and have no `..`"),
                    );
                    return None;
                }
            }
        }
        let full = self.root.join(&path);
        if !full.is_file() {
            let suggestion = self.similar(&path);
            self.problems.push(
                Diagnostic::error(
                    codes::NO_FILE,
                    format!("there is no file `{}`", path.display()),
                )
                .at(written.at)
                .help_if(suggestion.map(|near| format!("did you mean `{near}`?"))),
            );
            return None;
        }
        if !self.is_inside(&path) {
            self.problems.push(
                Diagnostic::error(
                    codes::OUTSIDE,
                    format!(
                        "`{}` leads out of the estate through a symbolic link",
                        path.display()
                    ),
                )
                .at(written.at),
            );
            return None;
        }
        Some(path)
    }

    fn is_inside(&self, path: &Path) -> bool {
        self.root
            .join(path)
            .canonicalize()
            .map_or(true, |real| real.starts_with(&self.root))
    }

    /// A file in the same directory with a similar name.
    fn similar(&self, path: &Path) -> Option<String> {
        let directory = path.parent()?;
        let wanted = path.file_name()?.to_str()?;
        let names: Vec<String> = fs::read_dir(self.root.join(directory))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let near = suggest::nearest(wanted, names.iter().map(String::as_str))?;
        Some(directory.join(near).display().to_string())
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.problems.push(
            Diagnostic::error(
                codes::UNREADABLE,
                format!("`{}` cannot be read: {}", path.display(), reason(error)),
            )
            .help("check that it exists and that this user may read it"),
        );
    }
}

/// The operating system's reason, without the number that only programmers want.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}
