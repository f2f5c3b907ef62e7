//! Runs: neighbours in the index over what a key is owed.
//!
//! Keys are blind indexes, so random numbers. One tree over all of them would touch a cold page
//! for every delivery settled, and the more stood in the journal the slower each would get. So
//! deliveries are numbered in runs of [`RUN`] (a run is named by the id of the delivery that
//! opened it) and the index is ordered by run before key: settling in order touches the pages of
//! a run or two, and finding what a key is owed probes each run that still owes something.

use rusqlite::{Connection, OptionalExtension};
use wardline_core::{Id, Lane, Sym};

/// Deliveries in a run: about twenty pages. Fewer would make a batch touch fewer pages, and a
/// key probe more runs.
pub(super) const RUN: u32 = 4_096;

/// The run being filled.
#[derive(Debug)]
pub(super) struct RunSource {
    most: u32,
    open: Option<Run>,
    committed: Option<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    name: Id,
    deliveries: u32,
}

impl RunSource {
    /// Begins with a run of its own: how full the last one is would have to be counted.
    pub(super) const fn new(most: u32) -> Self {
        Self {
            most,
            open: None,
            committed: None,
        }
    }

    /// The run of a new delivery.
    pub(super) fn take(&mut self, delivery: Id) -> Id {
        let run = match &mut self.open {
            Some(run) if run.deliveries < self.most => run,
            slot => slot.insert(Run {
                name: delivery,
                deliveries: 0,
            }),
        };
        run.deliveries += 1;
        run.name
    }

    /// The transaction is durable.
    pub(super) const fn committed(&mut self) {
        self.committed = self.open;
    }

    /// The transaction never was.
    pub(super) const fn rolled_back(&mut self) {
        self.open = self.committed;
    }
}

/// The runs in which a destination is still owed something, oldest first, from the one that
/// `from` falls into.
pub(super) struct Runs<'c> {
    next: rusqlite::CachedStatement<'c>,
    destination: Sym,
    lane: Lane,
    from: i64,
}

impl<'c> Runs<'c> {
    pub(super) fn of(
        conn: &'c Connection,
        destination: Sym,
        lane: Lane,
        from: Id,
    ) -> rusqlite::Result<Self> {
        let begun: Option<i64> = conn
            .prepare_cached(
                "SELECT max(run) FROM delivery INDEXED BY delivery_key
                 WHERE state <= 2 AND destination = ?1 AND lane = ?2 AND run <= ?3",
            )?
            .query_row((destination.0, lane.as_u8(), from.as_i64()), |row| {
                row.get(0)
            })
            .optional()?
            .flatten();
        Ok(Self {
            next: conn.prepare_cached(
                "SELECT min(run) FROM delivery INDEXED BY delivery_key
                 WHERE state <= 2 AND destination = ?1 AND lane = ?2 AND run >= ?3",
            )?,
            destination,
            lane,
            from: begun.unwrap_or(0),
        })
    }

    /// The next run, `None` after the last.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<i64>> {
        let found: Option<i64> = self
            .next
            .query_row((self.destination.0, self.lane.as_u8(), self.from), |row| {
                row.get(0)
            })?;
        if let Some(run) = found {
            self.from = run + 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn a_run_is_named_by_its_first_delivery_and_taken_back_with_its_transaction() {
        let mut runs = RunSource::new(2);
        let id = Id::from_i64;
        assert_eq!(runs.take(id(10)), id(10));
        runs.committed();
        assert_eq!(runs.take(id(11)), id(10));
        assert_eq!(runs.take(id(12)), id(12));
        runs.rolled_back();
        assert_eq!(runs.take(id(13)), id(10));
        assert_eq!(runs.take(id(14)), id(14));
    }

    #[test]
    fn every_run_that_owes_something_is_met_once() {
        let conn = Connection::open_in_memory().unwrap();
        schema::migrate(&conn, 0).unwrap();
        let mut add = conn
            .prepare(
                "INSERT INTO delivery (id, message, flow, destination, lane, state, attempts, settled, own_body,
                     size, content_type, run)
                 VALUES (?1, 0, 0, ?2, 1, ?3, 0, 0, 0, 0, 0, ?4)",
            )
            .unwrap();
        // Destination 1 in runs 0, 10, 30; 20 is settled; 40 belongs to another one.
        for (id, destination, state, run) in [
            (3, 1, 0, 0),
            (10, 1, 0, 10),
            (12, 1, 2, 10),
            (20, 1, 3, 20),
            (30, 1, 1, 30),
            (40, 2, 0, 40),
        ] {
            add.execute((id, destination, state, run)).unwrap();
        }
        let met = |from| {
            let mut runs = Runs::of(&conn, Sym(1), Lane::from_u8(1), Id::from_i64(from)).unwrap();
            std::iter::from_fn(|| runs.next().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(met(0), [0, 10, 30]);
        assert_eq!(met(15), [10, 30]);
        assert_eq!(met(30), [30]);
        assert_eq!(met(99), [30]);
    }
}
