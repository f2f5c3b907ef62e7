//! The lookout over weeks of a clock of its own: quiet calls raise nothing, each injected case
//! raises one alert with its evidence, and what was learned outlives a restart.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use http::{Method, StatusCode};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use wardline_access::mask::Classes;
use wardline_access::watch::Sign;
use wardline_access::{Caller, CallerKind, Strength};
use wardline_core::{Clock, SimulatedClock, Timestamp, Zone};
use wardline_estate::model::{Estate, WatchAction};

use wardline_gateway::Kind;
use wardline_gateway::estate::{Lookout, Told};
use wardline_gateway::seam::{Ended, Observer, Peer};
use wardline_store::Store;
use wardline_store::sqlite::{Options, SqliteStore};

/// Monday, 5 January 2026, midnight in Chicago, where the example is.
const MONDAY: i64 = 1_767_592_800_000;
const HOUR: Duration = Duration::from_secs(3_600);

struct Night {
    lookout: Arc<Lookout>,
    told: Receiver<Told>,
    clock: Arc<SimulatedClock>,
    store: Arc<dyn Store>,
    estate: Estate,
    caller: Arc<Caller>,
    _folder: tempfile::TempDir,
}

fn example() -> Estate {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid");
    wardline_estate::load(&path, &wardline_estate::LoadOptions::default())
        .estate
        .unwrap()
}

impl Night {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::starting_at(Timestamp::from_unix_ms(MONDAY)));
        let store = SqliteStore::open(&folder.path().join("j.db"), Options::default()).unwrap();
        let store = store as Arc<dyn Store>;
        let estate = example();
        let opened = Lookout::open(&estate, Arc::clone(&store), Arc::clone(&clock) as _).await;
        let (lookout, told) = opened.unwrap();
        let caller = Caller {
            name: "ghx".into(),
            kind: CallerKind::Partner,
            zone: Zone::Partner,
            scopes: BTreeSet::new(),
            roles: BTreeSet::new(),
            facilities: BTreeSet::new(),
            strength: Strength::PrivateKey,
            purpose: None,
            until: None,
        };
        Self {
            lookout: Arc::new(lookout),
            told,
            clock,
            store,
            estate,
            caller: Arc::new(caller),
            _folder: folder,
        }
    }

    fn call_by(&self, caller: &Arc<Caller>, operation: &str, from: &str, problem: Option<Kind>) {
        let peer = Peer {
            listener: "partner".into(),
            zone: Zone::Partner,
            address: SocketAddr::new(from.parse().unwrap(), 4_000),
            certificate: None,
            tls: true,
        };
        let (api, version, operation): (Arc<str>, Arc<str>, Arc<str>) =
            ("supplier-portal".into(), "1.0.0".into(), operation.into());
        self.lookout.ended(&Ended {
            api: Some(&api),
            version: Some(&version),
            operation: Some(&operation),
            binding: None,
            caller: Some(caller),
            peer: &peer,
            method: &Method::GET,
            facility: None,
            status: problem.map_or(StatusCode::OK, Kind::status),
            problem,
            correlation: "c",
            took: Duration::from_millis(12),
            broken: &[],
            reveals: Classes::default(),
        });
    }

    fn call(&self, operation: &str, from: &str, problem: Option<Kind>) {
        self.call_by(&self.caller, operation, from, problem);
    }

    /// Three weeks of working days, 7 to 18 o'clock, two operations from one network, now and then
    /// a call that is refused.
    fn weeks(&self) {
        for day in 0..21 {
            for hour in 0..24 {
                if day % 7 < 5 && (7..18).contains(&hour) {
                    for nth in 0..30 {
                        let operation = if nth % 3 == 0 { "get-card" } else { "search" };
                        let problem = (day + hour + nth) % 50 == 0;
                        let problem = problem.then_some(Kind::Forbidden);
                        self.call(operation, "192.0.2.7", problem);
                    }
                }
                self.clock.advance(HOUR);
            }
        }
    }

    fn to_hour(&self, hour: u64) {
        self.clock.advance(HOUR * u32::try_from(hour).unwrap());
    }

    fn told(&mut self) -> Vec<Vec<Sign>> {
        std::iter::from_fn(|| self.told.try_recv().ok())
            .map(|told| told.raised.alert.signs)
            .collect()
    }
}

