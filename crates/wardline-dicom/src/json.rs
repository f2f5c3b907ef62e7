//! Data sets as JSON that a map can read: keywords for names, plain values, lists where there are
//! several. Numbers that DICOM writes as texts (DS, IS) stay texts, exactly as they were.

use serde_json::{Map, Number, Value as Json};
use thiserror::Error;

use crate::data::{Charset, DataSet, Element, Tag, Value, Vr, is_plain, tags};

/// A data set as JSON. Private attributes are named by their eight hexadecimal digits; values that
/// were stepped over are not there, and neither are bytes that mean nothing to a reader.
pub fn to_json(set: &DataSet) -> Map<String, Json> {
    object(set, &Charset::default())
}

fn object(set: &DataSet, around: &Charset) -> Map<String, Json> {
    let charset = set.charset(around);
    let mut made = Map::new();
    for (tag, element) in set.iter() {
        if tag.1 == 0 || tag == tags::SPECIFIC_CHARACTER_SET {
            continue;
        }
        let Some(value) = value(element, &charset) else {
            continue;
        };
        let name = tag
            .keyword()
            .map_or_else(|| hexadecimal(tag), str::to_owned);
        made.insert(name, value);
    }
    made
}

/// The eight digits of a tag.
pub(crate) fn hexadecimal(tag: Tag) -> String {
    format!("{:04x}{:04x}", tag.0, tag.1)
}

/// A value as JSON; `None` where there is nothing to show.
pub(crate) fn value(element: &Element, charset: &Charset) -> Option<Json> {
    let bytes = match &element.value {
        Value::Left(_) => return None,
        Value::Items(items) => {
            let items = items.iter().map(|item| Json::Object(object(item, charset)));
            return Some(Json::Array(items.collect()));
        }
        Value::Bytes(bytes) => bytes,
    };
    let vr = element.vr;
    if vr.is_text() {
        let values = texts(bytes, vr, charset);
        return Some(one_or_many(values.into_iter().map(Json::String)));
    }
    let numbers: Vec<Json> = match vr {
        Vr::US => chunks(bytes, |b| Json::from(u16::from_le_bytes(b))),
        Vr::SS => chunks(bytes, |b| Json::from(i16::from_le_bytes(b))),
        Vr::UL => chunks(bytes, |b| Json::from(u32::from_le_bytes(b))),
        Vr::SL => chunks(bytes, |b| Json::from(i32::from_le_bytes(b))),
        Vr::UV => chunks(bytes, |b| Json::from(u64::from_le_bytes(b))),
        Vr::SV => chunks(bytes, |b| Json::from(i64::from_le_bytes(b))),
        Vr::FL => chunks(bytes, |b| float(f64::from(f32::from_le_bytes(b)))),
        Vr::FD => chunks(bytes, |b| float(f64::from_le_bytes(b))),
        Vr::AT => chunks(bytes, |b: [u8; 4]| {
            let tag = Tag(
                u16::from_le_bytes([b[0], b[1]]),
                u16::from_le_bytes([b[2], b[3]]),
            );
            Json::String(hexadecimal(tag))
        }),
        _ => return None,
    };
    Some(one_or_many(numbers.into_iter()))
}

fn float(number: f64) -> Json {
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

fn chunks<const N: usize>(bytes: &[u8], make: impl Fn([u8; N]) -> Json) -> Vec<Json> {
    let all = bytes.chunks_exact(N);
    all.filter_map(|chunk| chunk.try_into().ok().map(&make))
        .collect()
}

fn one_or_many(mut values: impl ExactSizeIterator<Item = Json>) -> Json {
    match values.len() {
        0 => Json::Null,
        1 => values.next().unwrap_or_default(),
        _ => Json::Array(values.collect()),
    }
}

/// The texts of a value, without padding; none where it is empty.
pub(crate) fn texts(bytes: &[u8], vr: Vr, charset: &Charset) -> Vec<String> {
    let text = if vr.is_charset_text() {
        charset.decode(bytes)
    } else {
        Charset::default().decode(bytes)
    };
    let padding = [' ', '\0'];
    if vr.is_single() {
        let text = text.trim_end_matches(padding);
        return (!text.is_empty())
            .then(|| text.to_owned())
            .into_iter()
            .collect();
    }
    if text.trim_matches(padding).is_empty() {
        return Vec::new();
    }
    text.split('\\')
        .map(|one| one.trim_matches(padding).to_owned())
        .collect()
}

/// Why JSON is no data set. Names attributes, never values.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FromJsonError {
    /// A name that the standard does not know.
    #[error(
        "`{name}` is no attribute: use the keywords of the standard, such as `PatientID`, or eight hexadecimal digits"
    )]
    Unknown {
        /// As it was written, shortened.
        name: String,
    },
    /// A value that the attribute cannot have.
    #[error("`{name}` ({vr}) {what}")]
    Value {
        /// The attribute.
        name: String,
        /// Its value representation.
        vr: &'static str,
        /// What is wrong.
        what: String,
    },
    /// Sequences in sequences in sequences…
    #[error("sequences lie more than 16 levels deep")]
    Deep,
}

