//! The example estate as identity sees it.

use std::collections::BTreeMap;
use std::path::Path;
use wardline_access::CallerKind;
use wardline_access::identity::{ClientDirectory, Settings, clients_of_estate, issuers_of_estate};
use wardline_core::Zone;
use wardline_estate::{LoadOptions, load};
use wardline_vault::Secrets;

#[test]
fn the_example_has_clients_that_can_prove_who_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/st-brigid");
    let loaded = load(&root, &LoadOptions::default());
    let estate = loaded.estate.expect("the example is free of errors");
    let secrets = Secrets::with_environment("/nowhere", |_| None);
    let (clients, errors) = clients_of_estate(&estate, &secrets);
    assert!(errors.is_empty(), "{errors:?}");
    let directory = ClientDirectory::new(clients).unwrap();
    let ghx = directory.client("ghx").unwrap();
    assert_eq!((ghx.kind, ghx.zone), (CallerKind::Partner, Zone::Partner));
    assert_eq!(ghx.keys.as_ref().unwrap().len(), 1);
    assert!(ghx.unbound && !ghx.call_by_certificate);
    let desk = directory.client("purchasing").unwrap();
    assert!(desk.may_come_from("127.0.0.1".parse().unwrap()));
    assert!(!desk.may_come_from("192.0.2.1".parse().unwrap()));
    assert_eq!(desk.purpose, None, "it has two, and says which by call");

    let (_, errors) = issuers_of_estate(&estate, &root);
    assert!(errors.is_empty(), "{errors:?}");
    let partners = BTreeMap::from([(Zone::Partner, "https://partners.example".to_owned())]);
    Settings::of_estate(&estate.identity, &partners).unwrap();
}
