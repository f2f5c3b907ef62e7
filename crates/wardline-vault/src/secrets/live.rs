//! Secrets in use: what each is now, what it was before, and when it is looked at again.
//!
//! A file that is written in place is half written for a moment. So a value that differs
//! counts once it was found twice in a row; and one that has gone, or cannot be read, leaves
//! the one in use as it is.

use super::{Found, Origin, Secret, SecretRef, Sources, Stamp};
use crate::VaultError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use wardline_core::Code;

/// Times of files are this coarse at worst; younger ones may hide a second change.
const COARSE: Duration = Duration::from_secs(2);

/// What happened to a secret in use. Names it, never holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretEvent {
    /// It has a new value, used from now on.
    Rotated {
        /// Its name.
        name: String,
        /// Who gave it.
        origin: Origin,
    },
    /// The value before is not accepted any more.
    Retired {
        /// Its name.
        name: String,
    },
    /// It could not be read again; the value in use stays.
    Kept {
        /// Its name.
        name: String,
        /// Why, without any value.
        why: String,
    },
    /// It can be read again.
    Back {
        /// Its name.
        name: String,
    },
    /// Its keeper has been away for longer than the estate allows; it is used no more.
    Withheld {
        /// Its name.
        name: String,
    },
    /// Its keeper is back; it is used again.
    Restored {
        /// Its name.
        name: String,
    },
}

impl SecretEvent {
    /// The secret's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Rotated { name, .. }
            | Self::Retired { name }
            | Self::Kept { name, .. }
            | Self::Back { name }
            | Self::Withheld { name }
            | Self::Restored { name } => name,
        }
    }

    /// Whether something has to be made anew from what is valid now.
    pub const fn changes(&self) -> bool {
        matches!(
            self,
            Self::Rotated { .. }
                | Self::Retired { .. }
                | Self::Withheld { .. }
                | Self::Restored { .. }
        )
    }
}

#[derive(Default)]
pub(super) struct Live {
    all: Mutex<BTreeMap<SecretRef, Watched>>,
    /// One refresh at a time; files and the network are asked without holding `all`.
    refreshing: Mutex<()>,
}

struct Watched {
    current: Secret,
    origin: Origin,
    previous: Option<(Secret, Instant)>,
    /// A value that was found once.
    candidate: Option<Secret>,
    /// Why it could not be read the last time.
    trouble: Option<Code>,
    stamps: [Stamp; 4],
    /// When it was last read, by both clocks.
    looked: Instant,
    looked_at: SystemTime,
    /// When it was last read well.
    good: Instant,
    withheld: bool,
}

impl Watched {
    /// Whether its files are what they were, for certain.
    fn is_as_it_was(&self, stamps: &[Stamp; 4]) -> bool {
        self.candidate.is_none()
            && self.trouble.is_none()
            && self.stamps == *stamps
            && stamps.iter().flatten().all(|(modified, ..)| {
                self.looked_at
                    .duration_since(*modified)
                    .is_ok_and(|age| age > COARSE)
            })
    }
}

impl Live {
    pub(super) fn present(
        &self,
        sources: &Sources<'_>,
        reference: &SecretRef,
    ) -> Result<Secret, VaultError> {
        self.with(sources, reference, |watched| watched.current.clone())
    }

    pub(super) fn accepted(
        &self,
        sources: &Sources<'_>,
        reference: &SecretRef,
    ) -> Result<Vec<Secret>, VaultError> {
        self.with(sources, reference, |watched| {
            let before = watched.previous.iter();
            let before = before.filter(|(_, until)| *until > Instant::now());
            std::iter::once(&watched.current)
                .chain(before.map(|(value, _)| value))
                .cloned()
                .collect()
        })
    }

