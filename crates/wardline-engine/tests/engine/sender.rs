//! The clinical record: sends HL7 v2 over MLLP, one message after the other.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Sender {
    stream: TcpStream,
}

impl Sender {
    pub(crate) async fn connect(place: &str) -> Self {
        let address = place.strip_prefix("mllp ").unwrap();
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
        }
    }

    /// Sends and returns the acknowledgement.
    pub(crate) async fn send(&mut self, message: &str) -> String {
        let mut frame = vec![0x0B];
        frame.extend_from_slice(message.as_bytes());
        frame.extend_from_slice(&[0x1C, 0x0D]);
        self.stream.write_all(&frame).await.unwrap();
        let mut ack = Vec::new();
        while !ack.ends_with(&[0x1C, 0x0D]) {
            let byte = self.stream.read_u8().await.expect("an acknowledgement");
            ack.push(byte);
        }
        String::from_utf8(ack[1..ack.len() - 2].to_vec()).unwrap()
    }

    /// Sends and demands `AA`.
    pub(crate) async fn tell(&mut self, message: &str) {
        let ack = self.send(message).await;
        assert_eq!(code(&ack), "AA", "{ack}");
    }
}

/// `AA`, `AE` or `AR`.
pub(crate) fn code(ack: &str) -> &str {
    let msa = ack
        .split('\r')
        .find(|segment| segment.starts_with("MSA|"))
        .expect("an MSA segment");
    msa.split('|').nth(1).unwrap()
}

/// An ADT message about a visit, whose account is `A-` and the visit's number.
pub(crate) fn adt(trigger: &str, id: &str, visit: &str) -> String {
    format!(
        "MSH|^~\\&|EHR|NORTH|WARDLINE|STB|20261124104203||ADT^{trigger}|{id}|P|2.5.1\r\
         EVN|{trigger}|20261124104203\r\
         PID|1||M-{visit}^^^STB^MR||Quillfeather^Zoe||19670312|F||||||||||A-{visit}\r\
         PV1|1|I|4W^112^A^NORTH||||||||||||||||{visit}\r"
    )
}
