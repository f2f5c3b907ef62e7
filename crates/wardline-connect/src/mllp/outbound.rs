//! Messages out by MLLP: one message, its acknowledgement, and what that means.
//!
//! A connection carries one message at a time. After anything that leaves doubt about what the
//! peer will say next (no answer in time, an answer to another message, a broken frame) it is
//! dropped, so that a late acknowledgement can never be taken for that of another message.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use wardline_core::Code;
use wardline_hl7::Message;
use wardline_hl7::ack::{self, Ack, AckView, Due, Mode, Outcome};
use wardline_hl7::mllp::{Decoder, Event};

use super::config::{Correlation, OnError, OutboundConfig};
use super::wire::{NotConnected, Target, breaks_framing, read_event, write_frame};
use crate::stream::Stream;
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes};

/// How many control ids a connection remembers, to know a repeated acknowledgement as one.
const REMEMBERED: usize = 16;
/// Acknowledgements of earlier messages that are passed over while one is waited for.
const MOST_STALE: usize = 64;
/// How long closing a connection may take before it is simply dropped.
const MOST_GOODBYE: Duration = Duration::from_millis(250);

/// Sends to one MLLP receiver over connections that stay open, unless told not to reuse them.
pub struct Outbound {
    config: OutboundConfig,
    target: Target,
    /// One permit a connection; fair, so that messages leave in the order they were given.
    turns: Semaphore,
    idle: Mutex<Vec<Session>>,
    backoff: Mutex<Backoff>,
}

/// After failed connects: how long attempts fail at once, so that a receiver that is down is
/// not hammered by every delivery that waits for it.
#[derive(Default)]
struct Backoff {
    until: Option<Instant>,
    pause: Duration,
}

struct Session {
    stream: Stream,
    decoder: Decoder,
    buffer: BytesMut,
    used: Instant,
    sent: VecDeque<String>,
}

/// What a message asks for.
struct Outgoing {
    control_id: String,
    waits: Waits,
}

