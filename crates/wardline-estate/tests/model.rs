//! What a loaded estate says: values where the file gave them, defaults where it did not, and who
//! decided.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;
use wardline_core::{Lane, Sensitivity};
use wardline_estate::*;

fn good() -> Estate {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/a-good-estate/estate");
    let loaded = load(&directory, &LoadOptions::default());
    assert!(
        loaded.diagnostics.is_empty(),
        "{}",
        loaded.diagnostics.render(&loaded.sources, false)
    );
    loaded.estate.unwrap()
}

#[test]
fn connections_have_their_values_and_defaults() {
    let estate = good();
    let (system, adt) = estate.connection("ehr.adt").unwrap();
    assert_eq!(system.facility.as_deref(), Some("north"));
    assert_eq!(
        (adt.facility.as_deref(), adt.sensitivity),
        (Some("north"), Sensitivity::Phi)
    );
    let ConnectionKind::MllpListen(mllp) = &adt.kind else {
        panic!("{:?}", adt.kind)
    };
    assert_eq!(mllp.bind.port(), 2575);
    assert_eq!(mllp.ack.mode, AckMode::Enhanced);
    assert_eq!(
        (mllp.max_size, mllp.idle_timeout),
        (32 << 20, Duration::from_mins(90))
    );
    assert_eq!(mllp.max_connections, 256);
    assert!(mllp.allow[0].contains("10.1.2.3".parse().unwrap()));
    assert!(mllp.allow[0].contains("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!mllp.allow[0].contains("10.2.2.3".parse().unwrap()));
    assert_eq!(adt.duplicate.as_ref().unwrap().by.len(), 3);

    let (_, orders) = estate.connection("ehr.orders").unwrap();
    assert!(matches!(&orders.kind, ConnectionKind::MllpConnect(orders) if !orders.reuse));

    let (_, api) = estate.connection("billing.api").unwrap();
    let ConnectionKind::HttpOut(http) = &api.kind else {
        panic!("{:?}", api.kind)
    };
    assert!(matches!(&http.auth, Auth::Basic(secret) if secret.name() == "billing/login"));
    assert!(
        matches!(&http.headers[..], [(_, HeaderValue::Plain(site)), (_, HeaderValue::Secret(_))] if site.value == "north")
    );
    assert_eq!(
        (http.timeout, http.connect_timeout),
        (Duration::from_secs(10), Duration::from_secs(5))
    );
    let (_, operation) = estate.operation("billing.close-account").unwrap();
    assert_eq!(operation.kind.parameters(), ["account_number"]);
    assert_eq!(
        estate
            .sources
            .text(operation.request.as_ref().unwrap().file),
        ". = { \"account\": .account_number }\n"
    );
}

/// Target, flow, system, facility, top, built in: key by key.
#[test]
fn the_nearest_declaration_wins_and_is_named() {
    let estate = good();
    let target = &estate.flows["discharge-to-billing"].to[0];
    assert_eq!(
        target.retry.first,
        Duration::from_secs(1),
        "said by the target"
    );
    assert_eq!(
        target.retry.attempts, 9,
        "said by the defaults of the system"
    );
    assert_eq!(
        target.retry.jitter,
        Jitter::None,
        "said at the top of the defaults"
    );
    assert_eq!(target.lane, Lane::Realtime, "said by the target");
    assert_eq!(
        estate.flows["closed"].lane,
        Lane::Bulk,
        "said at the top of the defaults"
    );
    assert_eq!(target.on_exhausted, Exhausted::Park);
    assert_eq!(
        target.runbook.as_deref(),
        Some(Path::new("runbooks/billing-down.md")),
        "said by the flow"
    );
    let (_, api) = estate.connection("billing.api").unwrap();
    assert_eq!(
        api.limits,
        Limits {
            rate: Some(10.0),
            burst: 10,
            concurrent: 2
        }
    );
    let (_, adt) = estate.connection("ehr.adt").unwrap();
    let ConnectionKind::MllpListen(mllp) = &adt.kind else {
        panic!("{:?}", adt.kind)
    };
    assert!(
        matches!(&mllp.charset, Charset::Fixed(label) if label != "auto"),
        "said by the defaults of the facility"
    );

    let explained = estate
        .origins
        .explain("flows.discharge-to-billing.to[0].retry", &estate.sources);
    assert_eq!(
        explained,
        "flows.discharge-to-billing.to[0].retry.attempts = 9  (defaults.yaml:5:33)\n\
         flows.discharge-to-billing.to[0].retry.factor = 2  (flows/encounters.yaml:17:33)\n\
         flows.discharge-to-billing.to[0].retry.first = 1s  (flows/encounters.yaml:17:21)\n\
         flows.discharge-to-billing.to[0].retry.jitter = none  (defaults.yaml:1:29)\n\
         flows.discharge-to-billing.to[0].retry.max = 5m  (flows/encounters.yaml:17:41)\n\
         flows.discharge-to-billing.to[0].retry.max_age = 7d  (flows/encounters.yaml:17:54)\n"
    );
    assert_eq!(
        estate
            .origins
            .get("systems.ehr.orders.limits.concurrent")
            .unwrap()
            .origin,
        Origin::BuiltIn
    );
}

#[test]
fn flows_are_found_by_what_they_hear() {
    let estate = good();
    let names = |flows: Vec<&Flow>| {
        flows
            .into_iter()
            .map(|flow| flow.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(estate.flows_from("ehr.adt").collect()), ["discharge"]);
    assert_eq!(
        names(estate.flows_on("encounter.closed").collect()),
        ["closed"]
    );
    let discharge = &estate.flows["discharge"];
    assert_eq!(discharge.map.len(), 2);
    assert!(matches!(&discharge.validate, Validate::Entity(entity) if entity.value == "encounter"));
    assert!(matches!(
        estate.flows["billing-events"].validate,
        Validate::Nothing
    ));
    let Source::Schedule(nightly) = &estate.flows["nightly"].source else {
        panic!()
    };
    assert_eq!(
        (nightly.cron.as_str(), nightly.time_zone.as_str()),
        ("0 2 * * 1-5", "Europe/Berlin")
    );
    let kind = &estate.flows["discharge-to-billing"].to[0].kind;
    assert_eq!(
        (kind.reference(), kind.connection()),
        ("billing.close-account".into(), "billing.api".into())
    );
}

#[test]
fn codes_entities_and_tests_are_read() {
    let estate = good();
    let table = &estate.codes["disposition"];
    assert_eq!(
        table.entries[0].description.as_deref(),
        Some("Discharged, to home")
    );
    assert_eq!(
        (table.entries[1].to.as_str(), &table.entries[1].description),
        ("skilled-nursing", &None)
    );
    assert_eq!(table.otherwise, Otherwise::Value("unknown".into()));
    let encounter = &estate.entities["encounter"];
    assert_eq!(encounter.sensitivity["patient.mrn"], Sensitivity::Phi);
    assert_eq!(
        encounter.schema["properties"]["account_number"]["type"],
        "string"
    );
    let TestKind::Arrival {
        given: Given::Message { content, into, .. },
        ..
    } = &estate.tests[0].kind
    else {
        panic!()
    };
    assert!(content.0.starts_with(b"MSH|") && into.value == "ehr.adt");
    assert!(
        !format!("{content:?}").contains("MSH"),
        "fixtures are not shown by accident"
    );
    let TestKind::Arrival { expect, .. } = &estate.tests[1].kind else {
        panic!()
    };
    assert_eq!(expect.events.as_ref().map(Vec::len), Some(0));
}

#[test]
fn examples_are_without_problems() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let Ok(entries) = fs::read_dir(&examples) else {
        panic!("{} is missing", examples.display())
    };
    for entry in entries {
        let loaded = load(&entry.unwrap().path(), &LoadOptions::default());
        assert!(
            loaded.diagnostics.is_empty(),
            "{}",
            loaded.diagnostics.render(&loaded.sources, false)
        );
    }
}
