//! What happens when others are not well.

use crate::http_receiver::{Call, Receiver};
use crate::logs;
use crate::sender::adt;
use crate::stage::{SOON, Stage, system, until};
use std::net::SocketAddr;
use std::time::Duration;
use wardline_core::{Clock as _, DeliveryState, RealClock};
use wardline_engine::view::Selection;

/// A port on which nobody listens for now.
async fn free_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_stops_one_destination_and_is_told_once() {
    let beds = Receiver::start().await;
    let address = free_port().await;
    let (a, b) = (
        system(
            "lonely-billing",
            &format!("http://{address}"),
            "breaker: { open_after: 3, within: 30s, probe_every: 20ms }\nlimits: { concurrent: 4 }",
            &["open"],
        ),
        system("beds", &beds.url(), "", &["take"]),
    );
    let flow = format!(
        "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n{SOON}\n\
         to: [{{ call: lonely-billing.open }}, {{ call: beds.take }}]\n"
    );
    let stage = Stage::start(&[(&*a.0, a.1), (&*b.0, b.1), ("flows/1.yaml", flow)]).await;
    let mut sender = stage.sender().await;
    for n in 0..40 {
        sender
            .tell(&adt("A01", &format!("M{n:02}"), &format!("V{}", n % 4)))
            .await;
    }
    // The neighbour has everything although this one has nothing.
    until("the other destination has all", async || {
        beds.done().len() == 40
    })
    .await;
    let down = async || {
        let overview = stage.desk().overview().await.unwrap();
        overview
            .destinations
            .into_iter()
            .find(|d| d.name == "lonely-billing.open" && d.state == "down")
    };
    until("the outage is known", async || down().await.is_some()).await;
    let view = down().await.unwrap();
    assert!(
        view.waiting + view.retrying == 40 && view.reason.starts_with("down: "),
        "{view:?}"
    );
    let overview = stage.desk().overview().await.unwrap();
    assert!(
        !overview.well && overview.headline.contains("lonely-billing.open"),
        "{}",
        overview.headline
    );
    let waiting = stage.to("lonely-billing.open").await;
    let pending = waiting
        .iter()
        .find(|delivery| delivery.state == DeliveryState::Pending)
        .unwrap();
    assert!(
        pending
            .reason
            .starts_with("lonely-billing.api is down since"),
        "{}",
        pending.reason
    );
    // Several probes later it is still one outage.
    let probes = async || stage.desk().balance().await.unwrap().failed_attempts;
    let before = probes().await;
    until("probes were made", async || probes().await >= before + 5).await;

    let billing = Receiver::start_at(address).await;
    stage.settled().await;
    let done = billing.done();
    assert_eq!(done.len(), 40);
    for visit in ["V0", "V1", "V2", "V3"] {
        let ids: Vec<&str> = done
            .iter()
            .filter(|call| call.body["visit"] == visit)
            .map(Call::id)
            .collect();
        assert!(ids.is_sorted(), "{visit}: {ids:?}");
    }
    assert_eq!(
        logs::with(&["lonely-billing.api", "down: sending stops"]).len(),
        1
    );
    assert_eq!(logs::with(&["lonely-billing.api", "works again"]).len(), 1);
    assert!(stage.desk().overview().await.unwrap().well);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_raised_once_and_taken_back_once() {
    let desk = Receiver::start().await;
    let address = free_port().await;
    let (a, b) = (
        system(
            "lonely-alerted",
            &format!("http://{address}"),
            "breaker: { open_after: 2, within: 30s, probe_every: 20ms }",
            &["open"],
        ),
        system("helpdesk", &desk.url(), "", &["take"]),
    );
    let flows = format!(
        "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n{SOON}\n\
         to: [{{ call: lonely-alerted.open }}]\n---\n\
         flow: alerts\nowner: x\nfrom: {{ alert: [down, dead], after: 500ms }}\nkey: .id\n\
         to: [{{ call: helpdesk.take }}]\n"
    );
    let mut stage = Stage::start(&[(&*a.0, a.1), (&*b.0, b.1), ("flows/1.yaml", flows)]).await;
    let mut sender = stage.sender().await;
    for n in 0..4 {
        let message = adt("A01", &format!("M{n:02}"), &format!("V{n}"));
        sender.tell(&message).await;
    }
    until("it is raised", async || !desk.done().is_empty()).await;
    let raised = desk.done().remove(0).body;
    assert_eq!(raised["state"], "raised");
    assert_eq!(raised["alert"], "down");
    assert_eq!(raised["system"], "lonely-alerted");
    assert_eq!(raised["waiting"], 4);
    assert_eq!(raised["destinations"][0], "lonely-alerted.open");
    assert!(raised["reason"].as_str().unwrap().starts_with("down: "));
    // It is the same alert after a restart.
    stage.stop(Duration::from_secs(5)).await;
    stage.go_on().await;
    let billing = Receiver::start_at(address).await;
    until("it is taken back", async || desk.done().len() > 1).await;
    let cleared = desk.done().remove(1).body;
    assert_eq!(cleared["state"], "cleared");
    assert_eq!(cleared["id"], raised["id"]);
    assert_eq!(billing.done().len(), 4);
    stage.settled().await;
    assert_eq!(desk.done().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_key_stops_no_other() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.body["visit"] == "V0" {
            (500, None, "")
        } else {
            (200, None, "")
        }
    });
    let (path, text) = system(
        "billing",
        &billing.url(),
        "breaker: { open_after: 0 }",
        &["open"],
    );
    let flow = format!(
        "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n{SOON}\nto: [{{ call: billing.open }}]\n"
    );
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flow)]).await;
    let mut sender = stage.sender().await;
    for n in 0..50 {
        sender
            .tell(&adt("A01", &format!("M{n:02}"), &format!("V{}", n % 5)))
            .await;
    }
    until("the other keys are done", async || {
        billing.done().len() == 40
    })
    .await;
    until("the key was tried again", async || {
        billing
            .calls()
            .iter()
            .filter(|call| call.status == 500)
            .count()
            > 3
    })
    .await;
    assert!(
        billing
            .calls()
            .iter()
            .all(|call| call.status == 200 || call.id() == "M00"),
        "only its head is tried"
    );
    let open = async || {
        let mut rows = stage.to("billing.open").await;
        rows.retain(|row| row.state.is_open());
        rows
    };
    until("the others are settled", async || open().await.len() == 10).await;
    let head = open().await.remove(0);
    assert!(head.reason.starts_with("failed "), "{}", head.reason);
    billing.answers(|_| (200, None, ""));
    stage.settled().await;
    let ids: Vec<String> = billing
        .done()
        .iter()
        .filter(|call| call.body["visit"] == "V0")
        .map(|call| call.id().to_owned())
        .collect();
    assert!(ids.is_sorted() && ids.len() == 10, "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured() {
    let billing = Receiver::start().await;
    billing.answers(|_| (429, Some(3_600), ""));
    let (path, text) = system("billing", &billing.url(), "", &["open"]);
    let flow = format!(
        "flow: admit\nowner: x\nfrom: ehr.adt\nmap: maps/visit.vrl\n{SOON}\nto: [{{ call: billing.open }}]\n"
    );
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flow)]).await;
    let before = RealClock.now();
    stage.sender().await.tell(&adt("A01", "M1", "V1")).await;
    until("it was refused", async || {
        stage.to("billing.open").await[0].state == DeliveryState::Retrying
    })
    .await;
    let delivery = &stage.to("billing.open").await[0];
    assert!(
        delivery.next.unwrap().since(before) >= Duration::from_hours(1),
        "{delivery:?}"
    );
    assert_eq!(
        (delivery.status.as_deref(), delivery.attempts),
        (Some("429"), 1)
    );
    // A person knows better.
    billing.answers(|_| (200, None, ""));
    let select = Selection {
        deliveries: vec![delivery.id],
        ..Selection::default()
    };
    assert_eq!(
        stage
            .desk()
            .release(&select, "they said so on the phone", "dana")
            .await
            .unwrap(),
        1
    );
    stage.settled().await;
    assert_eq!(billing.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end_and_the_key_is_held_or_parked() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.id() == "M1" {
            (500, None, "")
        } else {
            (200, None, "")
        }
    });
    let (path, text) = system(
        "billing",
        &billing.url(),
        "breaker: { open_after: 0 }",
        &["open", "note"],
    );
    let flow = "flow: admit\nowner: x\nfrom: ehr.adt\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\n\
                retry: { first: 1ms, factor: 1, max: 1ms, attempts: 3, jitter: none }\n\
                to: [{ call: billing.open, key: '\"open/\" + (string(.visit) ?? \"\")', on_exhausted: hold }, { call: billing.note, on_exhausted: park }]\n";
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flow.to_owned())]).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    sender.tell(&adt("A01", "M2", "V1")).await;
    let state = async |destination: &str| {
        stage
            .to(destination)
            .await
            .iter()
            .map(|d| d.state)
            .collect::<Vec<_>>()
    };
    until("one is held", async || {
        state("billing.open").await == [DeliveryState::Held, DeliveryState::Pending]
    })
    .await;
    until("one is parked", async || {
        state("billing.note").await == [DeliveryState::Dead, DeliveryState::Delivered]
    })
    .await;
    let calls = billing.calls();
    let tries = |path: &str| {
        calls
            .iter()
            .filter(|call| call.path == path && call.id() == "M1")
            .count()
    };
    assert_eq!((tries("/open"), tries("/note")), (3, 3));
    let groups = stage.desk().dead().await.unwrap();
    assert_eq!(
        groups
            .iter()
            .map(|group| (group.dead, group.held))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_shared_by_all_flows_and_the_rate_is_kept() {
    let billing = Receiver::start().await;
    billing.takes(Duration::from_millis(3));
    let settings = "limits: { rate: 100/s, burst: 1, concurrent: 1 }";
    let (path, text) = system("billing", &billing.url(), settings, &["open", "note"]);
    let flows = "flow: one\nowner: x\nfrom: ehr.adt\nmap: maps/visit.vrl\nto: [{ call: billing.open }]\n---\n\
                 flow: two\nowner: x\nfrom: ehr.adt\nmap: maps/visit.vrl\nto: [{ call: billing.note }]\n";
    let stage = Stage::start(&[(&*path, text), ("flows/1.yaml", flows.to_owned())]).await;
    let mut sender = stage.sender().await;
    for n in 0..15 {
        sender
            .tell(&adt("A01", &format!("M{n}"), &format!("V{n}")))
            .await;
    }
    stage.settled().await;
    let calls = billing.calls();
    assert_eq!(calls.len(), 30);
    assert_eq!(billing.busiest(), 1);
    // Thirty sends at a hundred a second, one at a time, take 290 ms; a slow machine takes longer.
    let took = calls[29].at.duration_since(calls[0].at);
    assert!(took >= Duration::from_millis(270), "{took:?}");
}
