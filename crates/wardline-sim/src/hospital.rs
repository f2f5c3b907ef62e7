//! All simulated systems together, on the ports that the example estate names.

use crate::cleaning::Cleaning;
use crate::departments::{self, CRM, DOCUMENTS, ITSM};
use crate::ehr::{EhrPlan, EhrReport, Teller, run_ehr};
use crate::money::{BILLING, CHARGE_CAPTURE, CLEARINGHOUSE, GENERAL_LEDGER};
use crate::office::{BackOffice, Courier, Office};
use crate::people::{BADGE, EHR_ACCOUNTS, HR, IDENTITY, PAYROLL, SCHEDULING};
use crate::rehearsal::Rehearser;
use crate::report::HospitalReport;
use crate::service::Desk;
use crate::service::{
    BED_BOARD, Door, ERP_CLOUD, ERP_LEGACY, HOUSEKEEPING, Opening, PATIENT_ACCOUNTING, STAFFING,
    fault_routes, serve_connections,
};
use crate::supply::{
    ACCOUNTS_PAYABLE, ANALYTICS, BANK_VERIFICATION, CMMS, COMPLIANCE, CONTRACTS, ERP_CLOUD_OFFICE,
    ERP_LEGACY_OFFICE, INVENTORY, SUPPLIER_NETWORK,
};
use crate::{
    Begun, CleanReports, Feeds, Group, Question, Record, Rehearsal, Rehearse, Scenario, Sent,
    Service, SimError, receiver, rehearsal,
};
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The admin listener's port of the example estate; the systems follow it, one port each.
pub const FIRST_PORT: u16 = 18080;

/// Tags of rehearsals: six digits.
const TAGS: u64 = 1_000_000;

/// The back office, in the order of its ports.
const OFFICES: [&Office; 21] = [
    &SUPPLIER_NETWORK,
    &INVENTORY,
    &CMMS,
    &ACCOUNTS_PAYABLE,
    &CONTRACTS,
    &COMPLIANCE,
    &BANK_VERIFICATION,
    &ANALYTICS,
    &DOCUMENTS,
    &ITSM,
    &CRM,
    &BILLING,
    &HR,
    &IDENTITY,
    &BADGE,
    &SCHEDULING,
    &PAYROLL,
    &CLEARINGHOUSE,
    &EHR_ACCOUNTS,
    &GENERAL_LEDGER,
    &CHARGE_CAPTURE,
];

/// Every table that has something to begin with: the back office, and the ERPs' purchasing.
const FURNISHED: [&Office; 23] = {
    let mut all = [&ERP_LEGACY_OFFICE; 23];
    all[1] = &ERP_CLOUD_OFFICE;
    let mut place = 0;
    while place < OFFICES.len() {
        all[place + 2] = OFFICES[place];
        place += 1;
    }
    all
};

/// A tag that comes back after eleven days.
fn by_the_clock() -> u64 {
    Timestamp::now().as_second().unsigned_abs()
}

/// Which ports the systems take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Admin on this port, then patient accounting, bed board, housekeeping, staffing and the research feed on
    /// the five that follow, the two ERPs on the eleventh and twelfth, and the back office from the twentieth to the
    /// fifty-ninth.
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
    /// Wardline's internal listener (`http://127.0.0.1:8421`), which the back office tells what happens; `None` tells nobody.
    pub wardline: Option<String>,
    /// Wardline's MLLP listener (`127.0.0.1:2575`), which hears of rehearsed stays; `None` tells nobody.
    pub mllp: Option<String>,
    /// Where departments tell theirs: orders, results, documents, steps of devices.
    pub feeds: Feeds,
    /// How fast the back office acts: at 1.0 a supplier needs seconds for what takes days; 10.0 is ten times as fast.
    pub speed: f64,
    /// How often the back office and the rehearsed EHR tell each thing, under the same number: once, as they should, or
    /// more often, as networks make them. At least 1.
    pub times: u32,
    /// Part of every number that a rehearsal makes, below 1000000; by the clock where absent. Wardline remembers what it was
    /// told for days, so that a second run under the same numbers would tell nothing new.
    pub tag: Option<u64>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::From(FIRST_PORT),
            record: Record::Counts,
            seed: 1,
            clean_reports: None,
            wardline: None,
            mllp: None,
            feeds: Feeds::default(),
            speed: 1.0,
            times: 1,
            tag: None,
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

/// Knows what people answer in the rehearsal of a [`Hospital`].
#[derive(Debug, Clone)]
pub struct Prompter(Arc<Rehearser>);

