//! One inbound MLLP connection: read, offer to the engine, answer, in order.
//!
//! One task does all of it. While a message commits, the next ones are read and offered (up to
//! the read-ahead); answers are written in the order in which the messages came. Three things
//! stop the reading, and with it the sender: the read-ahead is used up, the listener's memory is
//! used up, or the engine said busy.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wardline_core::{Code, Timestamp};
use wardline_hl7::mllp::{Decoder, Event};
use wardline_hl7::{Batch, Message, ParseError};

use super::answer::{Answers, incomplete, unreadable};
use super::config::InboundConfig;
use super::share::Share;
use super::wire::{CHUNK, CR_GRACE};
use crate::admission::{Budget, worth_a_line};
use crate::stream::Stream;
use crate::{ContentType, Counters, Intake, Received, Verdict, codes};

/// Shortest pause before a message is offered again after the engine said busy.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// How long a peer may take to notice that the connection ends.
const LINGER: Duration = Duration::from_millis(500);

/// What all connections of a listener share.
pub(super) struct Rules {
    pub(super) config: InboundConfig,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) counters: Arc<Counters>,
    pub(super) budget: Budget,
}

/// A message that was read, with its answers and its share of the memory.
struct Job {
    received: Received,
    answers: Answers,
    read_at: Instant,
    _held: Option<OwnedSemaphorePermit>,
}

/// What comes out of the line of messages in hand.
enum Done {
    /// An answer that needs no engine: the frame could not be read.
    Said(Bytes),
    /// The engine's verdict.
    Judged(Box<Job>, Verdict),
}

/// A message that the engine had no room for, waiting to be offered again.
struct Stalled {
    job: Box<Job>,
    code: Code,
    text: String,
    again: Instant,
}

/// Why the session's timer was set.
#[derive(Clone, Copy, PartialEq)]
enum Alarm {
    OfferAgain,
    LackingCr,
    NoRoom,
    FrameHangs,
    Idle,
}

/// How far the session is.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Reading.
    Open,
    /// The peer sends no more; what it sent is still taken.
    Ended,
    /// Nothing more is taken; what is in hand is still answered.
    Closing,
    /// The peer cannot be written to; what is in hand still commits.
    Broken,
}

pub(super) struct Session {
    rules: Arc<Rules>,
    stream: Stream,
    peer: SocketAddr,
    decoder: Decoder,
    buffer: BytesMut,
    memory: Share,
    in_hand: FuturesOrdered<BoxFuture<'static, Done>>,
    stalled: Option<Stalled>,
    /// Messages of a batch that are still to be offered.
    batch: VecDeque<(Bytes, Option<OwnedSemaphorePermit>)>,
    phase: Phase,
    /// When something last came or left.
    active: Instant,
    stray_seen: u64,
}

