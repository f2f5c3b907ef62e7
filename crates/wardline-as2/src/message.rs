//! A message: what is sent, and what came.

use aws_lc_rs::rand;

use crate::keys::{Certificate, Identity};
use crate::mime::{self, Entity};
use crate::{Digest, cms};

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// Its media type, such as `application/edi-x12`.
    pub content_type: &'a str,
    /// A name for the file that it may become.
    pub file_name: Option<&'a str>,
    /// Our AS2 name.
    pub from: &'a str,
    /// The partner's.
    pub to: &'a str,
    /// Names the message for all its attempts, without `<` and `>`.
    pub id: &'a str,
    /// What it is about, for people.
    pub subject: &'a str,
    /// The receipt that is asked for.
    pub wants: Option<Wants>,
}

/// A receipt that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    /// Whether it is to be signed.
    pub signed: bool,
    /// With which digest.
    pub digest: Option<Digest>,
    /// Where it is to be sent afterwards; as the answer where absent.
    pub to: Option<String>,
}

/// A message ready to be sent.
#[derive(Debug)]
pub struct Sent {
    /// Fields of the request's head, in this order.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Vec<u8>,
    /// What the receipt must say of the content.
    pub mic: String,
}

/// What came.
#[derive(Debug)]
pub struct Received {
    /// The payload.
    pub payload: Vec<u8>,
    /// Its media type.
    pub content_type: String,
    /// The name that the sender gave it.
    pub file_name: Option<String>,
    /// Whether it was signed by the partner.
    pub signed: bool,
    /// Whether it was encrypted.
    pub encrypted: bool,
    /// What the receipt says of the content.
    pub mic: String,
    /// By which digest.
    pub digest: Digest,
}

/// Why a message is refused, in the words of RFC 4130.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBecause {
    /// It cannot be decrypted.
    Decryption,
    /// It is not signed by the partner, or not at all where it must be.
    Authentication,
    /// It is no message of AS2.
    Unexpected,
    /// It is not encrypted where it must be.
    Insufficient,
}

impl RefusedBecause {
    /// As receipts say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decryption => "decryption-failed",
            Self::Authentication => "authentication-failed",
            Self::Unexpected => "unexpected-processing-error",
            Self::Insufficient => "insufficient-message-security",
        }
    }
}

/// A message that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for our own people.
    pub because: RefusedBecause,
    /// What the sender is told. Of one that was encrypted always the same: who could tell whether it was
    /// the padding or what came out of it could have the content read out bit by bit.
    pub told: RefusedBecause,
}

/// A boundary that is in no payload.
pub(crate) fn boundary() -> Option<String> {
    let mut bytes = [0; 18];
    rand::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Message<'_> {
    /// Makes what is sent: signed by `sign`, encrypted for `encrypt`, each where given. `None` where
    /// the system gives no randomness or a key cannot be used.
    pub fn make(
        &self,
        sign: Option<&Identity>,
        encrypt: Option<&Certificate>,
        now: jiff::Timestamp,
    ) -> Option<Sent> {
        let mut entity = format!(
            "Content-Type: {}\r\nContent-Transfer-Encoding: binary\r\n",
            plain(self.content_type)
        )
        .into_bytes();
        if let Some(name) = self.file_name {
            let name = plain(name).replace(['"', '\\'], "_");
            entity.extend_from_slice(
                format!("Content-Disposition: attachment; filename=\"{name}\"\r\n").as_bytes(),
            );
        }
        entity.extend_from_slice(b"\r\n");
        entity.extend_from_slice(self.payload);
        let bare = sign.is_none() && encrypt.is_none();
        let digest = Digest::Sha256;
        let mic = mime::encode(&digest.of(if bare { self.payload } else { &entity }));
        let (mut content_type, mut body) = (plain(self.content_type), self.payload.to_vec());
        if let Some(identity) = sign {
            (content_type, body) = signed(&entity, identity, now)?;
        }
        if let Some(certificate) = encrypt {
            let inner = if sign.is_some() {
                [
                    format!("Content-Type: {content_type}\r\n\r\n").as_bytes(),
                    &body,
                ]
                .concat()
            } else {
                entity
            };
            body = cms::encrypt(inner, certificate)?;
            content_type =
                "application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"".into();
        }
        let mut headers = vec![
            ("AS2-Version".to_owned(), "1.2".to_owned()),
            ("AS2-From".into(), quoted(self.from)),
            ("AS2-To".into(), quoted(self.to)),
            ("Message-ID".into(), format!("<{}>", plain(self.id))),
            ("Subject".into(), plain(self.subject)),
            ("MIME-Version".into(), "1.0".into()),
            ("Content-Type".into(), content_type),
        ];
        if encrypt.is_some() {
            headers.push(("Content-Transfer-Encoding".into(), "binary".into()));
        }
        if let Some(wants) = &self.wants {
            headers.push(("Disposition-Notification-To".into(), quoted(self.from)));
            if wants.signed {
                let algorithm = wants.digest.unwrap_or(digest).name();
                let options = format!(
                    "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, {algorithm}"
                );
                headers.push(("Disposition-Notification-Options".into(), options));
            }
            if let Some(to) = &wants.to {
                headers.push(("Receipt-Delivery-Option".into(), plain(to)));
            }
        }
        Some(Sent { headers, body, mic })
    }
}

