//! Decimal numbers for money and quantities: exact, or refused.
//!
//! JSON knows one kind of number, and most of its readers make a float of it. So amounts stand in
//! entities as decimal strings (`"50.00"`), and what is computed here gives such strings again. A
//! result that would need more digits than there are is an error, never a rounded number; what is
//! to be rounded says so.

use std::cmp::Ordering;
use std::str::FromStr as _;

use rust_decimal::Decimal;
use vrl::value::Value;

/// Most digits after the point.
pub(crate) const MOST_PLACES: u32 = Decimal::MAX_SCALE;

/// Why a number could not be read or computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is a float, which is no exact number.
    Float,
    /// It is no decimal number at all.
    NotDecimal,
    /// The result has more than 28 digits.
    TooLong,
    /// Divided by zero.
    ByZero,
    /// The root of a number below zero.
    Negative,
    /// Not a number of places from 0 to 28.
    Places,
    /// Not a way to round.
    Mode,
}

/// What becomes of the digits that are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    HalfUp,
    HalfEven,
    Up,
    Down,
    Ceiling,
    Floor,
}

impl Rounding {
    /// Each with the name that programs give it.
    pub(crate) const ALL: [(&str, Self); 6] = [
        ("half-up", Self::HalfUp),
        ("half-even", Self::HalfEven),
        ("up", Self::Up),
        ("down", Self::Down),
        ("ceiling", Self::Ceiling),
        ("floor", Self::Floor),
    ];

    /// Whether the last digit that stays is raised. `rest` tells what was cut off against half of
    /// that digit, `None` where nothing was.
    fn raises(self, rest: Option<Ordering>, odd: bool, negative: bool) -> bool {
        let Some(rest) = rest else { return false };
        match self {
            Self::HalfUp => rest != Ordering::Less,
            Self::HalfEven => rest == Ordering::Greater || (rest == Ordering::Equal && odd),
            Self::Up => true,
            Self::Down => false,
            Self::Ceiling => !negative,
            Self::Floor => negative,
        }
    }
}

/// Reads a decimal string or an integer. No exponents, no blanks, no thousands.
pub(crate) fn read(value: &Value) -> Result<Decimal, Trouble> {
    match value {
        Value::Integer(integer) => Ok(Decimal::from(*integer)),
        Value::Float(_) => Err(Trouble::Float),
        Value::Bytes(_) | Value::String(_) => {
            let text = value.to_string_lossy();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
            let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if places.is_empty() || !plain(whole) || !plain(places) {
                return Err(Trouble::NotDecimal);
            }
            if whole.is_empty() && !digits.starts_with('.') {
                return Err(Trouble::NotDecimal);
            }
            let after = if digits.contains('.') {
                places.len()
            } else {
                0
            };
            if whole.trim_start_matches('0').len() + after > 29 {
                return Err(Trouble::TooLong);
            }
            let number = if whole.is_empty() {
                Decimal::from_str(&text.replacen('.', "0.", 1))
            } else {
                Decimal::from_str(&text)
            };
            let number = number.map_err(|_| Trouble::TooLong)?;
            // More places than there are would have been rounded.
            if digits.contains('.') && number.scale() as usize != places.len() {
                return Err(Trouble::TooLong);
            }
            Ok(unsigned_zero(number))
        }
        _ => Err(Trouble::NotDecimal),
    }
}

/// A number as the string that stands for it, with all the places that it has.
pub(crate) fn write(number: Decimal) -> Value {
    Value::from(number.to_string())
}

fn unsigned_zero(mut number: Decimal) -> Decimal {
    if number.is_zero() {
        number.set_sign_positive(true);
    }
    number
}

fn made(mantissa: i128, scale: u32) -> Result<Decimal, Trouble> {
    Decimal::try_from_i128_with_scale(mantissa, scale)
        .map(unsigned_zero)
        .map_err(|_| Trouble::TooLong)
}

/// The sum, with the places of the longer one.
pub(crate) fn add(a: Decimal, b: Decimal) -> Result<Decimal, Trouble> {
    let scale = a.scale().max(b.scale());
    let aligned = |number: Decimal| {
        10_i128
            .checked_pow(scale - number.scale())
            .and_then(|factor| number.mantissa().checked_mul(factor))
    };
    let sum = aligned(a)
        .zip(aligned(b))
        .and_then(|(a, b)| a.checked_add(b));
    made(sum.ok_or(Trouble::TooLong)?, scale)
}

