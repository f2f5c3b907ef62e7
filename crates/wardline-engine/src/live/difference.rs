//! What of an estate is other than before, in words; and what of it cannot change while it runs.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use wardline_core::Zone;
use wardline_estate::model::{Connection, ConnectionKind, Direction, Estate, Listener, Source};
use wardline_estate::said;

/// Whether something came, changed or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was not there before.
    Added,
    /// It says something else.
    Changed,
    /// It is gone.
    Removed,
}

impl How {
    /// `added`, `changed` or `removed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// Something that is other than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its kind and name: `connection erp-cloud.api`, `api supplier-master/v1`.
    pub what: String,
    /// What became of it.
    pub how: How,
    /// What that means for what runs; empty where it simply holds from now on.
    pub effect: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.how.as_str())?;
        if !self.effect.is_empty() {
            write!(f, ": {}", self.effect)?;
        }
        Ok(())
    }
}

/// Everything of an estate that is other than before. Moving a declaration to another line or
/// file, or rewording a comment, is no change.
pub fn difference(before: &Estate, after: &Estate) -> Vec<Change> {
    let mut found = Vec::new();
    let mut compare = |kind: &str,
                       before: BTreeMap<String, String>,
                       after: BTreeMap<String, String>,
                       effect: &dyn Fn(&str, How) -> String| {
        let mut tell = |name: &str, how: How| {
            let what = if name.is_empty() {
                kind.to_owned()
            } else {
                format!("{kind} {name}")
            };
            let effect = effect(name, how);
            found.push(Change { what, how, effect });
        };
        for (name, said) in &after {
            match before.get(name) {
                None => tell(name, How::Added),
                Some(old) if old != said => tell(name, How::Changed),
                Some(_) => {}
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            tell(name, How::Removed);
        }
    };
    let plain = |_: &str, _: How| String::new();
    let titled = |_: &str, _: How| {
        if before.title == after.title {
            String::new()
        } else {
            "the console shows the new title after a restart".to_owned()
        }
    };
    compare("the estate", general(before), general(after), &titled);
    compare(
        "listener",
        each(&before.listeners),
        each(&after.listeners),
        &plain,
    );
    compare("dropboxes", boxes(before), boxes(after), &plain);
    let connections = |estate: &Estate| -> BTreeMap<String, String> {
        let all = estate.connections();
        all.map(|(_, one)| (one.reference.clone(), said(one)))
            .collect()
    };
    let direction = |name: &str, how: How| {
        let there = |estate: &Estate| estate.connection(name).map(|(_, one)| one.kind.direction());
        let direction = there(after).or_else(|| there(before));
        match (direction, how) {
            (Some(Direction::In), How::Added) => "opened",
            (Some(Direction::In), How::Changed) if listens_alike(before, after, name) => "",
            (Some(Direction::In), How::Changed) => {
                "reopened: its senders connect again; what was in hand is answered"
            }
            (Some(Direction::In), How::Removed) => "closed; what was in hand is answered",
            (Some(Direction::Out), How::Changed) => {
                "reopened: what is being sent ends first; what is owed goes the new way"
            }
            _ => "",
        }
        .to_owned()
    };
    compare(
        "connection",
        connections(before),
        connections(after),
        &direction,
    );
    let systems = |estate: &Estate| -> BTreeMap<String, String> {
        let all = estate.systems.iter();
        all.map(|(name, system)| {
            let mut bare = system.clone();
            bare.connections.clear();
            (name.clone(), said(&bare))
        })
        .collect()
    };
    compare("system", systems(before), systems(after), &plain);
    compare(
        "entity",
        each(&before.entities),
        each(&after.entities),
        &plain,
    );
    let timed = |name: &str, how: How| {
        let schedule = |estate: &Estate| match estate.flows.get(name).map(|flow| &flow.source) {
            Some(Source::Schedule(schedule)) => Some(said(schedule)),
            _ => None,
        };
        match (schedule(before), schedule(after), how) {
            (old, Some(new), _) if old.as_ref() != Some(&new) => {
                "its schedule counts from now".to_owned()
            }
            _ => String::new(),
        }
    };
    compare("flow", each(&before.flows), each(&after.flows), &timed);
    compare("job", each(&before.jobs), each(&after.jobs), &plain);
    compare("api", each(&before.apis), each(&after.apis), &plain);
    compare(
        "client",
        each(&before.clients),
        each(&after.clients),
        &|_, how| match how {
            How::Removed => "its tokens and keys are refused from now on".to_owned(),
            _ => String::new(),
        },
    );
    compare("role", roles(before), roles(after), &|_, how| match how {
        How::Removed => "may be given to people until a restart".to_owned(),
        _ => "may be given to people after a restart".to_owned(),
    });
    compare(
        "policies",
        each(&before.policies),
        each(&after.policies),
        &plain,
    );
    compare("codes", each(&before.codes), each(&after.codes), &plain);
    compare("file", files(before), files(after), &plain);
    found
}

/// The server of drop boxes, and each of them.
fn boxes(estate: &Estate) -> BTreeMap<String, String> {
    let Some(declared) = &estate.dropboxes else {
        return BTreeMap::new();
    };
    let mut all = each(&declared.boxes);
    let mut bare = declared.clone();
    bare.boxes.clear();
    all.insert(String::new(), said(&bare));
    all
}

/// What says the whole estate's own lines.
fn general(estate: &Estate) -> BTreeMap<String, String> {
    let said = said(&(
        &estate.title,
        &estate.facilities,
        &estate.retention,
        &estate.time_zone,
        &estate.identity,
    ));
    BTreeMap::from([(String::new(), said)])
}

/// Roles that clients' files bring. Those that people have are said beside them.
fn roles(estate: &Estate) -> BTreeMap<String, String> {
    let of_people: Vec<&str> = estate.people.all_roles().collect();
    let clients = estate.clients.values().flat_map(|client| &client.roles);
    clients
        .filter(|role| !of_people.contains(&role.value.as_str()))
        .map(|role| (role.value.clone(), String::new()))
        .collect()
}

fn each<T: Debug>(all: &BTreeMap<String, T>) -> BTreeMap<String, String> {
    all.iter()
        .map(|(name, one)| (name.clone(), said(one)))
        .collect()
}

/// Maps, schemas and whatever else is text of its own. Declarations are compared by what they say.
fn files(estate: &Estate) -> BTreeMap<String, String> {
    let files = estate.sources.files().map(|(_, file)| file);
    files
        .filter(|file| {
            let extension = file.path.extension().and_then(|one| one.to_str());
            !matches!(extension, Some("yaml" | "yml" | "cedar"))
        })
        .map(|file| (file.path.display().to_string(), file.text.to_string()))
        .collect()
}

/// Whether an inbound connection changed only in what the plan knows of it (keys, duplicates,
/// site), so that its listener stays.
fn listens_alike(before: &Estate, after: &Estate, name: &str) -> bool {
    let kind = |estate: &Estate| {
        let (_, connection) = estate.connection(name)?;
        Some(said(&listening(connection)))
    };
    kind(before) == kind(after)
}

fn listening(connection: &Connection) -> ConnectionKind {
    let mut kind = connection.kind.clone();
    if let ConnectionKind::MllpListen(listen) = &mut kind {
        listen.charset = wardline_estate::Charset::Auto;
    }
    kind
}

/// What is other than before and holds only after a restart, in words. Where there is any, the
/// whole estate has to wait: half of it would be an estate that nobody wrote.
pub fn needs_restart(before: &Estate, after: &Estate) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, before: String, after: String| {
        if before != after {
            found.push(what.to_owned());
        }
    };
    compare(
        "`estate` (keys and journal belong to the name)",
        before.name.clone(),
        after.name.clone(),
    );
    compare("`store`", said(&before.store), said(&after.store));
    compare("`keys`", said(&before.keys), said(&after.keys));
    compare(
        "`secrets` (where they come from)",
        places(before),
        places(after),
    );
    compare(
        "`people` (how they sign in to the console, and which roles there are)",
        said(&before.people),
        said(&after.people),
    );
    compare(
        "`time_zone` (quotas count days in it)",
        before.time_zone.clone(),
        after.time_zone.clone(),
    );
    let issued = |estate: &Estate| {
        let identity = &estate.identity;
        let partner: Vec<_> = estate
            .listeners
            .values()
            .filter(|one| one.zone != Zone::Internal && estate.has_apis_at(one))
            .map(|one| (one.zone, one.bind.value, one.tls.is_some()))
            .collect();
        said(&(&identity.issuer, &identity.token, partner))
    };
    compare(
        "by whom and how tokens are issued (`identity.issuer`, `identity.token`, the address of a listener that issues them)",
        issued(before),
        issued(after),
    );
    let admin = |estate: &Estate| {
        let mut all = estate.listeners.values();
        said(&all.find(|one| one.zone == Zone::Admin))
    };
    compare("the console's listener", admin(before), admin(after));
    for (name, taken) in changed_hands(before, after) {
        found.push(format!("listener `{name}` ({taken})"));
    }
    found
}

/// Where secrets come from; which are used is said where they are used.
fn places(estate: &Estate) -> String {
    let mut places = estate.secrets.clone();
    places.used.clear();
    said(&places)
}

/// Listeners that would go from the engine (connections alone) to the gateway (Apis), or back.
fn changed_hands<'a>(
    before: &'a Estate,
    after: &'a Estate,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    let keeper = |estate: &Estate, listener: &Listener| {
        if estate.has_apis_at(listener) {
            return Some("Apis");
        }
        let mut all = estate.connections();
        let taken = all.any(|(_, one)| {
            one.kind
                .receives_at()
                .is_some_and(|http| http.listener.value == listener.name)
        });
        taken.then_some("connections")
    };
    after.listeners.values().filter_map(move |new| {
        let mut olds = before.listeners.values();
        let old =
            olds.find(|old| old.bind.value == new.bind.value && old.bind.value.port() != 0)?;
        match (keeper(before, old)?, keeper(after, new)?) {
            ("Apis", "connections") => Some((new.name.as_str(), "its last Api is gone")),
            ("connections", "Apis") => Some((new.name.as_str(), "it shows its first Api")),
            _ => None,
        }
    })
}
