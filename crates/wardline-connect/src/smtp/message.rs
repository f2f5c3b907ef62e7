//! A payload becomes a mail (RFC 5322, MIME). Everything leaves as seven-bit text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

use wardline_core::mail::Address;

/// Recipients of one mail.
const MOST_RECIPIENTS: usize = 100;
/// Characters of a line of base64.
const LINE: usize = 76;

/// What a payload says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    to: OneOrMany,
    #[serde(default)]
    cc: OneOrMany,
    reply_to: Option<String>,
    subject: String,
    text: String,
    html: Option<String>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachment {
    name: String,
    #[serde(default = "binary")]
    content_type: String,
    /// Base64.
    content: String,
}

fn binary() -> String {
    "application/octet-stream".to_owned()
}

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) recipients: Vec<Address>,
    pub(super) bytes: Vec<u8>,
}

/// What every mail of a connection has.
pub(super) struct Letterhead<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    pub(super) id: &'a str,
    pub(super) now: Timestamp,
}

impl Wanted {
    /// Makes the mail. The error says what is wrong, and quotes nothing.
    pub(super) fn mail(self, head: &Letterhead<'_>) -> Result<Mail, String> {
        let read = |what: &str, all: Vec<String>| -> Result<Vec<Address>, String> {
            all.iter()
                .map(|text| Address::parse(text).map_err(|error| format!("`{what}`: {error}")))
                .collect()
        };
        let mut to = read("to", self.to.into_vec())?;
        if to.is_empty() {
            to = head.to.to_vec();
        }
        let cc = read("cc", self.cc.into_vec())?;
        let reply_to = read("reply_to", self.reply_to.into_iter().collect())?;
        if to.is_empty() {
            return Err("it is not said who gets it (`to`)".to_owned());
        }
        if to.len() + cc.len() > MOST_RECIPIENTS {
            return Err(format!("it has more than {MOST_RECIPIENTS} recipients"));
        }
        if self.subject.chars().any(char::is_control) || self.subject.len() > 900 {
            return Err("`subject` is one line of at most 900 bytes".to_owned());
        }
        let mut out = String::new();
        header(
            &mut out,
            "Date",
            &head.now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
        );
        header(&mut out, "From", &shown(std::slice::from_ref(head.from)));
        header(&mut out, "To", &shown(&to));
        if !cc.is_empty() {
            header(&mut out, "Cc", &shown(&cc));
        }
        if !reply_to.is_empty() {
            header(&mut out, "Reply-To", &shown(&reply_to));
        }
        header(&mut out, "Subject", &encoded(&self.subject));
        let domain = head.from.domain();
        header(
            &mut out,
            "Message-ID",
            &format!("<{}@{domain}>", token(head.id)),
        );
        // Nobody's machine is to answer.
        header(&mut out, "Auto-Submitted", "auto-generated");
        header(&mut out, "MIME-Version", "1.0");
        let boundary = format!("wardline-{}", token(head.id));
        let body = |out: &mut String| match &self.html {
            None => part(out, "text/plain; charset=utf-8", self.text.as_bytes(), ""),
            Some(html) => {
                let inner = format!("{boundary}-text");
                out.push_str(&format!(
                    "Content-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n--{inner}\r\n"
                ));
                part(out, "text/plain; charset=utf-8", self.text.as_bytes(), "");
                out.push_str(&format!("--{inner}\r\n"));
                part(out, "text/html; charset=utf-8", html.as_bytes(), "");
                out.push_str(&format!("--{inner}--\r\n"));
            }
        };
        if self.attachments.is_empty() {
            body(&mut out);
        } else {
            out.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
            ));
            body(&mut out);
            for one in &self.attachments {
                out.push_str(&format!("--{boundary}\r\n"));
                attachment(&mut out, one)?;
            }
            out.push_str(&format!("--{boundary}--\r\n"));
        }
        to.extend(cc);
        to.dedup();
        Ok(Mail {
            recipients: to,
            bytes: out.into_bytes(),
        })
    }
}

fn attachment(out: &mut String, one: &Attachment) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._- ".contains(c);
    if one.name.is_empty() || one.name.len() > 120 || !one.name.chars().all(plain) {
        return Err(
            "the `name` of an attachment has letters, digits, `.`, `_`, `-` and blanks".to_owned(),
        );
    }
    let media = |c: char| c.is_ascii_alphanumeric() || "/.+-".contains(c);
    if !one.content_type.contains('/') || !one.content_type.chars().all(media) {
        return Err("the `content_type` of an attachment is none".to_owned());
    }
    let bytes = STANDARD
        .decode(&one.content)
        .map_err(|_| "the `content` of an attachment is not base64".to_owned())?;
    let disposition = format!(
        "Content-Disposition: attachment; filename=\"{}\"\r\n",
        one.name
    );
    part(out, &one.content_type, &bytes, &disposition);
    Ok(())
}

