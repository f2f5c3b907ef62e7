//! Parquet files, version 1: groups of rows, a page for each column, plain values packed by
//! Zstandard, and the footer that says where everything is.
//!
//! Written here rather than by the `parquet` crate, which brings many others and reads as well:
//! flat rows of seven kinds need no more than this, and what others read of it is tested with Arrow.

use serde_json::{Map, Value};

use crate::cell::{Cell, Refused, read};
use crate::column::{Column, Kind};
use crate::thrift::{Struct, varint};

const MAGIC: &[u8; 4] = b"PAR1";
/// Rows of a group at most.
const ROWS: usize = 65_536;
/// Bytes of a group at most, before they are packed.
const BYTES: usize = 16 << 20;

/// Numbers of the format.
mod is {
    pub(super) const BOOLEAN: i32 = 0;
    pub(super) const INT32: i32 = 1;
    pub(super) const INT64: i32 = 2;
    pub(super) const BYTE_ARRAY: i32 = 6;
    pub(super) const FIXED: i32 = 7;
    pub(super) const OPTIONAL: i32 = 1;
    pub(super) const PLAIN: i32 = 0;
    pub(super) const RLE: i32 = 3;
    pub(super) const ZSTD: i32 = 6;
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Parquet {
    /// Bytes of the file so far.
    at: u64,
    rows: u64,
    buffers: Vec<Buffer>,
    groups: Vec<Group>,
}

/// Values of one column of the group that is being filled.
#[derive(Debug, Default)]
struct Buffer {
    /// Which are there.
    there: Vec<bool>,
    /// Those that are, plain.
    values: Vec<u8>,
    /// Those of booleans.
    flags: Vec<bool>,
}

#[derive(Debug)]
struct Group {
    rows: u64,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    kind: Kind,
    name: String,
    at: u64,
    values: u64,
    plain: u64,
    packed: u64,
}

impl Parquet {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            at: 0,
            rows: 0,
            buffers: columns.iter().map(|_| Buffer::default()).collect(),
            groups: Vec::new(),
        }
    }

    pub(crate) fn row(
        &mut self,
        columns: &[Column],
        row: &Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let cells: Vec<Cell<'_>> = columns
            .iter()
            .map(|column| read(column, row))
            .collect::<Result<_, _>>()?;
        let mut bytes = 0;
        for ((buffer, column), cell) in self.buffers.iter_mut().zip(columns).zip(cells) {
            buffer.add(column.kind, cell);
            bytes += buffer.values.len();
        }
        let rows = self.buffers.first().map_or(0, |buffer| buffer.there.len());
        if rows >= ROWS || bytes >= BYTES {
            self.group(columns, out);
        }
        Ok(())
    }

    /// Writes what is buffered.
    fn group(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        let rows = self.buffers.first().map_or(0, |buffer| buffer.there.len());
        if rows == 0 {
            return;
        }
        let begin = self.begin(out);
        let before = out.len();
        let mut chunks = Vec::with_capacity(columns.len());
        for (buffer, column) in self.buffers.iter_mut().zip(columns) {
            let at = begin + (out.len() - before) as u64;
            let (plain, packed) = std::mem::take(buffer).page(out);
            chunks.push(Chunk {
                kind: column.kind,
                name: column.name.clone(),
                at,
                values: rows as u64,
                plain,
                packed,
            });
        }
        self.at = begin + (out.len() - before) as u64;
        self.rows += rows as u64;
        self.groups.push(Group {
            rows: rows as u64,
            chunks,
        });
    }

    /// Where the next byte goes; the mark of the format stands before all.
    fn begin(&mut self, out: &mut Vec<u8>) -> u64 {
        if self.at == 0 {
            out.extend_from_slice(MAGIC);
            self.at = MAGIC.len() as u64;
        }
        self.at
    }

    pub(crate) fn finish(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        self.group(columns, out);
        self.begin(out);
        let begin = out.len();
        let mut schema: Vec<Option<&Column>> = vec![None];
        schema.extend(columns.iter().map(Some));
        Struct::new(out)
            .int(1, 1)
            .all(2, &schema, |column, into| match column {
                None => into
                    .text(4, "schema")
                    .int(5, i32::try_from(columns.len()).unwrap_or(i32::MAX))
                    .end(),
                Some(column) => element(column, into),
            })
            .long(3, self.rows.cast_signed())
            .all(4, &self.groups, Group::write)
            .text(6, "wardline")
            .end();
        let length = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(MAGIC);
    }
}

