//! One look: rows are read, handed in, and known as taken.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{FuturesOrdered, StreamExt as _};
use jiff::civil::DateTime;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;
use wardline_sql::Dialect;

use super::bound::Bound;
use super::config::{Access, Expect, Follow, Overlap, PollConfig};
use super::session::{Answer, Row, Rules, Session, Step};
use crate::intake::begin;
use crate::{ContentType, Counters, Intake, Received, Verdict};

/// Rows that are on their way into the journal together: they share commits.
const AHEAD: usize = 64;
/// Names that are remembered of what was read twice on purpose.
const REMEMBERED: usize = 50_000;
/// Rows that may bear the same mark.
const SAME_MARK: usize = 65_536;
/// What a statement with a mark is given.
pub(super) const MARK: &str = "mark";
/// How many rows are read at most.
pub(super) const MOST: &str = "most";

type Name = [u8; 32];

/// What a look came to.
pub(super) struct Round {
    /// How far it came, where that is farther than before.
    pub(super) mark: Option<String>,
    /// Whether there may be more right now.
    pub(super) full: bool,
}

/// Looks, one after the other.
pub(super) struct Rounds {
    access: Arc<ArcSwap<Access>>,
    config: PollConfig,
    intake: Arc<dyn Intake>,
    counters: Arc<Counters>,
    session: Option<(Arc<Access>, Session)>,
    /// The highest mark of what was taken.
    mark: Option<String>,
    /// Where the next look begins, while the last was full.
    cursor: Option<String>,
    most: usize,
    recent: HashSet<Name>,
}

