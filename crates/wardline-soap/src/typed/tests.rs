use serde_json::{Value, json};

use super::{Known, decode, encode, known, members};
use crate::source::{Loaded, Source};
use crate::xml::{Limits, Name, parse, write};
use crate::xsd::Schemas;

/// One schema, in memory.
struct One(&'static str);

impl Source for One {
    fn read(&self, _: &str, location: &str) -> Result<Loaded, String> {
        if location != "one.xsd" {
            return Err(format!("{location} is not there"));
        }
        Ok(Loaded {
            name: location.into(),
            bytes: self.0.as_bytes().to_vec(),
        })
    }
}

const ORDER: &str = r###"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:po" targetNamespace="urn:po"
    elementFormDefault="qualified">
  <xs:simpleType name="Unit"><xs:restriction base="xs:string"><xs:enumeration value="EA"/><xs:enumeration value="BX"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Quantity"><xs:restriction base="xs:int"><xs:minInclusive value="1"/></xs:restriction></xs:simpleType>
  <xs:complexType name="Money"><xs:simpleContent><xs:extension base="xs:decimal">
    <xs:attribute name="currency" type="xs:string" use="required"/></xs:extension></xs:simpleContent></xs:complexType>
  <xs:complexType name="Line"><xs:sequence>
    <xs:element name="item" type="xs:token"/>
    <xs:element name="quantity" type="Quantity"/>
    <xs:element name="unit" type="Unit" minOccurs="0"/>
    <xs:element name="price" type="Money"/>
  </xs:sequence></xs:complexType>
  <xs:complexType name="RushLine"><xs:complexContent><xs:extension base="Line"><xs:sequence>
    <xs:element name="by" type="xs:dateTime"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
  <xs:element name="note" type="xs:string"/>
  <xs:element name="warning" type="xs:string" substitutionGroup="note"/>
  <xs:element name="order"><xs:complexType><xs:sequence>
    <xs:element name="number" type="xs:long"/>
    <xs:element name="total" type="xs:decimal"/>
    <xs:element name="weight" type="xs:double" minOccurs="0"/>
    <xs:element name="rush" type="xs:boolean" minOccurs="0"/>
    <xs:element name="due" type="xs:date" nillable="true"/>
    <xs:choice><xs:element name="ship" type="xs:string"/><xs:element name="pickup" type="xs:string"/></xs:choice>
    <xs:element name="line" type="Line" maxOccurs="unbounded"/>
    <xs:element name="tags" minOccurs="0"><xs:simpleType><xs:list itemType="xs:int"/></xs:simpleType></xs:element>
    <xs:element ref="note" minOccurs="0" maxOccurs="2"/>
    <xs:element name="parent" minOccurs="0"><xs:complexType><xs:sequence><xs:element ref="order"/></xs:sequence></xs:complexType></xs:element>
    <xs:any namespace="##other" processContents="lax" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="version" type="xs:int"/></xs:complexType></xs:element>
</xs:schema>"###;

fn order() -> Schemas {
    Schemas::read(&One(ORDER), "one.xsd").unwrap()
}

fn to_json(schemas: &Schemas, xml: &str) -> Result<Value, String> {
    let element = parse(xml.as_bytes(), Limits::MESSAGE).unwrap();
    let id = schemas.element(&Name::new("urn:po", "order")).unwrap();
    decode(schemas, id, &element).map_err(|error| error.to_string())
}

const GOOD: &str = "<order xmlns='urn:po' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' version='3'>\
    <number>9007199254740993</number><total>100000000000000000.10</total><weight>1.5</weight><rush>1</rush><due xsi:nil='true'/>\
    <ship>Dock 4</ship>\
    <line><item> A-1 </item><quantity>2</quantity><price currency='USD'>12.50</price></line>\
    <line xsi:type='RushLine'><item>B</item><quantity>1</quantity><unit>BX</unit><price currency='USD'>1</price><by>2026-11-28T10:00:00Z</by></line>\
    <tags>1 2 3</tags><warning>careful</warning>\
    <x:extra xmlns:x='urn:x' a='1'><x:b>c</x:b><x:b>d</x:b></x:extra></order>";

fn good() -> Value {
    json!({
        "@version": 3,
        "number": 9_007_199_254_740_993_i64,
        "total": "100000000000000000.10",
        "weight": 1.5,
        "rush": true,
        "due": null,
        "ship": "Dock 4",
        "line": [
            {"item": "A-1", "quantity": 2, "price": {"@currency": "USD", "$": "12.50"}},
            {"@xsi:type": "{urn:po}RushLine", "item": "B", "quantity": 1, "unit": "BX",
             "price": {"@currency": "USD", "$": "1"}, "by": "2026-11-28T10:00:00Z"},
        ],
        "tags": [1, 2, 3],
        "warning": ["careful"],
        "extra": {"@xmlns": "urn:x", "@a": "1", "b": ["c", "d"]},
    })
}

#[test]
fn a_message_becomes_json_and_comes_back() {
    let schemas = order();
    let value = to_json(&schemas, GOOD).unwrap();
    assert_eq!(value, good());
    let id = schemas.element(&Name::new("urn:po", "order")).unwrap();
    let written = write(&encode(&schemas, id, &value).unwrap()).unwrap();
    let again = to_json(&schemas, std::str::from_utf8(&written).unwrap()).unwrap();
    assert_eq!(again, value);
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let schemas = order();
    let cases = [
        (
            "<number>9007199254740993</number>",
            "",
            "order lacks number",
        ),
        (
            "<quantity>2</quantity>",
            "<quantity>0</quantity>",
            "order/line[0]/quantity is outside the range of its type",
        ),
        (
            "<unit>BX</unit>",
            "<unit>PALLET</unit>",
            "order/line[1]/unit is not one of the values that its type lists",
        ),
        (
            "<total>100000000000000000.10</total>",
            "<total>1e3</total>",
            "order/total is not a decimal number",
        ),
        ("<ship>Dock 4</ship>", "", "order lacks one of ship, pickup"),
        (
            "<ship>Dock 4</ship>",
            "<ship>a</ship><pickup>b</pickup>",
            "order lacks line",
        ),
        (
            " currency='USD'>12",
            ">12",
            "order/line[0]/price lacks its attribute currency",
        ),
        (
            "xsi:type='RushLine'",
            "xsi:type='Money'",
            "order/line[1] has an xsi:type that cannot stand for its own",
        ),
        (
            "<due xsi:nil='true'/>",
            "<due>28.11.2026</due>",
            "order/due is not a date such as 2026-11-28",
        ),
        (
            "version='3'",
            "evil='3'",
            "order has an attribute evil that is not declared",
        ),
        (
            "<tags>",
            "text<tags>",
            "order holds text where elements are expected",
        ),
        (
            "</order>",
            "<unknown/></order>",
            "order holds an element unknown that does not belong there",
        ),
        (
            "<weight>1.5</weight>",
            "<weight xsi:nil='true'/>",
            "order/weight may not be nil",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(
            to_json(&schemas, &GOOD.replacen(from, to, 1)).unwrap_err(),
            expected
        );
    }
    let id = schemas.element(&Name::new("urn:po", "order")).unwrap();
    let cases = [
        ("/number", Value::Null, "order lacks number"),
        (
            "/number",
            json!("secret"),
            "order/number is not a whole number",
        ),
        ("/line", json!([]), "order lacks line"),
        (
            "/line/0/quantity",
            json!(-1),
            "order/line[0]/quantity is outside the range of its type",
        ),
        (
            "/line/0",
            json!({"item": "A", "surprise": 1}),
            "order/line[0] lacks quantity",
        ),
        (
            "/ship",
            json!(["a", "b"]),
            "order/ship is a list where one value is expected",
        ),
        (
            "/total",
            json!({}),
            "order/total is an object where a value is expected",
        ),
        (
            "/line/1/@xsi:type",
            json!("{urn:po}Money"),
            "order/line[1] has an @xsi:type that cannot stand for its own",
        ),
        (
            "/line/0/price",
            json!("1"),
            "order/line[0]/price is not an object",
        ),
    ];
    for (at, to, expected) in cases {
        let mut value = good();
        *value.pointer_mut(at).unwrap() = to;
        assert_eq!(
            encode(&schemas, id, &value).unwrap_err().to_string(),
            expected,
            "{at}"
        );
    }
    let mut value = good();
    value["surprise"] = json!({"@xmlns": "urn:po"});
    let refused = encode(&schemas, id, &value).unwrap_err().to_string();
    assert_eq!(
        refused,
        "order/surprise is of a namespace that may not stand there"
    );
    value["surprise"] = json!({"@xmlns": "urn:x"});
    assert!(
        encode(&schemas, id, &value).is_ok(),
        "an element for the wildcard"
    );
}

#[test]
fn a_list_is_a_list_where_there_is_one_too() {
    let schemas = order();
    let value = to_json(
        &schemas,
        "<order xmlns='urn:po'><number>1</number><total>1</total><due>2026-11-28</due><pickup/><line><item>A</item>\
         <quantity>2</quantity><price currency='USD'>12.50</price></line></order>",
    )
    .unwrap();
    assert!(value["line"].is_array());
    assert_eq!(value["pickup"], json!(""));
}

#[test]
fn schemas_that_cannot_be_used_say_why() {
    let wrap = |inner: &str| -> &'static str {
        Box::leak(format!("<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:t' xmlns:soapenc='http://schemas.xmlsoap.org/soap/encoding/' \
            targetNamespace='urn:t'>{inner}</xs:schema>").into_boxed_str())
    };
    let cases = [
        (
            "<xs:element name='a' type='t:nowhere'/>",
            "type {urn:t}nowhere is nowhere declared",
        ),
        (
            "<xs:import namespace='urn:other' schemaLocation='http://elsewhere.example/o.xsd'/><xs:element name='a'><xs:complexType><xs:sequence>\
          <xs:element xmlns:o='urn:other' ref='o:b'/></xs:sequence></xs:complexType></xs:element>",
            "element {urn:other}b is nowhere declared (http://elsewhere.example/o.xsd is not there)",
        ),
        (
            "<xs:element name='a'/><xs:element name='a'/>",
            "element {urn:t}a is declared twice",
        ),
        (
            "<xs:redefine schemaLocation='x.xsd'/>",
            "xs:redefine is not supported",
        ),
        (
            "<xs:complexType name='a'><xs:complexContent><xs:extension base='t:b'/></xs:complexContent></xs:complexType>\
          <xs:complexType name='b'><xs:complexContent><xs:extension base='t:a'/></xs:complexContent></xs:complexType>",
            "types are derived from each other",
        ),
        (
            "<xs:simpleType name='a'><xs:restriction base='t:a'/></xs:simpleType>",
            "simple types are made of each other",
        ),
        (
            "<xs:group name='g'><xs:sequence><xs:group ref='t:g'/></xs:sequence></xs:group><xs:complexType name='a'><xs:group ref='t:g'/></xs:complexType>",
            "groups hold each other",
        ),
    ];
    for (inner, expected) in cases {
        let error = Schemas::read(&One(wrap(inner)), "one.xsd").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_objects_will_have_is_known() {
    let schemas = order();
    let Known::Object(of) = known(&schemas, schemas.root("order").unwrap()) else {
        panic!("an order is an object");
    };
    let all = members(&schemas, of);
    assert!(
        all.open,
        "an element of another namespace may stand at its end"
    );
    let said = |name: &str| {
        let member = all.all.iter().find(|member| member.name == name).unwrap();
        (member.known.clone(), member.always, member.null)
    };
    assert_eq!(said("@version"), (Known::Whole, false, false));
    assert_eq!(said("total"), (Known::Text, true, false));
    assert_eq!(said("due"), (Known::Text, true, true));
    assert_eq!(said("ship"), (Known::Text, false, false));
    let (Known::List(line), true, false) = said("line") else {
        panic!("lines are a list, and always there");
    };
    let Known::Object(line) = *line else {
        panic!("a line is an object");
    };
    // A line may be one in a hurry, with more in it.
    assert!(members(&schemas, line).open);
    assert!(schemas.root("Line").is_none());
    assert_eq!(schemas.roots(), ["note", "order", "warning"]);
}

#[test]
fn what_is_written_has_nothing_that_is_lost() {
    let schemas = order();
    let id = schemas.root("order").unwrap();
    let mut value = good();
    value["rush"] = Value::Null;
    value["surprise"] = json!({"@xmlns": "urn:po"});
    assert!(encode(&schemas, id, &value).is_err(), "beside a null");
    let mut value = good();
    value["line"][0]["surprise"] = Value::Null;
    assert_eq!(
        encode(&schemas, id, &value).unwrap_err().to_string(),
        "order/line[0] has surprise, which is not declared there"
    );
}
