//! What the tests play with: an engine that does as it is told, a raw peer, and a CA.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::mllp::{InboundConfig, Listener};
use wardline_connect::tls::{Identity, Pem};
use wardline_connect::{Counters, Intake, Received, Secret, Verdict};
use wardline_core::{Code, Id, MessageId};
use wardline_hl7::mllp::{Decoder, Event, frame};
use wardline_hl7::{Message, Path};

/// Ends a test that hangs; no test is judged by it.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("the test hangs")
}

/// Waits until something observed becomes true.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

type Judge = dyn Fn(usize, &Received) -> Verdict + Send + Sync;

/// An engine that decides by a closure. Calls wait for `gate` where there is one.
pub(crate) struct Engine {
    judge: Box<Judge>,
    gate: Option<Semaphore>,
    /// Every call, in the order in which the calls began.
    pub(crate) begun: Mutex<Vec<Received>>,
    /// Control ids or bodies whose verdict was acceptance, in order.
    pub(crate) accepted: Mutex<Vec<Bytes>>,
    pub(crate) finished: AtomicUsize,
    pub(crate) most_bytes: AtomicUsize,
    pub(crate) most_calls: AtomicUsize,
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl Engine {
    pub(crate) fn new(
        judge: impl Fn(usize, &Received) -> Verdict + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::build(judge, None))
    }

    /// Every call waits until [`Engine::release`] lets it go on.
    pub(crate) fn gated(
        judge: impl Fn(usize, &Received) -> Verdict + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::build(judge, Some(Semaphore::new(0))))
    }

    fn build(
        judge: impl Fn(usize, &Received) -> Verdict + Send + Sync + 'static,
        gate: Option<Semaphore>,
    ) -> Self {
        Self {
            judge: Box::new(judge),
            gate,
            begun: Mutex::default(),
            accepted: Mutex::default(),
            finished: AtomicUsize::new(0),
            most_bytes: AtomicUsize::new(0),
            most_calls: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn accepting() -> Arc<Self> {
        Self::new(|n, _| accepted(n))
    }

    pub(crate) fn release(&self, calls: usize) {
        self.gate
            .as_ref()
            .expect("only a gated engine is released")
            .add_permits(calls);
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.lock().len()
    }

    pub(crate) fn finished(&self) -> usize {
        self.finished.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted_ids(&self) -> Vec<String> {
        self.accepted
            .lock()
            .iter()
            .map(|body| control_id(body))
            .collect()
    }
}

#[async_trait]
impl Intake for Engine {
    async fn accept(&self, received: Received) -> Verdict {
        let n = {
            let mut begun = self.begun.lock();
            begun.push(received.clone());
            begun.len() - 1
        };
        let calls = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_calls.fetch_max(calls, Ordering::SeqCst);
        let bytes =
            self.bytes.fetch_add(received.body.len(), Ordering::SeqCst) + received.body.len();
        self.most_bytes.fetch_max(bytes, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("never closed").forget();
        }
        let verdict = (self.judge)(n, &received);
        if matches!(verdict, Verdict::Accepted { .. }) {
            self.accepted.lock().push(received.body.clone());
        }
        self.calls.fetch_sub(1, Ordering::SeqCst);
        self.bytes.fetch_sub(received.body.len(), Ordering::SeqCst);
        self.finished.fetch_add(1, Ordering::SeqCst);
        verdict
    }
}

pub(crate) fn id(n: usize) -> MessageId {
    MessageId(Id::from_parts(1_764_000_000_000, 0, n as u16))
}

pub(crate) fn accepted(n: usize) -> Verdict {
    Verdict::Accepted { id: id(n) }
}

pub(crate) fn busy(after: Duration) -> Verdict {
    Verdict::Busy {
        code: Code("W5999"),
        text: "the disk is slow".into(),
        retry_after: after,
    }
}

pub(crate) fn refused(permanent: bool) -> Verdict {
    Verdict::Refused {
        code: Code("W2999"),
        text: "the map does not take it".into(),
        permanent,
    }
}

/// Something that runs until it is stopped, and is waited for.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        soon(self.task).await.expect("the listener panicked");
    }
}

/// A configuration with short limits nowhere: tests shorten what they are about.
pub(crate) fn mllp() -> InboundConfig {
    InboundConfig::new("ehr.adt", "127.0.0.1:0")
}

pub(crate) async fn listen(config: InboundConfig, engine: &Arc<Engine>) -> Running {
    let listener = Listener::bind(config).await.expect("binds");
    let (addr, counters) = (listener.local_addr(), listener.counters());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(listener.run(Arc::clone(engine) as Arc<dyn Intake>, shutdown.clone()));
    Running {
        addr,
        counters,
        shutdown,
        task,
    }
}

pub(crate) fn message(id: &str) -> Bytes {
    message_with(id, "", "")
}

/// A message with MSH-15 and MSH-16 as given.
pub(crate) fn message_with(id: &str, accept: &str, application: &str) -> Bytes {
    Bytes::from(format!(
        "MSH|^~\\&|EHR|NORTH|WL|NORTH|20260101||ADT^A01^ADT_A01|{id}|P|2.5.1|||{accept}|{application}\rPID|1||{id}\r"
    ))
}

pub(crate) fn control_id(message: &[u8]) -> String {
    let message = Message::parse(Bytes::copy_from_slice(message)).expect("HL7");
    message.control_id().unwrap_or_default().into_owned()
}

/// An acknowledgement in short: `AA 7` or `AE 7 W3103`.
pub(crate) fn brief(ack: &Bytes) -> String {
    let message = Message::parse(ack.clone()).expect("an acknowledgement is HL7");
    let field = |path: &str| {
        message
            .value(&Path::parse(path).expect("a path"))
            .unwrap_or_default()
            .into_owned()
    };
    format!("{} {} {}", field("MSA-1"), field("MSA-2"), field("ERR-7"))
        .trim_end()
        .to_owned()
}

/// A raw MLLP peer, either side.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    buffer: BytesMut,
    decoder: Decoder,
}

impl Peer {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            decoder: Decoder::new(1 << 20),
        }
    }

    pub(crate) async fn to(addr: SocketAddr) -> Self {
        Self::over(soon(TcpStream::connect(addr)).await.expect("connects"))
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("writes");
    }

    pub(crate) async fn send(&mut self, payload: &[u8]) {
        self.raw(&frame(payload)).await;
    }

    /// The next frame; `None` when the other side closed.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        soon(async {
            loop {
                match self.decoder.decode(&mut self.buffer) {
                    Some(Event::Frame(bytes)) => return Some(bytes),
                    Some(other) => panic!("not a whole frame: {other:?}"),
                    None => {}
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    pub(crate) async fn brief(&mut self) -> String {
        brief(&self.next().await.expect("an acknowledgement"))
    }

    pub(crate) async fn briefs(&mut self, count: usize) -> Vec<String> {
        let mut briefs = Vec::new();
        for _ in 0..count {
            briefs.push(self.brief().await);
        }
        briefs
    }
}

/// A certificate authority for one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signs").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn pem(&self) -> Pem {
        Pem::Text(Secret::new(self.pem.clone()))
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        let (cert, key) = self.issue_pem(name);
        Identity {
            cert: Pem::Text(Secret::new(cert)),
            key: Pem::Text(Secret::new(key)),
        }
    }

    pub(crate) fn issue_pem(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("valid");
        (
            params.signed_by(&key, &self.issuer).expect("signs").pem(),
            key.serialize_pem(),
        )
    }
}
