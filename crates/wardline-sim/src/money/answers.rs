//! What a payer and a bank answer to a claim: 999, 277CA, 835 and the credit on the account.

use super::legal_entity;
use crate::amount::Amount;
use crate::dates;
use crate::office::Post;
use crate::rehearsal::{Check, Scenario};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two answers, at speed 1.
const PAUSE: Duration = Duration::from_secs(2);

/// A claim as the payer sees it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) number: String,
    pub(super) payer: String,
    pub(super) facility: String,
    pub(super) control: String,
    pub(super) charged: Amount,
}

impl Claim {
    /// What the payer pays: six tenths; three are written off, one is the patient's.
    fn paid(&self) -> Amount {
        self.charged.percent(60).to_cents()
    }

    fn patient(&self) -> Amount {
        self.charged.percent(10).to_cents()
    }

    fn trace(&self, number: u32) -> String {
        format!("835-{}-{number}", self.number)
    }

    fn post(&self, from: &'static str, path: &'static str, key: String, body: Value) -> Post {
        Post {
            from,
            path,
            key,
            about: self.number.clone(),
            after: PAUSE,
            body,
        }
    }

    /// A 999 (it could be read) or a 277CA (it is taken, or not).
    fn acknowledge(&self, now: Timestamp, document: &str, taken: bool) -> Post {
        let mut body = json!({
            "document": document, "control": self.control, "claim": self.number, "status": if taken { "A" } else { "R" },
            "at": dates::instant(now),
        });
        if !taken {
            body["codes"] = json!(["A3:21"]);
        }
        let key = format!("{}-{document}", self.number);
        self.post(
            "clearinghouse",
            "/in/clearinghouse/acknowledgements",
            key,
            body,
        )
    }

    /// An 835 for this claim alone.
    fn remit(&self, now: Timestamp, written_off: Amount) -> Post {
        let (paid, patient) = (self.paid(), self.patient());
        let cas = json!([
            { "group": "CO", "code": "45", "amount": written_off.to_string() },
            { "group": "PR", "code": "1", "amount": patient.to_string() },
        ]);
        let body = json!({
            "document": "835", "TRN": self.trace(1), "payer": self.payer, "payer_name": "Heartland Health & Life",
            "facility": self.facility, "legal_entity": legal_entity(&self.facility),
            "BPR": { "02": paid.to_string(), "16": dates::day(now, 1).to_string(), "method": "ACH" },
            "CLP": [{ "01": self.number, "02": "1", "03": self.charged.to_string(), "04": paid.to_string(), "05": patient.to_string(),
                "07": format!("ICN-{}", self.control), "CAS": cas }],
            "PLB": [],
        });
        self.post(
            "clearinghouse",
            "/in/clearinghouse/remittances",
            self.trace(1),
            body,
        )
    }

    /// The same claim, taken back; what was paid is kept back from later payments.
    fn take_back(&self, now: Timestamp) -> Post {
        let (paid, patient) = (self.paid(), self.patient());
        let written_off = self.charged - paid - patient;
        let cas = json!([
            { "group": "CO", "code": "45", "amount": (-written_off).to_string() },
            { "group": "PR", "code": "1", "amount": (-patient).to_string() },
        ]);
        let body = json!({
            "document": "835", "TRN": self.trace(2), "payer": self.payer, "payer_name": "Heartland Health & Life",
            "facility": self.facility, "legal_entity": legal_entity(&self.facility),
            "BPR": { "02": "0.00", "16": dates::day(now, 1).to_string(), "method": "NON" },
            "CLP": [{ "01": self.number, "02": "22", "03": (-self.charged).to_string(), "04": (-paid).to_string(), "05": (-patient).to_string(),
                "07": format!("ICN-{}", self.control), "CAS": cas }],
            "PLB": [{ "code": "FB", "reference": self.number, "amount": (-paid).to_string() }],
        });
        self.post(
            "clearinghouse",
            "/in/clearinghouse/remittances",
            self.trace(2),
            body,
        )
    }

    fn credit(&self, now: Timestamp, amount: Amount) -> Post {
        let reference = format!("EFT-{}", self.number);
        let body = json!({
            "reference": reference, "TRN": self.trace(1), "payer": self.payer, "amount": amount.to_string(), "currency": "USD",
            "legal_entity": legal_entity(&self.facility), "facility": self.facility, "value_date": dates::day(now, 1).to_string(),
        });
        self.post("bank", "/in/bank/credits", reference, body)
    }

