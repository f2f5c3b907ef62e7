//! What each client calls: which version of which Api, how often, how well it goes, and when last.
//!
//! Answers what an owner asks before a version is switched off ("who still calls it?") and what an
//! operator asks when a partner complains. Counted in memory, of bounded size, plain data that the
//! store keeps by way of `serde`. Nothing in it comes from a payload.

mod latency;

pub use latency::Latency;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;

/// Operations of a client that are told apart; what was not called for longest goes first.
const MOST_OPERATIONS: usize = 512;

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The Api's name.
    pub api: &'a Arc<str>,
    /// Its version.
    pub version: &'a Arc<str>,
    /// Its operation.
    pub operation: &'a Arc<str>,
    /// From where.
    pub address: IpAddr,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What became of a call, as far as its client cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was served, or what was wrong was the client's request.
    Served,
    /// It was refused for lack of rights.
    Denied,
    /// It was more than agreed.
    Throttled,
    /// It failed on our side, or on that of a system behind.
    Failed,
}

/// So many calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub calls: u64,
    /// Refused for lack of rights.
    pub denied: u64,
    /// Refused because they were more than agreed.
    pub throttled: u64,
    /// Failed on our side, or on that of a system behind.
    pub failed: u64,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        self.calls += 1;
        match outcome {
            Outcome::Served => {}
            Outcome::Denied => self.denied += 1,
            Outcome::Throttled => self.throttled += 1,
            Outcome::Failed => self.failed += 1,
        }
    }
}

/// Calls of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationUse {
    /// The Api's name.
    pub api: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Its operation.
    pub operation: Arc<str>,
    /// When it was called last.
    pub last: Timestamp,
    /// Today's calls.
    pub today: Counts,
    /// All calls that are known of.
    pub total: Counts,
    /// How long today's calls took.
    pub latency: Latency,
}

/// Api, version, operation.
type Key = (Arc<str>, Arc<str>, Arc<str>);

/// What one client calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Usage {
    /// Days since 1 January 1970 where the hospital is: which day `today` is.
    day: i32,
    /// When it called first.
    pub since: Timestamp,
    /// When it called last.
    pub last: Timestamp,
    /// From where.
    pub address: Option<IpAddr>,
    today: Counts,
    /// All calls that are known of.
    pub total: Counts,
    operations: BTreeMap<Key, OperationUse>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    day: i32,
    since: Timestamp,
    last: Timestamp,
    address: Option<IpAddr>,
    today: Counts,
    total: Counts,
    operations: Vec<OperationUse>,
}

impl From<Written> for Usage {
    fn from(written: Written) -> Self {
        let key = |one: &OperationUse| -> Key {
            (one.api.clone(), one.version.clone(), one.operation.clone())
        };
        let operations = written.operations.into_iter().take(MOST_OPERATIONS);
        Self {
            day: written.day,
            since: written.since,
            last: written.last,
            address: written.address,
            today: written.today,
            total: written.total,
            operations: operations.map(|one| (key(&one), one)).collect(),
        }
    }
}

impl From<Usage> for Written {
    fn from(usage: Usage) -> Self {
        Self {
            day: usage.day,
            since: usage.since,
            last: usage.last,
            address: usage.address,
            today: usage.today,
            total: usage.total,
            operations: usage.operations.into_values().collect(),
        }
    }
}

impl Usage {
    /// Nothing yet, from this moment on.
    pub fn new(now: Timestamp) -> Self {
        Self {
            day: i32::MIN,
            since: now,
            last: now,
            address: None,
            today: Counts::default(),
            total: Counts::default(),
            operations: BTreeMap::new(),
        }
    }

