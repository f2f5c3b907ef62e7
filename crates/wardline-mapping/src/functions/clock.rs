//! `now`, which a test can stop.

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Resolved, TypeDef, TypeState,
};
use vrl::example;

use crate::scope;

/// `now()`: VRL's own, unless the [`Runtime`](crate::Runtime)'s clock is stopped.
#[derive(Debug)]
pub(super) struct Now;

impl Function for Now {
    fn identifier(&self) -> &'static str {
        "now"
    }

    fn summary(&self) -> &'static str {
        "The current time"
    }

    fn usage(&self) -> &'static str {
        "The current time, in UTC. In `wardline test` it is the time that the test says. A message that is replayed is mapped at another time: use `%received`, the time at which it was accepted, wherever that is meant."
    }

    fn category(&self) -> &'static str {
        "Time"
    }

    fn return_kind(&self) -> u16 {
        kind::TIMESTAMP
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "Now", source: "now()", result: Ok("2026-11-24T16:42:03Z"), deterministic: false },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let clock = vrl::stdlib::Now.compile(state, context, arguments)?;
        Ok(NowFn { clock }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct NowFn {
    clock: Box<dyn Expression>,
}

impl FunctionExpression for NowFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        match scope::with(|scope| scope.now.clone()).flatten() {
            Some(stopped) => Ok(stopped),
            None => self.clock.resolve(context),
        }
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::timestamp().infallible()
    }
}
