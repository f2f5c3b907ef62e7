//! The estate as policies see it.

use std::sync::Arc;
use wardline_access::CallerKind;
use wardline_access::policy::{Api, Client, Entity, Flow, Operation, PolicyText, World};
use wardline_estate::model::{ClientKind, Estate};

pub(super) const fn kind(kind: ClientKind) -> CallerKind {
    match kind {
        ClientKind::Partner => CallerKind::Partner,
        ClientKind::Service => CallerKind::Service,
        ClientKind::PersonGroup => CallerKind::Person,
    }
}

fn owner(owner: Option<&String>) -> Arc<str> {
    owner.map_or_else(|| "".into(), |owner| owner.as_str().into())
}

/// Everything that policies may speak of.
pub(super) fn of(estate: &Estate) -> World {
    let names = |all: &[wardline_estate::Spanned<String>]| {
        all.iter().map(|one| one.value.as_str().into()).collect()
    };
    World {
        apis: estate
            .apis
            .values()
            .map(|api| Api {
                name: api.name.as_str().into(),
                major: api.version.major,
                layer: api.layer.as_str().into(),
                owner: owner(api.owner.as_ref()),
                zones: api.zones.iter().copied().collect(),
                operations: api
                    .operations
                    .values()
                    .map(|operation| Operation {
                        name: operation.name.as_str().into(),
                        scope: operation
                            .scope
                            .as_ref()
                            .map(|scope| scope.value.as_str().into()),
                        lane: operation.lane.to_string().into(),
                        writes: operation.is_write(),
                    })
                    .collect(),
            })
            .collect(),
        entities: estate
            .entities
            .values()
            .map(|entity| Entity {
                name: entity.name.as_str().into(),
                owner: owner(entity.owner.as_ref()),
                sensitivity: entity
                    .sensitivity
                    .iter()
                    .map(|(path, class)| (path.as_str().into(), *class))
                    .collect(),
            })
            .collect(),
        clients: estate
            .clients
            .values()
            .filter(|client| client.kind != ClientKind::PersonGroup)
            .map(|client| Client {
                name: client.name.as_str().into(),
                kind: kind(client.kind),
                zone: client.zone,
                owner: owner(client.owner.as_ref()),
                facilities: names(&client.facilities),
                roles: names(&client.roles),
                scopes: names(&client.scopes),
                purposes: names(&client.purpose),
                reveal: client.reveal.iter().copied().collect(),
            })
            .collect(),
        flows: estate
            .flows
            .values()
            .map(|flow| Flow {
                name: flow.name.as_str().into(),
                owner: owner(flow.owner.as_ref()),
            })
            .collect(),
        roles: estate
            .clients
            .values()
            .flat_map(|client| client.roles.iter().map(|role| role.value.as_str().into()))
            .chain(estate.people.all_roles().map(Into::into))
            .collect(),
        policies: estate
            .policies
            .values()
            .map(|file| PolicyText {
                path: file.path.display().to_string().into(),
                text: Arc::clone(&file.text),
            })
            .collect(),
    }
}
