//! Datatypes of HL7 v2 as datatypes of FHIR.

use jiff::civil;
use wardline_hl7::time::{self, Precision};
use wardline_hl7::{Raw, Segment};

use super::Options;
use super::codes::{self, V2, find};
use crate::node::{Node, Object};

/// The text of a part, without space around it; nothing where it is empty or `""`.
pub(super) fn text(raw: Option<Raw<'_>>) -> Option<String> {
    let raw = raw?;
    if raw.is_empty() || raw.is_null() {
        return None;
    }
    let value = clean(&raw.value());
    (!value.is_empty() && value != "\"\"").then_some(value)
}

/// A text without space around it and without control characters, which FHIR has none of.
pub(super) fn clean(text: &str) -> String {
    let kept = |one: &char| !one.is_control() || matches!(one, '\n' | '\r' | '\t');
    let text = text.trim();
    if text.chars().all(|one| kept(&one)) {
        return text.to_owned();
    }
    let text: String = text.chars().filter(kept).collect();
    text.trim().to_owned()
}

/// A component of a repetition.
pub(super) fn part(raw: Raw<'_>, n: usize) -> Option<String> {
    text(raw.component(n))
}

/// A segment to read from.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) segment: Segment<'a>,
    pub(super) options: &'a Options,
}

impl<'a> Reader<'a> {
    pub(super) fn raw(&self, n: usize) -> Option<Raw<'a>> {
        self.segment.field(n).filter(|raw| !raw.is_empty())
    }

    /// The first repetition of a field, or a component of it.
    pub(super) fn text(&self, n: usize) -> Option<String> {
        text(self.raw(n))
    }

    pub(super) fn part(&self, n: usize, component: usize) -> Option<String> {
        part(self.raw(n)?, component)
    }

    /// All repetitions.
    pub(super) fn each(&self, n: usize) -> impl Iterator<Item = Raw<'a>> + use<'a> {
        self.raw(n)
            .into_iter()
            .flat_map(|raw| raw.repetitions())
            .filter(|raw| !raw.is_empty() && !raw.is_null())
    }

    pub(super) fn all<T>(&self, n: usize, make: impl Fn(Raw<'a>) -> Option<T>) -> Vec<T> {
        self.each(n).filter_map(make).collect()
    }

    pub(super) fn date(&self, n: usize) -> Option<String> {
        date(&self.text(n)?)
    }

    pub(super) fn moment(&self, n: usize) -> Option<String> {
        moment(&self.text(n)?, self.options)
    }

    pub(super) fn code(&self, n: usize, table: &[(&str, &'static str)]) -> Option<&'static str> {
        find(table, &self.text(n)?)
    }

    pub(super) fn concept(&self, n: usize, table: &str) -> Option<Object> {
        concept(self.raw(n)?, table)
    }

    pub(super) fn concepts(&self, n: usize, table: &str) -> Vec<Object> {
        self.all(n, |raw| concept(raw, table))
    }

    pub(super) fn identifiers(&self, n: usize) -> Vec<Object> {
        self.all(n, |raw| identifier(raw, self.options))
    }

    /// An entity identifier (EI).
    pub(super) fn entity(&self, n: usize, kind: &'static str) -> Option<Object> {
        let raw = self.raw(n)?;
        let mut made = Object::new();
        made.put("type", typed(kind, "0203"));
        let authority = Authority {
            namespace: part(raw, 2),
            id: part(raw, 3),
            kind: part(raw, 4),
        };
        made.put("system", authority.system(self.options));
        made.put("value", Some(part(raw, 1)?));
        Some(made)
    }
}

/// A date: year, month or day.
pub(super) fn date(text: &str) -> Option<String> {
    let mut read = time::parse(text).ok()?;
    read.precision = read.precision.min(Precision::Day);
    (read.year > 0).then(|| read.to_iso())
}

/// A dateTime. A time of day needs a zone: that of the message, or of the options; without one the
/// day is what is left.
pub(super) fn moment(text: &str, options: &Options) -> Option<String> {
    let mut read = time::parse(text).ok()?;
    if read.year == 0 {
        return None;
    }
    if read.precision > Precision::Day && read.offset_minutes.is_none() {
        read.offset_minutes = offset(&read, options);
        if read.offset_minutes.is_none() {
            read.precision = Precision::Day;
        }
    }
    Some(read.to_iso())
}

/// A moment exact enough for an `instant`.
pub(super) fn instant(text: &str, options: &Options) -> Option<String> {
    moment(text, options).filter(|made| made.len() > 10)
}

fn offset(read: &time::Timestamp, options: &Options) -> Option<i16> {
    let zone = options.zone.as_ref()?;
    let n = |value: u8| i8::try_from(value).ok();
    let second = n(read.second)?.min(59);
    let local = civil::datetime(
        i16::try_from(read.year).ok()?,
        n(read.month)?,
        n(read.day)?,
        n(read.hour)?,
        n(read.minute)?,
        second,
        0,
    );
    let zoned = zone.to_ambiguous_zoned_datetime(local).compatible().ok()?;
    i16::try_from(zoned.offset().seconds() / 60).ok()
}

/// Who gave an identifier (HD, as components or subcomponents).
#[derive(Default)]
pub(super) struct Authority {
    pub(super) namespace: Option<String>,
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
}

impl Authority {
    /// From one component with subcomponents.
    pub(super) fn read(raw: Option<Raw<'_>>) -> Self {
        let sub = |n| text(raw.and_then(|raw| raw.subcomponent(n)));
        Self {
            namespace: sub(1),
            id: sub(2),
            kind: sub(3),
        }
    }

    pub(super) fn system(&self, options: &Options) -> Option<String> {
        if let Some(known) = self
            .namespace
            .as_ref()
            .and_then(|name| options.systems.get(name))
        {
            return Some(known.clone());
        }
        if let Some(id) = &self.id {
            let digits =
                id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && id.contains('.');
            match self.kind.as_deref() {
                _ if digits => return Some(format!("urn:oid:{id}")),
                Some("UUID" | "GUID") => {
                    return Some(format!("urn:uuid:{}", id.to_ascii_lowercase()));
                }
                Some("URI" | "URL" | "HTTP") if !id.contains(char::is_whitespace) => {
                    return Some(id.clone());
                }
                _ => {}
            }
        }
        let name = self.namespace.as_ref().or(self.id.as_ref())?;
        Some(format!("urn:id:{}", codes::plain(name)))
    }
}

/// `{ coding: [{ system, code }] }` of a v2 table.
pub(super) fn typed(code: &str, table: &str) -> Option<Object> {
    if code.is_empty() {
        return None;
    }
    Some(concept_of(format!("{V2}{table}"), code.to_owned(), None))
}

pub(super) fn concept_of(system: String, code: String, display: Option<String>) -> Object {
    let mut coding = Object::new();
    coding
        .put("system", Some(system))
        .put("code", Some(code))
        .put("display", display);
    let mut made = Object::new();
    made.push("coding", coding);
    made
}

/// An identifier (CX).
pub(super) fn identifier(raw: Raw<'_>, options: &Options) -> Option<Object> {
    let value = part(raw, 1)?;
    let kind = part(raw, 5);
    let authority = Authority::read(raw.component(4));
    Some(identifier_of(value, kind, &authority, options))
}

pub(super) fn identifier_of(
    value: String,
    kind: Option<String>,
    authority: &Authority,
    options: &Options,
) -> Object {
    let system = match kind.as_deref() {
        Some("SS") => Some("http://hl7.org/fhir/sid/us-ssn".to_owned()),
        Some("NPI") => Some("http://hl7.org/fhir/sid/us-npi".to_owned()),
        _ if authority.namespace.as_deref() == Some("NPI") => {
            Some("http://hl7.org/fhir/sid/us-npi".to_owned())
        }
        _ => authority.system(options),
    };
    let mut made = Object::new();
    made.put("type", kind.and_then(|kind| typed(&kind, "0203")));
    made.put("system", system);
    made.put("value", value);
    made
}

/// A name (XPN).
pub(super) fn name(raw: Raw<'_>) -> Option<Object> {
    name_at(raw, 1, part(raw, 7))
}

/// A name whose family stands in component `first`.
pub(super) fn name_at(raw: Raw<'_>, first: usize, use_code: Option<String>) -> Option<Object> {
    let given: Vec<Node> = [first + 1, first + 2]
        .iter()
        .filter_map(|n| part(raw, *n))
        .map(Node::Text)
        .collect();
    let suffix: Vec<Node> = [first + 3, first + 5]
        .iter()
        .filter_map(|n| part(raw, *n))
        .map(Node::Text)
        .collect();
    let mut made = Object::new();
    made.put("family", part(raw, first)).put("given", given);
    made.put(
        "prefix",
        part(raw, first + 4).map(|one| vec![Node::Text(one)]),
    )
    .put("suffix", suffix);
    if made.is_empty() {
        return None;
    }
    made.put(
        "use",
        use_code.and_then(|code| find(codes::NAME_USE, &code)),
    );
    Some(made)
}

/// An address (XAD).
pub(super) fn address(raw: Raw<'_>) -> Option<Object> {
    let lines: Vec<Node> = [1, 2, 8]
        .iter()
        .filter_map(|n| part(raw, *n))
        .map(Node::Text)
        .collect();
    let mut made = Object::new();
    made.put("line", lines)
        .put("city", part(raw, 3))
        .put("district", part(raw, 9));
    made.put("state", part(raw, 4))
        .put("postalCode", part(raw, 5))
        .put("country", part(raw, 6));
    if made.is_empty() {
        return None;
    }
    if let Some(kind) = part(raw, 7) {
        made.put("use", find(codes::ADDRESS_USE, &kind));
        made.put("type", kind.eq_ignore_ascii_case("M").then_some("postal"));
    }
    Some(made)
}

/// A way to reach somebody (XTN). `otherwise` is the use where the field itself says it.
pub(super) fn telecom(raw: Raw<'_>, otherwise: Option<&'static str>) -> Option<Object> {
    let equipment = part(raw, 3).unwrap_or_default();
    let use_code = part(raw, 2).unwrap_or_default();
    let number = part(raw, 12).or_else(|| part(raw, 1)).or_else(|| {
        let mut digits = String::new();
        for (n, before) in [(5, "+"), (6, " "), (7, " "), (8, " ext. ")] {
            if let Some(piece) = part(raw, n) {
                if !digits.is_empty() || n == 5 || n == 8 {
                    digits.push_str(before);
                }
                digits.push_str(piece.trim_start_matches('+'));
            }
        }
        (!digits.is_empty()).then_some(digits)
    });
    let email = part(raw, 4);
    let (system, value) = match (find(codes::PHONE_SYSTEM, &equipment), number, email) {
        (Some("email"), _, Some(email)) | (_, None, Some(email)) => ("email", email),
        (Some(system), Some(number), _) => (system, number),
        (_, Some(number), _) if number.contains('@') => ("email", number),
        (None, Some(number), _) => ("phone", number),
        _ => return None,
    };
    let mut made = Object::new();
    let mobile = equipment.eq_ignore_ascii_case("CP").then_some("mobile");
    made.put("system", system).put("value", value);
    made.put(
        "use",
        mobile
            .or_else(|| find(codes::PHONE_USE, &use_code))
            .or(otherwise),
    );
    Some(made)
}

/// A coded value (CWE, CE, CNE, IS). `table` is the v2 table where the message names no system;
/// none where the site itself fills the table.
pub(super) fn concept(raw: Raw<'_>, table: &str) -> Option<Object> {
    let mut made = Object::new();
    for (first, default) in [(1, table), (4, "")] {
        let code = part(raw, first);
        let display = part(raw, first + 1);
        if code.is_none() {
            continue;
        }
        let system = match part(raw, first + 2) {
            Some(name) => Some(codes::system(&name)),
            None if default.is_empty() => None,
            None => Some(format!("{V2}{default}")),
        };
        let mut coding = Object::new();
        coding
            .put("system", system)
            .put("code", code)
            .put("display", display);
        made.push("coding", coding);
    }
    made.put(
        "text",
        part(raw, 9)
            .or_else(|| part(raw, 2))
            .or_else(|| part(raw, 5)),
    );
    made.some()
}

/// The digits of a number as JSON writes them.
pub(super) fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all(whole) || !all(fraction) || whole.len() + fraction.len() == 0 || digits.len() > 40 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// A quantity with the units of a coded field.
pub(super) fn quantity(digits: &str, units: Option<Raw<'_>>) -> Option<Object> {
    let mut made = Object::new();
    made.put("value", Node::Number(number(digits)?));
    if let Some(raw) = units {
        let code = part(raw, 1);
        made.put("unit", part(raw, 2).or_else(|| code.clone()));
        if let (Some(code), Some(system)) = (code, part(raw, 3)) {
            made.put("system", codes::system(&system)).put("code", code);
        }
    }
    Some(made)
}

/// A price (CP): amount and currency.
pub(super) fn money(raw: Raw<'_>) -> Option<Object> {
    let amount = text(raw.component(1).and_then(|one| one.subcomponent(1)))?;
    let mut made = Object::new();
    made.put("value", Node::Number(number(&amount)?));
    made.put(
        "currency",
        text(raw.component(1).and_then(|one| one.subcomponent(2))).filter(|code| code.len() == 3),
    );
    Some(made)
}

/// A period of two moments.
pub(super) fn period(start: Option<String>, end: Option<String>) -> Option<Object> {
    let mut made = Object::new();
    made.put("start", start).put("end", end);
    made.some()
}
