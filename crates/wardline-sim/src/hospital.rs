//! All simulated systems together, on the ports that the example estate names.

use crate::cleaning::Cleaning;
use crate::ehr::{EhrPlan, EhrReport, run_ehr};
use crate::report::HospitalReport;
use crate::service::Desk;
use crate::service::{
    BED_BOARD, Department, Door, ERP_CLOUD, ERP_LEGACY, HOUSEKEEPING, PATIENT_ACCOUNTING, STAFFING,
    fault_routes, serve_connections,
};
use crate::{CleanReports, Record, Service, SimError, receiver};
use axum::Router;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The admin listener's port of the example estate; the systems follow it, one port each.
pub const FIRST_PORT: u16 = 18080;

/// Which ports the systems take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Admin on this port, then patient accounting, bed board, housekeeping, staffing and the research feed on
    /// the five that follow, and the two ERPs on the eleventh and twelfth.
    From(u16),
    /// Whichever are free.
    Free,
}

/// How a hospital is set up.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where everything listens. Keep it a loopback address: nothing here asks who is calling.
    pub host: IpAddr,
    /// On which ports.
    pub ports: Ports,
    /// How much each system remembers.
    pub record: Record,
    /// Seed of the faults' chance.
    pub seed: u64,
    /// Where housekeeping reports finished cleans; `None` never reports.
    pub clean_reports: Option<CleanReports>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::From(FIRST_PORT),
            record: Record::Counts,
            seed: 1,
            clean_reports: None,
        }
    }
}

impl SimConfig {
    /// Free ports and full records: what tests want.
    pub fn for_tests() -> Self {
        Self {
            ports: Ports::Free,
            record: Record::Full { per_key: 1_000 },
            ..Self::default()
        }
    }
}

