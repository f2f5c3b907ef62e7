//! Persons: PID and PD1 to Patient, MRG to the patient that was merged away, NK1 to RelatedPerson.

use super::MapError;
use super::bundle::{Made, Making};
use super::codes::{self, V2};
use super::values::{self, Reader, address, identifier_of, name, part, telecom, typed};
use crate::node::{Node, Object};

/// PID (and PD1) to Patient.
pub(super) fn patient(making: &mut Making<'_>) -> Result<Made, MapError> {
    let pid = making.needed("PID")?;
    let mut body = Object::new();
    let mut identifiers = pid.identifiers(3);
    identifiers.extend(pid.identifiers(2));
    identifiers.extend(pid.identifiers(4));
    if let Some(number) = pid.text(19) {
        identifiers.push(identifier_of(
            number,
            Some("SS".into()),
            &values::Authority::default(),
            making.options,
        ));
    }
    if let Some(raw) = pid.raw(20)
        && let Some(number) = part(raw, 1)
    {
        let mut licence = Object::new();
        let state = part(raw, 2).map(|state| format!("urn:id:{}", codes::plain(&state)));
        licence
            .put("type", typed("DL", "0203"))
            .put("system", state)
            .put("value", number);
        identifiers.push(licence);
    }
    body.put("identifier", identifiers);
    let mut names = pid.all(5, name);
    names.extend(pid.all(9, name).into_iter().map(|mut alias| {
        if alias.get("use").is_none() {
            alias.put("use", "old");
        }
        alias
    }));
    body.put("name", names);
    let mut ways = pid.all(13, |raw| telecom(raw, Some("home")));
    ways.extend(pid.all(14, |raw| telecom(raw, Some("work"))));
    ways.extend(pid.all(40, |raw| telecom(raw, None)));
    body.put("telecom", ways);
    body.put("gender", pid.code(8, codes::GENDER));
    body.put("birthDate", pid.date(7));
    match (pid.moment(29), pid.text(30).as_deref()) {
        (Some(when), _) => body.put("deceasedDateTime", when),
        (None, Some("Y")) => body.put("deceasedBoolean", true),
        (None, Some("N")) => body.put("deceasedBoolean", false),
        _ => &mut body,
    };
    let mut addresses = pid.all(11, address);
    if let (Some(county), Some(first)) = (pid.text(12), addresses.first_mut())
        && first.get("district").is_none()
    {
        first.put("district", county);
    }
    body.put("address", addresses);
    body.put(
        "maritalStatus",
        pid.text(16).and_then(|code| marital(pid, &code)),
    );
    match (
        pid.text(25).and_then(|text| values::number(&text)),
        pid.text(24).as_deref(),
    ) {
        (Some(order), _) if order.len() < 3 => {
            body.put("multipleBirthInteger", Node::Number(order))
        }
        (_, Some("Y")) => body.put("multipleBirthBoolean", true),
        (_, Some("N")) => body.put("multipleBirthBoolean", false),
        _ => &mut body,
    };
    if let Some(language) = pid.concept(15, "0296") {
        let mut spoken = Object::new();
        spoken.put("language", language).put("preferred", true);
        body.push("communication", spoken);
    }
    body.put("extension", extensions(pid));
    if let Some(pd1) = making.reader("PD1") {
        let doctors = making.practitioners(pd1, 4);
        for doctor in doctors {
            let reference = making.reference(doctor);
            body.push("generalPractitioner", reference);
        }
        let house = pd1.raw(3).and_then(|raw| making.organization(raw));
        if let Some(house) = house {
            let reference = making.reference(house);
            body.push("generalPractitioner", reference);
        }
    }
    let otherwise = making.control.clone();
    Ok(making.add_known("Patient", &otherwise, body))
}

fn marital(pid: Reader<'_>, code: &str) -> Option<Object> {
    match codes::find(codes::MARITAL, code) {
        Some("UNK") => {
            let system = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor".to_owned();
            Some(values::concept_of(system, "UNK".into(), None))
        }
        Some(to) => {
            let system = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus".to_owned();
            Some(values::concept_of(system, to.into(), pid.part(16, 2)))
        }
        None => pid.concept(16, "0002"),
    }
}

