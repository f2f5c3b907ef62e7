//! A map: compiled once, run on every message.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use vrl::compiler::runtime::Terminate;
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{
    CompileConfig, ExpressionError, Target, TargetValue, TimeZone, compile_with_external,
};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::kind::Collection;
use vrl::value::{Kind, Secrets, Value};
use wardline_core::Code;

use crate::environment::{Environment, Input};
use crate::excess;
use crate::json::exceeds;
use crate::problem::{Problem, Severity, problem};
use crate::run_error::RunError;
use crate::runtime::Runtime;
use crate::scope::{self, Scope};
use crate::session::Session;
use crate::shape::Shape;
use crate::subject::{Content, METADATA, Subject};

/// How every document begins that `xml_write` writes.
const DECLARATION: &[u8] = b"<?xml ";

/// What a program's result is, known once it compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produces {
    /// `.` after the run.
    Data,
    /// The message that `hl7_build`, `hl7_set` and their like wrote.
    Hl7,
    /// The interchange that `x12_build` wrote.
    X12,
    /// The document that `xml_write` wrote and `.` is in the end.
    Xml,
}

/// What a run gave. `Debug` shows its kind only.
#[derive(Clone, PartialEq)]
pub enum Output {
    /// One event or body.
    Json(Value),
    /// `.` was an array: one event for each element, in order; none where it is empty.
    Many(Vec<Value>),
    /// An HL7 message; the input's own bytes where the program changed nothing.
    Hl7(Bytes),
    /// An X12 interchange of one set.
    X12(Bytes),
    /// A document of XML.
    Xml(Bytes),
    /// The program said `abort`: nothing follows from this message.
    Filtered {
        /// The reason after `abort`, where it is a literal: a computed one could hold a value.
        reason: Option<String>,
        /// Where `abort` stands in the source.
        span: (usize, usize),
    },
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(_) => f.write_str("Output::Json(…)"),
            Self::Many(values) => write!(f, "Output::Many({} values)", values.len()),
            Self::Hl7(bytes) => write!(f, "Output::Hl7({} bytes)", bytes.len()),
            Self::X12(bytes) => write!(f, "Output::X12({} bytes)", bytes.len()),
            Self::Xml(bytes) => write!(f, "Output::Xml({} bytes)", bytes.len()),
            Self::Filtered { reason, span } => f
                .debug_struct("Filtered")
                .field("reason", reason)
                .field("span", span)
                .finish(),
        }
    }
}

/// A compiled map. Share it between threads; each needs its own [`Runtime`].
///
/// The program edits `.`, which begins as the event's data (JSON), `{}` (HL7) or `{"text": …}`;
/// what `.` is at the end is the result. A program that writes HL7 (`hl7_set`, `hl7_build` …) must
/// leave `.` alone; its result is the written message. `%` describes the message ([`Metadata`](crate::Metadata)).
/// ```
/// use wardline_mapping::{Environment, Input, Program};
/// let problems = Program::compile(r#".sex = code!("sexx", hl7("PID-8"))"#, &Environment::for_input(Input::Hl7)).unwrap_err();
/// assert_eq!(problems[0].code.0, "W2103");
/// ```
#[derive(Debug)]
pub struct Program {
    compiled: Compiled,
    produces: Produces,
}

