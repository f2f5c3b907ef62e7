//! Every contract that the example serves, against what is answered.

use crate::house;
use crate::town::Town;
use std::path::Path;
use std::process::Command;

/// Runs schemathesis over one Api's document, with good data and bad; fails with its report.
#[track_caller]
fn examine(python: &Path, town: &Town, at: &str, api: &str, client: &str) {
    let token = town.token(at, client);
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", "--no-color"])
        .args(["--checks", "all", "--mode", "all", "--max-examples", "60"])
        .arg("--generation-deterministic")
        .args(["--suppress-health-check", "all", "--continue-on-failure"])
        .args(["--header", &format!("Authorization: {token}")])
        .args(["--header", "X-Purpose-Of-Use: operations"])
        .arg(format!("http://{at}{api}/openapi.json"))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env(
            "PYTHONPATH",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(town.house.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: Vec<&str> = said.lines().rev().take(12).collect();
    println!(
        "{api}: {}",
        summary.into_iter().rev().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn schemathesis_finds_nothing_that_the_contracts_do_not_say() {
    let Some(python) = house::python("schemathesis") else {
        return;
    };
    let town = Town::new();
    // It asks as fast as it can; how often it may is not what is tried here.
    let unlimited = [
        (
            "apis/supplier-master.yaml",
            "per_client: 50/s, quota: 100000/day, ",
        ),
        (
            "apis/supplier-portal.yaml",
            "limits: { per_client: 20/s, quota: 20000/day }",
        ),
        (
            "clients/ghx.yaml",
            "limits: { rate: 20/s, burst: 40, quota: 200000/day, concurrent: 16 }",
        ),
        (
            "clients/purchasing.yaml",
            "limits: { rate: 100/s, concurrent: 32 }",
        ),
    ];
    for (file, limits) in unlimited {
        town.edit(file, limits, "");
    }
    let server = town.serve();
    examine(
        &python,
        &town,
        &town.internal,
        "/supplier-master/v1",
        "purchasing",
    );
    examine(&python, &town, &town.partner, "/supplier-portal/v1", "ghx");
    assert!(
        town.asked()[0] > 50,
        "the ERP was hardly asked: {:?}",
        town.asked()
    );
    server.stop();
    let log = town.house.log();
    assert!(!log.contains("panicked"), "{log}");
}
