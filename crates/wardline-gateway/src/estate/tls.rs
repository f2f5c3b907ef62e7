//! TLS towards systems, from plan to plan: where neither certificates nor keys changed it is the
//! same object, by which the gateway knows that connections made under it may stay in use.

use super::FrontError;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_connect::tls::{ClientTls, Pem};

/// By connection: a digest of what it was built of, and what was built.
type Built = BTreeMap<String, ([u8; 32], Arc<ClientConfig>)>;

/// What was built for the plans before.
#[derive(Default)]
pub struct KnownTls(parking_lot::Mutex<Built>);

impl std::fmt::Debug for KnownTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownTls").finish_non_exhaustive()
    }
}

impl KnownTls {
    /// The TLS of a connection: that of before, where it would be built of the same.
    pub(super) fn of(
        &self,
        connection: &str,
        tls: &ClientTls,
    ) -> Result<Arc<ClientConfig>, FrontError> {
        let digest = digest(tls);
        let mut known = self.0.lock();
        if let Some((of, built)) = known.get(connection)
            && *of == digest
        {
            return Ok(Arc::clone(built));
        }
        let built = Arc::new(tls.build(connection)?);
        known.insert(connection.to_owned(), (digest, Arc::clone(&built)));
        Ok(built)
    }

    /// Forgets connections that are not there any more.
    pub(super) fn keep(&self, mut there: impl FnMut(&str) -> bool) {
        self.0.lock().retain(|connection, _| there(connection));
    }
}

/// Of everything that TLS is built of; a file that cannot be read counts as empty, and building
/// says why.
fn digest(tls: &ClientTls) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    let identity = tls.identity.as_ref();
    let pems = [
        tls.ca.as_ref(),
        identity.map(|one| &one.cert),
        identity.map(|one| &one.key),
    ];
    for pem in pems {
        match pem {
            None => part(b"none"),
            Some(Pem::File(path)) => part(&std::fs::read(path).unwrap_or_default()),
            Some(Pem::Text(text)) => part(text.expose()),
        }
    }
    part(tls.server_name.as_deref().unwrap_or_default().as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
