//! What is usual for one client.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Event, Hour, Settings, Sign};

/// Days that are remembered: four of each day of the week.
const DAYS: usize = 28;
/// Operations that are remembered.
const MOST_OPERATIONS: usize = 512;
/// Networks that are remembered.
const MOST_NETWORKS: usize = 128;
/// Bytes of an operation's name that are kept.
const MOST_NAME: usize = 96;

/// The calls of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Daily {
    day: i32,
    by_hour: [u32; 24],
    denied: u32,
}

impl Daily {
    const fn new(day: i32) -> Self {
        Self {
            day,
            by_hour: [0; 24],
            denied: 0,
        }
    }
    fn calls(&self) -> u64 {
        self.by_hour.iter().copied().map(u64::from).sum()
    }
}

/// What was told already, so that it is told once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    unusual_hour: Option<Hour>,
    hourly: Option<Hour>,
    denials: Option<Hour>,
    daily: Option<i32>,
}

/// What is usual for one client. Grows to a bound, forgets after four weeks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    since: i32,
    /// The day that is now.
    today: Daily,
    /// Days before, on which it called, oldest first.
    before: VecDeque<Daily>,
    /// Refused in the hour that is now.
    denied_now: (Hour, u32),
    /// When each was last called, by day.
    operations: BTreeMap<Box<str>, i32>,
    networks: BTreeMap<IpAddr, i32>,
    told: Told,
}

impl Baseline {
    pub(super) fn new(now: Hour) -> Self {
        Self {
            since: now.day,
            today: Daily::new(now.day),
            before: VecDeque::new(),
            denied_now: (now, 0),
            operations: BTreeMap::new(),
            networks: BTreeMap::new(),
            told: Told::default(),
        }
    }

    pub(super) fn observe(
        &mut self,
        event: &Event<'_>,
        now: Hour,
        settings: &Settings,
    ) -> Vec<Sign> {
        let now = self.turn_to(now);
        let count = &mut self.today.by_hour[usize::from(now.hour)];
        *count = count.saturating_add(1);
        if event.denied {
            self.today.denied = self.today.denied.saturating_add(1);
            self.denied_now.1 = self.denied_now.1.saturating_add(1);
        }
        let knows = self.knows(settings);
        let mut signs = Vec::new();
        // Nothing is unusual where nothing is known, however short learning is declared.
        if knows && !self.before.is_empty() {
            signs.extend(self.unusual_hour(now));
            signs.extend(self.hourly(now, settings));
            signs.extend(self.daily(settings));
        }
        signs.extend(self.denials(now, settings, knows));
        // A refused call never teaches an operation, and teaches a network only by an alert.
        if !event.denied {
            signs.extend(self.new_operation(event, now).filter(|_| knows));
        }
        if knows || !event.denied {
            signs.extend(self.new_network(event, now).filter(|_| knows));
        }
        signs
    }

    /// Whether it is known well enough for anything to be unusual.
    fn knows(&self, settings: &Settings) -> bool {
        self.today.day.saturating_sub(self.since) >= i32::from(settings.learning_days)
            && self.before.len() >= usize::from(settings.learning_active_days)
    }

    /// Closes days and hours that are over. A clock that is set back counts for the hour that
    /// was reached.
    fn turn_to(&mut self, now: Hour) -> Hour {
        let now = if now.day < self.today.day {
            Hour {
                day: self.today.day,
                ..self.denied_now.0
            }
        } else {
            now
        };
        if now.day > self.today.day {
            let over = std::mem::replace(&mut self.today, Daily::new(now.day));
            if over.calls() > 0 {
                self.before.push_back(over);
            }
            let oldest = now.day.saturating_sub(DAYS as i32);
            self.before.retain(|day| day.day >= oldest);
            self.operations.retain(|_, last| *last >= oldest);
            self.networks.retain(|_, last| *last >= oldest);
        }
        if now != self.denied_now.0 {
            self.denied_now = (now, 0);
        }
        now
    }

    fn unusual_hour(&mut self, now: Hour) -> Option<Sign> {
        let called = |hour: u8| {
            self.before
                .iter()
                .any(|day| day.by_hour[usize::from(hour % 24)] > 0)
        };
        // The hour next to a usual one is late, not unusual.
        if called(now.hour) || called(now.hour + 1) || called(now.hour + 23) {
            return None;
        }
        // Told once a night, not once an hour.
        if self
            .told
            .unusual_hour
            .is_some_and(|told| told.day == now.day)
        {
            return None;
        }
        let usual = (0..24).filter(|hour| called(*hour)).collect();
        self.told.unusual_hour = Some(now);
        Some(Sign::UnusualHour {
            hour: now.hour,
            usual,
            days: u16::try_from(self.before.len()).unwrap_or(u16::MAX),
        })
    }

