//! NATS' words: a line each, some with a block of bytes behind it.

use bytes::{Buf as _, Bytes, BytesMut};

use super::super::fault::{Fault, quoted};

/// The longest line that a server may send; its greeting is the longest that it does.
const LONGEST_LINE: usize = 64 << 10;
/// The most that headers of one message may have.
const MOST_HEADERS: usize = 64 << 10;

/// Something that a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Its greeting, or news of the cluster: JSON.
    Info(Bytes),
    /// It wants to know whether we are there.
    Ping,
    /// It is there.
    Pong,
    /// It took something; not asked for.
    Ok,
    /// What it does not like.
    Err(String),
    /// A message.
    Message(Message),
}

/// A message of a subject.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) reply: Option<String>,
    /// `503`, `408`, … where the server itself speaks.
    pub(super) status: Option<String>,
    /// What stands behind the status.
    pub(super) description: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// The body was larger than allowed and thrown away.
    pub(super) oversize: Option<usize>,
}

impl Message {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads what a server says, piece by piece.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The largest body that is kept.
    most: usize,
    /// A message whose body is thrown away, and how much of it is still to come.
    skipping: Option<(Message, usize)>,
}

impl Decoder {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            skipping: None,
        }
    }

    /// Takes the next thing that was said out of what came, if it is whole.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Said>, Fault> {
        if let Some((message, mut left)) = self.skipping.take() {
            let now = left.min(input.len());
            input.advance(now);
            left -= now;
            if left > 0 {
                self.skipping = Some((message, left));
                return Ok(None);
            }
            return Ok(Some(Said::Message(message)));
        }
        let Some(end) = memchr::memmem::find(input, b"\r\n") else {
            if input.len() > LONGEST_LINE {
                return Err(spoken("a line without an end"));
            }
            return Ok(None);
        };
        if end > LONGEST_LINE {
            return Err(spoken("a line that is too long"));
        }
        let line = &input[..end];
        let word = line.split(|&b| b == b' ' || b == b'\t').next();
        let word = word.unwrap_or_default().to_ascii_uppercase();
        let said = match word.as_slice() {
            b"INFO" => Said::Info(Bytes::copy_from_slice(line[4..].trim_ascii())),
            b"PING" => Said::Ping,
            b"PONG" => Said::Pong,
            b"+OK" => Said::Ok,
            b"-ERR" => Said::Err(quoted(line[4..].trim_ascii())),
            b"MSG" | b"HMSG" => return self.message(input, end, word == b"HMSG"),
            _ => return Err(spoken("it said something that NATS does not")),
        };
        input.advance(end + 2);
        Ok(Some(said))
    }

    fn message(
        &mut self,
        input: &mut BytesMut,
        end: usize,
        with_headers: bool,
    ) -> Result<Option<Said>, Fault> {
        let line = std::str::from_utf8(&input[..end])
            .map_err(|_| spoken("the line of a message is no text"))?;
        let words: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
        let number = |text: &&str| {
            text.parse::<usize>()
                .map_err(|_| spoken("a size that is no number"))
        };
        let (subject, reply, head, total) = match (with_headers, words.as_slice()) {
            (false, [subject, _, total]) => (subject, None, 0, number(total)?),
            (false, [subject, _, reply, total]) => (subject, Some(reply), 0, number(total)?),
            (true, [subject, _, head, total]) => (subject, None, number(head)?, number(total)?),
            (true, [subject, _, reply, head, total]) => {
                (subject, Some(reply), number(head)?, number(total)?)
            }
            _ => return Err(spoken("the line of a message has other parts")),
        };
        if head > total || head > MOST_HEADERS || total > u32::MAX as usize {
            return Err(spoken("sizes of a message that make no sense"));
        }
        let mut message = Message {
            subject: (*subject).to_owned(),
            reply: reply.map(|reply| (*reply).to_owned()),
            ..Message::default()
        };
        let begin = end + 2;
        if total - head > self.most {
            // Its headers are read all the same: they name it.
            if input.len() < begin + head {
                return Ok(None);
            }
            read_headers(&input[begin..begin + head], &mut message)?;
            message.oversize = Some(total - head);
            input.advance(begin + head);
            self.skipping = Some((message, total - head + 2));
            return self.next(input);
        }
        if input.len() < begin + total + 2 {
            return Ok(None);
        }
        if &input[begin + total..begin + total + 2] != b"\r\n" {
            return Err(spoken("a message that does not end where it should"));
        }
        read_headers(&input[begin..begin + head], &mut message)?;
        input.advance(begin + head);
        message.body = input.split_to(total - head).freeze();
        input.advance(2);
        Ok(Some(Said::Message(message)))
    }
}

