//! XML Schemas, and documents by one: none panics, and what was read can be written and reads as the
//! same again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wardline_soap::source::Held;
use wardline_soap::typed::{decode, encode, known, members, Known};
use wardline_soap::xml::{parse, write_document, Limits};
use wardline_soap::xsd::Schemas;

const ORDER: &str = r###"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:po" targetNamespace="urn:po" elementFormDefault="qualified">
  <xs:element name="order" type="Order"/>
  <xs:complexType name="Order" mixed="true"><xs:sequence maxOccurs="2">
    <xs:element name="total" type="xs:decimal"/>
    <xs:choice minOccurs="0" maxOccurs="unbounded"><xs:element name="a" type="xs:int" nillable="true"/><xs:element name="b" type="xs:date"/></xs:choice>
    <xs:element name="inner" type="Order" minOccurs="0"/>
    <xs:any namespace="##other" processContents="lax" minOccurs="0"/>
  </xs:sequence><xs:attribute name="at" type="xs:dateTime"/><xs:anyAttribute/></xs:complexType>
</xs:schema>"###;

static SCHEMA: LazyLock<Schemas> = LazyLock::new(|| read(ORDER).expect("the schema is one"));

fn read(text: &str) -> Option<Schemas> {
    let held = Held::new([("0.xsd".to_owned(), text.into())]);
    Schemas::read(&held, "0.xsd").ok()
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(schemas) = read(text)
    {
        for name in schemas.roots() {
            if let Some(Known::Object(of)) = schemas.root(name).map(|id| known(&schemas, id)) {
                let _ = members(&schemas, of);
            }
        }
    }
    let root = SCHEMA.root("order").expect("an order");
    if let Ok(document) = parse(bytes, Limits::DOCUMENT)
        && let Ok(value) = decode(&SCHEMA, root, &document)
        && let Ok(element) = encode(&SCHEMA, root, &value)
    {
        let written = write_document(&element, SCHEMA.prefixes()).expect("what was read can be written");
        let again = parse(&written, Limits::DOCUMENT.of_bytes(written.len())).expect("what was written is XML");
        assert!(decode(&SCHEMA, root, &again).is_ok(), "what was written fits");
    }
});
