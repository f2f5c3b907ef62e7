//! A small web server and a load generator, each on a thread of its own: what stands behind and
//! in front of what is measured. They read as little HTTP as they can and hold what they read
//! against what must come.

use crate::BenchError;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longest time recorded: a minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;
/// How long one answer may take before the bench is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the document that the system answers with: about 1 KB.
const DOCUMENT: usize = 1_023;

/// The document: an item with a text that fills it up.
pub(super) fn document() -> String {
    let head =
        r#"{"item_id":"I-1","name":"Catheter, 14 Fr","status":"active","price":"12.50","note":""#;
    let fill = DOCUMENT - head.len() - 2;
    format!("{head}{}\"}}", "x".repeat(fill))
}

fn failed(what: &'static str) -> impl Fn(String) -> BenchError {
    move |reason| BenchError::Thread { what, reason }
}

/// The system behind.
pub(super) struct System {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl System {
    pub(super) fn start() -> Result<Self, BenchError> {
        let error = failed("system behind");
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| error(e.to_string()))?;
        listener
            .set_nonblocking(true)
            .map_err(|e| error(e.to_string()))?;
        let address = listener.local_addr().map_err(|e| error(e.to_string()))?;
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("bench-system".into())
            .spawn(move || serve(listener, stopped))
            .map_err(|e| error(e.to_string()))?;
        Ok(Self {
            address,
            stop: Some(stop),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.address, "/items/I-1", None)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A thread that has ended needs no telling.
            stop.send(()).unwrap_or_default();
        }
    }
}

fn serve(listener: std::net::TcpListener, stopped: oneshot::Receiver<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async move {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        let body = document();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer: &'static [u8] = Box::leak(answer.into_bytes().into_boxed_slice());
        let accepting = async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_all(stream, answer));
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

/// Answers every request (none has a body) with the same bytes.
async fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = vec![0; 16 * 1_024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        let mut begin = 0;
        while let Some(end) = memchr::memmem::find(&buffer[begin..filled], b"\r\n\r\n") {
            begin += end + 4;
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
        buffer.copy_within(begin..filled, 0);
        filled -= begin;
        if filled == buffer.len() {
            return;
        }
    }
}

/// What is asked, and of whom.
#[derive(Debug, Clone)]
pub(super) struct Target {
    address: SocketAddr,
    request: String,
}

impl Target {
    pub(super) fn new(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let authorization = token
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        Self {
            address,
            request: format!(
                "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n{authorization}\r\n"
            ),
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) target: Target,
    pub(super) connections: usize,
    pub(super) warm_up: Duration,
    pub(super) time: Duration,
    /// Requests a second over all connections; as many as go where absent.
    pub(super) per_s: Option<f64>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) counted: u64,
    elapsed: Duration,
    us: Histogram<u64>,
}

impl Seen {
    pub(super) fn per_s(&self) -> f64 {
        self.counted as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn ms(&self, quantile: f64) -> f64 {
        self.us.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Asks until the time is over.
pub(super) async fn send(load: Load) -> Result<Seen, BenchError> {
    let error = failed("load generator");
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("bench-load".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let seen = runtime
                .map_err(|error| failed("load generator")(error.to_string()))
                .and_then(|runtime| runtime.block_on(all(load)));
            // Nobody listens any more when the bench was given up.
            drop(tell.send(seen));
        })
        .map_err(|e| error(e.to_string()))?;
    told.await.map_err(|_| error("it panicked".into()))?
}

async fn all(load: Load) -> Result<Seen, BenchError> {
    let begin = Instant::now() + load.warm_up;
    let end = begin + load.time;
    let every = load
        .per_s
        .map(|rate| Duration::from_secs_f64(load.connections as f64 / rate.max(1.0)));
    let mut asking = JoinSet::new();
    for number in 0..load.connections {
        // Spread over the interval, so that requests do not come all at once.
        let offset = every.map(|every| every.mul_f64(number as f64 / load.connections as f64));
        let target = load.target.clone();
        asking.spawn(ask(target, begin, end, every, offset.unwrap_or_default()));
    }
    let mut seen = Seen {
        counted: 0,
        elapsed: load.time,
        us: histogram(),
    };
    while let Some(ended) = asking.join_next().await {
        let one = ended.map_err(|error| failed("load generator")(error.to_string()))??;
        seen.counted += one.len();
        if seen.us.add(&one).is_err() {
            return Err(BenchError::Sums {
                what: "times of different histograms".into(),
            });
        }
    }
    Ok(seen)
}

async fn ask(
    target: Target,
    begin: Instant,
    end: Instant,
    every: Option<Duration>,
    offset: Duration,
) -> Result<Histogram<u64>, BenchError> {
    let broken = |reason: String| failed("load generator")(reason);
    let mut stream = TcpStream::connect(target.address)
        .await
        .map_err(|error| broken(format!("cannot connect: {error}")))?;
    stream
        .set_nodelay(true)
        .map_err(|error| broken(error.to_string()))?;
    let mut times = histogram();
    let mut buffer = vec![0; 16 * 1_024];
    let mut due = Instant::now() + offset;
    loop {
        // At a given rate a request that waits for the answer before it counts from when it was
        // due: else a slow answer would hide those behind it. What the timer is late is not the
        // proxy's.
        let began = match every {
            Some(every) => {
                let at = due;
                due += every;
                if at > Instant::now() {
                    tokio::time::sleep_until(at.into()).await;
                    Instant::now()
                } else {
                    at
                }
            }
            None => Instant::now(),
        };
        if began >= end {
            return Ok(times);
        }
        let exchange = async {
            stream.write_all(target.request.as_bytes()).await?;
            read_answer(&mut stream, &mut buffer).await
        };
        let status = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| broken(format!("no answer within {PATIENCE:?}")))?
            .map_err(|error| broken(format!("a connection broke: {error}")))?;
        if status != 200 {
            let what = format!("a request was answered {status} instead of 200");
            return Err(BenchError::Sums { what });
        }
        if began >= begin {
            let us = began.elapsed().as_micros() as u64;
            times.saturating_record(us.clamp(1, LONGEST_US));
        }
    }
}

/// Reads one whole answer and gives its status. Every answer here has its length in the head or
/// is chunked.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<u16> {
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).unwrap_or_default();
    let status = text
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    loop {
        let whole = match length {
            Some(length) => filled >= head + length,
            None => buffer[head..filled].ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return Ok(status);
        }
        if filled == buffer.len() {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3)
        .expect("a minute in microseconds to three digits is within bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_asked_is_answered_and_counted() {
        assert_eq!(document().len(), DOCUMENT);
        let system = System::start().unwrap();
        let load = Load {
            target: system.target(),
            connections: 2,
            warm_up: Duration::from_millis(50),
            time: Duration::from_millis(200),
            per_s: None,
        };
        let all = send(load.clone()).await.unwrap();
        assert!(all.counted > 10, "{}", all.counted);
        let paced = Load {
            per_s: Some(100.0),
            ..load
        };
        let paced = send(paced).await.unwrap();
        assert!((10..=30).contains(&paced.counted), "{}", paced.counted);
    }
}
