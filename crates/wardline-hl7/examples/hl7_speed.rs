//! Speed of reading, beside its limit and another library:
//! `cargo run --release -p wardline-hl7 --example hl7_speed`.
//!
//! * `index + 12 fields`: parse an admission of about 1 KB and read twelve values by path; the limit
//!   is one `memchr` pass over the same bytes.
//! * `full walk`: parse and visit every value.
//! * `100 MB OBX-5`: frame, parse, read and edit a message with one large document, with the resident
//!   memory that takes (Linux only).

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wardline_hl7::{Message, Path, mllp};

const ADT: &str = "MSH|^~\\&|EPICADT|ST BRIGID|WARDLINE|INTEGRATION|20261124104203.12-0600||ADT^A03^ADT_A03|MSG00001234567|P|2.5.1|||AL|NE|USA|UNICODE UTF-8\r\
EVN|A03|20261124104203|||OPID^OPERATOR^SAMPLE|20261124103900\r\
PID|1||10006579^^^STB&1.2.840.114350&ISO^MR~999001234^^^SSA^SS||DUCK^DONALD^D^JR^MR^^L||19740913|M||2106-3^White^HL70005|111 DUCK ST^APT 4^FOWL^CA^99999^USA^H||8885551212^PRN^PH~8885551213^PRN^CP|8885551214^WPN^PH|eng|M|NON|40007716^^^STB^AN|123121234|||N||||||||N\r\
PD1|||ST BRIGID HOSPITAL^^10001|1234^PRIMARY^CARE^P^^DR\r\
NK1|1|DUCK^HUEY^|SO^Son^HL70063|3583 DUCK RD^^FOWL^CA^99999|8885552222||EC\r\
PV1|1|I|4E^234^A^ST BRIGID^^^^MAIN^4 EAST|R|||37^DISNEY^WALT^^^^MD^^NPI|38^WELBY^MARCUS^^^^MD^^NPI|39^CONSULT^ANNE^^^^MD^^NPI|MED||||7|||37^DISNEY^WALT^^^^MD^^NPI|IN|40007716^^^STB^VN|MCR|||||||||||||||||01|HOME||||||||20261120081500|20261124103900\r\
PV2||PRIVATE|^CHEST PAIN|||||20261120|20261124|4\r\
DG1|1||I21.4^NSTEMI^I10|||A\r\
IN1|1|MCR100^MEDICARE PART A|CMS|MEDICARE|PO BOX 1^^BALTIMORE^MD^21244||8005551212|GRP1|||||20200101|||MCR|DUCK^DONALD^D|SEL\r";

const PATHS: [Path; 12] = [
    Path::new("MSH-9.1"),
    Path::new("MSH-9.2"),
    Path::new("MSH-10"),
    Path::new("EVN-2"),
    Path::new("PID-3.1"),
    Path::new("PID-3.4.1"),
    Path::new("PID-5.1"),
    Path::new("PID-18.1"),
    Path::new("PV1-3.1"),
    Path::new("PV1-19.1"),
    Path::new("PV1-36"),
    Path::new("PV1-45"),
];

/// The same twelve for the other library: segment, field, component, subcomponent.
const OTHERS: [(&str, usize, usize, usize); 12] = [
    ("MSH", 9, 1, 0),
    ("MSH", 9, 2, 0),
    ("MSH", 10, 0, 0),
    ("EVN", 2, 0, 0),
    ("PID", 3, 1, 0),
    ("PID", 3, 4, 1),
    ("PID", 5, 1, 0),
    ("PID", 18, 1, 0),
    ("PV1", 3, 1, 0),
    ("PV1", 19, 1, 0),
    ("PV1", 36, 0, 0),
    ("PV1", 45, 0, 0),
];

/// Runs for about a second in short parts and returns the best rate per second: on a machine that
/// does other things too, that is the part in which it did not.
fn rate(mut once: impl FnMut()) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..100 {
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < Duration::from_millis(10) {
            for _ in 0..50 {
                once();
            }
            count += 50;
        }
        best = best.max(f64::from(count) / start.elapsed().as_secs_f64());
    }
    best
}

fn ours_fields(bytes: &Bytes) -> usize {
    let message = Message::parse(bytes.clone()).expect("the sample parses");
    PATHS
        .iter()
        .filter_map(|path| message.value(path))
        .map(|text| text.len())
        .sum()
}

fn theirs_fields(text: &str) -> usize {
    let message = hl7_parser::Message::parse(text).expect("the sample parses");
    let mut total = 0;
    for (segment, field, component, subcomponent) in OTHERS {
        let Some(field) = message
            .segment(segment)
            .and_then(|segment| segment.field(field))
        else {
            continue;
        };
        let value = match (component, subcomponent) {
            (0, _) => Some(field.raw_value()),
            (c, 0) => field
                .component(c)
                .map(hl7_parser::message::Component::raw_value),
            (c, s) => field
                .component(c)
                .and_then(|component| component.subcomponent(s))
                .map(hl7_parser::message::Subcomponent::raw_value),
        };
        total += value.map_or(0, str::len);
    }
    total
}

