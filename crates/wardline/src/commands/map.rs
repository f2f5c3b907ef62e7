//! `wardline map run`: what a map makes of a message, once or at every change.

use crate::cli::{MapCommand, MapRun};
use crate::{exit, paint, table};
use anyhow::Context as _;
use bytes::Bytes;
use notify::{RecursiveMode, Watcher as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use wardline_engine::MapBench;
use wardline_estate::model::Estate;
use wardline_estate::{Diagnostics, LoadOptions, SourceMap};

pub(crate) fn run(command: MapCommand) -> anyhow::Result<ExitCode> {
    let MapCommand::Run(args) = command;
    let estate = args.estate.clone().or_else(|| estate_of(&args.map));
    let code = once(&args, estate.as_deref())?;
    if !args.watch {
        return Ok(code);
    }
    let (tell, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| event.kind.is_modify() || event.kind.is_create()) {
            // The receiver is gone only when we are stopping.
            let _stopping = tell.send(());
        }
    })
    .context("cannot watch files")?;
    for file in [&args.map, &args.input] {
        // Editors replace files, so it is the directory that must be watched.
        let dir = file
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        watcher
            .watch(dir, RecursiveMode::NonRecursive)
            .with_context(|| format!("cannot watch {}", dir.display()))?;
    }
    anstream::eprintln!("{}", paint::faint("watching; Ctrl-C stops"));
    while changes.recv().is_ok() {
        while changes.recv_timeout(Duration::from_millis(80)).is_ok() {}
        println!("{}", "─".repeat(60));
        if let Err(error) = once(&args, estate.as_deref()) {
            anstream::eprintln!("{} {error:#}", paint::bad("error:"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The nearest directory above the map that has a `wardline.yaml`.
fn estate_of(map: &Path) -> Option<PathBuf> {
    let map = map.canonicalize().ok()?;
    map.ancestors()
        .skip(1)
        .find(|dir| dir.join("wardline.yaml").is_file())
        .map(Path::to_path_buf)
}

/// The estate whose code tables the map may use; of one that does not load, what could be read,
/// and that some may be missing is said.
fn tables(dir: &Path) -> Option<Estate> {
    let loaded = wardline_estate::load(dir, &LoadOptions::default());
    if loaded.estate.is_none() {
        anstream::eprintln!(
            "{} the estate in {} does not load ({}): code tables may be missing here; `wardline check {}` says why",
            paint::wait("warning:"),
            dir.display(),
            loaded.diagnostics.summary(),
            dir.display(),
        );
    }
    loaded.estate.or(loaded.partial)
}

fn once(args: &MapRun, estate: Option<&Path>) -> anyhow::Result<ExitCode> {
    let source = std::fs::read_to_string(&args.map)
        .with_context(|| format!("cannot read {}", args.map.display()))?;
    let mut input = std::fs::read(&args.input)
        .with_context(|| format!("cannot read {}", args.input.display()))?;
    if input.starts_with(b"MSH") && !input.contains(&b'\r') {
        // Fixtures are kept one segment a line.
        for byte in &mut input {
            if *byte == b'\n' {
                *byte = b'\r';
            }
        }
    }
    let loaded = estate.and_then(tables);
    let mut sources = SourceMap::new();
    let file = sources.add(args.map.clone(), source.as_str());
    let mut diagnostics = Diagnostics::new();
    let began = Instant::now();
    let bench = MapBench::new(loaded.as_ref());
    let result = bench.run(file, &source, &Bytes::from(input), &mut diagnostics);
    let took = began.elapsed();
    anstream::eprint!("{}", diagnostics.render(&sources, paint::on()));
    match result {
        Some(outputs) => {
            for text in &outputs {
                println!("{text}");
            }
            if outputs.is_empty() {
                anstream::eprintln!(
                    "{}",
                    paint::faint("filtered: the map gives nothing for this message")
                );
            }
            anstream::eprintln!(
                "{}",
                paint::faint(&format!(
                    "compiled and run in {}",
                    table::micros(took.as_micros() as u64)
                ))
            );
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(ExitCode::from(exit::FINDINGS)),
    }
}
