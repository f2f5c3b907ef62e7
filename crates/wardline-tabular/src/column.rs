//! Columns: a name and what its values are.

use std::fmt;
use std::str::FromStr;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, and the member of a row that holds its value.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// What the values of a column are. Each may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// An exact decimal number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A moment, to the microsecond, in UTC.
    Time,
    /// Anything, as JSON.
    Json,
}

/// A word is not the kind of a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected text, integer, decimal(PRECISION,SCALE) with at most 38 digits, boolean, date, time or json"
)]
pub struct BadColumn;

impl Column {
    /// A column of a kind that is written as a word: `text`, `decimal(12,2)`.
    ///
    /// # Errors
    /// Where the word is no kind.
    pub fn new(name: impl Into<String>, kind: &str) -> Result<Self, BadColumn> {
        Ok(Self {
            name: name.into(),
            kind: kind.parse()?,
        })
    }
}

impl FromStr for Kind {
    type Err = BadColumn;

    fn from_str(text: &str) -> Result<Self, BadColumn> {
        Ok(match text {
            "text" => Self::Text,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "time" => Self::Time,
            "json" => Self::Json,
            _ => {
                let inner = text
                    .strip_prefix("decimal(")
                    .and_then(|rest| rest.strip_suffix(')'))
                    .ok_or(BadColumn)?;
                let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
                let number = |text: &str| text.trim().parse::<u8>().map_err(|_| BadColumn);
                let (precision, scale) = (number(precision)?, number(scale)?);
                if !(1..=38).contains(&precision) || scale > precision {
                    return Err(BadColumn);
                }
                Self::Decimal { precision, scale }
            }
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Integer => f.write_str("a whole number"),
            Self::Decimal { precision, scale } => {
                write!(
                    f,
                    "a decimal of {precision} digits, {scale} behind the point"
                )
            }
            Self::Boolean => f.write_str("true or false"),
            Self::Date => f.write_str("a day (2026-11-28)"),
            Self::Time => f.write_str("a moment (2026-11-28T01:02:03Z)"),
            Self::Json => f.write_str("JSON"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read() {
        assert_eq!(
            "decimal(12,2)".parse(),
            Ok(Kind::Decimal {
                precision: 12,
                scale: 2
            })
        );
        assert_eq!(
            "decimal(5)".parse(),
            Ok(Kind::Decimal {
                precision: 5,
                scale: 0
            })
        );
        for bad in [
            "",
            "float",
            "decimal(0,0)",
            "decimal(39,2)",
            "decimal(2,3)",
            "decimal(2",
        ] {
            assert_eq!(bad.parse::<Kind>(), Err(BadColumn), "{bad}");
        }
    }
}
