//! Reading what several destinations of one connection are owed into one order.

use wardline_core::{Id, Sym};
use wardline_store::{Ready, StoreError};

/// What a read gave, in id order: everything that was open up to the last row.
pub(super) struct Rows {
    pub(super) rows: Vec<Ready>,
    /// The journal had no more when the read began.
    pub(super) complete: bool,
}

#[derive(Default)]
struct Merge {
    rows: Vec<Ready>,
    /// The least of the last ids that the reads gave.
    known_to: Option<Id>,
}

impl Merge {
    fn add(&mut self, found: Vec<Ready>) {
        if let Some(last) = found.last().map(|last| last.id.0) {
            self.known_to = Some(self.known_to.map_or(last, |known| known.min(last)));
            self.rows.extend(found);
        }
    }

    fn finish(mut self, limit: usize) -> Rows {
        self.rows.sort_unstable_by_key(|row| row.id);
        self.rows
            .retain(|row| self.known_to.is_some_and(|known| row.id.0 <= known));
        self.rows.truncate(limit);
        Rows {
            rows: self.rows,
            complete: self.known_to.is_none(),
        }
    }
}

/// Reads several destinations into one order. Their reads see the journal at different
/// times, and each may end early, so rows count only up to where every destination is known:
/// one that had none is asked again after the others, whose ids bound what may have come
/// between.
pub(super) async fn merged<'a, F>(
    destinations: impl Iterator<Item = &'a Sym>,
    limit: usize,
    read: impl Fn(Sym) -> F,
) -> Result<Rows, StoreError>
where
    F: Future<Output = Result<Vec<Ready>, StoreError>>,
{
    let mut merge = Merge::default();
    let mut empty = Vec::new();
    for sym in destinations {
        let found = read(*sym).await?;
        if found.is_empty() {
            empty.push(*sym);
        }
        merge.add(found);
    }
    if merge.known_to.is_some() {
        for sym in empty {
            merge.add(read(sym).await?);
        }
    }
    Ok(merge.finish(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use wardline_core::{DeliveryId, DeliveryState, Lane, MessageId, Sealed, Timestamp};

    fn ready(id: i64, destination: Sym) -> Ready {
        let id = DeliveryId(Id::from_i64(id));
        Ready {
            id,
            message: MessageId(id.0),
            flow: Sym(1),
            destination,
            lane: Lane::Normal,
            key: None,
            state: DeliveryState::Pending,
            attempts: 0,
            next: None,
            accepted: Timestamp(0),
            first_attempt: None,
            content_type: Sym(1),
            body: Sealed::from_sealed_bytes(Bytes::new()),
        }
    }

    /// Reads from a journal to which the next of `coming` is committed after each read.
    async fn read(
        there: &[(i64, u32)],
        coming: &[&[(i64, u32)]],
        page: usize,
        limit: usize,
    ) -> (Vec<i64>, bool) {
        let journal: RefCell<BTreeMap<i64, Sym>> =
            RefCell::new(there.iter().map(|(id, to)| (*id, Sym(*to))).collect());
        let coming = RefCell::new(coming.iter());
        let rows = merged([Sym(1), Sym(2), Sym(3)].iter(), limit, |sym| {
            let all = journal.borrow();
            let rows = all
                .iter()
                .filter(|(_, to)| **to == sym)
                .map(|(id, to)| ready(*id, *to));
            let rows: Vec<Ready> = rows.take(page).collect();
            drop(all);
            let new = coming.borrow_mut().next().into_iter().copied().flatten();
            journal
                .borrow_mut()
                .extend(new.map(|(id, to)| (*id, Sym(*to))));
            async move { Ok(rows) }
        });
        let rows = rows.await.unwrap();
        (
            rows.rows.iter().map(|row| row.id.0.as_i64()).collect(),
            rows.complete,
        )
    }

    #[tokio::test]
    async fn rows_count_up_to_where_every_destination_is_known() {
        let there = [(1, 1), (2, 2), (3, 1), (4, 1), (5, 2)];
        // The first destination had no room for 4 on its page, so 5 may not be used.
        assert_eq!(read(&there, &[], 2, 10).await, (vec![1, 2, 3], false));
        assert_eq!(read(&there, &[], 10, 10).await, (vec![1, 2, 3, 4], false));
        assert_eq!(read(&there, &[], 10, 3).await, (vec![1, 2, 3], false));
        assert_eq!(read(&[], &[], 10, 10).await, (vec![], true));
    }

    #[tokio::test]
    async fn what_is_committed_between_two_reads_leaves_no_gap() {
        // 1 comes to the first destination after it was found empty, and 2 is seen at the
        // second one. Taking 2 alone would pass over 1 for ever.
        assert_eq!(
            read(&[], &[&[(1, 1), (2, 2)]], 10, 10).await,
            (vec![1], false)
        );
        // What came after the last id that was seen first is left to the next read.
        assert_eq!(
            read(&[(2, 3)], &[&[(3, 1)], &[(4, 2)]], 10, 10).await,
            (vec![2], false)
        );
        // Nothing was there when the read began; what came since is offered by the journal.
        assert_eq!(
            read(&[], &[&[(1, 1)], &[(2, 2)]], 10, 10).await,
            (vec![], true)
        );
    }
}
