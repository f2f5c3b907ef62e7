//! Refuses source that would need more stack than any map does, before VRL sees it.
//!
//! VRL's compiler and runtime walk the program's tree by recursion, so brackets ten thousand deep,
//! or a sum of as many terms, would overflow the stack and end the process.

use wardline_core::Code;

use crate::problem::{Problem, Severity};

/// The longest source that is compiled, in bytes.
const LENGTH: usize = 256 * 1024;
/// How deep brackets may nest.
const NESTING: usize = 64;
/// How many operators one expression may chain.
const CHAIN: usize = 256;

/// Checks length, nesting and chains of operators.
pub(crate) fn refuse(source: &str) -> Result<(), Vec<Problem>> {
    if source.len() > LENGTH {
        let at = (0..=LENGTH)
            .rev()
            .find(|at| source.is_char_boundary(*at))
            .unwrap_or(0);
        return Err(vec![excess(
            format!("the program is longer than {LENGTH} bytes"),
            at,
        )]);
    }
    let mut depth = 0_usize;
    // Operators chained at each depth; closing a bracket returns to the chain around it.
    let mut chains = [0_usize; NESTING + 1];
    let mut last = b'\n';
    let mut broken = false;
    for (at, byte) in code(source) {
        if byte == b'\n' {
            // A line ends an expression unless an operator stands at its end or begins the next.
            broken = !is_operator(last);
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        if is_operator(byte) {
            chains[depth] += 1;
        } else if broken {
            chains[depth] = 0;
        }
        broken = false;
        match byte {
            b'(' | b'[' | b'{' if depth == NESTING => {
                return Err(vec![excess(
                    format!("brackets nest deeper than {NESTING} levels"),
                    at,
                )]);
            }
            b'(' | b'[' | b'{' => {
                depth += 1;
                chains[depth] = 0;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b';' => chains[depth] = 0,
            _ => {}
        }
        if chains[depth] > CHAIN {
            return Err(vec![excess(
                format!("one expression chains more than {CHAIN} operators"),
                at,
            )]);
        }
        last = byte;
    }
    Ok(())
}

fn excess(message: String, at: usize) -> Problem {
    Problem {
        code: Code("W2001"),
        message,
        start: at,
        end: at,
        label: "the limit is reached here".to_owned(),
        notes: Vec::new(),
        help: Some(
            "use variables for parts of it, or split the map in two; a flow takes a list of maps"
                .to_owned(),
        ),
        severity: Severity::Error,
    }
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-' | b'*' | b'/' | b'|' | b'&' | b'=' | b'<' | b'>' | b'?' | b'!'
    )
}

/// The source without comments and the text of string literals.
fn code(source: &str) -> impl Iterator<Item = (usize, u8)> {
    let bytes = source.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let byte = *bytes.get(at)?;
        at += 1;
        let quote = match byte {
            b'"' => Some(b'"'),
            // s'…', r'…', t'…'
            b'\'' => Some(b'\''),
            b'#' => {
                at = bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |end| at + end);
                return Some((start, b' '));
            }
            _ => None,
        };
        if let Some(quote) = quote {
            while let Some(inner) = bytes.get(at) {
                at += if *inner == b'\\' { 2 } else { 1 };
                if *inner == quote {
                    break;
                }
            }
        }
        Some((start, byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_overflow() {
        assert!(refuse(&"(".repeat(65)).is_err());
        assert!(refuse(&format!(".x = {}1", "!".repeat(1000))).is_err());
        assert!(refuse(&format!(".x = 1{}", " + 1".repeat(1000))).is_err());
        assert!(refuse(&format!(".x = 1{}", "\n + 1".repeat(1000))).is_err());
        assert!(refuse(&format!(".x = 1{}", " +\n 1".repeat(1000))).is_err());
        assert!(refuse(&" ".repeat(LENGTH + 1)).is_err());
    }

    #[test]
    fn lets_long_maps_pass() {
        assert!(refuse(&".x = 1 + 2\n".repeat(5000)).is_ok());
        assert!(
            refuse(&format!(
                "# {}\n.x = \"{}\"",
                "-".repeat(999),
                "(".repeat(999)
            ))
            .is_ok()
        );
        assert!(refuse(&format!(".x = [{}]", "1 + 1,\n".repeat(2000))).is_ok());
    }
}
