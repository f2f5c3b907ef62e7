//! The simulators against each other: a bare MLLP receiver and plain HTTP requests, no engine between.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardline_sim::{
    EhrPlan, Fault, Hospital, Mix, MllpReceiver, NullHttp, Record, Run, Sequence, SimConfig,
    Trigger,
};

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A request on a connection of its own; the whole response as text, or `None` where the connection broke.
async fn post(
    address: SocketAddr,
    path: &str,
    idempotency_key: &str,
    body: &str,
) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-type: application/json\r\nidempotency-key: {idempotency_key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    (!response.is_empty()).then_some(response)
}

fn status(response: Option<&String>) -> &str {
    response
        .and_then(|text| text.split(' ').nth(1))
        .unwrap_or("none")
}

fn close(account: &str, number: u64) -> String {
    let message = Sequence {
        run: Run::from_number(9),
        number,
    };
    format!(
        r#"{{"account":"{account}","visit":"V1","discharged_at":"2026-11-24T10:42:03-06:00","disposition":"home","message_id":"{message}"}}"#
    )
}

fn plan(target: SocketAddr) -> EhrPlan {
    EhrPlan {
        patients: Some(40),
        ack_timeout: Duration::from_secs(5),
        record: Record::Full { per_key: 100 },
        ..EhrPlan::to(target.to_string()).at_full_speed(3, 4)
    }
}

#[tokio::test]
async fn every_acknowledged_message_arrived_once_and_in_order() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let sent = hospital
        .run_ehr(plan(hospital.research().address()))
        .await
        .unwrap();
    assert_eq!(sent.patients, 40);
    assert_eq!(
        (sent.rejected, sent.errors, sent.unanswered, sent.reconnects),
        (0, 0, 0, 0)
    );
    let received = hospital.stop().await;
    let research = received.service("research").unwrap();
    assert_eq!(research.applied, sent.accepted());
    assert_eq!(research.repeated, sent.duplicates);
    assert!(research.is_orderly(), "{research:?}");
    let ledger: u64 = sent.ledger.values().map(|line| line.len() as u64).sum();
    assert_eq!(ledger, sent.accepted());
    for line in sent.ledger.values() {
        assert!(
            line.windows(2)
                .all(|pair| pair[0].sequence < pair[1].sequence)
        );
    }
    assert_eq!(sent.count(Trigger::A03), 40 + sent.count(Trigger::A13));
}

#[tokio::test]
async fn the_ehr_outlives_errors_lost_answers_and_an_outage() {
    let receiver = MllpReceiver::start(FREE, Record::Full { per_key: 100 })
        .await
        .unwrap();
    let target = receiver.service().address();
    receiver
        .service()
        .set_fault(Fault {
            lost_reply_rate: 0.1,
            ..Fault::errors(0.1)
        })
        .unwrap();
    let outage = async {
        while receiver.service().report().applied < 60 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        receiver.service().set_fault(Fault::down()).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        receiver.service().heal();
    };
    let ehr = wardline_sim::Ehr::start(plan(target)).await.unwrap();
    let (sent, ()) = tokio::join!(ehr.finish(), outage);
    let sent = sent.unwrap();
    assert!(
        sent.errors > 0 && sent.reconnects > 0 && sent.resent > 0,
        "{sent}"
    );
    let service = receiver.stop().await;
    let received = service.report();
    assert_eq!(received.applied, sent.accepted(), "{sent}\n{received:?}");
    assert!(received.is_orderly(), "{received:?}");
    assert_eq!(sent.unanswered + sent.given_up, 0);
}

#[tokio::test]
async fn a_stopped_run_reports_what_it_does_not_know() {
    let receiver = MllpReceiver::start(FREE, Record::Counts).await.unwrap();
    receiver.service().set_fault(Fault::hanging()).unwrap();
    let plan = EhrPlan {
        ack_timeout: Duration::from_millis(400),
        patients: None,
        ..plan(receiver.service().address())
    };
    let ehr = wardline_sim::Ehr::start(EhrPlan {
        window: 1,
        connections: 2,
        ..plan
    })
    .await
    .unwrap();
    while receiver.service().report().requests < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let sent = ehr.stop().await.unwrap();
    assert_eq!((sent.accepted(), sent.unanswered), (0, 2), "{sent}");
}

