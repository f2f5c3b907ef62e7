//! Threads that serve connections, each from its first byte to its last.
//!
//! On a runtime of several threads a task goes wherever there is room, which wakes threads and
//! moves what is in their caches; for requests that take microseconds that is the larger part of
//! the work. Here a connection stays on one thread, and so does what it opens towards a system.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

thread_local! {
    static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// The number of the calling thread among those of its [`Threads`], from 1; 0 for any other.
///
/// ```
/// assert_eq!(wardline_connect::threads::seat(), 0);
/// ```
pub fn seat() -> usize {
    SEAT.get()
}

struct Thread {
    handle: Handle,
    open: Arc<AtomicUsize>,
}

/// A set of threads with a runtime each. They end when the last holder lets go of them.
pub struct Threads {
    all: Vec<Thread>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("count", &self.all.len())
            .finish_non_exhaustive()
    }
}

impl Threads {
    /// Starts as many threads as there are processors, by this name and a number.
    ///
    /// # Errors
    /// What the system says when it gives no thread or no event queue.
    pub fn start(name: &str) -> io::Result<Arc<Self>> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let stop = CancellationToken::new();
        // Set before anything can fail, so that threads which did start end.
        let mut threads = Self {
            all: Vec::with_capacity(count),
            stop: stop.clone(),
        };
        for seat in 1..=count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let stop = stop.clone();
            std::thread::Builder::new()
                .name(format!("{name}-{seat}"))
                .spawn(move || {
                    SEAT.set(seat);
                    runtime.block_on(stop.cancelled());
                    // Work that nobody waits for any more must not hold the process up.
                    runtime.shutdown_background();
                })?;
            threads.all.push(Thread {
                handle,
                open: Arc::default(),
            });
        }
        Ok(Arc::new(threads))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// A place on the thread that has the fewest connections; it counts as one until dropped.
    pub(crate) fn place(&self) -> Option<Place> {
        let thread = self
            .all
            .iter()
            .min_by_key(|thread| thread.open.load(Ordering::Relaxed))?;
        thread.open.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            handle: thread.handle.clone(),
            open: Arc::clone(&thread.open),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A connection's place on a thread.
pub(crate) struct Place {
    pub(crate) handle: Handle,
    open: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_spread_and_given_back() {
        let threads = Threads::start("test").unwrap();
        let places: Vec<_> = (0..threads.count() * 3)
            .map(|_| threads.place().unwrap())
            .collect();
        let open = || {
            threads
                .all
                .iter()
                .map(|one| one.open.load(Ordering::Relaxed))
        };
        assert!(open().all(|count| count == 3));
        let seat = places[0].handle.spawn(async { seat() });
        let seat = seat.await.unwrap();
        assert!((1..=threads.count()).contains(&seat));
        drop(places);
        assert_eq!(open().sum::<usize>(), 0);
    }
}
