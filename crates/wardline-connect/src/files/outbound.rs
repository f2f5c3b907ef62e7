//! A delivery becomes a file: whole or not at all, the same however often it is tried.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::config::OutboundConfig;
use super::directory::{Directory, Trouble, join};
use crate::{Failure, FailureKind, Reply, Request, codes};

/// Writes each payload into a file of its own.
pub struct Outbound {
    directory: Arc<dyn Directory>,
    config: OutboundConfig,
}

impl Outbound {
    /// Writes into a directory.
    pub fn new(directory: Arc<dyn Directory>, config: OutboundConfig) -> Self {
        Self { directory, config }
    }

    fn path(&self, id: &str) -> String {
        join(&self.config.below, &self.config.name.replace("{id}", id))
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        if request.body.len() > self.config.max_size {
            let text = format!(
                "the payload has {} bytes, and files of this connection at most {}",
                request.body.len(),
                self.config.max_size
            );
            return Err(Failure::new(
                FailureKind::Permanent,
                codes::FILE_UNWRITABLE,
                text,
            ));
        }
        // An attempt that is tried again writes the same name: the reader sees one file.
        let path = self.path(request.idempotency_key);
        let (directory, body) = (Arc::clone(&self.directory), request.body.clone());
        let written = tokio::task::spawn_blocking(move || {
            directory.write(&path, &mut &body[..]).map(|()| path)
        });
        let failed = |error: &io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::InvalidInput => FailureKind::Permanent,
                io::ErrorKind::NotFound | io::ErrorKind::NotConnected => FailureKind::Unreachable,
                _ => FailureKind::Transient,
            };
            let place = self.directory.describe();
            if let Some(Trouble { code, text }) = Trouble::of(error) {
                Failure::new(kind, *code, format!("cannot write into {place}: {text}"))
            } else {
                let text = format!("cannot write into {place}: {error}");
                Failure::new(kind, codes::FILE_NOT_WRITTEN, text)
            }
        };
        match written.await {
            Ok(Ok(path)) => Ok(Reply {
                status: "written".into(),
                content_type: "text/plain".into(),
                body: path.into(),
                truncated: false,
            }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&io::Error::other(error))),
        }
    }

    fn place(&self) -> Option<super::Place> {
        Some(super::Place {
            directory: Arc::clone(&self.directory),
            below: self.config.below.clone(),
        })
    }

    fn describe(&self) -> String {
        format!("files {} (writing)", self.directory.describe())
    }
}
