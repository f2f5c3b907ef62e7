//! MTOM: bytes beside the envelope instead of within it, as a multipart message (XOP).

use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::xml::{Element, Name, Node};

/// The namespace of references to parts.
pub const XOP: &str = "http://www.w3.org/2004/08/xop/include";
/// Parts of one message.
const MOST_PARTS: usize = 50;
/// Bytes of the header lines of one part.
const LONGEST_HEAD: usize = 8 << 10;

/// Why a multipart message cannot be read. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MtomError {
    /// The content type names no boundary, or not XOP.
    #[error(
        "its content type is not multipart/related with type application/xop+xml and a boundary"
    )]
    ContentType,
    /// A part is not built as it should be, or has no end.
    #[error("a part of the multipart message is cut or not built as it should be")]
    Malformed,
    /// Too many parts.
    #[error("it has more than 50 parts")]
    TooMany,
    /// Two parts have the same id, or none has the one that is asked for.
    #[error("a part that is referred to is not there, or there twice")]
    Part,
    /// What is put together is larger than it may be.
    #[error("put together it is larger than {0} bytes")]
    Bytes(usize),
}

/// A message in parts.
#[derive(Debug)]
pub struct Package<'a> {
    /// The envelope.
    pub root: &'a [u8],
    /// The content type that the root says it has.
    pub root_type: String,
    parts: AHashMap<String, &'a [u8]>,
}

/// A parameter of a content type, quotes taken off.
pub fn parameter(content_type: &str, name: &str) -> Option<String> {
    let mut rest = content_type.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = if let Some(quoted) = after.strip_prefix('"') {
            let mut value = String::new();
            let mut characters = quoted.char_indices();
            let mut end = None;
            while let Some((at, one)) = characters.next() {
                match one {
                    '"' => {
                        end = Some(at + 1);
                        break;
                    }
                    '\\' => value.extend(characters.next().map(|(_, one)| one)),
                    other => value.push(other),
                }
            }
            (value, quoted.get(end?..)?)
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next.trim_start().strip_prefix(';')?;
    }
}

/// Whether a content type is of a message in parts.
pub fn is_package(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("multipart/related")
}

impl<'a> Package<'a> {
    /// Takes a body apart.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn read(content_type: &str, body: &'a [u8]) -> Result<Self, MtomError> {
        let kind = parameter(content_type, "type").unwrap_or_default();
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        if !is_package(content_type)
            || !kind.eq_ignore_ascii_case("application/xop+xml")
            || boundary.is_empty()
            || boundary.len() > 70
        {
            return Err(MtomError::ContentType);
        }
        let start = parameter(content_type, "start").map(|id| bare(&id).to_owned());
        let mark = format!("--{boundary}");
        let finder = memchr::memmem::Finder::new(mark.as_bytes());
        let mut at = if body.starts_with(mark.as_bytes()) {
            mark.len()
        } else {
            let before = format!("\r\n{mark}");
            memchr::memmem::find(body, before.as_bytes()).ok_or(MtomError::Malformed)?
                + before.len()
        };
        let mut root = None;
        let mut parts = AHashMap::new();
        let mut count = 0;
        loop {
            let rest = &body[at..];
            if rest.starts_with(b"--") {
                break;
            }
            let line = memchr::memmem::find(rest, b"\r\n").ok_or(MtomError::Malformed)?;
            if !rest[..line].iter().all(|byte| b" \t".contains(byte)) {
                return Err(MtomError::Malformed);
            }
            count += 1;
            if count > MOST_PARTS {
                return Err(MtomError::TooMany);
            }
            let rest = &rest[line..];
            let begin = at + line;
            let head = memchr::memmem::find(&rest[..rest.len().min(LONGEST_HEAD)], b"\r\n\r\n")
                .ok_or(MtomError::Malformed)?;
            let content = begin + head + 4;
            let end = finder
                .find_iter(&body[content..])
                .map(|found| content + found)
                .find(|found| *found >= content + 2 && &body[found - 2..*found] == b"\r\n")
                .ok_or(MtomError::Malformed)?;
            let bytes = &body[content..end - 2];
            at = end + mark.len();
            let (id, kind) = head_of(&rest[..head])?;
            let is_root = match &start {
                Some(start) => id.as_deref() == Some(start),
                None => count == 1,
            };
            if is_root {
                if root.is_some() {
                    return Err(MtomError::Part);
                }
                root = Some((bytes, kind));
            } else if let Some(id) = id
                && parts.insert(id, bytes).is_some()
            {
                return Err(MtomError::Part);
            }
        }
        let (root, root_type) = root.ok_or(MtomError::Part)?;
        Ok(Self {
            root,
            root_type,
            parts,
        })
    }

    /// Puts the parts back to where they are referred to, as base64; at most `limit` bytes of it.
    ///
    /// # Errors
    /// Where a part is not there, or too much would come of it.
    pub fn put_back(&self, root: &mut Element, limit: usize) -> Result<(), MtomError> {
        let mut left = limit;
        self.put(root, &mut left, limit)
    }

    fn put(&self, element: &mut Element, left: &mut usize, limit: usize) -> Result<(), MtomError> {
        for child in &mut element.children {
            let Node::Element(inner) = child else {
                continue;
            };
            if !inner.name.is(XOP, "Include") {
                self.put(inner, left, limit)?;
                continue;
            }
            let id = inner
                .attribute("href")
                .and_then(|href| href.strip_prefix("cid:"))
                .map(unescape)
                .ok_or(MtomError::Part)?;
            let bytes = self.parts.get(&id).ok_or(MtomError::Part)?;
            let size = bytes.len().div_ceil(3) * 4;
            *left = left.checked_sub(size).ok_or(MtomError::Bytes(limit))?;
            *child = Node::Text(STANDARD.encode(bytes));
        }
        Ok(())
    }
}

fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = hex {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The id and the content type of a part. A transfer encoding that changes bytes is not taken.
fn head_of(head: &[u8]) -> Result<(Option<String>, String), MtomError> {
    let text = std::str::from_utf8(head).map_err(|_| MtomError::Malformed)?;
    let mut id = None;
    let mut kind = String::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(MtomError::Malformed)?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-id" => id = Some(bare(value).to_owned()),
            "content-type" => value.clone_into(&mut kind),
            "content-transfer-encoding"
                if !["binary", "8bit", "7bit"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known)) =>
            {
                return Err(MtomError::Malformed);
            }
            _ => {}
        }
    }
    Ok((id, kind))
}

/// Moves values of base64 elements of at least `threshold` bytes into parts, and gives the content type
/// and the body. `boundary` must be unique; `start_info` is the media type of the envelope.
pub fn write(
    root: &mut Element,
    start_info: &str,
    boundary: &str,
    threshold: usize,
) -> Result<(String, Vec<u8>), crate::xml::XmlError> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    take_out(root, boundary, threshold, &mut parts);
    let envelope = crate::xml::write(root)?;
    let mut body = Vec::with_capacity(
        envelope.len() + parts.iter().map(|part| part.len() + 256).sum::<usize>() + 512,
    );
    body.extend_from_slice(
        format!(
            "--{boundary}\r\nContent-Type: application/xop+xml; charset=utf-8; type=\"{start_info}\"\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: <root@{boundary}>\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(&envelope);
    for (index, part) in parts.iter().enumerate() {
        body.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Transfer-Encoding: binary\r\nContent-ID: <{index}@{boundary}>\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(part);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let content_type = format!(
        "multipart/related; type=\"application/xop+xml\"; boundary=\"{boundary}\"; \
         start=\"<root@{boundary}>\"; start-info=\"{start_info}\""
    );
    Ok((content_type, body))
}

fn take_out(element: &mut Element, boundary: &str, threshold: usize, parts: &mut Vec<Vec<u8>>) {
    if element.is_base64 && parts.len() + 1 < MOST_PARTS {
        let text = element.text();
        if text.len() / 4 * 3 >= threshold
            && let Ok(bytes) = STANDARD.decode(text.as_bytes())
        {
            let href = format!("cid:{}@{boundary}", parts.len());
            parts.push(bytes);
            let include = Element::of(XOP, "Include").with_attribute(Name::new("", "href"), href);
            element.children = vec![Node::Element(include)];
        }
        return;
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            take_out(child, boundary, threshold, parts);
        }
    }
}
