//! Bytes that nobody meant well: every one is refused or opened, none panics, none takes long.

use std::path::Path;

use proptest::prelude::*;
use wardline_soap::envelope::Envelope;
use wardline_soap::mtom::{MtomError, Package, write};
use wardline_soap::source::Directory;
use wardline_soap::wsdl::Definitions;
use wardline_soap::xml::{Element, Limits, parse};
use wardline_soap::xsd::Schemas;

const GOOD: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header/><s:Body>\
    <CreateOrder xmlns='urn:orders'><number>1</number><line><item>A</item><quantity>2</quantity></line></CreateOrder>\
    </s:Body></s:Envelope>";

#[test]
fn a_message_that_is_cut_anywhere_is_refused() {
    for end in 0..GOOD.len() {
        assert!(
            Envelope::parse(&GOOD.as_bytes()[..end], Limits::MESSAGE).is_err(),
            "{end}"
        );
    }
    assert!(Envelope::parse(GOOD.as_bytes(), Limits::MESSAGE).is_ok());
}

#[test]
fn envelopes_of_another_shape_are_refused() {
    let ns = "xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'";
    for text in [
        "<Envelope><Body/></Envelope>".to_owned(),
        format!("<s:Envelope {ns}/>"),
        format!("<s:Envelope {ns}><s:Body/><s:Body/></s:Envelope>"),
        format!("<s:Envelope {ns}><s:Body/><s:Header/></s:Envelope>"),
        format!("<s:Envelope {ns}><s:Header/><s:Header/><s:Body/></s:Envelope>"),
        format!("<s:Envelope {ns}>text<s:Body/></s:Envelope>"),
    ] {
        assert!(
            Envelope::parse(text.as_bytes(), Limits::MESSAGE).is_err(),
            "{text}"
        );
    }
}

/// What grows without bound in a careless reader ends at a limit here.
#[test]
fn bombs_end_at_a_limit() {
    let laughs = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]><l>&c;</l>";
    assert!(parse(laughs.as_bytes(), Limits::MESSAGE).is_err());
    let deep = "<a>".repeat(1_000_000);
    assert!(parse(deep.as_bytes(), Limits::MESSAGE).is_err());
    let many = format!("<a>{}</a>", "<b/>".repeat(300_000));
    assert!(parse(many.as_bytes(), Limits::MESSAGE).is_err());
    let prefixes: String = (0..100)
        .map(|n| format!("<a xmlns:p{n}='u{n}' xmlns:q{n}='v{n}'>"))
        .collect();
    assert!(parse(prefixes.as_bytes(), Limits::MESSAGE).is_err());
}

fn package(parts: &[(&str, &[u8])], include: &str) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    let root = format!(
        "<a><b><i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='{include}'/></b></a>"
    );
    body.extend_from_slice(
        b"--X\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n",
    );
    body.extend_from_slice(root.as_bytes());
    for (id, bytes) in parts {
        body.extend_from_slice(
            format!("\r\n--X\r\nContent-ID: <{id}>\r\nContent-Transfer-Encoding: binary\r\n\r\n")
                .as_bytes(),
        );
        body.extend_from_slice(bytes);
    }
    body.extend_from_slice(b"\r\n--X--\r\n");
    (
        "multipart/related; type=\"application/xop+xml\"; boundary=X; start=\"<root>\"".to_owned(),
        body,
    )
}

#[test]
fn parts_are_put_back_where_they_are_referred_to() {
    let (kind, body) = package(&[("a@b", b"%PDF\r\n--Y\r\n\0\xff")], "cid:a%40b");
    let package_read = Package::read(&kind, &body).unwrap();
    let mut root = parse(package_read.root, Limits::MESSAGE).unwrap();
    package_read.put_back(&mut root, 1000).unwrap();
    assert_eq!(root.child("", "b").unwrap().text(), "JVBERg0KLS1ZDQoA/w==");
    assert_eq!(
        package_read
            .put_back(&mut parse(package_read.root, Limits::MESSAGE).unwrap(), 10)
            .unwrap_err(),
        MtomError::Bytes(10)
    );
    for end in 0..body.len() - 4 {
        assert!(Package::read(&kind, &body[..end]).is_err(), "{end}");
    }
    let (kind, body) = package(&[("a", b"1"), ("a", b"2")], "cid:a");
    assert_eq!(Package::read(&kind, &body).unwrap_err(), MtomError::Part);
    let (kind, body) = package(&[("a", b"1")], "http://elsewhere.example/a");
    let read = Package::read(&kind, &body).unwrap();
    let mut root = parse(read.root, Limits::MESSAGE).unwrap();
    assert_eq!(read.put_back(&mut root, 1000).unwrap_err(), MtomError::Part);
    let many: Vec<(String, &[u8])> = (0..60).map(|n| (n.to_string(), &b"x"[..])).collect();
    let many: Vec<(&str, &[u8])> = many
        .iter()
        .map(|(id, bytes)| (id.as_str(), *bytes))
        .collect();
    let (kind, body) = package(&many, "cid:1");
    assert_eq!(Package::read(&kind, &body).unwrap_err(), MtomError::TooMany);
}

