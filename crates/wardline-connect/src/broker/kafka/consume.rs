//! Taking records as a member of a consumer group.
//!
//! Everything that waits for a broker is a future of its own that owns its connection and gives
//! it back, so that waiting for the next record can be dropped at any moment. What comes of them
//! is put together here: fetches go on while heartbeats and commits do, and an offset is
//! committed when all before it is on stable storage.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::super::config::{ConsumerConfig, Content, Take};
use super::super::consumer::{Access, Incoming, Subscription};
use super::super::fault::Fault;
use super::super::link::Link;
use super::assigned::Assigned;
use super::cluster::Cluster;
use super::errors;
use super::fetch::{self, Limits, Question, Said, Stretch};
use super::group::{self, Joined, Member, Part, Wish};
use super::node::Node;
use super::records::Opened;
use super::take::{self, Form};
use super::wire::spoken;
use crate::ContentType;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(50);
/// What is taken is committed so often.
const COMMIT: Duration = Duration::from_millis(100);
/// How often it is asked who leads, also where nothing happened.
const LOOK: Duration = Duration::from_secs(60);
/// How long a partition or broker is left alone after something went wrong.
const REST: Duration = Duration::from_millis(250);
/// How long what is in hand may take to be kept when partitions are to be given back.
const GIVE_BACK: Duration = Duration::from_secs(30);
/// How long nothing may be fetched, or the coordinator not be found.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long taking leave may take.
const LEAVE: Duration = Duration::from_secs(5);

/// What came of waiting for a broker.
enum Done {
    Joined(Result<Joined, Fault>),
    Found(Result<Node, Fault>),
    Beaten(Result<(Node, i16), Fault>),
    Committed(Vec<(Part, i64)>, Result<(Node, i16), Fault>),
    Learnt(Result<Cluster, Fault>),
    Fetched(i32, u64, Result<(Node, Vec<Said>), Fault>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No part in the group.
    Out,
    Joining,
    In,
    /// What we have is to be given back, and what of it is in hand is being kept.
    GivingBack(Instant),
}

/// A connection to a broker that leads.
#[derive(Default)]
struct Seat {
    node: Option<Node>,
    busy: bool,
    rests: Option<Instant>,
}

/// A session that consumes.
pub(in crate::broker) struct Consume {
    access: Arc<Access>,
    wish: Arc<Wish>,
    ahead: usize,
    form: Form,
    limits: Limits,
    /// Whether it begins behind the last record where the group has no offset, not with the first.
    latest: bool,
    cluster: Cluster,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    state: State,
    member: Member,
    coordinator: Option<Node>,
    /// Counts assignments: what comes of an earlier one is not for this.
    round: u64,
    parts: BTreeMap<Part, Assigned>,
    seats: HashMap<i32, Seat>,
    /// The batch that is being handed out.
    opened: Option<(Part, Opened)>,
    /// The partition whose turn was last.
    last: Option<Part>,
    in_hand: HashMap<u64, (u64, Part, i64)>,
    next_tag: u64,
    beat: Instant,
    commit: Instant,
    look: Instant,
    looking: bool,
    /// How many partitions were shared out.
    counts: Option<Vec<usize>>,
    /// Since when nothing can be fetched.
    trouble: Option<Instant>,
}

/// What one broker is asked: records from an offset on, and where partitions begin of which none is known.
type Asked = (Vec<(Part, i64)>, Vec<(Part, ())>);

impl Consume {
    pub(in crate::broker) async fn open(
        link: Link,
        access: &Arc<Access>,
        config: &Arc<ConsumerConfig>,
    ) -> Result<Self, Fault> {
        let Take::Kafka {
            topics,
            group,
            latest,
            session,
            whole,
        } = &config.take
        else {
            return Err(spoken("this is no consumer of Kafka"));
        };
        let mut node = Node::open(link, &access.place).await?;
        let cluster = Cluster::ask(&mut node, topics).await?;
        for topic in topics {
            cluster.topic(topic)?;
        }
        let now = Instant::now();
        Ok(Self {
            access: Arc::clone(access),
            wish: Arc::new(Wish {
                group: group.clone(),
                topics: topics.clone(),
                session: *session,
            }),
            ahead: config.ahead,
            form: Form {
                whole: *whole,
                json: config.content == Content::As(ContentType::Json),
                max_size: config.max_size,
            },
            limits: Limits::new(config.max_size),
            latest: *latest,
            cluster,
            work: FuturesUnordered::new(),
            state: State::Out,
            member: Member::default(),
            coordinator: None,
            round: 0,
            parts: BTreeMap::new(),
            seats: HashMap::new(),
            opened: None,
            last: None,
            in_hand: HashMap::new(),
            next_tag: 0,
            beat: now,
            commit: now,
            look: now + LOOK,
            looking: false,
            counts: None,
            trouble: None,
        })
    }

