//! The seven PDUs of PS3.8, 9.3.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::link::NetError;
use crate::uid;

/// One of the seven.
pub(super) enum Pdu {
    Request(Associate),
    Accept(Associate),
    Reject([u8; 3]),
    Data(Bytes),
    ReleaseRequest,
    Release,
    Abort,
}

/// Of a request, or of the answer that accepts it.
#[derive(Default)]
pub(super) struct Associate {
    pub(super) called: String,
    pub(super) calling: String,
    pub(super) contexts: Vec<Context>,
    /// The longest PDU the sender of this takes; 0 for any.
    pub(super) max_pdu: u32,
}

/// A presentation context.
pub(super) struct Context {
    pub(super) id: u8,
    /// In an answer: 0 where it is accepted.
    pub(super) result: u8,
    /// Empty in an answer.
    pub(super) class: String,
    /// Offered, or the one that was chosen.
    pub(super) transfers: Vec<String>,
}

/// Bytes before a PDU's content.
pub(super) const HEADER: usize = 6;
const TITLES: usize = 2 + 2 + 16 + 16 + 32;

fn bad(what: &'static str) -> NetError {
    NetError::Protocol(what)
}

/// Reads a PDU's content.
pub(super) fn decode(kind: u8, mut body: Bytes) -> Result<Pdu, NetError> {
    Ok(match kind {
        1 => Pdu::Request(associate(body, 0x20)?),
        2 => Pdu::Accept(associate(body, 0x21)?),
        3 if body.len() >= 4 => {
            body.advance(1);
            Pdu::Reject([body[0], body[1], body[2]])
        }
        4 => Pdu::Data(body),
        5 => Pdu::ReleaseRequest,
        6 => Pdu::Release,
        7 => Pdu::Abort,
        _ => return Err(bad("this is no PDU of the upper layer")),
    })
}

fn associate(mut body: Bytes, context_item: u8) -> Result<Associate, NetError> {
    if body.len() < TITLES {
        return Err(bad("an association's request is cut"));
    }
    if body.get_u16() & 1 == 0 {
        return Err(bad("the peer speaks another version of the protocol"));
    }
    body.advance(2);
    let mut read = Associate {
        called: title(&body.split_to(16)),
        calling: title(&body.split_to(16)),
        ..Associate::default()
    };
    body.advance(32);
    while let Some((kind, mut item)) = item(&mut body)? {
        match kind {
            0x10 if text(&item) != uid::APPLICATION_CONTEXT => {
                return Err(bad("the peer speaks another application"));
            }
            kind if kind == context_item => {
                if read.contexts.len() == 128 {
                    return Err(bad("there are more than 128 presentation contexts"));
                }
                read.contexts.push(context(item)?);
            }
            0x50 => {
                while let Some((kind, mut user)) = self::item(&mut item)? {
                    if kind == 0x51 && user.len() >= 4 {
                        read.max_pdu = user.get_u32();
                    }
                }
            }
            _ => {}
        }
    }
    Ok(read)
}

fn context(mut body: Bytes) -> Result<Context, NetError> {
    if body.len() < 4 {
        return Err(bad("a presentation context is cut"));
    }
    let (id, result) = (body[0], body[2]);
    body.advance(4);
    let mut read = Context {
        id,
        result,
        class: String::new(),
        transfers: Vec::new(),
    };
    while let Some((kind, item)) = item(&mut body)? {
        match kind {
            0x30 => read.class = text(&item),
            0x40 => read.transfers.push(text(&item)),
            _ => {}
        }
    }
    Ok(read)
}

/// The next item: its kind and content.
fn item(body: &mut Bytes) -> Result<Option<(u8, Bytes)>, NetError> {
    if body.is_empty() {
        return Ok(None);
    }
    if body.len() < 4 {
        return Err(bad("an item is cut"));
    }
    let kind = body.get_u8();
    body.advance(1);
    let length = usize::from(body.get_u16());
    if length > body.len() {
        return Err(bad("an item is longer than what holds it"));
    }
    Ok(Some((kind, body.split_to(length))))
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_matches([' ', '\0']).to_owned()
}

