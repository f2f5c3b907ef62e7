//! Policies as a user meets them: decisions by role, mistakes at their places, explanations.

use std::collections::BTreeSet;
use std::sync::Arc;
use wardline_access::policy::{
    Action, Api, Client, Entity, Facts, NotDecided, Operation, Policies, PolicyText, Problem,
    ProblemKind, ROLES, Resource, World, compile,
};
use wardline_access::{Caller, CallerKind, Strength};
use wardline_core::{Sensitivity, Zone};

fn world(policies: &[&str]) -> World {
    World {
        apis: vec![Api {
            name: "supplier-master".into(),
            major: 1,
            layer: "system".into(),
            owner: "supply-chain".into(),
            zones: [Zone::Internal, Zone::Partner].into(),
            operations: [
                ("get-supplier", "supplier.read"),
                ("create-supplier", "supplier.write"),
            ]
            .into_iter()
            .map(|(name, scope)| Operation {
                name: name.into(),
                scope: Some(scope.into()),
                lane: "realtime".into(),
                writes: name.starts_with("create"),
            })
            .collect(),
        }],
        entities: vec![Entity {
            name: "supplier".into(),
            owner: "supply-chain".into(),
            sensitivity: [
                ("bank.iban".into(), Sensitivity::Financial),
                ("contact".into(), Sensitivity::Pii),
                ("password".into(), Sensitivity::Secret),
            ]
            .into(),
        }],
        clients: vec![Client {
            name: "ghx".into(),
            kind: CallerKind::Partner,
            zone: Zone::Partner,
            owner: "supply-chain".into(),
            facilities: ["north".into()].into(),
            roles: BTreeSet::new(),
            scopes: ["supplier.read".into()].into(),
            purposes: BTreeSet::new(),
            reveal: [Sensitivity::Financial].into(),
        }],
        flows: Vec::new(),
        roles: BTreeSet::new(),
        policies: policies
            .iter()
            .enumerate()
            .map(|(nth, text)| PolicyText {
                path: format!("policies/{nth}.cedar").into(),
                text: Arc::from(*text),
            })
            .collect(),
    }
}

fn compiled(policies: &[&str]) -> Policies {
    let (compiled, problems) = compile(&world(policies));
    compiled.unwrap_or_else(|| panic!("{problems:#?}"))
}

fn person(roles: &[&str], purpose: Option<&str>) -> Caller {
    Caller {
        name: "anna".into(),
        kind: CallerKind::Person,
        zone: Zone::Admin,
        scopes: BTreeSet::new(),
        roles: roles.iter().map(|role| Arc::from(*role)).collect(),
        facilities: BTreeSet::new(),
        strength: Strength::Secret,
        purpose: purpose.map(Arc::from),
        until: None,
    }
}

fn ghx() -> Caller {
    Caller {
        name: "ghx".into(),
        kind: CallerKind::Partner,
        zone: Zone::Partner,
        scopes: ["supplier.read".into(), "supplier.write".into()].into(),
        roles: ["administrator".into()].into(),
        facilities: BTreeSet::new(),
        strength: Strength::PrivateKey,
        purpose: None,
        until: None,
    }
}

fn operation(name: &str) -> Resource {
    Resource::Operation {
        api: "supplier-master".into(),
        major: 1,
        operation: name.into(),
    }
}

type Row = (
    &'static str,
    &'static [Action],
    &'static [Action],
    &'static [Sensitivity],
);

/// A row a role: what it may do with the estate, what with an entity, and what it may see of it
/// for a stated purpose.
const MATRIX: [Row; 7] = {
    use Action::{Administer, Audit, Cancel, Edit, Replay, Search, View};
    use Sensitivity::{Financial, Pii};
    [
        (
            "integration-engineer",
            &[View, Search, Replay, Edit, Cancel],
            &[View, Search, Replay, Edit, Cancel],
            &[Financial, Pii],
        ),
        (
            "support",
            &[View, Search, Replay, Cancel],
            &[View, Search, Replay, Cancel],
            &[Pii],
        ),
        (
            "process-owner",
            &[View, Search, Replay, Cancel],
            &[View, Search, Replay, Cancel],
            &[Financial, Pii],
        ),
        (
            "data-steward",
            &[View, Search],
            &[View, Search, Edit],
            &[Financial, Pii],
        ),
        (
            "security-auditor",
            &[View, Search, Audit],
            &[View, Search, Audit],
            &[],
        ),
        (
            "administrator",
            &[View, Search, Replay, Cancel, Audit, Administer],
            &[View, Search, Replay, Cancel, Audit, Administer],
            &[],
        ),
        ("unknown-group", &[], &[], &[]),
    ]
};

