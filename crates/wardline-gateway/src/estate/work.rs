//! Operations of Apis and what serves them.

use super::programs::Programs;
use super::{FrontError, documents, later, promises};
use crate::error::NOT_SERVED;
use crate::plan::{
    self, Binding, Call, Compose, FacilityFrom, Keep, Limits, Part, Serve, Share, Systems,
    Validate, When,
};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use wardline_contract::lifecycle::Lifecycle;
use wardline_engine::Deferral;
use wardline_estate::Diagnostic;
use wardline_estate::model::{
    self, Api, ApiOperation, Estate, Idempotency, Method, OperationKind, ResponseValidation, Work,
};

/// Of a thousand answers so many are held against the contract where a sample is.
const SAMPLE_PERMILLE: u16 = 10;
/// Requests in the shadow at the same time.
const SHADOWS: usize = 16;
/// A request names its facility in this header, where no parameter does.
const FACILITY: HeaderName = HeaderName::from_static("x-facility");

/// What of the estate's Apis is not served by this release: told, never silently left out.
pub(super) fn not_served_yet(estate: &Estate) -> Vec<Diagnostic> {
    let served = estate.apis.values().filter(|api| api.state.is_served());
    let operations = served.flat_map(|api| api.operations.values().map(move |one| (api, one)));
    operations
        .filter_map(|(api, operation)| {
            let why = obstacle(estate, api, operation)?;
            Some(
                Diagnostic::warning(
                    NOT_SERVED,
                    format!(
                        "`{}` is not served by this release: {why}",
                        operation.reference
                    ),
                )
                .at(operation.at)
                .label("callers get 404 here")
                .help("let a flow take the message in, or bind the operation to one over HTTP"),
            )
        })
        .collect()
}

fn obstacle(estate: &Estate, api: &Api, operation: &ApiOperation) -> Option<&'static str> {
    match &operation.work {
        Work::Start { .. } => Some("processes come with a later release"),
        Work::Gather { .. } if operation.asynchronous => {
            Some("answers that are gathered cannot be given later")
        }
        Work::Tell { .. } | Work::Bound if is_later(operation) => (!operation.query.is_empty())
            .then_some("what is sent later has no query: put its parameters into the body"),
        Work::Tell { .. } | Work::Gather { .. } => None,
        Work::Bound => {
            let all_http = api.bindings.iter().all(|binding| {
                matches!(
                    estate.operation(&binding.reference(&operation.name)),
                    Some((_, there)) if matches!(there.kind, OperationKind::Http { .. })
                )
            });
            (!all_http).then_some("a system that it is bound to is not called over HTTP")
        }
    }
}

/// Whether callers are answered before it is carried out.
pub(super) const fn is_later(operation: &ApiOperation) -> bool {
    operation.asynchronous || matches!(operation.work, Work::Tell { .. })
}

/// An Api as the gateway serves it.
pub(super) fn api(
    estate: &Estate,
    api: &Api,
    programs: &Programs,
    deferral: &Deferral,
) -> Result<plan::Api, FrontError> {
    let mut operations = Vec::new();
    for operation in api.operations.values() {
        if obstacle(estate, api, operation).is_none()
            && let Some(serve) = serve(estate, api, operation, programs, deferral)
        {
            operations.push(one(api, operation, serve));
        }
    }
    operations.push(documents::operation(estate, api)?);
    Ok(plan::Api {
        name: api.name.as_str().into(),
        version: api.version.to_string().into(),
        base: api.base.value.clone(),
        zones: api.zones.clone(),
        headers: lifecycle(estate, api),
        facility: vec![
            FacilityFrom::Param("facility".into()),
            FacilityFrom::Query("facility".into()),
            FacilityFrom::Header(FACILITY),
            FacilityFrom::Caller,
        ],
        contract: promises::of(estate, api),
        operations,
    })
}

fn one(api: &Api, operation: &ApiOperation, serve: Serve) -> plan::Operation {
    plan::Operation {
        name: operation.name.as_str().into(),
        method: method(operation.method),
        path: operation.path.value.clone(),
        scope: operation
            .scope
            .as_ref()
            .map(|scope| scope.value.as_str().into()),
        public: operation.public,
        lane: operation.lane,
        limits: Limits {
            body: usize::try_from(api.limits.body).unwrap_or(usize::MAX),
            time: operation.timeout,
            ..Limits::default()
        },
        content_types: Vec::new(),
        validate: Validate {
            request: operation.validate.request,
            response_permille: match operation.validate.response {
                ResponseValidation::Strict => 1_000,
                ResponseValidation::Sample => SAMPLE_PERMILLE,
                ResponseValidation::None => 0,
            },
        },
        idempotent: match operation.idempotent {
            Idempotency::Key { keep } => Some(keep),
            Idempotency::No => None,
        },
        serve,
    }
}

const fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

/// `None` where a program of it did not compile, which was told then.
fn serve(
    estate: &Estate,
    api: &Api,
    operation: &ApiOperation,
    programs: &Programs,
    deferral: &Deferral,
) -> Option<Serve> {
    if is_later(operation) {
        return later::serve(api, operation, programs, deferral);
    }
    if let Work::Gather { calls, map } = &operation.work {
        let calls: Option<Vec<Part>> = calls
            .iter()
            .map(|call| {
                let (of, called) = call.call.value.split_once('.')?;
                let inner = estate.api(of)?.operations.get(called)?;
                let parameters: Vec<&str> = inner.parameters().collect();
                Some(Part {
                    name: call.name.as_str().into(),
                    api: of.into(),
                    operation: called.into(),
                    with: programs.with(call, &parameters),
                    optional: call.optional,
                })
            })
            .collect();
        return Some(Serve::Compose(Compose {
            calls: calls?,
            map: match map {
                Some(map) => Some(programs.gathered(map)?),
                None => None,
            },
            cache: None,
        }));
    }
    let bindings: Option<Vec<Binding>> = api
        .bindings
        .iter()
        .map(|binding| {
            Some(Binding {
                name: binding.system.value.as_str().into(),
                when: when(binding, programs)?,
                call: call(estate, &binding.reference(&operation.name), programs)?,
            })
        })
        .collect();
    let shadow = api.shadow.as_ref().and_then(|shadow| {
        let reference = format!("{}.{}", shadow.system.value, shadow.operation(&operation.name));
        let system: Arc<str> = shadow.system.value.as_str().into();
        let reference_of: Arc<str> = operation.reference.as_str().into();
        Some(plan::Shadow {
            call: call(estate, &reference, programs)?,
            per_myriad: shadow.sample.0,
            compare: shadow
                .compare
                .iter()
                .map(|path| format!("/{}", path.value.replace('.', "/")).into())
                .collect(),
            concurrent: SHADOWS,
            writes: shadow.writes,
            sink: Arc::new(move |difference| {
                tracing::info!(operation = %reference_of, system = %system, ?difference, "the system in the shadow answers differently");
            }),
        })
    });
    Some(Serve::Systems(Systems {
        bindings: bindings?,
        shadow,
    }))
}

pub(super) fn when(binding: &model::Binding, programs: &Programs) -> Option<When> {
    let share = match (binding.share, &binding.sticky) {
        (None, _) => None,
        (Some(share), sticky) => Some(Share {
            per_myriad: share.0,
            key: match sticky {
                Some(text) => Some(programs.key(text)?),
                None => None,
            },
        }),
    };
    let mentions_body = |text: &Option<wardline_estate::Spanned<String>>| {
        text.as_ref()
            .is_some_and(|text| text.value.contains(".body"))
    };
    Some(When {
        share,
        from: binding.from.as_ref().map(|at| at.value),
        until: binding.until.as_ref().map(|at| at.value),
        predicate: match &binding.when {
            Some(text) => Some(programs.predicate(text)?),
            None => None,
        },
        reads_body: mentions_body(&binding.when) || mentions_body(&binding.sticky),
        ..When::default()
    })
}

fn call(estate: &Estate, reference: &str, programs: &Programs) -> Option<Call> {
    let (system, operation) = estate.operation(reference)?;
    let OperationKind::Http { method: verb, path } = &operation.kind else {
        return None;
    };
    let map = |map: &Option<model::MapRef>| match map {
        Some(map) => programs.map(map).map(Some),
        None => Some(None),
    };
    Some(Call {
        upstream: format!("{}.{}", system.name, operation.connection.value).into(),
        method: Some(method(*verb)),
        path: Some(path.value.clone()),
        query: true,
        request: map(&operation.request)?,
        response: map(&operation.response)?,
        keep: operation.cache.map(|cache| Keep {
            fresh: cache.keep,
            stale_if_error: cache.stale_if_error,
        }),
    })
}

/// What callers are told of an Api's end, with every answer (RFC 9745, RFC 8594, RFC 8288).
fn lifecycle(estate: &Estate, api: &Api) -> Vec<(HeaderName, HeaderValue)> {
    let successor = api.successor.as_ref();
    Lifecycle {
        deprecated: api.deprecated.as_ref().map(|at| at.value.to_jiff()),
        sunset: api.sunset.as_ref().map(|at| at.value.to_jiff()),
        successor: successor
            .and_then(|name| estate.api(&name.value))
            .map(|api| format!("{}/openapi.json", api.base.value)),
        about: None,
    }
    .headers()
}
