//! Instances that advance while the power fails, and the proof that each advance is there as a
//! whole or not at all.
//!
//! Every advance replaces everything by its successor: its state, its wait, its timer, its mail and
//! its call bear the number of the advance. So what belongs to an instance at rest follows from its
//! revision alone.

use super::{Findings, Ledger, Names, message};
use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::time::Duration;
use wardline_core::{
    BlindIndex, DeliveryState, Id, InstanceId, Lane, OrderingKey, Sealed, Timestamp,
};
use wardline_store::{
    Acceptance, Advance, Advanced, CallRef, Cause, Change, History, MailId, MessageRef,
    NewDelivery, NewMail, NewMessage, NewTimer, NewWait, Outcome, Phase, Store, StoreError, Which,
};

/// Instances at work at once.
pub(super) const INSTANCES: usize = 4;

/// What is known of an instance: its id, and its last advance that was acknowledged.
pub(super) type Known = Option<(Id, u64)>;

fn key(instance: usize) -> BlindIndex {
    BlindIndex(1_000_000_000 + instance as i64)
}

/// One advance more.
pub(super) async fn advance(
    store: &dyn Store,
    names: Names,
    ledger: &Mutex<Ledger>,
    instance: usize,
) -> Result<(), StoreError> {
    let known = ledger.lock().advanced[instance];
    let mail = store.mail_for(names.correlator, key(instance), 2).await?;
    let take: Vec<MailId> = mail.iter().map(|mail| mail.id).collect();
    let change = Change::Advance(Box::new(next(store, names, instance, known, take)));
    let outcomes = store.commit(vec![change]).await?;
    let mut ledger = ledger.lock();
    match (&outcomes[..], known) {
        (
            [
                Outcome::Advanced(Advanced::Done {
                    instance: id,
                    revision,
                    ..
                }),
            ],
            _,
        ) => ledger.advanced[instance] = Some((id.0, *revision)),
        (other, _) => ledger
            .contradictions
            .push(format!("instance {instance}: its advance became {other:?}")),
    }
    Ok(())
}

fn next(
    store: &dyn Store,
    names: Names,
    instance: usize,
    known: Known,
    take: Vec<MailId>,
) -> Advance {
    let past: Vec<u32> = known.iter().map(|(_, last)| *last as u32).collect();
    let number = past.first().map_or(1, |last| last + 1);
    let key = OrderingKey {
        index: key(instance),
        shown: None,
    };
    let now = Timestamp::now();
    Advance {
        lease: store.lease(),
        which: match known {
            None => Which::New {
                process: names.flow,
                key: key.clone(),
                again: false,
            },
            Some((id, revision)) => Which::Existing {
                id: InstanceId(id),
                revision,
                reopen: false,
            },
        },
        definition: names.flow,
        phase: Phase::Running,
        status: None,
        step: None,
        note: None,
        owner: None,
        facility: None,
        due: None,
        state: Sealed::from_sealed_bytes(state(number.into()).into()),
        summary: None,
        take,
        fire: past.clone(),
        unwait: past,
        wait: vec![NewWait {
            number,
            correlator: names.correlator,
            key: key.index,
            seen: MailId(i64::MAX),
        }],
        unset: Vec::new(),
        set: vec![NewTimer {
            number,
            due: now.after(Duration::from_hours(1)),
        }],
        answer: Vec::new(),
        ask: Vec::new(),
        withdraw: Vec::new(),
        follow: Some(Box::new(follow(names, &key, number, now))),
        history: vec![History {
            step: "step".into(),
            what: "done".into(),
            text: number.to_string(),
        }],
    }
}

