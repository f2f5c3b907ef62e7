//! Predicates (`when:`) and key expressions (`key:`): one expression each, which changes nothing.

use vrl::compiler::{SecretTarget, Target};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::{Kind, ObjectMap, Value};
use wardline_core::Code;

use crate::environment::Environment;
use crate::problem::{Problem, Severity};
use crate::program::{Compiled, Ended};
use crate::run_error::RunError;
use crate::runtime::Runtime;
use crate::subject::{Content, Subject};

/// A compiled `when:`: true or false of a message, and it cannot fail on its data.
///
/// ```
/// use wardline_mapping::{Environment, Input, Predicate};
/// let environment = Environment::for_input(Input::Hl7);
/// assert!(Predicate::compile(r#"hl7("MSH-9.2") == "A03""#, &environment).is_ok());
/// let problems = Predicate::compile(r#"hl7("MSH-9.2")"#, &environment).unwrap_err();
/// assert_eq!(problems[0].code.0, "W2107");
/// ```
#[derive(Debug)]
pub struct Predicate(Compiled);

impl Predicate {
    /// Compiles a predicate.
    ///
    /// # Errors
    /// The source's problems: it does not compile, is not boolean, or may fail.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let compiled = compile(source, environment, "predicate", "false")?;
        let kind = compiled.vrl.final_type_info().result.kind().clone();
        if kind.is_boolean() {
            return Ok(Self(compiled));
        }
        let help = if kind.contains_boolean() {
            "compare it, as in `.active == true`, so that it is true or false whatever the data holds"
        } else {
            "compare it, as in `… == \"A03\"`, or test it with `exists(.field)`, `hl7_exists(\"PID-3\")` or `!is_null(…)`"
        };
        Err(vec![whole(
            source,
            "W2107",
            format!(
                "a predicate must be true or false, but this is {}",
                words(&kind)
            ),
            "this decides nothing",
            help,
        )])
    }

    /// Whether the message satisfies it.
    ///
    /// # Errors
    /// [`RunError::WrongInput`], or a limit was reached.
    pub fn test(&self, subject: &Subject, runtime: &mut Runtime) -> Result<bool, RunError> {
        Ok(evaluate(&self.0, subject, runtime)? == Value::Boolean(true))
    }

    /// What is suspicious about the source.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }
}

/// A compiled `key:`: what a message's order is kept by.
#[derive(Debug)]
pub struct KeyExpression(Compiled);

impl KeyExpression {
    /// Compiles a key expression.
    ///
    /// # Errors
    /// The source's problems: it does not compile, may fail, or is never a string or an integer.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let compiled = compile(source, environment, "key", "null")?;
        let kind = compiled.vrl.final_type_info().result.kind().clone();
        if kind.intersects(&Kind::bytes().or_integer()) {
            return Ok(Self(compiled));
        }
        let message = format!(
            "a key must be a string or an integer, but this is {}",
            words(&kind)
        );
        Err(vec![whole(
            source,
            "W2109",
            message,
            "this orders nothing",
            "name a field that identifies whose message it is, such as `hl7(\"PV1-19.1\")`",
        )])
    }

    /// The message's key; `None` (no order is kept) where the expression is null or empty.
    ///
    /// # Errors
    /// [`RunError::NotAKey`], [`RunError::WrongInput`], or a limit was reached.
    pub fn key(
        &self,
        subject: &Subject,
        runtime: &mut Runtime,
    ) -> Result<Option<String>, RunError> {
        match evaluate(&self.0, subject, runtime)? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(number.to_string())),
            text @ (Value::Bytes(_) | Value::String(_)) => {
                let text = text.to_string_lossy();
                Ok((!text.is_empty()).then(|| text.into_owned()))
            }
            Value::Float(_) => Err(RunError::NotAKey { found: "a float" }),
            Value::Boolean(_) => Err(RunError::NotAKey { found: "a boolean" }),
            Value::Timestamp(_) => Err(RunError::NotAKey {
                found: "a timestamp",
            }),
            Value::Regex(_) => Err(RunError::NotAKey {
                found: "a regular expression",
            }),
            Value::Object(_) => Err(RunError::NotAKey { found: "an object" }),
            Value::Array(_) => Err(RunError::NotAKey { found: "an array" }),
        }
    }

    /// What is suspicious about the source.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }
}

