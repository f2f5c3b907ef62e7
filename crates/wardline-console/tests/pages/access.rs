//! Who gets in, and what every answer carries.

use crate::site::{Site, json};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let mut site = Site::new().await;
    site.cookie.clear();
    for path in [
        "/",
        "/live",
        "/messages",
        "/dead",
        "/audit",
        "/trace/0000000000001",
        "/plans/x",
        "/resubmit/x",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            answer.text.contains("wardline console"),
            "{path} says how to get in"
        );
        assert!(
            !answer.text.contains("st-brigid"),
            "{path} names the estate to strangers"
        );
    }
    for (method, path) in [
        (Method::GET, "/api/overview"),
        (Method::GET, "/api/audit"),
        (Method::GET, "/api/estate"),
        (Method::GET, "/api/live"),
    ] {
        let answer = site
            .send(site.request(method, path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            answer.header(header::CONTENT_TYPE),
            "application/problem+json"
        );
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
        assert_eq!(json(&answer)["code"], "W6101");
    }
    let wrong = site.get("/login?token=wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.cookie("wardline_8420").is_none());
    site.cookie = "wardline_8420=made-up".into();
    assert_eq!(site.get("/").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_for_this_console_alone_and_ends_with_the_session() {
    let site = Site::new().await;
    let login = site.get(&format!("/login?token={}", site.token)).await;
    let cookie = login.header(header::SET_COOKIE);
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "there is no TLS: {cookie}");
    assert_eq!(
        login.header(header::LOCATION),
        "/",
        "the token does not stay in the address"
    );
    assert!(!cookie.contains(&site.token), "the cookie is not the token");

    assert_eq!(site.get("/").await.status, StatusCode::OK);
    assert_eq!(site.post("/logout", "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        site.get("/").await.status,
        StatusCode::UNAUTHORIZED,
        "the session is gone on the server"
    );
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let site = Site::new().await;
    for path in [
        "/",
        "/messages",
        "/nowhere",
        "/api/overview",
        "/api/nowhere",
        "/assets/console.css",
        "/login",
        "/login/start",
        "/login/return?state=x",
        "/enrol",
        "/enrol?name=anna&invitation=x",
        "/resubmit/x",
        "/plans/x",
    ] {
        let answer = site.get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(
            answer.header(header::X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        assert_eq!(
            answer.header(header::REFERRER_POLICY),
            "same-origin",
            "{path}"
        );
        let kept = if path.starts_with("/assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-store"
        };
        assert_eq!(answer.header(header::CACHE_CONTROL), kept, "{path}");
    }
}

#[tokio::test]
async fn pages_hold_no_inline_script_or_style() {
    let site = Site::new().await;
    let root = site.hospital.known();
    for path in [
        "/".to_owned(),
        "/messages".into(),
        format!("/trace/{root}"),
        "/dead".into(),
        "/audit".into(),
    ] {
        let page = site.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(
            !page.text.contains("style=\"") && !page.text.contains(" onclick"),
            "{path}"
        );
        assert_eq!(page.text.matches("<script").count(), 1, "{path}");
        assert_eq!(
            page.text.matches("<h1").count(),
            1,
            "{path} has one first heading"
        );
        assert_eq!(page.text.matches("<main").count(), 1, "{path}");
        assert!(page.text.contains("<html lang=\"en\""), "{path}");
    }
}

#[tokio::test]
async fn other_hosts_and_other_sites_are_refused() {
    let site = Site::new().await;
    let rebound = Request::builder()
        .uri("/")
        .header(header::HOST, "evil.example:8420")
        .header(header::COOKIE, &site.cookie)
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        site.send(rebound).await.status,
        StatusCode::MISDIRECTED_REQUEST
    );

    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("x-nothing", "no origin at all"),
    ] {
        let request = site
            .request(Method::POST, "/plans")
            .header(name, value)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(
                "act=replay&destination=housekeeping.request-clean",
            ))
            .unwrap();
        assert_eq!(
            site.send(request).await.status,
            StatusCode::FORBIDDEN,
            "{name}: {value}"
        );
    }
    // The session alone does not open the acts of the API to other sites either.
    let request = site
        .request(Method::POST, "/api/cancel")
        .header("origin", "https://evil.example")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(
            r#"{"select":{"destination":"bed-board.release-bed"},"reason":"x"}"#,
        ))
        .unwrap();
    assert_eq!(site.send(request).await.status, StatusCode::FORBIDDEN);
    assert!(!site.hospital.acts().iter().any(|(act, _)| act == "cancel"));
}

#[tokio::test]
async fn the_theme_is_kept_and_leads_nowhere_else() {
    let site = Site::new().await;
    let request = |referer: &str| {
        site.request(Method::POST, "/theme")
            .header("sec-fetch-site", "same-origin")
            .header(header::REFERER, referer)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("theme=dark&csrf={}", site.csrf)))
            .unwrap()
    };
    let answer = site
        .send(request("http://127.0.0.1:8420/messages?q=state%3Aheld"))
        .await;
    assert_eq!(answer.header(header::LOCATION), "/messages?q=state%3Aheld");
    assert!(
        answer
            .header(header::SET_COOKIE)
            .starts_with("wardline_theme=dark")
    );
    assert_eq!(
        site.send(request("http://127.0.0.1:8420//evil.example/"))
            .await
            .header(header::LOCATION),
        "/"
    );
    let mut dark = site;
    dark.cookie.push_str("; wardline_theme=dark");
    assert!(dark.get("/").await.text.contains("data-theme=\"dark\""));
}
