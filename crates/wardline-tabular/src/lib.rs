//! Rows as files: CSV (RFC 4180), NDJSON and Parquet, with columns that are declared and not guessed.
//!
//! What is promised:
//! - The same rows make the same bytes.
//! - Amounts are exact: a decimal is read from its text, and what does not fit its column is refused,
//!   never rounded or cut.
//! - Memory is bounded by a group of rows, whatever the size of the file.
//! - No refusal quotes a value: it names the column and what was expected.
//!
//! Begin with [`Column`], [`Format`] and [`Encoder`]. Nothing of the platform is known here, and nothing
//! is read or written: bytes are put behind those of a buffer that the caller takes away.
//!
//! ```
//! use wardline_tabular::{Column, Encoder, Format};
//!
//! let columns = [Column::new("item", "text")?, Column::new("price", "decimal(12,2)")?];
//! let mut encoder = Encoder::new(Format::Csv, columns.into())?;
//! let mut out = Vec::new();
//! let row = serde_json::json!({ "item": "gauze, sterile", "price": "4.5" });
//! encoder.row(row.as_object().unwrap(), &mut out)?;
//! encoder.finish(&mut out);
//! assert_eq!(out, b"item,price\r\n\"gauze, sterile\",4.50\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cell;
mod column;
mod encoder;
mod parquet;
mod text;
mod thrift;

pub use cell::{Refused, check};
pub use column::{BadColumn, Column, Kind};
pub use encoder::{Encoder, Format, NoColumns};
