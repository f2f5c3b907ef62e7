//! Reading the other end's answer.

use std::fmt;

use thiserror::Error;

use super::Code;
use crate::{Message, Path};

/// What an acknowledgement says.
///
/// `Debug` leaves the texts out: other systems put patients' data into error texts.
#[derive(Clone, PartialEq, Eq)]
pub struct AckView {
    /// MSA-1.
    pub code: Code,
    /// MSA-2: the control id of the message that is answered; empty where the answer has none.
    pub control_id: String,
    /// The best text that says why: ERR-8, ERR-7, MSA-3 or the error code's own text.
    pub text: Option<String>,
    /// ERR-3.1 (before version 2.5 ERR-1.4.1), MSA-6.1 where there is no ERR: a code such as `101`.
    pub error: Option<String>,
    /// ERR-2 (before version 2.5 ERR-1) as a path, where it names one.
    pub location: Option<String>,
}

impl fmt::Debug for AckView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckView")
            .field("code", &self.code)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Why a message is no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AckError {
    /// There is no MSA segment.
    #[error(
        "cannot read the answer: it has no MSA segment; the other end sent a message where an acknowledgement was due"
    )]
    NoMsa,
    /// MSA-1 is not in table 0008.
    #[error(
        "cannot read the answer: MSA-1 is none of AA, AE, AR, CA, CE, CR; ask the other end to send one of them"
    )]
    BadCode,
}

/// Reads an acknowledgement.
///
/// # Errors
/// Where the message has no MSA segment or MSA-1 is not in table 0008.
pub fn read(message: &Message) -> Result<AckView, AckError> {
    let value = |path: Path| message.value(&path).map(std::borrow::Cow::into_owned);
    if message.count("MSA") == 0 {
        return Err(AckError::NoMsa);
    }
    let code = value(const { Path::new("MSA-1") })
        .as_deref()
        .and_then(Code::parse)
        .ok_or(AckError::BadCode)?;
    // ERR-1 is one field with the code in a nested component up to 2.4; ERR-2 and ERR-3 replaced it.
    let error = value(const { Path::new("ERR-3.1") })
        .or_else(|| value(const { Path::new("ERR-1.4.1") }))
        .or_else(|| value(const { Path::new("MSA-6.1") }));
    let text = value(const { Path::new("ERR-8") })
        .or_else(|| value(const { Path::new("ERR-7") }))
        .or_else(|| value(const { Path::new("MSA-3") }))
        .or_else(|| value(const { Path::new("ERR-3.2") }))
        .or_else(|| value(const { Path::new("ERR-1.4.2") }));
    Ok(AckView {
        code,
        control_id: value(const { Path::new("MSA-2") }).unwrap_or_default(),
        text,
        error,
        location: location(message, 2).or_else(|| location(message, 1)),
    })
}

/// ERR-2 (or ERR-1) `PID^1^5^2^1` as `PID[1]-5[2].1`.
fn location(message: &Message, field: usize) -> Option<String> {
    let field = message.segment("ERR", 1)?.field(field)?;
    let part = |n: usize| {
        field
            .component(n)
            .map(|raw| raw.value().into_owned())
            .filter(|text| !text.is_empty())
    };
    let mut text = part(1)?;
    if let Some(sequence) = part(2) {
        text = format!("{text}[{sequence}]");
    }
    let Some(number) = part(3) else {
        return Path::parse(&text).ok().map(|path| path.to_string());
    };
    text = format!("{text}-{number}");
    // In ERR-1 component 4 is the error code, not a repetition; it is never a small number there.
    let deeper = field
        .component(4)
        .is_none_or(|raw| raw.subcomponent(2).is_none());
    if deeper {
        if let Some(repetition) = part(4) {
            text = format!("{text}[{repetition}]");
        }
        for n in [5, 6] {
            let Some(number) = part(n) else { break };
            text = format!("{text}.{number}");
        }
    }
    Path::parse(&text).ok().map(|path| path.to_string())
}
