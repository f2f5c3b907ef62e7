//! Short cuts against the long way, over invented estates.

use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use wardline_core::{Sensitivity, Zone};

use super::{
    Action, Api, BASE, Client, Entity, Facts, Flow, Operation, Policies, PolicyText, ROLES,
    Resource, World, compile,
};
use crate::{Caller, CallerKind, Strength};

const ZONES: [Zone; 3] = [Zone::Internal, Zone::Partner, Zone::Admin];
const SITES: [&str; 3] = ["north", "south", "east"];

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

/// Three Apis, one in two versions, four clients, and policies of every form of head.
fn world() -> World {
    let api = |name: &str, major, zones: &[Zone]| Api {
        name: name.into(),
        major,
        layer: "system".into(),
        owner: "supply".into(),
        zones: set(zones.iter().copied()),
        operations: ["get", "put", "open"]
            .into_iter()
            .map(|operation| Operation {
                name: operation.into(),
                scope: (operation != "open").then(|| format!("{name}.{operation}").into()),
                lane: "realtime".into(),
                writes: operation == "put",
            })
            .collect(),
    };
    let client = |name: &str, kind, zone, sites: &[&str], scopes: &[&str]| Client {
        name: name.into(),
        kind,
        zone,
        owner: "supply".into(),
        facilities: set(sites.iter().map(|site| Arc::from(*site))),
        roles: if name == "batch" {
            set(["support".into()])
        } else {
            BTreeSet::new()
        },
        scopes: set(scopes.iter().map(|scope| Arc::from(*scope))),
        purposes: if name == "lab" {
            set(["TREAT".into()])
        } else {
            BTreeSet::new()
        },
        reveal: set([Sensitivity::Financial]),
    };
    World {
        apis: vec![
            api("supplier", 1, &[Zone::Internal, Zone::Partner]),
            api("supplier", 2, &[Zone::Internal]),
            api("beds", 1, &[Zone::Internal]),
            api("portal", 1, &[Zone::Partner]),
        ],
        entities: vec![
            Entity {
                name: "supplier".into(),
                owner: "supply".into(),
                sensitivity: [
                    ("tax_id".into(), Sensitivity::Pii),
                    ("bank.account".into(), Sensitivity::Financial),
                    ("portal.password".into(), Sensitivity::Secret),
                ]
                .into(),
            },
            Entity {
                name: "bed".into(),
                owner: "nursing".into(),
                sensitivity: [("patient".into(), Sensitivity::Phi)].into(),
            },
        ],
        clients: vec![
            client(
                "ghx",
                CallerKind::Partner,
                Zone::Partner,
                &["north"],
                &["supplier.get", "portal.get", "portal.put"],
            ),
            client(
                "batch",
                CallerKind::Service,
                Zone::Internal,
                &[],
                &["supplier.get", "supplier.put", "beds.get", "supplier.receive"],
            ),
            client("lab", CallerKind::Service, Zone::Internal, &["north", "south"], &["beds.get"]),
            client("idle", CallerKind::Partner, Zone::Partner, &[], &[]),
        ],
        flows: vec![Flow {
            name: "admit".into(),
            owner: "access".into(),
        }],
        roles: set(["night-watch".into()]),
        policies: vec![PolicyText {
            path: "policies/all.cedar".into(),
            text: r#"
                permit(principal == Client::"idle", action == Action::"call", resource in Api::"portal");
                permit(principal in Role::"night-watch", action in [Action::"view", Action::"replay"], resource == Flow::"admit")
                  when { context.hour < 6 || context.weekday > 5 };
                @id("freeze") @why("writes stand still at night")
                forbid(principal, action == Action::"call", resource)
                  when { resource.writes && context.hour < 6 };
                forbid(principal is Client, action == Action::"call", resource == Operation::"beds.get")
                  unless { context.strength >= 3 || context.mtls };
                permit(principal is Client in Role::"support", action == Action::"reveal", resource is Entity in Estate::"estate")
                  when { context has class && context.class == "pii" };
                forbid(principal, action == Action::"call", resource in Api::"supplier")
                  when { context.version == 1 && context has facility && context.facility == "south" };
                forbid(principal, action == Action::"call", resource in Api::"portal")
                  when { context.scopes.containsAny(["supplier.put"]) || context.zone == "admin" };
                forbid(principal == Person::"eve", action, resource);
                permit(principal, action == Action::"cancel", resource == Flow::"admit")
                  when { Client::"ghx".facilities.contains("north") && principal in Role::"night-watch" };
            "#
            .into(),
        }],
    }
}

fn policies() -> Policies {
    let (policies, problems) = compile(&world());
    assert!(problems.is_empty(), "{problems:#?}");
    policies.unwrap()
}

fn resources(world: &World) -> Vec<Resource> {
    let mut all = vec![
        Resource::Estate,
        Resource::Flow("admit".into()),
        Resource::Entity("supplier".into()),
        Resource::Entity("bed".into()),
    ];
    for api in &world.apis {
        all.push(Resource::Api(Arc::clone(&api.name)));
        all.extend(api.operations.iter().map(|operation| Resource::Operation {
            api: Arc::clone(&api.name),
            major: api.major,
            operation: Arc::clone(&operation.name),
        }));
    }
    all
}

