//! Writing an acknowledgement.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{Code, Fault};
use crate::time::Timestamp;
use crate::{Charset, Delimiters, Message, ParseError, Path};

/// Longest MSA-3 that the standard allows, in characters.
const MSA_3: usize = 80;

/// An acknowledgement of one message, being made.
///
/// Sender and receiver are swapped, MSA-2 repeats MSH-10 exactly, delimiters, version, processing id
/// and character set are the message's own. MSH-7 is now (UTC) and MSH-10 is fresh unless given.
#[derive(Debug, Clone)]
pub struct Ack {
    /// The message that is answered; none where it could not be read at all.
    request: Option<Message>,
    code: Code,
    text: Option<String>,
    faults: Vec<Fault>,
    control_id: Option<String>,
    time: Option<String>,
}

impl Ack {
    /// Answers a message, `AA` until told otherwise. The message is shared, not copied.
    pub fn for_message(message: &Message) -> Self {
        Self {
            request: Some(message.clone()),
            code: Code::AA,
            text: None,
            faults: Vec::new(),
            control_id: None,
            time: None,
        }
    }

    /// Answers bytes that were refused: `AR` with the reason. Where the MSH segment can still be
    /// read (the rest is too large or broken) the answer is addressed by it; otherwise it is as
    /// general as an answer can be. `start` is the beginning of what was received.
    pub fn for_unreadable(start: &[u8], fault: Fault) -> Self {
        // MSH is all that is wanted of it, and a receiver may hand over everything it has.
        let start = &start[..start.len().min(crate::mllp::HEAD)];
        let lead = crate::index::skip_lead(start);
        let line =
            memchr::memchr2(b'\r', b'\n', &start[lead..]).map_or(start, |end| &start[..lead + end]);
        let request = Message::parse(Bytes::copy_from_slice(line)).ok();
        Self {
            request,
            code: Code::AR,
            text: None,
            faults: vec![fault],
            control_id: None,
            time: None,
        }
    }

    /// Answers bytes that [`Message::parse`] refused.
    pub fn for_parse_error(start: &[u8], error: &ParseError) -> Self {
        Self::for_unreadable(
            start,
            Fault::new(
                super::ErrorCode::ApplicationInternalError,
                error.to_string(),
            )
            .diagnostic(error.code()),
        )
    }

    /// `AA`: taken.
    #[must_use]
    pub fn accept(mut self) -> Self {
        self.code = Code::AA;
        self
    }

    /// `AE`: the content is wrong, for this reason (call again to add more).
    #[must_use]
    pub fn error(mut self, fault: Fault) -> Self {
        self.code = Code::AE;
        self.faults.push(fault);
        self
    }

    /// `AR`: not taken for reasons other than content.
    #[must_use]
    pub fn reject(mut self, fault: Fault) -> Self {
        self.code = Code::AR;
        self.faults.push(fault);
        self
    }

    /// Makes it an accept acknowledgement of enhanced mode: `CA`, `CE` or `CR` for `AA`, `AE`, `AR`.
    #[must_use]
    pub fn commit(mut self) -> Self {
        self.code = self.code.commit();
        self
    }

    /// MSA-3, in place of the first fault's text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// MSH-10 of the answer, in place of a fresh one.
    #[must_use]
    pub fn control_id(mut self, id: impl Into<String>) -> Self {
        self.control_id = Some(id.into());
        self
    }

