//! Idempotency keys of calls that are carried out while the caller waits: kept in the journal, so
//! that a restart forgets none. Each costs two changes that share their commits with everything
//! else that is under way.

use crate::accept::Acceptor;
use ahash::AHashMap;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use wardline_store::{Change, KeyBegin, KeyEnd, KeyStanding, Outcome, StoreError};
use wardline_vault::{Kind, VaultError};

/// How long the answer to a call that was carried out is tried to be kept, and how often.
const PATIENCE: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// A key, hashed with the estate's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 16]);

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing: it is marked from now on, and whoever asked carries the call out.
    New,
    /// The answer that was given.
    Answered(Bytes),
    /// The first call with it is being carried out by this process.
    InHand,
    /// The first call with it may have been carried out; its answer was lost with the process
    /// that would have kept it.
    Lost,
    /// It came with another call.
    Different,
    /// So many keys are kept that no new one is taken.
    Full,
}

/// Keeps keys and answers in the journal.
pub struct KeyBook {
    acceptor: Arc<Acceptor>,
    /// Calls that this process has in hand, and how many ask about each at the moment.
    in_hand: Mutex<AHashMap<KeyHash, u32>>,
}

impl KeyBook {
    pub(crate) fn new(acceptor: Arc<Acceptor>) -> Self {
        Self {
            acceptor,
            in_hand: Mutex::default(),
        }
    }

    /// The hash of a key: `parts` are what it belongs to and the key itself.
    pub fn hash(&self, parts: &[&[u8]]) -> KeyHash {
        let tag: &[u8] = b"call";
        let all = std::iter::once(tag).chain(parts.iter().copied());
        KeyHash(self.acceptor.vault.dedup_hash(all))
    }

    /// Looks a key up and, where it is new, marks it, in one step that is durable.
    ///
    /// # Errors
    /// Where the journal does not take it; then nothing was marked.
    pub async fn begin(
        &self,
        key: KeyHash,
        digest: &[u8; 32],
        keep: Duration,
    ) -> Result<KeyState, StoreError> {
        let begin = KeyBegin {
            hash: key.0,
            digest: self.acceptor.vault.dedup_hash([&digest[..]]),
            until: self.acceptor.clock.now().after(keep),
        };
        // Before the commit: whoever comes right after it must see that it is in hand.
        let mut asking = Asking::enter(&self.in_hand, key);
        let outcomes = self
            .acceptor
            .store
            .commit(vec![Change::BeginKey(begin)])
            .await?;
        let Some(Outcome::Key(standing)) = outcomes.into_iter().next() else {
            return Err(StoreError::Closed);
        };
        Ok(match standing {
            KeyStanding::New => {
                asking.stays = true;
                KeyState::New
            }
            KeyStanding::Answered(sealed) => {
                match self.acceptor.vault.open_sealed(Kind::Response, &sealed) {
                    Ok(answer) => KeyState::Answered(answer),
                    Err(error) => {
                        tracing::warn!(code = %error.code(), %error, "a kept answer cannot be opened");
                        KeyState::Lost
                    }
                }
            }
            KeyStanding::Unanswered if asking.others() => KeyState::InHand,
            KeyStanding::Unanswered => KeyState::Lost,
            KeyStanding::Different => KeyState::Different,
            KeyStanding::Full => KeyState::Full,
        })
    }

    /// Keeps the answer to a call that was carried out; `None` forgets the key of one that
    /// certainly was not. A journal that is in trouble is tried for some seconds.
    ///
    /// # Errors
    /// Where it cannot be kept: the key stays used, and what was answered is lost.
    pub async fn end(&self, key: KeyHash, answer: Option<&[u8]>) -> Result<(), KeyError> {
        // However it ends, it is no longer in hand.
        let _ended = Ended(&self.in_hand, key);
        let answer = match answer {
            Some(answer) => Some(self.acceptor.vault.seal(Kind::Response, answer)?),
            None => None,
        };
        let end = KeyEnd {
            hash: key.0,
            answer,
        };
        let mut tried = 0;
        loop {
            let change = Change::EndKey(end.clone());
            match self.acceptor.store.commit(vec![change]).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() && tried < PATIENCE => tried += 1,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Why an answer could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The journal did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be sealed.
    #[error("{0}")]
    Vault(String),
}

impl From<VaultError> for KeyError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error.to_string())
    }
}

/// Counts whoever asks about a key; of the first one, until its call ends.
struct Asking<'a> {
    in_hand: &'a Mutex<AHashMap<KeyHash, u32>>,
    key: KeyHash,
    stays: bool,
}

impl<'a> Asking<'a> {
    fn enter(in_hand: &'a Mutex<AHashMap<KeyHash, u32>>, key: KeyHash) -> Self {
        *in_hand.lock().entry(key).or_default() += 1;
        Self {
            in_hand,
            key,
            stays: false,
        }
    }

    fn others(&self) -> bool {
        self.in_hand
            .lock()
            .get(&self.key)
            .is_some_and(|count| *count > 1)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.stays {
            leave(self.in_hand, self.key);
        }
    }
}

struct Ended<'a>(&'a Mutex<AHashMap<KeyHash, u32>>, KeyHash);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        leave(self.0, self.1);
    }
}

fn leave(in_hand: &Mutex<AHashMap<KeyHash, u32>>, key: KeyHash) {
    let mut in_hand = in_hand.lock();
    if let Some(count) = in_hand.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            in_hand.remove(&key);
        }
    }
}
