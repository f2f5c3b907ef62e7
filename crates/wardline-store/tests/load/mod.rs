//! Senders that keep a ledger of what was acknowledged, and the proof against it.
//!
//! Every sender makes acceptances with its own key, one after the other, whose content
//! follows from the sender's number and their place; so what the journal holds can be checked
//! row by row without the journal's help. The proof reads the tables with a connection of its
//! own: a reader of the store that hides a loss would hide it here too.

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, Lane, OrderingKey, Sealed, Sym, Timestamp,
};
use wardline_store::sqlite::SqliteStore;
use wardline_store::{
    Acceptance, AuditRecord, Cause, Change, CounterKind, Dedup, MessageFilter, MessageRef,
    NewDelivery, NewMessage, Note, Outcome, Route, RouteOutcome, Settlement, SettlementResult,
    Store, StoreError, Term,
};

/// Senders at work at once.
pub(crate) const SENDERS: usize = 8;
/// Ids of one acceptance: a raw message, an event, three deliveries.
const BLOCK: u32 = 5;

/// What the senders know to be durable.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// For each sender, the first ids of its acceptances in order.
    pub(crate) accepted: [Vec<Id>; SENDERS],
    settled: HashMap<Id, DeliveryState>,
    audited: u64,
    /// Answers that contradict what the journal said before.
    contradictions: Vec<String>,
}

impl Ledger {
    /// Acceptances in it.
    pub(crate) fn acceptances(&self) -> usize {
        self.accepted.iter().map(Vec::len).sum()
    }
}

/// What the proof found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged acceptances, settlements and audit records that are not there.
    pub(crate) lost: usize,
    /// Everything else that is not as it should be.
    pub(crate) faults: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Names {
    source: Sym,
    kind: Sym,
    json: Sym,
    flow: Sym,
    destinations: [Sym; 3],
}

async fn names(store: &SqliteStore) -> Result<Names, StoreError> {
    let mut syms = [Sym(0); 7];
    let words = [
        "ehr.adt",
        "ADT^A03",
        "application/json",
        "discharge",
        "billing",
        "beds",
        "staff",
    ];
    for (sym, word) in syms.iter_mut().zip(words) {
        *sym = store.intern(word).await?;
    }
    let [source, kind, json, flow, billing, beds, staff] = syms;
    Ok(Names {
        source,
        kind,
        json,
        flow,
        destinations: [billing, beds, staff],
    })
}

