//! Code tables from HL7 v2 to FHIR, after the ConceptMaps of the public v2-to-FHIR guide. What a
//! table does not have keeps its v2 code and system where the element allows that.

/// The system of an HL7 v2 table.
pub(super) const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-";

/// Looks a code up.
pub(super) fn find(table: &[(&str, &'static str)], code: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(from, _)| from.eq_ignore_ascii_case(code))
        .map(|(_, to)| *to)
}

/// 0001, administrative sex.
pub(super) const GENDER: &[(&str, &str)] = &[
    ("F", "female"),
    ("M", "male"),
    ("O", "other"),
    ("A", "other"),
    ("N", "other"),
    ("U", "unknown"),
    ("X", "other"),
];
/// 0002, marital status, to v3-MaritalStatus.
pub(super) const MARITAL: &[(&str, &str)] = &[
    ("A", "L"),
    ("D", "D"),
    ("I", "I"),
    ("M", "M"),
    ("S", "S"),
    ("W", "W"),
    ("C", "C"),
    ("P", "T"),
    ("E", "L"),
    ("N", "A"),
    ("U", "UNK"),
];
/// 0004, patient class, to v3-ActCode.
pub(super) const CLASS: &[(&str, &str)] = &[
    ("E", "EMER"),
    ("I", "IMP"),
    ("O", "AMB"),
    ("P", "PRENC"),
    ("R", "AMB"),
    ("B", "IMP"),
];
/// 0200, name type.
pub(super) const NAME_USE: &[(&str, &str)] = &[
    ("A", "nickname"),
    ("D", "usual"),
    ("L", "official"),
    ("M", "maiden"),
    ("N", "nickname"),
    ("S", "anonymous"),
    ("T", "temp"),
    ("B", "official"),
    ("C", "official"),
    ("P", "nickname"),
];
/// 0190, address type.
pub(super) const ADDRESS_USE: &[(&str, &str)] = &[
    ("H", "home"),
    ("P", "home"),
    ("B", "work"),
    ("O", "work"),
    ("C", "temp"),
    ("BI", "billing"),
    ("BA", "old"),
];
/// 0201, use of a telephone number.
pub(super) const PHONE_USE: &[(&str, &str)] = &[
    ("PRN", "home"),
    ("ORN", "home"),
    ("VHN", "home"),
    ("WPN", "work"),
    ("ASN", "work"),
    ("PRS", "mobile"),
];
/// 0202, equipment.
pub(super) const PHONE_SYSTEM: &[(&str, &str)] = &[
    ("PH", "phone"),
    ("CP", "phone"),
    ("SAT", "phone"),
    ("FX", "fax"),
    ("BP", "pager"),
    ("MD", "other"),
    ("INTERNET", "email"),
    ("X.400", "email"),
    ("TDD", "other"),
    ("TTY", "other"),
];
/// 0085, status of an observation.
pub(super) const OBSERVATION: &[(&str, &str)] = &[
    ("F", "final"),
    ("P", "preliminary"),
    ("C", "corrected"),
    ("A", "amended"),
    ("X", "cancelled"),
    ("D", "entered-in-error"),
    ("W", "entered-in-error"),
    ("I", "registered"),
    ("R", "preliminary"),
    ("S", "preliminary"),
    ("U", "final"),
    ("N", "registered"),
    ("O", "registered"),
];
/// 0123, status of a report.
pub(super) const REPORT: &[(&str, &str)] = &[
    ("F", "final"),
    ("P", "preliminary"),
    ("C", "corrected"),
    ("A", "partial"),
    ("R", "preliminary"),
    ("I", "registered"),
    ("O", "registered"),
    ("S", "registered"),
    ("M", "corrected"),
    ("X", "cancelled"),
    ("N", "registered"),
];
/// 0119, order control.
pub(super) const ORDER_CONTROL: &[(&str, &str)] = &[
    ("NW", "active"),
    ("OK", "active"),
    ("SC", "active"),
    ("XO", "active"),
    ("XX", "active"),
    ("RE", "completed"),
    ("CM", "completed"),
    ("CA", "revoked"),
    ("OC", "revoked"),
    ("CR", "revoked"),
    ("DC", "revoked"),
    ("OD", "revoked"),
    ("HD", "on-hold"),
    ("OH", "on-hold"),
    ("DE", "entered-in-error"),
];
/// 0038, status of an order.
pub(super) const ORDER_STATUS: &[(&str, &str)] = &[
    ("A", "active"),
    ("IP", "active"),
    ("SC", "active"),
    ("CM", "completed"),
    ("CA", "revoked"),
    ("DC", "revoked"),
    ("RP", "revoked"),
    ("HD", "on-hold"),
    ("ER", "entered-in-error"),
];
/// 0027, priority of an order.
pub(super) const PRIORITY: &[(&str, &str)] = &[
    ("S", "stat"),
    ("A", "asap"),
    ("R", "routine"),
    ("P", "urgent"),
    ("T", "urgent"),
    ("C", "urgent"),
];
/// 0278, filler status of an appointment.
pub(super) const APPOINTMENT: &[(&str, &str)] = &[
    ("BOOKED", "booked"),
    ("PENDING", "pending"),
    ("WAITLIST", "waitlist"),
    ("CANCELLED", "cancelled"),
    ("COMPLETE", "fulfilled"),
    ("STARTED", "arrived"),
    ("OVERBOOK", "booked"),
    ("NOSHOW", "noshow"),
    ("DELETED", "entered-in-error"),
    ("DC", "cancelled"),
];
/// What a schedule's trigger says where SCH-25 says nothing.
pub(super) const SCHEDULED: &[(&str, &str)] = &[
    ("S12", "booked"),
    ("S13", "booked"),
    ("S14", "booked"),
    ("S15", "cancelled"),
    ("S16", "cancelled"),
    ("S17", "entered-in-error"),
    ("S26", "noshow"),
];
/// 0017, type of a transaction. Payments and adjustments are no charge items.
pub(super) const CHARGE: &[(&str, &str)] = &[
    ("CG", "billable"),
    ("CD", "aborted"),
    ("C", "billable"),
    ("CR", "aborted"),
    ("D", "billable"),
];
/// 0017 of what is no charge.
pub(super) const NO_CHARGE: &[&str] = &["PY", "AJ", "CO"];
/// 0271, 0275: whether a document is good.
pub(super) const DOCUMENT: &[(&str, &str)] = &[
    ("DI", "preliminary"),
    ("DO", "preliminary"),
    ("IN", "preliminary"),
    ("IP", "preliminary"),
    ("PA", "preliminary"),
    ("AU", "final"),
    ("LA", "final"),
    ("FI", "final"),
];
/// 0127, kind of an allergy.
pub(super) const ALLERGY: &[(&str, &str)] = &[
    ("DA", "medication"),
    ("FA", "food"),
    ("EA", "environment"),
    ("MA", "environment"),
    ("LA", "environment"),
    ("AA", "environment"),
    ("PA", "environment"),
];
/// 0128, how bad an allergy is.
pub(super) const SEVERITY: &[(&str, &str)] =
    &[("MI", "mild"), ("MO", "moderate"), ("SV", "severe")];
/// Names of coding systems in v2 messages (0396).
const SYSTEMS: &[(&str, &str)] = &[
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNM", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("I9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10P", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("HCPCS", "urn:oid:2.16.840.1.113883.6.285"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("RXN", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("ISO3166", "urn:iso:std:iso:3166"),
    ("MVX", "http://hl7.org/fhir/sid/mvx"),
];

/// The system that a message's name for one means. Local names stay recognisable as such.
pub(super) fn system(name: &str) -> String {
    if let Some(known) = find(SYSTEMS, name) {
        return known.to_owned();
    }
    let upper = name.to_ascii_uppercase();
    if let Some(table) = upper
        .strip_prefix("HL7")
        .map(|rest| rest.trim_start_matches([' ', '-', '_']))
        && table.len() == 4
        && table.bytes().all(|byte| byte.is_ascii_digit())
    {
        return format!("{V2}{table}");
    }
    if name.contains(':') && !name.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return name.to_owned();
    }
    format!("urn:id:{}", plain(name))
}

/// A name as part of a URI.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
