//! Commands that look at a journal and decide about deliveries, asked of a running server and
//! of a journal at rest.

use crate::house::{House, Outcome};
use crate::ward::{ACCOUNT, FAMILY, MRN, Ward, discreet, text};
use serde_json::{Value, json};
use wardline_sim::Fault;

/// Runs a listing both ways; neither names a patient. What its JSON says.
#[track_caller]
fn both(house: &House, words: &[&str], code: i32, says: &[&str]) -> Value {
    let said: Outcome = house.run(words).ends(code).says(says);
    discreet(&format!("{words:?}"), &said.out);
    discreet(&format!("{words:?}"), &said.err);
    let said = house.run(&[words, &["--json"]].concat()).ends(code);
    discreet(&format!("{words:?} --json"), &said.out);
    discreet(&format!("{words:?} --json"), &said.err);
    said.json()
}

/// Deliveries of a trace's JSON.
fn deliveries(traces: &Value) -> Vec<&Value> {
    traces
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|trace| trace["nodes"].as_array().unwrap())
        .filter_map(|node| node["item"].get("delivery"))
        .collect()
}

/// The state of what one admission owes patient accounting.
fn state_at_billing(house: &House, key: &str) -> (String, String) {
    let traces = house.run(&["trace", key, "--json"]).ends(0).json();
    let found = deliveries(&traces);
    let one = found
        .iter()
        .rfind(|one| one["destination"] == "patient-accounting.open-account")
        .unwrap();
    (
        one["id"].as_str().unwrap().to_owned(),
        one["state"].as_str().unwrap().to_owned(),
    )
}

