//! Reading a guide from its file.

use super::element::{ElementDef, Kind, Rule, SegmentDef, Usage};
use super::yaml::{self, Node as Yaml};
use super::{Guide, LoopNode, Node, SegmentNode};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Why a text is not a guide.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("this is not an X12 guide: {reason}")]
pub struct GuideError {
    /// What is wrong, and where.
    pub reason: String,
}

/// What a guide's file may say.
const KEYS: [&str; 6] = ["guide", "title", "set", "versions", "segments", "body"];
/// Nodes of one guide, against files that were made to be large.
const MOST: usize = 20_000;

impl Guide {
    /// Reads a guide.
    ///
    /// # Errors
    /// Where the text is not YAML, or not a guide; the error says where.
    pub fn parse(source: &str) -> Result<Self, GuideError> {
        read(source).map_err(|reason| GuideError { reason })
    }
}

fn read(source: &str) -> Result<Guide, String> {
    let file = yaml::read(source)?;
    let Yaml::Map(pairs) = &file else {
        return Err("a guide is a map with `guide`, `set` and `body`".to_owned());
    };
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(format!(
            "`{key}` is not known; a guide has {}",
            KEYS.join(", ")
        ));
    }
    let name = file
        .get("guide")
        .and_then(Yaml::text)
        .ok_or("`guide: NAME` is missing")?;
    let set = file.get("set").and_then(Yaml::text).unwrap_or(name);
    if set.is_empty() || set.len() > 6 {
        return Err("`set` is what ST01 has, such as 850".to_owned());
    }
    let versions = match file.get("versions") {
        None => Vec::new(),
        Some(Yaml::List(items)) => items
            .iter()
            .filter_map(Yaml::text)
            .map(Into::into)
            .collect(),
        Some(_) => return Err("`versions` is a list".to_owned()),
    };
    let mut defs: BTreeMap<&str, Arc<SegmentDef>> = BTreeMap::new();
    if let Some(segments) = file.get("segments") {
        let Yaml::Map(pairs) = segments else {
            return Err("`segments` is a map from names to elements".to_owned());
        };
        for (name, text) in pairs {
            let text = text.text().ok_or_else(|| {
                format!("segments.{name}: elements are one text, separated by `;`")
            })?;
            let def = segment_def(text).map_err(|reason| format!("segments.{name}: {reason}"))?;
            defs.insert(name, Arc::new(def));
        }
    }
    let mut guide = Guide {
        name: name.into(),
        set: set.into(),
        versions,
        nodes: vec![Node::Loop(LoopNode {
            id: "".into(),
            usage: Usage::Required,
            max: 1,
        })],
        children: vec![Vec::new()],
        kids: Vec::new(),
    };
    let Some(Yaml::List(body)) = file.get("body") else {
        return Err("`body` is a list of segments and loops".to_owned());
    };
    nodes(&mut guide, 0, body, &defs)?;
    if guide.children[0].is_empty() {
        return Err("`body` is empty".to_owned());
    }
    guide.prepare();
    for name in defs.keys() {
        let plain = name.split('(').next().unwrap_or(name);
        if !guide.knows(plain.as_bytes()) {
            return Err(format!(
                "segments.{name}: no segment of the body has this name"
            ));
        }
    }
    Ok(guide)
}

fn nodes(
    guide: &mut Guide,
    parent: usize,
    list: &[Yaml],
    defs: &BTreeMap<&str, Arc<SegmentDef>>,
) -> Result<(), String> {
    for item in list {
        if guide.nodes.len() >= MOST {
            return Err(format!("more than {MOST} segments and loops"));
        }
        let index = guide.nodes.len();
        match item {
            Yaml::Text(text) => {
                let (name, usage, max) = head(text)?;
                let (plain, picks) = picks(name)?;
                let def = defs.get(name).or_else(|| defs.get(plain)).cloned();
                guide.nodes.push(Node::Segment(SegmentNode {
                    name: plain.into(),
                    picks,
                    usage,
                    max,
                    def,
                }));
                guide.children.push(Vec::new());
                guide.children[parent].push(index);
            }
            Yaml::Map(pairs) => {
                let [(key, Yaml::List(inner))] = pairs.as_slice() else {
                    return Err("a loop is one key with a list below it".to_owned());
                };
                let (id, usage, max) = head(key)?;
                guide.nodes.push(Node::Loop(LoopNode {
                    id: id.into(),
                    usage,
                    max,
                }));
                guide.children.push(Vec::new());
                guide.children[parent].push(index);
                nodes(guide, index, inner, defs)?;
                if guide.children[index].is_empty() {
                    return Err(format!("loop {id} is empty"));
                }
            }
            Yaml::List(_) => return Err("a list within a list; a loop has a key".to_owned()),
        }
    }
    Ok(())
}

/// `NAME usage max`.
fn head(text: &str) -> Result<(&str, Usage, u32), String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("an entry without a name")?;
    let (mut usage, mut max) = (Usage::Optional, 1);
    for word in words {
        match word {
            "r" => usage = Usage::Required,
            "o" => usage = Usage::Optional,
            "n" => usage = Usage::NotUsed,
            "*" => max = 0,
            number => {
                max = number.parse().map_err(|_| {
                    format!("`{text}`: `{number}` is neither r, o, n, * nor a number")
                })?;
            }
        }
    }
    Ok((name, usage, max))
}

type Picks = Vec<(u16, Vec<Box<str>>)>;

