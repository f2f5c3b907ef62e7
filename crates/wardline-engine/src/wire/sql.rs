//! Connections to databases.

use super::{WireError, Wiring};
use crate::renew::Renewals;
use arc_swap::ArcSwap;
use std::sync::Arc;
use wardline_connect::{Outbound, sql};
use wardline_estate::model::{
    Connection, ConnectionKind, Estate, SqlAccess, SqlExpect, SqlFollow, SqlIn, SqlOut, SqlOverlap,
    SqlText,
};
use wardline_sql::{Place, Statement};

impl Wiring<'_> {
    fn sql_access(
        &self,
        connection: &Connection,
        declared: &SqlAccess,
    ) -> Result<sql::Access, WireError> {
        let place = match &declared.place {
            Place::File(file) => {
                Place::File(self.estate.root.join(file).to_string_lossy().into_owned())
            }
            server @ Place::Server { .. } => server.clone(),
        };
        let tls = declared.tls.as_ref().filter(|_| !is_file(&place));
        Ok(sql::Access {
            name: connection.reference.as_str().into(),
            login: declared
                .login
                .as_ref()
                .map(|login| self.secret(login))
                .transpose()?,
            tls: tls.map(|tls| self.client_tls(tls)).transpose()?,
            place,
            connect_timeout: declared.connect_timeout,
            timeout: declared.timeout,
        })
    }

    /// What runs statements.
    pub(super) fn sql_out(
        &self,
        connection: &Connection,
        declared: &SqlOut,
    ) -> Result<Arc<dyn Outbound>, WireError> {
        let procedures = declared.statements.iter().map(|(name, one)| {
            let procedure = sql::Procedure {
                statements: one.run.iter().filter_map(read).collect(),
                expect: match one.expect {
                    SqlExpect::Any => sql::Expect::Any,
                    SqlExpect::Some => sql::Expect::Some,
                    SqlExpect::One => sql::Expect::One,
                },
            };
            (name.clone(), procedure)
        });
        Ok(Arc::new(sql::Outbound::new(sql::OutboundConfig {
            access: self.sql_access(connection, &declared.access)?,
            sessions: connection.limits.concurrent.clamp(1, 64) as usize,
            procedures: procedures.collect(),
        })))
    }
}

impl Renewals {
    /// What takes rows of an inbound connection; it looks at nothing yet. How the database is
    /// reached is kept in step with its secret and certificates.
    pub(crate) fn poll(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        declared: &SqlIn,
    ) -> Result<Option<sql::Poll>, WireError> {
        // An estate with a statement that could not be read never gets here.
        let Some(query) = read(&declared.poll) else {
            return Ok(None);
        };
        let follow = match &declared.follow {
            SqlFollow::Mark {
                column,
                begin,
                overlap,
            } => sql::Follow::Mark {
                column: column.clone(),
                begin: begin.clone(),
                overlap: overlap.map(|overlap| match overlap {
                    SqlOverlap::Number(less) => sql::Overlap::Number(less),
                    SqlOverlap::Time(less) => sql::Overlap::Time(less),
                }),
            },
            SqlFollow::Done(done) => match read(done) {
                Some(done) => sql::Follow::Done(done),
                None => return Ok(None),
            },
        };
        let wiring = Wiring::new(estate, self.secrets());
        let access = wiring.sql_access(connection, &declared.access)?;
        let target = Arc::new(ArcSwap::from_pointee(access));
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let reference = connection.reference.clone();
        self.keep(
            format!("connection {reference}"),
            &target,
            wiring.inputs(),
            None,
            move || {
                let wiring = Wiring::new(&owned, &secrets);
                let found = owned.connection(&reference);
                let declared = found.and_then(|(_, connection)| match &connection.kind {
                    ConnectionKind::SqlIn(declared) => Some((connection, declared)),
                    _ => None,
                });
                let Some((connection, declared)) = declared else {
                    return Err(WireError::Gone {
                        connection: reference.clone(),
                    });
                };
                let access = wiring.sql_access(connection, &declared.access)?;
                Ok((access, wiring.inputs()))
            },
        );
        let config = sql::PollConfig {
            query,
            key: declared.key.clone(),
            follow,
            every: declared.every,
            most: declared.most as usize,
        };
        Ok(Some(sql::Poll::new(target, config)))
    }
}

const fn is_file(place: &Place) -> bool {
    matches!(place, Place::File(_))
}

fn read(text: &SqlText) -> Option<Arc<Statement>> {
    text.statement.clone()
}
