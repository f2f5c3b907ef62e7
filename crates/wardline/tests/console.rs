//! The console of the real binary in a real Chromium, before the example estate: what an
//! operator does in a bad hour, from the login link to the delivery that arrives after all.
//!
//! Without Chromium the test says how to get it and skips; where `CI` is set it fails. What
//! the pages look like and how they behave alone is tested in `wardline-console`.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "../../wardline-console/tests/browser/chromium.rs"]
mod chromium;
#[path = "peers/house.rs"]
mod house;
#[path = "peers/ward.rs"]
mod ward;

use chromium::Browser;
use house::Server;
use ward::{ACCOUNT, FAMILY, MRN, Ward, discreet, text};
use wardline_sim::Fault;

/// Sends an admission of the `n`th patient.
fn admit(ward: &Ward, server: &Server, n: usize) {
    let address = server.address("ehr.adt");
    ward.house
        .run(&["send", text(&ward.admission(n)), "--mllp", &address])
        .ends(0)
        .says(&["✓ AA"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_hour() {
    let Some(browser) = Browser::open().await else {
        return;
    };
    let ward = Ward::open().await;
    let house = &ward.house;
    let account = format!("{ACCOUNT}1");
    let server = house.serve();
    let billing = ward.hospital.patient_accounting();
    billing
        .set_fault(Fault::refusing([account.clone()]))
        .unwrap();

    // Nobody gets in without the link; with it the token is gone from the address at once.
    let link = house.run(&["console"]).ends(0).out.trim().to_owned();
    let (address, _) = link.split_once("/login?token=").expect("the link");
    browser.go(&format!("{address}/messages")).await;
    let closed = browser.text("body").await;
    assert!(
        closed.contains("Sign in") && !closed.contains("ADT"),
        "{closed}"
    );
    browser.go(&link).await;
    assert_eq!(browser.path().await, "/");

    // The overview counts by itself what arrives from now on.
    let destination = |name: &str| {
        format!(
            "[...document.querySelectorAll('#destinations tbody tr')].find(row => row.innerText.includes('{name}')).innerText"
        )
    };
    browser.script("window.notReloaded = true").await;
    let before = browser
        .script(&format!("return {}", destination("bed-board.occupy-bed")))
        .await;
    admit(&ward, &server, 1);
    admit(&ward, &server, 2);
    browser
        .until(
            "the beds count",
            &format!("{} !== {before}", destination("bed-board.occupy-bed")),
        )
        .await;
    browser
        .until("accounting is in trouble", "document.querySelector('h1').textContent.includes('held') || document.querySelector('main').innerText.includes('blocked')")
        .await;
    assert_eq!(
        browser.script("return window.notReloaded").await,
        true,
        "live, not reloaded"
    );

    // A key is found, and is in no address.
    browser.write("#search", &format!("{account}\n")).await;
    browser.arrive("/messages?s=").await;
    browser.until("one row", "document.querySelectorAll('tbody [data-row], tbody[data-row], tr[data-row]').length === 1").await;
    for address in browser.script("return performance.getEntriesByType('resource').map(e => e.name).concat(location.href)").await.as_array().unwrap() {
        assert!(!address.as_str().unwrap().contains(ACCOUNT), "{address}");
    }
    browser.click("tbody a.name").await;
    browser.arrive("/trace/").await;
    browser.until("the whole story", "document.querySelector('.timeline').innerText.includes('patient-accounting.open-account')").await;
    let source = browser.source().await;
    for word in [MRN, FAMILY, ACCOUNT] {
        assert!(
            !source.contains(word),
            "masked in the HTML, not only out of sight"
        );
    }

    // What is behind the mask is shown for a reason, and the reason is written down.
    browser.click(".reveal summary").await;
    browser.write("#reveal-reason", "INC-2231").await;
    browser.click(".reveal form button").await;
    browser
        .until("it is readable", "document.querySelector('.watermark')")
        .await;
    assert!(browser.source().await.contains(FAMILY));
    browser.click("nav a[href='/audit']").await;
    browser
        .until(
            "the look is in the audit log",
            "document.querySelector('tbody')?.innerText.includes('INC-2231')",
        )
        .await;
    assert!(browser.text("tbody").await.contains("user:tester"));

    // The fault is mended first; then the refused one is sent again, after a preview.
    billing.heal();
    browser.click("nav a[href='/dead']").await;
    browser
        .until(
            "one group",
            "document.querySelectorAll('.groups > li').length === 1",
        )
        .await;
    assert!(browser.text(".groups").await.contains("422"));
    browser
        .click(".groups > li:first-child [data-replay]")
        .await;
    browser.arrive("/plans/").await;
    assert!(browser.text("main").await.contains("nothing has been done"));
    assert!(
        billing.entries(&account).is_empty(),
        "a preview sends nothing"
    );
    browser.write("#reason", "accounting fixed its table").await;
    browser.click(".confirm form:last-child button").await;
    browser
        .until(
            "it is done",
            "document.querySelector('h1').textContent.includes('done')",
        )
        .await;
    house.until_status("it arrived", |status| {
        status["sums"]["open"] == 0
            && status["sums"]["dead"] == 0
            && billing.entries(&account).len() == 1
    });
    browser.click("nav a[href='/dead']").await;
    browser
        .until(
            "nothing is dead",
            "location.pathname === '/dead' && !document.querySelector('.groups > li')",
        )
        .await;
    browser.click("nav a[href='/audit']").await;
    browser
        .until(
            "the replay too",
            "document.querySelector('tbody')?.innerText.includes('accounting fixed its table')",
        )
        .await;

    // A page is still live: the server must not wait for it.
    browser.go(&format!("{address}/")).await;
    server.stop();
    discreet("the log", &house.log());
    browser.close().await;
    ward.hospital.stop().await;
}
