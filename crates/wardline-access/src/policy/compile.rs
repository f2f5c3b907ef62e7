//! From plain data to policies that decide.

use cedar_policy::{Authorizer, EntityUid, Schema};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decide::{Place, Policies, Principal};
use super::entities::{self, Names};
use super::problem::{Problem, ProblemKind};
use super::select::{self, Slices};
use super::text::{self, Rule};
use super::world::{Action, PolicyText, Resource, World};
use wardline_estate::Severity;

/// The policies that every estate has.
pub const BASE: &str = include_str!("base.cedar");

/// What policies may speak of, in Cedar's schema language: for editors and the reference.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The scope that lets a client be told of an entity's events: `encounter.receive`.
///
/// ```
/// assert_eq!(&*wardline_access::policy::receive_scope("encounter"), "encounter.receive");
/// ```
pub fn receive_scope(entity: &str) -> Arc<str> {
    format!("{entity}.receive").into()
}

/// Compiles the estate's policies together with the built-in ones. The second part of the
/// answer is what is wrong with them; policies are handed out only where none of it is an error.
///
/// ```
/// use wardline_access::policy::{PolicyText, World, compile};
/// let policies = vec![PolicyText {
///     path: "policies/night.cedar".into(),
///     text: r#"forbid(principal in Role::"suport", action, resource) when { context.hour < 6 };"#.into(),
/// }];
/// let (compiled, problems) = compile(&World { policies, ..World::default() });
/// assert!(compiled.is_none());
/// assert_eq!(problems[0].help.as_deref(), Some(r#"did you mean `Role::"support"`?"#));
/// ```
pub fn compile(world: &World) -> (Option<Policies>, Vec<Problem>) {
    let names = Names::new();
    let schema: Schema = SCHEMA
        .parse()
        .expect("the built-in schema is checked by a test");
    let entities =
        entities::all(world, &names).expect("the estate's names make a tree, checked by a test");
    let mut problems = Vec::new();
    let missing = |uid: &EntityUid| {
        (!names.is_open(uid.type_name()) && entities.get(uid).is_none()).then(|| {
            let alike = entities
                .iter()
                .map(cedar_policy::Entity::uid)
                .filter(|other| other.type_name() == uid.type_name());
            nearest(uid, alike)
        })
    };
    let base = PolicyText {
        path: "built-in".into(),
        text: BASE.into(),
    };
    let mut rules = text::read(&base, &schema, &missing, &mut problems);
    debug_assert!(problems.is_empty(), "built-in policies: {problems:?}");
    for file in &world.policies {
        rules.extend(text::read(file, &schema, &missing, &mut problems));
    }
    unique(&rules, world, &mut problems);
    if problems
        .iter()
        .any(|problem| problem.kind.severity() == Severity::Error)
    {
        return (None, problems);
    }
    let actions = Action::ALL.map(|action| {
        let uid = names.action(action.name());
        let bits = select::of_action(&rules, &uid);
        (uid, bits)
    });
    let place = |uid: EntityUid| Place {
        bits: select::of_resource(&rules, &uid, &entities),
        uid,
        call: None,
        receive: None,
    };
    let mut places: ahash::AHashMap<Resource, Place> = ahash::AHashMap::new();
    places.insert(Resource::Estate, place(names.estate()));
    for entity in &world.entities {
        let mut place = place(names.entity(&entity.name));
        place.receive = Some(receive_scope(&entity.name));
        places.insert(Resource::Entity(Arc::clone(&entity.name)), place);
    }
    for flow in &world.flows {
        places.insert(
            Resource::Flow(Arc::clone(&flow.name)),
            place(names.flow(&flow.name)),
        );
    }
    for api in &world.apis {
        places.insert(
            Resource::Api(Arc::clone(&api.name)),
            place(names.api(&api.name)),
        );
        for operation in &api.operations {
            let mut place = place(names.operation(&api.name, &operation.name));
            place.call = Some(super::decide::Call {
                scope: operation.scope.clone(),
                zones: api.zones.iter().copied().collect(),
                version: api.major,
            });
            places.insert(
                Resource::Operation {
                    api: Arc::clone(&api.name),
                    major: api.major,
                    operation: Arc::clone(&operation.name),
                },
                place,
            );
        }
    }
    let principals = world
        .clients
        .iter()
        .map(|client| {
            let uid = names.client(&client.name);
            let bits = select::of_principal(&rules, &uid, &entities);
            (
                Arc::clone(&client.name),
                Principal {
                    uid,
                    bits,
                    client: client.clone(),
                },
            )
        })
        .collect();
    let named: BTreeSet<EntityUid> = rules
        .iter()
        .flat_map(|rule| rule.policy.entity_literals())
        .collect();
    let policies = Policies {
        authorizer: Authorizer::new(),
        remembered: super::remembered::Remembered::default(),
        known: rules
            .iter()
            .enumerate()
            .map(|(at, rule)| (rule.policy.id().clone(), at))
            .collect(),
        classes: world
            .entities
            .iter()
            .map(|entity| {
                (
                    Arc::clone(&entity.name),
                    entity.sensitivity.values().copied().collect(),
                )
            })
            .collect(),
        named: named.into_iter().collect(),
        slices: Slices::default(),
        names,
        entities,
        rules,
        actions,
        places,
        principals,
    };
    (Some(policies), problems)
}

/// Decisions are explained and audited by name, so a name means one policy.
fn unique(rules: &[Rule], world: &World, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in rules {
        let Some(first) = seen.insert(&rule.name, rule) else {
            let built_in = &*rule.file == "built-in";
            if rule.name.starts_with("base.") && !built_in {
                twice(
                    rule,
                    "names that begin with `base.` are those of the built-in policies",
                    world,
                    problems,
                );
            }
            continue;
        };
        let message = format!(
            "a policy of the name `{}` is already in {}",
            rule.name, first.file
        );
        twice(rule, &message, world, problems);
    }
}

fn twice(rule: &Rule, message: &str, world: &World, problems: &mut Vec<Problem>) {
    let Some(file) = world.policies.iter().find(|file| file.path == rule.file) else {
        return;
    };
    let start = file.text.find(&*rule.text).unwrap_or(0);
    problems.push(
        Problem::new(
            ProblemKind::Twice,
            file,
            start..(start + rule.text.len()).min(file.text.len()),
            message.to_owned(),
        )
        .help("give it a name of its own: `@id(\"…\")`"),
    );
}

/// The name that was probably meant: at most a third of its letters differ.
fn nearest(wrong: &EntityUid, all: impl Iterator<Item = EntityUid>) -> Option<String> {
    let wrong = wrong.id().unescaped();
    all.map(|uid| {
        let distance = strsim::damerau_levenshtein(wrong, uid.id().unescaped());
        (distance, uid)
    })
    .filter(|(distance, _)| *distance <= (wrong.chars().count() / 3).max(1))
    .min()
    .map(|(_, uid)| uid.to_string())
}