/// Reads everything there is to read, the same from a server and from a journal at rest.
#[track_caller]
fn read_all(house: &House, well: i32) -> Vec<Value> {
    let messages = both(house, &["messages"], 0, &["ADT^A01", "ehr.adt", "2 shown"]);
    assert_eq!(messages["rows"].as_array().unwrap().len(), 2);
    let key = format!("{ACCOUNT}1");
    let by_key = both(house, &["messages", "--key", &key], 0, &["1 shown"]);
    both(
        house,
        &["messages", "--type", "ORU^R01"],
        0,
        &["no message matches"],
    );
    let id = by_key["rows"][0]["id"].as_str().unwrap().to_owned();
    let traced = both(
        house,
        &["trace", &id],
        0,
        &[
            "Trace ",
            "encounter.admitted",
            "patient-accounting.open-account",
            "research.feed",
        ],
    );
    both(house, &["trace", &key], 0, &["Trace "]);
    both(house, &["trace", &id, "--payloads"], 0, &["PID|", "••••"]);
    house
        .run(&["trace", "no-such-key"])
        .ends(1)
        .explains(&["nothing in the journal"]);
    both(
        house,
        &["status"],
        well,
        &["St. Brigid Health", "accepted 2"],
    );
    let audit = both(house, &["audit", "list"], 0, &["WHO", "WHAT"]);
    vec![messages, by_key, traced, audit]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_delivery_is_found_mended_and_proved() {
    let ward = Ward::open().await;
    let house = &ward.house;
    let billing = ward.hospital.patient_accounting();
    let refused = format!("{ACCOUNT}1");
    billing
        .set_fault(Fault::refusing([refused.clone()]))
        .unwrap();
    let server = house.serve();
    for n in 1..=2 {
        house
            .run(&[
                "send",
                text(&ward.admission(n)),
                "--mllp",
                &server.address("ehr.adt"),
            ])
            .ends(0)
            .says(&[&format!("✓ AA  CTL-{n}")]);
    }
    let status = house.until_status("one is refused, the others are delivered", |status| {
        status["sums"]["delivered"] == 7
            && status["sums"]["open"].as_u64().unwrap() + status["sums"]["dead"].as_u64().unwrap()
                == 1
    });
    assert_eq!(status["schema"], "wardline.status/1");
    assert!(billing.entries(&refused).is_empty());

    let groups = both(
        house,
        &["dead"],
        0,
        &[
            "patient-accounting.open-account",
            "422",
            "next: wardline replay --fingerprint v1:",
        ],
    );
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(groups.as_array().unwrap().len(), 1);
    read_all(house, 1);

    // A preview does nothing; it says so.
    let select = ["replay", "--fingerprint", &fingerprint];
    let preview = both(
        house,
        &select,
        0,
        &["1 selected", "Nothing was done; add --reason"],
    );
    assert_eq!(
        (
            &preview["selected"],
            &preview["preview"],
            &preview["created"]
        ),
        (&json!(1), &json!(true), &json!(0))
    );
    let unmoved = house.run(&["dead", "--json"]).json();
    assert_eq!(unmoved[0]["fingerprint"], fingerprint.as_str());

    // The same at rest, asked of the journal itself.
    let live = read_all(house, 1);
    server.stop();
    assert!(
        house.log().contains("DEBUG"),
        "this was the log at its most talkative"
    );
    discreet("the log", &house.log());
    let rest = read_all(house, 1);
    assert_eq!(
        live[..3],
        rest[..3],
        "a journal at rest tells what its server told"
    );
    assert_eq!(both(house, &["dead"], 0, &["422"]), groups);
    let preview_at_rest = both(house, &select, 0, &["Nothing was done"]);
    assert_eq!(preview_at_rest, preview);

    // Mended at rest; done when the server is back and billing takes it.
    billing.heal();
    both(
        house,
        &[&select[..], &["--reason", "account was opened by hand"]].concat(),
        0,
        &[],
    );
    let server = house.serve();
    house.until_status("the refused one is delivered", |status| {
        status["sums"]["open"] == 0 && !billing.entries(&refused).is_empty()
    });
    assert_eq!(billing.entries(&refused).len(), 1);
    assert_eq!(state_at_billing(house, &refused).1, "delivered");
    server.stop();

    let acts = both(
        house,
        &["audit", "list"],
        0,
        &["replay", "account was opened by hand", "user:tester"],
    );
    assert!(
        acts.as_array()
            .unwrap()
            .iter()
            .any(|line| line["reason"] == "account was opened by hand"),
        "{acts}"
    );
    verify_and_tamper(house);
    discreet("the log", &house.log());
    ward.hospital.stop().await;
}

/// The audit log is whole; and it is noticed when it no longer is.
fn verify_and_tamper(house: &House) {
    house
        .run(&["audit", "verify"])
        .ends(0)
        .says(&["✓", "no gap"]);
    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    let (sequence, body): (i64, Vec<u8>) = journal
        .query_row(
            "SELECT sequence, body FROM audit ORDER BY sequence LIMIT 1 OFFSET 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let mut edited = body.clone();
    let last = edited.len() - 2;
    edited[last] ^= 1;
    journal
        .execute(
            "UPDATE audit SET body = ?1 WHERE sequence = ?2",
            (&edited, sequence),
        )
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(1).says(&["✕"]);

    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    journal
        .execute(
            "UPDATE audit SET body = ?1 WHERE sequence = ?2",
            (&body, sequence),
        )
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(0);

    let journal = rusqlite::Connection::open(house.data().join("journal.db")).unwrap();
    journal
        .execute("DELETE FROM audit WHERE sequence = ?1", [sequence])
        .unwrap();
    drop(journal);
    house.run(&["audit", "verify"]).ends(1).says(&["✕"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_deliveries_are_cancelled_parked_and_resubmitted() {
    let ward = Ward::open().await;
    let house = &ward.house;
    let billing = ward.hospital.patient_accounting();
    let staffing = ward.hospital.staffing();
    staffing.set_fault(Fault::unavailable()).unwrap();
    let server = house.serve();
    let send = |n| {
        house
            .run(&[
                "send",
                text(&ward.admission(n)),
                "--mllp",
                &server.address("ehr.adt"),
            ])
            .ends(0)
    };
    send(1);
    send(2);
    house.until_status("two wait for staffing", |status| {
        status["sums"]["open"] == 2 && status["sums"]["delivered"] == 6
    });
    // The messages from which what waits followed, and with --events what is between.
    both(
        house,
        &["messages", "--state", "retrying"],
        0,
        &["ADT^A01", "2 shown"],
    );
    both(
        house,
        &["messages", "--state", "retrying", "--events"],
        0,
        &["encounter.admitted", "4 shown"],
    );

    // Without a reason nothing is decided, and with nothing selected neither.
    house
        .run(&["cancel", "--to", "staffing.change-census"])
        .ends(2)
        .explains(&["--reason"]);
    house.run(&["cancel", "--reason", "all of it"]).ends(3);
    let key = "VISITZQX1".to_owned();
    house
        .run(&[
            "cancel",
            "--to",
            "staffing.change-census",
            "--key",
            &key,
            "--reason",
            "counted by hand",
        ])
        .ends(0)
        .says(&["1 delivery cancelled"]);
    house.until_status("one is cancelled", |status| {
        status["sums"]["cancelled"] == 1 && status["sums"]["open"] == 1
    });
    let parked = house
        .run(&[
            "park",
            "--to",
            "staffing.change-census",
            "--reason",
            "later",
            "--json",
        ])
        .ends(0)
        .json();
    assert_eq!(parked, json!({ "count": 1 }));
    house.until_status("one is given up", |status| {
        status["sums"]["dead"] == 1 && status["sums"]["open"] == 0
    });
    house
        .run(&[
            "replay",
            "--to",
            "staffing.change-census",
            "--state",
            "dead",
            "--json",
        ])
        .ends(0)
        .says(&["\"selected\": 1"]);

    // What was sent is corrected by a person: another account, an edited copy.
    let (id, state) = state_at_billing(house, &format!("{ACCOUNT}2"));
    assert_eq!(state, "delivered");
    let body = house.path("edited.json");
    std::fs::write(&body, json!({ "account": format!("{ACCOUNT}9"), "visit": "VISITZQX9", "admitted_at": "2026-11-20T22:15:00-06:00", "message_id": "CTL-2" }).to_string()).unwrap();
    house.run(&["resubmit", &id, "--reason", "no body"]).ends(2);
    house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "wrong account",
        ])
        .ends(0)
        .says(&["sent as ", "follow: wardline trace "]);
    house.until_status("the copy is delivered", |_| {
        billing.entries(&format!("{ACCOUNT}9")).len() == 1
    });
    let made = house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "once more",
            "--json",
        ])
        .ends(0)
        .json();
    house.until_status("and the second", |_| {
        billing.entries(&format!("{ACCOUNT}9")).len() == 2
    });
    let traces = house
        .run(&["trace", made["delivery"].as_str().unwrap(), "--json"])
        .ends(0)
        .json();
    assert!(
        deliveries(&traces)
            .iter()
            .any(|one| one["id"] == made["delivery"] && one["replay_of"] == id.as_str()),
        "{traces:#}"
    );

    // A look at the body leaves its mark; masked it leaves none to look at.
    let seen = house
        .run(&["trace", &id, "--payloads", "--reveal", "INC-2231"])
        .ends(0);
    assert!(
        seen.out.contains(&format!("{MRN}2")) && seen.out.contains(FAMILY),
        "{}",
        seen.out
    );
    both(
        house,
        &["audit", "list"],
        0,
        &[
            "cancel",
            "counted by hand",
            "park",
            "later",
            "resubmit",
            "wrong account",
            "INC-2231",
            "user:tester",
        ],
    );
    let link = house.run(&["console"]).ends(0).out;
    assert!(
        link.contains(&format!("http://{}", server_console(house)))
            && link.contains("/login?token="),
        "{link}"
    );
    // The same decisions at rest: they hold when the server is back.
    send(3);
    house.until_status("the third is tried again at staffing", |status| {
        let all = status["overview"]["destinations"].as_array().unwrap();
        status["sums"]["open"] == 1 && all.iter().any(|one| one["retrying"] == 1)
    });
    server.stop();
    let (id, _) = state_at_billing(house, &format!("{ACCOUNT}3"));
    let cancel = [
        "cancel",
        "--flow",
        "admit-to-staffing",
        "--state",
        "retrying",
        "--reason",
        "at rest",
        "--json",
    ];
    assert_eq!(house.run(&cancel).ends(0).json(), json!({ "count": 1 }));
    assert_eq!(
        house.run(&cancel).ends(0).json(),
        json!({ "count": 0 }),
        "once only"
    );
    house
        .run(&[
            "resubmit",
            &id,
            "--body",
            text(&body),
            "--reason",
            "at rest too",
            "--json",
        ])
        .ends(0)
        .says(&["delivery"]);
    assert_eq!(
        billing.entries(&format!("{ACCOUNT}9")).len(),
        2,
        "nothing leaves without a server"
    );
    both(house, &["audit", "list"], 0, &["at rest", "at rest too"]);
    staffing.heal();
    let server = house.serve();
    house.until_status("the copy left", |status| {
        status["sums"]["open"] == 0 && billing.entries(&format!("{ACCOUNT}9")).len() == 3
    });
    house.until_status("what was cancelled stays so", |status| {
        status["sums"]["cancelled"] == 2
    });
    server.stop();
    house.run(&["audit", "verify"]).ends(0);
    discreet("the log", &house.log());
    ward.hospital.stop().await;
}

/// Where the server says that its console is.
fn server_console(house: &House) -> String {
    let said: Value =
        serde_json::from_slice(&std::fs::read(house.data().join("serve.json")).unwrap()).unwrap();
    said["console"].as_str().unwrap().to_owned()
}