#[tokio::test]
async fn a_rejected_message_is_not_sent_again() {
    let receiver = MllpReceiver::start(FREE, Record::Counts).await.unwrap();
    let run = Run::from_number(77);
    // The first patient's visit is known beforehand, because the run is named.
    receiver
        .service()
        .set_fault(Fault::refusing([format!("V{run}0000001")]))
        .unwrap();
    let plan = EhrPlan {
        patients: Some(3),
        mix: Mix::plain(),
        run: Some(run),
        ..plan(receiver.service().address())
    };
    let sent = wardline_sim::Ehr::start(plan)
        .await
        .unwrap()
        .finish()
        .await
        .unwrap();
    assert_eq!((sent.rejected, sent.accepted()), (2, 4), "{sent}");
}

#[tokio::test]
async fn repeated_requests_have_one_effect_and_one_answer() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let address = hospital.patient_accounting().address();
    let first = post(address, "/accounts/A1/close", "k1", &close("A1", 1)).await;
    let second = post(address, "/accounts/A1/close", "k1", &close("A1", 1)).await;
    assert_eq!(status(first.as_ref()), "200");
    let body = |response: Option<String>| {
        response
            .unwrap()
            .split("\r\n\r\n")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    assert_eq!(body(first), body(second));
    assert_eq!(
        status(
            post(address, "/accounts/A2/close", "k1", &close("A2", 2))
                .await
                .as_ref()
        ),
        "409"
    );
    let report = hospital.patient_accounting().report();
    assert_eq!(
        (
            report.applied,
            report.repeated,
            report.operation("close-account")
        ),
        (1, 1, 1)
    );
    assert_eq!(hospital.patient_accounting().entries("A1").len(), 1);
    assert_eq!(hospital.patient_accounting().keys(), ["A1"]);
}

#[tokio::test]
async fn nonsense_is_answered_422_and_names_no_value() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let address = hospital.patient_accounting().address();
    for (path, body) in [
        ("/accounts/A1/close", "not json".to_owned()),
        ("/accounts/A1/close", "[]".to_owned()),
        ("/accounts/A1/close", close("OTHER", 1)),
        (
            "/accounts/A1/close",
            close("A1", 1).replace("home", "SENSITIVE"),
        ),
    ] {
        let response = post(address, path, "k", &body).await;
        assert_eq!(status(response.as_ref()), "422", "{body}");
        let text = response.unwrap();
        assert!(
            text.contains("application/problem+json") && !text.contains("SENSITIVE"),
            "{text}"
        );
    }
    assert_eq!(
        status(post(address, "/nowhere", "k", "{}").await.as_ref()),
        "404"
    );
    assert_eq!(
        status(
            post(address, "/accounts/A1/close", "k", &"x".repeat(100_000))
                .await
                .as_ref()
        ),
        "413"
    );
    let report = hospital.patient_accounting().report();
    assert_eq!((report.applied, report.refused), (0, 4));
}

#[tokio::test]
async fn overtaking_is_found() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let address = hospital.patient_accounting().address();
    for (key, number) in [("k1", 2), ("k2", 1)] {
        assert_eq!(
            status(
                post(address, "/accounts/A1/close", key, &close("A1", number))
                    .await
                    .as_ref()
            ),
            "200"
        );
    }
    let report = hospital.stop().await;
    assert!(!report.is_orderly());
    assert_eq!(
        report.service("patient-accounting").unwrap().violations[0].key,
        "A1"
    );
}

#[tokio::test]
async fn each_fault_is_seen_by_the_caller() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let service = hospital.patient_accounting();
    let address = service.address();
    let ask = || async move { post(address, "/accounts/A1/close", "k1", &close("A1", 1)).await };

    service.set_fault(Fault::unavailable()).unwrap();
    assert_eq!(status(ask().await.as_ref()), "503");
    service
        .set_fault(Fault::busy(Duration::from_millis(1500)))
        .unwrap();
    let busy = ask().await;
    assert_eq!(status(busy.as_ref()), "429");
    assert!(busy.unwrap().contains("retry-after: 2"));
    service.set_fault(Fault::errors(1.0)).unwrap();
    assert_eq!(status(ask().await.as_ref()), "500");
    service.set_fault(Fault::refusing(["A1"])).unwrap();
    assert_eq!(status(ask().await.as_ref()), "422");
    service.set_fault(Fault::down()).unwrap();
    assert_eq!(ask().await, None);
    assert_eq!(service.report().applied, 0);

    service.set_fault(Fault::lost_replies(1.0)).unwrap();
    assert_eq!(ask().await, None);
    service.heal();
    assert_eq!(status(ask().await.as_ref()), "200");
    let report = service.report();
    assert_eq!(
        (report.applied, report.repeated, report.lost_replies),
        (1, 1, 1)
    );
    assert!(report.reset_connections >= 1);
}

