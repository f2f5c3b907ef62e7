//! A delivery becomes a mail.

use async_trait::async_trait;
use jiff::Timestamp;

use super::config::{OutboundConfig, Security};
use super::message::{Letterhead, Wanted};
use super::session::{Session, Trouble};
use crate::{Failure, FailureKind, Reply, Request, codes};

/// Sends each payload as a mail.
pub struct Outbound {
    config: OutboundConfig,
}

impl Outbound {
    /// Connects to nothing yet.
    pub const fn new(config: OutboundConfig) -> Self {
        Self { config }
    }

    fn refused(&self, what: &str) -> Failure {
        Failure::new(
            FailureKind::Permanent,
            codes::SMTP_UNSENDABLE,
            format!("{}: {what}", self.config.name),
        )
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let wanted: Wanted = serde_json::from_slice(&request.body).map_err(|error| {
            // Its text may quote the payload; where it is does not.
            let at = format!("line {}, column {}", error.line(), error.column());
            self.refused(&format!(
                "the payload is no mail ({at}): expected `subject`, `text`, and `to`, `cc`, `reply_to`, `html`, `attachments` where wanted"
            ))
        })?;
        let head = Letterhead {
            from: &self.config.from,
            to: &self.config.to,
            id: request.idempotency_key,
            now: Timestamp::now(),
        };
        let mail = wanted.mail(&head).map_err(|what| self.refused(&what))?;
        if !mail
            .recipients
            .iter()
            .all(|address| self.config.recipients.hold(address))
        {
            return Err(self.refused(
                "a recipient is not among those that the connection may write to (`recipients`)",
            ));
        }
        if mail.bytes.len() > self.config.max_size {
            return Err(self.refused(&format!(
                "the mail has more than {} bytes (`max_size`)",
                self.config.max_size
            )));
        }
        let config = &self.config;
        let opening = tokio::time::timeout(config.connect_timeout, Session::open(config));
        let sending = async {
            let mut session = opening.await.unwrap_or_else(|_| {
                Err(Trouble {
                    kind: FailureKind::Unreachable,
                    code: codes::SMTP_UNREACHABLE,
                    what: "no session in time (`connect_timeout`)".to_owned(),
                })
            })?;
            session.send(&config.from.mailbox, &mail).await
        };
        let sent = tokio::time::timeout(config.timeout, sending)
            .await
            .unwrap_or_else(|_| {
                Err(Trouble {
                    kind: FailureKind::Timeout,
                    code: codes::SMTP_UNREACHABLE,
                    what: format!("no answer within {:?} (`timeout`)", config.timeout),
                })
            });
        match sent {
            Ok(number) => Ok(Reply {
                status: number.to_string(),
                ..Reply::default()
            }),
            Err(trouble) => Err(Failure::new(
                trouble.kind,
                trouble.code,
                format!("{}: {}", config.name, trouble.what),
            )),
        }
    }

    fn describe(&self) -> String {
        let tls = match self.config.security {
            Security::StartTls => " (starttls)",
            Security::Implicit => " (tls)",
            Security::None => "",
        };
        format!("smtp {}:{}{tls}", self.config.host, self.config.port)
    }
}
