//! What a service says: its errors, and the few values that are read out of its XML.

use std::io::{self, ErrorKind};

use http::StatusCode;

use crate::codes;
use crate::files::Trouble;

/// What stands between the first `<name>` and its end, where it is short and plain. Enough for the values
/// that matter here; lists are read by a reader of XML.
pub(super) fn value<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let from = xml.find(&open)? + open.len();
    let length = xml[from..].find(&close)?;
    let value = &xml[from..from + length];
    (length <= 1024 && !value.contains('<')).then_some(value)
}

/// The code of an error, such as `NoSuchKey`; nothing of what a service may have put around it.
fn code_of(xml: &str) -> Option<&str> {
    let code = value(xml, "Code")?;
    let plain = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// Whether a body whose status says "done" says otherwise: copying and completing answer so, since the
/// status leaves before the work is done.
pub(super) fn is_error(xml: &str) -> bool {
    code_of(xml).is_some() && xml.contains("<Error>")
}

/// Whether it may be otherwise when asked once more.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
}

/// An answer that is no success, as an error.
pub(super) fn error(status: StatusCode, xml: &str, doing: &str) -> io::Error {
    let said = code_of(xml);
    let word = said.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason"));
    let text = format!(
        "the service answered {} ({word}) when {doing}",
        status.as_u16()
    );
    let (kind, code) = match (status.as_u16(), said) {
        (_, Some("NoSuchBucket")) => (ErrorKind::NotConnected, codes::S3_REFUSED),
        (404, _) => return io::Error::new(ErrorKind::NotFound, text),
        (412, _) => (ErrorKind::InvalidData, codes::S3_LOST),
        (401, _)
        | (
            _,
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "RequestTimeTooSkewed"
                | "ExpiredToken"
                | "InvalidToken"
                | "AuthorizationHeaderMalformed"
                | "AuthorizationQueryParametersError",
            ),
        ) => (ErrorKind::PermissionDenied, codes::S3_CREDENTIALS),
        _ => (ErrorKind::Other, codes::S3_REFUSED),
    };
    Trouble::error(kind, code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_nothing_else() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>a &lt;b&gt;</Message></Error>";
        assert_eq!(value(xml, "Code"), Some("NoSuchKey"));
        assert_eq!(value(xml, "Error"), None, "it holds elements");
        assert_eq!(value(xml, "ETag"), None);
        assert_eq!(value("<ETag>\"a", "ETag"), None);
        assert!(is_error(xml));
        assert!(!is_error(
            "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>"
        ));
    }

    #[test]
    fn an_error_says_its_code_and_no_text_of_the_service() {
        let xml = "<Error><Code>AccessDenied</Code><Message>of MRN-1</Message></Error>";
        let error = error(StatusCode::FORBIDDEN, xml, "reading an object");
        assert_eq!(
            error.to_string(),
            "W4334: the service answered 403 (AccessDenied) when reading an object"
        );
        let hostile = "<Error><Code>x y\u{1b}[2J</Code></Error>";
        let error = super::error(StatusCode::FORBIDDEN, hostile, "reading an object");
        assert!(error.to_string().contains("(Forbidden)"));
        let gone = super::error(
            StatusCode::NOT_FOUND,
            "<Error><Code>NoSuchKey</Code></Error>",
            "reading",
        );
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}
