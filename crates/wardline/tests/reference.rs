//! `docs/reference/command-line.md` is what `--help` says, of every command. Run with
//! `UPDATE=1` to write it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "../../docs/reference/command-line.md";

const HEAD: &str = "\
# The command line

<!-- Generated from `--help` by crates/wardline/tests/reference.rs with UPDATE=1. -->

Data goes to standard output, everything else to standard error. Listings take `--json`: one document, whose
`schema` (where it has one) names its form. Colours are left out in a pipe, with `--no-color`, and with `NO_COLOR`.

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | what was asked about is not well: `check`, `test`, `reload`, `status`, `alerts`, `audit verify`, `hl7 check` and `send` found something |
| 2 | the command line cannot be understood, or `test` is asked for a test that is not there |
| 3 | something could not be reached, read or started |

Commands that look at a journal (`messages`, `trace`, `dead`, `status`, `replay`, `process`, `tasks`, …) ask the running server, through the
address and token it leaves in its data directory. Where none runs they open the journal themselves.

| variable | means |
| --- | --- |
| `WARDLINE_ESTATE` | the estate's directory, for commands that take `--estate` |
| `WARDLINE_DATA` | where the journal is kept |
| `WARDLINE_STORE` | in which store the journal is, instead of what the estate says under `store`; only `sqlite` yet |
| `WARDLINE_MASTER_KEY` | the master key, where the estate says `keys: { provider: env }` |
| `WARDLINE_SECRET_…` | a secret: `secret:erp/ws` is `WARDLINE_SECRET_ERP_WS` |
| `WARDLINE_LOG` | what is logged, as a filter: `warn`, `info`, `wardline_engine=debug` |
";

/// What `wardline WORDS --help` prints, the same on every machine.
fn help(words: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
    command
        .args(words)
        .arg("--help")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
    // Help shows what variables hold at the moment.
    for name in ["WARDLINE_ESTATE", "WARDLINE_DATA"] {
        command.env_remove(name);
    }
    let output = command.output().expect("the binary runs");
    assert!(
        output.status.success(),
        "`wardline {} --help` fails",
        words.join(" ")
    );
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// Names under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Names stand two in; the lines that go on with a description stand further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn write(words: &[String], page: &mut String) {
    let text = help(words);
    let level = if words.len() < 2 { "##" } else { "###" };
    let name = std::iter::once("wardline")
        .chain(words.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ");
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    write!(
        page,
        "\n{level} {name}\n\n```text\n{}\n```\n",
        lines.join("\n")
    )
    .expect("a String takes everything");
    for name in commands(&text) {
        let mut words = words.to_vec();
        words.push(name);
        write(&words, page);
    }
}

#[test]
fn the_reference_is_what_help_says() {
    let mut page = HEAD.to_owned();
    write(&[], &mut page);
    for command in ["demo", "serve", "trace", "audit verify", "hl7 roundtrip"] {
        assert!(
            page.contains(&format!("## wardline {command}\n")),
            "`{command}` was not found in the help"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == page,
        "docs/reference/command-line.md differs from --help: run `UPDATE=1 cargo test -p wardline --test reference`"
    );
}
