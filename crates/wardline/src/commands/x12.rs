//! `wardline x12`: looking at X12 files.

use crate::cli::{AckForm, GuideArgs, X12Command};
use crate::commands::hl7::read;
use crate::{exit, paint};
use anyhow::Context as _;
use serde_json::json;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use wardline_core::Clock as _;
use wardline_edi::x12::{self, Guide, Guides, Interchange, Problem, Segment, Set, ack};

pub(crate) fn run(command: X12Command) -> anyhow::Result<ExitCode> {
    let well = match command {
        X12Command::Show { file, guides } => show(&file, read_guides(&guides)?)?,
        X12Command::Check {
            files,
            json,
            guides,
        } => {
            let guides = read_guides(&guides)?;
            let mut well = true;
            for file in &files {
                well &= check(file, guides.clone(), json)?;
            }
            well
        }
        X12Command::Roundtrip { files } => {
            let mut well = true;
            for file in &files {
                well &= roundtrip(file)?;
            }
            well
        }
        X12Command::Ack {
            file,
            form,
            ta1,
            guides,
        } => acknowledge(&file, form, ta1, read_guides(&guides)?)?,
        X12Command::Split { file, into } => split(&file, &into)?,
    };
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

/// The shipped guides and those of the command line, or none.
fn read_guides(args: &GuideArgs) -> anyhow::Result<Option<Arc<Guides>>> {
    if args.no_guides {
        return Ok(None);
    }
    let mut all = Guides::clone(&Guides::shipped());
    for file in &args.own {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let guide = Guide::parse(&text).with_context(|| format!("{}", file.display()))?;
        all.add(guide);
    }
    Ok(Some(Arc::new(all)))
}

fn refused(file: &Path, reason: &dyn std::fmt::Display) -> bool {
    anstream::eprintln!("{} {}: {reason}", paint::bad("refused"), file.display());
    false
}

fn show(file: &Path, guides: Option<Arc<Guides>>) -> anyhow::Result<bool> {
    let interchange = match Interchange::parse(read(file)?) {
        Ok(interchange) => interchange,
        Err(error) => return Ok(refused(file, &error)),
    };
    let interchange = match guides {
        Some(guides) => interchange.with_guides(guides),
        None => interchange,
    };
    let mut envelope = (usize::MAX, usize::MAX);
    for set in interchange.sets() {
        let (isa, gs) = (set.isa(), set.gs());
        let place = (isa.offset(), gs.map_or(usize::MAX, |gs| gs.offset()));
        if place.0 != envelope.0 {
            print_segment(&isa, 1, 0);
        }
        if let Some(gs) = gs
            && place != envelope
        {
            print_segment(&gs, 1, 0);
        }
        envelope = place;
        print_set(&set);
    }
    for answer in interchange.interchange_acknowledgements() {
        print_segment(&answer, 1, 0);
    }
    Ok(true)
}

fn print_set(set: &Set) {
    anstream::println!();
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for (n, segment) in set.segments().enumerate() {
        let depth = set
            .loops()
            .iter()
            .filter(|span| span.range.contains(&n))
            .count();
        for begun in set.loops().iter().filter(|span| span.range.start == n) {
            let outer = set
                .loops()
                .iter()
                .filter(|span| span.range.contains(&n) && span.range.end > begun.range.end);
            anstream::println!(
                "{}{}",
                "  ".repeat(outer.count()),
                paint::faint(&format!("loop {}", begun.id))
            );
        }
        let nth = seen.entry(segment.name().to_owned()).or_default();
        *nth += 1;
        print_segment(&segment, *nth, depth);
    }
}

fn print_segment(segment: &Segment<'_>, nth: usize, depth: usize) {
    let indent = "  ".repeat(depth);
    let name = segment.name();
    let at = if nth > 1 {
        format!("{name}[{nth}]")
    } else {
        name.to_owned()
    };
    anstream::println!("{indent}{}", paint::strong(&at));
    for (n, element) in segment.elements().enumerate() {
        if element.is_empty() {
            continue;
        }
        let repeats = element.repetitions().nth(1).is_some();
        for (r, repetition) in element.repetitions().enumerate() {
            let composed = repetition.components().nth(1).is_some();
            for (c, component) in repetition.components().enumerate() {
                if component.is_empty() {
                    continue;
                }
                let mut path = format!("{at}-{:02}", n + 1);
                if repeats {
                    path.push_str(&format!("[{}]", r + 1));
                }
                if composed {
                    path.push_str(&format!("-{}", c + 1));
                }
                let shown: String = x12::text(component.bytes())
                    .chars()
                    .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
                    .collect();
                let left = format!("{indent}  {path}");
                anstream::println!("{left:<20} {}", paint::good(shown.trim_end()));
            }
        }
    }
}

fn check(file: &Path, guides: Option<Arc<Guides>>, as_json: bool) -> anyhow::Result<bool> {
    let report = match File::open(file) {
        Ok(open) => x12::inspect_reader(open, guides),
        Err(error) => x12::Report {
            ok: false,
            segments: 0,
            sets: 0,
            kinds: Vec::new(),
            version: None,
            interchanges: Vec::new(),
            problems: vec![Problem {
                code: "file.unreadable",
                text: format!("cannot read {}: {error}", file.display()),
                offset: 0,
                segment: None,
                position: None,
                refuses: true,
            }],
        },
    };
    if as_json {
        let problems: Vec<_> = report
            .problems
            .iter()
            .map(|problem| {
                json!({ "code": problem.code, "text": problem.text, "offset": problem.offset, "segment": problem.segment,
                    "position": problem.position, "refuses": problem.refuses })
            })
            .collect();
        let line = json!({
            "file": file, "ok": report.ok, "interchanges": report.interchanges.len(), "sets": report.sets,
            "segments": report.segments, "types": report.kinds, "version": report.version, "problems": problems,
        });
        writeln!(std::io::stdout().lock(), "{line}")?;
        return Ok(report.ok);
    }
    let sign = if report.ok {
        paint::good("✓")
    } else {
        paint::bad("✕")
    };
    let count = match report.sets {
        0 => "no transaction set in this file".to_owned(),
        1 => "1 set".to_owned(),
        many => format!("{many} sets"),
    };
    anstream::println!(
        "{sign} {}  {count}  {}  {}",
        file.display(),
        report.kinds.join(" "),
        report.version.as_deref().unwrap_or_default()
    );
    for problem in &report.problems {
        let place = match problem.position {
            Some(position) => format!("byte {}, segment {position}", problem.offset),
            None => format!("byte {}", problem.offset),
        };
        anstream::println!(
            "    {} {} {}",
            paint::faint(&place),
            problem.text,
            paint::faint(problem.code)
        );
    }
    Ok(report.ok)
}

fn roundtrip(file: &Path) -> anyhow::Result<bool> {
    match x12::roundtrip(&read(file)?) {
        Ok(()) => {
            anstream::println!("{} {}  byte for byte", paint::good("✓"), file.display());
            Ok(true)
        }
        Err(error) => {
            anstream::println!("{} {}  {error}", paint::bad("✕"), file.display());
            Ok(false)
        }
    }
}

fn acknowledge(
    file: &Path,
    form: AckForm,
    ta1: bool,
    guides: Option<Arc<Guides>>,
) -> anyhow::Result<bool> {
    let open = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let report = x12::inspect_reader(open, guides);
    let Some(first) = report.interchanges.first() else {
        let reason = report.problems.first().map(ToString::to_string);
        return Ok(refused(file, &reason.unwrap_or_default()));
    };
    let now = wardline_core::RealClock.now().to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let how = ack::Answering {
        form: match form {
            AckForm::F997 => ack::Form::F997,
            AckForm::F999 => ack::Form::F999,
        },
        control: 1,
        group_control: 1,
        date: digits.chars().take(8).collect(),
        time: digits.chars().skip(8).take(4).collect(),
        ta1,
    };
    match ack::answer(first, &how)? {
        Some(bytes) => {
            let mut out = std::io::stdout().lock();
            out.write_all(&bytes)?;
            out.write_all(b"\n")?;
        }
        None => anstream::eprintln!("nothing to acknowledge: it holds acknowledgements only"),
    }
    Ok(report.ok)
}

fn split(file: &Path, into: &Path) -> anyhow::Result<bool> {
    let interchange = match Interchange::parse(read(file)?) {
        Ok(interchange) => interchange,
        Err(error) => return Ok(refused(file, &error)),
    };
    std::fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    for n in 0..interchange.len() {
        let (Some(set), Some(bytes)) = (interchange.set(n), interchange.split(n)) else {
            continue;
        };
        // What a partner wrote into ST01 is no path.
        let kind: String = set
            .id()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(6)
            .collect();
        let path = into.join(format!("{kind}-{:06}.x12", n + 1));
        std::fs::write(&path, &bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(true)
}
