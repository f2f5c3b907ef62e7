//! AMQP 0.9.1, as RabbitMQ and others speak it: published with the broker's confirmation and only
//! where a queue takes it, consumed with an acknowledgement of each message.

mod consume;
mod publish;
mod wire;

pub(super) use consume::Consume;
pub(super) use publish::Publisher;

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::config::Place;
use super::fault::{Fault, quoted};
use super::link::Link;
use wire::{Frame, Reader, method, put_long, put_short, put_table, spoken};

/// The one channel of a connection that is used.
const CHANNEL: u16 = 1;

/// A session with a broker, with an open channel.
struct Client {
    link: Link,
    frame_max: u32,
}

impl Client {
    /// Greets, and opens a channel. `heartbeat` of nothing means none.
    async fn open(
        link: Link,
        place: &Place,
        vhost: &str,
        heartbeat: Duration,
    ) -> Result<Self, Fault> {
        let mut client = Self {
            link,
            frame_max: 4096,
        };
        client
            .link
            .output
            .extend_from_slice(b"AMQP\x00\x00\x09\x01");
        client.link.flush().await?;
        let mut start = client.expect(0, method::START).await?;
        let (_version, _properties, mechanisms) = (start.u16()?, start.long()?, start.long()?);
        let plain = mechanisms.split(|&b| b == b' ').any(|one| one == b"PLAIN");
        if !plain {
            return Err(spoken("it does not take user and password (PLAIN)"));
        }
        let (user, password) = place.user_and_password().unwrap_or((b"guest", b"guest"));
        let proof = [b"\0", user, b"\0", password].concat();
        let name = place.name.to_string();
        client.say(0, method::START_OK, |out| {
            let about = [
                ("product".to_owned(), "Wardline"),
                ("version".to_owned(), env!("CARGO_PKG_VERSION")),
                ("connection_name".to_owned(), name.as_str()),
            ];
            put_table(out, about.into_iter());
            put_short(out, "PLAIN");
            put_long(out, &proof);
            put_short(out, "en_US");
        });
        client.link.flush().await?;
        // One that does not believe us may simply close.
        let tune = client.expect(0, method::TUNE).await;
        let mut tune = tune.map_err(|fault| match fault {
            Fault::Lost(text) => Fault::Credentials(text),
            other => other,
        })?;
        let (_channels, frame_max) = (tune.u16()?, tune.u32()?);
        client.frame_max = match frame_max {
            0 => wire::FRAME_MAX,
            most => most.clamp(4096, wire::FRAME_MAX),
        };
        let frame_max = client.frame_max;
        client.say(0, method::TUNE_OK, |out| {
            out.put_u16(CHANNEL);
            out.put_u32(frame_max);
            out.put_u16(heartbeat.as_secs() as u16);
        });
        client.say(0, method::OPEN, |out| {
            put_short(out, vhost);
            put_short(out, "");
            out.put_u8(0);
        });
        client.link.flush().await?;
        client.expect(0, method::OPEN_OK).await?;
        client.say(CHANNEL, method::CHANNEL_OPEN, |out| put_short(out, ""));
        client.link.flush().await?;
        client.expect(CHANNEL, method::CHANNEL_OPEN_OK).await?;
        Ok(client)
    }

    fn say(&mut self, channel: u16, what: (u16, u16), fill: impl FnOnce(&mut BytesMut)) {
        wire::write_method(&mut self.link.output, channel, what, fill);
    }

    /// The next frame, but heartbeats. May be dropped while it waits.
    async fn frame(&mut self) -> Result<Frame, Fault> {
        loop {
            self.link.flush().await?;
            match wire::read_frame(&mut self.link.input)? {
                None => self.link.fill().await?,
                Some(frame) => return Ok(frame),
            }
        }
    }

    /// Reads a method; one that ends channel or connection is an error with its reason.
    fn method(frame: &Frame) -> Result<((u16, u16), Reader), Fault> {
        let mut reader = Reader(frame.payload.clone());
        let what = reader.method()?;
        if what != method::CLOSE && what != method::CHANNEL_CLOSE {
            return Ok((what, reader));
        }
        let (code, text) = (reader.u16()?, reader.short()?);
        let text = format!("{code} {}", quoted(text.as_bytes()));
        Err(match code {
            403 | 530 => Fault::Credentials(text),
            404..=406 | 311..=313 => Fault::Ended(text),
            _ => Fault::Lost(text),
        })
    }

    /// Waits for a method.
    async fn expect(&mut self, channel: u16, wanted: (u16, u16)) -> Result<Reader, Fault> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == wire::HEARTBEAT {
                continue;
            }
            if frame.kind != wire::METHOD {
                return Err(spoken("a frame out of its turn"));
            }
            let (what, reader) = Self::method(&frame)?;
            if what == wanted && frame.channel == channel {
                return Ok(reader);
            }
            return Err(spoken("a method out of its turn"));
        }
    }
}

/// Frames, heads of contents and tables, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    crate::fuzzing::in_parts(bytes, |input| {
        while let Ok(Some(frame)) = wire::read_frame(input) {
            let _head = wire::read_header(frame.payload.clone());
            let mut reader = wire::Reader(frame.payload);
            while reader.method().is_ok() && reader.table().is_ok() && reader.long().is_ok() {}
        }
    });
}
