//! Which acknowledgements a sender wants, by MSH-15 and MSH-16 (HL7 v2.5.1 section 2.9.2).

use crate::{Message, Path};

/// Original or enhanced acknowledgement mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// MSH-15 and MSH-16 are empty: one answer (AA, AE, AR), always.
    Original,
    /// At least one is valued: an accept acknowledgement (CA, CE, CR) when the message is safe, an
    /// application acknowledgement (AA, AE, AR) when it is processed, each only where asked for.
    Enhanced,
}

/// How it went, for the conditions that depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken.
    Success,
    /// Not taken: error or reject.
    Failure,
}

/// Table 0155.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl Condition {
    fn read(message: &Message, path: &Path) -> Option<Self> {
        let text = message.value(path)?;
        match text.trim() {
            "NE" => Some(Self::Never),
            "ER" => Some(Self::OnError),
            "SU" => Some(Self::OnSuccess),
            "" => None,
            // AL, and any value outside of the table: better an answer too many than a sender that waits.
            _ => Some(Self::Always),
        }
    }

    fn holds(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => outcome == Outcome::Failure,
            Self::OnSuccess => outcome == Outcome::Success,
        }
    }
}

/// What the sender of one message wants to hear.
///
/// ```
/// use wardline_hl7::{Message, ack::{Due, Mode, Outcome}};
/// let message = Message::parse("MSH|^~\\&|||||||ADT^A01|1|P|2.5|||AL|ER\r")?;
/// let due = Due::of(&message);
/// assert_eq!(due.mode(), Mode::Enhanced);
/// assert!(due.accept(Outcome::Success));
/// assert!(!due.application(Outcome::Success) && due.application(Outcome::Failure));
/// # Ok::<(), wardline_hl7::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    mode: Mode,
    accept: Condition,
    application: Condition,
}

impl Due {
    /// Reads MSH-15 and MSH-16. Where only one is valued, the other counts as `NE`.
    pub fn of(message: &Message) -> Self {
        const ACCEPT: Path = Path::new("MSH-15");
        const APPLICATION: Path = Path::new("MSH-16");
        let accept = Condition::read(message, &ACCEPT);
        let application = Condition::read(message, &APPLICATION);
        if accept.is_none() && application.is_none() {
            return Self {
                mode: Mode::Original,
                accept: Condition::Never,
                application: Condition::Always,
            };
        }
        Self {
            mode: Mode::Enhanced,
            accept: accept.unwrap_or(Condition::Never),
            application: application.unwrap_or(Condition::Never),
        }
    }

    /// Original or enhanced.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether an accept acknowledgement (`CA`, `CE`, `CR`) is due; never in original mode.
    pub fn accept(&self, outcome: Outcome) -> bool {
        self.accept.holds(outcome)
    }

    /// Whether an application acknowledgement (`AA`, `AE`, `AR`) is due; always in original mode.
    pub fn application(&self, outcome: Outcome) -> bool {
        self.application.holds(outcome)
    }

    /// Whether a sender waits for anything at all after this outcome.
    pub fn any(&self, outcome: Outcome) -> bool {
        self.accept(outcome) || self.application(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_0155() {
        // (MSH-15, MSH-16) -> accept on success/failure, application on success/failure
        for (fields, mode, expected) in [
            ("|", Mode::Original, [false, false, true, true]),
            ("\"\"|\"\"", Mode::Original, [false, false, true, true]),
            ("AL|NE", Mode::Enhanced, [true, true, false, false]),
            ("AL|", Mode::Enhanced, [true, true, false, false]),
            ("|AL", Mode::Enhanced, [false, false, true, true]),
            ("ER|SU", Mode::Enhanced, [false, true, true, false]),
            ("NE|NE", Mode::Enhanced, [false, false, false, false]),
            ("XX|NE", Mode::Enhanced, [true, true, false, false]),
        ] {
            let message =
                Message::parse(format!("MSH|^~\\&|||||||ADT^A01|1|P|2.5|||{fields}\r")).unwrap();
            let due = Due::of(&message);
            let [s, f] = [Outcome::Success, Outcome::Failure];
            assert_eq!(due.mode(), mode, "{fields}");
            assert_eq!(
                [
                    due.accept(s),
                    due.accept(f),
                    due.application(s),
                    due.application(f)
                ],
                expected,
                "{fields}"
            );
        }
    }
}
