//! Makes `src/dictionary/v1.zdict`: `cargo run --release -p wardline-vault --example
//! train_dictionary > DICTIONARY`.
//!
//! The samples are made up here, from templates whose values are random letters and digits,
//! so that the dictionary learns how messages are built and nothing that anybody ever sent.
//! The same source gives the same dictionary. A dictionary that is in use is never changed
//! (what was sealed with it needs it); a better one becomes v2.

use std::io::Write as _;

/// zstd's recommendation for messages of a kilobyte or two.
const SIZE: usize = 16 << 10;
const SAMPLES: usize = 6000;

/// Segments by name. In a template `{a|b}` is one of these texts, `{#8}` eight digits,
/// `{@}` a name, `{T}` a time, `{D}` a date, `{C}` one to three capitals.
const SEGMENTS: &[(&str, &str)] = &[
    (
        "MSH",
        r"MSH|^~\&|{C}{@}|{C}{#2}|{C}{@}|{C}|{T}{||.{#3}|-0500|+0000}||",
    ),
    (
        "PID",
        r"PID|1|{||{#7}}|{#8}^^^{C}^MR{|~{#3}-{#2}-{#4}^^^USA^SS|~{#9}^^^{C}^PI}||{@}^{@}^{|{C}|{@}}{|^^^^L}||{D}|{F|M|F|M|U|O}|{||{@}^{@}}|{||2106-3^White^HL70005|2054-5^Black or African American^HL70005|2131-1^Other Race^HL70005}|{#3} {@} {Street|Avenue|Road|Lane|Drive|Blvd}{^^|^Apt {#2}^}{@}^{IL|CA|NY|TX|OH|WA}^{#5}{^USA|^USA^H|^US^H|}||{({#3}){#3}-{#4}|^PRN^PH^^1^{#3}^{#7}|{#3}-{#3}-{#4}^PRN^CP||||}||{|||en^English^ISO639|ENG}|{S|M|D|W||U}|{|||CHR|CAT|JEW}|{#9}^^^{C}^AN|{#3}-{#2}-{#4}{||||N}|||||||||{||N}",
    ),
    ("PD1", r"PD1||||{#6}^{@}^{@}^^^Dr^MD{||||||||N}"),
    (
        "NK1",
        r"NK1|1|{@}^{@}|{SPO^Spouse^HL70063|MTH^Mother^HL70063|FTH^Father^HL70063|CHD^Child^HL70063|EMC^Emergency Contact^HL70063|SIB^Sibling}|{#3} {@} {Street|Avenue|Road}^^{@}^{IL|CA|NY}^{#5}|^PRN^PH^^1^{#3}^{#7}||{EC|EC^Emergency Contact^HL70131|NK}",
    ),
    (
        "PV1",
        r"PV1|1|{I|O|E|I|R|P|B}|{#1}{W|N|S|E}^{#3}^{A|B|C|1|2}^{C}{|^^^^|^^N}|{E|U|R|A||C}|||{#5}^{@}^{@}^{|{C}}^^Dr^MD{||^^{C}}|{#5}^{@}^{@}^^^Dr^MD|{||{#5}^{@}^{@}}|{MED|SUR|CAR|OBS|PED|ICU|EMR}||||{1|2|7||ADM}|||{#5}^{@}^{@}^{|{C}}^^Dr^MD|{IP|OP|ER|INP||}|{#8}^^^{C}^VN|{||MC|BC|COM}|||||||||||||||{|01|01|HOME|07}|||{|NORTH|SOUTH}|||||{T}|{|{T}}",
    ),
    ("PV2", r"PV2|||{^{@} {@}|{C}^{@}}|||||{D}{|||||||||||||N|N}"),
    (
        "DG1",
        r"DG1|{1|2|3}|{ICD10||I10}|{A|B|E|I|J|K|M|N|R|S|Z}{#2}.{#1}^{@} {$} {$}, unspecified^{I10C|ICD10|I10}|{|{@} {$}}|{T}|{A|F|W}",
    ),
    (
        "AL1",
        r"AL1|1|{DA^Drug Allergy^HL70127|FA^Food Allergy|DA|MA}|{#4}^{@}^{C}|{SV|MO|MI|U}|{Rash|Hives|Anaphylaxis|{@}}",
    ),
    (
        "IN1",
        r"IN1|1|{C}{#3}^{@}{|^{C}}|{C}{#4}|{@} {@} {Insurance|Health Plan|Mutual|Assurance}|PO Box {#4}^^{@}^{IL|CA|NY}^{#5}||{^WPN^PH^^1^{#3}^{#7}|}|{GRP{#4}|{#6}}||||{D}|{D}||{PPO|HMO|MCR|COM}|{@}^{@}|{SEL|SPO|SELF^Self|18^Self}|{D}|{#3} {@} {Street|Road}^^{@}^{IL|CA}^{#5}|||1|||||||||||||{C}{#9}",
    ),
    (
        "GT1",
        r"GT1|1||{@}^{@}^{C}||{#3} {@} {Street|Road}^^{@}^{IL|CA}^{#5}|({#3}){#3}-{#4}||{D}|{F|M}||{SEL|SPO|PAR}",
    ),
    (
        "ORC",
        r"ORC|{NW|SC|RE|CA|OK}|{#8}^{C}|{#8}^{C}||{CM|IP|SC|HD|}||^^^{T}^^{R|S|A}||{T}|{#5}^{@}^{@}||{#5}^{@}^{@}^^^Dr^MD",
    ),
    (
        "OBR",
        r"OBR|1|{#8}^{C}|{#8}^{C}|{#5}-{#1}^{@} {panel|profile|count|culture|screen} {-|by} {Blood|Serum or Plasma|Urine}^LN{|^{C}^{@}^L}|||{T}|||||||{|{T}}|{|BLD|SER|UR}|{#5}^{@}^{@}^^^Dr^MD||||||{T}||{LAB|RAD|MB|HM|CH}|{F|P|C|I}",
    ),
    (
        "OBX",
        r"OBX|{1|2|3|4|5|6|7|8|9|10|11|12}|{NM|NM|NM|ST|CE|CWE|TX}|{#5}-{#1}^{@} [{Mass/volume|Moles/volume|#/volume|Presence}] in {Serum or Plasma|Blood|Urine}^LN{|^{C}^{@}^L}|{|1}|{#2}.{#1}|{mg/dL^milligram per deciliter^UCUM|mmol/L|g/dL|10*3/uL|%^percent^UCUM|U/L|mEq/L}|{#2}.{#1}-{#3}.{#1}|{N|H|L|||HH|A}|||{F|F|P}|||{|{T}}||{|{#5}^{@}^{@}}",
    ),
    (
        "TXT",
        r"OBX|{1|2|3}|TX|{#5}-{#1}^{@} note^LN||{@} {$} {$} {$} the {$} {$}. Patient {$} {$} {$}.\.br\{@} {$} {$} {$}.||||||F",
    ),
    ("NTE", r"NTE|{1|2|3}|{L|P|}|{@} {$} {$} {$} {$}"),
    (
        "SPM",
        r"SPM|1|{#8}&{C}||{BLD^Blood^HL70487|SER^Serum^HL70487|UR^Urine^HL70487}|||||||||||||{T}",
    ),
    (
        "SCH",
        r"SCH|{#8}^{C}|{#8}^{C}|||||{ROUTINE^Routine appointment|FOLLOWUP^Follow-up|CHECKUP^A check up}^HL70276|{NORMAL^Normal^HL70277|OFFICE^Office visit}|{15|30|45|60}|{min|m}^minutes|^^{30|15}^{T}^{T}|||||{#5}^{@}^{@}|||||{#5}^{@}^{@}|||||{BOOKED|Booked|CANCELLED|PENDING}",
    ),
    ("AIS", r"AIS|1|{A|}|{#5}^{@}^{C}|{T}|||{30|15}|min^minutes"),
    (
        "AIL",
        r"RGS|1|A{\r}AIL|1|A|{C}{#2}^{#3}^^{C}|{C}^{@} Clinic{\r}AIP|1|A|{#5}^{@}^{@}^^^Dr^MD|{D1||}^{@}",
    ),
    (
        "FT1",
        r"FT1|1|{#6}||{D}|{D}|{CG|CR|PY}|{#5}^{@} {$}^CPT||| {1|2}|{#3}.{#2}|||||||{C}|{A|J|Z}{#2}.{#1}^{@}^I10",
    ),
    (
        "TXA",
        r"TXA|1|{DS^Discharge Summary|OP^Operative Note|PN^Progress Note|CN^Consultation}|TX|{T}|{#5}^{@}^{@}|{T}|{T}||||{@}|{#9}^{C}|||||{AU|DO|IP|LA}||{AV|UN}",
    ),
    (
        "RXA",
        r"RXA|0|1|{D}|{D}|{#2}^{@} {vaccine|, live|, inactivated}^CVX|0.5|mL^milliliter^UCUM||{00^New immunization record^NIP001|01^Historical information^NIP001}|{#5}^{@}^{@}|^^^{C}||||{C}{#4}|{D}|{MSD^Merck^MVX|PMC^Sanofi^MVX|SKB^GlaxoSmithKline^MVX}|||CP|A{\r}RXR|{IM^Intramuscular^HL70162|SC^Subcutaneous|PO^Oral}|{LA^Left Arm^HL70163|RA^Right Arm^HL70163|LD|RD}",
    ),
    (
        "RXO",
        r"RXO|{#6}^{@} {#2} mg {tablet|capsule}^{C}|{#2}||{mg|mL|TAB}{\r}RXR|{PO|IV|IM|SC}^{Oral|Intravenous|}{\r}RXE|^^^{T}^^{R|S}|{#6}^{@}^{C}|{#2}||{mg|mL}",
    ),
    (
        "MSA",
        r"MSA|{AA|AA|CA|AE|AR}|{C}{#7}{||Message accepted|{@} {$}}",
    ),
    (
        "ERR",
        r"ERR||{PID^1^3|PV1^1^19|MSH^1^9}|{101^Required field missing|102^Data type error|103^Table value not found|207^Application internal error}^HL70357|E",
    ),
    ("ZPI", r"ZPI|1|{#6}|{@}|{Y|N}||{T}"),
];

