//! Taking messages from a broker, whatever it speaks: in order, acknowledged when they are on
//! stable storage and not before, and from where it stopped when the connection is back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt as _};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wardline_core::{Code, Timestamp};

use super::config::{ConsumerConfig, Content, Place, Take};
use super::fault::Fault;
use super::link::Servers;
use super::{amqp, events, kafka, mqtt, nats};
use crate::admission::worth_a_line;
use crate::intake::begin;
use crate::{ConnectError, ContentType, Counters, Intake, Received, Verdict, codes};

/// How long to wait before connecting again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest value of a header that is handed on.
const LONGEST_HEADER: usize = 256;

/// A message as a broker gave it.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// By which it is acknowledged.
    pub(crate) tag: u64,
    /// A name that stays the same when it comes again.
    pub(crate) name: Option<String>,
    pub(crate) content_type: String,
    /// Without the prefix that the protocol gives to attributes of events.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// It was larger than allowed, and thrown away: how large it was.
    pub(crate) oversize: Option<usize>,
    /// It cannot be read: why not, without quoting it.
    pub(crate) unreadable: Option<String>,
}

/// A connection that brings messages.
#[async_trait]
pub(crate) trait Subscription: Send {
    /// Waits for the next message. May be dropped while it waits without losing one.
    async fn next(&mut self) -> Result<Incoming, Fault>;

    /// It is on stable storage.
    fn taken(&mut self, tag: u64);

    /// It was not taken and will not be by this connection.
    fn given_back(&mut self, tag: u64);

    /// Tells the broker what was said by the other two.
    async fn flush(&mut self) -> Result<(), Fault>;

    /// Tells the broker, and takes leave. Nothing is in hand any more.
    async fn close(&mut self) -> Result<(), Fault> {
        self.flush().await
    }
}

/// Where a broker is and what opens its door: what may be made again while messages are taken.
#[derive(Debug)]
pub struct Access {
    pub(crate) place: Place,
    pub(crate) servers: Servers,
}

impl Access {
    /// Checks addresses and builds TLS.
    ///
    /// # Errors
    /// Where an address or a certificate cannot be used.
    pub fn new(place: Place) -> Result<Self, ConnectError> {
        let servers = Servers::new(&place)?;
        Ok(Self { place, servers })
    }
}

/// Takes messages from a broker.
pub struct Consumer {
    config: Arc<ConsumerConfig>,
    access: Arc<ArcSwap<Access>>,
    counters: Arc<Counters>,
}

/// A message that is handed in.
struct Item {
    tag: u64,
    received: Received,
}

/// Messages of one connection that are in hand.
#[derive(Default)]
struct InHand<'a> {
    /// Not offered yet, or to be offered again.
    waiting: VecDeque<Item>,
    /// One was turned away, and nothing is begun behind it.
    halted: bool,
    under_way: FuturesOrdered<BoxFuture<'a, (Item, Verdict)>>,
}

impl InHand<'_> {
    fn len(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }
}

impl Consumer {
    /// Checks addresses and builds TLS; connects when it runs.
    ///
    /// # Errors
    /// Where an address or a certificate cannot be used.
    pub fn new(config: ConsumerConfig) -> Result<Self, ConnectError> {
        Ok(Self {
            access: Arc::new(ArcSwap::from_pointee(Access::new(config.place.clone())?)),
            config: Arc::new(config),
            counters: Arc::default(),
        })
    }

    /// What opens the door. What is put there counts from the next time that it connects.
    pub fn access(&self) -> Arc<ArcSwap<Access>> {
        Arc::clone(&self.access)
    }

    /// What happened so far; stays valid while it runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What it takes, for people.
    pub fn describe(&self) -> String {
        let place = self.config.place.describe();
        format!("{} {place}", self.config.take.describe())
    }

