//! ASN.1 as far as CMS needs it: BER is read (indefinite lengths and strings in pieces, which streaming
//! writers make), DER is written.

/// How deep values may lie in each other.
const DEEPEST: usize = 24;

/// A value that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) tag: u8,
    /// Its content, without its length and its end.
    pub(crate) content: &'a [u8],
    /// All of it.
    pub(crate) raw: &'a [u8],
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// The first tag of a context, constructed.
pub(crate) const CONTEXT: u8 = 0xa0;

/// Reads one value from the front; what follows is left.
pub(crate) fn take<'a>(bytes: &mut &'a [u8]) -> Option<Node<'a>> {
    let (node, rest) = one(bytes, 0)?;
    *bytes = rest;
    Some(node)
}

/// The one value that bytes are.
pub(crate) fn whole(bytes: &[u8]) -> Option<Node<'_>> {
    let (node, rest) = one(bytes, 0)?;
    // Some writers pad what they put into a message.
    rest.iter()
        .all(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        .then_some(node)
}

fn one(bytes: &[u8], depth: usize) -> Option<(Node<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    // Tags of several bytes have no place in CMS.
    if tag & 0x1f == 0x1f || depth > DEEPEST {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    if first == 0x80 {
        if tag & 0x20 == 0 {
            return None;
        }
        let mut inner = rest;
        loop {
            if let Some(after) = inner.strip_prefix(&[0, 0]) {
                let content = &rest[..rest.len() - inner.len()];
                let raw = &bytes[..bytes.len() - after.len()];
                return Some((Node { tag, content, raw }, after));
            }
            inner = one(inner, depth + 1)?.1;
        }
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 || rest.len() < count {
            return None;
        }
        let length = rest[..count]
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, &rest[count..])
    };
    if length > rest.len() {
        return None;
    }
    let (content, after) = rest.split_at(length);
    let raw = &bytes[..bytes.len() - after.len()];
    Some((Node { tag, content, raw }, after))
}

impl<'a> Node<'a> {
    /// Its content, where it has this tag.
    pub(crate) fn is(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// The bytes of a string, which may be in pieces. `tag` is that of one that is not.
    pub(crate) fn octets(self, tag: u8) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.content.len());
        self.gather(tag, 0, &mut bytes)?;
        Some(bytes)
    }

    fn gather(self, tag: u8, depth: usize, into: &mut Vec<u8>) -> Option<()> {
        if self.tag == tag {
            into.extend_from_slice(self.content);
            return Some(());
        }
        if self.tag != tag | 0x20 || depth > 4 {
            return None;
        }
        let mut rest = self.content;
        while !rest.is_empty() {
            take(&mut rest)?.gather(OCTETS, depth + 1, into)?;
        }
        Some(())
    }
}

/// Writes a value.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        let written = (length as u32).to_be_bytes();
        let from = written.iter().position(|byte| *byte != 0).unwrap_or(3);
        bytes.push(0x80 | (4 - from) as u8);
        bytes.extend_from_slice(&written[from..]);
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_lengths_are_read() {
        let long = tlv(OCTETS, &[&[7; 300]]);
        assert_eq!(
            whole(&long).and_then(|node| node.octets(OCTETS)),
            Some(vec![7; 300])
        );
        let pieces = [0x24, 0x80, 4, 2, 1, 2, 4, 1, 3, 0, 0];
        assert_eq!(
            whole(&pieces).and_then(|node| node.octets(OCTETS)),
            Some(vec![1, 2, 3])
        );
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 5, 1],
            &[4, 0x80, 0, 0],
            &[0x1f, 1, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x80, 0x30, 0x80],
        ] {
            assert!(whole(bad).is_none(), "{bad:?}");
        }
        assert!(whole(&[0x30, 0x80].repeat(10_000)).is_none());
    }
}
