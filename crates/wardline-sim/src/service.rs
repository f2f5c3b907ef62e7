//! The hospital's HTTP systems: what they offer, what they check, how they fail and what they remember.

mod departments;
mod door;
mod erp;
mod http;
mod operation;

pub(crate) use departments::{BED_BOARD, HOUSEKEEPING, PATIENT_ACCOUNTING, STAFFING};
pub(crate) use door::{Door, serve_connections};
pub(crate) use erp::{ERP_CLOUD, ERP_LEGACY};
pub(crate) use http::{fault_routes, routes};
pub(crate) use operation::{Department, Operation};

use crate::fault::FaultSwitch;
use crate::ledger::{Entry, Ledger};
use crate::{Fault, Record, ServiceReport, SimError};
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

impl Service {
    pub(crate) fn at(address: SocketAddr, desk: Arc<Desk>) -> Self {
        Self { address, desk }
    }

    /// Starts an HTTP system.
    pub(crate) async fn start(
        department: &'static Department,
        address: SocketAddr,
        record: Record,
        seed: u64,
        cleaning: Option<crate::cleaning::Cleaning>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, SimError> {
        let desk = Arc::new(Desk::new(department.system, record, seed));
        let door = Door::open(department.system, address).await?;
        let address = door.address();
        let router = routes(department, desk.clone(), cleaning);
        tasks.spawn(serve_connections(
            door,
            desk.clone(),
            router,
            shutdown.clone(),
        ));
        Ok(Self { address, desk })
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