/// A compiled expression that gives a value and changes nothing.
///
/// ```
/// use wardline_mapping::{Environment, Expression, Runtime, Subject, Value, from_json_bytes};
/// let expression = Expression::compile(".order.lines", &Environment::default()).unwrap();
/// let subject = Subject::json(from_json_bytes(br#"{"order": {"lines": 3}}"#)?);
/// let value = expression.value(&subject, &mut Runtime::default()).unwrap();
/// assert_eq!(value, Value::Integer(3));
/// # Ok::<(), wardline_mapping::JsonError>(())
/// ```
#[derive(Debug)]
pub struct Expression(Compiled);

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The source's problems: it does not compile, may fail, or changes something.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        compile(source, environment, "expression", "null").map(Self)
    }

    /// Its value; null where it says `abort`.
    ///
    /// # Errors
    /// [`RunError::WrongInput`], or a limit was reached.
    pub fn value(&self, subject: &Subject, runtime: &mut Runtime) -> Result<Value, RunError> {
        let value = evaluate(&self.0, subject, runtime)?;
        let limit = runtime.limits.output;
        if crate::json::exceeds(&value, limit) {
            return Err(RunError::TooLarge { limit });
        }
        Ok(value)
    }

    /// What is suspicious about the source.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }
}

/// A text in which `{{ … }}` holds expressions.
///
/// ```
/// use wardline_mapping::{Environment, Runtime, Subject, Template, from_json_bytes};
/// let template = Template::compile("Supplier is {{ .status }}", &Environment::default()).unwrap();
/// let subject = Subject::json(from_json_bytes(br#"{"status": "blocked"}"#)?);
/// assert_eq!(template.text(&subject, &mut Runtime::default()).unwrap(), "Supplier is blocked");
/// # Ok::<(), wardline_mapping::JsonError>(())
/// ```
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Literal(String),
    Value(Box<Expression>),
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// The problems of its expressions, or an expression that does not end.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let mut pieces = Vec::new();
        let mut problems = Vec::new();
        let mut at = 0;
        while let Some(open) = source[at..].find("{{") {
            let open = at + open;
            if open > at {
                pieces.push(Piece::Literal(source[at..open].to_owned()));
            }
            let Some(length) = source[open..].find("}}") else {
                let mut problem = whole(
                    &source[open..],
                    "W2107",
                    "a `{{` is not closed".to_owned(),
                    "this begins an expression",
                    "close it with `}}`",
                );
                problem.start += open;
                problem.end += open;
                return Err(vec![problem]);
            };
            let (start, end) = (open + 2, open + length);
            match Expression::compile(&source[start..end], environment) {
                Ok(expression) => pieces.push(Piece::Value(Box::new(expression))),
                Err(found) => problems.extend(found.into_iter().map(|problem| Problem {
                    start: problem.start + start,
                    end: problem.end + start,
                    ..problem
                })),
            }
            at = end + 2;
        }
        if at < source.len() {
            pieces.push(Piece::Literal(source[at..].to_owned()));
        }
        if problems.is_empty() {
            Ok(Self(pieces))
        } else {
            Err(problems)
        }
    }

    /// The text. What is no text, number or truth value is written as JSON.
    ///
    /// # Errors
    /// As [`Expression::value`].
    pub fn text(&self, subject: &Subject, runtime: &mut Runtime) -> Result<String, RunError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Value(expression) => match expression.value(subject, runtime)? {
                    Value::Null => {}
                    value @ (Value::Bytes(_) | Value::String(_)) => {
                        text.push_str(&value.to_string_lossy());
                    }
                    value => text.push_str(&value.to_string()),
                },
            }
        }
        Ok(text)
    }
}

