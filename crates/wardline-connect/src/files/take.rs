//! One file: checked to its end, then handed in record by record, then put away.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{FuturesOrdered, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wardline_core::{Code, Timestamp};
use wardline_edi::flat::{End, Plan, Reader, Role};

use super::config::{Split, Then, WatchConfig};
use super::digest::{Noting, Same, Seen};
use super::directory::{Directory, join};
use crate::intake::begin;
use crate::{ContentType, Counters, Intake, Received, Verdict, codes};

/// Records that are on their way into the journal together: they share commits.
const AHEAD: usize = 64;
/// Records that are read ahead of them.
const READ_AHEAD: usize = 64;
/// Of a refused file, so much goes into the journal beside the reason.
const KEPT: u64 = 1 << 20;
/// Problems that are named in a reason.
const NAMED: usize = 3;
/// Names that are tried for a file that is put away.
const NAMES: u32 = 1_000;

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it is in the journal, and it was put away.
    Whole {
        /// Messages that are new.
        messages: u64,
        /// Messages that had come before.
        before: u64,
    },
    /// It is wrong, and lies in `refused/`.
    Refused,
    /// Not all of it could be taken now. It stays where it is; what was taken is known.
    Later(String),
}

/// What is needed to take files of one connection.
pub(crate) struct Taker {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) config: Arc<WatchConfig>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) counters: Arc<Counters>,
}

/// A file that was read to its end.
enum Checked {
    Good(Good),
    /// What is wrong, for people.
    Bad(Code, String, Seen),
}

struct Good {
    seen: Seen,
    /// What every message of the file says of it.
    facts: Map<String, Value>,
    /// The file itself, where it is to be one message.
    whole: Option<Bytes>,
}

impl Taker {
    pub(crate) async fn take(&self, name: &str, stop: &CancellationToken) -> Taken {
        match self.try_take(name, stop).await {
            Ok(taken) => taken,
            Err(error) => Taken::Later(error.to_string()),
        }
    }

    async fn try_take(&self, name: &str, stop: &CancellationToken) -> io::Result<Taken> {
        let path = join(&self.config.below, name);
        let good = match self.check(&path, name).await? {
            Checked::Good(good) => good,
            Checked::Bad(code, reason, seen) => {
                return self.refuse(&path, name, code, reason, &seen).await;
            }
        };
        let identity = format!("{name}\0{}", good.seen.name());
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let reading = match (&self.config.split, good.whole) {
            (Split::Whole { content_type, .. }, Some(body)) => {
                let received = self.received(
                    content_type.clone(),
                    body,
                    format!("{identity}\0whole"),
                    name,
                );
                // There is room for one.
                sender.try_send(received).map_err(io::Error::other)?;
                drop(sender);
                None
            }
            (Split::Records(plan), _) => Some(self.read(
                plan,
                path.clone(),
                good.facts,
                good.seen,
                identity,
                name,
                sender,
            )),
            (Split::Whole { .. }, None) => {
                drop(sender);
                None
            }
        };
        let handed = self.hand_in(receiver, stop).await;
        if let Some(reading) = reading {
            // Whoever reads stops when nobody listens.
            let read = reading.await.map_err(io::Error::other)?;
            if handed.is_ok() {
                read?;
            }
        }
        let (messages, before) = match handed {
            Ok(counts) => counts,
            Err(why) => return Ok(Taken::Later(why)),
        };
        self.put_away(path, name.to_owned()).await?;
        Ok(Taken::Whole { messages, before })
    }

    fn received(
        &self,
        content_type: ContentType,
        body: Bytes,
        once: String,
        name: &str,
    ) -> Received {
        Received {
            source: Arc::clone(&self.config.source),
            content_type,
            body,
            received: Timestamp::now(),
            peer: None,
            headers: vec![("file-name".to_owned(), name.to_owned())],
            answer: Bytes::new(),
            once: Some(once),
            fault: None,
        }
    }

    /// Reads the file to its end and says what is wrong with it.
    async fn check(&self, path: &str, name: &str) -> io::Result<Checked> {
        let (directory, config) = (Arc::clone(&self.directory), Arc::clone(&self.config));
        let (path, name) = (path.to_owned(), name.to_owned());
        blocking(move || {
            let input = Noting::new(directory.open(&path)?);
            match &config.split {
                Split::Records(plan) => check_records(plan, &name, input),
                Split::Whole {
                    layout, max_size, ..
                } => check_whole(layout.as_deref(), *max_size, input),
            }
        })
        .await
    }

