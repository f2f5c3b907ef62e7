//! The patients of one connection: who lies where, and what happens to them next.
//!
//! Each connection has beds of its own. A bed's messages therefore all travel on one connection, which is
//! what makes the order per bed (and not only per visit) known to the sender and checkable by receivers.

use super::message::{Bed, Trigger};
use super::people::Patient;
use crate::Dice;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often what happens; shares from 0.0 to 1.0.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Patients who change beds once (A02).
    pub transfers: f64,
    /// Patients whose data changes during the stay (A08).
    pub updates: f64,
    /// Discharges that are cancelled (A13) and happen again later.
    pub cancellations: f64,
    /// Messages sent a second time, byte for byte, right after their acknowledgement.
    pub duplicates: f64,
    /// Messages that no bed or billing flow wants (ORU^R01, ADT^A28), as a share of new patients.
    pub noise: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            transfers: 0.3,
            updates: 0.5,
            cancellations: 0.08,
            duplicates: 0.02,
            noise: 0.15,
        }
    }
}

impl Mix {
    /// Only A01 and A03, nothing else.
    pub fn plain() -> Self {
        Self {
            transfers: 0.0,
            updates: 0.0,
            cancellations: 0.0,
            duplicates: 0.0,
            noise: 0.0,
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        [
            self.transfers,
            self.updates,
            self.cancellations,
            self.duplicates,
            self.noise,
        ]
        .iter()
        .all(|share| (0.0..=1.0).contains(share))
    }
}

/// One patient's stay, from the next message on.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) patient: Patient,
    pub(crate) bed: Bed,
    pub(crate) prior_bed: Option<Bed>,
    /// What is still to be told, last first.
    rest: Vec<Trigger>,
    disposition: &'static str,
    /// Noise messages hold no bed.
    holds_bed: bool,
}

impl Stay {
    /// The next thing to tell; `None` once all is told.
    pub(crate) fn next(&self) -> Option<Trigger> {
        self.rest.last().copied()
    }

    /// PV1-36 of the discharge.
    pub(crate) fn disposition(&self) -> &'static str {
        self.disposition
    }
}

/// How many patients there may still be, shared by all connections.
pub(crate) type Admissions = Arc<AtomicU64>;

/// The patients of one connection.
#[derive(Debug)]
pub(crate) struct Ward {
    dice: Dice,
    mix: Mix,
    run: String,
    serials: Arc<AtomicU64>,
    admissions: Admissions,
    /// Beds that nobody holds; the one that was freed first comes first.
    free: VecDeque<Bed>,
    /// Stays with something to tell and no message under way.
    ready: Vec<Stay>,
    under_way: usize,
    census: usize,
    finished: u64,
}

/// Home, home care, nursing facility, against advice, other hospital, hospice, expired (HL7 table 0112).
const DISPOSITIONS: [&str; 10] = ["01", "01", "01", "01", "06", "06", "03", "07", "02", "20"];

impl Ward {
    pub(crate) fn new(
        dice: Dice,
        mix: Mix,
        run: String,
        serials: Arc<AtomicU64>,
        admissions: Admissions,
        beds: impl Iterator<Item = Bed>,
        census: usize,
    ) -> Self {
        Self {
            dice,
            mix,
            run,
            serials,
            admissions,
            free: beds.collect(),
            ready: Vec::with_capacity(census),
            under_way: 0,
            census,
            finished: 0,
        }
    }

    /// A stay that has something to tell, or `None` while all wait for acknowledgements or nobody is left.
    pub(crate) fn take(&mut self) -> Option<Stay> {
        if self.ready.len() + self.under_way < self.census {
            self.admit();
        }
        if self.ready.is_empty() {
            return None;
        }
        let chosen = self.dice.below(self.ready.len() as u64) as usize;
        let mut stay = self.ready.swap_remove(chosen);
        if stay.next() == Some(Trigger::A02) && stay.prior_bed.is_none() {
            self.move_patient(&mut stay);
        }
        self.under_way += 1;
        Some(stay)
    }

    /// The message that [`Ward::take`] led to was acknowledged or given up for good: the stay goes on.
    pub(crate) fn settle(&mut self, mut stay: Stay) {
        self.under_way -= 1;
        stay.rest.pop();
        if let Some(prior) = stay.prior_bed.take() {
            self.free.push_back(prior);
        }
        if stay.rest.is_empty() {
            if stay.holds_bed {
                // Beds are reused in turn, so that each is clean again before its next patient.
                self.free.push_back(stay.bed);
                self.finished += 1;
            }
        } else {
            self.ready.push(stay);
        }
    }

    /// The stay that [`Ward::take`] gave is not told now after all.
    pub(crate) fn put_back(&mut self, stay: Stay) {
        self.under_way -= 1;
        self.ready.push(stay);
    }

    /// Whether the acknowledged message is to be sent once more.
    pub(crate) fn repeats(&mut self) -> bool {
        self.dice.chance(self.mix.duplicates)
    }