impl Buffer {
    fn add(&mut self, kind: Kind, cell: Cell<'_>) {
        self.there.push(cell != Cell::Null);
        match cell {
            Cell::Null => {}
            Cell::Text(text) => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                self.values.extend_from_slice(&length.to_le_bytes());
                self.values.extend_from_slice(text.as_bytes());
            }
            Cell::Integer(number) | Cell::Time(number) => {
                self.values.extend_from_slice(&number.to_le_bytes());
            }
            Cell::Decimal(units) => match (physical(kind), i64::try_from(units)) {
                (is::INT64, Ok(units)) => self.values.extend_from_slice(&units.to_le_bytes()),
                // Wide decimals stand with their largest byte first.
                _ => self.values.extend_from_slice(&units.to_be_bytes()),
            },
            Cell::Boolean(is) => self.flags.push(is),
            Cell::Date(days) => self.values.extend_from_slice(&days.to_le_bytes()),
        }
    }

    /// Writes a page; gives its size before and after packing, its header included.
    fn page(self, out: &mut Vec<u8>) -> (u64, u64) {
        let mut plain = Vec::with_capacity(self.values.len() + self.there.len() / 8 + 16);
        // Which values are there: one run of bits, behind its length.
        let mut levels = Vec::new();
        varint(
            &mut levels,
            ((self.there.len().div_ceil(8) as u64) << 1) | 1,
        );
        bits(&self.there, &mut levels);
        let length = u32::try_from(levels.len()).unwrap_or(u32::MAX);
        plain.extend_from_slice(&length.to_le_bytes());
        plain.extend_from_slice(&levels);
        plain.extend_from_slice(&self.values);
        bits(&self.flags, &mut plain);
        let packed = zstd::bulk::compress(&plain, 3).unwrap_or_default();
        let size = |bytes: &[u8]| i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let begin = out.len();
        Struct::new(out)
            .int(1, 0)
            .int(2, size(&plain))
            .int(3, size(&packed))
            .within(5, |page| {
                page.int(1, i32::try_from(self.there.len()).unwrap_or(i32::MAX))
                    .int(2, is::PLAIN)
                    .int(3, is::RLE)
                    .int(4, is::RLE)
                    .end();
            })
            .end();
        let header = (out.len() - begin) as u64;
        out.extend_from_slice(&packed);
        (header + plain.len() as u64, header + packed.len() as u64)
    }
}

/// Bits, the first lowest.
fn bits(flags: &[bool], out: &mut Vec<u8>) {
    for eight in flags.chunks(8) {
        let mut byte = 0;
        for (at, flag) in eight.iter().enumerate() {
            byte |= u8::from(*flag) << at;
        }
        out.push(byte);
    }
}

impl Group {
    fn write(&self, into: Struct<'_>) {
        let plain: u64 = self.chunks.iter().map(|chunk| chunk.plain).sum();
        let packed: u64 = self.chunks.iter().map(|chunk| chunk.packed).sum();
        let at = self.chunks.first().map_or(0, |chunk| chunk.at);
        into.all(1, &self.chunks, |chunk, into| {
            into.long(2, chunk.at.cast_signed())
                .within(3, |meta| {
                    meta.int(1, physical(chunk.kind))
                        .ints(2, &[is::PLAIN, is::RLE])
                        .texts(3, &[&chunk.name])
                        .int(4, is::ZSTD)
                        .long(5, chunk.values.cast_signed())
                        .long(6, chunk.plain.cast_signed())
                        .long(7, chunk.packed.cast_signed())
                        .long(9, chunk.at.cast_signed())
                        .end();
                })
                .end();
        })
        .long(2, plain.cast_signed())
        .long(3, self.rows.cast_signed())
        .long(5, at.cast_signed())
        .long(6, packed.cast_signed())
        .end();
    }
}

/// How a kind stands in the file.
const fn physical(kind: Kind) -> i32 {
    match kind {
        Kind::Text | Kind::Json => is::BYTE_ARRAY,
        Kind::Integer | Kind::Time => is::INT64,
        Kind::Decimal { precision, .. } if precision <= 18 => is::INT64,
        Kind::Decimal { .. } => is::FIXED,
        Kind::Boolean => is::BOOLEAN,
        Kind::Date => is::INT32,
    }
}

