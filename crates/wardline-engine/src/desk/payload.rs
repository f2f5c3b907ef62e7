//! Looking at what was sent and received: masked, unless somebody says why they must see it.
//! The reason is in the audit log before anything is shown.

use super::{Desk, DeskError};
use crate::view::{Hl7SegmentView, Part, PayloadView};
use bytes::Bytes;
use wardline_core::{DeliveryId, Id, MessageId, Sensitivity};
use wardline_vault::mask::{self, SensitivePaths};
use wardline_vault::{AuditEntry, Kind};

/// Bytes of a payload that are shown.
const SHOWN: usize = 1 << 20;

impl Desk {
    /// One part of a hop. Masked unless a reason to reveal is given, which is audited before
    /// anything is shown.
    pub async fn payload(
        &self,
        part: Part,
        id: Id,
        reveal: Option<&str>,
        actor: &str,
    ) -> Result<Option<PayloadView>, DeskError> {
        let store = &self.acceptor.store;
        let mut hidden = SensitivePaths::everything();
        let (sealed, kind, content_type) = match part {
            Part::Payload => {
                let id = MessageId(id);
                let Some(row) = store.message(id).await? else {
                    return Ok(None);
                };
                if let Some(paths) = self.sensitive_paths(&self.name(row.kind)) {
                    hidden = paths;
                }
                (
                    store.payload(id).await?,
                    Kind::Message,
                    self.name(row.content_type),
                )
            }
            Part::Body => {
                let id = DeliveryId(id);
                let Some(row) = store.delivery(id).await? else {
                    return Ok(None);
                };
                (
                    store.delivery_body(id).await?,
                    Kind::Message,
                    self.name(row.content_type),
                )
            }
            Part::Response => {
                let id = DeliveryId(id);
                if store.delivery(id).await?.is_none() {
                    return Ok(None);
                }
                (store.response(id).await?, Kind::Response, String::new())
            }
        };
        let Some(sealed) = sealed else {
            return Err(DeskError::Gone(
                "retention removed it, or there never was one".to_owned(),
            ));
        };
        if let Some(reason) = reveal {
            if reason.trim().is_empty() {
                return Err(DeskError::Invalid(
                    "say why you need to see it: the reason goes into the audit log".to_owned(),
                ));
            }
            let entry = AuditEntry::new(actor, "payload.reveal", id.to_string())
                .because(reason)
                .with("part", part_word(part));
            self.commit_audited(&entry, Vec::new()).await?;
        }
        let plain = self.acceptor.vault.open_sealed(kind, &sealed)?;
        Ok(Some(show(
            &plain,
            content_type,
            reveal.is_none().then_some(&hidden),
        )))
    }

    /// What to hide of an event: the sensitive attributes of its entity. `None` for anything
    /// whose attributes are not declared; of that, everything is hidden.
    fn sensitive_paths(&self, event: &str) -> Option<SensitivePaths> {
        let entity = event.split('.').next()?.replace('_', "-");
        let plan = self.acceptor.plan();
        let entity = plan.estate.entities.get(&entity)?;
        let sensitive = entity
            .sensitivity
            .iter()
            .filter(|(_, class)| !class.may_be_shown());
        Some(sensitive.map(|(path, _)| path.as_str()).collect())
    }

    /// The bytes of a message's payload or a delivery's body, for export; always audited.
    pub async fn export(
        &self,
        part: Part,
        id: Id,
        reason: &str,
        actor: &str,
    ) -> Result<Option<Bytes>, DeskError> {
        if reason.trim().is_empty() {
            return Err(DeskError::Invalid(
                "say why you need it: the reason goes into the audit log".to_owned(),
            ));
        }
        let store = &self.acceptor.store;
        let (sealed, kind) = match part {
            Part::Payload => (store.payload(MessageId(id)).await?, Kind::Message),
            Part::Body => (store.delivery_body(DeliveryId(id)).await?, Kind::Message),
            Part::Response => (store.response(DeliveryId(id)).await?, Kind::Response),
        };
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let entry = AuditEntry::new(actor, "payload.export", id.to_string())
            .because(reason)
            .with("part", part_word(part));
        self.commit_audited(&entry, Vec::new()).await?;
        Ok(Some(self.acceptor.vault.open_sealed(kind, &sealed)?))
    }
}

fn part_word(part: Part) -> &'static str {
    match part {
        Part::Payload => "payload",
        Part::Body => "body",
        Part::Response => "response",
    }
}

/// A payload as text; what `hidden` names is masked.
fn show(plain: &Bytes, content_type: String, hidden: Option<&SensitivePaths>) -> PayloadView {
    let masked = hidden.is_some();
    let size = plain.len() as u64;
    let cut = &plain[..plain.len().min(SHOWN)];
    if let Ok(message) = wardline_hl7::Message::parse(Bytes::copy_from_slice(cut)) {
        let (text, segments) = hl7_view(&message, masked);
        return PayloadView {
            content_type,
            text,
            masked,
            size,
            hl7: Some(segments),
        };
    }
    let text = match serde_json::from_slice::<serde_json::Value>(cut) {
        Ok(value) => {
            let value =
                hidden.map_or_else(|| value.clone(), |paths| mask::mask_json(&value, paths));
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        Err(_) if masked => format!("{} ({size} bytes)", mask::MASK),
        Err(_) => String::from_utf8_lossy(cut).into_owned(),
    };
    PayloadView {
        content_type,
        text,
        masked,
        size,
        hl7: None,
    }
}

fn hl7_view(message: &wardline_hl7::Message, masked: bool) -> (String, Vec<Hl7SegmentView>) {
    let mut lines = Vec::new();
    let mut segments = Vec::new();
    let separator = char::from(message.delimiters().field());
    for segment in message.segments() {
        let name = segment.name().to_owned();
        let header = matches!(name.as_str(), "MSH" | "FHS" | "BHS");
        let names = wardline_hl7::names::segment(&name);
        let mut line = vec![name.clone()];
        let mut fields = Vec::new();
        for n in 1..=segment.field_count() {
            let Some(raw) = segment.field(n) else {
                line.push(String::new());
                continue;
            };
            let hidden = masked
                && !raw.is_empty()
                && mask::is_sensitive_hl7(&name, n as u16) > Sensitivity::Internal;
            let text = if hidden {
                mask::MASK.to_owned()
            } else {
                String::from_utf8_lossy(raw.bytes()).into_owned()
            };
            if !(header && n == 1) {
                line.push(text.clone());
            }
            let delimiters = header && n <= 2;
            if !raw.is_empty() && !delimiters {
                let title = names
                    .and_then(|s| s.field(n))
                    .map(|f| f.name.to_owned())
                    .unwrap_or_default();
                fields.push((format!("{name}-{n}"), title, text));
            }
        }
        let title = names.map(|s| s.name.to_owned()).unwrap_or_default();
        lines.push(line.join(&separator.to_string()));
        segments.push(Hl7SegmentView {
            name,
            title,
            fields,
        });
    }
    (lines.join("\n"), segments)
}
