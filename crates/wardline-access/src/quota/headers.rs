//! What a caller is told about its limits.

use std::fmt::Write as _;
use std::time::Duration;

/// Where a caller stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name in the headers: `rate`, `hour`, `day`, `week`.
    pub name: &'static str,
    /// Calls in a window.
    pub most: u64,
    /// The window.
    pub window: Duration,
    /// Calls left now.
    pub left: u64,
    /// After what time all of them are there again.
    pub resets: Duration,
}

/// Whole seconds, rounded up: who waits as long as it is told is not refused again for a
/// fraction of a second.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Standing {
    /// The value of `Retry-After` for a time to wait: whole seconds, at least one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardline_access::quota::Standing;
    /// assert_eq!(Standing::retry_after(Duration::from_millis(1_200)), 2);
    /// assert_eq!(Standing::retry_after(Duration::ZERO), 1);
    /// ```
    pub fn retry_after(wait: Duration) -> u64 {
        seconds(wait).max(1)
    }
}

/// The value of `RateLimit-Policy`: what the limits are. Empty without limits.
///
/// ```
/// use std::time::Duration;
/// use wardline_access::quota::{Standing, rate_limit, rate_limit_policy};
/// let standing = Standing {
///     name: "rate",
///     most: 20,
///     window: Duration::from_secs(1),
///     left: 19,
///     resets: Duration::from_millis(50),
/// };
/// assert_eq!(rate_limit_policy(&[standing]), r#""rate";q=20;w=1"#);
/// assert_eq!(rate_limit(&[standing]), r#""rate";r=19;t=1"#);
/// ```
pub fn rate_limit_policy(standings: &[Standing]) -> String {
    list(standings, |text, standing| {
        let _ = write!(
            text,
            "\"{}\";q={};w={}",
            standing.name,
            standing.most,
            seconds(standing.window).max(1)
        );
    })
}

/// The value of `RateLimit`: what is left of the limits. Empty without limits.
pub fn rate_limit(standings: &[Standing]) -> String {
    list(standings, |text, standing| {
        let _ = write!(
            text,
            "\"{}\";r={};t={}",
            standing.name,
            standing.left,
            seconds(standing.resets)
        );
    })
}

/// One entry a name: of several limits of one name (a client's and an operation's) the one of
/// which least is left is what the caller meets first.
fn list(standings: &[Standing], mut item: impl FnMut(&mut String, &Standing)) -> String {
    let mut text = String::new();
    for (at, standing) in standings.iter().enumerate() {
        let tighter = |other: &Standing| {
            other.name == standing.name && (other.left, other.most) < (standing.left, standing.most)
        };
        let same_before = standings[..at].iter().any(|other| {
            other.name == standing.name
                && (other.left, other.most) == (standing.left, standing.most)
        });
        if same_before || standings.iter().any(tighter) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        item(&mut text, standing);
    }
    text
}
