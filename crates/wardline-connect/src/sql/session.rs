//! One session with one database, whichever it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use wardline_sql::{Dialect, Place, Placeholders, Statement};

use super::bound::Bound;
use super::config::{Access, Expect};
use super::trouble::Trouble;
use super::{mysql, postgres, sqlite};

/// Bytes of all rows of one answer, roughly as JSON.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// A row by its columns.
pub(super) type Row = Map<String, Value>;

/// One statement with its values.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) statement: Arc<Statement>,
    /// By [`Statement::parameters`].
    pub(super) values: Vec<Bound>,
}

impl Step {
    /// The text to send, and the values in the order in which it takes them.
    pub(super) fn ready(self) -> (Placeholders, Vec<Bound>) {
        let made = self.statement.placeholders();
        let values = made
            .order
            .iter()
            .map(|at| self.values[*at].clone())
            .collect();
        (made, values)
    }
}

/// What is wanted of statements that run.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) expect: Expect,
    pub(super) most: usize,
    /// Reads as many rows as are allowed and leaves the others; otherwise more are an error.
    pub(super) partly: bool,
}

/// What the last statement gave.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Rows that it changed, or gave.
    pub(super) affected: u64,
    /// Whether there are more rows.
    pub(super) more: bool,
}

/// Rows that are collected, within limits.
pub(super) struct Collected {
    rules: Rules,
    bytes: usize,
    pub(super) answer: Answer,
}

/// Whether there is room for another row.
#[derive(PartialEq, Eq)]
pub(super) enum Room {
    More,
    Full,
}

impl Collected {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            bytes: 0,
            answer: Answer::default(),
        }
    }

    /// Adds a row of so many bytes.
    pub(super) fn add(&mut self, row: Row, bytes: usize) -> Result<Room, Trouble> {
        self.bytes += bytes + row.len() * 16;
        // One row is always taken: otherwise a large one would stop everything.
        let full = self.answer.rows.len() >= self.rules.most
            || (self.bytes > MOST_BYTES && !self.answer.rows.is_empty());
        if full && self.rules.partly {
            self.answer.more = true;
            return Ok(Room::Full);
        }
        if full {
            return Err(Trouble::too_much(self.rules.most));
        }
        self.answer.rows.push(row);
        Ok(Room::More)
    }
}

/// A session.
pub(super) enum Session {
    Postgres(Box<postgres::Session>),
    Mysql(Box<mysql::Session>),
    Sqlite(sqlite::Session),
}

impl Session {
    /// Opens one.
    pub(super) async fn open(access: &Access) -> Result<Self, Trouble> {
        let opening = async {
            match &access.place {
                Place::File(file) => sqlite::Session::open(file, access.timeout)
                    .await
                    .map(Self::Sqlite),
                Place::Server {
                    dialect: Dialect::Mysql,
                    host,
                    port,
                    database,
                } => mysql::Session::open(access, host, *port, database)
                    .await
                    .map(|session| Self::Mysql(Box::new(session))),
                Place::Server {
                    host,
                    port,
                    database,
                    ..
                } => postgres::Session::open(access, host, *port, database)
                    .await
                    .map(|session| Self::Postgres(Box::new(session))),
            }
        };
        tokio::time::timeout(access.connect_timeout, opening)
            .await
            .unwrap_or_else(|_| {
                Err(Trouble::unreachable(format!(
                    "no session with {} in time (`connect_timeout`)",
                    access.place
                )))
            })
    }

    /// Runs statements in one transaction; gives what the last of them gave. Whoever gives up
    /// waiting must drop the session: what it was doing is then undone.
    pub(super) async fn run(
        &mut self,
        access: &Access,
        steps: Vec<Step>,
        rules: Rules,
    ) -> Result<Answer, Trouble> {
        let running = async {
            match self {
                Self::Postgres(session) => session.run(steps, rules).await,
                Self::Mysql(session) => session.run(steps, rules).await,
                Self::Sqlite(session) => session.run(steps, rules).await,
            }
        };
        tokio::time::timeout(access.timeout, running)
            .await
            .unwrap_or_else(|_| {
                Err(Trouble::timeout(format!(
                    "no answer within {:?} (`timeout`)",
                    access.timeout
                )))
            })
    }

    pub(super) fn is_usable(&self) -> bool {
        match self {
            Self::Postgres(session) => session.is_usable(),
            Self::Mysql(session) => session.is_usable(),
            Self::Sqlite(session) => session.is_usable(),
        }
    }
}

/// Sessions that wait to be used again.
pub(super) struct Pool {
    access: Access,
    most: usize,
    idle: parking_lot::Mutex<Vec<(Session, Instant)>>,
}

/// A session that was idle for longer is not trusted: something between may have forgotten it.
const LONGEST_IDLE: std::time::Duration = std::time::Duration::from_mins(5);

impl Pool {
    pub(super) fn new(access: Access, most: usize) -> Self {
        Self {
            access,
            most,
            idle: parking_lot::Mutex::default(),
        }
    }

    pub(super) const fn access(&self) -> &Access {
        &self.access
    }

    /// Runs statements in a session of its own.
    pub(super) async fn run(&self, steps: Vec<Step>, rules: Rules) -> Result<Answer, Trouble> {
        let mut session = match self.take() {
            Some(session) => session,
            None => Session::open(&self.access).await?,
        };
        let ended = session.run(&self.access, steps, rules).await;
        if !ended.as_ref().is_err_and(|trouble| trouble.gone) && session.is_usable() {
            let mut idle = self.idle.lock();
            if idle.len() < self.most {
                idle.push((session, Instant::now()));
            }
        }
        ended
    }

    fn take(&self) -> Option<Session> {
        let mut idle = self.idle.lock();
        idle.retain(|(session, since)| session.is_usable() && since.elapsed() < LONGEST_IDLE);
        idle.pop().map(|(session, _)| session)
    }
}

/// Statements that a session has prepared, by their text.
pub(super) type Prepared<S> = HashMap<String, S>;

/// A user and a password.
pub(super) fn login(access: &Access) -> Result<(String, Vec<u8>), Trouble> {
    let bad = || {
        Trouble::new(
            crate::FailureKind::Transient,
            crate::codes::SQL_CREDENTIALS,
            "the secret is not `user:password`",
        )
    };
    let secret = access.login.as_ref().ok_or_else(bad)?;
    let text = secret.expose();
    let at = text.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
    let user = String::from_utf8(text[..at].to_vec()).map_err(|_| bad())?;
    // A secret from a file often ends in a line's end.
    let password = text[at + 1..].trim_ascii_end().to_vec();
    Ok((user, password))
}

/// Puts a value into a row; two columns of one name cannot be told apart.
pub(super) fn put(row: &mut Row, name: &str, value: Value) -> Result<(), Trouble> {
    if row.insert(name.to_owned(), value).is_some() {
        return Err(Trouble::unreadable(format!(
            "two columns of the answer are named `{name}`"
        )));
    }
    Ok(())
}
