//! `wardline bench`: measurements against limits and peers.

use crate::cli::{Bench, BenchName};
use crate::paint;
use std::process::ExitCode;
use std::sync::Arc;
use wardline_bench::{Bench as Name, Options};

pub(crate) fn run(args: Bench) -> anyhow::Result<ExitCode> {
    let name = match args.name {
        BenchName::Hl7 => Name::Hl7,
        BenchName::Intake => Name::Intake,
        BenchName::Deliver => Name::Deliver,
        BenchName::InOut => Name::InOut,
        BenchName::Bulk => Name::Bulk,
        BenchName::Protocols => Name::Protocols,
        BenchName::Gateway => Name::Gateway,
        BenchName::Process => Name::Process,
    };
    let options = Options {
        seconds: args.seconds,
        backlog: args.backlog,
        connections: args.connections,
        window: args.window,
        program: Some(std::env::current_exe()?),
        directory: args.directory,
        progress: Some(Arc::new(|step: &str| {
            anstream::eprintln!("{}", paint::faint(step));
        })),
    };
    let report = super::runtime()?.block_on(wardline_bench::run(name, options))?;
    if args.json {
        super::print_json(&report)?;
    } else {
        print!("{}", report.to_text());
    }
    Ok(ExitCode::SUCCESS)
}
