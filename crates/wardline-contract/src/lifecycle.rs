//! The headers that tell callers that an Api ends: `Deprecation` (RFC 9745), `Sunset` (RFC 8594),
//! and links to what follows (RFC 8288, RFC 5829).

use http::header::LINK;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The beginning of a day in UTC, which is what a date in an estate means.
///
/// ```
/// use wardline_contract::lifecycle::beginning;
/// let day = jiff::civil::date(2026, 11, 11);
/// assert_eq!(beginning(day).map(|at| at.to_string()).as_deref(), Some("2026-11-11T00:00:00Z"));
/// ```
pub fn beginning(day: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

/// The value of `Deprecation`: a date of structured fields (RFC 9651, 3.3.7).
///
/// ```
/// let at = "2023-06-30T23:59:59Z".parse()?;
/// assert_eq!(wardline_contract::lifecycle::deprecation(at), "@1688169599");
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn deprecation(at: Timestamp) -> String {
    format!("@{}", at.as_second())
}

/// The value of `Sunset`: an HTTP date (RFC 9110, 5.6.7). `None` before the year 0.
///
/// ```
/// let at = "2018-12-31T23:59:59Z".parse()?;
/// let sunset = wardline_contract::lifecycle::sunset(at);
/// assert_eq!(sunset.as_deref(), Some("Mon, 31 Dec 2018 23:59:59 GMT"));
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn sunset(at: Timestamp) -> Option<String> {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()
}

/// How the life of an Api's version ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Since when it is deprecated, or from when on it will be.
    pub deprecated: Option<Timestamp>,
    /// When it will no longer answer.
    pub sunset: Option<Timestamp>,
    /// Address or path of the version that follows.
    pub successor: Option<String>,
    /// Address or path of a text about the deprecation.
    pub about: Option<String>,
}

impl Lifecycle {
    /// The headers for every answer, to be made once. A link that cannot stand in a header is left
    /// out.
    ///
    /// ```
    /// use wardline_contract::lifecycle::Lifecycle;
    /// let lifecycle = Lifecycle { successor: Some("/beds/v2".into()), ..Lifecycle::default() };
    /// let headers = lifecycle.headers();
    /// assert_eq!(headers[0].1, "</beds/v2>; rel=\"successor-version\"");
    /// ```
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let link = |target: &Option<String>, relation: &str| {
            let target = target.as_deref()?;
            let clean = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"');
            let text = format!("<{target}>; rel=\"{relation}\"");
            let value = HeaderValue::try_from(text).ok()?;
            target.chars().all(clean).then_some((LINK, value))
        };
        let header = |name: &'static str, value: Option<String>| {
            let value = HeaderValue::try_from(value?).ok()?;
            Some((HeaderName::from_static(name), value))
        };
        let deprecated = self.deprecated.map(deprecation);
        let all = [
            header("deprecation", deprecated),
            header("sunset", self.sunset.and_then(sunset)),
            link(&self.about, "deprecation"),
            link(&self.successor, "successor-version"),
        ];
        all.into_iter().flatten().collect()
    }
}
