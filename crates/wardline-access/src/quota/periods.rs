//! Calls an hour, a day or a week, that a restart does not forget.

use async_trait::async_trait;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, Timestamp};

use super::{Bucket, Standing};

/// What time a quota is for. All begin and end where the hospital is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
}

impl Period {
    /// Its name in headers and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// The period of this length, where there is one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::quota::Period;
    /// assert_eq!(Period::of(Duration::from_secs(86_400)), Some(Period::Day));
    /// ```
    pub const fn of(length: Duration) -> Option<Self> {
        match length.as_secs() {
            3_600 => Some(Self::Hour),
            86_400 => Some(Self::Day),
            604_800 => Some(Self::Week),
            _ => None,
        }
    }

    const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 604_800,
        })
    }

    /// When the period began in which `now` lies, and when it ends.
    fn around(self, now: Timestamp, zone: &TimeZone) -> Window {
        let zoned = now.to_jiff().to_zoned_datetime(zone.clone());
        let edges = || {
            if self == Self::Hour {
                let begins = now.to_jiff().as_second()
                    - i64::from(zoned.minute()) * 60
                    - i64::from(zoned.second());
                let begins = jiff::Timestamp::from_second(begins)?;
                return Ok((begins, begins.checked_add(1.hour())?));
            }
            let back = if self == Self::Week {
                zoned.weekday().to_monday_zero_offset()
            } else {
                0
            };
            let begins = zoned.checked_sub(i64::from(back).days())?.start_of_day()?;
            let days = if self == Self::Week { 7 } else { 1 };
            let ends = begins.checked_add(days.days())?.start_of_day()?;
            Ok::<_, jiff::Error>((begins.timestamp(), ends.timestamp()))
        };
        // At the end of representable time: for ever.
        edges().map_or(
            Window {
                begins: now,
                ends: Timestamp(i64::MAX),
            },
            |(begins, ends)| Window {
                begins: Timestamp(begins.as_microsecond()),
                ends: Timestamp(ends.as_microsecond()),
            },
        )
    }
}

/// So many calls a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many.
    pub calls: u64,
    /// In which time.
    pub per: Period,
}

/// What is kept of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// When the period began that was counted.
    pub since: Timestamp,
    /// Calls in it.
    pub used: u64,
}

/// The store could not load or save. What exactly is for its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quotas could not be loaded from or saved to the store")]
pub struct StoreFailed;

/// Where quotas are kept, by name: that of the [`Bucket`], `#` and that of the [`Period`].
#[async_trait]
pub trait QuotaStore: Send + Sync + std::fmt::Debug {
    /// What was saved last under a name.
    async fn load(&self, name: &str) -> Result<Option<Saved>, StoreFailed>;
    /// Saves all of these, durable when it returns.
    async fn save(&self, quotas: &[(String, Saved)]) -> Result<(), StoreFailed>;
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    used: u64,
    /// Of these, how many the store knows.
    saved: u64,
}

/// The period that is now.
#[derive(Debug, Clone, Copy)]
struct Window {
    begins: Timestamp,
    ends: Timestamp,
}

/// Quotas of all clients.
///
/// A day goes from midnight to midnight in the hospital's time zone, so it has 23 or 25 hours
/// twice a year. Refused calls are not counted. A clock that is set back begins nothing anew.
///
/// **After a crash** a bucket has forgotten at most what was not saved yet:
/// [`Quotas::unsaved`] calls, one hundredth of the quota or one call. When that many
/// wait, the next call saves them before it is granted, and is refused where that fails. Saving
/// them earlier is the owner's task: call [`Quotas::flush`] every second or so, and once at the end.
#[derive(Debug)]
pub struct Quotas {
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    store: Arc<dyn QuotaStore>,
    now: RwLock<[Window; 3]>,
    counts: Mutex<ahash::AHashMap<(Bucket, Period), Count>>,
    /// One at a time talks to the store, so that no older count overtakes a newer one.
    talking: tokio::sync::Mutex<()>,
}

/// Why a call is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Spent { wait: Duration, standing: Standing },
    Store,
}

impl Quotas {
    /// Quotas that are kept in a store, for periods in a time zone.
    pub fn new(clock: Arc<dyn Clock>, zone: TimeZone, store: Arc<dyn QuotaStore>) -> Self {
        let never = Window {
            begins: Timestamp(i64::MAX),
            ends: Timestamp(i64::MIN),
        };
        Self {
            clock,
            zone,
            store,
            now: RwLock::new([never; 3]),
            counts: Mutex::default(),
            talking: tokio::sync::Mutex::default(),
        }
    }

    /// How many calls of a quota may wait to be saved.
    pub const fn unsaved(quota: u64) -> u64 {
        if quota < 200 { 1 } else { quota / 100 }
    }

    /// Counts a call, or says why not.
    pub(super) async fn take(&self, bucket: &Bucket, quota: Quota) -> Result<Standing, NotTaken> {
        let key = (bucket.clone(), quota.per);
        loop {
            let window = self.window(quota.per);
            match self.take_now(&key, quota, window) {
                Some(answer) => return answer,
                None => self.settle(&key, quota, window).await?,
            }
        }
    }