impl Prompter {
    /// What a stand-in chooses; `None` where the catalogue says nothing of it.
    pub fn answer(&self, question: &Question) -> Option<&'static str> {
        question.answer(&self.0.report().cases)
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
    offices: Vec<Service>,
    rehearser: Arc<Rehearser>,
    cleaning: Option<Cleaning>,
    admin: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Hospital {
    /// Every system that is called by HTTP, and its port counted from the admin listener's.
    pub fn places() -> impl Iterator<Item = (&'static str, u16)> {
        let first = [
            (PATIENT_ACCOUNTING.system, 1),
            (BED_BOARD.system, 2),
            (HOUSEKEEPING.system, 3),
            (STAFFING.system, 4),
        ];
        let others = FURNISHED.iter().map(|office| (office.system, office.place));
        first.into_iter().chain(others)
    }

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
        let speed = config.speed;
        if !(speed.is_finite() && speed > 0.0) {
            return Err(SimError::Rehearsal {
                what: "speed must be a number above 0",
            });
        }
        let wardline = config.wardline.clone();
        let courier = Courier::new(
            wardline,
            speed,
            config.times.max(1),
            tasks.clone(),
            stop.clone(),
        );
        let back = Arc::new(BackOffice::new(&FURNISHED, courier.clone(), config.seed));
        let opening = |place: u16| Opening {
            address: address(place),
            record: config.record,
            seed: config.seed.wrapping_add(u64::from(place)),
            back: &back,
            tasks: &tasks,
            shutdown: &stop,
        };
        let cleaning = config.clean_reports.clone().map(|reports| {
            let (cleaning, crew) = Cleaning::begin(reports, stop.clone());
            tasks.spawn(crew);
            cleaning
        });
        let patient_accounting = Service::start(&PATIENT_ACCOUNTING, None, &opening(1)).await?;
        let bed_board = Service::start(&BED_BOARD, None, &opening(2)).await?;
        let housekeeping = Service::start(&HOUSEKEEPING, cleaning.clone(), &opening(3)).await?;
        let staffing = Service::start(&STAFFING, None, &opening(4)).await?;
        let research = receiver::start(
            "research",
            address(5),
            config.record,
            config.seed,
            &tasks,
            &stop,
        )
        .await?;
        let erp_legacy = Service::start_erp(&ERP_LEGACY, &ERP_LEGACY_OFFICE, &opening(11)).await?;
        let erp_cloud = Service::start_erp(&ERP_CLOUD, &ERP_CLOUD_OFFICE, &opening(12)).await?;
        let mut offices = Vec::with_capacity(OFFICES.len());
        for office in OFFICES {
            offices.push(Service::start_office(office, &opening(office.place)).await?);
        }
        let broker = departments::start_broker(
            address(departments::BROKER_PLACE),
            config.record,
            config.seed,
            &tasks,
            &stop,
        );
        offices.push(broker.await?);
        let teller = Teller {
            target: config.mllp.clone(),
            feeds: config.feeds.clone(),
            courier,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let rehearser = Arc::new(Rehearser {
            back: Arc::clone(&back),
            tag: config.tag.unwrap_or_else(by_the_clock) % TAGS,
            teller,
        });
        let services = [
            &patient_accounting,
            &bed_board,
            &housekeeping,
            &staffing,
            &research,
            &erp_legacy,
            &erp_cloud,
        ];
        let all: Vec<&Service> = services.into_iter().chain(&offices).collect();
        let admin = start_admin(address(0), &all, Arc::clone(&rehearser), &tasks, &stop).await?;
        let stop = guard.disarm();
        Ok(Self {
            patient_accounting,
            bed_board,
            housekeeping,
            staffing,
            research,
            erp_legacy,
            erp_cloud,
            offices,
            rehearser,
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

    /// The systems of the back office, in the order of their ports: purchasing, people and money.
    pub fn offices(&self) -> &[Service] {
        &self.offices
    }

    /// Begins a scenario: somebody is hired, something is ordered, a patient is discharged.
    ///
    /// # Errors
    /// [`SimError::Rehearsal`] where the number or the facility makes no sense.
    pub fn rehearse(&self, what: &Rehearse) -> Result<Begun, SimError> {
        self.rehearser.begin(what)
    }

    /// Picks how somebody answers for one subject: an order or its requisition, a claim, a payroll run, a day's charges.
    pub fn pick(&self, about: &str, scenario: &'static Scenario, shuffled: bool) {
        self.rehearser.pick(about, scenario, shuffled);
    }

    /// Picks how everybody of the scenario's group answers for whom nothing else was picked.
    pub fn pick_for_all(&self, scenario: &'static Scenario, shuffled: bool) {
        self.rehearser.pick_for_all(scenario, shuffled);
    }

    /// Lets the seed draw a scenario for each subject of the group.
    pub fn mix(&self, group: Group) {
        self.rehearser.mix(group);
    }

    /// Looks at the rehearsal for as long as anybody likes; it keeps no system running.
    pub fn prompter(&self) -> Prompter {
        Prompter(Arc::clone(&self.rehearser))
    }

    /// How everything that was rehearsed stands.
    pub fn rehearsal(&self) -> Rehearsal {
        self.rehearser.report()
    }

    /// What the systems told Wardline about a subject; about everything where `about` is empty.
    pub fn sent(&self, about: &str) -> Vec<Sent> {
        self.rehearser.sent(about)
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
            .chain(&self.offices)
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
            offices: self.offices.iter().map(Service::report).collect(),
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
    rehearser: Arc<Rehearser>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<SocketAddr, SimError> {
    let door = Door::open("admin listener", address).await?;
    let address = door.address();
    let router = services
        .iter()
        .fold(rehearsal::routes(rehearser), |router, service| {
            router.merge(fault_routes(
                &format!("/{}", service.name()),
                service.desk.clone(),
            ))
        });
    let desk = Arc::new(Desk::new("admin", Record::Totals, 0));
    tasks.spawn(serve_connections(door, desk, router, stop.clone()));
    Ok(address)
}
