//! Systems that speak something else than JSON over HTTP: what is asked of them is written in their
//! words before it leaves, and what they answer is JSON again before anybody looks at it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::problem::{Kind, Problem};
use crate::route::{Params, decoded};

/// From the JSON of a request to what the system is sent, with the headers that say what it is.
pub type Ask = Arc<dyn Fn(&Bytes) -> Result<(HeaderMap, Bytes), Unsaid> + Send + Sync>;
/// From status, content type and body of an answer to its JSON.
pub type Understand = Arc<dyn Fn(StatusCode, &str, Bytes) -> Result<Bytes, Unsaid> + Send + Sync>;

/// How a system is spoken to.
#[derive(Clone)]
pub struct Speech {
    /// Writes what is asked.
    pub ask: Ask,
    /// Reads what is answered.
    pub understand: Understand,
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speech").finish_non_exhaustive()
    }
}

/// What cannot be asked, or is no answer. The text goes to the log and holds no value.
#[derive(Debug, Clone)]
pub struct Unsaid {
    /// What callers are told.
    pub whose: Whose,
    /// Why, for the log.
    pub text: String,
}

/// Whose fault it is that there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What was asked does not fit, or the system refuses it.
    Request,
    /// The system failed.
    System,
    /// Nobody understands what it said.
    Answer,
}

/// What callers are told.
pub(crate) fn unsaid(binding: &str, unsaid: &Unsaid) -> Problem {
    tracing::warn!(binding, whose = ?unsaid.whose, reason = unsaid.text, "a system that is spoken to in its own words gave no answer");
    match unsaid.whose {
        Whose::Request => Kind::RefusedBySystem.into(),
        Whose::System | Whose::Answer => Kind::BadAnswer.into(),
    }
}

/// What is asked where no body came: the parameters of path and query by their names.
pub(crate) fn parameters(params: Params<'_>, query: Option<&str>) -> Value {
    let mut all = Map::new();
    let words = query.unwrap_or_default().split('&');
    for (name, raw) in words.filter_map(|word| word.split_once('=')) {
        let raw = raw.replace('+', "%20");
        if let (Some(name), Some(value)) = (decoded(name), decoded(&raw)) {
            all.insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }
    for (name, raw) in params.iter() {
        if let Some(value) = decoded(raw) {
            all.insert(name.to_owned(), Value::String(value.into_owned()));
        }
    }
    Value::Object(all)
}
