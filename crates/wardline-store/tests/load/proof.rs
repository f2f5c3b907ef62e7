//! The proof: what the journal holds against the ledger.
//!
//! It reads the tables with a connection of its own: a reader of the store that hides a loss
//! would hide it here too. What only the store can say is asked of the store.

use super::{BLOCK, Ledger, acceptance, instances, key, names, payload, term};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use wardline_core::{Id, Lane};
use wardline_store::sqlite::SqliteStore;
use wardline_store::{CounterKind, MessageFilter, Outcome, Store, StoreError};

/// What the proof found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged acceptances, settlements and audit records that are not there.
    pub(crate) lost: usize,
    /// Everything else that is not as it should be.
    pub(crate) faults: Vec<String>,
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
    instances::rows(&db, ledger, findings)?;
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
            findings
                .faults
                .push(format!("{what} say {kept:?}, rows say {counted:?}"));
        }
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
    let (last, acceptances, advances) = {
        let ledger = ledger.lock();
        let last: Vec<_> = ledger
            .accepted
            .iter()
            .map(|known| known.last().copied())
            .collect();
        (last, ledger.acceptances(), ledger.advances())
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
    if (accepted, owed) != (acceptances as u64, acceptances as u64 * 3 + advances) {
        findings.faults.push(format!(
            "totals say {accepted} accepted and {owed} owed, rows say {acceptances} and {advances} calls"
        ));
    }
    Ok(())
}
