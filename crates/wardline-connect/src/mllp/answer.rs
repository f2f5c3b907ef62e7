//! The acknowledgements that one message is due, framed and ready to be written.

use bytes::{Bytes, BytesMut};
use wardline_core::Code;
use wardline_hl7::ack::{Ack, Due, ErrorCode, Fault, Mode, Outcome};
use wardline_hl7::{Message, mllp};

use super::config::AckMode;

/// What to say about one message, whichever way it goes.
#[derive(Clone)]
pub(super) struct Answers {
    message: Message,
    commit: [bool; 2],
    application: [bool; 2],
}

impl Answers {
    pub(super) fn of(message: &Message, mode: AckMode) -> Self {
        let due = Due::of(message);
        let (commit, application) = match (mode, due.mode()) {
            (AckMode::Original, _) | (AckMode::Auto, Mode::Original) => ([false; 2], [true; 2]),
            (AckMode::Enhanced, Mode::Original) => ([true; 2], [false; 2]),
            (_, Mode::Enhanced) => (
                [due.accept(Outcome::Success), due.accept(Outcome::Failure)],
                [
                    due.application(Outcome::Success),
                    due.application(Outcome::Failure),
                ],
            ),
        };
        Self {
            message: message.clone(),
            commit,
            application,
        }
    }

    /// What is said once the message is safe: none, CA, AA, or CA and then AA. The engine is the
    /// receiving application, and what it has committed it has taken.
    pub(super) fn positive(&self) -> Bytes {
        let mut out = BytesMut::new();
        if self.commit[0] {
            mllp::encode(
                &Ack::for_message(&self.message).accept().commit().to_bytes(),
                &mut out,
            );
        }
        if self.application[0] {
            mllp::encode(
                &Ack::for_message(&self.message).accept().to_bytes(),
                &mut out,
            );
        }
        out.freeze()
    }

    /// What is said when it was not taken; at most one acknowledgement, since nothing that was
    /// not kept can be processed later. Empty where the sender asked not to be told.
    pub(super) fn negative(&self, permanent: bool, code: Code, text: &str) -> Bytes {
        let fault = Fault::new(ErrorCode::ApplicationInternalError, text).diagnostic(code.0);
        let ack = Ack::for_message(&self.message);
        let ack = if permanent {
            ack.reject(fault)
        } else {
            ack.error(fault)
        };
        if self.commit[1] {
            mllp::frame(&ack.commit().to_bytes())
        } else if self.application[1] {
            mllp::frame(&ack.to_bytes())
        } else {
            Bytes::new()
        }
    }
}

/// What is said about bytes that no message could be read from; `start` is their beginning.
pub(super) fn unreadable(start: &[u8], code: Code, text: &str) -> Bytes {
    let fault = Fault::new(ErrorCode::SegmentSequence, text).diagnostic(code.0);
    mllp::frame(&Ack::for_unreadable(start, fault).to_bytes())
}

/// What is said about a message of which only a part came. It may pass when it is sent whole,
/// so this is AE where the part names its message: MSH must be whole for that, or MSA-2 would
/// hold half a control id.
pub(super) fn incomplete(part: Bytes, mode: AckMode, code: Code, text: &str) -> Bytes {
    let has_header = memchr::memchr2(b'\r', b'\n', &part).is_some();
    match Message::parse(part.clone()) {
        Ok(message) if has_header => Answers::of(&message, mode).negative(false, code, text),
        _ => unreadable(&part, code, text),
    }
}
