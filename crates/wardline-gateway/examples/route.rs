//! What it costs to find an operation among 1,000 Apis of 20 operations each.
//!
//! `cargo run --release -p wardline-gateway --example route`

use http::Method;
use std::hint::black_box;
use std::time::Instant;
use wardline_gateway::route::Routes;

const APIS: u32 = 1_000;
const ROUNDS: u32 = 50;

fn main() {
    let mut routes = Routes::default();
    let mut asked = Vec::new();
    let begun = Instant::now();
    for api in 0..APIS {
        for at in 0..10 {
            let base = format!("/api-{api}/v1/entity-{at}");
            let (all, one) = (base.clone(), format!("{base}/{{id}}/lines/{{line}}"));
            for (path, way) in [(all, base.clone()), (one, format!("{base}/4711/lines/12"))] {
                let target = asked.len() as u32;
                if let Err(detail) = routes.insert(&Method::GET, &path, target) {
                    eprintln!("{path}: {detail}");
                }
                asked.push(way);
            }
        }
    }
    println!("{} operations, built in {:?}", asked.len(), begun.elapsed());
    // In an order that no cache likes.
    let step = 7_919;
    let begun = Instant::now();
    let mut at = 0;
    for _ in 0..ROUNDS * asked.len() as u32 {
        at = (at + step) % asked.len();
        let _ = black_box(routes.find(&Method::GET, black_box(&asked[at])));
    }
    let each = begun.elapsed().as_nanos() / (u128::from(ROUNDS) * asked.len() as u128);
    println!("{each} ns for each lookup");
}
