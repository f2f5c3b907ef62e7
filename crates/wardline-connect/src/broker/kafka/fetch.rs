//! Asking who leads some partitions for their records, or where they begin and end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes};

use super::super::consumer::Access;
use super::super::fault::Fault;
use super::errors;
use super::group::{Part, by_topic};
use super::node::{FETCH, LIST_OFFSETS, Node};
use super::records::{self, Batch};
use super::wire::{Reader, put_list, put_text, spoken};

/// How long a broker waits for something to come before it answers that nothing did.
const WAIT: Duration = Duration::from_millis(500);
/// How long its answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is asked for, and how much is borne.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one partition; a batch that is larger comes all the same.
    pub(super) window: usize,
    /// The largest batch that is read, packed or not.
    pub(super) largest: usize,
}

impl Limits {
    pub(super) fn new(max_size: usize) -> Self {
        let window = max_size.saturating_add(64 << 10).clamp(1 << 20, 512 << 20);
        Self {
            window,
            largest: (2 * window).max(16 << 20),
        }
    }
}

/// What is asked of one broker.
pub(super) enum Question {
    /// Records from these offsets on.
    Records(Vec<(Part, i64)>),
    /// The first offsets, or those behind the last.
    Ends(Vec<(Part, ())>, bool),
}

/// A stretch of a partition, in order.
#[derive(Debug)]
pub(super) enum Stretch {
    /// Records.
    Batch(Batch),
    /// Nothing for us up to here: how transactions ended, and what was given up.
    Gap(i64),
    /// A batch that is too large: its size, its first offset, and the offset behind its last.
    TooLarge(usize, i64, i64),
}

/// What a broker says of a partition.
pub(super) struct Said {
    pub(super) part: Part,
    pub(super) error: i16,
    /// Where an end was asked for.
    pub(super) at: Option<i64>,
    pub(super) stretches: VecDeque<Stretch>,
}

/// Asks a broker, over a connection that is there or a new one.
pub(super) async fn ask(
    access: Arc<Access>,
    node: Option<Node>,
    (host, port): (String, u16),
    question: Question,
    limits: Limits,
) -> Result<(Node, Vec<Said>), Fault> {
    let mut node = match node {
        Some(node) if node.is_current() => node,
        _ => Node::connect(&access, &host, port).await?,
    };
    let said = match question {
        Question::Records(parts) => records(&mut node, &parts, limits).await?,
        Question::Ends(parts, last) => ends(&mut node, &parts, last).await?,
    };
    Ok((node, said))
}

async fn ends(node: &mut Node, parts: &[(Part, ())], last: bool) -> Result<Vec<Said>, Fault> {
    let asked = by_topic(parts.iter().cloned());
    let mut answer = node
        .ask(LIST_OFFSETS, |out| {
            out.put_i32(-1);
            out.put_u8(1);
            put_list(out, asked.iter(), |out, (topic, numbers)| {
                put_text(out, topic);
                put_list(out, numbers.iter(), |out, (number, ())| {
                    out.put_i32(*number);
                    out.put_i64(if last { -1 } else { -2 });
                });
            });
        })
        .await?;
    let _throttled = answer.i32()?;
    let topics = answer.list(|one| {
        let topic: Arc<str> = one.text()?.into();
        one.list(|one| {
            let (number, error) = (one.i32()?, one.i16()?);
            let (_time, offset) = (one.i64()?, one.i64()?);
            Ok(Said {
                part: (Arc::clone(&topic), number),
                error,
                at: (error == errors::NONE && offset >= 0).then_some(offset),
                stretches: VecDeque::new(),
            })
        })
    })?;
    Ok(topics.into_iter().flatten().collect())
}

async fn records(
    node: &mut Node,
    parts: &[(Part, i64)],
    limits: Limits,
) -> Result<Vec<Said>, Fault> {
    let asked = by_topic(parts.iter().cloned());
    let bytes = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
    let most = limits.largest + (1 << 20);
    let answer = node
        .ask_within(FETCH, most, PATIENCE, |out| {
            out.put_i32(-1);
            out.put_i32(WAIT.as_millis() as i32);
            out.put_i32(1);
            out.put_i32(bytes(2 * limits.window));
            // Only what is committed of transactions; no session.
            out.put_u8(1);
            out.put_i32(0);
            out.put_i32(-1);
            put_list(out, asked.iter(), |out, (topic, numbers)| {
                put_text(out, topic);
                put_list(out, numbers.iter(), |out, (number, offset)| {
                    out.put_i32(*number);
                    out.put_i32(-1);
                    out.put_i64(*offset);
                    out.put_i64(-1);
                    out.put_i32(bytes(limits.window));
                });
            });
            out.put_i32(0);
        })
        .await?;
    read(answer.reader, answer.cut, limits.window)
}

