//! An invited person chooses a password and pairs an authenticator. The administrator who
//! invited never knows either.

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, PreEscaped, html};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use wardline_access::people::{Enrolment, LEAST_PASSWORD, Refused};

use super::login::tried_to_come_in;
use super::shell;
use crate::app::Shared;
use crate::entrance::record;
use crate::guard::Known;
use crate::problem::{PageProblem, Problem};

#[derive(Deserialize)]
pub(crate) struct Invited {
    #[serde(default)]
    name: String,
    #[serde(default)]
    invitation: String,
}

/// `GET /enrol?name=…&invitation=…`: the link that `wardline people add` prints.
pub(crate) async fn invited(
    State(app): State<Shared>,
    known: Known,
    Query(invited): Query<Invited>,
) -> Result<Response, PageProblem> {
    if invited.name.is_empty() || invited.invitation.is_empty() {
        return Ok(ask(&invited).into_response());
    }
    let entrance = app
        .entrance
        .clone()
        .ok_or_else(|| Problem::refused(Refused::NotHere))?;
    let (name, invitation) = (invited.name.clone(), invited.invitation.clone());
    let address = known.address;
    let (enrolment, entries) = entrance
        .hashing(move |people| people.enrolment(&name, &invitation, address))
        .await?;
    record(&app, &entries).await?;
    match enrolment {
        Ok(enrolment) => Ok(form(&invited, &enrolment).into_response()),
        Err(Refused::Wrong) => Err(Problem::no_invitation().into()),
        Err(refused) => Err(Problem::refused(refused).into()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    name: String,
    invitation: String,
    password: String,
    again: String,
    code: String,
}

/// `POST /enrol`
pub(crate) async fn enrol(
    State(app): State<Shared>,
    known: Known,
    Form(chosen): Form<Chosen>,
) -> Result<Response, PageProblem> {
    let entrance = app
        .entrance
        .clone()
        .ok_or_else(|| Problem::refused(Refused::NotHere))?;
    if chosen.password != chosen.again {
        return Err(Problem::bad_form("The two passwords differ.").into());
    }
    let address = known.address;
    let tried = entrance
        .hashing(move |people| {
            people.enrol(
                &chosen.name,
                &chosen.invitation,
                &chosen.password,
                &chosen.code,
                address,
            )
        })
        .await?
        .map_err(Problem::weak_password)?;
    Ok(tried_to_come_in(&app, &known, tried, "/").await?)
}

fn ask(invited: &Invited) -> Markup {
    shell::bare(
        "Enrol",
        html! {
            h1 { "Enrol" }
            p { "You were given a name and an invitation. They are good once, for a day." }
            form.stack method="get" action="/enrol" {
                label for="name" { "Name" }
                input #name name="name" autocomplete="off" autocapitalize="none" maxlength="64" required value=(invited.name);
                label for="invitation" { "Invitation" }
                input #invitation name="invitation" autocomplete="off" spellcheck="false" maxlength="64" required value=(invited.invitation);
                button.button.primary { "Go on" }
            }
        },
    )
}

fn form(invited: &Invited, enrolment: &Enrolment) -> Markup {
    html! {
        (shell::bare("Enrol", html! {
            h1 { "Welcome, " (invited.name) }
            form.stack method="post" action="/enrol" {
                input type="hidden" name="name" autocomplete="username" value=(invited.name);
                input type="hidden" name="invitation" value=(invited.invitation);
                h2 { "1. A password" }
                p.muted { "At least " (LEAST_PASSWORD) " characters: three or four words are easy to remember." }
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="new-password" minlength=(LEAST_PASSWORD) maxlength="256" required;
                label for="again" { "The same again" }
                input #again name="again" type="password" autocomplete="new-password" minlength=(LEAST_PASSWORD) maxlength="256" required;
                h2 { "2. An authenticator" }
                p.muted { "Scan this with an app for one-time codes. It is not shown again." }
                (qr(&enrolment.otpauth))
                p.muted { "Or type this secret into it: " }
                p.mono { (grouped(&enrolment.secret)) }
                label for="code" { "The code that it shows" }
                input #code name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" maxlength="7" required;
                button.button.primary { "Enrol and sign in" }
            }
        }))
    }
}

/// The secret in groups of four, as people read it out.
fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

/// A QR code as one path: no image is fetched from anywhere, no style is inline.
fn qr(text: &str) -> Markup {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else {
        return html! {};
    };
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in 0..size {
            if code.get_module(x, y) {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                write!(path, "M{x} {y}h1v1h-1z").unwrap_or_default();
            }
        }
    }
    html! {
        svg.qr viewBox={ "0 0 " (size) " " (size) } role="img" aria-label="QR code for an authenticator" shape-rendering="crispEdges" {
            (PreEscaped(format!("<path d=\"{path}\"/>")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_to_be_read_out() {
        assert_eq!(grouped("ABCDEFGHIJ"), "ABCD EFGH IJ");
        let drawn = qr("otpauth://totp/x?secret=ABC").into_string();
        assert!(drawn.contains("<path d=\"M0 0h1v1h-1z"), "{drawn}");
        assert!(!drawn.contains("style="));
    }
}
