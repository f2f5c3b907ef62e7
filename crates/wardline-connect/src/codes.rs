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
    SOAP_NOT_TAKEN "W4307" "a SOAP message was not taken"
        "It is no envelope, of another version, asks for an operation that the service does not have, or its body does not fit the \
         description; the fault says which and where. Nothing was taken. Compare with `wardline soap show`, and have the sender use the \
         description that `?wsdl` gives."
    SOAP_NOT_BELIEVED "W4308" "a SOAP message does not prove who sent it"
        "User, password, signature or time did not hold, or the same message came before. The sender is told nothing more; the log has \
         the reason. Compare the credential or certificate on both sides, and the clocks of both machines."
    SOAP_NO_ANSWER "W4309" "a SOAP message could not be answered"
        "The map in `answers` failed, or what it gave does not fit the description, so nothing was taken: the sender can send it again. \
         The log has the reason. Correct the map."

    FILE_NOT_WRITTEN "W4311" "a file could not be written"
        "The directory is not there, may not be written to, or is full; the text has the system's reason. Nothing that a \
         reader could mistake for a file was left. It is tried again under the same name."
    FILE_UNWRITABLE "W4312" "a payload cannot become a file of the connection"
        "It is larger than `max_size`. Raise that, or correct the map."

    SFTP_UNREACHABLE "W4320" "no connection to an SFTP server"
        "The name did not resolve, nobody listens there, or a firewall drops packets. Nothing left."
    SFTP_HOST_KEY "W4321" "an SFTP server shows another host key"
        "It is not the server that `host_key` of the connection names, or it was given a new key. Nothing was sent to it, not even who \
         we are. Ask its people, by another way than this connection, what its fingerprint is; where the new one is theirs, put it into the estate. \
         While they change it, name both."
    SFTP_CREDENTIALS "W4322" "an SFTP server does not let us in"
        "Neither certificate, key nor password of the connection was taken for this user. Compare user and public key with the server's people; \
         what waits goes out once it is right."
    SFTP_LOST "W4323" "an SFTP connection ended or fell silent"
        "A file that was being read is taken up where it was, or stays for the next look; a file that was being written is written again under the same name. \
         Nothing is half taken."
    SFTP_REFUSED "W4324" "an SFTP server refused an operation"
        "The text has what it said. Look at the permissions of the directory, its room, and whether it is there at all."
    SFTP_NOT_SPOKEN "W4325" "a server and we do not understand each other"
        "It does not speak SSH or SFTP version 3 as it should, offers only algorithms that are no longer safe, or answered what was not asked. \
         Check that host and port are those of an SFTP server."

    FTPS_UNREACHABLE "W4326" "no connection to an FTPS server"
        "The name did not resolve, nobody listens there, or a firewall drops packets. Nothing left."
    FTPS_UNTRUSTED "W4327" "TLS with an FTPS server does not come about"
        "Its certificate is none that `tls` of the connection trusts, bears another name, or it offers only what is no longer safe. Neither a name nor a          password was sent. Ask its people for the authority of their certificate (`tls: { ca: … }`), or compare `host`."
    FTPS_CREDENTIALS "W4328" "an FTPS server does not let us in"
        "User or password of the connection were not taken. Compare them with the server's people; what waits goes out once they are right."
    FTPS_LOST "W4329" "an FTPS connection ended or fell silent"
        "A file that was being read is taken up where it was, or stays for the next look; a file that was being written is written again under the same name.          Nothing is half taken. Where it happens with every file, look at the ports for transfers that a firewall lets through."
    FTPS_REFUSED "W4330" "an FTPS server refused an operation"
        "The text has what it said. Look at the permissions of the directory, its room, and whether it is there at all."
    FTPS_NOT_SPOKEN "W4331" "a server and we do not understand each other"
        "It has no TLS, does not speak FTP as it should, or answered what was not asked. Compare `host`, `port` and `mode`: a server on port 990 mostly wants          `mode: implicit`. Without TLS nothing is exchanged."

    S3_UNREACHABLE "W4332" "no connection to an object store"
        "The name did not resolve, nobody listens there, a firewall drops packets, or its certificate is not trusted. Nothing left."
    S3_CREDENTIALS "W4333" "an object store does not take our access key"
        "The key is not known, was withdrawn, does not fit its id, or the clocks of both sides differ by more than a quarter of an hour; the service's own code          is in the text. Correct `key_id`, `key` or `region`; what waits goes out once they are right."
    S3_REFUSED "W4334" "an object store refused an operation"
        "The text has its status and code. `AccessDenied`: the key may not do this in the bucket (reading needs `s3:ListBucket` and `s3:GetObject`, putting          away `s3:PutObject` and `s3:DeleteObject`). `NoSuchBucket`: compare `bucket`, `url` and `style`. `SlowDown`: set `limits` of the connection."
    S3_LOST "W4335" "an object store's answer broke off, or an object changed while it was read"
        "What was being read is taken up where it was, or stays for the next look; what was being written is written again. Nothing is half taken."
    S3_NOT_SPOKEN "W4336" "an object store does not answer as S3 does"
        "Compare `url` and `style` with what the service's people say: some want the bucket in the path (`style: path`)."

    FHIR_UNSENDABLE "W4340" "a payload is no FHIR resource, and none can be made of it"
        "It is neither JSON of a resource nor an HL7 v2 message that a map is for; the text says what is missing. Nothing was sent. Correct the map, then replay."
    FHIR_INVALID "W4341" "a resource is not FHIR R4"
        "The text names the first problems with their places. Nothing was sent. `wardline fhir check FILE` tells all of them; correct the map, then replay, or \
         set `check: false` where the server wants what R4 does not have."
    FHIR_REFUSED "W4342" "a FHIR server refused a resource"
        "Its OperationOutcome, kept with the delivery, says why; the text repeats its codes and places. The same will be refused again: correct the map or the \
         server's data, then replay."
    FHIR_CONFLICT "W4343" "what a FHIR server holds stands against the change"
        "409, 412, or an outcome such as `multiple-matches`: more than one resource has the identifier, or another version is stored. Put the server's data right, then replay."
    FHIR_PART "W4344" "entries of a bundle failed at a FHIR server"
        "The bundle was a batch, whose entries stand for themselves: what succeeded is done. The answer, kept with the delivery, says which entries failed. A `transaction` \
         is done as a whole or not at all."
    FHIR_LATER "W4345" "a FHIR server could not do it now"
        "Its OperationOutcome speaks of what passes: a lock, a lack of time, an error of its own. It is tried again."
    FHIR_TOKEN "W4346" "no access token for a FHIR server"
        "The authorisation server of `smart` did not answer, or refused the assertion. It is tried again. Compare client id, key id and key set with what is registered there, and the clocks."
    FHIR_NOT_KEPT "W4347" "a resource of FHIR could not be read or kept"
        "A service that others read and change by FHIR could not read what it keeps, or no answer could be made. Nothing was \
         acknowledged; the sender sends again. See the log for the journal's or the vault's own reason."

    FHIR_ODD_ANSWER "W4348" "a FHIR server answered what cannot be used"
        "No Bundle where a search was asked for, no manifest of an export, a next page or file that is not below the address of the connection (it is not followed, since \
         our token would go with it), or more than an answer may hold. The text says which. It is not tried again."
    FHIR_EXPORTING "W4349" "an export is still being made"
        "The server works on it and says how far it is. A bulk job asks again when the server says so, as long as it takes."

    BROKER_UNREACHABLE "W4360" "no connection to a broker"
        "The name did not resolve, nobody listens there, or the TLS handshake failed; the text has the reason. Nothing was sent. It is \
         tried again; what comes in waits at the broker."
    BROKER_CREDENTIALS "W4361" "a broker refused our credentials or rights"
        "User, password or token are not those it knows, or they may not do this. It is tried again, since the fault lies in a credential \
         and not in the payload: correct `login` or `token` of the connection, or the rights at the broker."
    BROKER_LOST "W4362" "a broker's connection ended, or no confirmation came in time"
        "It may have taken the message: it is sent again with the same id. What was in hand on the way in and not acknowledged comes again."
    BROKER_REFUSED "W4363" "a broker refused"
        "It has no stream, queue, exchange or topic of that name, nobody takes what is published there, or it has no room; the text has its \
         reason. It is tried again: correct it at the broker, or the name in the connection."
    BROKER_UNSENDABLE "W4364" "a payload cannot become a message of a broker"
        "It is larger than allowed, or lacks a member that the subject, topic, key or envelope is filled with. Nothing was sent. Correct the map, then replay."
    BROKER_BAD_ANSWER "W4365" "a broker does not speak as expected"
        "Something else listens there, TLS is declared on one side only, or the broker lacks what is needed. The connection was dropped. Compare the \
         connection with what the broker is."
    BROKER_TOO_LARGE "W4366" "a message of a broker is larger than the connection allows"
        "It was not read, and is recorded as a dead delivery with its size in place of its content; then it was acknowledged so that its followers \
         go on. Raise `max_size` of the connection, and have it sent again."
    NOT_AN_EVENT "W4367" "a message of a broker is no CloudEvent"
        "The connection takes CloudEvents 1.0, and this message lacks an attribute or its data is broken; the text says which. It is recorded as a dead \
         delivery with its body. Have the sender corrected, or declare another `content`."

    BROKER_UNREADABLE "W4368" "records of a broker cannot be read"
        "They are packed in a way that is not known, are not what they are said to be, or have more bytes unpacked than is borne; the text says which records \
         of which partition. A dead delivery with the reason stands for them, and their followers go on. Have them sent again."

    SQL_UNREACHABLE "W4380" "no session with a database, or it broke"
        "Tried again. Where it broke while statements ran, they may have been done: bind `:delivery_id` and let a \
         unique key refuse the second time."
    SQL_TIMEOUT "W4381" "a database did not answer in time"
        "The session was given up, and tried again. Raise `timeout` of the connection, or see what holds the statement up."
    SQL_BUSY "W4382" "something was in the way of a transaction"
        "A deadlock, a lock, a conflict of serializable transactions, or too many sessions. Nothing was done; it is tried again."
    SQL_CREDENTIALS "W4383" "a database refused our credentials"
        "Compare the secret (`user:password`) and what the database lets that user do. It is tried again, so that a \
         credential that is renewed late costs nothing."
    SQL_CONSTRAINT "W4384" "a constraint of a database was violated"
        "Nothing of the transaction was done, and it is not tried again. The constraint is named where the database names \
         it; the values are not, since they may be sensitive: look at the payload."
    SQL_STATEMENT "W4385" "a database does not take a statement"
        "A table or column that is not there, a missing privilege, an error of syntax, or a type that cannot be read. Run \
         the statement by hand as that user."
    SQL_VALUE "W4386" "a value does not fit where it is bound"
        "Text where a number is expected, too long, or out of range. Correct the map, or the payload and send it again."
    SQL_UNBINDABLE "W4387" "a payload has no fields to bind"
        "Statements take JSON objects. Add a map, or say in the operation which statement is meant."
    SQL_ANSWER "W4388" "a statement gave or changed other rows than expected"
        "`expect` says how many there must be; more than 10,000 rows or 8 MiB are never taken. The transaction was undone."
    SQL_SERVER "W4389" "a database met an error of its own"
        "Tried again. The log of the database says more about its code."

    SMTP_UNREACHABLE "W4390" "no session with a mail server, or it broke"
        "Tried again. Where it broke after the text was sent the mail may arrive twice, under the same `Message-ID`. Nothing \
         is sent where STARTTLS is wanted and not offered, or the server cannot be verified."
    SMTP_LATER "W4391" "a mail server asks to come later"
        "It answered 4xx, as many do to senders that they do not know yet. Tried again."
    SMTP_CREDENTIALS "W4392" "a mail server refuses our credentials"
        "Compare the secret (`user:password`), and whether the server wants a login at all. Tried again, so that a credential \
         that is renewed late costs no mail."
    SMTP_REFUSED "W4393" "a mail server refuses a mail"
        "It answered 5xx: an unknown recipient (5.1.1), a sender that it does not let us be, or something that it does not like. \
         It went to nobody."
    SMTP_UNSENDABLE "W4394" "a payload cannot become a mail"
        "It has other keys than a mail, a line's end where none may be, or asks for a recipient that is not among `recipients` of \
         the connection. Correct the map, or let the connection write there."

    SCIM_UNSENDABLE "W4395" "a payload is no person or group"
        "It needs an `externalId`, by which the service knows it, and for groups members by theirs. Correct the map."
    SCIM_NOT_FOUND "W4396" "a person or group is not known there"
        "What is to be changed is dead: put it first. A member that is not there yet is tried again."
    SCIM_CONFLICT "W4397" "what should be unique is taken there by another"
        "Mostly the user name of an account that does not bear our `externalId`. Look at it there: give it the `externalId`, or \
         let the map choose another name."
    SCIM_ODD "W4398" "a service does not answer as SCIM says"
        "It does not filter by `externalId`, knows several by the same, or answers with something else than resources. Nothing \
         was changed. Look at the URL first."
    SCIM_CHANGED "W4399" "a person or group changed there in between"
        "Somebody else changed it between reading and writing (412), or removed it. Tried again by what is there then."

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

    SCIM_NOT_KEPT "W4424" "a resource could not be read or kept"
        "A service that others write to by SCIM could not read what it keeps, or no answer could be made. Nothing was \
         acknowledged; the sender sends again. See the log for the journal's or the vault's own reason."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
