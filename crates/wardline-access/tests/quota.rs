//! Limits against naive models of them.

#![allow(
    clippy::unwrap_used,
    reason = "a test may stop where something is not as it must be"
)]

use async_trait::async_trait;
use governor::clock::FakeRelativeClock;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wardline_access::quota::{
    Ask, Bucket, Limiter, Limits, Period, Quota, QuotaStore, Quotas, Rate, Rates, Refusal, Saved,
    StoreFailed, rate_limit, rate_limit_policy,
};
use wardline_core::{SimulatedClock, Timestamp};

#[derive(Debug, Default)]
struct Memory {
    saved: Mutex<BTreeMap<String, Saved>>,
    broken: AtomicBool,
}

#[async_trait]
impl QuotaStore for Memory {
    async fn load(&self, name: &str) -> Result<Option<Saved>, StoreFailed> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreFailed);
        }
        Ok(self.saved.lock().get(name).copied())
    }
    async fn save(&self, quotas: &[(String, Saved)]) -> Result<(), StoreFailed> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreFailed);
        }
        self.saved.lock().extend(quotas.iter().cloned());
        Ok(())
    }
}

struct Bench {
    limiter: Limiter<FakeRelativeClock>,
    ticks: FakeRelativeClock,
    clock: Arc<SimulatedClock>,
    store: Arc<Memory>,
}

/// 12:00 on 28 March 2026 in Berlin, the day before clocks go forward.
const NOON: &str = "2026-03-28T11:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::try_from(text.to_owned()).unwrap()
}

