//! Control numbers of what goes out: given anew, and nothing else of the interchange changed.

use super::error::X12Error;
use super::reader::Reader;
use super::text::number;

/// Why an interchange cannot be numbered. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// It is not X12.
    #[error(transparent)]
    X12(#[from] X12Error),
    /// It is more than one, or an envelope has no end.
    #[error("it is not one whole interchange")]
    NotOne,
    /// The number has more digits than ISA13 has.
    #[error("control numbers end at 999999999")]
    TooLarge,
}

/// An interchange with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many groups it has: so many numbers of groups were used.
    pub groups: u64,
}

/// Highest control number.
const HIGHEST: u64 = 999_999_999;

/// Gives an interchange the number `control`, and its groups the numbers from `group` on. Sets keep theirs,
/// which count within a group.
///
/// # Errors
/// Where it is not one whole interchange.
pub fn renumber(interchange: &[u8], control: u64, group: u64) -> Result<Numbered, NumberError> {
    let mut reader = Reader::new(interchange);
    let mut out = Vec::with_capacity(interchange.len() + 16);
    let (mut at, mut groups, mut begun, mut ended) = (0, 0, false, false);
    while let Some(segment) = reader.next_segment()? {
        let number = match segment.tag() {
            b"ISA" if begun => return Err(NumberError::NotOne),
            b"ISA" => {
                begun = true;
                Some((13, format!("{control:09}")))
            }
            b"GS" => {
                groups += 1;
                Some((6, (group + groups - 1).to_string()))
            }
            b"GE" => Some((2, (group + groups.max(1) - 1).to_string())),
            b"IEA" => {
                ended = true;
                Some((2, format!("{control:09}")))
            }
            _ => None,
        };
        if control == 0 || control > HIGHEST || group + groups > HIGHEST {
            return Err(NumberError::TooLarge);
        }
        let Some((element, number)) = number else {
            continue;
        };
        let start = segment.offset();
        let bytes = segment.bytes();
        out.extend_from_slice(&interchange[at..start]);
        put(
            bytes,
            segment.delimiters().element,
            element,
            &number,
            &mut out,
        );
        at = start + bytes.len();
    }
    if !begun || !ended {
        return Err(NumberError::NotOne);
    }
    out.extend_from_slice(&interchange[at..]);
    Ok(Numbered { bytes: out, groups })
}

/// Puts a value into the place of an element.
fn put(segment: &[u8], separator: u8, element: usize, value: &str, out: &mut Vec<u8>) {
    for (n, part) in segment.split(|byte| *byte == separator).enumerate() {
        if n > 0 {
            out.push(separator);
        }
        if n == element {
            out.extend_from_slice(value.as_bytes());
        } else {
            out.extend_from_slice(part);
        }
    }
}

/// The control number of an interchange.
pub fn control(interchange: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(interchange);
    let segment = reader.next_segment().ok()??;
    number(segment.raw(13))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*^*00501*000000000*0*P*:~\n\
        GS*PO*A*B*20260101*1200*1*X*005010~\nST*850*0001~\nSE*2*0001~\nGE*1*1~\n\
        GS*FA*A*B*20260101*1200*1*X*005010~\nST*997*0001~\nAK1*PO*7~\nSE*3*0001~\nGE*1*1~\nIEA*2*000000000~\n";

    #[test]
    fn numbers_are_given_and_nothing_else_changes() {
        let made = renumber(TWO.as_bytes(), 41, 70).unwrap();
        assert_eq!(made.groups, 2);
        let text = String::from_utf8(made.bytes).unwrap();
        assert!(text.contains("*00501*000000041*0*P") && text.ends_with("IEA*2*000000041~\n"));
        assert!(text.contains("*1200*70*X") && text.contains("GE*1*70~"));
        assert!(text.contains("*1200*71*X") && text.contains("GE*1*71~"));
        assert!(text.contains("AK1*PO*7~"), "{text}");
        assert_eq!(control(text.as_bytes()), Some(41));
        assert_eq!(text.len(), TWO.len() + 4);
    }

    #[test]
    fn what_is_not_one_interchange_gets_no_number() {
        let twice = format!("{TWO}{TWO}");
        let cut = &TWO[..TWO.len() - 20];
        for wrong in [twice.as_str(), cut, "", "a note"] {
            assert!(renumber(wrong.as_bytes(), 1, 1).is_err(), "{wrong:.20}");
        }
        assert!(renumber(TWO.as_bytes(), 1_000_000_000, 1).is_err());
    }
}
