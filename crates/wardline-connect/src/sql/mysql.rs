//! MySQL and MariaDB.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use mysql_async::{
    ClientIdentity, Column, Conn, Error, OptsBuilder, Params, Row as MyRow, SslOpts,
    Value as Native,
};
use serde_json::{Number, Value};

use super::bound::Bound;
use super::config::{Access, Expect};
use super::session::{Answer, Collected, Room, Row, Rules, Step, login, put};
use super::trouble::Trouble;
use crate::{FailureKind, codes};

/// What every session is set to: times in UTC, and no value cut or changed to make it fit.
const SETTINGS: &str = "set time_zone = '+00:00', sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES,NO_ZERO_DATE'), autocommit = 1";
/// The character set of bytes that are no text.
const BINARY: u16 = 63;

pub(in crate::sql) struct Session {
    conn: Conn,
    /// Whether something was left half read or half done.
    spoilt: bool,
}

impl Session {
    pub(in crate::sql) async fn open(
        access: &Access,
        host: &str,
        port: u16,
        database: &str,
    ) -> Result<Self, Trouble> {
        let (user, password) = login(access)?;
        let password = String::from_utf8(password).map_err(|_| {
            Trouble::new(
                FailureKind::Transient,
                codes::SQL_CREDENTIALS,
                "the password is not UTF-8",
            )
        })?;
        let mut options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some(database))
            // Otherwise a server on this machine is asked again by another way.
            .prefer_socket(false)
            .client_found_rows(true)
            .tcp_nodelay(true)
            .stmt_cache_size(64)
            .setup(vec![SETTINGS]);
        if let Some(tls) = &access.tls {
            let usable = |error: crate::ConnectError| Trouble::unreachable(error.to_string());
            let trusted = tls.trusted(&access.name).map_err(usable)?;
            let mut ssl = SslOpts::default()
                .with_disable_built_in_roots(true)
                .with_root_certs(trusted.into_iter().map(Into::into).collect());
            if let Some((chain, key)) = tls.presented().map_err(usable)? {
                ssl = ssl.with_client_identity(Some(ClientIdentity::new(
                    chain.expose().to_vec().into(),
                    key.expose().to_vec().into(),
                )));
            }
            if let Some(name) = &tls.server_name {
                ssl = ssl.with_danger_tls_hostname_override(Some(name.clone()));
            }
            options = options.ssl_opts(ssl);
        }
        let conn = Conn::new(options).await.map_err(|error| opening(&error))?;
        Ok(Self {
            conn,
            spoilt: false,
        })
    }

    pub(in crate::sql) const fn is_usable(&self) -> bool {
        !self.spoilt
    }

    pub(in crate::sql) async fn run(
        &mut self,
        steps: Vec<Step>,
        rules: Rules,
    ) -> Result<Answer, Trouble> {
        // Until it ended well nobody knows in what state it is.
        self.spoilt = true;
        let ended = self.try_run(steps, rules).await;
        match &ended {
            Ok(answer) => self.spoilt = answer.more,
            Err(trouble) if !trouble.gone => {
                self.spoilt = self.conn.query_drop("rollback").await.is_err();
            }
            Err(_) => {}
        }
        ended
    }

    async fn try_run(&mut self, steps: Vec<Step>, rules: Rules) -> Result<Answer, Trouble> {
        let mut ready = Vec::with_capacity(steps.len());
        let count = steps.len();
        let mut alone = false;
        for step in steps {
            let (reads, verb) = (
                step.statement.only_reads(),
                step.statement.verb().to_owned(),
            );
            let (made, values) = step.ready();
            let statement = self
                .conn
                .prep(made.text.as_str())
                .await
                .map_err(|error| trouble(&error))?;
            alone = count == 1
                && !rules.partly
                && rules.expect == Expect::Any
                && (reads || verb == "call" || statement.num_columns() == 0);
            let values: Vec<Native> = values.iter().map(native).collect();
            ready.push((statement, values));
        }
        if !alone {
            let begin = if rules.partly {
                "start transaction read only"
            } else {
                "start transaction"
            };
            self.command(begin).await?;
        }
        let mut last = Answer::default();
        for (at, (statement, values)) in ready.into_iter().enumerate() {
            let rules = if at + 1 == count {
                rules
            } else {
                Rules {
                    expect: Expect::Any,
                    ..rules
                }
            };
            let params = if values.is_empty() {
                Params::Empty
            } else {
                Params::Positional(values)
            };
            let mut result = self
                .conn
                .exec_iter(&statement, params)
                .await
                .map_err(|error| trouble(&error))?;
            let mut collected = Collected::new(rules);
            let asks = !result.columns_ref().is_empty();
            while let Some(row) = result.next().await.map_err(|error| trouble(&error))? {
                let bytes = weight(&row);
                if collected.add(read(row)?, bytes)? == Room::Full {
                    // The rest is not read: the session ends here, and with it what it reads.
                    return Ok(collected.answer);
                }
            }
            let changed = result.affected_rows();
            result
                .drop_result()
                .await
                .map_err(|error| trouble(&error))?;
            last = collected.answer;
            last.affected = if asks {
                last.rows.len() as u64
            } else {
                changed
            };
        }
        if !rules.expect.takes(last.affected) {
            self.command("rollback").await?;
            return Err(Trouble::unexpected(last.affected));
        }
        if !alone {
            self.command("commit").await?;
        }
        Ok(last)
    }

    async fn command(&mut self, text: &str) -> Result<(), Trouble> {
        self.conn
            .query_drop(text)
            .await
            .map_err(|error| trouble(&error))
    }
}