    /// How often the remittance with this number may be posted.
    fn posted(&self, number: u32, least: u64, most: u64) -> Check {
        Check::Effects {
            system: "billing",
            duty: "post-remittance",
            subject: self.trace(number),
            least,
            most,
        }
    }
}

/// Everything that follows from a claim, and what has to be true at the end.
pub(super) fn play(
    scenario: &'static Scenario,
    claim: &Claim,
    now: Timestamp,
) -> (Vec<Post>, Vec<Check>) {
    let taken = || {
        vec![
            claim.acknowledge(now, "999", true),
            claim.acknowledge(now, "277CA", true),
        ]
    };
    let written_off = claim.charged - claim.paid() - claim.patient();
    let remit = claim.remit(now, written_off);
    let credit = claim.credit(now, claim.paid());
    let mut posts = taken();
    let posted = match scenario.name {
        "no-999" => {
            posts.clear();
            (0, 0)
        }
        "rejected-277" => {
            posts[1] = claim.acknowledge(now, "277CA", false);
            (0, 0)
        }
        "silence" => (0, 0),
        "unbalanced" => {
            posts.push(claim.remit(now, written_off - Amount::whole(10)));
            posts.push(credit);
            (0, 1)
        }
        "eft-short" => {
            posts.push(remit);
            posts.push(claim.credit(now, claim.paid() - Amount::whole(1)));
            (0, 1)
        }
        "eft-missing" => {
            posts.push(remit);
            (0, 1)
        }
        "eft-first" => {
            posts.push(credit);
            posts.push(remit);
            (1, 1)
        }
        "eft-without-835" => {
            posts.push(credit);
            (0, 0)
        }
        "take-back" => {
            posts.push(remit);
            posts.push(credit);
            posts.push(claim.take_back(now));
            (1, 1)
        }
        _ => {
            posts.push(remit);
            posts.push(credit);
            (1, 1)
        }
    };
    let mut checks = vec![claim.posted(1, posted.0, posted.1)];
    if scenario.name == "take-back" {
        checks.push(claim.posted(2, 1, 1));
    }
    (posts, checks)
}

#[cfg(test)]
mod tests {
    use super::{Claim, play};
    use crate::amount::Amount;
    use crate::office::Doc;
    use crate::rehearsal::{Group, Scenario};
    use serde_json::Value;

    fn told(name: &str) -> Vec<Value> {
        let claim = Claim {
            number: "CLM-77-1".into(),
            payer: "HRT02".into(),
            facility: "north".into(),
            control: "000000905".into(),
            charged: Amount::whole(1_000),
        };
        let scenario = Scenario::named(&format!("claims/{name}")).unwrap();
        let now = "2026-11-24T16:42:03Z".parse().unwrap();
        let (posts, _) = play(scenario, &claim, now);
        posts.into_iter().map(|post| post.body).collect()
    }

    /// Charged less paid is what was adjusted (X12 835: CLP03 − CLP04 = sum of CAS).
    fn balances(remittance: &Value) -> bool {
        let claim = &remittance["CLP"][0];
        let adjusted: Amount = claim
            .list("/CAS")
            .iter()
            .filter_map(|cas| cas.amount("/amount"))
            .sum();
        let plb: Amount = remittance
            .list("/PLB")
            .iter()
            .filter_map(|plb| plb.amount("/amount"))
            .sum();
        let (charged, paid) = (claim.amount("/03").unwrap(), claim.amount("/04").unwrap());
        charged - paid == adjusted && remittance.amount("/BPR/02").unwrap() == paid - plb
    }

    #[test]
    fn only_the_unbalanced_one_does_not_add_up() {
        for scenario in Scenario::of(Group::Claims) {
            let told = told(scenario.name);
            let remittances = told.iter().filter(|body| body.text("/document") == "835");
            for remittance in remittances {
                assert_eq!(
                    balances(remittance),
                    scenario.name != "unbalanced",
                    "{scenario}"
                );
            }
        }
    }

    #[test]
    fn answers_come_as_the_scenario_says() {
        assert!(told("no-999").is_empty());
        assert_eq!(told("silence").len(), 2);
        assert_eq!(told("rejected-277")[1].text("/status"), "R");
        assert_eq!(told("eft-short")[3].text("/amount"), "599.00");
        assert_eq!(told("eft-first")[2].text("/reference"), "EFT-CLM-77-1");
        assert_eq!(told("take-back")[4].text("/CLP/0/02"), "22");
    }
}
