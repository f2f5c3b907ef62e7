use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn private_file(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(path, content, durable::Mode::Replace).unwrap();
}

fn no_environment(dir: &Path) -> Secrets {
    Secrets::with_environment(dir, |_| None)
}

#[test]
fn a_file_is_read_without_its_last_line_end() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = no_environment(dir.path());
    let reference: SecretRef = "secret:erp/ws".parse().unwrap();
    assert!(matches!(
        secrets.exists(&reference),
        Err(VaultError::SecretMissing { .. })
    ));
    for (content, value) in [
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        ("pw", "pw"),
        ("pw\n\n", "pw\n"),
        (" pw ", " pw "),
        ("", ""),
    ] {
        private_file(&secrets.path_of(&reference), content.as_bytes());
        assert_eq!(
            secrets.resolve(&reference).unwrap().expose_text(),
            Some(value)
        );
    }
}

#[test]
fn the_environment_wins() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::with_environment(dir.path(), |name| {
        (name == "WARDLINE_SECRET_ERP_WS").then(|| Zeroizing::new(b"from outside".to_vec()))
    });
    let reference: SecretRef = "secret:erp/ws".parse().unwrap();
    private_file(&secrets.path_of(&reference), b"from the file");
    assert!(
        secrets
            .resolve(&reference)
            .unwrap()
            .matches(b"from outside")
    );
}

#[test]
fn exposed_huge_and_odd_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = no_environment(dir.path());
    let reference: SecretRef = "secret:a/b".parse().unwrap();
    let path = secrets.path_of(&reference);
    private_file(&path, b"pw");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(
        secrets.resolve(&reference),
        Err(VaultError::Exposed { mode: 0o604, .. })
    ));
    private_file(&path, &vec![b'x'; MAX_SECRET as usize + 1]);
    assert!(matches!(
        secrets.resolve(&reference),
        Err(VaultError::SecretUnreadable { .. })
    ));
    let parent: SecretRef = "secret:a".parse().unwrap();
    assert!(matches!(
        secrets.resolve(&parent),
        Err(VaultError::SecretUnreadable { .. })
    ));
}

fn reference(name: &str) -> SecretRef {
    SecretRef::named(name).unwrap()
}

fn identity(dir: &Path) -> (AgeIdentity, Identities) {
    let identity = AgeIdentity::generate().unwrap();
    let path = dir.join("identity.txt");
    private_file(&path, identity.to_text().as_bytes());
    (identity, Identities::File(path))
}

fn text(secret: &Secret) -> &str {
    secret.expose_text().unwrap()
}

#[test]
fn plain_wins_over_encrypted_wins_over_the_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, identities) = identity(dir.path());
    let bundle = dir.path().join("secrets.age");
    let secrets = no_environment(&dir.path().join("secrets"));
    secrets.configure(SecretPlaces {
        age: Some((identities, bundle.clone())),
        ..SecretPlaces::default()
    });
    let erp = reference("erp/ws");
    assert!(matches!(
        secrets.resolve(&erp),
        Err(VaultError::SecretMissing { .. })
    ));
    let to = [identity.recipient()];
    private_file(
        &bundle,
        &age::encrypt(b"erp/ws: bundled\nhr/hook: h\n", &to).unwrap(),
    );
    assert_eq!(text(&secrets.resolve(&erp).unwrap()), "bundled");
    let path = secrets
        .store(&erp, &Secret::new(b"sealed".to_vec()), &to)
        .unwrap();
    assert!(path.ends_with("erp/ws.age"));
    assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("sealed"));
    assert_eq!(text(&secrets.resolve(&erp).unwrap()), "sealed");
    assert_eq!(secrets.facts(&erp).unwrap().origin, Origin::Age);
    // The one form takes the other's place.
    let plain = secrets
        .store(&erp, &Secret::new(b"plain".to_vec()), &[])
        .unwrap();
    assert!(plain.exists() && !path.exists());
    assert_eq!(text(&secrets.resolve(&erp).unwrap()), "plain");
    let names: Vec<_> = secrets
        .stored()
        .unwrap()
        .iter()
        .map(SecretRef::to_string)
        .collect();
    assert_eq!(names, ["secret:erp/ws", "secret:hr/hook"]);
    // Somebody else's file is told as such, and what it holds is not.
    let other = AgeIdentity::generate().unwrap().recipient();
    secrets
        .store(&erp, &Secret::new(b"theirs".to_vec()), &[other])
        .unwrap();
    let error = secrets.resolve(&erp).unwrap_err();
    assert!(
        matches!(error, VaultError::SecretUnreadable { .. }),
        "{error}"
    );
}

#[test]
fn a_new_value_counts_once_it_was_seen_twice_and_the_old_one_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = no_environment(dir.path());
    let erp = reference("erp/ws");
    let path = secrets.path_of(&erp);
    private_file(&path, b"one");
    assert_eq!(text(&secrets.present(&erp).unwrap()), "one");
    assert!(secrets.refresh().is_empty());

    // Half written, then whole: the half is never used.
    private_file(&path, b"tw");
    assert!(secrets.refresh().is_empty());
    private_file(&path, b"two");
    assert!(secrets.refresh().is_empty());
    assert_eq!(text(&secrets.present(&erp).unwrap()), "one");
    let rotated = SecretEvent::Rotated {
        name: "erp/ws".into(),
        origin: Origin::File,
    };
    assert_eq!(secrets.refresh(), [rotated]);
    assert_eq!(text(&secrets.present(&erp).unwrap()), "two");
    let accepted = secrets.accepted(&erp).unwrap();
    assert_eq!(
        accepted.iter().map(text).collect::<Vec<_>>(),
        ["two", "one"]
    );

    // Emptied, exposed or gone: the value in use stays, and it is said once.
    private_file(&path, b"");
    assert!(matches!(&secrets.refresh()[..], [SecretEvent::Kept { .. }]));
    assert!(secrets.refresh().is_empty());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(&secrets.refresh()[..], [SecretEvent::Kept { .. }]));
    assert_eq!(text(&secrets.present(&erp).unwrap()), "two");
    private_file(&path, b"two");
    assert!(matches!(&secrets.refresh()[..], [SecretEvent::Back { .. }]));
}

#[test]
fn the_value_before_is_retired_after_the_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = no_environment(dir.path());
    let overlap = |time| SecretPlaces {
        overlap: Some(time),
        ..SecretPlaces::default()
    };
    secrets.configure(overlap(Duration::from_millis(1)));
    let erp = reference("erp/ws");
    private_file(&secrets.path_of(&erp), b"one");
    secrets.present(&erp).unwrap();
    private_file(&secrets.path_of(&erp), b"two");
    let mut events = Vec::new();
    while !events
        .iter()
        .any(|event| matches!(event, SecretEvent::Retired { .. }))
    {
        events.extend(secrets.refresh());
    }
    assert_eq!(secrets.accepted(&erp).unwrap().len(), 1);
    // Without an overlap there is none.
    secrets.configure(overlap(Duration::ZERO));
    private_file(&secrets.path_of(&erp), b"three");
    while secrets.refresh().is_empty() {}
    assert_eq!(text(&secrets.present(&erp).unwrap()), "three");
    assert_eq!(secrets.accepted(&erp).unwrap().len(), 1);
}
