//! `uuid_v5`: the same id for the same name, always.

use std::sync::Arc;

use uuid::Uuid;
use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{
    Context, Expression, Function, FunctionExpression, Parameter, Resolved, TypeDef, TypeState,
};
use vrl::example;
use vrl::value::Value;

use crate::session::{Complaint, Session};

const NAMESPACES: [(&str, Uuid); 4] = [
    ("dns", Uuid::NAMESPACE_DNS),
    ("url", Uuid::NAMESPACE_URL),
    ("oid", Uuid::NAMESPACE_OID),
    ("x500", Uuid::NAMESPACE_X500),
];

/// `uuid_v5(namespace, name)`.
#[derive(Debug)]
pub(super) struct UuidV5(pub(super) Arc<Session>);

impl Function for UuidV5 {
    fn identifier(&self) -> &'static str {
        "uuid_v5"
    }

    fn summary(&self) -> &'static str {
        "An id derived from a name"
    }

    fn usage(&self) -> &'static str {
        "The UUID of version 5 (RFC 9562 section 5.5) of a name in a namespace: the same name always gives the same id, so a message mapped twice gives the same ids. It is not a secret: who knows the name can compute it."
    }

    fn category(&self) -> &'static str {
        "Codes"
    }

    fn return_kind(&self) -> u16 {
        kind::BYTES
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required(
                "namespace",
                kind::BYTES,
                "`\"dns\"`, `\"url\"`, `\"oid\"`, `\"x500\"` or a UUID. A literal.",
            ),
            Parameter::required("name", kind::BYTES, "The name."),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[
            example! { title: "By a name in the DNS", source: r#"uuid_v5("dns", "www.example.com")"#, result: Ok("2ed6657d-e927-568b-95e1-2665a8aea6a2") },
        ]
    }

    fn compile(
        &self,
        state: &TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let text = self
            .0
            .literal(context, state, &arguments, "namespace")?
            .unwrap_or_default();
        let known = NAMESPACES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, namespace)| *namespace);
        let Some(namespace) = known.or_else(|| Uuid::parse_str(&text).ok()) else {
            return Err(self.0.refuse(
                context,
                Complaint::new("W2113", format!("{text:?} is not a UUID namespace"))
                    .label("dns, url, oid, x500 or a UUID")
                    .about(&text)
                    .help("make a UUID of your own once and write it here"),
            ));
        };
        Ok(UuidV5Fn {
            namespace,
            name: arguments.required("name"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct UuidV5Fn {
    namespace: Uuid,
    name: Box<dyn Expression>,
}

impl FunctionExpression for UuidV5Fn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let name = self.name.resolve(context)?;
        let id = Uuid::new_v5(&self.namespace, name.to_string_lossy().as_bytes());
        let mut buffer = Uuid::encode_buffer();
        Ok(Value::from(&*id.hyphenated().encode_lower(&mut buffer)))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::bytes().infallible()
    }
}
