//! `local_midnight`, `date_add` and their siblings: days of the calendar, where HL7 is not involved.
//!
//! What is effective on a day begins at midnight where the work is done, not in UTC; and what is
//! due in days is often due in days on which somebody works.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use vrl::compiler::Parameter;
use vrl::compiler::value::kind;
use vrl::example;
use vrl::value::Value;

use super::pure::{Pure, Refusal};
use crate::environment::Zone;
use crate::session::Complaint;

const CATEGORY: &str = "Days";
const DATE: Parameter = Parameter::required("date", kind::ANY, "A date, such as `\"2026-12-01\"`.");
const ZONE: Parameter = Parameter::required(
    "zone",
    kind::ANY,
    "IANA time zone, such as `\"America/Chicago\"`.",
);
const NOT_A_DATE: &str = "An argument is no date (W2218).";
const NO_ZONE: &str = "There is no such time zone (W2219).";

/// Most days that are counted: more than ten thousand years of them are a mistake, and working
/// days are counted one by one.
const MOST_DAYS: i64 = 3_660_000;
const MOST_WORKING_DAYS: i64 = 36_600;

pub(super) static CALENDAR: [Pure; 5] = [
    Pure {
        name: "local_midnight",
        category: CATEGORY,
        summary: "When a day begins somewhere",
        usage: "The moment, in UTC, at which a day begins in a time zone: what is effective from that date is effective from then. Where clocks go forward at midnight, the first moment of the day.",
        parameters: &[DATE, ZONE],
        gives: kind::BYTES,
        failures: &[NOT_A_DATE, NO_ZONE],
        examples: &[
            example! { title: "In winter", source: r#"local_midnight!("2026-12-01", "America/New_York")"#, result: Ok("2026-12-01T05:00:00Z") },
            example! { title: "In summer", source: r#"local_midnight!("2026-07-01", "America/New_York")"#, result: Ok("2026-07-01T04:00:00Z") },
        ],
        object,
        compute: |arguments| {
            let (date, zone) = (date(arguments.first())?, zone(arguments.get(1))?);
            let start = date.to_zoned_datetime(zone).map_err(|_| OUT_OF_RANGE)?;
            Ok(Value::from(start.timestamp().to_string()))
        },
    },
    Pure {
        name: "local_date",
        category: CATEGORY,
        summary: "Which day it is somewhere at a moment",
        usage: "The date in a time zone at a moment: to which business day a posting belongs, for example. The moment is RFC 3339 with an offset, or a VRL timestamp such as `now()`.",
        parameters: &[Parameter::required("time", kind::ANY, "The moment."), ZONE],
        gives: kind::BYTES,
        failures: &["The moment is none (W2218).", NO_ZONE],
        examples: &[
            example! { title: "Still yesterday", source: r#"local_date!("2026-12-01T04:59:59Z", "America/New_York")"#, result: Ok("2026-11-30") },
        ],
        object,
        compute: |arguments| {
            let text = arguments.first().unwrap_or(&Value::Null).to_string_lossy();
            let moment: Timestamp = text.trim().parse().map_err(|_| NOT_A_MOMENT)?;
            let there = moment.to_zoned_datetime(zone(arguments.get(1))?);
            Ok(Value::from(there.date().to_string()))
        },
    },
    Pure {
        name: "date_add",
        category: CATEGORY,
        summary: "The date so many days later",
        usage: "Adds days to a date, or takes them away where `days` is below zero.",
        parameters: &[
            DATE,
            Parameter::required("days", kind::ANY, "How many days, an integer."),
        ],
        gives: kind::BYTES,
        failures: &[NOT_A_DATE, "`days` is no integer, or too far away (W2218)."],
        examples: &[
            example! { title: "Two weeks before", source: r#"date_add!("2026-12-01", -14)"#, result: Ok("2026-11-17") },
        ],
        object,
        compute: |arguments| {
            let days = days(arguments.get(1), MOST_DAYS)?;
            Ok(Value::from(
                later(date(arguments.first())?, days)?.to_string(),
            ))
        },
    },
    Pure {
        name: "days_between",
        category: CATEGORY,
        summary: "How many days lie between two dates",
        usage: "Days from the first date to the second: 0 for the same day, below zero where the second is earlier.",
        parameters: &[
            Parameter::required("from", kind::ANY, "A date."),
            Parameter::required("to", kind::ANY, "Another."),
        ],
        gives: kind::INTEGER,
        failures: &[NOT_A_DATE],
        examples: &[
            example! { title: "Over a leap day", source: r#"days_between!("2028-02-28", "2028-03-01")"#, result: Ok("2") },
        ],
        object,
        compute: |arguments| {
            let (from, to) = (date(arguments.first())?, date(arguments.get(1))?);
            Ok(Value::Integer(from.duration_until(to).as_hours() / 24))
        },
    },
    Pure {
        name: "business_days_add",
        category: CATEGORY,
        summary: "The date so many working days later",
        usage: "Counts Monday to Friday, without the given holidays. With 0 days it is the date itself where that is a working day, else the next one; below zero it counts back.",
        parameters: &[
            DATE,
            Parameter::required("days", kind::ANY, "How many working days, an integer."),
            Parameter::optional(
                "holidays",
                kind::ANY,
                "An array of dates on which nobody works.",
            ),
        ],
        gives: kind::BYTES,
        failures: &[NOT_A_DATE, "`days` is no integer, or too far away (W2218)."],
        examples: &[
            example! { title: "Over a weekend", source: r#"business_days_add!("2026-11-27", 1)"#, result: Ok("2026-11-30") },
            example! { title: "Over a holiday", source: r#"business_days_add!("2026-11-25", 1, holidays: ["2026-11-26"])"#, result: Ok("2026-11-27") },
        ],
        object,
        compute: |arguments| {
            let mut day = date(arguments.first())?;
            let mut left = days(arguments.get(1), MOST_WORKING_DAYS)?;
            let holidays = holidays(arguments.get(2))?;
            let works = |day: Date| {
                !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
                    && !holidays.contains(&day)
            };
            let step = if left < 0 { -1 } else { 1 };
            if left == 0 {
                while !works(day) {
                    day = later(day, 1)?;
                }
            }
            while left != 0 {
                day = later(day, step)?;
                if works(day) {
                    left -= step;
                }
            }
            Ok(Value::from(day.to_string()))
        },
    },
];

const NOT_DAY: Refusal = Refusal {
    code: "W2218",
    text: "an argument is no date such as 2026-12-01; cut it out of a time with local_date, or handle it with `??`",
};
const NOT_A_MOMENT: Refusal = Refusal {
    code: "W2218",
    text: "`time` is no RFC 3339 time with an offset; convert it first, or handle it with `??`",
};
const NOT_DAYS: Refusal = Refusal {
    code: "W2218",
    text: "`days` is no integer, or farther away than is sensible",
};
const OUT_OF_RANGE: Refusal = Refusal {
    code: "W2218",
    text: "the result lies outside the years -9999 to 9999",
};
const NO_SUCH_ZONE: Refusal = Refusal {
    code: "W2219",
    text: "`zone` is not a time zone of the IANA database; write one such as America/Chicago",
};

/// What can be said against an argument before the program runs.
fn object(keyword: &str, constant: &Value) -> Option<Complaint> {
    if keyword != ZONE.keyword {
        return None;
    }
    let name = constant.to_string_lossy();
    let unknown = Zone::named(&name).err()?;
    Some(
        Complaint::new("W2104", format!("{name:?} is not an IANA time zone"))
            .label("no such zone")
            .about(name.as_ref())
            .maybe_help(unknown.near.map(|near| format!("did you mean {near:?}?"))),
    )
}

/// `2026-12-01` and nothing else: what has a time has a zone as well, and then the day is a
/// question.
fn date(value: Option<&Value>) -> Result<Date, Refusal> {
    let Some(value @ (Value::Bytes(_) | Value::String(_))) = value else {
        return Err(NOT_DAY);
    };
    let text = value.to_string_lossy();
    if text.len() != 10 {
        return Err(NOT_DAY);
    }
    text.parse().map_err(|_| NOT_DAY)
}

fn zone(value: Option<&Value>) -> Result<TimeZone, Refusal> {
    let Some(value @ (Value::Bytes(_) | Value::String(_))) = value else {
        return Err(NO_SUCH_ZONE);
    };
    TimeZone::get(&value.to_string_lossy()).map_err(|_| NO_SUCH_ZONE)
}

fn days(value: Option<&Value>, most: i64) -> Result<i64, Refusal> {
    match value {
        Some(Value::Integer(days)) if (-most..=most).contains(days) => Ok(*days),
        _ => Err(NOT_DAYS),
    }
}

fn later(date: Date, days: i64) -> Result<Date, Refusal> {
    date.checked_add(SignedDuration::from_hours(24 * days))
        .map_err(|_| OUT_OF_RANGE)
}

fn holidays(value: Option<&Value>) -> Result<Vec<Date>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(days)) => days.iter().map(|day| date(Some(day))).collect(),
        Some(_) => Err(NOT_DAY),
    }
}