    /// Whether nobody is left and nobody may come.
    pub(crate) fn is_done(&self) -> bool {
        self.ready.is_empty() && self.under_way == 0 && self.admissions.load(Ordering::Acquire) == 0
    }

    /// Patients whose stay was told to its end.
    pub(crate) fn finished(&self) -> u64 {
        self.finished
    }

    fn admit(&mut self) {
        if self.dice.chance(self.mix.noise) && self.admissions.load(Ordering::Acquire) > 0 {
            let trigger = if self.dice.chance(0.6) {
                Trigger::R01
            } else {
                Trigger::A28
            };
            let patient = self.invent();
            let bed = self.free.front().copied().unwrap_or(Bed::numbered(0));
            self.ready.push(Stay {
                patient,
                bed,
                prior_bed: None,
                rest: vec![trigger],
                disposition: "",
                holds_bed: false,
            });
            return;
        }
        if self.free.is_empty() {
            return;
        }
        let left = self
            .admissions
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if left.is_err() {
            return;
        }
        let Some(bed) = self.free.pop_front() else {
            return;
        };
        let patient = self.invent();
        let rest = self.story();
        let disposition = *self.dice.pick(&DISPOSITIONS);
        self.ready.push(Stay {
            patient,
            bed,
            prior_bed: None,
            rest,
            disposition,
            holds_bed: true,
        });
    }

    fn invent(&mut self) -> Patient {
        let serial = self.serials.fetch_add(1, Ordering::AcqRel);
        Patient::invent(&mut self.dice, &self.run, serial)
    }

    /// A stay told backwards.
    fn story(&mut self) -> Vec<Trigger> {
        let mut told = vec![Trigger::A01];
        if self.dice.chance(self.mix.updates) {
            told.push(Trigger::A08);
        }
        if self.dice.chance(self.mix.transfers) {
            told.push(Trigger::A02);
            if self.dice.chance(self.mix.updates / 2.0) {
                told.push(Trigger::A08);
            }
        }
        told.push(Trigger::A03);
        if self.dice.chance(self.mix.cancellations) {
            told.extend([Trigger::A13, Trigger::A03]);
        }
        told.reverse();
        told
    }

    fn move_patient(&mut self, stay: &mut Stay) {
        if let Some(bed) = self.free.pop_front() {
            stay.prior_bed = Some(std::mem::replace(&mut stay.bed, bed));
        } else {
            // The house is full: the transfer is called off, and the patient's data is told instead.
            stay.rest.pop();
            stay.rest.push(Trigger::A08);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mix, Ward};
    use crate::Dice;
    use crate::ehr::message::{Bed, Trigger};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    fn told(mix: Mix, patients: u64) -> BTreeMap<String, Vec<Trigger>> {
        let mut ward = Ward::new(
            Dice::new(3),
            mix,
            "R".into(),
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicU64::new(patients)),
            (0..40).map(Bed::numbered),
            16,
        );
        let mut told: BTreeMap<String, Vec<Trigger>> = BTreeMap::new();
        let mut occupied = BTreeSet::new();
        while let Some(stay) = ward.take() {
            let trigger = stay.next().unwrap();
            if trigger == Trigger::A01 {
                assert!(
                    occupied.insert(stay.bed.to_string()),
                    "two patients in one bed"
                );
            }
            if let Some(prior) = stay.prior_bed {
                assert!(occupied.remove(&prior.to_string()));
                assert!(
                    occupied.insert(stay.bed.to_string()),
                    "moved into a bed that is taken"
                );
            }
            let line = told.entry(stay.patient.visit.clone()).or_default();
            line.push(trigger);
            if stay.rest.len() == 1 && stay.holds_bed {
                occupied.remove(&stay.bed.to_string());
            }
            ward.settle(stay);
        }
        assert!(ward.is_done());
        assert_eq!(ward.finished(), patients);
        told
    }

    #[test]
    fn every_stay_begins_with_a01_and_ends_with_a03() {
        let mix = Mix {
            noise: 0.0,
            cancellations: 0.5,
            transfers: 0.8,
            ..Mix::default()
        };
        let told = told(mix, 300);
        assert_eq!(told.len(), 300);
        for line in told.values() {
            assert_eq!(
                (line[0], line[line.len() - 1]),
                (Trigger::A01, Trigger::A03),
                "{line:?}"
            );
            let discharges = line
                .iter()
                .filter(|&&trigger| trigger == Trigger::A03)
                .count();
            let cancelled = line
                .iter()
                .filter(|&&trigger| trigger == Trigger::A13)
                .count();
            assert_eq!(discharges, cancelled + 1, "{line:?}");
        }
        assert!(told.values().any(|line| line.contains(&Trigger::A02)));
    }

    #[test]
    fn noise_is_extra_and_stands_alone() {
        let told = told(
            Mix {
                noise: 0.5,
                ..Mix::plain()
            },
            50,
        );
        let noise = told.values().filter(|line| line.len() == 1).count();
        assert!(noise > 10, "{noise}");
        assert!(
            told.values()
                .filter(|line| line.len() == 1)
                .all(|line| matches!(line[0], Trigger::R01 | Trigger::A28))
        );
    }
}
