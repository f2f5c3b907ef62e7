//! SCIM services that Wardline offers.

use super::HttpIn;

/// A path below which others keep people and groups.
#[derive(Clone, Debug)]
pub struct ScimIn {
    /// Where it hangs, and how senders prove who they are.
    pub http: HttpIn,
    /// Its address, as answers name it.
    pub address: Option<String>,
}
