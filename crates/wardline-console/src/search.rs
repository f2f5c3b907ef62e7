//! What people type into the search box: words with a colon (`type:ADT^A03 state:held
//! since:24h`), or one bare text that is an id or a business key.
//!
//! A search that holds a key is never put into an address: [`Search::holds_key`] decides,
//! and [`Search::shown`] is the text with the key masked.

use std::time::Duration;
use wardline_core::{Code, Timestamp};
use wardline_engine::view::MessageQuery;

/// The words that may stand before a colon, and what each means.
pub(crate) const WORDS: [(&str, &str); 9] = [
    ("key", "a business key, exactly: an account number, an MRN"),
    ("type", "the type of message: ADT^A03, encounter.discharged"),
    ("source", "where it came from: ehr.adt"),
    ("flow", "a flow that took it"),
    (
        "state",
        "pending, retrying, held, delivered, dead, cancelled, filtered or unrouted",
    ),
    ("error", "text in the error of one of its deliveries"),
    (
        "since",
        "received at or after: 30m, 24h, 7d, 2026-11-24, 2026-11-24T10:00Z",
    ),
    ("until", "received before: the same"),
    ("events", "yes: also list events that flows made"),
];
const STATES: [&str; 8] = [
    "pending",
    "retrying",
    "held",
    "delivered",
    "dead",
    "cancelled",
    "filtered",
    "unrouted",
];
/// Stands for a key that is kept on the server.
pub(crate) const MASK: &str = "••••";
/// Nobody types more.
const LONGEST: usize = 2_000;

/// A search as it was meant.
#[derive(Clone)]
pub struct Search {
    /// What to ask the engine.
    pub query: MessageQuery,
    /// The text with its key masked.
    shown: String,
    /// The one bare text, where the search is nothing else.
    bare: Option<String>,
}

/// The text is not a search. Holds no value that was typed, since that may be a key; only
/// the word before a colon, to the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A word before a colon that means nothing.
    #[error("`{word}:` means nothing here{}", suggestion.map(|near| format!("; did you mean `{near}:`?")).unwrap_or_default())]
    UnknownWord {
        /// The word.
        word: String,
        /// The nearest that means something.
        suggestion: Option<&'static str>,
    },
    /// A word without a value.
    #[error("`{0}:` needs a value after its colon")]
    NoValue(&'static str),
    /// The same word twice.
    #[error("`{0}:` is there twice; a search holds one of each")]
    Twice(&'static str),
    /// Not one of the states.
    #[error(
        "`state:` is one of pending, retrying, held, delivered, dead, cancelled, filtered, unrouted"
    )]
    UnknownState,
    /// Not a time.
    #[error("`{0}:` takes an age (30m, 24h, 7d) or a time (2026-11-24, 2026-11-24T10:00Z)")]
    BadTime(&'static str),
    /// More than one bare text.
    #[error("a search holds one text without a colon; put quotation marks around one with spaces")]
    TwoTexts,
    /// A quotation mark that is not closed.
    #[error("a quotation mark is not closed")]
    OpenQuote,
    /// Too long.
    #[error("a search has at most 2,000 characters")]
    TooLong,
}

impl SearchError {
    /// The stable code of all of them.
    pub const CODE: Code = Code("W7202");
}