fn compile(
    source: &str,
    environment: &Environment,
    what: &str,
    instead: &str,
) -> Result<Compiled, Vec<Problem>> {
    let compiled = Compiled::new(source, environment, true).map_err(|mut problems| {
        for problem in &mut problems {
            if problem.code == Code("W2004") {
                problem.code = Code("W2108");
                problem.message = format!("this {what} may fail on some messages, and does not say what should happen then");
                problem.help = Some(format!("say it here: `(…) ?? {instead}`"));
            } else if problem.code == Code("W2009") {
                problem.message = format!("a {what} only looks at a message and cannot change it");
                "changes the message".clone_into(&mut problem.label);
                problem.help = Some("compare with `==`; changes belong into a map: a flow's `map:`, an operation's `request:` or `response:`".to_owned());
            }
        }
        problems
    })?;
    if source.trim().is_empty() {
        return Err(vec![whole(
            source,
            "W2107",
            format!("the {what} is empty"),
            "an expression must stand here",
            "leave the line out if it is not needed",
        )]);
    }
    if compiled.session.has_writes() {
        return Err(vec![whole(
            source,
            "W2110",
            format!("a {what} only looks at a message and cannot write one"),
            "this writes",
            "write in a map: a flow's `map:`, an operation's `request:` or `response:`",
        )]);
    }
    Ok(compiled)
}

/// A type in words: a list of all types says no more than "anything".
fn words(kind: &Kind) -> String {
    if kind.contains_boolean() && kind.contains_bytes() && kind.contains_object() {
        "anything".to_owned()
    } else {
        kind.to_string()
    }
}

fn whole(source: &str, code: &'static str, message: String, label: &str, help: &str) -> Problem {
    let start = source.len() - source.trim_start().len();
    let end = source.trim_end().len().max(start);
    Problem {
        code: Code(code),
        message,
        start,
        end,
        label: label.to_owned(),
        notes: Vec::new(),
        help: Some(help.to_owned()),
        severity: Severity::Error,
    }
}

fn evaluate(
    compiled: &Compiled,
    subject: &Subject,
    runtime: &mut Runtime,
) -> Result<Value, RunError> {
    let own;
    let value = match &subject.content {
        Content::Json(value) => value,
        Content::Hl7(_) | Content::X12(_) | Content::Interchange(_) => {
            own = Value::Object(ObjectMap::new());
            &own
        }
        Content::Text(bytes) => {
            own = Value::Object(
                [("text".into(), Value::Bytes(bytes.clone()))]
                    .into_iter()
                    .collect(),
            );
            &own
        }
    };
    let mut target = Looking {
        value,
        metadata: compiled.metadata(subject),
    };
    match compiled.run(subject, &mut target, runtime)? {
        Ended::Finished(run) => Ok(run.result),
        // `abort` in a predicate or key: nothing is decided.
        Ended::Aborted { .. } => Ok(Value::Null),
    }
}

/// A target that is looked at and not copied: predicates run on every event of a source.
#[derive(Debug)]
struct Looking<'a> {
    value: &'a Value,
    metadata: Value,
}

const UNCHANGEABLE: &str = "a predicate or key cannot change the message";

impl Target for Looking<'_> {
    fn target_insert(&mut self, _: &OwnedTargetPath, _: Value) -> Result<(), String> {
        Err(UNCHANGEABLE.to_owned())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        Ok(match path.prefix {
            PathPrefix::Event => self.value.get(&path.path),
            PathPrefix::Metadata => self.metadata.get(&path.path),
        })
    }

    fn target_get_mut(&mut self, _: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        Err(UNCHANGEABLE.to_owned())
    }

    fn target_remove(&mut self, _: &OwnedTargetPath, _: bool) -> Result<Option<Value>, String> {
        Err(UNCHANGEABLE.to_owned())
    }
}

impl SecretTarget for Looking<'_> {
    fn get_secret(&self, _: &str) -> Option<&str> {
        None
    }

    fn insert_secret(&mut self, _: &str, _: &str) {}

    fn remove_secret(&mut self, _: &str) {}
}
