//! Databases of others.

use super::{ClientTls, SecretRef};
use crate::source::{Span, Spanned};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wardline_sql::{Place, Statement};

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct SqlAccess {
    /// Where it is; a relative file is below the estate.
    pub place: Place,
    /// Where that is written.
    pub at: Span,
    /// `user:password`.
    pub login: Option<SecretRef>,
    /// TLS; `None` where it was said that there is none.
    pub tls: Option<ClientTls>,
    /// How long to wait for a session.
    pub connect_timeout: Duration,
    /// Limit for all statements of one delivery, or of one look.
    pub timeout: Duration,
}

/// Rows of a database that become messages.
#[derive(Clone, Debug)]
pub struct SqlIn {
    /// How it is reached.
    pub access: SqlAccess,
    /// The statement that reads them.
    pub poll: SqlText,
    /// Columns that name a row; all where empty.
    pub key: Vec<String>,
    /// How it is known what was taken.
    pub follow: SqlFollow,
    /// How often it is looked.
    pub every: Duration,
    /// Rows of one look.
    pub most: u32,
    /// How long it is remembered which rows were taken.
    pub remember: Duration,
}

/// How it is known what was taken.
#[derive(Clone, Debug)]
pub enum SqlFollow {
    /// By a column that rises.
    Mark {
        /// The column.
        column: String,
        /// The first mark.
        begin: String,
        /// How far before the mark is read again.
        overlap: Option<SqlOverlap>,
    },
    /// By a statement that marks rows as done.
    Done(SqlText),
}

/// How far before a mark is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlOverlap {
    /// So much less.
    Number(i64),
    /// So much earlier.
    Time(Duration),
}

/// A statement and where it stands.
#[derive(Clone, Debug)]
pub struct SqlText {
    /// The statement; `None` where it could not be read, which was reported.
    pub statement: Option<Arc<Statement>>,
    /// Where it stands.
    pub at: Span,
}

/// A database on which statements are run.
#[derive(Clone, Debug)]
pub struct SqlOut {
    /// How it is reached.
    pub access: SqlAccess,
    /// What may be asked, by name.
    pub statements: BTreeMap<String, SqlProcedure>,
}

/// Statements that are run in one transaction.
#[derive(Clone, Debug)]
pub struct SqlProcedure {
    /// The statements.
    pub run: Vec<SqlText>,
    /// How many rows the last must give or change.
    pub expect: SqlExpect,
}

/// How many rows a statement must give or change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlExpect {
    /// Any number.
    Any,
    /// At least one.
    Some,
    /// Exactly one.
    One,
}

impl SqlProcedure {
    /// The parameters of all its statements that come from the payload, with their places.
    pub fn parameters(&self) -> impl Iterator<Item = Spanned<&str>> {
        let all = self.run.iter().filter_map(|text| {
            let statement = text.statement.as_ref()?;
            Some((statement.parameters(), text.at))
        });
        all.flat_map(|(names, at)| {
            names
                .iter()
                .map(move |name| Spanned::new(name.as_str(), at))
        })
        .filter(|name| !RESERVED.contains(&name.value))
    }
}

/// Parameters that do not come from the payload.
const RESERVED: [&str; 2] = ["delivery_id", "correlation_id"];