#[test]
fn roles_may_do_what_the_matrix_says_and_nothing_else() {
    let policies = compiled(&[]);
    let facts = Facts::at(Zone::Admin);
    for (role, estate, entity, seen) in MATRIX {
        for (resource, may) in [
            (Resource::Estate, estate),
            (Resource::Entity("supplier".into()), entity),
        ] {
            for action in Action::ALL
                .into_iter()
                .filter(|action| *action != Action::Reveal)
            {
                let decision = policies.decide(&person(&[role], None), action, &resource, &facts);
                assert_eq!(
                    decision.allow,
                    may.contains(&action),
                    "{role} {action:?} {resource:?}"
                );
                assert_eq!(decision.allow, !decision.policies.is_empty());
            }
        }
        let name = "supplier".into();
        let purposeful = person(&[role], Some("HOPERAT"));
        assert_eq!(
            policies.revealed(&purposeful, &name, &facts),
            seen.iter().copied().collect(),
            "{role}"
        );
        assert!(
            policies
                .revealed(&person(&[role], None), &name, &facts)
                .is_empty(),
            "{role}"
        );
    }
    assert_eq!(MATRIX.len(), ROLES.len() + 1);
}

#[test]
fn a_client_is_judged_by_its_file_and_by_what_it_holds() {
    let policies = compiled(&[]);
    let facts = Facts::at(Zone::Partner);
    let allowed = policies.decide(&ghx(), Action::Call, &operation("get-supplier"), &facts);
    assert!(allowed.allow);
    assert_eq!(allowed.policies.as_slice(), [Arc::from("base.scope")]);

    // Its token has supplier.write, its file does not any more.
    let refused = policies.decide(&ghx(), Action::Call, &operation("create-supplier"), &facts);
    assert!(!refused.allow && refused.policies.is_empty() && refused.errors.is_empty());

    // Roles that somebody else says it has are not those of its file.
    assert!(
        !policies
            .decide(&ghx(), Action::Administer, &Resource::Estate, &facts)
            .allow
    );

    let south = Facts {
        facility: Some("south".into()),
        ..facts.clone()
    };
    let refused = policies.decide(&ghx(), Action::Call, &operation("get-supplier"), &south);
    assert!(!refused.allow);
    assert_eq!(refused.policies.as_slice(), [Arc::from("base.facility")]);

    let internal = Facts::at(Zone::Internal);
    let refused = policies.decide(&ghx(), Action::Call, &operation("get-supplier"), &internal);
    assert_eq!(refused.policies.as_slice(), [Arc::from("base.zone")]);

    let seen = policies.revealed(&ghx(), &"supplier".into(), &facts);
    assert_eq!(seen, [Sensitivity::Financial].into());
}

#[test]
fn what_is_not_known_is_refused() {
    let policies = compiled(&["permit(principal, action, resource);"]);
    let facts = Facts::at(Zone::Partner);
    let stranger = Caller {
        name: "stranger".into(),
        ..ghx()
    };
    let refused = policies.decide(&stranger, Action::Call, &operation("get-supplier"), &facts);
    assert!(!refused.allow);
    assert_eq!(refused.errors.as_slice(), [NotDecided::UnknownCaller]);
    let refused = policies.decide(&ghx(), Action::Call, &operation("delete-supplier"), &facts);
    assert!(!refused.allow);
    assert_eq!(refused.errors.as_slice(), [NotDecided::UnknownResource]);
}

