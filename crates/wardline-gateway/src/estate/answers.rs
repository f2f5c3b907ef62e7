//! Answers to idempotency keys, kept in the journal.

use crate::idempotency::{Answer, Answers, Begun, Key};
use crate::problem::{Kind, Problem};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use wardline_engine::{KeyBook, KeyHash, KeyState};

/// When to come again where no key is taken now.
const LATER: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);

/// The journal as keeper of answers.
pub(super) struct Kept(pub(super) Arc<KeyBook>);

/// Everything of an answer but its body.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Kept {
    fn hash(&self, key: &Key) -> KeyHash {
        // A key outlives a minor version of its Api: `orders/1.2.0/place` is `orders/1/place`.
        let mut parts = key.operation.splitn(3, '/');
        let (api, version, operation) = (parts.next(), parts.next(), parts.next());
        let major = version.and_then(|version| version.split('.').next());
        self.0.hash(&[
            key.client.as_bytes(),
            api.unwrap_or_default().as_bytes(),
            major.unwrap_or_default().as_bytes(),
            operation.unwrap_or_default().as_bytes(),
            key.key.as_bytes(),
        ])
    }
}

fn written(answer: &Answer) -> Option<Vec<u8>> {
    let head = Head {
        status: answer.status.as_u16(),
        headers: answer
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect(),
    };
    let head = serde_json::to_vec(&head).ok()?;
    let length = u32::try_from(head.len()).ok()?;
    let mut bytes = Vec::with_capacity(4 + head.len() + answer.body.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&answer.body);
    Some(bytes)
}

fn read(bytes: &Bytes) -> Option<Answer> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let head: Head = serde_json::from_slice(rest.get(..length)?).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in head.headers {
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_str(&value).ok()?);
    }
    Some(Answer {
        status: StatusCode::from_u16(head.status).ok()?,
        headers,
        body: bytes.slice(4 + length..),
    })
}

#[async_trait]
impl Answers for Kept {
    async fn begin(&self, key: &Key, digest: [u8; 32], keep: Duration) -> Result<Begun, Problem> {
        let state = self.0.begin(self.hash(key), &digest, keep).await;
        let state = state.map_err(|error| {
            tracing::warn!(%error, "an idempotency key could not be marked");
            Problem::new(Kind::NotDurable).retry_after(SOON)
        })?;
        Ok(match state {
            KeyState::New => Begun::First,
            KeyState::InHand => Begun::InFlight,
            KeyState::Lost => Begun::Unknown,
            KeyState::Different => Begun::Different,
            KeyState::Full => return Err(Problem::new(Kind::Busy).retry_after(LATER)),
            KeyState::Answered(bytes) => read(&bytes).map_or(Begun::Unknown, Begun::Again),
        })
    }

    async fn complete(&self, key: &Key, answer: Option<Answer>) -> Result<(), Problem> {
        let written = answer.as_ref().and_then(written);
        let kept = self.0.end(self.hash(key), written.as_deref()).await;
        kept.map_err(|error| {
            tracing::error!(%error, "an answer could not be kept; its idempotency key stays used");
            if answer.is_some() {
                Kind::OutcomeUnknown.into()
            } else {
                // It did not arrive, and the key cannot be used again: that is for the caller to know.
                Kind::NotDurable.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static("application/json"));
        headers.append("link", HeaderValue::from_static("<a>"));
        headers.append("link", HeaderValue::from_static("<b>"));
        for body in ["", r#"{"a":"é"}"#] {
            let answer = Answer {
                status: StatusCode::CREATED,
                headers: headers.clone(),
                body: Bytes::from_static(body.as_bytes()),
            };
            let bytes = Bytes::from(written(&answer).unwrap());
            assert_eq!(read(&bytes), Some(answer));
            assert_eq!(read(&bytes.slice(..bytes.len().min(9))), None);
        }
        assert_eq!(read(&Bytes::from_static(&[0xff; 12])), None);
    }
}
