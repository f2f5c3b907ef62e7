//! `x12`, `x12_required`, `x12_exists`: one value of the set that a program runs on.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::{Kind, Value};
use wardline_edi::x12::Set;

use super::{AT, Address, PATH, element, within};
use crate::scope;
use crate::session::{Complaint, Session};

const IMPLIED: Parameter = Parameter::optional(
    "implied",
    kind::INTEGER,
    "How many decimals the number has without showing them, 2 for an N2 such as TDS-01: `1250` is then `\"12.50\"`. A literal from 0 to 9.",
);
const DATE: Parameter = Parameter::optional(
    "date",
    kind::BOOLEAN,
    "Gives a date of eight or six digits as `\"2026-11-02\"`; years of two digits are from 1970 to 2069. A literal.",
);
const DEFAULT: Parameter = Parameter::optional(
    "default",
    kind::ANY,
    "The result where nothing stands there.",
);

/// The text at a place, or the number that it is without its point.
fn read(set: &Set, address: &Address, at: Option<std::ops::Range<usize>>) -> Option<Value> {
    let element = set.get(within(at, set), &address.path)?;
    let bytes = element.bytes();
    let bytes = if matches!(address.path.segment(), "ISA") {
        bytes.trim_ascii_end()
    } else {
        bytes
    };
    if bytes.is_empty() {
        return None;
    }
    let all = set.shared();
    let from = (bytes.as_ptr() as usize).checked_sub(all.as_ptr() as usize);
    Some(match (std::str::from_utf8(bytes), from) {
        (Ok(_), Some(from)) if from + bytes.len() <= all.len() => {
            Value::Bytes(all.slice(from..from + bytes.len()))
        }
        _ => Value::from(wardline_edi::x12::text(bytes).into_owned()),
    })
}

/// Puts the point into a number that has none. `None` where it is no whole number.
fn shown(digits: &str, places: usize) -> Option<String> {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    if digits.is_empty() || digits.len() > 28 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, rest) = padded.split_at(padded.len() - places);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    Some(if places == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest}")
    })
}

/// CCYYMMDD or YYMMDD as the calendar writes it. `None` where it is no date.
fn date(digits: &str) -> Option<String> {
    if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = digits.split_at(digits.len() - 4);
    let year = match year.parse::<i16>().ok()? {
        short @ 0..=69 if year.len() == 2 => 2000 + short,
        short if year.len() == 2 => 1900 + short,
        year => year,
    };
    let (month, day) = rest.split_at(2);
    let date = jiff::civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some(date.to_string())
}

/// How a value is read.
#[derive(Clone, Copy, Debug)]
enum As {
    Text,
    Implied(usize),
    Date,
}

/// `x12(path)`.
#[derive(Debug)]
pub(super) struct X12(pub(super) Arc<Session>);

