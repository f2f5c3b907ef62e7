//! The vault from outside: days, destruction, rotation, tampering, two processes.
#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wardline_core::{Clock, RealClock, Sealed, SimulatedClock, Timestamp};
use wardline_vault::{
    Day, FileProvider, KeyProvider, KeySource, KeyStore, Kind, Vault, VaultError, WrappedKey,
};

const DAY: Duration = Duration::from_hours(24);

struct Place {
    _root: tempfile::TempDir,
    keys: std::path::PathBuf,
    data: std::path::PathBuf,
    clock: Arc<SimulatedClock>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (keys, data) = (root.path().join("keys"), root.path().join("data"));
        FileProvider::init(&keys).unwrap();
        let start = Timestamp::try_from("2026-11-24T10:00:00Z".to_owned()).unwrap();
        Self {
            _root: root,
            keys,
            data,
            clock: Arc::new(SimulatedClock::starting_at(start)),
        }
    }

    fn open(&self) -> Arc<Vault> {
        self.try_open("st-brigid").unwrap()
    }

    fn try_open(&self, estate: &str) -> Result<Arc<Vault>, VaultError> {
        Vault::open(
            KeySource::file(estate, &self.keys, &self.data)?,
            self.clock.clone(),
        )
    }

    fn today(&self) -> Day {
        Day::of(self.clock.now())
    }

    fn ring(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.data.join("keyring.json")).unwrap()).unwrap()
    }
}

fn changed(sealed: &Sealed, change: impl FnOnce(&mut Vec<u8>)) -> Sealed {
    let mut bytes = sealed.as_sealed_bytes().to_vec();
    change(&mut bytes);
    Sealed::from_sealed_bytes(bytes.into())
}

#[test]
fn everything_survives_a_restart() {
    let place = Place::new();
    let before = place.open();
    let sealed = before.seal(Kind::Message, b"MSH|^~\\&|EHR|north").unwrap();
    let after = place.open();
    assert_eq!(
        after.open_sealed(Kind::Message, &sealed).unwrap(),
        &b"MSH|^~\\&|EHR|north"[..]
    );
    assert_eq!(after.ring_id(), before.ring_id());
    assert_eq!(after.blind("mrn", "1"), before.blind("mrn", "1"));
    assert_eq!(after.audit_key(), before.audit_key());
}

#[test]
fn sealing_is_not_repeatable_and_shows_nothing() {
    let place = Place::new();
    let vault = place.open();
    let text = b"Quillfeather^Ondine|Quillfeather^Ondine|Quillfeather^Ondine|Quillfeather^Ondine";
    let (one, two) = (
        vault.seal(Kind::Message, text).unwrap(),
        vault.seal(Kind::Message, text).unwrap(),
    );
    assert_ne!(one, two);
    assert!(
        !one.as_sealed_bytes()
            .windows(5)
            .any(|window| window == b"Quill")
    );
    assert!(!format!("{one:?} {vault:?}").contains("Quill"));
}

