//! `wardline people`: accounts of people, kept beside the data. Over the running server, which
//! also signs out whom it concerns; without one, in the files themselves.

use super::{Open, entrance};
use crate::cli::{PeopleCommand, PersonRef, Where};
use crate::paint;
use crate::place::{Place, read_well};
use crate::remote::RemoteDesk;
use crate::table;
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use wardline_access::people::{AccountChange, AccountChanged, AccountView};
use wardline_core::Timestamp;
use wardline_estate::model::{Estate, Listener};
use wardline_vault::AuditEntry;

/// Longer is no password.
const LONGEST_LINE: u64 = 4_096;

pub(crate) async fn run(command: PeopleCommand) -> anyhow::Result<ExitCode> {
    match command {
        PeopleCommand::List { place } => list(&place).await,
        PeopleCommand::Add {
            name,
            roles,
            title,
            password_stdin,
            place,
        } => {
            let password = password(password_stdin)?;
            let change = AccountChange::Add {
                name,
                title,
                roles: roles.into_iter().collect(),
                password,
            };
            change_and_say(&place, change).await
        }
        PeopleCommand::Reset {
            name,
            password_stdin,
            place,
        } => {
            let password = password(password_stdin)?;
            change_and_say(&place, AccountChange::Reset { name, password }).await
        }
        PeopleCommand::Roles { name, roles, place } => {
            let roles = roles.into_iter().collect();
            change_and_say(&place, AccountChange::Roles { name, roles }).await
        }
        PeopleCommand::Disable(PersonRef { name, place }) => {
            change_and_say(&place, AccountChange::Disable { name }).await
        }
        PeopleCommand::Enable(PersonRef { name, place }) => {
            change_and_say(&place, AccountChange::Enable { name }).await
        }
    }
}

/// A password comes over standard input, never as an argument, where every user of the
/// machine could read it.
fn password(wanted: bool) -> anyhow::Result<Option<String>> {
    use std::io::Read as _;
    if !wanted {
        return Ok(None);
    }
    if std::io::stdin().is_terminal() {
        bail!(
            "--password-stdin reads a pipe: without it the person is invited and chooses a password alone"
        );
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST_LINE)
        .read_line(&mut line)
        .context("cannot read the password from standard input")?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The running server of a place.
async fn server(place: &Place) -> anyhow::Result<Option<RemoteDesk>> {
    let Some(remote) = RemoteDesk::of(place)? else {
        return Ok(None);
    };
    Ok(remote.answers().await.then_some(remote))
}

async fn list(place: &Where) -> anyhow::Result<ExitCode> {
    let at = Place::of(place);
    let all: Vec<AccountView> = if let Some(server) = server(&at).await? {
        server.get("/api/people").await?
    } else {
        let plan = read_well(&at.estate, None)?;
        entrance::accounts(&plan.estate, &at)?.list(Timestamp::now())?
    };
    if place.json {
        super::print_json(&serde_json::json!({ "schema": "wardline.people/1", "people": all }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        anstream::println!("no account: `wardline people add NAME --roles support` makes one");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|account| {
            vec![
                account.name,
                account.title.unwrap_or_default(),
                account.state,
                account.roles.into_iter().collect::<Vec<_>>().join(", "),
                account
                    .signed_in
                    .map_or_else(|| "never".to_owned(), |at| at.to_string()),
            ]
        })
        .collect();
    let head = ["name", "full name", "state", "roles", "last here"];
    anstream::print!("{}", table::render(&head, &rows, &[]));
    Ok(ExitCode::SUCCESS)
}

async fn change_and_say(place: &Where, change: AccountChange) -> anyhow::Result<ExitCode> {
    let act = change.act();
    let at = Place::of(place);
    let plan = read_well(&at.estate, None)?;
    let (changed, base): (AccountChanged, String) = if let Some(server) = server(&at).await? {
        let changed = server
            .post("/api/people", serde_json::to_value(&change)?)
            .await?;
        (changed, server.base())
    } else {
        let changed = offline(place, &at, &plan.estate, change).await?;
        let base = console(&plan.estate).map(|listener| {
            let tls = listener.tls.is_some();
            entrance::base(&plan.estate, listener.bind.value, tls)
        });
        (changed, base.unwrap_or_default())
    };
    say(place, act, &changed, &base)?;
    Ok(ExitCode::SUCCESS)
}

fn console(estate: &Estate) -> Option<&Listener> {
    let mut listeners = estate.listeners.values();
    listeners.find(|listener| listener.zone == wardline_core::Zone::Admin)
}

async fn offline(
    place: &Where,
    at: &Place,
    estate: &Estate,
    change: AccountChange,
) -> anyhow::Result<AccountChanged> {
    // The journal first: what cannot be written down is not done.
    let open = Open::at(place).await?;
    let (act, name) = (change.act(), change.name().to_owned());
    let changed = entrance::accounts(estate, at)?.change(change, Timestamp::now())?;
    let roles: Vec<String> = changed.account.roles.iter().cloned().collect();
    let entry = AuditEntry::new(super::actor(), act, name).with("roles", roles);
    let recorded = open.desk.record(&entry).await;
    open.close().await?;
    recorded.context("the account is changed, but the audit log does not say so")?;
    Ok(changed)
}

fn say(place: &Where, act: &str, changed: &AccountChanged, base: &str) -> anyhow::Result<()> {
    let account = &changed.account;
    let link = changed.invitation.as_ref().map(|invitation| {
        let name = account.name.replace('@', "%40");
        format!("{base}/enrol?name={name}&invitation={invitation}")
    });
    if place.json {
        return super::print_json(&serde_json::json!({
            "schema": "wardline.person/1", "act": act, "account": account,
            "invitation": changed.invitation, "link": link, "otpauth": changed.otpauth,
        }));
    }
    let roles: Vec<&str> = account.roles.iter().map(String::as_str).collect();
    anstream::println!(
        "{} is {} ({})",
        paint::strong(&account.name),
        account.state,
        roles.join(", ")
    );
    if let Some(link) = link {
        anstream::println!("hand this link to the person; it is good once, for a day:\n{link}");
    }
    if let Some(otpauth) = &changed.otpauth {
        anstream::println!("put this into an authenticator now; it is not shown again:\n{otpauth}");
    }
    Ok(())
}
