//! A console on a made-up hospital, asked without a browser.

use crate::fake::Hospital;
use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tower::ServiceExt as _;
use wardline_console::{AdminToken, Auth, Console};

pub(crate) const HOST: &str = "127.0.0.1:8420";

/// A console on a fresh hospital, and a signed-in browser.
pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) console: Console,
    pub(crate) hospital: Arc<Hospital>,
    pub(crate) token: String,
    pub(crate) cookie: String,
    /// The token of forms of this browser.
    pub(crate) csrf: String,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// The value of a cookie that is set, by the end of its name.
    pub(crate) fn cookie(&self, of: &str) -> Option<String> {
        let set = self.headers.get_all(header::SET_COOKIE);
        set.iter().find_map(|set| {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, _) = pair.split_once('=').unwrap();
            name.trim_start_matches("__Host-")
                .starts_with(of)
                .then(|| pair.to_owned())
        })
    }

    /// The token in the forms of a page.
    pub(crate) fn csrf(&self) -> String {
        let after = self.text.split("name=\"csrf\" value=\"").nth(1);
        let after = after.unwrap_or_else(|| panic!("no form in {}", self.text));
        after.split('"').next().unwrap().to_owned()
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = AdminToken::load_or_create(&folder.path().join("admin.token")).unwrap();
        let hospital = Arc::new(Hospital::new());
        let auth = Auth::new(&token, HOST.parse().unwrap()).unwrap();
        let console = Console::new(hospital.clone(), auth);
        let stranger = Self::stranger(console, hospital, token.reveal());
        stranger.again().await
    }

    /// A browser that nobody signed in with.
    pub(crate) fn stranger(console: Console, hospital: Arc<Hospital>, token: &str) -> Self {
        Self {
            router: console.router(),
            console,
            hospital,
            token: token.to_owned(),
            cookie: String::new(),
            csrf: String::new(),
        }
    }

    /// Another session at the same console.
    pub(crate) async fn again(&self) -> Self {
        let answer = self.get(&format!("/login?token={}", self.token)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        self.with_cookie(&answer.cookie("wardline").unwrap()).await
    }

    /// Another browser with this session.
    pub(crate) async fn with_cookie(&self, cookie: &str) -> Self {
        let mut site = Self::stranger(self.console.clone(), self.hospital.clone(), &self.token);
        site.router = self.router.clone();
        cookie.clone_into(&mut site.cookie);
        // A page that everybody may see, forms and all.
        site.csrf = site.get("/login").await.csrf();
        site
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST);
        if self.cookie.is_empty() {
            request
        } else {
            request.header(header::COOKIE, &self.cookie)
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap())
            .await
    }

    /// A form as a page of the console posts it.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = format!("{form}&csrf={}", self.csrf);
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    /// A call of a program, without a cookie.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }
}

pub(crate) fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
}
