//! The vault itself: seals what is written to the journal and opens what is read from it.
//!
//! Each UTC day has data keys of its own (AES-256), wrapped by the master key in the key
//! ring. Destroying a day's keys destroys its payloads wherever copies of them may be, which
//! is how retention reaches backups. Sealing takes no lock: the key in use is one atomic
//! load away.

use crate::audit::{AuditKey, AuditSigner};
use crate::blind::BlindKeys;
use crate::data_key::{Current, DataKey, claim, nonce};
use crate::envelope::{self, BODY, HEADER, Header};
use crate::keyring::{DataKeyRecord, KeyRing, Series};
use crate::provider::{fresh_key, hex, random};
use crate::{Day, EnvProvider, KeyProvider, KeySource, KeyStore, VaultError, WrappedKey, packing};
use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_core::{BlindIndex, Clock, Sealed};

/// The largest payload that is sealed: 1 GiB.
pub const MAX_PLAIN: usize = 1 << 30;

/// How long a keeper of the master key that did not answer is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What is sealed. Part of what is authenticated: a body does not open as a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Raw bytes of a message.
    Message,
    /// Body of a delivery.
    Body,
    /// What a destination answered.
    Response,
    /// Variables of a process instance, and what it asks of people. Sealed with the month's key
    /// for them, which retention of payloads does not touch: an instance may sleep for months.
    Variables,
    /// A record that is kept for as long as somebody keeps it, such as a person who was provisioned
    /// here. Sealed as variables are.
    Record,
    /// An entry of the audit log. Sealed with the month's audit key, which retention of
    /// payloads does not touch.
    Audit,
}

impl Kind {
    /// Stable: it is authenticated with everything ever sealed.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Message => 1,
            Self::Body => 2,
            Self::Response => 3,
            Self::Variables => 4,
            Self::Record => 5,
            Self::Audit => 6,
        }
    }

    const fn series(self) -> Series {
        match self {
            Self::Audit => Series::Audit,
            Self::Variables | Self::Record => Series::Variables,
            _ => Series::Payloads,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Message => "message",
            Self::Body => "body",
            Self::Response => "response",
            Self::Variables => "variables",
            Self::Record => "record",
            Self::Audit => "audit entry",
        })
    }
}

/// Seals, opens and indexes for one estate. Cheap to share; see the module's text.
pub struct Vault {
    estate: String,
    estate_tag: [u8; 32],
    ring_id: String,
    provider: Arc<dyn KeyProvider>,
    store: KeyStore,
    clock: Arc<dyn Clock>,
    blind: BlindKeys,
    audit: AuditSigner,
    current: ArcSwapOption<Current>,
    current_audit: ArcSwapOption<Current>,
    current_variables: ArcSwapOption<Current>,
    /// Until when the keeper of the master key is not asked again, after it did not answer.
    away_until: Mutex<Option<Instant>>,
    keys: RwLock<Keys>,
}

/// Unwrapped keys, and which were destroyed.
#[derive(Default)]
struct Keys {
    by_day: HashMap<(Series, Day, u16), Arc<DataKey>>,
    destroyed_before: Day,
    audit_destroyed_before: Day,
    variables_destroyed_before: Day,
}

impl Keys {
    const fn destroyed_before(&self, series: Series) -> Day {
        match series {
            Series::Payloads => self.destroyed_before,
            Series::Audit => self.audit_destroyed_before,
            Series::Variables => self.variables_destroyed_before,
        }
    }

    const fn destroyed_before_mut(&mut self, series: Series) -> &mut Day {
        match series {
            Series::Payloads => &mut self.destroyed_before,
            Series::Audit => &mut self.audit_destroyed_before,
            Series::Variables => &mut self.variables_destroyed_before,
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("estate", &self.estate)
            .field("ring", &self.ring_id)
            .finish_non_exhaustive()
    }
}

/// What [`Vault::destroy_before`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Payloads of days before this one cannot be opened any more.
    pub before: Day,
    /// Days (of audit entries and variables: months) whose keys were destroyed just now.
    pub days: usize,
}

