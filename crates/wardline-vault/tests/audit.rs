//! Attacks on the audit log, each of which `verify` must find.
#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, SimulatedClock, Timestamp};
use wardline_vault::audit::{AuditKey, Break, Broken, Checkpoint, Verified, verify};
use wardline_vault::{AuditEntry, AuditLog, AuditRecord, Vault};

struct Fixture {
    vault: Arc<Vault>,
    clock: Arc<SimulatedClock>,
    key: AuditKey,
    records: Vec<AuditRecord>,
    /// At sizes 0, 7, 14 and 20 of 23.
    checkpoints: Vec<Checkpoint>,
}

fn entry(n: usize) -> AuditEntry {
    AuditEntry::new("user:anna", "payload.reveal", format!("message-{n}"))
        .because("ticket 4711")
        .with("n", n)
}

fn fixture() -> Fixture {
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(
        1_764_000_000_000_000,
    )));
    let vault = Vault::ephemeral("st-brigid", clock.clone()).unwrap();
    let mut log = AuditLog::new(vault.audit_signer(), clock.clone());
    let (mut records, mut checkpoints) = (Vec::new(), Vec::new());
    for n in 0..23 {
        if n % 7 == 0 && n < 20 || n == 20 {
            checkpoints.push(log.checkpoint());
        }
        records.push(log.append(&entry(n)));
        clock.advance(Duration::from_millis(1));
    }
    checkpoints.retain(|checkpoint| [0, 7, 14, 20].contains(&checkpoint.size()));
    Fixture {
        key: vault.audit_key(),
        vault,
        clock,
        records,
        checkpoints,
    }
}

/// A log that an attacker with all powers but the signing key makes from these records:
/// numbered and hashed as if it had always been so.
fn forged(fixture: &Fixture, records: &[AuditRecord]) -> Vec<AuditRecord> {
    let stranger = Vault::ephemeral("st-brigid", fixture.clock.clone()).unwrap();
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
    let mut log = AuditLog::new(stranger.audit_signer(), clock.clone());
    records
        .iter()
        .map(|record| {
            let (at, entry) = AuditEntry::from_body(&record.body).unwrap();
            clock.advance(at.since(clock.now()));
            log.append(&entry)
        })
        .collect()
}

impl Fixture {
    fn verify(&self, records: Vec<AuditRecord>) -> Result<Verified, Break> {
        verify(records, &self.checkpoints, &self.key)
    }
}

#[test]
fn an_untouched_log_verifies() {
    let fixture = fixture();
    let verified = fixture.verify(fixture.records.clone()).unwrap();
    assert_eq!((verified.count, verified.signed), (23, 20));
    assert_eq!(verified.root, fixture.records[22].hash);
    let again = forged(&fixture, &fixture.records);
    assert_eq!(
        again, fixture.records,
        "the forger of these tests works exactly"
    );
    assert_eq!(verify([], &[], &fixture.key).unwrap().count, 0);
}

#[test]
fn any_changed_byte_of_any_record_is_found() {
    let fixture = fixture();
    for at in 0..fixture.records.len() {
        for byte in 0..fixture.records[at].body.len() {
            let mut records = fixture.records.clone();
            records[at].body[byte] ^= 1;
            assert_eq!(
                fixture.verify(records).unwrap_err(),
                Break {
                    at: at as u64,
                    why: Broken::Root
                }
            );
        }
        for byte in 0..32 {
            let mut records = fixture.records.clone();
            records[at].hash[byte] ^= 1;
            assert_eq!(
                fixture.verify(records).unwrap_err(),
                Break {
                    at: at as u64,
                    why: Broken::Root
                }
            );
        }
        let mut records = fixture.records.clone();
        records[at].at = records[at].at.after(Duration::from_micros(1));
        assert_eq!(
            fixture.verify(records).unwrap_err(),
            Break {
                at: at as u64,
                why: Broken::Body
            }
        );
    }
}

#[test]
fn a_removed_record_is_found() {
    let fixture = fixture();
    for at in 0..22 {
        let mut records = fixture.records.clone();
        records.remove(at);
        let expected = at as u64;
        assert_eq!(
            fixture.verify(records).unwrap_err(),
            Break {
                at: expected,
                why: Broken::Sequence { expected }
            }
        );

        let mut renumbered = fixture.records.clone();
        renumbered.remove(at);
        (0..)
            .zip(&mut renumbered)
            .for_each(|(n, record)| record.sequence = n);
        assert_eq!(fixture.verify(renumbered).unwrap_err().at, expected);
    }
}

#[test]
fn reordered_and_inserted_records_are_found() {
    let fixture = fixture();
    for at in 0..22 {
        let mut records = fixture.records.clone();
        records.swap(at, at + 1);
        assert_eq!(fixture.verify(records).unwrap_err().at, at as u64);

        let mut renumbered = fixture.records.clone();
        renumbered.swap(at, at + 1);
        (0..)
            .zip(&mut renumbered)
            .for_each(|(n, record)| record.sequence = n);
        assert_eq!(
            fixture.verify(renumbered).unwrap_err(),
            Break {
                at: at as u64,
                why: Broken::Root
            }
        );

        let mut doubled = fixture.records.clone();
        doubled.insert(at, fixture.records[at].clone());
        assert_eq!(fixture.verify(doubled).unwrap_err().at, at as u64 + 1);
    }
}