impl Session {
    pub(super) fn new(rules: Arc<Rules>, stream: Stream, peer: SocketAddr) -> Self {
        let decoder = Decoder::new(rules.config.max_size);
        let memory = Share::of(&rules.budget);
        Self {
            rules,
            stream,
            peer,
            decoder,
            buffer: BytesMut::new(),
            memory,
            in_hand: FuturesOrdered::new(),
            stalled: None,
            batch: VecDeque::new(),
            phase: Phase::Open,
            active: Instant::now(),
            stray_seen: 0,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut timer = pin!(sleep_until(self.active + self.rules.config.idle_timeout));
        loop {
            self.offer_what_is_whole();
            if self.is_over() {
                break;
            }
            let alarm = self.alarm();
            if let Some((at, _)) = alarm
                && at < timer.deadline()
            {
                timer.as_mut().reset(at);
            }
            let owes = self.memory.owes();
            let reading = self.may_read() && !owes;
            let Self {
                stream,
                buffer,
                decoder,
                memory,
                in_hand,
                phase,
                ..
            } = &mut self;
            if reading {
                decoder.make_room(buffer);
            }
            // One read never takes more than a chunk, so memory is paid for in small steps.
            let mut chunk = buffer.limit(CHUNK);
            tokio::select! {
                biased;
                Some(done) = in_hand.next(), if !in_hand.is_empty() => self.settle(done).await,
                () = shutdown.cancelled(), if matches!(phase, Phase::Open | Phase::Ended) => self.close(),
                () = memory.pay(), if owes => {}
                read = stream.read_buf(&mut chunk), if reading => self.note_read(read),
                () = timer.as_mut(), if alarm.is_some() => self.ring(alarm, timer.as_mut()),
            }
        }
        self.hang_up().await;
    }

    /// Ends the connection in order. What the peer still sends is read for a moment: closing
    /// with bytes unread would reset the connection, and the last answer could be lost with it.
    async fn hang_up(mut self) {
        if self.phase == Phase::Broken {
            return;
        }
        self.buffer = BytesMut::new();
        drop(self.memory.split(0, 0));
        let stream = &mut self.stream;
        let goodbye = async {
            stream.shutdown().await?;
            let mut rest = [0; 4096];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        if let Ok(Err(error)) = timeout(LINGER, goodbye).await {
            tracing::debug!(source = %self.rules.config.source, peer = %self.peer, %error, "the peer was gone before the end");
        }
    }

    fn may_read(&self) -> bool {
        self.phase == Phase::Open
            && self.stalled.is_none()
            && self.batch.is_empty()
            && self.in_hand.len() < self.rules.config.read_ahead.max(1)
    }

    fn is_over(&self) -> bool {
        self.phase != Phase::Open
            && self.in_hand.is_empty()
            && self.stalled.is_none()
            && (self.batch.is_empty() || !matches!(self.phase, Phase::Ended))
    }

    /// Takes whole frames out of the buffer and offers them, as far as the read-ahead allows.
    fn offer_what_is_whole(&mut self) {
        while matches!(self.phase, Phase::Open | Phase::Ended)
            && self.stalled.is_none()
            && !self.memory.owes()
            && self.in_hand.len() < self.rules.config.read_ahead.max(1)
        {
            if let Some((body, held)) = self.batch.pop_front() {
                self.take_message(body, held);
                continue;
            }
            let event = match self.phase {
                Phase::Ended => self.decoder.flush(&mut self.buffer),
                _ => self.decoder.decode(&mut self.buffer),
            };
            self.count_stray();
            let Some(event) = event else {
                drop(self.memory.split(0, self.buffer.len()));
                break;
            };
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let counters = Arc::clone(&self.rules.counters);
        match event {
            Event::Frame(body) => {
                let held = self.memory.split(body.len(), self.buffer.len());
                self.take_message(body, held);
            }
            Event::Unterminated(body) => {
                drop(self.memory.split(0, self.buffer.len()));
                let text =
                    "the frame has no end block (0x1C 0x0D), so it may be cut short; send it again";
                self.log(counters.cut(1), codes::FRAME_CUT, &text);
                let answer = incomplete(body, self.rules.config.ack_mode, codes::FRAME_CUT, text);
                self.say(answer);
            }
            Event::TooLarge { head, limit } => {
                let text =
                    format!("the message is larger than the {limit} bytes that are taken here");
                self.log(counters.too_large(1), codes::FRAME_TOO_LARGE, &text);
                self.say(unreadable(&head, codes::FRAME_TOO_LARGE, &text));
            }
        }
    }

    /// Offers one message, or takes a batch apart (HL7 v2 chapter 2.10.3): each of its messages
    /// is then taken and answered as if it had come alone.
    fn take_message(&mut self, body: Bytes, held: Option<OwnedSemaphorePermit>) {
        match Message::parse(body.clone()) {
            Ok(message) => self.offer(self.job(&message, body, held)),
            Err(error @ ParseError::IsBatch { .. }) => match Batch::parse(body.clone()) {
                Ok(batch) if !batch.is_empty() => {
                    for problem in batch.problems() {
                        let source = &self.rules.config.source;
                        tracing::warn!(%source, peer = %self.peer, code = problem.code, problem = %problem.text, "a batch is not as its header or trailer says; its messages are taken");
                    }
                    self.batch
                        .extend(batch.messages().map(|entry| (entry.bytes, None)));
                    // The frame's memory is free when its last message is.
                    if let Some(last) = self.batch.back_mut() {
                        last.1 = held;
                    }
                }
                _ => self.refuse(&body, &error),
            },
            Err(error) => self.refuse(&body, &error),
        }
    }

    fn refuse(&mut self, body: &Bytes, error: &ParseError) {
        self.log(self.rules.counters.refused(1), codes::NOT_HL7, error);
        self.say(unreadable(body, codes::NOT_HL7, &error.to_string()));
    }

    fn job(&self, message: &Message, body: Bytes, held: Option<OwnedSemaphorePermit>) -> Box<Job> {
        let config = &self.rules.config;
        let answers = Answers::of(message, config.ack_mode);
        let received = Received {
            source: Arc::clone(&config.source),
            content_type: ContentType::Hl7,
            body,
            received: Timestamp::now(),
            peer: Some(self.peer),
            headers: Vec::new(),
            answer: answers.positive(),
            once: None,
            fault: None,
        };
        Box::new(Job {
            received,
            answers,
            read_at: Instant::now(),
            _held: held,
        })
    }

    /// Offers one message. Its future is polled once here and now, so that messages reach the
    /// engine in order and a busy engine is noticed before the next is offered.
    fn offer(&mut self, job: Box<Job>) {
        let intake = Arc::clone(&self.rules.intake);
        let received = job.received.clone();
        let mut accepting = async move { intake.accept(received).await }.boxed();
        match (&mut accepting).now_or_never() {
            Some(Verdict::Busy {
                code,
                text,
                retry_after,
            }) => self.stall(job, code, text, retry_after),
            Some(verdict) => self
                .in_hand
                .push_back(std::future::ready(Done::Judged(job, verdict)).boxed()),
            None => self
                .in_hand
                .push_back(async move { Done::Judged(job, accepting.await) }.boxed()),
        }
    }

    fn stall(&mut self, job: Box<Job>, code: Code, text: String, retry_after: Duration) {
        let limit = job.read_at + self.rules.config.busy_limit;
        let again = (Instant::now() + retry_after.max(SHORTEST_PAUSE)).min(limit);
        self.stalled = Some(Stalled {
            job,
            code,
            text,
            again,
        });
    }

    /// Puts an answer that needs no verdict into the line.
    fn say(&mut self, answer: Bytes) {
        self.in_hand
            .push_back(std::future::ready(Done::Said(answer)).boxed());
    }

    /// Writes the answer that is due, and those behind it that are ready too.
    async fn settle(&mut self, first: Done) {
        let mut out = BytesMut::new();
        let mut next = Some(first);
        while let Some(done) = next {
            self.conclude(done, &mut out);
            next = self.in_hand.next().now_or_never().flatten();
        }
        self.active = Instant::now();
        if out.is_empty() || self.phase == Phase::Broken {
            return;
        }
        let stream = &mut self.stream;
        let writing = async {
            stream.write_all(&out).await?;
            stream.flush().await
        };
        match timeout(self.rules.config.write_timeout, writing).await {
            Ok(Ok(())) => self.active = Instant::now(),
            Ok(Err(error)) => self.break_off(&error.to_string()),
            Err(_) => self.break_off("the peer does not read its acknowledgements"),
        }
    }

    fn conclude(&mut self, done: Done, out: &mut BytesMut) {
        let (job, verdict) = match done {
            Done::Said(answer) => return out.extend_from_slice(&answer),
            Done::Judged(job, verdict) => (job, verdict),
        };
        let counters = &self.rules.counters;
        match verdict {
            Verdict::Accepted { .. } => {
                counters.accepted(1);
                out.extend_from_slice(&job.received.answer);
            }
            Verdict::Duplicate { answer, .. } => {
                counters.duplicates(1);
                out.extend_from_slice(&answer);
            }
            Verdict::Refused {
                code,
                text,
                permanent,
            } => {
                counters.refused(1);
                out.extend_from_slice(&job.answers.negative(permanent, code, &text));
            }
            // Nothing was offered behind it, so it can wait without being overtaken.
            Verdict::Busy {
                code,
                text,
                retry_after,
            } if self.in_hand.is_empty()
                && self.stalled.is_none()
                && matches!(self.phase, Phase::Open | Phase::Ended) =>
            {
                self.stall(job, code, text, retry_after);
            }
            Verdict::Busy { code, text, .. } => {
                counters.busy(1);
                out.extend_from_slice(&job.answers.negative(false, code, &text));
            }
        }
    }

    /// Stops taking messages in; what is in hand is still answered.
    fn close(&mut self) {
        self.phase = Phase::Closing;
        if let Some(stalled) = self.stalled.take() {
            self.rules.counters.busy(1);
            self.say(
                stalled
                    .job
                    .answers
                    .negative(false, stalled.code, &stalled.text),
            );
        }
    }

    fn break_off(&mut self, reason: &str) {
        tracing::debug!(source = %self.rules.config.source, peer = %self.peer, reason, "the connection broke");
        self.phase = Phase::Broken;
        self.stalled = None;
    }

    fn note_read(&mut self, read: std::io::Result<usize>) {
        match read {
            Ok(0) => self.phase = Phase::Ended,
            Ok(bytes) => {
                self.active = Instant::now();
                self.memory.read(bytes);
            }
            Err(error) => self.break_off(&error.to_string()),
        }
    }

    fn count_stray(&mut self) {
        let stray = self.decoder.skipped();
        if stray > self.stray_seen {
            if self.stray_seen == 0 {
                tracing::debug!(source = %self.rules.config.source, peer = %self.peer, "bytes between frames are thrown away");
            }
            self.rules.counters.stray_bytes(stray - self.stray_seen);
            self.stray_seen = stray;
        }
    }

    /// One line for what a peer did wrong; `reason` holds nothing of a message.
    fn log(&self, times: u64, code: Code, reason: &dyn std::fmt::Display) {
        if worth_a_line(times) {
            let source = &self.rules.config.source;
            tracing::warn!(%source, peer = %self.peer, %code, %reason, times, "refused a message");
        }
    }

    /// What the session waits for at most until when.
    fn alarm(&self) -> Option<(Instant, Alarm)> {
        let config = &self.rules.config;
        if let Some(stalled) = &self.stalled {
            return Some((stalled.again, Alarm::OfferAgain));
        }
        if self.phase != Phase::Open {
            return None;
        }
        if self.memory.owes() {
            return Some((self.active + config.busy_limit, Alarm::NoRoom));
        }
        if !self.may_read() {
            return None;
        }
        if self.decoder.awaits_only_cr(&self.buffer) {
            return Some((self.active + CR_GRACE, Alarm::LackingCr));
        }
        if self.decoder.in_frame() {
            return Some((self.active + config.frame_timeout, Alarm::FrameHangs));
        }
        self.in_hand
            .is_empty()
            .then(|| (self.active + config.idle_timeout, Alarm::Idle))
    }

    /// Acts on the timer. It is only ever set earlier, not later, so it may ring too soon.
    fn ring(&mut self, alarm: Option<(Instant, Alarm)>, timer: Pin<&mut Sleep>) {
        let Some((at, what)) = alarm else { return };
        if Instant::now() < at {
            timer.reset(at);
            return;
        }
        match what {
            Alarm::OfferAgain => self.offer_again(),
            Alarm::LackingCr => {
                if let Some(event) = self.decoder.flush(&mut self.buffer) {
                    self.take(event);
                }
            }
            Alarm::NoRoom => {
                let text = "there is no room for this message now; send it again later";
                self.give_up_frame(self.rules.counters.busy(1), codes::BUSY_TOO_LONG, text);
            }
            Alarm::FrameHangs => {
                let text = "the rest of the message did not come; send it again";
                self.give_up_frame(self.rules.counters.cut(1), codes::FRAME_CUT, text);
            }
            Alarm::Idle => {
                self.rules.counters.idle_closed(1);
                self.phase = Phase::Closing;
            }
        }
    }

    fn offer_again(&mut self) {
        let Some(stalled) = self.stalled.take() else {
            return;
        };
        let limit = self.rules.config.busy_limit;
        if stalled.job.read_at.elapsed() < limit {
            return self.offer(stalled.job);
        }
        let text = format!(
            "no room within {limit:?}: {} ({})",
            stalled.text, stalled.code
        );
        self.log(self.rules.counters.busy(1), codes::BUSY_TOO_LONG, &text);
        let answer = stalled
            .job
            .answers
            .negative(false, codes::BUSY_TOO_LONG, &text);
        self.say(answer);
    }

    /// Answers what has arrived of a frame, and ends the connection: its rest cannot be told
    /// from what may follow.
    fn give_up_frame(&mut self, times: u64, code: Code, text: &str) {
        self.log(times, code, &text);
        let head = &self.buffer[..self.buffer.len().min(wardline_hl7::mllp::HEAD)];
        let head = Bytes::copy_from_slice(head);
        let answer = incomplete(head, self.rules.config.ack_mode, code, text);
        self.say(answer);
        self.phase = Phase::Closing;
    }
}
