//! A headless Chromium that waits for what a page must show. The tests of the console and of the
//! whole program share it (by path: it is no more than this file).

use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a page may take to show what it must; only waited for in full when it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
}

impl Browser {
    /// `None` where there is no browser and that is allowed.
    pub(crate) async fn open() -> Option<Self> {
        let Some((driver, port)) = start_driver().await else {
            assert!(
                std::env::var_os("CI").is_none(),
                "no chromium and chromedriver: `cargo xtask test` installs them (Debian: chromium, chromium-driver)"
            );
            println!("skipped: no chromium and chromedriver; `cargo xtask test` installs them");
            return None;
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let options = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments }
        });
        // The driver is on this machine and speaks plain HTTP.
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, driver })
    }

    pub(crate) async fn close(mut self) {
        self.client.close().await.unwrap();
        self.driver.kill().await.unwrap();
    }

    pub(crate) async fn go(&self, address: &str) {
        self.client.goto(address).await.unwrap();
    }

    /// Path and query of the page that is shown.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// Runs a script; what it returns.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
            .text()
            .await
            .unwrap()
    }

    pub(crate) async fn click(&self, css: &str) {
        self.on(css, async |element| element.click().await).await;
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        self.on(css, async |element| element.send_keys(text).await)
            .await;
    }

    /// Does something to an element once it is there. A page that is replaced between the
    /// finding and the doing has its element looked for again.
    async fn on(&self, css: &str, act: impl AsyncFn(&Element) -> Result<(), CmdError>) {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self
                .client
                .wait()
                .at_most(PATIENCE)
                .for_element(Locator::Css(css))
                .await;
            let element = found.unwrap_or_else(|error| panic!("{css}: {error}"));
            match act(&element).await {
                Ok(()) => return,
                Err(error) if is_stale(&error) && Instant::now() < end => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    /// Waits until the browser is at an address that begins like this.
    pub(crate) async fn arrive(&self, prefix: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.path().await.starts_with(prefix) {
            assert!(
                Instant::now() < end,
                "never at {prefix}; at {}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an expression is true. A page on its way may not have what it names yet.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let end = Instant::now() + PATIENCE;
        let script = format!("try {{ return Boolean({expression}) }} catch {{ return false }}");
        while self.script(&script).await != Value::Bool(true) {
            assert!(
                Instant::now() < end,
                "never: {what}; at {}\n{}",
                self.path().await,
                self.text("body").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_stale(error: &CmdError) -> bool {
    matches!(error, CmdError::Standard(error) if error.error == ErrorStatus::StaleElementReference)
}

/// Starts chromedriver on a free port of its own choice.
async fn start_driver() -> Option<(Child, u16)> {
    if !["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .any(|name| on_path(name))
    {
        return None;
    }
    // Among tests that look for free ports, another may get the one that the driver chose: it ends then.
    for _ in 0..5 {
        if let Some(started) = try_driver().await {
            return Some(started);
        }
    }
    None
}

async fn try_driver() -> Option<(Child, u16)> {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(port) = line.split("started successfully on port ").nth(1) {
            let port = port.trim_end_matches('.').trim().parse().ok()?;
            // Whoever stops reading stops the driver when its pipe is full.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some((child, port));
        }
    }
    None
}

fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}
