//! `wardline edi csv|fixed`: looking at flat files.

use crate::cli::{EdiCommand, FlatCommand, LayoutArg};
use crate::{exit, paint};
use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use wardline_edi::flat::{Plan, Problem, Reader, WriteError, Writer};

/// Problems that are printed of one file; the others are counted.
const SHOWN: usize = 100;

pub(crate) fn run(command: EdiCommand) -> anyhow::Result<ExitCode> {
    let (command, fixed) = match command {
        EdiCommand::Csv { command } => (command, false),
        EdiCommand::Fixed { command } => (command, true),
    };
    let mut good = true;
    match command {
        FlatCommand::Show { file, layout } => good = show(&plan(&layout, fixed)?, &file)?,
        FlatCommand::Check {
            files,
            layout,
            json,
        } => {
            let plan = plan(&layout, fixed)?;
            for file in &files {
                good &= check(&plan, file, json)?;
            }
        }
        FlatCommand::Roundtrip { files, layout } => {
            let plan = plan(&layout, fixed)?;
            for file in &files {
                good &= roundtrip(&plan, file)?;
            }
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

/// Reads a layout; what is wrong with it is told at its line.
fn plan(layout: &LayoutArg, fixed: bool) -> anyhow::Result<Plan> {
    let Some(path) = &layout.layout else {
        if fixed {
            bail!("fixed-width records need a layout: --layout FILE");
        }
        return Ok(Plan::csv());
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let document = match wardline_estate::Document::parse(path, &text) {
        Ok(document) => document,
        Err(said) => bail!("{said}"),
    };
    let plan = Plan::from_json(document.value())
        .map_err(|error| anyhow::anyhow!("{}{}: {error}", path.display(), error.pointer))?;
    if plan.is_fixed() != fixed {
        let other = if fixed { "csv" } else { "fixed" };
        bail!("{} is for `wardline edi {other}`", path.display());
    }
    Ok(plan)
}

fn open(file: &Path) -> anyhow::Result<File> {
    File::open(file).with_context(|| format!("cannot read {}", file.display()))
}

fn show(plan: &Plan, file: &Path) -> anyhow::Result<bool> {
    let mut reader = Reader::new(plan, open(file)?);
    let mut output = BufWriter::new(std::io::stdout().lock());
    while let Some(record) = reader.read()? {
        let line = json!({ "line": record.line, "offset": record.offset, "record": record.name(), "fields": record.to_json() });
        writeln!(output, "{line}")?;
        for problem in record.problems {
            tell(problem);
        }
    }
    output.flush()?;
    reader.end().problems.iter().for_each(tell);
    Ok(reader.end().ok())
}

fn tell(problem: &Problem) {
    anstream::eprintln!(
        "{} line {}: {} {}",
        paint::bad("✕"),
        problem.line,
        problem.text,
        paint::faint(problem.what.code())
    );
}

/// What one pass over a file found, in bounded memory.
struct Seen {
    ok: bool,
    records: u64,
    problems: Vec<Problem>,
    more: usize,
    totals: Vec<Value>,
    unreadable: Option<String>,
}

fn look(plan: &Plan, file: &Path) -> Seen {
    let mut seen = Seen {
        ok: false,
        records: 0,
        problems: Vec::new(),
        more: 0,
        totals: Vec::new(),
        unreadable: None,
    };
    let input = match open(file) {
        Ok(input) => input,
        Err(error) => {
            seen.unreadable = Some(format!("{error:#}"));
            return seen;
        }
    };
    let mut reader = Reader::new(plan, input);
    let mut note = |problem: &Problem| {
        if seen.problems.len() < SHOWN {
            seen.problems.push(problem.clone());
        } else {
            seen.more += 1;
        }
    };
    loop {
        match reader.read() {
            Ok(Some(record)) => record.problems.iter().for_each(&mut note),
            Ok(None) => break,
            Err(error) => {
                seen.unreadable = Some(format!("cannot read {}: {error}", file.display()));
                return seen;
            }
        }
    }
    reader.end().problems.iter().for_each(&mut note);
    let end = reader.end();
    seen.ok = end.ok();
    seen.records = end.records;
    seen.totals = end
        .totals
        .iter()
        .map(|total| json!({ "name": total.name, "said": total.said.map(|said| said.to_string()), "found": total.found.to_string() }))
        .collect();
    seen
}

fn check(plan: &Plan, file: &Path, as_json: bool) -> anyhow::Result<bool> {
    let seen = look(plan, file);
    if as_json {
        let mut problems: Vec<Value> = seen
            .problems
            .iter()
            .map(|one| json!({ "code": one.what.code(), "text": one.text, "line": one.line, "offset": one.offset, "field": one.field }))
            .collect();
        if let Some(text) = &seen.unreadable {
            problems.push(json!({ "code": "file.unreadable", "text": text, "line": 0, "offset": 0, "field": null }));
        }
        let line = json!({ "file": file, "ok": seen.ok, "records": seen.records, "totals": seen.totals, "problems": problems, "more_problems": seen.more });
        writeln!(std::io::stdout().lock(), "{line}")?;
        return Ok(seen.ok);
    }
    let sign = if seen.ok {
        paint::good("✓")
    } else {
        paint::bad("✕")
    };
    let records = if seen.records == 1 {
        "record"
    } else {
        "records"
    };
    anstream::println!("{sign} {}  {} {records}", file.display(), seen.records);
    if let Some(text) = &seen.unreadable {
        anstream::println!("    {text}");
    }
    for problem in &seen.problems {
        anstream::println!(
            "    {} {} {}",
            paint::faint(&format!("line {}", problem.line)),
            problem.text,
            paint::faint(problem.what.code())
        );
    }
    if seen.more > 0 {
        anstream::println!("    and {} more", seen.more);
    }
    Ok(seen.ok)
}

fn roundtrip(plan: &Plan, file: &Path) -> anyhow::Result<bool> {
    let mut copy = scratch()?;
    let fault = match write_copy(plan, open(file)?, &mut copy)? {
        Some(fault) => Some(fault),
        None => compare(plan, open(file)?, rewound(&mut copy)?)?,
    };
    match fault {
        None => {
            let same = same_bytes(open(file)?, rewound(&mut copy)?)?;
            let how = if same {
                "byte for byte"
            } else {
                "the same records"
            };
            anstream::println!("{} {}  {how}", paint::good("✓"), file.display());
            Ok(true)
        }
        Some(fault) => {
            anstream::println!("{} {}  {fault}", paint::bad("✕"), file.display());
            Ok(false)
        }
    }
}

/// Where a written copy goes: into a file of its own, since it may be large.
fn scratch() -> anyhow::Result<File> {
    tempfile::tempfile().context("cannot make a temporary file")
}

fn rewound(file: &mut File) -> anyhow::Result<&mut File> {
    std::io::Seek::rewind(file)?;
    Ok(file)
}

/// Writes what is read; gives the first reason why not.
fn write_copy(plan: &Plan, input: impl Read, copy: &mut File) -> anyhow::Result<Option<String>> {
    let mut reader = Reader::new(plan, input);
    let mut writer: Option<Writer<'_, _>> = None;
    let mut output = Some(BufWriter::new(copy));
    while let Some(record) = reader.read()? {
        if let Some(problem) = record.problems.first() {
            return Ok(Some(format!("refused: {problem}")));
        }
        if let Some(output) = output.take() {
            let names: Vec<String> = record.names().map(str::to_owned).collect();
            writer = Some(Writer::new(plan, &names, output));
        }
        let fields: Map<String, Value> = record.to_json();
        if let Some(writer) = &mut writer {
            match writer.write(Some(record.name()), &fields) {
                Err(WriteError::Io(error)) => return Err(error.into()),
                Err(error) => return Ok(Some(format!("line {}: {error}", record.line))),
                Ok(()) => {}
            }
        }
    }
    if let Some(problem) = reader.end().problems.first() {
        return Ok(Some(format!("refused: {problem}")));
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(None)
}

fn compare(plan: &Plan, first: impl Read, second: impl Read) -> anyhow::Result<Option<String>> {
    let (mut first, mut second) = (Reader::new(plan, first), Reader::new(plan, second));
    loop {
        match (first.read()?, second.read()?) {
            (None, None) => return Ok(None),
            (Some(one), Some(other))
                if one.name() == other.name() && one.to_json() == other.to_json() => {}
            (Some(one), _) => return Ok(Some(format!("line {}: reads back otherwise", one.line))),
            (None, Some(_)) => return Ok(Some("a record more reads back".to_owned())),
        }
    }
}

fn same_bytes(mut one: impl Read, mut other: impl Read) -> anyhow::Result<bool> {
    let (mut a, mut b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let length = one.read(&mut a)?;
        if length == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(&mut b[..length]).is_err() || a[..length] != b[..length] {
            return Ok(false);
        }
    }
}
