//! The console in a real Chromium: it moves by itself, keeps keys out of addresses, reveals
//! and replays only with a reason, and is readable in the dark, on a telephone and by a
//! screen reader. Screenshots go to `target/screenshots/`.
//!
//! Without Chromium the tests say how to get it and skip; under `CI=true` they fail.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

mod chromium;
#[path = "../fake/mod.rs"]
mod fake;
mod stage;

use chromium::PATIENCE;
use fake::processes::{BANK, VARIANCE};
use fake::{KEY, PATIENT};
use fantoccini::Locator;
use serde_json::{Value, json};
use stage::{Stage, axe_source};

#[tokio::test]
async fn the_dashboard_moves_by_itself_and_says_when_it_does_not() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    assert!(
        stage
            .text("h1")
            .await
            .contains("patient-accounting is down")
    );
    stage.script("window.notReloaded = true; window.firstRow = document.querySelector('#destinations tbody tr')").await;
    let before = stage.text("#tiles .tile .note").await;
    stage
        .until(
            "the count of accepted messages moves",
            &format!(
                "document.querySelector('#tiles .tile .note').textContent !== {}",
                json!(before)
            ),
        )
        .await;
    stage
        .until(
            "the page says that it is live",
            "document.querySelector('#live-state .word').textContent === 'Live'",
        )
        .await;
    // Focus, nodes and scroll survive an update: what moves is only what changed.
    stage
        .script("document.querySelector('#destinations tbody a.name').focus()")
        .await;
    let now = stage.text("#tiles .tile .note").await;
    stage
        .until(
            "it moves again",
            &format!(
                "document.querySelector('#tiles .tile .note').textContent !== {}",
                json!(now)
            ),
        )
        .await;
    let kept = stage.script("return window.notReloaded && document.activeElement.matches('#destinations a.name') && document.contains(window.firstRow)").await;
    assert_eq!(kept, Value::Bool(true), "no reload, focus kept, node kept");
    stage.picture("overview-light").await;

    stage.click("#live-state").await;
    assert_eq!(stage.text("#live-state .word").await, "Paused");
    let still = stage.text("#tiles .tile .note").await;
    stage.click("#live-state").await;
    stage
        .until(
            "it goes on after the pause",
            &format!(
                "document.querySelector('#tiles .tile .note').textContent !== {}",
                json!(still)
            ),
        )
        .await;

    stage
        .hospital
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    stage
        .until(
            "old numbers are greyed",
            "document.querySelector('main.stale')",
        )
        .await;
    stage
        .hospital
        .down
        .store(false, std::sync::atomic::Ordering::SeqCst);
    stage
        .until("and come back", "!document.querySelector('main.stale')")
        .await;
    stage.close().await;
}

#[tokio::test]
async fn a_key_is_found_traced_and_revealed_without_leaving_a_trail() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    // By keyboard, as somebody does who does it all day.
    stage
        .client
        .find(Locator::Css("body"))
        .await
        .unwrap()
        .send_keys("/")
        .await
        .unwrap();
    stage
        .until(
            "the slash key opens the search",
            "document.activeElement.id === 'search'",
        )
        .await;
    stage.write("#search", &format!("{KEY}\n")).await;
    stage
        .until(
            "the list is shown",
            "location.pathname === '/messages' && document.querySelector('[data-row]')",
        )
        .await;
    let path = stage.path().await;
    assert!(
        path.starts_with("/messages?s=") && !path.contains(KEY),
        "{path}"
    );
    let page = stage.source().await;
    assert!(!page.contains(KEY), "the page of the search holds no key");

    stage
        .client
        .find(Locator::Css("body"))
        .await
        .unwrap()
        .send_keys("j")
        .await
        .unwrap();
    stage
        .until(
            "j is on the first row",
            "document.activeElement.matches('[data-at] a.name')",
        )
        .await;
    stage
        .client
        .active_element()
        .await
        .unwrap()
        .send_keys("\u{e007}")
        .await
        .unwrap();
    stage
        .until(
            "enter opens the trace",
            "location.pathname.startsWith('/trace/')",
        )
        .await;
    assert_eq!(
        stage
            .script("return document.querySelectorAll('.timeline [data-row]').length")
            .await,
        json!(6)
    );
    assert!(stage.text(".timeline").await.contains("4 failed attempts"));
    assert!(
        !stage.source().await.contains(PATIENT),
        "masked in the HTML, not only out of sight"
    );
    stage.picture("trace-light").await;

    stage.click(".reveal summary").await;
    stage.write("#reveal-reason", "INC-2231").await;
    stage.click(".reveal form button").await;
    stage
        .until(
            "the payload is readable",
            "document.querySelector('.watermark')",
        )
        .await;
    assert!(stage.text(".hl7").await.contains(PATIENT));
    assert!(stage.text(".watermark").await.contains("INC-2231"));
    assert!(
        stage
            .hospital
            .acts()
            .contains(&("reveal".into(), "HOPERAT: INC-2231".into()))
    );
    assert!(!stage.client.title().await.unwrap().contains(PATIENT));
    // The timeline refreshes under it; what is being read stays.
    let beat = stage
        .script("return performance.getEntriesByType('resource').length")
        .await;
    stage
        .until(
            "the timeline was asked for again",
            &format!("performance.getEntriesByType('resource').length > {beat}"),
        )
        .await;
    assert!(stage.text(".hl7").await.contains(PATIENT));
    stage.close().await;
}

