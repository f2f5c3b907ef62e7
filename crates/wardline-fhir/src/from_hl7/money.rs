//! The money side: PID-18 and GT1 to Account, IN1 to Coverage, FT1 to ChargeItem.

use super::bundle::{Made, Making};
use super::codes;
use super::values::{self, Reader, address, money, name, number, part, telecom, typed};
use super::{MapError, person, results, visit};
use crate::node::{Node, Object};

/// DFT.
pub(super) fn charges(making: &mut Making<'_>) -> Result<(), MapError> {
    making.needed("FT1")?;
    let patient = person::patient(making)?;
    let encounter = visit::encounter(making, patient);
    let account = account(making, patient, encounter);
    coverage(making, patient, account);
    visit::diagnoses(making, patient, encounter);
    visit::procedures(making, patient, encounter);
    let all: Vec<_> = making.readers("FT1").collect();
    for (n, ft1) in all.into_iter().enumerate() {
        charge(making, ft1, n, patient, encounter, account);
    }
    results::observations(making, patient, encounter);
    Ok(())
}

/// PID-18 (or PV1-19, where a guarantor or an insurance names no account) to Account.
pub(super) fn account(making: &mut Making<'_>, patient: Made, visit: Option<Made>) -> Option<Made> {
    let pid = making.reader("PID")?;
    let guarantors: Vec<Reader<'_>> = making.readers("GT1").collect();
    let mut identifiers = pid.identifiers(18);
    let needed =
        !guarantors.is_empty() || making.reader("IN1").is_some() || making.reader("FT1").is_some();
    if identifiers.is_empty() && !needed {
        return None;
    }
    for one in &mut identifiers {
        if one.get("type").is_none() {
            one.0.insert(0, ("type", Node::from(typed("AN", "0203")?)));
        }
    }
    let pv1 = making.reader("PV1");
    let mut body = Object::new();
    body.put("identifier", identifiers).put("status", "active");
    body.put("subject", vec![making.reference(patient)]);
    body.put(
        "servicePeriod",
        pv1.and_then(|pv1| values::period(pv1.moment(44), pv1.moment(45))),
    );
    let at = making.key(visit.unwrap_or(patient));
    let account = making.add_known("Account", &at, body);
    for (n, gt1) in guarantors.into_iter().enumerate() {
        let party = guarantor(making, gt1, n, patient);
        let mut one = Object::new();
        one.put("party", making.reference(party))
            .put("period", values::period(gt1.date(13), gt1.date(14)));
        making.body(account).push("guarantor", one);
    }
    if let Some(visit) = visit {
        let reference = making.reference(account);
        making.body(visit).push("account", reference);
    }
    Some(account)
}

/// GT1: a person or an organisation that pays.
fn guarantor(making: &mut Making<'_>, gt1: Reader<'_>, n: usize, patient: Made) -> Made {
    let key = format!(
        "{}|GT1|{}",
        making.key(patient),
        gt1.text(2)
            .or_else(|| gt1.text(3))
            .unwrap_or_else(|| n.to_string())
    );
    let mut ways = gt1.all(6, |raw| telecom(raw, Some("home")));
    ways.extend(gt1.all(7, |raw| telecom(raw, Some("work"))));
    if gt1.text(3).is_none()
        && let Some(raw) = gt1.raw(21)
        && let Some(house) = making.organization(raw)
    {
        return house;
    }
    let mut body = Object::new();
    body.put("identifier", gt1.identifiers(2))
        .put("patient", making.reference(patient))
        .put("relationship", gt1.concepts(11, "0063"));
    body.put("name", gt1.all(3, name))
        .put("telecom", ways)
        .put("gender", gt1.code(9, codes::GENDER))
        .put("birthDate", gt1.date(8));
    body.put("address", gt1.all(5, address));
    making.add("RelatedPerson", &key, body)
}

/// IN1 to Coverage, with the payer and the person who is insured.
pub(super) fn coverage(making: &mut Making<'_>, patient: Made, account: Option<Made>) {
    for (n, in1) in making.readers("IN1").enumerate() {
        let payer = payer(making, in1);
        let mut body = Object::new();
        let member = in1.identifiers(49);
        body.put("identifier", member).put("status", "active").put(
            "type",
            in1.concept(47, "0086").or_else(|| in1.concept(15, "0086")),
        );
        let own = in1
            .part(17, 1)
            .is_none_or(|code| matches!(code.as_str(), "SEL" | "01" | "1" | "18"));
        if !own && in1.text(16).is_some() {
            let mut holder = Object::new();
            holder
                .put("patient", making.reference(patient))
                .put("name", in1.all(16, name))
                .put("gender", in1.code(43, codes::GENDER));
            holder
                .put("birthDate", in1.date(18))
                .put("address", in1.all(19, address));
            let key = format!(
                "{}|IN1|{}",
                making.key(patient),
                in1.text(16).unwrap_or_default()
            );
            let holder = making.add("RelatedPerson", &key, holder);
            body.put("policyHolder", making.reference(holder))
                .put("subscriber", making.reference(holder));
        } else {
            body.put("policyHolder", making.reference(patient));
        }
        body.put("subscriberId", in1.text(36))
            .put("beneficiary", making.reference(patient))
            .put("relationship", in1.concept(17, "0063"));
        body.put("period", values::period(in1.date(12), in1.date(13)));
        body.push(
            "payor",
            payer.map_or_else(
                || making.reference(patient),
                |payer| making.reference(payer),
            ),
        );
        for (field, class) in [(8, "group"), (2, "plan")] {
            if let Some(value) = in1.part(field, 1) {
                let mut one = Object::new();
                let system = "http://terminology.hl7.org/CodeSystem/coverage-class".to_owned();
                one.put("type", values::concept_of(system, class.to_owned(), None))
                    .put("value", value);
                one.put(
                    "name",
                    in1.part(
                        if field == 8 { 9 } else { 2 },
                        if field == 8 { 1 } else { 2 },
                    ),
                );
                body.push("class", one);
            }
        }
        let set = in1
            .text(1)
            .and_then(|text| number(&text))
            .filter(|text| text.len() < 4 && text != "0" && !text.contains(['-', '.']));
        body.put("order", set.map(Node::Number));
        let key = format!(
            "{}|{}|{}|{}",
            making.key(patient),
            in1.text(2).unwrap_or_else(|| n.to_string()),
            in1.text(36).unwrap_or_default(),
            in1.text(3).unwrap_or_default()
        );
        let coverage = making.add_known("Coverage", &key, body);
        if let Some(account) = account {
            let mut one = Object::new();
            one.put("coverage", making.reference(coverage));
            making.body(account).push("coverage", one);
        }
    }
}