/// A column in the schema: its physical and its logical type, the latter also in the words of
/// older readers.
fn element(column: &Column, into: Struct<'_>) {
    let kind = column.kind;
    let physical = physical(kind);
    let mut into = into.int(1, physical);
    if physical == is::FIXED {
        into = into.int(2, 16);
    }
    into = into.int(3, is::OPTIONAL).text(4, &column.name);
    let empty = |inner: Struct<'_>| inner.end();
    match kind {
        Kind::Integer | Kind::Boolean => into.end(),
        Kind::Text => into
            .int(6, 0)
            .within(10, |logical| logical.within(1, empty).end())
            .end(),
        Kind::Json => into
            .int(6, 19)
            .within(10, |logical| logical.within(12, empty).end())
            .end(),
        Kind::Date => into
            .int(6, 6)
            .within(10, |logical| logical.within(6, empty).end())
            .end(),
        Kind::Decimal { precision, scale } => into
            .int(6, 5)
            .int(7, scale.into())
            .int(8, precision.into())
            .within(10, |logical| {
                logical
                    .within(5, |of| {
                        of.int(1, scale.into()).int(2, precision.into()).end();
                    })
                    .end();
            })
            .end(),
        Kind::Time => into
            .int(6, 10)
            .within(10, |logical| {
                logical
                    .within(8, |of| {
                        of.flag(1, true)
                            .within(2, |unit| unit.within(2, empty).end())
                            .end();
                    })
                    .end();
            })
            .end(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Column, Encoder, Format};
    use serde_json::json;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;

    const COLUMNS: [(&str, &str); 9] = [
        ("id", "integer"),
        ("name", "text"),
        ("price", "decimal(12,2)"),
        ("wide", "decimal(38,4)"),
        ("good", "boolean"),
        ("day", "date"),
        ("at", "time"),
        ("all", "json"),
        ("never", "text"),
    ];

    fn file(rows: u64) -> Vec<u8> {
        let columns: Arc<[Column]> = COLUMNS
            .iter()
            .map(|(name, kind)| Column::new(*name, kind).unwrap())
            .collect();
        let mut encoder = Encoder::new(Format::Parquet, columns).unwrap();
        let (mut out, mut file) = (Vec::new(), Vec::new());
        for id in 0..rows {
            let row = if id % 3 == 2 {
                json!({ "id": id })
            } else {
                json!({ "id": id, "name": format!("Gauze №{id}, sterile"), "price": format!("-{id}.05"),
                    "wide": format!("-{id}123456789012345678901234567.0001"), "good": id % 2 == 0,
                    "day": "2026-11-28", "at": "2026-11-28T01:02:03.000004Z", "all": { "a": [id] } })
            };
            encoder.row(row.as_object().unwrap(), &mut out).unwrap();
            file.append(&mut out);
        }
        encoder.finish(&mut out);
        file.append(&mut out);
        file
    }

    /// The peers' Python; `None` where pyarrow is absent and that is allowed.
    fn python() -> Option<PathBuf> {
        let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
            PathBuf::from,
        );
        let python = root.join("py/bin/python");
        let proof = Command::new(&python)
            .args(["-c", "import pyarrow.parquet"])
            .output();
        if proof.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
        let text = "pyarrow is missing: `cargo xtask peers` installs what the tests need";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
        None
    }

    #[test]
    fn the_same_rows_make_the_same_bytes() {
        assert_eq!(file(1_000), file(1_000));
        assert!(file(0).starts_with(b"PAR1") && file(0).ends_with(b"PAR1"));
    }

    #[test]
    fn arrow_reads_what_was_written() {
        let Some(python) = python() else { return };
        // The second is of two groups.
        for rows in [0_u64, 7, 70_000] {
            let path = std::env::temp_dir()
                .join(format!("wardline-{}-{rows}.parquet", std::process::id()));
            std::fs::write(&path, file(rows)).unwrap();
            let script = r#"
import sys, datetime, decimal, json, pyarrow.parquet as pq
rows = int(sys.argv[2])
f = pq.ParquetFile(sys.argv[1])
t = f.read()
assert t.num_rows == rows, t.num_rows
assert f.num_row_groups == (rows + 65535) // 65536, f.num_row_groups
want = "int64 string decimal128(12, 2) decimal128(38, 4) bool date32[day] timestamp[us, tz=UTC] string string"
kinds = " ".join(str(x.type).replace("extension<arrow.json>", "string") for x in t.schema)
assert kinds == want, kinds
for i, r in enumerate(t.to_pylist()):
    assert r["id"] == i and r["never"] is None
    if i % 3 == 2:
        assert all(v is None for k, v in r.items() if k != "id"), r
        continue
    assert r["name"] == f"Gauze №{i}, sterile" and r["price"] == decimal.Decimal(f"-{i}.05"), r
    assert r["wide"] == decimal.Decimal(f"-{i}123456789012345678901234567.0001"), r
    assert r["good"] == (i % 2 == 0) and r["day"] == datetime.date(2026, 11, 28), r
    assert r["at"] == datetime.datetime(2026, 11, 28, 1, 2, 3, 4, datetime.timezone.utc), r
    assert json.loads(r["all"]) == {"a": [i]}, r
"#;
            let output = Command::new(&python)
                .args(["-c", script])
                .arg(&path)
                .arg(rows.to_string())
                .output()
                .unwrap();
            std::fs::remove_file(&path).unwrap();
            assert!(
                output.status.success(),
                "{rows}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
