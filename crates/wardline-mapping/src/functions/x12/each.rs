//! `x12_each`: the parts of a set, by loops of its guide or by the segments that begin them.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::kind::Collection;
use vrl::value::{Kind, Value};
use wardline_edi::x12::Area;

use super::{AT, At, area, part, within};
use crate::scope;
use crate::session::Session;

/// `x12_each(area)`.
#[derive(Debug)]
pub(super) struct Each(pub(super) Arc<Session>);

impl Function for Each {
    fn identifier(&self) -> &'static str {
        "x12_each"
    }

    fn summary(&self) -> &'static str {
        "The parts of an X12 set"
    }

    fn usage(&self) -> &'static str {
        "The parts that begin with a segment (`\"PO1\"`, `\"HL[03=O]\"`), or are a loop of the set's guide (`\"2300\"`), to go through with `for_each` or `map_values` and to pass on as `at:`. A part is the number of its first and last segment; nothing is copied. By a guide a part ends where its loop does; without, where the next one begins or the set is summed up. With `at:` only parts of that part."
    }

    fn category(&self) -> &'static str {
        "X12 reading"
    }

    fn return_kind(&self) -> u16 {
        kind::ARRAY
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required(
                "area",
                kind::BYTES,
                "The segment that begins a part, or the name of a loop. A literal.",
            ),
            AT,
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[example! {
            title: "Quantities of all lines",
            source: r#"map_values(x12_each("IT1")) -> |line| { x12("IT1-02", at: line) }"#,
            result: Ok(r#"["2", "1"]"#),
        }]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        self.0.needs_x12(context, self.identifier())?;
        let text = self
            .0
            .literal(context, state, &arguments, "area")?
            .unwrap_or_default();
        let area = area(&self.0, context, &text)?;
        Ok(EachFn {
            area,
            at: At(arguments.optional("at")),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct EachFn {
    area: Area,
    at: At,
}

impl FunctionExpression for EachFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let at = self.at.resolve(context)?;
        let parts = scope::read_set(|set| {
            let parts = set.each(within(at, set), &self.area);
            parts.iter().map(part).collect::<Vec<_>>()
        });
        Ok(Value::Array(parts.unwrap_or_default()))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        let part = Kind::array(Collection::from_unknown(Kind::integer()));
        TypeDef::array(Collection::from_unknown(part)).infallible()
    }
}
