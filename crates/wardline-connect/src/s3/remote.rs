//! A directory that is a bucket, or what in it begins with one prefix.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rusty_s3::S3Action as _;
use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Place;
use super::calls::Call;
use crate::codes;
use crate::files::{Directory, Entry, Trouble, is_name, join, read_block, split, time_of};

/// What is written by one request, and the size of parts beyond that: 10,000 of them may be, so an object
/// may have 160 GB.
const PART: usize = 16 << 20;
/// Parts that an object may have.
const PARTS: u16 = 10_000;
/// What one request may copy.
const COPIED: u64 = 5 << 30;
/// Keys that are looked at in one directory, whatever they are.
const NAMES: usize = 100_000;
/// How often an object that is being read is taken up again at the same place.
const RESUMED: u32 = 3;

/// Objects of a bucket as the files of a directory.
pub struct Remote {
    place: Arc<ArcSwap<Place>>,
}

impl Remote {
    /// With settings that stay.
    pub fn of(place: Place) -> Self {
        Self::new(Arc::new(ArcSwap::from_pointee(place)))
    }

    /// What is set may change while it is in use.
    pub const fn new(place: Arc<ArcSwap<Place>>) -> Self {
        Self { place }
    }
}

fn key(place: &Place, path: &str) -> io::Result<String> {
    let (below, name) = split(path)?;
    Ok(format!(
        "{}{}",
        place.prefix,
        join(below.unwrap_or_default(), name)
    ))
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What is known of an object.
struct Known {
    size: u64,
    etag: String,
}

impl Known {
    fn of(headers: &HeaderMap) -> io::Result<Self> {
        let lacks = |what: &str| {
            let text = format!("the service does not tell {what} of an object");
            Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text)
        };
        Ok(Self {
            size: header(headers, CONTENT_LENGTH)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| lacks("the size"))?,
            etag: header(headers, ETAG)
                .ok_or_else(|| lacks("the ETag"))?
                .to_owned(),
        })
    }
}

impl Place {
    async fn look(&self, key: &str) -> io::Result<Option<Known>> {
        let action = self.bucket.head_object(Some(self.credentials()?), key);
        let call = Call::new(Method::HEAD, "looking at an object");
        match self.ask(&action, call).await {
            Ok(response) => Known::of(response.headers()).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &str) -> io::Result<()> {
        let action = self.bucket.delete_object(Some(self.credentials()?), key);
        let call = Call::new(Method::DELETE, "deleting an object");
        match self.ask(&action, call).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A piece of an object from `offset` on, and what it is of.
    async fn get(
        &self,
        key: &str,
        offset: u64,
        same: Option<&str>,
    ) -> io::Result<(Incoming, Known)> {
        let action = self.bucket.get_object(Some(self.credentials()?), key);
        let mut call = Call::new(Method::GET, "reading an object");
        if let Some(etag) = same {
            call = call
                .header(IF_MATCH, etag.to_owned())
                .header(RANGE, format!("bytes={offset}-"));
        }
        let response = self.ask(&action, call).await?;
        if same.is_some() {
            let range = header(response.headers(), CONTENT_RANGE);
            let right = range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")));
            if response.status() != StatusCode::PARTIAL_CONTENT || !right {
                let text = "the service does not give the rest of an object when it is asked for";
                let error = Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text);
                return Err(error);
            }
        }
        let known = Known::of(response.headers())?;
        Ok((response.into_body(), known))
    }

    async fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>> {
        let mut prefix = self.prefix.clone();
        if !below.is_empty() {
            prefix.push_str(below);
            prefix.push('/');
        }
        let (mut all, mut seen, mut token) = (Vec::new(), 0, None::<String>);
        loop {
            let mut action = self.bucket.list_objects_v2(Some(self.credentials()?));
            action.with_prefix(prefix.clone());
            action.with_delimiter("/");
            if let Some(token) = &token {
                action.with_continuation_token(token.clone());
            }
            let call = Call::new(Method::GET, "listing objects");
            let text = self.ask_whole(&action, call).await?;
            let listed = ListObjectsV2::parse_response(&text).map_err(|_| {
                let text = "the service's list of objects cannot be read";
                Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text)
            })?;
            seen += listed.contents.len() + listed.common_prefixes.len();
            for object in listed.contents {
                let Some(name) = object.key.strip_prefix(&prefix).filter(|one| is_name(one)) else {
                    continue;
                };
                all.push(Entry {
                    name: name.to_owned(),
                    size: object.size.unwrap_or_default(),
                    modified: object
                        .last_modified
                        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                        .map_or(SystemTime::UNIX_EPOCH, time_of),
                });
                if all.len() >= most {
                    return Ok(all);
                }
            }
            // A token that comes again would never end.
            match listed.next_continuation_token {
                Some(next) if token.as_ref() != Some(&next) && seen < NAMES => token = Some(next),
                _ => return Ok(all),
            }
        }
    }