#[test]
fn no_bit_can_be_changed() {
    let place = Place::new();
    let vault = place.open();
    let text = b"OBX|1|ST|HIV^HIV 1+2 Ab||Negative OBX|1|ST|HIV^HIV 1+2 Ab||Negative";
    let sealed = vault.seal(Kind::Message, text).unwrap();
    for bit in 0..sealed.len() * 8 {
        let other = changed(&sealed, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert!(
            vault.open_sealed(Kind::Message, &other).is_err(),
            "bit {bit}"
        );
    }
    for len in 0..sealed.len() {
        let other = changed(&sealed, |bytes| bytes.truncate(len));
        assert!(
            vault.open_sealed(Kind::Message, &other).is_err(),
            "cut to {len}"
        );
    }
    let longer = changed(&sealed, |bytes| bytes.push(0));
    assert!(matches!(
        vault.open_sealed(Kind::Message, &longer),
        Err(VaultError::Tampered { .. })
    ));
}

#[test]
fn a_payload_opens_only_as_what_it_is() {
    let place = Place::new();
    let vault = place.open();
    let sealed = vault.seal(Kind::Body, b"{}").unwrap();
    assert!(matches!(
        vault.open_sealed(Kind::Response, &sealed),
        Err(VaultError::Tampered { .. })
    ));
    assert!(matches!(
        place.try_open("st-olaf"),
        Err(VaultError::KeyringForeign { .. })
    ));
    let other = Vault::ephemeral("st-brigid", place.clock.clone()).unwrap();
    assert!(matches!(
        other.open_sealed(Kind::Body, &sealed),
        Err(VaultError::UnknownDataKey { .. })
    ));
}

#[test]
fn each_day_has_a_key_and_destroyed_days_stay_closed() {
    let place = Place::new();
    let vault = place.open();
    let mut sealed = Vec::new();
    for n in 0..5_u8 {
        sealed.push((place.today(), vault.seal(Kind::Message, &[n]).unwrap()));
        place.clock.advance(DAY);
    }
    let cut = sealed[3].0;
    assert_eq!(vault.destroy_before(cut).unwrap().days, 3);
    assert_eq!(
        vault.destroy_before(cut).unwrap().days,
        0,
        "nothing is left to destroy"
    );
    let restarted = place.open();
    for vault in [vault, restarted] {
        for (day, sealed) in &sealed {
            match vault.open_sealed(Kind::Message, sealed) {
                Ok(_) => assert!(*day >= cut),
                Err(VaultError::Destroyed { day: named }) => assert!(*day < cut && named == *day),
                Err(other) => panic!("{day}: {other}"),
            }
        }
    }
    let text = place.ring().to_string();
    assert!(!text.contains("2026-11-26\",\"part"), "{text}");
}

#[test]
fn keys_in_use_are_not_destroyed() {
    let place = Place::new();
    let vault = place.open();
    let sealed = vault.seal(Kind::Message, b"now").unwrap();
    assert!(matches!(
        vault.destroy_before(Day(place.today().0 + 1)),
        Err(VaultError::DestroyInUse { .. })
    ));
    vault.destroy_before(place.today()).unwrap();
    assert!(vault.open_sealed(Kind::Message, &sealed).is_ok());
    assert!(vault.seal(Kind::Message, b"later").is_ok());
}

#[test]
fn a_clock_set_back_behind_retention_still_seals() {
    let place = Place::new();
    let ahead = Arc::new(SimulatedClock::starting_at(
        place.clock.now().after(DAY * 30),
    ));
    let source = || KeySource::file("st-brigid", &place.keys, &place.data).unwrap();
    let vault = Vault::open(source(), ahead.clone()).unwrap();
    vault.seal(Kind::Message, b"x").unwrap();
    vault.destroy_before(Day::of(ahead.now())).unwrap();
    let behind = place.open();
    let sealed = behind.seal(Kind::Message, b"y").unwrap();
    assert_eq!(
        behind.open_sealed(Kind::Message, &sealed).unwrap(),
        &b"y"[..]
    );
}

#[test]
fn restarts_share_a_key_until_its_uses_are_claimed() {
    let place = Place::new();
    for _ in 0..17 {
        place.open().seal(Kind::Message, b"x").unwrap();
    }
    let ring = place.ring();
    let keys = ring["data_keys"].as_array().unwrap();
    let claimed: Vec<u64> = keys
        .iter()
        .map(|key| key["claimed"].as_u64().unwrap())
        .collect();
    assert_eq!(claimed, [1 << 32, 1 << 28], "no key beyond 2^32 uses");
}

#[test]
fn master_keys_rotate_without_touching_payloads() {
    let place = Place::new();
    let sealed = place.open().seal(Kind::Message, b"old").unwrap();
    let first = FileProvider::init(&place.keys).unwrap();
    let second = FileProvider::rotate(&place.keys).unwrap();
    let vault = place.open();
    let done = vault.rewrap().unwrap();
    assert_eq!((done.moved, done.total), (3, 3));
    assert_eq!(vault.rewrap().unwrap().moved, 0);
    std::fs::remove_file(first.file).unwrap();
    let vault = place.open();
    assert_eq!(
        vault.open_sealed(Kind::Message, &sealed).unwrap(),
        &b"old"[..]
    );
    assert!(!place.ring().to_string().contains(&first.id));
    assert!(place.ring().to_string().contains(&second.id));
}

#[test]
fn without_its_master_key_nothing_opens_and_nothing_is_made_anew() {
    let place = Place::new();
    place.open().seal(Kind::Message, b"x").unwrap();
    let before = place.ring();
    std::fs::remove_dir_all(&place.keys).unwrap();
    assert!(matches!(
        place.try_open("st-brigid"),
        Err(VaultError::NoMasterKey { .. })
    ));
    FileProvider::init(&place.keys).unwrap();
    assert!(matches!(
        place.try_open("st-brigid"),
        Err(VaultError::UnknownMasterKey { .. })
    ));
    assert_eq!(place.ring(), before);
}

#[test]
fn a_second_process_adds_keys_and_loses_none() {
    let place = Place::new();
    let (service, command) = (place.open(), place.open());
    let mut sealed = vec![service.seal(Kind::Message, b"1").unwrap()];
    place.clock.advance(DAY);
    sealed.push(command.seal(Kind::Message, b"2").unwrap());
    sealed.push(service.seal(Kind::Message, b"3").unwrap());
    place.clock.advance(DAY);
    sealed.push(service.seal(Kind::Message, b"4").unwrap());
    for vault in [&service, &command, &place.open()] {
        for sealed in &sealed {
            vault.open_sealed(Kind::Message, sealed).unwrap();
        }
    }
}

#[test]
fn a_ring_that_is_exchanged_in_use_is_not_written_over() {
    let place = Place::new();
    let vault = place.open();
    std::fs::remove_file(place.data.join("keyring.json")).unwrap();
    assert!(matches!(
        vault.seal(Kind::Message, b"x"),
        Err(VaultError::KeyringMalformed { .. })
    ));
    let other = place.open();
    assert_ne!(other.ring_id(), vault.ring_id());
    assert!(matches!(
        vault.seal(Kind::Message, b"x"),
        Err(VaultError::KeyringMalformed { .. })
    ));
}

#[test]
fn a_damaged_ring_is_refused() {
    let place = Place::new();
    place.open().seal(Kind::Message, b"x").unwrap();
    let path = place.data.join("keyring.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for damaged in [
        "",
        "{}",
        &text[..text.len() / 2],
        &text.replace("\"version\": 3", "\"version\": 4"),
        &text.replace("\"claimed\"", "\"surprise\""),
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert!(
            matches!(
                place.try_open("st-brigid"),
                Err(VaultError::KeyringMalformed { .. })
            ),
            "{damaged}"
        );
    }
}

#[test]
fn the_ring_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.open().seal(Kind::Message, b"x").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.data.join("keyring.json")), 0o600);
    let names: HashSet<_> = std::fs::read_dir(&place.data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names,
        HashSet::from(["keyring.json".into(), "keyring.lock".into()]),
        "no temporary file is left"
    );
}