    fn begin(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.work.push(work.boxed());
    }

    /// Begins what is due and not under way.
    fn begin_all(&mut self) {
        let now = Instant::now();
        match self.state {
            State::Joining => return,
            State::Out => return self.join(),
            State::GivingBack(since) => {
                let rests = self
                    .in_hand
                    .values()
                    .any(|(round, ..)| *round == self.round);
                let late = since.elapsed() > GIVE_BACK;
                if self.coordinator.is_some() && (!rests || late) && !self.begin_commit() {
                    self.lose_parts();
                    return self.join();
                }
            }
            State::In => {
                if now >= self.commit {
                    self.begin_commit();
                }
                self.begin_fetches(now);
            }
        }
        if now >= self.beat
            && let Some(mut node) = self.coordinator.take()
        {
            self.beat = now + self.wish.session / 3;
            let (wish, member) = (Arc::clone(&self.wish), self.member.clone());
            self.begin(async move {
                let said = group::beat(&mut node, &wish.group, &member).await;
                Done::Beaten(said.map(|code| (node, code)))
            });
        }
        if now >= self.look && !self.looking {
            self.looking = true;
            let (access, wish) = (Arc::clone(&self.access), Arc::clone(&self.wish));
            self.begin(async move { Done::Learnt(Cluster::ask_any(&access, &wish.topics).await) });
        }
    }

    fn join(&mut self) {
        self.state = State::Joining;
        let (access, wish) = (Arc::clone(&self.access), Arc::clone(&self.wish));
        let (coordinator, id) = (self.coordinator.take(), self.member.id.clone());
        self.begin(async move { Done::Joined(group::join(access, wish, coordinator, id).await) });
    }

    /// Begins to commit what is done, where there is anything and nothing else is said to the
    /// coordinator.
    fn begin_commit(&mut self) -> bool {
        let done =
            |(part, assigned): (&Part, &Assigned)| Some((part.clone(), assigned.to_commit()?));
        let offsets: Vec<(Part, i64)> = self.parts.iter().filter_map(done).collect();
        if offsets.is_empty() {
            return false;
        }
        let Some(mut node) = self.coordinator.take() else {
            return false;
        };
        self.commit = Instant::now() + COMMIT;
        let (wish, member) = (Arc::clone(&self.wish), self.member.clone());
        self.begin(async move {
            let said = group::commit(&mut node, &wish.group, &member, &offsets).await;
            Done::Committed(offsets, said.map(|code| (node, code)))
        });
        true
    }

    /// Asks each broker for what of its partitions there is room for.
    fn begin_fetches(&mut self, now: Instant) {
        let window = self.limits.window;
        let held: usize = self.parts.values().map(Assigned::held).sum();
        let mut asked: BTreeMap<i32, Asked> = BTreeMap::new();
        let mut leaderless = false;
        for (part, assigned) in &mut self.parts {
            if assigned.rests.is_some_and(|until| now < until) {
                continue;
            }
            let room = assigned.held() < window / 2 && held < 4 * window;
            if !room {
                continue;
            }
            let Some(leader) = self.cluster.leader(&part.0, part.1) else {
                leaderless = true;
                continue;
            };
            let of = asked.entry(leader).or_default();
            match assigned.fetch {
                Some(offset) => of.0.push((part.clone(), offset)),
                None => of.1.push((part.clone(), ())),
            }
        }
        if leaderless {
            self.look = self.look.min(now + REST);
        }
        for (broker, (records, ends)) in asked {
            let seat = self.seats.entry(broker).or_default();
            if seat.busy || seat.rests.is_some_and(|until| now < until) {
                continue;
            }
            let Ok(place) = self.cluster.place(broker) else {
                self.look = self.look.min(now + REST);
                continue;
            };
            seat.busy = true;
            let node = seat.node.take();
            let question = if ends.is_empty() {
                Question::Records(records)
            } else {
                Question::Ends(ends, self.latest)
            };
            let (access, round, limits) = (Arc::clone(&self.access), self.round, self.limits);
            self.begin(async move {
                let said = fetch::ask(access, node, place, question, limits).await;
                Done::Fetched(broker, round, said)
            });
        }
    }

