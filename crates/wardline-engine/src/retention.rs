//! Forgetting on time: payloads, then records, by age, in small steps that intake does not
//! feel; and the keys of days whose payloads must not be readable even from a backup.

use crate::accept::Acceptor;
use crate::plan::Plan;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;
use wardline_estate::model::{ConnectionKind, Estate, Idempotency, Retention};
use wardline_store::{PruneReport, PruneRequest, StoreError};
use wardline_vault::Day;

/// Messages looked at in one step: a few milliseconds of the writer's time.
const STEP: usize = 500;
/// Pause between steps while there is more to do, so that intake has the disk to itself most
/// of the time.
const BREATH: Duration = Duration::from_millis(20);
/// How often retention looks for work.
const ROUND: Duration = Duration::from_mins(10);
/// How long duplicates are recognised at most, where no connection says otherwise.
const DEDUP_DEFAULT: Duration = Duration::from_hours(720);

pub(crate) struct Forgetting {
    /// Knows the plan in force: how long things are kept may change from round to round.
    pub(crate) acceptor: Arc<Acceptor>,
}

impl Forgetting {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            match self.round(&shutdown).await {
                Ok(report) if report.payloads + report.messages > 0 => {
                    tracing::info!(
                        payloads = report.payloads,
                        messages = report.messages,
                        "retention removed"
                    );
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(code = %error.code(), %error, "retention stopped; it goes on later");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Everything that is due now.
    pub(crate) async fn round(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<PruneReport, StoreError> {
        let plan = self.acceptor.plan();
        let retention = plan.estate.retention;
        let now = self.acceptor.clock.now();
        let before = |age: Duration| {
            Some(Timestamp(now.0.saturating_sub(
                i64::try_from(age.as_micros()).unwrap_or(i64::MAX),
            )))
        };
        let request = PruneRequest {
            payloads_before: before(retention.payloads),
            records_before: before(retention.records),
            dedup_before: before(longest_dedup(&plan).unwrap_or(DEDUP_DEFAULT)),
            step: STEP,
        };
        let mut sum = PruneReport::default();
        loop {
            let report = self.acceptor.store.prune(&request).await?;
            sum.payloads += report.payloads;
            sum.messages += report.messages;
            sum.oldest_content = report.oldest_content;
            sum.instances += report.instances;
            sum.oldest_instance = report.oldest_instance;
            if !report.more || shutdown.is_cancelled() {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        self.forget_keys(&request, sum.oldest_content);
        self.forget_variables(&request, sum.oldest_instance);
        self.forget_audit(retention, now);
        Ok(sum)
    }

    /// Destroys the keys of months of the audit log that are over and past their time. The
    /// sealed entries stay, so that the log still proves that nothing was taken out of it.
    fn forget_audit(&self, retention: Retention, now: Timestamp) {
        let age = i64::try_from(retention.audit.as_micros()).unwrap_or(i64::MAX);
        let day = Day::of(Timestamp(now.0.saturating_sub(age)));
        if let Err(error) = self.acceptor.vault.destroy_audit_before(day) {
            tracing::warn!(code = %error.code(), %error, "old audit keys were not destroyed");
        }
    }

    /// Destroys the keys of days from which nothing is kept. A payload that is still owed keeps
    /// its day's key, however old it is.
    fn forget_keys(&self, request: &PruneRequest, oldest: Option<Timestamp>) {
        let Some(limit) = request.payloads_before else {
            return;
        };
        let limit = oldest.map_or(limit, |oldest| oldest.min(limit));
        // One day of grace: sealing comes a moment before recording, maybe on the other side
        // of midnight.
        let day = Day::of(Timestamp(limit.0.saturating_sub(86_400_000_000)));
        if let Err(error) = self.acceptor.vault.destroy_before(day) {
            tracing::warn!(code = %error.code(), %error, "old data keys were not destroyed");
        }
    }
}

impl Forgetting {
    /// Destroys the keys of months from which no instance of a process is kept, however long ago
    /// one that is kept last advanced.
    fn forget_variables(&self, request: &PruneRequest, oldest: Option<Timestamp>) {
        let Some(limit) = request.records_before else {
            return;
        };
        let limit = oldest.map_or(limit, |oldest| oldest.min(limit));
        // A day of grace, as for payloads.
        let day = Day::of(Timestamp(limit.0.saturating_sub(86_400_000_000)));
        if let Err(error) = self.acceptor.vault.destroy_variables_before(day) {
            tracing::warn!(code = %error.code(), %error, "old keys of processes were not destroyed");
        }
    }
}

/// The longest that anything is recognised as sent before.
fn longest_dedup(plan: &Plan) -> Option<Duration> {
    plan.estate
        .connections()
        .filter_map(|(_, connection)| connection.duplicate.as_ref())
        .map(|d| d.within)
        .chain(files_for(&plan.estate))
        .chain(idempotent_for(&plan.estate))
        .max()
}

/// How long records of files, DICOM objects, rows and messages of brokers are remembered.
fn files_for(estate: &Estate) -> impl Iterator<Item = Duration> {
    estate.connections().filter_map(|(_, one)| match &one.kind {
        ConnectionKind::FilesIn(files) => Some(files.remember),
        ConnectionKind::DicomIn(dicom) => Some(dicom.remember),
        ConnectionKind::As2In(as2) => Some(as2.remember),
        ConnectionKind::BrokerIn(taken) => Some(taken.remember),
        ConnectionKind::SqlIn(sql) => Some(sql.remember),
        _ => None,
    })
}

/// How long keys of operations are remembered that become messages.
fn idempotent_for(estate: &Estate) -> impl Iterator<Item = Duration> {
    let operations = estate.apis.values().flat_map(|api| api.operations.values());
    operations.filter_map(|operation| match operation.idempotent {
        Idempotency::Key { keep } => Some(keep),
        Idempotency::No => None,
    })
}
