//! How fast sealing is, and how small it makes payloads: `cargo run --release -p wardline-vault
//! --example seal_speed [FILE...]`. Without files it takes a made-up message of about a kilobyte;
//! with files (messages the dictionary was not trained on) it seals each of them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use wardline_core::RealClock;
use wardline_vault::{Kind, Vault};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let vault = Vault::ephemeral("speed", Arc::new(RealClock))?;
    let mut payloads = Vec::new();
    for file in std::env::args_os().skip(1) {
        payloads.push(std::fs::read(file)?);
    }
    payloads.retain(|payload| (64..=16 << 10).contains(&payload.len()));
    if payloads.is_empty() {
        payloads.push(message());
    }
    let (mut plain, mut sealed_size) = (0, 0);
    let mut sealed = Vec::new();
    for payload in &payloads {
        let one = vault.seal(Kind::Message, payload)?;
        plain += payload.len();
        sealed_size += one.len();
        sealed.push(one);
    }
    println!(
        "{} payloads, {} B on average, sealed {} B ({:.2} to 1)",
        payloads.len(),
        plain / payloads.len(),
        sealed_size / payloads.len(),
        plain as f64 / sealed_size as f64
    );
    let rounds = 200_000_usize.div_ceil(payloads.len());
    let each = |name: &str, work: &mut dyn FnMut(usize)| {
        let start = Instant::now();
        for _ in 0..rounds {
            (0..payloads.len()).for_each(&mut *work);
        }
        println!(
            "{name:<6} {:>8.3} µs",
            start.elapsed().as_secs_f64() * 1e6 / (rounds * payloads.len()) as f64
        );
    };
    each("seal", &mut |at| {
        drop(black_box(vault.seal(Kind::Message, &payloads[at])));
    });
    each("open", &mut |at| {
        drop(black_box(vault.open_sealed(Kind::Message, &sealed[at])));
    });
    each("blind", &mut |at| {
        black_box(vault.blind("account", &format!("ACC-{at:09}")));
    });
    each("digest", &mut |at| {
        black_box(vault.digest(&payloads[at]));
    });
    Ok(())
}

/// An admission, invented, with values that the dictionary cannot know.
fn message() -> Vec<u8> {
    [
        r"MSH|^~\&|EHRQ|NORTHW|WARDX|STB|20261124104203.120||ADT^A03^ADT_A03|QX7731209|P|2.5.1|||AL|NE|USA|UNICODE UTF-8",
        r"EVN|A03|20261124104203|||OPR4411^Quillfeather^Ondine^^^^^^STB|20261124103900",
        r"PID|1||MRN8842017^^^STB^MR~773-21-9902^^^USA^SS||Vantongeren^Isolde^Perpetua^^Ms^^L||19670311|F|||771 Larkspur Terrace^Apt 9^Dunmorrow^IL^60617^USA^H||^PRN^PH^^1^773^5550148|^WPN^PH^^1^773^5550190|en|M|CHR|ACC5520193^^^STB^AN|773219902",
        r"NK1|1|Vantongeren^Caspian^J|SPO^Spouse^HL70063|771 Larkspur Terrace^^Dunmorrow^IL^60617|^PRN^PH^^1^773^5550149||EC",
        r"PV1|1|I|4W^412^B^STB^^^^NORTH|E|||50012^Okonjo^Temperance^A^^Dr^MD^^STB|50417^Brandvold^Sigrun^^^Dr^MD|60033^Pell^Ambrose|MED||||7|||50012^Okonjo^Temperance^A^^Dr^MD|IP|V7730042^^^STB^VN|MC|||||||||||||||01|||NORTH||||202611211530|202611241035",
        r"PV2||SEM^Semi-private|^Shortness of breath",
        r"DG1|1|ICD10|J18.9^Pneumonia, unspecified organism^I10C|Pneumonia|20261121|A",
        r"IN1|1|PPO01^Preferred^STB|INS0042|Prairie Mutual Assurance|PO Box 4410^^Springfield^IL^62701||^WPN^PH^^1^217^5550100|GRP7712|||||20260101|20261231||PPO|Vantongeren^Isolde|SEL|19670311",
    ]
    .join("\r")
    .into_bytes()
}