    /// Takes messages until told to stop; what is being handed in then is finished and
    /// acknowledged first.
    pub async fn run(self, intake: Arc<dyn Intake>, stop: CancellationToken) {
        let name = &self.config.place.name;
        let mut pause = FIRST_PAUSE;
        let mut troubles = 0;
        while !stop.is_cancelled() {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = stop.cancelled() => return,
            };
            let before = self.counters.snapshot();
            let ended = match opened {
                Ok(mut subscription) => {
                    tracing::info!(source = %name, "taking from {}", self.describe());
                    self.take(&mut *subscription, &*intake, &stop).await
                }
                Err(fault) => Err(fault),
            };
            let Err(fault) = ended else { return };
            let after = self.counters.snapshot();
            if (before.accepted, before.duplicates) != (after.accepted, after.duplicates) {
                (pause, troubles) = (FIRST_PAUSE, 0);
            }
            troubles += 1;
            if worth_a_line(troubles) {
                tracing::warn!(source = %name, code = %fault.code(), times = troubles, "{}: {fault}", self.describe());
            }
            tokio::select! {
                () = sleep(pause.mul_f64(0.75 + rand::random::<f64>() / 2.0)) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> Result<Box<dyn Subscription>, Fault> {
        let access = self.access.load_full();
        let access = &access;
        let (config, place, servers) = (&self.config, &access.place, &access.servers);
        servers
            .open(config.place.connect_timeout, |link, address| {
                async move {
                    let link = match &config.take {
                        // NATS greets in the clear.
                        Take::Nats { .. } => link,
                        _ => servers.secure(link, address).await?,
                    };
                    let subscription: Box<dyn Subscription> = match &config.take {
                        Take::Nats { .. } => {
                            Box::new(nats::Pull::open(link, address, access, config).await?)
                        }
                        Take::Amqp { .. } => {
                            Box::new(amqp::Consume::open(link, place, config).await?)
                        }
                        Take::Mqtt { .. } => {
                            Box::new(mqtt::Subscriber::open(link, place, config).await?)
                        }
                        Take::Kafka { .. } => {
                            Box::new(kafka::Consume::open(link, access, config).await?)
                        }
                    };
                    Ok(subscription)
                }
                .boxed()
            })
            .await
    }

    /// Takes messages from one connection until it ends or until told to stop.
    async fn take(
        &self,
        subscription: &mut dyn Subscription,
        intake: &dyn Intake,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut hand = InHand::default();
        let ended = self.exchange(subscription, intake, stop, &mut hand).await;
        // What was begun must be allowed to finish. Its acknowledgement is lost with the
        // connection, so it comes again and is recognised.
        while let Some((_, verdict)) = hand.under_way.next().await {
            self.count(&verdict);
        }
        ended
    }

    async fn exchange<'a>(
        &'a self,
        subscription: &mut dyn Subscription,
        intake: &'a dyn Intake,
        stop: &CancellationToken,
        hand: &mut InHand<'a>,
    ) -> Result<(), Fault> {
        let mut later: Option<Instant> = None;
        loop {
            let stopping = stop.is_cancelled();
            while later.is_none()
                && !stopping
                && !hand.halted
                && let Some(item) = hand.waiting.pop_front()
            {
                let (offered, away) =
                    begin(offer(intake, item), |(_, verdict)| verdict.is_away()).await;
                hand.under_way.push_back(offered);
                hand.halted = away;
            }
            if stopping && hand.under_way.is_empty() {
                for item in hand.waiting.drain(..) {
                    subscription.given_back(item.tag);
                }
                return subscription.close().await;
            }
            tokio::select! {
                biased;
                Some(done) = hand.under_way.next(), if !hand.under_way.is_empty() => {
                    let mut done = Some(done);
                    while let Some((item, verdict)) = done {
                        if let Some(pause) = self.judge(subscription, item, verdict, hand).await {
                            later = Some(Instant::now() + pause);
                        }
                        done = hand.under_way.next().now_or_never().flatten();
                    }
                    subscription.flush().await?;
                }
                () = sleep_until(later.unwrap_or_else(Instant::now)), if later.is_some() => later = None,
                () = stop.cancelled(), if !stopping => {}
                next = subscription.next(), if !stopping => {
                    let next = next?;
                    if hand.len() >= self.config.ahead {
                        return Err(Fault::Spoken("it sends more than it was asked for".to_owned()));
                    }
                    hand.waiting.push_back(self.item(next));
                }
            }
        }
    }

    /// What follows from a verdict: an acknowledgement, or when to offer again.
    async fn judge(
        &self,
        subscription: &mut dyn Subscription,
        mut item: Item,
        verdict: Verdict,
        hand: &mut InHand<'_>,
    ) -> Option<Duration> {
        self.count(&verdict);
        let pause = match verdict {
            Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {
                subscription.taken(item.tag);
                return None;
            }
            Verdict::Refused {
                code,
                text,
                permanent: true,
            } if item.received.fault.is_none() => {
                hand.halted = false;
                // Nobody at the other end can be told, so people here are: it becomes a dead
                // delivery, and its neighbours go on.
                item.received.fault = Some((code, text));
                hand.waiting.push_front(item);
                return None;
            }
            Verdict::Refused { code, text, .. } => {
                tracing::warn!(source = %self.config.place.name, %code, text, "a message is not taken; it is offered again");
                Duration::from_secs(1)
            }
            Verdict::Busy { retry_after, .. } => retry_after.min(LONGEST_PAUSE),
        };
        hand.halted = false;
        // What was begun behind it ends first, and keeps its place behind it.
        let mut rest = VecDeque::from([item]);
        while let Some((item, verdict)) = hand.under_way.next().await {
            self.count(&verdict);
            match verdict {
                Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {
                    subscription.taken(item.tag);
                }
                _ => rest.push_back(item),
            }
        }
        rest.append(&mut hand.waiting);
        hand.waiting = rest;
        Some(pause)
    }

    fn count(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted { .. } => self.counters.accepted(1),
            Verdict::Duplicate { .. } => self.counters.duplicates(1),
            Verdict::Refused { .. } => self.counters.refused(1),
            Verdict::Busy { .. } => self.counters.busy(1),
        };
    }

