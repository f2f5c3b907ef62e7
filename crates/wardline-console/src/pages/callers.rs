//! Who calls, and what stands out about it: the last part of the first page, as it was when the
//! page was asked for.

use maud::{Markup, html};

use super::words::{ago, name, number};
use crate::access::{AccessDesk, AlertView, ClientView};
use crate::desk::DeskError;

/// Alerts that are shown; the command line shows all.
const SHOWN: usize = 5;

/// The section; nothing where the estate has no clients.
pub(crate) async fn section(access: &dyn AccessDesk) -> Result<Markup, DeskError> {
    let clients = access.clients().await?;
    let mut alerts = access.alerts().await?;
    alerts.retain(|alert| alert.acknowledged.is_none());
    Ok(html! {
        @if !clients.is_empty() {
            section id="callers" {
                div.head { h2 { "Callers" } span.muted { "as of when this page was opened" } }
                (open_alerts(&alerts))
                table.grid {
                    caption.hush { "Clients of Apis" }
                    thead { tr {
                        th scope="col" { "Client" }
                        th scope="col" { "Zone" }
                        th scope="col" { "State" }
                        th scope="col" { "Last call" }
                        th.num scope="col" { "Calls today" }
                        th.num scope="col" { "Denied" }
                        th.num scope="col" { "Failed" }
                        th scope="col" { "Versions" }
                    } }
                    tbody { @for client in &clients { (row(client)) } }
                }
            }
        }
    })
}

fn open_alerts(alerts: &[AlertView]) -> Markup {
    html! {
        @if !alerts.is_empty() {
            div.banner role="status" {
                strong { (number(alerts.len() as u64)) @if alerts.len() == 1 { " alert" } @else { " alerts" } " that nobody has looked at." }
                ul { @for alert in alerts.iter().take(SHOWN) {
                    li { (name(&alert.client)) " " (alert.text) " · " (ago(alert.at))
                        @if alert.quarantined { " · refused since" }
                    }
                } }
                p.muted { "Say what you found: " code { "wardline alerts --acknowledge " (alerts[0].id) " --reason …" } }
            }
        }
    }
}

fn row(client: &ClientView) -> Markup {
    let mut versions: Vec<String> = client
        .operations
        .iter()
        .map(|one| match one.state.as_str() {
            "published" => format!("{}/{}", one.api, one.version),
            state => format!("{}/{} ({state})", one.api, one.version),
        })
        .collect();
    versions.dedup();
    html! {
        tr data-row="" {
            th scope="row" data-label="Client" { span.name { (name(&client.client)) } }
            td data-label="Zone" { (client.zone) }
            td data-label="State" {
                @if client.quarantined.is_some() { span.failed-text { "refused" } }
                @else if client.disabled { span.zero { "disabled" } }
                @else if client.alerts > 0 { span.retrying-text { (number(client.alerts)) " alerts" } }
                @else { "well" }
            }
            td data-label="Last call" { @match client.last { Some(at) => (ago(at)), None => span.zero { "never" } } }
            td.num data-label="Calls today" { (quiet(client.today.calls)) }
            td.num data-label="Denied" { (quiet(client.today.denied)) }
            td.num data-label="Failed" { (quiet(client.today.failed)) }
            td data-label="Versions" { (versions.join(", ")) }
        }
    }
}

fn quiet(value: u64) -> Markup {
    html! { @if value == 0 { span.zero { "0" } } @else { (number(value)) } }
}