/// Sends until an answer says that the journal is done for, or `go_on` says no. An answer
/// that promises recovery is followed by another try of the same thing.
pub(crate) async fn run(
    store: &Arc<SqliteStore>,
    ledger: &Arc<Mutex<Ledger>>,
    go_on: impl Fn() -> bool + Send + Sync + 'static,
) {
    let Ok(names) = names(store).await else {
        return;
    };
    let go_on = Arc::new(go_on);
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (store, ledger, go_on) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(&go_on));
        tasks.spawn(async move {
            while go_on() {
                match send(&*store, names, &ledger, sender).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        });
    }
    {
        let (store, ledger, go_on) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(&go_on));
        tasks.spawn(async move {
            while go_on() {
                match audit(&*store, &ledger).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => tokio::task::yield_now().await,
                    Err(_) => return,
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("senders end without a panic");
    }
}

/// One acceptance, and how its first deliveries ended.
async fn send(
    store: &dyn Store,
    names: Names,
    ledger: &Mutex<Ledger>,
    sender: usize,
) -> Result<(), StoreError> {
    let place = ledger.lock().accepted[sender].len();
    let outcomes = store.commit(vec![acceptance(names, sender, place)]).await?;
    let Some(Outcome::Accepted(accepted)) = outcomes.first() else {
        panic!("an acceptance became {outcomes:?}");
    };
    {
        let mut ledger = ledger.lock();
        if accepted.duplicate.is_some() {
            let what = format!("sender {sender}: acceptance {place} was refused, yet it is known");
            ledger.contradictions.push(what);
        }
        ledger.accepted[sender].push(accepted.first);
    }
    let deliveries = [accepted.first.offset(2), accepted.first.offset(3)];
    let ends = ends(place);
    let changes = deliveries.into_iter().zip(&ends).map(|(id, end)| {
        let follow = (place % 4 == 3).then(|| Box::new(follow(names, id)));
        settle(store, id, end.clone(), follow)
    });
    let outcomes = store.commit(changes.collect()).await?;
    let mut ledger = ledger.lock();
    for ((id, end), outcome) in deliveries.into_iter().zip(ends).zip(outcomes) {
        if !matches!(outcome, Outcome::Settled(true)) {
            ledger
                .contradictions
                .push(format!("the settlement of {id} became {outcome:?}"));
        }
        ledger.settled.insert(id, state_after(&end));
    }
    Ok(())
}

/// One audit record together with a value that must change with it.
async fn audit(store: &dyn Store, ledger: &Mutex<Ledger>) -> Result<(), StoreError> {
    let sequence = ledger.lock().audited;
    let body = format!("{{\"entry\":{sequence}}}").into_bytes();
    let record = AuditRecord {
        sequence,
        at: Timestamp::now(),
        body,
        hash: [sequence as u8; 32],
    };
    let value = (sequence + 1).to_string().into_bytes();
    let set = Change::SetMeta {
        name: "audited".into(),
        value,
    };
    store.commit(vec![Change::Audit(record), set]).await?;
    ledger.lock().audited += 1;
    Ok(())
}

fn ends(place: usize) -> [SettlementResult; 2] {
    let note = || Note {
        code: "W4102".into(),
        text: "no answer".into(),
        fingerprint: 41,
    };
    let next = Timestamp::now();
    match place % 4 {
        0 => [
            SettlementResult::Delivered,
            SettlementResult::Retry { note: note(), next },
        ],
        1 => [SettlementResult::Dead(note()), SettlementResult::Delivered],
        2 => [
            SettlementResult::Hold(note()),
            SettlementResult::Dead(note()),
        ],
        _ => [SettlementResult::Delivered, SettlementResult::Delivered],
    }
}

const fn state_after(end: &SettlementResult) -> DeliveryState {
    match end {
        SettlementResult::Delivered => DeliveryState::Delivered,
        SettlementResult::Retry { .. } => DeliveryState::Retrying,
        SettlementResult::Hold(_) => DeliveryState::Held,
        SettlementResult::Dead(_) => DeliveryState::Dead,
    }
}

fn settle(
    store: &dyn Store,
    delivery: Id,
    result: SettlementResult,
    follow: Option<Box<Acceptance>>,
) -> Change {
    let now = Timestamp::now();
    Change::Settle(Box::new(Settlement {
        lease: store.lease(),
        delivery: DeliveryId(delivery),
        was: DeliveryState::Pending,
        attempt: 1,
        started: now,
        ended: now,
        status: "200".into(),
        response: Some(Sealed::from_sealed_bytes(Bytes::from_static(b"answer"))),
        result,
        follow,
    }))
}

/// The content of a sender's message, different in every place and of very different sizes.
fn payload(sender: usize, place: usize) -> Vec<u8> {
    let len =
        100 + (sender * 977 + place * 1_613) % 5_000 + if place % 50 == 49 { 60_000 } else { 0 };
    let mut payload = format!("{sender}:{place}:").into_bytes();
    payload.extend((0..len).map(|at| (at * 31 + sender * 7 + place) as u8));
    payload
}

fn message(names: Names, sealed: Vec<u8>) -> NewMessage {
    NewMessage {
        source: names.source,
        kind: names.kind,
        content_type: names.json,
        cause: None,
        key: None,
        lane: Lane::Normal,
        received: Timestamp::now(),
        size: sealed.len() as u32,
        payload: Sealed::from_sealed_bytes(sealed.into()),
        routes: vec![Route {
            flow: names.flow,
            destination: None,
            outcome: RouteOutcome::Taken,
        }],
        flagged: false,
    }
}

fn key(sender: usize) -> OrderingKey {
    OrderingKey {
        index: BlindIndex(sender as i64 + 1),
        shown: None,
    }
}

fn term(sender: usize, place: usize) -> BlindIndex {
    BlindIndex((sender * 1_000_000 + place) as i64)
}

fn acceptance(names: Names, sender: usize, place: usize) -> Change {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&(sender as u64).to_le_bytes());
    hash[8..].copy_from_slice(&(place as u64).to_le_bytes());
    let raw = NewMessage {
        key: Some(key(sender)),
        ..message(names, payload(sender, place))
    };
    let event = NewMessage {
        cause: Some(Cause::Ordinal(0)),
        ..message(names, b"{}".to_vec())
    };
    let deliveries = names.destinations.map(|destination| NewDelivery {
        message: MessageRef::Ordinal(1),
        flow: names.flow,
        destination,
        lane: Lane::Normal,
        key: Some(key(sender)),
        state: DeliveryState::Pending,
        note: None,
        body: None,
        size: 2,
        content_type: names.json,
        replay_of: None,
    });
    Change::Accept(Box::new(Acceptance {
        dedup: Some(Dedup {
            source: names.source,
            hash,
            digest: 1,
            answer: Bytes::from_static(b"AA"),
        }),
        messages: vec![raw, event],
        deliveries: deliveries.into(),
        terms: vec![Term {
            ordinal: 0,
            index: term(sender, place),
        }],
    }))
}

