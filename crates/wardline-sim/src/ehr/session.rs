//! One MLLP connection of the EHR: writes messages, awaits real acknowledgements, reconnects and sends again.
//!
//! It behaves as a careful EHR does. A message counts as told only when AA or CA for its control id came.
//! AE and CE are answered by sending it again after a pause; AR and CR are final. When the connection
//! breaks, all messages without an answer are sent again in their old order, byte for byte.

use super::message::{Event, Trigger};
use super::plan::Acknowledged;
use super::ward::{Stay, Ward};
use crate::{Dice, Sequence};
use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wardline_hl7::{Message, Path, mllp};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Acknowledgements are small; a peer that sends more than this is broken.
const ACK_LIMIT: usize = 64 * 1024;
/// How far behind its rate a connection may fall and still catch up.
const CATCH_UP: Duration = Duration::from_secs(1);
/// After a stop, open acknowledgements are awaited at most so long.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What all connections of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) target: SocketAddr,
    pub(crate) run: crate::Run,
    pub(crate) numbers: AtomicU64,
    /// Messages that may still be composed.
    pub(crate) budget: AtomicU64,
    pub(crate) progress: Arc<super::Progress>,
    pub(crate) stop: CancellationToken,
    pub(crate) enhanced: bool,
    pub(crate) window: usize,
    pub(crate) ack_timeout: Duration,
    pub(crate) keep_ledger: bool,
}

/// What one connection counted.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) acknowledged: BTreeMap<Trigger, u64>,
    pub(crate) duplicates: u64,
    pub(crate) resent: u64,
    pub(crate) errors: u64,
    pub(crate) rejected: u64,
    pub(crate) unanswered: u64,
    pub(crate) given_up: u64,
    pub(crate) reconnects: u64,
    pub(crate) stray: u64,
    pub(crate) patients: u64,
    pub(crate) ack: Histogram<u64>,
    pub(crate) ledger: BTreeMap<String, Vec<Acknowledged>>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            frames: 0,
            acknowledged: BTreeMap::new(),
            duplicates: 0,
            resent: 0,
            errors: 0,
            rejected: 0,
            unanswered: 0,
            given_up: 0,
            reconnects: 0,
            stray: 0,
            patients: 0,
            // From 1 µs to 10 min at three digits: these bounds are always valid.
            ack: Histogram::new_with_bounds(1, 600_000_000, 3).expect("valid histogram bounds"),
            ledger: BTreeMap::new(),
        }
    }
}

/// A message that was composed and has no final answer yet.
struct Open {
    stay: Stay,
    trigger: Trigger,
    sequence: Sequence,
    frame: Bytes,
    sent: Instant,
    /// The same message was acknowledged before: this is the duplicate sent on purpose.
    duplicate: bool,
}

pub(crate) struct Session {
    shared: Arc<Shared>,
    ward: Ward,
    dice: Dice,
    tally: Tally,
    open: VecDeque<Open>,
    /// Answered AE or CE: to be sent again at `retry_at`, before anything new.
    retry: VecDeque<Open>,
    retry_at: Instant,
    retry_pause: Duration,
    interval: Option<Duration>,
    due: Instant,
    text: Vec<u8>,
    out: BytesMut,
    stopping: Option<Instant>,
}

