//! Which scenarios there are, what happens in each and how it should end, in words for people. The first of each group is
//! the one where all goes well.
//!
//! A scenario also says what people answer (`answered`), where its process stands at the end (`stands`), and, where the example's
//! time is longer than anybody waits, which tests of the estate go on from there in simulated time (`later`).

use super::Scenario;
use super::catalogue::Group;
use super::catalogue::Group::{
    Charges, Claims, Departments, Payroll, People, Requisition, Stay, Stock, Suppliers, Supply,
};
use super::stand_in::Answer;

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
        answers: &[],
        stands: &[],
        later: &[],
    }
}

/// What somebody of this role chooses.
const fn says(role: &'static str, choice: &'static str) -> Answer {
    Answer { role, choice }
}

pub(super) const ALL: &[Scenario] = &[
    scenario(
        Supply,
        "accept",
        "The supplier accepts, ships, and invoices what was ordered",
        "paid once, in full",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "backorder",
        "About six tenths come now, the rest in a second shipment with its own invoice",
        "paid in full, in two parts",
    ).answered(&[says("buyer", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "price-change",
        "The acknowledgement raises the price by 3 %, the invoice too",
        "nothing more than the new price is paid, and only if a buyer agrees",
    ).answered(&[says("buyer", "accept"), says("accounts-payable", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "substitute",
        "Another catalog number comes instead",
        "paid at most once, after a buyer agreed",
    ).answered(&[says("buyer", "accept"), says("accounts-payable", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "unit-error",
        "The invoice has the right numbers in the wrong unit",
        "held until somebody decides; never paid twice",
    ).answered(&[says("accounts-payable", "reject")]).stands(&[("procure-to-pay", "pending exception")]),
    scenario(
        Supply,
        "partial",
        "Two shipments, two receipts, two invoices",
        "paid in full, in two parts",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "over-shipment",
        "A tenth more is delivered and invoiced than ordered",
        "what was not ordered is paid only if somebody agrees",
    ).answered(&[says("receiving", "accept"), says("accounts-payable", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "tax",
        "The invoice has tax on what is exempt",
        "held; the tax is paid only if somebody agrees",
    ).answered(&[says("accounts-payable", "reject")]).stands(&[("procure-to-pay", "pending exception")]),
    scenario(
        Supply,
        "freight",
        "The invoice has 60.00 freight that nobody agreed to",
        "held; the freight is paid only if somebody agrees",
    ).answered(&[says("accounts-payable", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "reject",
        "The supplier refuses every line",
        "nothing is paid",
    ).answered(&[says("buyer", "cancel"), says("buyer", "not-needed")]).stands(&[("procure-to-pay", "completed cancelled")]),
    scenario(
        Supply,
        "silence",
        "The supplier never answers",
        "nothing is paid; somebody is told",
    ).stands(&[("procure-to-pay", "pending published")]).later(&["procure-to-pay: nobody acknowledges: somebody is asked after two days, asks again, and it goes on"]),
    scenario(
        Supply,
        "duplicate-invoice",
        "The same invoice comes again, without its leading zeros",
        "paid once",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "invoice-first",
        "The invoice comes before the goods",
        "paid once the goods are there",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "price-up",
        "The invoice is 2 % above the order",
        "held; the rise is paid only if somebody agrees",
    ).answered(&[says("accounts-payable", "accept")]).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "credit",
        "After the invoice comes a credit for a fifth",
        "paid once; the credit is not paid",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Supply,
        "shipped-already",
        "A cancellation is refused because the goods are on their way",
        "paid once, in full",
    ).stands(&[("procure-to-pay", "completed paid")]),
    scenario(
        Requisition,
        "sound",
        "Somebody asks for what they may have",
        "an order is published once it is approved",
    ).stands(&[("requisition", "completed ordered")]),
    scenario(
        Requisition,
        "blocked-supplier",
        "The supplier of the item is blocked",
        "refused: no order",
    ).answered(&[says("requester", "withdraw")]).stands(&[("requisition", "completed refused")]),
    scenario(
        Requisition,
        "closed-cost-center",
        "The cost center is closed",
        "refused: no order",
    ).answered(&[says("requester", "withdraw")]).stands(&[("requisition", "completed refused")]),
    scenario(
        Suppliers,
        "new",
        "A new supplier hands in its papers",
        "created everywhere once, after two people looked at its bank account",
    ).answered(&[says("supply-chain", "complete"), says("accounts-payable", "confirmed"), says("treasury", "confirmed")])
        .stands(&[("supplier-onboarding", "completed active")]),
    scenario(
        Suppliers,
        "known",
        "Somebody asks for a supplier that there is already",
        "not created again",
    ).answered(&[says("data-steward", "use-existing")]).stands(&[("supplier-onboarding", "completed duplicate")]),
    scenario(
        Suppliers,
        "excluded",
        "A new supplier is on a list of excluded parties",
        "refused; nothing is created",
    ).answered(&[says("supply-chain", "complete"), says("compliance", "excluded")])
        .stands(&[("supplier-onboarding", "failed refused")]),
    scenario(
        Suppliers,
        "bank-change",
        "A supplier wants its money elsewhere, and says so when called",
        "held, looked at by two people, changed, and paid again after two days",
    ).answered(&[says("accounts-payable", "confirmed"), says("treasury", "confirmed")])
        .stands(&[("supplier-bank-change", "pending cooling_off")])
        .later(&["bank change: confirmed by two people, effective after two days"]),
    scenario(
        Suppliers,
        "bank-fraud",
        "Somebody else wants a supplier's money elsewhere",
        "nothing is changed, and the supplier is paid as before",
    ).answered(&[says("accounts-payable", "refused")]).stands(&[("supplier-bank-change", "failed refused")]),
    scenario(
        Stock,
        "usage",
        "Somebody scans what they used",
        "costs the department once, when three days have passed",
    ).stands(&[("usage", "pending open")]).later(&["G3 as a process: 3 used, 1 given back, 1 wasted: after three days two are cost, once"]),
    scenario(
        Stock,
        "duplicate-scan",
        "The same scan comes twice",
        "costs the department once, when three days have passed",
    ).stands(&[("usage", "pending open")]).later(&["G3 as a process: 3 used, 1 given back, 1 wasted: after three days two are cost, once"]),
    scenario(
        Stock,
        "returned",
        "Something used is put back on the shelf",
        "what is left costs the department once, when three days have passed",
    ).stands(&[("usage", "pending open")]).later(&["G3 as a process: 3 used, 1 given back, 1 wasted: after three days two are cost, once"]),
    scenario(
        Stock,
        "waste",
        "Something is thrown away",
        "the shelf is looked at; nothing is posted twice",
    ).later(&["G3: 3 used, 1 given back, 1 wasted: two off the shelf, two to cost, one to charge"]),
    scenario(
        Stock,
        "low",
        "A shelf falls below its reorder point",
        "told; an order may follow",
    ).answered(&[says("stock-room", "buy")]),
    scenario(
        Stock,
        "recall",
        "A lot must not be used any more",
        "the lot is quarantined on every shelf",
    ).answered(&[says("stock-room", "taken")]).stands(&[("recall", "completed confirmed")]),
    scenario(
        Stock,
        "service",
        "A device fails, a part is used, the device is mended",
        "off the shelf, to the cost center, into the device's history: once each",
    ).answered(&[says("clinical-engineering", "safe")]).stands(&[("work-order", "completed verified")]),
    scenario(
        Stock,
        "part-reversed",
        "The same, and the part was not needed after all",
        "the use and its reversal are booked and in the history, once each",
    ).answered(&[says("clinical-engineering", "safe")]).stands(&[("work-order", "completed verified")]),
    scenario(
        Stock,
        "facility",
        "An air handler fails, a part is used, it runs again",
        "the part is in its history and costs its cost center, once",
    ).stands(&[("work-order", "completed verified")]),
    scenario(
        Stock,
        "price-file",
        "A contract's prices come as a file",
        "taken or refused as a whole, and said so",
    ).stands(&[("price-file", "completed accepted")]),
    scenario(
        People,
        "hire",
        "A nurse begins today",
        "identity, badge, schedule, payroll and clinical account are there, once",
    ).stands(&[("worker", "pending active")]),
    scenario(
        People,
        "future-hire",
        "A nurse begins in three weeks",
        "nothing is active before that day",
    ).stands(&[("worker", "pending pre_hire")]).later(&["worker: hired ahead: nothing yet, a sleeping account fourteen days before, everything at midnight"]),
    scenario(
        People,
        "rescind",
        "A future hire is taken back",
        "nothing is active",
    ).stands(&[("worker", "completed ended")]),
    scenario(
        People,
        "transfer",
        "A nurse goes to another ward today",
        "badge, schedule and payroll say the new ward",
    ).stands(&[("worker", "pending active")]).later(&["worker: transferred: new access at once, old access three days more, and then gone"]),
    scenario(
        People,
        "leave",
        "A nurse goes on leave today",
        "payroll says leave; access is off until the return",
    ).stands(&[("worker", "pending on_leave")]).later(&["worker: on leave everything rests, back it is restored"]),
    scenario(
        People,
        "rehire",
        "Somebody who left comes back under another name",
        "no second identity until somebody says who it is",
    ).stands(&[("worker", "pending")]).later(&["G7 worker: rehired under another name: a steward decides, and until then there is no second account"]),
    scenario(
        People,
        "name-change",
        "A nurse marries",
        "the same number, another name",
    ).stands(&[("worker", "pending active")]),
    scenario(
        People,
        "terminate",
        "Yesterday was a nurse's last day",
        "every access is off; final pay is told, once",
    ).answered(&[says("people-operations", "returned")]).stands(&[("worker", "completed ended")]),
    scenario(
        People,
        "terminate-now",
        "A nurse is dismissed at once",
        "every access is off, once and for good",
    ).answered(&[says("people-operations", "returned")]).stands(&[("worker", "completed ended")]),
    scenario(
        People,
        "out-of-order",
        "A dismissal, and then an older change of job",
        "every access stays off",
    ).answered(&[says("people-operations", "returned")]).stands(&[("worker", "completed ended")]),
    scenario(Payroll, "ties", "Everything adds up", "the run is approved").answered(&[says("payroll", "approve"), says("payroll-lead", "approve")]).stands(&[("payroll-run", "completed posted")]),
    scenario(
        Payroll,
        "hash-off",
        "One worker was swapped for another between two systems",
        "not approved",
    ).answered(&[says("payroll", "corrected-in-source")]).stands(&[("payroll-run", "completed reopened")]),
    scenario(
        Payroll,
        "variance",
        "One worker gets a quarter more than last time",
        "not approved unless somebody looked",
    ).answered(&[says("payroll", "explained"), says("payroll", "approve"), says("payroll-lead", "approve")]).stands(&[("payroll-run", "completed posted")]),
    scenario(
        Payroll,
        "terminated-paid",
        "Somebody who left is paid",
        "not approved",
    ).answered(&[says("payroll", "corrected-in-source")]).stands(&[("payroll-run", "completed reopened")]),
    scenario(
        Payroll,
        "ach-off",
        "The bank file differs from the register",
        "not approved",
    ).answered(&[says("treasury", "corrected-in-source")]).stands(&[("payroll-run", "completed reopened")]),
    scenario(
        Payroll,
        "journal-off",
        "Debits and credits of the journal differ",
        "not approved",
    ).answered(&[says("finance", "corrected-in-source")]).stands(&[("payroll-run", "completed reopened")]),
    scenario(
        Payroll,
        "cutoff-missed",
        "Payroll takes nobody new before the next period",
        "nobody is enrolled in this one",
    ).answered(&[says("payroll", "next-period")]).stands(&[("worker", "pending active")]),
    scenario(
        Claims,
        "pays",
        "Acknowledged, accepted, paid by the bank",
        "the remittance is posted once",
    ).stands(&[("remittance", "completed balanced")]),
    scenario(
        Claims,
        "no-999",
        "Nobody acknowledges the claim",
        "nothing is posted; somebody is told",
    ).later(&["claim: no 999 in four hours: sent again by somebody"]),
    scenario(
        Claims,
        "rejected-277",
        "The payer rejects the claim",
        "nothing is posted",
    ).answered(&[says("patient-finance", "written-off")]),
    scenario(
        Claims,
        "silence",
        "Acknowledged and accepted, and then nothing",
        "nothing is posted; somebody is told",
    ).later(&["claim: not paid in thirty days, then paid all the same"]),
    scenario(
        Claims,
        "unbalanced",
        "The remittance does not add up",
        "not posted unless somebody decides",
    ).answered(&[says("patient-finance", "explained"), says("patient-finance", "send-back")]).stands(&[("remittance", "failed unbalanced")]),
    scenario(
        Claims,
        "eft-short",
        "The bank's credit is less than the remittance",
        "not posted unless somebody decides",
    ).answered(&[says("treasury", "explained")]).stands(&[("remittance", "completed balanced")]),
    scenario(
        Claims,
        "eft-missing",
        "A remittance without a credit",
        "not posted unless somebody decides",
    ).stands(&[("remittance", "pending waiting_for_money")]).later(&["remittance: no money in three working days"]),
    scenario(
        Claims,
        "eft-first",
        "The credit comes before the remittance",
        "the remittance is posted once",
    ).stands(&[("remittance", "completed balanced")]),
    scenario(
        Claims,
        "take-back",
        "Paid, and then taken back",
        "posted twice, there and back, and nobody is asked",
    ).stands(&[("remittance", "completed balanced")]),
    scenario(
        Claims,
        "eft-without-835",
        "A credit without a remittance",
        "nothing is posted",
    ).stands(&[("bank-receipt", "pending open")]).later(&["bank receipt: money that nobody told of"]),
    scenario(
        Charges,
        "ties",
        "Every charge of the day is posted as it was captured",
        "no difference",
    ).answered(&[says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "missing",
        "Something was done and never charged",
        "one difference of this kind",
    ).answered(&[says("charge-capture", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "not-posted",
        "A charge was taken and never posted",
        "one difference of this kind",
    ).answered(&[says("billing-it", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "late",
        "A charge was posted days after its service",
        "one difference of this kind",
    ).answered(&[says("revenue-integrity", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "duplicate",
        "A charge was posted twice",
        "one difference of this kind",
    ).answered(&[says("charge-capture", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "quantity",
        "Two were posted where one was charged",
        "one difference of this kind",
    ).answered(&[says("charge-master", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "amount",
        "Another amount was posted",
        "one difference of this kind",
    ).answered(&[says("charge-master", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "wrong-account",
        "A charge was posted to another account",
        "one difference of this kind",
    ).answered(&[says("registration", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "wrong-department",
        "A charge was posted to another department",
        "one difference of this kind",
    ).answered(&[says("finance", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "orphan-reversal",
        "Something was reversed that was never posted",
        "one difference of this kind",
    ).answered(&[says("patient-finance", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Charges,
        "unexpected",
        "Something was posted that nobody charged",
        "one difference of this kind",
    ).answered(&[says("patient-finance", "explained"), says("patient-finance", "signed-off")]).stands(&[("charge-day", "completed signed_off")]),
    scenario(
        Stay,
        "plain",
        "Admitted and discharged",
        "the account is closed once, the bed is cleaned once",
    ).later(&["stay: admitted, discharged, billed after the hold"]),
    scenario(
        Stay,
        "duplicate",
        "The discharge is told twice, under two control ids",
        "closed once, cleaned once",
    ).later(&["stay: admitted, discharged, billed after the hold"]),
    scenario(
        Stay,
        "cancel",
        "The discharge is cancelled",
        "the account is open again",
    ).later(&["stay: discharged, then cancelled before the clean was started"]),
    scenario(
        Stay,
        "cancel-then-again",
        "Discharged, cancelled, discharged again",
        "closed",
    ).later(&["stay: cancelled and discharged again is a second generation"]),
    scenario(
        Stay,
        "late",
        "The discharge is told three hours late, when another patient lies in the bed",
        "the account is closed; the other patient keeps the bed",
    ).later(&["G13 stay: three hours late, the bed is somebody else's: billing and census apply, the bed is left alone"]),
    scenario(
        Stay,
        "out-of-order",
        "The discharge is told before the admission",
        "closed",
    ).later(&["stay: the discharge comes before its admission and waits for it"]),
    scenario(
        Stay,
        "merge",
        "Two records become one while the discharge is open",
        "closed",
    ).later(&["G14 stay: merged while the bill is held: finished under the new account"]),
    scenario(
        Stay,
        "correct",
        "The disposition of a discharge is corrected",
        "closed",
    ).later(&["stay: a correction after the discharge changes the bill only"]),
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
    ).later(&["stay: admitted, discharged, billed after the hold"]),
    scenario(
        Departments,
        "result",
        "The laboratory tells a preliminary result, two final ones, and corrects one",
        "each test is charged once",
    ),
    scenario(
        Departments,
        "result-cancelled",
        "A test is told as done, and then as not done after all",
        "charged, and taken back",
    ),
    scenario(
        Departments,
        "examination",
        "An examination is ordered; the device finds the patient on its worklist and does it",
        "charged once",
    ),
    scenario(
        Departments,
        "examination-cancelled",
        "An examination is ordered, and cancelled",
        "gone from the worklist, and not charged",
    ),
    scenario(
        Departments,
        "document",
        "The clinical record sends a document with its file",
        "stored whole, and in the index once",
    ),
    scenario(
        Departments,
        "dispute",
        "A patient disputes a bill at patient relations",
        "patient finance looked, and patient relations has the answer",
    ).answered(&[says("patient-finance", "explained")]).stands(&[("bill-dispute", "completed explained")]),
    scenario(
        Departments,
        "video-visit",
        "A visit by video is over",
        "charged once by its minutes",
    ),
];