impl Rounds {
    pub(super) fn new(
        access: Arc<ArcSwap<Access>>,
        config: PollConfig,
        intake: Arc<dyn Intake>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            most: config.most,
            access,
            config,
            intake,
            counters,
            session: None,
            mark: None,
            cursor: None,
            recent: HashSet::new(),
        }
    }

    /// Begins where it came to the last time, or at the beginning.
    pub(super) fn begin(&mut self, mark: Option<String>) {
        self.mark = mark;
        self.cursor = None;
    }

    /// Looks once. The error is a reason, without any value.
    pub(super) async fn next(&mut self, stop: &CancellationToken) -> Result<Round, String> {
        let from = self.from();
        let query = Arc::clone(&self.config.query);
        let values = query
            .parameters()
            .iter()
            .map(|name| match name.as_str() {
                MARK => from
                    .as_deref()
                    .map_or(Bound::Null, |mark| bound_mark(query.dialect(), mark)),
                // One more, so that it is seen whether there are more.
                MOST => Bound::Integer(
                    i64::try_from(self.most)
                        .unwrap_or(i64::MAX)
                        .saturating_add(1),
                ),
                _ => Bound::Null,
            })
            .collect();
        let step = Step {
            statement: query,
            values,
        };
        let rules = Rules {
            expect: Expect::Any,
            most: self.most,
            partly: true,
        };
        let answer = self.run(vec![step], rules).await?;
        let (column, done) = match &self.config.follow {
            Follow::Mark { column, .. } => (Some(column.clone()), None),
            Follow::Done(statement) => (None, Some(Arc::clone(statement))),
        };
        let marks = match &column {
            Some(column) => marks(column, &answer.rows)?,
            None => Vec::new(),
        };
        let names: Vec<Name> = answer
            .rows
            .iter()
            .map(|row| self.name(row, column.as_deref()))
            .collect::<Result<_, _>>()?;
        let handed = self.hand_in(&answer.rows, &names, stop).await;
        if let Some(done) = done {
            let taken = *handed.as_ref().unwrap_or_else(|(taken, _)| taken);
            self.mark_done(&done, &answer.rows[..taken]).await?;
            handed.map_err(|(_, why)| why)?;
            return Ok(Round {
                mark: None,
                full: answer.more,
            });
        }
        handed.map_err(|(_, why)| why)?;
        if self.recent.len() > REMEMBERED {
            self.recent.clear();
        }
        self.recent.extend(names);
        let full = answer.more;
        // Where there are more rows, some may bear the mark of the last one: the next look begins
        // before them, however the statement compares.
        let last = if full {
            let end = marks.last();
            marks.iter().rev().find(|mark| Some(*mark) != end).cloned()
        } else {
            marks.last().cloned()
        };
        if full && (last.is_none() || last == from) {
            // As many as are read bear one mark: the next look must see past them.
            if self.most >= SAME_MARK {
                return Err(format!(
                    "more than {SAME_MARK} rows bear one mark: follow a column that tells them apart"
                ));
            }
            self.most *= 2;
        } else if !full {
            self.most = self.config.most;
        }
        self.cursor = full.then(|| last.clone().or(from)).flatten();
        let farther = last.filter(|last| {
            self.mark
                .as_ref()
                .is_none_or(|mark| is_later(last, mark).unwrap_or(last != mark))
        });
        if let Some(mark) = &farther {
            self.mark = Some(mark.clone());
        }
        Ok(Round {
            mark: farther,
            full,
        })
    }

    /// Where the next look begins.
    fn from(&self) -> Option<String> {
        let Follow::Mark { begin, overlap, .. } = &self.config.follow else {
            return None;
        };
        if let Some(cursor) = &self.cursor {
            return Some(cursor.clone());
        }
        let Some(mark) = &self.mark else {
            return Some(begin.clone());
        };
        let earlier = overlap.and_then(|overlap| earlier(mark, overlap));
        Some(earlier.unwrap_or_else(|| mark.clone()))
    }

    async fn run(&mut self, steps: Vec<Step>, rules: Rules) -> Result<Answer, String> {
        let access = self.access.load_full();
        let known = self.session.take();
        let mut session = match known.filter(|(made, _)| Arc::ptr_eq(made, &access)) {
            Some((_, session)) => session,
            None => Session::open(&access)
                .await
                .map_err(|trouble| format!("{}: {}", trouble.code, trouble.what))?,
        };
        match session.run(&access, steps, rules).await {
            Ok(answer) => {
                // What was not read to its end is still on its way.
                if session.is_usable() {
                    self.session = Some((access, session));
                }
                Ok(answer)
            }
            Err(trouble) => {
                if !trouble.gone && session.is_usable() {
                    self.session = Some((access, session));
                }
                Err(format!("{}: {}", trouble.code, trouble.what))
            }
        }
    }

    /// What a row is known by: its key and its mark, or all that it holds.
    fn name(&self, row: &Row, mark: Option<&str>) -> Result<Name, String> {
        let text = if self.config.key.is_empty() {
            Value::from(row.clone()).to_string()
        } else {
            let mut parts = Vec::new();
            for column in self.config.key.iter().map(String::as_str).chain(mark) {
                let value = row
                    .get(column)
                    .ok_or_else(|| format!("the rows have no column `{column}`"))?;
                parts.push(value.clone());
            }
            Value::from(parts).to_string()
        };
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Ok(name)
    }

    /// Hands rows in, in order, some at a time. Gives how many are in the journal; where it stopped
    /// before the end, how many from the first on, and why.
    async fn hand_in(
        &self,
        rows: &[Row],
        names: &[Name],
        stop: &CancellationToken,
    ) -> Result<usize, (usize, String)> {
        let mut at = 0;
        while at < rows.len() {
            let mut under_way = FuturesOrdered::new();
            let mut next = at;
            let mut held: Option<Result<Duration, String>> = None;
            let mut halted = false;
            loop {
                while held.is_none()
                    && !halted
                    && under_way.len() < AHEAD
                    && next < rows.len()
                    && !stop.is_cancelled()
                {
                    let offer = self.offer(&rows[next], names[next]).boxed();
                    let away =
                        |verdict: &Option<Verdict>| verdict.as_ref().is_some_and(Verdict::is_away);
                    let (offered, turned_away) = begin(offer, away).await;
                    under_way.push_back(offered);
                    halted = turned_away;
                    next += 1;
                }
                // Every one that is begun is waited for.
                let Some(verdict) = under_way.next().await else {
                    break;
                };
                match verdict {
                    Some(Verdict::Accepted { .. }) => {
                        self.counters.accepted(1);
                    }
                    Some(Verdict::Duplicate { .. }) => {
                        self.counters.duplicates(1);
                    }
                    None => {}
                    Some(Verdict::Busy { retry_after, .. }) => {
                        self.counters.busy(1);
                        held.get_or_insert(Ok(retry_after));
                        continue;
                    }
                    Some(Verdict::Refused { code, text, .. }) => {
                        self.counters.refused(1);
                        held.get_or_insert(Err(format!("{code}: {text}")));
                        continue;
                    }
                }
                if held.is_none() {
                    at += 1;
                }
            }
            match held {
                Some(Err(why)) => return Err((at, why)),
                Some(Ok(pause)) => {
                    tokio::select! {
                        () = tokio::time::sleep(pause.min(Duration::from_secs(30))) => {}
                        () = stop.cancelled() => {}
                    }
                }
                None => {}
            }
            if stop.is_cancelled() && at < rows.len() {
                return Err((at, "it stopped before the rows were done".to_owned()));
            }
        }
        Ok(at)
    }

    /// Offers a row, unless it was taken a moment ago.
    async fn offer(&self, row: &Row, name: Name) -> Option<Verdict> {
        if self.recent.contains(&name) {
            return None;
        }
        let once: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let received = Received {
            source: Arc::clone(&self.access.load().name),
            content_type: ContentType::Json,
            body: Value::from(row.clone()).to_string().into(),
            received: Timestamp::now(),
            peer: None,
            headers: Vec::new(),
            answer: Bytes::new(),
            once: Some(once),
            fault: None,
        };
        Some(self.intake.accept(received).await)
    }

    async fn mark_done(
        &mut self,
        done: &Arc<wardline_sql::Statement>,
        rows: &[Row],
    ) -> Result<(), String> {
        if rows.is_empty() {
            return Ok(());
        }
        let steps = rows.iter().map(|row| Step {
            values: done
                .parameters()
                .iter()
                .map(|column| row.get(column).map_or(Bound::Null, Bound::of))
                .collect(),
            statement: Arc::clone(done),
        });
        let rules = Rules {
            expect: Expect::Any,
            most: 1,
            partly: false,
        };
        let steps = steps.collect();
        self.run(steps, rules).await.map(drop)
    }
}

