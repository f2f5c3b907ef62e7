//! Whose tokens are issued where.

use std::collections::BTreeMap;
use wardline_access::AccessError;
use wardline_access::identity::Settings;
use wardline_core::Zone;
use wardline_estate::model::{self, Estate};

/// How tokens are issued: each zone that shows Apis has an issuer of its own, so that a token of
/// one is nothing in another.
pub(super) fn settings(estate: &Estate) -> Result<Settings, AccessError> {
    let others: BTreeMap<Zone, String> = estate
        .listeners
        .values()
        .filter(|listener| listener.zone != Zone::Internal && estate.has_apis_at(listener))
        .map(|listener| (listener.zone, address(listener)))
        .collect();
    Settings::of_estate(&estate.identity, &others)
}

/// Where a listener is reached, as far as the estate knows.
fn address(listener: &model::Listener) -> String {
    let scheme = if listener.tls.is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}", listener.bind.value)
}
