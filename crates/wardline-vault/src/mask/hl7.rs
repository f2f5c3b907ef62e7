//! Which fields of an HL7 v2 message may be shown, by segment and field.
//!
//! Read from chapters 2, 3, 4, 6, 7 and 10 of HL7 v2.5.1. The table lists what is known to be
//! harmless (types, codes of the organisation, times of the exchange) and takes everything
//! else for PHI: a field that a site uses in its own way, a Z segment, or one of a later
//! version is hidden until somebody says otherwise.

use wardline_core::Sensitivity::{self, Financial, Internal, Phi, Pii, Secret};

/// A segment: how sensitive its fields are unless listed, and which are otherwise.
type Segment = (&'static str, Sensitivity, &'static [(u16, Sensitivity)]);

/// Sorted by name.
const SEGMENTS: &[Segment] = &[
    // AL1 allergy: set id and nothing else is harmless.
    ("AL1", Phi, &[(1, Internal)]),
    // BHS, BTS, FHS, FTS: envelopes; the security field may hold a password.
    ("BHS", Internal, &[(8, Secret)]),
    ("BTS", Internal, &[]),
    // DG1: the diagnosis; its set id, coding method, type and priority say nothing alone.
    (
        "DG1",
        Phi,
        &[(1, Internal), (2, Internal), (6, Internal), (15, Internal)],
    ),
    ("DSC", Internal, &[]),
    // ERR: 5 and 6 are codes and parameters, 7 and 8 may repeat the offending value.
    ("ERR", Internal, &[(6, Phi), (7, Phi), (8, Phi)]),
    // EVN: trigger, times and facility; 5 is the operator.
    ("EVN", Internal, &[(5, Pii)]),
    ("FHS", Internal, &[(8, Secret)]),
    // FT1: charges of a patient; 1 set id, 6 transaction type.
    (
        "FT1",
        Phi,
        &[
            (1, Internal),
            (6, Internal),
            (11, Financial),
            (12, Financial),
        ],
    ),
    ("FTS", Internal, &[]),
    // GT1: the guarantor is a person; 1 set id.
    ("GT1", Pii, &[(1, Internal)]),
    // IN1: 1 set id, 3 and 4 the company, 5..9 its address and group.
    ("IN1", Pii, &[(1, Internal), (3, Internal), (4, Internal)]),
    ("IN2", Pii, &[]),
    // MRG: identifiers of the record merged away.
    ("MRG", Pii, &[]),
    // MSA: 3 is free text of the receiver.
    ("MSA", Internal, &[(3, Phi)]),
    // MSH: who, when, what; 8 is the security field.
    ("MSH", Internal, &[(8, Secret)]),
    // NK1: next of kin; 1 set id.
    ("NK1", Pii, &[(1, Internal)]),
    // NTE: comments; 1 set id, 2 source, 4 type.
    ("NTE", Phi, &[(1, Internal), (2, Internal), (4, Internal)]),
    // OBR: 1 set id, 4 the service asked for stays hidden (HIV test), 25 result status.
    ("OBR", Phi, &[(1, Internal), (24, Internal), (25, Internal)]),
    // OBX: 1 set id, 2 value type, 11 result status; what was observed says as much as its value.
    ("OBX", Phi, &[(1, Internal), (2, Internal), (11, Internal)]),
    // ORC: 1 order control, 5 status, 21..23 the ordering facility.
    (
        "ORC",
        Phi,
        &[(1, Internal), (5, Internal), (6, Internal), (21, Internal)],
    ),
    // PD1, PID: the patient; 1 of PID is the set id. Some attributes are health data by law.
    ("PD1", Pii, &[]),
    (
        "PID",
        Pii,
        &[
            (1, Internal),
            (10, Phi),
            (15, Phi),
            (16, Phi),
            (17, Phi),
            (22, Phi),
            (25, Phi),
            (29, Phi),
            (30, Phi),
        ],
    ),
    // PR1: procedures; 1 set id, 2 coding method.
    ("PR1", Phi, &[(1, Internal), (2, Internal)]),
    // PV1: 1 set id, 2 class, 3 and 6 locations (beds are the organisation's), 4 admission
    // type, 10 service, 18 patient type, 36 disposition, 39 facility, 40 bed status, 41 account
    // status. Doctors, times, visit and account numbers stay hidden.
    (
        "PV1",
        Phi,
        &[
            (1, Internal),
            (2, Internal),
            (3, Internal),
            (4, Internal),
            (6, Internal),
            (7, Pii),
            (8, Pii),
            (9, Pii),
            (10, Internal),
            (17, Pii),
            (18, Internal),
            (19, Pii),
            (36, Internal),
            (39, Internal),
            (40, Internal),
            (41, Internal),
            (46, Financial),
            (47, Financial),
            (48, Financial),
            (49, Financial),
            (50, Pii),
            (52, Pii),
        ],
    ),
    // PV2: 1 prior pending location, 3 reason stays hidden, 22 visit protection flag too.
    ("PV2", Phi, &[(1, Internal), (23, Internal)]),
    // SFT: software of the sender.
    ("SFT", Internal, &[]),
];

