//! Worklists: which entries answer a query, and what of them is told (PS3.4, C.2.2.2 and annex K).

use crate::data::{Charset, DataSet, Element, Tag, Value, Vr, tags};
use crate::json::texts;

/// What of an entry answers a query: `None` where it does not match, else the attributes that were
/// asked for, empty where the entry has none.
pub fn answer(query: &DataSet, entry: &DataSet) -> Option<DataSet> {
    let ours = entry.charset(&Charset::default());
    let theirs = query.charset(&Charset::default());
    if !matches(query, &theirs, entry, &ours) {
        return None;
    }
    let mut answer = told(query, entry);
    if let Some(charset) = entry.get(tags::SPECIFIC_CHARACTER_SET) {
        answer.put(
            tags::SPECIFIC_CHARACTER_SET,
            charset.vr,
            charset.value.clone(),
        );
    }
    Some(answer)
}

fn matches(query: &DataSet, theirs: &Charset, entry: &DataSet, ours: &Charset) -> bool {
    query.iter().all(|(tag, key)| {
        if tag == tags::SPECIFIC_CHARACTER_SET || tag.1 == 0 {
            return true;
        }
        let value = entry.get(tag);
        match &key.value {
            Value::Items(wanted) => {
                let Some(wanted) = wanted.first().filter(|item| !item.is_empty()) else {
                    return true;
                };
                let items = entry.items(tag).unwrap_or_default();
                if items.is_empty() {
                    // What has none matches a key that wants nothing of them.
                    return matches(wanted, theirs, &DataSet::new(), ours);
                }
                items.iter().any(|item| matches(wanted, theirs, item, ours))
            }
            Value::Bytes(bytes) => {
                let wanted = texts(bytes, key.vr, theirs);
                if wanted.iter().all(String::is_empty) || !key.vr.is_text() {
                    return true;
                }
                let there = value.map_or_else(Vec::new, |value| values(value, ours));
                if there.iter().all(String::is_empty) {
                    // Only a key that takes anything takes nothing.
                    return wanted.iter().any(|one| one == "*");
                }
                there
                    .iter()
                    .any(|one| wanted.iter().any(|wanted| is_like(one, wanted, key.vr)))
            }
            Value::Left(_) => false,
        }
    })
}

fn values(element: &Element, charset: &Charset) -> Vec<String> {
    match &element.value {
        Value::Bytes(bytes) => texts(bytes, element.vr, charset),
        _ => Vec::new(),
    }
}

fn is_like(value: &str, wanted: &str, vr: Vr) -> bool {
    match vr {
        Vr::DA | Vr::TM | Vr::DT => is_within(value, wanted, vr),
        Vr::PN => {
            let (value, wanted) = (name_of(value), name_of(wanted));
            wildcard(&value.to_lowercase(), &wanted.to_lowercase())
        }
        Vr::AE | Vr::CS | Vr::LO | Vr::LT | Vr::SH | Vr::ST | Vr::UC | Vr::UR | Vr::UT => {
            wildcard(value, wanted)
        }
        _ => value == wanted,
    }
}

/// A name without the empty parts at its end, which say nothing.
fn name_of(text: &str) -> &str {
    text.trim_end_matches(['^', '='])
}

fn is_within(value: &str, wanted: &str, vr: Vr) -> bool {
    // `1300` and `130000` are one time; old writers put colons and dots between.
    let plain = |text: &str, last: bool| -> String {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        match vr {
            Vr::TM => {
                let fill = if last { "235959999999" } else { "000000000000" };
                let from = digits.len().min(fill.len());
                format!("{digits}{}", &fill[from..])
            }
            _ => digits,
        }
    };
    let value = plain(value, false);
    match wanted.split_once('-') {
        Some((from, to)) => {
            (from.trim().is_empty() || plain(from, false) <= value)
                && (to.trim().is_empty() || value <= plain(to, true))
        }
        None => plain(wanted, false) <= value && value <= plain(wanted, true),
    }
}

/// `*` stands for any characters, `?` for one; linear in both.
fn wildcard(value: &str, pattern: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut v, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(&one) if one == '?' || one == value[v] => {
                p += 1;
                v += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    v = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|one| *one == '*')
}

/// Of an entry what a query asks for.
fn told(query: &DataSet, entry: &DataSet) -> DataSet {
    let mut told = DataSet::new();
    for (tag, key) in query.iter() {
        if tag == tags::SPECIFIC_CHARACTER_SET || tag.1 == 0 {
            continue;
        }
        told.put(tag, vr_of(tag, key), value_told(tag, key, entry));
    }
    told
}

