//! Operations of Apis and what serves them.

use super::programs::Programs;
use super::soap::Speakers;
use super::{FrontError, documents, later, process, promises};
use crate::error::NOT_SERVED;
use crate::plan::{
    self, Binding, Call, Compose, FacilityFrom, Keep, Limits, Part, Serve, Share, Systems,
    Validate, When,
};
use crate::shadow::ledger::Ledger;
use crate::shadow::{Outcome, Rules};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use wardline_contract::lifecycle::Lifecycle;
use wardline_contract::xml;
use wardline_core::Timestamp;
use wardline_engine::{Deferral, ProcessDoor};
use wardline_estate::Diagnostic;
use wardline_estate::model::{
    self, Api, ApiOperation, BodyContent, Estate, Idempotency, Method, OperationKind,
    ResponseValidation, Work,
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

pub(super) fn obstacle(
    estate: &Estate,
    api: &Api,
    operation: &ApiOperation,
) -> Option<&'static str> {
    match &operation.work {
        Work::Gather { .. } if operation.asynchronous => {
            Some("answers that are gathered cannot be given later")
        }
        Work::Tell { .. } | Work::Bound if is_later(operation) => (!operation.query.is_empty())
            .then_some("what is sent later has no query: put its parameters into the body"),
        Work::Tell { .. }
        | Work::Gather { .. }
        | Work::Start { .. }
        | Work::Signal { .. }
        | Work::Status { .. } => None,
        Work::Bound => {
            let answered = api.bindings.iter().all(|binding| {
                matches!(
                    estate.operation(&binding.reference(&operation.name)),
                    Some((_, there)) if matches!(there.kind, OperationKind::Http { .. } | OperationKind::Soap { .. })
                )
            });
            (!answered).then_some("a system that it is bound to does not answer calls at once")
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
    (deferral, door): (&Deferral, &ProcessDoor),
    (shadows, speakers): (&Arc<Ledger>, &Speakers),
) -> Result<plan::Api, FrontError> {
    let mut operations = Vec::new();
    for operation in api.operations.values() {
        if obstacle(estate, api, operation).is_none()
            && let Some(serve) = serve(
                estate,
                api,
                operation,
                programs,
                (deferral, door),
                (shadows, speakers),
            )
        {
            operations.push(one(api, operation, serve));
        }
    }
    operations.push(documents::operation(estate, api)?);
    Ok(plan::Api {
        name: api.name.as_str().into(),
        version: api.version.to_string().into(),
        base: api.base.value.clone(),
        by_header: by_header(api),
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

fn by_header(api: &Api) -> Option<plan::ByHeader> {
    let by = api.by_header.as_ref()?;
    Some(plan::ByHeader {
        // The loader has checked the name.
        header: by.header.value.parse().ok()?,
        default: by.default,
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
        content_types: match operation.content {
            BodyContent::Json => Vec::new(),
            BodyContent::Xml => xml::MEDIA.iter().map(|&media| media.into()).collect(),
        },
        validate: Validate {
            // What XML can do to a parser behind is looked for whatever the file says.
            request: operation.validate.request || operation.content == BodyContent::Xml,
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
    (deferral, door): (&Deferral, &ProcessDoor),
    (shadows, speakers): (&Arc<Ledger>, &Speakers),
) -> Option<Serve> {
    if let Some(serve) = process::serve(api, operation, door) {
        return Some(serve);
    }
    if is_later(operation) {
        return later::serve(api, operation, programs, deferral);
    }
    if let Work::Gather { calls, map } = &operation.work {
        let calls: Option<Vec<Part>> = calls
            .iter()
            .map(|call| {
                let (of, called) = call.call.value.split_once('.')?;
                let api = estate.api(of)?;
                let inner = api.operations.get(called)?;
                let parameters: Vec<&str> = inner.parameters().collect();
                Some(Part {
                    name: call.name.as_str().into(),
                    api: of.into(),
                    version: Some(api.version.to_string().into()),
                    operation: called.into(),
                    when: match &call.when {
                        Some(text) => Some(programs.condition(text)?),
                        None => None,
                    },
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
                call: call(
                    estate,
                    &binding.reference(&operation.name),
                    programs,
                    speakers,
                )?,
            })
        })
        .collect();
    let shadow = api.shadow.as_ref().and_then(|shadow| {
        let reference = format!("{}.{}", shadow.system.value, shadow.operation(&operation.name));
        let system: Arc<str> = shadow.system.value.as_str().into();
        let ledger = Arc::clone(shadows);
        let reference_of: Arc<str> = operation.reference.as_str().into();
        Some(plan::Shadow {
            name: Arc::clone(&system),
            call: call(estate, &reference, programs, speakers)?,
            per_myriad: shadow.sample.0,
            rules: rules(estate, operation, shadow),
            concurrent: SHADOWS,
            writes: shadow.writes,
            sink: Arc::new(move |difference| {
                if difference.outcome != Outcome::Same {
                    tracing::debug!(operation = %reference_of, system = %system, ?difference, "the system in the shadow does not answer the same");
                }
                ledger.note(&difference, Timestamp::now());
            }),
        })
    });
    Some(Serve::Systems(Systems {
        bindings: bindings?,
        shadow,
    }))
}

/// What of the answers is compared. Of what is sensitive not even shapes are told.
fn rules(estate: &Estate, operation: &ApiOperation, shadow: &model::Shadow) -> Rules {
    fn words(list: &[wardline_estate::Spanned<String>]) -> impl Iterator<Item = &str> {
        list.iter().map(|path| path.value.as_str())
    }
    let entity = operation.returns.as_ref();
    let entity = entity.and_then(|name| estate.entities.get(&name.value));
    let sensitive = entity.into_iter().flat_map(|entity| {
        let classes = entity.sensitivity.iter();
        classes.filter_map(|(path, class)| (!class.may_be_shown()).then_some(path.as_str()))
    });
    Rules::everything()
        .only(words(&shadow.compare))
        .ignoring(words(&shadow.ignore))
        .unordered(words(&shadow.unordered))
        .sensitive(sensitive)
        .tolerant(!shadow.extra)
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

fn call(
    estate: &Estate,
    reference: &str,
    programs: &Programs,
    speakers: &Speakers,
) -> Option<Call> {
    let (system, operation) = estate.operation(reference)?;
    let upstream: Arc<str> = format!("{}.{}", system.name, operation.connection.value).into();
    let (verb, path, speech) = match &operation.kind {
        OperationKind::Http { method, path } => (*method, path.value.clone(), None),
        // The address is the service; what is asked is in the message.
        OperationKind::Soap { operation } => {
            let speaker = speakers.get(&*upstream)?;
            let speech = super::soap::speech(speaker, &operation.value);
            (Method::Post, "/".to_owned(), Some(speech))
        }
        OperationKind::Mllp
        | OperationKind::Sql { .. }
        | OperationKind::Scim { .. }
        | OperationKind::Fhir { .. }
        | OperationKind::Null => return None,
    };
    let map = |map: &Option<model::MapRef>| match map {
        Some(map) => programs.map(map).map(Some),
        None => Some(None),
    };
    Some(Call {
        upstream,
        method: Some(method(verb)),
        path: Some(path),
        query: speech.is_none(),
        request: map(&operation.request)?,
        response: map(&operation.response)?,
        keep: operation.cache.map(|cache| Keep {
            fresh: cache.keep,
            stale_if_error: cache.stale_if_error,
        }),
        speech,
    })
}

/// What callers are told of an Api's version and of its end, with every answer (RFC 9745,
/// RFC 8594, RFC 8288).
fn lifecycle(estate: &Estate, api: &Api) -> Vec<(HeaderName, HeaderValue)> {
    let named = api.successor.as_ref();
    let successor = named.and_then(|name| estate.api(&name.value));
    // Where nothing is said, what comes after a version that ends is the next one of its name.
    let ends = api.deprecated.is_some() || api.sunset.is_some();
    let next = || {
        let versions = estate.versions(&api.name).into_iter();
        versions
            .filter(|other| ends && other.state.is_served())
            .find(|other| other.version.major > api.version.major)
    };
    let mut headers = Lifecycle {
        deprecated: api.deprecated.as_ref().map(|at| at.value.to_jiff()),
        sunset: api.sunset.as_ref().map(|at| at.value.to_jiff()),
        successor: successor
            .or_else(next)
            .map(|api| format!("{}/openapi.json", api.base.value)),
        about: None,
    }
    .headers();
    if let Some(by) = by_header(api) {
        headers.extend(
            HeaderValue::try_from(api.version.to_string()).map(|it| (by.header.clone(), it)),
        );
        headers.push((http::header::VARY, by.header.into()));
    }
    headers
}
