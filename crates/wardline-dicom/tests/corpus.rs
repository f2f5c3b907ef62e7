//! Files of many writers: each is read or refused with a reason, and none needs more memory than the
//! limits say.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use wardline_dicom::{Limits, examine, to_json};

/// The folder of test data beside the workspace, where there is one.
fn testdata(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    for up in ["../../..", "../../../.."] {
        let folder = beside.join(up).join("shared/testdata/dicom").join(name);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    println!("skipped: no ../shared/testdata/dicom/{name} beside the workspace");
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn every_file_is_read_or_refused_with_a_reason() {
    let Some(folder) = testdata("pydicom-test-files") else {
        return;
    };
    let (mut read, mut refused) = (0, Vec::new());
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if name.contains("README") || matches!(kind, Some("json" | "dump" | "txt")) {
            continue;
        }
        match examine(File::open(&path).unwrap(), Limits::default()) {
            Ok(object) => {
                read += 1;
                assert!(
                    !to_json(&object.data).is_empty() || name.contains("empty"),
                    "{name}"
                );
            }
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    // Cut, without a mark, without saying how they are laid out, or laid out otherwise than they say:
    // these and no others.
    let known = [
        "truncated",
        "NoMeta",
        "missing_tsyntax",
        "nested_priv_SQ",
        "badVR",
        "number_tags",
        "SC_rgb_jpeg.dcm",
        "rtstruct.dcm",
        "DICOMDIR-nooffset",
    ];
    refused.retain(|line| !known.iter().any(|one| line.contains(one)));
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(read >= 100, "{read}");
}

#[test]
fn names_of_the_world_are_read() {
    let Some(folder) = testdata("pydicom-charsets") else {
        return;
    };
    for (name, expected) in [
        ("chrArab", "قباني^لنزار"),
        ("chrFren", "Buc^Jérôme"),
        ("chrGerm", "Äneas^Rüdiger"),
        ("chrGreek", "Διονυσιος"),
        ("chrH31", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("chrH32", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("chrRuss", "Люкceмбypг"),
        ("chrX1", "Wang^XiaoDong=王^小東="),
    ] {
        let path = folder.join(format!("charset_files__{name}.dcm"));
        let object = examine(File::open(path).unwrap(), Limits::default()).unwrap();
        assert_eq!(to_json(&object.data)["PatientName"], expected, "{name}");
    }
}
