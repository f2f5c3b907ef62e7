//! SQL without a database: statements with named parameters ([`Statement`]) and where a database
//! is ([`Place`]).
//!
//! What is promised: a value never becomes a part of a statement's text. A statement is read once,
//! its parameters are found where the database's own reader would find a value, and what is sent is
//! the text with placeholders. What cannot be told apart for certain is refused.

mod place;
mod statement;

pub use place::{BadPlace, Place};
pub use statement::{BadStatement, Placeholders, Statement};

/// How a database reads SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }
}