fn native(value: &Bound) -> Native {
    match value {
        Bound::Null => Native::NULL,
        Bound::Bool(value) => Native::Int(i64::from(*value)),
        Bound::Integer(value) => Native::Int(*value),
        Bound::Text(text) => Native::Bytes(text.as_bytes().to_vec()),
        Bound::List(items) => Native::Bytes(Value::from(items.clone()).to_string().into_bytes()),
    }
}

fn weight(row: &MyRow) -> usize {
    (0..row.len())
        .map(|at| match row.as_ref(at) {
            Some(Native::Bytes(bytes)) => bytes.len(),
            _ => 16,
        })
        .sum()
}

fn read(from: MyRow) -> Result<Row, Trouble> {
    let columns = from.columns();
    let mut row = Row::new();
    for (column, value) in columns.iter().zip(from.unwrap()) {
        let name = column.name_str();
        let value = json(column, value).ok_or_else(|| {
            Trouble::unreadable(format!("column `{name}` cannot be read: cast it to char"))
        })?;
        put(&mut row, &name, value)?;
    }
    Ok(row)
}

fn json(column: &Column, value: Native) -> Option<Value> {
    use ColumnType as Of;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok().map(Value::from);
    Some(match value {
        Native::NULL => Value::Null,
        Native::Int(value) => value.into(),
        Native::UInt(value) => i64::try_from(value).map_or_else(
            // Beyond what others can count: exact as text.
            |_| value.to_string().into(),
            Value::from,
        ),
        Native::Float(value) => float(f64::from(value)),
        Native::Double(value) => float(value),
        Native::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() == Of::MYSQL_TYPE_DATE {
                return Some(date.into());
            }
            let zone = if column.column_type() == Of::MYSQL_TYPE_TIMESTAMP {
                "Z"
            } else {
                ""
            };
            let rest = fraction(micros);
            format!("{date}T{hour:02}:{minute:02}:{second:02}{rest}{zone}").into()
        }
        Native::Time(minus, days, hours, minutes, seconds, micros) => {
            let sign = if minus { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            let rest = fraction(micros);
            format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{rest}").into()
        }
        Native::Bytes(bytes) => match column.column_type() {
            Of::MYSQL_TYPE_DECIMAL | Of::MYSQL_TYPE_NEWDECIMAL => text(bytes)?,
            Of::MYSQL_TYPE_JSON => serde_json::from_slice(&bytes).ok()?,
            Of::MYSQL_TYPE_BIT => bytes
                .iter()
                .try_fold(0_i64, |all, byte| {
                    all.checked_mul(256)?.checked_add(i64::from(*byte))
                })?
                .into(),
            _ if column.character_set() == BINARY
                && column.flags().contains(ColumnFlags::BINARY_FLAG) =>
            {
                STANDARD.encode(bytes).into()
            }
            _ => text(bytes)?,
        },
    })
}

fn fraction(micros: u32) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn opening(error: &Error) -> Trouble {
    match error {
        // Access denied, unknown database: nothing was sent yet.
        Error::Server(said) => {
            let mut trouble = of_server(said.code, &said.state);
            if !trouble.kind.may_pass() {
                trouble.kind = FailureKind::Unreachable;
            }
            trouble.gone = true;
            trouble
        }
        Error::Io(error) => Trouble::unreachable(format!("no session: {error}")),
        _ => Trouble::unreachable("no session: the server does not speak as it should"),
    }
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Server(said) => of_server(said.code, &said.state),
        Error::Io(_) => Trouble::broken("the session broke"),
        _ => Trouble::broken("the session ended"),
    }
}

/// The text of the server holds values; its number does not.
fn of_server(code: u16, state: &str) -> Trouble {
    let what = format!("the database answers error {code} (SQLSTATE {state})");
    let busy = |kind| Trouble::new(kind, codes::SQL_BUSY, what.clone());
    let permanent = |code| Trouble::new(FailureKind::Permanent, code, what.clone());
    match code {
        // Deadlock, lock wait timeout, record changed since last read.
        1213 | 1205 | 1020 => busy(FailureKind::Transient),
        1040 | 1203 | 1226 => busy(FailureKind::Busy { retry_after: None }),
        // Killed, shutting down, the time of a statement ended.
        1317 | 1053 | 1927 | 2006 | 2013 => Trouble::broken(what),
        1969 | 3024 => Trouble::new(FailureKind::Timeout, codes::SQL_TIMEOUT, what),
        1044 | 1045 | 1698 => Trouble::gone(FailureKind::Transient, codes::SQL_CREDENTIALS, what),
        1048 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 3819 | 4025 | 1644 => {
            permanent(codes::SQL_CONSTRAINT)
        }
        // Too long, out of range, not a value of its type, no default.
        1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 1411 | 1690 | 3140 | 4078 => {
            permanent(codes::SQL_VALUE)
        }
        1290 | 1792 | 1836 => Trouble::gone(FailureKind::Transient, codes::SQL_SERVER, what),
        _ => Trouble::of_state(state, what),
    }
}
