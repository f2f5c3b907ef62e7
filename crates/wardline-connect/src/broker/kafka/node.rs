//! A connection to one broker of a cluster: one question at a time, each with its answer.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::time::{Instant, timeout};

use super::super::config::Place;
use super::super::consumer::Access;
use super::super::fault::Fault;
use super::super::link::Link;
use super::errors;
use super::sasl;
use super::wire::{Reader, put_text, spoken};

/// What can be asked, in the one version that is spoken here: brokers from 2.1 on know them all,
/// those of 4 as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api {
    key: i16,
    version: i16,
    name: &'static str,
}

const fn api(key: i16, version: i16, name: &'static str) -> Api {
    Api { key, version, name }
}

pub(super) const PRODUCE: Api = api(0, 7, "Produce");
pub(super) const FETCH: Api = api(1, 10, "Fetch");
pub(super) const LIST_OFFSETS: Api = api(2, 2, "ListOffsets");
pub(super) const METADATA: Api = api(3, 4, "Metadata");
pub(super) const OFFSET_COMMIT: Api = api(8, 5, "OffsetCommit");
pub(super) const OFFSET_FETCH: Api = api(9, 3, "OffsetFetch");
pub(super) const FIND_COORDINATOR: Api = api(10, 1, "FindCoordinator");
pub(super) const JOIN_GROUP: Api = api(11, 4, "JoinGroup");
pub(super) const HEARTBEAT: Api = api(12, 1, "Heartbeat");
pub(super) const LEAVE_GROUP: Api = api(13, 1, "LeaveGroup");
pub(super) const SYNC_GROUP: Api = api(14, 1, "SyncGroup");
pub(super) const SASL_HANDSHAKE: Api = api(17, 1, "SaslHandshake");
const API_VERSIONS: Api = api(18, 0, "ApiVersions");
pub(super) const INIT_PRODUCER: Api = api(22, 1, "InitProducerId");
pub(super) const SASL_AUTHENTICATE: Api = api(36, 1, "SaslAuthenticate");

/// The largest answer to anything but a fetch.
const MOST: usize = 4 << 20;
/// What is kept of an answer that is larger than allowed.
const BEGINNING: usize = 64 << 10;
/// How we call ourselves.
const CLIENT: &str = "wardline";
/// How long an answer may take where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer to a question.
pub(super) struct Answer {
    pub(super) reader: Reader,
    /// It was larger than allowed, and only its beginning is there: how large it was.
    pub(super) cut: Option<usize>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Node {
    link: Link,
    asked: i32,
    /// Key, first and last version of what it knows.
    known: Vec<(i16, i16, i16)>,
    /// When who we are has to be proved again; it is done by connecting again.
    until: Option<Instant>,
}

impl Node {
    /// Greets, and proves who we are.
    pub(super) async fn open(link: Link, place: &Place) -> Result<Self, Fault> {
        let mut node = Self {
            link,
            asked: 0,
            known: vec![(API_VERSIONS.key, 0, 0)],
            until: None,
        };
        let mut answer = node.ask(API_VERSIONS, |_| {}).await?;
        let error = answer.i16()?;
        if error != errors::NONE {
            return Err(errors::fault(error, "ApiVersions"));
        }
        node.known = answer.list(|one| Ok((one.i16()?, one.i16()?, one.i16()?)))?;
        if let Some((user, password)) = place.user_and_password() {
            let lasts = sasl::login(&mut node, place.sasl, user, password).await?;
            node.until = lasts.map(|lasts| Instant::now() + lasts);
        }
        Ok(node)
    }

    /// Connects to a broker that the cluster names.
    pub(super) async fn connect(access: &Access, host: &str, port: u16) -> Result<Self, Fault> {
        let limit = access.place.connect_timeout;
        let opening = async {
            let link = access.servers.follow(&access.place, host, port).await?;
            Self::open(link, &access.place).await
        };
        timeout(limit, opening).await.unwrap_or_else(|_| {
            let text = format!("nothing came of it within {limit:?}");
            Err(Fault::Unreachable(text))
        })
    }

    /// Whether it is still taken that we are who we said.
    pub(super) fn is_current(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether nothing was heard that nobody asked for, such as its end.
    pub(super) fn is_well(&mut self) -> bool {
        use futures::FutureExt as _;
        self.is_current() && self.link.input.is_empty() && self.link.fill().now_or_never().is_none()
    }

    /// Asks and waits for the answer.
    pub(super) async fn ask(
        &mut self,
        what: Api,
        put: impl FnOnce(&mut BytesMut),
    ) -> Result<Reader, Fault> {
        let answer = self.ask_within(what, MOST, PATIENCE, put).await?;
        match answer.cut {
            None => Ok(answer.reader),
            Some(_) => Err(spoken("an answer larger than any should be")),
        }
    }

    /// Asks and waits for the answer, for so long and of at most so many bytes. Must not be asked
    /// again after an error, or when it was dropped while it waited.
    pub(super) async fn ask_within(
        &mut self,
        what: Api,
        most: usize,
        patience: Duration,
        put: impl FnOnce(&mut BytesMut),
    ) -> Result<Answer, Fault> {
        let known = self.known.iter().find(|(key, _, _)| *key == what.key);
        if !known.is_some_and(|(_, first, last)| (*first..=*last).contains(&what.version)) {
            return Err(Fault::Spoken(format!(
                "it does not know {} in version {}: it is older than Kafka 2.1, or no Kafka",
                what.name, what.version
            )));
        }
        self.asked = self.asked.wrapping_add(1);
        let out = &mut self.link.output;
        let begin = out.len();
        out.put_i32(0);
        out.put_i16(what.key);
        out.put_i16(what.version);
        out.put_i32(self.asked);
        put_text(out, CLIENT);
        put(out);
        let size = (out.len() - begin - 4) as i32;
        out[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
        let exchange = async {
            self.link.flush().await?;
            self.answer(most).await
        };
        let mut answer = timeout(patience, exchange).await.unwrap_or_else(|_| {
            let text = format!("no answer to {} within {patience:?}", what.name);
            Err(Fault::Lost(text))
        })?;
        if answer.reader.i32()? != self.asked {
            return Err(spoken("an answer to something else"));
        }
        Ok(answer)
    }

    async fn answer(&mut self, most: usize) -> Result<Answer, Fault> {
        while self.link.input.len() < 4 {
            self.link.fill().await?;
        }
        let size = self.link.input.get_i32();
        let size = usize::try_from(size).map_err(|_| spoken("an answer of negative length"))?;
        let kept = if size > most { BEGINNING } else { size };
        while self.link.input.len() < kept {
            let missing = kept - self.link.input.len();
            self.link.input.reserve(missing.min(1 << 20));
            self.link.fill().await?;
        }
        let reader = Reader(self.link.input.split_to(kept).freeze());
        let mut rest = size - kept;
        while rest > 0 {
            if self.link.input.is_empty() {
                self.link.fill().await?;
            }
            let now = rest.min(self.link.input.len());
            self.link.input.advance(now);
            rest -= now;
        }
        Ok(Answer {
            reader,
            cut: (size > most).then_some(size),
        })
    }
}