/// What the guide puts into extensions: race and ethnicity by US Core, religion, place of birth.
fn extensions(pid: Reader<'_>) -> Vec<Node> {
    const CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";
    let mut all = Vec::new();
    for (field, what, table) in [(10, "race", "0005"), (22, "ethnicity", "0189")] {
        let mut parts = Vec::new();
        let mut said = None;
        for raw in pid.each(field) {
            let (code, display) = (part(raw, 1), part(raw, 2));
            said = said.or_else(|| display.clone()).or_else(|| code.clone());
            let official = code
                .as_ref()
                .is_some_and(|code| code.len() == 6 && code.as_bytes().get(4) == Some(&b'-'));
            if let Some(code) = code {
                let system = if official {
                    "urn:oid:2.16.840.1.113883.6.238".to_owned()
                } else {
                    format!("{V2}{table}")
                };
                let mut coding = Object::new();
                coding
                    .put("system", system)
                    .put("code", code)
                    .put("display", display);
                let mut one = Object::new();
                one.put("url", "ombCategory").put("valueCoding", coding);
                parts.push(Node::Object(one));
            }
        }
        if let Some(said) = said {
            let mut one = Object::new();
            one.put("url", "text").put("valueString", said);
            parts.push(Node::Object(one));
        }
        if !parts.is_empty() {
            let mut whole = Object::new();
            whole
                .put("url", format!("{CORE}{what}"))
                .put("extension", parts);
            all.push(Node::Object(whole));
        }
    }
    if let Some(religion) = pid.concept(17, "0006") {
        let mut one = Object::new();
        one.put(
            "url",
            "http://hl7.org/fhir/StructureDefinition/patient-religion",
        )
        .put("valueCodeableConcept", religion);
        all.push(Node::Object(one));
    }
    if let Some(place) = pid.text(23) {
        let mut address = Object::new();
        address.put("text", place);
        let mut one = Object::new();
        one.put(
            "url",
            "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
        )
        .put("valueAddress", address);
        all.push(Node::Object(one));
    }
    all
}

/// MRG: the patient whose number is given up, which then points to the one that stays.
pub(super) fn merged(making: &mut Making<'_>, stays: Made) {
    let Some(mrg) = making.reader("MRG") else {
        return;
    };
    let mut body = Object::new();
    body.put("identifier", mrg.identifiers(1))
        .put("active", false)
        .put("name", mrg.all(7, name));
    if body.get("identifier").is_none() {
        return;
    }
    let mut link = Object::new();
    link.put("other", making.reference(stays))
        .put("type", "replaced-by");
    body.push("link", link);
    let gone = making.add_known("Patient", "", body);
    if gone == stays {
        return;
    }
    let mut link = Object::new();
    link.put("other", making.reference(gone))
        .put("type", "replaces");
    making.body(stays).push("link", link);
}

/// NK1 to RelatedPerson, and to a contact of the patient.
pub(super) fn relatives(making: &mut Making<'_>, patient: Made) {
    for (n, nk1) in making.readers("NK1").enumerate() {
        let mut kinship = nk1.concepts(3, "0063");
        kinship.extend(nk1.concepts(7, "0131"));
        let mut ways = nk1.all(5, |raw| telecom(raw, Some("home")));
        ways.extend(nk1.all(6, |raw| telecom(raw, Some("work"))));
        let mut body = Object::new();
        body.put("identifier", nk1.identifiers(33))
            .put("patient", making.reference(patient))
            .put("relationship", kinship.clone());
        body.put("name", nk1.all(2, name))
            .put("telecom", ways.clone())
            .put("gender", nk1.code(15, codes::GENDER));
        body.put("birthDate", nk1.date(16))
            .put("address", nk1.all(4, address));
        body.put("period", values::period(nk1.moment(8), nk1.moment(9)));
        if body.0.len() == 1 {
            continue;
        }
        let mut contact = Object::new();
        contact
            .put("relationship", kinship)
            .put(
                "name",
                nk1.raw(2)
                    .and_then(|raw| raw.repetitions().next())
                    .and_then(name),
            )
            .put("telecom", ways);
        contact.put(
            "address",
            nk1.raw(4)
                .and_then(|raw| raw.repetitions().next())
                .and_then(address),
        );
        let reachable = ["name", "telecom", "address"]
            .iter()
            .any(|key| contact.get(key).is_some());
        if reachable {
            making.body(patient).push("contact", contact);
        }
        let key = format!(
            "{}|{}",
            making.key(patient),
            nk1.text(1).unwrap_or_else(|| n.to_string())
        );
        making.add_known("RelatedPerson", &key, body);
    }
}
