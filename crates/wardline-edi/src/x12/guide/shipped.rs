//! The guides that come with the platform: structure and types in our own words, no code lists.

use super::{Guide, Guides};
use std::sync::{Arc, LazyLock};

const FILES: [&str; 17] = [
    include_str!("../../../guides/810.yaml"),
    include_str!("../../../guides/820.yaml"),
    include_str!("../../../guides/846.yaml"),
    include_str!("../../../guides/850.yaml"),
    include_str!("../../../guides/855.yaml"),
    include_str!("../../../guides/856.yaml"),
    include_str!("../../../guides/997.yaml"),
    include_str!("../../../guides/999.yaml"),
    include_str!("../../../guides/270.yaml"),
    include_str!("../../../guides/271.yaml"),
    include_str!("../../../guides/276.yaml"),
    include_str!("../../../guides/277.yaml"),
    include_str!("../../../guides/278.yaml"),
    include_str!("../../../guides/835.yaml"),
    include_str!("../../../guides/837.yaml"),
    include_str!("../../../guides/837i.yaml"),
    include_str!("../../../guides/837p.yaml"),
];

static GUIDES: LazyLock<Arc<Guides>> = LazyLock::new(|| {
    let mut guides = Guides::default();
    // A test reads each of them; what does not read is not there.
    for guide in FILES.iter().filter_map(|source| Guide::parse(source).ok()) {
        guides.add(guide);
    }
    Arc::new(guides)
});

pub(super) fn guides() -> Arc<Guides> {
    Arc::clone(&GUIDES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_guide_is_read() {
        for source in FILES {
            let name = source.lines().next().unwrap_or_default();
            if let Err(error) = Guide::parse(source) {
                panic!("{name}: {error}");
            }
        }
        assert_eq!(guides().iter().count(), FILES.len());
    }
}
