//! One module for each family of commands.

mod apis;
mod audit;
mod bench;
mod callers;
mod certs;
mod check;
mod clients;
mod compare;
mod demo;
mod demo_callers;
mod demo_cases;
mod dicom;
mod doors;
mod doors_again;
mod dropboxes;
mod entrance;
mod fhir;
mod figures;
mod flat;
mod hl7;
mod jobs;
mod keys;
mod map;
mod mllp;
mod operate;
mod people;
mod processes;
mod quotas;
mod reconcile;
mod reference;
mod reload;
mod renewing;
mod search;
mod secrets;
mod serve;
mod shadows;
mod soap;
mod tasks;
mod transactions;
mod webhooks;
mod x12;

use crate::cli::{Cli, Command, Where};
use crate::place::{OpenError, Place, read_well};
use crate::remote::RemoteDesk;
use anyhow::Context as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;
use wardline_console::ConsoleDesk;
use wardline_store::StoreError;

/// Runs the command that was given.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let quiet = if matches!(cli.command, Command::Serve(_)) {
        "info"
    } else {
        "warn"
    };
    let level = match cli.verbose {
        0 => quiet,
        1 => "info",
        _ => "debug",
    };
    let json = matches!(&cli.command, Command::Serve(serve) if serve.log_json);
    logging(level, json);
    match cli.command {
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Reload(args) => runtime()?.block_on(reload::run(args)),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => check::test(&args),
        Command::Explain(args) => reference::explain(&args),
        Command::Schema(args) => reference::schema(&args),
        Command::Asyncapi(args) => apis::asyncapi(&args.estate),
        Command::Completions { shell } => Ok(reference::completions(shell)),
        Command::Map { command } => map::run(command),
        Command::Hl7 { command } => hl7::run(command),
        Command::Soap { command } => soap::run(command),
        Command::Edi { command } => flat::run(command),
        Command::Fhir { command } => fhir::run(command),
        Command::X12 { command } => x12::run(command),
        Command::Dicom { command } => runtime()?.block_on(dicom::run(command)),
        Command::Send(args) => runtime()?.block_on(mllp::send(args)),
        Command::Listen(args) => runtime()?.block_on(mllp::listen(args)),
        Command::Messages(args) => runtime()?.block_on(search::messages(args)),
        Command::Trace(args) => runtime()?.block_on(search::trace(args)),
        Command::Dead(args) => runtime()?.block_on(search::dead(args)),
        Command::Process { command } => runtime()?.block_on(processes::run(command)),
        Command::Tasks(args) => runtime()?.block_on(tasks::run(args)),
        Command::Transactions(args) => runtime()?.block_on(transactions::run(args)),
        Command::Figures(args) => runtime()?.block_on(figures::run(args)),
        Command::Reconcile(args) => runtime()?.block_on(reconcile::run(args)),
        Command::Status(place) => runtime()?.block_on(search::status(place)),
        Command::Clients(args) => runtime()?.block_on(clients::clients(args)),
        Command::Alerts(args) => runtime()?.block_on(clients::alerts(args)),
        Command::Api { command } => apis::run(command),
        Command::Policy { command } => apis::policy(command),
        Command::Shadow { command } => shadows::run(command),
        Command::People { command } => runtime()?.block_on(people::run(command)),
        Command::Audit { command } => runtime()?.block_on(audit::run(command)),
        Command::Replay(args) => runtime()?.block_on(operate::replay(args)),
        Command::Release(args) => runtime()?.block_on(operate::act(operate::Verb::Release, args)),
        Command::Cancel(args) => runtime()?.block_on(operate::act(operate::Verb::Cancel, args)),
        Command::Park(args) => runtime()?.block_on(operate::act(operate::Verb::Park, args)),
        Command::Resubmit(args) => runtime()?.block_on(operate::resubmit(args)),
        Command::Console(place) => keys::console(&place),
        Command::Keys { command } => runtime()?.block_on(keys::run(command)),
        Command::Secrets { command } => secrets::run(command),
        Command::Certs(place) => certs::run(&place),
        Command::Jobs { command } => runtime()?.block_on(jobs::run(command)),
        Command::Webhooks { command } => runtime()?.block_on(webhooks::run(command)),
        Command::Bench(args) => bench::run(args),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn logging(level: &str, json: bool) {
    let filter = EnvFilter::try_from_env("WARDLINE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    if json {
        builder.json().init();
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
}

/// Who acts, for the audit log: the account that runs the command.
pub(crate) fn actor() -> String {
    let name = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "unknown".to_owned());
    format!("user:{name}")
}

/// How long a command waits for another process that has the journal.
const PATIENCE: Duration = Duration::from_secs(10);

/// The desk of a place: the running server's, or, when none runs, the journal itself.
pub(crate) struct Open {
    pub(crate) desk: Arc<dyn ConsoleDesk>,
    /// Set when this process has the journal open.
    store: Option<Arc<dyn wardline_store::Store>>,
}

impl Open {
    pub(crate) async fn at(place: &Where) -> anyhow::Result<Self> {
        let place = Place::of(place);
        let until = Instant::now() + PATIENCE;
        let mut plan = None;
        let parts = loop {
            if let Some(remote) = RemoteDesk::of(&place)?
                && remote.answers().await
            {
                return Ok(Self {
                    desk: Arc::new(remote),
                    store: None,
                });
            }
            if !place.data.join("journal.db").exists() {
                anyhow::bail!(
                    "there is no journal in {}: name the data directory with --data or WARDLINE_DATA, or start with \
                     `wardline serve`",
                    place.data.display()
                );
            }
            let plan = match &plan {
                Some(plan) => Arc::clone(plan),
                None => Arc::clone(plan.insert(read_well(&place.estate, None)?)),
            };
            match place.open(plan, Duration::ZERO) {
                Ok(parts) => break parts,
                // A server that starts has it before it answers; another command is soon done.
                Err(OpenError::Store(StoreError::InUse { path })) => {
                    if Instant::now() >= until {
                        anyhow::bail!(
                            "{path} is in use, but its server does not answer: wait until it has started, or stop it"
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(OpenError::Store(error)) => return Err(error.into()),
                Err(OpenError::Other(error)) => return Err(error),
            }
        };
        let store = Arc::clone(&parts.store);
        let estate = Arc::clone(&parts.plan.estate);
        let desk = wardline_engine::open_desk(parts).await?;
        let now = wardline_core::Timestamp::now();
        desk.set_certificates(wardline_engine::certs::certificates(&estate, now));
        Ok(Self {
            desk: desk as Arc<dyn ConsoleDesk>,
            store: Some(store),
        })
    }

    /// What a desk knows whoever asks by: the server replaces `me` by who that is for it.
    pub(crate) fn me(&self) -> String {
        match self.store {
            Some(_) => actor(),
            None => wardline_console::ME.to_owned(),
        }
    }

    /// Closes the journal where this process opened it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Some(store) = self.store {
            store.close().await?;
        }
        Ok(())
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
