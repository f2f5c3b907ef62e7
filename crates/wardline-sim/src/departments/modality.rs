//! A device: it asks for its worklist until the patient is on it, and tells of the step that it performs (DICOM, MWL and MPPS).

use jiff::civil::Date;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wardline_dicom::net::{Client, NetError, Proposal, Terms};
use wardline_dicom::{from_json, to_json, uid};

/// How long one association may take.
const TIME: Duration = Duration::from_secs(20);
/// Entries that one device looks through.
const MOST: usize = 1_000;
const OURS: &str = "CT1";
const THEIRS: &str = "STBRIGID";

/// What a device does about one order.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) accession: String,
    pub(crate) day: Date,
    /// Whether the patient is examined; else the device only waits until the order has left its list.
    pub(crate) performs: bool,
}

impl Scan {
    /// One attempt; true where there is nothing left to do.
    pub(crate) async fn attempt(&self, address: &str) -> bool {
        match timeout(TIME, self.once(address)).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                tracing::debug!(%error, address, "the device was not heard");
                false
            }
            Err(_) => false,
        }
    }

    async fn once(&self, address: &str) -> Result<bool, NetError> {
        let stream = TcpStream::connect(address).await?;
        let syntaxes = vec![uid::EXPLICIT_LITTLE, uid::IMPLICIT_LITTLE];
        let proposal = Proposal {
            called: THEIRS,
            calling: OURS,
            classes: vec![
                (uid::WORKLIST_FIND, syntaxes.clone()),
                (uid::PERFORMED_STEP, syntaxes),
            ],
        };
        let mut client = Client::open(stream, &proposal, Terms::default()).await?;
        let query = keyed(&json!({
            "AccessionNumber": self.accession, "StudyInstanceUID": null, "PatientID": null,
            "ScheduledProcedureStepSequence": [{ "ScheduledStationAETitle": OURS, "Modality": "CT" }],
        }))?;
        let (found, _) = client.find(&query, MOST).await?;
        let entry = found.first().map(to_json);
        let done = match (self.performs, entry) {
            (false, entry) => entry.is_none(),
            (true, None) => false,
            (true, Some(entry)) => {
                self.perform(&mut client, &Value::Object(entry)).await?;
                true
            }
        };
        client.release().await?;
        Ok(done)
    }

    /// The step begins and ends. An attempt that broke off is told again under the same name.
    async fn perform(&self, client: &mut Client<TcpStream>, entry: &Value) -> Result<(), NetError> {
        let digits: String = self
            .accession
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let step = format!("2.25.1{digits}");
        let day = self.day.strftime("%Y%m%d").to_string();
        let begins = keyed(&json!({
            "PerformedProcedureStepStatus": "IN PROGRESS", "PerformedProcedureStepID": self.accession,
            "PerformedStationAETitle": OURS, "PerformedProcedureStepStartDate": day, "Modality": "CT", "PatientID": entry["PatientID"],
            "ScheduledStepAttributesSequence": [{ "AccessionNumber": self.accession, "StudyInstanceUID": entry["StudyInstanceUID"] }],
        }))?;
        let ends = keyed(&json!({
            "PerformedProcedureStepStatus": "COMPLETED", "PerformedProcedureStepEndDate": day,
        }))?;
        for (first, data) in [(true, begins), (false, ends)] {
            let status = client.perform(first, &step, &data).await?;
            if !status.is_good() {
                return Err(NetError::Protocol("a step was not taken"));
            }
        }
        Ok(())
    }
}

fn keyed(json: &Value) -> Result<wardline_dicom::DataSet, NetError> {
    let keys = json
        .as_object()
        .ok_or(NetError::Protocol("no attributes"))?;
    from_json(keys).map_err(|_| NetError::Protocol("an attribute cannot be written"))
}