fn payer(making: &mut Making<'_>, in1: Reader<'_>) -> Option<Made> {
    let mut body = Object::new();
    body.put("identifier", in1.identifiers(3));
    body.put("name", in1.text(4))
        .put("telecom", in1.all(7, |raw| telecom(raw, Some("work"))))
        .put("address", in1.all(5, address));
    if body.get("identifier").is_none() && body.get("name").is_none() {
        return None;
    }
    let key = format!(
        "payer|{}|{}",
        in1.text(3).unwrap_or_default(),
        in1.text(4).unwrap_or_default()
    );
    Some(making.add_known("Organization", &key, body))
}

/// FT1 to ChargeItem. Payments and adjustments are none.
fn charge(
    making: &mut Making<'_>,
    ft1: Reader<'_>,
    n: usize,
    patient: Made,
    visit: Option<Made>,
    account: Option<Made>,
) {
    let kind = ft1.text(6).unwrap_or_default();
    if codes::NO_CHARGE.contains(&kind.to_ascii_uppercase().as_str()) {
        return;
    }
    let mut body = Object::new();
    let mut identifiers = Vec::new();
    if let Some(value) = ft1.part(2, 1) {
        // A transaction's number is unique for its sender only.
        let sender = making.message.sending_application().unwrap_or_default();
        let mut one = Object::new();
        one.put(
            "system",
            format!("urn:id:{}", codes::plain(&format!("{sender}-transaction"))),
        )
        .put("value", value);
        identifiers.push(one);
    }
    identifiers.extend(ft1.entity(23, "FILL"));
    body.put("identifier", identifiers).put(
        "status",
        codes::find(codes::CHARGE, &kind).unwrap_or("unknown"),
    );
    let mut code = ft1.concept(7, "0132").unwrap_or_default();
    if let Some(procedure) = ft1.concept(25, "0088") {
        match (code.get_mut("coding"), procedure.get("coding")) {
            (Some(Node::Array(into)), Some(Node::Array(more))) => into.extend(more.iter().cloned()),
            (None, _) => code = procedure,
            _ => {}
        }
    }
    if code.get("text").is_none() {
        code.put("text", ft1.text(8).or_else(|| ft1.text(9)));
    }
    if code.is_empty() {
        code.put("text", "unknown");
    }
    body.put("code", code)
        .put("subject", making.reference(patient));
    if let Some(visit) = visit {
        body.put("context", making.reference(visit));
    }
    let times = ft1.raw(4);
    let start = times
        .and_then(|raw| part(raw, 1))
        .and_then(|text| values::moment(&text, making.options));
    let end = times
        .and_then(|raw| part(raw, 2))
        .and_then(|text| values::moment(&text, making.options));
    match end {
        Some(end) => body.put("occurrencePeriod", values::period(start, Some(end))),
        None => body.put("occurrenceDateTime", start),
    };
    for (field, role) in [(20, "performer"), (21, "orderer")] {
        for who in making.practitioners(ft1, field) {
            let mut function = Object::new();
            function.put("text", role);
            let mut one = Object::new();
            one.put("function", function)
                .put("actor", making.reference(who));
            body.push("performer", one);
        }
    }
    let department = ft1.raw(13).map(|raw| (part(raw, 1), part(raw, 2)));
    if let Some((Some(code), shown)) = department {
        let mut house = Object::new();
        house.push("identifier", {
            let mut one = Object::new();
            one.put("system", format!("{}0049", codes::V2))
                .put("value", code.clone());
            one
        });
        house.put("name", shown.unwrap_or(code));
        let house = making.add_known("Organization", "", house);
        body.put("costCenter", making.reference(house));
    }
    body.put(
        "quantity",
        ft1.text(10)
            .and_then(|digits| values::quantity(&digits, None)),
    );
    body.put(
        "priceOverride",
        ft1.raw(11).or_else(|| ft1.raw(22)).and_then(money),
    );
    body.put("enteredDate", ft1.moment(5));
    if let Some(who) = making.practitioners(ft1, 24).first() {
        body.put("enterer", making.reference(*who));
    }
    body.put("reason", ft1.concepts(19, "0051"));
    if let Some(account) = account {
        body.push("account", making.reference(account));
    }
    let key = format!(
        "{}|{}|{n}",
        making.key(account.or(visit).unwrap_or(patient)),
        making.control
    );
    making.add_known("ChargeItem", &key, body);
}