#[tokio::test]
async fn dead_letters_are_replayed_after_a_preview() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    stage.click("nav a[href='/dead']").await;
    stage
        .until(
            "two groups",
            "document.querySelectorAll('.groups > li').length === 2",
        )
        .await;
    stage.picture("dead-light").await;
    stage.click(".groups > li:first-child [data-replay]").await;
    stage
        .until("the preview", "location.pathname.startsWith('/plans/')")
        .await;
    assert_eq!(stage.text("h1").await, "Replay 60 deliveries?");
    assert!(stage.text("main").await.contains("nothing has been done"));
    stage.picture("replay-preview-light").await;
    // The browser itself refuses without a reason: the form has to be filled in.
    stage.write("#count", "60").await;
    stage.click(".confirm form:last-child button").await;
    assert_eq!(stage.text("h1").await, "Replay 60 deliveries?");
    stage.write("#reason", "room table fixed").await;
    stage.click(".confirm form:last-child button").await;
    stage
        .until(
            "the outcome",
            "document.querySelector('h1').textContent === 'Replay: done'",
        )
        .await;
    assert!(stage.text("main").await.contains("60 new deliveries"));
    assert!(
        stage
            .hospital
            .acts()
            .contains(&("replay".into(), "room table fixed".into()))
    );
    stage.click("main a[href='/dead']").await;
    stage
        .until(
            "one group left",
            "document.querySelectorAll('.groups > li').length === 1",
        )
        .await;
    stage.click("nav a[href='/audit']").await;
    stage
        .until(
            "the audit log names it",
            "document.querySelector('tbody').textContent.includes('room table fixed')",
        )
        .await;
    stage.close().await;
}

#[tokio::test]
async fn a_question_is_answered_by_keyboard_and_buttons() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    stage.click("nav a[href='/tasks']").await;
    stage
        .until(
            "the late question first",
            "document.querySelector('tbody tr .name')?.textContent.includes('88-1')",
        )
        .await;
    let body = stage.client.find(Locator::Css("body")).await.unwrap();
    body.send_keys("j").await.unwrap();
    let row = stage.client.active_element().await.unwrap();
    row.send_keys("\u{e007}").await.unwrap();
    stage
        .until("the question", "location.pathname.startsWith('/tasks/')")
        .await;
    assert!(stage.text(".task").await.contains(VARIANCE));
    // Enter in a field is no answer, whatever button comes first.
    stage.write("#field-cost_centre", "4711\n").await;
    assert!(stage.text("h1").await.contains("88-1"));
    assert!(
        stage.hospital.orders.lock().tasks[0].choice.is_none(),
        "nobody pressed a button"
    );
    stage.write("#note", "agreed with the buyer").await;
    stage.click(".choices [value='approve']").await;
    stage
        .until(
            "the answer",
            "document.querySelector('#live-head .chip')?.textContent.includes('approve')",
        )
        .await;
    assert!(stage.hospital.acts().contains(&(
        "task.answer".into(),
        "agreed with the buyer cost_centre=4711".into()
    )));
    stage.close().await;
}

#[tokio::test]
async fn a_stuck_instance_is_retried_after_a_preview() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    stage.click("nav a[href='/processes']").await;
    stage.click("a.held-text").await;
    stage.arrive("/processes/procure-to-pay").await;
    stage.click("tbody a.name").await;
    stage.arrive("/instances/").await;
    assert!(stage.text("#live-head").await.contains("503"));
    assert!(!stage.source().await.contains(BANK));
    stage.click(".reveal summary").await;
    stage.write("#reveal-reason", "INC-2231").await;
    stage.click(".reveal form button").await;
    stage
        .until("the variables", "document.querySelector('.watermark')")
        .await;
    // What happens is refreshed; what is being read stays.
    let beat = stage
        .script("return performance.getEntriesByType('resource').length")
        .await;
    stage
        .until(
            "the page was asked for again",
            &format!("performance.getEntriesByType('resource').length > {beat}"),
        )
        .await;
    assert!(stage.text("#variables").await.contains(BANK));
    // The summary is where the focus was; the key works from the page.
    let body = stage.client.find(Locator::Css("body")).await.unwrap();
    body.send_keys("r").await.unwrap();
    stage.arrive("/intents/").await;
    assert_eq!(stage.text("h1").await, "Retry what failed?");
    stage.picture("intent-light").await;
    stage.write("#reason", "the network is back").await;
    stage.click(".confirm button").await;
    stage
        .until(
            "the outcome",
            "document.querySelector('h1').textContent === 'Retry: done'",
        )
        .await;
    stage.click("main a.primary").await;
    stage
        .until(
            "it runs",
            "document.querySelector('#live-head .chip')?.textContent.includes('running')",
        )
        .await;
    assert!(
        stage
            .hospital
            .acts()
            .contains(&("process.retry".into(), "the network is back".into()))
    );
    stage.close().await;
}