fn spoken(what: &str) -> Fault {
    Fault::Spoken(what.to_owned())
}

fn read_headers(block: &[u8], message: &mut Message) -> Result<(), Fault> {
    if block.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(block);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let rest = first
        .strip_prefix("NATS/1.0")
        .ok_or_else(|| spoken("headers of another version"))?;
    let mut status = rest.trim().splitn(2, ' ');
    message.status = status
        .next()
        .filter(|word| !word.is_empty())
        .map(|word| quoted(word.as_bytes()));
    message.description = status
        .next()
        .map(|text| quoted(text.as_bytes()))
        .unwrap_or_default();
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            message
                .headers
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(())
}

/// Writes a message. Neither subject nor reply can hold a space or an end of line: callers see to it.
pub(super) fn publish(
    output: &mut BytesMut,
    subject: &str,
    reply: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) {
    let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
    if headers.is_empty() {
        output.extend_from_slice(format!("PUB {subject} {reply}{}\r\n", body.len()).as_bytes());
    } else {
        let mut block = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            block.push_str(name);
            block.push_str(": ");
            // A header is one line, whatever its value.
            block.extend(value.chars().filter(|c| !c.is_control()));
            block.push_str("\r\n");
        }
        block.push_str("\r\n");
        let (head, total) = (block.len(), block.len() + body.len());
        output.extend_from_slice(format!("HPUB {subject} {reply}{head} {total}\r\n").as_bytes());
        output.extend_from_slice(block.as_bytes());
    }
    output.extend_from_slice(body);
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(input: &[u8], most: usize) -> Result<Vec<Said>, Fault> {
        let mut decoder = Decoder::new(most);
        let mut input = BytesMut::from(input);
        let mut found = Vec::new();
        while let Some(said) = decoder.next(&mut input)? {
            found.push(said);
        }
        Ok(found)
    }

    #[test]
    fn messages_are_read_in_pieces_and_large_ones_named_but_not_kept() {
        let mut text = BytesMut::new();
        text.extend_from_slice(b"PING\r\nMSG a.b 1 _INBOX.1 5\r\nhe\r\no\r\n");
        text.extend_from_slice(
            b"HMSG a.c 1 $JS.ACK.x 24 34\r\nNATS/1.0\r\nce-id: abc\r\n\r\n0123456789\r\nPONG\r\n",
        );
        for cut in 0..text.len() {
            let mut decoder = Decoder::new(6);
            let mut found = Vec::new();
            let mut input = BytesMut::new();
            for part in [&text[..cut], &text[cut..]] {
                input.extend_from_slice(part);
                while let Some(said) = decoder.next(&mut input).unwrap() {
                    found.push(said);
                }
            }
            assert_eq!(found.len(), 4, "cut at {cut}");
            let Said::Message(small) = &found[1] else {
                panic!("{found:?}")
            };
            assert_eq!(small.body, &b"he\r\no"[..]);
            let Said::Message(large) = &found[2] else {
                panic!("{found:?}")
            };
            assert_eq!(large.oversize, Some(10));
            assert_eq!(large.header("CE-ID"), Some("abc"));
            assert_eq!(large.reply.as_deref(), Some("$JS.ACK.x"));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &b"HELLO\r\n"[..],
            b"MSG a 1 -5\r\n",
            b"MSG a 1 99999999999999999999\r\n",
            b"HMSG a 1 9 5\r\nxxxxx\r\n",
            b"MSG a 1 2\r\nabcd",
            b"MSG\r\n",
        ] {
            assert!(all(bad, 100).is_err(), "{}", quoted(bad));
        }
        assert!(all(&vec![b'a'; LONGEST_LINE + 1], 100).is_err());
    }

    #[test]
    fn a_value_cannot_add_a_header() {
        let mut out = BytesMut::new();
        publish(&mut out, "s", Some("r"), &[("a", "b\r\nc: d")], b"x");
        let text = std::str::from_utf8(&out).unwrap();
        assert_eq!(text, "HPUB s r 22 23\r\nNATS/1.0\r\na: bc: d\r\n\r\nx\r\n");
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&input, 10);
            let mut line = b"HMSG a 1 ".to_vec();
            line.extend(input);
            let _ = all(&line, 10);
        }
    }
}