/// A message that follows from an answer, alone in its block.
fn follow(names: Names, delivery: Id) -> Acceptance {
    let answer = NewMessage {
        cause: Some(Cause::Existing(delivery)),
        ..message(names, b"{}".to_vec())
    };
    Acceptance {
        messages: vec![answer],
        ..Acceptance::default()
    }
}

/// Compares an open, idle store with the ledger, and brings the ledger to what is there: an
/// acceptance whose answer was still on its way may have been kept.
pub(crate) async fn prove(
    store: &Arc<SqliteStore>,
    path: &Path,
    ledger: &Mutex<Ledger>,
) -> Findings {
    let mut findings = Findings::default();
    if let Err(error) = rows(path, &mut ledger.lock(), &mut findings) {
        findings
            .faults
            .push(format!("the tables cannot be read: {error}"));
    }
    if let Err(error) = answers(store, ledger, &mut findings).await {
        findings
            .faults
            .push(format!("the store does not answer: {error}"));
    }
    findings
}

/// What the tables say.
fn rows(path: &Path, ledger: &mut Ledger, findings: &mut Findings) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    findings.faults.append(&mut ledger.contradictions);
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if sound != "ok" {
        findings.faults.push(format!("integrity_check: {sound}"));
    }
    let mut kept = db.prepare(
        "SELECT m.id, c.sealed FROM message m LEFT JOIN content c ON c.id = m.id
         WHERE m.ordinal = 0 AND m.cause IS NULL AND m.key_index = ?1 ORDER BY m.id",
    )?;
    for (sender, known) in ledger.accepted.iter_mut().enumerate() {
        let there: Vec<(Id, Option<Vec<u8>>)> = kept
            .query_map([key(sender).index.0], |row| {
                Ok((Id::from_i64(row.get(0)?), row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        for (place, (id, sealed)) in there.iter().enumerate() {
            // Also the proof of order: places follow one another as ids do.
            if sealed.as_deref() != Some(&payload(sender, place)[..]) {
                findings.faults.push(format!(
                    "sender {sender}: message {id} is not its number {place}"
                ));
                break;
            }
            if known.get(place).is_some_and(|known| known != id) {
                findings.faults.push(format!(
                    "sender {sender}: number {place} was {} and is {id}",
                    known[place]
                ));
                break;
            }
        }
        findings.lost += known.len().saturating_sub(there.len());
        if there.len() > known.len() + 1 {
            findings.faults.push(format!(
                "sender {sender}: {} there, {} sent",
                there.len(),
                known.len()
            ));
        }
        *known = there.into_iter().map(|(id, _)| id).collect();
    }
    let halves = number(
        "SELECT count(*) FROM message m WHERE m.ordinal = 0 AND m.block !=
             (SELECT count(*) FROM message x WHERE x.id >= m.id AND x.id < m.id + m.block)
           + (SELECT count(*) FROM delivery d WHERE d.id >= m.id AND d.id < m.id + m.block)",
    )?;
    let strays = number(
        "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM delivery)
              - (SELECT coalesce(sum(block), 0) FROM message WHERE ordinal = 0)",
    )?;
    let short = db.query_row(
        "SELECT count(*) FROM message WHERE ordinal = 0 AND cause IS NULL AND block != ?1",
        [BLOCK],
        |row| row.get::<_, i64>(0),
    )?;
    if (halves, strays, short) != (0, 0, 0) {
        findings.faults.push(format!(
            "{halves} half acceptances, {strays} stray rows, {short} short blocks"
        ));
    }
    let mut state = db.prepare("SELECT state FROM delivery WHERE id = ?1")?;
    ledger.settled.retain(|id, settled| {
        let there = state
            .query_row([id.as_i64()], |row| row.get::<_, u8>(0))
            .ok();
        let as_told = there == Some(settled.as_u8());
        findings.lost += usize::from(!as_told);
        as_told
    });
    let audited = number("SELECT count(*) FROM audit")?;
    let last = number("SELECT coalesce(max(sequence) + 1, 0) FROM audit")?;
    let told = number(
        "SELECT coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM meta WHERE name = 'audited'), 0)",
    )?;
    if audited != last || audited != told {
        findings.faults.push(format!(
            "{audited} audit records, the last is {last}, the value beside them {told}"
        ));
    }
    findings.lost += ledger.audited.saturating_sub(audited as u64) as usize;
    ledger.audited = audited as u64;
    let mut wrong = String::new();
    for (what, kept, counted) in [
        (
            "gauges",
            "SELECT group_concat(v) FROM (SELECT destination||'/'||state||'='||n AS v FROM gauge WHERE n != 0 ORDER BY 1)",
            "SELECT group_concat(v) FROM (SELECT destination||'/'||state||'='||count(*) AS v FROM delivery
                 WHERE state <= 2 GROUP BY destination, lane, state ORDER BY 1)",
        ),
        (
            "failures",
            "SELECT group_concat(v) FROM (SELECT destination||'/'||state||'='||n AS v FROM failure WHERE n != 0 ORDER BY 1)",
            "SELECT group_concat(v) FROM (SELECT destination||'/'||state||'='||count(*) AS v FROM delivery
                 WHERE state IN (2, 4) GROUP BY destination, fingerprint, state ORDER BY 1)",
        ),
    ] {
        let word = |sql| db.query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        let (kept, counted) = (word(kept)?, word(counted)?);
        if kept != counted {
            let _infallible = write!(wrong, "{what} say {kept:?}, rows say {counted:?}; ");
        }
    }
    if !wrong.is_empty() {
        findings.faults.push(wrong);
    }
    Ok(())
}

/// What the store itself says.
async fn answers(
    store: &Arc<SqliteStore>,
    ledger: &Mutex<Ledger>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let names = names(store).await?;
    let (last, acceptances) = {
        let ledger = ledger.lock();
        let last: Vec<_> = ledger
            .accepted
            .iter()
            .map(|known| known.last().copied())
            .collect();
        (last, ledger.acceptances())
    };
    for (sender, id) in last.into_iter().enumerate() {
        let Some(id) = id else { continue };
        let place = ledger.lock().accepted[sender].len() - 1;
        let filter = MessageFilter {
            term: Some(term(sender, place)),
            ..MessageFilter::default()
        };
        let found = store.messages(&filter).await?.rows;
        if found.first().map(|row| row.id.0) != Some(id) {
            findings
                .faults
                .push(format!("sender {sender}: {id} is not found by its term"));
        }
        match &store.commit(vec![acceptance(names, sender, place)]).await?[..] {
            [Outcome::Accepted(accepted)]
                if accepted.duplicate.is_some() && accepted.first == id => {}
            other => findings
                .faults
                .push(format!("sender {sender}: {id} sent again became {other:?}")),
        }
    }
    for destination in names.destinations {
        let mut after = Id::ZERO;
        let mut owed = 0;
        loop {
            let page = store
                .window(destination, Lane::Normal, after, 1_000)
                .await?;
            let Some(end) = page.last() else { break };
            owed += page.len();
            if !page.windows(2).all(|pair| pair[0].id < pair[1].id) || page[0].id.0 <= after {
                findings
                    .faults
                    .push("a window is not in the order of ids".into());
            }
            after = end.id.0;
        }
        let gauges = store.gauges().await?;
        let open: i64 = gauges
            .iter()
            .filter(|gauge| gauge.destination == destination)
            .map(|gauge| gauge.count)
            .sum();
        if owed as i64 != open {
            findings.faults.push(format!(
                "{owed} deliveries in the window, {open} in the gauges"
            ));
        }
    }
    let totals = store.totals().await?;
    let total = |kind| {
        totals
            .iter()
            .filter(|count| count.kind == kind)
            .map(|count| count.count)
            .sum::<u64>()
    };
    let (accepted, owed) = (total(CounterKind::Accepted), total(CounterKind::Owed));
    if (accepted, owed) != (acceptances as u64, acceptances as u64 * 3) {
        findings.faults.push(format!(
            "totals say {accepted} accepted and {owed} owed, rows say {acceptances}"
        ));
    }
    Ok(())
}