/// The marks of rows. They must come in its order: otherwise some would be passed over.
fn marks(column: &str, rows: &[Row]) -> Result<Vec<String>, String> {
    let mut marks: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        let mark = match row.get(column) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(format!("column `{column}` of a row is no mark")),
            None => return Err(format!("the rows have no column `{column}`")),
        };
        if let Some(before) = marks.last()
            && is_later(before, &mark) == Some(true)
        {
            return Err(format!(
                "the rows are not in the order of `{column}`: add `order by {column}`"
            ));
        }
        marks.push(mark);
    }
    Ok(marks)
}

/// Whether the first comes behind the second, where that can be told.
fn is_later(first: &str, second: &str) -> Option<bool> {
    if let (Ok(first), Ok(second)) = (first.parse::<i64>(), second.parse::<i64>()) {
        return Some(first > second);
    }
    Some(moment(first)? > moment(second)?)
}

/// A mark on its way into the statement. MySQL knows no zone behind a time; its sessions are in UTC.
fn bound_mark(dialect: Dialect, mark: &str) -> Bound {
    if dialect == Dialect::Mysql && moment(mark).is_some() {
        return Bound::Text(mark.trim_end_matches('Z').replace('T', " "));
    }
    Bound::of_mark(mark)
}

/// A time with or without a zone.
fn moment(text: &str) -> Option<DateTime> {
    text.trim_end_matches('Z').parse().ok()
}

/// A mark that lies before another.
fn earlier(mark: &str, overlap: Overlap) -> Option<String> {
    match overlap {
        Overlap::Number(less) => Some(mark.parse::<i64>().ok()?.saturating_sub(less).to_string()),
        Overlap::Time(less) => {
            let before = moment(mark)?.checked_sub(less).ok()?;
            let zone = if mark.ends_with('Z') { "Z" } else { "" };
            Some(format!("{before}{zone}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_compared_and_moved() {
        assert_eq!(is_later("10", "9"), Some(true));
        assert_eq!(
            is_later("2026-11-28T01:00:00Z", "2026-11-28T00:59:59.9Z"),
            Some(true)
        );
        assert_eq!(is_later("b", "a"), None);
        assert_eq!(earlier("10", Overlap::Number(3)).as_deref(), Some("7"));
        assert_eq!(
            earlier(
                "2026-11-28T00:00:00.5Z",
                Overlap::Time(Duration::from_secs(60))
            )
            .as_deref(),
            Some("2026-11-27T23:59:00.5Z")
        );
        assert_eq!(earlier("a", Overlap::Number(3)), None);
    }
}
