//! Every code that this crate gives to a peer or to the engine, with what it means.

use wardline_core::Code;

/// A code, its title, and what the reader of it can do.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// One line.
    pub title: &'static str,
    /// A paragraph: what happened, and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code($code);
        )*
        /// All of them, in order.
        pub const ALL: &[Entry] = &[
            $(Entry { code: $name, title: $title, explanation: $explanation },)*
        ];
    };
}

codes! {
    NOT_HL7 "W3101" "an MLLP frame does not hold an HL7 v2 message"
        "The frame was answered with AR (CR in enhanced mode) and not taken. Read the reason in ERR-8 \
         (ERR-1 before version 2.5) and correct the sender; sending the same bytes again is answered the same."
    FRAME_TOO_LARGE "W3102" "an MLLP frame is larger than the listener allows"
        "The frame was skipped up to its end and answered with AR. Raise `max_size` of the connection where such \
         messages are expected (documents in OBX-5), or have the sender split it."
    BUSY_TOO_LONG "W3103" "no room for a message within the busy limit"
        "The listener stopped reading, offered the message again until its busy limit ended, and answered AE. \
         Nothing was taken; the sender sends again. Look for a slow disk or a destination that holds everything up."
    FRAME_CUT "W3104" "an MLLP frame has no end block"
        "A new start block, or the end of the connection, came before the end of the frame (0x1C 0x0D). What had \
         arrived was not taken, since nobody can know whether it was whole. Correct the sender's framing."

    NOT_AUTHENTICATED "W3201" "an HTTP request does not prove who sent it"
        "The answer was 401, the same for every cause. Compare the credential or webhook secret on both sides, and \
         for webhooks the clocks: a signature is good for five minutes."
    NO_SUCH_ROUTE "W3202" "no route of the listener has this path"
        "The answer was 404. Compare the path with `wardline catalog`; paths are compared exactly."
    METHOD_NOT_ALLOWED "W3203" "the path exists, but not for this method"
        "The answer was 405; its Allow header names the methods that the path takes."
    BODY_TOO_LARGE "W3204" "the body is larger than the route allows"
        "The answer was 413. Bytes are counted as they arrive, whatever Content-Length says. Raise `max_size` of the \
         connection, or send less at once."
    BODY_TOO_SLOW "W3205" "the body did not arrive in time"
        "The answer was 408. Look at the network between the sender and this machine."
    LISTENER_FULL "W3206" "the messages in hand fill the listener's memory limit"
        "The answer was 503 with Retry-After. Nothing was taken; the sender sends again."
    BODY_BROKEN "W3207" "the body ended before it was whole"
        "The connection broke or the encoding was wrong. Nothing was taken; the sender sends again."
    HEADER_UNUSABLE "W3208" "a header that matters cannot be used"
        "Idempotency-Key, X-Correlation-Id, traceparent or webhook-id is too long or not visible ASCII. The answer was \
         400: without the header a repeated request could be taken twice."

    FILE_WRONG "W3401" "a file is not what its layout says"
        "It is cut, does not tie, is no text of its charset, or a record is wrong; the reason names the first few lines. \
         Nothing of it was taken. It lies in `refused/` beside its reason. `wardline edi csv check FILE --layout LAYOUT` \
         tells everything that is wrong; correct it and put it back under another name, or ask the sender for it again."
    FILE_TOO_LARGE "W3402" "a file is larger than the connection allows"
        "It is to become one message and is larger than `max_size`. It lies in `refused/`. Raise `max_size`, or let \
         `split: records` make a message of each record: then no size is too large."

    MLLP_UNREACHABLE "W4101" "no connection to an MLLP receiver"
        "The name did not resolve, nobody listens there, or a firewall drops packets. The payload never left."
    MLLP_TIMEOUT "W4102" "an MLLP receiver did not acknowledge in time"
        "The connection was dropped, so that a late acknowledgement cannot be taken for that of another message. The \
         receiver may have taken the message: it is sent again with the same control id."
    MLLP_ERROR "W4103" "an MLLP receiver answered AE or CE"
        "The receiver met an error of its own. Its answer, kept with the delivery, says more in MSA and ERR."
    MLLP_REJECTED "W4104" "an MLLP receiver answered AR or CR"
        "The receiver will not take this message. Read MSA and ERR of its answer, correct the map or the receiver, \
         then replay."
    MLLP_LOST "W4105" "an MLLP connection ended before the acknowledgement"
        "The receiver closed or reset the connection. It may have taken the message: it is sent again with the same \
         control id."
    MLLP_MISMATCH "W4106" "an acknowledgement names another message"
        "MSA-2 is not the control id that was sent, nor one sent before. The connection was dropped. The receiver, or \
         something between, mixes up answers."
    MLLP_UNSENDABLE "W4107" "the payload cannot be sent as one MLLP frame"
        "It is not an HL7 v2 message, has no control id in MSH-10, or holds the bytes that end a frame. Correct the map."
    MLLP_TLS "W4108" "the TLS handshake with an MLLP receiver failed"
        "Certificate, name or client certificate were refused by one side. Check the connection's `tls` settings."
    MLLP_BAD_ANSWER "W4109" "an MLLP receiver answered with something that is no acknowledgement"
        "The answer has no MSA segment, is not HL7, has no end, or is too large. The connection was dropped. Check that \
         the receiver is what the connection says it is."

    HTTP_UNREACHABLE "W4201" "no connection to an HTTP server"
        "The name did not resolve, nobody listens there, or the TLS handshake failed. The payload never left."
    HTTP_TIMEOUT "W4202" "an HTTP server did not answer in time"
        "The server may have taken the request: it is sent again with the same Idempotency-Key."
    HTTP_BUSY "W4203" "an HTTP server asks to come later"
        "The status was 429 or 503, or another one with Retry-After. Lower the connection's `limits` where it recurs."
    HTTP_SERVER_ERROR "W4204" "an HTTP server failed"
        "The status was 408, 425 or 5xx. The server's answer is kept with the delivery."
    HTTP_REJECTED "W4205" "an HTTP server refused the request"
        "The status was 4xx: the same request will be refused again. Read the kept answer, correct the map or the \
         server's data, then replay."
    HTTP_REDIRECT "W4206" "an HTTP server redirects"
        "Redirects are not followed, since they could carry payload and credentials elsewhere. Put the new address into \
         the connection's `url`."
    HTTP_CREDENTIALS "W4207" "an HTTP server refused our credentials"
        "The status was 401, 403 or 407. It is tried again, since the fault lies in a credential and not in the payload: \
         correct the connection's `auth` and everything that waits goes out."
    HTTP_LOST "W4208" "an HTTP connection ended before the answer"
        "The server may have taken the request: it is sent again with the same Idempotency-Key."
    HTTP_UNSENDABLE "W4209" "the request cannot be written"
        "The rendered path or a header value holds characters that HTTP forbids. Correct the operation's path template."
    HTTP_NOT_PUBLIC "W4210" "a url that others supply leads into this house"
        "The connection may reach public addresses only (`reach: public`), and its name resolved to a private, local or \
         otherwise special one. Nothing was sent. Ask whoever supplied the url; for a destination of your own, leave `reach` away."
    HTTP_GONE "W4211" "a webhook's receiver answered 410"
        "By the Standard Webhooks specification the receiver wants no more of these. The delivery is not tried again. Remove \
         the connection from its flow, or ask the receiver, then replay."

    SOAP_UNSENDABLE "W4301" "the payload does not fit the service's description"
        "The text names the place and the reason. Compare with `wardline soap show`, correct the map, then replay. Nothing was sent."
    SOAP_SENDER "W4302" "a SOAP service refused the request"
        "It answered with a fault of the sender (`Client` in SOAP 1.1), or one whose code SOAP does not know: the same request will be \
         refused again. The fault is kept with the delivery as JSON. Correct the map or the service's data, then replay."
    SOAP_RECEIVER "W4303" "a SOAP service met a fault of its own"
        "It answered with a fault of the receiver (`Server` in SOAP 1.1). It is tried again. The fault is kept with the delivery as JSON."
    SOAP_CREDENTIALS "W4304" "a SOAP service refused our credentials"
        "The fault says FailedAuthentication or InvalidSecurityToken. It is tried again, since the fault lies in a credential and not in \
         the payload: correct `security` of the connection, and look at the clocks of both machines."
    SOAP_NOT_SPOKEN "W4305" "a SOAP service does not speak as its description says"
        "It answered that it does not know the version of SOAP, an encoding or a header block that must be understood. Compare the port of the \
         connection with what the service offers."
    SOAP_BAD_ANSWER "W4306" "the answer of a SOAP service cannot be used"
        "It is no SOAP message, or does not fit the description; the text says where. What was asked for may have been done, so it is not asked \
         again by itself. The answer is kept with the delivery. Ask the service's people for a description that fits, or correct the one in the estate."
    FILE_NOT_WRITTEN "W4311" "a file could not be written"
        "The directory is not there, may not be written to, or is full; the text has the system's reason. Nothing that a \
         reader could mistake for a file was left. It is tried again under the same name."
    FILE_UNWRITABLE "W4312" "a payload cannot become a file of the connection"
        "It is larger than `max_size`. Raise that, or correct the map."

    DICOM_UNREACHABLE "W4400" "no connection to a DICOM peer"
        "The name did not resolve, nobody listens there, or the TLS handshake failed. The object never left."
    DICOM_REJECTED "W4401" "a DICOM peer refused the association"
        "The text says why: mostly it does not know one of the AE titles. It is tried again, since the fault lies in a setting: \
         correct `called` or `calling` of the connection, or ask the peer's people to let us in."
    DICOM_BROKEN "W4402" "an association with a DICOM peer ended before its end"
        "It stalled, broke off or gave the association up. The peer may have taken the object: it is sent again, under the same name."
    DICOM_FAILED "W4403" "a DICOM peer could not take an object"
        "The status says that this may pass, such as that there is no room. It is tried again."
    DICOM_REFUSED "W4404" "a DICOM peer refused an object"
        "The same object will be refused again. The status and the peer's words are kept with the delivery; `wardline dicom check` \
         says what is wrong with a file."
    DICOM_NOT_ACCEPTED "W4405" "a DICOM peer does not take objects of this class or transfer syntax"
        "Objects are sent as they lie, never compressed anew. Ask the peer's people to take the transfer syntax, or the modality's to send another."
    DICOM_OBJECT "W4406" "there is no object to be sent"
        "The payload names none in `object.file`, or there is none of that name in `objects`, or it is no DICOM file. Correct the map, or put the file back and replay."
    DICOM_ENTRY "W4407" "a payload cannot become an entry of the worklist"
        "The text names the attribute. Correct the map: `key` names the entry, `entry` holds keywords of the standard and values that fit them."
    DICOM_NOT_KEPT "W4408" "an entry of the worklist could not be kept"
        "The directory is not there, may not be written to, or is full; the text has the system's reason. It is tried again."

    AS2_UNREACHABLE "W4410" "an AS2 partner could not be reached, or has too much to do"
        "No connection, no answer in time, or a status that may pass. It is sent again under the same message id, by which the partner \
         knows a repetition."
    AS2_UNSENDABLE "W4411" "a payload could not be signed or encrypted"
        "Look at our certificate and key, and at the partner's certificate. Nothing was sent."
    AS2_REFUSED "W4412" "an AS2 partner did not take a message"
        "The receipt says why. `authentication-failed` and `decryption-failed` are tried again, since the fault lies in a key: send the partner \
         our certificate, or ask for theirs. Anything else will be refused again."
    AS2_BAD_RECEIPT "W4413" "the answer of an AS2 partner is no receipt for what was sent"
        "There is none, it is for another message, or not signed by the partner as was asked. The message may have been taken, so it is not \
         sent again by itself: ask the partner, then replay or cancel."
    AS2_OTHER_CONTENT "W4414" "the receipt of an AS2 partner is for other content"
        "The digest in the receipt is not that of what was sent: something on the way changed it, or the partner computes it otherwise. It is \
         not sent again by itself: ask the partner, then replay or cancel."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