/// A multipart of an entity and its signature: its media type, and its body.
pub(crate) fn signed(
    entity: &[u8],
    identity: &Identity,
    now: jiff::Timestamp,
) -> Option<(String, Vec<u8>)> {
    let signature = cms::sign(entity, identity, now)?;
    let boundary = boundary()?;
    let content_type = format!(
        "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"{boundary}\""
    );
    let mut body = format!("--{boundary}\r\n").into_bytes();
    body.extend_from_slice(entity);
    body.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n{}\r\n--{boundary}--\r\n",
            mime::lines(&signature)
        )
        .as_bytes(),
    );
    Some((content_type, body))
}

/// Of a signed multipart the entity that was signed, where it was signed by one of these.
pub(crate) fn verified<'a>(
    content_type: &str,
    body: &'a [u8],
    by: &[Certificate],
) -> Option<(&'a [u8], Digest)> {
    let parts = mime::parts(body, &mime::parameter(content_type, "boundary")?)?;
    let [entity, signature] = parts[..] else {
        return None;
    };
    let signature = Entity::read(signature)?;
    let kind = mime::essence(&signature.field("content-type")?);
    if !matches!(
        kind.as_str(),
        "application/pkcs7-signature" | "application/x-pkcs7-signature"
    ) {
        return None;
    }
    let digest = cms::verify(&signature.decoded()?, entity, by)?;
    Some((entity, digest))
}

/// Reads a message. `headers` have names in lower case; `ours` are all identities that may decrypt,
/// `theirs` all certificates that may sign: several of each while one takes the place of another.
///
/// # Errors
/// [`Refusal`], which a receipt tells the sender.
pub fn receive(
    headers: &[(String, String)],
    body: &[u8],
    ours: &[Identity],
    theirs: &[Certificate],
    must_sign: bool,
    must_encrypt: bool,
) -> Result<Received, Refusal> {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let mut content_type = header("content-type").unwrap_or_default().to_owned();
    let encoding = header("content-transfer-encoding").unwrap_or_default();
    let encrypted = matches!(
        mime::essence(&content_type).as_str(),
        "application/pkcs7-mime" | "application/x-pkcs7-mime"
    );
    let refuse = |because| Refusal {
        because,
        told: if encrypted {
            RefusedBecause::Decryption
        } else {
            because
        },
    };
    let body = mime::decode(body, encoding).ok_or(refuse(RefusedBecause::Unexpected))?;
    let mut entity = Vec::new();
    let mut content = body;
    if encrypted {
        entity = cms::decrypt(&content, ours).ok_or(refuse(RefusedBecause::Decryption))?;
        let read = Entity::read(&entity).ok_or(refuse(RefusedBecause::Unexpected))?;
        content_type = read.field("content-type").unwrap_or_default();
        content = read.decoded().ok_or(refuse(RefusedBecause::Unexpected))?;
    } else if must_encrypt {
        return Err(refuse(RefusedBecause::Insufficient));
    }
    let wants = wants(headers);
    let asked = wants
        .and_then(|wants| wants.digest)
        .unwrap_or(Digest::Sha256);
    if mime::essence(&content_type) == "multipart/signed" {
        let (signed, digest) = verified(&content_type, &content, theirs)
            .ok_or(refuse(RefusedBecause::Authentication))?;
        let read = Entity::read(signed).ok_or(refuse(RefusedBecause::Unexpected))?;
        let payload = read.decoded().ok_or(refuse(RefusedBecause::Unexpected))?;
        return Ok(Received {
            payload,
            content_type: read.field("content-type").unwrap_or_default(),
            file_name: file_name(read.field("content-disposition")),
            signed: true,
            encrypted,
            mic: mime::encode(&digest.of(read.raw)),
            digest,
        });
    }
    if must_sign {
        return Err(refuse(RefusedBecause::Authentication));
    }
    let (mic, disposition) = if encrypted {
        let read = Entity::read(&entity).ok_or(refuse(RefusedBecause::Unexpected))?;
        (asked.of(&entity), read.field("content-disposition"))
    } else {
        (
            asked.of(&content),
            header("content-disposition").map(str::to_owned),
        )
    };
    Ok(Received {
        payload: content,
        content_type,
        file_name: file_name(disposition),
        signed: false,
        encrypted,
        mic: mime::encode(&mic),
        digest: asked,
    })
}

fn file_name(disposition: Option<String>) -> Option<String> {
    mime::parameter(&disposition?, "filename").filter(|name| !name.is_empty() && name.len() <= 255)
}

/// The receipt that a message asks for; none where it asks for none.
pub fn wants(headers: &[(String, String)]) -> Option<Wants> {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    header("disposition-notification-to")?;
    let options = header("disposition-notification-options").unwrap_or_default();
    let algorithms = mime::parameter(options, "signed-receipt-micalg").unwrap_or_default();
    Some(Wants {
        signed: options.to_ascii_lowercase().contains("pkcs7-signature"),
        digest: algorithms.split(',').find_map(Digest::named),
        to: header("receipt-delivery-option").map(str::to_owned),
    })
}

/// A name of AS2 in a head.
pub(crate) fn quoted(name: &str) -> String {
    if name.contains(' ') {
        format!("\"{}\"", plain(name))
    } else {
        plain(name)
    }
}

/// A text that cannot end a field.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .filter(|one| matches!(one, ' '..='~'))
        .collect()
}