/// An application's title: what cannot be in one becomes `?`, so that it may be shown and compared.
fn title(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            0 => ' ',
            _ => '?',
        })
        .collect();
    text.trim().to_owned()
}

pub(super) fn encode_associate(associate: &Associate, accepts: bool) -> BytesMut {
    let mut body = BytesMut::with_capacity(512);
    body.put_u16(1);
    body.put_u16(0);
    for title in [&associate.called, &associate.calling] {
        let mut bytes = [b' '; 16];
        let text = title.as_bytes();
        let length = text.len().min(16);
        bytes[..length].copy_from_slice(&text[..length]);
        body.put_slice(&bytes);
    }
    body.put_bytes(0, 32);
    put_item(&mut body, 0x10, uid::APPLICATION_CONTEXT.as_bytes());
    for context in &associate.contexts {
        let mut item = BytesMut::new();
        item.put_slice(&[context.id, 0, context.result, 0]);
        if !accepts {
            put_item(&mut item, 0x30, context.class.as_bytes());
        }
        for transfer in &context.transfers {
            put_item(&mut item, 0x40, transfer.as_bytes());
        }
        put_item(&mut body, if accepts { 0x21 } else { 0x20 }, &item);
    }
    let mut user = BytesMut::new();
    put_item(&mut user, 0x51, &associate.max_pdu.to_be_bytes());
    put_item(&mut user, 0x52, uid::IMPLEMENTATION_CLASS.as_bytes());
    put_item(&mut user, 0x55, uid::IMPLEMENTATION_VERSION.as_bytes());
    put_item(&mut body, 0x50, &user);
    pdu(if accepts { 2 } else { 1 }, &body)
}

fn put_item(into: &mut BytesMut, kind: u8, content: &[u8]) {
    into.put_u8(kind);
    into.put_u8(0);
    into.put_u16(content.len() as u16);
    into.put_slice(content);
}

/// A PDU of a kind.
pub(super) fn pdu(kind: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(HEADER + body.len());
    bytes.put_u8(kind);
    bytes.put_u8(0);
    bytes.put_u32(body.len() as u32);
    bytes.put_slice(body);
    bytes
}

pub(super) fn reject(reason: [u8; 3]) -> BytesMut {
    pdu(3, &[0, reason[0], reason[1], reason[2]])
}

pub(super) fn release_request() -> BytesMut {
    pdu(5, &[0; 4])
}

pub(super) fn release() -> BytesMut {
    pdu(6, &[0; 4])
}

/// By the service user where `reason` is 0, else by the provider.
pub(super) fn abort(reason: u8) -> BytesMut {
    pdu(7, &[0, 0, if reason == 0 { 0 } else { 2 }, reason])
}

/// A part of a message.
pub(super) struct Part {
    pub(super) context: u8,
    pub(super) command: bool,
    pub(super) last: bool,
    pub(super) data: Bytes,
}

/// The next part in a data PDU.
pub(super) fn part(body: &mut Bytes) -> Result<Option<Part>, NetError> {
    if body.is_empty() {
        return Ok(None);
    }
    if body.len() < 6 {
        return Err(bad("a part of a message is cut"));
    }
    let length = body.get_u32() as usize;
    if length < 2 || length > body.len() {
        return Err(bad("a part of a message is longer than its PDU"));
    }
    let mut data = body.split_to(length);
    let context = data.get_u8();
    let control = data.get_u8();
    Ok(Some(Part {
        context,
        command: control & 1 == 1,
        last: control & 2 == 2,
        data,
    }))
}

/// Appends a data PDU with one part.
pub(super) fn put_part(into: &mut BytesMut, context: u8, command: bool, last: bool, data: &[u8]) {
    into.reserve(12 + data.len());
    into.put_u8(4);
    into.put_u8(0);
    into.put_u32(data.len() as u32 + 6);
    into.put_u32(data.len() as u32 + 2);
    into.put_u8(context);
    into.put_u8(u8::from(command) | (u8::from(last) << 1));
    into.put_slice(data);
}
