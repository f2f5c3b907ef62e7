//! SQLite: a file of this machine. Its calls block, so each runs on a thread that may.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, ToSql};
use serde_json::{Number, Value};

use super::bound::Bound;
use super::session::{Answer, Collected, Room, Row, Rules, Step, put};
use super::trouble::Trouble;
use crate::{FailureKind, codes};

pub(in crate::sql) struct Session {
    /// Away while it works. Never waited for: the lock is only there because sessions are looked at
    /// from several threads.
    conn: Mutex<Option<Connection>>,
    interrupt: InterruptHandle,
    timeout: Duration,
}

impl Session {
    pub(in crate::sql) async fn open(file: &str, timeout: Duration) -> Result<Self, Trouble> {
        let path = PathBuf::from(file);
        let opened = blocking(move || {
            // A file that is not there is a mistake, and not an empty database.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(timeout.min(Duration::from_secs(10)))?;
            conn.pragma_update(None, "foreign_keys", true)?;
            conn.set_prepared_statement_cache_capacity(64);
            // Reads its first page, so that what is no database is found here.
            conn.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
            Ok(conn)
        });
        let conn = opened.await?.map_err(|error: rusqlite::Error| {
            let mut trouble = trouble(&error);
            if !trouble.kind.may_pass() {
                trouble.kind = FailureKind::Unreachable;
                trouble.code = codes::SQL_UNREACHABLE;
            }
            trouble
        })?;
        Ok(Self {
            interrupt: conn.get_interrupt_handle(),
            conn: Mutex::new(Some(conn)),
            timeout,
        })
    }

    pub(in crate::sql) fn is_usable(&self) -> bool {
        self.conn.lock().is_some()
    }

    pub(in crate::sql) async fn run(
        &mut self,
        steps: Vec<Step>,
        rules: Rules,
    ) -> Result<Answer, Trouble> {
        let Some(mut conn) = self.conn.get_mut().take() else {
            return Err(Trouble::broken("the session is busy"));
        };
        let work = blocking(move || {
            let ended = work(&mut conn, steps, rules);
            (conn, ended)
        });
        tokio::pin!(work);
        // A little before whoever waits gives up, so that the thread ends too.
        let limit = self.timeout.mul_f64(0.95);
        let (conn, ended) = tokio::select! {
            done = &mut work => done?,
            () = tokio::time::sleep(limit) => {
                self.interrupt.interrupt();
                work.await?
            }
        };
        *self.conn.get_mut() = Some(conn);
        ended
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Trouble::broken("the thread that spoke with it ended"))
}

fn work(conn: &mut Connection, steps: Vec<Step>, rules: Rules) -> Result<Answer, Trouble> {
    let failed = |error: rusqlite::Error| trouble(&error);
    let behavior = if rules.partly {
        rusqlite::TransactionBehavior::Deferred
    } else {
        rusqlite::TransactionBehavior::Immediate
    };
    let transaction = conn.transaction_with_behavior(behavior).map_err(failed)?;
    let mut last = Answer::default();
    for step in steps {
        let (made, values) = step.ready();
        let mut statement = transaction.prepare_cached(&made.text).map_err(failed)?;
        if rules.partly && !statement.readonly() {
            return Err(Trouble::unreadable("the statement of a poll may only read"));
        }
        let names: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
        for (at, value) in values.iter().enumerate() {
            statement
                .raw_bind_parameter(at + 1, value)
                .map_err(failed)?;
        }
        let mut collected = Collected::new(rules);
        let before = transaction.total_changes();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let (row, bytes) = read(row, &names)?;
            if collected.add(row, bytes)? == Room::Full {
                break;
            }
        }
        drop(rows);
        last = collected.answer;
        last.affected = if names.is_empty() {
            transaction.total_changes() - before
        } else {
            last.rows.len() as u64
        };
    }
    if !rules.expect.takes(last.affected) {
        transaction.rollback().map_err(failed)?;
        return Err(Trouble::unexpected(last.affected));
    }
    transaction.commit().map_err(failed)?;
    Ok(last)
}

fn read(from: &rusqlite::Row<'_>, names: &[String]) -> Result<(Row, usize), Trouble> {
    let (mut row, mut bytes) = (Row::new(), 0);
    for (at, name) in names.iter().enumerate() {
        let value = from.get_ref(at).map_err(|error| trouble(&error))?;
        let value = match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => value.into(),
            ValueRef::Real(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            ValueRef::Text(text) => {
                bytes += text.len();
                let text = std::str::from_utf8(text)
                    .map_err(|_| Trouble::unreadable(format!("column `{name}` is not UTF-8")))?;
                text.into()
            }
            ValueRef::Blob(blob) => {
                bytes += blob.len();
                STANDARD.encode(blob).into()
            }
        };
        put(&mut row, name, value)?;
    }
    Ok((row, bytes))
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::ToSqlOutput;
        Ok(match self {
            Self::Null => ToSqlOutput::from(rusqlite::types::Null),
            Self::Bool(value) => ToSqlOutput::from(*value),
            Self::Integer(value) => ToSqlOutput::from(*value),
            Self::Text(text) => ToSqlOutput::from(text.as_str()),
            Self::List(items) => ToSqlOutput::from(Value::from(items.clone()).to_string()),
        })
    }
}

/// The text of SQLite may hold values; its code does not.
fn trouble(error: &rusqlite::Error) -> Trouble {
    let rusqlite::Error::SqliteFailure(said, _) = error else {
        return match error {
            rusqlite::Error::SqlInputError { error, offset, .. } => Trouble::new(
                FailureKind::Permanent,
                codes::SQL_STATEMENT,
                format!(
                    "SQLite answers {} at byte {offset} of the statement",
                    error.extended_code
                ),
            ),
            _ => Trouble::new(
                FailureKind::Permanent,
                codes::SQL_STATEMENT,
                "the statement does not fit its parameters",
            ),
        };
    };
    let what = format!("SQLite answers {}", said.extended_code);
    match said.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Trouble::new(FailureKind::Transient, codes::SQL_BUSY, what)
        }
        ErrorCode::OperationInterrupted => {
            Trouble::new(FailureKind::Timeout, codes::SQL_TIMEOUT, what)
        }
        ErrorCode::CannotOpen | ErrorCode::NotADatabase => Trouble::unreachable(what),
        ErrorCode::ConstraintViolation => {
            Trouble::new(FailureKind::Permanent, codes::SQL_CONSTRAINT, what)
        }
        ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            Trouble::new(FailureKind::Permanent, codes::SQL_VALUE, what)
        }
        ErrorCode::Unknown | ErrorCode::ParameterOutOfRange | ErrorCode::ApiMisuse => {
            Trouble::new(FailureKind::Permanent, codes::SQL_STATEMENT, what)
        }
        // A full disk, a file that cannot be written: somebody will see to it.
        _ => Trouble::new(FailureKind::Transient, codes::SQL_SERVER, what),
    }
}
