//! What can go wrong with a broker, whatever it speaks.

use wardline_core::Code;

use crate::{Failure, FailureKind, codes};

/// Why something could not be done. No text of it holds payload or secret.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection; nothing left.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It does not believe who we are, or does not let us.
    #[error("refused our credentials or rights: {0}")]
    Credentials(String),
    /// The connection ended, or was ended by us since nothing came in time.
    #[error("the connection ended: {0}")]
    Lost(String),
    /// It does not speak as it should.
    #[error("does not speak as expected: {0}")]
    Spoken(String),
    /// It will not do this one thing; the connection goes on.
    #[error("refused it: {0}")]
    Refused(String),
    /// It will not do this one thing, and ended the connection over it.
    #[error("refused it: {0}")]
    Ended(String),
    /// This one thing can never be done; nothing left.
    #[error("{0}")]
    Unsendable(String),
}

impl Fault {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => codes::BROKER_UNREACHABLE,
            Self::Credentials(_) => codes::BROKER_CREDENTIALS,
            Self::Lost(_) => codes::BROKER_LOST,
            Self::Spoken(_) => codes::BROKER_BAD_ANSWER,
            Self::Refused(_) | Self::Ended(_) => codes::BROKER_REFUSED,
            Self::Unsendable(_) => codes::BROKER_UNSENDABLE,
        }
    }

    /// Whether the connection is good for another message.
    pub(crate) const fn leaves_whole(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unsendable(_))
    }

    /// As the engine wants to know it.
    pub(crate) fn into_failure(self, place: &str) -> Failure {
        let kind = match &self {
            Self::Unreachable(_) => FailureKind::Unreachable,
            Self::Lost(_) => FailureKind::Timeout,
            Self::Credentials(_) | Self::Spoken(_) | Self::Refused(_) | Self::Ended(_) => {
                FailureKind::Transient
            }
            Self::Unsendable(_) => FailureKind::Permanent,
        };
        let code = self.code();
        let text = match &self {
            Self::Unsendable(text) => text.clone(),
            _ => format!("{place}: {self}"),
        };
        Failure::new(kind, code, text)
    }
}

/// What others wrote, short enough and without what a terminal would obey.
pub(crate) fn quoted(text: &[u8]) -> String {
    const MOST: usize = 200;
    String::from_utf8_lossy(&text[..text.len().min(MOST)])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
