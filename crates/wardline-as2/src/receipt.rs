//! Receipts (MDN): what became of a message, made and read.

use thiserror::Error;

use crate::Digest;
use crate::keys::{Certificate, Identity};
use crate::message::{RefusedBecause, Wants, boundary, plain, quoted, signed, verified};
use crate::mime::{self, Entity};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It was taken.
    Processed,
    /// It was taken, and something is to be said about it.
    Warning(String),
    /// It was not taken, and why.
    Failed(String),
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message that it is for, without `<` and `>`.
    pub original: String,
    /// What became of it.
    pub disposition: Disposition,
    /// What the receiver computed of the content, and by which digest.
    pub mic: Option<(String, Digest)>,
    /// Whether it was signed by the partner.
    pub signed: bool,
}

/// Why a receipt is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// It is no receipt.
    #[error("the answer is no receipt")]
    None,
    /// It is not signed by the partner, as was asked.
    #[error("the receipt is not signed by the partner, as was asked")]
    Unsigned,
}

/// Fields of a head, in their order.
pub type Fields = Vec<(String, String)>;

impl Receipt {
    /// Makes a receipt: fields of its head, and its body. `None` where the system gives no randomness.
    pub fn make(
        &self,
        from: &str,
        to: &str,
        id: &str,
        wants: &Wants,
        identity: Option<&Identity>,
        now: jiff::Timestamp,
    ) -> Option<(Fields, Vec<u8>)> {
        let (told, words) = match &self.disposition {
            Disposition::Processed => (
                "processed".to_owned(),
                "The message was received.".to_owned(),
            ),
            Disposition::Warning(what) => (
                format!("processed/warning: {}", plain(what)),
                "The message was received.".to_owned(),
            ),
            Disposition::Failed(why) => {
                let why = plain(why);
                (
                    format!("processed/error: {why}"),
                    format!("The message was not taken: {why}."),
                )
            }
        };
        let boundary = boundary()?;
        let mut fields = format!(
            "Reporting-UA: Wardline\r\nOriginal-Recipient: rfc822; {from}\r\nFinal-Recipient: rfc822; {from}\r\nOriginal-Message-ID: <{}>\r\nDisposition: automatic-action/MDN-sent-automatically; {told}\r\n",
            plain(&self.original),
            from = quoted(from),
        );
        if let Some((mic, digest)) = &self.mic {
            fields += &format!("Received-Content-MIC: {mic}, {}\r\n", digest.name());
        }
        let content_type = format!(
            "multipart/report; report-type=disposition-notification; boundary=\"{boundary}\""
        );
        let report = format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{words}\r\n--{boundary}\r\nContent-Type: message/disposition-notification\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{fields}\r\n--{boundary}--\r\n"
        );
        let (content_type, body) = match identity.filter(|_| wants.signed) {
            Some(identity) => {
                let entity = format!("Content-Type: {content_type}\r\n\r\n{report}");
                signed(entity.as_bytes(), identity, now)?
            }
            None => (content_type, report.into_bytes()),
        };
        let headers = vec![
            ("AS2-Version".to_owned(), "1.2".to_owned()),
            ("AS2-From".into(), quoted(from)),
            ("AS2-To".into(), quoted(to)),
            ("Message-ID".into(), format!("<{}>", plain(id))),
            ("MIME-Version".into(), "1.0".into()),
            ("Content-Type".into(), content_type),
        ];
        Some((headers, body))
    }

    /// Reads a receipt; `must_sign` where one that is signed was asked for.
    ///
    /// # Errors
    /// [`ReceiptError`] where it is none, or not signed as asked. One that says that the message failed
    /// counts without a signature: some receivers sign none of those.
    pub fn read(
        content_type: &str,
        body: &[u8],
        by: &[Certificate],
        must_sign: bool,
    ) -> Result<Self, ReceiptError> {
        let is_signed = mime::essence(content_type) == "multipart/signed";
        let receipt = if is_signed {
            let known = verified(content_type, body, by).map(|(entity, _)| entity);
            // A partner whose certificate is not ours any more says so too, signed by what we do not know.
            let entity = known
                .or_else(|| {
                    let boundary = mime::parameter(content_type, "boundary")?;
                    mime::parts(body, &boundary)?.first().copied()
                })
                .ok_or(ReceiptError::Unsigned)?;
            let entity = Entity::read(entity).ok_or(ReceiptError::None)?;
            let kind = entity.field("content-type").unwrap_or_default();
            let mut receipt = Self::report(&kind, entity.body).ok_or(ReceiptError::None)?;
            receipt.signed = known.is_some();
            receipt
        } else {
            Self::report(content_type, body).ok_or(ReceiptError::None)?
        };
        // What says that it failed counts from anybody: it is believed only as far as it is tried again.
        let failed = matches!(receipt.disposition, Disposition::Failed(_));
        if (must_sign || is_signed) && !receipt.signed && !failed {
            return Err(ReceiptError::Unsigned);
        }
        Ok(receipt)
    }

    fn report(content_type: &str, body: &[u8]) -> Option<Self> {
        if mime::essence(content_type) != "multipart/report" {
            return None;
        }
        let parts = mime::parts(body, &mime::parameter(content_type, "boundary")?)?;
        let told = parts
            .iter()
            .filter_map(|part| Entity::read(part))
            .find(|part| {
                let kind = part.field("content-type").unwrap_or_default();
                mime::essence(&kind) == "message/disposition-notification"
            })?;
        let fields = told.decoded()?;
        let original = mime::field(&fields, "original-message-id")?;
        let disposition = mime::field(&fields, "disposition")?;
        let (_, ended) = disposition.split_once(';')?;
        let ended = ended.trim();
        let lower = ended.to_ascii_lowercase();
        let why = || {
            ended
                .split_once(':')
                .map_or("", |(_, why)| why)
                .trim()
                .chars()
                .take(200)
                .collect()
        };
        let disposition = if lower == "processed" {
            Disposition::Processed
        } else if lower.starts_with("processed/warning") {
            Disposition::Warning(why())
        } else {
            Disposition::Failed(why())
        };
        let mic = mime::field(&fields, "received-content-mic").and_then(|mic| {
            let (mic, digest) = mic.rsplit_once(',')?;
            Some((mic.trim().to_owned(), Digest::named(digest)?))
        });
        Some(Self {
            original: original
                .trim()
                .trim_start_matches('<')
                .trim_end_matches('>')
                .to_owned(),
            disposition,
            mic,
            signed: false,
        })
    }

    /// The receipt of a message that is refused.
    pub fn refused(original: &str, because: RefusedBecause) -> Self {
        Self {
            original: original.to_owned(),
            disposition: Disposition::Failed(because.as_str().to_owned()),
            mic: None,
            signed: false,
        }
    }
}
