//! Functions of nothing but their arguments, in tables: what is different about them is what they
//! are called and what they compute.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::value::Value;
use vrl::value::kind::Collection;

use crate::scope;
use crate::session::{Complaint, Session};

/// Why a function has no result. The text holds no argument's value.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

/// One function: what it says of itself, and what it does.
#[derive(Debug)]
pub(super) struct Pure {
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) summary: &'static str,
    pub(super) usage: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Text, an integer or an object.
    pub(super) gives: u16,
    pub(super) failures: &'static [&'static str],
    pub(super) examples: &'static [Example],
    /// What can be said against an argument whose value is known while compiling.
    pub(super) object: fn(keyword: &str, constant: &Value) -> Option<Complaint>,
    /// An argument that is not given is null.
    pub(super) compute: fn(&[Value]) -> Result<Value, Refusal>,
}

/// The functions of a table.
pub(super) fn functions(
    table: &'static [Pure],
    session: &Arc<Session>,
) -> impl Iterator<Item = Box<dyn Function>> {
    let session = Arc::clone(session);
    table
        .iter()
        .map(move |pure| Box::new(Tabled(pure, Arc::clone(&session))) as Box<dyn Function>)
}

#[derive(Debug)]
struct Tabled(&'static Pure, Arc<Session>);

impl Function for Tabled {
    fn identifier(&self) -> &'static str {
        self.0.name
    }

    fn summary(&self) -> &'static str {
        self.0.summary
    }

    fn usage(&self) -> &'static str {
        self.0.usage
    }

    fn category(&self) -> &'static str {
        self.0.category
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        self.0.failures
    }

    fn return_kind(&self) -> u16 {
        self.0.gives
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.0.parameters
    }

    fn examples(&self) -> &'static [Example] {
        self.0.examples
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let mut given = Vec::new();
        for parameter in self.0.parameters {
            let argument = arguments.optional(parameter.keyword);
            let constant = argument
                .as_ref()
                .and_then(|argument| argument.resolve_constant(state));
            let objection = constant.and_then(|value| (self.0.object)(parameter.keyword, &value));
            if let Some(complaint) = objection {
                return Err(self.1.refuse(context, complaint));
            }
            given.push(argument);
        }
        Ok(TabledFn {
            pure: self.0,
            arguments: given,
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct TabledFn {
    pure: &'static Pure,
    arguments: Vec<Option<Box<dyn Expression>>>,
}

impl FunctionExpression for TabledFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let mut values = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            values.push(match argument {
                Some(argument) => argument.resolve(context)?,
                None => Value::Null,
            });
        }
        (self.pure.compute)(&values).map_err(|refusal| {
            scope::fail(
                refusal.code,
                format!("{}: {}", self.pure.name, refusal.text),
            )
        })
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        let gives = match self.pure.gives {
            kind::INTEGER => TypeDef::integer(),
            kind::OBJECT => TypeDef::object(Collection::json()),
            _ => TypeDef::bytes(),
        };
        gives.fallible()
    }
}
