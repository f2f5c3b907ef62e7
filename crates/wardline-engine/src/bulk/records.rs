//! From records to rows of a file: predicate, maps, columns. What cannot be used is set aside.

use super::ask::subject;
use crate::accept::with_runtime;
use crate::codes;
use crate::plan::JobPlan;
use crate::route;
use bytes::Bytes;
use serde_json::{Map, Value};
use wardline_core::Code;
use wardline_estate::model::JobWrite;
use wardline_mapping::{Content, Subject, to_json_bytes};
use wardline_tabular::{Format, check};

/// Bytes of one row.
const MOST: usize = 16 << 20;

/// What records became.
#[derive(Default)]
pub(super) struct Rows {
    /// A JSON object a line.
    pub(super) lines: Vec<u8>,
    pub(super) written: u64,
    pub(super) left_out: u64,
    pub(super) refused: Vec<Refusal>,
}

/// A record that cannot be used.
pub(super) struct Refusal {
    pub(super) body: Bytes,
    pub(super) code: Code,
    /// Why; holds no value.
    pub(super) text: String,
}

/// Makes rows. Maps run here, so call it where time may pass.
pub(super) fn rows(job: &JobPlan, records: &[Value]) -> Rows {
    let mut made = Rows::default();
    for record in records {
        let begin = made.lines.len();
        match one(job, record, &mut made.lines) {
            Ok(0) => made.left_out += 1,
            Ok(rows) => made.written += rows,
            Err((code, text)) => {
                made.lines.truncate(begin);
                made.refused.push(Refusal {
                    body: record.to_string().into(),
                    code,
                    text,
                });
            }
        }
    }
    made
}

/// The rows of one record, most often one.
fn one(job: &JobPlan, record: &Value, lines: &mut Vec<u8>) -> Result<u64, (Code, String)> {
    if job.when.is_none() && job.maps.is_empty() {
        let Value::Object(row) = record else {
            return Err((codes::JOB_RECORD, "the record is no object".to_owned()));
        };
        return line(job, row, lines).map(|()| 1);
    }
    let subject = subject(record).map_err(|text| (codes::JOB_RECORD, text))?;
    if let Some(when) = &job.when {
        let taken = with_runtime(|runtime| when.test(&subject, runtime));
        let taken = taken.map_err(|error| {
            let text = format!("the predicate of job {}: {error}", job.name);
            (codes::PREDICATE_FAILED, text)
        })?;
        if !taken {
            return Ok(0);
        }
    }
    if job.maps.is_empty() {
        let Value::Object(row) = record else {
            return Err((codes::JOB_RECORD, "the record is no object".to_owned()));
        };
        return line(job, row, lines).map(|()| 1);
    }
    let place = format!("job {}", job.name);
    let results = mapped(job, &subject, &place)?;
    for result in &results {
        let Content::Json(value) = result else {
            let text = format!("the maps of {place} give no record");
            return Err((codes::JOB_RECORD, text));
        };
        let bytes =
            to_json_bytes(value, MOST).map_err(|error| (codes::JOB_RECORD, error.to_string()))?;
        let row: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| {
            let text = format!("what the maps of {place} give is no object");
            (codes::JOB_RECORD, text)
        })?;
        line(job, &row, lines)?;
    }
    Ok(results.len() as u64)
}

fn mapped(job: &JobPlan, subject: &Subject, place: &str) -> Result<Vec<Content>, (Code, String)> {
    with_runtime(|runtime| route::mapped(&job.maps, subject, place, runtime))
}

fn line(
    job: &JobPlan,
    row: &Map<String, Value>,
    lines: &mut Vec<u8>,
) -> Result<(), (Code, String)> {
    check(&job.columns, row).map_err(|refused| (codes::JOB_RECORD, refused.to_string()))?;
    let written = if job.columns.is_empty() {
        serde_json::to_writer(&mut *lines, row)
    } else {
        let kept: Map<String, Value> = job
            .columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), row.get(&column.name)?.clone())))
            .collect();
        serde_json::to_writer(&mut *lines, &kept)
    };
    written.map_err(|error| (codes::JOB_RECORD, error.to_string()))?;
    lines.push(b'\n');
    Ok(())
}

/// How rows are written; lines of JSON where nothing is said.
pub(super) fn format(job: &JobPlan) -> Format {
    match &job.declared.write {
        JobWrite::File(file) => file.format,
        JobWrite::Messages => Format::Ndjson,
    }
}
