//! What Apis say in VRL, compiled: maps of operations, conditions of bindings, parameters of calls.

use crate::plan::{Condition, KeyOf, Predicate as Fits, Transform};
use crate::seam::Facts;
use crate::serve;
use ahash::{AHashMap, AHashSet};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::sync::Arc;
use wardline_core::Code;
use wardline_engine::{diagnostic_in, environment};
use wardline_estate::model::{Api, ApiCall, Binding, Estate, MapRef, Work};
use wardline_estate::{Diagnostic, FileId, Span, Spanned};
use wardline_mapping::{
    Content, Environment, Input, KeyExpression, ObjectMap, Output, Predicate, Problem, Program,
    Runtime, Subject, Value,
};

/// What is put before an expression so that it is a program.
const ASSIGN: &str = ". = ";
/// A map answers with one document, and this one does not.
const NOT_ONE: &str = "it gave no single document";

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::default();
}

/// Compiled programs by where they stand.
#[derive(Default)]
pub(super) struct Programs {
    maps: AHashMap<FileId, Arc<Program>>,
    values: AHashMap<Span, Arc<Program>>,
    predicates: AHashMap<Span, Arc<Predicate>>,
    keys: AHashMap<Span, Arc<KeyExpression>>,
}

struct Compiler<'a> {
    estate: &'a Estate,
    environment: Environment,
    made: Programs,
    reported: AHashSet<(Span, Code)>,
    found: Vec<Diagnostic>,
}

impl Programs {
    /// Compiles everything that Apis name, and says what does not compile.
    pub(super) fn compile(estate: &Estate) -> (Self, Vec<Diagnostic>) {
        let mut compiler = Compiler {
            estate,
            environment: Environment {
                input: Input::Json,
                ..environment(estate)
            },
            made: Self::default(),
            reported: AHashSet::new(),
            found: Vec::new(),
        };
        for api in estate.apis.values() {
            compiler.api(api);
        }
        (compiler.made, compiler.found)
    }

    /// A map from one document to another.
    pub(super) fn map(&self, map: &MapRef) -> Option<Transform> {
        Some(transform(Arc::clone(self.maps.get(&map.file)?)))
    }

    /// A condition of a binding.
    pub(super) fn predicate(&self, text: &Spanned<String>) -> Option<Fits> {
        let predicate = Arc::clone(self.predicates.get(&text.at)?);
        Some(Arc::new(move |facts: &Facts<'_>| {
            let subject = Subject::new(Content::Json(known(facts)));
            RUNTIME.with_borrow_mut(|runtime| {
                predicate
                    .test(&subject, runtime)
                    .map_err(|error| error.to_string())
            })
        }))
    }

    /// A condition of a call that is gathered.
    pub(super) fn condition(&self, text: &Spanned<String>) -> Option<Condition> {
        let predicate = Arc::clone(self.predicates.get(&text.at)?);
        Some(Arc::new(move |input: &Json| {
            let input = renamed(input.clone());
            let subject = Subject::new(Content::Json(Value::from(input)));
            RUNTIME.with_borrow_mut(|runtime| {
                predicate
                    .test(&subject, runtime)
                    .map_err(|error| error.to_string())
            })
        }))
    }

    /// What a share sticks to.
    pub(super) fn key(&self, text: &Spanned<String>) -> Option<KeyOf> {
        let key = Arc::clone(self.keys.get(&text.at)?);
        Some(Arc::new(move |facts: &Facts<'_>| {
            let subject = Subject::new(Content::Json(known(facts)));
            RUNTIME.with_borrow_mut(|runtime| key.key(&subject, runtime).ok().flatten())
        }))
    }

    /// Parameters and body of a call that is gathered, from what is known before it.
    pub(super) fn with(&self, call: &ApiCall, parameters: &[&str]) -> Option<Transform> {
        if call.with.is_empty() {
            return None;
        }
        let parameters: Vec<String> = parameters.iter().map(|&name| name.to_owned()).collect();
        let parts: Option<Vec<(String, Transform)>> = call
            .with
            .iter()
            .map(|(name, text)| {
                let program = Arc::clone(self.values.get(&text.at)?);
                Some((name.clone(), transform(program)))
            })
            .collect();
        let parts = parts?;
        Some(Arc::new(move |input: Json| {
            let input = renamed(input);
            let mut asked = json!({ "params": {}, "query": {}, "body": null });
            // A parameter of the path that is not set is the caller's of the same name.
            for name in &parameters {
                asked["params"][name] = input["params"][name].clone();
            }
            for (name, value) in &parts {
                let value = value(input.clone())?;
                match name.as_str() {
                    "body" => asked["body"] = value,
                    name if parameters.iter().any(|parameter| parameter == name) => {
                        asked["params"][name] = value;
                    }
                    name => asked["query"][name] = value,
                }
            }
            Ok(asked)
        }))
    }

    /// The map of gathered answers.
    pub(super) fn gathered(&self, map: &MapRef) -> Option<Transform> {
        let map = self.map(map)?;
        Some(Arc::new(move |input: Json| map(renamed(input))))
    }
}