/// A data set of JSON as [`to_json`] makes it. Texts that are not plain ASCII make it one in Latin-1
/// where that suffices, and in UTF-8 where not.
///
/// # Errors
/// [`FromJsonError`] names the attribute.
pub fn from_json(json: &Map<String, Json>) -> Result<DataSet, FromJsonError> {
    let mut widest = 0;
    look(json, &mut widest);
    let mut set = build(json, widest, 0)?;
    set.remove(tags::SPECIFIC_CHARACTER_SET);
    if widest > 0x7f {
        let name = if widest > 0xff {
            "ISO_IR 192"
        } else {
            "ISO_IR 100"
        };
        set.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, name);
    }
    Ok(set)
}

/// Finds the widest character.
fn look(json: &Map<String, Json>, widest: &mut u32) {
    let mut open: Vec<&Json> = json.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Json::String(text) if !is_plain(text) => {
                *widest = text.chars().map(u32::from).fold(*widest, u32::max);
            }
            Json::Array(all) => open.extend(all),
            Json::Object(all) => open.extend(all.values()),
            _ => {}
        }
    }
}

fn build(json: &Map<String, Json>, widest: u32, depth: usize) -> Result<DataSet, FromJsonError> {
    if depth > 16 {
        return Err(FromJsonError::Deep);
    }
    let mut set = DataSet::new();
    for (name, json) in json {
        let tag = Tag::named(name)
            .filter(|tag| tag.0 > 0x0007 && tag.1 != 0 && tag.0 != 0xfffe)
            .ok_or_else(|| FromJsonError::Unknown {
                name: name.chars().take(64).collect(),
            })?;
        let vr = tag.vr();
        let wrong = |what: &str| FromJsonError::Value {
            name: name.clone(),
            vr: vr.as_str(),
            what: what.to_owned(),
        };
        if vr == Vr::SQ {
            let items = match json {
                Json::Null => &[][..],
                Json::Array(items) => items,
                _ => return Err(wrong("is a sequence: give a list of objects")),
            };
            let items = items
                .iter()
                .map(|item| match item {
                    Json::Object(item) => build(item, widest, depth + 1),
                    _ => Err(wrong("is a sequence: give a list of objects")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            set.put(tag, vr, Value::Items(items));
            continue;
        }
        let values = match json {
            Json::Null => &[][..],
            Json::Array(values) => values,
            one => std::slice::from_ref(one),
        };
        let bytes = if vr.is_text() {
            text_bytes(values, vr, widest).map_err(|what| wrong(&what))?
        } else {
            number_bytes(values, vr).ok_or_else(|| wrong("needs a whole number that fits it"))?
        };
        set.put(tag, vr, Value::Bytes(bytes));
    }
    Ok(set)
}

fn text_bytes(values: &[Json], vr: Vr, widest: u32) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) if matches!(vr, Vr::IS | Vr::DS) => number.to_string(),
            Json::Null => String::new(),
            _ => return Err("needs a text, or a list of texts".into()),
        };
        check_text(&text, vr)?;
        if at > 0 {
            if vr.is_single() {
                return Err("has one value only".into());
            }
            bytes.push(b'\\');
        }
        if widest > 0xff || is_plain(&text) {
            bytes.extend_from_slice(text.as_bytes());
        } else {
            bytes.extend(text.chars().map(|one| u32::from(one) as u8));
        }
    }
    Ok(bytes)
}

