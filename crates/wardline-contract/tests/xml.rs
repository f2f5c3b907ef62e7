//! XML that is taken and XML that is not, as data. Each body is fed to the scanner whole and byte
//! by byte; the answer must be the same.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use proptest::prelude::*;
use wardline_contract::xml::{Limits, Refusal, Scanner, is_utf8, judge};

const LIMITS: Limits = Limits {
    depth: 4,
    nodes: 50,
    string: 400,
    bytes: 4_000,
};

fn scanned(body: &[u8], step: usize) -> Result<(), Refusal> {
    let mut scanner = Scanner::new(LIMITS);
    for piece in body.chunks(step) {
        scanner.feed(piece)?;
    }
    scanner.finish()
}

fn taken(body: &[u8]) -> Result<(), Refusal> {
    let whole = scanned(body, body.len().max(1));
    assert_eq!(whole, scanned(body, 1), "{}", String::from_utf8_lossy(body));
    whole.and_then(|()| judge(body))
}

fn utf16(text: &str, mark: bool, big: bool) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    let units = mark.into_iter().chain(text.encode_utf16());
    units
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

#[test]
fn what_is_harmless_is_taken() {
    for body in [
        "<a/>",
        "\u{feff}<a/>",
        "<?xml version=\"1.0\"?>\n<a/>\n",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a/>",
        "<!-- a - comment --><a b=\"1\" c='2'><d>x &amp; y &#65;&#x41; &lt;</d></a><!---->",
        "<a><![CDATA[ <!DOCTYPE x [ <!ENTITY y 'z'> ]> &y; ]] > ]]></a>",
        "<?xml-stylesheet href='x'?><s:a xmlns:s=\"urn:s\" t=\"a > b\"><s:b/></s:a>",
        "<a><b><c>é𝄞</c></b></a>",
        "<a b='&quot;&apos;'/>",
    ] {
        assert_eq!(taken(body.as_bytes()), Ok(()), "{body}");
    }
}