impl Program {
    /// Compiles a map.
    ///
    /// # Errors
    /// All problems of the source, warnings included, where at least one is an error.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let mut compiled = Compiled::new(source, environment, false)?;
        let writes = compiled.session.has_writes();
        let builds = compiled.session.has_x12();
        let span = match (writes, builds) {
            (true, true) => Some((0, 0)),
            (false, false) => None,
            _ => compiled.assignment(),
        };
        if let Some(span) = span {
            let what = if builds {
                "an X12 interchange"
            } else {
                "an HL7 message"
            };
            let and = if writes && builds {
                "writes an HL7 message"
            } else {
                "assigns to `.`"
            };
            let problem = Problem {
                code: Code("W2110"),
                message: format!("this map writes {what} and {and}; a map has one result"),
                start: span.0,
                end: span.1,
                label: format!("either this or the `{}` that writes", if builds { "x12_build" } else { "hl7_…" }),
                notes: Vec::new(),
                help: Some("keep intermediate values in variables (`name = …`); use two maps for an event and a message".to_owned()),
                severity: Severity::Error,
            };
            compiled.warnings.insert(0, problem);
            return Err(compiled.warnings);
        }
        let produces = match (writes, builds) {
            (true, _) => Produces::Hl7,
            (_, true) => Produces::X12,
            _ if compiled.session.has_xml() && compiled.end().is_bytes() => Produces::Xml,
            _ => Produces::Data,
        };
        Ok(Self { compiled, produces })
    }

    /// What is suspicious about the source.
    pub fn warnings(&self) -> &[Problem] {
        &self.compiled.warnings
    }

    /// What its result is.
    pub fn produces(&self) -> Produces {
        self.produces
    }

    /// What it reads.
    pub fn input(&self) -> Input {
        self.compiled.session.environment.input
    }

    /// Where its result is an object: members that it surely or perhaps makes and that an outline
    /// does not have, as dotted paths. An outline is JSON: an object has its members, a list its
    /// items, `"…"` and `"anything"` stand for what is not looked at, any other text for a value.
    ///
    /// ```
    /// use wardline_mapping::{Environment, Program};
    /// use serde_json::json;
    /// let map = Program::compile(".order = { \"number\": \"7\", \"lines\": [{ \"sku\": \"A\" }] }", &Environment::default())
    ///     .map_err(|_| "it compiles")?;
    /// let outline = json!({ "order": { "number": "string", "lines": [{ "item": "string" }] } });
    /// assert_eq!(map.strangers(&outline), ["order.lines.sku"]);
    /// # Ok::<(), &str>(())
    /// ```
    pub fn strangers(&self, outline: &serde_json::Value) -> Vec<String> {
        let mut found = Vec::new();
        if matches!(self.produces, Produces::Data) {
            let end = self.compiled.vrl.final_type_info().state;
            strangers(end.external.target_kind(), outline, "", &mut found);
        }
        found
    }

    /// What a map that follows this one in a chain is compiled against.
    pub fn following(&self) -> Environment {
        let own = &self.compiled.session.environment;
        let (input, data) = match self.produces {
            Produces::Hl7 => (Input::Hl7, None),
            Produces::X12 => (Input::X12, None),
            Produces::Xml => (Input::Text, None),
            Produces::Data => {
                let end = self.compiled.end();
                // An array is several events; the next map gets them one by one.
                let data = end.is_object().then_some(Shape(end));
                (Input::Json, data)
            }
        };
        Environment {
            input,
            data,
            ..own.clone()
        }
    }

    /// Runs it on one message.
    ///
    /// # Errors
    /// Where a function fails and the program does not handle it, or a limit is reached. The
    /// error holds no value of the message.
    pub fn run(&self, subject: &Subject, runtime: &mut Runtime) -> Result<Output, RunError> {
        let value = match &subject.content {
            Content::Hl7(_) | Content::X12(_) | Content::Interchange(_) => {
                Value::Object(vrl::value::ObjectMap::new())
            }
            Content::Json(value) => value.clone(),
            Content::Text(bytes) => Value::Object(
                [("text".into(), Value::Bytes(bytes.clone()))]
                    .into_iter()
                    .collect(),
            ),
        };
        let mut target = TargetValue {
            value,
            metadata: self.compiled.metadata(subject),
            secrets: Secrets::default(),
        };
        let limit = runtime.limits.output;
        let run = match self.compiled.run(subject, &mut target, runtime)? {
            Ended::Aborted { reason, span } => return Ok(Output::Filtered { reason, span }),
            Ended::Finished(run) => run,
        };
        if self.produces == Produces::Hl7 {
            let bytes = run.written(subject)?;
            return if bytes.len() > limit {
                Err(RunError::TooLarge { limit })
            } else {
                Ok(Output::Hl7(bytes))
            };
        }
        if self.produces == Produces::X12 {
            let bytes = run.built.ok_or(RunError::NothingBuilt)?;
            return if bytes.len() > limit {
                Err(RunError::TooLarge { limit })
            } else {
                Ok(Output::X12(bytes))
            };
        }
        if exceeds(&target.value, limit) {
            return Err(RunError::TooLarge { limit });
        }
        Ok(match target.value {
            Value::Array(items) => Output::Many(items),
            Value::Bytes(bytes)
                if self.produces == Produces::Xml && bytes.starts_with(DECLARATION) =>
            {
                Output::Xml(bytes)
            }
            value => Output::Json(value),
        })
    }
}

/// What maps, predicates and key expressions have in common.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) vrl: vrl::compiler::Program,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) session: Arc<Session>,
    zone: TimeZone,
    reads_metadata: bool,
}

/// How a run ended.
pub(crate) enum Ended {
    Finished(Run),
    Aborted {
        reason: Option<String>,
        span: (usize, usize),
    },
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) result: Value,
    edit: Option<Box<crate::functions::Draft>>,
    built: Option<Bytes>,
}

