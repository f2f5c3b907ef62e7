//! How long it takes to issue a token, and to recognise a caller by it: cold (the signature
//! is verified) and again (it was verified a moment ago).
//!
//! `cargo run --release -p wardline-access --example tokens`

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_access::CallerKind;
use wardline_access::identity::{
    AccessSink, ClientCredentials, ClientDirectory, HashedSecret, Identity, IdentitySource, Peer,
    Settings,
};
use wardline_access::token::{Rotation, SigningAlgorithm};
use wardline_core::{RealClock, Zone};
use wardline_vault::FileProvider;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let dir = tempfile::tempdir()?;
        let keys = dir.path().join("keys");
        FileProvider::init(&keys)?;
        let source = IdentitySource {
            estate: "measured",
            data: dir.path(),
            provider: Arc::new(FileProvider::open(&keys)?),
            rotation: Rotation::default(),
        };
        let mut settings = Settings::new().with_zone(Zone::Internal, "https://api.example")?;
        settings.algorithm = algorithm;
        let clock = Arc::new(RealClock);
        let identity = Identity::open(source, settings, clock, AccessSink::new(drop))?;
        let mut client = ClientCredentials::new("erp", CallerKind::Service, Zone::Internal);
        client.scopes = (0..10).map(|n| format!("orders.{n}").into()).collect();
        client.secrets = vec![HashedSecret::new(b"secret")?];
        identity.replace_clients(ClientDirectory::new(vec![client])?);

        let peer = Peer::new("127.0.0.1".parse()?, Zone::Internal);
        let mut issued = Vec::new();
        let mut issue = Vec::new();
        for _ in 0..4_000 {
            let basic = base64::engine::general_purpose::STANDARD.encode("erp:secret");
            let request = Request::post("/oauth/token")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("authorization", format!("Basic {basic}"))
                .body(Bytes::from_static(b"grant_type=client_credentials"))?;
            let begun = Instant::now();
            let answer = identity.serve(&request, &peer);
            issue.push(begun.elapsed());
            let answer: serde_json::Value = serde_json::from_slice(answer.body())?;
            let token = answer["access_token"].as_str().ok_or("no token")?;
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            headers.insert("authorization", value);
            issued.push(headers);
        }
        let (mut cold, mut again) = (Vec::new(), Vec::new());
        for times in [&mut cold, &mut again] {
            for headers in &issued {
                let begun = Instant::now();
                identity.recognise(headers, &peer).await?;
                times.push(begun.elapsed());
            }
        }
        for (what, times) in [("issue", issue), ("cold", cold), ("again", again)] {
            print(&format!("{algorithm:?} {what}"), times);
        }
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[times.len() * share / 1000].as_nanos();
    println!("{what:12} p50 {:>8} ns   p99 {:>8} ns", at(500), at(990));
}
