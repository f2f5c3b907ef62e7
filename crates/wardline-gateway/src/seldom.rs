//! A future beside one that is woken all the time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Polls what is inside only when it was woken itself: a connection's clock ticks once a second,
/// its requests come ten thousand times as often.
pub(crate) struct Seldom<F> {
    inside: F,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Seldom<F> {
    pub(crate) fn new(inside: F) -> Self {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        let waker = Waker::from(Arc::clone(&bell));
        Self {
            inside,
            bell,
            waker,
        }
    }
}

impl<F: Future + Unpin> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        // Registered before it is looked at, so that no ring is lost in between.
        this.bell.task.register(cx.waker());
        if !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        Pin::new(&mut this.inside).poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::pin::pin;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_inside_is_polled_when_it_was_woken_and_only_then() {
        let polls = Cell::new(0);
        let sleep = async {
            let mut sleep = pin!(tokio::time::sleep(Duration::from_millis(20)));
            std::future::poll_fn(|cx| {
                polls.set(polls.get() + 1);
                sleep.as_mut().poll(cx)
            })
            .await;
        };
        let sleep = pin!(sleep);
        let mut seldom = pin!(Seldom::new(sleep));
        let busy = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = seldom.as_mut() => {}
            () = busy => {}
        }
        assert_eq!(polls.get(), 2);
    }
}
