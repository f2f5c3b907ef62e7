//! Watching: silence over a quiet series, and every injected case told once with its evidence.

use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wardline_access::watch::{Alert, Event, Settings, Sign, Watch};
use wardline_core::Timestamp;

/// A client that calls on weekdays from 7 to 18, three operations from two networks, and every
/// Sunday at 2 for a batch; volumes vary by half.
struct Quiet {
    watch: Watch,
    client: Arc<str>,
    chance: u64,
    zone: TimeZone,
}

const OPERATIONS: [&str; 3] = ["supplier.get", "supplier.search", "order.put"];
const ADDRESSES: [[u8; 4]; 2] = [[192, 0, 2, 10], [198, 51, 100, 7]];
/// 5 January 2026, a Monday.
const MONDAY: i64 = 20_458;

impl Quiet {
    fn new() -> Self {
        Self {
            watch: Watch::new(Settings::default()),
            client: "ghx".into(),
            chance: 42,
            zone: TimeZone::UTC,
        }
    }

    /// The same numbers each time: xorshift.
    fn below(&mut self, most: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % most
    }

    fn call(
        &mut self,
        at: Timestamp,
        operation: &str,
        address: impl Into<IpAddr>,
        denied: bool,
    ) -> Option<Alert> {
        let event = Event {
            client: &self.client,
            operation,
            address: address.into(),
            denied,
        };
        self.watch.observe(&event, at, &self.zone)
    }

    /// One hour of quiet work; the alerts that it gave.
    fn hour(&mut self, day: i64, hour: i64) -> Vec<Alert> {
        let weekday = (day - MONDAY).rem_euclid(7);
        let calls = match (weekday, hour) {
            (0..=4, 7..=17) => 60 + self.below(60),
            (6, 2) => 500 + self.below(100),
            _ => 0,
        };
        let mut alerts = Vec::new();
        for nth in 0..calls {
            let at = moment(day, hour).after(Duration::from_secs(nth * 3_500 / calls));
            let operation = OPERATIONS[self.below(3) as usize];
            let address = ADDRESSES[self.below(2) as usize];
            let denied = self.below(200) == 0;
            alerts.extend(self.call(at, operation, address, denied));
        }
        alerts
    }

    fn days(&mut self, days: std::ops::Range<i64>) -> Vec<Alert> {
        days.flat_map(|day| (0..24).map(move |hour| (day, hour)))
            .flat_map(|(day, hour)| self.hour(MONDAY + day, hour))
            .collect()
    }

    /// Four weeks of quiet; the next day is a Monday.
    fn learned() -> Self {
        let mut quiet = Self::new();
        quiet.days(0..28);
        quiet
    }
}

fn moment(day: i64, hour: i64) -> Timestamp {
    Timestamp::from_unix_ms((day * 24 + hour) * 3_600_000)
}