fn ours_walk(bytes: &Bytes) -> usize {
    let message = Message::parse(bytes.clone()).expect("the sample parses");
    message
        .leaves()
        .map(|(path, raw)| raw.bytes().len() + usize::from(path.field().unwrap_or(0)))
        .sum()
}

fn theirs_walk(text: &str) -> usize {
    let message = hl7_parser::Message::parse(text).expect("the sample parses");
    let mut total = 0;
    for segment in message.segments() {
        for (index, field) in segment.fields().enumerate() {
            for repeat in field.repeats() {
                for component in repeat.components() {
                    for subcomponent in component.subcomponents() {
                        let value = subcomponent.raw_value();
                        total += if value.is_empty() {
                            0
                        } else {
                            value.len() + index + 1
                        };
                    }
                }
            }
        }
    }
    total
}

/// Resident memory now and at its highest, in MB.
fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<u64>()
            .ok()
            .map(|kb| kb / 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

fn report(step: &str, since: Instant) {
    let took = since.elapsed().as_secs_f64();
    match resident() {
        Some((now, highest)) => {
            println!("  {step:<44} {took:7.3} s   resident {now:5} MB, highest {highest:5} MB");
        }
        None => println!("  {step:<44} {took:7.3} s"),
    }
}

/// One message with a document of 100 MB, as it comes over a socket in reads of 64 KB.
fn large() {
    const SIZE: usize = 100 << 20;
    println!("100 MB OBX-5");
    let start = Instant::now();
    let mut decoder = mllp::Decoder::new(SIZE + 4096);
    let mut buffer = BytesMut::new();
    let head = [
        &[mllp::START],
        ADT.as_bytes(),
        b"OBX|1|ED|PDF^Report||^AP^^Base64^",
    ]
    .concat();
    buffer.extend_from_slice(&head);
    let block = vec![b'Q'; 65536];
    let mut sent = 0;
    let mut event = None;
    while event.is_none() {
        if sent < SIZE {
            buffer.extend_from_slice(&block);
            sent += block.len();
        } else {
            buffer.extend_from_slice(b"||||||F\r");
            buffer.extend_from_slice(&mllp::TRAILER);
        }
        event = decoder.decode(&mut buffer);
    }
    drop(buffer);
    report("framed, 1600 reads", start);
    let Some(mllp::Event::Frame(bytes)) = event else {
        panic!("a frame was sent")
    };
    let start = Instant::now();
    let message = Message::parse(bytes).expect("the large message parses");
    let document = message
        .get(&const { Path::new("OBX-5.5") })
        .map_or(0, |raw| raw.bytes().len());
    let status = message
        .value(&const { Path::new("OBX-11") })
        .map_or(0, |text| text.len());
    assert_eq!((document, status), (SIZE, 1));
    report("parsed, OBX-5.5 and OBX-11 read", start);
    let start = Instant::now();
    let mut edit = message.edit();
    edit.set("MSH-5", "ARCHIVE")
        .and_then(|edit| edit.set("OBX-11", "C"))
        .expect("the edit fits");
    let edited = edit.finish().expect("the edit parses");
    assert_eq!(edited.bytes().len(), message.bytes().len() - 1);
    report("two fields edited, both messages held", start);
}

fn main() {
    large();
    let bytes = Bytes::from_static(ADT.as_bytes());
    let size = bytes.len() as f64;
    assert_eq!(
        ours_fields(&bytes),
        theirs_fields(ADT),
        "both read the same twelve values"
    );
    println!("{size} bytes, one core");
    let limit = rate(|| {
        black_box(memchr::memchr_iter(b'\r', black_box(&bytes)).count());
    });
    let ours = rate(|| {
        black_box(ours_fields(black_box(&bytes)));
    });
    let theirs = rate(|| {
        black_box(theirs_fields(black_box(ADT)));
    });
    println!("index + 12 fields   {ours:>12.0} messages/s");
    println!(
        "  memchr, the limit {limit:>12.0} messages/s   {:.2} of it",
        ours / limit
    );
    println!(
        "  hl7-parser        {theirs:>12.0} messages/s   {:.1} times it",
        ours / theirs
    );
    let parse = rate(|| {
        black_box(Message::parse(black_box(&bytes).clone()).expect("the sample parses"));
    });
    println!("index alone         {parse:>12.0} messages/s");
    let walk = rate(|| {
        black_box(ours_walk(black_box(&bytes)));
    });
    let their_walk = rate(|| {
        black_box(theirs_walk(black_box(ADT)));
    });
    println!(
        "full walk           {:>12.0} MB/s   {walk:.0} messages/s",
        walk * size / 1e6
    );
    println!("  memchr, the limit {:>12.0} MB/s", limit * size / 1e6);
    println!(
        "  hl7-parser        {:>12.0} MB/s   {:.1} times it",
        their_walk * size / 1e6,
        walk / their_walk
    );
}