/// Which acknowledgements to wait for, by MSH-15 and MSH-16.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Waits {
    /// One, of whichever kind.
    Original,
    Enhanced {
        commit: Commit,
        application: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Commit {
    Always,
    /// Only errors are told: silence for a while is consent.
    OnlyErrors,
    Never,
}

impl Waits {
    fn of(message: &Message, for_application: bool) -> Self {
        let due = Due::of(message);
        if due.mode() == Mode::Original {
            return Self::Original;
        }
        let commit = match (due.accept(Outcome::Success), due.accept(Outcome::Failure)) {
            (true, _) => Commit::Always,
            (false, true) => Commit::OnlyErrors,
            (false, false) => Commit::Never,
        };
        Self::Enhanced {
            commit,
            application: for_application && due.application(Outcome::Success),
        }
    }
}

impl Outbound {
    /// Checks the address and builds TLS; connects with the first message.
    pub fn new(config: OutboundConfig) -> Result<Self, ConnectError> {
        let target = Target::new(&config.name, &config.address, config.tls.as_ref())?;
        let turns = Semaphore::new(config.sessions.max(1));
        Ok(Self {
            config,
            target,
            turns,
            idle: Mutex::default(),
            backoff: Mutex::default(),
        })
    }

    fn fail(&self, kind: FailureKind, code: Code, what: impl std::fmt::Display) -> Failure {
        Failure::new(
            kind,
            code,
            format!("{} ({}): {what}", self.config.name, self.target.address),
        )
    }

    fn read(&self, body: &Bytes) -> Result<Outgoing, Failure> {
        let fail = |what: &str| self.fail(FailureKind::Permanent, codes::MLLP_UNSENDABLE, what);
        let message = Message::parse(body.clone()).map_err(|error| fail(&error.to_string()))?;
        let control_id = message.control_id().unwrap_or_default().trim().to_owned();
        if control_id.is_empty() {
            return Err(fail(
                "the message has no control id (MSH-10), so no acknowledgement can be matched to it",
            ));
        }
        if breaks_framing(body) {
            return Err(fail(
                "the message holds 0x0B or 0x1C, which frame messages in MLLP; escape them",
            ));
        }
        let waits = Waits::of(&message, self.config.wait_for_application);
        Ok(Outgoing { control_id, waits })
    }

    /// An open connection that is known to be good, or a new one.
    async fn session(&self) -> Result<Session, Failure> {
        loop {
            let Some(mut session) = self.idle.lock().pop() else {
                break;
            };
            if session.used.elapsed() < self.config.idle_limit && session.is_quiet() {
                return Ok(session);
            }
        }
        if let Some(wait) = self
            .backoff
            .lock()
            .until
            .and_then(|until| until.checked_duration_since(Instant::now()))
        {
            let what = format!(
                "not tried: connecting failed a moment ago, and is tried again in {wait:?}"
            );
            return Err(self.fail(FailureKind::Unreachable, codes::MLLP_UNREACHABLE, what));
        }
        match self.target.connect(self.config.connect_timeout).await {
            Ok(stream) => {
                *self.backoff.lock() = Backoff::default();
                Ok(Session {
                    stream,
                    decoder: Decoder::new(self.config.max_reply),
                    buffer: BytesMut::new(),
                    used: Instant::now(),
                    sent: VecDeque::with_capacity(REMEMBERED),
                })
            }
            Err(reason) => {
                let mut backoff = self.backoff.lock();
                backoff.pause =
                    (backoff.pause * 2).clamp(self.config.first_backoff, self.config.max_backoff);
                backoff.until = Some(Instant::now() + backoff.pause);
                drop(backoff);
                let (code, what) = match reason {
                    NotConnected::Tcp(error) => {
                        (codes::MLLP_UNREACHABLE, format!("cannot connect: {error}"))
                    }
                    NotConnected::Tls(error) => (
                        codes::MLLP_TLS,
                        format!("the TLS handshake failed: {error}"),
                    ),
                    NotConnected::Timeout(limit) => (
                        codes::MLLP_UNREACHABLE,
                        format!("no connection within {limit:?}"),
                    ),
                };
                Err(self.fail(FailureKind::Unreachable, code, what))
            }
        }
    }

    /// Sends and waits. `None` where the message asks for no answer. An error leaves the
    /// connection in doubt.
    async fn exchange(
        &self,
        session: &mut Session,
        body: &Bytes,
        outgoing: &Outgoing,
    ) -> Result<Option<Answer>, Failure> {
        session.remember(&outgoing.control_id);
        match timeout(
            self.config.ack_timeout,
            write_frame(&mut session.stream, body),
        )
        .await
        {
            Err(_) => return Err(self.late("did not read the message")),
            Ok(Err(error)) => return Err(self.lost(error)),
            Ok(Ok(())) => {}
        }
        let Waits::Enhanced {
            commit,
            application,
        } = outgoing.waits
        else {
            return self.expect(session, outgoing).await.map(Some);
        };
        let first = match commit {
            Commit::Never => None,
            Commit::Always => Some(self.expect(session, outgoing).await?),
            Commit::OnlyErrors => {
                let window = self.config.error_window.min(self.config.ack_timeout);
                timeout(window, self.next_answer(session, outgoing))
                    .await
                    .ok()
                    .transpose()?
            }
        };
        // An error ends it, and so does a receiver that skips the commit and answers AA at once.
        let goes_on = first
            .as_ref()
            .is_none_or(|answer| answer.view.code == ack::Code::CA);
        if !application || !goes_on {
            return Ok(first);
        }
        let last = self.expect(session, outgoing).await?;
        if Due::of(&last.message).accept(Outcome::Success) {
            let thanks = Ack::for_message(&last.message).accept().commit().to_bytes();
            timeout(
                self.config.ack_timeout,
                write_frame(&mut session.stream, &thanks),
            )
            .await
            .map_err(|_| self.late("did not read our acknowledgement of its answer"))?
            .map_err(|error| self.lost(error))?;
        }
        Ok(Some(last))
    }

    async fn expect(&self, session: &mut Session, outgoing: &Outgoing) -> Result<Answer, Failure> {
        let limit = self.config.ack_timeout;
        timeout(limit, self.next_answer(session, outgoing))
            .await
            .unwrap_or_else(|_| Err(self.late(&format!("did not acknowledge within {limit:?}"))))
    }

    /// The next answer to this message; passes over repeated answers to earlier ones.
    async fn next_answer(
        &self,
        session: &mut Session,
        outgoing: &Outgoing,
    ) -> Result<Answer, Failure> {
        let doubt = |code, what: &str| self.fail(FailureKind::Transient, code, what);
        for _ in 0..MOST_STALE {
            let event = session.event().await.map_err(|error| self.lost(error))?;
            let bytes = match event {
                None => return Err(self.lost("the receiver closed the connection")),
                Some(Event::Frame(bytes)) => bytes,
                Some(Event::Unterminated(_)) => {
                    return Err(doubt(
                        codes::MLLP_BAD_ANSWER,
                        "the answer's frame has no end",
                    ));
                }
                Some(Event::TooLarge { limit, .. }) => {
                    let what = format!("the answer is larger than {limit} bytes");
                    return Err(doubt(codes::MLLP_BAD_ANSWER, &what));
                }
            };
            let message = Message::parse(bytes.clone()).map_err(|error| {
                doubt(
                    codes::MLLP_BAD_ANSWER,
                    &format!("the answer is not HL7: {error}"),
                )
            })?;
            let view = ack::read(&message)
                .map_err(|error| doubt(codes::MLLP_BAD_ANSWER, &error.to_string()))?;
            let named = view.control_id.trim();
            let ours = named == outgoing.control_id
                || (named.is_empty() && self.config.correlation == Correlation::AllowEmpty);
            if ours {
                return Ok(Answer {
                    view,
                    message,
                    bytes,
                });
            }
            if !session.sent.iter().any(|id| id == named) {
                return Err(doubt(
                    codes::MLLP_MISMATCH,
                    "the acknowledgement names a message that was not sent here",
                ));
            }
            tracing::debug!(connection = %self.config.name, "passed over a repeated acknowledgement of an earlier message");
        }
        Err(doubt(
            codes::MLLP_MISMATCH,
            "the receiver repeats old acknowledgements without end",
        ))
    }

    /// What an answer means for the delivery.
    fn judge(&self, answer: Answer) -> Result<Reply, Failure> {
        let word = answer.view.code.as_str();
        let reply = Reply {
            status: word.into(),
            content_type: "application/hl7-v2".into(),
            body: answer.bytes,
            truncated: false,
        };
        let (kind, code) = match answer.view.code {
            ack::Code::AA | ack::Code::CA => return Ok(reply),
            ack::Code::AE | ack::Code::CE => match self.config.on_error {
                OnError::Transient => (FailureKind::Transient, codes::MLLP_ERROR),
                OnError::Permanent => (FailureKind::Permanent, codes::MLLP_ERROR),
            },
            ack::Code::AR | ack::Code::CR => (FailureKind::Permanent, codes::MLLP_REJECTED),
        };
        // Only a code is quoted, never a text: other systems put patients' data into error texts.
        let quotable = |text: &&String| {
            text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let detail = answer.view.error.as_ref().filter(quotable);
        let what = match detail {
            Some(error) => {
                format!("answered {word}, error code {error}; read MSA and ERR of the kept answer")
            }
            None => format!("answered {word}; read MSA and ERR of the kept answer"),
        };
        Err(self.fail(kind, code, what).with_reply(reply))
    }

    fn late(&self, what: &str) -> Failure {
        self.fail(FailureKind::Timeout, codes::MLLP_TIMEOUT, what)
    }

    fn lost(&self, what: impl std::fmt::Display) -> Failure {
        self.fail(FailureKind::Transient, codes::MLLP_LOST, what)
    }
}

/// An acknowledgement as it was read.
struct Answer {
    view: AckView,
    message: Message,
    bytes: Bytes,
}

impl Session {
    fn remember(&mut self, control_id: &str) {
        self.sent.retain(|id| id != control_id);
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(control_id.to_owned());
    }

    /// Says goodbye, as TLS wants it. The message is acknowledged, so whatever the peer makes of
    /// that does not matter, nor may it hold up the next message.
    async fn close(mut self) {
        let _ = timeout(MOST_GOODBYE, self.stream.shutdown()).await;
    }

    async fn event(&mut self) -> std::io::Result<Option<Event>> {
        read_event(&mut self.stream, &mut self.decoder, &mut self.buffer).await
    }

    /// Whether the peer has neither closed the connection nor said anything unexpected since
    /// the last answer. Repeated answers to earlier messages are read away.
    fn is_quiet(&mut self) -> bool {
        for _ in 0..MOST_STALE {
            let Some(event) = self.event().now_or_never() else {
                return !self.decoder.in_frame();
            };
            let Ok(Some(Event::Frame(bytes))) = event else {
                return false;
            };
            let known = Message::parse(bytes)
                .ok()
                .and_then(|message| ack::read(&message).ok())
                .is_some_and(|view| self.sent.iter().any(|id| id == view.control_id.trim()));
            if !known {
                return false;
            }
        }
        false
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let outgoing = self.read(&request.body)?;
        // Never closed, so acquiring cannot fail.
        let _turn = self.turns.acquire().await;
        let mut session = self.session().await?;
        let answer = self
            .exchange(&mut session, &request.body, &outgoing)
            .await?;
        if self.config.reuse {
            session.used = Instant::now();
            self.idle.lock().push(session);
        } else {
            session.close().await;
        }
        match answer {
            Some(answer) => self.judge(answer),
            None => Ok(Reply {
                status: "sent".into(),
                ..Reply::default()
            }),
        }
    }

    fn describe(&self) -> String {
        let tls = if self.target.is_secure() {
            " (tls)"
        } else {
            ""
        };
        format!("mllp {}{tls}", self.target.address)
    }
}
