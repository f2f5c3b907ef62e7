//! The steps that modalities perform, as far as their protocol needs to know: which there are, and
//! which are over.

use std::io::{self, Read as _};
use std::sync::Arc;

use crate::files::Directory;

/// What is kept of a step is shorter than this.
const MOST: u64 = 1024;

/// Steps, each a small file.
pub(super) struct Steps(Arc<dyn Directory>);

/// What is known of a step.
pub(super) enum Known {
    No,
    Open,
    /// It is over, and this is the digest of what ended it.
    Over(String),
}

impl Steps {
    pub(super) fn new(directory: Arc<dyn Directory>) -> Self {
        Self(directory)
    }

    pub(super) async fn known(&self, instance: &str) -> io::Result<Known> {
        let (directory, name) = (Arc::clone(&self.0), instance.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            directory
                .open(&name)?
                .take(MOST)
                .read_to_string(&mut text)?;
            Ok::<_, io::Error>(text)
        });
        match read.await.map_err(io::Error::other)? {
            Ok(text) => Ok(match text.trim().split_once(' ') {
                Some(("over", digest)) => Known::Over(digest.to_owned()),
                _ => Known::Open,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::No),
            Err(error) => Err(error),
        }
    }

    /// Notes that a step is open, or that it is over by what has this digest.
    pub(super) async fn note(&self, instance: &str, over: Option<&str>) -> io::Result<()> {
        let text = over.map_or_else(|| "open\n".to_owned(), |digest| format!("over {digest}\n"));
        let (directory, name) = (Arc::clone(&self.0), instance.to_owned());
        tokio::task::spawn_blocking(move || directory.write(&name, &mut text.as_bytes()))
            .await
            .map_err(io::Error::other)?
    }
}
