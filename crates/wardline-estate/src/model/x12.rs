//! What partners who exchange X12 owe each other.

use super::FileRef;
use crate::source::{Span, Spanned};
use std::sync::Arc;
use std::time::Duration;

/// What a connection owes its partner, and is owed.
#[derive(Clone, Debug)]
pub struct X12Duties {
    /// Where control numbers are given as interchanges leave: the first one.
    pub counted: Option<u64>,
    /// The answer to what comes.
    pub acknowledge: Option<X12Answer>,
    /// The connection that sends it.
    pub by: Option<Spanned<String>>,
    /// The connection of whose interchanges answers come here.
    pub answers: Option<Spanned<String>>,
    /// How long the partner may take to acknowledge.
    pub answered_within: Option<Duration>,
    /// Guides of the estate.
    pub guides: Vec<GuideRef>,
    /// Where it stands.
    pub at: Span,
}

/// Which set answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X12Answer {
    /// 997, functional acknowledgement.
    F997,
    /// 999, implementation acknowledgement.
    F999,
}

/// A guide of the estate.
#[derive(Clone, Debug)]
pub struct GuideRef {
    /// The file, below the estate.
    pub file: FileRef,
    /// What it says.
    pub guide: Arc<wardline_edi::x12::Guide>,
}