impl Run {
    /// The bytes of the message the run wrote.
    fn written(self, subject: &Subject) -> Result<Bytes, RunError> {
        match (self.edit, &subject.content) {
            (Some(draft), _) => draft.finish(),
            (None, Content::Hl7(message)) => Ok(message.bytes().clone()),
            (None, _) => Err(RunError::NothingBuilt),
        }
    }
}

/// Members of a kind that an outline does not have.
fn strangers(kind: &Kind, outline: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    use serde_json::Value as Json;
    match outline {
        Json::Object(known) => {
            for (field, kind) in kind.as_object().into_iter().flat_map(Collection::known) {
                if kind.is_undefined() || kind.is_never() {
                    continue;
                }
                let path = match at {
                    "" => field.as_str().to_owned(),
                    at => format!("{at}.{}", field.as_str()),
                };
                match known.get(field.as_str()) {
                    Some(outline) => strangers(kind, outline, &path, found),
                    None => found.push(path),
                }
            }
        }
        Json::Array(items) => {
            let Some(outline) = items.first() else {
                return;
            };
            // One alone may stand for a list of one.
            strangers(kind, outline, at, found);
            let mut told = Vec::new();
            for kind in kind
                .as_array()
                .into_iter()
                .flat_map(|all| all.known().values())
            {
                strangers(kind, outline, at, &mut told);
            }
            told.dedup();
            found.extend(told);
        }
        _ => {}
    }
}

impl Compiled {
    pub(crate) fn new(
        source: &str,
        environment: &Environment,
        read_only: bool,
    ) -> Result<Self, Vec<Problem>> {
        excess::refuse(source)?;
        let session = Session::new(source, environment);
        let functions = crate::functions::available(&session);
        let target = match (&environment.data, environment.input) {
            (Some(Shape(kind)), _) => kind.clone(),
            (None, Input::Hl7 | Input::X12) => Kind::object(Collection::empty()),
            (None, Input::Json) => Kind::object(Collection::json()),
            (None, Input::Text) => {
                Kind::object(Collection::empty().with_known("text", Kind::bytes()))
            }
        };
        let metadata = METADATA.iter().fold(Collection::empty(), |fields, name| {
            fields.with_known(*name, Kind::bytes().or_null())
        });
        let external = ExternalEnv::new_with_kind(target, Kind::object(metadata));
        let mut config = CompileConfig::default();
        if read_only {
            config.set_read_only();
        } else {
            config.set_read_only_path(OwnedTargetPath::metadata_root(), true);
        }
        let result = compile_with_external(source, &functions, &external, config);
        let (vrl, diagnostics) = match result {
            Ok(result) => (Some(result.program), result.warnings),
            Err(diagnostics) => (None, diagnostics),
        };
        let mut problems: Vec<Problem> = diagnostics
            .into_iter()
            .filter(|diagnostic| {
                !is_written_for_effect(diagnostic) && !is_used_in_template(diagnostic, source)
            })
            .map(|diagnostic| problem(diagnostic, &session))
            .collect();
        problems.extend(
            session
                .take_warnings()
                .iter()
                .map(|fault| fault.to_problem(Severity::Warning)),
        );
        problems.extend(crate::members::check(&session));
        let wrong = problems
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        problems.sort_by_key(|problem| (problem.start, problem.end));
        problems.dedup();
        let Some(vrl) = vrl.filter(|_| !wrong) else {
            return Err(problems);
        };
        let zone = environment
            .zone
            .as_ref()
            .and_then(|zone| TimeZone::parse(zone.name()));
        let reads_metadata = vrl
            .info()
            .target_queries
            .iter()
            .any(|path| path.prefix == PathPrefix::Metadata);
        Ok(Self {
            vrl,
            warnings: problems,
            session,
            // Never the machine's own zone: a map must give the same on every node.
            zone: zone.or_else(|| TimeZone::parse("UTC")).unwrap_or_default(),
            reads_metadata,
        })
    }

    /// What is known of `.` after the program.
    fn end(&self) -> Kind {
        let info = self.vrl.final_type_info();
        info.state.external.target_kind().clone()
    }

    /// Where the program assigns to `.`, if it does.
    fn assignment(&self) -> Option<(usize, usize)> {
        let path = self
            .vrl
            .info()
            .target_assignments
            .iter()
            .find(|path| path.prefix == PathPrefix::Event)?;
        let (text, source) = (path.to_string(), &self.session.source);
        let is_assigned = |at: &usize| {
            let tail = source[at + text.len()..]
                .trim_start()
                .trim_start_matches([',', '|']);
            tail.starts_with('=') && !tail.starts_with("==")
        };
        let start = source
            .match_indices(&text)
            .map(|(at, _)| at)
            .find(is_assigned)
            .unwrap_or(0);
        Some((start, (start + text.len()).min(source.len())))
    }

