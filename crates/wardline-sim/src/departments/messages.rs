//! What departments write: ORU of the laboratory, ORM of examinations, MDM of documents (HL7 v2.5.1).

use crate::ehr::{Stamp, Told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use std::time::Duration;

/// Between two messages, at speed 1.
const PAUSE: Duration = Duration::from_secs(3);
/// Two tests of the laboratory (LOINC).
pub(super) const PANEL: &str = "24323-8";
pub(super) const COUNT: &str = "58410-2";
/// An examination of the charge master.
const EXAMINATION: &str = "3200450^CT head without contrast";
/// The smallest file that is one.
const FILE: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// Whom it is about.
pub(super) struct Patient {
    digits: String,
    pub(super) account: String,
    site: &'static str,
}

impl Patient {
    /// Somebody with numbers of the rehearsal.
    pub(super) fn of(about: &str, site: &'static str) -> Self {
        let digits: String = about.chars().filter(char::is_ascii_digit).collect();
        Self {
            account: format!("ACC-D{digits}"),
            digits,
            site,
        }
    }

    fn segments(&self, kind: &str, sender: &str, control: &str, now: Timestamp) -> Vec<String> {
        let (at, site, digits) = (Stamp(now), self.site, &self.digits);
        vec![
            format!(
                "MSH|^~\\&|{sender}|{site}|WARDLINE|STB|{at}||{kind}|{control}|P|2.5.1||||||UNICODE UTF-8"
            ),
            format!(
                "PID|1||8{digits}^^^STB^MR||O'Brien^Zoë||19670312|F||||||||||{}^^^STB^AN",
                self.account
            ),
            format!("PV1|1|O|OPD^^^{site}||||||||||||||||V-D{digits}^^^STB^VN"),
        ]
    }
}

/// Messages one after the other.
struct Script<'a> {
    patient: &'a Patient,
    about: &'a str,
    sender: &'static str,
    kind: &'static str,
    now: Timestamp,
    told: Vec<Told>,
}

impl Script<'_> {
    fn tell(&mut self, segments: Vec<String>) {
        let number = self.told.len() + 1;
        let control = format!("{}M{number}", self.about.replace('-', ""));
        let mut all = self
            .patient
            .segments(self.kind, self.sender, &control, self.now);
        all.extend(segments);
        let mut text = all.join("\r").into_bytes();
        text.push(b'\r');
        let after = if number == 1 { Duration::ZERO } else { PAUSE };
        self.told.push(Told {
            control,
            after,
            text,
        });
    }
}

/// Two tests: final, and one of them corrected; or one, final and then not done.
pub(super) fn results(
    patient: &Patient,
    about: &str,
    now: Timestamp,
    cancelled: bool,
) -> Vec<Told> {
    let at = Stamp(now).to_string();
    let test = |place: u32, test: &str, name: &str, status: &str| {
        format!(
            "OBR|{place}|P-{about}|{about}|{test}^{name}^LN|||{at}|||||||||||||||{at}|||{status}"
        )
    };
    let value = |value: &str, status: &str| {
        format!("OBX|1|NM|2345-7^Glucose^LN||{value}|mg/dL|70-99||||{status}")
    };
    let mut script = Script {
        patient,
        about,
        sender: "BRIGID-LAB",
        kind: "ORU^R01^ORU_R01",
        now,
        told: Vec::new(),
    };
    let panel = |status: &str| test(1, PANEL, "Comprehensive metabolic panel", status);
    if cancelled {
        script.tell(vec![panel("F"), value("104", "F")]);
        script.tell(vec![panel("X")]);
    } else {
        script.tell(vec![panel("P"), value("98", "P")]);
        script.tell(vec![
            panel("F"),
            value("104", "F"),
            test(2, COUNT, "CBC panel", "F"),
        ]);
        script.tell(vec![panel("C"), value("101", "C")]);
    }
    script.told
}

/// An order for a device, and perhaps its end.
pub(super) fn examination(
    patient: &Patient,
    about: &str,
    now: Timestamp,
    cancelled: bool,
) -> Vec<Told> {
    let at = Stamp(now).to_string();
    let order = |control: &str| {
        vec![
            format!("ORC|{control}|P-{about}|{about}||||^^^{at}"),
            format!("OBR|1|P-{about}|{about}|{EXAMINATION}|||||||||||||||||CT1|||CT"),
        ]
    };
    let mut script = Script {
        patient,
        about,
        sender: "BRIGID-EHR",
        kind: "ORM^O01^ORM_O01",
        now,
        told: Vec::new(),
    };
    script.tell(order("NW"));
    if cancelled {
        script.tell(order("CA"));
    }
    script.told
}

/// A discharge summary with its file.
pub(super) fn document(patient: &Patient, about: &str, now: Timestamp) -> Vec<Told> {
    let at = Stamp(now).to_string();
    let mut script = Script {
        patient,
        about,
        sender: "BRIGID-EHR",
        kind: "MDM^T02^MDM_T02",
        now,
        told: Vec::new(),
    };
    script.tell(vec![
        format!("TXA|1|DS|AP|{at}||{at}|||1000417^Ashby^Miriam|||{about}|||||AU|U|AV"),
        format!(
            "OBX|1|ED|18842-5^Discharge summary^LN||^application^pdf^Base64^{}||||||F",
            STANDARD.encode(FILE)
        ),
    ]);
    script.told
}

#[cfg(test)]
mod tests {
    use super::{Patient, document, examination, results};
    use jiff::Timestamp;
    use wardline_hl7::{Message, Path};

    #[test]
    fn what_is_told_is_hl7() {
        let patient = Patient::of("LAB-77-1", "NORTH");
        let now = Timestamp::UNIX_EPOCH;
        let all = [
            results(&patient, "LAB-77-1", now, false),
            results(&patient, "LAB-77-1", now, true),
            examination(&patient, "A-77-1", now, true),
            document(&patient, "DOC-77-1", now),
        ];
        assert_eq!(all.each_ref().map(Vec::len), [3, 2, 2, 1]);
        for told in all.into_iter().flatten() {
            let message = Message::parse(told.text).unwrap();
            assert_eq!(message.control_id().as_deref(), Some(told.control.as_str()));
            let account = message.value(&Path::new("PID-18.1")).unwrap();
            assert_eq!(account, "ACC-D771");
        }
    }
}