/// The simulated systems of one hospital. Dropping it cuts everything off; [`Hospital::stop`] ends in order.
///
/// ```
/// # async fn example() -> Result<(), wardline_sim::SimError> {
/// use std::time::Duration;
/// use wardline_sim::{EhrPlan, Fault, Hospital, SimConfig};
///
/// let hospital = Hospital::start(SimConfig::default()).await?;
/// hospital.patient_accounting().set_fault(Fault::down().lasting(Duration::from_secs(20)))?;
/// let plan = EhrPlan { duration: Some(Duration::from_secs(60)), ..EhrPlan::to("127.0.0.1:2575") };
/// let sent = hospital.run_ehr(plan).await?;
/// let received = hospital.stop().await;
/// assert_eq!(received.differences(&sent), []);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Hospital {
    patient_accounting: Service,
    bed_board: Service,
    housekeeping: Service,
    staffing: Service,
    research: Service,
    erp_legacy: Service,
    erp_cloud: Service,
    cleaning: Option<Cleaning>,
    admin: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hospital {
    /// Opens all ports and begins to serve.
    ///
    /// # Errors
    /// [`SimError::Bind`] where a port cannot be opened; nothing is left running then.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let address = |place: u16| {
            let port = match config.ports {
                Ports::From(first) => first.saturating_add(place),
                Ports::Free => 0,
            };
            SocketAddr::new(config.host, port)
        };
        let http =
            async |department: &'static Department, place: u16, cleaning: Option<Cleaning>| {
                let seed = config.seed.wrapping_add(u64::from(place));
                Service::start(
                    department,
                    address(place),
                    config.record,
                    seed,
                    cleaning,
                    &tasks,
                    &stop,
                )
                .await
            };
        let cleaning = config.clean_reports.clone().map(|reports| {
            let (cleaning, crew) = Cleaning::begin(reports, stop.clone());
            tasks.spawn(crew);
            cleaning
        });
        let patient_accounting = http(&PATIENT_ACCOUNTING, 1, None).await?;
        let bed_board = http(&BED_BOARD, 2, None).await?;
        let housekeeping = http(&HOUSEKEEPING, 3, cleaning.clone()).await?;
        let staffing = http(&STAFFING, 4, None).await?;
        let research = receiver::start(
            "research",
            address(5),
            config.record,
            config.seed,
            &tasks,
            &stop,
        )
        .await?;
        let erp = async |dialect, place: u16| {
            let seed = config.seed.wrapping_add(u64::from(place));
            Service::start_erp(dialect, address(place), config.record, seed, &tasks, &stop).await
        };
        let erp_legacy = erp(&ERP_LEGACY, 11).await?;
        let erp_cloud = erp(&ERP_CLOUD, 12).await?;
        let services = [
            &patient_accounting,
            &bed_board,
            &housekeeping,
            &staffing,
            &research,
            &erp_legacy,
            &erp_cloud,
        ];
        let admin = start_admin(address(0), &services, &tasks, &stop).await?;
        let stop = guard.disarm();
        Ok(Self {
            patient_accounting,
            bed_board,
            housekeeping,
            staffing,
            research,
            erp_legacy,
            erp_cloud,
            cleaning,
            admin,
            tasks,
            stop,
        })
    }

    /// Opens, closes and reopens patient accounts.
    pub fn patient_accounting(&self) -> &Service {
        &self.patient_accounting
    }

    /// Shows who lies where.
    pub fn bed_board(&self) -> &Service {
        &self.bed_board
    }

    /// Cleans rooms.
    pub fn housekeeping(&self) -> &Service {
        &self.housekeeping
    }

    /// Plans who works where.
    pub fn staffing(&self) -> &Service {
        &self.staffing
    }

    /// Receives a de-identified HL7 feed over MLLP.
    pub fn research(&self) -> &Service {
        &self.research
    }

    /// The ERP that is being replaced. It answers what Apis ask and is sent no messages.
    pub fn erp_legacy(&self) -> &Service {
        &self.erp_legacy
    }

    /// The ERP that takes over.
    pub fn erp_cloud(&self) -> &Service {
        &self.erp_cloud
    }

    /// The systems that Apis ask, in the order of their ports.
    pub fn erps(&self) -> [&Service; 2] {
        [&self.erp_legacy, &self.erp_cloud]
    }

    /// The systems that are sent messages, in the order of their ports.
    pub fn services(&self) -> [&Service; 5] {
        [
            &self.patient_accounting,
            &self.bed_board,
            &self.housekeeping,
            &self.staffing,
            &self.research,
        ]
    }

    /// The system of this name (`patient-accounting`).
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services()
            .into_iter()
            .chain(self.erps())
            .find(|service| service.name() == name)
    }

    /// Where `GET /SYSTEM/_report` and `GET`, `POST` and `DELETE /SYSTEM/_fault` answer, also while the system
    /// itself refuses connections.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Runs an EHR plan until it is done or the hospital stops.
    ///
    /// # Errors
    /// As [`run_ehr`].
    pub async fn run_ehr(&self, plan: EhrPlan) -> Result<EhrReport, SimError> {
        run_ehr(plan, &self.stop).await
    }

    /// What every system received so far.
    pub fn report(&self) -> HospitalReport {
        HospitalReport {
            services: self.services().map(Service::report).into(),
            erps: self.erps().map(Service::report).into(),
            cleaning: self.cleaning.as_ref().map(Cleaning::report),
        }
    }

    /// Lets requests under way finish, closes all ports and reports.
    pub async fn stop(self) -> HospitalReport {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.report()
    }
}

impl Drop for Hospital {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start_admin(
    address: SocketAddr,
    services: &[&Service],
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<SocketAddr, SimError> {
    let door = Door::open("admin listener", address).await?;
    let address = door.address();
    let router = services.iter().fold(Router::new(), |router, service| {
        router.merge(fault_routes(
            &format!("/{}", service.name()),
            service.desk.clone(),
        ))
    });
    let desk = Arc::new(Desk::new("admin", Record::Totals, 0));
    tasks.spawn(serve_connections(door, desk, router, stop.clone()));
    Ok(address)
}
