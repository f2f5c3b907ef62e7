//! The `wardline` binary: the command line and the composition root. Everything it does is
//! done by a crate below; here are arguments, wiring, signals and words on a terminal.

mod cli;
mod commands;
mod descriptors;
mod dumps;
mod paint;
mod place;
mod remote;
mod sources;
mod table;

use clap::Parser as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leave_with_the_reader();
    let cli = cli::Cli::parse();
    paint::init(cli.no_color);
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away (`wardline messages | head`) is no failure of ours.
            if error.chain().any(|cause| {
                cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            }) {
                return ExitCode::SUCCESS;
            }
            anstream::eprintln!("{} {error:#}", paint::bad("error:"));
            ExitCode::from(exit::UNREACHABLE)
        }
    }
}

/// `println!` panics where the reader of a pipe went away (`wardline schema flow | head`). That
/// is no failure of ours: the process ends, and says nothing.
fn leave_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        }) {
            std::process::exit(0);
        }
        report(panic);
    }));
}

/// Exit codes: 0 done, 1 what was asked about is not well, 2 usage (clap, or a name
/// that is not there), 3 cannot reach or
/// start.
pub(crate) mod exit {
    /// Something was found.
    pub(crate) const FINDINGS: u8 = 1;
    /// What the command line says cannot be done; `clap` ends with it too.
    pub(crate) const USAGE: u8 = 2;
    /// Something could not be reached or started.
    pub(crate) const UNREACHABLE: u8 = 3;
}
