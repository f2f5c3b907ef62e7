//! The load generator: senders that write ready-made frames and wait for acknowledgements.
//!
//! It runs on one thread of its own with a runtime of its own, so that it is to the engine what
//! another program would be, and so that the processor time it takes can be told. Every key
//! belongs to one connection: what leaves in order is then accepted in order, and receivers can
//! check it. An acknowledgement must be positive and name the oldest message under way.

use crate::sample::{Frame, Mark};
use crate::{BenchError, machine};
use hdrhistogram::Histogram;
use memchr::memmem;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wardline_hl7::mllp;

/// Longest time recorded: a minute, in microseconds, to three digits.
const LONGEST_US: u64 = 60_000_000;
/// How long acknowledgements may take after the last message.
const LAST_ANSWERS: Duration = Duration::from_mins(1);
/// Pause of a sender that is held back.
const HELD: Duration = Duration::from_micros(500);

/// Whether senders are to wait now, given how many messages were acknowledged.
pub(crate) type Brake = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// What is to be sent.
#[derive(Clone)]
pub(crate) struct Load {
    /// Whom to send to.
    pub(crate) target: SocketAddr,
    /// Connections.
    pub(crate) connections: usize,
    /// Messages under way on each.
    pub(crate) window: usize,
    /// Ordering keys, shared out among the connections. At least one each.
    pub(crate) keys: u32,
    /// Time before anything counts.
    pub(crate) warm_up: Duration,
    /// Time that counts.
    pub(crate) time: Duration,
    /// Holds senders back.
    pub(crate) brake: Option<Brake>,
}

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Messages acknowledged in the time that counts.
    pub(crate) counted: u64,
    /// Messages acknowledged in all.
    pub(crate) all: u64,
    /// The time that counts, as it was.
    pub(crate) elapsed: Duration,
    /// Microseconds from writing a message to its acknowledgement.
    pub(crate) ack_us: Histogram<u64>,
    /// Processor time of the generator.
    pub(crate) processor: Duration,
}

impl Sent {
    /// Acknowledged messages a second.
    pub(crate) fn per_s(&self) -> f64 {
        self.counted as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of the time to the acknowledgement in milliseconds.
    pub(crate) fn ack_ms(&self, quantile: f64) -> f64 {
        self.ack_us.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Processor time of the generator per message, in microseconds.
    pub(crate) fn processor_us(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.all.max(1) as f64
    }
}

/// Sends until the time is over and everything is acknowledged.
pub(crate) async fn send(load: Load) -> Result<Sent, BenchError> {
    let failed = |reason: String| BenchError::Thread {
        what: "load generator",
        reason,
    };
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("bench-load".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let sent = runtime
                .map_err(|error| failed(error.to_string()))
                .and_then(|runtime| runtime.block_on(all(load)));
            // Nobody listens any more when the bench was given up.
            drop(tell.send(sent));
        })
        .map_err(|error| failed(error.to_string()))?;
    let sent = told.await.map_err(|_| failed("it panicked".into()))?;
    thread.join().map_err(|_| failed("it panicked".into()))?;
    sent
}

async fn all(load: Load) -> Result<Sent, BenchError> {
    let begin = Instant::now() + load.warm_up;
    let end = begin + load.time;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut sessions = JoinSet::new();
    for number in 0..load.connections {
        let session = Session {
            number: number as u32,
            load: load.clone(),
            begin,
            end,
            acknowledged: Arc::clone(&acknowledged),
            under_way: VecDeque::with_capacity(load.window),
            counted: 0,
            ack_us: histogram(),
        };
        sessions.spawn(session.run());
    }
    let mut sent = Sent {
        counted: 0,
        all: 0,
        elapsed: load.time,
        ack_us: histogram(),
        processor: Duration::ZERO,
    };
    while let Some(ended) = sessions.join_next().await {
        let session = ended.map_err(|error| BenchError::Thread {
            what: "load generator",
            reason: error.to_string(),
        })??;
        sent.counted += session.counted;
        if sent.ack_us.add(&session.ack_us).is_err() {
            return Err(BenchError::Sums {
                what: "times of different histograms".into(),
            });
        }
    }
    sent.all = acknowledged.load(Ordering::Relaxed);
    sent.processor = machine::thread_time();
    Ok(sent)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3)
        .expect("a minute in microseconds to three digits is within bounds")
}