    /// Reads the file again, and makes a message of each record.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that goes to the other thread"
    )]
    fn read(
        &self,
        plan: &Arc<Plan>,
        path: String,
        mut facts: Map<String, Value>,
        seen: Seen,
        identity: String,
        name: &str,
        sender: mpsc::Sender<Received>,
    ) -> tokio::task::JoinHandle<io::Result<()>> {
        let (directory, plan) = (Arc::clone(&self.directory), Arc::clone(plan));
        let base = self.received(ContentType::Json, Bytes::new(), String::new(), name);
        tokio::task::spawn_blocking(move || {
            let mut reader = Reader::new(&plan, Same::new(directory.open(&path)?, &seen));
            while let Some(record) = reader.read()? {
                if record.role() == Role::Header {
                    facts.insert("header".into(), record.to_json().into());
                }
                if record.role() != Role::Detail {
                    continue;
                }
                let body = json!({
                    "file": facts, "record": record.name(), "number": record.number,
                    "line": record.line, "fields": record.to_json(),
                });
                let received = Received {
                    body: body.to_string().into(),
                    received: Timestamp::now(),
                    once: Some(format!("{identity}\0{}", record.number)),
                    ..base.clone()
                };
                if sender.blocking_send(received).is_err() {
                    // Taking stopped; why is known there.
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Hands messages in, in order, some at a time. Gives how many are new and how many had come
    /// before, or why it stopped.
    async fn hand_in(
        &self,
        mut receiver: mpsc::Receiver<Received>,
        stop: &CancellationToken,
    ) -> Result<(u64, u64), String> {
        let (mut messages, mut before) = (0, 0);
        let mut under_way = FuturesOrdered::new();
        let mut again: VecDeque<Received> = VecDeque::new();
        let (mut open, mut halted) = (true, false);
        while open || !under_way.is_empty() || !again.is_empty() {
            while under_way.len() < AHEAD && !halted && !stop.is_cancelled() {
                let next = match again.pop_front() {
                    Some(next) => next,
                    None if open && under_way.is_empty() => {
                        let Some(next) = receiver.recv().await else {
                            open = false;
                            break;
                        };
                        next
                    }
                    None => match receiver.try_recv() {
                        Ok(next) => next,
                        Err(mpsc::error::TryRecvError::Empty) => break,
                        Err(mpsc::error::TryRecvError::Disconnected) => {
                            open = false;
                            break;
                        }
                    },
                };
                let (offered, away) =
                    begin(self.offer(next).boxed(), |(_, verdict)| verdict.is_away()).await;
                under_way.push_back(offered);
                halted = away;
            }
            let Some((received, verdict)) = under_way.next().await else {
                if stop.is_cancelled() {
                    return Err("it stopped before the file was done".to_owned());
                }
                continue;
            };
            match verdict {
                Verdict::Accepted { .. } => {
                    messages += 1;
                    self.counters.accepted(1);
                }
                Verdict::Duplicate { .. } => {
                    before += 1;
                    self.counters.duplicates(1);
                }
                Verdict::Busy { retry_after, .. } => {
                    self.counters.busy(1);
                    halted = false;
                    // What was begun behind it ends first; what of it was taken will be known.
                    let mut rest = VecDeque::from([received]);
                    while let Some((received, verdict)) = under_way.next().await {
                        if let Verdict::Accepted { .. } = verdict {
                            self.counters.accepted(1);
                            messages += 1;
                        } else {
                            rest.push_back(received);
                        }
                    }
                    rest.append(&mut again);
                    again = rest;
                    tokio::select! {
                        () = tokio::time::sleep(retry_after.min(Duration::from_secs(30))) => {}
                        () = stop.cancelled() => return Err("it stopped before the file was done".to_owned()),
                    }
                }
                Verdict::Refused { code, text, .. } => {
                    self.counters.refused(1);
                    while under_way.next().await.is_some() {}
                    return Err(format!("{code}: {text}"));
                }
            }
        }
        Ok((messages, before))
    }

    /// A future of the intake must be allowed to finish, so every one that is begun is waited for.
    async fn offer(&self, received: Received) -> (Received, Verdict) {
        let verdict = self.intake.accept(received.clone()).await;
        (received, verdict)
    }

    /// Records why the file is not taken, and moves it out of the way.
    async fn refuse(
        &self,
        path: &str,
        name: &str,
        code: Code,
        reason: String,
        seen: &Seen,
    ) -> io::Result<Taken> {
        let body = self.kept(path, seen).await?;
        let identity = format!("{name}\0{}\0refused", seen.name());
        let mut received = self.received(ContentType::Binary, body, identity, name);
        received.fault = Some((code, format!("`{name}` was refused: {reason}")));
        match self.intake.accept(received).await {
            Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {}
            Verdict::Busy { code, text, .. } | Verdict::Refused { code, text, .. } => {
                return Ok(Taken::Later(format!("{code}: {text}")));
            }
        }
        self.counters.refused(1);
        tracing::warn!(source = %self.config.source, file = name, %code, reason, "a file was refused");
        let (directory, from, name) = (
            Arc::clone(&self.directory),
            path.to_owned(),
            name.to_owned(),
        );
        let marker = self.marker(&from);
        blocking(move || {
            let reason = format!("{code} {reason}\n");
            move_to(&*directory, &from, "refused", &name, Some(&reason))?;
            marker.map_or(Ok(()), |marker| directory.remove(&marker))
        })
        .await?;
        Ok(Taken::Refused)
    }

    /// What of a refused file goes into the journal: all of it, where it is not large.
    async fn kept(&self, path: &str, seen: &Seen) -> io::Result<Bytes> {
        if seen.size > KEPT {
            return Ok(Bytes::from(format!(
                "The file has {} bytes and is kept in `refused/`.",
                seen.size
            )));
        }
        let (directory, path) = (Arc::clone(&self.directory), path.to_owned());
        blocking(move || {
            let mut bytes = Vec::new();
            directory.open(&path)?.take(KEPT).read_to_end(&mut bytes)?;
            Ok(bytes.into())
        })
        .await
    }

    async fn put_away(&self, path: String, name: String) -> io::Result<()> {
        let (directory, then) = (Arc::clone(&self.directory), self.config.then);
        let marker = self.marker(&path);
        blocking(move || {
            match then {
                Then::Delete => directory.remove(&path)?,
                Then::Archive => {
                    move_to(&*directory, &path, "archive", &name, None)?;
                }
            }
            marker.map_or(Ok(()), |marker| directory.remove(&marker))
        })
        .await
    }

    fn marker(&self, path: &str) -> Option<String> {
        let ending = self.config.marker.as_ref()?;
        Some(format!("{path}{ending}"))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// Moves a file into another directory under its name, or under one with a number where that is
/// taken. What is to stand beside it is there before it: a crash in between leaves the file where
/// it was, to be moved again.
fn move_to(
    directory: &dyn Directory,
    from: &str,
    into: &str,
    name: &str,
    reason: Option<&str>,
) -> io::Result<()> {
    for number in 0..NAMES {
        let to = if number == 0 {
            format!("{into}/{name}")
        } else {
            format!("{into}/{name}.{number}")
        };
        if let Some(reason) = reason {
            // That of another file stays.
            if directory.open(&to).is_ok() {
                continue;
            }
            directory.write(&format!("{to}.reason"), &mut reason.as_bytes())?;
        }
        match directory.rename(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::Error::other(format!(
        "`{into}/` is full of files of this name"
    )))
}

fn check_records(plan: &Plan, name: &str, mut input: Noting<impl Read>) -> io::Result<Checked> {
    let mut trailer = None;
    let (end, reason) = look(plan, &mut input, |fields| trailer = Some(fields))?;
    let seen = input.finish()?;
    if let Some(reason) = reason {
        return Ok(Checked::Bad(codes::FILE_WRONG, reason, seen));
    }
    let mut facts = Map::new();
    facts.insert("name".into(), name.into());
    facts.insert("size".into(), seen.size.into());
    facts.insert("records".into(), end.details.into());
    let totals: Map<_, _> = end
        .totals
        .iter()
        .map(|total| (total.name.clone(), total.to_json()))
        .collect();
    if !totals.is_empty() {
        facts.insert("totals".into(), totals.into());
    }
    if let Some(trailer) = trailer {
        facts.insert("trailer".into(), trailer.into());
    }
    Ok(Checked::Good(Good {
        seen,
        facts,
        whole: None,
    }))
}

fn check_whole(
    layout: Option<&Plan>,
    max_size: u64,
    mut input: Noting<impl Read>,
) -> io::Result<Checked> {
    let mut bytes = Vec::new();
    (&mut input).take(max_size + 1).read_to_end(&mut bytes)?;
    let seen = input.finish()?;
    if seen.size > max_size {
        let reason = format!(
            "it has {} bytes, and {max_size} are allowed (`max_size`)",
            seen.size
        );
        return Ok(Checked::Bad(codes::FILE_TOO_LARGE, reason, seen));
    }
    if let Some(plan) = layout
        && let (_, Some(reason)) = look(plan, &bytes[..], |_| {})?
    {
        return Ok(Checked::Bad(codes::FILE_WRONG, reason, seen));
    }
    Ok(Checked::Good(Good {
        seen,
        facts: Map::new(),
        whole: Some(bytes.into()),
    }))
}

/// Reads to the end. Gives the first few of what is wrong, in words.
fn look(
    plan: &Plan,
    input: impl Read,
    mut trailer: impl FnMut(Map<String, Value>),
) -> io::Result<(End, Option<String>)> {
    let mut reader = Reader::new(plan, input);
    let (mut named, mut more) = (Vec::new(), 0_u64);
    while let Some(record) = reader.read()? {
        for problem in record.problems {
            if named.len() < NAMED {
                named.push(problem.to_string());
            } else {
                more += 1;
            }
        }
        if record.role() == Role::Trailer {
            trailer(record.to_json());
        }
    }
    let end = reader.end().clone();
    // What is wrong with the whole says most: it comes first.
    let mut all: Vec<String> = end
        .problems
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    all.append(&mut named);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    let reason = (!end.ok()).then(|| all.join("; "));
    Ok((end, reason))
}
