//! A gateway with one plain binding and nobody at the door, to measure what it costs by itself.
//!
//! `cargo run --release -p wardline-gateway --example plain -- 127.0.0.1:8080 http://127.0.0.1:9000`
//! serves `GET /a/v1/x` of the second as its own. It lets everybody in: it is for measuring only.

use std::sync::Arc;
use wardline_access::Caller;
use wardline_core::{Lane, Zone};
use wardline_gateway::plan::{
    Api, Binding, Call, Capacity, Limits, Listener, ListenerLimits, Operation, Plan, Serve,
    Systems, Upstream, Validate, When,
};
use wardline_gateway::seam::{Facts, Pass, Peer};
use wardline_gateway::{Gatekeeper, Gateway, Kind, Problem};

struct Everybody;

#[async_trait::async_trait]
impl Gatekeeper for Everybody {
    async fn identify(&self, _: &Peer, _: &http::HeaderMap) -> Result<Arc<Caller>, Problem> {
        Err(Kind::Unauthenticated.into())
    }

    async fn admit(&self, _: &Api, _: &Operation, _: &Facts<'_>) -> Result<Pass, Problem> {
        Ok(Pass::default())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bind), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err("give an address to listen at and the url of a system".into());
    };
    let binding = Binding {
        name: "system".into(),
        when: When::default(),
        call: Call::plain("system"),
    };
    let operation = Operation {
        name: "get".into(),
        method: http::Method::GET,
        path: "/x".into(),
        scope: None,
        public: true,
        lane: Lane::Realtime,
        limits: Limits::default(),
        content_types: Vec::new(),
        validate: Validate::default(),
        idempotent: None,
        serve: Serve::Systems(Systems {
            bindings: vec![binding],
            shadow: None,
        }),
    };
    let plan = Plan {
        listeners: vec![Listener {
            name: "internal".into(),
            bind,
            zone: Zone::Internal,
            tls: None,
            allow: Vec::new(),
            limits: ListenerLimits::default(),
        }],
        apis: vec![Api {
            name: "a".into(),
            version: "1.0.0".into(),
            base: "/a/v1".into(),
            by_header: None,
            zones: vec![Zone::Internal],
            headers: Vec::new(),
            facility: Vec::new(),
            contract: None,
            operations: vec![operation],
        }],
        upstreams: vec![Upstream::at("system", vec![url.parse()?])],
        capacity: Capacity::default(),
        gatekeeper: Arc::new(Everybody),
        ..Plan::default()
    };
    let gateway = Gateway::start(plan).await?;
    println!("{:?}", gateway.address("internal").await);
    std::future::pending::<()>().await;
    Ok(())
}