struct Session {
    number: u32,
    load: Load,
    begin: Instant,
    end: Instant,
    acknowledged: Arc<AtomicU64>,
    under_way: VecDeque<(Mark, Instant)>,
    counted: u64,
    ack_us: Histogram<u64>,
}

impl Session {
    async fn run(mut self) -> Result<Self, BenchError> {
        let target = self.load.target;
        let socket = |doing| {
            move |source: io::Error| BenchError::Socket {
                doing,
                address: target,
                source,
            }
        };
        let mut stream = TcpStream::connect(target)
            .await
            .map_err(socket("connect to"))?;
        stream
            .set_nodelay(true)
            .map_err(socket("set up the connection to"))?;
        let mut frame = Frame::new();
        let mut turn = Turn::new(self.number, self.load.connections as u32, self.load.keys);
        let mut output = Vec::with_capacity(self.load.window * frame.len());
        let mut input: Vec<u8> = Vec::with_capacity(4_096);
        loop {
            let now = Instant::now();
            let over = now >= self.end;
            if !over && !self.is_held() {
                while self.under_way.len() < self.load.window {
                    let mark = turn.next();
                    frame.append(mark, &mut output);
                    self.under_way.push_back((mark, now));
                }
            }
            if !output.is_empty() {
                stream
                    .write_all(&output)
                    .await
                    .map_err(socket("write to"))?;
                output.clear();
            }
            if self.under_way.is_empty() {
                if over {
                    return Ok(self);
                }
                tokio::time::sleep(HELD).await;
                continue;
            }
            let read = tokio::time::timeout_at(
                (self.end + LAST_ANSWERS).into(),
                stream.read_buf(&mut input),
            )
            .await;
            let read = match read {
                Ok(read) => read.map_err(socket("read from"))?,
                Err(_) => return Err(self.refused("no acknowledgement for a minute")),
            };
            if read == 0 {
                return Err(self.refused("the connection was closed"));
            }
            let used = self.take_answers(&input)?;
            input.drain(..used);
        }
    }

    fn is_held(&self) -> bool {
        self.load
            .brake
            .as_ref()
            .is_some_and(|brake| brake(self.acknowledged.load(Ordering::Relaxed)))
    }

    /// Takes every whole acknowledgement of `input`; gives the bytes that are done with.
    fn take_answers(&mut self, input: &[u8]) -> Result<usize, BenchError> {
        let now = Instant::now();
        let mut done = 0;
        while let Some(end) = memmem::find(&input[done..], &mllp::TRAILER) {
            let answer = &input[done..done + end];
            done += end + mllp::TRAILER.len();
            let Some((mark, sent)) = self.under_way.pop_front() else {
                return Err(self.refused("an acknowledgement for nothing"));
            };
            match verdict(answer) {
                Some((b"AA" | b"CA", Some(named))) if named == mark => {}
                Some((b"AA" | b"CA", _)) => {
                    return Err(self.refused("an acknowledgement of another message"));
                }
                Some((code, _)) => {
                    let code = String::from_utf8_lossy(code).into_owned();
                    return Err(self.refused(&format!("answered {code}")));
                }
                None => return Err(self.refused("no acknowledgement but something else")),
            }
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            if now >= self.begin && now < self.end {
                self.counted += 1;
                self.ack_us
                    .saturating_record(now.duration_since(sent).as_micros() as u64);
            }
        }
        Ok(done)
    }

    fn refused(&self, example: &str) -> BenchError {
        let sent = self.acknowledged.load(Ordering::Relaxed) + self.under_way.len() as u64;
        BenchError::Refused {
            count: self.under_way.len().max(1) as u64,
            sent,
            example: example.to_owned(),
        }
    }
}

