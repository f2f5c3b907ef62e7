//! CSV and NDJSON.

use std::io::Write as _;

use serde_json::{Map, Value};

use crate::cell::{Cell, Refused, decimal_text, read};
use crate::column::{Column, Kind};

/// A line of CSV (RFC 4180). Nothing there and an empty text differ: the latter is quoted.
pub(crate) fn csv(
    columns: &[Column],
    row: &Map<String, Value>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let begin = out.len();
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match read(column, row) {
            Ok(cell) => csv_cell(column.kind, &cell, out),
            Err(refused) => {
                out.truncate(begin);
                return Err(refused);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

pub(crate) fn csv_head(columns: &[Column], out: &mut Vec<u8>) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        quoted(&column.name, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn csv_cell(kind: Kind, cell: &Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => {}
        Cell::Text(text) => quoted(text, out),
        cell => out.extend_from_slice(plain(kind, cell).as_bytes()),
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    let needs = text.is_empty()
        || text.contains(['"', ',', '\r', '\n'])
        || text.starts_with(' ')
        || text.ends_with(' ');
    if needs {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// The one way in which a value is written as text.
fn plain(kind: Kind, cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => text.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Decimal(units) => match kind {
            Kind::Decimal { scale, .. } => decimal_text(*units, scale),
            _ => units.to_string(),
        },
        Cell::Boolean(is) => is.to_string(),
        Cell::Date(days) => {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = epoch.checked_add(jiff::Span::new().days(*days));
            day.map_or_else(|_| String::new(), |day| day.to_string())
        }
        Cell::Time(micros) => jiff::Timestamp::from_microsecond(*micros)
            .map_or_else(|_| String::new(), |moment| moment.to_string()),
    }
}

/// A line of JSON: the columns, or all of the row where none are declared.
pub(crate) fn ndjson(
    columns: &[Column],
    row: &Map<String, Value>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let begin = out.len();
    if columns.is_empty() {
        json(row, out);
    } else {
        let mut line = Map::new();
        for column in columns {
            let cell = read(column, row)?;
            let value = match (&cell, column.kind) {
                (Cell::Null, _) => Value::Null,
                (_, Kind::Json) => row.get(&column.name).cloned().unwrap_or_default(),
                (Cell::Integer(number), _) => (*number).into(),
                (Cell::Boolean(is), _) => (*is).into(),
                (cell, kind) => plain(kind, cell).into(),
            };
            line.insert(column.name.clone(), value);
        }
        json(&line, out);
    }
    debug_assert!(out.len() > begin, "a line is never empty");
    out.push(b'\n');
    Ok(())
}

fn json(line: &Map<String, Value>, out: &mut Vec<u8>) {
    // Texts as keys, and a buffer that grows: neither can fail.
    let written = serde_json::to_writer(&mut *out, line);
    debug_assert!(written.is_ok(), "JSON into memory");
    let flushed = out.flush();
    debug_assert!(flushed.is_ok(), "memory needs no flushing");
}
