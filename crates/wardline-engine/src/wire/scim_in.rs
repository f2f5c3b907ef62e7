//! SCIM services that are offered.

use wardline_connect::scim::{Endpoint, Proof};
use wardline_estate::model::{Auth, ScimIn};

/// A service at its path.
pub(super) fn endpoint(declared: &ScimIn, secured: bool) -> Endpoint {
    let proof = match declared.http.auth {
        Auth::Bearer(_) => Proof::Bearer,
        Auth::Basic(_) => Proof::Basic,
        Auth::None | Auth::Webhook(_) | Auth::SignedBy(_) | Auth::Hmac(_) | Auth::Header { .. } => {
            Proof::None
        }
    };
    let path = &declared.http.path.value;
    Endpoint::new(path, declared.address.clone(), secured, proof)
}
