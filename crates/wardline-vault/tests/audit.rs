//! Attacks on the audit log, each of which `verify` must find.
#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Clock, SimulatedClock, Timestamp};
use wardline_vault::audit::{
    AuditKey, Break, Broken, Checkpoint, Prover, Verified, Witness, WitnessKey, leaf_hash, verify,
    verify_inclusion,
};
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
    let mut log = AuditLog::new(Arc::clone(&vault), clock.clone());
    let (mut records, mut checkpoints) = (Vec::new(), Vec::new());
    for n in 0..23 {
        if n % 7 == 0 && n < 20 || n == 20 {
            checkpoints.push(log.checkpoint());
        }
        records.push(log.append(&entry(n)).unwrap());
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
fn forged(records: &[AuditRecord]) -> Vec<AuditRecord> {
    let root = |size: usize| {
        let mut prover = Prover::inclusion(0, size as u64).unwrap();
        for record in records {
            prover.read(&record.body);
        }
        prover.finish().unwrap().root
    };
    (0..)
        .zip(records)
        .map(|(n, record)| AuditRecord {
            sequence: n,
            hash: root(n as usize + 1),
            ..record.clone()
        })
        .collect()
}

impl Fixture {
    /// The body of another entry in place of this one, in the form that needs no key to write.
    fn blaming_mallory(&self, at: usize) -> Vec<u8> {
        let at = self.records[at].at.to_jiff();
        format!(
            r#"{{"act":"payload.reveal","actor":"user:mallory","at":"{at:.6}","detail":{{}},"reason":"","target":"x"}}"#
        )
        .into_bytes()
    }

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
    assert_eq!(
        forged(&fixture.records),
        fixture.records,
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
        records[at].body = fixture.blaming_mallory(at);
        let error = fixture.verify(forged(&records)).unwrap_err();
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
        let error = fixture.verify(forged(&shorter)).unwrap_err();
        assert_eq!(error.why, Broken::Checkpoint { size });
    }
}

#[test]
fn what_follows_the_last_checkpoint_is_named_as_unsigned() {
    let fixture = fixture();
    let mut records = fixture.records.clone();
    records[21].body = fixture.blaming_mallory(21);
    let verified = fixture.verify(forged(&records)).unwrap();
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
        Arc::clone(&fixture.vault),
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
    let mut log = AuditLog::new(Arc::clone(&stranger), fixture.clock.clone());
    for n in 0..7 {
        log.append(&entry(n)).unwrap();
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
            Arc::clone(&fixture.vault),
            clock,
            checkpoint,
            records.to_vec(),
        )
    };
    let mut from_all = restore(None, &fixture.records).unwrap();
    from_all.append(&entry(23)).unwrap();
    for checkpoint in &fixture.checkpoints {
        // As it was stored and read back.
        let checkpoint: Checkpoint = checkpoint.to_string().parse().unwrap();
        let tail = &fixture.records[checkpoint.resume_from() as usize..];
        let mut log = restore(Some(&checkpoint), tail).unwrap();
        assert_eq!(log.len(), 23);
        // Sealing is never twice the same, so the roots after it cannot be compared.
        let next = log.append(&entry(23)).unwrap();
        let whole = [&fixture.records[..], &[next]].concat();
        assert_eq!(
            verify(whole, &[log.checkpoint()], &fixture.key)
                .unwrap()
                .signed,
            24
        );
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
    let mut log = AuditLog::new(Arc::clone(&fixture.vault), fixture.clock.clone());
    drop(log.propose(&entry(0)).unwrap());
    assert!(log.is_empty());
    let (one, two) = (
        log.propose(&entry(1)).unwrap(),
        log.propose(&entry(2)).unwrap(),
    );
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
        Arc::clone(&fixture.vault),
        early,
        None,
        fixture.records.clone(),
    )
    .unwrap();
    assert_eq!(log.append(&entry(23)).unwrap().at, fixture.records[22].at);
}