fn vr_of(tag: Tag, key: &Element) -> Vr {
    match tag.vr() {
        Vr::UN => key.vr,
        known => known,
    }
}

fn value_told(tag: Tag, key: &Element, entry: &DataSet) -> Value {
    let there = entry.get(tag).map(|element| &element.value);
    match (&key.value, there) {
        (Value::Items(wanted), Some(Value::Items(items))) => {
            let wanted = wanted.first().filter(|item| !item.is_empty());
            Value::Items(
                items
                    .iter()
                    .map(|item| wanted.map_or_else(|| item.clone(), |wanted| told(wanted, item)))
                    .collect(),
            )
        }
        (Value::Items(_), _) => Value::Items(Vec::new()),
        (_, Some(Value::Bytes(bytes))) => Value::Bytes(bytes.clone()),
        _ => Value::Bytes(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_json, to_json};
    use serde_json::{Value as Json, json};

    fn set(json: Json) -> DataSet {
        match json {
            Json::Object(map) => from_json(&map).unwrap(),
            _ => unreachable!("tests give objects"),
        }
    }

    /// Keys may be patterns and ranges, which no entry may have.
    fn query(pairs: &[(&str, &str)], step: &[(&str, &str)]) -> DataSet {
        let make = |pairs: &[(&str, &str)]| {
            let mut set = DataSet::new();
            for (name, text) in pairs {
                let tag = Tag::named(name).unwrap();
                set.put_text(tag, tag.vr(), text);
            }
            set
        };
        let mut set = make(pairs);
        let tag = Tag::named("ScheduledProcedureStepSequence").unwrap();
        set.put(tag, Vr::SQ, Value::Items(vec![make(step)]));
        set
    }

    #[test]
    fn entries_answer_what_fits_them() {
        let entry = set(json!({
            "PatientName": "Vivaldi^Antonio", "PatientID": "AV35674", "AccessionNumber": "00000",
            "ScheduledProcedureStepSequence": [{
                "Modality": "MR", "ScheduledStationAETitle": "AA32\u{0}".trim_matches('\0'),
                "ScheduledProcedureStepStartDate": "19951015", "ScheduledProcedureStepStartTime": "085607",
            }],
        }));
        for (pairs, step, expected) in [
            (&[("PatientName", "")][..], &[][..], true),
            (&[("PatientName", "vivaldi*")], &[], true),
            (&[("PatientName", "VIVALDI^ANTONIO^^^")], &[], true),
            (&[("PatientName", "Viva?di^*")], &[], true),
            (&[("PatientName", "Verdi*")], &[], false),
            (&[("PatientID", "av35674")], &[], false),
            (&[], &[("Modality", "MR")], true),
            (&[], &[("Modality", "CT")], false),
            (
                &[],
                &[("ScheduledProcedureStepStartDate", "19951015")],
                true,
            ),
            (
                &[],
                &[("ScheduledProcedureStepStartDate", "19951015-")],
                true,
            ),
            (
                &[],
                &[("ScheduledProcedureStepStartDate", "-19951014")],
                false,
            ),
            (
                &[],
                &[("ScheduledProcedureStepStartDate", "19951001-19951031")],
                true,
            ),
            (&[], &[("ScheduledProcedureStepStartTime", "08-09")], true),
            (&[], &[("ScheduledProcedureStepStartTime", "08")], true),
            (&[], &[("ScheduledProcedureStepStartTime", "0857-")], false),
            (&[("RequestedProcedureID", "X")], &[], false),
            (&[("RequestedProcedureID", "*")], &[], true),
        ] {
            let query = query(pairs, step);
            assert_eq!(
                answer(&query, &entry).is_some(),
                expected,
                "{pairs:?} {step:?}"
            );
        }
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        let entry = set(json!({
            "PatientName": "Müller^Ä", "PatientID": "1", "PatientBirthDate": "19700101",
            "ScheduledProcedureStepSequence": [{ "Modality": "MR", "ScheduledProcedureStepID": "7" }],
        }));
        let query = query(
            &[("PatientName", ""), ("MedicalAlerts", "")],
            &[("Modality", "")],
        );
        let told = to_json(&answer(&query, &entry).unwrap());
        assert_eq!(
            Json::Object(told),
            json!({ "PatientName": "Müller^Ä", "MedicalAlerts": null, "ScheduledProcedureStepSequence": [{ "Modality": "MR" }] })
        );
    }
}
