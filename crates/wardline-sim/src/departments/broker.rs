//! A message broker in the cloud, as far as somebody who publishes sees it: the protocol of NATS, and JetStream's confirmation.
//!
//! It keeps no message: it remembers their ids, as a stream does that drops what comes again, and counts.

use crate::fault::Fate;
use crate::ledger::{Effect, Outcome};
use crate::service::{Desk, Door, Service};
use crate::{Record, SimError};
use bytes::{Buf as _, Bytes, BytesMut};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Its name in the example estate.
pub(crate) const SYSTEM: &str = "cloud-analytics";
/// Its port, counted from the admin listener's.
pub(crate) const PLACE: u16 = 33;
/// The largest message.
const MOST: usize = 1 << 20;
/// The longest line of the protocol.
const LINE: usize = 64 << 10;
const GREETING: &str = r#"INFO {"server_id":"SIM","version":"2.10.0","proto":1,"headers":true,"jetstream":true,"max_payload":1048576}"#;

/// Starts it on `address`, until `shutdown`.
pub(crate) async fn start(
    address: SocketAddr,
    record: Record,
    seed: u64,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Service, SimError> {
    let desk = Arc::new(Desk::new(SYSTEM, record, seed));
    let door = Door::open(SYSTEM, address).await?;
    let service = Service::at(door.address(), desk.clone());
    let shutdown = shutdown.clone();
    let connections = tasks.clone();
    tasks.spawn(async move {
        while let Some(stream) = shutdown.run_until_cancelled(door.next(&desk)).await {
            let (desk, shutdown) = (desk.clone(), shutdown.clone());
            connections.spawn(async move {
                tokio::select! {
                    ended = converse(stream, &desk) => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a publisher is gone");
                        }
                    }
                    () = desk.faults.until_refusing() => desk.ledger.count(|report| &mut report.reset_connections),
                    () = shutdown.cancelled() => {}
                }
            });
        }
    });
    Ok(service)
}

/// One publication.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    subject: String,
    reply: Option<String>,
    id: String,
    body: Bytes,
}

/// What somebody says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Ping,
    Published(Published),
    /// `CONNECT`, `SUB` and the like: nothing is done about it.
    Other,
}

/// The next thing that is whole; an error where it is not NATS.
fn next(input: &mut BytesMut) -> Result<Option<Said>, &'static str> {
    let Some(end) = input.windows(2).position(|two| two == b"\r\n") else {
        return if input.len() > LINE {
            Err("a line without an end")
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&input[..end]).map_err(|_| "a line that is no text")?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let size = |word: Option<&&str>| {
        let size: usize = word.and_then(|word| word.parse().ok()).ok_or("no size")?;
        if size > MOST {
            return Err("a message that is too large");
        }
        Ok(size)
    };
    let (head, total, reply) = match words.as_slice() {
        ["PING"] => {
            input.advance(end + 2);
            return Ok(Some(Said::Ping));
        }
        ["PUB", _, rest @ ..] => (0, size(rest.last())?, rest.len() == 2),
        ["HPUB", _, rest @ .., head, _] => {
            (size(Some(head))?, size(words.last())?, rest.len() == 1)
        }
        _ => {
            input.advance(end + 2);
            return Ok(Some(Said::Other));
        }
    };
    if head > total {
        return Err("headers that are longer than all of it");
    }
    let (subject, answer) = (words[1].to_owned(), words[2].to_owned());
    if input.len() < end + 2 + total + 2 {
        return Ok(None);
    }
    input.advance(end + 2);
    let mut message = input.split_to(total).freeze();
    input.advance(2);
    let headers = message.split_to(head);
    let headers = std::str::from_utf8(&headers).unwrap_or_default();
    let id = headers
        .lines()
        .find_map(|line| line.strip_prefix("Nats-Msg-Id:"));
    Ok(Some(Said::Published(Published {
        subject,
        reply: reply.then_some(answer),
        id: id.unwrap_or_default().trim().to_owned(),
        body: message,
    })))
}