#[test]
fn threads_seal_across_midnight() {
    let place = Place::new();
    let vault = place.open();
    let sealed: Vec<(u32, Sealed)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u32)
            .map(|thread| {
                let (vault, clock) = (&vault, &place.clock);
                scope.spawn(move || {
                    let mut sealed = Vec::new();
                    for n in 0..300_u32 {
                        if thread == 0 && n % 100 == 50 {
                            clock.advance(DAY);
                        }
                        let value = thread * 1000 + n;
                        sealed.push((
                            value,
                            vault.seal(Kind::Message, &value.to_le_bytes()).unwrap(),
                        ));
                    }
                    sealed
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let nonces: HashSet<_> = sealed
        .iter()
        .map(|(_, sealed)| sealed.as_sealed_bytes()[12..24].to_vec())
        .collect();
    assert_eq!(nonces.len(), sealed.len());
    let vault = place.open();
    for (value, sealed) in sealed {
        assert_eq!(
            vault.open_sealed(Kind::Message, &sealed).unwrap(),
            &value.to_le_bytes()[..]
        );
    }
}

#[test]
fn large_payloads_pass() {
    let vault = Vault::ephemeral("large", Arc::new(RealClock)).unwrap();
    let plain: Vec<u8> = (0..20_u32 << 20)
        .map(|n| (n >> 7) as u8 ^ (n as u8))
        .collect();
    let sealed = vault.seal(Kind::Message, &plain).unwrap();
    assert!(sealed.len() < plain.len() / 2);
    assert!(vault.open_sealed(Kind::Message, &sealed).unwrap() == plain);
}

proptest::proptest! {
    #[test]
    fn whatever_is_sealed_opens(plain: Vec<u8>, repeat in 1_usize..300) {
        let vault = Vault::ephemeral("any", Arc::new(RealClock)).unwrap();
        let plain = plain.repeat(repeat);
        let sealed = vault.seal(Kind::Body, &plain).unwrap();
        assert_eq!(vault.open_sealed(Kind::Body, &sealed).unwrap(), plain);
    }

    #[test]
    fn whatever_was_not_sealed_is_refused(bytes: Vec<u8>) {
        let vault = Vault::ephemeral("any", Arc::new(RealClock)).unwrap();
        let sealed = Sealed::from_sealed_bytes(bytes.into());
        proptest::prop_assert!(vault.open_sealed(Kind::Body, &sealed).is_err());
    }
}

#[test]
fn a_ring_from_before_audit_entries_were_sealed_is_read_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (keys, data) = (home.path().join("keys"), home.path().join("data"));
    FileProvider::init(&keys).unwrap();
    let open = || {
        let source = KeySource::file("st-brigid", &keys, &data).unwrap();
        Vault::open(source, Arc::new(wardline_core::RealClock)).unwrap()
    };
    let sealed = open().seal(Kind::Message, b"kept").unwrap();
    let ring = data.join("keyring.json");
    let mut old: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&ring).unwrap()).unwrap();
    let fields = old.as_object_mut().unwrap();
    fields.insert("version".to_owned(), 1.into());
    for newer in ["variable_keys", "variables_destroyed_before"] {
        assert!(fields.remove(newer).is_some());
    }
    assert!(fields.remove("audit_keys").is_some());
    assert!(fields.remove("audit_destroyed_before").is_some());
    std::fs::write(&ring, old.to_string()).unwrap();

    let vault = open();
    assert_eq!(
        &vault.open_sealed(Kind::Message, &sealed).unwrap()[..],
        b"kept"
    );
    let entry = vault.seal(Kind::Audit, b"{}").unwrap();
    assert_eq!(&open().open_sealed(Kind::Audit, &entry).unwrap()[..], b"{}");
    let text = std::fs::read_to_string(&ring).unwrap();
    assert!(text.contains("\"version\": 3"), "{text}");
}

