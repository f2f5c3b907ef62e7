//! `protocols`: how fast formats and protocols beside HL7 are read, and in how much memory.

mod dicom;
mod x12;

use crate::report::Row;
use crate::{BenchError, Options};

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let reading = options.clone();
    let rows = tokio::task::spawn_blocking(move || x12::measure(&reading))
        .await
        .map_err(|error| BenchError::Thread {
            what: "reader",
            reason: error.to_string(),
        })?;
    let mut rows = rows?;
    rows.extend(dicom::measure(options).await?);
    Ok(rows)
}
