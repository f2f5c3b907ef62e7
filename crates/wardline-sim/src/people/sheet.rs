//! The sheet of one payroll run: the same people, hours and money at every hop, or not, as the scenario says.

use crate::amount::Amount;
use crate::dates;
use crate::office::Doc;
use crate::rehearsal::Scenario;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Who pays for the first, the second and the third worker.
pub(super) const CENTERS: [&str; 3] = ["CC-4100", "CC-4100", "CC-4200"];
/// How they are paid.
pub(super) const METHODS: [&str; 3] = ["bank", "bank", "card"];
const GROSS: [i64; 3] = [3_200, 2_800, 4_000];

/// The pay period of a day: year and number of the fortnight.
pub(super) fn period(now: Timestamp, later: i64) -> String {
    let day = dates::day(now, later);
    format!("{}-{:02}", day.year(), (day.day_of_year() - 1) / 14 + 1)
}

/// The sum of all digits of all numbers: the same people give the same sum.
fn hash(ids: &[String]) -> u64 {
    let digits = ids.iter().flat_map(|id| id.chars());
    digits
        .filter_map(|one| one.to_digit(10))
        .map(u64::from)
        .sum()
}

/// Writes a run.
pub(super) fn write(
    run: &str,
    group: &str,
    facility: &str,
    ids: &[String],
    scenario: &Scenario,
    now: Timestamp,
) -> Value {
    let is = |name: &str| scenario.name == name;
    let (mut lines, mut gross, mut net) = (Vec::new(), Amount::ZERO, Amount::ZERO);
    let (mut to_bank, mut payments) = (Amount::ZERO, 0_u64);
    let mut centers: Vec<(&str, Amount)> = Vec::new();
    for (place, id) in ids.iter().enumerate() {
        let before = Amount::whole(GROSS[place % 3]);
        let mine = if is("variance") && place == 0 {
            before.percent(125)
        } else {
            before
        };
        let (paid, method, center) = (mine.percent(75), METHODS[place % 3], CENTERS[place % 3]);
        gross = gross + mine;
        net = net + paid;
        if method == "bank" {
            to_bank = to_bank + paid;
            payments += 1;
        }
        match centers.iter_mut().find(|(known, _)| *known == center) {
            Some((_, sum)) => *sum = *sum + mine,
            None => centers.push((center, mine)),
        }
        lines.push(json!({
            "employee_id": id, "hours": "80.00", "scheduled_hours": "80.00", "gross": mine.to_string(), "net": paid.to_string(),
            "cost_center": center, "previous_gross": before.to_string(), "method": method,
        }));
    }
    let mut journal: Vec<Value> = centers
        .iter()
        .map(|(center, sum)| {
            json!({ "account": "600000", "cost_center": center, "side": "debit", "amount": sum.to_string() })
        })
        .collect();
    let withheld = if is("journal-off") {
        gross - net - Amount::whole(10)
    } else {
        gross - net
    };
    journal.push(json!({ "account": "101000", "side": "credit", "amount": net.to_string() }));
    journal.push(json!({ "account": "220000", "side": "credit", "amount": withheld.to_string() }));
    let sum = hash(ids);
    let counted = if is("hash-off") { sum + 1 } else { sum };
    let in_file = if is("ach-off") {
        to_bank - Amount::whole(100)
    } else {
        to_bank
    };
    let hours = Amount::whole(80 * ids.len() as i64).to_string();
    let people = ids.len();
    json!({
        "run": run, "pay_group": group, "facility": facility,
        "legal_entity": if facility == "south" { "SBH-S" } else { "SBH-N" },
        "period": { "from": dates::day(now, -14).to_string(), "to": dates::day(now, -1).to_string() },
        "pay_date": dates::day(now, 3).to_string(), "status": "calculated",
        "hops": {
            "hr": { "headcount": people, "hash": sum.to_string() },
            "time": { "headcount": people, "hash": counted.to_string(), "hours": hours },
            "register": { "headcount": people, "hash": sum.to_string(), "hours": hours, "gross": gross.to_string(), "net": net.to_string() },
            "ach": { "count": payments, "amount": in_file.to_string() },
            "journal": { "debits": gross.to_string(), "credits": (net + withheld).to_string() },
        },
        "lines": lines, "journal_lines": journal,
    })
}

/// What is told of a run once it is calculated.
pub(super) fn told(sheet: &Value, at: &str) -> Value {
    let money = |pointer: &str| json!({ "amount": sheet.text(pointer), "currency": "USD" });
    json!({
        "run": sheet["run"], "pay_group": sheet["pay_group"], "legal_entity": sheet["legal_entity"], "facility": sheet["facility"],
        "period": sheet["period"], "pay_date": sheet["pay_date"], "status": "calculated",
        "headcount": sheet.list("/lines").len(), "gross": money("/hops/register/gross"), "net": money("/hops/register/net"), "at": at,
    })
}

#[cfg(test)]
mod tests {
    use super::{told, write};
    use crate::office::Doc;
    use crate::rehearsal::Scenario;
    use serde_json::Value;

    fn sheet(name: &str) -> Value {
        let ids = ["E1007", "E1008", "E0900"].map(str::to_owned);
        let scenario = Scenario::named(&format!("payroll/{name}")).unwrap();
        let now = "2026-11-24T16:42:03Z".parse().unwrap();
        write(
            "BIWEEKLY-N:2026-24",
            "BIWEEKLY-N",
            "north",
            &ids,
            scenario,
            now,
        )
    }

    #[test]
    fn a_run_ties_at_every_hop() {
        let run = sheet("ties");
        assert_eq!(run.text("/hops/register/gross"), "10000.00");
        assert_eq!(run.text("/hops/ach/amount"), "4500.00");
        assert_eq!(run.text("/hops/hr/hash"), "26");
        assert_eq!(
            run.text("/hops/journal/debits"),
            run.text("/hops/journal/credits")
        );
        assert_eq!(told(&run, "").text("/gross/amount"), "10000.00");
    }

    #[test]
    fn each_scenario_is_off_in_one_place() {
        assert_ne!(
            sheet("hash-off").text("/hops/time/hash"),
            sheet("ties").text("/hops/time/hash")
        );
        assert_eq!(sheet("ach-off").text("/hops/ach/amount"), "4400.00");
        assert_eq!(
            sheet("journal-off").text("/hops/journal/credits"),
            "9990.00"
        );
        assert_eq!(sheet("variance").text("/lines/0/gross"), "4000.00");
        assert_eq!(sheet("variance").text("/hops/register/gross"), "10800.00");
    }
}
