//! ADT: the patient, the visit (PV1, PV2), and what comes with it: next of kin, diagnoses,
//! allergies, procedures, guarantor and insurance.

use super::bundle::{Made, Making};
use super::codes::{self, find};
use super::values::{self, Reader, concept_of, part, typed};
use super::{MapError, money, person, results};
use crate::node::{Node, Object};

/// Triggers that speak of the person only.
const OF_PERSONS: &[&str] = &[
    "A24", "A28", "A29", "A30", "A31", "A34", "A36", "A37", "A39", "A40", "A46", "A47",
];

/// ADT.
pub(super) fn admission(making: &mut Making<'_>) -> Result<(), MapError> {
    let patient = person::patient(making)?;
    person::merged(making, patient);
    person::relatives(making, patient);
    let of_person = OF_PERSONS.contains(&making.event.as_str());
    let visit = if of_person
        && making
            .reader("PV1")
            .is_none_or(|pv1| pv1.text(19).is_none())
    {
        None
    } else {
        encounter(making, patient)
    };
    let account = money::account(making, patient, visit);
    money::coverage(making, patient, account);
    diagnoses(making, patient, visit);
    allergies(making, patient);
    procedures(making, patient, visit);
    results::observations(making, patient, visit);
    Ok(())
}

/// PV1 and PV2 to Encounter.
pub(super) fn encounter(making: &mut Making<'_>, patient: Made) -> Option<Made> {
    let pv1 = making.reader("PV1")?;
    let pv2 = making.reader("PV2");
    let event = making.event.clone();
    let mut body = Object::new();
    let mut identifiers = pv1.identifiers(19);
    for one in &mut identifiers {
        if one.get("type").is_none() {
            one.0.insert(0, ("type", Node::from(typed("VN", "0203")?)));
        }
    }
    identifiers.extend(pv1.identifiers(50));
    let class = pv1.text(2);
    let ended = pv1.moment(45).filter(|_| event != "A13");
    let is_admission = making.message.message_type().as_deref() == Some("ADT");
    let status = match event.as_str() {
        "A11" | "A27" | "A38" if is_admission => "cancelled",
        "A05" | "A14" if is_admission => "planned",
        "A03" if is_admission => "finished",
        "A21" if is_admission => "onleave",
        _ if ended.is_some() => "finished",
        _ if class.as_deref() == Some("P") => "planned",
        _ if is_admission => "in-progress",
        _ => "unknown",
    };
    body.put("identifier", identifiers).put("status", status);
    let mut coding = Object::new();
    match class {
        Some(code) => match find(codes::CLASS, &code) {
            Some(to) => coding
                .put("system", "http://terminology.hl7.org/CodeSystem/v3-ActCode")
                .put("code", to),
            None => coding
                .put("system", format!("{}0004", codes::V2))
                .put("code", code),
        },
        None => coding
            .put(
                "system",
                "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
            )
            .put("code", "UNK"),
    };
    body.put("class", coding)
        .put("type", pv1.concepts(4, "0007"))
        .put("serviceType", pv1.concept(10, "0069"));
    body.put("priority", pv2.and_then(|pv2| pv2.concept(25, "0217")));
    body.put("subject", making.reference(patient));
    for (field, role) in [
        (7, "ATND"),
        (8, "REF"),
        (9, "CON"),
        (17, "ADM"),
        (52, "PART"),
    ] {
        let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
        for who in making.practitioners(pv1, field) {
            let mut one = Object::new();
            one.push("type", concept_of(system.to_owned(), role.to_owned(), None));
            one.put("individual", making.reference(who));
            body.push("participant", one);
        }
    }
    body.put("period", values::period(pv1.moment(44), ended));
    body.put("reasonCode", pv2.map(|pv2| pv2.concepts(3, "")));
    body.put("hospitalization", hospitalization(making, pv1));
    let places = [
        (
            3,
            if status == "finished" {
                "completed"
            } else {
                "active"
            },
        ),
        (6, "completed"),
        (42, "planned"),
        (11, "active"),
        (43, "completed"),
    ];
    for (field, state) in places {
        if let Some(place) = pv1.raw(field).and_then(|raw| making.location(raw)) {
            let mut one = Object::new();
            one.put("location", making.reference(place))
                .put("status", state);
            body.push("location", one);
        }
    }
    if let Some(house) = pv1.raw(39).and_then(|raw| making.organization(raw)) {
        body.put("serviceProvider", making.reference(house));
    }
    let otherwise = format!("{}|{}", making.key(patient), making.control);
    Some(making.add_known("Encounter", &otherwise, body))
}

fn hospitalization(making: &mut Making<'_>, pv1: Reader<'_>) -> Option<Object> {
    let mut body = Object::new();
    if let Some(raw) = pv1.raw(5) {
        body.put(
            "preAdmissionIdentifier",
            values::identifier(raw, making.options),
        );
    }
    body.put("admitSource", pv1.concept(14, "0023"))
        .put("reAdmission", pv1.concept(13, "0092"));
    body.put("dietPreference", pv1.concepts(38, "0114"));
    body.put("specialCourtesy", pv1.concepts(16, "0099"))
        .put("specialArrangement", pv1.concepts(15, "0009"));
    body.put("dischargeDisposition", pv1.concept(36, "0112"));
    if let Some(raw) = pv1.raw(37)
        && let Some(code) = part(raw, 1)
    {
        let mut place = Object::new();
        place
            .put("status", "active")
            .put("name", code.clone())
            .put("mode", "kind");
        let to = making.add("Location", &format!("discharged-to={code}"), place);
        body.put("destination", making.reference(to));
    }
    body.some()
}