/// `NAME(01=85|87)(03=2)`.
fn picks(text: &str) -> Result<(&str, Picks), String> {
    let (name, mut rest) = match text.find('(') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    if !(2..=3).contains(&name.len())
        || !name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        return Err(format!(
            "`{text}` does not begin with the name of a segment"
        ));
    }
    let mut picks = Vec::new();
    while let Some(inner) = rest.strip_prefix('(') {
        let (inner, after) = inner
            .split_once(')')
            .ok_or_else(|| format!("`{text}`: the bracket is not closed"))?;
        let (element, values) = match inner.split_once('=') {
            Some((element, values)) => {
                let element = element.parse().ok().filter(|n| (1..=99).contains(n));
                (
                    element.ok_or_else(|| {
                        format!("`{text}`: before `=` stands the number of an element")
                    })?,
                    values,
                )
            }
            None => (1, inner),
        };
        picks.push((element, values.split('|').map(Into::into).collect()));
        rest = after;
    }
    if rest.is_empty() {
        Ok((name, picks))
    } else {
        Err(format!("`{text}`: after the bracket it should end"))
    }
}

/// Elements separated by `;`, rules after `!`.
fn segment_def(text: &str) -> Result<SegmentDef, String> {
    let mut def = SegmentDef::default();
    for part in split(text, ';')? {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        match part.strip_prefix('!') {
            Some(rule) => def.rules.push(rule_of(rule)?),
            None => def.elements.push(element(part, true)?),
        }
    }
    Ok(def)
}

/// Splits outside brackets.
fn split(text: &str, by: char) -> Result<Vec<&str>, String> {
    let (mut depth, mut from, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1).ok_or("a bracket too much")?,
            c if c == by && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err("a bracket is not closed".to_owned());
    }
    parts.push(&text[from..]);
    Ok(parts)
}

fn rule_of(text: &str) -> Result<(Rule, Vec<u16>), String> {
    let rule = match text.chars().next() {
        Some('P') => Rule::Paired,
        Some('R') => Rule::OneOf,
        Some('E') => Rule::Exclusive,
        Some('C') => Rule::Conditional,
        Some('L') => Rule::ListConditional,
        _ => return Err(format!("`!{text}`: a rule begins with P, R, E, C or L")),
    };
    let digits = text.as_bytes().get(1..).unwrap_or_default();
    if digits.len() < 4 || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_digit)
    {
        return Err(format!(
            "`!{text}`: after its letter stand elements of two digits"
        ));
    }
    let of = digits
        .chunks(2)
        .map(|two| u16::from(two[0] - b'0') * 10 + u16::from(two[1] - b'0'));
    Ok((rule, of.collect()))
}

fn element(text: &str, composites: bool) -> Result<ElementDef, String> {
    let mut def = ElementDef {
        usage: Usage::Optional,
        kind: Kind::Text,
        min: 1,
        max: 0,
        repeat: 1,
        reference: None,
        codes: Vec::new(),
        components: Vec::new(),
    };
    let mut rest = text.trim();
    let wrong = |word: &str| {
        format!(
            "`{text}`: `{word}` is not understood; write `r AN 1/30`, `o ID 2 {{00|05}}` or `r C [r ID 2; o AN 1/48]`"
        )
    };
    let mut typed = false;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            let (codes, after) = inner.split_once('}').ok_or_else(|| wrong(rest))?;
            def.codes = codes.split('|').map(|code| code.trim().into()).collect();
            rest = after.trim_start();
            continue;
        }
        if rest.starts_with('[') && composites && def.kind == Kind::Composite {
            let end = rest.rfind(']').ok_or_else(|| wrong(rest))?;
            for part in split(&rest[1..end], ';')? {
                def.components.push(element(part, false)?);
            }
            rest = rest[end + 1..].trim_start();
            continue;
        }
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        match word {
            "r" => def.usage = Usage::Required,
            "o" => def.usage = Usage::Optional,
            "n" => def.usage = Usage::NotUsed,
            "AN" | "ID" | "R" | "DT" | "TM" | "B" | "C" | "N" | "N0" | "N1" | "N2" | "N3"
            | "N4" | "N5" | "N6"
                if !typed =>
            {
                typed = true;
                def.kind = match word {
                    "AN" => Kind::Text,
                    "ID" => Kind::Code,
                    "R" => Kind::Decimal,
                    "DT" => Kind::Date,
                    "TM" => Kind::Time,
                    "B" => Kind::Binary,
                    "C" => Kind::Composite,
                    whole => Kind::Whole(whole.as_bytes().get(1).map_or(0, |digit| digit - b'0')),
                };
            }
            _ => {
                let number = |text: &str| text.parse::<u32>().map_err(|_| wrong(word));
                if let Some(reference) = word.strip_prefix('@') {
                    def.reference = Some(reference.parse().map_err(|_| wrong(word))?);
                } else if let Some(times) = word.strip_prefix('x') {
                    def.repeat = times.parse().map_err(|_| wrong(word))?;
                } else if let Some((min, max)) = word.split_once('/') {
                    (def.min, def.max) = (number(min)?, number(max)?);
                } else {
                    def.min = number(word)?;
                    def.max = def.min;
                }
            }
        }
    }
    if def.max == 0 {
        def.max = u32::MAX;
    }
    if !typed && def.usage != Usage::NotUsed {
        return Err(format!("`{text}` has no type; write `r AN 1/30`"));
    }
    if def.kind == Kind::Composite && def.components.is_empty() {
        return Err(format!("`{text}`: a composite has components in brackets"));
    }
    if def.min > def.max {
        return Err(format!("`{text}`: the least length is more than the most"));
    }
    Ok(def)
}