/// How sensitive a field of an HL7 v2 message is, by default. `field` counts as HL7 does:
/// PID-5 is `("PID", 5)`; 0, the segment's own name, is never sensitive. Segments and
/// fields that the table does not know are PHI.
///
/// ```
/// use wardline_core::Sensitivity;
/// use wardline_vault::mask::is_sensitive_hl7;
/// assert_eq!(is_sensitive_hl7("PID", 5), Sensitivity::Pii);
/// assert_eq!(is_sensitive_hl7("OBX", 5), Sensitivity::Phi);
/// assert!(is_sensitive_hl7("MSH", 9).may_be_shown());
/// assert!(!is_sensitive_hl7("ZPI", 1).may_be_shown());
/// ```
pub fn is_sensitive_hl7(segment: &str, field: u16) -> Sensitivity {
    if field == 0 {
        return Internal;
    }
    match SEGMENTS.binary_search_by_key(&segment, |(name, ..)| name) {
        Err(_) => Phi,
        Ok(at) => {
            let (_, otherwise, fields) = SEGMENTS[at];
            fields
                .iter()
                .find(|(number, _)| *number == field)
                .map_or(otherwise, |(_, class)| *class)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_without_doubles() {
        assert!(SEGMENTS.is_sorted_by(|(a, ..), (b, ..)| a < b));
        for (name, _, fields) in SEGMENTS {
            assert!(fields.is_sorted_by(|(a, _), (b, _)| a < b), "{name}");
        }
    }

    #[test]
    fn what_identifies_or_describes_a_patient_is_hidden() {
        let hidden = [
            ("PID", 2),
            ("PID", 3),
            ("PID", 5),
            ("PID", 7),
            ("PID", 11),
            ("PID", 13),
            ("PID", 18),
            ("PID", 19),
            ("PID", 30),
            ("PID", 99),
            ("NK1", 2),
            ("NK1", 5),
            ("GT1", 3),
            ("GT1", 12),
            ("IN1", 2),
            ("IN1", 16),
            ("IN1", 36),
            ("IN2", 1),
            ("PV1", 5),
            ("PV1", 7),
            ("PV1", 19),
            ("PV1", 44),
            ("PV1", 45),
            ("PV1", 50),
            ("OBX", 3),
            ("OBX", 5),
            ("NTE", 3),
            ("DG1", 3),
            ("DG1", 4),
            ("AL1", 3),
            ("PR1", 3),
            ("MRG", 1),
            ("EVN", 5),
            ("MSA", 3),
            ("ERR", 8),
            ("ORC", 2),
            ("OBR", 4),
            ("ZZZ", 1),
            ("pid", 1),
            ("", 1),
        ];
        for (segment, field) in hidden {
            assert!(
                !is_sensitive_hl7(segment, field).may_be_shown(),
                "{segment}-{field}"
            );
        }
    }

    #[test]
    fn what_an_engineer_needs_is_shown() {
        let shown = [
            ("MSH", 3),
            ("MSH", 7),
            ("MSH", 9),
            ("MSH", 10),
            ("MSH", 12),
            ("EVN", 1),
            ("EVN", 2),
            ("PID", 0),
            ("PID", 1),
            ("PV1", 2),
            ("PV1", 3),
            ("MSA", 1),
            ("MSA", 2),
            ("ERR", 3),
            ("OBX", 2),
            ("FHS", 3),
        ];
        for (segment, field) in shown {
            assert!(
                is_sensitive_hl7(segment, field).may_be_shown(),
                "{segment}-{field}"
            );
        }
        assert_eq!(is_sensitive_hl7("MSH", 8), Secret);
    }
}
