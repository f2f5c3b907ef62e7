//! Names of members of documents that were read by a schema, held against the schema.
//!
//! VRL gives null for a member that can never be there, and says nothing. So the program is read
//! once more, and each path that begins at such a document is followed through the schema's types,
//! however deep they are. Nothing is guessed: a variable that is assigned more than once, or in
//! parts, is not followed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use vrl::parser::ast::{
    Assignment, AssignmentOp, AssignmentTarget, Container, Expr, FunctionCall, Node, Opcode,
    Predicate, Query, QueryTarget, RootExpr, Unary,
};
use vrl::path::{OwnedSegment, OwnedValuePath};
use wardline_core::Code;
use wardline_soap::typed::{Known, members};
use wardline_soap::xsd::Schemas;

use crate::problem::{Problem, Severity, nearest};
use crate::session::Session;

/// What is known of a value: the schema, and what it is by it.
#[derive(Clone)]
struct Typed {
    schemas: Arc<Schemas>,
    known: Known,
}

/// Names that no value of the schema's types can have.
pub(crate) fn check(session: &Session) -> Vec<Problem> {
    if !session.has_xml_reads() {
        return Vec::new();
    }
    let Ok(program) = vrl::parser::parse(&session.source) else {
        return Vec::new();
    };
    let mut walk = Walk {
        session,
        variables: HashMap::new(),
        inner: Vec::new(),
        once: HashSet::new(),
        found: Vec::new(),
    };
    let roots: Vec<Node<Expr>> = program
        .0
        .into_iter()
        .filter_map(|root| match root.into_inner() {
            RootExpr::Expr(expression) => Some(expression),
            RootExpr::Error(_) => None,
        })
        .collect();
    let mut times = HashMap::new();
    for root in &roots {
        count(root, &mut times);
    }
    walk.once = times
        .into_iter()
        .filter_map(|(name, times)| (times == 1).then_some(name))
        .collect();
    for root in &roots {
        walk.expression(root);
    }
    walk.found
}

/// How often each variable is assigned. One that is assigned in parts counts twice.
fn count(at: &Node<Expr>, times: &mut HashMap<String, usize>) {
    if let Expr::Assignment(assignment) = at.inner() {
        let (targets, op) = match assignment.inner() {
            Assignment::Single { target, op, .. } => (vec![target], op),
            Assignment::Infallible { ok, err, op, .. } => (vec![ok, err], op),
        };
        for target in targets {
            let (name, whole) = match target.inner() {
                AssignmentTarget::Internal(name, path) => (name.to_string(), path.is_none()),
                AssignmentTarget::Query(query) => match query.target.inner() {
                    QueryTarget::Internal(name) => (name.to_string(), false),
                    _ => continue,
                },
                AssignmentTarget::External(_) | AssignmentTarget::Noop => continue,
            };
            let whole = whole && matches!(op, AssignmentOp::Assign);
            *times.entry(name).or_insert(0) += if whole { 1 } else { 2 };
        }
    }
    for part in parts(at.inner()) {
        count(&part, times);
    }
}

/// Expressions within an expression.
fn parts(of: &Expr) -> Vec<Node<Expr>> {
    match of {
        Expr::Literal(_) | Expr::Variable(_) | Expr::Break(_) => Vec::new(),
        Expr::Container(container) => within(container.inner()),
        Expr::IfStatement(branch) => {
            let mut all = match branch.predicate.inner() {
                Predicate::One(one) => vec![(**one).clone()],
                Predicate::Many(many) => many.clone(),
            };
            all.extend(branch.if_node.inner().0.iter().cloned());
            all.extend(branch.else_node.iter().flat_map(|other| other.0.clone()));
            all
        }
        Expr::Op(op) => vec![(*op.0).clone(), (*op.2).clone()],
        Expr::Assignment(assignment) => match assignment.inner() {
            Assignment::Single { expr, .. } | Assignment::Infallible { expr, .. } => {
                vec![(**expr).clone()]
            }
        },
        Expr::Query(query) => match query.target.inner() {
            QueryTarget::FunctionCall(call) => of_call(call),
            QueryTarget::Container(container) => within(container),
            QueryTarget::Internal(_) | QueryTarget::External(_) => Vec::new(),
        },
        Expr::FunctionCall(call) => of_call(call.inner()),
        Expr::Unary(unary) => match unary.inner() {
            Unary::Not(not) => {
                let (_, inner) = not.inner().clone().take();
                vec![*inner]
            }
        },
        Expr::Abort(abort) => abort.message.iter().map(|text| (**text).clone()).collect(),
        Expr::Return(given) => vec![(*given.expr).clone()],
    }
}