    fn done(&mut self, done: Done) -> Result<(), Fault> {
        match done {
            Done::Joined(joined) => self.joined(joined?),
            Done::Found(found) => self.coordinator = Some(found?),
            Done::Beaten(said) => self.heard(said)?,
            Done::Committed(offsets, said) => {
                if matches!(said, Ok((_, errors::NONE))) {
                    for (part, at) in offsets {
                        if let Some(assigned) = self.parts.get_mut(&part) {
                            assigned.committed(at);
                        }
                    }
                } else if matches!(self.state, State::GivingBack(_)) {
                    // It comes again, and is recognised where it comes to us.
                    self.forget_commits();
                }
                self.heard(said)?;
            }
            Done::Learnt(learnt) => self.learnt(learnt)?,
            Done::Fetched(broker, round, said) => self.fetched(broker, round, said)?,
        }
        Ok(())
    }

    fn joined(&mut self, joined: Joined) {
        let own: Vec<String> = joined
            .parts
            .iter()
            .map(|((topic, number), _)| format!("{topic}/{number}"))
            .collect();
        tracing::info!(
            group = self.wish.group,
            generation = joined.member.generation,
            partitions = own.join(" "),
            "took its part of a consumer group"
        );
        self.round += 1;
        self.state = State::In;
        self.member = joined.member;
        self.coordinator = Some(joined.coordinator);
        let parts = joined.parts.into_iter();
        self.parts = parts.map(|(part, at)| (part, Assigned::new(at))).collect();
        let now = Instant::now();
        (self.beat, self.look, self.counts) = (now + self.wish.session / 3, now, None);
    }

    /// Nothing is ours any more, and what is still in hand is not committed by us.
    fn lose_parts(&mut self) {
        self.round += 1;
        self.parts.clear();
        self.opened = None;
        self.state = State::Out;
    }

    fn give_back(&mut self) {
        if self.state == State::In {
            tracing::info!(group = self.wish.group, "a consumer group shares out anew");
            self.state = State::GivingBack(Instant::now());
            self.opened = None;
        }
    }

    /// Commits that failed are not tried again.
    fn forget_commits(&mut self) {
        for assigned in self.parts.values_mut() {
            if let Some(at) = assigned.to_commit() {
                assigned.committed(at);
            }
        }
    }

