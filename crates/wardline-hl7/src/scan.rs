//! Finding the n-th separator fast, in safe code.
//!
//! HL7 fields are short and often empty, so one library call per separator costs more than the
//! bytes it looks at. Blocks of 32 bytes are counted instead (the compiler makes vector code of
//! it), the block that holds the separator is searched eight bytes at a time, and a long stretch
//! without one (a document in OBX-5) is left to `memchr`.

const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const ONES: u64 = 0x0101_0101_0101_0101;
/// Bytes counted at once.
const BLOCK: usize = 32;
/// Bytes without a hit after which the search changes to `memchr`.
const PATIENCE: usize = 64;

/// 0x80 in every byte of `word` that equals the byte repeated in `pattern`; exact.
#[inline]
fn hits(word: u64, pattern: u64) -> u64 {
    let x = word ^ pattern;
    !(((x & LOW7) + LOW7) | x | LOW7)
}

/// Position of the `n`-th (from 0) `needle` in `hay`.
#[inline]
pub(crate) fn nth(hay: &[u8], needle: u8, mut n: usize) -> Option<usize> {
    let mut at = 0;
    let mut missed = 0;
    // A block costs as much as two words, so it pays only where several separators are to be passed.
    while n > 1
        && let Some(block) = hay.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>())
    {
        let count = usize::from(
            block
                .iter()
                .map(|byte| u8::from(*byte == needle))
                .sum::<u8>(),
        );
        if count > n {
            break;
        }
        n -= count;
        at += BLOCK;
        missed = if count == 0 { missed + BLOCK } else { 0 };
        if missed >= PATIENCE {
            at += memchr::memchr(needle, &hay[at..])?;
            missed = 0;
        }
    }
    let pattern = u64::from(needle) * ONES;
    missed = 0;
    while let Some(chunk) = hay.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let mut found = hits(u64::from_le_bytes(*chunk), pattern);
        if found == 0 {
            at += 8;
            missed += 8;
            if missed == PATIENCE {
                at += memchr::memchr(needle, &hay[at..])?;
                missed = 0;
            }
            continue;
        }
        missed = 0;
        let count = ((found >> 7).wrapping_mul(ONES) >> 56) as usize;
        if count > n {
            for _ in 0..n {
                found &= found - 1;
            }
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        n -= count;
        at += 8;
    }
    for (index, byte) in hay.iter().enumerate().skip(at) {
        if *byte == needle {
            if n == 0 {
                return Some(index);
            }
            n -= 1;
        }
    }
    None
}

/// Position of the first `needle`.
#[inline]
pub(crate) fn first(hay: &[u8], needle: u8) -> Option<usize> {
    nth(hay, needle, 0)
}

/// The `n`-th (from 1) part of `hay` cut at `separator`; `None` when there are fewer.
#[inline]
pub(crate) fn part(hay: &[u8], separator: u8, n: usize) -> Option<&[u8]> {
    let rest = match n {
        0 => return None,
        1 => hay,
        _ => &hay[nth(hay, separator, n - 2)? + 1..],
    };
    Some(first(rest, separator).map_or(rest, |end| &rest[..end]))
}

/// How often `needle` occurs.
pub(crate) fn count(hay: &[u8], needle: u8) -> usize {
    memchr::memchr_iter(needle, hay).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_plain_way() {
        let long = [
            b"a|b||".as_slice(),
            &[b'x'; 300],
            b"|tail|\x80\xfc|\xfd||||||||||||",
        ]
        .concat();
        for hay in [b"".as_slice(), b"|", b"||||||||", b"abc", &long] {
            let plain: Vec<usize> = hay
                .iter()
                .enumerate()
                .filter(|(_, b)| **b == b'|')
                .map(|(i, _)| i)
                .collect();
            for n in 0..plain.len() + 2 {
                assert_eq!(nth(hay, b'|', n), plain.get(n).copied(), "{n}");
            }
            let parts: Vec<&[u8]> = hay.split(|b| *b == b'|').collect();
            for n in 1..parts.len() + 2 {
                assert_eq!(part(hay, b'|', n), parts.get(n - 1).copied());
            }
        }
    }
}
