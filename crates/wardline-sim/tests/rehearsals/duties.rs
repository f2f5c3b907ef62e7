//! Every proof that `docs/duties.md` names exists.

use std::collections::BTreeSet;
use std::path::Path;
use wardline_sim::Scenario;

/// Names of the tests of the example estate.
fn of_the_estate(repository: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(repository.join("examples/st-brigid/tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let of_file = text.lines().filter_map(|line| line.strip_prefix("test: "));
        names.extend(of_file.map(|name| name.trim_matches('"').to_owned()));
    }
    names
}

fn is_in_rust(repository: &Path, proof: &str) -> bool {
    proof.split_once("::").is_some_and(|(file, function)| {
        let text = std::fs::read_to_string(repository.join(file)).unwrap_or_default();
        text.contains(&format!("fn {function}("))
    })
}

#[test]
fn every_duty_has_the_proof_that_it_names() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let book = std::fs::read_to_string(repository.join("docs/duties.md")).unwrap();
    let estate = of_the_estate(&repository);
    let mut proofs = 0;
    for line in book.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, _, last] = cells[..] else {
            panic!("not three cells: {line}")
        };
        // Names stand between backquotes, so every second piece is one.
        for proof in last.split('`').skip(1).step_by(2) {
            proofs += 1;
            let known = estate.contains(proof)
                || Scenario::named(proof).is_some_and(|one| one.to_string() == proof)
                || is_in_rust(&repository, proof);
            assert!(known, "no test `{proof}`");
        }
    }
    assert!(proofs > 80, "{proofs} proofs were found");
}