/// The product, with the places of both.
pub(crate) fn multiply(a: Decimal, b: Decimal) -> Result<Decimal, Trouble> {
    let product = |a: Decimal, b: Decimal| {
        let mantissa = a.mantissa().checked_mul(b.mantissa());
        made(mantissa.ok_or(Trouble::TooLong)?, a.scale() + b.scale())
    };
    product(a, b).or_else(|_| product(a.normalize(), b.normalize()))
}

/// The quotient, rounded to so many places.
pub(crate) fn divide(
    a: Decimal,
    b: Decimal,
    places: u32,
    rounding: Rounding,
) -> Result<Decimal, Trouble> {
    let negative = a.is_sign_negative() != b.is_sign_negative();
    let (dividend, mut divisor) = (a.mantissa().unsigned_abs(), b.mantissa().unsigned_abs());
    if divisor == 0 {
        return Err(Trouble::ByZero);
    }
    let (more, less) = (b.scale() + places, a.scale());
    let (mut quotient, mut rest);
    if more >= less {
        // Long division, a digit at a time: the remainder stays below the divisor, so nothing
        // but the quotient itself can grow too long.
        (quotient, rest) = (dividend / divisor, dividend % divisor);
        for _ in 0..more - less {
            rest *= 10;
            quotient = quotient
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(rest / divisor))
                .ok_or(Trouble::TooLong)?;
            rest %= divisor;
        }
    } else {
        // A divisor that does not even fit is more than twice any dividend.
        divisor = 10_u128
            .checked_pow(less - more)
            .and_then(|factor| divisor.checked_mul(factor))
            .unwrap_or(u128::MAX);
        (quotient, rest) = (dividend / divisor, dividend % divisor);
    }
    let cut = (rest != 0).then(|| rest.saturating_mul(2).cmp(&divisor));
    if rounding.raises(cut, quotient % 2 == 1, negative) {
        quotient += 1;
    }
    let mantissa = i128::try_from(quotient).map_err(|_| Trouble::TooLong)?;
    made(if negative { -mantissa } else { mantissa }, places)
}

/// The number with exactly so many places.
pub(crate) fn round(number: Decimal, places: u32, rounding: Rounding) -> Result<Decimal, Trouble> {
    divide(number, Decimal::ONE, places, rounding)
}

