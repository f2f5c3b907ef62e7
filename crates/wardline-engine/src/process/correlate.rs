//! How an event finds the instance that waits for it.
//!
//! A `where` is looked at as a conjunction. One of its conjuncts must compare a value of the event
//! with a value of the instance: by that value waits are indexed, so that finding one among a
//! million costs one lookup. The whole predicate is tested afterwards on what was found.

use std::ops::Range;

/// The word for the waiting side in a `where`.
const INSTANCE: &str = "instance";

/// The two sides of the conjunct by which waits are found, as places in the text: of the event,
/// and of the instance.
pub(crate) fn sides(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    split(text, 0..text.len(), "&&")
        .into_iter()
        .find_map(|conjunct| {
            let conjunct = bare(text, conjunct);
            let parts = split(text, conjunct, "==");
            let [left, right] = <[Range<usize>; 2]>::try_from(parts).ok()?;
            let (left, right) = (trimmed(text, left), trimmed(text, right));
            match (
                mentions(&text[left.clone()]),
                mentions(&text[right.clone()]),
            ) {
                (false, true) => Some((left, right)),
                (true, false) => Some((right, left)),
                _ => None,
            }
        })
}

/// The text with `instance.` as the path that it stands for, and where something was put in.
pub(crate) fn rewritten(text: &str) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len() + 8);
    let mut put = Vec::new();
    let mut last = 0;
    for at in words(text) {
        out.push_str(&text[last..at]);
        put.push(out.len());
        out.push('.');
        last = at;
    }
    out.push_str(&text[last..]);
    (out, put)
}

/// A place in the rewritten text as a place in the text.
pub(crate) fn original(at: usize, put: &[usize]) -> usize {
    at - put.iter().filter(|put| **put < at).count()
}

/// Whether a text speaks of the instance.
pub(crate) fn mentions(text: &str) -> bool {
    words(text).next().is_some()
}

/// Where `instance` stands as a word of its own, outside of literals.
fn words(text: &str) -> impl Iterator<Item = usize> + '_ {
    code(text).filter_map(move |(at, _, _)| {
        let rest = text.get(at..)?.strip_prefix(INSTANCE)?;
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let begins = !text[..at]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '%' | '"' | '\''));
        (ends && begins).then_some(at)
    })
}

/// Parts of a range between operators that stand outside of brackets and literals.
fn split(text: &str, range: Range<usize>, operator: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    let inner = &text[range.clone()];
    for (at, _, depth) in code(inner) {
        let at = range.start + at;
        if depth == 0
            && at >= start
            && text[at..range.end].starts_with(operator)
            && !text[..at].ends_with(['!', '<', '>', '='])
            && !text[at + operator.len()..].starts_with('=')
        {
            parts.push(start..at);
            start = at + operator.len();
        }
    }
    parts.push(start..range.end);
    parts
}

/// A range without the brackets around all of it.
fn bare(text: &str, range: Range<usize>) -> Range<usize> {
    let mut range = trimmed(text, range);
    loop {
        let inner = &text[range.clone()];
        let wraps = inner.starts_with('(')
            && inner.ends_with(')')
            && code(inner).all(|(at, _, depth)| depth > 0 || at == 0 || at == inner.len() - 1);
        if !wraps {
            return range;
        }
        range = trimmed(text, range.start + 1..range.end - 1);
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    start..start + inner.trim().len()
}

/// Characters outside of literals, each with its place and how deep in brackets it stands (a
/// bracket stands outside of itself).
fn code(text: &str) -> impl Iterator<Item = (usize, char, usize)> + '_ {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut depth = 0_usize;
    text.char_indices().filter_map(move |(at, c)| {
        if let Some(end) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == end {
                quote = None;
            }
            return None;
        }
        match c {
            '"' | '\'' => {
                quote = Some(c);
                None
            }
            '(' | '[' | '{' => {
                depth += 1;
                Some((at, c, depth - 1))
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                Some((at, c, depth))
            }
            _ => Some((at, c, depth)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(&str, &str)> {
        let (event, instance) = sides(text)?;
        Some((&text[event], &text[instance]))
    }

    #[test]
    fn the_conjunct_with_both_sides_is_found() {
        assert_eq!(
            found(".number == instance.key"),
            Some((".number", "instance.key"))
        );
        assert_eq!(
            found("instance.vars.order.id == .order && .qty > 0"),
            Some((".order", "instance.vars.order.id"))
        );
        assert_eq!(
            found(r#".state != "x" && (string(.a) ?? "") == instance.key"#),
            Some((r#"(string(.a) ?? "")"#, "instance.key"))
        );
        assert_eq!(found("(.a == instance.key)"), Some((".a", "instance.key")));
        assert_eq!(found(".a >= instance.vars.b"), None);
        assert_eq!(found(".a == .b || .c == instance.key"), None);
        assert_eq!(found(r#".a == "instance.key""#), None);
        assert_eq!(found(".instance.key == .b"), None);
    }

    #[test]
    fn the_word_becomes_a_path_and_places_are_found_again() {
        let text = r#".a == instance.key && instance.vars.b != "instance.c""#;
        let (out, put) = rewritten(text);
        assert_eq!(
            out,
            r#".a == .instance.key && .instance.vars.b != "instance.c""#
        );
        let at = out.find("vars").unwrap();
        assert_eq!(&text[original(at, &put)..][..4], "vars");
    }
}
