//! Document management: content under a number, and an index in which only what is there may stand.

use crate::office::{Ask, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

const SYSTEM: &str = "documents";

/// Document management.
pub(crate) const DOCUMENTS: Office = Office {
    system: SYSTEM,
    place: 30,
    duties: &[
        Duty {
            name: "store-content",
            verb: Verb::Put,
            path: "/contents/{document_id}",
            subject: "document_id",
            needs: &["/content", "/media_type"],
            run: store,
        },
        Duty {
            name: "put-index",
            verb: Verb::Put,
            path: "/index/{document_id}",
            subject: "document_id",
            needs: &["/title", "/mrn", "/location"],
            run: index,
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn store(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("document_id");
    let Ok(content) = STANDARD.decode(ask.text("/content")) else {
        return Reply::No(StatusCode::UNPROCESSABLE_ENTITY, "the content is no Base64");
    };
    let size = content.len();
    let location = format!("/contents/{id}");
    // That it was there, and how much: nobody reads it again.
    let kept = json!({ "size": size, "media_type": ask.text("/media_type") });
    room.keep("contents", id, kept);
    Reply::Done(json!({ "document_id": id, "size": size, "location": location }))
}

fn index(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("document_id");
    if room.find("contents", id).is_none() {
        return Reply::No(StatusCode::CONFLICT, "there is no content of this number");
    }
    room.keep("index", id, ask.body.clone());
    Reply::Done(json!({ "document_id": id, "status": "indexed" }))
}
