//! Calls a day, that a restart does not forget.

use async_trait::async_trait;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, Timestamp};

use super::{Bucket, Standing};

/// What is kept of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// When the day began that was counted.
    pub day: Timestamp,
    /// Calls on that day.
    pub used: u64,
}

/// The store could not load or save. What exactly is for its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quotas could not be loaded from or saved to the store")]
pub struct StoreFailed;

/// Where quotas are kept, by name. Names are those of [`Bucket`]'s `Display`.
#[async_trait]
pub trait QuotaStore: Send + Sync + std::fmt::Debug {
    /// What was saved last under a name.
    async fn load(&self, name: &str) -> Result<Option<Saved>, StoreFailed>;
    /// Saves all of these, durable when it returns.
    async fn save(&self, quotas: &[(String, Saved)]) -> Result<(), StoreFailed>;
}

#[derive(Debug, Clone, Copy)]
struct Count {
    day: Timestamp,
    used: u64,
    /// Of these, how many the store knows.
    saved: u64,
}

/// The day that is now.
#[derive(Debug, Clone, Copy)]
struct Day {
    begins: Timestamp,
    ends: Timestamp,
}

/// Daily quotas of all clients.
///
/// A day goes from midnight to midnight in the hospital's time zone, so it has 23 or 25 hours
/// twice a year. Refused calls are not counted. A clock that is set back does not begin a day anew.
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
    today: RwLock<Day>,
    counts: Mutex<ahash::AHashMap<Bucket, Count>>,
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
    /// Quotas that are kept in a store, for days in a time zone.
    pub fn new(clock: Arc<dyn Clock>, zone: TimeZone, store: Arc<dyn QuotaStore>) -> Self {
        let never = Day {
            begins: Timestamp(i64::MAX),
            ends: Timestamp(i64::MIN),
        };
        Self {
            clock,
            zone,
            store,
            today: RwLock::new(never),
            counts: Mutex::default(),
            talking: tokio::sync::Mutex::default(),
        }
    }

    /// How many calls of a quota may wait to be saved.
    pub const fn unsaved(quota: u64) -> u64 {
        if quota < 200 { 1 } else { quota / 100 }
    }

    /// Counts a call, or says why not.
    pub(super) async fn take(&self, bucket: &Bucket, quota: u64) -> Result<Standing, NotTaken> {
        loop {
            let day = self.day();
            match self.take_now(bucket, quota, day) {
                Some(answer) => return answer,
                None => self.settle(bucket, quota, day).await?,
            }
        }
    }

    /// Gives a call back that was counted and then not made.
    pub(super) fn take_back(&self, bucket: &Bucket) {
        if let Some(count) = self.counts.lock().get_mut(bucket) {
            count.used = count.used.saturating_sub(1);
        }
    }

    /// The answer where it needs no store.
    fn take_now(
        &self,
        bucket: &Bucket,
        quota: u64,
        day: Day,
    ) -> Option<Result<Standing, NotTaken>> {
        let mut counts = self.counts.lock();
        let count = counts.get_mut(bucket)?;
        if count.day < day.begins {
            *count = Count {
                day: day.begins,
                used: 0,
                saved: 0,
            };
        }
        if count.used >= quota {
            let standing = standing(quota, count.used, day, self.clock.now());
            return Some(Err(NotTaken::Spent {
                wait: standing.resets,
                standing,
            }));
        }
        if count.used.saturating_sub(count.saved) >= Self::unsaved(quota) {
            return None;
        }
        count.used += 1;
        Some(Ok(standing(quota, count.used, day, self.clock.now())))
    }

    /// Loads a bucket that is not known yet, or saves one that has too much unsaved.
    async fn settle(&self, bucket: &Bucket, quota: u64, day: Day) -> Result<(), NotTaken> {
        let _talking = self.talking.lock().await;
        let known = self.counts.lock().get(bucket).copied();
        match known {
            None => {
                let saved = self
                    .store
                    .load(&bucket.to_string())
                    .await
                    .map_err(|StoreFailed| NotTaken::Store)?;
                // A later day than today's: the clock was set back while we were down.
                let used = saved.filter(|saved| saved.day >= day.begins);
                let count = Count {
                    day: used.map_or(day.begins, |saved| saved.day),
                    used: used.map_or(0, |saved| saved.used),
                    saved: used.map_or(0, |saved| saved.used),
                };
                self.counts.lock().entry(bucket.clone()).or_insert(count);
                Ok(())
            }
            // Somebody else saved it while we waited.
            Some(count) if count.used.saturating_sub(count.saved) < Self::unsaved(quota) => Ok(()),
            Some(_) => self.save_all().await.map_err(|StoreFailed| NotTaken::Store),
        }
    }

    /// Saves what has changed and forgets buckets of days gone by.
    pub async fn flush(&self) -> Result<(), StoreFailed> {
        let _talking = self.talking.lock().await;
        self.save_all().await?;
        let day = self.day();
        self.counts
            .lock()
            .retain(|_, count| count.day >= day.begins || count.used != count.saved);
        Ok(())
    }

    async fn save_all(&self) -> Result<(), StoreFailed> {
        let changed: Vec<(Bucket, Count)> = self
            .counts
            .lock()
            .iter()
            .filter(|(_, count)| count.used != count.saved)
            .map(|(bucket, count)| (bucket.clone(), *count))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let quotas: Vec<(String, Saved)> = changed
            .iter()
            .map(|(bucket, count)| {
                let saved = Saved {
                    day: count.day,
                    used: count.used,
                };
                (bucket.to_string(), saved)
            })
            .collect();
        self.store.save(&quotas).await?;
        let mut counts = self.counts.lock();
        for (bucket, was) in changed {
            // It went on while it was saved, maybe into the next day.
            if let Some(count) = counts.get_mut(&bucket)
                && count.day == was.day
            {
                count.saved = was.used;
            }
        }
        Ok(())
    }

    fn day(&self) -> Day {
        let now = self.clock.now();
        let today = *self.today.read();
        // Within it, or before it: a clock that is set back changes no day.
        if now < today.ends {
            return today;
        }
        let zoned = now.to_jiff().to_zoned_datetime(self.zone.clone());
        let begins = zoned.start_of_day().unwrap_or_else(|_| zoned.clone());
        let ends = begins
            .checked_add(1.day())
            .and_then(|next| next.start_of_day())
            .map_or(i64::MAX, |next| next.timestamp().as_microsecond());
        let day = Day {
            begins: Timestamp(begins.timestamp().as_microsecond()),
            ends: Timestamp(ends),
        };
        *self.today.write() = day;
        day
    }
}

fn standing(quota: u64, used: u64, day: Day, now: Timestamp) -> Standing {
    Standing {
        name: "day",
        most: quota,
        window: Duration::from_secs(86_400),
        left: quota.saturating_sub(used),
        resets: day.ends.since(now),
    }
}
