//! Looks at secrets and certificates while an estate runs: takes changes up, writes them down,
//! and tells of certificates that end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;
use wardline_engine::certs::{self, CertificateView};
use wardline_engine::{Desk, Engine, Renewals, Renewed};
use wardline_estate::model::Estate;
use wardline_vault::{AuditEntry, SecretEvent};

/// How often secrets and files are looked at. A change counts once two looks saw the same.
const LOOK: Duration = Duration::from_secs(2);
/// How often the ends of certificates are looked at, if nothing changes.
const ENDS: Duration = Duration::from_hours(1);
/// Who does it, for the audit log.
const ACTOR: &str = "system:secrets";

/// The task that looks.
pub(crate) struct Renewing {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Renewing {
    /// Begins to look.
    pub(crate) fn start(engine: &Engine) -> Self {
        let stop = CancellationToken::new();
        let looking = Looking {
            renewals: Arc::clone(engine.renewals()),
            desk: engine.desk(),
            estate: engine.desk().in_force(),
            told: BTreeMap::new(),
        };
        let task = tokio::spawn(looking.run(stop.clone()));
        Self { stop, task }
    }

    /// Ends it; what was found is written down.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "looking at secrets and certificates ended abnormally");
        }
    }
}

struct Looking {
    renewals: Arc<Renewals>,
    desk: Arc<Desk>,
    estate: Arc<Estate>,
    /// The last alarm told of each certificate, by its file and digest.
    told: BTreeMap<(String, String), i64>,
}

impl Looking {
    async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ends_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let renewals = Arc::clone(&self.renewals);
            match spawn_blocking(move || renewals.look()).await {
                Ok(found) => {
                    if found.iter().any(|one| matches!(one, Renewed::File(_))) {
                        ends_at = Instant::now();
                    }
                    for one in found {
                        self.tell(one).await;
                    }
                }
                Err(error) => tracing::error!(%error, "secrets could not be looked at"),
            }
            let estate = self.desk.in_force();
            if !Arc::ptr_eq(&estate, &self.estate) {
                // Another estate has taken its place, with certificates of its own.
                self.estate = estate;
                ends_at = Instant::now();
            }
            if Instant::now() >= ends_at {
                ends_at = Instant::now() + ENDS;
                self.ends().await;
            }
        }
    }

    async fn tell(&self, one: Renewed) {
        let entry = match one {
            Renewed::Secret(event) => match event {
                SecretEvent::Rotated { name, origin } => {
                    tracing::info!(secret = name, from = %origin, "a secret has a new value, used from now on");
                    AuditEntry::new(ACTOR, "secret.rotate", name).with("from", origin.to_string())
                }
                SecretEvent::Retired { name } => {
                    tracing::info!(secret = name, "the value before is not accepted any more");
                    AuditEntry::new(ACTOR, "secret.retire", name)
                }
                SecretEvent::Withheld { name } => {
                    tracing::error!(
                        secret = name,
                        "its keeper has been away for too long; it is used no more"
                    );
                    AuditEntry::new(ACTOR, "secret.withhold", name)
                }
                SecretEvent::Restored { name } => {
                    tracing::info!(secret = name, "its keeper is back; it is used again");
                    AuditEntry::new(ACTOR, "secret.restore", name)
                }
                SecretEvent::Kept { name, why } => {
                    tracing::warn!(
                        secret = name,
                        why,
                        "it cannot be read now; the value in use stays"
                    );
                    return;
                }
                SecretEvent::Back { name } => {
                    tracing::info!(secret = name, "it can be read again");
                    return;
                }
            },
            Renewed::File(path) => {
                let path = path.strip_prefix(&self.estate.root).unwrap_or(&path);
                tracing::info!(file = %path.display(), "a certificate file has changed");
                AuditEntry::new(ACTOR, "certificate.change", path.display().to_string())
            }
            Renewed::Made { what } => {
                tracing::info!(what, "made anew from what changed, and in use");
                return;
            }
            Renewed::Kept { what, why } => {
                tracing::warn!(
                    what,
                    why,
                    "it cannot be made anew yet; what was in use stays"
                );
                return;
            }
        };
        if let Err(error) = self.desk.record(&entry).await {
            tracing::error!(%error, act = entry.act, on = entry.target, "this could not be written to the audit log");
        }
    }

    /// Tells once of each certificate that has come closer to its end.
    async fn ends(&mut self) {
        let estate = Arc::clone(&self.estate);
        let found = spawn_blocking(move || certs::certificates(&estate, Timestamp::now())).await;
        let Ok(all) = found
            .inspect_err(|error| tracing::error!(%error, "certificates could not be looked at"))
        else {
            return;
        };
        let mut told = BTreeMap::new();
        for one in &all {
            let Some(alarm) = one.alarm() else {
                continue;
            };
            let key = (one.file.clone(), one.sha256.clone());
            if self.told.get(&key) != Some(&alarm) {
                warn(one, alarm);
            }
            told.insert(key, alarm);
        }
        self.told = told;
        self.desk.set_certificates(all);
    }
}

fn warn(one: &CertificateView, alarm: i64) {
    let (file, used_by) = (&one.file, one.used_by.join(", "));
    let sentence = super::certs::sentence(one);
    // The last of the alarms is no longer a matter of planning.
    if alarm <= certs::ALARMS[2] {
        tracing::error!(file, used_by, "{sentence}");
    } else {
        tracing::warn!(file, used_by, "{sentence}");
    }
}
