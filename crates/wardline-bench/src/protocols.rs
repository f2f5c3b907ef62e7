//! `protocols`: how fast formats beside HL7 are read on one core, and in how much memory.

mod fhir;
mod x12;

use crate::report::Row;
use crate::{BenchError, Options};

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let options = options.clone();
    tokio::task::spawn_blocking(move || {
        let mut rows = x12::measure(&options)?;
        rows.extend(fhir::measure(&options)?);
        Ok(rows)
    })
    .await
    .map_err(|error| BenchError::Thread {
        what: "reader",
        reason: error.to_string(),
    })?
}
