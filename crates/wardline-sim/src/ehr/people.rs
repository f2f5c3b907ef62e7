//! Invented patients: plausible names, numbers and addresses that belong to nobody.
//!
//! Telephone numbers use the exchange 555-01xx, which is kept free for fiction; no social security
//! numbers are made at all.

use crate::Dice;
use jiff::civil::{Date, date};

const FAMILY: &[&str] = &[
    "Abara",
    "Adeyemi",
    "Alvarez",
    "Andersson",
    "Bauer",
    "Begum",
    "Brooks",
    "Castellanos",
    "Chandra",
    "Cho",
    "D'Amico",
    "Diallo",
    "Eriksen",
    "Farrell",
    "Fitzgerald",
    "Gallo",
    "Goldberg",
    "Grabowski",
    "Hashimoto",
    "Hernández",
    "Ibrahim",
    "Jankowski",
    "Jørgensen",
    "Kaplan",
    "Kowalczyk",
    "Lindqvist",
    "Mbeki",
    "McAllister",
    "Moreau",
    "Müller",
    "Nakamura",
    "Núñez",
    "O'Brien",
    "Okafor",
    "Oyelaran",
    "Park",
    "Pereira",
    "Quispe",
    "Rahman",
    "Ramírez",
    "Rosenthal",
    "Santoro",
    "Schäfer",
    "Silva",
    "Tanaka",
    "Thompson",
    "Vasquez",
    "Walker-Reid",
    "Weiß",
    "Zielinski",
];
const FEMALE: &[&str] = &[
    "Aisha", "Amelia", "Beatriz", "Camila", "Chloé", "Dorothy", "Elif", "Esther", "Fatima",
    "Grace", "Hannah", "Ines", "Joanna", "Keiko", "Leila", "Margaret", "Mei", "Nadia", "Priya",
    "Rosa", "Sofía", "Zoë",
];
const MALE: &[&str] = &[
    "Abdul", "Andre", "Benjamin", "Carlos", "David", "Emeka", "Felix", "George", "Hiroshi", "Ivan",
    "Jamal", "José", "Kwame", "Liam", "Mateus", "Noah", "Omar", "Patrick", "Rafael", "Søren",
    "Thomas", "Walter",
];
const STREETS: &[&str] = &[
    "Almond Street",
    "Birch Avenue",
    "Canal Road",
    "Dover Court",
    "Elm & 4th",
    "Foundry Lane",
    "Grove Place",
    "Harbor Drive",
    "Juniper Way",
    "Kiln Street",
    "Lakeview Terrace",
    "Mill Road",
];
const TOWNS: &[(&str, &str)] = &[
    ("Brennan Falls", "60099"),
    ("Cold Harbor", "60098"),
    ("East Marlow", "60097"),
    ("Port Adair", "60096"),
    ("Saint Brigid", "60095"),
    ("Wexley", "60094"),
];
const INSURERS: &[(&str, &str, &str)] = &[
    ("BLU01", "Blue Prairie Mutual", "PPO"),
    ("HRT02", "Heartland Health & Life", "HMO"),
    ("MCR", "Medicare Part A", "MCARE"),
    ("MCD", "State Medicaid", "MCAID"),
    ("UNI07", "Union Carpenters Fund", "PPO"),
];
const DOCTORS: &[(&str, &str, &str)] = &[
    ("1000417", "Ashby", "Miriam"),
    ("1000425", "Castell", "Jordi"),
    ("1000433", "Desai", "Anand"),
    ("1000441", "Fenwick", "Ruth"),
    ("1000458", "Ito", "Haruka"),
    ("1000466", "Mbatha", "Thandi"),
    ("1000474", "Novak", "Petra"),
    ("1000482", "Sørensen", "Lars"),
];
const DIAGNOSES: &[(&str, &str)] = &[
    ("I50.9", "Heart failure, unspecified"),
    ("J18.9", "Pneumonia, unspecified organism"),
    ("K35.80", "Acute appendicitis"),
    ("N39.0", "Urinary tract infection"),
    ("S72.001A", "Fracture of neck of right femur"),
    ("E11.65", "Type 2 diabetes with hyperglycemia"),
    ("J44.1", "COPD with exacerbation"),
    ("A41.9", "Sepsis, unspecified organism"),
];

/// One invented patient and the visit they are on.
#[derive(Debug, Clone)]
pub struct Patient {
    /// Medical record number (PID-3), eight digits.
    pub mrn: String,
    /// Account number (PID-18).
    pub account: String,
    /// Visit number (PV1-19).
    pub visit: String,
    /// Family name.
    pub family: &'static str,
    /// Given name.
    pub given: &'static str,
    /// Middle initial.
    pub middle: char,
    /// `F` or `M`.
    pub sex: char,
    /// Date of birth.
    pub born: Date,
    pub(crate) house: u64,
    pub(crate) street: &'static str,
    pub(crate) town: (&'static str, &'static str),
    pub(crate) phone: u64,
    pub(crate) insurer: (&'static str, &'static str, &'static str),
    pub(crate) policy: u64,
    pub(crate) doctor: (&'static str, &'static str, &'static str),
    pub(crate) admitting: (&'static str, &'static str, &'static str),
    pub(crate) diagnosis: (&'static str, &'static str),
    pub(crate) relative: &'static str,
    /// Days between admission and discharge.
    pub(crate) stay_days: i64,
    /// Whether the room needs an isolation clean afterwards (PV2-41 says so).
    pub(crate) isolation: bool,
}

impl Patient {
    /// The patient with number `serial` of the run named `run`: unique numbers, everything else by chance.
    pub fn invent(dice: &mut Dice, run: &str, serial: u64) -> Self {
        let female = dice.chance(0.51);
        let born = date(1930, 1, 1)
            .checked_add(jiff::Span::new().days(dice.below(92 * 365) as i64))
            .unwrap_or(date(1970, 1, 1));
        let relatives = if dice.chance(0.5) { FEMALE } else { MALE };
        let relative = *dice.pick(relatives);
        Self {
            mrn: format!("{:08}", 10_000_000 + serial % 90_000_000),
            account: format!("A{run}{serial:07}"),
            visit: format!("V{run}{serial:07}"),
            family: *dice.pick(FAMILY),
            given: *dice.pick(if female { FEMALE } else { MALE }),
            middle: char::from(b'A' + dice.below(26) as u8),
            sex: if female { 'F' } else { 'M' },
            born,
            house: 1 + dice.below(998),
            street: *dice.pick(STREETS),
            town: *dice.pick(TOWNS),
            phone: dice.below(100),
            insurer: *dice.pick(INSURERS),
            policy: 100_000_000 + dice.below(900_000_000),
            doctor: *dice.pick(DOCTORS),
            admitting: *dice.pick(DOCTORS),
            diagnosis: *dice.pick(DIAGNOSES),
            relative,
            stay_days: 1 + dice.below(9) as i64,
            isolation: dice.chance(0.07),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Patient;
    use crate::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_unique_and_people_repeatable() {
        let patients: Vec<Patient> = (0..500)
            .map(|serial| Patient::invent(&mut Dice::new(serial), "R", serial))
            .collect();
        let visits: BTreeSet<&str> = patients
            .iter()
            .map(|patient| patient.visit.as_str())
            .collect();
        assert_eq!(visits.len(), patients.len());
        let again = Patient::invent(&mut Dice::new(42), "R", 42);
        assert_eq!(format!("{again:?}"), format!("{:?}", patients[42]));
    }
}
