//! Connections whose other side is a database.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    SqlAccess, SqlExpect, SqlFollow, SqlIn, SqlOut, SqlOverlap, SqlProcedure, SqlText,
};
use crate::shape::sql::{SQL_IN, SQL_MARK, SQL_OUT, SQL_STATEMENT};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::{Data, Node};
use std::sync::Arc;
use wardline_sql::{Dialect, Place, Statement};

impl Decoder<'_> {
    pub(super) fn sql_in(&mut self, node: &Node) -> Option<SqlIn> {
        let view = View::new(Some(node), &SQL_IN);
        let access = self.sql_access(view)?;
        let dialect = access.place.dialect();
        let poll = self.statement(&view.text("poll")?, dialect);
        let follow = match view.get("mark") {
            Some(mark) => {
                let view = View::new(Some(mark), &SQL_MARK);
                let overlap = |text: &str| match text.parse() {
                    Ok(number) => Ok(SqlOverlap::Number(number)),
                    Err(_) => value::duration(text).map(SqlOverlap::Time),
                };
                SqlFollow::Mark {
                    column: view.string("column")?,
                    begin: view.parsed("begin", |text| Ok(text.to_owned()))?,
                    overlap: view.parsed("overlap", overlap),
                }
            }
            None => SqlFollow::Done(self.statement(&view.text("done")?, dialect)),
        };
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        Some(SqlIn {
            access,
            poll,
            key: view.texts("key").into_iter().map(|key| key.value).collect(),
            follow,
            every: duration("every"),
            most: view.integer("most"),
            remember: duration("remember"),
        })
    }

    pub(super) fn sql_out(&mut self, node: &Node) -> Option<SqlOut> {
        let view = View::new(Some(node), &SQL_OUT);
        let access = self.sql_access(view)?;
        let dialect = access.place.dialect();
        let mut statements = std::collections::BTreeMap::new();
        for entry in view.get("statements").map_or(&[][..], Node::entries) {
            let (texts, expect) = if matches!(entry.value.data, Data::Mapping(_)) {
                let view = View::new(Some(&entry.value), &SQL_STATEMENT);
                let expect = match view.string("expect").as_deref() {
                    Some("one") => SqlExpect::One,
                    Some("some") => SqlExpect::Some,
                    _ => SqlExpect::Any,
                };
                (view.texts("run"), expect)
            } else {
                (entry.value.text().into_iter().collect(), SqlExpect::Any)
            };
            let run = texts
                .iter()
                .map(|text| self.statement(text, dialect))
                .collect();
            statements.insert(entry.key.clone(), SqlProcedure { run, expect });
        }
        Some(SqlOut { access, statements })
    }

    fn sql_access(&mut self, view: View<'_>) -> Option<SqlAccess> {
        let database = view.text("database")?;
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let tls = view.get("tls");
        let none = tls.is_some_and(|tls| !matches!(tls.data, Data::Mapping(_)));
        Some(SqlAccess {
            // What is no place was reported by its shape.
            place: Place::parse(&database.value).ok()?,
            at: database.at,
            login: self.secret(view.text("login")),
            tls: (!none).then(|| self.client_tls(tls).unwrap_or_default()),
            connect_timeout: duration("connect_timeout"),
            timeout: duration("timeout"),
        })
    }

    /// Reads a statement; what is wrong with it is told.
    fn statement(&mut self, written: &Spanned<String>, dialect: Dialect) -> SqlText {
        let at: Span = written.at;
        let statement = match Statement::parse(&written.value, dialect) {
            Ok(statement) => Some(Arc::new(statement)),
            Err(error) => {
                let place = written.inner(error.at..error.at + 1, &self.files.sources);
                let problem = Diagnostic::error(
                    codes::BAD_STATEMENT,
                    format!(
                        "this is no statement of {} that can be used",
                        dialect.title()
                    ),
                )
                .at(place)
                .label(error.what);
                self.files.problems.push(problem);
                None
            }
        };
        SqlText { statement, at }
    }
}