    /// What the coordinator said to a heartbeat or a commit.
    fn heard(&mut self, said: Result<(Node, i16), Fault>) -> Result<(), Fault> {
        if self.state == State::Joining {
            return Ok(());
        }
        let (node, code) = match said {
            Ok(said) => said,
            Err(Fault::Lost(_)) => {
                self.find();
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        self.coordinator = Some(node);
        match code {
            errors::NONE => {}
            errors::REBALANCING => self.give_back(),
            errors::ILLEGAL_GENERATION => self.lose_parts(),
            errors::UNKNOWN_MEMBER => {
                self.member.id.clear();
                self.lose_parts();
            }
            errors::COORDINATOR_LOADING | errors::NO_COORDINATOR | errors::NOT_COORDINATOR => {
                self.coordinator = None;
                self.find();
            }
            other => return Err(errors::fault(other, "staying in the group")),
        }
        Ok(())
    }

    /// Looks for the coordinator again: we stay who we are as long as it knows us.
    fn find(&mut self) {
        let (access, wish) = (Arc::clone(&self.access), Arc::clone(&self.wish));
        self.begin(async move {
            let found = timeout(PATIENCE, group::find_at_last(&access, &wish.group)).await;
            Done::Found(found.unwrap_or_else(|_| {
                let text = format!("the group's coordinator was not found within {PATIENCE:?}");
                Err(Fault::Lost(text))
            }))
        });
    }

    fn learnt(&mut self, learnt: Result<Cluster, Fault>) -> Result<(), Fault> {
        self.looking = false;
        self.look = Instant::now() + LOOK;
        match learnt {
            Ok(cluster) => self.cluster.learn(cluster),
            Err(fault @ Fault::Credentials(_)) => return Err(fault),
            Err(_) => {
                self.look = Instant::now() + REST;
                self.trouble.get_or_insert_with(Instant::now);
            }
        }
        let topics = self.wish.topics.iter();
        let count = |topic: &String| self.cluster.topic(topic).map_or(0, |one| one.leaders.len());
        let counts: Vec<usize> = topics.map(count).collect();
        let known = self.counts.get_or_insert_with(|| counts.clone());
        let more = counts.iter().zip(known).any(|(now, then)| *now > *then);
        if more && self.member.leads {
            // There are partitions that nobody was given.
            self.give_back();
        }
        Ok(())
    }

    fn fetched(
        &mut self,
        broker: i32,
        round: u64,
        said: Result<(Node, Vec<Said>), Fault>,
    ) -> Result<(), Fault> {
        let now = Instant::now();
        let seat = self.seats.entry(broker).or_default();
        seat.busy = false;
        let (node, said) = match said {
            Ok(said) => said,
            Err(fault @ (Fault::Unreachable(_) | Fault::Lost(_))) => {
                seat.rests = Some(now + REST);
                self.look = self.look.min(now + REST);
                let since = *self.trouble.get_or_insert(now);
                return if since.elapsed() > PATIENCE {
                    Err(fault)
                } else {
                    Ok(())
                };
            }
            Err(fault) => return Err(fault),
        };
        seat.node = Some(node);
        if round != self.round || self.state != State::In {
            return Ok(());
        }
        self.trouble = None;
        for one in said {
            let Some(assigned) = self.parts.get_mut(&one.part) else {
                continue;
            };
            match one.error {
                errors::NONE => {
                    assigned.rests = None;
                    if let Some(at) = one.at.filter(|_| assigned.fetch.is_none()) {
                        assigned.begin(at);
                    }
                    assigned.fill(one.stretches);
                }
                errors::OFFSET_OUT_OF_RANGE => {
                    assigned.rests = Some(now + REST);
                    let opened = self
                        .opened
                        .as_ref()
                        .is_some_and(|(part, _)| *part == one.part);
                    // What was fetched of it before is handed out first.
                    if assigned.is_drained() && !opened {
                        tracing::warn!(
                            topic = &*one.part.0,
                            partition = one.part.1,
                            "the broker does not have the offset where the group stopped any more; goes on where the connection says"
                        );
                        assigned.fetch = None;
                    }
                }
                code if errors::leader_moved(code) => {
                    assigned.rests = Some(now + REST);
                    self.look = self.look.min(now + REST / 2);
                }
                code => {
                    let (topic, number) = &one.part;
                    let on = format!("partition {number} of topic {topic}");
                    return Err(errors::fault(code, &on));
                }
            }
        }
        Ok(())
    }

    /// The next message, where there is one and room for it.
    fn hand_out(&mut self) -> Option<Incoming> {
        if self.state != State::In || self.in_hand.len() >= self.ahead {
            return None;
        }
        loop {
            if let Some((part, mut opened)) = self.opened.take() {
                let Some(assigned) = self.parts.get_mut(&part) else {
                    continue;
                };
                match opened.next() {
                    Ok(Some(record)) if !assigned.wants(record.offset) => {
                        self.opened = Some((part, opened));
                    }
                    Ok(Some(record)) => {
                        assigned.leave_out(record.offset);
                        let end = record.offset + 1;
                        let tag = self.next_tag + 1;
                        let incoming = take::message(&part, record, self.form, tag);
                        self.opened = Some((part.clone(), opened));
                        return Some(self.out(part, end, incoming));
                    }
                    Ok(None) => assigned.leave_out(opened.end()),
                    Err(fault) => {
                        let end = opened.end();
                        return Some(self.unreadable(part, end, fault.to_string()));
                    }
                }
                continue;
            }
            let after = |last: &Part| {
                let bounds = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
                self.parts.range::<Part, _>(bounds)
            };
            let waits = |(_, assigned): &(&Part, &Assigned)| !assigned.is_drained();
            let next = self.last.as_ref().and_then(|last| after(last).find(waits));
            let next = next.or_else(|| self.parts.iter().find(waits));
            let part = next.map(|(part, _)| part.clone())?;
            let assigned = self.parts.get_mut(&part)?;
            self.last = Some(part.clone());
            match assigned.next()? {
                Stretch::Gap(end) => assigned.leave_out(end),
                Stretch::TooLarge(size, base, end) => {
                    assigned.leave_out(base);
                    let incoming = Incoming {
                        oversize: Some(size),
                        ..Incoming::default()
                    };
                    return Some(self.out(part, end, incoming));
                }
                Stretch::Batch(batch) => match batch.open(self.limits.largest) {
                    Ok(opened) => self.opened = Some((part, opened)),
                    Err(why) => {
                        assigned.leave_out(batch.base);
                        return Some(self.unreadable(part, batch.end, why));
                    }
                },
            }
        }
    }

    fn unreadable(&mut self, part: Part, end: i64, why: String) -> Incoming {
        let incoming = Incoming {
            unreadable: Some(why),
            ..Incoming::default()
        };
        self.out(part, end, incoming)
    }

    fn out(&mut self, part: Part, end: i64, mut incoming: Incoming) -> Incoming {
        self.next_tag += 1;
        incoming.tag = self.next_tag;
        let Some(assigned) = self.parts.get_mut(&part) else {
            return incoming;
        };
        let offset = assigned.hand_out(end);
        if let Some(why) = &mut incoming.unreadable {
            let (topic, number) = &part;
            *why = format!(
                "records {offset} to {} of partition {number} of topic {topic}: {why}",
                end - 1
            );
        }
        if incoming.name.is_none() {
            let (topic, number) = &part;
            incoming.name = Some(format!("kafka\0{topic}\0{number}\0{offset}\0to\0{end}"));
        }
        self.in_hand
            .insert(self.next_tag, (self.round, part, offset));
        incoming
    }

    async fn take_leave(&mut self) -> Result<(), Fault> {
        // Nothing new is begun but commits; what is under way brings the coordinator back.
        loop {
            if self.state == State::Joining || self.state == State::Out {
                return Ok(());
            }
            if self.coordinator.is_some() {
                if self.begin_commit() {
                    continue;
                }
                break;
            }
            match self.work.next().await {
                Some(done @ (Done::Beaten(_) | Done::Committed(..) | Done::Found(_))) => {
                    self.done(done)?;
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
        let Some(mut node) = self.coordinator.take() else {
            return Ok(());
        };
        group::leave(&mut node, &self.wish.group, &self.member).await
    }
}

#[async_trait]
impl Subscription for Consume {
    async fn next(&mut self) -> Result<Incoming, Fault> {
        loop {
            if let Some(incoming) = self.hand_out() {
                return Ok(incoming);
            }
            self.begin_all();
            if self.work.is_empty() {
                sleep(TICK).await;
                continue;
            }
            if let Ok(Some(done)) = timeout(TICK, self.work.next()).await {
                self.done(done)?;
            }
        }
    }

    fn taken(&mut self, tag: u64) {
        if let Some((round, part, offset)) = self.in_hand.remove(&tag)
            && round == self.round
            && let Some(assigned) = self.parts.get_mut(&part)
        {
            assigned.taken(offset);
        }
    }

    fn given_back(&mut self, tag: u64) {
        // Its offset is never committed by us, nor any behind it.
        self.in_hand.remove(&tag);
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        // Offsets are committed while it is waited for the next.
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Fault> {
        let left = timeout(LEAVE, self.take_leave()).await;
        left.unwrap_or_else(|_| Err(Fault::Lost(format!("no leave within {LEAVE:?}"))))
    }
}
