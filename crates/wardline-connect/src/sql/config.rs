//! What can be set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wardline_sql::{Place, Statement};

use crate::Secret;
use crate::tls::ClientTls;

/// How a database is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// The connection, `system.connection`.
    pub name: Arc<str>,
    /// Where it is.
    pub place: Place,
    /// `user:password`; files have none.
    pub login: Option<Secret>,
    /// TLS, where it is spoken.
    pub tls: Option<ClientTls>,
    /// How long to wait for a session.
    pub connect_timeout: Duration,
    /// How long all statements of one delivery, or one look, may take.
    pub timeout: Duration,
}

/// How rows are read.
#[derive(Debug, Clone)]
pub struct PollConfig {
    /// The statement that reads them.
    pub query: Arc<Statement>,
    /// Columns that name a row; all where empty.
    pub key: Vec<String>,
    /// How it is known what was taken.
    pub follow: Follow,
    /// How often it is looked.
    pub every: Duration,
    /// Rows of one look.
    pub most: usize,
}

/// How it is known what was taken.
#[derive(Debug, Clone)]
pub enum Follow {
    /// By a column that rises; the statement reads from `:mark` on.
    Mark {
        /// The column.
        column: String,
        /// Where it begins.
        begin: String,
        /// How far before the mark is read again, for rows that were committed late.
        overlap: Option<Overlap>,
    },
    /// Rows that were taken are marked or deleted by a statement whose parameters are their columns.
    Done(Arc<Statement>),
}

/// How far before the mark is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// So much less, where the mark is a whole number.
    Number(i64),
    /// So much earlier, where it is a time.
    Time(Duration),
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// How it is reached.
    pub access: Access,
    /// Sessions that are kept.
    pub sessions: usize,
    /// What may be asked, by name.
    pub procedures: BTreeMap<String, Procedure>,
}

/// Statements that are run in one transaction.
#[derive(Debug, Clone)]
pub struct Procedure {
    /// The statements.
    pub statements: Vec<Arc<Statement>>,
    /// How many rows the last of them must give or change.
    pub expect: Expect,
}

/// How many rows a statement must give or change; otherwise nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any number.
    Any,
    /// At least one.
    Some,
    /// Exactly one.
    One,
}

impl Expect {
    /// Whether so many will do.
    pub(crate) const fn takes(self, rows: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Some => rows > 0,
            Self::One => rows == 1,
        }
    }
}