/// An event that the next advance takes, and a call.
fn follow(names: Names, key: &OrderingKey, number: u32, now: Timestamp) -> Acceptance {
    let told = NewMessage {
        cause: Some(Cause::Existing(Id::from_parts(1, 0, 0))),
        key: Some(key.clone()),
        ..message(names, b"{}".to_vec())
    };
    let call = NewDelivery {
        message: MessageRef::Ordinal(0),
        flow: names.flow,
        destination: names.destinations[0],
        lane: Lane::Normal,
        key: Some(key.clone()),
        state: DeliveryState::Pending,
        note: None,
        body: Some(Sealed::from_sealed_bytes(Bytes::from_static(b"{}"))),
        size: 2,
        content_type: names.json,
        replay_of: None,
        call: Some(CallRef {
            instance: None,
            number,
        }),
    };
    Acceptance {
        messages: vec![told],
        deliveries: vec![call],
        mail: vec![NewMail {
            correlator: names.correlator,
            key: key.index,
            ordinal: 0,
            digest: i64::from(number),
            until: now.after(Duration::from_hours(1)),
        }],
        ..Acceptance::default()
    }
}

/// Different in every advance and of very different sizes.
fn state(number: u64) -> Vec<u8> {
    let mut state = format!("{number}:").into_bytes();
    state.resize(200 + (number as usize * 1_613) % 9_000, number as u8);
    state
}

/// What the tables say of the instances; brings the ledger to what is there.
pub(super) fn rows(
    db: &Connection,
    ledger: &mut Ledger,
    findings: &mut Findings,
) -> rusqlite::Result<()> {
    for (instance, known) in ledger.advanced.iter_mut().enumerate() {
        let mut find = db.prepare("SELECT id, revision FROM instance WHERE key_index = ?1")?;
        let there: Vec<(i64, i64)> = find
            .query_map([key(instance).0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let told = known.map_or(0, |(_, revision)| revision);
        let (id, revision) = match there[..] {
            [] => {
                findings.lost += told as usize;
                *known = None;
                continue;
            }
            [(id, revision)] => (id, revision.unsigned_abs()),
            _ => {
                findings.faults.push(format!(
                    "instance {instance} is there {} times",
                    there.len()
                ));
                continue;
            }
        };
        findings.lost += told.saturating_sub(revision) as usize;
        if revision > told + 1 || known.is_some_and(|(known, _)| known.as_i64() != id) {
            findings.faults.push(format!(
                "instance {instance}: {id} at {revision}, and {known:?} was told"
            ));
        }
        *known = Some((Id::from_i64(id), revision));
        let sealed: Vec<u8> = db.query_row(
            "SELECT sealed FROM instance_state WHERE id = ?1",
            [id],
            |row| row.get(0),
        )?;
        if sealed != state(revision) {
            findings.faults.push(format!(
                "instance {instance}: its state is not that of {revision}"
            ));
        }
        let all = (1..=revision)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",");
        let last = revision.to_string();
        for (what, sql, expected) in [
            (
                "wait",
                "SELECT number FROM wait WHERE instance = ?1 ORDER BY number",
                &last,
            ),
            (
                "timer",
                "SELECT number FROM timer WHERE instance = ?1 ORDER BY number",
                &last,
            ),
            (
                "history",
                "SELECT revision FROM history WHERE instance = ?1 ORDER BY revision",
                &all,
            ),
            (
                "calls",
                "SELECT call FROM delivery WHERE instance = ?1 ORDER BY id",
                &all,
            ),
        ] {
            let numbers: Vec<String> = db
                .prepare(sql)?
                .query_map([id], |row| row.get::<_, i64>(0))?
                .map(|number| number.map(|number| number.to_string()))
                .collect::<Result<_, _>>()?;
            if numbers.join(",") != *expected {
                findings.faults.push(format!(
                    "instance {instance} at {revision}: {what} {numbers:?}"
                ));
            }
        }
        let mail: Vec<(u8, u64)> = db
            .prepare("SELECT state, digest FROM mail WHERE key = ?1 ORDER BY digest")?
            .query_map([key(instance).0], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?
            .collect::<Result<_, _>>()?;
        let expected = (1..=revision).map(|n| (if n < revision { 2 } else { 0 }, n));
        if !mail.iter().copied().eq(expected) {
            findings
                .faults
                .push(format!("instance {instance} at {revision}: mail {mail:?}"));
        }
    }
    Ok(())
}
