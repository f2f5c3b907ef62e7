//! What a field holds once its type is known.

use super::date::{Date, Picture};
use super::layout::Kind;
use rust_decimal::Decimal;

/// A typed value. Text is kept where the record is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Empty, or not there.
    Absent,
    /// A text.
    Text,
    /// A whole number.
    Integer(i64),
    /// An exact decimal.
    Decimal(Decimal),
    /// A date.
    Date(Date),
}

/// How a field's text becomes a value.
#[derive(Debug, Clone)]
pub(crate) struct Typing {
    pub(crate) kind: Kind,
    pub(crate) picture: Option<Picture>,
    pub(crate) implied: Option<u32>,
    pub(crate) mark: char,
    pub(crate) trim: bool,
}

impl Typing {
    /// The value of a text; `None` where it is not what it should be.
    pub(crate) fn read(&self, text: &str) -> Option<Value> {
        if text.is_empty() {
            return Some(Value::Absent);
        }
        Some(match self.kind {
            Kind::Text => Value::Text,
            Kind::Integer => Value::Integer(text.parse().ok()?),
            Kind::Decimal => Value::Decimal(self.decimal(text)?),
            Kind::Date => Value::Date(self.picture.as_ref()?.read(text)?),
        })
    }

    fn decimal(&self, text: &str) -> Option<Decimal> {
        // A sign behind the digits is how older systems write credits.
        let (digits, behind) = match text.strip_suffix('-') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let plain = |text: &str, mark: char| {
            let body = text.strip_prefix(['-', '+']).unwrap_or(text);
            let mut marks = 0;
            let fits = body.chars().all(|c| {
                marks += u32::from(c == mark);
                c.is_ascii_digit() || c == mark
            });
            fits && marks <= 1 && body.starts_with(|c: char| c.is_ascii_digit())
        };
        if behind && digits.starts_with(['-', '+']) {
            return None;
        }
        let mut number = if let Some(scale) = self.implied {
            let body = digits.strip_prefix(['-', '+']).unwrap_or(digits);
            if body.is_empty() || !body.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Decimal::try_from_i128_with_scale(digits.parse().ok()?, scale).ok()?
        } else if !plain(digits, self.mark) {
            return None;
        } else if self.mark == '.' {
            Decimal::from_str_exact(digits).ok()?
        } else {
            Decimal::from_str_exact(&digits.replace(self.mark, ".")).ok()?
        };
        if behind {
            number.set_sign_negative(true);
        }
        Some(number)
    }

    /// A decimal as the file writes it.
    pub(crate) fn show_decimal(&self, number: Decimal) -> Option<String> {
        match self.implied {
            Some(scale) => {
                let mut scaled = number;
                scaled.rescale(scale);
                // Digits that the file has no room for must not get lost.
                (scaled == number).then(|| scaled.mantissa().to_string())
            }
            None if self.mark == '.' => Some(number.to_string()),
            None => Some(number.to_string().replace('.', &self.mark.to_string())),
        }
    }

    /// What is expected, for people.
    pub(crate) const fn expected(&self) -> &'static str {
        match self.kind {
            Kind::Text => "a text",
            Kind::Integer => "a whole number",
            Kind::Decimal => "a decimal",
            Kind::Date => "a date of the declared format",
        }
    }
}
