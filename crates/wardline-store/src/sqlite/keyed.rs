//! Idempotency keys: which requests were begun, and what was answered to them.
//!
//! A key is marked before its request is carried out and gets its answer after, each as part of
//! whatever transaction is at hand. A mark without an answer outlives the process that made it:
//! nobody knows then whether the request arrived, and so it is not carried out again. Keys are
//! hashes of what callers choose; how many there are is bounded, and past the bound new ones are
//! refused, since forgetting one could carry a write out twice.

use crate::change::{KeyBegin, KeyEnd, KeyStanding};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{Sealed, Timestamp};

/// Keys that are kept at the same time.
const MOST_KEYS: u64 = 1_000_000;
/// Bytes of their answers together.
const MOST_BYTES: u64 = 1 << 30;
/// Expired keys removed with each new one, so that they go as fast as others come.
const SWEEP: usize = 2;

/// How much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    keys: u64,
    bytes: u64,
}

/// The keys that are kept.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    now: Sum,
    /// As it was before the transaction at hand.
    before: Sum,
}

impl Keyed {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let sum = conn.query_row(
            "SELECT count(*), coalesce(sum(length(answer)), 0) FROM keyed",
            [],
            |row| {
                Ok(Sum {
                    keys: row.get::<_, i64>(0)?.unsigned_abs(),
                    bytes: row.get::<_, i64>(1)?.unsigned_abs(),
                })
            },
        )?;
        Ok(Self {
            now: sum,
            before: sum,
        })
    }

    /// Looks a key up and, where it is new, marks it.
    pub(super) fn begin(
        &mut self,
        conn: &Connection,
        begin: &KeyBegin,
        now: Timestamp,
    ) -> rusqlite::Result<KeyStanding> {
        type Row = (i64, Vec<u8>, i64, Option<Vec<u8>>);
        let found: Option<Row> = conn
            .prepare_cached("SELECT id, digest, until, answer FROM keyed WHERE hash = ?1")?
            .query_row([&begin.hash[..]], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        match found {
            Some((id, _, until, answer)) if until <= now.0 => {
                self.remove(conn, id, answer.map_or(0, |answer| answer.len()))?;
            }
            Some((_, digest, ..)) if digest != begin.digest => return Ok(KeyStanding::Different),
            Some((.., Some(answer))) => {
                let answer = Sealed::from_sealed_bytes(Bytes::from(answer));
                return Ok(KeyStanding::Answered(answer));
            }
            Some(_) => return Ok(KeyStanding::Unanswered),
            None => {}
        }
        self.forget(conn, now, SWEEP)?;
        if self.now.keys >= MOST_KEYS || self.now.bytes >= MOST_BYTES {
            return Ok(KeyStanding::Full);
        }
        conn.prepare_cached(
            "INSERT INTO keyed (hash, digest, begun, until) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((&begin.hash[..], &begin.digest[..], now.0, begin.until.0))?;
        self.now.keys += 1;
        Ok(KeyStanding::New)
    }

    /// Keeps the answer to a key, or forgets the key.
    pub(super) fn end(&mut self, conn: &Connection, end: &KeyEnd) -> rusqlite::Result<()> {
        if let Some(answer) = &end.answer {
            let kept = conn
                .prepare_cached("UPDATE keyed SET answer = ?2 WHERE hash = ?1 AND answer IS NULL")?
                .execute((&end.hash[..], &answer.as_sealed_bytes()[..]))?;
            self.now.bytes += (kept * answer.len()) as u64;
        } else {
            let gone = conn
                .prepare_cached("DELETE FROM keyed WHERE hash = ?1 AND answer IS NULL")?
                .execute([&end.hash[..]])?;
            self.now.keys -= gone as u64;
        }
        Ok(())
    }

    /// Removes expired keys, at most so many; true while there may be more.
    pub(super) fn forget(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        most: usize,
    ) -> rusqlite::Result<bool> {
        let old: Vec<(i64, usize)> = conn
            .prepare_cached(
                "SELECT id, coalesce(length(answer), 0) FROM keyed WHERE until <= ?1 ORDER BY until LIMIT ?2",
            )?
            .query_map((now.0, most as i64), |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs() as usize))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (id, bytes) in &old {
            self.remove(conn, *id, *bytes)?;
        }
        Ok(old.len() == most)
    }

    /// When the oldest key was begun.
    pub(super) fn oldest(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
        // Rows are numbered as they come, so the first is the oldest.
        conn.prepare_cached("SELECT begun FROM keyed ORDER BY id LIMIT 1")?
            .query_row([], |row| row.get(0).map(Timestamp))
            .optional()
    }

    fn remove(&mut self, conn: &Connection, id: i64, bytes: usize) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM keyed WHERE id = ?1")?
            .execute([id])?;
        self.now.keys -= 1;
        self.now.bytes -= bytes as u64;
        Ok(())
    }

    /// The transaction is durable.
    pub(super) const fn committed(&mut self) {
        self.before = self.now;
    }

    /// The transaction never was.
    pub(super) const fn rolled_back(&mut self) {
        self.now = self.before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&conn, 0).unwrap();
        conn
    }

    fn begin(n: u8, until: i64) -> KeyBegin {
        KeyBegin {
            hash: [n; 16],
            digest: [n; 16],
            until: Timestamp(until),
        }
    }

    #[test]
    fn sums_follow_what_is_kept_and_what_is_taken_back() {
        let conn = fresh();
        let mut keyed = Keyed::load(&conn).unwrap();
        let answer = Sealed::from_sealed_bytes(Bytes::from_static(b"12345"));
        for n in 0..10 {
            let tx = conn.unchecked_transaction().unwrap();
            let standing = keyed.begin(&tx, &begin(n, 100), Timestamp(1)).unwrap();
            assert_eq!(standing, KeyStanding::New);
            if n % 2 == 0 {
                let end = KeyEnd {
                    hash: [n; 16],
                    answer: Some(answer.clone()),
                };
                keyed.end(&tx, &end).unwrap();
                keyed.end(&tx, &end).unwrap();
            }
            if n == 9 {
                tx.rollback().unwrap();
                keyed.rolled_back();
            } else {
                tx.commit().unwrap();
                keyed.committed();
            }
        }
        assert_eq!(keyed.now, Sum { keys: 9, bytes: 25 });
        assert_eq!(Keyed::load(&conn).unwrap().now, keyed.now);
        // Each new one takes two old ones along.
        let standing = keyed.begin(&conn, &begin(77, 900), Timestamp(100)).unwrap();
        assert_eq!(standing, KeyStanding::New);
        assert_eq!(keyed.now.keys, 8);
        while keyed.forget(&conn, Timestamp(100), 3).unwrap() {}
        assert_eq!(keyed.now, Sum { keys: 1, bytes: 0 });
        assert_eq!(Keyed::load(&conn).unwrap().now, keyed.now);
    }

    #[test]
    fn a_full_store_takes_no_new_keys_and_forgets_none() {
        let conn = fresh();
        let mut keyed = Keyed::load(&conn).unwrap();
        keyed.begin(&conn, &begin(1, 100), Timestamp(1)).unwrap();
        keyed.now.keys = MOST_KEYS;
        assert_eq!(
            keyed.begin(&conn, &begin(2, 100), Timestamp(1)).unwrap(),
            KeyStanding::Full
        );
        assert_eq!(
            keyed.begin(&conn, &begin(1, 100), Timestamp(1)).unwrap(),
            KeyStanding::Unanswered
        );
    }
}