/// The square root, rounded half up to so many places.
pub(crate) fn root(number: Decimal, places: u32) -> Result<Decimal, Trouble> {
    if number.is_sign_negative() && !number.is_zero() {
        return Err(Trouble::Negative);
    }
    let number = number.normalize();
    // The number times 10^(2·places) is n / d; its root is what is looked for.
    let mantissa = number.mantissa().unsigned_abs();
    let power = |exponent: u32| 10_u128.checked_pow(exponent).ok_or(Trouble::TooLong);
    let (n, d) = if 2 * places >= number.scale() {
        let factor = power(2 * places - number.scale())?;
        (mantissa.checked_mul(factor).ok_or(Trouble::TooLong)?, 1)
    } else {
        (mantissa, power(number.scale() - 2 * places)?)
    };
    let mut root = (n / d).isqrt();
    let twice = 2 * root + 1;
    let half = twice
        .checked_mul(twice)
        .and_then(|square| square.checked_mul(d));
    let four = n.checked_mul(4).ok_or(Trouble::TooLong)?;
    if half.is_some_and(|half| half <= four) {
        root += 1;
    }
    made(i128::try_from(root).map_err(|_| Trouble::TooLong)?, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Decimal {
        read(&Value::from(text)).unwrap()
    }

    fn quotient(a: &str, b: &str, places: u32, rounding: Rounding) -> String {
        divide(number(a), number(b), places, rounding)
            .unwrap()
            .to_string()
    }

    #[test]
    fn only_plain_decimals_are_read() {
        for (text, as_written) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("50.00", "50.00"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("007", "7"),
            (
                "0.0000000000000000000000000001",
                "0.0000000000000000000000000001",
            ),
            (
                "79228162514264337593543950335",
                "79228162514264337593543950335",
            ),
        ] {
            assert_eq!(number(text).to_string(), as_written, "{text}");
        }
        for text in [
            "", "-", ".", "5.", "+5", "1e3", "1_000", "1,000", " 1", "1 ", "0x1", "NaN", "1.2.3",
            "٣",
        ] {
            assert_eq!(
                read(&Value::from(text)),
                Err(Trouble::NotDecimal),
                "{text:?}"
            );
        }
        for text in [
            "79228162514264337593543950336",
            "0.00000000000000000000000000001",
            "1.2345678901234567890123456789012",
        ] {
            assert_eq!(read(&Value::from(text)), Err(Trouble::TooLong), "{text}");
        }
        assert_eq!(read(&Value::from_f64_or_zero(0.1)), Err(Trouble::Float));
        assert_eq!(read(&Value::Null), Err(Trouble::NotDecimal));
    }

    #[test]
    fn sums_and_products_keep_their_places() {
        let sum = add(number("0.1"), number("0.20")).unwrap();
        assert_eq!(sum.to_string(), "0.30");
        let product = multiply(number("1000"), number("0.5050")).unwrap();
        assert_eq!(product.to_string(), "505.0000");
        let long = number("0.00000000000001");
        assert_eq!(multiply(long, long).unwrap().scale(), 28);
        let longer = number("0.000000000000001");
        assert_eq!(multiply(longer, longer), Err(Trouble::TooLong));
        let most = number("79228162514264337593543950335");
        assert_eq!(add(most, number("1")), Err(Trouble::TooLong));
        assert_eq!(multiply(most, number("10")), Err(Trouble::TooLong));
        assert_eq!(multiply(most, number("1.000")).unwrap(), most);
    }

    #[test]
    fn quotients_are_rounded_as_asked() {
        use Rounding::{Ceiling, Down, Floor, HalfEven, HalfUp, Up};
        assert_eq!(quotient("0.0050", "0.50", 4, HalfUp), "0.0100");
        assert_eq!(quotient("1", "3", 6, HalfUp), "0.333333");
        assert_eq!(quotient("2", "3", 6, HalfUp), "0.666667");
        for (rounding, positive, negative) in [
            (HalfUp, "3", "-3"),
            (HalfEven, "2", "-2"),
            (Up, "3", "-3"),
            (Down, "2", "-2"),
            (Ceiling, "3", "-2"),
            (Floor, "2", "-3"),
        ] {
            assert_eq!(quotient("5", "2", 0, rounding), positive, "{rounding:?}");
            assert_eq!(quotient("-5", "2", 0, rounding), negative, "{rounding:?}");
            assert_eq!(quotient("4", "2", 0, rounding), "2", "{rounding:?}");
        }
        let tiny = "0.0000000000000000000000000001";
        let most = "79228162514264337593543950335";
        assert_eq!(quotient(tiny, most, 0, HalfUp), "0");
        assert_eq!(quotient(tiny, most, 0, Up), "1");
        assert_eq!(
            divide(number(most), number(tiny), 0, HalfUp),
            Err(Trouble::TooLong)
        );
        assert_eq!(
            divide(number("1"), number("0.00"), 2, HalfUp),
            Err(Trouble::ByZero)
        );
        assert_eq!(round(number("2.5"), 2, HalfUp).unwrap().to_string(), "2.50");
        assert_eq!(
            round(number("2.345"), 2, HalfUp).unwrap().to_string(),
            "2.35"
        );
        assert_eq!(
            round(number("-0.004"), 2, HalfUp).unwrap().to_string(),
            "0.00"
        );
    }

    #[test]
    fn roots_are_rounded_half_up() {
        for (of, places, is) in [
            ("109", 6, "10.440307"),
            ("2", 9, "1.414213562"),
            ("0.25", 0, "1"),
            ("0.2499", 0, "0"),
            ("6.25", 0, "3"),
            ("0", 2, "0.00"),
            ("16", 0, "4"),
        ] {
            assert_eq!(root(number(of), places).unwrap().to_string(), is, "{of}");
        }
        assert_eq!(root(number("-1"), 2), Err(Trouble::Negative));
        assert_eq!(root(number("2"), 28), Err(Trouble::TooLong));
    }

    proptest! {
        #[test]
        fn dividing_a_product_gives_the_factor_again(a in -1_000_000_000_i64..1_000_000_000, b in 1_i64..1_000_000_000, sa in 0_u32..6, sb in 0_u32..6) {
            let (a, b) = (Decimal::new(a, sa), Decimal::new(b, sb));
            let product = multiply(a, b).unwrap();
            prop_assert_eq!(divide(product, b, sa, Rounding::Down).unwrap(), a);
        }

        #[test]
        fn a_difference_and_what_was_taken_away_are_what_there_was(a in any::<i64>(), b in any::<i64>(), sa in 0_u32..9, sb in 0_u32..9) {
            let (a, b) = (Decimal::new(a, sa), Decimal::new(b, sb));
            let difference = add(a, -b).unwrap();
            prop_assert_eq!(add(difference, b).unwrap(), a);
        }

        #[test]
        fn nothing_that_is_read_panics(text in "[-+.0-9eE_ ]{0,40}") {
            let read = read(&Value::from(text));
            prop_assert!(read.is_ok() || read.is_err());
        }
    }
}
