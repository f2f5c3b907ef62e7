//! Several who are told of every call.

use async_trait::async_trait;
use std::sync::Arc;

use crate::problem::Problem;
use crate::seam::{Ended, Observer};

/// Observers, told one after the other.
#[derive(Clone, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// With one more, told after those before it.
    #[must_use]
    pub fn with(mut self, observer: Arc<dyn Observer>) -> Self {
        self.0.push(observer);
        self
    }
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Observers({})", self.0.len())
    }
}

#[async_trait]
impl Observer for Observers {
    fn waits(&self, ended: &Ended<'_>) -> bool {
        self.0.iter().any(|observer| observer.waits(ended))
    }

    async fn before_answer(&self, ended: &Ended<'_>) -> Result<(), Problem> {
        for observer in self.0.iter().filter(|observer| observer.waits(ended)) {
            observer.before_answer(ended).await?;
        }
        Ok(())
    }

    fn ended(&self, ended: &Ended<'_>) {
        for observer in &self.0 {
            observer.ended(ended);
        }
    }
}
