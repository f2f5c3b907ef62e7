//! `wardline x12` as a person and as a script meet it, and beside `pyx12`, which reads what we write.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]
#![allow(dead_code, reason = "the house has rooms that this test does not use")]

#[path = "peers/house.rs"]
mod house;

use house::{House, python, run};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ORDER: &str = "ISA*00*          *00*          *ZZ*BUYER          *ZZ*SELLER         *260101*1200*^*00501*000000007*1*P*:~\n\
    GS*PO*BUYER*SELLER*20260101*1200*7*X*005010~\nST*850*0001~\nBEG*00*SA*4500012**20260101~\nN1*ST*North*92*N1~\n\
    PO1*1*2*EA*3.50**IN*77~\nPID*F****Gloves~\nPO1*2*1*BX*12**IN*78~\nCTT*2~\nSE*8*0001~\nGE*1*7~\nIEA*1*000000007~\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn x12_files_are_checked_shown_split_acknowledged_and_written_back() {
    let house = House::new(&[]);
    let file = |name: &str, content: &str| {
        let path = house.path(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let good = file("good.x12", ORDER);
    let wrong = file(
        "wrong.x12",
        &ORDER
            .replace("SE*8*", "SE*9*")
            .replace("PO1*1*2*", "PO1*1*two*"),
    );
    let note = file("note.txt", "a note");
    let missing = house.path("missing.x12");
    let said = run(&[
        "x12",
        "check",
        "--json",
        text(&good),
        text(&wrong),
        text(&note),
        text(&missing),
    ])
    .ends(1);
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "one line a file");
    assert_eq!(
        lines[0],
        json!({ "file": good, "ok": true, "interchanges": 1, "sets": 1, "segments": 12, "types": ["850"], "version": "005010", "problems": [] })
    );
    let codes = |line: &Value| -> Vec<String> {
        let problems = line["problems"].as_array().unwrap();
        problems
            .iter()
            .map(|p| p["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(codes(&lines[1]), ["x12.guide.elements", "x12.se.count"]);
    assert_eq!(lines[1]["problems"][0]["position"], 4);
    assert_eq!(codes(&lines[2]), ["x12.no-header"]);
    assert_eq!(codes(&lines[3]), ["file.unreadable"]);
    assert!(!said.out.contains("two"), "a problem quotes nothing");

    run(&["x12", "show", text(&good)]).ends(0).says(&[
        "loop PO1",
        "PO1[2]-04",
        "ISA-06",
        "BUYER",
        "BEG-03",
        "4500012",
    ]);
    run(&["x12", "show", text(&note)])
        .ends(1)
        .explains(&["refused", "must begin with ISA"]);
    run(&["x12", "roundtrip", text(&good), text(&wrong)])
        .ends(0)
        .says(&["byte for byte"]);

    let answer = run(&["x12", "ack", text(&wrong)]).ends(1);
    let said = [
        "TA1*000000007*260101*1200*A*000~",
        "AK2*850*0001~",
        "IK3*PO1*4*PO1*8~",
        "IK4*2**6~",
        "IK5*R*5*4~",
        "AK9*R*1*1*0~",
    ];
    answer.says(&said);
    run(&["x12", "ack", "--form", "997", text(&good)])
        .ends(0)
        .says(&["ST*997*0001~", "AK5*A~", "AK9*A*1*1*1~"]);

    let guide = file(
        "guide.yaml",
        "guide: ours\nset: 850\nversions: ['005010']\nbody: [BEG r, N1 r, PO1 r, PID, CTT]\n",
    );
    run(&["x12", "check", "--guide", text(&guide), text(&good)])
        .ends(1)
        .says(&["PO1 stands too late"]);
    let bad = file("bad.yaml", "guide: ours\nbody: [beg]\n");
    run(&["x12", "check", "--guide", text(&bad), text(&good)])
        .ends(3)
        .explains(&["not an X12 guide"]);

    let two = file("two.x12", &format!("{ORDER}{ORDER}"));
    let into = house.path("parts");
    run(&["x12", "split", text(&two), "--into", text(&into)])
        .ends(0)
        .says(&["850-000001.x12", "850-000002.x12"]);
    run(&["x12", "check", text(&into.join("850-000002.x12"))])
        .ends(0)
        .says(&["1 set"]);
}

fn corpus() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = ["../../..", "../../../.."]
        .map(|up| beside.join(up).join("shared/testdata/x12"))
        .into_iter()
        .find(|folder| folder.is_dir());
    let Some(root) = root else {
        println!("skipped: no ../shared/testdata/x12 beside the workspace");
        return Vec::new();
    };
    let folders = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir());
    let mut files: Vec<PathBuf> = folders
        .filter(|p| {
            !p.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("schema-")
        })
        .flat_map(|folder| {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|e| e.unwrap().path())
        })
        .filter(|p| p.extension().is_none_or(|e| e != "json"))
        .collect();
    files.sort();
    files
}

