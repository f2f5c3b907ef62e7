//! A console, a real browser before it, and what both need to begin and to end.

use crate::chromium::{Browser, PATIENCE};
use crate::fake::Hospital;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::door::{Admission, Door};
use wardline_console::{AdminToken, Auth, Console, serve};

/// A console, a browser, and what both need to end.
pub(crate) struct Stage {
    browser: Browser,
    pub(crate) hospital: Arc<Hospital>,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// What the page shows is asked of the stage.
impl Deref for Stage {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Stage {
    /// `None` where there is no browser and that is allowed.
    pub(crate) async fn open() -> Option<Self> {
        let browser = Browser::open().await?;
        let door = Door::bind(Admission {
            name: "console".into(),
            bind: "127.0.0.1:0".into(),
            tls: None,
            allow: Vec::new(),
            max_connections: 64,
            drain: Duration::from_secs(5),
            threads: None,
        })
        .await
        .unwrap();
        let address = door.address();
        let folder = tempfile::tempdir().unwrap();
        let token = AdminToken::load_or_create(&folder.path().join("admin.token")).unwrap();
        let hospital = Arc::new(Hospital::new());
        let stop = CancellationToken::new();
        let auth = Auth::new(&token, address).unwrap();
        let console = Console::new(hospital.clone(), auth);
        let server = tokio::spawn(serve(vec![door], console, stop.clone()));
        let stage = Self {
            browser,
            hospital,
            address,
            stop,
            server,
        };
        stage.go(&token.login_link(address)).await;
        assert_eq!(
            stage.path().await,
            "/",
            "signed in, and the token is gone from the address"
        );
        Some(stage)
    }

    /// Ends everything, and fails where the browser or the server had something to say.
    pub(crate) async fn close(self) {
        let complaints = self.complaints().await;
        // The live page is still open: stopping must not wait for its stream for ever.
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .expect("the server stops while a page is live")
            .unwrap();
        self.browser.close().await;
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
        self.client
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
        self.go(&format!("http://{}{path}", self.address)).await;
    }

    pub(crate) async fn picture(&self, name: &str) {
        let folder = target().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join(format!("{name}.png")),
            self.client.screenshot().await.unwrap(),
        )
        .unwrap();
    }

    /// What axe-core finds against WCAG 2.2 AA; `None` where it is not installed.
    pub(crate) async fn axe(&self) -> Option<Vec<String>> {
        let source = axe_source()?;
        self.script(&source).await;
        let found = self
            .client
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
