//! Calls at once.

use parking_lot::Mutex;
use std::sync::Arc;

use super::Bucket;

/// Counts calls that are being served. A bucket exists only while something is in it, so there
/// are never more of them than calls.
#[derive(Debug, Clone, Default)]
pub struct Permits {
    now: Arc<Mutex<ahash::AHashMap<Bucket, u32>>>,
}

impl Permits {
    /// A permit, unless `most` are out already. It is given back when it is dropped.
    ///
    /// ```
    /// use wardline_access::quota::{Bucket, Permits};
    /// let permits = Permits::default();
    /// let ghx = Bucket::of_client("ghx".into());
    /// let first = permits.take(&ghx, 1).expect("nobody has one");
    /// assert!(permits.take(&ghx, 1).is_none());
    /// drop(first);
    /// assert!(permits.take(&ghx, 1).is_some());
    /// ```
    pub fn take(&self, bucket: &Bucket, most: u32) -> Option<Permit> {
        let mut now = self.now.lock();
        match now.get_mut(bucket) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None if most == 0 => return None,
            None => {
                now.insert(bucket.clone(), 1);
            }
        }
        Some(Permit {
            bucket: bucket.clone(),
            permits: self.clone(),
        })
    }

    /// How many permits of a bucket are out.
    pub fn out(&self, bucket: &Bucket) -> u32 {
        self.now.lock().get(bucket).copied().unwrap_or(0)
    }
}

/// The right to be served now. Keep it until the answer has left.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct Permit {
    bucket: Bucket,
    permits: Permits,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut now = self.permits.now.lock();
        if let Some(count) = now.get_mut(&self.bucket) {
            *count -= 1;
            if *count == 0 {
                now.remove(&self.bucket);
            }
        }
    }
}
