//! Names of segments, fields and trigger events, for people who read messages.
//!
//! Reading and writing never ask this dictionary: a Z segment or a field of a later version is as
//! good as any other.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A segment of the standard.
#[derive(Debug)]
pub struct SegmentName {
    /// `PID`
    pub id: &'static str,
    /// `Patient Identification`
    pub name: &'static str,
    fields: Vec<FieldName>,
}

/// A field of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldName {
    /// Data type, such as `XPN`; `*` where it varies.
    pub data_type: &'static str,
    /// `Patient Name`
    pub name: &'static str,
}

impl SegmentName {
    /// The `n`-th (from 1) field; `None` where the dictionary has none.
    pub fn field(&self, n: usize) -> Option<FieldName> {
        self.fields
            .get(n.checked_sub(1)?)
            .copied()
            .filter(|field| field.name != "-")
    }

    /// All fields in order.
    pub fn fields(&self) -> &[FieldName] {
        &self.fields
    }
}

#[derive(Default)]
struct Names {
    segments: HashMap<&'static str, SegmentName>,
    events: HashMap<&'static str, &'static str>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| read(include_str!("names.txt")));

fn read(table: &'static str) -> Names {
    let mut names = Names::default();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split('|');
        let (Some(id), Some(name)) = (parts.next(), parts.next()) else {
            continue;
        };
        if let Some(event) = id.strip_prefix('@') {
            names.events.insert(event, name);
            continue;
        }
        let field = |text: &'static str| {
            let (data_type, name) = text.split_once(' ').unwrap_or(("", text));
            FieldName { data_type, name }
        };
        names.segments.insert(
            id,
            SegmentName {
                id,
                name,
                fields: parts.map(field).collect(),
            },
        );
    }
    names
}

/// A segment by its three letters.
///
/// ```
/// use wardline_hl7::names;
/// let pid = names::segment("PID").unwrap();
/// assert_eq!((pid.name, pid.field(5).unwrap().name), ("Patient Identification", "Patient Name"));
/// assert!(names::segment("ZBD").is_none());
/// ```
pub fn segment(id: &str) -> Option<&'static SegmentName> {
    NAMES.segments.get(id)
}

/// A trigger event (MSH-9.2) by its code: `A01` is "Admit / Visit Notification".
pub fn event(code: &str) -> Option<&'static str> {
    NAMES.events.get(code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert!(NAMES.segments.len() > 90);
        for segment in NAMES.segments.values() {
            assert!(crate::Path::parse(segment.id).is_ok(), "{}", segment.id);
            assert!(!segment.fields.is_empty(), "{}", segment.id);
            for field in segment.fields() {
                let code = field.data_type;
                assert!(
                    code == "*"
                        || (1..=3).contains(&code.len())
                            && code
                                .chars()
                                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
                );
                assert!(!field.name.is_empty(), "{}", segment.id);
            }
        }
        let lines = include_str!("names.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        assert_eq!(
            lines,
            NAMES.segments.len() + NAMES.events.len(),
            "a name stands twice"
        );
    }

    #[test]
    fn fields_stand_where_the_standard_has_them() {
        for (id, field, name) in [
            ("MSH", 18, "Character Set"),
            ("PID", 18, "Patient Account Number"),
            ("PID", 30, "Patient Death Indicator"),
            ("PV1", 19, "Visit Number"),
            ("PV1", 36, "Discharge Disposition"),
            ("PV1", 44, "Admit Date/Time"),
            ("PV1", 45, "Discharge Date/Time"),
            ("PV2", 9, "Expected Discharge Date/Time"),
            ("OBX", 11, "Observation Result Status"),
            ("OBX", 14, "Date/Time of the Observation"),
            ("OBR", 25, "Result Status"),
            ("ORC", 12, "Ordering Provider"),
            ("IN1", 36, "Policy Number"),
            ("IN1", 49, "Insured's ID Number"),
            ("GT1", 16, "Guarantor Employer Name"),
            ("FT1", 25, "Procedure Code"),
            ("STF", 36, "Cost Center Code"),
            ("IVT", 24, "Recommended Order Point"),
            ("IVT", 26, "Operating Room Par Level Indicator"),
            ("ITM", 19, "Item Natural Account Code"),
            ("LDP", 12, "Location Cost Center"),
            ("CDM", 9, "Inventory Number"),
            ("RQD", 7, "Department Cost Center"),
            ("ERR", 8, "User Message"),
            ("SCH", 25, "Filler Status Code"),
            ("TXA", 12, "Unique Document Number"),
            ("RXA", 15, "Substance Lot Number"),
            ("SPM", 17, "Specimen Collection Date/Time"),
            ("NK1", 33, "Identifiers"),
            ("IN2", 61, "Patient Member Number"),
        ] {
            assert_eq!(
                segment(id).unwrap().field(field).unwrap().name,
                name,
                "{id}-{field}"
            );
        }
        assert_eq!(event("A03"), Some("Discharge / End Visit"));
    }
}