impl Bench {
    fn new() -> Self {
        Self::with(Arc::default(), at(NOON))
    }
    fn with(store: Arc<Memory>, now: Timestamp) -> Self {
        let ticks = FakeRelativeClock::default();
        // Not at the beginning of time: governor takes a full bucket there for an unknown one.
        ticks.advance(Duration::from_secs(1));
        let clock = Arc::new(SimulatedClock::starting_at(now));
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let quotas = Quotas::new(clock.clone(), zone, store.clone());
        Self {
            limiter: Limiter::new(Rates::new(ticks.clone(), 100), quotas),
            ticks,
            clock,
            store,
        }
    }
    fn admit(&self, asks: &[Ask]) -> Result<wardline_access::quota::Admission, Refusal> {
        block_on(self.limiter.admit(asks))
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn client(name: &str) -> Bucket {
    Bucket::of_client(name.into())
}

fn operation(name: &str) -> Bucket {
    Bucket {
        client: "ghx".into(),
        api: Some("supplier-master".into()),
        operation: Some(name.into()),
    }
}

fn ask(bucket: Bucket, limits: Limits) -> Ask {
    Ask { bucket, limits }
}

fn day(calls: u64) -> Quota {
    Quota {
        calls,
        per: Period::Day,
    }
}

fn rate(calls: u32, seconds: u64, burst: u32) -> Rate {
    Rate::new(calls, Duration::from_secs(seconds), Some(burst)).unwrap()
}

/// A bucket that fills by one each interval, in whole nanoseconds.
struct Naive {
    every: u128,
    burst: u128,
    /// Credit in nanoseconds.
    credit: u128,
    at: u128,
}

impl Naive {
    fn new(rate: Rate) -> Self {
        let every = rate.every().as_nanos();
        let burst = u128::from(rate.burst());
        Self {
            every,
            burst,
            credit: every * burst,
            at: 0,
        }
    }
    fn fill(&mut self, now: u128) {
        self.credit = (self.credit + now - self.at).min(self.every * self.burst);
        self.at = now;
    }
    fn may(&mut self, now: u128) -> bool {
        self.fill(now);
        self.credit >= self.every
    }
}

proptest! {
    /// Two limits at a time, the client's and the operation's: a call is charged to both or to none.
    #[test]
    fn rates_behave_as_a_bucket_that_fills(
        steps in prop::collection::vec((0u64..400, prop::sample::select(vec!["get", "put"])), 1..200),
        calls in 1u32..30,
        burst in 1u32..8,
    ) {
        let bench = Bench::new();
        let all = rate(calls, 1, burst);
        let each = rate(calls.div_ceil(2), 2, burst.div_ceil(2));
        let mut of_client = Naive::new(all);
        let mut of_operation = BTreeMap::from([("get", Naive::new(each)), ("put", Naive::new(each))]);
        let mut now = 0;
        for (wait, name) in steps {
            bench.ticks.advance(Duration::from_millis(wait));
            now += u128::from(wait) * 1_000_000;
            let limits = |rate| Limits { rate: Some(rate), ..Limits::default() };
            let got = bench.admit(&[ask(client("ghx"), limits(all)), ask(operation(name), limits(each))]);
            let other = of_operation.get_mut(name).unwrap();
            let expected = of_client.may(now) & other.may(now);
            prop_assert_eq!(got.is_ok(), expected, "at {}", now);
            match got {
                Ok(admission) => {
                    of_client.credit -= of_client.every;
                    other.credit -= other.every;
                    prop_assert_eq!(u128::from(admission.standings[0].left), of_client.credit / of_client.every);
                    prop_assert_eq!(u128::from(admission.standings[1].left), other.credit / other.every);
                }
                Err(refusal) => {
                    let Refusal::Rate { wait, .. } = refusal else { panic!("{refusal:?}") };
                    // The first that refused says when it will not any more.
                    let short = |naive: &Naive| naive.every.saturating_sub(naive.credit);
                    let first = if short(&of_client) > 0 { short(&of_client) } else { short(other) };
                    prop_assert_eq!(wait.as_nanos(), first);
                }
            }
        }
    }

    /// Whatever is called, crashed and flushed: never more than the quota and what a crash may
    /// forget, and never fewer than the quota.
    #[test]
    fn quotas_hold_across_crashes(
        steps in prop::collection::vec(0u8..20, 1..400),
        quota in 1u64..400,
    ) {
        let store: Arc<Memory> = Arc::default();
        let mut bench = Bench::with(store.clone(), at(NOON));
        let asks = [ask(client("ghx"), Limits { quota: Some(day(quota)), ..Limits::default() })];
        let (mut granted, mut crashes) = (0, 0);
        for step in steps {
            match step {
                0 => {
                    bench = Bench::with(store.clone(), at(NOON));
                    crashes += 1;
                }
                1 => block_on(bench.limiter.quotas().flush()).unwrap(),
                _ => for _ in 0..step {
                    match bench.admit(&asks) {
                        Ok(_) => granted += 1,
                        Err(refusal) => {
                            let spent = matches!(refusal, Refusal::Quota { .. });
                            prop_assert!(spent);
                            prop_assert!(granted >= quota);
                        }
                    }
                },
            }
        }
        prop_assert!(granted <= quota + crashes * Quotas::unsaved(quota), "{} of {}, {} crashes", granted, quota, crashes);
    }
}

#[test]
fn a_refused_call_costs_nothing() {
    let bench = Bench::new();
    let asks = [ask(
        client("ghx"),
        Limits {
            rate: Some(rate(1, 10, 1)),
            ..Limits::default()
        },
    )];
    assert!(bench.admit(&asks).is_ok());
    // Knocking all the time does not put the next call off.
    for _ in 0..9_999 {
        bench.ticks.advance(Duration::from_millis(1));
        assert!(bench.admit(&asks).is_err());
    }
    bench.ticks.advance(Duration::from_millis(1));
    assert!(bench.admit(&asks).is_ok());
}

#[test]
fn what_a_later_limit_refuses_an_earlier_one_does_not_count() {
    let bench = Bench::new();
    let limits = Limits {
        rate: Some(rate(1, 3_600, 5)),
        quota: Some(day(10)),
        concurrent: Some(3),
    };
    let none = Limits {
        quota: Some(day(0)),
        ..Limits::default()
    };
    for _ in 0..20 {
        let refused = bench.admit(&[ask(client("ghx"), limits), ask(operation("put"), none)]);
        assert!(matches!(refused, Err(Refusal::Quota { .. })));
    }
    let admission = bench.admit(&[ask(client("ghx"), limits)]).unwrap();
    let left: Vec<u64> = admission
        .standings
        .iter()
        .map(|standing| standing.left)
        .collect();
    assert_eq!(left, [4, 9]);
}

#[test]
fn calls_at_once_are_given_back_when_they_end() {
    let bench = Bench::new();
    let asks = [ask(
        client("ghx"),
        Limits {
            concurrent: Some(2),
            ..Limits::default()
        },
    )];
    let first = bench.admit(&asks).unwrap();
    let second = bench.admit(&asks).unwrap().into_permits();
    let refused = bench.admit(&asks).unwrap_err();
    assert_eq!(refused, Refusal::Concurrency);
    assert_eq!(refused.retry_after(), 1);
    drop(first);
    assert!(bench.admit(&asks).is_ok());
    drop(second);
}

#[test]
fn headers_say_what_is_left() {
    let bench = Bench::new();
    let asks = [ask(
        client("ghx"),
        Limits {
            rate: Some(rate(20, 1, 40)),
            quota: Some(day(1_000)),
            concurrent: None,
        },
    )];
    let admission = bench.admit(&asks).unwrap();
    assert_eq!(
        rate_limit_policy(&admission.standings),
        r#""rate";q=40;w=2, "day";q=1000;w=86400"#
    );
    // Noon in Berlin: twelve hours to midnight.
    assert_eq!(
        rate_limit(&admission.standings),
        r#""rate";r=39;t=1, "day";r=999;t=43200"#
    );
    let refused = (0..40).find_map(|_| bench.admit(&asks).err()).unwrap();
    assert_eq!(refused.retry_after(), 1);
    assert_eq!(rate_limit(refused.standings()), r#""rate";r=0;t=2"#);

    // Of the client's and the operation's limit the tighter one is told.
    let both = [
        ask(
            client("x"),
            Limits {
                rate: Some(rate(1, 1, 5)),
                ..Limits::default()
            },
        ),
        ask(
            operation("get"),
            Limits {
                rate: Some(rate(1, 1, 2)),
                ..Limits::default()
            },
        ),
    ];
    let admission = bench.admit(&both).unwrap();
    assert_eq!(rate_limit(&admission.standings), r#""rate";r=1;t=1"#);
}

#[test]
fn a_day_is_the_hospitals_and_has_23_hours_when_clocks_go_forward() {
    let bench = Bench::with(Arc::default(), at("2026-03-29T00:30:00+01:00"));
    let asks = [ask(
        client("ghx"),
        Limits {
            quota: Some(day(1)),
            ..Limits::default()
        },
    )];
    assert!(bench.admit(&asks).is_ok());
    let refused = bench.admit(&asks).unwrap_err();
    assert_eq!(refused.retry_after(), 22 * 3_600 + 1_800);
    bench.clock.advance(Duration::from_secs(22 * 3_600 + 1_799));
    assert!(bench.admit(&asks).is_err());
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.admit(&asks).is_ok());
    assert!(bench.admit(&asks).is_err());
}

#[test]
fn a_quota_survives_a_restart_and_ends_with_its_day() {
    let store: Arc<Memory> = Arc::default();
    let asks = [ask(
        client("ghx"),
        Limits {
            quota: Some(day(100)),
            ..Limits::default()
        },
    )];
    let bench = Bench::with(store.clone(), at(NOON));
    for _ in 0..60 {
        assert!(bench.admit(&asks).is_ok());
    }
    block_on(bench.limiter.quotas().flush()).unwrap();
    let bench = Bench::with(store.clone(), at(NOON));
    assert_eq!(bench.admit(&asks).unwrap().standings[0].left, 39);
    let next_day = Bench::with(store, at("2026-03-29T12:00:00Z"));
    assert_eq!(next_day.admit(&asks).unwrap().standings[0].left, 99);
}

#[test]
fn without_a_store_a_little_is_granted_and_then_nothing() {
    let bench = Bench::new();
    let asks = [ask(
        client("ghx"),
        Limits {
            quota: Some(day(1_000)),
            ..Limits::default()
        },
    )];
    assert!(bench.admit(&asks).is_ok());
    bench.store.broken.store(true, Ordering::SeqCst);
    let granted = (0..50).filter(|_| bench.admit(&asks).is_ok()).count();
    assert_eq!(granted as u64, Quotas::unsaved(1_000) - 1);
    assert_eq!(bench.admit(&asks).unwrap_err(), Refusal::Store);
    // A client that is not known yet cannot be told from one that has spent all.
    let other = [ask(client("other"), asks[0].limits)];
    assert_eq!(bench.admit(&other).unwrap_err(), Refusal::Store);
    bench.store.broken.store(false, Ordering::SeqCst);
    assert!(bench.admit(&asks).is_ok());
    assert!(bench.admit(&other).is_ok());
}

#[test]
fn buckets_are_bounded_and_debts_are_kept() {
    let ticks = FakeRelativeClock::default();
    ticks.advance(Duration::from_secs(1));
    let rates = Rates::new(ticks.clone(), 10);
    let slow = rate(1, 100, 1);
    for nth in 0..10 {
        assert!(rates.check(&client(&format!("c{nth}")), slow).is_ok());
    }
    // All have debts: newcomers share one bucket, and nobody's debt is forgotten.
    assert!(rates.check(&client("new-1"), slow).is_ok());
    assert!(rates.check(&client("new-2"), slow).is_err());
    assert!(rates.check(&client("c3"), slow).is_err());
    assert_eq!(rates.len(), 11);
    // Once they are full again they make room.
    ticks.advance(Duration::from_secs(201));
    assert!(rates.check(&client("new-2"), slow).is_ok());
    assert!(rates.check(&client("new-3"), slow).is_ok());
    assert!(rates.len() <= 10);
}

#[test]
fn rates_that_cannot_be_kept_are_refused() {
    assert!(Rate::new(0, Duration::from_secs(1), None).is_err());
    assert!(Rate::new(1, Duration::ZERO, None).is_err());
    assert!(Rate::new(u32::MAX, Duration::from_secs(1), None).is_err());
    assert!(Rate::new(1, Duration::from_secs(86_400 * 32), None).is_err());
    assert_eq!(
        Rate::new(1, Duration::from_secs(60), None).unwrap().burst(),
        1
    );
    assert_eq!(
        Rate::new(5, Duration::from_secs(1), Some(0))
            .unwrap()
            .burst(),
        1
    );
}

#[test]
fn hours_and_weeks_have_quotas_too() {
    // Saturday noon in Berlin; the clocks go forward on Sunday, so the week has an hour less.
    let bench = Bench::new();
    let per = |calls, per| Limits {
        quota: Some(Quota { calls, per }),
        ..Limits::default()
    };
    let asks = [
        ask(client("ghx"), per(2, Period::Hour)),
        ask(client("ghx"), per(3, Period::Week)),
    ];
    bench.clock.advance(Duration::from_secs(900));
    assert!(bench.admit(&asks).is_ok());
    assert!(bench.admit(&asks).is_ok());
    let refused = bench.admit(&asks).unwrap_err();
    assert_eq!(refused.retry_after(), 2_700);
    bench.clock.advance(Duration::from_secs(2_700));
    let last = bench.admit(&asks).unwrap();
    assert_eq!(
        rate_limit(&last.standings),
        r#""hour";r=1;t=3600, "week";r=0;t=122400"#
    );
    let refused = bench.admit(&asks).unwrap_err();
    assert_eq!(refused.retry_after(), 34 * 3_600);
    block_on(bench.limiter.quotas().flush()).unwrap();
    let names: Vec<String> = bench.store.saved.lock().keys().cloned().collect();
    assert_eq!(names, ["ghx#hour", "ghx#week"]);
    bench.clock.advance(Duration::from_secs(34 * 3_600));
    assert!(bench.admit(&asks).is_ok());
}