enum End {
    Finished,
    Lost,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ward: Ward,
        dice: Dice,
        interval: Option<Duration>,
        first: Instant,
    ) -> Self {
        Self {
            shared,
            ward,
            dice,
            tally: Tally::new(),
            open: VecDeque::new(),
            retry: VecDeque::new(),
            retry_at: first,
            retry_pause: FIRST_PAUSE,
            interval,
            due: first,
            text: Vec::with_capacity(2048),
            out: BytesMut::with_capacity(8192),
            stopping: None,
        }
    }

    /// Runs until the plan is done or stopped, whatever happens to the connection.
    pub(crate) async fn run(mut self) -> Tally {
        let mut pause = FIRST_PAUSE;
        let mut connected_before = false;
        let stop = self.shared.stop.clone();
        loop {
            if stop.is_cancelled() {
                self.begin_stopping();
            }
            if self.is_finished() {
                break;
            }
            let connecting = timeout(self.longest_wait(), TcpStream::connect(self.shared.target));
            let stream = tokio::select! {
                made = connecting => made.ok().and_then(Result::ok),
                () = stop.cancelled(), if self.stopping.is_none() => continue,
            };
            if let Some(stream) = stream {
                self.tally.reconnects += u64::from(connected_before);
                connected_before = true;
                if let End::Finished = self.talk(stream, &mut pause).await {
                    break;
                }
            }
            let spread = 0.5 + self.dice.below(1_000) as f64 / 1_000.0;
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(spread).min(self.longest_wait())) => {}
                () = stop.cancelled(), if self.stopping.is_none() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.tally.unanswered = self.open.iter().filter(|open| !open.duplicate).count() as u64;
        self.tally.given_up = self.retry.iter().filter(|open| !open.duplicate).count() as u64;
        self.tally.patients = self.ward.finished();
        self.tally
    }

    /// From now on nothing new is sent; answers that are still open are awaited for a while.
    fn begin_stopping(&mut self) {
        self.stopping
            .get_or_insert_with(|| Instant::now() + STOP_GRACE.min(self.shared.ack_timeout));
    }

    /// The longest time that any step may take now.
    fn longest_wait(&self) -> Duration {
        let timeout = self.shared.ack_timeout;
        self.stopping.map_or(timeout, |deadline| {
            timeout.min(deadline.saturating_duration_since(Instant::now()))
        })
    }

    async fn talk(&mut self, mut stream: TcpStream, pause: &mut Duration) -> End {
        // Small frames must not wait for each other; without the option it is only slower.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let mut decoder = mllp::Decoder::new(ACK_LIMIT);
        let mut input = BytesMut::with_capacity(8192);
        self.send_open_again();
        loop {
            self.compose();
            if !self.out.is_empty() {
                let written = timeout(self.shared.ack_timeout, stream.write_all(&self.out)).await;
                self.out.clear();
                if !matches!(written, Ok(Ok(()))) {
                    return End::Lost;
                }
            }
            if self.is_finished() {
                return End::Finished;
            }
            let wake = self.wake();
            let stopped = self.shared.stop.clone();
            tokio::select! {
                read = stream.read_buf(&mut input) => match read {
                    Ok(0) | Err(_) => return End::Lost,
                    Ok(_) => {
                        *pause = FIRST_PAUSE;
                        while let Some(event) = decoder.decode(&mut input) {
                            match event {
                                mllp::Event::Frame(bytes) | mllp::Event::Unterminated(bytes) => self.answer(bytes),
                                mllp::Event::TooLarge { .. } => self.tally.stray += 1,
                            }
                        }
                    }
                },
                () = sleep_until(wake) => {
                    if self.open.front().is_some_and(|oldest| oldest.sent + self.shared.ack_timeout <= Instant::now()) {
                        return End::Lost;
                    }
                }
                () = stopped.cancelled(), if self.stopping.is_none() => self.begin_stopping(),
            }
        }
    }

    fn send_open_again(&mut self) {
        let now = Instant::now();
        self.out.clear();
        for open in &mut self.open {
            open.sent = now;
            self.out.extend_from_slice(&open.frame);
        }
        self.tally.resent += self.open.len() as u64;
        self.tally.frames += self.open.len() as u64;
    }

    /// Puts everything that may be sent now into the output buffer.
    fn compose(&mut self) {
        let now = Instant::now();
        if self.stopping.is_some() || self.shared.stop.is_cancelled() {
            return;
        }
        if now >= self.retry_at {
            while self.open.len() < self.shared.window
                && let Some(open) = self.retry.pop_front()
            {
                self.put(open, now);
            }
        }
        while self.open.len() < self.shared.window && self.due <= now {
            let Some(stay) = self.next_stay() else { break };
            self.advance_due(now);
            let Some(trigger) = stay.next() else {
                self.ward.settle(stay);
                continue;
            };
            let number = self.shared.numbers.fetch_add(1, Ordering::AcqRel);
            let sequence = Sequence {
                run: self.shared.run,
                number,
            };
            self.text.clear();
            Event {
                trigger,
                sequence,
                patient: &stay.patient,
                bed: stay.bed,
                prior_bed: stay.prior_bed,
                now: Timestamp::now(),
                disposition: stay.disposition(),
                enhanced: self.shared.enhanced,
            }
            .write(&mut self.text);
            let frame = mllp::frame(&self.text);
            self.put(
                Open {
                    stay,
                    trigger,
                    sequence,
                    frame,
                    sent: now,
                    duplicate: false,
                },
                now,
            );
        }
    }

    fn put(&mut self, mut open: Open, now: Instant) {
        open.sent = now;
        self.out.extend_from_slice(&open.frame);
        self.tally.frames += 1;
        self.open.push_back(open);
    }

    fn next_stay(&mut self) -> Option<Stay> {
        let budget = &self.shared.budget;
        if budget.load(Ordering::Acquire) == 0 {
            return None;
        }
        let stay = self.ward.take()?;
        if budget
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            })
            .is_err()
        {
            // Another connection took the last one: this stay ends untold, and so does the run.
            self.ward.put_back(stay);
            return None;
        }
        Some(stay)
    }

    fn advance_due(&mut self, now: Instant) {
        if let Some(interval) = self.interval {
            self.due += interval;
            if self.due + CATCH_UP < now {
                self.due = now;
            }
        }
    }

    fn answer(&mut self, bytes: Bytes) {
        const CODE: Path = Path::new("MSA-1");
        const CONTROL_ID: Path = Path::new("MSA-2");
        let Ok(message) = Message::parse(bytes) else {
            self.tally.stray += 1;
            return;
        };
        let sequence = message
            .value(&CONTROL_ID)
            .and_then(|id| Sequence::read(&id));
        let place = sequence
            .and_then(|sequence| self.open.iter().position(|open| open.sequence == sequence));
        let Some(open) = place.and_then(|place| self.open.remove(place)) else {
            self.tally.stray += 1;
            return;
        };
        match message.value(&CODE).as_deref() {
            Some("AA" | "CA") => self.acknowledged(open),
            Some("AE" | "CE") => {
                self.tally.errors += 1;
                self.retry_at = Instant::now() + self.retry_pause;
                self.retry_pause = (self.retry_pause * 2).min(LONGEST_PAUSE);
                self.retry.push_back(open);
            }
            _ => {
                self.tally.rejected += 1;
                self.ward.settle(open.stay);
            }
        }
    }

    fn acknowledged(&mut self, open: Open) {
        self.retry_pause = FIRST_PAUSE;
        self.tally
            .ack
            .saturating_record(open.sent.elapsed().as_micros() as u64);
        if open.duplicate {
            self.tally.duplicates += 1;
            self.ward.settle(open.stay);
            return;
        }
        self.shared
            .progress
            .accepted
            .fetch_add(1, Ordering::Relaxed);
        *self.tally.acknowledged.entry(open.trigger).or_default() += 1;
        if self.shared.keep_ledger {
            let line = Acknowledged {
                sequence: open.sequence,
                trigger: open.trigger,
            };
            self.tally
                .ledger
                .entry(open.stay.patient.visit.clone())
                .or_default()
                .push(line);
        }
        if self.stopping.is_none() && self.ward.repeats() {
            self.put(
                Open {
                    duplicate: true,
                    ..open
                },
                Instant::now(),
            );
        } else {
            self.ward.settle(open.stay);
        }
    }

    fn is_finished(&self) -> bool {
        if let Some(deadline) = self.stopping {
            return self.open.is_empty() || Instant::now() >= deadline;
        }
        let nothing_new = self.ward.is_done() || self.shared.budget.load(Ordering::Acquire) == 0;
        self.open.is_empty() && self.retry.is_empty() && nothing_new
    }

    /// When to look again although nothing was read.
    fn wake(&self) -> Instant {
        let far = Instant::now() + Duration::from_millis(200);
        let mut wake = self
            .open
            .front()
            .map_or(far, |oldest| far.min(oldest.sent + self.shared.ack_timeout));
        if let Some(deadline) = self.stopping {
            return wake.min(deadline);
        }
        if self.open.len() < self.shared.window {
            if !self.retry.is_empty() {
                wake = wake.min(self.retry_at);
            }
            if self.interval.is_some() && self.due > Instant::now() {
                wake = wake.min(self.due);
            }
        }
        wake
    }
}