/// What [`Vault::key_list`] found. Holds no key, only their names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyList {
    /// Id of the ring.
    pub ring: String,
    /// The master key that wraps what is made now.
    pub newest_master: String,
    /// Keys of payloads, one a day or more.
    pub payloads: Vec<KeyInfo>,
    /// Payloads of earlier days cannot be opened any more.
    pub payloads_destroyed_before: Day,
    /// Keys of audit entries, one a month or more.
    pub audit: Vec<KeyInfo>,
    /// Audit entries of earlier months cannot be read any more.
    pub audit_destroyed_before: Day,
    /// Keys of variables of processes, one a month or more.
    pub variables: Vec<KeyInfo>,
    /// Variables sealed in earlier months cannot be read any more.
    pub variables_destroyed_before: Day,
}

/// One sealing key, by name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyInfo {
    /// The day, or the first day of the month, whose sealing it does.
    pub period: Day,
    /// Which of the period's keys.
    pub part: u16,
    /// Uses claimed so far, of at most 2³²; an upper bound.
    pub claimed: u64,
    /// Id of the master key that wraps it.
    pub wrapped_by: String,
}

/// What [`Vault::rewrap`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that are now wrapped by the newest master key and were not before.
    pub moved: usize,
    /// All keys of the ring.
    pub total: usize,
}

impl Vault {
    /// Opens an estate's key ring, or makes it when there is none yet. The caller compares
    /// [`Vault::ring_id`] with what the journal remembers: a journal that has lost its ring
    /// must not go on with a new one.
    ///
    /// # Errors
    /// What keeps the master key from being read ([`KeyProvider::unwrap`]) or the ring from
    /// being read, written or unwrapped; [`VaultError::KeyringForeign`] when it is another
    /// estate's.
    pub fn open(source: KeySource, clock: Arc<dyn Clock>) -> Result<Arc<Self>, VaultError> {
        let KeySource {
            estate,
            provider,
            store,
        } = source;
        let ring = match store.load()? {
            Some(ring) => ring,
            None => {
                store
                    .update(|ring| make_ring(ring, &estate, provider.as_ref()))?
                    .0
            }
        };
        if ring.estate != estate {
            return Err(VaultError::KeyringForeign {
                expected: estate,
                found: ring.estate,
            });
        }
        let index = provider.unwrap(&KeyRing::purpose_of_index_key(&estate), &ring.index_key)?;
        let audit = provider.unwrap(&KeyRing::purpose_of_audit_key(&estate), &ring.audit_key)?;
        let mut tag = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        tag.update(b"wardline estate v1\0");
        tag.update(estate.as_bytes());
        let mut estate_tag = [0; 32];
        estate_tag.copy_from_slice(tag.finish().as_ref());
        Ok(Arc::new(Self {
            audit: AuditSigner::new(&estate, &audit),
            blind: BlindKeys::derive(&index),
            estate,
            estate_tag,
            ring_id: ring.id,
            provider,
            store,
            clock,
            current: ArcSwapOption::empty(),
            current_audit: ArcSwapOption::empty(),
            current_variables: ArcSwapOption::empty(),
            away_until: Mutex::new(None),
            keys: RwLock::new(Keys {
                by_day: HashMap::new(),
                destroyed_before: ring.destroyed_before,
                audit_destroyed_before: ring.audit_destroyed_before,
                variables_destroyed_before: ring.variables_destroyed_before,
            }),
        }))
    }

