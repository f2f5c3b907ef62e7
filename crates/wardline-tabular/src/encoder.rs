//! A file, row by row.

use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cell::Refused;
use crate::column::Column;
use crate::parquet::Parquet;
use crate::text;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "csv" => Self::Csv,
            "ndjson" => Self::Ndjson,
            "parquet" => Self::Parquet,
            _ => return Err(()),
        })
    }
}

/// The format needs columns, and none are declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this format needs columns")]
pub struct NoColumns;

/// Writes one file. Bytes are put behind those that a buffer holds; the caller may take them away
/// between any two calls.
#[derive(Debug)]
pub struct Encoder {
    columns: Arc<[Column]>,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    /// Whether the header is still to be written.
    Csv(bool),
    Ndjson,
    Parquet(Box<Parquet>),
}

impl Encoder {
    /// Begins a file.
    ///
    /// # Errors
    /// Where the format needs columns and there are none.
    pub fn new(format: Format, columns: Arc<[Column]>) -> Result<Self, NoColumns> {
        if columns.is_empty() && format != Format::Ndjson {
            return Err(NoColumns);
        }
        let inner = match format {
            Format::Csv => Inner::Csv(true),
            Format::Ndjson => Inner::Ndjson,
            Format::Parquet => Inner::Parquet(Box::new(Parquet::new(&columns))),
        };
        Ok(Self { columns, inner })
    }

    /// Adds a row. Members that are no column are left out.
    ///
    /// # Errors
    /// Where a value does not fit its column; nothing of the row is written then.
    pub fn row(&mut self, row: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Refused> {
        match &mut self.inner {
            Inner::Csv(head) => {
                if std::mem::take(head) {
                    text::csv_head(&self.columns, out);
                }
                text::csv(&self.columns, row, out)
            }
            Inner::Ndjson => text::ndjson(&self.columns, row, out),
            Inner::Parquet(parquet) => parquet.row(&self.columns, row, out),
        }
    }

    /// Ends the file. One without rows has its header or schema all the same.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        match &mut self.inner {
            Inner::Csv(true) => text::csv_head(&self.columns, out),
            Inner::Csv(false) | Inner::Ndjson => {}
            Inner::Parquet(parquet) => parquet.finish(&self.columns, out),
        }
    }
}