/// Messages: how often, the end of MSH with the trigger, and the segments (`?` now and then,
/// `*` some of them).
const MESSAGES: &[(u32, &str, &str)] = &[
    (
        10,
        "ADT^{A01|A04|A05|A08|A02|A11|A28|A31}{^ADT_A01|}|{C}{#7}|P|{2.3|2.5|2.5.1|2.4}",
        "EVN PID PD1? NK1? PV1 PV2? AL1? DG1* GT1? IN1? ZPI?",
    ),
    (
        10,
        "ADT^{A03|A08|A03|A13}{^ADT_A03|}|{C}{#7}|P|{2.5.1|2.3|2.3.1}|||AL|NE",
        "EVN PID PV1 PV2? DG1? NK1? IN1?",
    ),
    (
        4,
        "ADT^{A01|A03|A08}{^ADT_A01|}|{#10}|{P|T}|2.{3|4|5|6|7|8}||||||{8859/1|UNICODE UTF-8|ASCII}",
        "EVN PID NK1? PV1 DG1?",
    ),
    (
        6,
        "ORU^R01{^ORU_R01|}|{C}{#7}|P|{2.3|2.5.1|2.5}",
        "PID PV1? ORC? OBR OBX OBX* NTE? SPM?",
    ),
    (
        3,
        "ORM^O01{^ORM_O01|}|{C}{#7}|P|{2.3|2.5|2.4}",
        "PID PV1 IN1? ORC OBR NTE? DG1?",
    ),
    (1, "{OMP^O09|RDE^O11}|{#9}|P|2.5", "PID PV1 ORC RXO"),
    (
        2,
        "SIU^{S12|S13|S14|S15}{^SIU_S12|}|{C}{#7}|P|2.{3|5|5.1}",
        "SCH PID PV1? AIS? AIL",
    ),
    (
        2,
        "MDM^{T02|T01|T08}|{C}{#7}|P|2.{3|5|5.1}",
        "EVN PID PV1 TXA TXT TXT?",
    ),
    (
        2,
        "DFT^P03{^DFT_P03|}|{C}{#7}|P|2.{3|5|5.1}",
        "EVN PID PV1 FT1 DG1? GT1? IN1?",
    ),
    (
        1,
        "VXU^V04^VXU_V04|{#9}|P|2.5.1|||ER|AL",
        "PID PD1 NK1 ORC RXA OBX*",
    ),
    (
        2,
        "ACK{^A01^ACK|^A03|^R01|}|{C}{#7}|P|2.{3|5|5.1}",
        "MSA ERR?",
    ),
];