/// What pyx12 says of files: segments it read, and codes of envelope errors; `None` where it refuses.
fn theirs(python: &Path, files: &[PathBuf]) -> Vec<Option<(u64, Vec<String>)>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/x12_read.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let names: String = files
        .iter()
        .map(|file| format!("{}\n", file.display()))
        .collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(names.as_bytes()).unwrap());
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let errors = line["errors"].as_array()?.iter().map(|e| {
                let word = |at: usize| e[at].as_str().unwrap_or_default();
                format!("{} {}", word(0), word(1))
            });
            Some((line["segments"].as_u64()?, errors.collect()))
        })
        .collect()
}

#[test]
fn pyx12_reads_the_same_and_finds_nothing_wrong_with_what_we_write() {
    let Some(python) = python("pyx12") else {
        return;
    };
    let house = House::new(&[]);
    // What we write: answers and parts.
    let good = house.path("good.x12");
    std::fs::write(&good, ORDER).unwrap();
    let into = house.path("parts");
    run(&["x12", "split", text(&good), "--into", text(&into)]).ends(0);
    let mut ours = vec![into.join("850-000001.x12")];
    for form in ["997", "999"] {
        let answer = run(&["x12", "ack", "--form", form, text(&good)]).ends(0);
        let path = house.path(&format!("{form}.x12"));
        std::fs::write(&path, &answer.out).unwrap();
        ours.push(path);
    }
    for (file, said) in ours.iter().zip(theirs(&python, &ours)) {
        let (segments, errors) = said.unwrap();
        assert!(
            segments >= 8 && errors.is_empty(),
            "{}: {errors:?}",
            file.display()
        );
    }
    // What others wrote: the same number of segments wherever pyx12 reads the file.
    let files = corpus();
    let names: Vec<&str> = files.iter().map(|file| text(file)).collect();
    if names.is_empty() {
        return;
    }
    let mut words = vec!["x12", "check", "--json", "--no-guides"];
    words.extend(&names);
    let said = run(&words);
    let mut compared = 0;
    for ((file, theirs), line) in files
        .iter()
        .zip(theirs(&python, &files))
        .zip(said.out.lines())
    {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some((segments, mut errors)) = theirs else {
            continue;
        };
        compared += 1;
        // Of envelopes alone: what a segment says is for guides. A last one that has no terminator we
        // tell and take all the same; pyx12 leaves it out.
        let open = u64::from(errors.iter().any(|error| error == "isa 023"));
        errors.retain(|error| !error.starts_with("seg ") && error != "isa 023");
        if errors.is_empty() && line["ok"] == true {
            assert_eq!(line["segments"], segments + open, "{}", file.display());
        } else if !errors.is_empty() {
            assert_eq!(line["ok"], false, "{}: {errors:?}", file.display());
        }
    }
    println!("{compared} files compared");
    assert!(compared > 100, "{compared}");
}