/// Holds one text against what its representation allows.
pub(crate) fn check_text(text: &str, vr: Vr) -> Result<(), String> {
    if let Some(longest) = vr.longest()
        && text.chars().count() > longest
    {
        return Err(format!("has at most {longest} characters"));
    }
    if !vr.is_single() && text.contains('\\') {
        return Err("holds a backslash, which parts values: give a list".into());
    }
    if text.chars().any(|one| {
        one.is_control() && !(vr.is_single() && matches!(one, '\r' | '\n' | '\t' | '\u{c}'))
    }) {
        return Err("holds a control character".into());
    }
    let all = |allowed: fn(u8) -> bool| text.bytes().all(allowed);
    let fine = text.is_empty()
        || match vr {
            Vr::UI => crate::uid::is_valid(text),
            Vr::DA => is_date(text),
            Vr::TM => all(|b| b.is_ascii_digit() || b == b'.') && text.len() >= 2,
            Vr::DT => {
                all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-')) && text.len() >= 4
            }
            Vr::CS => {
                all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'_'))
            }
            Vr::IS => text.trim().parse::<i32>().is_ok(),
            Vr::DS => {
                all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'e' | b'E' | b'.' | b' '))
            }
            Vr::AS => {
                matches!(text.as_bytes(), [a, b, c, b'D' | b'W' | b'M' | b'Y'] if [a, b, c].iter().all(|one| one.is_ascii_digit()))
            }
            Vr::AE => is_plain(text),
            _ => true,
        };
    if fine {
        return Ok(());
    }
    Err(match vr {
        Vr::UI => "is no UID: digits in parts, at most 64 characters",
        Vr::DA => "is no date: write `20261128`",
        Vr::TM => "is no time: write `133000`",
        Vr::DT => "is no time of a day: write `20261128133000`",
        Vr::CS => "is no code: capital letters, digits, spaces and `_`",
        Vr::IS => "is no whole number",
        Vr::DS => "is no decimal number",
        Vr::AS => "is no age: write `045Y`",
        _ => "holds characters that it may not",
    }
    .into())
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 8 || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let two = |at: usize| (bytes[at] - b'0') * 10 + bytes[at + 1] - b'0';
    (1..=12).contains(&two(4)) && (1..=31).contains(&two(6))
}

fn number_bytes(values: &[Json], vr: Vr) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        if vr == Vr::AT {
            let tag = Tag::named(value.as_str()?)?;
            bytes.extend_from_slice(&tag.0.to_le_bytes());
            bytes.extend_from_slice(&tag.1.to_le_bytes());
            continue;
        }
        match vr {
            Vr::US => bytes.extend_from_slice(&u16::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Vr::SS => bytes.extend_from_slice(&i16::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Vr::UL => bytes.extend_from_slice(&u32::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Vr::SL => bytes.extend_from_slice(&i32::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Vr::UV => bytes.extend_from_slice(&value.as_u64()?.to_le_bytes()),
            Vr::SV => bytes.extend_from_slice(&value.as_i64()?.to_le_bytes()),
            Vr::FL => bytes.extend_from_slice(&(value.as_f64()? as f32).to_le_bytes()),
            Vr::FD => bytes.extend_from_slice(&value.as_f64()?.to_le_bytes()),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(json: Json) -> Map<String, Json> {
        match json {
            Json::Object(map) => map,
            _ => unreachable!("tests give objects"),
        }
    }

    #[test]
    fn json_comes_back_as_it_was() {
        for written in [
            json!({ "PatientID": "1", "PatientName": "A^B", "Rows": 512, "PixelSpacing": ["0.5", "0.5"] }),
            json!({ "PatientName": "Büc^Jérôme", "ScheduledProcedureStepSequence": [{ "Modality": "CT", "ScheduledPerformingPhysicianName": "Ä" }] }),
            json!({ "PatientName": "王^小東", "PatientComments": "a\\b\r\nc", "AccessionNumber": null }),
        ] {
            let set = from_json(&map(written.clone())).unwrap();
            for encoding in [
                crate::Encoding::ImplicitLittle,
                crate::Encoding::ExplicitLittle,
            ] {
                let mut bytes = Vec::new();
                crate::data::write(&set, encoding, &mut bytes);
                let again = crate::data::read(
                    &mut crate::data::Stream(&bytes[..]),
                    encoding,
                    crate::Limits::default(),
                )
                .unwrap();
                assert_eq!(Json::Object(to_json(&again)), written);
            }
        }
    }

    #[test]
    fn what_cannot_be_said_is_named_without_its_value() {
        for (written, expected) in [
            (json!({ "PatientId": "x" }), "`PatientId` is no attribute"),
            (json!({ "StudyDate": "2026-11-28" }), "`StudyDate` (DA)"),
            (
                json!({ "StudyInstanceUID": "1.02" }),
                "`StudyInstanceUID` (UI)",
            ),
            (json!({ "Modality": "ct" }), "`Modality` (CS)"),
            (
                json!({ "AccessionNumber": "12345678901234567" }),
                "`AccessionNumber` (SH)",
            ),
            (
                json!({ "ScheduledProcedureStepSequence": "x" }),
                "`ScheduledProcedureStepSequence` (SQ)",
            ),
            (json!({ "Rows": 65536 }), "`Rows` (US)"),
            (json!({ "00000100": 1 }), "`00000100` is no attribute"),
        ] {
            let error = from_json(&map(written)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
