//! Which scenarios there are, what happens in each and how it should end, in words for people.

use serde::{Serialize, Serializer};
use std::fmt;

/// What a scenario is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// How a supplier answers an order.
    Supply,
    /// What somebody asks for.
    Requisition,
    /// Shelves, devices, prices.
    Stock,
    /// What HR does with a worker.
    People,
    /// How a payroll run adds up.
    Payroll,
    /// How a payer and a bank answer a claim.
    Claims,
    /// What billing made of a day's charges.
    Charges,
    /// What happens to a patient.
    Stay,
}

impl Group {
    /// Every group, in the order of the list.
    pub const ALL: [Self; 8] = [
        Self::Supply,
        Self::Requisition,
        Self::Stock,
        Self::People,
        Self::Payroll,
        Self::Claims,
        Self::Charges,
        Self::Stay,
    ];

    /// Its name, as in `supply/backorder`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supply => "supply",
            Self::Requisition => "requisition",
            Self::Stock => "stock",
            Self::People => "people",
            Self::Payroll => "payroll",
            Self::Claims => "claims",
            Self::Charges => "charges",
            Self::Stay => "stay",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// What it is about.
    pub group: Group,
    /// Its name within the group.
    pub name: &'static str,
    /// What the systems do.
    pub does: &'static str,
    /// How it should end.
    pub ends: &'static str,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.group, self.name))
    }
}

const fn scenario(
    group: Group,
    name: &'static str,
    does: &'static str,
    ends: &'static str,
) -> Scenario {
    Scenario {
        group,
        name,
        does,
        ends,
    }
}

impl Scenario {
    /// All of them.
    pub const ALL: &'static [Self] = ALL;

    /// By `group/name`, or by `name` where only one group has it.
    pub fn named(text: &str) -> Option<&'static Self> {
        if let Some((group, name)) = text.split_once('/') {
            let mut all = ALL.iter();
            return all.find(|one| one.group.as_str() == group && one.name == name);
        }
        let mut found = ALL.iter().filter(|one| one.name == text);
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }

    /// Those of one group.
    pub fn of(group: Group) -> impl Iterator<Item = &'static Self> {
        ALL.iter().filter(move |one| one.group == group)
    }

    /// The scenario of a group where nobody picked one.
    pub(crate) fn usual(group: Group) -> &'static Self {
        // Each group begins with the one where all goes well.
        let mut all = Self::of(group);
        all.next().unwrap_or(&ALL[0])
    }
}

use Group::{Charges, Claims, Payroll, People, Requisition, Stay, Stock, Supply};

