//! Whether what arrives at a receiver is complete and in the order of acceptance, per key.

use crate::BenchError;
use crate::sample::Mark;
use std::sync::{Mutex, PoisonError};

/// The book of one receiver. Its memory is fixed by the number of keys.
#[derive(Debug)]
pub(crate) struct Order {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Per key: the count that comes next.
    next: Vec<u32>,
    sums: Sums,
}

/// What a receiver has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Everything that could be read.
    pub(crate) received: u64,
    /// Each message once, when it came.
    pub(crate) fresh: u64,
    /// Came again: allowed (at least once), and without effect.
    pub(crate) repeated: u64,
    /// Came before one of its predecessors.
    pub(crate) out_of_order: u64,
    /// Could not be read, or of no known key.
    pub(crate) strange: u64,
}

impl Order {
    /// A book for keys below `keys`.
    pub(crate) fn new(keys: u32) -> Self {
        Self {
            book: Mutex::new(Book {
                next: vec![0; keys as usize],
                sums: Sums::default(),
            }),
        }
    }

    /// Notes what arrived; `None` is something that could not be read.
    pub(crate) fn arrived(&self, mark: Option<Mark>) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let Book { next, sums } = &mut *book;
        let Some((mark, next)) =
            mark.and_then(|mark| Some((mark, next.get_mut(mark.key as usize)?)))
        else {
            sums.strange += 1;
            return;
        };
        sums.received += 1;
        if mark.count < *next {
            sums.repeated += 1;
            return;
        }
        if mark.count > *next {
            sums.out_of_order += 1;
        }
        sums.fresh += 1;
        *next = mark.count + 1;
    }

    /// What was seen so far.
    pub(crate) fn sums(&self) -> Sums {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sums
    }

    /// The sums, if all was in order.
    pub(crate) fn verdict(&self, receiver: &'static str) -> Result<Sums, BenchError> {
        let sums = self.sums();
        if sums.out_of_order > 0 || sums.strange > 0 {
            return Err(BenchError::Disorder {
                receiver,
                out_of_order: sums.out_of_order,
                strange: sums.strange,
                received: sums.received,
            });
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, Sums};
    use crate::sample::Mark;

    #[test]
    fn repeats_are_told_apart_from_disorder() {
        let order = Order::new(2);
        for (key, count) in [(0, 0), (1, 0), (0, 1), (0, 1), (0, 0), (1, 1)] {
            order.arrived(Some(Mark { key, count }));
        }
        assert_eq!(
            order.verdict("r").unwrap(),
            Sums {
                received: 6,
                fresh: 4,
                repeated: 2,
                ..Sums::default()
            }
        );
        order.arrived(Some(Mark { key: 0, count: 3 }));
        let error = order.verdict("r").unwrap_err().to_string();
        assert!(error.contains("1 deliveries out of order"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_no_delivery() {
        let order = Order::new(1);
        order.arrived(None);
        order.arrived(Some(Mark { key: 1, count: 0 }));
        assert_eq!(
            order.sums(),
            Sums {
                strange: 2,
                ..Sums::default()
            }
        );
        assert!(order.verdict("r").is_err());
    }
}
