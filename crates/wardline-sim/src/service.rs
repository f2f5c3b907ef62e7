//! The hospital's HTTP systems: what they offer, what they check, how they fail and what they remember.

mod departments;
mod door;
mod erp;
mod hears;
mod http;
mod operation;

pub(crate) use departments::{BED_BOARD, HOUSEKEEPING, PATIENT_ACCOUNTING, STAFFING};
pub(crate) use door::{Connection, Door, serve_connections};
pub(crate) use erp::{Dialect, ERP_CLOUD, ERP_LEGACY, legacy_refusal};
pub(crate) use hears::BED_BOARD_OFFICE;
pub(crate) use http::{fault_routes, problem, routes, suffer};
pub(crate) use operation::{Department, Operation};

use crate::fault::FaultSwitch;
use crate::ledger::{Entry, Ledger};
use crate::office::{self, BackOffice, Office};
use crate::{Fault, Record, ServiceReport, SimError};
use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One simulated system: its address, its faults and its book. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    address: SocketAddr,
    pub(crate) desk: Arc<Desk>,
}

/// What the servers of one system share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) system: &'static str,
    pub(crate) faults: FaultSwitch,
    pub(crate) ledger: Ledger,
}

impl Desk {
    pub(crate) fn new(system: &'static str, record: Record, seed: u64) -> Self {
        Self {
            system,
            faults: FaultSwitch::new(seed),
            ledger: Ledger::new(system, record),
        }
    }
}

/// Where and how a system opens its door.
pub(crate) struct Opening<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) record: Record,
    pub(crate) seed: u64,
    pub(crate) back: &'a Arc<BackOffice>,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) shutdown: &'a CancellationToken,
}

impl Opening<'_> {
    async fn open(
        &self,
        system: &'static str,
        router: impl FnOnce(&Arc<Desk>) -> Router,
    ) -> Result<Service, SimError> {
        let desk = Arc::new(Desk::new(system, self.record, self.seed));
        let door = Door::open(system, self.address).await?;
        let address = door.address();
        let serving = serve_connections(
            door,
            Arc::clone(&desk),
            router(&desk),
            self.shutdown.clone(),
        );
        self.tasks.spawn(serving);
        Ok(Service { address, desk })
    }
}

impl Service {
    pub(crate) fn at(address: SocketAddr, desk: Arc<Desk>) -> Self {
        Self { address, desk }
    }

    /// Starts an HTTP system.
    pub(crate) async fn start(
        department: &'static Department,
        cleaning: Option<crate::cleaning::Cleaning>,
        opening: &Opening<'_>,
    ) -> Result<Self, SimError> {
        opening
            .open(department.system, |desk| {
                let router = routes(department, Arc::clone(desk), cleaning, opening.back);
                if department.system == BED_BOARD_OFFICE.system {
                    router.merge(office::routes(&BED_BOARD_OFFICE, desk, opening.back, false))
                } else {
                    router
                }
            })
            .await
    }

    /// Starts an ERP: its suppliers, and beside them what `office` does.
    pub(crate) async fn start_erp(
        dialect: &'static Dialect,
        office: &'static Office,
        opening: &Opening<'_>,
    ) -> Result<Self, SimError> {
        opening
            .open(dialect.system, |desk| {
                erp::routes(dialect, Arc::clone(desk)).merge(office::routes(
                    office,
                    desk,
                    opening.back,
                    false,
                ))
            })
            .await
    }

    /// Starts a system of the back office.
    pub(crate) async fn start_office(
        office: &'static Office,
        opening: &Opening<'_>,
    ) -> Result<Self, SimError> {
        opening
            .open(office.system, |desk| {
                office::routes(office, desk, opening.back, true)
            })
            .await
    }

    /// The system's name in the example estate (`patient-accounting`).
    pub fn name(&self) -> &'static str {
        self.desk.system
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL (HTTP systems).
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes it fail, or heals it with [`Fault::default`]. Takes effect at once, on open connections too.
    ///
    /// # Errors
    /// [`SimError::Fault`] where a share is not between 0 and 1.
    pub fn set_fault(&self, fault: Fault) -> Result<(), SimError> {
        self.desk.faults.set(fault)
    }

    /// Makes it well again.
    pub fn heal(&self) {
        // The default fault passes every check.
        if let Err(error) = self.desk.faults.set(Fault::default()) {
            tracing::error!(%error, system = self.desk.system, "could not heal");
        }
    }

    /// What is wrong with it now.
    pub fn fault(&self) -> Fault {
        self.desk.faults.get()
    }

    /// What it received.
    pub fn report(&self) -> ServiceReport {
        self.desk.ledger.report()
    }

    /// The effects on `key`, oldest first; empty unless [`Record::Full`].
    pub fn entries(&self, key: &str) -> Vec<Entry> {
        self.desk.ledger.entries(key)
    }

    /// All ordering keys it has seen, in no order; empty for [`Record::Totals`].
    pub fn keys(&self) -> Vec<String> {
        self.desk.ledger.keys()
    }
}
