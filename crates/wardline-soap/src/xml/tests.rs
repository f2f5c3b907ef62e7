use super::*;

fn read(text: &str) -> Result<Element, XmlError> {
    parse(text.as_bytes(), Limits::MESSAGE)
}

#[test]
fn what_parsers_were_broken_with_is_refused() {
    let deep = "<a>".repeat(100) + &"</a>".repeat(100);
    let wide: String = (0..200).map(|n| format!(" a{n}='1'")).collect();
    let cases = [
        (
            "<!DOCTYPE a SYSTEM 'http://elsewhere.example/a.dtd'><a/>",
            XmlError::DocumentType,
        ),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;'>]><a>&d;</a>",
            XmlError::DocumentType,
        ),
        ("<a>&b;</a>", XmlError::Entity),
        ("<a b='&c;'/>", XmlError::Entity),
        (
            "<?xml version='1.0' encoding='utf-16'?><a/>",
            XmlError::Encoding,
        ),
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
            XmlError::Encoding,
        ),
        ("<a><?php evil ?></a>", XmlError::Instruction),
        ("<a>\u{1}</a>", XmlError::Character),
        ("<a>&#1;</a>", XmlError::Character),
        ("<a>", XmlError::Cut),
        ("<a><b>text", XmlError::Cut),
        ("<a", XmlError::Cut),
        ("", XmlError::Cut),
        (deep.as_str(), XmlError::Depth(64)),
    ];
    for (text, expected) in cases {
        assert_eq!(
            read(text).unwrap_err(),
            expected,
            "{}",
            &text[..text.len().min(60)]
        );
    }
    for text in [
        "<a/><b/>",
        "text",
        "<a/>text",
        "<a></b>",
        "<a b='1' b='2'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<1a/>",
        "<a:b:c xmlns:a='u'/>",
        "<a b='<'/>",
        "<a><!-- -- --></a>",
    ] {
        assert!(
            matches!(read(text), Err(XmlError::Malformed(_))),
            "{text}: {:?}",
            read(text)
        );
    }
    for text in [
        "<p:a/>",
        "<a p:b='1'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    ] {
        assert!(matches!(read(text), Err(XmlError::Namespace(_))), "{text}");
    }
    assert_eq!(
        read(&format!("<a{wide}/>")).unwrap_err(),
        XmlError::Attributes(128)
    );
    assert_eq!(
        parse(b"\xff\xfe<\0a\0/\0>\0", Limits::MESSAGE).unwrap_err(),
        XmlError::Encoding
    );
    assert_eq!(
        parse(b"<a/>", Limits::MESSAGE.of_bytes(3)).unwrap_err(),
        XmlError::Bytes(3)
    );
}

#[test]
fn a_comment_does_not_split_a_value() {
    let read = read("<user>admin<!-- -->@example&#13;<![CDATA[<x>]]></user>").unwrap();
    assert_eq!(read.text(), "admin@example\r<x>");
}

#[test]
fn what_is_written_reads_back() {
    let written = write(
        &Element::of("urn:a", "order")
            .with_attribute(Name::new("", "note"), "a\"b<c>\t\r\n")
            .with(Element::of("urn:b", "line").with_text("PID|1\rOBX|&<>"))
            .with(Element::of("", "bare")),
    )
    .unwrap();
    let read = parse(&written, Limits::MESSAGE).unwrap();
    assert!(read.name.is("urn:a", "order"));
    assert_eq!(read.attribute("note"), Some("a\"b<c>\t\r\n"));
    assert_eq!(
        read.child("urn:b", "line").unwrap().text(),
        "PID|1\rOBX|&<>"
    );
    assert!(read.child("", "bare").is_some());
    assert_eq!(
        write(&Element::of("", "a").with_text("\u{0}")).unwrap_err(),
        XmlError::Character
    );
}

/// The example of Exclusive XML Canonicalization 1.0, section 2.2.
#[test]
fn an_element_is_canonical_wherever_it_stands() {
    let alone = "<n1:elem2 xmlns:n0=\"http://a.example\" xmlns:n1=\"http://b.example\" xml:lang=\"en\">\n\
                 <n3:stuff xmlns:n3=\"ftp://example.org\"/>\n</n1:elem2>";
    let inside = format!("<n0:pdu xmlns:n0='http://a.example' xmlns:x='urn:x'>{alone}</n0:pdu>");
    let expected = "<n1:elem2 xmlns:n1=\"http://b.example\" xml:lang=\"en\">\n\
                    <n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff>\n</n1:elem2>";
    let outer = read(&inside).unwrap();
    let moved = outer.elements().next().unwrap();
    assert_eq!(String::from_utf8(canonical(moved, &[])).unwrap(), expected);
    assert_eq!(
        String::from_utf8(canonical(&read(alone).unwrap(), &[])).unwrap(),
        expected
    );
    let with = String::from_utf8(canonical(moved, &["x"])).unwrap();
    assert!(with.contains("xmlns:x=\"urn:x\""), "{with}");
    let order = read("<a b:z='1' y='2' xmlns:b='urn:0' xmlns='urn:d'><c xmlns=''/></a>").unwrap();
    assert_eq!(
        String::from_utf8(canonical(&order, &[])).unwrap(),
        "<a xmlns=\"urn:d\" xmlns:b=\"urn:0\" y=\"2\" b:z=\"1\"><c xmlns=\"\"></c></a>"
    );
}