    /// Gives a call back that was counted and then not made.
    pub(super) fn take_back(&self, bucket: &Bucket, per: Period) {
        if let Some(count) = self.counts.lock().get_mut(&(bucket.clone(), per)) {
            count.used = count.used.saturating_sub(1);
        }
    }

    /// The answer where it needs no store.
    fn take_now(
        &self,
        key: &(Bucket, Period),
        quota: Quota,
        window: Window,
    ) -> Option<Result<Standing, NotTaken>> {
        let mut counts = self.counts.lock();
        let count = counts.get_mut(key)?;
        if count.since < window.begins {
            *count = Count {
                since: window.begins,
                used: 0,
                saved: 0,
            };
        }
        if count.used >= quota.calls {
            let standing = standing(quota, count.used, window, self.clock.now());
            return Some(Err(NotTaken::Spent {
                wait: standing.resets,
                standing,
            }));
        }
        if count.used.saturating_sub(count.saved) >= Self::unsaved(quota.calls) {
            return None;
        }
        count.used += 1;
        Some(Ok(standing(quota, count.used, window, self.clock.now())))
    }

    /// Loads a bucket that is not known yet, or saves one that has too much unsaved.
    async fn settle(
        &self,
        key: &(Bucket, Period),
        quota: Quota,
        window: Window,
    ) -> Result<(), NotTaken> {
        let _talking = self.talking.lock().await;
        let known = self.counts.lock().get(key).copied();
        match known {
            None => {
                let saved = self
                    .store
                    .load(&name(key))
                    .await
                    .map_err(|StoreFailed| NotTaken::Store)?;
                // A later period than this one: the clock was set back while we were down.
                let used = saved.filter(|saved| saved.since >= window.begins);
                let count = Count {
                    since: used.map_or(window.begins, |saved| saved.since),
                    used: used.map_or(0, |saved| saved.used),
                    saved: used.map_or(0, |saved| saved.used),
                };
                self.counts.lock().entry(key.clone()).or_insert(count);
                Ok(())
            }
            // Somebody else saved it while we waited.
            Some(count) if count.used.saturating_sub(count.saved) < Self::unsaved(quota.calls) => {
                Ok(())
            }
            Some(_) => self.save_all().await.map_err(|StoreFailed| NotTaken::Store),
        }
    }

    /// How many calls of the period that is now were counted.
    ///
    /// # Errors
    /// [`StoreFailed`] where they are not in memory and cannot be loaded.
    pub async fn used(&self, bucket: &Bucket, per: Period) -> Result<u64, StoreFailed> {
        let key = (bucket.clone(), per);
        let begins = self.window(per).begins;
        let known = self.counts.lock().get(&key).copied();
        let (since, used) = match known {
            Some(count) => (count.since, count.used),
            None => match self.store.load(&name(&key)).await? {
                Some(saved) => (saved.since, saved.used),
                None => return Ok(0),
            },
        };
        Ok(if since >= begins { used } else { 0 })
    }

    /// Saves what has changed and forgets periods gone by.
    pub async fn flush(&self) -> Result<(), StoreFailed> {
        let _talking = self.talking.lock().await;
        self.save_all().await?;
        let now = [Period::Hour, Period::Day, Period::Week].map(|per| self.window(per));
        self.counts.lock().retain(|(_, per), count| {
            count.since >= now[*per as usize].begins || count.used != count.saved
        });
        Ok(())
    }

    async fn save_all(&self) -> Result<(), StoreFailed> {
        let changed: Vec<((Bucket, Period), Count)> = self
            .counts
            .lock()
            .iter()
            .filter(|(_, count)| count.used != count.saved)
            .map(|(key, count)| (key.clone(), *count))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let quotas: Vec<(String, Saved)> = changed
            .iter()
            .map(|(key, count)| {
                let saved = Saved {
                    since: count.since,
                    used: count.used,
                };
                (name(key), saved)
            })
            .collect();
        self.store.save(&quotas).await?;
        let mut counts = self.counts.lock();
        for (key, was) in changed {
            // It went on while it was saved, maybe into the next period.
            if let Some(count) = counts.get_mut(&key)
                && count.since == was.since
            {
                count.saved = was.used;
            }
        }
        Ok(())
    }

    fn window(&self, per: Period) -> Window {
        let now = self.clock.now();
        let known = self.now.read()[per as usize];
        // Within it, or before it: a clock that is set back changes nothing.
        if now < known.ends {
            return known;
        }
        let window = per.around(now, &self.zone);
        self.now.write()[per as usize] = window;
        window
    }
}

fn name((bucket, per): &(Bucket, Period)) -> String {
    format!("{bucket}#{}", per.name())
}

fn standing(quota: Quota, used: u64, window: Window, now: Timestamp) -> Standing {
    Standing {
        name: quota.per.name(),
        most: quota.calls,
        window: quota.per.length(),
        left: quota.calls.saturating_sub(used),
        resets: window.ends.since(now),
    }
}