#[tokio::test]
async fn quiet_weeks_are_quiet_and_every_case_is_told_once() {
    let mut night = Night::new().await;
    night.weeks();
    assert_eq!(night.told(), Vec::<Vec<Sign>>::new(), "three quiet weeks");

    // Monday, three in the morning.
    night.to_hour(3);
    night.call("get-card", "192.0.2.7", None);
    night.call("get-card", "192.0.2.7", None);
    let told = night.told();
    let [signs] = &told[..] else {
        panic!("{told:?}")
    };
    let usual: Vec<u8> = (7..18).collect();
    assert_eq!(
        signs,
        &[Sign::UnusualHour {
            hour: 3,
            usual,
            days: 15
        }]
    );

    // Ten o'clock: from another network, then another operation.
    night.to_hour(7);
    night.call("get-card", "198.51.100.9", None);
    night.call("get-bank", "198.51.100.9", None);
    let told = night.told();
    assert!(
        matches!(&told[..], [a, b]
            if matches!(&a[..], [Sign::NewAddress { network, known: 1 }] if network == "198.51.100.0/24")
            && matches!(&b[..], [Sign::NewOperation { operation, known: 2 }] if operation == "supplier-portal.get-bank")),
        "{told:?}"
    );

    // Eleven: four times the calls.
    night.to_hour(1);
    for _ in 0..150 {
        night.call("get-card", "192.0.2.7", None);
    }
    let told = night.told();
    assert!(
        matches!(&told[..], [a] if matches!(&a[..], [Sign::HourlyVolume { calls: 91, most: 30, median: 30 }])),
        "{told:?}"
    );

    // Noon: walls.
    night.to_hour(1);
    for _ in 0..40 {
        night.call("get-card", "192.0.2.7", Some(Kind::Forbidden));
    }
    let told = night.told();
    assert!(
        matches!(&told[..], [a] if matches!(&a[..], [Sign::ManyDenials { denied: 10, .. }])),
        "{told:?}"
    );
    assert_eq!(night.lookout.open_alerts(), 5);
}

#[tokio::test]
async fn what_was_learned_outlives_a_restart() {
    let mut night = Night::new().await;
    night.weeks();
    night.to_hour(3);
    night.call("get-card", "192.0.2.7", None);
    assert_eq!(night.told().len(), 1);
    night
        .lookout
        .acknowledge(1, "user:anna", "a batch run")
        .unwrap();
    night.lookout.hold(&"ghx".into(), Some(1));
    night.lookout.flush().await.unwrap();

    let (lookout, told) = Lookout::open(
        &night.estate,
        Arc::clone(&night.store),
        Arc::clone(&night.clock) as _,
    )
    .await
    .unwrap();
    let before = night.lookout.seen("ghx").unwrap();
    (night.lookout, night.told) = (Arc::new(lookout), told);
    let after = night.lookout.seen("ghx").unwrap();
    assert_eq!(
        (after.total, after.operations),
        (before.total, before.operations)
    );
    let alerts = night.lookout.alerts();
    assert_eq!(
        alerts[0].acknowledged.as_ref().unwrap().reason,
        "a batch run"
    );
    assert!(alerts[0].quarantined && night.lookout.held().contains_key("ghx"));
    // Told already tonight; another network is still another network.
    night.call("get-card", "192.0.2.7", None);
    assert!(night.told().is_empty());
    night.call("get-card", "203.0.113.5", None);
    assert_eq!(night.told().len(), 1);
    assert_eq!(night.lookout.alerts()[0].id, 2, "numbers go on");
}

#[tokio::test]
async fn who_is_not_of_the_estate_or_not_watched_raises_nothing() {
    let mut night = Night::new().await;
    let stranger = Arc::new(Caller {
        name: "stranger".into(),
        ..Caller::clone(&night.caller)
    });
    for _ in 0..1_000 {
        night.call_by(&stranger, "get-card", "192.0.2.7", Some(Kind::Forbidden));
    }
    assert!(night.told().is_empty() && night.lookout.seen("stranger").is_none());
    let client = night.estate.clients.get_mut("ghx").unwrap();
    client.watch = Some(WatchAction::Off);
    let opened = Lookout::open(
        &night.estate,
        Arc::clone(&night.store),
        Arc::clone(&night.clock) as _,
    );
    let (lookout, told) = opened.await.unwrap();
    (night.lookout, night.told) = (Arc::new(lookout), told);
    for _ in 0..1_000 {
        night.call("get-card", "192.0.2.7", Some(Kind::Forbidden));
    }
    assert!(night.told().is_empty());
    assert_eq!(
        night.lookout.seen("ghx").unwrap().today.denied,
        1_000,
        "counted all the same"
    );
}

/// `cargo test --release … -- --ignored --nocapture`: what being watched costs a call.
#[tokio::test]
#[ignore = "prints what being watched costs a call, and asserts nothing of time: release build, --ignored --nocapture"]
async fn what_it_costs() {
    let night = Night::new().await;
    night.weeks();
    night.to_hour(10);
    let begun = std::time::Instant::now();
    for _ in 0..100_000 {
        night.call("get-card", "192.0.2.7", None);
    }
    println!("{:?} a call", begun.elapsed() / 100_000);
    let now = night.clock.now();
    assert!(now > Timestamp::from_unix_ms(MONDAY));
}
