//! `wardline keys` and `wardline console`.

use super::Open;
use crate::cli::{KeysCommand, Where};
use crate::place::{Place, read_well};
use crate::remote::Server;
use crate::{paint, table};
use anyhow::{Context as _, bail};
use std::process::ExitCode;
use wardline_console::AdminToken;
use wardline_engine::view::DestroyKeys;
use wardline_estate::model::KeySource as KeyPlace;
use wardline_vault::{FileProvider, KeyInfo, KeyProvider as _, KeyStore, Vault};

pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Init { place } => init(&place),
        KeysCommand::Rotate { place } => rotate(&place),
        KeysCommand::List { place } => list(&place),
        KeysCommand::Destroy {
            before,
            audit,
            reason,
            place,
        } => {
            let request = DestroyKeys {
                before,
                audit,
                preview: reason.is_none(),
                reason: reason.unwrap_or_default(),
            };
            destroy(request, &place).await
        }
    }
}

fn init(args: &Where) -> anyhow::Result<ExitCode> {
    let plan = read_well(&args.estate, None)?;
    let place = Place::of(args);
    let Some(dir) = place.keys_dir(&plan.estate) else {
        match &plan.estate.keys {
            KeyPlace::Vault { mount, key } => bail!(
                "this estate keeps its master key in Vault: make one there with `vault write -f {mount}/keys/{key}`"
            ),
            _ => bail!(
                "this estate takes its master key from WARDLINE_MASTER_KEY: make one with `head -c 32 /dev/urandom | base64`"
            ),
        }
    };
    let made = FileProvider::init(&dir)?;
    println!(
        "made master key {} in {}; back it up apart from the data",
        made.id,
        dir.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn rotate(args: &Where) -> anyhow::Result<ExitCode> {
    let plan = read_well(&args.estate, None)?;
    let place = Place::of(args);
    crate::sources::configure(&place.secrets(), &plan.estate)?;
    let id = match (place.keys_dir(&plan.estate), &plan.estate.keys) {
        (Some(dir), _) => FileProvider::rotate(&dir)?.id,
        (None, KeyPlace::Vault { .. }) => {
            place.transit(&plan.estate)?.rotate()?.newest().to_owned()
        }
        (None, _) => bail!(
            "this estate takes its master key from WARDLINE_MASTER_KEY: set a new one and put the old one into WARDLINE_MASTER_KEY_PREVIOUS"
        ),
    };
    let rewrapped = place.vault(&plan.estate)?.rewrap()?;
    println!(
        "made master key {id}; {} data keys are wrapped with it now",
        rewrapped.moved
    );
    Ok(ExitCode::SUCCESS)
}

fn list(args: &Where) -> anyhow::Result<ExitCode> {
    let plan = read_well(&args.estate, None)?;
    let place = Place::of(args);
    crate::sources::configure(&place.secrets(), &plan.estate)?;
    if !KeyStore::in_directory(&place.data).exists() {
        bail!(
            "there are no sealing keys in {} yet: they are made when the estate first runs",
            place.data.display()
        );
    }
    let vault: std::sync::Arc<Vault> = place.vault(&plan.estate)?;
    let list = vault.key_list()?;
    if args.json {
        super::print_json(&serde_json::json!({ "schema": "wardline.keys/1", "keys": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = [
        ("payloads", &list.payloads, list.payloads_destroyed_before),
        ("audit", &list.audit, list.audit_destroyed_before),
        (
            "variables",
            &list.variables,
            list.variables_destroyed_before,
        ),
    ];
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .flat_map(|(kind, keys, _)| keys.iter().map(|key| row(kind, key)))
        .collect();
    let head = ["seals", "period", "part", "uses up to", "wrapped by"];
    anstream::print!("{}", table::render(&head, &rows, &[2, 3]));
    println!(
        "ring {}; new keys are wrapped by {}",
        list.ring, list.newest_master
    );
    for (kind, _, before) in kinds {
        if before.0 > 0 {
            println!("keys of {kind} before {before} were destroyed");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(kind: &str, key: &KeyInfo) -> Vec<String> {
    vec![
        kind.to_owned(),
        key.period.to_string(),
        key.part.to_string(),
        table::number(key.claimed),
        key.wrapped_by.clone(),
    ]
}

async fn destroy(request: DestroyKeys, args: &Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(args).await?;
    let report = open.desk.destroy_keys(request, &super::actor()).await;
    open.close().await?;
    let report = report?;
    if args.json {
        super::print_json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = if report.audit {
        "audit entries"
    } else {
        "payloads"
    };
    let span = match (&report.first, &report.last) {
        (Some(first), Some(last)) if first == last => format!(" (of {first})"),
        (Some(first), Some(last)) => format!(" (of {first} to {last})"),
        _ => String::new(),
    };
    let keys = table::counted(report.keys as usize, "key", "keys");
    if report.preview {
        println!(
            "{keys} of {what} before {}{span} would be destroyed, {} left. Nothing was done; add --reason TEXT to do it.",
            report.before, report.left
        );
        anstream::println!(
            "{}",
            paint::wait(
                "what they seal cannot be opened again by anybody; backups of keyring.json that are older still open theirs"
            )
        );
    } else {
        println!(
            "{keys} of {what} before {}{span} destroyed, {} left; delete older backups of keyring.json too",
            report.before, report.left
        );
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