/// MSA-1, and MSA-2 where it is one of ours.
fn verdict(answer: &[u8]) -> Option<(&[u8], Option<Mark>)> {
    let at = memmem::find(answer, b"\rMSA|")? + b"\rMSA|".len();
    let mut fields = answer[at..].split(|&byte| matches!(byte, b'|' | b'\r'));
    let code = fields.next()?;
    let mark = fields
        .next()
        .filter(|text| text.len() == Mark::DIGITS)
        .and_then(Mark::read);
    Some((code, mark))
}

/// Which message of which key comes next on one connection: its own keys, one after the other.
struct Turn {
    first: u32,
    step: u32,
    own: u32,
    given: u64,
}

impl Turn {
    fn new(number: u32, connections: u32, keys: u32) -> Self {
        let own = keys.saturating_sub(number).div_ceil(connections).max(1);
        Self {
            first: number,
            step: connections,
            own,
            given: 0,
        }
    }

    fn next(&mut self) -> Mark {
        let own = u64::from(self.own);
        let mark = Mark {
            key: self.first + self.step * (self.given % own) as u32,
            count: (self.given / own) as u32,
        };
        self.given += 1;
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Turn, send, verdict};
    use crate::receiver::{Faults, Protocol, Receiver};
    use crate::sample::Mark;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn connections_share_all_keys_and_none_twice() {
        let (connections, keys) = (7, 100);
        let mut all = Vec::new();
        for number in 0..connections {
            let mut turn = Turn::new(number, connections, keys);
            let own: Vec<Mark> = (0..turn.own).map(|_| turn.next()).collect();
            assert!(own.iter().all(|mark| mark.count == 0));
            assert_eq!(turn.next(), Mark { count: 1, ..own[0] });
            all.extend(own.into_iter().map(|mark| mark.key));
        }
        assert_eq!(all.len(), 100);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
    }

    #[test]
    fn acknowledgements_are_told_apart() {
        let of = |text: &'static str| verdict(text.as_bytes());
        let mark = Mark { key: 42, count: 7 };
        assert_eq!(
            of("MSH|^~\\&|A\rMSA|AA|00000042000000007\r"),
            Some((&b"AA"[..], Some(mark)))
        );
        assert_eq!(
            of("MSH|^~\\&|A\rMSA|AE|00000042000000007|no\r"),
            Some((&b"AE"[..], Some(mark)))
        );
        assert_eq!(of("MSH|^~\\&|A\rMSA|AA|other\r"), Some((&b"AA"[..], None)));
        assert_eq!(of("MSH|^~\\&|A\r"), None);
    }

    fn load(receiver: &Receiver) -> Load {
        Load {
            target: receiver.address(),
            connections: 3,
            window: 4,
            keys: 50,
            warm_up: Duration::from_millis(20),
            time: Duration::from_millis(200),
            brake: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_acknowledged_has_arrived_in_order() {
        let receiver = Receiver::start(Protocol::Mllp, 50, Faults::default()).unwrap();
        let sent = send(load(&receiver)).await.unwrap();
        assert!(sent.all > 0 && sent.counted <= sent.all);
        assert_eq!(sent.counted, sent.ack_us.len());
        assert_eq!(
            receiver.order().verdict("receiver").unwrap().fresh,
            sent.all
        );
        receiver.stop().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_ends_the_run() {
        let receiver = Receiver::start(Protocol::Mllp, 50, Faults::one_in(1)).unwrap();
        let error = send(load(&receiver)).await.unwrap_err().to_string();
        assert!(error.contains("answered AE"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_brake_holds() {
        let receiver = Receiver::start(Protocol::Mllp, 50, Faults::default()).unwrap();
        let sent = send(Load {
            brake: Some(Arc::new(|acknowledged| acknowledged >= 100)),
            ..load(&receiver)
        });
        let all = sent.await.unwrap().all;
        // Each of three senders may have let four go before the hundredth was acknowledged.
        assert!((100..=112).contains(&all), "{all}");
    }
}