    async fn put(&self, key: &str, body: Bytes) -> io::Result<()> {
        let action = self.bucket.put_object(Some(self.credentials()?), key);
        let call = Call::new(Method::PUT, "writing an object").with(body);
        self.ask(&action, call).await.map(drop)
    }

    /// Writes what begins with `first` in parts; what was begun and not ended is thrown away.
    async fn put_in_parts(&self, key: &str, first: Bytes, from: &mut dyn Read) -> io::Result<()> {
        let credentials = self.credentials()?;
        let begin = self.bucket.create_multipart_upload(Some(credentials), key);
        let call = Call::new(Method::POST, "beginning an object of parts");
        let text = self.ask_whole(&begin, call).await?;
        let begun = CreateMultipartUpload::parse_response(&text).map_err(|_| {
            let text = "the service does not say how the object of parts is called";
            Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text)
        })?;
        let id = begun.upload_id();
        let ended = self.parts(key, id, first, from).await;
        if ended.is_err() {
            let abort = self
                .bucket
                .abort_multipart_upload(Some(credentials), key, id);
            let call = Call::new(Method::DELETE, "throwing away parts");
            // They only take up room; the error that counts is the first.
            if let Err(second) = self.ask(&abort, call).await {
                tracing::warn!(error = %second, "parts of an object stay");
            }
        }
        ended
    }

    async fn parts(
        &self,
        key: &str,
        id: &str,
        first: Bytes,
        from: &mut dyn Read,
    ) -> io::Result<()> {
        let credentials = self.credentials()?;
        let (mut etags, mut part) = (Vec::new(), first);
        while !part.is_empty() {
            let number = u16::try_from(etags.len() + 1).unwrap_or(u16::MAX);
            if number > PARTS {
                return Err(invalid("it is larger than the service takes"));
            }
            let action = self.bucket.upload_part(Some(credentials), key, number, id);
            let call = Call::new(Method::PUT, "writing a part of an object").with(part);
            let response = self.ask(&action, call).await?;
            let etag = header(response.headers(), ETAG).ok_or_else(|| {
                let text = "the service does not tell the ETag of a part";
                Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text)
            })?;
            etags.push(etag.to_owned());
            part = block(from)?;
        }
        let etags = etags.iter().map(String::as_str);
        let action = self
            .bucket
            .complete_multipart_upload(Some(credentials), key, id, etags);
        let body = action.clone().body();
        let call = Call::new(Method::POST, "ending an object of parts").with(body);
        match self.ask_whole(&action, call).await {
            // An answer that was lost: whoever asks again is told that there is nothing to end.
            Err(error)
                if error.kind() == ErrorKind::NotFound && self.look(key).await?.is_some() =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    async fn copy(&self, from: &str, of: &Known, to: &str) -> io::Result<()> {
        let mut action = self.bucket.put_object(Some(self.credentials()?), to);
        let source = format!("/{}/{}", self.bucket.name(), encode(from));
        action
            .headers_mut()
            .insert("x-amz-copy-source", source.clone());
        action
            .headers_mut()
            .insert("x-amz-copy-source-if-match", of.etag.clone());
        let call = Call::new(Method::PUT, "copying an object")
            .header(http::HeaderName::from_static("x-amz-copy-source"), source)
            .header(
                http::HeaderName::from_static("x-amz-copy-source-if-match"),
                of.etag.clone(),
            );
        self.ask_whole(&action, call).await.map(drop)
    }
}