async fn converse(mut stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream
        .write_all(format!("{GREETING}\r\n").as_bytes())
        .await?;
    let mut input = BytesMut::with_capacity(16 * 1024);
    loop {
        match next(&mut input) {
            Ok(Some(Said::Ping)) => stream.write_all(b"PONG\r\n").await?,
            Ok(Some(Said::Other)) => {}
            Ok(Some(Said::Published(one))) => {
                let Some(answer) = store(&one, desk).await else {
                    return Ok(());
                };
                if let Some(reply) = &one.reply {
                    let line = format!("MSG {reply} 1 {}\r\n{answer}\r\n", answer.len());
                    stream.write_all(line.as_bytes()).await?;
                }
            }
            Ok(None) => {
                if stream.read_buf(&mut input).await? == 0 {
                    return Ok(());
                }
            }
            Err(why) => {
                desk.ledger.count(|report| &mut report.refused);
                let line = format!("-ERR '{why}'\r\n");
                return stream.write_all(line.as_bytes()).await;
            }
        }
    }
}

/// JetStream's answer; `None` where the connection is to be cut instead.
async fn store(one: &Published, desk: &Desk) -> Option<String> {
    desk.ledger.count(|report| &mut report.requests);
    let refusal = |code: u16, err_code: u32, description: &str| {
        Some(
            json!({ "error": { "code": code, "err_code": err_code, "description": description } })
                .to_string(),
        )
    };
    let lose_reply = match desk.faults.fate(&one.subject).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        Fate::RefuseKey => {
            desk.ledger.count(|report| &mut report.refused);
            return refusal(400, 10_025, "this subject is refused");
        }
        Fate::Unavailable | Fate::Busy { .. } | Fate::Fail => {
            desk.ledger.count(|report| &mut report.failed);
            return refusal(503, 10_008, "JetStream system temporarily unavailable");
        }
    };
    let outcome = desk.ledger.apply(&Effect {
        operation: "publish",
        key: &one.subject,
        idempotency_key: (!one.id.is_empty()).then_some(one.id.as_str()),
        message_id: None,
    });
    if lose_reply {
        desk.ledger.count(|report| &mut report.lost_replies);
        return None;
    }
    let (seq, twice) = match outcome {
        Outcome::Applied(number) => (number, false),
        Outcome::Repeated(number) => (number, true),
        Outcome::Conflict => return refusal(400, 10_025, "this id was used for another subject"),
    };
    Some(json!({ "stream": "BRIGID", "seq": seq, "duplicate": twice }).to_string())
}

#[cfg(test)]
mod tests {
    use super::{Published, Said, next};
    use bytes::BytesMut;

    fn all(text: &[u8]) -> Vec<Said> {
        let mut input = BytesMut::from(text);
        let mut said = Vec::new();
        while let Some(one) = next(&mut input).unwrap() {
            said.push(one);
        }
        said
    }

    #[test]
    fn what_publishers_say_is_understood() {
        let head = b"NATS/1.0\r\nNats-Msg-Id: d-17\r\n\r\n";
        let mut text = b"CONNECT {}\r\nSUB _INBOX.1.* 1\r\nPING\r\nPUB a.b 2\r\nhi\r\n".to_vec();
        text.extend(format!("HPUB a.c _INBOX.1.7 {} {}\r\n", head.len(), head.len() + 2).bytes());
        text.extend(head);
        text.extend(b"ho\r\n");
        let published = |subject: &str, reply: Option<&str>, id: &str, body: &'static [u8]| {
            Said::Published(Published {
                subject: subject.to_owned(),
                reply: reply.map(str::to_owned),
                id: id.to_owned(),
                body: body.into(),
            })
        };
        assert_eq!(
            all(&text),
            [
                Said::Other,
                Said::Other,
                Said::Ping,
                published("a.b", None, "", b"hi"),
                published("a.c", Some("_INBOX.1.7"), "d-17", b"ho"),
            ]
        );
    }

    #[test]
    fn what_is_not_whole_waits_and_what_is_no_size_is_refused() {
        for part in [&b"PUB a 2\r\nh"[..], b"HPUB a r 4 9\r\nNA", b"PING"] {
            assert_eq!(next(&mut BytesMut::from(part)), Ok(None));
        }
        for bad in [
            &b"PUB a x\r\n"[..],
            b"HPUB a r 9 4\r\n",
            b"PUB a 99999999\r\n",
        ] {
            assert!(next(&mut BytesMut::from(bad)).is_err());
        }
    }
}