/// DG1 to Condition, named by the visit.
pub(super) fn diagnoses(making: &mut Making<'_>, patient: Made, visit: Option<Made>) {
    for (n, dg1) in making.readers("DG1").enumerate() {
        let mut code = dg1.concept(3, "0051").unwrap_or_default();
        if code.get("text").is_none() {
            code.put("text", dg1.text(4));
        }
        // Before 2.4 the method stood apart from the code.
        if let (Some(method), Some(Node::Array(all))) = (dg1.text(2), code.get_mut("coding"))
            && let Some(Node::Object(first)) = all.first_mut()
            && dg1.part(3, 3).is_none()
        {
            first.0.retain(|(name, _)| *name != "system");
            first
                .0
                .insert(0, ("system", Node::Text(codes::system(&method))));
        }
        if code.is_empty() {
            continue;
        }
        let mut body = Object::new();
        body.push(
            "category",
            concept_of(
                "http://terminology.hl7.org/CodeSystem/condition-category".into(),
                "encounter-diagnosis".into(),
                None,
            ),
        );
        body.put("code", code)
            .put("subject", making.reference(patient));
        if let Some(visit) = visit {
            body.put("encounter", making.reference(visit));
        }
        body.put("onsetDateTime", dg1.moment(5))
            .put("recordedDate", dg1.moment(19));
        if let Some(who) = making.practitioners(dg1, 16).first() {
            body.put("asserter", making.reference(*who));
        }
        let at = making.key(visit.unwrap_or(patient));
        let key = format!(
            "{at}|{}",
            dg1.text(20)
                .unwrap_or_else(|| format!("{}|{n}", dg1.text(3).unwrap_or_default()))
        );
        let condition = making.add("Condition", &key, body);
        if let Some(visit) = visit {
            let mut one = Object::new();
            one.put("condition", making.reference(condition))
                .put("use", dg1.concept(6, "0052"));
            let rank = dg1
                .text(15)
                .and_then(|text| values::number(&text))
                .filter(|text| text.len() < 5 && text != "0" && !text.contains(['-', '.']));
            one.put("rank", rank.map(Node::Number));
            making.body(visit).push("diagnosis", one);
        }
    }
}

/// AL1 to AllergyIntolerance.
fn allergies(making: &mut Making<'_>, patient: Made) {
    for (n, al1) in making.readers("AL1").enumerate() {
        let Some(code) = al1.concept(3, "") else {
            continue;
        };
        let mut body = Object::new();
        body.put(
            "clinicalStatus",
            concept_of(
                "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical".into(),
                "active".into(),
                None,
            ),
        );
        if let Some(category) = al1.code(2, codes::ALLERGY) {
            body.push("category", category);
        }
        let severity = al1.code(4, codes::SEVERITY);
        body.put(
            "criticality",
            severity.map(|word| if word == "severe" { "high" } else { "low" }),
        );
        body.put("code", code)
            .put("patient", making.reference(patient))
            .put("onsetDateTime", al1.moment(6));
        let felt: Vec<Object> = al1.all(5, |raw| {
            let mut felt = Object::new();
            felt.put("text", part(raw, 1));
            felt.some()
        });
        if !felt.is_empty() {
            let mut reaction = Object::new();
            reaction
                .put("manifestation", felt)
                .put("severity", severity);
            body.push("reaction", reaction);
        }
        let key = format!(
            "{}|{}",
            making.key(patient),
            al1.part(3, 1)
                .or_else(|| al1.part(3, 2))
                .unwrap_or_else(|| n.to_string())
        );
        making.add("AllergyIntolerance", &key, body);
    }
}

/// PR1 to Procedure.
pub(super) fn procedures(making: &mut Making<'_>, patient: Made, visit: Option<Made>) {
    for (n, pr1) in making.readers("PR1").enumerate() {
        let mut code = pr1.concept(3, "0088").unwrap_or_default();
        if code.get("text").is_none() {
            code.put("text", pr1.text(4));
        }
        if code.is_empty() {
            continue;
        }
        let mut body = Object::new();
        body.put("identifier", pr1.entity(19, "PLAC").map(|one| vec![one]));
        body.put("status", "completed")
            .put("code", code)
            .put("subject", making.reference(patient));
        if let Some(visit) = visit {
            body.put("encounter", making.reference(visit));
        }
        body.put("performedDateTime", pr1.moment(5));
        for field in [11, 8, 12] {
            for who in making.practitioners(pr1, field) {
                let mut one = Object::new();
                one.put("actor", making.reference(who));
                body.push("performer", one);
            }
        }
        let key = format!(
            "{}|{}|{n}",
            making.key(visit.unwrap_or(patient)),
            pr1.text(3).unwrap_or_default()
        );
        making.add_known("Procedure", &key, body);
    }
}
