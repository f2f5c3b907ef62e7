//! A consumer group: who takes which partitions. The old way of sharing, which every broker
//! knows: all give back what they have, one of them shares out anew (`range`, as Java's clients
//! do by default), and each learns its part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::{Instant, sleep};

use super::super::consumer::Access;
use super::super::fault::Fault;
use super::cluster::{self, Cluster};
use super::errors;
use super::node::{
    FIND_COORDINATOR, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, Node, OFFSET_COMMIT, OFFSET_FETCH,
    SYNC_GROUP,
};
use super::wire::{Reader, put_bytes, put_list, put_no_text, put_text, spoken};

/// How the parts are shared out.
const RANGE: &str = "range";
/// How long others may take to give back what they have.
pub(super) const REBALANCE: Duration = Duration::from_secs(60);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long joining may take altogether.
const PATIENCE: Duration = Duration::from_secs(150);

/// A partition by name.
pub(super) type Part = (Arc<str>, i32);

/// What a group is joined with.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    /// After how long without a word of us the group goes on without us.
    pub(super) session: Duration,
}

/// Who we are in a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) generation: i32,
    /// Whether it is we who share out.
    pub(super) leads: bool,
}

/// What joining gives.
pub(super) struct Joined {
    pub(super) coordinator: Node,
    pub(super) member: Member,
    /// Our partitions, and where each goes on, where that is known.
    pub(super) parts: Vec<(Part, Option<i64>)>,
}

