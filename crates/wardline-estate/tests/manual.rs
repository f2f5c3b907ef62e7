//! The reference manual in `docs/reference` is generated; `UPDATE=1` rewrites it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fs;
use std::path::Path;
use wardline_estate::shape;

const BEGIN: &str = "<!-- estate codes: generated from crates/wardline-estate/src/codes.rs by its tests with UPDATE=1 -->\n";
const END: &str = "<!-- end of estate codes -->\n";
const HEAD: &str = "# Codes\n\nEvery problem that Wardline reports has a code that never changes its meaning. `wardline explain CODE` prints the\nparagraph. By the hundred: 1 estate files, 2 mappings, 3 messages and protocols, 4 deliveries, 5 storage, 6 security,\n7 command line and console.\n\n## Estate files\n\n";

fn reference(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name)
}

#[test]
fn the_reference_of_the_files_is_current() {
    let file = reference("estate-files.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, shape::reference()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap_or_default(),
        shape::reference(),
        "run with UPDATE=1"
    );
}

/// Other crates add their codes to the same page, so only the part between the marks is ours.
#[test]
fn the_reference_of_the_codes_is_current() {
    let file = reference("errors.md");
    let page = fs::read_to_string(&file).unwrap_or_default();
    let ours = format!("{BEGIN}\n{}{END}", shape::errors());
    let new = match (page.find(BEGIN), page.find(END)) {
        (Some(begin), Some(end)) => format!("{}{ours}{}", &page[..begin], &page[end + END.len()..]),
        _ if page.is_empty() => format!("{HEAD}{ours}"),
        _ => format!("{page}\n## Estate files\n\n{ours}"),
    };
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &new).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap_or_default(),
        new,
        "run with UPDATE=1"
    );
}