/// A part, in base64: whatever it holds, no line of it means anything to a server.
fn part(out: &mut String, content_type: &str, bytes: &[u8], more: &str) {
    out.push_str(&format!(
        "Content-Type: {content_type}\r\n{more}Content-Transfer-Encoding: base64\r\n\r\n"
    ));
    let text = STANDARD.encode(bytes);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push_str("\r\n");
        rest = after;
    }
}

fn header(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("{name}: {value}\r\n"));
}

fn shown(all: &[Address]) -> String {
    let each = all.iter().map(|address| match &address.name {
        Some(name) => format!("{} <{}>", phrase(name), address.mailbox),
        None => address.mailbox.clone(),
    });
    // One a line, so that lines stay short.
    each.collect::<Vec<_>>().join(",\r\n ")
}

/// A name as a phrase: quoted, or encoded where it is more than ASCII.
fn phrase(name: &str) -> String {
    if name.is_ascii() {
        format!("\"{name}\"")
    } else {
        encoded(name)
    }
}

/// Text of a header (RFC 2047); no line of it is long.
fn encoded(text: &str) -> String {
    if text.is_ascii() && text.len() <= 60 && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let each = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    each.collect::<Vec<_>>().join("\r\n ")
}

/// What an id may be made of.
fn token(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(payload: serde_json::Value) -> Result<String, String> {
        let from = Address::parse("Wardline <wardline@st-brigid.example>").unwrap();
        let to = [Address::parse("desk@st-brigid.example").unwrap()];
        let wanted: Wanted = serde_json::from_value(payload).map_err(|error| error.to_string())?;
        let head = Letterhead {
            from: &from,
            to: &to,
            id: "d-17",
            now: "2026-11-28T01:02:03Z".parse().unwrap(),
        };
        wanted
            .mail(&head)
            .map(|mail| String::from_utf8(mail.bytes).unwrap())
    }

    #[test]
    fn a_plain_mail() {
        let mail = made(
            json!({ "subject": "Order 4500012 is late", "text": "Nobody answered.\n.\nQUIT\n" }),
        )
        .unwrap();
        assert_eq!(
            mail,
            "Date: Sat, 28 Nov 2026 01:02:03 +0000\r\nFrom: \"Wardline\" <wardline@st-brigid.example>\r\n\
             To: desk@st-brigid.example\r\nSubject: Order 4500012 is late\r\n\
             Message-ID: <d-17@st-brigid.example>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             Tm9ib2R5IGFuc3dlcmVkLgouClFVSVQK\r\n"
        );
    }

    #[test]
    fn nothing_slips_into_a_header() {
        for payload in [
            json!({ "subject": "a\r\nBcc: x@y.example", "text": "" }),
            json!({ "subject": "a\nb", "text": "" }),
            json!({ "subject": "a", "text": "", "to": "a@b.example\r\nBcc: x@y.example" }),
            json!({ "subject": "a", "text": "", "reply_to": "a@b.example, c@d.example" }),
            json!({ "subject": "a", "text": "", "bcc": "a@b.example" }),
            json!({ "subject": "a", "text": "", "attachments": [{ "name": "a\"\r\nX: y", "content": "" }] }),
            json!({ "subject": "a", "text": "", "attachments": [{ "name": "a", "content_type": "a/b\r\nX: y", "content": "" }] }),
            json!({ "subject": "a", "text": "", "attachments": [{ "name": "a", "content": "?" }] }),
            json!({ "text": "no subject" }),
        ] {
            assert!(made(payload.clone()).is_err(), "{payload}");
        }
        // Long and foreign subjects are folded and encoded.
        let mail = made(json!({ "subject": "ü".repeat(300), "text": "" })).unwrap();
        assert!(
            mail.is_ascii() && mail.lines().all(|line| line.len() < 100),
            "{mail}"
        );
    }

    #[test]
    fn parts_stand_beside_each_other() {
        let mail = made(json!({
            "to": ["A B <a@b.example>", "c@d.example"], "cc": "e@f.example", "subject": "s", "text": "t", "html": "<p>t</p>",
            "attachments": [{ "name": "a.csv", "content_type": "text/csv", "content": "YQ==" }],
        }))
        .unwrap();
        for part in [
            "To: \"A B\" <a@b.example>,\r\n c@d.example\r\nCc: e@f.example\r\n",
            "multipart/mixed; boundary=\"wardline-d-17\"",
            "multipart/alternative; boundary=\"wardline-d-17-text\"",
            "--wardline-d-17-text--\r\n--wardline-d-17\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"a.csv\"",
            "--wardline-d-17--\r\n",
        ] {
            assert!(mail.contains(part), "{part}: {mail}");
        }
    }
}