prop_compose! {
    fn a_caller()(
        who in prop::sample::select(vec!["ghx", "batch", "lab", "idle", "anna", "eve"]),
        all_scopes in prop::collection::btree_set(
            prop::sample::select(vec!["supplier.get", "supplier.put", "beds.get", "portal.get", "portal.put", "supplier.receive"]), 0..6),
        roles in prop::collection::btree_set(
            prop::sample::select(ROLES.iter().map(|(role, _)| *role).chain(["night-watch"]).collect::<Vec<_>>()), 0..3),
        sites in prop::collection::btree_set(prop::sample::select(SITES.to_vec()), 0..3),
        strength in prop::sample::select(vec![Strength::ApiKey, Strength::Secret, Strength::PrivateKey, Strength::Certificate]),
        purpose in prop::option::of(prop::sample::select(vec!["TREAT", "HPAYMT"])),
    ) -> Caller {
        let kind = match who {
            "ghx" | "idle" => CallerKind::Partner,
            "batch" | "lab" => CallerKind::Service,
            _ => CallerKind::Person,
        };
        Caller {
            name: who.into(),
            kind,
            zone: if kind == CallerKind::Partner { Zone::Partner } else { Zone::Internal },
            scopes: all_scopes.into_iter().map(Arc::from).collect(),
            roles: roles.into_iter().map(Arc::from).collect(),
            facilities: sites.into_iter().map(Arc::from).collect(),
            strength,
            purpose: purpose.map(Arc::from),
            until: None,
        }
    }
}

prop_compose! {
    fn some_facts()(
        zone in prop::sample::select(ZONES.to_vec()),
        facility in prop::option::of(prop::sample::select(SITES.to_vec())),
        hour in 0u8..24,
        weekday in 1u8..8,
        mtls in any::<bool>(),
        class in prop::option::of(prop::sample::select(vec![Sensitivity::Financial, Sensitivity::Pii, Sensitivity::Phi])),
    ) -> Facts {
        Facts { zone, facility: facility.map(Arc::from), hour, weekday, mtls, class }
    }
}

/// Cedar's validator knows which action goes with which resource; a decision is asked about the
/// others too and must refuse them.
fn fits(action: Action, resource: &Resource) -> bool {
    match action {
        Action::Call => matches!(resource, Resource::Operation { .. }),
        Action::Receive => matches!(resource, Resource::Entity(_)),
        _ => true,
    }
}

#[test]
fn short_cuts_decide_as_the_long_way_does() {
    let policies = policies();
    let resources = resources(&world());
    let allowed = Cell::new(0);
    proptest!(ProptestConfig::with_cases(400), |(caller in a_caller(), facts in some_facts(), at in any::<prop::sample::Index>(), action in prop::sample::select(Action::ALL.to_vec()))| {
        let resource = at.get(&resources);
        let short = policies.decide(&caller, action, resource, &facts);
        // Only clients are told of events.
        let person = action == Action::Receive && caller.kind == CallerKind::Person;
        if fits(action, resource) && !person {
            let long = policies.decide_the_long_way(&caller, action, resource, &facts);
            prop_assert_eq!(&*short, &long);
        } else {
            prop_assert!(!short.allow);
        }
        allowed.set(allowed.get() + usize::from(short.allow));
    });
    assert!(
        allowed.get() > 20,
        "only {} of 400 were allowed",
        allowed.get()
    );
    assert!(policies.slices.len() > 10, "{}", policies.slices.len());
}

#[test]
fn what_zone_and_site_forbid_no_estate_permits() {
    let mut world = world();
    world.policies.push(PolicyText {
        path: "policies/open.cedar".into(),
        text: "permit(principal, action, resource);".into(),
    });
    let policies = compile(&world).0.unwrap();
    let resources = resources(&world);
    proptest!(ProptestConfig::with_cases(300), |(caller in a_caller(), facts in some_facts(), at in any::<prop::sample::Index>())| {
        let resource = at.get(&resources);
        let decision = policies.decide(&caller, Action::Call, resource, &facts);
        let Resource::Operation { api, major, .. } = resource else {
            return Ok(());
        };
        let zones = &world.apis.iter().find(|known| known.name == *api && known.major == *major).unwrap().zones;
        let site = facts.facility.clone();
        let file = world.clients.iter().find(|client| client.name == caller.name);
        let may_site = site.is_none_or(|site| {
            (caller.facilities.is_empty() || caller.facilities.contains(&site))
                && file.is_none_or(|file| file.facilities.is_empty() || file.facilities.contains(&site))
        });
        if !zones.contains(&facts.zone) || !may_site || (caller.kind == CallerKind::Partner && facts.zone != Zone::Partner) {
            prop_assert!(!decision.allow);
            prop_assert!(decision.policies.iter().any(|name| matches!(&**name, "base.zone" | "base.facility")));
        }
    });
}

#[test]
fn the_built_in_policies_are_few_for_a_call() {
    let policies = compile(&World {
        policies: Vec::new(),
        ..world()
    })
    .0
    .unwrap();
    let caller = Caller {
        name: "ghx".into(),
        kind: CallerKind::Partner,
        zone: Zone::Partner,
        scopes: BTreeSet::new(),
        roles: BTreeSet::new(),
        facilities: BTreeSet::new(),
        strength: Strength::ApiKey,
        purpose: None,
        until: None,
    };
    let operation = Resource::Operation {
        api: "portal".into(),
        major: 1,
        operation: "open".into(),
    };
    assert!(
        policies
            .decide(&caller, Action::Call, &operation, &Facts::at(Zone::Partner))
            .allow,
        "a public operation needs no scope"
    );
    let principal = &policies.principals["ghx"];
    let slice = policies.slices.fitting(
        &policies.rules,
        &principal.bits,
        &policies.actions[Action::Call as usize].1,
        &policies.places[&operation].bits,
    );
    assert_eq!(slice.set.num_of_policies(), 4);
    assert_eq!(BASE.matches("@id").count(), policies.len());
}
