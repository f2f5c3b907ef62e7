//! A value of PostgreSQL as JSON. Decimals, times and uuids are text, exact.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};
use tokio_postgres::types::{FromSql, Kind, Type};

type Failed = Box<dyn Error + Sync + Send>;

/// Microseconds and days between 1970 and 2000, where PostgreSQL begins.
const EPOCH: i64 = 946_684_800_000_000;

pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        value(ty, raw).map(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn value(ty: &Type, raw: &[u8]) -> Result<Value, Failed> {
    match ty.kind() {
        Kind::Domain(inner) => return value(inner, raw),
        Kind::Enum(_) => return text(raw),
        Kind::Array(_) => {
            let items = Vec::<Option<Cell>>::from_sql(ty, raw)?.into_iter();
            return Ok(items
                .map(|item| item.map_or(Value::Null, |cell| cell.0))
                .collect());
        }
        _ => {}
    }
    Ok(match *ty {
        Type::BOOL => bool::from_sql(ty, raw)?.into(),
        Type::INT2 => i16::from_sql(ty, raw)?.into(),
        Type::INT4 => i32::from_sql(ty, raw)?.into(),
        Type::INT8 => i64::from_sql(ty, raw)?.into(),
        Type::OID => u32::from_sql(ty, raw)?.into(),
        Type::FLOAT4 => float(f64::from(f32::from_sql(ty, raw)?)),
        Type::FLOAT8 => float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => numeric(raw)?.into(),
        Type::JSON => serde_json::from_slice(raw)?,
        Type::JSONB => match raw.split_first() {
            Some((1, rest)) => serde_json::from_slice(rest)?,
            _ => return Err("an unknown version of jsonb".into()),
        },
        Type::BYTEA => STANDARD.encode(raw).into(),
        Type::UUID => uuid(raw)?.into(),
        Type::DATE => date(i32::from_be_bytes(raw.try_into()?))?.into(),
        Type::TIMESTAMP => match moment(i64::from_be_bytes(raw.try_into()?))? {
            Moment::At(text) => text.trim_end_matches('Z').into(),
            Moment::Never(text) => text.into(),
        },
        Type::TIMESTAMPTZ => match moment(i64::from_be_bytes(raw.try_into()?))? {
            Moment::At(text) => text.into(),
            Moment::Never(text) => text.into(),
        },
        Type::TIME => clock(i64::from_be_bytes(raw.try_into()?)).into(),
        Type::INTERVAL => interval(raw)?.into(),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::XML | Type::UNKNOWN => {
            text(raw)?
        }
        Type::VOID => Value::Null,
        _ if ty.name() == "citext" => text(raw)?,
        _ => return Err("a type that is not known".into()),
    })
}

fn text(raw: &[u8]) -> Result<Value, Failed> {
    Ok(std::str::from_utf8(raw)?.into())
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn uuid(raw: &[u8]) -> Result<String, Failed> {
    let bytes: [u8; 16] = raw.try_into()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// Digits of base 10000, and how many decimals are shown.
fn numeric(raw: &[u8]) -> Result<String, Failed> {
    let mut words = raw
        .chunks_exact(2)
        .map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let mut next = || words.next().ok_or("a number that is cut");
    let (count, weight, sign, scale) = (next()?, next()?, next()?.cast_unsigned(), next()?);
    let minus = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => return Err("a number of an unknown sign".into()),
    };
    let digits: Vec<i16> = words.collect();
    if digits.len() != usize::try_from(count)?
        || digits.iter().any(|digit| !(0..10_000).contains(digit))
    {
        return Err("a number that is none".into());
    }
    let at = |position: i16| -> i16 {
        let index = i32::from(weight) - i32::from(position);
        usize::try_from(index)
            .ok()
            .and_then(|index| digits.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut whole: String = (0..=weight.max(0))
        .rev()
        .map(|position| format!("{:04}", at(position)))
        .collect();
    let kept = whole.trim_start_matches('0').len().max(1);
    whole.drain(..whole.len() - kept);
    let scale = usize::try_from(scale)?;
    if scale == 0 {
        return Ok(format!("{minus}{whole}"));
    }
    let groups = i16::try_from(scale.div_ceil(4))?;
    let mut decimals: String = (1..=groups)
        .map(|position| format!("{:04}", at(-position)))
        .collect();
    decimals.truncate(scale);
    Ok(format!("{minus}{whole}.{decimals}"))
}

enum Moment {
    At(String),
    Never(&'static str),
}

fn moment(micros: i64) -> Result<Moment, Failed> {
    Ok(match micros {
        i64::MAX => Moment::Never("infinity"),
        i64::MIN => Moment::Never("-infinity"),
        _ => {
            let since = micros.checked_add(EPOCH).ok_or("a time out of range")?;
            Moment::At(jiff::Timestamp::from_microsecond(since)?.to_string())
        }
    })
}

fn date(days: i32) -> Result<String, Failed> {
    Ok(match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        _ => jiff::civil::date(2000, 1, 1)
            .checked_add(jiff::SignedDuration::from_hours(i64::from(days) * 24))?
            .to_string(),
    })
}

fn clock(micros: i64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if rest > 0 {
        text.push_str(format!(".{rest:06}").trim_end_matches('0'));
    }
    text
}

/// As ISO 8601 writes it.
fn interval(raw: &[u8]) -> Result<String, Failed> {
    let raw: [u8; 16] = raw.try_into()?;
    let micros = i64::from_be_bytes(raw[..8].try_into()?);
    let days = i32::from_be_bytes(raw[8..12].try_into()?);
    let months = i32::from_be_bytes(raw[12..].try_into()?);
    let minus = if micros < 0 { "-" } else { "" };
    let (seconds, rest) = (
        micros.unsigned_abs() / 1_000_000,
        micros.unsigned_abs() % 1_000_000,
    );
    let mut clock = format!("{minus}{seconds}");
    if rest > 0 {
        clock.push_str(format!(".{rest:06}").trim_end_matches('0'));
    }
    Ok(format!("P{months}M{days}DT{clock}S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let raw = |words: &[i16]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        for (words, expected) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[1, 0, 0, 2, 12], "12.00"),
            (&[2, 0, 0, 2, 12, 5000], "12.50"),
            (&[3, 1, 0x4000, 2, 1, 2345, 6700], "-12345.67"),
            (&[1, -1, 0, 3, 10], "0.001"),
            (&[1, -2, 0, 5, 1000], "0.00001"),
            (&[1, 2, 0, 0, 1], "100000000"),
            (&[0, 0, -0x4000, 0], "NaN"),
        ] {
            assert_eq!(numeric(&raw(words)).unwrap(), expected, "{words:?}");
        }
        assert!(numeric(&raw(&[5, 0, 0, 0, 1])).is_err());
        assert!(numeric(&[0, 1]).is_err());
    }

    #[test]
    fn days_and_times_of_day() {
        assert_eq!(date(0).unwrap(), "2000-01-01");
        assert_eq!(date(-1).unwrap(), "1999-12-31");
        assert_eq!(date(9828).unwrap(), "2026-11-28");
        assert_eq!(clock(3_723_500_000), "01:02:03.5");
    }
}
