//! What is refused although its signature is right: single tokens, and all tokens of a
//! client (or of everybody) from before a moment.

use crate::AccessError;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wardline_vault::PrivateFile;

const VERSION: u32 = 1;
/// Tokens that are remembered as revoked. Each is forgotten when it has expired, five
/// minutes after it was issued.
const MAX_DENIED: usize = 20_000;

/// Revocations, kept in a private file so that a restart brings nothing back to life.
#[derive(Debug)]
pub struct Revocations {
    file: Option<PrivateFile>,
    now: ArcSwap<State>,
    /// Held while the state changes: between a change in memory and on disk, the file says what
    /// was before, and must not be believed.
    changing: Mutex<()>,
    generation: AtomicU64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    /// Tokens of everybody issued before this second are refused.
    all: i64,
    /// And those of single clients.
    clients: BTreeMap<String, i64>,
    /// Ids of tokens, and the second until which they must be remembered.
    tokens: BTreeMap<String, i64>,
}

impl State {
    fn epoch(&self, client: &str) -> i64 {
        self.clients.get(client).copied().unwrap_or(0).max(self.all)
    }

    fn stop_all(&mut self, now: i64) {
        let latest = self.clients.values().copied().fold(self.all, i64::max);
        self.all = next(latest, now);
    }
}

/// The epoch that follows. Dates of tokens are whole seconds: what was issued within this one
/// is refused, and what is issued from now on bears the next; where that was so already,
/// somebody stopped tokens twice within a second, and it is one more.
fn next(epoch: i64, now: i64) -> i64 {
    epoch.max(now) + 1
}

impl Revocations {
    /// `revocations.json` of a data directory.
    pub fn file_in(data: &std::path::Path) -> PrivateFile {
        PrivateFile::new(data.join("revocations.json"), 8 << 20)
    }

    /// Reads what was revoked.
    ///
    /// # Errors
    /// [`AccessError::Vault`], [`AccessError::Malformed`].
    pub fn open(file: PrivateFile) -> Result<Self, AccessError> {
        let state = match file.read()? {
            Some(bytes) => parse(&file, &bytes)?,
            None => State::default(),
        };
        Ok(Self {
            file: Some(file),
            now: ArcSwap::from_pointee(state),
            changing: Mutex::default(),
            generation: AtomicU64::new(0),
        })
    }

    /// Revocations that are forgotten at the end: for runs that keep nothing.
    pub fn in_memory() -> Self {
        Self {
            file: None,
            now: ArcSwap::default(),
            changing: Mutex::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Refuses one token until it expires.
    ///
    /// # Errors
    /// [`AccessError::Vault`] when it cannot be written: then it holds until this process ends.
    pub fn revoke(&self, jti: &str, until: i64, now: i64) -> Result<(), AccessError> {
        self.change(now, |state| {
            state.tokens.insert(jti.to_owned(), until);
            if state.tokens.len() > MAX_DENIED {
                // Rather refuse everybody's tokens once, and have them fetch new ones, than
                // forget one that was revoked.
                state.tokens.clear();
                state.stop_all(now);
            }
        })
    }

    /// Refuses every token issued until now, of one client or of all.
    ///
    /// # Errors
    /// As [`Revocations::revoke`].
    pub fn stop(&self, client: Option<&str>, now: i64) -> Result<(), AccessError> {
        self.change(now, |state| match client {
            Some(client) => {
                let epoch = state.epoch(client);
                state.clients.insert(client.to_owned(), next(epoch, now));
            }
            None => state.stop_all(now),
        })
    }

    /// Reads what another process revoked; call it every second or so.
    ///
    /// # Errors
    /// As [`Revocations::open`]; what is known stays in force.
    pub fn reload(&self) -> Result<(), AccessError> {
        // Who changes it here knows better; the next second will do.
        let Some(_unchanged) = self.changing.try_lock() else {
            return Ok(());
        };
        if let Some(file) = &self.file
            && let Some(bytes) = file.read()?
        {
            let state = parse(file, &bytes)?;
            if **self.now.load() != state {
                self.replace(state);
            }
        }
        Ok(())
    }

    /// Tokens of this client issued before this second are refused.
    pub(crate) fn epoch(&self, client: &str) -> i64 {
        self.now.load().epoch(client)
    }

    pub(crate) fn is_revoked(&self, jti: &str) -> bool {
        let state = self.now.load();
        !state.tokens.is_empty() && state.tokens.contains_key(jti)
    }

    /// Rises with every revocation: what was decided under an earlier one is void.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn change(&self, now: i64, change: impl FnOnce(&mut State)) -> Result<(), AccessError> {
        let _changing = self.changing.lock();
        let tidy = |state: &mut State| {
            state.version = VERSION;
            state.tokens.retain(|_, until| *until > now);
        };
        let Some(file) = &self.file else {
            let mut state = State::clone(&self.now.load());
            tidy(&mut state);
            change(&mut state);
            self.replace(state);
            return Ok(());
        };
        file.update(|before| {
            let mut state = match before {
                Some(bytes) => parse(file, bytes)?,
                None => State::default(),
            };
            tidy(&mut state);
            change(&mut state);
            let text = serde_json::to_vec(&state).map_err(|error| malformed(file, &error))?;
            // In force before it is on disk: what cannot be written is refused all the same.
            self.replace(state);
            Ok((Some(text), ()))
        })
    }

    fn replace(&self, state: State) {
        self.now.store(Arc::new(state));
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn malformed(file: &PrivateFile, error: &serde_json::Error) -> AccessError {
    AccessError::Malformed {
        path: file.path().to_owned(),
        reason: error.to_string(),
    }
}

fn parse(file: &PrivateFile, bytes: &[u8]) -> Result<State, AccessError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn reading_again_brings_nothing_back_to_life() {
        let folder = tempfile::tempdir().unwrap();
        let revocations = Revocations::open(Revocations::file_in(folder.path())).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    revocations.reload().unwrap();
                }
            });
            for n in 0..200 {
                let jti = format!("t{n}");
                revocations.revoke(&jti, i64::MAX, 0).unwrap();
                assert!(revocations.is_revoked(&jti), "{jti}");
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}