#[test]
fn a_log_rewritten_with_all_its_hashes_is_found_by_a_checkpoint() {
    let fixture = fixture();
    for at in 0..20 {
        let mut records = fixture.records.clone();
        records[at].body = String::from_utf8(records[at].body.clone())
            .unwrap()
            .replace("anna", "mallory")
            .into();
        let error = fixture.verify(forged(&fixture, &records)).unwrap_err();
        let size = [7, 14, 20]
            .into_iter()
            .find(|size| *size > at as u64)
            .unwrap();
        assert_eq!(
            error,
            Break {
                at: size - 1,
                why: Broken::Checkpoint { size }
            }
        );

        let mut shorter = fixture.records.clone();
        shorter.remove(at);
        let error = fixture.verify(forged(&fixture, &shorter)).unwrap_err();
        assert_eq!(error.why, Broken::Checkpoint { size });
    }
}

#[test]
fn what_follows_the_last_checkpoint_is_named_as_unsigned() {
    let fixture = fixture();
    let mut records = fixture.records.clone();
    records[21].body = String::from_utf8(records[21].body.clone())
        .unwrap()
        .replace("anna", "mallory")
        .into();
    let verified = fixture.verify(forged(&fixture, &records)).unwrap();
    assert_eq!(
        (verified.count, verified.signed),
        (23, 20),
        "a limit that the documentation states"
    );
}

#[test]
fn truncation_is_found_up_to_the_last_checkpoint() {
    let fixture = fixture();
    for len in 0..20 {
        let error = fixture.verify(fixture.records[..len].to_vec()).unwrap_err();
        assert_eq!(
            error,
            Break {
                at: len as u64,
                why: Broken::Truncated { size: 20 }
            }
        );
    }
    // A checkpoint that somebody kept elsewhere counts as well.
    let clock: Arc<dyn Clock> = fixture.clock.clone();
    let whole = AuditLog::restore(
        fixture.vault.audit_signer(),
        clock,
        None,
        fixture.records.clone(),
    )
    .unwrap()
    .checkpoint();
    let error = verify(fixture.records[..22].to_vec(), &[whole], &fixture.key).unwrap_err();
    assert_eq!(
        error,
        Break {
            at: 22,
            why: Broken::Truncated { size: 23 }
        }
    );
}

#[test]
fn checkpoints_of_others_are_refused() {
    let fixture = fixture();
    let stranger = Vault::ephemeral("st-brigid", fixture.clock.clone()).unwrap();
    let mut log = AuditLog::new(stranger.audit_signer(), fixture.clock.clone());
    for n in 0..7 {
        log.append(&entry(n));
    }
    let error = verify(fixture.records.clone(), &[log.checkpoint()], &fixture.key).unwrap_err();
    assert_eq!(error.why, Broken::Signature);
}

#[test]
fn a_restart_goes_on_from_any_checkpoint() {
    let fixture = fixture();
    let restore = |checkpoint: Option<&Checkpoint>, records: &[AuditRecord]| {
        let clock: Arc<dyn Clock> = fixture.clock.clone();
        AuditLog::restore(
            fixture.vault.audit_signer(),
            clock,
            checkpoint,
            records.to_vec(),
        )
    };
    let mut from_all = restore(None, &fixture.records).unwrap();
    let next = from_all.append(&entry(23));
    for checkpoint in &fixture.checkpoints {
        // As it was stored and read back.
        let checkpoint: Checkpoint = checkpoint.to_string().parse().unwrap();
        let tail = &fixture.records[checkpoint.resume_from() as usize..];
        let mut log = restore(Some(&checkpoint), tail).unwrap();
        assert_eq!(log.len(), 23);
        assert_eq!(log.append(&entry(23)), next);
    }

    let last = fixture.checkpoints.last().unwrap();
    assert_eq!(
        restore(Some(last), &[]).unwrap_err().why,
        Broken::Truncated { size: 20 }
    );
    assert_eq!(
        restore(Some(last), &fixture.records[20..]).unwrap_err().why,
        Broken::Sequence { expected: 19 }
    );
    let mut changed = fixture.records[19..].to_vec();
    changed[0].hash[0] ^= 1;
    assert_eq!(
        restore(Some(last), &changed).unwrap_err().why,
        Broken::Checkpoint { size: 20 }
    );
    let mut changed = fixture.records[19..].to_vec();
    changed[2].body.push(b' ');
    assert_eq!(
        restore(Some(last), &changed).unwrap_err(),
        Break {
            at: 21,
            why: Broken::Root
        }
    );
}

#[test]
fn a_failed_commit_leaves_no_trace_and_two_writers_are_noticed() {
    let fixture = fixture();
    let mut log = AuditLog::new(fixture.vault.audit_signer(), fixture.clock.clone());
    drop(log.propose(&entry(0)));
    assert!(log.is_empty());
    let (one, two) = (log.propose(&entry(1)), log.propose(&entry(2)));
    let record = log.accept(one).unwrap();
    assert_eq!(
        log.accept(two).unwrap_err(),
        Break {
            at: 0,
            why: Broken::Sequence { expected: 1 }
        }
    );
    verify([record], &[log.checkpoint()], &fixture.key).unwrap();
}

#[test]
fn time_in_the_log_never_runs_backwards() {
    let fixture = fixture();
    let early: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
    let mut log = AuditLog::restore(
        fixture.vault.audit_signer(),
        early,
        None,
        fixture.records.clone(),
    )
    .unwrap();
    assert_eq!(log.append(&entry(23)).at, fixture.records[22].at);
}
