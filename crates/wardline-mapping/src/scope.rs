//! What one run holds for our functions: the message they read, the message they write.
//!
//! VRL hands functions a context that only knows `.` and `%`, so this stands in a thread-local for
//! the time of a run. Whatever way a run ends, the scope goes with it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vrl::compiler::ExpressionError;
use vrl::value::Value;
use wardline_core::Code;
use wardline_edi::x12::Set;
use wardline_hl7::Message;

use crate::functions::Draft;

/// One run's state.
#[derive(Default)]
pub(crate) struct Scope {
    pub(crate) message: Option<Arc<Message>>,
    /// The message they write, from the first write on.
    pub(crate) draft: Option<Draft>,
    /// The X12 set that they read.
    pub(crate) set: Option<Arc<Set>>,
    /// The X12 interchange that they built.
    pub(crate) built: Option<bytes::Bytes>,
    /// Id of the message in the journal, where it has one.
    pub(crate) id: Option<Arc<str>>,
    /// What `now()` is, where a test says so.
    pub(crate) now: Option<Value>,
    /// The last fault of one of our functions. Its text holds no value of the message, which
    /// cannot be said of the texts of VRL's own functions.
    pub(crate) fault: Option<Failure>,
}

impl Scope {
    /// The control id of a message made from this one: 20 characters, the most that every version
    /// of HL7 v2 allows in MSH-10.
    pub(crate) fn control_id(&self) -> Option<String> {
        let id = self.id.as_deref()?;
        Some(
            id.chars()
                .filter(char::is_ascii_alphanumeric)
                .take(20)
                .collect(),
        )
    }
}

/// Why one of our functions failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) text: String,
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Does a run in this scope, and gives what is left in it. A panic is caught and is the error: a
/// standard function that panics on odd input must not take the node down with it.
pub(crate) fn within<R>(scope: Scope, run: impl FnOnce() -> R) -> (std::thread::Result<R>, Scope) {
    let outer = SCOPE.with_borrow_mut(|slot| slot.replace(scope));
    let result = catch_unwind(AssertUnwindSafe(run));
    let left = SCOPE.with_borrow_mut(|slot| std::mem::replace(slot, outer));
    (result, left.unwrap_or_default())
}

/// The scope of the run on this thread; `None` outside of one. Must not be nested: resolve
/// arguments first.
pub(crate) fn with<R>(act: impl FnOnce(&mut Scope) -> R) -> Option<R> {
    SCOPE.with_borrow_mut(|slot| slot.as_mut().map(act))
}

/// The message that the run reads, where its input is HL7.
pub(crate) fn read<R>(act: impl FnOnce(&Message) -> R) -> Option<R> {
    SCOPE.with_borrow(|slot| {
        slot.as_ref()
            .and_then(|scope| scope.message.as_deref())
            .map(act)
    })
}

/// The X12 set that the run reads, where its input is X12.
pub(crate) fn read_set<R>(act: impl FnOnce(&Set) -> R) -> Option<R> {
    SCOPE.with_borrow(|slot| {
        slot.as_ref()
            .and_then(|scope| scope.set.as_deref())
            .map(act)
    })
}

/// Fails a call of one of our functions. `text` must hold no value of the message.
pub(crate) fn fail(code: &'static str, text: impl Into<String>) -> ExpressionError {
    let text = text.into();
    let failure = Failure {
        code: Code(code),
        text: text.clone(),
    };
    with(|scope| scope.fault = Some(failure));
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_scope_comes_back() {
        let outer = Scope {
            id: Some("outer".into()),
            ..Scope::default()
        };
        let (ended, left) = within(outer, || {
            let (_, inner) = within(Scope::default(), || drop(fail("W2211", "inner")));
            assert_eq!(
                inner.fault.map(|failure| failure.text).as_deref(),
                Some("inner")
            );
            with(|scope| scope.id.clone()).flatten()
        });
        assert_eq!(ended.unwrap().as_deref(), Some("outer"));
        assert!(left.fault.is_none());
        assert!(with(|_| ()).is_none());
    }

    #[test]
    fn a_panic_is_caught_and_leaves_nothing_behind() {
        let (ended, _) = within(Scope::default(), || with(|_| panic!("as a test")));
        assert!(ended.is_err());
        assert!(with(|_| ()).is_none());
    }
}
