//! A request's body: streamed through where nobody needs to see it, read whole where somebody does.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::body::{Body as _, Incoming};
use serde_json::Value;

use crate::body::{Counted, OutBody, Stopped, collect};
use crate::plan::{ANY_TYPE, Api, Limits, Operation};
use crate::problem::{Kind, Problem};

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packed {
    Gzip,
    Deflate,
}

pub(super) struct Inbound {
    body: Option<Incoming>,
    packed: Option<Packed>,
    read: Option<Bytes>,
    json: Option<Value>,
}

impl Inbound {
    /// Looks at what the head says of the body; refuses what is not taken before a byte is read.
    pub(super) fn new(
        body: Incoming,
        operation: &Operation,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        if body.is_end_stream() {
            return Ok(Self {
                body: None,
                packed: None,
                read: Some(Bytes::new()),
                json: None,
            });
        }
        if body.size_hint().lower() > operation.limits.body as u64 {
            return Err(Kind::BodyTooLarge.into());
        }
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let (kind, second) = (types.next(), types.next());
        let kind = kind
            .filter(|_| second.is_none())
            .and_then(|kind| kind.to_str().ok());
        let any = || {
            operation
                .content_types
                .iter()
                .any(|taken| &**taken == ANY_TYPE)
        };
        if !kind.is_some_and(|kind| taken(operation, kind)) && !any() {
            return Err(Kind::MediaType.into());
        }
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let packed = match (
            codings
                .next()
                .map(|coding| coding.as_bytes().to_ascii_lowercase()),
            codings.next(),
        ) {
            (None, _) => None,
            (Some(coding), None) if coding == b"identity" => None,
            (Some(coding), None) if operation.limits.compressed => match coding.as_slice() {
                b"gzip" | b"x-gzip" => Some(Packed::Gzip),
                b"deflate" => Some(Packed::Deflate),
                _ => return Err(Kind::MediaType.into()),
            },
            _ => return Err(Kind::MediaType.into()),
        };
        Ok(Self {
            body: Some(body),
            packed,
            read: None,
            json: None,
        })
    }

    /// Reads all of it, unpacked; once.
    pub(super) async fn read(&mut self, api: &Api, operation: &Operation) -> Result<(), Problem> {
        let Some(body) = self.body.take() else {
            return Ok(());
        };
        let Limits {
            body: most,
            body_time,
            ..
        } = operation.limits;
        let mut scanner = api
            .contract
            .as_ref()
            .and_then(|contract| contract.scanner(operation));
        let read = match self.packed {
            None => {
                collect(body, most, body_time, |bytes| match &mut scanner {
                    Some(scanner) => scanner.feed(bytes),
                    None => Ok(()),
                })
                .await?
            }
            Some(packed) => {
                let mut unpacking = Unpacking::new(packed, most);
                collect(body, most, body_time, |bytes| unpacking.feed(bytes)).await?;
                let read = unpacking.finish()?;
                if let Some(scanner) = &mut scanner {
                    scanner.feed(&read)?;
                }
                read
            }
        };
        if let Some(scanner) = &mut scanner {
            scanner.finish()?;
        }
        self.read = Some(read);
        Ok(())
    }

    /// Reads all of it and understands it as JSON; an empty body is none.
    pub(super) async fn read_json(
        &mut self,
        api: &Api,
        operation: &Operation,
    ) -> Result<(), Problem> {
        self.read(api, operation).await?;
        if self.json.is_none()
            && let Some(bytes) = self.read.as_ref().filter(|bytes| !bytes.is_empty())
        {
            let value = serde_json::from_slice(bytes).map_err(|_| Problem::from(Kind::NotJson))?;
            self.json = Some(value);
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Whether a body came.
    pub(super) fn is_read_with_body(&self) -> bool {
        self.read.as_ref().is_some_and(|read| !read.is_empty())
    }

    /// Whether a body came, or is still to come.
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some() || self.is_read_with_body()
    }

    /// What was read.
    pub(super) fn bytes(&self) -> Bytes {
        self.read.clone().unwrap_or_default()
    }

    /// The body for a system: what was read, or the stream.
    pub(super) fn outward(&mut self, limits: &Limits) -> (OutBody, Option<Stopped>) {
        match self.body.take() {
            None => (OutBody::full(self.bytes()), None),
            Some(body) => {
                let (counted, stopped) = Counted::new(body, limits.body, limits.body_time);
                (OutBody::Streamed(counted), Some(stopped))
            }
        }
    }
}

/// Whether the operation takes this content type, whatever its parameters.
fn taken(operation: &Operation, kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if operation.content_types.is_empty() {
        let json = kind.eq_ignore_ascii_case("application/json");
        return json
            || (kind.len() > 5
                && kind.as_bytes()[kind.len() - 5..].eq_ignore_ascii_case(b"+json"));
    }
    operation
        .content_types
        .iter()
        .any(|taken| kind.eq_ignore_ascii_case(taken))
}

/// Unpacks into bounded memory, so that a bomb is stopped at the limit and not after it.
enum Unpacking {
    Gzip(MultiGzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
}

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpacking {
    fn new(packed: Packed, most: usize) -> Self {
        let bounded = Bounded {
            bytes: Vec::new(),
            most,
        };
        match packed {
            Packed::Gzip => Self::Gzip(MultiGzDecoder::new(bounded)),
            Packed::Deflate => Self::Deflate(ZlibDecoder::new(bounded)),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Deflate(decoder) => decoder.write_all(bytes),
        }
        .map_err(|error| why(&error))
    }

    fn finish(self) -> Result<Bytes, Problem> {
        let finished = match self {
            Self::Gzip(decoder) => decoder.finish(),
            Self::Deflate(decoder) => decoder.finish(),
        };
        finished
            .map(|bounded| bounded.bytes.into())
            .map_err(|error| why(&error))
    }
}

fn why(error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::FileTooLarge {
        Kind::BodyTooLarge.into()
    } else {
        Kind::BodyBroken.into()
    }
}
