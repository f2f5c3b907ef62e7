//! The book of one connection: which interchange got which control number, and what the partner said of it.
//!
//! A number is on stable storage, under the delivery that it belongs to, before anything leaves with it.
//! So whatever happens in between, the same delivery leaves with the same number, and the next delivery
//! with the next one: there are no gaps, and no number names two interchanges.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use wardline_core::{DeliveryId, Timestamp};
use wardline_edi::x12::{NumberError, Numbered, renumber};
use wardline_store::{Change, Store, StoreError};

/// Interchanges that are remembered after they were sent, for what the partner will say of them.
const REMEMBERED: usize = 256;
/// Interchanges that have a number and were not sent yet. Past it none gets a new one.
const MOST_OPEN: usize = 4_096;
/// Stands where the partner should have said something and has not.
const LATE: &str = "late";
/// After it comes 1.
const HIGHEST: u64 = 999_999_999;

/// Why no number can be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error("more than {MOST_OPEN} interchanges have a number and were not sent")]
    Full,
}

/// One interchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The delivery.
    delivery: String,
    /// ISA13.
    control: u64,
    /// GS06 of its first group.
    group: u64,
    /// How many groups it has.
    groups: u64,
    /// When it got its number.
    at: i64,
    /// Whether it was sent.
    #[serde(default)]
    sent: bool,
    /// What the partner said of it: `A`, `E`, `P`, `R`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    next: u64,
    next_group: u64,
    entries: VecDeque<Entry>,
}

/// What a partner says of an interchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether the number is that of an interchange (TA1) or of a group (997, 999).
    pub of_group: bool,
    /// The number.
    pub number: u64,
    /// `A`, `E`, `P`, `R`.
    pub status: String,
}

impl Said {
    /// Whether something was refused.
    pub(crate) fn refuses(&self) -> bool {
        !matches!(self.status.as_str(), "A" | "E")
    }
}

/// The book of one connection.
pub(crate) struct Ledger {
    name: String,
    /// The first number, where none was given yet.
    first: AtomicU64,
    store: Arc<dyn Store>,
    /// Held while the journal writes: numbers are given one after the other, and the journal gathers
    /// what is written meanwhile into the same transaction.
    book: Mutex<Option<Book>>,
}

impl Ledger {
    fn new(connection: &str, store: Arc<dyn Store>) -> Self {
        Self {
            name: format!("x12/{connection}"),
            first: AtomicU64::new(1),
            store,
            book: Mutex::const_new(None),
        }
    }

    async fn read(&self) -> Result<Book, StoreError> {
        let kept = self.store.meta(&self.name).await?;
        let kept = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
        let first = self.first.load(Ordering::Relaxed);
        Ok(kept.unwrap_or(Book {
            next: first,
            next_group: first,
            entries: VecDeque::new(),
        }))
    }

    /// What was given up, or ended while nobody wrote it down (a crash), is not waited for any more.
    async fn close_ended(&self, book: &mut Book) -> Result<(), StoreError> {
        for entry in book.entries.iter_mut().filter(|one| !one.sent) {
            let row = match entry.delivery.parse::<DeliveryId>() {
                Ok(id) => self.store.delivery(id).await?,
                Err(_) => None,
            };
            entry.sent = row.is_none_or(|row| !row.state.is_open());
        }
        Ok(())
    }

    async fn write(&self, book: &Book) -> Result<(), StoreError> {
        let set = Change::SetMeta {
            name: self.name.clone(),
            value: serde_json::to_vec(book).unwrap_or_default(),
        };
        self.store.commit(vec![set]).await.map(|_| ())
    }

    /// The interchange of a delivery with its numbers: the ones that it has, or the next ones.
    pub(crate) async fn number(
        &self,
        delivery: &str,
        interchange: &[u8],
        now: Timestamp,
    ) -> Result<Numbered, LedgerError> {
        let mut held = self.book.lock().await;
        let mut book = match held.take() {
            Some(book) => book,
            None => self.read().await?,
        };
        if let Some(known) = book.entries.iter().find(|one| one.delivery == delivery) {
            let made = renumber(interchange, known.control, known.group);
            *held = Some(book);
            return Ok(made?);
        }
        if book.open() >= MOST_OPEN {
            self.close_ended(&mut book).await?;
        }
        let open = book.open();
        let made = match renumber(interchange, book.next, book.next_group) {
            Ok(made) if open < MOST_OPEN => made,
            Ok(_) => {
                *held = Some(book);
                return Err(LedgerError::Full);
            }
            Err(error) => {
                *held = Some(book);
                return Err(error.into());
            }
        };
        book.enter(delivery, made.groups, now);
        // Where this fails nobody knows what the journal holds: it is read again.
        self.write(&book).await?;
        *held = Some(book);
        Ok(made)
    }

    /// Remembers that a delivery was sent; written with the next number.
    pub(crate) async fn sent(&self, delivery: &str) {
        if let Some(book) = self.book.lock().await.as_mut()
            && let Some(entry) = book.entries.iter_mut().find(|one| one.delivery == delivery)
        {
            entry.sent = true;
        }
    }

    /// Writes down what a partner said; the deliveries that it was said of.
    pub(crate) async fn note(&self, all: &[Said]) -> Result<Vec<String>, StoreError> {
        let mut held = self.book.lock().await;
        let mut book = match held.take() {
            Some(book) => book,
            None => self.read().await?,
        };
        let found = book.note(all);
        if !found.is_empty() {
            self.write(&book).await?;
        }
        *held = Some(book);
        Ok(found)
    }