impl Search {
    /// Reads a text; `now` is what ages such as `24h` count from.
    ///
    /// # Example
    /// ```
    /// # use wardline_console::Search;
    /// # use wardline_core::Timestamp;
    /// let search = Search::parse("type:ADT^A03 key:ACC-77", Timestamp::now()).unwrap();
    /// assert_eq!(search.query.key.as_deref(), Some("ACC-77"));
    /// assert_eq!(search.shown(), "type:ADT^A03 key:••••");
    /// ```
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, SearchError> {
        if text.len() > LONGEST {
            return Err(SearchError::TooLong);
        }
        let mut query = MessageQuery::default();
        let mut shown = Vec::new();
        let mut bare = None;
        let terms = terms(text)?;
        let only = terms.len() == 1;
        for term in terms {
            let Some((word, value)) = term.split() else {
                put(&mut query.key, "key", term.text.clone()).map_err(|_| SearchError::TwoTexts)?;
                shown.push(format!("key:{MASK}"));
                bare = only.then(|| term.text.clone());
                continue;
            };
            let Some((word, _)) = WORDS.iter().find(|(known, _)| *known == word) else {
                return Err(SearchError::UnknownWord {
                    suggestion: nearest(word),
                    word: word.chars().take(24).collect(),
                });
            };
            if value.is_empty() {
                return Err(SearchError::NoValue(word));
            }
            let value = value.to_owned();
            match *word {
                "key" => put(&mut query.key, word, value)?,
                "type" => put(&mut query.kind, word, value)?,
                "source" => put(&mut query.source, word, value)?,
                "flow" => put(&mut query.flow, word, value)?,
                "error" => put(&mut query.error, word, value)?,
                "state" if STATES.contains(&value.as_str()) => put(&mut query.state, word, value)?,
                "state" => return Err(SearchError::UnknownState),
                "since" => put(
                    &mut query.from,
                    word,
                    time(&value, now).ok_or(SearchError::BadTime(word))?,
                )?,
                "until" => put(
                    &mut query.to,
                    word,
                    time(&value, now).ok_or(SearchError::BadTime(word))?,
                )?,
                _ => query.events = matches!(value.as_str(), "yes" | "true" | "1"),
            }
            shown.push(if *word == "key" {
                format!("key:{MASK}")
            } else {
                term.written()
            });
        }
        Ok(Self {
            query,
            shown: shown.join(" "),
            bare,
        })
    }

    /// Whether the search must not be put into an address.
    pub const fn holds_key(&self) -> bool {
        self.query.key.is_some()
    }

    /// The text, its key masked.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The text where it is one bare word: perhaps an id.
    pub fn bare(&self) -> Option<&str> {
        self.bare.as_deref()
    }
}

/// One word of a search, quotation marks taken away.
struct Term {
    text: String,
    /// Where the colon is that splits it; one inside quotation marks does not.
    colon: Option<usize>,
}

impl Term {
    fn split(&self) -> Option<(&str, &str)> {
        self.colon
            .map(|at| (&self.text[..at], &self.text[at + 1..]))
    }

    /// As it would be typed.
    fn written(&self) -> String {
        match self.split() {
            Some((word, value)) if value.contains(char::is_whitespace) => {
                format!("{word}:\"{value}\"")
            }
            _ => self.text.clone(),
        }
    }
}

fn terms(text: &str) -> Result<Vec<Term>, SearchError> {
    let mut all = Vec::new();
    let mut term = Term {
        text: String::new(),
        colon: None,
    };
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !term.text.is_empty() {
                    all.push(std::mem::replace(
                        &mut term,
                        Term {
                            text: String::new(),
                            colon: None,
                        },
                    ));
                }
            }
            c => {
                if c == ':' && !quoted && term.colon.is_none() {
                    term.colon = Some(term.text.len());
                }
                term.text.push(c);
            }
        }
    }
    if quoted {
        return Err(SearchError::OpenQuote);
    }
    if !term.text.is_empty() {
        all.push(term);
    }
    Ok(all)
}

fn put<T>(slot: &mut Option<T>, word: &'static str, value: T) -> Result<(), SearchError> {
    if slot.is_some() {
        return Err(SearchError::Twice(word));
    }
    *slot = Some(value);
    Ok(())
}

/// An age before `now`, a date, or a time; without a zone it is UTC.
fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => {
            return if let Ok(exact) = text.parse::<jiff::Timestamp>() {
                Some(Timestamp(exact.as_microsecond()))
            } else {
                let utc = text
                    .trim_end_matches('Z')
                    .parse::<jiff::civil::DateTime>()
                    .ok()?;
                let zoned = utc.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
                Some(Timestamp(zoned.timestamp().as_microsecond()))
            };
        }
    };
    let age = Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(seconds)?);
    Some(Timestamp(
        now.0.checked_sub(i64::try_from(age.as_micros()).ok()?)?,
    ))
}

