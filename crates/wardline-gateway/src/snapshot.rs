//! A plan made ready: routes by zone, every name resolved. Built off the path, then swapped in.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::AHashMap;
use http::{HeaderMap, Method};
use wardline_core::Zone;

use crate::error::GatewayError;
use crate::lanes::Lanes;
use crate::plan::{Api, Call, Operation, Plan, Serve};
use crate::route::{Found, Miss, Piece, Routes, template};
use crate::upstream::Remote;
use crate::versions::Versions;

pub(crate) struct Snapshot {
    pub(crate) plan: Plan,
    /// Counts plans.
    pub(crate) generation: u64,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) remotes: HashMap<Arc<str>, Arc<Remote>>,
    endpoints: Vec<Arc<Endpoint>>,
    zones: [Routes; 3],
    versions: [Versions; 3],
}

/// One operation, ready.
pub(crate) struct Endpoint {
    pub(crate) api: Arc<Api>,
    pub(crate) at: usize,
    /// `api/version/operation`.
    pub(crate) id: Arc<str>,
    pub(crate) params: Vec<Arc<str>>,
    /// The whole path, to make paths of for compositions.
    pub(crate) path: String,
    pub(crate) target: Target,
}

pub(crate) enum Target {
    Systems {
        bindings: Vec<Bound>,
        shadow: Option<Box<(Bound, Arc<tokio::sync::Semaphore>)>>,
    },
    Compose(Vec<Arc<Endpoint>>),
    /// Whatever needs nothing resolved: the plan says it all.
    Plain,
    Status,
}

/// A call whose names are resolved.
pub(crate) struct Bound {
    pub(crate) name: Arc<str>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) call: Call,
    pub(crate) path: Vec<Bit>,
}

pub(crate) enum Bit {
    Text(String),
    Param(usize),
}

impl Endpoint {
    pub(crate) fn operation(&self) -> &Operation {
        &self.api.operations[self.at]
    }
}

const fn room(zone: Zone) -> usize {
    match zone {
        Zone::Internal => 0,
        Zone::Partner => 1,
        Zone::Admin => 2,
    }
}

impl Snapshot {
    pub(crate) fn build(plan: Plan, before: Option<&Self>) -> Result<Self, GatewayError> {
        let mut remotes = HashMap::new();
        for upstream in &plan.upstreams {
            let old = before.and_then(|before| before.remotes.get(&upstream.name));
            let remote = Remote::new(upstream.clone(), old.map(|old| &**old))?;
            remotes.insert(Arc::clone(&upstream.name), Arc::new(remote));
        }
        let lanes = match before {
            Some(before) if before.plan.capacity == plan.capacity => Arc::clone(&before.lanes),
            _ => Arc::new(Lanes::new(plan.capacity)),
        };
        let mut building = Building {
            remotes: &remotes,
            endpoints: Vec::new(),
            names: AHashMap::new(),
            zones: Default::default(),
            versions: Default::default(),
        };
        // Compositions call operations that are bound to systems, so those are made first.
        let apis: Vec<Arc<Api>> = plan.apis.iter().cloned().map(Arc::new).collect();
        for composed in [false, true] {
            for api in &apis {
                for (at, operation) in api.operations.iter().enumerate() {
                    if matches!(operation.serve, Serve::Compose(_)) == composed {
                        building.operation(api, at)?;
                    }
                }
            }
        }
        let Building {
            endpoints,
            zones,
            versions,
            ..
        } = building;
        let generation = before.map_or(0, |before| before.generation + 1);
        Ok(Self {
            plan,
            generation,
            lanes,
            remotes,
            endpoints,
            zones,
            versions,
        })
    }

    pub(crate) fn find(
        &self,
        zone: Zone,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(&Arc<Endpoint>, Found), Miss> {
        let room = room(zone);
        let found = match self.zones[room].find(method, path) {
            Ok(found) => found,
            Err(Miss::BadPath) => return Err(Miss::BadPath),
            Err(miss) => match self.versions[room].find(method, path, headers) {
                Some(found) => found?,
                None => return Err(miss),
            },
        };
        Ok((&self.endpoints[found.target as usize], found))
    }
}

struct Building<'a> {
    remotes: &'a HashMap<Arc<str>, Arc<Remote>>,
    endpoints: Vec<Arc<Endpoint>>,
    /// `api.operation` and `api version.operation`, and the endpoint.
    names: AHashMap<String, u32>,
    zones: [Routes; 3],
    versions: [Versions; 3],
}

