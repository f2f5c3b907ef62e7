//! The estate: a directory of files that declares one organisation's integrations.
//!
//! [`load`] reads the directory, checks it as a whole and returns what it says as plain data
//! ([`Estate`]) together with everything that is wrong with it ([`Diagnostics`]). It promises to
//! report *all* problems in one run, each at the place that caused it, and to hand out an estate
//! only when none of them is an error. It runs nothing and opens no connection.
//!
//! Start with [`load`], [`Estate`] and [`Diagnostic`]. What each file may say is declared once, in
//! [`shape`]: the loader's checks, the JSON Schemas for editors ([`shape::schema`]) and the reference
//! manual ([`shape::reference()`]) are all made from that table.

mod attribute;
mod check;
pub mod codes;
mod decode;
mod diagnostic;
mod document;
mod files;
mod load;
pub mod model;
mod origin;
mod render;
pub mod shape;
mod source;
mod suggest;
mod value;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Related, Severity};
pub use document::Document;
pub use load::{LoadOptions, Loaded, SecretExists, load};
pub use model::*;
pub use origin::{Origin, Origins, Setting};
pub use source::{FileId, Layout, SourceFile, SourceMap, Span, Spanned, said};
pub use suggest::by_likeness;