#[tokio::test]
async fn faults_are_set_over_http_even_while_refusing() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let service = hospital.bed_board();
    let answer = post(service.address(), "/_fault", "", r#"{"down":"refuse"}"#).await;
    // The fault cuts the connection that set it, if it is quicker than the answer.
    assert!(matches!(status(answer.as_ref()), "200" | "none"));
    assert_eq!(service.fault(), Fault::down());
    let admin = hospital.admin();
    assert_eq!(
        post(service.address(), "/beds/occupy", "k", "{}").await,
        None
    );
    assert_eq!(
        status(post(admin, "/bed-board/_fault", "", "{}").await.as_ref()),
        "200"
    );
    assert_eq!(
        status(
            post(service.address(), "/beds/occupy", "k", "{}")
                .await
                .as_ref()
        ),
        "422"
    );
    assert_eq!(
        status(
            post(admin, "/bed-board/_fault", "", r#"{"error_rate":7}"#)
                .await
                .as_ref()
        ),
        "422"
    );
    assert_eq!(
        status(
            post(admin, "/bed-board/_fault", "", r#"{"eror_rate":0.5}"#)
                .await
                .as_ref()
        ),
        "422"
    );
}

#[tokio::test]
async fn stop_frees_the_ports_and_ends_hanging_requests() {
    let hospital = Hospital::start(SimConfig::for_tests()).await.unwrap();
    let service = hospital.staffing().clone();
    service.set_fault(Fault::hanging()).unwrap();
    let hanging =
        tokio::spawn(async move { post(service.address(), "/census-changes", "k", "{}").await });
    while hospital.staffing().report().requests == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let address = hospital.staffing().address();
    hospital.stop().await;
    assert_eq!(hanging.await.unwrap(), None);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind(FREE).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = SimConfig {
        ports: wardline_sim::Ports::From(port),
        ..SimConfig::default()
    };
    let error = Hospital::start(config).await.unwrap_err();
    // One of the neighbours may be taken too, and is then named first.
    let wardline_sim::SimError::Bind { address, .. } = &error else {
        panic!("{error}")
    };
    assert!(address.port() >= port, "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn null_receivers_count() {
    let http = NullHttp::start(FREE).await.unwrap();
    assert_eq!(
        status(
            post(http.address(), "/any/path", "k", "body")
                .await
                .as_ref()
        ),
        "200"
    );
    assert_eq!(http.stop().await, 1);
    let receiver = MllpReceiver::start(FREE, Record::Totals).await.unwrap();
    let sent = wardline_sim::Ehr::start(plan(receiver.service().address()))
        .await
        .unwrap()
        .finish()
        .await
        .unwrap();
    let report = receiver.stop().await.report();
    assert_eq!(
        (report.applied, report.keys),
        (sent.accepted() + sent.duplicates, 0)
    );
}

#[tokio::test]
async fn finished_cleans_are_reported_and_cancelled_ones_are_not() {
    let inbox = NullHttp::start(FREE).await.unwrap();
    let reports = wardline_sim::CleanReports {
        url: inbox.url(),
        after: Duration::from_millis(200),
        token: None,
    };
    let config = SimConfig {
        clean_reports: Some(reports),
        ..SimConfig::for_tests()
    };
    let hospital = Hospital::start(config).await.unwrap();
    let address = hospital.housekeeping().address();
    for (bed, key) in [("NORTH-4W-101-A", "k1"), ("NORTH-4W-102-A", "k2")] {
        let body = format!(
            r#"{{"bed":"{bed}","reason":"discharge","kind":"standard","requested_at":"2026-11-24T10:42:03-06:00","message_id":"m"}}"#
        );
        assert_eq!(
            status(post(address, "/clean-requests", key, &body).await.as_ref()),
            "200"
        );
    }
    let cancel = r#"{"bed":"NORTH-4W-101-A","message_id":"m"}"#;
    assert_eq!(
        status(
            post(address, "/clean-requests/cancel", "k3", cancel)
                .await
                .as_ref()
        ),
        "200"
    );
    while inbox.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while hospital.report().cleaning.unwrap().reported == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cleaning = hospital.stop().await.cleaning.unwrap();
    assert_eq!(
        (cleaning.begun, cleaning.cancelled, cleaning.reported),
        (2, 1, 1)
    );
    assert_eq!(inbox.stop().await, 1);
}
