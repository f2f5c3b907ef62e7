//! SCIM 2.0 without a network (RFC 7643, 7644): what users and groups are made of, and what a
//! service provider does with them.
//!
//! What is promised:
//! - A resource that was [read](resource::read) holds only what its schemas know, by the names
//!   they give it. What is not known is refused, so that nothing is lost in silence.
//! - No error quotes a value of the request.
//! - Filters, paths and lists of operations are bounded before they are carried out.
//!
//! Start with [`schema::ResourceType`], [`filter::Filter`] and [`patch::apply`].

pub mod discovery;
mod error;
pub mod filter;
pub mod patch;
pub mod path;
pub mod resource;
pub mod schema;
pub mod view;

pub use error::{Error, Why};

/// The media type of SCIM.
pub const MEDIA_TYPE: &str = "application/scim+json";