/// A key as it stands in a header.
fn encode(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

/// As much as one part has.
fn block(from: &mut dyn Read) -> io::Result<Bytes> {
    let mut block = vec![0; PART];
    let length = read_block(from, &mut block)?;
    block.truncate(length);
    Ok(block.into())
}

impl Directory for Remote {
    fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>> {
        if !below.is_empty() && !is_name(below) {
            return Err(invalid("the name leads elsewhere"));
        }
        let place = self.place.load_full();
        Handle::current().block_on(place.list(below, most))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let place = self.place.load_full();
        let key = key(&place, path)?;
        let (body, known) = Handle::current().block_on(place.get(&key, 0, None))?;
        Ok(Box::new(Reading {
            place: Arc::clone(&self.place),
            key,
            known,
            body,
            given: 0,
            current: Bytes::new(),
            resumed: (0, 0),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let place = self.place.load_full();
        let (from, to) = (key(&place, from)?, key(&place, to)?);
        Handle::current().block_on(async {
            let Some(known) = place.look(&from).await? else {
                return Err(ErrorKind::NotFound.into());
            };
            if let Some(there) = place.look(&to).await? {
                // The same is what an attempt before copied and did not come to delete.
                if there.etag != known.etag || there.size != known.size {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                return place.delete(&from).await;
            }
            if known.size > COPIED {
                return Err(invalid(
                    "the service copies no object of more than 5 GiB; say `then: delete`",
                ));
            }
            place.copy(&from, &known, &to).await?;
            place.delete(&from).await
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let place = self.place.load_full();
        let key = key(&place, path)?;
        Handle::current().block_on(place.delete(&key))
    }

    fn write(&self, path: &str, from: &mut dyn Read) -> io::Result<()> {
        let place = self.place.load_full();
        let key = key(&place, path)?;
        let first = block(from)?;
        Handle::current().block_on(async {
            if first.len() < PART {
                place.put(&key, first).await
            } else {
                place.put_in_parts(&key, first, from).await
            }
        })
    }

    fn describe(&self) -> String {
        let place = self.place.load();
        let prefix = place.prefix.trim_end_matches('/');
        let name = place.bucket.name();
        if prefix.is_empty() {
            format!("s3://{name}")
        } else {
            format!("s3://{name}/{prefix}")
        }
    }
}

/// An object that is being read.
struct Reading {
    place: Arc<ArcSwap<Place>>,
    key: String,
    known: Known,
    body: Incoming,
    given: u64,
    current: Bytes,
    /// How often it was taken up again without getting on, and where that was.
    resumed: (u32, u64),
}

impl Reading {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            let place = self.place.load_full();
            let error = match timeout(place.timeout, self.body.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => return Ok(data),
                    Err(_) => continue,
                },
                Ok(None) if self.given >= self.known.size => return Ok(Bytes::new()),
                Ok(None) => lost("an object ends before its end"),
                Ok(Some(Err(_))) => lost("an object broke off"),
                Err(_) => place.silent("reading an object"),
            };
            if self.resumed.1 != self.given {
                self.resumed = (0, self.given);
            }
            self.resumed.0 += 1;
            if self.resumed.0 > RESUMED {
                return Err(error);
            }
            tracing::debug!(%error, at = self.given, "an object is taken up again");
            let same = Some(self.known.etag.as_str());
            self.body = place.get(&self.key, self.given, same).await?.0;
        }
    }
}

fn lost(text: &str) -> io::Error {
    Trouble::error(ErrorKind::NotConnected, codes::S3_LOST, text)
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            self.current = Handle::current().block_on(self.next())?;
        }
        let length = into.len().min(self.current.len());
        into[..length].copy_from_slice(&self.current.split_to(length));
        self.given += length as u64;
        if self.given > self.known.size {
            return Err(lost("an object is longer than the service said"));
        }
        Ok(length)
    }
}
