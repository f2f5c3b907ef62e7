//! One value as its column has it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::column::{Column, Kind};

/// A value does not fit its column. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` takes {expected}")]
pub struct Refused {
    /// The column.
    pub column: String,
    /// What it takes, in words.
    pub expected: String,
}

/// A value, read.
#[derive(Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    /// Units of the last digit.
    Decimal(i128),
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since then.
    Time(i64),
}

/// Whether a row can be written: nothing is written then.
///
/// # Errors
/// The first value that does not fit its column.
pub fn check(columns: &[Column], row: &Map<String, Value>) -> Result<(), Refused> {
    columns
        .iter()
        .try_for_each(|column| read(column, row).map(drop))
}

/// The value of a column in a row; what is not there is null.
pub(crate) fn read<'a>(column: &Column, row: &'a Map<String, Value>) -> Result<Cell<'a>, Refused> {
    let value = row.get(&column.name).unwrap_or(&Value::Null);
    if value.is_null() {
        return Ok(Cell::Null);
    }
    cell(column.kind, value).ok_or_else(|| Refused {
        column: column.name.clone(),
        expected: column.kind.to_string(),
    })
}

fn cell(kind: Kind, value: &Value) -> Option<Cell<'_>> {
    Some(match kind {
        Kind::Text => Cell::Text(scalar(value)?),
        Kind::Integer => Cell::Integer(match value {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        }),
        Kind::Decimal { precision, scale } => Cell::Decimal(match value {
            Value::String(text) => decimal(text, precision, scale)?,
            Value::Number(number) => {
                let text = number.to_string();
                // What was a fraction in JSON is exact up to so many digits, and a guess beyond them.
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                if number.is_f64() && digits > 15 {
                    return None;
                }
                decimal(&text, precision, scale)?
            }
            _ => return None,
        }),
        Kind::Boolean => Cell::Boolean(match value {
            Value::Bool(is) => *is,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        }),
        Kind::Date => {
            let day: jiff::civil::Date = value.as_str()?.parse().ok()?;
            let epoch = jiff::civil::date(1970, 1, 1);
            Cell::Date(epoch.until(day).ok()?.get_days())
        }
        Kind::Time => Cell::Time(moment(value.as_str()?)?.as_microsecond()),
        Kind::Json => Cell::Text(value.to_string().into()),
    })
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(is) => Some(is.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A moment; one without a zone is in UTC, as databases have them.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
}

/// Units of the last digit; `None` where digits would be lost.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || (digits.contains('.') && fraction.is_empty()) {
        return None;
    }
    let scale = usize::from(scale);
    let kept = fraction.trim_end_matches('0');
    if kept.len() > scale {
        return None;
    }
    let mut units: i128 = 0;
    let padded = kept.bytes().chain(std::iter::repeat(b'0')).take(scale);
    for digit in whole.bytes().chain(padded) {
        if !digit.is_ascii_digit() {
            return None;
        }
        units = units
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (units < limit).then_some(if negative { -units } else { units })
}

/// Units of the last digit as text.
pub(crate) fn decimal_text(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = units.unsigned_abs().to_string();
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expected) in [
            ("4.5", Some(450)),
            ("-0.01", Some(-1)),
            ("4.500", Some(450)),
            ("007", Some(700)),
            ("4.505", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("", None),
            ("99999", Some(9_999_900)),
            ("100000", None),
        ] {
            assert_eq!(decimal(text, 7, 2), expected, "{text}");
        }
        assert_eq!(decimal_text(-1, 2), "-0.01");
        assert_eq!(decimal_text(450, 2), "4.50");
        assert_eq!(decimal_text(7, 0), "7");
    }

    #[test]
    fn values_fit_their_columns_or_are_refused_without_being_quoted() {
        let read_as = |kind: &str, value: Value| {
            let column = Column::new("c", kind).unwrap();
            let row = json!({ "c": value });
            read(&column, row.as_object().unwrap()).map(|cell| format!("{cell:?}"))
        };
        assert_eq!(read_as("integer", json!("12")).unwrap(), "Integer(12)");
        assert_eq!(read_as("date", json!("1970-01-02")).unwrap(), "Date(1)");
        assert_eq!(read_as("date", json!("1969-12-31")).unwrap(), "Date(-1)");
        assert_eq!(
            read_as("time", json!("1970-01-01T00:00:01")).unwrap(),
            "Time(1000000)"
        );
        assert_eq!(
            read_as("decimal(12,2)", json!(12.1)).unwrap(),
            "Decimal(1210)"
        );
        assert_eq!(read_as("text", Value::Null).unwrap(), "Null");
        for (kind, value) in [
            ("integer", json!(1.5)),
            ("integer", json!("eleven")),
            ("text", json!([1])),
            ("boolean", json!(1)),
            ("date", json!("28.11.2026")),
            ("decimal(30,2)", json!(1_234_567_890_123_456.5)),
        ] {
            let refused = read_as(kind, value).unwrap_err().to_string();
            assert!(refused.starts_with("column `c` takes "), "{refused}");
            assert!(!refused.contains("eleven") && !refused.contains("28.11"));
        }
    }
}