#[test]
fn a_quiet_series_is_quiet() {
    let mut quiet = Quiet::new();
    let alerts = quiet.days(0..70);
    // The first Sunday after learning is the first batch run ever seen on a Sunday after day
    // seven only if learning ended before it; ten weeks may tell that once, and nothing else.
    let told: Vec<String> = alerts.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn each_injected_case_is_told_once_with_its_evidence() {
    // Ten in the evening.
    let mut quiet = Quiet::learned();
    let alerts: Vec<Alert> = (0..50)
        .filter_map(|_| quiet.call(moment(MONDAY + 28, 22), OPERATIONS[0], ADDRESSES[0], false))
        .collect();
    assert_eq!(alerts.len(), 1);
    let usual = [2, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17].to_vec();
    assert_eq!(
        alerts[0].signs,
        [Sign::UnusualHour {
            hour: 22,
            usual,
            days: 24
        }]
    );

    // Five times an hour's calls, in the hour.
    let mut quiet = Quiet::learned();
    let alerts: Vec<Alert> = (0..600)
        .filter_map(|_| quiet.call(moment(MONDAY + 28, 10), OPERATIONS[0], ADDRESSES[0], false))
        .collect();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let Sign::HourlyVolume {
        calls,
        most,
        median,
    } = alerts[0].signs[0]
    else {
        panic!("{alerts:?}")
    };
    assert!(
        calls == most * 3 + 1 && most < 120 && median > 60,
        "{alerts:?}"
    );

    // Slow copying: twice as much in every hour, which is no hour's alert.
    let mut quiet = Quiet::learned();
    let mut alerts = Vec::new();
    for hour in 7..18 {
        for _ in 0..200 {
            alerts.extend(quiet.call(
                moment(MONDAY + 28, hour),
                OPERATIONS[0],
                ADDRESSES[0],
                false,
            ));
        }
    }
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert!(matches!(alerts[0].signs[0], Sign::DailyVolume { .. }));

    // An operation that it never called, and then is known to call.
    let mut quiet = Quiet::learned();
    let first = quiet
        .call(moment(MONDAY + 28, 10), "bank.get", ADDRESSES[0], false)
        .unwrap();
    assert_eq!(
        first.signs,
        [Sign::NewOperation {
            operation: "bank.get".into(),
            known: 3
        }]
    );
    assert!(
        quiet
            .call(moment(MONDAY + 28, 10), "bank.get", ADDRESSES[0], false)
            .is_none()
    );

    // A neighbour in the same network is not new; another network is, and IPv4 in IPv6 is IPv4.
    let mut quiet = Quiet::learned();
    let at = moment(MONDAY + 28, 10);
    assert!(
        quiet
            .call(at, OPERATIONS[0], [192, 0, 2, 99], false)
            .is_none()
    );
    let mapped: IpAddr = "::ffff:192.0.2.98".parse().unwrap();
    assert!(quiet.call(at, OPERATIONS[0], mapped, false).is_none());
    let new: IpAddr = "2001:db8:7:8::1".parse().unwrap();
    let alert = quiet.call(at, OPERATIONS[0], new, false).unwrap();
    assert_eq!(
        alert.to_string(),
        "ghx: called from 2001:db8:7::/48, which is not one of the 2 networks that it called from before"
    );

    // Walls.
    let mut quiet = Quiet::learned();
    let alerts: Vec<Alert> = (0..40)
        .filter_map(|nth| quiet.call(at, &format!("guess.{nth}"), ADDRESSES[0], true))
        .collect();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(
        alerts[0].signs,
        [Sign::ManyDenials {
            denied: 10,
            calls: 10,
            usual_per_mille: 4
        }]
    );
}

#[test]
fn a_newcomer_is_learned_before_it_is_judged() {
    let mut quiet = Quiet::new();
    assert!(quiet.days(0..5).is_empty());
    let at = moment(MONDAY + 5, 3);
    assert!(
        quiet
            .call(at, "bank.get", [203, 0, 113, 1], false)
            .is_none()
    );
    // But for walls.
    let alerts: Vec<Alert> = (0..300)
        .filter_map(|_| quiet.call(at, "bank.get", [203, 0, 113, 1], true))
        .collect();
    assert_eq!(alerts.len(), 1);
    // One that called on one day only is not known after a year either.
    let mut rare = Quiet::new();
    rare.call(moment(MONDAY, 10), OPERATIONS[0], ADDRESSES[0], false);
    assert!(
        rare.call(moment(MONDAY + 365, 3), "bank.get", [203, 0, 113, 1], false)
            .is_none()
    );
}

#[test]
fn what_is_known_goes_through_the_store_and_stays_small() {
    let mut quiet = Quiet::learned();
    for nth in 0..20_000_u32 {
        let [_, b, c, d] = nth.to_be_bytes();
        quiet.call(
            moment(MONDAY + 28, 10),
            &format!("operation-{nth}-{}", "é".repeat(200)),
            [10, b + c, d, 1],
            false,
        );
    }
    let text = serde_json::to_string(quiet.watch.baseline("ghx").unwrap()).unwrap();
    assert!(text.len() < 120_000, "{} bytes", text.len());
    let mut other = Watch::new(Settings::default());
    other.restore("ghx".into(), serde_json::from_str(&text).unwrap());
    assert_eq!(other.baseline("ghx"), quiet.watch.baseline("ghx"));
    other.retain(|client| client != "ghx");
    assert!(other.baseline("ghx").is_none());
    let whole: Watch = serde_json::from_str(&serde_json::to_string(&quiet.watch).unwrap()).unwrap();
    assert_eq!(whole.baseline("ghx"), quiet.watch.baseline("ghx"));
}

#[test]
fn a_clock_that_is_set_back_changes_nothing_that_was_known() {
    let mut quiet = Quiet::learned();
    let at = moment(MONDAY + 28, 10);
    quiet.call(at, OPERATIONS[0], ADDRESSES[0], false);
    assert!(
        quiet
            .call(moment(0, 3), OPERATIONS[0], ADDRESSES[0], false)
            .is_none()
    );
    assert!(
        quiet
            .call(Timestamp(i64::MIN), OPERATIONS[0], ADDRESSES[0], false)
            .is_none()
    );
    assert!(quiet.call(at, "bank.get", ADDRESSES[0], false).is_some());
}

#[test]
fn hours_are_those_of_the_hospital() {
    let mut quiet = Quiet::learned();
    // 22:00 UTC is 9 in the morning in Sydney, an hour at which it always calls.
    quiet.zone = TimeZone::get("Australia/Sydney").unwrap();
    assert!(
        quiet
            .call(moment(MONDAY + 29, 22), OPERATIONS[0], ADDRESSES[0], false)
            .is_none()
    );
}
