//! A delivery becomes statements: all of them, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::bound::Bound;
use super::config::{OutboundConfig, Procedure};
use super::session::{Pool, Rules, Step};
use crate::{Failure, FailureKind, Reply, Request, codes};

/// Rows of one answer.
const MOST: usize = 10_000;
/// What every statement may use beside the payload.
const DELIVERY: &str = "delivery_id";
const CORRELATION: &str = "correlation_id";

/// Runs statements, with parameters that are bound from the payload. What is asked for is the name
/// that the request's path holds behind a `/`; where there is one only, it needs none.
pub struct Outbound {
    pool: Pool,
    procedures: BTreeMap<String, Procedure>,
    name: Arc<str>,
}

impl Outbound {
    /// Connects to nothing yet.
    pub fn new(config: OutboundConfig) -> Self {
        Self {
            name: Arc::clone(&config.access.name),
            pool: Pool::new(config.access, config.sessions),
            procedures: config.procedures,
        }
    }

    fn procedure(&self, path: Option<&str>) -> Result<&Procedure, Failure> {
        let wanted = path.map(|path| path.trim_start_matches('/'));
        let found = match wanted.filter(|name| !name.is_empty()) {
            Some(name) => self.procedures.get(name),
            None if self.procedures.len() == 1 => self.procedures.values().next(),
            None => None,
        };
        found.ok_or_else(|| self.unbindable("it is not said which of the statements to run"))
    }

    fn unbindable(&self, what: &str) -> Failure {
        Failure::new(
            FailureKind::Permanent,
            codes::SQL_UNBINDABLE,
            format!("{}: {what}", self.name),
        )
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let procedure = self.procedure(request.path)?;
        let payload: Value = if request.body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(&request.body)
                .map_err(|_| self.unbindable("the payload is not JSON"))?
        };
        if !payload.is_object() {
            return Err(self.unbindable("the payload is no object, so it has no fields to bind"));
        }
        let steps = procedure.statements.iter().map(|statement| Step {
            values: statement
                .parameters()
                .iter()
                .map(|name| match name.as_str() {
                    DELIVERY => Bound::Text(request.idempotency_key.to_owned()),
                    CORRELATION => Bound::Text(request.correlation.to_owned()),
                    path => Bound::at(&payload, path),
                })
                .collect(),
            statement: Arc::clone(statement),
        });
        let rules = Rules {
            expect: procedure.expect,
            most: MOST,
            partly: false,
        };
        let answer = self
            .pool
            .run(steps.collect(), rules)
            .await
            .map_err(|trouble| trouble.into_failure(&self.name))?;
        let body = json!({ "affected": answer.affected, "rows": answer.rows });
        Ok(Reply {
            status: "done".to_owned(),
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
            truncated: false,
        })
    }

    fn describe(&self) -> String {
        let tls = if self.pool.access().tls.is_some() {
            " (tls)"
        } else {
            ""
        };
        format!("sql {}{tls}", self.pool.access().place)
    }
}