    /// Writes down that it was told that a partner says nothing of these deliveries.
    pub(crate) async fn late(&self, deliveries: &[String]) -> Result<(), StoreError> {
        let mut held = self.book.lock().await;
        let mut book = match held.take() {
            Some(book) => book,
            None => self.read().await?,
        };
        for entry in &mut book.entries {
            if entry.said.is_none() && deliveries.contains(&entry.delivery) {
                entry.said = Some(LATE.to_owned());
            }
        }
        self.write(&book).await?;
        *held = Some(book);
        Ok(())
    }

    /// Interchanges of which the partner has said nothing since `before`: control number and delivery.
    pub(crate) async fn silent(&self, before: Timestamp) -> Result<Vec<(u64, String)>, StoreError> {
        let mut held = self.book.lock().await;
        let book = match held.take() {
            Some(book) => book,
            None => self.read().await?,
        };
        let entries = book.entries.iter();
        let silent = entries
            .filter(|one| one.said.is_none() && one.at <= before.0)
            .map(|one| (one.control, one.delivery.clone()))
            .collect();
        *held = Some(book);
        Ok(silent)
    }
}

impl Book {
    /// How many have a number and were not sent.
    fn open(&self) -> usize {
        self.entries.iter().filter(|one| !one.sent).count()
    }

    /// Gives the next numbers to a delivery, and forgets what is old.
    fn enter(&mut self, delivery: &str, groups: u64, now: Timestamp) {
        self.entries.push_back(Entry {
            delivery: delivery.to_owned(),
            control: self.next,
            group: self.next_group,
            groups,
            at: now.0,
            sent: false,
            said: None,
        });
        self.next = after(self.next, 1);
        self.next_group = after(self.next_group, groups);
        let mut done = self.entries.iter().filter(|one| one.sent).count();
        self.entries.retain(|one| {
            let goes = one.sent && done > REMEMBERED;
            done -= usize::from(goes);
            !goes
        });
    }

    fn note(&mut self, all: &[Said]) -> Vec<String> {
        let mut found = Vec::new();
        for said in all {
            // The newest, where numbers have begun again.
            let entry = self.entries.iter_mut().rev().find(|one| {
                if said.of_group {
                    (one.group..one.group + one.groups).contains(&said.number)
                } else {
                    one.control == said.number
                }
            });
            if let Some(entry) = entry {
                // A TA1 speaks of the envelope alone; what is said of the groups counts more, and what
                // refuses counts most.
                let refused = entry
                    .said
                    .as_deref()
                    .is_some_and(|said| said != "A" && said != LATE);
                if !refused || said.refuses() {
                    entry.said = Some(said.status.clone());
                }
                entry.sent = true;
                found.push(entry.delivery.clone());
            }
        }
        found
    }
}

/// The number `by` further; they begin again before they get too long, where they fit whole.
const fn after(number: u64, by: u64) -> u64 {
    // Room for the groups of one interchange, so that they are never torn apart.
    if number + by > HIGHEST - 10_000 {
        1
    } else {
        number + by
    }
}

/// The books of all connections that have one.
pub(crate) struct Ledgers {
    store: Arc<dyn Store>,
    all: parking_lot::Mutex<BTreeMap<String, Arc<Ledger>>>,
}

impl Ledgers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            all: parking_lot::Mutex::default(),
        }
    }

    /// The book of a connection.
    pub(crate) fn of(&self, connection: &str) -> Arc<Ledger> {
        let mut all = self.all.lock();
        let known = all.entry(connection.to_owned());
        let made = || Arc::new(Ledger::new(connection, Arc::clone(&self.store)));
        Arc::clone(known.or_insert_with(made))
    }

    /// The book of a connection, which begins with `first`.
    pub(crate) fn beginning(&self, connection: &str, first: u64) -> Arc<Ledger> {
        let ledger = self.of(connection);
        ledger.first.store(first, Ordering::Relaxed);
        ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        Book {
            next: 1,
            next_group: 1,
            entries: VecDeque::new(),
        }
    }

    #[test]
    fn numbers_follow_one_another_and_old_ones_are_forgotten_once_sent() {
        let mut book = book();
        for n in 0..1_000_u64 {
            book.enter(&n.to_string(), 1 + n % 2, Timestamp(n as i64));
            if n != 3 {
                book.entries.back_mut().unwrap().sent = true;
            }
        }
        assert_eq!((book.next, book.next_group), (1_001, 1_501));
        assert_eq!(book.entries.front().unwrap().delivery, "3");
        assert!(
            book.entries.len() <= REMEMBERED + 3,
            "{}",
            book.entries.len()
        );
        let controls: Vec<u64> = book.entries.iter().skip(1).map(|one| one.control).collect();
        assert!(controls.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(after(HIGHEST - 10_000, 1), 1);
    }

    #[test]
    fn what_a_partner_says_finds_its_interchange() {
        let mut book = book();
        book.enter("a", 2, Timestamp(1));
        book.enter("b", 1, Timestamp(2));
        let said = |of_group, number, status: &str| Said {
            of_group,
            number,
            status: status.into(),
        };
        assert_eq!(book.note(&[said(false, 1, "A")]), ["a"]);
        assert_eq!(
            book.note(&[said(true, 2, "R"), said(true, 1, "A")]),
            ["a", "a"]
        );
        assert_eq!(book.entries[0].said.as_deref(), Some("R"));
        assert_eq!(book.note(&[said(true, 3, "A"), said(true, 9, "A")]), ["b"]);
        assert!(said(true, 1, "P").refuses() && !said(true, 1, "E").refuses());
    }
}
