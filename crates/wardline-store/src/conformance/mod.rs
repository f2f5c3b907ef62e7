//! One suite that every implementation of [`Store`] passes.
//!
//! A case gets a [`Home`]: a place where a store lives, which can be opened, dropped and
//! opened again, with a clock that the case moves. Cases look only through the trait, so
//! what they state is the contract of the trait. [`model`] compares random histories with a
//! naive model in memory.
//!
//! ```no_run
//! # async fn example(home: impl Fn() -> Box<dyn wardline_store::conformance::Home>) {
//! for case in wardline_store::conformance::cases() {
//!     println!("{}", case.name);
//!     (case.run)(home()).await;
//! }
//! # }
//! ```

mod accepting;
mod advancing;
mod asking;
mod build;
mod finding;
mod keeping;
mod keyed;
mod knowing;
mod mailing;
pub mod model;
mod process;
mod resources;
mod settling;
mod tracing;

use crate::Store;
use crate::error::StoreError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wardline_core::{Clock, Timestamp};

/// Where one store lives: empty at first, and still holding what was committed when it is
/// opened again after the last handle was dropped.
pub trait Home: Send + Sync {
    /// Opens the store.
    fn open(&self) -> Result<Arc<dyn Store>, StoreError>;
    /// The clock that the store goes by.
    fn clock(&self) -> Arc<HandClock>;
}

/// A clock that a case moves by hand, backwards too, as clocks of machines do.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock to `moment`.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.0, Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().after(by));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// What a case does with a home of its own.
pub type Run = fn(Box<dyn Home>) -> Pin<Box<dyn Future<Output = ()>>>;

/// A test with its name.
pub struct Case {
    /// What it states.
    pub name: &'static str,
    /// Runs it; panics when the statement does not hold.
    pub run: Run,
}

/// Every case of the suite but the random ones of [`model`].
pub fn cases() -> Vec<Case> {
    let mut all = accepting::cases();
    all.extend(knowing::cases());
    all.extend(settling::cases());
    all.extend(finding::cases());
    all.extend(tracing::cases());
    all.extend(keeping::cases());
    all.extend(keyed::cases());
    all.extend(advancing::cases());
    all.extend(mailing::cases());
    all.extend(asking::cases());
    all.extend(resources::cases());
    all
}

/// Makes [`Case`]s of async functions, named after them.
macro_rules! list {
    ($($name:ident),* $(,)?) => {
        pub(super) fn cases() -> Vec<super::Case> {
            vec![$(super::Case { name: stringify!($name), run: |home| Box::pin($name(home)) }),*]
        }
    };
}
use list;