    /// What is handed in for a message.
    fn item(&self, incoming: Incoming) -> Item {
        let mut once = incoming.name;
        let mut fault: Option<(Code, String)> = None;
        let mut body = incoming.body;
        let mut content_type = match &self.config.content {
            Content::As(content_type) => content_type.clone(),
            Content::CloudEvents => ContentType::Json,
        };
        if let Some(size) = incoming.oversize {
            self.counters.too_large(1);
            let most = self.config.max_size;
            let text =
                format!("it has {size} bytes, and messages of this connection at most {most}");
            body = Bytes::from(text.clone());
            fault = Some((codes::BROKER_TOO_LARGE, text));
        } else if let Some(why) = incoming.unreadable {
            body = Bytes::from(why.clone());
            fault = Some((codes::BROKER_UNREADABLE, why));
        } else if self.config.content == Content::CloudEvents {
            match events::unwrap(&incoming.content_type, &incoming.attributes, &body) {
                Ok((name, event)) => {
                    once = Some(format!("event\0{name}"));
                    body = event;
                }
                Err(why) => {
                    fault = Some((
                        codes::NOT_AN_EVENT,
                        format!(
                            "{why}; the broker gave it content type, attributes or data that make no CloudEvent"
                        ),
                    ));
                }
            }
        }
        if fault.is_some() {
            content_type = ContentType::Binary;
        }
        let received = Received {
            source: Arc::clone(&self.config.place.name),
            content_type,
            body,
            received: Timestamp::now(),
            peer: None,
            headers: selected(incoming.headers),
            answer: Bytes::new(),
            once,
            fault,
        };
        Item {
            tag: incoming.tag,
            received,
        }
    }
}

/// A future of the intake must be allowed to finish, so every one that is begun is waited for.
fn offer(intake: &dyn Intake, item: Item) -> BoxFuture<'_, (Item, Verdict)> {
    async move {
        let verdict = intake.accept(item.received.clone()).await;
        (item, verdict)
    }
    .boxed()
}

/// Headers that mean something to the engine.
fn selected(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let known = ["traceparent", "x-correlation-id"];
    let usable = |value: &str| {
        (1..=LONGEST_HEADER).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
    };
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, value)| known.contains(&name.as_str()) && usable(value))
        .collect()
}