    fn hourly(&mut self, now: Hour, settings: &Settings) -> Option<Sign> {
        let calls = self.today.by_hour[usize::from(now.hour)];
        if calls <= settings.quiet_calls || self.told.hourly == Some(now) {
            return None;
        }
        // Work shifts by an hour; the busier neighbour counts.
        let mut usual: Vec<u64> = self
            .before
            .iter()
            .map(|day| {
                [23, 0, 1]
                    .into_iter()
                    .map(|off| day.by_hour[usize::from((now.hour + off) % 24)])
                    .max()
                    .map_or(0, u64::from)
            })
            .collect();
        let (most, median) = most_and_median(&mut usual);
        if u64::from(calls) <= most.saturating_mul(settings.times_most.into()) {
            return None;
        }
        self.told.hourly = Some(now);
        Some(Sign::HourlyVolume {
            calls: calls.into(),
            most,
            median,
        })
    }

    fn daily(&mut self, settings: &Settings) -> Option<Sign> {
        let calls = self.today.calls();
        let quiet = u64::from(settings.quiet_calls) * 4;
        if calls <= quiet || self.told.daily == Some(self.today.day) {
            return None;
        }
        let mut usual: Vec<u64> = self.before.iter().map(Daily::calls).collect();
        let (most, median) = most_and_median(&mut usual);
        // A day is steadier than an hour.
        if calls.saturating_mul(2) <= most.saturating_mul(settings.times_most.into()) {
            return None;
        }
        self.told.daily = Some(self.today.day);
        Some(Sign::DailyVolume {
            calls,
            most,
            median,
        })
    }

    fn denials(&mut self, now: Hour, settings: &Settings, knows: bool) -> Option<Sign> {
        let denied = self.denied_now.1;
        if self.told.denials == Some(now) || denied < settings.few_denials {
            return None;
        }
        let calls = u64::from(self.today.by_hour[usize::from(now.hour)]);
        let all: u64 = self.before.iter().map(Daily::calls).sum();
        let refused: u64 = self.before.iter().map(|day| u64::from(day.denied)).sum();
        let usual_per_mille = (refused * 1_000).checked_div(all).unwrap_or(0);
        let share = u64::from(denied) * 1_000 / calls.max(1);
        let unusual = knows && share >= 200 && share > usual_per_mille * 4;
        if !unusual && denied < settings.denials_ceiling {
            return None;
        }
        self.told.denials = Some(now);
        Some(Sign::ManyDenials {
            denied: denied.into(),
            calls,
            usual_per_mille,
        })
    }

    fn new_operation(&mut self, event: &Event<'_>, now: Hour) -> Option<Sign> {
        let name = clip(event.operation);
        if let Some(last) = self.operations.get_mut(name) {
            *last = now.day;
            return None;
        }
        let known = self.operations.len();
        make_room(&mut self.operations, MOST_OPERATIONS);
        self.operations.insert(name.into(), now.day);
        (known > 0).then(|| Sign::NewOperation {
            operation: name.to_owned(),
            known: u16::try_from(known).unwrap_or(u16::MAX),
        })
    }

    fn new_network(&mut self, event: &Event<'_>, now: Hour) -> Option<Sign> {
        let network = network(event.address);
        if let Some(last) = self.networks.get_mut(&network) {
            *last = now.day;
            return None;
        }
        let known = self.networks.len();
        make_room(&mut self.networks, MOST_NETWORKS);
        self.networks.insert(network, now.day);
        let bits = if network.is_ipv4() { 24 } else { 48 };
        (known > 0).then(|| Sign::NewAddress {
            network: format!("{network}/{bits}"),
            known: u16::try_from(known).unwrap_or(u16::MAX),
        })
    }
}

/// The largest and the middle one.
fn most_and_median(values: &mut [u64]) -> (u64, u64) {
    values.sort_unstable();
    let median = values.get(values.len() / 2).copied().unwrap_or(0);
    (values.last().copied().unwrap_or(0), median)
}

/// Forgets what was not seen for longest.
fn make_room<K: Clone + Ord>(known: &mut BTreeMap<K, i32>, most: usize) {
    while known.len() >= most {
        let Some(oldest) = known
            .iter()
            .min_by_key(|(_, last)| **last)
            .map(|(name, _)| name.clone())
        else {
            return;
        };
        known.remove(&oldest);
    }
}

fn clip(name: &str) -> &str {
    let mut end = name.len().min(MOST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The network of an address: /24, or /48 of IPv6. IPv4 in IPv6 is IPv4.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}