    fn with<T>(
        &self,
        sources: &Sources<'_>,
        reference: &SecretRef,
        look: impl Fn(&Watched) -> T,
    ) -> Result<T, VaultError> {
        let look = |watched: &Watched| {
            if watched.withheld {
                return Err(VaultError::SecretStale {
                    name: reference.name().to_owned(),
                });
            }
            Ok(look(watched))
        };
        if let Some(watched) = self.all.lock().get(reference) {
            return look(watched);
        }
        let stamps = sources.stamps(reference);
        let found = sources.read(reference)?;
        let now = Instant::now();
        let fresh = Watched {
            current: found.value,
            origin: found.origin,
            previous: None,
            candidate: None,
            trouble: None,
            stamps,
            looked: now,
            looked_at: SystemTime::now(),
            good: now,
            withheld: false,
        };
        look(self.all.lock().entry(reference.clone()).or_insert(fresh))
    }

    pub(super) fn refresh(&self, sources: &Sources<'_>) -> Vec<SecretEvent> {
        let _one = self.refreshing.lock();
        let names: Vec<SecretRef> = self.all.lock().keys().cloned().collect();
        let mut events = Vec::new();
        for reference in names {
            let stamps = sources.stamps(&reference);
            let due = {
                let all = self.all.lock();
                all.get(&reference).is_some_and(|watched| {
                    !watched.is_as_it_was(&stamps)
                        || match (watched.origin, sources.vault()) {
                            (Origin::Vault, Some(vault)) => {
                                watched.looked.elapsed() >= vault.every()
                            }
                            _ => false,
                        }
                })
            };
            let found = due.then(|| sources.read(&reference));
            if let Some(watched) = self.all.lock().get_mut(&reference) {
                if let Some(found) = found {
                    watched.stamps = stamps;
                    watched.looked = Instant::now();
                    watched.looked_at = SystemTime::now();
                    watched.take(sources, reference.name(), found, &mut events);
                }
                if let Some((_, until)) = &watched.previous
                    && *until <= Instant::now()
                {
                    watched.previous = None;
                    let name = reference.name().to_owned();
                    events.push(SecretEvent::Retired { name });
                }
            }
        }
        events
    }
}

impl Watched {
    fn take(
        &mut self,
        sources: &Sources<'_>,
        name: &str,
        found: Result<Found, VaultError>,
        events: &mut Vec<SecretEvent>,
    ) {
        let name = || name.to_owned();
        let found = found.and_then(|found| {
            if found.value.expose().is_empty() && !self.current.expose().is_empty() {
                return Err(VaultError::SecretEmpty { name: name() });
            }
            Ok(found)
        });
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.candidate = None;
                // The words may differ each time; what is wrong does not.
                let code = error.code();
                if self.trouble.replace(code) != Some(code) {
                    let why = error.to_string();
                    events.push(SecretEvent::Kept { name: name(), why });
                }
                if let (Origin::Vault, Some(vault)) = (self.origin, sources.vault())
                    && !self.withheld
                    && self.good.elapsed() >= vault.stale()
                {
                    self.withheld = true;
                    events.push(SecretEvent::Withheld { name: name() });
                }
                return;
            }
        };
        self.good = Instant::now();
        if self.trouble.take().is_some() {
            events.push(SecretEvent::Back { name: name() });
        }
        let back = std::mem::take(&mut self.withheld);
        let same = found.value.expose() == self.current.expose();
        // Only files are ever half written.
        let whole = matches!(found.origin, Origin::Environment | Origin::Vault)
            || self
                .candidate
                .as_ref()
                .is_some_and(|candidate| candidate.expose() == found.value.expose());
        if same {
            self.candidate = None;
            self.origin = found.origin;
        } else if whole {
            self.candidate = None;
            let before = std::mem::replace(&mut self.current, found.value);
            self.origin = found.origin;
            self.previous = (!sources.overlap().is_zero())
                .then(|| (before, Instant::now() + sources.overlap()));
            events.push(SecretEvent::Rotated {
                name: name(),
                origin: self.origin,
            });
        } else {
            self.candidate = Some(found.value);
        }
        if back {
            events.push(SecretEvent::Restored { name: name() });
        }
    }
}