#[test]
fn what_parsers_are_broken_with_is_refused() {
    use Refusal::{
        Bytes, Depth, DocumentType, Encoding, Entity, Include, Malformed, Nodes, String as Long,
    };
    let laughs = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><l>&b;</l>";
    let deep = "<a>".repeat(5) + &"</a>".repeat(5);
    let wide = "<a>".to_owned() + &"<b/>".repeat(60) + "</a>";
    let attributes = (0..60).fold(String::new(), |text, at| text + &format!(" a{at}=''"));
    let cases: Vec<(Vec<u8>, Refusal)> = [
        (laughs.to_owned(), DocumentType),
        (
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>".to_owned(),
            DocumentType,
        ),
        (
            "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://x/'> %p;]><a/>".to_owned(),
            DocumentType,
        ),
        ("<!doctype a><a/>".to_owned(), DocumentType),
        (
            "<?xml version='1.0'?><!-- x --><!DOCTYPE a><a/>".to_owned(),
            DocumentType,
        ),
        ("<a><!ENTITY x 'y'></a>".to_owned(), DocumentType),
        ("<a><![INCLUDE[x]]></a>".to_owned(), DocumentType),
        ("<a>&x;</a>".to_owned(), Entity),
        ("<a b='&x;'/>".to_owned(), Entity),
        ("<a>&#12x;</a>".to_owned(), Entity),
        ("<a>&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(), Entity),
        ("<a>& b</a>".to_owned(), Malformed),
        ("<a>&#0;</a>".to_owned(), Malformed),
        (
            "<?xml version='1.0' encoding='UTF-16'?><a/>".to_owned(),
            Encoding,
        ),
        (
            "<?xml version='1.0' encoding='utf-7'?><a/>".to_owned(),
            Encoding,
        ),
        (
            "<?xml version='1.0' encoding='IBM037'?><a/>".to_owned(),
            Encoding,
        ),
        ("+ADw-a/+AD4-".to_owned(), Malformed),
        (
            "<a xmlns:x='http://www.w3.org/2001/XInclude'><x:include href='/etc/passwd'/></a>"
                .to_owned(),
            Include,
        ),
        (
            "<a x='http://www.w3.org/2001/XInclud&#101;'/>".to_owned(),
            Include,
        ),
        (deep, Depth(4)),
        (wide, Nodes(50)),
        (format!("<a{attributes}/>"), Nodes(50)),
        (format!("<a>{}</a>", "x".repeat(401)), Long(400)),
        (format!("<a b='{}'/>", "x".repeat(401)), Long(400)),
        (format!("<!--{}--><a/>", "x".repeat(401)), Long(400)),
        (format!("<{}/>", "x".repeat(401)), Long(400)),
        (
            "<a>x</a>".to_owned() + &" <!-- -->".repeat(1_000),
            Bytes(4_000),
        ),
        (String::new(), Malformed),
        ("<a>".to_owned(), Malformed),
        ("</a>".to_owned(), Malformed),
        ("<a></b>".to_owned(), Malformed),
        ("<a/><b/>".to_owned(), Malformed),
        ("<a/>x".to_owned(), Malformed),
        ("<a b='1' b='2'/>".to_owned(), Malformed),
        ("<a b='<'/>".to_owned(), Malformed),
        ("<a b=1/>".to_owned(), Malformed),
        ("<a><!-- a -- b --></a>".to_owned(), Malformed),
        ("{\"a\":1}".to_owned(), Malformed),
        ("<a/><?xml version='1.0'?>".to_owned(), Malformed),
    ]
    .into_iter()
    .map(|(text, refusal)| (text.into_bytes(), refusal))
    .chain([
        (utf16(laughs, true, false), Encoding),
        (utf16(laughs, true, true), Encoding),
        (utf16(laughs, false, false), Encoding),
        (utf16(laughs, false, true), Malformed),
        (b"<a>\xff</a>".to_vec(), Encoding),
        (b"<a>\xe9</a>".to_vec(), Encoding),
        (b"<a>\0</a>".to_vec(), Encoding),
        // UTF-32 and EBCDIC.
        (b"\0\0\0<\0\0\0a".to_vec(), Encoding),
        (b"\x4c\x6f\xa7\x94\x93".to_vec(), Malformed),
    ])
    .collect();
    let mut wrong = Vec::new();
    for (body, refusal) in cases {
        let found = taken(&body);
        // A NUL that comes first is found before what is no `<`.
        let either = refusal == Malformed && found == Err(Encoding) && body.contains(&0);
        if found != Err(refusal) && !either {
            wrong.push(format!(
                "{}: {found:?}, not {refusal:?}",
                String::from_utf8_lossy(&body)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_charset_that_makes_it_something_else_is_seen() {
    for good in [
        "text/xml",
        "text/xml; charset=UTF-8",
        "application/xml;charset=\"utf-8\"; x=y",
    ] {
        assert!(is_utf8(good), "{good}");
    }
    for bad in [
        "text/xml; charset=utf-16",
        "text/xml;CHARSET=utf-7",
        "text/xml; charset=utf-8; charset=utf-16",
        "text/xml; charset",
    ] {
        assert!(!is_utf8(bad), "{bad}");
    }
}

proptest! {
    /// Whatever comes, nothing panics, pieces make no difference, and what passes holds no document
    /// type outside of comments and CDATA sections.
    #[test]
    fn any_bytes_are_answered(body in "(<|>|/|!|-|\\[|\\]|CDATA|DOCTYPE|\\?|xml|&|;|a|'|\"|=| |#|x41){0,30}") {
        let found = taken(body.as_bytes());
        if found.is_ok() {
            prop_assert!(body.contains("<a") || body.contains("<x") || body.contains("<CDATA") || body.contains("<DOCTYPE"));
            prop_assert!(!body.contains("<!DOCTYPE") || body.contains("<!--") || body.contains("[CDATA[") || body.contains("<?"));
        }
    }

    #[test]
    fn any_raw_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = taken(&body);
    }
}
