//! `decimal_add` and its siblings: exact arithmetic on decimal strings.

use rust_decimal::Decimal;
use vrl::compiler::Parameter;
use vrl::compiler::value::kind;
use vrl::example;
use vrl::value::Value;

use super::pure::{Pure, Refusal};
use crate::decimal::{self, MOST_PLACES, Rounding, Trouble};
use crate::problem::nearest;
use crate::session::Complaint;

const CATEGORY: &str = "Decimal numbers";

const A: Parameter = Parameter::required("a", kind::ANY, "A decimal string or an integer.");
const B: Parameter = Parameter::required("b", kind::ANY, "A decimal string or an integer.");
const PLACES: Parameter = Parameter::required(
    "scale",
    kind::INTEGER,
    "How many digits after the point the result has, 0 to 28.",
);
const MODE: Parameter = Parameter::optional(
    "mode",
    kind::BYTES,
    "What becomes of the rest: `\"half-up\"` (the default: a half goes away from zero), `\"half-even\"`, `\"up\"` (away from zero), `\"down\"` (towards it), `\"ceiling\"` or `\"floor\"`.",
);

const NOT_DECIMAL: &str = "An argument is no decimal string and no integer, or is a float (W2216).";
const TOO_LONG: &str =
    "The exact result has more than 28 digits (W2217); round what it is made of.";

/// What can be said against an argument before the program runs.
fn object(keyword: &str, constant: &Value) -> Option<Complaint> {
    if matches!(constant, Value::Float(_)) {
        return Some(
            Complaint::new("W2118", "decimal functions take no floats")
                .label("a float is not exact")
                .help("write the number in quotes: \"0.5\""),
        );
    }
    if keyword != MODE.keyword {
        return None;
    }
    let name = constant.to_string_lossy();
    if named(&name).is_some() {
        return None;
    }
    let near = nearest(&name, Rounding::ALL.iter().map(|(known, _)| *known));
    Some(
        Complaint::new("W2119", format!("{name:?} is no way to round"))
            .label("half-up, half-even, up, down, ceiling or floor")
            .about(name.as_ref())
            .maybe_help(near.map(|near| format!("did you mean {near:?}?"))),
    )
}

fn named(name: &str) -> Option<Rounding> {
    let known = Rounding::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, rounding)| *rounding)
}

fn rounding(value: Option<&Value>) -> Result<Rounding, Trouble> {
    match value {
        None | Some(Value::Null) => Ok(Rounding::HalfUp),
        Some(value) => named(&value.to_string_lossy()).ok_or(Trouble::Mode),
    }
}

fn two(arguments: &[Value]) -> Result<(Decimal, Decimal), Trouble> {
    let [a, b, ..] = arguments else {
        return Err(Trouble::NotDecimal);
    };
    Ok((decimal::read(a)?, decimal::read(b)?))
}

fn one(arguments: &[Value]) -> Result<Decimal, Trouble> {
    decimal::read(arguments.first().unwrap_or(&Value::Null))
}

fn places(value: Option<&Value>) -> Result<u32, Trouble> {
    match value {
        Some(Value::Integer(places)) => u32::try_from(*places)
            .ok()
            .filter(|places| *places <= MOST_PLACES)
            .ok_or(Trouble::Places),
        _ => Err(Trouble::Places),
    }
}