#[test]
fn a_policy_that_fails_refuses() {
    // Alone, Cedar would leave the failing policy out and permit.
    let policies = compiled(&[
        r#"@id("overflow") forbid(principal, action == Action::"call", resource)
           when { context.hour + 9223372036854775807 > 0 };"#,
    ]);
    let facts = Facts::at(Zone::Partner);
    let refused = policies.decide(&ghx(), Action::Call, &operation("get-supplier"), &facts);
    assert!(!refused.allow);
    assert_eq!(
        refused.errors.as_slice(),
        [NotDecided::Policy("overflow".into())]
    );
}

type Mistake = (ProblemKind, &'static str, &'static str, &'static str);

/// A policy file, and for each problem its kind, the marked text, a part of the message and of
/// the help.
const MISTAKES: &[(&str, &[Mistake])] = &[
    (
        "permit(principal, action, resource) when { context.hour < };",
        &[(
            ProblemKind::Syntax,
            "}",
            "unexpected token `}`",
            "a policy is",
        )],
    ),
    (
        "permit(principal, action, resource)",
        &[(
            ProblemKind::Syntax,
            "",
            "unexpected end of input",
            "a policy is",
        )],
    ),
    (
        "// ünïcode first\npermit(principal, action == Action::\"call\", resource) when { context.our < 6 };",
        &[(
            ProblemKind::Type,
            "context.our",
            "attribute `our`",
            "did you mean `hour`",
        )],
    ),
    (
        "permit(principal, action == Action::\"call\", resource) when { context.facility == \"north\" };",
        &[(
            ProblemKind::Type,
            "context.facility",
            "optional attribute `facility`",
            "context has facility",
        )],
    ),
    (
        "permit(principal, action == Action::\"cal\", resource);",
        &[(
            ProblemKind::Type,
            "Action::\"cal\"",
            "unrecognized action",
            "did you mean `Action::\"call\"`",
        )],
    ),
    (
        "permit(principal, action == Action::\"call\", resource) when { context.hour < \"6\" };",
        &[(ProblemKind::Type, "\"6\"", "unexpected type", "")],
    ),
    (
        "permit(principal == Client::\"gxh\", action == Action::\"call\", resource in Api::\"supplier-masters\");",
        &[
            (
                ProblemKind::Unknown,
                "Api::\"supplier-masters\"",
                "there is no",
                "Api::\"supplier-master\"",
            ),
            (
                ProblemKind::Unknown,
                "Client::\"gxh\"",
                "there is no",
                "Client::\"ghx\"",
            ),
        ],
    ),
    (
        "permit(principal, action == Action::\"call\", resource == Operation::\"beds.occupy\");",
        &[(
            ProblemKind::Unknown,
            "Operation::\"beds.occupy\"",
            "there is no",
            "",
        )],
    ),
    (
        "permit(principal == Client::\"ghx\", action == Action::\"call\", resource in Entity::\"supplier\");",
        &[(
            ProblemKind::Never,
            "permit(",
            "unable to find an applicable action",
            "",
        )],
    ),
    (
        "permit(principal == ?principal, action, resource);",
        &[(
            ProblemKind::Template,
            "permit(principal == ?principal, action, resource);",
            "templates",
            "grants are data",
        )],
    ),
    (
        "@id(\"a\") permit(principal, action == Action::\"view\", resource);\n@id(\"a\") forbid(principal, action == Action::\"view\", resource);",
        &[(
            ProblemKind::Twice,
            "@id(\"a\") forbid",
            "already in policies/0.cedar",
            "@id",
        )],
    ),
    (
        "@id(\"base.mine\") permit(principal, action == Action::\"view\", resource);",
        &[(ProblemKind::Twice, "@id(\"base.mine\")", "built-in", "@id")],
    ),
];

#[test]
fn mistakes_are_reported_at_their_place() {
    for (text, expected) in MISTAKES {
        let (compiled, mut problems) = compile(&world(&[text]));
        problems.sort_by_key(|problem: &Problem| (problem.kind, problem.message.clone()));
        assert_eq!(problems.len(), expected.len(), "{text}\n{problems:#?}");
        for (problem, (kind, marked, message, help)) in problems.iter().zip(*expected) {
            assert_eq!(problem.kind, *kind, "{text}\n{problem:#?}");
            let at = &text[problem.span.clone()];
            assert!(
                at.starts_with(marked),
                "{text}\nmarked {at:?}\n{problem:#?}"
            );
            assert!(problem.message.contains(message), "{text}\n{problem:#?}");
            assert!(
                problem.help.as_deref().unwrap_or_default().contains(help),
                "{text}\n{problem:#?}"
            );
        }
        let warnings = expected
            .iter()
            .all(|(kind, ..)| *kind == ProblemKind::Never);
        assert_eq!(compiled.is_some(), warnings, "{text}");
    }
}

#[test]
fn policies_without_a_name_are_called_by_file_and_number() {
    let policies = compiled(&[
        "permit(principal, action == Action::\"view\", resource);\n\nforbid(principal, action == Action::\"call\", resource);",
    ]);
    let decision = policies.decide(
        &ghx(),
        Action::Call,
        &operation("get-supplier"),
        &Facts::at(Zone::Partner),
    );
    assert_eq!(
        decision.policies.as_slice(),
        [Arc::from("policies/0.cedar#2")]
    );
}

#[test]
fn explanations_name_the_deciding_policy_and_quote_it() {
    let policies = compiled(&[
        "@id(\"freeze\")\n@why(\"no writes before go-live\")\nforbid(principal, action == Action::\"call\", resource)\n  when { resource.writes };",
    ]);
    let explained = policies
        .explain("ghx", "supplier-master.get-supplier", None, None)
        .unwrap();
    assert!(explained.allow);
    insta_like(
        &explained.to_string(),
        "ghx may call supplier-master.get-supplier (version 1) on a listener of zone partner.\n\
         Permitted by policy base.scope: the caller holds the operation's scope.\n\
         Its file grants the scope supplier.read.\n\
         It is restricted to the sites north; asking for another is forbidden.\n\
         Assumed: Monday at noon, a private key, no client certificate, no particular site.\n\
         \n\
         base.scope (built-in)\n",
    );
    let explained = policies
        .explain("ghx", "supplier-master.create-supplier", None, None)
        .unwrap();
    assert!(!explained.allow);
    assert_eq!(explained.reasons[0].policy.as_ref(), "freeze");
    assert!(explained.reasons[0].text.contains("resource.writes"));
    assert!(explained.words[1].contains("no writes before go-live"));
    assert!(
        explained
            .words
            .iter()
            .any(|words| words.contains("does not grant"))
    );

    let elsewhere = policies
        .explain(
            "ghx",
            "supplier-master.get-supplier",
            None,
            Some(Zone::Admin),
        )
        .unwrap();
    assert!(!elsewhere.allow);
    assert!(
        elsewhere
            .words
            .iter()
            .any(|words| words.contains("shown in: internal, partner"))
    );
    assert!(
        policies
            .explain("ghx", "nothing.at-all", None, None)
            .is_none()
    );
    assert!(
        policies
            .explain("nobody", "supplier-master.get-supplier", None, None)
            .is_none()
    );
}

fn insta_like(text: &str, beginning: &str) {
    assert_eq!(&text[..beginning.len().min(text.len())], beginning);
}

#[test]
fn a_decision_shows_no_values() {
    let policies = compiled(&[
        r#"@id("overflow") forbid(principal, action == Action::"call", resource)
           when { context has facility && context.facility == "north" && context.hour * 9223372036854775807 > 0 };"#,
    ]);
    let facts = Facts {
        facility: Some("north".into()),
        ..Facts::at(Zone::Partner)
    };
    let decision = policies.decide(&ghx(), Action::Call, &operation("get-supplier"), &facts);
    assert!(!decision.allow);
    let shown = format!("{decision:?}{}", decision.errors[0]);
    assert!(!shown.contains("north") && !shown.contains("12"), "{shown}");
}

#[test]
fn the_roles_that_estates_may_name_are_those_that_policies_know() {
    let known = ROLES.map(|(role, _)| role);
    assert_eq!(wardline_estate::model::BUILT_IN_ROLES, known);
}