fn within(container: &Container) -> Vec<Node<Expr>> {
    match container {
        Container::Group(group) => vec![group.inner().0.clone()],
        Container::Block(block) => block.inner().0.clone(),
        Container::Array(array) => array.inner().clone().into_iter().collect(),
        Container::Object(object) => {
            let fields = object.inner().clone().into_iter();
            fields.map(|(_, field)| field).collect()
        }
    }
}

fn of_call(call: &FunctionCall) -> Vec<Node<Expr>> {
    let arguments = call.arguments.iter().map(|one| one.inner().expr.clone());
    let closure = call.closure.iter().flat_map(|one| one.block.0.clone());
    arguments.chain(closure).collect()
}

struct Walk<'a> {
    session: &'a Session,
    variables: HashMap<String, Typed>,
    /// Variables of the closures around, innermost last.
    inner: Vec<(String, Option<Typed>)>,
    /// Variables that are assigned once, as a whole.
    once: HashSet<String>,
    found: Vec<Problem>,
}

impl Walk<'_> {
    /// Follows an expression and all within it; gives what is known of its value.
    fn expression(&mut self, at: &Node<Expr>) -> Option<Typed> {
        match at.inner() {
            Expr::Variable(name) => self.variable(name),
            Expr::Query(query) => self.query(query.inner()),
            Expr::FunctionCall(call) => {
                self.call(call.inner(), (call.span().start(), call.span().end()))
            }
            Expr::Container(container) => self.container(container.inner()),
            Expr::Assignment(assignment) => {
                let (target, expr) = match assignment.inner() {
                    Assignment::Single { target, expr, .. } => (target, expr),
                    Assignment::Infallible { ok, expr, .. } => (ok, expr),
                };
                let typed = self.expression(expr);
                if let AssignmentTarget::Internal(name, None) = target.inner()
                    && self.once.contains(&**name)
                    && let Some(typed) = &typed
                {
                    self.variables.insert(name.to_string(), typed.clone());
                }
                typed
            }
            Expr::Op(op) => {
                let left = self.expression(&op.0);
                self.expression(&op.2);
                // `x ?? []`: an empty one has no members that could be wrong.
                let or = matches!(op.1.inner(), Opcode::Err | Opcode::Or);
                left.filter(|_| or && is_empty(&op.2))
            }
            other => {
                for part in parts(other) {
                    self.expression(&part);
                }
                None
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Typed> {
        match self.inner.iter().rev().find(|(known, _)| known == name) {
            Some((_, typed)) => typed.clone(),
            None => self.variables.get(name).cloned(),
        }
    }

    fn container(&mut self, container: &Container) -> Option<Typed> {
        let mut last = None;
        for part in within(container) {
            last = self.expression(&part);
        }
        last.filter(|_| matches!(container, Container::Group(_) | Container::Block(_)))
    }

    fn query(&mut self, query: &Query) -> Option<Typed> {
        let span = query.target.span();
        let typed = match query.target.inner() {
            QueryTarget::Internal(name) => self.variable(name),
            QueryTarget::FunctionCall(call) => self.call(call, (span.start(), span.end())),
            QueryTarget::Container(container) => self.container(container),
            QueryTarget::External(_) => None,
        }?;
        let place = (query.path.span().start(), query.path.span().end());
        self.follow(typed, query.path.inner(), place)
    }

    fn call(&mut self, call: &FunctionCall, span: (usize, usize)) -> Option<Typed> {
        let mut first = None;
        for (at, argument) in call.arguments.iter().enumerate() {
            let typed = self.expression(&argument.inner().expr);
            if at == 0 {
                first = typed;
            }
        }
        let name: &str = call.ident.inner();
        if let Some(closure) = &call.closure {
            let item = match (&first, name) {
                (Some(typed), "for_each" | "map_values" | "filter") => typed.item(),
                _ => None,
            };
            let before = self.inner.len();
            for (at, variable) in closure.variables.iter().enumerate() {
                // The first one is the position, or the name of a member.
                let typed = item.clone().filter(|_| at == 1);
                self.inner.push((variable.to_string(), typed));
            }
            for part in &closure.block.0 {
                self.expression(part);
            }
            self.inner.truncate(before);
        }
        match name {
            "xml_read_as" => {
                let (schemas, known) = self.session.xml_read_at(span)?;
                Some(Typed { schemas, known })
            }
            "array" | "object" | "filter" => first,
            _ => None,
        }
    }

    /// Follows a path, and says where it leaves the schema.
    fn follow(
        &mut self,
        mut typed: Typed,
        path: &OwnedValuePath,
        span: (usize, usize),
    ) -> Option<Typed> {
        for (at, segment) in path.segments.iter().enumerate() {
            let next = match (&typed.known, segment) {
                (Known::Anything, _) => return None,
                (Known::List(inner), OwnedSegment::Index(_)) => Ok((**inner).clone()),
                (Known::List(_), OwnedSegment::Field(_)) => Err((
                    "may come more than once, so it is an array".to_owned(),
                    Some("take one of them with `[0]`, or go through them with `for_each` or `map_values`".to_owned()),
                )),
                (Known::Object(of), OwnedSegment::Field(name)) => {
                    let all = members(&typed.schemas, *of);
                    match all.all.into_iter().find(|one| one.name == name.as_str()) {
                        Some(member) => Ok(member.known),
                        None if all.open => return None,
                        None => Err(unknown(&typed, name.as_str())),
                    }
                }
                (_, OwnedSegment::Index(_)) => Err((
                    "comes at most once, so it is no array".to_owned(),
                    Some("leave the `[…]` out".to_owned()),
                )),
                (_, OwnedSegment::Field(_)) => Err((
                    "is a value without members".to_owned(),
                    Some("read it as it is".to_owned()),
                )),
            };
            match next {
                Ok(known) => typed.known = known,
                Err((reason, help)) => {
                    let before = OwnedValuePath {
                        segments: path.segments[..at].to_vec(),
                    };
                    self.report(&before, &reason, help, span);
                    return None;
                }
            }
        }
        Some(typed)
    }

    fn report(
        &mut self,
        before: &OwnedValuePath,
        reason: &str,
        help: Option<String>,
        (start, end): (usize, usize),
    ) {
        let what = if before.segments.is_empty() {
            "this".to_owned()
        } else {
            format!("`{before}`")
        };
        self.found.push(Problem {
            code: Code("W2127"),
            message: format!("by its schema, {what} {reason}"),
            start,
            end,
            label: "never there".to_owned(),
            notes: Vec::new(),
            help,
            severity: Severity::Error,
        });
    }
}

impl Typed {
    /// One of a list.
    fn item(&self) -> Option<Self> {
        let Known::List(inner) = &self.known else {
            return None;
        };
        Some(Self {
            schemas: Arc::clone(&self.schemas),
            known: (**inner).clone(),
        })
    }
}

fn unknown(typed: &Typed, name: &str) -> (String, Option<String>) {
    let Known::Object(of) = &typed.known else {
        return (format!("has no member {name:?}"), None);
    };
    let all = members(&typed.schemas, *of).all;
    let near = nearest(name, all.iter().map(|member| member.name.as_str()));
    let help = near.map(|near| format!("did you mean {near:?}?"));
    (format!("has no member {name:?}"), help)
}

fn is_empty(at: &Node<Expr>) -> bool {
    match at.inner() {
        Expr::Literal(_) => true,
        Expr::Container(container) => match container.inner() {
            Container::Array(_) | Container::Object(_) => within(container.inner()).is_empty(),
            Container::Group(_) | Container::Block(_) => false,
        },
        _ => false,
    }
}
