//! `wardline keys` and `wardline console`.

use crate::cli::{KeysCommand, Where};
use crate::place::{Place, read_well};
use crate::remote::Server;
use anyhow::{Context as _, bail};
use std::process::ExitCode;
use std::sync::Arc;
use wardline_console::AdminToken;
use wardline_core::RealClock;
use wardline_vault::{FileProvider, KeySource, Vault};

pub(crate) fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    let (KeysCommand::Init { place } | KeysCommand::Rotate { place }) = &command;
    let plan = read_well(&place.estate, None)?;
    let place = Place::of(place);
    let Some(dir) = place.keys_dir(&plan.estate) else {
        bail!(
            "this estate takes its master key from WARDLINE_MASTER_KEY: make one with `head -c 32 /dev/urandom | base64`"
        );
    };
    match command {
        KeysCommand::Init { .. } => {
            let made = FileProvider::init(&dir)?;
            println!(
                "made master key {} in {}; back it up apart from the data",
                made.id,
                dir.display()
            );
        }
        KeysCommand::Rotate { .. } => {
            let made = FileProvider::rotate(&dir)?;
            let source = KeySource::file(&plan.estate.name, &dir, &place.data)?;
            let vault = Vault::open(source, Arc::new(RealClock))?;
            let rewrapped = vault.rewrap()?;
            println!(
                "made master key {}; {} data keys are wrapped with it now",
                made.id, rewrapped.moved
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn console(place: &Where) -> anyhow::Result<ExitCode> {
    let place = Place::of(place);
    let text = std::fs::read(place.server_file()).with_context(|| {
        format!(
            "no server seems to run on {}: start it with `wardline serve`",
            place.data.display()
        )
    })?;
    let server: Server = serde_json::from_slice(&text).context("serve.json cannot be read")?;
    let token = AdminToken::load_or_create(&place.token_file())?;
    let link = match &server.base {
        Some(base) => token.login_link_at(base),
        None => token.login_link(server.console),
    };
    println!("{link}");
    Ok(ExitCode::SUCCESS)
}