#[tokio::test]
async fn every_page_is_accessible_in_light_dark_and_narrow() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    if axe_source().is_none() {
        println!(
            "axe-core is not installed (`cargo xtask test` installs it): only reflow and colours are checked"
        );
    }
    let root = stage.hospital.known();
    let held = stage
        .hospital
        .every()
        .into_iter()
        .find(|d| d.state == wardline_core::DeliveryState::Held)
        .unwrap();
    let (stuck, task) = {
        let orders = stage.hospital.orders.lock();
        (orders.instances[1].instance.id, orders.tasks[0].id)
    };
    let pages = [
        ("overview", "/".to_owned()),
        ("processes", "/processes".into()),
        ("process", "/processes/procure-to-pay".into()),
        ("instance", format!("/instances/{stuck}")),
        ("tasks", "/tasks".into()),
        ("task", format!("/tasks/{task}")),
        ("transactions", "/transactions".into()),
        ("boards", "/boards".into()),
        ("messages", "/messages".into()),
        ("trace", format!("/trace/{root}")),
        ("hop", format!("/trace/{root}?hop={}&part=body", held.id)),
        (
            "changes",
            format!("/trace/{root}?hop={}&part=changes", held.id),
        ),
        ("dead", "/dead".into()),
        (
            "group",
            "/dead/v1%3A9f2ac418?destination=patient-accounting.close-account".into(),
        ),
        (
            "destination",
            "/destinations/patient-accounting.close-account".into(),
        ),
        ("resubmit", format!("/resubmit/{}", held.id)),
        ("audit", "/audit".into()),
        ("login", "/login".into()),
    ];
    let mut wrong = Vec::new();
    for (name, path) in &pages {
        for scheme in ["light", "dark"] {
            stage.scheme(scheme).await;
            stage.size(1280, 900).await;
            stage.visit(path).await;
            let ground = stage
                .script("return getComputedStyle(document.body).backgroundColor")
                .await;
            let expected = if scheme == "dark" {
                "rgb(14, 17, 22)"
            } else {
                "rgb(255, 255, 255)"
            };
            assert_eq!(ground, json!(expected), "{name} in {scheme}");
            wrong.extend(
                stage
                    .axe()
                    .await
                    .unwrap_or_default()
                    .into_iter()
                    .map(|line| format!("{name} {scheme}: {line}")),
            );
            stage.picture(&format!("{name}-{scheme}")).await;
        }
        for width in [1024, 800, 320] {
            stage.size(width, 800).await;
            let over = stage.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
            if over.as_i64() != Some(0) {
                wrong.push(format!("{name}: {over} px too wide at {width} px"));
            }
        }
        stage.picture(&format!("{name}-narrow")).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The sign-in page answers 401, which the browser logs as a failed load.
    let complaints = stage.complaints().await;
    assert!(
        complaints.iter().all(|line| line["message"]
            .as_str()
            .is_some_and(|text| text.contains("/login"))),
        "{complaints:#?}"
    );
    stage.close().await;
}

#[tokio::test]
async fn everything_works_without_scripts() {
    let Some(stage) = Stage::open().await else {
        return;
    };
    stage
        .devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": true }),
        )
        .await;
    stage.visit("/").await;
    assert!(
        stage
            .client
            .find(Locator::Css("#zone"))
            .await
            .unwrap()
            .attr("hidden")
            .await
            .unwrap()
            .is_some(),
        "no button that would do nothing"
    );
    stage.write("#search", &format!("{KEY}\n")).await;
    stage.arrive("/messages?s=").await;
    stage.click("tbody a.name").await;
    stage.arrive("/trace/").await;
    stage.click(".reveal summary").await;
    stage.write("#reveal-reason", "no scripts here").await;
    stage.click(".reveal form button").await;
    stage
        .client
        .wait()
        .at_most(PATIENCE)
        .for_element(Locator::Css(".watermark"))
        .await
        .unwrap();
    stage.click("nav a[href='/dead']").await;
    stage.arrive("/dead").await;
    stage.click(".groups > li:last-child [data-replay]").await;
    stage.arrive("/plans/").await;
    stage.write("#reason", "billing is back").await;
    stage.click(".confirm form:last-child button").await;
    stage
        .client
        .wait()
        .at_most(PATIENCE)
        .for_element(Locator::XPath("//h1[text()='Replay: done']"))
        .await
        .unwrap();
    assert!(
        stage
            .hospital
            .acts()
            .contains(&("replay".into(), "billing is back".into()))
    );
    stage
        .devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": false }),
        )
        .await;
    stage.close().await;
}
