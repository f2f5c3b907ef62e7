//! XML that is passed on to systems: bounded while it is read, and free of what XML parsers have
//! been broken with.
//!
//! Nobody here knows which parser stands behind, so what any of them could be led astray by is
//! refused: document types and with them every kind of entity (billion laughs, external entities,
//! parameter entities), references to entities that XML itself does not define, XInclude, and every
//! encoding but UTF-8, since a parser that reads the same bytes otherwise sees other markup.
//!
//! [`Scanner`] is fed the body as it arrives and stops at the byte where that is certain or a limit
//! is broken; its memory does not grow. [`judge`] looks at a whole body and says whether it is well
//! formed, with a parser that others wrote (`quick-xml`). A body passes where both agree.

mod scan;

pub use scan::Scanner;

use http::StatusCode;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

/// Content types of XML that an operation takes.
pub const MEDIA: [&str; 3] = ["application/xml", "text/xml", "application/soap+xml"];
/// Where XInclude lives; a parser that follows it fetches what the sender names.
const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// Entities that need no declaration (XML 1.0, 4.6).
pub(super) const PREDEFINED: [&str; 5] = ["amp", "lt", "gt", "apos", "quot"];

/// How much XML is taken. Every limit is the largest count that is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements open at the same time.
    pub depth: u32,
    /// Elements and attributes of the whole document.
    pub nodes: u32,
    /// Bytes of one text, attribute, comment or tag.
    pub string: u32,
    /// Bytes of the whole document.
    pub bytes: u64,
}

/// Why XML is refused. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is larger than it may be.
    #[error("it is larger than {0} bytes")]
    Bytes(u64),
    /// Elements within elements.
    #[error("more than {0} elements are open at a time")]
    Depth(u32),
    /// Elements and attributes.
    #[error("it has more than {0} elements and attributes")]
    Nodes(u32),
    /// One piece of it is too long.
    #[error("a text, tag or comment is longer than {0} bytes")]
    String(u32),
    /// `<!DOCTYPE` or another declaration.
    #[error("document types and declarations are not taken")]
    DocumentType,
    /// `&name;` beyond the five of XML.
    #[error("entities are not taken, except &amp; &lt; &gt; &apos; &quot; and numbers")]
    Entity,
    /// Other bytes than UTF-8, or another encoding declared.
    #[error("only UTF-8 is taken")]
    Encoding,
    /// XInclude.
    #[error("XInclude is not taken")]
    Include,
    /// It is not well formed.
    #[error("it is not well-formed XML")]
    Malformed,
}

impl Refusal {
    /// 413 where there is too much of it, else 400.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Bytes(_) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Whether a content type says that the body is UTF-8, or nothing. `text/xml; charset=utf-16` makes
/// a parser read UTF-8 bytes as something else.
pub fn is_utf8(content_type: &str) -> bool {
    content_type.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset") || known(value.trim().trim_matches('"'))
    })
}

fn known(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("us-ascii")
}

/// Whether a whole body is one well-formed document of UTF-8 without entities of its own.
///
/// ```
/// use wardline_contract::xml::{Refusal, judge};
/// assert_eq!(judge(b"<order><line/></order>"), Ok(()));
/// assert_eq!(judge(b"<!DOCTYPE order><order/>"), Err(Refusal::DocumentType));
/// assert_eq!(judge(b"<order>"), Err(Refusal::Malformed));
/// ```
///
/// # Errors
/// Why not.
pub fn judge(body: &[u8]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut depth = 0_u32;
    let mut roots = 0_u32;
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|_| Refusal::Malformed)?;
        match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(Refusal::DocumentType),
            Event::Decl(declaration) => {
                if !first {
                    return Err(Refusal::Malformed);
                }
                match declaration.encoding() {
                    None => {}
                    Some(Ok(encoding)) if known(&encoding) => {}
                    Some(_) => return Err(Refusal::Encoding),
                }
            }
            Event::Start(start) => {
                roots += u32::from(depth == 0);
                depth += 1;
                element(&start)?;
            }
            Event::Empty(start) => {
                roots += u32::from(depth == 0);
                element(&start)?;
            }
            Event::End(_) => depth = depth.checked_sub(1).ok_or(Refusal::Malformed)?,
            Event::GeneralRef(reference) => {
                if depth == 0 {
                    return Err(Refusal::Malformed);
                }
                if reference.is_char_ref() {
                    reference
                        .resolve_char_ref()
                        .map_err(|_| Refusal::Malformed)?;
                } else if !PREDEFINED.contains(&&*reference) {
                    return Err(Refusal::Entity);
                }
            }
            Event::Text(text) => {
                let blank = text.bytes().all(|byte| b" \t\r\n".contains(&byte));
                if depth == 0 && !blank {
                    return Err(Refusal::Malformed);
                }
            }
            Event::CData(_) => {
                if depth == 0 {
                    return Err(Refusal::Malformed);
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
        }
        first = false;
    }
    if roots == 1 && depth == 0 {
        Ok(())
    } else {
        Err(Refusal::Malformed)
    }
}

fn element(start: &BytesStart<'_>) -> Result<(), Refusal> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| Refusal::Malformed)?;
        if attribute.value.contains('<') {
            return Err(Refusal::Malformed);
        }
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| Refusal::Entity)?;
        if value.trim() == XINCLUDE {
            return Err(Refusal::Include);
        }
    }
    Ok(())
}