/// Joins, shares out where it is we who do, and asks where to go on.
pub(super) async fn join(
    access: Arc<Access>,
    wish: Arc<Wish>,
    mut coordinator: Option<Node>,
    mut id: String,
) -> Result<Joined, Fault> {
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < PATIENCE {
        let mut node = match coordinator.take() {
            Some(node) => node,
            None => match find(&access, &wish.group).await? {
                Ok(node) => node,
                Err(code) => {
                    last = errors::fault(code, "finding the group's coordinator").to_string();
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let (code, member, members) = ask_to_join(&mut node, &wish, &id).await?;
        match code {
            errors::NONE => {}
            errors::MEMBER_ID_REQUIRED => {
                (id, coordinator) = (member.id, Some(node));
                continue;
            }
            errors::UNKNOWN_MEMBER => {
                id.clear();
                coordinator = Some(node);
                continue;
            }
            _ => {
                last = retry(code, "joining the group")?.to_string();
                if code == errors::REBALANCING {
                    coordinator = Some(node);
                }
                sleep(PAUSE).await;
                continue;
            }
        }
        id.clone_from(&member.id);
        let shares = if member.leads {
            share_out(&access, &members).await?
        } else {
            BTreeMap::new()
        };
        let (code, ours) = sync(&mut node, &wish.group, &member, &shares).await?;
        match code {
            errors::NONE => {}
            errors::REBALANCING => {
                coordinator = Some(node);
                continue;
            }
            errors::UNKNOWN_MEMBER | errors::ILLEGAL_GENERATION => {
                id.clear();
                coordinator = Some(node);
                continue;
            }
            _ => {
                last = retry(code, "learning our part of the group")?.to_string();
                sleep(PAUSE).await;
                continue;
            }
        }
        let parts = offsets(&mut node, &wish.group, ours).await?;
        return Ok(Joined {
            coordinator: node,
            member,
            parts,
        });
    }
    Err(Fault::Lost(format!(
        "the group took no shape within {PATIENCE:?}: {last}"
    )))
}

/// Whether it is worth asking again; else what is wrong.
fn retry(code: i16, on: &str) -> Result<Fault, Fault> {
    let fault = errors::fault(code, on);
    match code {
        errors::COORDINATOR_LOADING
        | errors::NO_COORDINATOR
        | errors::NOT_COORDINATOR
        | errors::REBALANCING => Ok(fault),
        errors::INCONSISTENT_PROTOCOL => Err(Fault::Refused(format!(
            "{fault}: others in the group share partitions in another way than `{RANGE}`"
        ))),
        _ => Err(fault),
    }
}

/// Connects to the group's coordinator, or says why there is none yet.
async fn find(access: &Arc<Access>, group: &str) -> Result<Result<Node, i16>, Fault> {
    let mut node = cluster::any(access).await?;
    let mut answer = node
        .ask(FIND_COORDINATOR, |out| {
            put_text(out, group);
            out.put_u8(0);
        })
        .await?;
    let _throttled = answer.i32()?;
    let error = answer.i16()?;
    let _text = answer.text_if_any()?;
    match error {
        errors::NONE => {}
        errors::COORDINATOR_LOADING | errors::NO_COORDINATOR => return Ok(Err(error)),
        _ => return Err(errors::fault(error, "finding the group's coordinator")),
    }
    let (_number, host, port) = (answer.i32()?, answer.text()?, answer.i32()?);
    let port = u16::try_from(port).map_err(|_| spoken("a coordinator at no port"))?;
    match Node::connect(access, &host, port).await {
        Ok(node) => Ok(Ok(node)),
        // It may be gone, which the others learn in a moment.
        Err(Fault::Unreachable(_)) => Ok(Err(errors::NO_COORDINATOR)),
        Err(fault) => Err(fault),
    }
}

/// Connects to the group's coordinator, however long it takes until there is one.
pub(super) async fn find_at_last(access: &Arc<Access>, group: &str) -> Result<Node, Fault> {
    loop {
        match find(access, group).await {
            Ok(Ok(node)) => return Ok(node),
            Ok(Err(_)) | Err(Fault::Unreachable(_) | Fault::Lost(_)) => sleep(PAUSE).await,
            Err(fault) => return Err(fault),
        }
    }
}

/// A member and the topics that it wants.
type Wanting = (String, Vec<String>);

async fn ask_to_join(
    node: &mut Node,
    wish: &Wish,
    id: &str,
) -> Result<(i16, Member, Vec<Wanting>), Fault> {
    let mut wanted = BytesMut::new();
    wanted.put_i16(0);
    put_list(&mut wanted, wish.topics.iter(), |out, topic| {
        put_text(out, topic);
    });
    wanted.put_i32(-1);
    let millis = |limit: Duration| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    let patience = REBALANCE + wish.session + Duration::from_secs(10);
    let answer = node
        .ask_within(JOIN_GROUP, 16 << 20, patience, |out| {
            put_text(out, &wish.group);
            out.put_i32(millis(wish.session));
            out.put_i32(millis(REBALANCE));
            put_text(out, id);
            put_text(out, "consumer");
            put_list(out, std::iter::once(RANGE), |out, name| {
                put_text(out, name);
                put_bytes(out, &wanted);
            });
        })
        .await?;
    if answer.cut.is_some() {
        return Err(spoken("a group larger than any should be"));
    }
    let mut answer = answer.reader;
    let _throttled = answer.i32()?;
    let (error, generation) = (answer.i16()?, answer.i32()?);
    let _protocol = answer.text_if_any()?;
    let leader = answer.text_if_any()?.unwrap_or_default();
    let id = answer.text_if_any()?.unwrap_or_default();
    let members = answer.list(|one| {
        let id = one.text()?;
        let mut wanted = Reader(one.bytes()?);
        let _version = wanted.i16()?;
        Ok((id, wanted.list(Reader::text)?))
    })?;
    let leads = error == errors::NONE && id == leader;
    let member = Member {
        id,
        generation,
        leads,
    };
    Ok((error, member, members))
}

/// What each member gets.
type Shares = BTreeMap<String, BTreeMap<String, Vec<i32>>>;

async fn share_out(access: &Arc<Access>, members: &[Wanting]) -> Result<Shares, Fault> {
    let topics: BTreeSet<&String> = members.iter().flat_map(|(_, topics)| topics).collect();
    let topics: Vec<String> = topics.into_iter().cloned().collect();
    let cluster = Cluster::ask_any(access, &topics).await?;
    let counts = topics.iter().filter_map(|topic| {
        let leaders = &cluster.topic(topic).ok()?.leaders;
        Some((topic.clone(), leaders.keys().copied().collect()))
    });
    Ok(range(members, counts.collect()))
}

/// Of each topic the members, in the order of their ids, get runs of partitions of equal length,
/// the first ones one more where it does not come out even.
fn range(members: &[Wanting], topics: BTreeMap<String, Vec<i32>>) -> Shares {
    let mut shares: Shares = members
        .iter()
        .map(|(id, _)| (id.clone(), BTreeMap::new()))
        .collect();
    for (topic, partitions) in topics {
        let wanting = members.iter().filter(|(_, wanted)| wanted.contains(&topic));
        let wanting: BTreeSet<&String> = wanting.map(|(id, _)| id).collect();
        if wanting.is_empty() {
            continue;
        }
        let (each, more) = (
            partitions.len() / wanting.len(),
            partitions.len() % wanting.len(),
        );
        let mut rest = &partitions[..];
        for (place, id) in wanting.into_iter().enumerate() {
            let (now, after) = rest.split_at(each + usize::from(place < more));
            rest = after;
            if let Some(share) = shares.get_mut(id)
                && !now.is_empty()
            {
                share.insert(topic.clone(), now.to_vec());
            }
        }
    }
    shares
}

async fn sync(
    node: &mut Node,
    group: &str,
    member: &Member,
    shares: &Shares,
) -> Result<(i16, Vec<Part>), Fault> {
    let answer = node
        .ask_within(SYNC_GROUP, 16 << 20, REBALANCE, |out| {
            put_text(out, group);
            out.put_i32(member.generation);
            put_text(out, &member.id);
            put_list(out, shares.iter(), |out, (id, share)| {
                put_text(out, id);
                put_bytes(out, &assignment(share));
            });
        })
        .await?;
    if answer.cut.is_some() {
        return Err(spoken("a part larger than any should be"));
    }
    let mut answer = answer.reader;
    let _throttled = answer.i32()?;
    let (error, ours) = (answer.i16()?, answer.bytes()?);
    Ok((error, read_assignment(ours)?))
}

fn assignment(share: &BTreeMap<String, Vec<i32>>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_list(&mut out, share.iter(), |out, (topic, partitions)| {
        put_text(out, topic);
        put_list(out, partitions.iter(), |out, number| out.put_i32(*number));
    });
    out.put_i32(-1);
    out.freeze()
}

fn read_assignment(ours: Bytes) -> Result<Vec<Part>, Fault> {
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader(ours);
    let _version = reader.i16()?;
    let topics = reader.list(|one| Ok((one.text()?, one.list(Reader::i32)?)))?;
    let parts = topics.into_iter().flat_map(|(topic, partitions)| {
        let topic: Arc<str> = topic.into();
        let numbers = partitions.into_iter();
        numbers.map(move |number| (Arc::clone(&topic), number))
    });
    Ok(parts.collect())
}

/// Partitions under their topics, as most questions want them.
pub(super) fn by_topic<T: Copy>(
    parts: impl IntoIterator<Item = (Part, T)>,
) -> BTreeMap<Arc<str>, Vec<(i32, T)>> {
    let mut all: BTreeMap<Arc<str>, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, number), value) in parts {
        all.entry(topic).or_default().push((number, value));
    }
    all
}

/// Where the group stopped.
async fn offsets(
    node: &mut Node,
    group: &str,
    ours: Vec<Part>,
) -> Result<Vec<(Part, Option<i64>)>, Fault> {
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let began = Instant::now();
    loop {
        let asked = by_topic(ours.iter().cloned().map(|part| (part, ())));
        let mut answer = node
            .ask(OFFSET_FETCH, |out| {
                put_text(out, group);
                put_list(out, asked.iter(), |out, (topic, partitions)| {
                    put_text(out, topic);
                    put_list(out, partitions.iter(), |out, (number, ())| {
                        out.put_i32(*number);
                    });
                });
            })
            .await?;
        let _throttled = answer.i32()?;
        let mut worst = errors::NONE;
        let topics = answer.list(|one| {
            let topic = one.text()?;
            let partitions = one.list(|one| {
                let (number, offset) = (one.i32()?, one.i64()?);
                let _text = one.text_if_any()?;
                let error = one.i16()?;
                if error != errors::NONE {
                    worst = error;
                }
                Ok((number, offset))
            })?;
            Ok((topic, partitions))
        })?;
        let error = answer.i16()?;
        match if error == errors::NONE { worst } else { error } {
            errors::NONE => {
                let known: BTreeMap<(String, i32), i64> = topics
                    .into_iter()
                    .flat_map(|(topic, all)| {
                        let all = all.into_iter();
                        all.map(move |(number, offset)| ((topic.clone(), number), offset))
                    })
                    .collect();
                let at = |part: &Part| {
                    let offset = known.get(&(part.0.to_string(), part.1)).copied();
                    offset.filter(|offset| *offset >= 0)
                };
                return Ok(ours
                    .into_iter()
                    .map(|part| (part.clone(), at(&part)))
                    .collect());
            }
            // 88: a transaction that writes offsets has not ended.
            errors::COORDINATOR_LOADING | 88 if began.elapsed() < REBALANCE / 2 => {
                sleep(PAUSE).await;
            }
            other => return Err(errors::fault(other, "asking where the group stopped")),
        }
    }
}

/// Says that we are there. Gives the coordinator's word on it.
pub(super) async fn beat(node: &mut Node, group: &str, member: &Member) -> Result<i16, Fault> {
    let mut answer = node
        .ask(HEARTBEAT, |out| {
            put_text(out, group);
            out.put_i32(member.generation);
            put_text(out, &member.id);
        })
        .await?;
    let _throttled = answer.i32()?;
    answer.i16()
}

/// Says up to where all is on stable storage. Gives the worst that the coordinator says.
pub(super) async fn commit(
    node: &mut Node,
    group: &str,
    member: &Member,
    offsets: &[(Part, i64)],
) -> Result<i16, Fault> {
    let offsets = by_topic(offsets.iter().cloned());
    let mut answer = node
        .ask(OFFSET_COMMIT, |out| {
            put_text(out, group);
            out.put_i32(member.generation);
            put_text(out, &member.id);
            put_list(out, offsets.iter(), |out, (topic, partitions)| {
                put_text(out, topic);
                put_list(out, partitions.iter(), |out, (number, offset)| {
                    out.put_i32(*number);
                    out.put_i64(*offset);
                    put_no_text(out);
                });
            });
        })
        .await?;
    let _throttled = answer.i32()?;
    let mut worst = errors::NONE;
    answer.list(|one| {
        one.text()?;
        one.list(|one| {
            let (_number, error) = (one.i32()?, one.i16()?);
            if error != errors::NONE {
                worst = error;
            }
            Ok(())
        })
    })?;
    Ok(worst)
}

/// Takes leave, so that others need not wait for us.
pub(super) async fn leave(node: &mut Node, group: &str, member: &Member) -> Result<(), Fault> {
    node.ask(LEAVE_GROUP, |out| {
        put_text(out, group);
        put_text(out, &member.id);
    })
    .await
    .map(drop)
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(bytes: bytes::Bytes) {
    let _assigned = read_assignment(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Wanting {
        (
            id.to_owned(),
            topics.iter().map(|one| (*one).to_owned()).collect(),
        )
    }

    #[test]
    fn partitions_are_shared_out_as_java_does() {
        let members = [
            member("b", &["orders", "bills"]),
            member("a", &["orders"]),
            member("c", &[]),
        ];
        let topics = BTreeMap::from([
            ("orders".to_owned(), vec![0, 1, 2]),
            ("bills".to_owned(), vec![0]),
            ("others".to_owned(), vec![0, 1]),
        ]);
        let shares = range(&members, topics);
        assert_eq!(
            shares["a"],
            BTreeMap::from([("orders".to_owned(), vec![0, 1])])
        );
        assert_eq!(
            shares["b"],
            BTreeMap::from([
                ("bills".to_owned(), vec![0]),
                ("orders".to_owned(), vec![2])
            ])
        );
        assert!(shares["c"].is_empty());
    }

    #[test]
    fn a_part_is_read_as_it_was_written() {
        let share = BTreeMap::from([("orders".to_owned(), vec![0, 3])]);
        let written = assignment(&share);
        let read = read_assignment(written.clone()).unwrap();
        assert_eq!(read, [("orders".into(), 0), ("orders".into(), 3)]);
        assert!(read_assignment(Bytes::new()).unwrap().is_empty());
        for end in 1..written.len() - 4 {
            assert!(read_assignment(written.slice(..end)).is_err());
        }
    }
}