/// Reads what a fetch gave. Where it was cut, what came before the cut counts, and what was cut is a batch
/// that is too large.
fn read(mut answer: Reader, cut: Option<usize>, window: usize) -> Result<Vec<Said>, Fault> {
    let _throttled = answer.i32()?;
    let error = answer.i16()?;
    if error != errors::NONE {
        return Err(errors::fault(error, "fetching"));
    }
    let _session = answer.i32()?;
    let mut all = Vec::new();
    let mut over = false;
    let read = answer.list(|one| {
        let topic: Arc<str> = one.text()?.into();
        one.list(|one| {
            let (number, error) = (one.i32()?, one.i16()?);
            let _ends = (one.i64()?, one.i64()?, one.i64()?);
            let aborted = one.list(|one| Ok((one.i64()?, one.i64()?)))?;
            let size = one.i32()?;
            let size = usize::try_from(size).unwrap_or_default();
            let stretches = match cut {
                Some(_) if size > one.0.len() => {
                    let large = too_large(&one.0, size, window)?;
                    over = true;
                    VecDeque::from([large])
                }
                _ => stretches(one.take(size)?, &aborted)?,
            };
            all.push(Said {
                part: (Arc::clone(&topic), number),
                error,
                at: None,
                stretches,
            });
            if over { Err(spoken("cut")) } else { Ok(()) }
        })
    });
    match read {
        Err(_) if over => {}
        other => drop(other?),
    }
    Ok(all)
}

fn too_large(beginning: &[u8], size: usize, window: usize) -> Result<Stretch, Fault> {
    let odd = || spoken("more records than were asked for");
    let (base, end) = records::span(beginning).ok_or_else(odd)?;
    let length = beginning.get(8..12).and_then(|four| four.try_into().ok());
    let length = usize::try_from(i32::from_be_bytes(length.ok_or_else(odd)?)).unwrap_or_default();
    if length <= window || length > size {
        return Err(odd());
    }
    Ok(Stretch::TooLarge(length + 12, base, end))
}

/// Cuts what came into batches, without those of transactions that were given up.
fn stretches(mut set: Bytes, aborted: &[(i64, i64)]) -> Result<VecDeque<Stretch>, Fault> {
    let mut all = VecDeque::new();
    let mut to_come = aborted.to_vec();
    to_come.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
    // Producers whose present transaction was given up.
    let mut given_up = std::collections::BTreeSet::new();
    while let Some(batch) = records::next(&mut set)? {
        while let Some((producer, _)) = to_come.pop_if(|(_, first)| *first < batch.end) {
            given_up.insert(producer);
        }
        if batch.is_control() {
            if batch.is_abort() {
                given_up.remove(&batch.producer);
            }
            all.push_back(Stretch::Gap(batch.end));
        } else if batch.is_transactional() && given_up.contains(&batch.producer) {
            all.push_back(Stretch::Gap(batch.end));
        } else {
            all.push_back(Stretch::Batch(batch));
        }
    }
    Ok(all)
}

impl Stretch {
    /// The offset behind it.
    pub(super) const fn end(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.end,
            Self::Gap(end) | Self::TooLarge(_, _, end) => *end,
        }
    }

    /// Bytes that it holds.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.size(),
            _ => 0,
        }
    }
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(bytes: bytes::Bytes) {
    let half = bytes.len() / 2;
    let _whole = read(Reader(bytes.clone()), None, 1 << 16);
    let _cut = read(Reader(bytes), Some(half), 1 << 16);
}

#[cfg(test)]
mod tests {
    use super::super::records::{Compression, Written, batch};
    use super::*;
    use bytes::BytesMut;

    fn answer(records: &[u8], said: usize) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i32(0);
        out.put_i16(0);
        out.put_i32(0);
        out.put_i32(1);
        put_text(&mut out, "orders");
        out.put_i32(1);
        out.put_i32(3);
        out.put_i16(0);
        for end in [9, 9, 0] {
            out.put_i64(end);
        }
        out.put_i32(-1);
        out.put_i32(said as i32);
        out.put_slice(records);
        out.freeze()
    }

    fn record(value: &[u8]) -> Bytes {
        let written = Written {
            time: 1,
            key: None,
            value,
            headers: &[],
        };
        batch(&written, Compression::None, None, 0).unwrap()
    }

    #[test]
    fn what_was_cut_is_a_batch_that_is_too_large() {
        let large = record(&vec![7; 100_000]);
        let whole = answer(&large, large.len());
        let said = read(Reader(whole.clone()), None, 1_000).unwrap();
        assert!(matches!(said[0].stretches[0], Stretch::Batch(_)));
        let beginning = whole.slice(..1_000);
        let said = read(Reader(beginning.clone()), Some(whole.len()), 1_000).unwrap();
        let [Stretch::TooLarge(size, 0, 1)] = said[0].stretches.as_slices().0 else {
            panic!("{:?}", said[0].stretches);
        };
        assert_eq!(*size, large.len());
        // One that is not too large was not to be cut.
        assert!(read(Reader(beginning), Some(whole.len()), 200_000).is_err());
        assert!(read(Reader(whole.slice(..70)), None, 1_000).is_err());
        let long = answer(&large, usize::MAX >> 40);
        assert!(read(Reader(long), None, 1_000).is_err());
    }

    #[test]
    fn a_batch_that_a_broker_cut_waits() {
        let (one, two) = (record(b"a"), record(b"b"));
        let mut both = one.to_vec();
        both.extend_from_slice(&two[..two.len() - 1]);
        let said = read(Reader(answer(&both, both.len())), None, 1_000).unwrap();
        assert_eq!(said[0].stretches.len(), 1);
    }
}
