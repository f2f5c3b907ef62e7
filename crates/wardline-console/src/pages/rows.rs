//! Listings that several pages share: deliveries, and the place where there are none.

use maud::{Markup, html};
use wardline_core::DeliveryState;
use wardline_engine::view::DeliveryView;

use super::marks::delivery_chip;
use super::words::{ago, moment, name};

/// What would be here, and what makes it so.
pub(crate) fn empty(title: &str, text: &str, command: Option<&str>) -> Markup {
    html! {
        div.empty {
            p.title { (title) }
            p { (tick(text)) }
            @if let Some(command) = command { p { code { (command) } } }
        }
    }
}

/// A text of this console's own making with its `code` marked by back-quotes.
pub(crate) fn tick(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Where a listing of deliveries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// In a form that acts on the ticked ones, all at one destination.
    Choice,
    /// On the page of their destination.
    OneDestination,
    /// Anywhere else.
    Any,
}

/// Deliveries as a table.
pub(crate) fn deliveries(rows: &[DeliveryView], caption: &str, listing: Listing) -> Markup {
    let choose = listing == Listing::Choice;
    let anywhere = listing == Listing::Any;
    html! {
        table.grid {
            caption.hush { (caption) }
            thead { tr {
                @if choose { th scope="col" { span.hush { "Choose" } } }
                th scope="col" { "Accepted" }
                th scope="col" { "Delivery" }
                th scope="col" { "State" }
                th scope="col" { @if anywhere { "Destination" } @else { "Flow" } }
                th scope="col" { "Key" }
                th scope="col" { "Why" }
            } }
            tbody { @for row in rows { tr data-row="" {
                @if choose {
                    td.choose { input type="checkbox" name="delivery" value=(row.id)
                        aria-label={ "Choose delivery " (row.id) }; }
                }
                td data-label="Accepted" { (moment(row.accepted)) }
                th.mono scope="row" data-label="Delivery" {
                    a.name href={ "/trace/" (row.id) "?hop=" (row.id) "&part=body" } { (row.id) }
                }
                td data-label="State" { (delivery_chip(row.state, row.attempts)) }
                td data-label=(if anywhere { "Destination" } else { "Flow" }) {
                    (if anywhere { name(&row.destination) } else { name(&row.flow) })
                }
                td.mono data-label="Key" { (key(row.key.as_deref())) }
                td.clip data-label="Why" { (why(row)) }
            } } }
        }
    }
}

/// The key as it may be shown; sensitive ones come masked from the engine.
pub(crate) fn key(key: Option<&str>) -> Markup {
    html! { @match key { Some(key) => (key), None => span.zero { "—" } } }
}

/// Why a delivery is where it is.
pub(crate) fn why(row: &DeliveryView) -> Markup {
    html! {
        @if row.state == DeliveryState::Delivered {
            @if let Some(status) = &row.status { span.mono { (status) } }
            @if let Some(settled) = row.settled { " " (ago(settled)) }
        } @else if !row.reason.is_empty() {
            span title=(row.reason) { (row.reason) }
            @if let Some(next) = row.next { " · next " (ago(next)) }
        } @else if let Some(error) = &row.error {
            @if let Some(code) = &row.error_code { span.mono { (code) } " " }
            span title=(error) { (error) }
        } @else { span.zero { "—" } }
    }
}
