//! What a decision costs: 200 policies, and 10, 100 and 1,000 clients of 1,000 Apis.
//!
//! `cargo run --release -p wardline-access --example decide`
//!
//! Printed are p50 and p99 of single decisions in microseconds, the clock's own cost included.
//! `scoped` policies name a client, an Api or an operation in their head, as policies of an
//! estate do; `unscoped` ones concern every call and show what each of these costs.
//!
//! On two cores of an AMD EPYC that other builds were using too: p50 5.9 to 7.4 µs and p99 12 to
//! 16 µs with 200 scoped policies and 100 or 1,000 clients; 13.9 and 18.2 µs with 10 clients, of
//! whom every other one has ten policies of its own; 23 µs with 20 unscoped policies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use wardline_access::policy::{
    Action, Api, Client, Facts, Operation, PolicyText, Resource, World, compile,
};
use wardline_access::{Caller, CallerKind, Strength};
use wardline_core::Zone;

const APIS: usize = 1_000;
const OPERATIONS: usize = 20;
const DECISIONS: usize = 200_000;

fn world(clients: usize, scoped: usize, unscoped: usize) -> World {
    let apis = (0..APIS)
        .map(|api| Api {
            name: format!("api-{api}").into(),
            major: 1,
            layer: "system".into(),
            owner: "it".into(),
            zones: [Zone::Internal, Zone::Partner].into(),
            operations: (0..OPERATIONS)
                .map(|operation| Operation {
                    name: format!("op-{operation}").into(),
                    scope: Some(format!("api-{api}.op-{operation}").into()),
                    lane: "realtime".into(),
                    writes: operation % 4 == 0,
                })
                .collect(),
        })
        .collect();
    let clients = (0..clients)
        .map(|client| Client {
            name: format!("client-{client}").into(),
            kind: CallerKind::Partner,
            zone: Zone::Partner,
            owner: "it".into(),
            facilities: ["north".into(), "south".into()].into(),
            roles: BTreeSet::new(),
            scopes: scopes(client),
            purposes: BTreeSet::new(),
            reveal: BTreeSet::new(),
        })
        .collect();
    let mut policies = Vec::new();
    for policy in 0..scoped {
        policies.push(match policy % 4 {
            0 => format!(
                "forbid(principal == Client::\"client-{}\", action == Action::\"call\", resource) when {{ context.hour < 6 }};\n",
                policy % 10
            ),
            1 => format!(
                "forbid(principal, action == Action::\"call\", resource in Api::\"api-{policy}\") unless {{ context.strength >= 2 }};\n"
            ),
            2 => format!(
                "forbid(principal, action == Action::\"call\", resource == Operation::\"api-{policy}.op-4\") when {{ context has facility && context.facility == \"east\" }};\n"
            ),
            _ => format!(
                "permit(principal, action == Action::\"view\", resource in Api::\"api-{policy}\") when {{ context.mtls }};\n"
            ),
        });
    }
    for policy in 0..unscoped {
        policies.push(format!(
            "forbid(principal, action == Action::\"call\", resource) when {{ context.version == {} }};\n",
            policy + 100
        ));
    }
    World {
        apis,
        clients,
        policies: vec![PolicyText {
            path: "policies/bench.cedar".into(),
            text: policies.concat().into(),
        }],
        ..World::default()
    }
}

/// Every client holds the scopes of ten Apis.
fn scopes(client: usize) -> BTreeSet<Arc<str>> {
    (0..10)
        .flat_map(|nth| {
            (0..OPERATIONS).map(move |operation| {
                format!("api-{}.op-{operation}", (client + nth * 97) % APIS).into()
            })
        })
        .collect()
}

fn measure(name: &str, clients: usize, scoped: usize, unscoped: usize) {
    let started = Instant::now();
    let (policies, problems) = compile(&world(clients, scoped, unscoped));
    let policies = policies.unwrap_or_else(|| panic!("{problems:?}"));
    let compiled = started.elapsed();
    let questions: Vec<(Caller, Resource)> = (0..1_000)
        .map(|nth| {
            let client = nth % clients;
            let caller = Caller {
                name: format!("client-{client}").into(),
                kind: CallerKind::Partner,
                zone: Zone::Partner,
                scopes: scopes(client),
                roles: BTreeSet::new(),
                facilities: ["north".into()].into(),
                strength: Strength::PrivateKey,
                purpose: None,
                until: None,
            };
            let resource = Resource::Operation {
                api: format!("api-{}", (client + (nth % 10) * 97) % APIS).into(),
                major: 1,
                operation: format!("op-{}", nth % OPERATIONS).into(),
            };
            (caller, resource)
        })
        .collect();
    let facts = Facts {
        facility: Some("north".into()),
        ..Facts::at(Zone::Partner)
    };
    let mut times = Vec::with_capacity(DECISIONS);
    let mut allowed = 0;
    for nth in 0..DECISIONS + questions.len() {
        let (caller, resource) = &questions[nth % questions.len()];
        let at = Instant::now();
        let decision = policies.decide(caller, Action::Call, resource, &facts);
        // The first round makes the sets that later ones share.
        if nth >= questions.len() {
            times.push(at.elapsed());
        }
        allowed += usize::from(decision.allow);
    }
    assert_eq!(
        allowed,
        DECISIONS + questions.len(),
        "all of them are granted"
    );
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_nanos() as f64 / 1_000.0;
    println!(
        "{name:<42} p50 {:>6.2} µs  p99 {:>6.2} µs  compiled in {:>5} ms",
        at(0.5),
        at(0.99),
        compiled.as_millis()
    );
}

fn main() {
    for clients in [10, 100, 1_000] {
        measure(
            &format!("{clients} clients, 200 scoped policies"),
            clients,
            200,
            0,
        );
    }
    measure("1000 clients, the built-in policies alone", 1_000, 0, 0);
    measure("1000 clients, 20 unscoped policies", 1_000, 0, 20);
}