impl Building<'_> {
    fn operation(&mut self, api: &Arc<Api>, at: usize) -> Result<(), GatewayError> {
        let operation = &api.operations[at];
        let what = format!("{} {}, operation {}", api.name, api.version, operation.name);
        let path = joined(&api.base, &operation.path);
        let params = params(&what, &path)?;
        let target = match &operation.serve {
            Serve::Systems(systems) => {
                let mut bindings = Vec::with_capacity(systems.bindings.len());
                for binding in &systems.bindings {
                    bindings.push(self.bound(
                        &what,
                        &binding.name,
                        &binding.call,
                        operation,
                        &params,
                    )?);
                }
                let shadow = match &systems.shadow {
                    None => None,
                    Some(shadow) => {
                        let bound =
                            self.bound(&what, &shadow.name, &shadow.call, operation, &params)?;
                        let room = tokio::sync::Semaphore::new(shadow.concurrent.max(1));
                        Some(Box::new((bound, Arc::new(room))))
                    }
                };
                Target::Systems { bindings, shadow }
            }
            Serve::Compose(compose) => {
                let mut parts = Vec::with_capacity(compose.calls.len());
                for part in &compose.calls {
                    let name = match &part.version {
                        Some(version) => format!("{} {version}.{}", part.api, part.operation),
                        None => format!("{}.{}", part.api, part.operation),
                    };
                    let found = self
                        .names
                        .get(&name)
                        .map(|at| Arc::clone(&self.endpoints[*at as usize]));
                    let found =
                        found.filter(|endpoint| matches!(endpoint.target, Target::Systems { .. }));
                    parts.push(found.ok_or_else(|| GatewayError::NoSuchPart {
                        what: what.clone(),
                        part: name,
                    })?);
                }
                Target::Compose(parts)
            }
            Serve::Accept(_) | Serve::Process(_) | Serve::Document { .. } | Serve::Handler(_) => {
                Target::Plain
            }
        };
        let accepts = matches!(operation.serve, Serve::Accept(_));
        let id = format!("{}/{}/{}", api.name, api.version, operation.name);
        let fresh = self.endpoints.len() as u32;
        let version = format!("{} {}.{}", api.name, api.version, operation.name);
        self.names.insert(version, fresh);
        self.names
            .insert(format!("{}.{}", api.name, operation.name), fresh);
        let method = operation.method.clone();
        self.add(
            &what,
            &method,
            Endpoint {
                api: Arc::clone(api),
                at,
                id: id.into(),
                params,
                path,
                target,
            },
        )?;
        if accepts {
            let path = joined(&api.base, &format!("/-/requests/{}/{{id}}", operation.name));
            let id = format!("{}/{}/{}:status", api.name, api.version, operation.name);
            let params = self::params(&what, &path)?;
            let target = Target::Status;
            self.add(
                &what,
                &Method::GET,
                Endpoint {
                    api: Arc::clone(api),
                    at,
                    id: id.into(),
                    params,
                    path,
                    target,
                },
            )?;
        }
        Ok(())
    }

    fn add(&mut self, what: &str, method: &Method, endpoint: Endpoint) -> Result<(), GatewayError> {
        let at = self.endpoints.len() as u32;
        for zone in &endpoint.api.zones {
            let room = room(*zone);
            let there = match &endpoint.api.by_header {
                None => self.zones[room].insert(method, &endpoint.path, at),
                Some(by) => {
                    self.versions[room].insert(&endpoint.api, by, method, &endpoint.path, at)
                }
            };
            let there = there.map_err(|detail| bad(what, &endpoint.path, detail))?;
            if let Some(first) = there {
                return Err(GatewayError::RouteClash {
                    first: self
                        .endpoints
                        .get(first as usize)
                        .map_or_else(|| what.into(), |first| first.id.to_string()),
                    second: endpoint.id.to_string(),
                    zone: zone.to_string(),
                    method: method.to_string(),
                    path: endpoint.path.clone(),
                });
            }
        }
        self.endpoints.push(Arc::new(endpoint));
        Ok(())
    }

    fn bound(
        &self,
        what: &str,
        name: &Arc<str>,
        call: &Call,
        operation: &Operation,
        params: &[Arc<str>],
    ) -> Result<Bound, GatewayError> {
        let remote =
            self.remotes
                .get(&call.upstream)
                .ok_or_else(|| GatewayError::NoSuchUpstream {
                    what: what.to_owned(),
                    upstream: call.upstream.to_string(),
                })?;
        let path = call.path.as_deref().unwrap_or(&operation.path);
        let mut bits = Vec::new();
        let mut text = String::new();
        let place = |name: &str| params.iter().position(|have| &**have == name);
        let pieces = onward(path, |name| place(name).is_some());
        for piece in pieces.map_err(|detail| bad(what, path, detail))? {
            text.push('/');
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Param(name) => {
                    let at = place(name).ok_or_else(|| bad(what, path, LACKING))?;
                    bits.push(Bit::Text(std::mem::take(&mut text)));
                    bits.push(Bit::Param(at));
                }
            }
        }
        // One that is spoken to otherwise is at its address, whatever is asked.
        if call.speech.is_some() {
            text.clear();
        } else if bits.is_empty() && text.is_empty() {
            text.push('/');
        }
        if !text.is_empty() {
            bits.push(Bit::Text(text));
        }
        Ok(Bound {
            name: Arc::clone(name),
            remote: Arc::clone(remote),
            call: call.clone(),
            path: bits,
        })
    }
}

/// Why a system's path cannot be filled.
pub(crate) const LACKING: &str = "it uses a parameter that the Api's path lacks";

/// Cuts the path of a system that an Api leads to; `has` says what the Api's path fills.
pub(crate) fn onward(
    path: &str,
    has: impl Fn(&str) -> bool,
) -> Result<Vec<Piece<'_>>, &'static str> {
    let pieces = template(path)?;
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) => {
                let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>".contains(&byte);
                if !literal.bytes().all(plain) {
                    return Err("a segment holds characters that must be encoded");
                }
            }
            Piece::Param(name) if !has(name) => return Err(LACKING),
            Piece::Param(_) => {}
        }
    }
    Ok(pieces)
}

pub(crate) fn joined(base: &str, path: &str) -> String {
    let base = base.trim_end_matches('/');
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "/" | "") => base.to_owned(),
        (base, path) => format!("{base}{path}"),
    }
}

fn params(what: &str, path: &str) -> Result<Vec<Arc<str>>, GatewayError> {
    let pieces = template(path).map_err(|detail| bad(what, path, detail))?;
    let names = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Param(name) => Some(name.into()),
        Piece::Literal(_) => None,
    });
    Ok(names.collect())
}

fn bad(what: &str, path: &str, detail: &'static str) -> GatewayError {
    GatewayError::BadTemplate {
        what: what.to_owned(),
        path: path.to_owned(),
        detail,
    }
}