#[test]
fn variables_outlive_the_payloads_of_their_day() {
    let place = Place::new();
    let vault = place.open();
    let month = place.today().month();
    let variables = vault.seal(Kind::Variables, b"total: 12.50").unwrap();
    let payload = vault.seal(Kind::Message, b"order").unwrap();
    place.clock.advance(Duration::from_hours(24 * 70));
    vault.destroy_before(place.today()).unwrap();
    vault.destroy_audit_before(place.today()).unwrap();
    for vault in [vault.as_ref(), place.open().as_ref()] {
        assert!(matches!(
            vault.open_sealed(Kind::Message, &payload),
            Err(VaultError::Destroyed { .. })
        ));
        assert_eq!(
            &vault.open_sealed(Kind::Variables, &variables).unwrap()[..],
            b"total: 12.50"
        );
        assert!(vault.open_sealed(Kind::Record, &variables).is_err());
    }
    let later = vault.seal(Kind::Variables, b"later").unwrap();
    let list = vault.key_list().unwrap();
    let periods: Vec<Day> = list.variables.iter().map(|key| key.period).collect();
    assert_eq!(periods, [month, place.today().month()]);

    // Only where every instance of the month is gone.
    assert_eq!(
        vault.destroy_variables_before(place.today()).unwrap().days,
        1
    );
    for vault in [vault.as_ref(), place.open().as_ref()] {
        assert!(matches!(
            vault.open_sealed(Kind::Variables, &variables),
            Err(VaultError::Destroyed { day }) if day == month
        ));
        assert_eq!(
            &vault.open_sealed(Kind::Variables, &later).unwrap()[..],
            b"later"
        );
    }
}

/// A key service that can be away.
#[derive(Debug)]
struct Service {
    file: FileProvider,
    away: AtomicBool,
}

impl Service {
    fn answers(&self) -> Result<&FileProvider, VaultError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(VaultError::Remote {
                doing: "asking",
                address: "https://vault.example".to_owned(),
                reason: "it does not answer in time".to_owned(),
            });
        }
        Ok(&self.file)
    }
}

impl KeyProvider for Service {
    fn name(&self) -> &'static str {
        "service"
    }

    fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError> {
        self.answers()?.wrap(purpose, key)
    }

    fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, VaultError> {
        self.answers()?.unwrap(purpose, wrapped)
    }

    fn newest(&self) -> &str {
        self.file.newest()
    }
}

#[test]
fn a_key_service_that_is_away_at_midnight_keeps_nothing_out_for_a_day() {
    let place = Place::new();
    let service = Arc::new(Service {
        file: FileProvider::open(&place.keys).unwrap(),
        away: AtomicBool::new(false),
    });
    let source = KeySource {
        estate: "st-brigid".to_owned(),
        provider: service.clone(),
        store: KeyStore::in_directory(&place.data),
    };
    let vault = Vault::open(source, place.clock.clone()).unwrap();
    vault.seal(Kind::Message, b"today").unwrap();
    service.away.store(true, Ordering::SeqCst);
    place.clock.advance(DAY);
    let sealed = vault.seal(Kind::Message, b"late").unwrap();
    assert_eq!(
        &vault.open_sealed(Kind::Message, &sealed).unwrap()[..],
        b"late"
    );
    // Not for ever: what would be forgotten two days early is not taken.
    place.clock.advance(DAY);
    assert!(matches!(
        vault.seal(Kind::Message, b"too late"),
        Err(VaultError::Remote { .. })
    ));
    service.away.store(false, Ordering::SeqCst);
    vault.seal(Kind::Message, b"again").unwrap();
    let days: Vec<String> = vault
        .key_list()
        .unwrap()
        .payloads
        .iter()
        .map(|key| key.period.to_string())
        .collect();
    assert_eq!(days, ["2026-11-24", "2026-11-26"]);
}