/// The known word that shares the most beginning with this one.
fn nearest(word: &str) -> Option<&'static str> {
    let alias = match word {
        "status" => Some("state"),
        "kind" | "event" => Some("type"),
        "from" | "system" => Some("source"),
        "after" | "start" => Some("since"),
        "before" | "to" | "end" => Some("until"),
        "mrn" | "account" | "acct" | "id" | "po" => Some("key"),
        _ => None,
    };
    alias.or_else(|| {
        WORDS
            .iter()
            .map(|(known, _)| {
                (
                    known,
                    known
                        .bytes()
                        .zip(word.bytes())
                        .take_while(|(a, b)| a == b)
                        .count(),
                )
            })
            .max_by_key(|(_, shared)| *shared)
            .filter(|(_, shared)| *shared >= 2)
            .map(|(known, _)| *known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T10:00:00Z".to_owned().try_into().unwrap()
    }

    fn parse(text: &str) -> Search {
        Search::parse(text, now()).unwrap()
    }

    #[test]
    fn every_word_lands_in_its_place() {
        let search = parse(
            r#"type:ADT^A03 source:ehr.adt flow:discharge state:held error:"connection refused" since:24h until:2026-11-24T09:30Z events:yes"#,
        );
        let query = search.query.clone();
        assert_eq!(query.kind.as_deref(), Some("ADT^A03"));
        assert_eq!(query.source.as_deref(), Some("ehr.adt"));
        assert_eq!(query.flow.as_deref(), Some("discharge"));
        assert_eq!(query.state.as_deref(), Some("held"));
        assert_eq!(query.error.as_deref(), Some("connection refused"));
        assert_eq!(query.from.unwrap().to_string(), "2026-11-23T10:00:00.000Z");
        assert_eq!(query.to.unwrap().to_string(), "2026-11-24T09:30:00.000Z");
        assert!(query.events);
        assert!(!search.holds_key());
        // What is shown is a search again, and the same one.
        let again = parse(search.shown());
        assert_eq!(again.query.error, query.error);
        assert_eq!(again.query.from, query.from);
    }

    #[test]
    fn keys_are_masked_however_they_are_typed() {
        for text in [
            "ACC-77",
            "key:ACC-77",
            "state:held ACC-77",
            r#"key:"ACC-77""#,
            r#""ACC-77" state:held"#,
        ] {
            let search = parse(text);
            assert_eq!(search.query.key.as_deref(), Some("ACC-77"), "{text}");
            assert!(search.holds_key());
            assert!(
                !search.shown().contains("ACC-77"),
                "{text} is shown as {}",
                search.shown()
            );
        }
        assert_eq!(parse("ACC-77").bare(), Some("ACC-77"));
        assert_eq!(parse("ACC-77 state:held").bare(), None);
        assert_eq!(parse("key:a:b").query.key.as_deref(), Some("a:b"));
        assert_eq!(parse(r#""a:b c""#).query.key.as_deref(), Some("a:b c"));
    }

    #[test]
    fn what_does_not_parse_says_what_would() {
        let error = |text: &str| Search::parse(text, now()).err().unwrap();
        assert_eq!(
            error("status:held"),
            SearchError::UnknownWord {
                word: "status".into(),
                suggestion: Some("state")
            }
        );
        assert_eq!(
            error("typo:x").to_string(),
            "`typo:` means nothing here; did you mean `type:`?"
        );
        assert_eq!(error("type:"), SearchError::NoValue("type"));
        assert_eq!(error("type:a type:b"), SearchError::Twice("type"));
        assert_eq!(error("state:broken"), SearchError::UnknownState);
        assert_eq!(error("since:yesterday"), SearchError::BadTime("since"));
        assert_eq!(
            error("since:99999999999999999999d"),
            SearchError::BadTime("since")
        );
        assert_eq!(error("since:9999999999999d"), SearchError::BadTime("since"));
        assert_eq!(error("one two"), SearchError::TwoTexts);
        assert_eq!(error("key:\"open"), SearchError::OpenQuote);
        assert_eq!(error(&"x".repeat(2_001)), SearchError::TooLong);
        assert!(
            !error("secretvalue othervalue")
                .to_string()
                .contains("value ")
        );
    }

    #[test]
    fn nothing_typed_asks_for_everything() {
        let search = parse("  ");
        assert!(search.query.key.is_none() && search.query.kind.is_none());
        assert_eq!(search.shown(), "");
    }
}