#[test]
fn destroyed_keys_leave_every_proof_as_it_was() {
    let fixture = fixture();
    let month = wardline_vault::Day::of(fixture.clock.now()).month();
    let (at, said) = fixture.vault.open_audit(&fixture.records[3].body).unwrap();
    assert_eq!((at, said), (fixture.records[3].at, entry(3)));
    for record in &fixture.records {
        assert!(
            !record.body.windows(4).any(|four| four == b"anna"),
            "entries rest sealed"
        );
    }
    // Retention of payloads reaches the end of time; the audit log is still read.
    fixture.clock.advance(Duration::from_hours(24 * 40));
    let today = wardline_vault::Day::of(fixture.clock.now());
    fixture.vault.destroy_before(today).unwrap();
    fixture.vault.open_audit(&fixture.records[3].body).unwrap();
    let list = fixture.vault.key_list().unwrap();
    assert_eq!(
        list.audit.iter().map(|key| key.period).collect::<Vec<_>>(),
        [month]
    );
    assert!(list.payloads.is_empty());

    assert_eq!(fixture.vault.destroy_audit_before(today).unwrap().days, 1);
    assert!(matches!(
        fixture.vault.open_audit(&fixture.records[3].body),
        Err(wardline_vault::VaultError::Destroyed { day }) if day == month
    ));
    let verified = fixture.verify(fixture.records.clone()).unwrap();
    assert_eq!((verified.count, verified.signed), (23, 20));
    let mut prover = Prover::inclusion(3, 20).unwrap();
    for record in &fixture.records {
        prover.read(&record.body);
    }
    let proof = prover.finish().unwrap();
    let signed = fixture
        .checkpoints
        .iter()
        .find(|signed| signed.size() == 20)
        .unwrap();
    let leaf = leaf_hash(&fixture.records[3].body);
    assert!(verify_inclusion(&leaf, 3, 20, &proof.path, &signed.root()));

    // The log goes on, under another month's key.
    let clock: Arc<dyn Clock> = fixture.clock.clone();
    let vault = Arc::clone(&fixture.vault);
    let last = fixture.checkpoints.last().unwrap();
    let tail = fixture.records[19..].to_vec();
    let mut log = AuditLog::restore(vault, clock, Some(last), tail).unwrap();
    let next = log.append(&entry(23)).unwrap();
    assert_eq!(fixture.vault.open_audit(&next.body).unwrap().1, entry(23));
}

#[test]
fn an_entry_of_the_old_form_is_still_read_and_continued() {
    let fixture = fixture();
    let old = fixture.blaming_mallory(0);
    let mut tree = AuditLog::new(Arc::clone(&fixture.vault), fixture.clock.clone());
    let first = AuditRecord {
        sequence: 0,
        at: fixture.records[0].at,
        hash: leaf_hash(&old),
        body: old,
    };
    assert_eq!(
        fixture.vault.open_audit(&first.body).unwrap().1.actor,
        "user:mallory"
    );
    assert!(tree.is_empty());
    let clock: Arc<dyn Clock> = fixture.clock.clone();
    tree = AuditLog::restore(Arc::clone(&fixture.vault), clock, None, [first.clone()]).unwrap();
    let second = tree.append(&entry(1)).unwrap();
    verify([first, second], &[tree.checkpoint()], &fixture.key).unwrap();
}

#[test]
fn a_witness_signs_what_it_saw_and_nothing_else() {
    let fixture = fixture();
    let witness = Witness::generate("witness.st-olaf.example").unwrap();
    let key: WitnessKey = witness.key().to_string().parse().unwrap();
    let stranger = Witness::generate("witness.st-olaf.example").unwrap().key();
    let mut checkpoint = fixture.checkpoints[1].clone();
    assert_eq!(key.cosigned(&checkpoint), None);
    let at = Timestamp(1_764_000_001_000_000);
    witness.cosign(&mut checkpoint, Timestamp(1));
    // Again, with the key as it was kept: the later time stands, and once only.
    Witness::from_secret(&witness.to_secret())
        .unwrap()
        .cosign(&mut checkpoint, at);
    let read: Checkpoint = checkpoint.to_string().parse().unwrap();
    assert_eq!(read.to_string().matches("witness.st-olaf").count(), 1);
    assert_eq!(key.cosigned(&read), Some(at));
    assert_eq!(stranger.cosigned(&read), None);
    assert!(
        fixture.key.verifies(&read),
        "the log's own signature is as it was"
    );
    // Its line on another checkpoint says nothing.
    let line = read.to_string().lines().last().unwrap().to_owned();
    let moved: Checkpoint = format!("{}{line}\n", fixture.checkpoints[2])
        .parse()
        .unwrap();
    assert_eq!(key.cosigned(&moved), None);
    assert!(!format!("{witness:?}").contains("PRIVATE"));
    for bad in ["", "a b", "a+b", "a\nb"] {
        assert!(Witness::generate(bad).is_err());
    }
    for bad in ["", "PRIVATE+KEY+a+00000000+BAAA", "w+1+BA=="] {
        assert!(Witness::from_secret(&wardline_vault::Secret::new(bad.into())).is_err());
        assert!(bad.parse::<WitnessKey>().is_err());
    }
}
