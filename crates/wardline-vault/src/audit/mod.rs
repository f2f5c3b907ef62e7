//! The audit chain: one entry for every look, act and change, in a log that shows any
//! later change to itself.
//!
//! The sealed entries are the leaves of a Merkle tree as in RFC 9162 (section 2.1; the same as in
//! RFC 6962). Each stored
//! record carries the root of the tree that ends with it, and from time to time the root is
//! signed as a [`Checkpoint`]. [`verify`] recomputes everything from the stored entries: an
//! edit, removal, insertion or reordering gives another root, and a log that was cut short,
//! or rewritten from some entry on with all its roots, does not reach a signed checkpoint.
//!
//! What follows the last checkpoint has roots but no signature, so whoever can write to the
//! store could rewrite that much. Sign often (each few seconds, and at a clean stop) and
//! keep checkpoints where the operators of the store cannot write: they are a few hundred
//! bytes, and `verify` takes them from anywhere.

mod body;
mod checkpoint;
mod entry;
mod fhir;
mod log;
mod proof;
mod tree;
mod verify;
mod witness;

pub use checkpoint::{AuditKey, AuditSigner, Checkpoint, CheckpointError};
pub use entry::{AuditEntry, Detail};
pub use fhir::{FhirSource, to_fhir};
pub use log::{AuditLog, AuditRecord, Proposal, Proposals};
pub use proof::{Proof, Prover, leaf_hash, verify_consistency, verify_inclusion};
pub use verify::{Break, Broken, Verified, Verifier, verify};
pub use witness::{Witness, WitnessKey};
