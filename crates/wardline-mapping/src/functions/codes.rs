//! `code`, and `lookup`, whose name is kept for the registry.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::Value;

use crate::codes::{CodeTable, Otherwise};
use crate::problem::nearest;
use crate::scope;
use crate::session::{Complaint, Session};

/// `code(table, value)`.
#[derive(Debug)]
pub(super) struct Code(pub(super) Arc<Session>);

impl Function for Code {
    fn identifier(&self) -> &'static str {
        "code"
    }

    fn summary(&self) -> &'static str {
        "Translates a code by a table of the estate"
    }

    fn usage(&self) -> &'static str {
        "Translates a code by a table of the estate (`codes/NAME.csv`); which tables exist is checked while the program is compiled. A code that the table does not know becomes `otherwise:`; without that the table's own rule holds: an error (the default; call it as `code!(…)` or handle it), the code itself, or a fixed value. Integers are looked up as their digits. Null gives null."
    }

    fn category(&self) -> &'static str {
        "Codes"
    }

    fn internal_failure_reasons(&self) -> &'static [&'static str] {
        &["The table does not know the code, and nothing says what it becomes (W2214)."]
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("table", kind::BYTES, "Name of the table. A literal."),
            Parameter::required(
                "value",
                kind::BYTES | kind::INTEGER | kind::NULL,
                "The code to translate.",
            ),
            Parameter::optional(
                "otherwise",
                kind::ANY,
                "What a code becomes that the table does not know; the code's own expression keeps it.",
            ),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "A known code", source: r#"code!("disposition", "03")"#, result: Ok("nursing-facility") },
            example! { title: "An unknown one", source: r#"code("disposition", "99", otherwise: "other")"#, result: Ok("other") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let session = &self.0;
        let name = session
            .literal(context, state, &arguments, "table")?
            .unwrap_or_default();
        let Some(table) = session.environment.codes.get(&name) else {
            let near = nearest(&name, session.environment.codes.names());
            let help = near.map_or_else(
                || format!("add the file codes/{name}.csv with the columns from,to"),
                |near| format!("did you mean {near:?}?"),
            );
            return Err(session.refuse(
                context,
                Complaint::new("W2103", format!("there is no code table {name:?}"))
                    .label("no such table in the estate")
                    .about(&name)
                    .help(help),
            ));
        };
        let value = arguments.required("value");
        Ok(CodeFn {
            name: name.into(),
            table: Arc::clone(table),
            value,
            otherwise: arguments.optional("otherwise"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct CodeFn {
    name: Arc<str>,
    table: Arc<CodeTable>,
    value: Box<dyn Expression>,
    otherwise: Option<Box<dyn Expression>>,
}

impl FunctionExpression for CodeFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let value = self.value.resolve(context)?;
        if value == Value::Null {
            return Ok(Value::Null);
        }
        if let Some(found) = self.table.get(&value.to_string_lossy()) {
            return Ok(Value::from(found));
        }
        match (&self.otherwise, &self.table.otherwise) {
            (Some(otherwise), _) => otherwise.resolve(context),
            (None, Otherwise::Keep) => Ok(value.to_string_lossy().as_ref().into()),
            (None, Otherwise::Value(fixed)) => Ok(Value::from(fixed.as_ref())),
            (None, Otherwise::Error) => Err(scope::fail(
                "W2214",
                format!(
                    "the code table {:?} does not know the message's code; add it to the table, or write `otherwise:`",
                    self.name
                ),
            )),
        }
    }

    fn type_def(&self, state: &TypeState) -> TypeDef {
        let value = self.value.type_info(state).result;
        let found = if value.kind().contains_null() || value.kind().contains_undefined() {
            TypeDef::bytes().or_null()
        } else {
            TypeDef::bytes()
        };
        match &self.otherwise {
            Some(otherwise) => found.union(otherwise.type_info(state).result),
            None => found.maybe_fallible(self.table.otherwise == Otherwise::Error),
        }
    }
}

/// `lookup(entity, …)`: reserved.
#[derive(Debug)]
pub(super) struct Lookup(pub(super) Arc<Session>);

impl Function for Lookup {
    fn identifier(&self) -> &'static str {
        "lookup"
    }

    fn summary(&self) -> &'static str {
        "Reserved for the registry of master data"
    }

    fn usage(&self) -> &'static str {
        "Reserved: it will read a golden record of the registry. Until the registry is there, calling it is an error while compiling (W2106)."
    }

    fn category(&self) -> &'static str {
        "Codes"
    }

    fn return_kind(&self) -> u16 {
        kind::OBJECT | kind::NULL
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("entity", kind::BYTES, "Name of the entity."),
            Parameter::optional("by", kind::ANY, "What to find it by."),
            Parameter::optional("value", kind::ANY, "The value to find."),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _: &TypeState,
        context: &mut FunctionCompileContext,
        _: ArgumentList,
    ) -> Compiled {
        Err(self.0.refuse(
            context,
            Complaint::new("W2106", "`lookup` arrives with the registry")
                .label("there is no registry to look into yet")
                .help("translate identifiers with a code table (`code`) until then"),
        ))
    }
}
