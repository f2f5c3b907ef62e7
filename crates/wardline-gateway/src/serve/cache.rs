//! Answers of compositions that declare it, kept for a while: per caller, since callers see
//! different things, and bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

/// Bytes of all answers together; the oldest go first.
const MOST: usize = 32 << 20;

/// What an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// The plan that it was made under: an answer that ends late must not be seen under the next.
    pub(crate) plan: u64,
    pub(crate) endpoint: Arc<str>,
    /// Who sees it, and what decides what they see.
    pub(crate) caller: String,
    pub(crate) target: String,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<View, (Instant, Bytes)>,
    order: VecDeque<View>,
    bytes: usize,
}

#[derive(Default)]
pub(crate) struct Cache(Mutex<Kept>);

impl Cache {
    pub(crate) fn get(&self, view: &View) -> Option<Bytes> {
        let kept = self.0.lock();
        let (until, body) = kept.answers.get(view)?;
        (*until > Instant::now()).then(|| body.clone())
    }

    pub(crate) fn put(&self, view: View, body: Bytes, keep: Duration) {
        let size = body.len() + view.target.len() + view.caller.len() + 128;
        if size > MOST / 8 {
            return;
        }
        let mut kept = self.0.lock();
        let old = kept
            .answers
            .insert(view.clone(), (Instant::now() + keep, body));
        kept.bytes += size;
        match old {
            Some((_, old)) => {
                kept.bytes = kept
                    .bytes
                    .saturating_sub(old.len() + view.target.len() + view.caller.len() + 128);
            }
            None => kept.order.push_back(view),
        }
        while kept.bytes > MOST {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            if let Some((_, body)) = kept.answers.remove(&oldest) {
                let size = body.len() + oldest.target.len() + oldest.caller.len() + 128;
                kept.bytes = kept.bytes.saturating_sub(size);
            }
        }
    }

    /// What was kept under a plan that is gone may be wrong.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(at: usize) -> View {
        View {
            plan: 0,
            endpoint: "e".into(),
            caller: "c".into(),
            target: at.to_string(),
        }
    }

    #[test]
    fn the_oldest_go_first_and_old_answers_are_not_given() {
        let cache = Cache::default();
        let minute = Duration::from_secs(60);
        let mib = Bytes::from(vec![0; 1 << 20]);
        for at in 0..40 {
            cache.put(view(at), mib.clone(), minute);
        }
        assert!(cache.get(&view(0)).is_none());
        assert!(cache.get(&view(39)).is_some());
        assert!(cache.0.lock().bytes <= MOST);
        cache.put(view(39), Bytes::from_static(b"x"), Duration::ZERO);
        assert!(cache.get(&view(39)).is_none());
        cache.put(view(50), Bytes::from(vec![0; MOST / 4]), minute);
        assert!(
            cache.get(&view(50)).is_none(),
            "one answer does not push out all others"
        );
    }
}
