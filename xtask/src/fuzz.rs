//! The fuzz targets of `fuzz/`, each for a while: built with the coverage that libFuzzer follows, begun with the
//! hostile and good files that the tests have.

use crate::run::{Workspace, run};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A target and where files lie that it may begin with.
struct Target {
    name: &'static str,
    seeds: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        name: "as2",
        seeds: &["examples/st-brigid/tests/fixtures"],
    },
    Target {
        name: "dicom",
        seeds: &[],
    },
    Target {
        name: "fhir",
        seeds: &[
            "crates/wardline-hl7/tests/reading",
            "examples/st-brigid/tests/fixtures",
        ],
    },
    Target {
        name: "fhir_search",
        seeds: &[],
    },
    Target {
        name: "flat",
        seeds: &["examples/st-brigid/tests/fixtures"],
    },
    Target {
        name: "hl7",
        seeds: &[
            "crates/wardline-hl7/tests/reading",
            "crates/wardline-hl7/tests/edits",
            "examples/st-brigid/tests/fixtures",
        ],
    },
    Target {
        name: "mllp",
        seeds: &[],
    },
    Target {
        name: "scim",
        seeds: &[],
    },
    Target {
        name: "soap",
        seeds: &["crates/wardline-soap/tests/fixtures"],
    },
    Target {
        name: "wires",
        seeds: &[],
    },
    Target {
        name: "wsdl",
        seeds: &["crates/wardline-soap/tests/fixtures"],
    },
    Target {
        name: "xmlschema",
        seeds: &["examples/st-brigid/schemas/ubl/common"],
    },
    Target {
        name: "x12",
        seeds: &[
            "crates/wardline-edi/tests/x12/hostile",
            "examples/st-brigid/tests/fixtures",
        ],
    },
];

/// Coverage as libFuzzer wants it, with a compiler that is not a nightly one; no sanitizer, since
/// the workspace forbids unsafe code.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions \
     -Coverflow-checks";
/// Bytes of an input at most: what is found with more is mostly found with less.
const LARGEST: u32 = 64 << 10;
/// Memory in MiB above which a target fails: parsers are bounded.
const MEMORY: u32 = 1024;
/// Seconds for one input above which a target fails.
const PATIENCE: u32 = 10;

/// Whether a target is called so.
pub(crate) fn is_target(name: &str) -> bool {
    TARGETS.iter().any(|target| target.name == name)
}

/// The names of all targets.
pub(crate) fn names() -> String {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.join(", ")
}

/// Runs targets, all where none is named, each so many seconds.
pub(crate) fn fuzz(workspace: &Workspace, only: &[String], seconds: u32) -> Result<()> {
    let place = workspace.root.join("fuzz");
    let host = host()?;
    let mut build = workspace.cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    // A named platform keeps the coverage out of build scripts and macros.
    build.args(["--target", &host, "--target-dir", "fuzz/target"]);
    build.env("RUSTFLAGS", COVERAGE);
    build.env_remove("CARGO_TARGET_DIR");
    run(&mut build)?;
    let mut failed = Vec::new();
    for target in TARGETS {
        if !only.is_empty() && !only.iter().any(|name| name == target.name) {
            continue;
        }
        let corpus = place.join("corpus").join(target.name);
        let artifacts = place.join("artifacts").join(target.name);
        for dir in [&corpus, &artifacts] {
            fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        for seeds in target.seeds {
            seed(&workspace.root.join(seeds), &corpus)?;
        }
        let binary = place
            .join("target")
            .join(&host)
            .join("release")
            .join(target.name);
        let mut command = Command::new(binary);
        command
            .arg(&corpus)
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={LARGEST}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-timeout={PATIENCE}"))
            .args(["-print_final_stats=1", "-verbosity=0"])
            .current_dir(&place);
        if run(&mut command).is_err() {
            failed.push(target.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "found something: {}. The input lies below fuzz/artifacts; give it to the same program to see it again, \
         and make it a test of the crate",
        failed.join(", ")
    )
}

/// The platform that this was built for.
fn host() -> Result<String> {
    let told = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .context("asking rustc for its platform")?;
    Ok(String::from_utf8(told.stdout)
        .context("what rustc says is no text")?
        .trim()
        .to_owned())
}

/// Copies plain files, not too large, of a directory and those below it, that are not there yet.
fn seed(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", from.display()))?;
        let path = entry.path();
        if path.is_dir() {
            seed(&path, to)?;
            continue;
        }
        let size = entry.metadata().map_or(u64::MAX, |about| about.len());
        // Many are called the same in directories of their own.
        let above = from.file_name().unwrap_or_default().to_string_lossy();
        let into = to.join(format!("{above}-{}", entry.file_name().to_string_lossy()));
        if path.is_file() && size <= u64::from(LARGEST) && !into.exists() {
            fs::copy(&path, &into).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}
