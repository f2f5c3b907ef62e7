//! The estate as Cedar sees it.

use cedar_policy::{
    Entities, Entity as CedarEntity, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use wardline_core::Sensitivity;

use super::world::{ROLES, World, class_name, kind_name, zone_name};
use crate::Caller;

/// The types of the schema, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    role: EntityTypeName,
    client: EntityTypeName,
    person: EntityTypeName,
    estate: EntityTypeName,
    api: EntityTypeName,
    operation: EntityTypeName,
    entity: EntityTypeName,
    flow: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    pub(crate) fn new() -> Self {
        let name = |name: &str| {
            name.parse::<EntityTypeName>()
                .expect("a plain word is a name of a type")
        };
        Self {
            role: name("Role"),
            client: name("Client"),
            person: name("Person"),
            estate: name("Estate"),
            api: name("Api"),
            operation: name("Operation"),
            entity: name("Entity"),
            flow: name("Flow"),
            action: name("Action"),
        }
    }

    pub(crate) fn role(&self, name: &str) -> EntityUid {
        uid(&self.role, name)
    }
    pub(crate) fn client(&self, name: &str) -> EntityUid {
        uid(&self.client, name)
    }
    pub(crate) fn person(&self, name: &str) -> EntityUid {
        uid(&self.person, name)
    }
    pub(crate) fn estate(&self) -> EntityUid {
        uid(&self.estate, "estate")
    }
    pub(crate) fn api(&self, name: &str) -> EntityUid {
        uid(&self.api, name)
    }
    pub(crate) fn operation(&self, api: &str, name: &str) -> EntityUid {
        uid(&self.operation, &format!("{api}.{name}"))
    }
    pub(crate) fn entity(&self, name: &str) -> EntityUid {
        uid(&self.entity, name)
    }
    pub(crate) fn flow(&self, name: &str) -> EntityUid {
        uid(&self.flow, name)
    }
    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// Whether policies may name entities of the type although the estate does not list them.
    pub(crate) fn is_open(&self, name: &EntityTypeName) -> bool {
        *name == self.person || *name == self.action
    }
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(text))
}

fn classes<'a>(classes: impl IntoIterator<Item = &'a Sensitivity>) -> RestrictedExpression {
    let names: BTreeSet<&str> = classes
        .into_iter()
        .map(|class| class_name(*class))
        .collect();
    texts(names)
}

type Attributes = HashMap<String, RestrictedExpression>;

/// An entity that is about to be.
#[derive(Default)]
struct Draft {
    attributes: Attributes,
    parents: HashSet<EntityUid>,
}

/// All entities of the estate, in one snapshot.
pub(crate) fn all(
    world: &World,
    names: &Names,
) -> Result<Entities, Box<cedar_policy::entities_errors::EntitiesError>> {
    // Versions of an Api share its entities, so drafts are gathered by name first.
    let mut drafts: BTreeMap<EntityUid, Draft> = BTreeMap::new();
    let estate = names.estate();
    drafts.entry(estate.clone()).or_default();
    for role in roles(world) {
        drafts.entry(names.role(&role)).or_default();
    }
    for api in &world.apis {
        let uid = names.api(&api.name);
        let draft = drafts.entry(uid.clone()).or_default();
        draft.parents.insert(estate.clone());
        draft.attributes.insert("layer".into(), text(&api.layer));
        draft.attributes.insert("owner".into(), text(&api.owner));
        for operation in &api.operations {
            let draft = drafts
                .entry(names.operation(&api.name, &operation.name))
                .or_default();
            draft.parents.insert(uid.clone());
            draft
                .attributes
                .insert("lane".into(), text(&operation.lane));
            draft.attributes.insert(
                "writes".into(),
                RestrictedExpression::new_bool(operation.writes),
            );
        }
    }
    for entity in &world.entities {
        let draft = drafts.entry(names.entity(&entity.name)).or_default();
        draft.parents.insert(estate.clone());
        draft.attributes.insert("owner".into(), text(&entity.owner));
        draft
            .attributes
            .insert("classes".into(), classes(entity.sensitivity.values()));
    }
    for flow in &world.flows {
        let draft = drafts.entry(names.flow(&flow.name)).or_default();
        draft.parents.insert(estate.clone());
        draft.attributes.insert("owner".into(), text(&flow.owner));
    }
    for client in &world.clients {
        let draft = drafts.entry(names.client(&client.name)).or_default();
        draft.parents = client.roles.iter().map(|role| names.role(role)).collect();
        draft.attributes = Attributes::from([
            ("kind".into(), text(kind_name(client.kind))),
            ("zone".into(), text(zone_name(client.zone))),
            ("owner".into(), text(&client.owner)),
            (
                "facilities".into(),
                texts(client.facilities.iter().map(AsRef::as_ref)),
            ),
            (
                "scopes".into(),
                texts(client.scopes.iter().map(AsRef::as_ref)),
            ),
            (
                "purposes".into(),
                texts(client.purposes.iter().map(AsRef::as_ref)),
            ),
            ("reveal".into(), classes(&client.reveal)),
        ]);
    }
    let mut entities = Vec::with_capacity(drafts.len());
    for (uid, draft) in drafts {
        entities.push(
            CedarEntity::new(uid, draft.attributes, draft.parents)
                .expect("attributes without extension functions evaluate"),
        );
    }
    Entities::from_entities(entities, None).map_err(Box::new)
}

/// Built-in roles, those that people may be given, and those of clients.
pub(crate) fn roles(world: &World) -> BTreeSet<Arc<str>> {
    ROLES
        .iter()
        .map(|(role, _)| Arc::from(*role))
        .chain(world.roles.iter().cloned())
        .chain(
            world
                .clients
                .iter()
                .flat_map(|client| client.roles.iter().cloned()),
        )
        .collect()
}

/// Somebody who signed in.
pub(crate) fn person(caller: &Caller, names: &Names) -> CedarEntity {
    CedarEntity::new(
        names.person(&caller.name),
        Attributes::from([
            ("kind".into(), text(kind_name(caller.kind))),
            (
                "facilities".into(),
                texts(caller.facilities.iter().map(AsRef::as_ref)),
            ),
        ]),
        caller.roles.iter().map(|role| names.role(role)).collect(),
    )
    .expect("attributes without extension functions evaluate")
}
