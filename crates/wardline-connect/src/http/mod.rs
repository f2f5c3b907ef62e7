//! HTTP/1.1 and HTTP/2, both ways.
//!
//! [`Ingress`] serves the routes of one listener: it proves who sends, counts the body as it
//! arrives, hands it to the engine and turns the verdict into a status. [`Outbound`] sends to
//! one base URL and classifies what comes back.

mod ask;
mod auth;
mod config;
mod hmac;
mod inbound;
mod outbound;
mod problem;
mod reach;
mod retry_after;
mod sign;
mod webhook;
mod webhook_key;

pub use ask::Asker;
pub use auth::{AnyOf, InboundAuth, OutboundAuth};
pub use config::{IngressConfig, OutboundConfig, Route, SwappableAuth};
pub use hmac::{HmacAlgorithm, HmacEncoding, HmacPlace, HmacTime, Signs, VendorHmac};
pub use http::{Method, StatusCode};
pub use inbound::{ALPN, Ingress, Inlet};
pub use outbound::Outbound;
pub(crate) use outbound::later;
pub use reach::{NotPublic, Reach, is_public, why_not_public};
pub use sign::WebhookSigner;
pub use webhook::WebhookKeys;
