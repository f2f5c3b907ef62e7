//! What may be kept of a system's answers: only what was read, and nothing about patients.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Method, Operation, OperationKind};
use crate::suggest::clip;
use wardline_core::Sensitivity;

impl References<'_> {
    pub(super) fn cached(&mut self, operation: &Operation) {
        if operation.cache.is_none() {
            return;
        }
        let reads = matches!(
            operation.kind,
            OperationKind::Http {
                method: Method::Get,
                ..
            }
        );
        if !reads {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_KEPT,
                    format!("the answer of `{}` cannot be given again", operation.name),
                )
                .at(operation.at)
                .label("it does something each time")
                .help("`cache` is for GET: remove it"),
            );
            return;
        }
        let Some(returns) = &operation.returns else {
            return;
        };
        let entity = self.whole.estate.entities.get(&returns.value);
        let class = entity.and_then(crate::model::Entity::highest_class);
        if class.is_some_and(|class| class >= Sensitivity::Phi) {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_KEPT,
                    format!("`{}` holds phi, which is not kept", clip(&returns.value)),
                )
                .at(returns.at)
                .help("remove `cache`: it is for reference data"),
            );
        }
    }
}
