//! `codes/*.csv`, and `codes/*.yaml` with settings of a table.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TABLE_LIMIT;
use crate::model::{CodeEntry, CodeTable, Otherwise};
use crate::shape::data::CODES;
use crate::source::{FileId, Span};
use crate::suggest;
use crate::value;
use crate::yaml::Node;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

impl Decoder<'_> {
    pub(super) fn code_tables(
        &mut self,
        files: &[PathBuf],
        settings: &[Node],
    ) -> BTreeMap<String, CodeTable> {
        let mut tables = BTreeMap::new();
        for path in files {
            if let Some(table) = self.code_table(path) {
                tables.insert(table.name.clone(), table);
            }
        }
        for node in settings {
            let view = View::new(Some(node), &CODES);
            let Some(name) = view.text("codes") else {
                continue;
            };
            match tables.get_mut(&name.value) {
                Some(table) => table.otherwise = otherwise(view.get("otherwise")),
                None => self.files.problems.push(
                    Diagnostic::warning(
                        codes::UNUSED_CODES,
                        format!("there is no `codes/{}.csv`", suggest::clip(&name.value)),
                    )
                    .at(name.at)
                    .help_if(suggest::did_you_mean(
                        &name.value,
                        tables.keys().map(String::as_str),
                    )),
                ),
            }
        }
        tables
    }

    fn code_table(&mut self, path: &Path) -> Option<CodeTable> {
        let name = path.file_stem()?.to_str()?.to_owned();
        if let Err(why) = value::name(&name) {
            let problem = Diagnostic::error(
                codes::BAD_NAME,
                format!("`{}` is not the name of a code table", path.display()),
            );
            self.files.problems.push(
                problem.with_note(why).help_if(
                    suggest::nearest_name(&name).map(|name| format!("call it `{name}.csv`")),
                ),
            );
            return None;
        }
        let file = self.files.text(path, TABLE_LIMIT)?;
        let mut table = CodeTable {
            name,
            file,
            entries: Vec::new(),
            otherwise: Otherwise::Error,
        };
        let problems = read_rows(self.files.sources.text(file), file, &mut table.entries);
        self.files.problems.extend(problems);
        Some(table)
    }
}

fn otherwise(node: Option<&Node>) -> Otherwise {
    let Some(node) = node else {
        return Otherwise::Error;
    };
    if let Some(value) = node.get("value").and_then(Node::text) {
        return Otherwise::Value(value.value);
    }
    match node.scalar().map(|scalar| scalar.text.as_str()) {
        Some("keep") => Otherwise::Keep,
        _ => Otherwise::Error,
    }
}

/// A hundred wrong rows say no more than twenty.
const MOST_PROBLEMS: usize = 20;

fn read_rows(text: &str, file: FileId, entries: &mut Vec<CodeEntry>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut columns = 0;
    for (index, row) in reader.records().enumerate() {
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let at = error.position().map_or(0, csv::Position::byte);
                problems.push(
                    Diagnostic::error(codes::BAD_TABLE, "this row cannot be read")
                        .at(line_at(text, file, at)),
                );
                break;
            }
        };
        let at = line_at(text, file, row.position().map_or(0, csv::Position::byte));
        if index == 0 {
            columns = row.len();
            if !matches!(
                row.iter().collect::<Vec<_>>().as_slice(),
                ["from", "to"] | ["from", "to", "description"]
            ) {
                problems.push(
                    Diagnostic::error(
                        codes::BAD_TABLE,
                        "the header must be `from,to` or `from,to,description`",
                    )
                    .at(at),
                );
                break;
            }
            continue;
        }
        let cells: Vec<&str> = row.iter().collect();
        let [from, to, rest @ ..] = cells.as_slice() else {
            problems.push(
                Diagnostic::error(codes::BAD_TABLE, "a row needs at least `from` and `to`").at(at),
            );
            continue;
        };
        if row.len() > columns {
            let problem = Diagnostic::error(
                codes::BAD_TABLE,
                format!("the row has {} columns, the header {columns}", row.len()),
            );
            problems.push(problem.at(at).help("quote a text that contains a comma"));
            continue;
        }
        if let Some(first) = seen.get(*from) {
            problems.push(
                Diagnostic::error(
                    codes::DUPLICATE_CODE,
                    format!("the code `{}` occurs twice", suggest::clip(from)),
                )
                .at(at)
                .label("again here")
                .related(*first, "first here"),
            );
            continue;
        }
        seen.insert((*from).to_owned(), at);
        let description = rest
            .first()
            .filter(|text| !text.is_empty())
            .map(|text| (*text).to_owned());
        entries.push(CodeEntry {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            description,
        });
    }
    problems
}

/// The line that starts at or after a byte, where the reader stood before it skipped blank lines.
fn line_at(text: &str, file: FileId, byte: u64) -> Span {
    let mut start = usize::try_from(byte).unwrap_or(usize::MAX).min(text.len());
    while text
        .as_bytes()
        .get(start)
        .is_some_and(|b| matches!(b, b'\n' | b'\r'))
    {
        start += 1;
    }
    let rest = text.get(start..).unwrap_or("");
    let end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
    Span::new(
        file,
        u32::try_from(start).unwrap_or(u32::MAX),
        u32::try_from(end).unwrap_or(u32::MAX),
    )
}
