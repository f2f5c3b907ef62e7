//! What a file was when it was checked, so that nothing else is taken in its place.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// Bytes of a part. A file of 1 GB has a thousand parts, 32 bytes each.
const PART: usize = 1 << 20;

/// Digests of a file's parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    parts: Vec<[u8; 32]>,
    /// Bytes in all.
    pub(crate) size: u64,
}

impl Seen {
    /// Names the content.
    pub(crate) fn name(&self) -> String {
        let mut all = Context::new(&SHA256);
        self.parts.iter().for_each(|part| all.update(part));
        let digest = all.finish();
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn of(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

/// Reads a part, shorter only at the end.
fn part(input: &mut impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    input.take(PART as u64).read_to_end(into)?;
    Ok(())
}

/// Notes what passes through.
pub(crate) struct Noting<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    seen: Seen,
}

impl<R: Read> Noting<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::with_capacity(PART),
            at: 0,
            seen: Seen::default(),
        }
    }

    /// What passed and what would have: the rest is read, too.
    pub(crate) fn finish(mut self) -> io::Result<Seen> {
        while self.next()? {}
        Ok(self.seen)
    }

    fn next(&mut self) -> io::Result<bool> {
        part(&mut self.input, &mut self.buffer)?;
        self.at = 0;
        if self.buffer.is_empty() {
            return Ok(false);
        }
        self.seen.parts.push(of(&self.buffer));
        self.seen.size += self.buffer.len() as u64;
        Ok(true)
    }
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() && !self.next()? {
            return Ok(0);
        }
        Ok(give(&self.buffer, &mut self.at, into))
    }
}

/// Lets pass only what was seen before.
pub(crate) struct Same<'s, R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    seen: &'s Seen,
    part: usize,
}

impl<'s, R: Read> Same<'s, R> {
    pub(crate) fn new(input: R, seen: &'s Seen) -> Self {
        Self {
            input,
            buffer: Vec::with_capacity(PART),
            at: 0,
            seen,
            part: 0,
        }
    }
}

impl<R: Read> Read for Same<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            part(&mut self.input, &mut self.buffer)?;
            self.at = 0;
            let expected = self.seen.parts.get(self.part);
            let same = match expected {
                None => self.buffer.is_empty(),
                Some(expected) => of(&self.buffer) == *expected,
            };
            if !same {
                // Nothing passes any more, whoever asks again.
                self.buffer.clear();
                self.part = usize::MAX;
                return Err(io::Error::other(
                    "the file changed while it was being taken",
                ));
            }
            self.part += 1;
        }
        Ok(give(&self.buffer, &mut self.at, into))
    }
}

fn give(buffer: &[u8], at: &mut usize, into: &mut [u8]) -> usize {
    let length = into.len().min(buffer.len() - *at);
    into[..length].copy_from_slice(&buffer[*at..*at + length]);
    *at += length;
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_passes() {
        let bytes: Vec<u8> = (0..3 * PART + 5).map(|n| (n % 251) as u8).collect();
        let mut noting = Noting::new(&bytes[..]);
        let mut first = [0; 10];
        noting.read_exact(&mut first).unwrap();
        let seen = noting.finish().unwrap();
        assert_eq!(seen.size, bytes.len() as u64);
        let mut again = Vec::new();
        Same::new(&bytes[..], &seen)
            .read_to_end(&mut again)
            .unwrap();
        assert!(again == bytes);
        for (at, cut) in [
            (0, 0),
            (2 * PART, 0),
            (3 * PART + 4, 0),
            (0, 1),
            (0, PART + 5),
        ] {
            let mut other = bytes.clone();
            if cut == 0 {
                other[at] ^= 1;
            }
            other.truncate(bytes.len() - cut);
            let mut taken = Vec::new();
            assert!(
                Same::new(&other[..], &seen)
                    .read_to_end(&mut taken)
                    .is_err()
            );
            assert!(
                bytes.starts_with(&taken),
                "nothing passes that was not seen"
            );
        }
        let mut longer = bytes.clone();
        longer.push(1);
        assert!(
            Same::new(&longer[..], &seen)
                .read_to_end(&mut Vec::new())
                .is_err()
        );
    }
}
