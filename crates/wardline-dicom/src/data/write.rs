//! Writing data sets, little-endian.

use super::{DataSet, Encoding, Tag, Value, Vr, tags};

/// Appends a data set. What was stepped over while it was read is left out; groups' lengths, which
/// nobody needs, too. Big-endian is not written: nothing asks for it any more.
pub fn write(set: &DataSet, encoding: Encoding, into: &mut Vec<u8>) {
    for (tag, element) in set.iter() {
        if tag.1 == 0 {
            continue;
        }
        match &element.value {
            Value::Left(_) => {}
            Value::Bytes(bytes) => {
                let odd = bytes.len() % 2;
                head(tag, element.vr, bytes.len() + odd, encoding, into);
                into.extend_from_slice(bytes);
                if odd == 1 {
                    let text = element.vr.is_text() && element.vr != Vr::UI;
                    into.push(if text { b' ' } else { 0 });
                }
            }
            Value::Items(items) => {
                let mut inner = Vec::new();
                for item in items {
                    let mut content = Vec::new();
                    write(item, encoding, &mut content);
                    put_tag(tags::ITEM, &mut inner);
                    inner.extend_from_slice(&(content.len() as u32).to_le_bytes());
                    inner.append(&mut content);
                }
                head(tag, Vr::SQ, inner.len(), encoding, into);
                into.append(&mut inner);
            }
        }
    }
}

fn put_tag(tag: Tag, into: &mut Vec<u8>) {
    into.extend_from_slice(&tag.0.to_le_bytes());
    into.extend_from_slice(&tag.1.to_le_bytes());
}

/// Tag, representation and length. A value that is too long for its representation's short length
/// is written as unknown, as the standard says.
fn head(tag: Tag, vr: Vr, length: usize, encoding: Encoding, into: &mut Vec<u8>) {
    put_tag(tag, into);
    if !encoding.explicit() {
        into.extend_from_slice(&(length as u32).to_le_bytes());
        return;
    }
    let short = u16::try_from(length).ok().filter(|_| !vr.is_long());
    if let Some(length) = short {
        into.extend_from_slice(vr.as_str().as_bytes());
        into.extend_from_slice(&length.to_le_bytes());
    } else {
        let vr = if vr.is_long() { vr } else { Vr::UN };
        into.extend_from_slice(vr.as_str().as_bytes());
        into.extend_from_slice(&[0, 0]);
        into.extend_from_slice(&(length as u32).to_le_bytes());
    }
}
