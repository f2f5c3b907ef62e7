//! Schemas by their files, each compiled once however often it is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{SchemaError, Schemas};
use crate::source::Source;

/// Schemas that are compiled from one source when they are first asked for.
pub struct Library {
    source: Box<dyn Source + Send + Sync>,
    made: Mutex<BTreeMap<String, Result<Arc<Schemas>, SchemaError>>>,
}

impl Library {
    /// A library of what a source gives.
    pub fn new(source: impl Source + Send + Sync + 'static) -> Self {
        Self {
            source: Box::new(source),
            made: Mutex::default(),
        }
    }

    /// The schema of a file, with all that it includes and imports.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn get(&self, location: &str) -> Result<Arc<Schemas>, SchemaError> {
        // Held while it compiles, so that two who ask at once do not both do it.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(location) {
            return known.clone();
        }
        let new = Schemas::read(&*self.source, location).map(Arc::new);
        made.insert(location.to_owned(), new.clone());
        new
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Library(…)")
    }
}
