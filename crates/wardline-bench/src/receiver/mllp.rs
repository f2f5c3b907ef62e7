//! The MLLP receiver: reads MSH-10 and says AA.

use super::Shared;
use crate::sample::Mark;
use memchr::{memchr, memchr_iter, memmem};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wardline_hl7::mllp;

/// Larger frames are not sent to this receiver; a peer that does has lost its way.
const MOST: usize = 1 << 20;

pub(super) async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut input: Vec<u8> = Vec::with_capacity(16 * 1_024);
    let mut output = Vec::with_capacity(4_096);
    loop {
        let mut done = 0;
        while let Some(end) = memmem::find(&input[done..], &mllp::TRAILER) {
            let frame = &input[done..done + end];
            answer(frame, shared, &mut output);
            done += end + mllp::TRAILER.len();
        }
        input.drain(..done);
        if !output.is_empty() {
            stream.write_all(&output).await?;
            output.clear();
        }
        if input.len() > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

fn answer(frame: &[u8], shared: &Shared, output: &mut Vec<u8>) {
    let control = control_id(frame).unwrap_or_default();
    let mark = Mark::read(control);
    let failing = mark.is_some_and(|mark| shared.faults.now(mark.key));
    if !failing {
        shared.order.arrived(mark);
    }
    output.push(mllp::START);
    output.extend_from_slice(b"MSH|^~\\&|BENCH|BENCH|WARDLINE|BENCH|20260101||ACK|R");
    output.extend_from_slice(control);
    output.extend_from_slice(if failing {
        b"|P|2.5.1\rMSA|AE|"
    } else {
        b"|P|2.5.1\rMSA|AA|"
    });
    output.extend_from_slice(control);
    output.push(b'\r');
    output.extend(mllp::TRAILER);
}

/// MSH-10: after the ninth separator, because MSH-1 is the separator itself.
fn control_id(frame: &[u8]) -> Option<&[u8]> {
    let header = &frame[..memchr(b'\r', frame)?];
    let start = memchr_iter(b'|', header).nth(8)? + 1;
    let end = memchr(b'|', &header[start..])?;
    Some(&header[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::control_id;
    use crate::sample::message;

    #[test]
    fn the_control_id_is_found() {
        assert_eq!(
            control_id(message().as_bytes()),
            Some(&b"00000042000000007"[..])
        );
        assert_eq!(control_id(b"MSH|^~\\&|\r"), None);
        assert_eq!(control_id(b""), None);
    }
}
