//! MQTT 5 at QoS 1: published with the server's acknowledgement, taken through a session that the
//! server keeps while we are away.

mod publish;
mod subscribe;
mod wire;

pub(super) use publish::Publisher;
pub(super) use subscribe::Subscriber;

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::config::Place;
use super::fault::Fault;
use super::link::Link;
use wire::{Packet, Reader, put_bytes, spoken};

/// A session with a server.
struct Client {
    link: Link,
    /// The largest packet that we take.
    most: usize,
    /// The largest packet that the server takes.
    largest: usize,
    /// How often the server wants to hear of us.
    keep_alive: Duration,
}

/// How a session is begun.
struct Greeting<'a> {
    client: &'a str,
    /// How long the server keeps the session; nothing, and it begins anew each time.
    keep: Duration,
    /// Messages that it may send without an acknowledgement.
    ahead: u16,
    /// The largest packet that it may send.
    most: usize,
}

impl Client {
    async fn open(link: Link, place: &Place, greeting: Greeting<'_>) -> Result<Self, Fault> {
        let mut client = Self {
            link,
            most: greeting.most,
            largest: usize::MAX,
            keep_alive: Duration::from_secs(30),
        };
        let login = place.user_and_password();
        let mut rest = BytesMut::new();
        put_bytes(&mut rest, b"MQTT");
        rest.put_u8(5);
        let anew = greeting.keep.is_zero();
        rest.put_u8(u8::from(anew) << 1 | if login.is_some() { 0xC0 } else { 0 });
        rest.put_u16(client.keep_alive.as_secs() as u16);
        // Session expiry, receive maximum, maximum packet size.
        rest.put_u8(13);
        rest.put_u8(0x11);
        rest.put_u32(u32::try_from(greeting.keep.as_secs()).unwrap_or(u32::MAX));
        rest.put_u8(0x21);
        rest.put_u16(greeting.ahead);
        rest.put_u8(0x27);
        rest.put_u32(u32::try_from(greeting.most).unwrap_or(u32::MAX));
        put_bytes(&mut rest, greeting.client.as_bytes());
        if let Some((user, password)) = login {
            put_bytes(&mut rest, user);
            put_bytes(&mut rest, password);
        }
        wire::write_packet(&mut client.link.output, wire::CONNECT, &rest);
        client.link.flush().await?;
        let packet = client.packet().await?;
        if packet.kind() != wire::CONNACK {
            return Err(spoken("it does not greet as MQTT does"));
        }
        let mut reader = Reader(packet.rest);
        let (_present, reason) = (reader.u8()?, reader.u8()?);
        if reason != 0 {
            // One of an older version has no properties.
            let said = reader.properties().ok().and_then(|all| all.reason);
            return Err(because(reason, said));
        }
        let properties = reader.properties()?;
        if let Some(most) = properties.maximum_packet {
            client.largest = most as usize;
        }
        if let Some(seconds) = properties.keep_alive {
            client.keep_alive = Duration::from_secs(u64::from(seconds.max(2)));
        }
        Ok(client)
    }

    /// The next packet. May be dropped while it waits.
    async fn packet(&mut self) -> Result<Packet, Fault> {
        loop {
            self.link.flush().await?;
            let Some(packet) = wire::read_packet(&mut self.link.input, self.most)? else {
                self.link.fill().await?;
                continue;
            };
            if packet.kind() == wire::DISCONNECT {
                let mut reader = Reader(packet.rest);
                let reason = reader.u8().unwrap_or_default();
                let said = reader.properties().ok().and_then(|all| all.reason);
                return Err(match because(reason, said) {
                    Fault::Refused(text) => Fault::Lost(text),
                    other => other,
                });
            }
            return Ok(packet);
        }
    }
}

/// What a reason code of 0x80 and above means.
fn because(reason: u8, said: Option<String>) -> Fault {
    let words = match reason {
        0x80 => "unspecified",
        0x81 | 0x82 => "it does not understand us",
        0x84 | 0x01 => "it does not speak MQTT 5",
        0x85 => "it does not like the name of the session",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 | 0x89 => "it is not available, or busy",
        0x8B => "it is shutting down",
        0x8C => "bad authentication method",
        0x8E => "another took the session over: two use the same name",
        0x90 => "the topic is not one that it accepts",
        0x95 => "the packet is too large",
        0x97 => "a quota was exceeded",
        _ => "it says so",
    };
    let text = match said {
        Some(said) => format!("0x{reason:02X} {words}: {said}"),
        None => format!("0x{reason:02X} {words}"),
    };
    match reason {
        0x86 | 0x87 | 0x8C => Fault::Credentials(text),
        0x81 | 0x82 | 0x84 | 0x01 => Fault::Spoken(text),
        0x90 | 0x95 => Fault::Unsendable(text),
        _ => Fault::Refused(text),
    }
}

/// Packets and their properties, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    crate::fuzzing::in_parts(bytes, |input| {
        while let Ok(Some(packet)) = wire::read_packet(input, 1 << 16) {
            let mut reader = wire::Reader(packet.rest);
            let _name = reader.text();
            let _properties = reader.properties();
        }
    });
}