    /// MSH-7 of the answer (`20261124104203-0600`), in place of now.
    #[must_use]
    pub fn time(mut self, time: impl Into<String>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// What MSA-1 will be.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The answer as bytes, in the character set of the message.
    pub fn to_bytes(&self) -> Bytes {
        let text = self.write();
        let charset = self
            .request
            .as_ref()
            .and_then(|request| request.received().map(|received| received.charset));
        match charset.and_then(|charset| {
            charset
                .encode(&String::from_utf8_lossy(&text))
                .map(std::borrow::Cow::into_owned)
        }) {
            Some(encoded) => encoded.into(),
            None => text.into(),
        }
    }

    /// The answer as a message.
    pub fn build(&self) -> Message {
        let bytes = self.to_bytes();
        // What `write` writes begins with MSH and the delimiters of a message that was parsed.
        Message::parse(bytes).expect("an acknowledgement that was just written parses")
    }

    fn write(&self) -> Vec<u8> {
        let delimiters = self
            .request
            .as_ref()
            .map_or(Delimiters::STANDARD, |request| *request.delimiters());
        let mut out = Out {
            bytes: Vec::with_capacity(256),
            delimiters,
        };
        let version = self.version();
        out.header(self, version);
        out.msa(self, version);
        for fault in &self.faults {
            if version < (2, 5, 0) {
                out.err_old(fault);
            } else {
                out.err(fault);
            }
        }
        out.bytes
    }

    fn version(&self) -> (u16, u16, u16) {
        let Some(request) = &self.request else {
            return (2, 5, 0);
        };
        let Some(text) = request.version() else {
            return (2, 5, 0);
        };
        let mut numbers = text.split('.').map(|part| part.trim().parse::<u16>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => (major, minor, numbers.next().flatten().unwrap_or(0)),
            // Not a version at all: the newest form is the one that says most.
            _ => (2, 5, 0),
        }
    }
}

struct Out {
    bytes: Vec<u8>,
    delimiters: Delimiters,
}

impl Out {
    fn separator(&mut self) {
        self.bytes.push(self.delimiters.field);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A component separator, or a blank where the message has none.
    fn component(&mut self) {
        self.bytes.push(self.delimiters.component().unwrap_or(b' '));
    }

    fn subcomponent(&mut self) {
        self.bytes
            .push(self.delimiters.subcomponent().unwrap_or(b' '));
    }

    fn text(&mut self, text: &str) {
        let escaped = crate::escape(text.as_bytes(), &self.delimiters);
        self.bytes.extend_from_slice(&escaped);
    }

    fn copied(&mut self, request: Option<&Message>, path: Path) {
        if let Some(raw) = request.and_then(|request| request.get(&path)) {
            self.raw(raw.bytes());
        }
    }

    fn header(&mut self, ack: &Ack, version: (u16, u16, u16)) {
        let request = ack.request.as_ref();
        self.raw(b"MSH");
        self.separator();
        let encoding = self.delimiters.encoding_characters();
        self.raw(&encoding);
        for path in const {
            [
                Path::new("MSH-5"),
                Path::new("MSH-6"),
                Path::new("MSH-3"),
                Path::new("MSH-4"),
            ]
        } {
            self.separator();
            self.copied(request, path);
        }
        self.separator();
        match &ack.time {
            Some(time) => self.text(time),
            None => self.raw(Timestamp::now_utc().to_hl7().as_bytes()),
        }
        self.separator();
        self.separator();
        self.raw(b"ACK");
        let event = request
            .and_then(|request| request.get(&const { Path::new("MSH-9.2") }))
            .filter(|raw| !raw.is_empty());
        if let Some(event) = event {
            self.component();
            self.raw(event.bytes());
            // MSH-9.3 came with version 2.3.1.
            if version >= (2, 3, 1) {
                self.component();
                self.raw(b"ACK");
            }
        }
        self.separator();
        match &ack.control_id {
            Some(id) => self.text(id),
            None => self.raw(fresh_id().as_bytes()),
        }
        self.separator();
        if request.is_some() {
            self.copied(request, const { Path::new("MSH-11") });
            self.separator();
            self.copied(request, const { Path::new("MSH-12") });
        } else {
            self.raw(b"P");
            self.separator();
            self.raw(b"2.5");
        }
        if let Some(charset) = request
            .and_then(Message::declared_charset)
            .filter(|charset| *charset != Charset::ASCII)
        {
            for _ in 0..6 {
                self.separator();
            }
            self.raw(charset.label().as_bytes());
        }
        self.raw(b"\r");
    }

    fn msa(&mut self, ack: &Ack, version: (u16, u16, u16)) {
        self.raw(b"MSA");
        self.separator();
        self.raw(ack.code.as_str().as_bytes());
        self.separator();
        self.copied(ack.request.as_ref(), const { Path::new("MSH-10") });
        let text = ack
            .text
            .as_deref()
            .or_else(|| ack.faults.first().map(|fault| fault.text.as_str()));
        // MSA-3 was withdrawn in version 2.7.
        if let Some(text) = text.filter(|_| version < (2, 7, 0)) {
            self.separator();
            let end = text
                .char_indices()
                .nth(MSA_3)
                .map_or(text.len(), |(at, _)| at);
            self.text(&text[..end]);
        }
        self.raw(b"\r");
    }

    /// `segment^sequence^field` of ERR-1 and ERR-2.
    fn location(&mut self, location: Path) {
        self.text(location.segment());
        self.component();
        self.raw(location.occurrence().unwrap_or(1).to_string().as_bytes());
        if let Some(field) = location.field() {
            self.component();
            self.raw(field.to_string().as_bytes());
        }
    }

    /// ERR up to version 2.4: location and code in one field.
    fn err_old(&mut self, fault: &Fault) {
        self.raw(b"ERR");
        self.separator();
        let mut written = 0;
        if let Some(location) = fault.location {
            self.location(location);
            written = if location.field().is_some() { 2 } else { 1 };
        }
        for _ in written..3 {
            self.component();
        }
        self.raw(fault.code.number().to_string().as_bytes());
        self.subcomponent();
        self.text(fault.code.text());
        self.subcomponent();
        self.raw(b"HL70357\r");
    }

    /// ERR from version 2.5 on.
    fn err(&mut self, fault: &Fault) {
        self.raw(b"ERR");
        self.separator();
        self.separator();
        if let Some(location) = fault.location {
            self.location(location);
            let deeper = [
                location.repetition(),
                location.component(),
                location.subcomponent(),
            ];
            if location.field().is_some() && deeper.iter().any(Option::is_some) {
                self.component();
                self.raw(location.repetition().unwrap_or(1).to_string().as_bytes());
                for number in deeper[1..].iter().flatten() {
                    self.component();
                    self.raw(number.to_string().as_bytes());
                }
            }
        }
        self.separator();
        self.raw(fault.code.number().to_string().as_bytes());
        self.component();
        self.text(fault.code.text());
        self.component();
        self.raw(b"HL70357");
        self.separator();
        self.raw(fault.severity.as_str().as_bytes());
        for _ in 0..3 {
            self.separator();
        }
        if let Some(diagnostic) = &fault.diagnostic {
            self.text(diagnostic);
        }
        self.separator();
        self.text(&fault.text);
        self.raw(b"\r");
    }
}

/// A control id that no other answer of this process has and hardly one of another: milliseconds
/// and a counter, 19 characters (MSH-10 allowed 20 until version 2.7).
fn fresh_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) & 0xFF_FFFF;
    format!("A{millis:012X}{count:06X}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::{ErrorCode, read};

    fn answered(version: &str) -> String {
        let message = Message::parse(format!(
            "MSH|^~\\&|EHR|H1|WL|H2|20260101||ADT^A03^ADT_A03|7\\T\\7|T^A|{version}\rPID|1\r"
        ))
        .unwrap();
        let fault = Fault::new(ErrorCode::RequiredFieldMissing, "no id | here")
            .at(Path::new("PID[1]-3[2].1"));
        let ack = Ack::for_message(&message)
            .error(fault)
            .control_id("99")
            .time("20260102");
        String::from_utf8(ack.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn writes_the_err_of_the_version() {
        assert_eq!(
            answered("2.5.1"),
            "MSH|^~\\&|WL|H2|EHR|H1|20260102||ACK^A03^ACK|99|T^A|2.5.1\rMSA|AE|7\\T\\7|no id \\F\\ here\r\
             ERR||PID^1^3^2^1|101^Required field missing^HL70357|E||||no id \\F\\ here\r"
        );
        assert_eq!(
            answered("2.3"),
            "MSH|^~\\&|WL|H2|EHR|H1|20260102||ACK^A03|99|T^A|2.3\rMSA|AE|7\\T\\7|no id \\F\\ here\r\
             ERR|PID^1^3^101&Required field missing&HL70357\r"
        );
        assert!(answered("2.8").contains("\rMSA|AE|7\\T\\7\r"));
    }

    #[test]
    fn reads_what_it_wrote() {
        for version in ["2.3", "2.5.1", "2.8", ""] {
            let view = read(&Message::parse(answered(version)).unwrap()).unwrap();
            assert_eq!(view.code, Code::AE);
            assert_eq!(view.control_id, "7&7");
            assert_eq!(view.error.as_deref(), Some("101"));
            assert_eq!(view.text.as_deref(), Some("no id | here"));
            let expected = if version == "2.3" {
                "PID[1]-3"
            } else {
                "PID[1]-3[2].1"
            };
            assert_eq!(view.location.as_deref(), Some(expected));
        }
    }

    #[test]
    fn answers_the_unreadable() {
        let fault = || Fault::new(ErrorCode::ApplicationInternalError, "too large");
        let addressed = Ack::for_unreadable(
            b"\x0BMSH|^~\\&|EHR|H1|||||ADT^A01|5|P|2.4\rOBX|1|ED|",
            fault(),
        )
        .build();
        assert_eq!(addressed.value(&Path::new("MSA-2")).as_deref(), Some("5"));
        assert_eq!(addressed.value(&Path::new("MSH-5")).as_deref(), Some("EHR"));
        let general = Ack::for_unreadable(b"GET / HTTP/1.1\r\n", fault()).build();
        let view = read(&general).unwrap();
        assert_eq!((view.code, view.control_id.as_str()), (Code::AR, ""));
    }

    #[test]
    fn answers_in_the_character_set_of_the_message() {
        let header = "MSH|^~\\&|\u{5c71}\u{7530}|H1|||2026||ADT^A01|5|P|2.5||||||";
        let answer = |bytes: Vec<u8>| {
            let message = Message::parse(bytes).unwrap();
            Ack::for_message(&message).text("\u{4e85}").build()
        };
        let gb = Charset::GB_18030;
        let bytes = gb
            .encode(&format!("{header}GB 18030-2000\r"))
            .unwrap()
            .into_owned();
        let unicode = format!("{header}UNICODE UTF-16\r");
        for ack in [
            answer(bytes),
            answer(Charset::UTF_16.encode(&unicode).unwrap().into_owned()),
        ] {
            assert_eq!(
                ack.value(&Path::new("MSH-5")).as_deref(),
                Some("\u{5c71}\u{7530}")
            );
            assert_eq!(ack.value(&Path::new("MSA-3")).as_deref(), Some("\u{4e85}"));
            assert_ne!(ack.bytes(), ack.text());
        }
    }

    #[test]
    fn commit_codes_and_fresh_ids() {
        let message = Message::parse("MSH|^~\\&|||||||ADT^A01|1|P|2.5\r").unwrap();
        assert_eq!(
            Ack::for_message(&message).accept().commit().code(),
            Code::CA
        );
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() <= 20));
    }
}