/// Files speak of `.calls`, the gateway of answers.
fn renamed(mut input: Json) -> Json {
    if let Some(fields) = input.as_object_mut()
        && let Some(answers) = fields.remove("answers")
    {
        fields.insert("calls".to_owned(), answers);
    }
    input
}

/// What is known of a request, as conditions see it.
fn known(facts: &Facts<'_>) -> Value {
    let text = |text: &str| Value::from(text);
    let headers: ObjectMap = facts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().into(), text(value.to_str().ok()?))))
        .collect();
    let params: ObjectMap = facts
        .params
        .iter()
        .map(|(name, raw)| {
            let value = facts.params.get(name);
            (name.into(), text(value.as_deref().unwrap_or(raw)))
        })
        .collect();
    let client = facts
        .caller
        .map_or(Value::Null, |caller| Value::from(serve::client(caller)));
    let fields = [
        ("facility", facts.facility.map_or(Value::Null, text)),
        ("headers", Value::Object(headers)),
        ("params", Value::Object(params)),
        ("client", client),
        (
            "body",
            facts
                .body
                .map_or(Value::Null, |body| Value::from(body.clone())),
        ),
    ];
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}

fn transform(program: Arc<Program>) -> Transform {
    Arc::new(move |input: Json| {
        let subject = Subject::new(Content::Json(Value::from(input)));
        let output = RUNTIME.with_borrow_mut(|runtime| program.run(&subject, runtime));
        match output.map_err(|error| error.to_string())? {
            Output::Json(value) => value.try_into().map_err(|_| NOT_ONE.to_owned()),
            Output::Many(values) => Value::Array(values)
                .try_into()
                .map_err(|_| NOT_ONE.to_owned()),
            Output::Hl7(_) | Output::X12(_) | Output::Xml(_) | Output::Filtered { .. } => {
                Err(NOT_ONE.to_owned())
            }
        }
    })
}

impl Compiler<'_> {
    fn api(&mut self, api: &Api) {
        for binding in &api.bindings {
            self.binding(binding);
            for operation in api.operations.values() {
                self.operation(&binding.reference(&operation.name));
            }
        }
        if let Some(shadow) = &api.shadow {
            for operation in api.operations.values() {
                let name = shadow.operation(&operation.name);
                self.operation(&format!("{}.{name}", shadow.system.value));
            }
        }
        for operation in api.operations.values() {
            if let Work::Gather { calls, map } = &operation.work {
                for call in calls {
                    for text in call.with.values() {
                        self.value(text);
                    }
                    if let Some(text) = &call.when {
                        self.predicate(text);
                    }
                }
                if let Some(map) = map {
                    self.map(map);
                }
            }
        }
    }

    /// The maps of a system's operation.
    fn operation(&mut self, reference: &str) {
        let Some((_, operation)) = self.estate.operation(reference) else {
            return;
        };
        let (request, response) = (operation.request.clone(), operation.response.clone());
        for map in request.iter().chain(&response) {
            self.map(map);
        }
    }

    fn binding(&mut self, binding: &Binding) {
        if let Some(text) = &binding.when {
            self.predicate(text);
        }
        if let Some(text) = &binding.sticky {
            match KeyExpression::compile(&text.value, &self.environment) {
                Ok(key) => {
                    self.made.keys.insert(text.at, Arc::new(key));
                }
                Err(problems) => self.inline(text, problems, 0),
            }
        }
    }

    fn predicate(&mut self, text: &Spanned<String>) {
        match Predicate::compile(&text.value, &self.environment) {
            Ok(predicate) => {
                self.made.predicates.insert(text.at, Arc::new(predicate));
            }
            Err(problems) => self.inline(text, problems, 0),
        }
    }

    fn value(&mut self, text: &Spanned<String>) {
        let source = format!("{ASSIGN}{}", text.value);
        match Program::compile(&source, &self.environment) {
            Ok(program) => {
                self.made.values.insert(text.at, Arc::new(program));
            }
            Err(problems) => self.inline(text, problems, ASSIGN.len()),
        }
    }

    /// Problems of maps that flows use as well are told once, by whoever compiles flows.
    fn map(&mut self, map: &MapRef) {
        if self.made.maps.contains_key(&map.file) {
            return;
        }
        match Program::compile(self.estate.sources.text(map.file), &self.environment) {
            Ok(program) => {
                self.made.maps.insert(map.file, Arc::new(program));
            }
            Err(problems) => {
                for problem in problems {
                    let diagnostic = diagnostic_in(map.file, problem);
                    self.report(diagnostic);
                }
            }
        }
    }

    fn inline(&mut self, text: &Spanned<String>, problems: Vec<Problem>, before: usize) {
        for problem in problems {
            let range = problem.start.saturating_sub(before)..problem.end.saturating_sub(before);
            let span = text.inner(range, &self.estate.sources);
            let placed = Problem {
                start: span.start as usize,
                end: span.end as usize,
                ..problem
            };
            let diagnostic = diagnostic_in(span.file, placed);
            self.report(diagnostic);
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.span.unwrap_or(Span::new(FileId(0), 0, 0));
        if self.reported.insert((place, diagnostic.code)) {
            self.found.push(diagnostic);
        }
    }
}
