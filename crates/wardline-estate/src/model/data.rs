//! What the data means: canonical entities and code tables.

use crate::source::{FileId, Span, Spanned};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use wardline_core::Sensitivity;

/// A canonical entity: what *encounter* means here.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// Its version, `major.minor.patch`.
    pub version: String,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its JSON Schema, draft 2020-12 unless the schema says otherwise.
    pub schema: Arc<serde_json::Value>,
    /// The schema's text.
    pub schema_file: FileId,
    /// The schema's path relative to the estate directory.
    pub schema_path: PathBuf,
    /// The class of attributes, by dotted path.
    pub sensitivity: BTreeMap<String, Sensitivity>,
    /// Attributes by which people search, by the name of the key.
    pub keys: BTreeMap<String, Spanned<String>>,
    /// Who owns the record.
    pub record: Option<RecordOwner>,
}

impl Entity {
    /// The class of an attribute, by dotted path: what is declared for it or for the nearest
    /// attribute that holds it. Items of a list have no name of their own (`lines.amount`).
    ///
    /// `None` means that nothing was said: it is not classified.
    pub fn class_of(&self, path: &str) -> Option<Sensitivity> {
        let mut path = path;
        loop {
            if let Some(class) = self.sensitivity.get(path) {
                return Some(*class);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    /// The highest class of any attribute.
    pub fn highest_class(&self) -> Option<Sensitivity> {
        self.sensitivity.values().max().copied()
    }
}

/// Which system owns an entity's records.
#[derive(Clone, Debug)]
pub struct RecordOwner {
    /// The system of record.
    pub master: Spanned<String>,
    /// Attributes that another system owns.
    pub attributes: BTreeMap<String, Spanned<String>>,
}

/// A code table: from one vocabulary to another.
#[derive(Clone, Debug)]
pub struct CodeTable {
    /// Its name: that of its file.
    pub name: String,
    /// The file of its rows.
    pub file: FileId,
    /// Its rows in the order of the file; no `from` occurs twice.
    pub entries: Vec<CodeEntry>,
    /// What a code without a row becomes.
    pub otherwise: Otherwise,
}

/// One row of a code table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeEntry {
    /// The code that comes in.
    pub from: String,
    /// The code that goes out.
    pub to: String,
    /// What it means.
    pub description: Option<String>,
}

/// What a code without a row becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The map fails.
    Error,
    /// It stays as it is.
    Keep,
    /// Always this.
    Value(String),
}
