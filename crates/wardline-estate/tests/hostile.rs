//! Whatever stands in the files of an estate, loading and showing its problems ends without a panic,
//! and every place that is pointed at exists.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fs;
use std::path::{Path, PathBuf};
use wardline_estate::{LoadOptions, load};

/// A small generator of pseudo-random numbers (xorshift), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
    }
}

/// Bits of syntax that make files interesting when they stand in the wrong place.
const PIECES: [&str; 24] = [
    ":", ": ", "- ", "{", "}", "[", "]", "\"", "'", "|", ">", "---\n", "\n", "  ", "\t", "#",
    "&a ", "*a", "!!int ", "null", "ü", "\u{202e}", "\u{7}", ",",
];

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn damaged_estates_are_explained() {
    damage("a-good-estate");
}

#[test]
fn damaged_processes_are_explained() {
    damage("process-good");
}

/// Every kind of step that holds steps, as deep as YAML goes and deeper: recursion over them ends.
#[test]
fn deep_processes_are_refused() {
    let kinds = [
        ("{ s: { steps: [", "] } }"),
        ("{ s: { each: .x, steps: [", "] } }"),
        ("{ s: { choose: [{ else: [", "] }] } }"),
        ("{ s: { parallel: { a: [", "] } } }"),
        ("{ s: { call: a.b, on_failure: [", "] } }"),
        (
            "{ s: { wait: { event: a.b, where: .x == instance.key, for: 1d, else: [",
            "] } } }",
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("wardline.yaml"), "estate: deep\n").unwrap();
    fs::create_dir(directory.path().join("processes")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (open, close) in kinds {
        for levels in [8, 25, 31, 32, 40, 41, 42, 400, 40_000] {
            let steps = format!(
                "[{}{{ s: {{ end: true }} }}{}]",
                open.repeat(levels),
                close.repeat(levels)
            );
            let text = format!("process: deep\non: a.b\nkey: .x\nsteps: {steps}\n");
            fs::write(directory.path().join("processes/deep.yaml"), text).unwrap();
            let loaded = load(directory.path(), &LoadOptions::default());
            assert!(loaded.estate.is_none());
            seen.extend(loaded.diagnostics.iter().map(|problem| problem.code.0));
        }
    }
    assert!(seen.contains("W1007") && seen.contains("W1241"), "{seen:?}");
}

/// As much as a file may hold: of steps, statuses and names that lead nowhere.
#[test]
fn large_processes_are_refused_soon() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("wardline.yaml"), "estate: large\n").unwrap();
    fs::create_dir(directory.path().join("processes")).unwrap();
    let file = directory.path().join("processes/large.yaml");
    let head = "process: large\non: a.b\nkey: .x\n";
    let statuses: Vec<String> = (0..200_000).map(|at| format!("s{at}")).collect();
    let steps: String = (0..60_000)
        .map(|at| format!("  - s{at}: {{ call: none.that-is, status: t{at} }}\n"))
        .collect();
    for text in [
        format!("{head}steps:\n{steps}"),
        format!(
            "{head}statuses: [{}]\nsteps:\n  - a: {{ end: true }}\n",
            statuses.join(", ")
        ),
        format!(
            "{head}steps:\n  - a: {{ set: {{ x: \"{}\" }} }}\n",
            "x".repeat(10 << 20)
        ),
    ] {
        fs::write(&file, text).unwrap();
        let began = std::time::Instant::now();
        let loaded = load(directory.path(), &LoadOptions::default());
        assert!(loaded.diagnostics.has_errors() && loaded.diagnostics.len() < 1_100);
        let shown = loaded.diagnostics.render(&loaded.sources, false);
        assert!(
            shown.contains("W1241") || shown.contains("W1004"),
            "{shown}"
        );
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    }
}

fn damage(case: &str) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let good = cases.join(case).join("estate");
    let mut originals = Vec::new();
    files(&good, &mut originals);
    originals.sort();
    let directory = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut with_problems = 0;
    for _ in 0..160 {
        let victim = dice.below(originals.len());
        for (index, original) in originals.iter().enumerate() {
            let mut bytes = fs::read(original).unwrap();
            for _ in 0..if index == victim {
                1 + dice.below(4)
            } else {
                0
            } {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.drain(at..(at + dice.below(9)).min(bytes.len()))),
                    2 => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
                    _ => drop(bytes.splice(at..at, PIECES[dice.below(PIECES.len())].bytes())),
                }
            }
            let target = directory.path().join(original.strip_prefix(&good).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
        let loaded = load(directory.path(), &LoadOptions::default());
        for diagnostic in &loaded.diagnostics {
            if let Some(span) = diagnostic.span {
                let text = loaded.sources.text(span.file);
                assert!(
                    text.get(span.start as usize..span.end as usize).is_some(),
                    "{diagnostic:?}"
                );
            }
        }
        let shown = loaded.diagnostics.render(&loaded.sources, false);
        let control = shown
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(
            control, None,
            "a control character reached the terminal:\n{shown:?}"
        );
        with_problems += usize::from(!loaded.diagnostics.is_empty());
    }
    assert!(
        with_problems > 80,
        "only {with_problems} of 160 damages were noticed"
    );
}