impl Function for X12 {
    fn identifier(&self) -> &'static str {
        "x12"
    }

    fn summary(&self) -> &'static str {
        "Reads a value of the X12 set"
    }

    fn usage(&self) -> &'static str {
        "Reads one value of the set, or of the ISA and GS above it. Nothing is trimmed but the padding of ISA. Absent and empty elements give null. Numbers are text, as they stand there, so that amounts stay exact: calculate with `decimal_…`. With `implied:` a whole number gets its point, with `date:` a date its dashes; what is neither fails (W2221)."
    }

    fn category(&self) -> &'static str {
        "X12 reading"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &[
            "With `implied:` or `date:`, what stands there is no whole number or no date (W2221). Without them never.",
        ]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT, IMPLIED, DATE, DEFAULT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "An element", source: r#"x12("BIG-02")"#, result: Ok("INV-7") },
            example! { title: "The segment with a qualifier", source: r#"x12("N1[VN]-04")"#, result: Ok("S1") },
            example! { title: "An amount with implied decimals", source: r#"x12!("TDS-01", implied: 2)"#, result: Ok("19.00") },
            example! { title: "A date", source: r#"x12!("BIG-01", date: true)"#, result: Ok("2026-01-01") },
            example! { title: "A value for what is absent", source: r#"x12("CUR-02", default: "USD")"#, result: Ok("USD") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        element(&self.0, context, &address.path)?;
        let dated = arguments
            .optional("date")
            .and_then(|date| date.resolve_constant(state));
        let how = match arguments
            .optional("implied")
            .map(|implied| implied.resolve_constant(state))
        {
            None if dated == Some(Value::Boolean(true)) => As::Date,
            None => As::Text,
            Some(Some(Value::Integer(places @ 0..=9))) => As::Implied(places as usize),
            Some(_) => {
                return Err(self.0.refuse(
                    context,
                    Complaint::new("W2123", "`implied` must be a literal number from 0 to 9")
                        .label("how many decimals does it have?")
                        .help("N2 has two: `implied: 2`"),
                ));
            }
        };
        Ok(X12Fn {
            address,
            how,
            default: arguments.optional("default"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct X12Fn {
    address: Address,
    how: As,
    default: Option<Box<dyn Expression>>,
}

impl FunctionExpression for X12Fn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let at = self.address.at.resolve(context)?;
        let value = scope::read_set(|set| read(set, &self.address, at)).flatten();
        let value = match (value, self.how) {
            (None, _) => None,
            (value, As::Text) => value,
            (Some(value), how) => {
                let text = value.to_string_lossy();
                let (read, what) = match how {
                    As::Implied(places) => (
                        shown(&text, places),
                        "a whole number, which one with implied decimals is",
                    ),
                    _ => (date(&text), "a date of eight or six digits"),
                };
                let read = read.ok_or_else(|| {
                    scope::fail("W2221", format!("{} is not {what}", self.address.path))
                })?;
                Some(Value::from(read))
            }
        };
        match (value, &self.default) {
            (None, Some(default)) => default.resolve(context),
            (value, _) => Ok(value.unwrap_or(Value::Null)),
        }
    }

    fn type_def(&self, state: &TypeState) -> TypeDef {
        let own = match &self.default {
            Some(default) => TypeDef::bytes().union(default.type_info(state).result),
            None => TypeDef::bytes().or_null().infallible(),
        };
        match self.how {
            As::Text => own,
            As::Implied(_) | As::Date => own.fallible(),
        }
    }
}

/// `x12_required(path)`.
#[derive(Debug)]
pub(super) struct Required(pub(super) Arc<Session>);

impl Function for Required {
    fn identifier(&self) -> &'static str {
        "x12_required"
    }

    fn summary(&self) -> &'static str {
        "Reads a value of the set that must be there"
    }

    fn usage(&self) -> &'static str {
        "Like `x12`, but always a string: fails where the element is absent or empty. Call it as `x12_required!(…)` to fail the map (the set becomes a dead letter that names the path), or with `??` to go on."
    }

    fn category(&self) -> &'static str {
        "X12 reading"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &["The element is absent or empty (W2211)."]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "The number of the invoice", source: r#"x12_required!("BIG-02")"#, result: Ok("INV-7") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        element(&self.0, context, &address.path)?;
        Ok(RequiredFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct RequiredFn {
    address: Address,
}

impl FunctionExpression for RequiredFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let at = self.address.at.resolve(context)?;
        scope::read_set(|set| read(set, &self.address, at)).flatten().ok_or_else(|| {
            scope::fail(
                "W2211",
                format!("the set has no {}, which the map requires; ask the sender for it, or read it with x12()", self.address.path),
            )
        })
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().fallible()
    }
}

/// `x12_exists(path)`.
#[derive(Debug)]
pub(super) struct Exists(pub(super) Arc<Session>);

impl Function for Exists {
    fn identifier(&self) -> &'static str {
        "x12_exists"
    }

    fn summary(&self) -> &'static str {
        "Whether the set has a segment or value"
    }

    fn usage(&self) -> &'static str {
        "True where the set, or the part that `at:` names, has that segment, or where anything stands in that element."
    }

    fn category(&self) -> &'static str {
        "X12 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::BOOLEAN
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[PATH, AT]
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "A segment", source: r#"x12_exists("CUR")"#, result: Ok("false") },
            example! { title: "An element", source: r#"x12_exists("BIG-04")"#, result: Ok("true") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let address = Address::compile(&self.0, context, state, &arguments, self.identifier())?;
        Ok(ExistsFn { address }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct ExistsFn {
    address: Address,
}

impl FunctionExpression for ExistsFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let at = self.address.at.resolve(context)?;
        let path = &self.address.path;
        let exists = scope::read_set(|set| {
            let part = within(at, set);
            match path.element() {
                None => set.find(part, path).is_some(),
                Some(_) => set
                    .get(part, path)
                    .is_some_and(|element| !element.bytes().trim_ascii().is_empty()),
            }
        });
        Ok(Value::Boolean(exists.unwrap_or(false)))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::from(Kind::boolean()).infallible()
    }
}

#[cfg(test)]
mod tests {
    use super::{date, shown};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date("20261102").as_deref(), Some("2026-11-02"));
        assert_eq!(date("691231").as_deref(), Some("2069-12-31"));
        assert_eq!(date("700101").as_deref(), Some("1970-01-01"));
        assert!(
            ["", "20260231", "2026110", "2026-11-02"]
                .iter()
                .all(|digits| date(digits).is_none())
        );
    }

    #[test]
    fn implied_decimals_are_shown_exactly() {
        for (digits, places, text) in [
            ("1250", 2, "12.50"),
            ("-5", 2, "-0.05"),
            ("0", 2, "0.00"),
            ("007", 0, "7"),
            (
                "123456789012345678901234567",
                2,
                "1234567890123456789012345.67",
            ),
        ] {
            assert_eq!(shown(digits, places).as_deref(), Some(text));
        }
        assert!(
            ["", "-", "1.5", "one", "12 "]
                .iter()
                .all(|digits| shown(digits, 2).is_none())
        );
    }
}
