//! A console, a real browser before it, and what both need to begin and to end.

use crate::fake::Hospital;
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_console::{AdminToken, Auth, ConsoleError, serve};

/// How long a page may take to show what it must; only waited for in full when it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A console, a browser, and what both need to end.
pub(crate) struct Stage {
    pub(crate) browser: Client,
    driver: Child,
    pub(crate) hospital: Arc<Hospital>,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<Result<(), ConsoleError>>,
}

impl Stage {
    /// `None` where there is no browser and that is allowed.
    pub(crate) async fn open() -> Option<Self> {
        let Some((driver, port)) = driver().await else {
            assert!(
                std::env::var("CI").is_err(),
                "no chromium and chromedriver: `cargo xtask test` installs them (Debian: chromium, chromium-driver)"
            );
            println!("skipped: no chromium and chromedriver; `cargo xtask test` installs them");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = AdminToken::load_or_create(&folder.path().join("admin.token")).unwrap();
        let hospital = Arc::new(Hospital::new());
        let stop = CancellationToken::new();
        let auth = Auth::new(&token, address).unwrap();
        let server = tokio::spawn(serve(listener, hospital.clone(), auth, stop.clone()));
        let options = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"] }
        });
        // The driver is on this machine and speaks plain HTTP.
        let browser = ClientBuilder::new(HttpConnector::new())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let stage = Self {
            browser,
            driver,
            hospital,
            address,
            stop,
            server,
        };
        stage
            .browser
            .goto(&token.login_link(address))
            .await
            .unwrap();
        assert_eq!(
            stage.path().await,
            "/",
            "signed in, and the token is gone from the address"
        );
        Some(stage)
    }

    /// Ends everything, and fails where the browser or the server had something to say.
    pub(crate) async fn close(mut self) {
        let complaints = self.complaints().await;
        // The live page is still open: stopping must not wait for its stream for ever.
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .expect("the server stops while a page is live")
            .unwrap()
            .unwrap();
        self.browser.close().await.unwrap();
        self.driver.kill().await.unwrap();
        assert!(
            complaints.is_empty(),
            "the browser complained: {complaints:#?}"
        );
    }

    /// Errors and warnings of the browser's console: failed loads, blocked styles, exceptions.
    pub(crate) async fn complaints(&self) -> Vec<Value> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        log.as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .filter(|line| matches!(line["level"].as_str(), Some("SEVERE" | "WARNING")))
            .collect()
    }

    /// A command of chromedriver that the client library has no method for.
    pub(crate) async fn command(&self, path: &str, body: Value) -> Value {
        self.browser
            .issue_cmd(Raw {
                path: path.to_owned(),
                body,
            })
            .await
            .unwrap()
    }

    pub(crate) async fn devtools(&self, name: &str, params: Value) {
        self.command("goog/cdp/execute", json!({ "cmd": name, "params": params }))
            .await;
    }

    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    pub(crate) async fn scheme(&self, name: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": name }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    pub(crate) async fn visit(&self, path: &str) {
        self.browser
            .goto(&format!("http://{}{path}", self.address))
            .await
            .unwrap();
    }

    pub(crate) async fn path(&self) -> String {
        let url = self.browser.current_url().await.unwrap();
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        self.browser.execute(script, Vec::new()).await.unwrap()
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.browser
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|e| panic!("{css}: {e}"))
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
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self
                .browser
                .wait()
                .at_most(PATIENCE)
                .for_element(Locator::Css(css))
                .await;
            let element = found.unwrap_or_else(|error| panic!("{css}: {error}"));
            match act(&element).await {
                Ok(()) => return,
                Err(error) if is_stale(&error) && tokio::time::Instant::now() < end => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    /// Waits until the browser has left for an address that begins like this.
    pub(crate) async fn arrive(&self, prefix: &str) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !self.path().await.starts_with(prefix) {
            assert!(
                tokio::time::Instant::now() < end,
                "never at {prefix}; at {}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a script says true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.script(&format!("return Boolean({script})")).await != Value::Bool(true) {
            assert!(
                tokio::time::Instant::now() < end,
                "never: {what}; at {}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn picture(&self, name: &str) {
        let folder = target().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join(format!("{name}.png")),
            self.browser.screenshot().await.unwrap(),
        )
        .unwrap();
    }

    /// What axe-core finds against WCAG 2.2 AA; `None` where it is not installed.
    pub(crate) async fn axe(&self) -> Option<Vec<String>> {
        let source = axe_source()?;
        self.script(&source).await;
        let found = self
            .browser
            .execute_async(
                "const done = arguments[0];
                 axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
                    .then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).slice(0, 3).join(' | '))))
                    .catch((e) => done(['axe failed: ' + e]));",
                Vec::new(),
            )
            .await
            .unwrap();
        Some(
            found
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap_or_default().to_owned())
                .collect(),
        )
    }
}

fn is_stale(error: &CmdError) -> bool {
    matches!(error, CmdError::Standard(error) if error.error == ErrorStatus::StaleElementReference)
}

#[derive(Debug)]
struct Raw {
    path: String,
    body: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Raw {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// Starts chromedriver on a free port of its own choice.
async fn driver() -> Option<(Child, u16)> {
    if !["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .any(|name| on_path(name))
    {
        return None;
    }
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

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    )
}

pub(crate) fn axe_source() -> Option<String> {
    let peers = std::env::var_os("WARDLINE_PEERS")?;
    std::fs::read_to_string(Path::new(&peers).join("node/node_modules/axe-core/axe.min.js")).ok()
}
