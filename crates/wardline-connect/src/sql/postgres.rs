//! PostgreSQL.

mod cell;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use futures::StreamExt as _;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Row as PgRow, Statement};
use tokio_util::task::AbortOnDropHandle;

use super::bound::Bound;
use super::config::{Access, Expect};
use super::session::{Answer, Collected, Prepared, Room, Row, Rules, Step, login, put};
use super::trouble::Trouble;
use cell::Cell;

/// Rows that are fetched at a time.
const FETCH: i32 = 200;

pub(in crate::sql) struct Session {
    client: Client,
    prepared: Prepared<Statement>,
    /// What moves bytes; it ends with the session.
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    pub(in crate::sql) async fn open(
        access: &Access,
        host: &str,
        port: u16,
        database: &str,
    ) -> Result<Self, Trouble> {
        let (user, password) = login(access)?;
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| Trouble::unreachable(format!("no connection: {error}")))?;
        // Where it cannot be had, it is only slower.
        stream.set_nodelay(true).ok();
        let mut config = Config::new();
        config
            .user(user)
            .password(password)
            .dbname(database)
            .application_name("wardline");
        let (client, driver) = match &access.tls {
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config
                    .connect_raw(stream, NoTls)
                    .await
                    .map_err(|error| opening(&error))?;
                (client, tokio::spawn(drive(connection)))
            }
            Some(tls) => {
                let usable = |error: crate::ConnectError| Trouble::unreachable(error.to_string());
                let name = tls.verified_name(&access.name, host).map_err(usable)?;
                let tls = Tls {
                    config: Arc::new(tls.build(&access.name).map_err(usable)?),
                    name,
                };
                config.ssl_mode(SslMode::Require);
                let (client, connection) = config
                    .connect_raw(stream, tls)
                    .await
                    .map_err(|error| opening(&error))?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        // What nobody waits for any more ends there too.
        let limit = access.timeout.as_millis();
        let settings = format!(
            "set statement_timeout = {limit}; set idle_in_transaction_session_timeout = {limit}; set intervalstyle = iso_8601"
        );
        client.batch_execute(&settings).await.map_err(trouble)?;
        Ok(Self {
            client,
            prepared: Prepared::new(),
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    pub(in crate::sql) fn is_usable(&self) -> bool {
        !self.client.is_closed()
    }

    pub(in crate::sql) async fn run(
        &mut self,
        steps: Vec<Step>,
        rules: Rules,
    ) -> Result<Answer, Trouble> {
        let mut ready = Vec::with_capacity(steps.len());
        let single = steps.len() == 1;
        let mut alone = false;
        for step in steps {
            let (reads, verb) = (
                step.statement.only_reads(),
                step.statement.verb().to_owned(),
            );
            let (made, values) = step.ready();
            let statement = if let Some(known) = self.prepared.get(&made.text) {
                known.clone()
            } else {
                let fresh = self.client.prepare(&made.text).await.map_err(trouble)?;
                self.prepared.insert(made.text, fresh.clone());
                fresh
            };
            // A transaction of its own costs two more turns. A procedure that is called may want
            // to commit by itself.
            alone = single
                && !rules.partly
                && rules.expect == Expect::Any
                && (reads || verb == "call" || statement.columns().is_empty());
            ready.push((statement, values));
        }
        if alone && let Some((statement, values)) = ready.first() {
            let rows = self
                .client
                .query_raw(statement, values)
                .await
                .map_err(trouble)?;
            return collect(rows, rules).await;
        }
        let mut builder = self.client.build_transaction();
        if rules.partly {
            builder = builder.read_only(true);
        }
        let transaction = builder.start().await.map_err(trouble)?;
        let mut last = Answer::default();
        let count = ready.len();
        for (at, (statement, values)) in ready.into_iter().enumerate() {
            let rules = if at + 1 == count {
                rules
            } else {
                Rules {
                    expect: Expect::Any,
                    ..rules
                }
            };
            if rules.partly {
                let portal = transaction
                    .bind_raw(&statement, &values)
                    .await
                    .map_err(trouble)?;
                let mut collected = Collected::new(rules);
                'reading: loop {
                    let fetched = transaction
                        .query_portal(&portal, FETCH)
                        .await
                        .map_err(trouble)?;
                    let ended = fetched.len() < FETCH as usize;
                    for row in &fetched {
                        if collected.add(read(row)?, row.raw_size_bytes())? == Room::Full {
                            break 'reading;
                        }
                    }
                    if ended {
                        break;
                    }
                }
                last = collected.answer;
                last.affected = last.rows.len() as u64;
            } else {
                let rows = transaction
                    .query_raw(&statement, &values)
                    .await
                    .map_err(trouble)?;
                last = collect(rows, rules).await?;
            }
        }
        if !rules.expect.takes(last.affected) {
            transaction.rollback().await.map_err(trouble)?;
            return Err(Trouble::unexpected(last.affected));
        }
        transaction.commit().await.map_err(trouble)?;
        Ok(last)
    }
}

async fn collect(rows: tokio_postgres::RowStream, rules: Rules) -> Result<Answer, Trouble> {
    let mut rows = Box::pin(rows);
    let mut collected = Collected::new(rules);
    while let Some(row) = rows.next().await {
        let row = row.map_err(trouble)?;
        collected.add(read(&row)?, row.raw_size_bytes())?;
    }
    let mut answer = collected.answer;
    answer.affected = rows.rows_affected().unwrap_or(answer.rows.len() as u64);
    Ok(answer)
}

fn read(from: &PgRow) -> Result<Row, Trouble> {
    let mut row = Row::new();
    for (at, column) in from.columns().iter().enumerate() {
        let cell: Option<Cell> = from.try_get(at).map_err(|_| {
            Trouble::unreadable(format!(
                "column `{}` of type {} cannot be read: cast it, as in `{}::text`",
                column.name(),
                column.type_(),
                column.name()
            ))
        })?;
        put(
            &mut row,
            column.name(),
            cell.map_or(Value::Null, |cell| cell.0),
        )?;
    }
    Ok(row)
}

async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: TlsStream + Unpin,
{
    // Whoever waits for an answer learns of it.
    if let Err(error) = connection.await {
        tracing::debug!(code = ?error.code(), "a session with PostgreSQL ended");
    }
}

/// Why no session came about.
fn opening(error: &tokio_postgres::Error) -> Trouble {
    if let Some(said) = error.as_db_error() {
        let mut trouble = Trouble::of_state(said.code().code(), state(said));
        // No such database is a matter of the moment as long as nothing was sent.
        if !trouble.kind.may_pass() {
            trouble.kind = crate::FailureKind::Unreachable;
        }
        trouble.gone = true;
        trouble
    } else {
        // Text of TLS and of sockets; it holds names and no values.
        let cause = std::error::Error::source(error);
        let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
        Trouble::unreachable(format!("no session: {why}"))
    }
}

fn state(said: &tokio_postgres::error::DbError) -> String {
    let mut what = format!("the database answers SQLSTATE {}", said.code().code());
    for (kind, name) in [
        ("constraint", said.constraint()),
        ("table", said.table()),
        ("column", said.column()),
        ("type", said.datatype()),
    ] {
        if let Some(name) = name {
            what.push_str(&format!(", {kind} {name}"));
        }
    }
    what
}

fn trouble(error: tokio_postgres::Error) -> Trouble {
    match error.as_db_error() {
        Some(said) => Trouble::of_state(said.code().code(), state(said)),
        None if error.is_closed() => Trouble::broken("the session ended"),
        None => {
            // A parameter that the driver refuses, or bytes that are no protocol.
            let values = std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error + 'static>::is::<Unbindable>);
            if values {
                Trouble::new(
                    crate::FailureKind::Permanent,
                    crate::codes::SQL_VALUE,
                    "a list within a list cannot be bound: send it as json",
                )
            } else {
                Trouble::broken("the session broke")
            }
        }
    }
}

/// A list that is no list of PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[error("not a list of PostgreSQL")]
struct Unbindable;

impl ToSql for Bound {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bool(value) => out.put_slice(if *value { b"true" } else { b"false" }),
            Self::Integer(value) => out.put_slice(value.to_string().as_bytes()),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::List(items) => {
                let text = if matches!(ty.kind(), Kind::Array(_)) {
                    array(items).ok_or(Unbindable)?
                } else {
                    Value::from(items.clone()).to_string()
                };
                out.put_slice(text.as_bytes());
            }
        }
        Ok(IsNull::No)
    }

    /// Whatever it is, the database reads it from text.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn array(items: &[Value]) -> Option<String> {
    let mut text = String::from("{");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let item = match item {
            Value::Null => {
                text.push_str("NULL");
                continue;
            }
            Value::Array(_) => return None,
            Value::String(item) => item.clone(),
            other => other.to_string(),
        };
        text.push('"');
        for c in item.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    Some(text)
}

/// TLS by the house's own settings.
struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

type Connecting = Pin<Box<dyn Future<Output = std::io::Result<Secured>> + Send>>;

impl TlsConnect<TcpStream> for Tls {
    type Stream = Secured;
    type Error = std::io::Error;
    type Future = Connecting;

    fn connect(self, stream: TcpStream) -> Connecting {
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.config);
            connector.connect(self.name, stream).await.map(Secured)
        })
    }
}

struct Secured(tokio_rustls::client::TlsStream<TcpStream>);

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured")
    }
}

impl TlsStream for Secured {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