    /// Counts a call. `zone` is the hospital's, whose midnight begins a day.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::usage::{Call, Outcome, Usage};
    /// use wardline_core::Timestamp;
    /// let mut usage = Usage::new(Timestamp(0));
    /// let call = Call {
    ///     api: &"supplier-master".into(),
    ///     version: &"1.0.0".into(),
    ///     operation: &"get-supplier".into(),
    ///     address: [192, 0, 2, 1].into(),
    ///     outcome: Outcome::Served,
    ///     took: Duration::from_millis(4),
    /// };
    /// usage.count(&call, Timestamp(0), &jiff::tz::TimeZone::UTC);
    /// assert_eq!(usage.today(Timestamp(0), &jiff::tz::TimeZone::UTC).calls, 1);
    /// ```
    pub fn count(&mut self, call: &Call<'_>, now: Timestamp, zone: &TimeZone) {
        let today = day(now, zone);
        if today > self.day {
            self.day = today;
            self.today = Counts::default();
            for operation in self.operations.values_mut() {
                operation.today = Counts::default();
                operation.latency = Latency::default();
            }
        }
        self.last = self.last.max(now);
        self.address = Some(call.address);
        self.today.add(call.outcome);
        self.total.add(call.outcome);
        let key = (
            Arc::clone(call.api),
            Arc::clone(call.version),
            Arc::clone(call.operation),
        );
        if !self.operations.contains_key(&key) {
            self.make_room();
        }
        let operation =
            self.operations
                .entry(key)
                .or_insert_with_key(|(api, version, operation)| OperationUse {
                    api: Arc::clone(api),
                    version: Arc::clone(version),
                    operation: Arc::clone(operation),
                    last: now,
                    today: Counts::default(),
                    total: Counts::default(),
                    latency: Latency::default(),
                });
        operation.last = operation.last.max(now);
        operation.today.add(call.outcome);
        operation.total.add(call.outcome);
        operation.latency.add(call.took);
    }

    fn make_room(&mut self) {
        while self.operations.len() >= MOST_OPERATIONS {
            let oldest = self.operations.iter().min_by_key(|(_, one)| one.last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.operations.remove(&oldest);
        }
    }

    /// Calls of the day that is now.
    pub fn today(&self, now: Timestamp, zone: &TimeZone) -> Counts {
        if day(now, zone) > self.day {
            Counts::default()
        } else {
            self.today
        }
    }

    /// Operations, by Api, version and name. What `today` of each says is the day of the last
    /// call.
    pub fn operations(&self) -> impl Iterator<Item = &OperationUse> {
        self.operations.values()
    }
}

/// Days since 1 January 1970, by the calendar on the wall.
fn day(at: Timestamp, zone: &TimeZone) -> i32 {
    let zoned = at.to_jiff().to_zoned_datetime(zone.clone());
    let seconds = at.to_jiff().as_second() + i64::from(zoned.offset().seconds());
    i32::try_from(seconds.div_euclid(86_400)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(usage: &mut Usage, operation: &str, outcome: Outcome, at: Timestamp) {
        let call = Call {
            api: &"supplier-master".into(),
            version: &"1.0.0".into(),
            operation: &operation.into(),
            address: [192, 0, 2, 1].into(),
            outcome,
            took: Duration::from_millis(10),
        };
        usage.count(&call, at, &TimeZone::UTC);
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_day_begins_anew_and_the_whole_goes_on() {
        let mut usage = Usage::new(Timestamp(0));
        for outcome in [Outcome::Served, Outcome::Denied, Outcome::Failed] {
            call(&mut usage, "get", outcome, Timestamp(0));
        }
        let expected = Counts {
            calls: 3,
            denied: 1,
            failed: 1,
            throttled: 0,
        };
        let today = usage.today(Timestamp(1), &TimeZone::UTC);
        assert_eq!((today, usage.total), (expected, expected));
        let tomorrow = Timestamp(0).after(DAY);
        assert_eq!(
            usage.today(tomorrow, &TimeZone::UTC),
            Counts::default(),
            "nobody called yet"
        );
        call(&mut usage, "get", Outcome::Throttled, tomorrow);
        let one = usage.operations().next().unwrap();
        assert_eq!((one.today.calls, one.total.calls), (1, 4));
        assert_eq!((one.today.throttled, usage.total.calls), (1, 4));
        assert!(usage.last == tomorrow && usage.since == Timestamp(0));
    }

    #[test]
    fn it_goes_through_the_store_and_stays_small() {
        let mut usage = Usage::new(Timestamp(0));
        for n in 0..2_000_i64 {
            call(
                &mut usage,
                &format!("op-{n}"),
                Outcome::Served,
                Timestamp::from_unix_ms(n),
            );
        }
        assert_eq!(usage.operations().count(), MOST_OPERATIONS);
        assert!(usage.operations().any(|one| &*one.operation == "op-1999"));
        let text = serde_json::to_string(&usage).unwrap();
        assert!(text.len() < 200_000, "{} bytes", text.len());
        assert!(serde_json::from_str::<Usage>(&text).unwrap() == usage);
    }
}
