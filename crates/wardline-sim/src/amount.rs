//! Exact decimals for money and quantities, because a supplier's invoice has to agree with its order to the cent.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

/// Six places: what a price per unit may have.
const SCALE: i128 = 1_000_000;
const PLACES: usize = 6;
/// Digits before the point that are read; more is no amount of ours.
const DIGITS: usize = 15;

/// A decimal with six places. It is written with at least two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(i128);

impl Amount {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn whole(number: i64) -> Self {
        Self(number as i128 * SCALE)
    }

    pub(crate) const fn cents(number: i64) -> Self {
        Self(number as i128 * SCALE / 100)
    }

    /// Reads `-12.50`; `None` for anything else than digits, one point and a sign.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (minus, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > DIGITS || part.len() > PLACES {
            return None;
        }
        if !sound(whole) || !sound(part) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let part: i128 = format!("{part:0<PLACES$}").parse().ok()?;
        let value = whole * SCALE + part;
        Some(Self(if minus { -value } else { value }))
    }

    /// The product, rounded to six places.
    pub(crate) fn times(self, other: Self) -> Self {
        Self(halves_up(self.0 * other.0, SCALE))
    }

    /// This many hundredths of it.
    pub(crate) fn percent(self, percent: i64) -> Self {
        Self(halves_up(self.0 * i128::from(percent), 100))
    }

    /// Rounded to the cent, halves away from zero.
    pub(crate) fn to_cents(self) -> Self {
        Self(halves_up(self.0, SCALE / 100) * (SCALE / 100))
    }

    /// Rounded down to a whole number.
    pub(crate) fn floor(self) -> Self {
        Self(self.0.div_euclid(SCALE) * SCALE)
    }

    /// As X12 writes it in elements of type N2: cents, without a point.
    pub(crate) fn n2(self) -> String {
        (self.to_cents().0 / (SCALE / 100)).to_string()
    }

    /// Without places that say nothing: a quantity.
    pub(crate) fn plain(self) -> String {
        let text = self.to_string();
        match text.strip_suffix(".00") {
            Some(whole) => whole.to_owned(),
            None => text,
        }
    }
}

/// Divides and rounds halves away from zero.
fn halves_up(value: i128, by: i128) -> i128 {
    let half = if value < 0 { -by / 2 } else { by / 2 };
    (value + half) / by
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let value = self.0.unsigned_abs();
        let scale = SCALE.unsigned_abs();
        let mut part = format!("{:06}", value % scale);
        while part.len() > 2 && part.ends_with('0') {
            part.pop();
        }
        write!(f, "{sign}{}.{part}", value / scale)
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    fn read(text: &str) -> Amount {
        Amount::read(text).unwrap()
    }

    #[test]
    fn what_is_read_is_written() {
        for (text, written) in [
            ("50", "50.00"),
            ("-0.5", "-0.50"),
            ("0.5051", "0.5051"),
            ("999999999999999.999999", "999999999999999.999999"),
        ] {
            assert_eq!(read(text).to_string(), written);
        }
        assert_eq!(read("10.00").plain(), "10");
        assert_eq!(read("0.25").plain(), "0.25");
        for text in ["", "-", ".5", "1e3", "+1", "1.2.3", "0.1234567", "1 "] {
            assert_eq!(Amount::read(text), None, "{text}");
        }
    }

    #[test]
    fn cents_are_rounded_halves_up() {
        assert_eq!(
            read("1000").times(read("0.5051")).to_cents(),
            read("505.10")
        );
        assert_eq!(read("2.345").to_cents(), read("2.35"));
        assert_eq!(read("-2.345").to_cents(), read("-2.35"));
        assert_eq!(read("500.00").n2(), "50000");
        assert_eq!(read("50").percent(103), read("51.5"));
        assert_eq!(read("7").percent(50).floor(), read("3"));
    }
}
