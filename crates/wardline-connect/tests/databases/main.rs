//! The SQL connector against real databases: PostgreSQL, MariaDB and SQLite. What is not installed
//! is skipped with a line.
#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

mod poll;
mod run;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use servers::Server;
use tempfile::TempDir;
use wardline_connect::sql::{Access, Expect, Outbound, OutboundConfig, Procedure};
use wardline_connect::{Failure, Outbound as _, Request, Secret};
use wardline_sql::{Dialect, Place, Statement};

/// A database of one of the three kinds.
enum Database {
    Served(Dialect, Server),
    File(TempDir),
}

impl Database {
    fn postgres() -> Option<Self> {
        Server::postgres(None).map(|server| Self::Served(Dialect::Postgres, server))
    }

    fn mariadb() -> Option<Self> {
        Server::mariadb(None).map(|server| Self::Served(Dialect::Mysql, server))
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("work.db"), "").unwrap();
        Self::File(folder)
    }

    /// All that are there.
    fn all() -> impl Iterator<Item = Self> {
        let makers: [fn() -> Option<Self>; 3] =
            [Self::postgres, Self::mariadb, || Some(Self::sqlite())];
        makers.into_iter().filter_map(|make| make())
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Served(dialect, _) => *dialect,
            Self::File(_) => Dialect::Sqlite,
        }
    }

    fn access(&self) -> Access {
        let (place, login) = match self {
            Self::Served(dialect, server) => {
                let database = if *dialect == Dialect::Mysql {
                    "work"
                } else {
                    "postgres"
                };
                let place = Place::Server {
                    dialect: *dialect,
                    host: "127.0.0.1".into(),
                    port: server.port,
                    database: database.into(),
                };
                (place, Some(Secret::from(server.login)))
            }
            Self::File(folder) => {
                let path = folder.path().join("work.db");
                (Place::File(path.to_str().unwrap().into()), None)
            }
        };
        Access {
            name: "wh.db".into(),
            place,
            login,
            tls: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }

    fn read(&self, text: &str) -> Arc<Statement> {
        Arc::new(Statement::parse(text, self.dialect()).unwrap())
    }

    fn outbound(&self, statements: &[&str], expect: Expect) -> Outbound {
        outbound(self.access(), self.dialect(), statements, expect)
    }

    /// Runs one statement, without values.
    async fn does(&self, text: &str) -> Value {
        let sent = self.outbound(&[text], Expect::Any);
        send(&sent, json!({}))
            .await
            .unwrap_or_else(|failure| panic!("{text}: {failure}"))
    }

    async fn rows(&self, text: &str) -> Value {
        self.does(text).await["rows"].clone()
    }
}

fn outbound(access: Access, dialect: Dialect, statements: &[&str], expect: Expect) -> Outbound {
    let statements = statements
        .iter()
        .map(|text| Arc::new(Statement::parse(text, dialect).unwrap()))
        .collect();
    Outbound::new(OutboundConfig {
        access,
        sessions: 4,
        procedures: BTreeMap::from([("only".to_owned(), Procedure { statements, expect })]),
    })
}

async fn send(outbound: &Outbound, payload: Value) -> Result<Value, Failure> {
    let request = Request {
        idempotency_key: "d-1",
        attempt: 1,
        body: payload.to_string().into(),
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c-1",
    };
    let reply = outbound.send(request).await?;
    Ok(serde_json::from_slice(&reply.body).unwrap())
}
