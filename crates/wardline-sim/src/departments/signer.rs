//! Who signs webhooks: the simulated patient relations and telehealth, each with an Ed25519 key of its own (Standard Webhooks, `v1a`).
//!
//! The keys are made of the systems' names, so everybody has them; the estate trusts them on loopback only.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Those who sign.
const SIGNERS: [&str; 2] = ["crm", "telehealth"];

fn key_of(system: &str) -> Option<Ed25519KeyPair> {
    let seed = digest(&SHA256, format!("St. Brigid {system}").as_bytes());
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).ok()
}

/// What goes with what `from` tells: its id, the time and the signature. `None` for whoever does not sign.
pub(crate) fn signature(
    from: &str,
    id: &str,
    seconds: i64,
    body: &[u8],
) -> Option<[(&'static str, String); 3]> {
    if !SIGNERS.contains(&from) {
        return None;
    }
    let mut signed = format!("{id}.{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    let signature = STANDARD.encode(key_of(from)?.sign(&signed));
    Some([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", format!("v1a,{signature}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::{SIGNERS, key_of, signature};
    use aws_lc_rs::signature::KeyPair as _;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_estate_knows_who_signs() {
        for system in SIGNERS {
            let key = key_of(system).unwrap();
            let public = format!("whpk_{}", STANDARD.encode(key.public_key()));
            let file = format!(
                "{}/../../examples/st-brigid/systems/{system}.yaml",
                env!("CARGO_MANIFEST_DIR")
            );
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains(&public), "{system}: {public}");
        }
    }

    #[test]
    fn nobody_else_signs() {
        assert!(signature("bank", "evt_1", 1, b"{}").is_none());
        let signed = signature("crm", "evt_1", 1, b"{}").unwrap();
        assert_eq!(signed[0], ("webhook-id", "evt_1".to_owned()));
        assert!(signed[2].1.starts_with("v1a,"));
    }
}