pub(super) static DECIMALS: [Pure; 11] = [
    Pure {
        name: "decimal_add",
        category: CATEGORY,
        summary: "The exact sum of two decimal numbers",
        usage: "Adds decimal strings (`\"50.00\"`) or integers and gives a decimal string with the places of the longer one. Floats are refused: `0.1 + 0.2` is not `0.3` for them, and an amount of money never is one.",
        parameters: &[A, B],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL, TOO_LONG],
        examples: &[
            example! { title: "Two amounts", source: r#"decimal_add!("0.1", "0.20")"#, result: Ok("0.30") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            decimal::add(a, b)
                .map(decimal::write)
                .map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_subtract",
        category: CATEGORY,
        summary: "The exact difference of two decimal numbers",
        usage: "Takes `b` away from `a`; the result has the places of the longer one.",
        parameters: &[A, B],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL, TOO_LONG],
        examples: &[
            example! { title: "What is left", source: r#"decimal_subtract!("10", "0.5050")"#, result: Ok("9.4950") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            decimal::add(a, -b)
                .map(decimal::write)
                .map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_multiply",
        category: CATEGORY,
        summary: "The exact product of two decimal numbers",
        usage: "Multiplies; the result has the places of both together, so that nothing is lost. Round it with `decimal_round` where money is meant.",
        parameters: &[A, B],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL, TOO_LONG],
        examples: &[
            example! { title: "Quantity times price", source: r#"decimal_multiply!(1000, "0.5050")"#, result: Ok("505.0000") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            decimal::multiply(a, b)
                .map(decimal::write)
                .map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_divide",
        category: CATEGORY,
        summary: "The quotient of two decimal numbers, rounded",
        usage: "Divides `a` by `b` and rounds once, from the exact quotient, to `scale` digits after the point.",
        parameters: &[A, B, PLACES, MODE],
        gives: kind::BYTES,
        failures: &[
            NOT_DECIMAL,
            TOO_LONG,
            "`b` is zero, or `scale` is not from 0 to 28 (W2217).",
        ],
        examples: &[
            example! { title: "A ratio", source: r#"decimal_divide!("0.0051", "0.50", 4)"#, result: Ok("0.0102") },
            example! { title: "Whole boxes", source: r#"decimal_divide!(17, 10, 0, mode: "ceiling")"#, result: Ok("2") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            decimal::divide(a, b, places(arguments.get(2))?, rounding(arguments.get(3))?)
                .map(decimal::write)
                .map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_round",
        category: CATEGORY,
        summary: "A decimal number with so many digits after the point",
        usage: "Rounds to exactly `scale` digits after the point, and adds zeros where there are fewer.",
        parameters: &[A, PLACES, MODE],
        gives: kind::BYTES,
        failures: &[
            NOT_DECIMAL,
            "`scale` is not from 0 to 28, or the result is too long (W2217).",
        ],
        examples: &[
            example! { title: "To cents", source: r#"decimal_round!("505.0050", 2)"#, result: Ok("505.01") },
            example! { title: "Banker's rounding", source: r#"decimal_round!("0.125", 2, mode: "half-even")"#, result: Ok("0.12") },
        ],
        object,
        compute: |arguments| {
            let number = one(arguments)?;
            decimal::round(
                number,
                places(arguments.get(1))?,
                rounding(arguments.get(2))?,
            )
            .map(decimal::write)
            .map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_compare",
        category: CATEGORY,
        summary: "Which of two decimal numbers is greater",
        usage: "-1 where `a` is less than `b`, 0 where they are equal, 1 where it is greater. Places do not count: `\"1.0\"` equals `\"1.00\"`, which as strings they do not.",
        parameters: &[A, B],
        gives: kind::INTEGER,
        failures: &[NOT_DECIMAL],
        examples: &[
            example! { title: "Within a limit", source: r#"decimal_compare!("24.99", "25.00") <= 0"#, result: Ok("true") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            Ok(Value::Integer(a.cmp(&b) as i64))
        },
    },
    Pure {
        name: "decimal_sum",
        category: CATEGORY,
        summary: "The exact sum of an array of decimal numbers",
        usage: "Adds all elements; an empty array gives `\"0\"`. Null elements are refused: use `compact` where they may be left out.",
        parameters: &[Parameter::required(
            "values",
            kind::ARRAY,
            "Decimal strings or integers.",
        )],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL, TOO_LONG],
        examples: &[
            example! { title: "An invoice's lines", source: r#"decimal_sum!(["300.00", "199.99", 1])"#, result: Ok("500.99") },
        ],
        object,
        compute: |arguments| {
            let Some(Value::Array(values)) = arguments.first() else {
                return Err(Trouble::NotDecimal.into());
            };
            let sum = values.iter().try_fold(Decimal::ZERO, |sum, value| {
                decimal::add(sum, decimal::read(value)?)
            });
            sum.map(decimal::write).map_err(Refusal::from)
        },
    },
    Pure {
        name: "decimal_abs",
        category: CATEGORY,
        summary: "A decimal number without its sign",
        usage: "The number as it is, or its opposite where it is below zero.",
        parameters: &[A],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL],
        examples: &[
            example! { title: "A difference", source: r#"decimal_abs!("-4.00")"#, result: Ok("4.00") },
        ],
        object,
        compute: |arguments| Ok(decimal::write(one(arguments)?.abs())),
    },
    Pure {
        name: "decimal_min",
        category: CATEGORY,
        summary: "The lesser of two decimal numbers",
        usage: "The lesser of two, with its own places; `a` where they are equal.",
        parameters: &[A, B],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL],
        examples: &[
            example! { title: "A cap", source: r#"decimal_min!("120.00", "100")"#, result: Ok("100") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            Ok(decimal::write(if b < a { b } else { a }))
        },
    },
    Pure {
        name: "decimal_max",
        category: CATEGORY,
        summary: "The greater of two decimal numbers",
        usage: "The greater of two, with its own places; `a` where they are equal.",
        parameters: &[A, B],
        gives: kind::BYTES,
        failures: &[NOT_DECIMAL],
        examples: &[
            example! { title: "Not below zero", source: r#"decimal_max!("-3", "0.00")"#, result: Ok("0.00") },
        ],
        object,
        compute: |arguments| {
            let (a, b) = two(arguments)?;
            Ok(decimal::write(if b > a { b } else { a }))
        },
    },
    Pure {
        name: "sqrt",
        category: CATEGORY,
        summary: "The square root of a decimal number",
        usage: "The square root as a decimal string, rounded half up to `scale` digits after the point. Safety stocks need it: demand and lead time vary independently.",
        parameters: &[
            A,
            Parameter::optional(
                "scale",
                kind::INTEGER,
                "How many digits after the point the result has, 0 to 28; 6 where absent.",
            ),
        ],
        gives: kind::BYTES,
        failures: &[
            NOT_DECIMAL,
            "The number is below zero, `scale` is not from 0 to 28, or the result is too long (W2217).",
        ],
        examples: &[
            example! { title: "A deviation", source: r#"sqrt!(109)"#, result: Ok("10.440307") },
        ],
        object,
        compute: |arguments| {
            let places = match arguments.get(1) {
                None | Some(Value::Null) => 6,
                given => places(given)?,
            };
            decimal::root(one(arguments)?, places)
                .map(decimal::write)
                .map_err(Refusal::from)
        },
    },
];

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        let (code, text) = match trouble {
            Trouble::Float => (
                "W2216",
                "a number is a float, which is not exact; amounts are decimal strings such as \"50.00\": let the sender write them so",
            ),
            Trouble::NotDecimal => (
                "W2216",
                "an argument is no decimal number (\"50.00\", -3); test for it first, or handle it with `??`",
            ),
            Trouble::TooLong => (
                "W2217",
                "the exact result has more than 28 digits; round what it is made of with decimal_round",
            ),
            Trouble::ByZero => (
                "W2217",
                "the divisor is zero; test it first, or handle it with `??`",
            ),
            Trouble::Negative => ("W2217", "a number below zero has no square root"),
            Trouble::Places => ("W2217", "`scale` must be an integer from 0 to 28"),
            Trouble::Mode => (
                "W2217",
                "`mode` must be half-up, half-even, up, down, ceiling or floor",
            ),
        };
        Self { code, text }
    }
}
