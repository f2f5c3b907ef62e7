//! SIU: SCH with its resources (AIS, AIP, AIL, AIG) to Appointment.

use super::bundle::{Made, Making};
use super::codes::{self, find};
use super::values::{self, Reader, number, part, text};
use super::{MapError, person, visit};
use crate::node::{Node, Object};

/// SIU.
pub(super) fn appointment(making: &mut Making<'_>) -> Result<(), MapError> {
    let sch = making.needed("SCH")?;
    let patient = match making.reader("PID") {
        Some(_) => Some(person::patient(making)?),
        None => None,
    };
    let encounter = patient.and_then(|patient| visit::encounter(making, patient));
    let mut body = Object::new();
    let mut identifiers = Vec::new();
    identifiers.extend(sch.entity(2, "FILL"));
    identifiers.extend(sch.entity(1, "PLAC"));
    body.put("identifier", identifiers);
    let said = sch
        .part(25, 1)
        .and_then(|code| find(codes::APPOINTMENT, &code));
    let status = said
        .or_else(|| find(codes::SCHEDULED, &making.event))
        .unwrap_or("booked");
    body.put("status", status);
    if status == "cancelled" {
        body.put("cancelationReason", sch.concept(6, "0276"));
    }
    for field in making.readers("AIS") {
        if let Some(service) = field.concept(3, "") {
            body.push("serviceType", service);
        }
    }
    body.put("appointmentType", sch.concept(8, "0277"));
    let reasons: Vec<Object> = [6, 7]
        .iter()
        .filter(|n| **n != 6 || status != "cancelled")
        .filter_map(|n| sch.concept(*n, "0276"))
        .collect();
    body.put("reasonCode", reasons);
    let (start, end, minutes) = times(making, sch);
    let timed = start.is_some() && end.is_some();
    if timed {
        body.put("start", start).put("end", end);
    }
    body.put("minutesDuration", minutes.map(Node::Number));
    if !timed && !matches!(status, "proposed" | "cancelled" | "waitlist") {
        // FHIR has no booked appointment without a time: what is not known is not made up.
        if let Some(Node::Word(word)) = body.get_mut("status") {
            *word = if *word == "entered-in-error" {
                "cancelled"
            } else {
                "proposed"
            };
        }
    }
    let notes: Vec<String> = making
        .readers("NTE")
        .filter_map(|nte| text(nte.raw(3)))
        .collect();
    if !notes.is_empty() {
        body.put("comment", notes.join("\n"));
    }
    if let Some(patient) = patient {
        participant(making, &mut body, patient);
    }
    for reader in making.readers("AIP") {
        if let Some(who) = reader.raw(3).and_then(|raw| making.practitioner(raw)) {
            participant(making, &mut body, who);
        }
    }
    for reader in making.readers("AIL") {
        if let Some(place) = reader.raw(3).and_then(|raw| making.location(raw)) {
            participant(making, &mut body, place);
        }
    }
    for reader in making.readers("AIG") {
        let Some(raw) = reader.raw(3) else { continue };
        let shown = part(raw, 2).or_else(|| part(raw, 1));
        let mut device = Object::new();
        let mut one = Object::new();
        one.put("name", shown.clone()).put("type", "other");
        device.push("deviceName", one);
        if let Some(shown) = shown {
            let device = making.add("Device", &shown, device);
            participant(making, &mut body, device);
        }
    }
    if body.get("participant").is_none() {
        let mut unknown = Object::new();
        let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType".to_owned();
        unknown.push("type", values::concept_of(system, "PART".into(), None));
        unknown.put("status", "needs-action");
        body.push("participant", unknown);
    }
    let otherwise = making.control.clone();
    let made = making.add_known("Appointment", &otherwise, body);
    if let Some(encounter) = encounter {
        let reference = making.reference(made);
        making.body(encounter).push("appointment", reference);
    }
    Ok(())
}

fn participant(making: &Making<'_>, body: &mut Object, actor: Made) {
    let mut one = Object::new();
    one.put("actor", making.reference(actor))
        .put("status", "accepted");
    body.push("participant", one);
}

/// Start, end and minutes: of SCH-11, else of the first resource with a time.
fn times(making: &Making<'_>, sch: Reader<'_>) -> (Option<String>, Option<String>, Option<String>) {
    let at = |n| {
        sch.part(11, n)
            .and_then(|text| values::instant(&text, making.options))
    };
    let minutes = sch
        .part(9, 1)
        .and_then(|text| number(&text))
        .filter(|text| !text.contains(['-', '.']) && text != "0" && text.len() < 7);
    let unit = sch
        .part(10, 1)
        .unwrap_or_else(|| "min".into())
        .to_ascii_lowercase();
    let minutes = match (minutes, unit.as_str()) {
        (Some(text), "s" | "sec" | "seconds") => text
            .parse::<u32>()
            .ok()
            .map(|seconds| (seconds / 60).max(1).to_string()),
        (Some(text), "h" | "hr" | "hour" | "hours") => text
            .parse::<u32>()
            .ok()
            .map(|hours| (hours * 60).to_string()),
        (minutes, _) => minutes,
    };
    let mut start = at(4);
    let end = at(5);
    if start.is_none() {
        let first = ["AIS", "AIP", "AIL", "AIG"].iter().find_map(|name| {
            let field = match *name {
                "AIS" => 4,
                "AIG" => 8,
                _ => 6,
            };
            values::instant(&making.reader(name)?.text(field)?, making.options)
        });
        start = first;
    }
    let end = end.or_else(|| later(start.as_deref()?, minutes.as_deref()?));
    (start, end, minutes)
}

/// `minutes` after a moment, in its own zone.
fn later(start: &str, minutes: &str) -> Option<String> {
    let minutes: i64 = minutes.parse().ok()?;
    let moment: jiff::Timestamp = start.parse().ok()?;
    let later = moment
        .checked_add(jiff::SignedDuration::from_mins(minutes))
        .ok()?;
    let zone: i32 = match start.get(start.len().checked_sub(6)?..) {
        Some(zone) if zone.starts_with(['+', '-']) => {
            let hours: i32 = zone.get(1..3)?.parse().ok()?;
            let rest: i32 = zone.get(4..6)?.parse().ok()?;
            (hours * 60 + rest) * if zone.starts_with('-') { -60 } else { 60 }
        }
        _ => return Some(later.to_string()),
    };
    let offset = jiff::tz::Offset::from_seconds(zone).ok()?;
    Some(later.display_with_offset(offset).to_string())
}
