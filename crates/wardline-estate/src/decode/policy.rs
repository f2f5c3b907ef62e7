//! `policies/*.cedar`: text, and the names that decisions carry.

use super::Decoder;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::PolicyFile;
use crate::source::{FileId, Span};
use std::collections::BTreeMap;
use std::path::PathBuf;

impl Decoder<'_> {
    /// The policies of these files. What they say is for others to judge; here only their names
    /// must differ, because a decision names the file that made it.
    pub(super) fn policies(&mut self, paths: &[PathBuf]) -> BTreeMap<String, PolicyFile> {
        let mut policies = BTreeMap::new();
        for path in paths {
            let Some(file) = self.files.text(path, TEXT_LIMIT) else {
                continue;
            };
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default()
                .to_owned();
            let start = |file: FileId| Span::new(file, 0, 0);
            let policy = PolicyFile {
                name: name.clone(),
                path: path.clone(),
                file,
                text: self.files.sources.text(file).into(),
            };
            if let Some(first) = policies.get(&name) {
                let first: &PolicyFile = first;
                self.files.problems.push(
                    Diagnostic::error(
                        codes::DUPLICATE_NAME,
                        format!("there are two files of policies named `{name}.cedar`"),
                    )
                    .at(start(file))
                    .label("again here")
                    .related(start(first.file), "first here")
                    .help("rename one of them; a decision names the file that made it"),
                );
            } else {
                policies.insert(name, policy);
            }
        }
        policies
    }
}