#[test]
fn bytes_travel_beside_the_message() {
    let source = Directory::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"));
    let orders = Definitions::read(&source, "orders.wsdl").unwrap();
    let create = orders
        .port(None, None)
        .unwrap()
        .operation("CreateOrder")
        .unwrap();
    let value = serde_json::json!({"number": "1", "line": [{"item": "A", "quantity": "1"}], "attachment": "JVBERg0KLS1ZDQoA/w=="});
    let body = create.input.encode(&orders.schemas, &value).unwrap();
    let mut envelope = Envelope::new(wardline_soap::wsdl::Version::V11, Vec::new(), body);
    let (kind, bytes) = write(&mut envelope.root, "text/xml", "edge", 4).unwrap();
    assert!(memchr::memmem::find(&bytes, b"%PDF\r\n--Y\r\n\0\xff").is_some());
    let package = Package::read(&kind, &bytes).unwrap();
    let mut root = parse(package.root, Limits::MESSAGE).unwrap();
    package.put_back(&mut root, 1 << 20).unwrap();
    let envelope = Envelope::open(root).unwrap();
    assert_eq!(
        create
            .input
            .decode(&orders.schemas, &envelope.content())
            .unwrap(),
        value
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _refused_or_not = Envelope::parse(&bytes, Limits::MESSAGE);
        let _refused_or_not = Package::read("multipart/related; type=\"application/xop+xml\"; boundary=a", &bytes);
    }

    #[test]
    fn no_change_of_a_good_message_panics(at in 0..GOOD.len(), with in any::<u8>(), cut in 0..20_usize) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = with;
        bytes.drain(at..(at + cut).min(GOOD.len()));
        if let Ok(envelope) = Envelope::parse(&bytes, Limits::MESSAGE) {
            let written = envelope.write();
            if let Ok(written) = written {
                prop_assert!(Envelope::parse(&written, Limits::MESSAGE).is_ok());
            }
        }
    }

    #[test]
    fn what_is_written_reads_back(text in "[ -~\t\r\nà-ü]{0,60}", name in "[a-zA-Z_][a-zA-Z0-9._-]{0,10}") {
        let element = Element::of("urn:x", &name).with_text(text.clone());
        let read = parse(&wardline_soap::xml::write(&element).unwrap(), Limits::MESSAGE).unwrap();
        prop_assert_eq!(read.text(), text);
        prop_assert!(read.name.is("urn:x", &name));
    }
}

/// Schemas that others could slip into an estate end with a reason, and soon.
#[test]
fn schemas_that_grow_are_refused() {
    use wardline_soap::source::Held;
    let wrap = |inner: &str| {
        format!(
            "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:t' targetNamespace='urn:t'>{inner}</xs:schema>"
        )
    };
    let read = |files: Vec<(String, String)>| {
        let held = files.into_iter().map(|(name, text)| (name, text.into()));
        Schemas::read(&Held::new(held), "0.xsd").map(|_| ())
    };
    let one = |inner: &str| read(vec![("0.xsd".to_owned(), wrap(inner))]);
    // Files that include each other are read once.
    let chain = |last: usize, back: &str| {
        let text = |at: usize| match at {
            at if at == last => wrap(back),
            at => wrap(&format!("<xs:include schemaLocation='{}.xsd'/>", at + 1)),
        };
        read(
            (0..=last)
                .map(|at| (format!("{at}.xsd"), text(at)))
                .collect(),
        )
    };
    assert_eq!(chain(20, "<xs:include schemaLocation='0.xsd'/>"), Ok(()));
    assert!(
        chain(250, "")
            .unwrap_err()
            .to_string()
            .contains("200 files")
    );
    for (inner, expected) in [
        ("<xs:include schemaLocation='../0.xsd'/>", "leads out"),
        (
            "<xs:include schemaLocation='/etc/passwd'/>",
            "is not a path relative",
        ),
        (
            "<xs:include schemaLocation='http://x.example/a.xsd'/>",
            "is not fetched",
        ),
        (
            "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' maxOccurs='99999999999'/></xs:sequence></xs:complexType></xs:element>",
            "is not a number",
        ),
    ] {
        let said = one(inner).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    // A billion repetitions cost nothing until somebody sends them.
    assert_eq!(
        one(
            "<xs:element name='a'><xs:complexType><xs:sequence maxOccurs='1000000000'><xs:element name='b' minOccurs='0' maxOccurs='1000000000'/></xs:sequence></xs:complexType></xs:element>"
        ),
        Ok(())
    );
    // Types that inherit much from each other, and groups within groups.
    let many: String = (0..20_000)
        .map(|at| format!("<xs:element name='e{at}'/>"))
        .collect();
    let mut types =
        format!("<xs:complexType name='t0'><xs:sequence>{many}</xs:sequence></xs:complexType>");
    for at in 1..63 {
        types += &format!(
            "<xs:complexType name='t{at}'><xs:complexContent><xs:extension base='t:t{}'/></xs:complexContent></xs:complexType>",
            at - 1
        );
    }
    assert!(
        one(&types)
            .unwrap_err()
            .to_string()
            .contains("a million parts")
    );
    let mut groups =
        "<xs:group name='g0'><xs:sequence><xs:element name='a'/></xs:sequence></xs:group>"
            .to_owned();
    for at in 1..31 {
        let part = format!("<xs:group ref='t:g{}'/>", at - 1);
        groups +=
            &format!("<xs:group name='g{at}'><xs:sequence>{part}{part}</xs:sequence></xs:group>");
    }
    groups += "<xs:complexType name='c'><xs:group ref='t:g30'/></xs:complexType>";
    assert!(
        one(&groups)
            .unwrap_err()
            .to_string()
            .contains("200 000 parts")
    );
}