const ALL: &[Scenario] = &[
    scenario(
        Supply,
        "accept",
        "The supplier accepts, ships, and invoices what was ordered",
        "paid once, in full",
    ),
    scenario(
        Supply,
        "backorder",
        "About six tenths come now, the rest in a second shipment with its own invoice",
        "paid in full, in two parts",
    ),
    scenario(
        Supply,
        "price-change",
        "The acknowledgement raises the price by 3 %, the invoice too",
        "nothing more than the new price is paid, and only if a buyer agrees",
    ),
    scenario(
        Supply,
        "substitute",
        "Another catalog number comes instead",
        "paid at most once, after a buyer agreed",
    ),
    scenario(
        Supply,
        "unit-error",
        "The invoice has the right numbers in the wrong unit",
        "held until somebody decides; never paid twice",
    ),
    scenario(
        Supply,
        "partial",
        "Two shipments, two receipts, two invoices",
        "paid in full, in two parts",
    ),
    scenario(
        Supply,
        "over-shipment",
        "A tenth more is delivered and invoiced than ordered",
        "what was not ordered is paid only if somebody agrees",
    ),
    scenario(
        Supply,
        "tax",
        "The invoice has tax on what is exempt",
        "held; the tax is paid only if somebody agrees",
    ),
    scenario(
        Supply,
        "freight",
        "The invoice has 60.00 freight that nobody agreed to",
        "held; the freight is paid only if somebody agrees",
    ),
    scenario(
        Supply,
        "reject",
        "The supplier refuses every line",
        "nothing is paid",
    ),
    scenario(
        Supply,
        "silence",
        "The supplier never answers",
        "nothing is paid; somebody is told",
    ),
    scenario(
        Supply,
        "duplicate-invoice",
        "The same invoice comes again, without its leading zeros",
        "paid once",
    ),
    scenario(
        Supply,
        "invoice-first",
        "The invoice comes before the goods",
        "paid once the goods are there",
    ),
    scenario(
        Supply,
        "price-up",
        "The invoice is 2 % above the order",
        "held; the rise is paid only if somebody agrees",
    ),
    scenario(
        Supply,
        "credit",
        "After the invoice comes a credit for a fifth",
        "paid once; the credit is not paid",
    ),
    scenario(
        Supply,
        "shipped-already",
        "A cancellation is refused because the goods are on their way",
        "paid once, in full",
    ),
    scenario(
        Requisition,
        "sound",
        "Somebody asks for what they may have",
        "an order is published once it is approved",
    ),
    scenario(
        Requisition,
        "blocked-supplier",
        "The supplier of the item is blocked",
        "refused: no order",
    ),
    scenario(
        Requisition,
        "closed-cost-center",
        "The cost center is closed",
        "refused: no order",
    ),
    scenario(
        Stock,
        "usage",
        "Somebody scans what they used",
        "booked once",
    ),
    scenario(
        Stock,
        "duplicate-scan",
        "The same scan comes twice",
        "booked once",
    ),
    scenario(
        Stock,
        "returned",
        "Something used is put back on the shelf",
        "both are booked, once each",
    ),
    scenario(Stock, "waste", "Something is thrown away", "booked once"),
    scenario(
        Stock,
        "low",
        "A shelf falls below its reorder point",
        "told; an order may follow",
    ),
    scenario(
        Stock,
        "recall",
        "A lot must not be used any more",
        "the lot is quarantined on every shelf",
    ),
    scenario(
        Stock,
        "service",
        "A device fails, a part is used, the device is mended",
        "the part is in the device's history, once",
    ),
    scenario(
        Stock,
        "part-reversed",
        "The same, and the part was not needed after all",
        "the use and its reversal are in the history",
    ),
    scenario(
        Stock,
        "price-file",
        "A contract's prices come as a file",
        "taken or refused as a whole, and said so",
    ),
    scenario(
        People,
        "hire",
        "A nurse begins today",
        "identity, badge, schedule, payroll and clinical account are there, once",
    ),
    scenario(
        People,
        "future-hire",
        "A nurse begins in three weeks",
        "nothing is active before that day",
    ),
    scenario(
        People,
        "rescind",
        "A future hire is taken back",
        "nothing is active",
    ),
    scenario(
        People,
        "transfer",
        "A nurse goes to another ward today",
        "badge, schedule and payroll say the new ward",
    ),
    scenario(
        People,
        "leave",
        "A nurse goes on leave today",
        "payroll says leave; access is off until the return",
    ),
    scenario(
        People,
        "rehire",
        "Somebody who left comes back under another name",
        "no second identity until somebody says who it is",
    ),
    scenario(
        People,
        "name-change",
        "A nurse marries",
        "the same number, another name",
    ),
    scenario(
        People,
        "terminate",
        "Yesterday was a nurse's last day",
        "every access is off; final pay is told, once",
    ),
    scenario(
        People,
        "terminate-now",
        "A nurse is dismissed at once",
        "every access is off, once and for good",
    ),
    scenario(
        People,
        "out-of-order",
        "A dismissal, and then an older change of job",
        "every access stays off",
    ),
    scenario(Payroll, "ties", "Everything adds up", "the run is approved"),
    scenario(
        Payroll,
        "hash-off",
        "One worker was swapped for another between two systems",
        "not approved",
    ),
    scenario(
        Payroll,
        "variance",
        "One worker gets a quarter more than last time",
        "not approved unless somebody looked",
    ),
    scenario(
        Payroll,
        "terminated-paid",
        "Somebody who left is paid",
        "not approved",
    ),
    scenario(
        Payroll,
        "ach-off",
        "The bank file differs from the register",
        "not approved",
    ),
    scenario(
        Payroll,
        "journal-off",
        "Debits and credits of the journal differ",
        "not approved",
    ),
    scenario(
        Payroll,
        "cutoff-missed",
        "Payroll takes nobody new before the next period",
        "nobody is enrolled in this one",
    ),
    scenario(
        Claims,
        "pays",
        "Acknowledged, accepted, paid by the bank",
        "the remittance is posted once",
    ),
    scenario(
        Claims,
        "no-999",
        "Nobody acknowledges the claim",
        "nothing is posted; somebody is told",
    ),
    scenario(
        Claims,
        "rejected-277",
        "The payer rejects the claim",
        "nothing is posted",
    ),
    scenario(
        Claims,
        "silence",
        "Acknowledged and accepted, and then nothing",
        "nothing is posted; somebody is told",
    ),
    scenario(
        Claims,
        "unbalanced",
        "The remittance does not add up",
        "not posted unless somebody decides",
    ),
    scenario(
        Claims,
        "eft-short",
        "The bank's credit is less than the remittance",
        "not posted unless somebody decides",
    ),
    scenario(
        Claims,
        "eft-missing",
        "A remittance without a credit",
        "not posted unless somebody decides",
    ),
    scenario(
        Claims,
        "eft-first",
        "The credit comes before the remittance",
        "the remittance is posted once",
    ),
    scenario(
        Claims,
        "take-back",
        "Paid, and then taken back",
        "posted at most twice: there and back",
    ),
    scenario(
        Claims,
        "eft-without-835",
        "A credit without a remittance",
        "nothing is posted",
    ),
    scenario(
        Charges,
        "ties",
        "Every charge of the day is posted as it was captured",
        "no difference",
    ),
    scenario(
        Charges,
        "missing",
        "Something was done and never charged",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "not-posted",
        "A charge was taken and never posted",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "late",
        "A charge was posted days after its service",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "duplicate",
        "A charge was posted twice",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "quantity",
        "Two were posted where one was charged",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "amount",
        "Another amount was posted",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "wrong-account",
        "A charge was posted to another account",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "wrong-department",
        "A charge was posted to another department",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "orphan-reversal",
        "Something was reversed that was never posted",
        "one difference of this kind",
    ),
    scenario(
        Charges,
        "unexpected",
        "Something was posted that nobody charged",
        "one difference of this kind",
    ),
    scenario(
        Stay,
        "plain",
        "Admitted and discharged",
        "the account is closed once, the bed is cleaned once",
    ),
    scenario(
        Stay,
        "duplicate",
        "The discharge is told twice, under two control ids",
        "closed once, cleaned once",
    ),
    scenario(
        Stay,
        "cancel",
        "The discharge is cancelled",
        "the account is open again",
    ),
    scenario(
        Stay,
        "cancel-then-again",
        "Discharged, cancelled, discharged again",
        "closed",
    ),
    scenario(
        Stay,
        "late",
        "The discharge is told three hours late, when another patient lies in the bed",
        "the account is closed; the other patient keeps the bed",
    ),
    scenario(
        Stay,
        "out-of-order",
        "The discharge is told before the admission",
        "closed",
    ),
    scenario(
        Stay,
        "merge",
        "Two records become one while the discharge is open",
        "closed",
    ),
    scenario(
        Stay,
        "correct",
        "The disposition of a discharge is corrected",
        "closed",
    ),
    scenario(
        Stay,
        "cancel-admit",
        "The admission was a mistake",
        "the bed is free",
    ),
    scenario(
        Stay,
        "charges",
        "A stay with charges and one that is taken back",
        "every charge is posted once",
    ),
];

#[cfg(test)]
mod tests {
    use super::{Group, Scenario};
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_given_once_and_found() {
        let mut names = BTreeSet::new();
        for one in Scenario::ALL {
            assert!(names.insert(one.to_string()), "{one} twice");
            assert_eq!(Scenario::named(&one.to_string()), Some(one));
            assert!(!one.does.is_empty() && !one.ends.is_empty());
        }
        assert_eq!(Scenario::named("backorder").unwrap().group, Group::Supply);
        // Two groups have a silence.
        assert_eq!(Scenario::named("silence"), None);
        assert_eq!(Scenario::named("supply/nonsense"), None);
    }

    #[test]
    fn every_group_has_one_where_all_goes_well() {
        let usual = Group::ALL.map(|group| Scenario::usual(group).name);
        assert_eq!(
            usual,
            [
                "accept", "sound", "usage", "hire", "ties", "pays", "ties", "plain"
            ]
        );
    }
}
