//! `protocols`: how fast formats and protocols beside HL7 are read, how fast files come from other
//! machines, and in how much memory.

mod dicom;
mod fhir;
mod sftp;
mod x12;

use crate::report::Row;
use crate::{BenchError, Options};

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let reading = options.clone();
    let rows = tokio::task::spawn_blocking(move || {
        let mut rows = x12::measure(&reading)?;
        rows.extend(fhir::measure(&reading)?);
        rows.extend(sftp::measure(&reading)?);
        Ok::<_, BenchError>(rows)
    })
    .await
    .map_err(|error| BenchError::Thread {
        what: "reader",
        reason: error.to_string(),
    })?;
    let mut rows = rows?;
    rows.extend(dicom::measure(options).await?);
    Ok(rows)
}