    /// The object that `%` is, where the program looks at it.
    pub(crate) fn metadata(&self, subject: &Subject) -> Value {
        if self.reads_metadata {
            subject.metadata.to_value()
        } else {
            Value::Null
        }
    }

    pub(crate) fn run(
        &self,
        subject: &Subject,
        target: &mut dyn Target,
        runtime: &mut Runtime,
    ) -> Result<Ended, RunError> {
        let (expected, found) = (self.session.environment.input, subject.input());
        if expected != found {
            return Err(RunError::WrongInput { expected, found });
        }
        let message = match &subject.content {
            Content::Hl7(message) => Some(Arc::clone(message)),
            _ => None,
        };
        let set = match &subject.content {
            Content::X12(set) => Some(Arc::clone(set)),
            Content::Interchange(all) => all.set(0).map(Arc::new),
            _ => None,
        };
        let scope = Scope {
            message,
            set,
            id: subject.metadata.id.clone(),
            now: runtime.now.clone(),
            ..Scope::default()
        };
        let mut steps = runtime.limits.steps;
        let mut control = || match steps.checked_sub(1) {
            Some(rest) => {
                steps = rest;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        };
        let vrl = &mut runtime.vrl;
        let (ended, left) = scope::within(scope, || {
            vrl.resolve_with_control(target, &self.vrl, &self.zone, &mut control)
        });
        runtime.vrl.clear();
        match ended {
            Err(_) => Err(RunError::Defect),
            Ok(Ok(result)) => Ok(Ended::Finished(Run {
                result,
                edit: left.draft.map(Box::new),
                built: left.built,
            })),
            Ok(Err(Terminate::Interrupted)) => Err(RunError::TooManySteps {
                steps: runtime.limits.steps,
            }),
            Ok(Err(Terminate::Abort(ExpressionError::Abort { span, .. }))) => {
                let reason = literal_reason(&self.session.source, span.end());
                Ok(Ended::Aborted {
                    reason,
                    span: (span.start(), span.end()),
                })
            }
            Ok(Err(Terminate::Abort(error) | Terminate::Error(error))) => {
                Err(RunError::from_vrl(error, left.fault, &self.session.source))
            }
        }
    }
}

/// VRL warns where the result of a call without side effects is not used; it does not know that
/// ours which write have one.
fn is_written_for_effect(diagnostic: &vrl::diagnostic::Diagnostic) -> bool {
    diagnostic.code == 900
        && crate::functions::WRITING
            .iter()
            .any(|name| diagnostic.message.contains(&format!("call `{name}")))
}

/// VRL does not see that the template after `abort` uses a variable.
fn is_used_in_template(diagnostic: &vrl::diagnostic::Diagnostic, source: &str) -> bool {
    let name = diagnostic
        .message
        .strip_prefix("unused variable `")
        .and_then(|rest| rest.strip_suffix('`'));
    diagnostic.code == 900
        && name.is_some_and(|name| {
            source.split("{{").skip(1).any(|rest| {
                rest.split("}}")
                    .next()
                    .is_some_and(|inner| inner.trim() == name)
            })
        })
}

/// The literal after `abort`, if it is a plain one; it ends at the end of the expression.
fn literal_reason(source: &str, after: usize) -> Option<String> {
    let rest = source
        .get(after..)?
        .trim_start_matches([' ', '\t'])
        .strip_prefix('"')?;
    let end = rest.find(['"', '\\', '\n'])?;
    let (text, tail) = (rest.get(..end)?, rest.get(end..)?.strip_prefix('"')?);
    let ends = tail.trim_start().chars().next().is_none_or(|c| c != '+');
    (ends && !text.contains("{{")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_plain_literal() {
        let reason = |source: &str| literal_reason(source, "abort".len());
        assert_eq!(reason("abort \"not ours\""), Some("not ours".to_owned()));
        assert_eq!(reason("abort \"not ours\" }"), Some("not ours".to_owned()));
        assert_eq!(reason("abort \"no {{ name }}\""), None);
        assert_eq!(reason("abort \"a\" + name"), None);
        assert_eq!(reason("abort \"a\"\n + name"), None);
        assert_eq!(reason("abort"), None);
        assert_eq!(reason("abort name"), None);
    }

    #[test]
    fn programs_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Program>();
        shared::<Subject>();
    }
}
