//! ORU: orders (ORC, OBR), reports, specimens (SPM) and observations (OBX, NTE).

use wardline_hl7::Raw;

use super::bundle::{Made, Making};
use super::codes::{self, find};
use super::values::{self, Reader, concept, concept_of, number, part, quantity, text};
use super::{MapError, person, visit};
use crate::node::{Node, Object};

/// What an OBX or NTE belongs to.
struct Group {
    report: Made,
    order: Made,
    specimen: Option<Made>,
    key: String,
}

/// ORU: each OBR is an order and a report with its observations.
pub(super) fn results(making: &mut Making<'_>) -> Result<(), MapError> {
    making.needed("OBR")?;
    let patient = person::patient(making)?;
    person::relatives(making, patient);
    let encounter = visit::encounter(making, patient);
    let mut orc: Option<Reader<'_>> = None;
    let mut group: Option<Group> = None;
    let mut last: Option<Made> = None;
    let mut number = 0;
    for (name, reader) in making.all() {
        match name {
            "ORC" => orc = Some(reader),
            "OBR" => {
                number += 1;
                group = Some(report(
                    making,
                    orc.take(),
                    reader,
                    number,
                    patient,
                    encounter,
                ));
                last = None;
            }
            "SPM" => {
                if let Some(group) = &mut group {
                    let made = specimen(making, reader, patient, &group.key);
                    let reference = making.reference(made);
                    making
                        .body(group.report)
                        .push("specimen", reference.clone());
                    making.body(group.order).push("specimen", reference);
                    group.specimen = Some(made);
                }
            }
            "OBX" => {
                if let Some(group) = &group
                    && let Some(made) = observation(making, reader, patient, encounter, Some(group))
                {
                    last = Some(made);
                }
            }
            "NTE" => {
                if let Some(at) = last.or(group.as_ref().map(|group| group.order)) {
                    note(making, at, reader);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// OBX that belong to no order, as ADT has them.
pub(super) fn observations(making: &mut Making<'_>, patient: Made, visit: Option<Made>) {
    for obx in making.readers("OBX") {
        observation(making, obx, patient, visit, None);
    }
}

/// NTE: the lines of one comment are one note.
fn note(making: &mut Making<'_>, at: Made, nte: Reader<'_>) {
    let lines = nte.all(3, |raw| text(Some(raw)));
    if lines.is_empty() {
        return;
    }
    let lines = lines.join("\n");
    let body = making.body(at);
    if let Some(Node::Array(all)) = body.get_mut("note")
        && let Some(Node::Object(first)) = all.first_mut()
        && let Some(Node::Text(text)) = first.get_mut("text")
    {
        text.push('\n');
        text.push_str(&lines);
        return;
    }
    let mut note = Object::new();
    note.put("text", lines);
    body.push("note", note);
}

fn report(
    making: &mut Making<'_>,
    orc: Option<Reader<'_>>,
    obr: Reader<'_>,
    n: usize,
    patient: Made,
    encounter: Option<Made>,
) -> Group {
    let placer = obr
        .entity(2, "PLAC")
        .or_else(|| orc.and_then(|orc| orc.entity(2, "PLAC")));
    let filler = obr
        .entity(3, "FILL")
        .or_else(|| orc.and_then(|orc| orc.entity(3, "FILL")));
    let base = making.key(encounter.unwrap_or(patient));
    let own = obr.part(3, 1).or_else(|| obr.part(2, 1)).map_or_else(
        || format!("{}|{n}", making.control),
        |number| number + "|" + &obr.text(4).unwrap_or_default(),
    );
    let key = format!("{base}|{own}");
    let code = obr.concept(4, "0076").unwrap_or_else(|| {
        let mut unknown = Object::new();
        unknown.put("text", "unknown");
        unknown
    });
    let status = orc.and_then(|orc| {
        orc.code(5, codes::ORDER_STATUS)
            .or_else(|| orc.code(1, codes::ORDER_CONTROL))
    });
    let who = match orc {
        Some(orc) if orc.raw(12).is_some() => making.practitioners(orc, 12),
        _ => making.practitioners(obr, 16),
    };

    let mut order = Object::new();
    order.put(
        "identifier",
        [placer.clone(), filler.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    );
    order
        .put("status", status.unwrap_or("unknown"))
        .put("intent", "order");
    order.put(
        "priority",
        obr.code(5, codes::PRIORITY).or_else(|| {
            obr.part(27, 6)
                .and_then(|code| find(codes::PRIORITY, &code))
        }),
    );
    order
        .put("code", code.clone())
        .put("subject", making.reference(patient));
    if let Some(encounter) = encounter {
        order.put("encounter", making.reference(encounter));
    }
    order
        .put("occurrenceDateTime", obr.moment(6))
        .put("authoredOn", orc.and_then(|orc| orc.moment(9)));
    if let Some(who) = who.first() {
        order.put("requester", making.reference(*who));
    }
    order.put("reasonCode", obr.concepts(31, ""));
    let order = making.add("ServiceRequest", &key, order);

    let mut body = Object::new();
    body.put(
        "identifier",
        [placer, filler].into_iter().flatten().collect::<Vec<_>>(),
    );
    body.push("basedOn", making.reference(order));
    body.put("status", obr.code(25, codes::REPORT).unwrap_or("unknown"));
    body.put("category", obr.concepts(24, "0074"))
        .put("code", code)
        .put("subject", making.reference(patient));
    if let Some(encounter) = encounter {
        body.put("encounter", making.reference(encounter));
    }
    match obr.moment(8) {
        Some(end) => body.put("effectivePeriod", values::period(obr.moment(7), Some(end))),
        None => body.put("effectiveDateTime", obr.moment(7)),
    };
    body.put(
        "issued",
        obr.text(22)
            .and_then(|when| values::instant(&when, making.options)),
    );
    // OBR-32 is NDL: the name is one component with subcomponents.
    for raw in obr.each(32) {
        if let Some(who) = named(making, raw) {
            let reference = making.reference(who);
            body.push("resultsInterpreter", reference);
        }
    }
    let report = making.add("DiagnosticReport", &key, body);
    let specimen = obr.raw(15).and_then(|raw| {
        let kind = part(raw, 1).or_else(|| part(raw, 2))?;
        let mut made = Object::new();
        let mut code = Object::new();
        code.put("text", kind.clone());
        made.put("type", code)
            .put("subject", making.reference(patient))
            .put("receivedTime", obr.moment(14));
        Some(making.add("Specimen", &format!("{key}|{kind}"), made))
    });
    if let Some(made) = specimen {
        let reference = making.reference(made);
        making.body(report).push("specimen", reference);
    }
    Group {
        report,
        order,
        specimen,
        key,
    }
}

fn named(making: &mut Making<'_>, raw: Raw<'_>) -> Option<Made> {
    let cnn = raw.component(1)?;
    let sub = |n| text(cnn.subcomponent(n));
    let mut name = Object::new();
    name.put("family", sub(2)).put(
        "given",
        [sub(3), sub(4)]
            .into_iter()
            .flatten()
            .map(Node::Text)
            .collect::<Vec<_>>(),
    );
    let mut body = Object::new();
    if let Some(number) = sub(1) {
        let authority = values::Authority {
            namespace: sub(9),
            id: sub(10),
            kind: sub(11),
        };
        body.push(
            "identifier",
            values::identifier_of(number, None, &authority, making.options),
        );
    }
    if let Some(name) = name.some() {
        body.push("name", name);
    }
    let otherwise = raw.decode().into_owned();
    body.some()
        .map(|body| making.add_known("Practitioner", &otherwise, body))
}

fn specimen(making: &mut Making<'_>, spm: Reader<'_>, patient: Made, key: &str) -> Made {
    let mut body = Object::new();
    let assigned = |component: usize| -> Option<Object> {
        let one = spm.raw(2)?.component(component)?;
        let sub = |n| text(one.subcomponent(n));
        let authority = values::Authority {
            namespace: sub(2),
            id: sub(3),
            kind: sub(4),
        };
        let mut made = Object::new();
        made.put(
            "type",
            values::typed(if component == 1 { "PLAC" } else { "FILL" }, "0203"),
        );
        made.put("system", authority.system(spm.options))
            .put("value", Some(sub(1)?));
        Some(made)
    };
    body.put(
        "identifier",
        [assigned(1), assigned(2)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    );
    body.put("type", spm.concept(4, "0487"))
        .put("subject", making.reference(patient))
        .put("receivedTime", spm.moment(18));
    let mut collection = Object::new();
    let times = spm.raw(17);
    let at = |n| {
        times
            .and_then(|raw| part(raw, n))
            .and_then(|text| values::moment(&text, spm.options))
    };
    match (at(1), at(2)) {
        (start, Some(end)) => collection.put("collectedPeriod", values::period(start, Some(end))),
        (start, None) => collection.put("collectedDateTime", start),
    };
    collection.put(
        "quantity",
        spm.raw(12).and_then(|raw| quantity(&part(raw, 1)?, None)),
    );
    collection
        .put("method", spm.concept(7, "0488"))
        .put("bodySite", spm.concept(8, ""));
    body.put("collection", collection.some());
    let notes: Vec<Object> = spm.all(14, |raw| {
        let mut note = Object::new();
        note.put("text", text(Some(raw)));
        note.some()
    });
    body.put("note", notes);
    let own = spm.raw(2).map(|raw| raw.decode().into_owned());
    let own = own.or_else(|| spm.text(1)).unwrap_or_default();
    making.add("Specimen", &format!("{key}|{own}"), body)
}

fn observation(
    making: &mut Making<'_>,
    obx: Reader<'_>,
    patient: Made,
    encounter: Option<Made>,
    group: Option<&Group>,
) -> Option<Made> {
    let code = obx.concept(3, "")?;
    let mut body = Object::new();
    if let Some(group) = group {
        body.push("basedOn", making.reference(group.order));
    }
    body.put(
        "status",
        obx.code(11, codes::OBSERVATION)
            .unwrap_or(if obx.text(11).is_some() {
                "unknown"
            } else {
                "final"
            }),
    );
    body.put("code", code)
        .put("subject", making.reference(patient));
    if let Some(encounter) = encounter {
        body.put("encounter", making.reference(encounter));
    }
    let when = obx.moment(14).or_else(|| {
        let obr = group.and_then(|_| making.reader("OBR"))?;
        obr.moment(7)
    });
    body.put("effectiveDateTime", when).put(
        "issued",
        obx.text(19)
            .and_then(|text| values::instant(&text, obx.options)),
    );
    for who in making.practitioners(obx, 16) {
        let reference = making.reference(who);
        body.push("performer", reference);
    }
    if let Some(house) = obx.raw(23).and_then(|raw| making.organization(raw)) {
        if let Some(place) = obx.raw(24).and_then(values::address)
            && making.body(house).get("address").is_none()
        {
            making.body(house).push("address", place);
        }
        let reference = making.reference(house);
        body.push("performer", reference);
    }
    let valued = value(obx, &mut body);
    if !valued {
        let absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason".to_owned();
        let reason = if obx.text(11).as_deref() == Some("X") {
            "not-performed"
        } else {
            "unknown"
        };
        body.put(
            "dataAbsentReason",
            concept_of(absent, reason.to_owned(), None),
        );
    }
    body.put("interpretation", obx.all(8, interpretation))
        .put("method", obx.concept(17, ""));
    if let Some(raw) = obx.raw(18)
        && let Some(value) = part(raw, 1)
    {
        let mut device = Object::new();
        let mut one = Object::new();
        let authority = values::Authority {
            namespace: part(raw, 2),
            id: part(raw, 3),
            kind: part(raw, 4),
        };
        one.put("system", authority.system(obx.options))
            .put("value", value.clone());
        device.push("identifier", one);
        let device = making.add_known("Device", &value, device);
        body.put("device", making.reference(device));
    }
    if let Some(specimen) = group.and_then(|group| group.specimen) {
        body.put("specimen", making.reference(specimen));
    }
    if let Some(range) = obx.text(7) {
        body.push("referenceRange", reference_range(&range, obx));
    }
    let base = group.map_or_else(
        || making.key(encounter.unwrap_or(patient)),
        |group| group.key.clone(),
    );
    let key = format!(
        "{base}|OBX|{}|{}|{}",
        obx.raw(3)
            .map(|raw| raw.decode().into_owned())
            .unwrap_or_default(),
        obx.text(4).unwrap_or_default(),
        obx.text(1).unwrap_or_default()
    );
    let made = making.add("Observation", &key, body);
    if let Some(group) = group {
        let reference = making.reference(made);
        making.body(group.report).push("result", reference);
    }
    Some(made)
}

fn interpretation(raw: Raw<'_>) -> Option<Object> {
    let code = part(raw, 1)?;
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation".to_owned();
    match part(raw, 3) {
        Some(_) => concept(raw, "0078"),
        None => Some(concept_of(system, code, part(raw, 2))),
    }
}

/// OBX-5 by OBX-2; whether there was a value that FHIR can hold.
fn value(obx: Reader<'_>, body: &mut Object) -> bool {
    let before = body.0.len();
    let Some(raw) = obx.raw(5) else { return false };
    let kind = obx.text(2).unwrap_or_default();
    let units = obx.raw(6);
    let whole = || {
        let lines = obx.all(5, |raw| {
            Some(values::clean(&raw.decode())).filter(|line| !line.is_empty())
        });
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    match kind.as_str() {
        "NM" => {
            match text(Some(raw)).and_then(|digits| quantity(&digits, units)) {
                Some(made) => body.put("valueQuantity", made),
                None => body.put("valueString", whole()),
            };
        }
        "SN" => structured(raw, units, body),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
            body.put("valueCodeableConcept", concept(raw, ""));
        }
        "DT" | "TS" | "DTM" => {
            body.put("valueDateTime", obx.moment(5));
        }
        "TM" => {
            let digits = obx.text(5).filter(|text| {
                text.len() >= 4 && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
            });
            body.put(
                "valueTime",
                digits.map(|text| {
                    format!(
                        "{}:{}:{}",
                        &text[..2],
                        &text[2..4],
                        text.get(4..6).unwrap_or("00")
                    )
                }),
            );
        }
        "DR" => {
            let at = |n| part(raw, n).and_then(|text| values::moment(&text, obx.options));
            body.put("valuePeriod", values::period(at(1), at(2)));
        }
        "CX" | "EI" => {
            body.put("valueString", part(raw, 1));
        }
        // Attachments are not values in R4.
        "ED" | "RP" => {}
        _ => {
            body.put("valueString", whole());
        }
    }
    body.0.len() > before
}

/// SN: a comparator and a number, a range, or a ratio.
fn structured(raw: Raw<'_>, units: Option<Raw<'_>>, body: &mut Object) {
    let (before, first, between, second) = (part(raw, 1), part(raw, 2), part(raw, 3), part(raw, 4));
    let made = |digits: Option<String>| digits.and_then(|digits| quantity(&digits, units));
    match (made(first), between.as_deref(), made(second)) {
        (Some(low), Some("-"), high) => {
            let mut range = Object::new();
            range.put("low", low).put("high", high);
            body.put("valueRange", range);
        }
        (Some(numerator), Some(":" | "/"), Some(denominator)) => {
            let mut ratio = Object::new();
            ratio
                .put("numerator", numerator)
                .put("denominator", denominator);
            body.put("valueRatio", ratio);
        }
        (Some(mut one), _, _) => {
            let comparator = before
                .as_deref()
                .and_then(|sign| find(&[("<", "<"), (">", ">"), ("<=", "<="), (">=", ">=")], sign));
            if let Some(comparator) = comparator {
                one.0.insert(1, ("comparator", Node::Word(comparator)));
            }
            body.put("valueQuantity", one);
        }
        _ => {}
    }
}

fn reference_range(range: &str, obx: Reader<'_>) -> Object {
    let mut made = Object::new();
    let cut = range.char_indices().skip(1).find(|(_, one)| *one == '-');
    if let Some((at, _)) = cut {
        let (low, high) = (range[..at].trim(), range[at + 1..].trim());
        if number(low).is_some() && number(high).is_some() {
            made.put("low", quantity(low, obx.raw(6)))
                .put("high", quantity(high, obx.raw(6)));
        }
    }
    made.put("text", range.to_owned());
    made
}