/// Canonical events and other JSON.
const JSON: &[&str] = &[
    r#"{"account_number":"{C}-{#6}","visit_number":"{#8}","patient":{"mrn":"{#8}","name":{"family":"{@}","given":"{@}"},"birth_date":"{#4}-{#2}-{#2}","sex":"{female|male|other|unknown}"},"class":"{inpatient|outpatient|emergency}","facility":"{north|south}","location":{"unit":"{#1}{W|N|S}","room":"{#3}","bed":"{A|B}"},"status":"{admitted|discharged|cancelled}","admitted_at":"{J}","discharged_at":"{J}","disposition":"{home|transferred|expired|skilled_nursing}","attending":{"id":"{#5}","name":{"family":"{@}","given":"{@}"}},"diagnoses":[{"code":"{A|I|J|K}{#2}.{#1}","system":"ICD-10-CM","description":"{@} {$} {$}"}]}"#,
    r#"{"account":"{C}-{#6}","closed_at":"{J}","disposition":"{home|transferred}","facility":"{north|south}"}"#,
    r#"{"bed":"{#1}{W|N}-{#3}-{A|B}","unit":"{#1}{W|N}","facility":"{north|south}","released_at":"{J}","priority":"{routine|stat|normal}","requested_at":"{J}"}"#,
    r#"{"id":"{#8}","type":"{encounter.discharged|encounter.admitted|purchase_order.approved|goods_receipt.posted|invoice.received}","source":"{$}","time":"{J}","data":{"number":"{#10}","status":"{approved|pending|completed|failed}","amount":{#4}.{#2},"currency":"USD"}}"#,
    r#"{"purchase_order":{"number":"{#10}","supplier_id":"{#6}","supplier":{"name":"{@} {Inc|LLC|Corp}","status":"active"},"currency":"USD","total":{#5}.{#2},"created_at":"{J}","facility":"{north|south}","lines":[{"line":1,"item":"{#7}","description":"{@} {$} {$}","quantity":{#2},"unit":"{EA|BX|CS}","unit_price":{#3}.{#2}},{"line":2,"item":"{#7}","description":"{@} {$}","quantity":{#2},"unit":"{EA|BX|CS}","unit_price":{#2}.{#2}}]}}"#,
    r#"{"employee":{"id":"E{#5}","name":{"family":"{@}","given":"{@}"},"department":"{$}","position":"{@} {Nurse|Technician|Analyst}","status":"{active|terminated|leave}","hired_on":"{#4}-{#2}-{#2}","email":"{$}.{$}@example.org"}}"#,
    r#"{"resourceType":"Patient","id":"{#8}","identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"urn:oid:{#1}.{#2}.{#3}","value":"{#8}"}],"active":true,"name":[{"use":"official","family":"{@}","given":["{@}"]}],"gender":"{female|male}","birthDate":"{#4}-{#2}-{#2}","address":[{"line":["{#3} {@} St"],"city":"{@}","state":"IL","postalCode":"{#5}"}]}"#,
    r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"{#5}-{#1}","display":"{@} {$}"}]},"subject":{"reference":"Patient/{#8}"},"effectiveDateTime":"{J}","valueQuantity":{"value":{#2}.{#1},"unit":"{mg/dL|mmol/L}","system":"http://unitsofmeasure.org","code":"{mg/dL|mmol/L}"}}"#,
    r#"{"status":"{ok|accepted|queued}","id":"{#8}","message":"{@} {$}"}"#,
    r#"{"error":{"code":"{not_found|invalid|conflict|unavailable}","message":"{@} {$} {$}","field":"{$}"}}"#,
];

fn main() -> std::io::Result<()> {
    let mut random = Random(20_261_124);
    let samples: Vec<Vec<u8>> = (0..SAMPLES).map(|_| random.sample().into_bytes()).collect();
    eprintln!(
        "{SAMPLES} samples, {} B on average",
        samples.iter().map(Vec::len).sum::<usize>() / SAMPLES
    );
    let dictionary = zstd::dict::from_samples(&samples, SIZE)?;
    std::io::stdout().lock().write_all(&dictionary)
}

/// SplitMix64: the same samples from the same seed on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn sample(&mut self) -> String {
        if self.below(6) == 0 {
            let at = self.below(JSON.len());
            return self.expand(JSON[at]);
        }
        let total: u32 = MESSAGES.iter().map(|(often, ..)| often).sum();
        let mut at = self.below(total as usize) as u32;
        let (_, ending, segments) = MESSAGES
            .iter()
            .find(|(often, ..)| {
                let found = at < *often;
                at = at.saturating_sub(*often);
                found
            })
            .expect("below the total");
        let mut lines = vec![self.expand(&format!("{}{ending}", template("MSH")))];
        let trigger = lines[0]
            .split('|')
            .nth(8)
            .and_then(|kind| kind.split('^').nth(1))
            .unwrap_or_default()
            .to_owned();
        for segment in segments.split(' ') {
            let times = match segment.chars().last() {
                Some('?') => self.below(2),
                Some('*') => self.below(5),
                _ => 1,
            };
            for _ in 0..times {
                let name = segment.trim_end_matches(['?', '*']);
                let line = if name == "EVN" {
                    self.expand(&format!(
                        "EVN|{trigger}|{{T}}|||{{|{{#5}}^{{@}}^{{@}}}}|{{|{{T}}}}"
                    ))
                } else {
                    self.expand(template(name))
                };
                lines.push(line);
            }
        }
        let end = if self.below(8) == 0 { "\n" } else { "\r" };
        lines.join(end) + if self.below(2) == 0 { end } else { "" }
    }

    /// Fills a template in, outermost braces first, so that alternatives may hold more.
    fn expand(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            let Some(close) = matching(&rest[open..]) else {
                // A brace of JSON: text like any other.
                out.push('{');
                rest = &rest[open + 1..];
                continue;
            };
            let inside = &rest[open + 1..open + close];
            rest = &rest[open + close + 1..];
            out.push_str(&self.fill(inside));
        }
        out.push_str(rest);
        out
    }

    fn fill(&mut self, inside: &str) -> String {
        if let Some(count) = inside
            .strip_prefix('#')
            .and_then(|count| count.parse::<usize>().ok())
        {
            return (0..count)
                .map(|_| char::from(b'0' + self.below(10) as u8))
                .collect();
        }
        match inside {
            "@" => self.word(true),
            "$" => self.word(false),
            "C" => (0..=self.below(3))
                .map(|_| char::from(b'A' + self.below(26) as u8))
                .collect(),
            "D" => format!(
                "{}{:02}{:02}",
                1930 + self.below(97),
                1 + self.below(12),
                1 + self.below(28)
            ),
            "T" => format!(
                "20{:02}{:02}{:02}{:02}{:02}{:02}",
                20 + self.below(12),
                1 + self.below(12),
                1 + self.below(28),
                self.below(24),
                self.below(60),
                self.below(60)
            ),
            "J" => format!(
                "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                20 + self.below(12),
                1 + self.below(12),
                1 + self.below(28),
                self.below(24),
                self.below(60),
                self.below(60)
            ),
            r"\r" => "\r".to_owned(),
            _ => {
                let choices = alternatives(inside);
                let choice = choices[self.below(choices.len())].to_owned();
                self.expand(&choice)
            }
        }
    }

    fn word(&mut self, capital: bool) -> String {
        let word: String = (0..4 + self.below(6))
            .map(|_| char::from(b'a' + self.below(26) as u8))
            .collect();
        if capital {
            word[..1].to_uppercase() + &word[1..]
        } else {
            word
        }
    }
}

fn template(name: &str) -> &'static str {
    SEGMENTS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, text)| *text)
        .expect("a segment of the table")
}

/// Where the brace that opens `text` closes, if it opens a placeholder and not JSON.
fn matching(text: &str) -> Option<usize> {
    if text[1..].starts_with(['"', '}']) {
        return None;
    }
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Splits at the bars that are not inside further braces. An empty alternative may stand
/// more than once, to be the likelier one.
fn alternatives(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut choices) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                choices.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    choices.push(&inside[start..]);
    choices
}