    /// A vault whose keys live and die with this process: for runs that keep nothing.
    ///
    /// # Errors
    /// [`VaultError::Randomness`].
    pub fn ephemeral(estate: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, VaultError> {
        let provider = Arc::new(EnvProvider::random()?);
        Self::open(
            KeySource {
                estate: estate.to_owned(),
                provider,
                store: KeyStore::in_memory(),
            },
            clock,
        )
    }

    /// Names the key ring, for the journal to remember. Not secret.
    pub fn ring_id(&self) -> &str {
        &self.ring_id
    }

    /// Name of the estate.
    pub fn estate(&self) -> &str {
        &self.estate
    }

    /// Compresses and encrypts a payload with today's key.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] over [`MAX_PLAIN`]; what keeps a new key from being written
    /// when a day begins ([`VaultError::Keyring`], transient).
    pub fn seal(&self, kind: Kind, plain: &[u8]) -> Result<Sealed, VaultError> {
        if plain.len() > MAX_PLAIN {
            return Err(VaultError::TooLarge {
                size: plain.len() as u64,
                limit: MAX_PLAIN as u64,
            });
        }
        let key = self.sealing_key(kind.series())?;
        let nonce = nonce()?;
        packing::pack(plain, |packing, packed| {
            let header = Header {
                packing,
                day: key.day,
                part: key.part,
                plain_size: plain.len() as u32,
            }
            .encode();
            let mut out = Vec::with_capacity(packed.len() + envelope::OVERHEAD);
            out.extend_from_slice(&header);
            out.extend_from_slice(&nonce);
            out.extend_from_slice(packed);
            let aad = Aad::from(envelope::associated(&self.estate_tag, kind, header));
            let tag = key
                .cipher
                .seal_in_place_separate_tag(
                    Nonce::assume_unique_for_key(nonce),
                    aad,
                    &mut out[BODY..],
                )
                .expect("a gibibyte is within what AES-256-GCM seals");
            out.extend_from_slice(tag.as_ref());
            Ok(Sealed::from_sealed_bytes(Bytes::from(out)))
        })
    }

    /// Decrypts and decompresses what [`Vault::seal`] made.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`] when retention destroyed the day's keys,
    /// [`VaultError::UnknownDataKey`] when the ring is too old, [`VaultError::Malformed`] and
    /// [`VaultError::Tampered`] when the bytes are not what was sealed.
    pub fn open_sealed(&self, kind: Kind, sealed: &Sealed) -> Result<Bytes, VaultError> {
        let sealed = sealed.as_sealed_bytes();
        let header = Header::decode(kind, sealed)?;
        if header.plain_size as usize > MAX_PLAIN {
            return Err(VaultError::Malformed {
                kind,
                reason: "its size is over the limit",
            });
        }
        let key = self.opening_key(kind.series(), header.day, header.part)?;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&sealed[HEADER..BODY]);
        let aad = Aad::from(envelope::associated(
            &self.estate_tag,
            kind,
            header.encode(),
        ));
        let mut body = sealed[BODY..].to_vec();
        let size = key
            .cipher
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| VaultError::Tampered {
                kind,
                day: header.day,
            })?
            .len();
        body.truncate(size);
        packing::unpack(header.packing, body, header.plain_size as usize).map(Bytes::from)
    }

    /// The blind index of a value, by which the journal orders and finds. White space around
    /// the value does not count; case does, since identifiers may differ in nothing else.
    /// `domain` says what the value is (`account`, `mrn`): indexes of two domains never meet.
    pub fn blind(&self, domain: &str, value: &str) -> BlindIndex {
        self.blind.index(domain, value)
    }

    /// What identifies a message among those a source may send twice: its declared keys,
    /// in order. Borders between parts count.
    pub fn dedup_hash<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
        self.blind.duplicate(parts)
    }

    /// A keyed digest of a payload, to tell a repeat from another message under the same key.
    pub fn digest(&self, bytes: &[u8]) -> i64 {
        self.blind.digest(bytes)
    }

    /// Signs checkpoints of the audit log.
    pub fn audit_signer(&self) -> AuditSigner {
        self.audit.clone()
    }

    /// Verifies checkpoints of the audit log; may be handed to an auditor.
    pub fn audit_key(&self) -> AuditKey {
        self.audit.key()
    }

    /// Destroys the data keys of all days before `day`, on disk and in memory. What was
    /// sealed on those days cannot be opened again, by anyone, from any copy, as soon as
    /// copies of the old `keyring.json` (backups, snapshots) have expired too.
    ///
    /// # Errors
    /// [`VaultError::DestroyInUse`] when `day` lies after today; [`VaultError::Keyring`].
    pub fn destroy_before(&self, day: Day) -> Result<Destroyed, VaultError> {
        self.destroy(Series::Payloads, day)
    }

    /// Destroys the keys of audit entries of all months before the one of `day`, on disk and
    /// in memory. What those entries said cannot be read again; that they were there, in this
    /// order and unchanged, stays provable, because the log's hashes are over the sealed form.
    ///
    /// # Errors
    /// [`VaultError::DestroyInUse`] when `day` lies after today; [`VaultError::Keyring`].
    pub fn destroy_audit_before(&self, day: Day) -> Result<Destroyed, VaultError> {
        self.destroy(Series::Audit, day)
    }

    /// Destroys the keys of variables of all months before the one of `day`, on disk and in
    /// memory. The caller has made sure that no instance is left that began before: its variables
    /// could not be read again, and it could never go on.
    ///
    /// # Errors
    /// [`VaultError::DestroyInUse`] when `day` lies after today; [`VaultError::Keyring`].
    pub fn destroy_variables_before(&self, day: Day) -> Result<Destroyed, VaultError> {
        self.destroy(Series::Variables, day)
    }

    fn destroy(&self, series: Series, day: Day) -> Result<Destroyed, VaultError> {
        let today = Day::of(self.clock.now());
        if day > today {
            return Err(VaultError::DestroyInUse { before: day, today });
        }
        let mut keys = self.keys.write();
        let (_, (before, days)) = self.update(|ring| Ok(ring.destroy_before(series, day)))?;
        *keys.destroyed_before_mut(series) = before;
        keys.by_day
            .retain(|(of, day, _), _| *of != series || *day >= before);
        self.current(series).store(None);
        Ok(Destroyed { before, days })
    }

    /// What keys there are, oldest first, without any of their bytes.
    ///
    /// # Errors
    /// [`VaultError::Keyring`], [`VaultError::KeyringMalformed`].
    pub fn key_list(&self) -> Result<KeyList, VaultError> {
        let Some(ring) = self.store.load()? else {
            return Err(self.store.replaced("it was removed while in use"));
        };
        let describe = |record: &DataKeyRecord| KeyInfo {
            period: record.day,
            part: record.part,
            claimed: record.claimed,
            wrapped_by: record.key.by.clone(),
        };
        Ok(KeyList {
            ring: ring.id,
            newest_master: self.provider.newest().to_owned(),
            payloads: ring.data_keys.iter().map(describe).collect(),
            payloads_destroyed_before: ring.destroyed_before,
            audit: ring.audit_keys.iter().map(describe).collect(),
            audit_destroyed_before: ring.audit_destroyed_before,
            variables: ring.variable_keys.iter().map(describe).collect(),
            variables_destroyed_before: ring.variables_destroyed_before,
        })
    }

    /// Wraps every key of the ring with the newest master key, so that older master keys
    /// may be removed. Payloads are not touched.
    ///
    /// # Errors
    /// [`VaultError::UnknownMasterKey`] when one of the older master keys is already gone;
    /// nothing is changed then. [`VaultError::Keyring`].
    pub fn rewrap(&self) -> Result<Rewrapped, VaultError> {
        let _keys = self.keys.write();
        let (_, done) = self.update(|ring| {
            let mut done = Rewrapped { moved: 0, total: 0 };
            let mut rewrap = |purpose: String, key: &mut WrappedKey| {
                done.total += 1;
                if key.by != self.provider.newest() {
                    *key = self
                        .provider
                        .wrap(&purpose, &*self.provider.unwrap(&purpose, key)?)?;
                    done.moved += 1;
                }
                Ok(())
            };
            rewrap(
                KeyRing::purpose_of_index_key(&self.estate),
                &mut ring.index_key,
            )?;
            rewrap(
                KeyRing::purpose_of_audit_key(&self.estate),
                &mut ring.audit_key,
            )?;
            for series in Series::ALL {
                for record in ring.keys_mut(series) {
                    let (day, part) = (record.day, record.part);
                    rewrap(
                        KeyRing::purpose_of_data_key(&self.estate, series, day, part),
                        &mut record.key,
                    )?;
                }
            }
            Ok(done)
        })?;
        Ok(done)
    }

    const fn current(&self, series: Series) -> &ArcSwapOption<Current> {
        match series {
            Series::Payloads => &self.current,
            Series::Audit => &self.current_audit,
            Series::Variables => &self.current_variables,
        }
    }

    fn sealing_key(&self, series: Series) -> Result<Arc<DataKey>, VaultError> {
        let today = Day::of(self.clock.now());
        let day = series.period(today);
        match &*self.current(series).load() {
            Some(current) if current.take(day) => return Ok(Arc::clone(&current.key)),
            _ => {}
        }
        let away = self
            .away_until
            .lock()
            .is_some_and(|until| until > Instant::now());
        if away && let Some(key) = self.late(series, today) {
            return Ok(key);
        }
        match self.renew(series, day) {
            Err(error @ VaultError::Remote { .. }) => {
                *self.away_until.lock() = Some(Instant::now() + ASK_AGAIN);
                self.late(series, today).ok_or(error)
            }
            renewed => renewed,
        }
    }

    /// The key of the period before, for a day: a key service that is away at midnight must not
    /// keep messages out. What it seals is forgotten a period early.
    fn late(&self, series: Series, today: Day) -> Option<Arc<DataKey>> {
        let current = self.current(series).load_full()?;
        let day = current.key.day;
        let recent = day >= series.period(Day(today.0.saturating_sub(1)));
        (recent && current.take(day)).then(|| Arc::clone(&current.key))
    }

    /// Takes the key of another day, or claims more uses of this day's.
    #[cold]
    fn renew(&self, series: Series, day: Day) -> Result<Arc<DataKey>, VaultError> {
        let mut keys = self.keys.write();
        // Behind a clock that was set back, keys may be gone; those of the first day that
        // still has them serve instead.
        let day = day.max(keys.destroyed_before(series));
        if let Some(current) = &*self.current(series).load()
            && current.take(day)
        {
            return Ok(Arc::clone(&current.key));
        }
        let provider = self.provider.as_ref();
        let (_, claim) = self.update(|ring| claim(ring, series, day, provider))?;
        let key = keys
            .by_day
            .entry((series, day, claim.part))
            .or_insert_with(|| Arc::new(DataKey::new(day, claim.part, &claim.bytes)));
        self.current(series)
            .store(Some(Arc::new(Current::of(key, &claim))));
        Ok(Arc::clone(key))
    }

    fn opening_key(&self, series: Series, day: Day, part: u16) -> Result<Arc<DataKey>, VaultError> {
        {
            let keys = self.keys.read();
            if day < keys.destroyed_before(series) {
                return Err(VaultError::Destroyed { day });
            }
            if let Some(key) = keys.by_day.get(&(series, day, part)) {
                return Ok(Arc::clone(key));
            }
        }
        // Not yet unwrapped, or made by another process since the ring was read.
        let mut keys = self.keys.write();
        let ring = self.store.load()?;
        let record = match &ring {
            Some(ring) if day < ring.destroyed_before(series) => {
                return Err(VaultError::Destroyed { day });
            }
            Some(ring) => ring.find(series, day, part),
            None => None,
        };
        let record = record.ok_or(VaultError::UnknownDataKey { day, part })?;
        let bytes = self.provider.unwrap(
            &KeyRing::purpose_of_data_key(&self.estate, series, day, part),
            &record.key,
        )?;
        let key = keys
            .by_day
            .entry((series, day, part))
            .or_insert_with(|| Arc::new(DataKey::new(day, part, &bytes)));
        Ok(Arc::clone(key))
    }

    /// Changes this vault's ring, and no other that may have been put in its place.
    fn update<T>(
        &self,
        change: impl FnOnce(&mut KeyRing) -> Result<T, VaultError>,
    ) -> Result<(KeyRing, T), VaultError> {
        self.store.update(|ring| match ring {
            Some(ring) if ring.id == self.ring_id => change(ring),
            Some(_) => Err(self.store.replaced("it was exchanged while in use")),
            None => Err(self.store.replaced("it was removed while in use")),
        })
    }
}

fn make_ring(
    ring: &mut Option<KeyRing>,
    estate: &str,
    provider: &dyn KeyProvider,
) -> Result<(), VaultError> {
    // Another process may have made it between our reading and our lock.
    if ring.is_none() {
        let id = hex(&random::<8>()?);
        let index = provider.wrap(&KeyRing::purpose_of_index_key(estate), &*fresh_key()?)?;
        let audit = provider.wrap(&KeyRing::purpose_of_audit_key(estate), &*fresh_key()?)?;
        *ring = Some(KeyRing::new(id, estate.to_owned(), index, audit));
    }
    Ok(())
}
