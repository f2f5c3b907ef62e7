//! Command sets (PS3.7): what a message asks or answers.

use super::link::NetError;
use super::status::Status;
use crate::data::{self, DataSet, Encoding, Limits, Stream, Vr, tags};

/// Of the field that says that no data set follows.
const NONE: u16 = 0x0101;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Store,
    Find,
    Echo,
    Set,
    Create,
    Cancel,
    Other,
}

/// A command.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) field: u16,
    pub(super) message: u16,
    pub(super) responded: u16,
    pub(super) class: String,
    pub(super) instance: String,
    pub(super) data: bool,
    pub(super) status: Status,
}

const FIELDS: [(u16, Operation); 6] = [
    (0x0001, Operation::Store),
    (0x0020, Operation::Find),
    (0x0030, Operation::Echo),
    (0x0120, Operation::Set),
    (0x0140, Operation::Create),
    (0x0fff, Operation::Cancel),
];

impl Command {
    /// A request.
    pub(super) fn request(operation: Operation, message: u16, class: &str, data: bool) -> Self {
        let field = FIELDS.iter().find(|(_, one)| *one == operation);
        Self {
            field: field.map_or(0, |(field, _)| *field),
            message,
            responded: 0,
            class: class.to_owned(),
            instance: String::new(),
            data,
            status: Status::success(),
        }
    }

    /// The answer to this.
    pub(super) fn response(&self, status: Status, data: bool) -> Self {
        Self {
            field: self.field | 0x8000,
            responded: self.message,
            data,
            status,
            ..self.clone()
        }
    }

    pub(super) const fn is_response(&self) -> bool {
        self.field & 0x8000 != 0
    }

    pub(super) fn operation(&self) -> Operation {
        let found = FIELDS.iter().find(|(field, _)| *field == self.field);
        found.map_or(Operation::Other, |(_, operation)| *operation)
    }

    /// Reads a command.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NetError> {
        let limits = Limits {
            value: 1024,
            total: 64 << 10,
            depth: 0,
        };
        let set = data::read(&mut Stream(bytes), Encoding::ImplicitLittle, limits)
            .map_err(|_| NetError::Protocol("a command is malformed"))?;
        let Some(field) = set.u16(tags::COMMAND_FIELD) else {
            return Err(NetError::Protocol("a command does not say what it is"));
        };
        let text = |tags: [data::Tag; 2]| {
            let found = tags.into_iter().find_map(|tag| set.ascii(tag));
            found.unwrap_or_default().to_owned()
        };
        Ok(Self {
            field,
            message: set.u16(tags::MESSAGE_ID).unwrap_or_default(),
            responded: set.u16(tags::MESSAGE_ID_RESPONDED_TO).unwrap_or_default(),
            class: text([tags::AFFECTED_SOP_CLASS, tags::REQUESTED_SOP_CLASS]),
            instance: text([tags::AFFECTED_SOP_INSTANCE, tags::REQUESTED_SOP_INSTANCE]),
            data: set.u16(tags::DATA_SET_TYPE) != Some(NONE),
            status: Status {
                code: set.u16(tags::STATUS).unwrap_or_default(),
                comment: set
                    .ascii(tags::ERROR_COMMENT)
                    .unwrap_or_default()
                    .to_owned(),
            },
        })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut set = DataSet::new();
        let requested = self.operation() == Operation::Set;
        let (class, instance) = if requested {
            (tags::REQUESTED_SOP_CLASS, tags::REQUESTED_SOP_INSTANCE)
        } else {
            (tags::AFFECTED_SOP_CLASS, tags::AFFECTED_SOP_INSTANCE)
        };
        if !self.class.is_empty() {
            set.put_text(class, Vr::UI, &self.class);
        }
        if !self.instance.is_empty() {
            set.put_text(instance, Vr::UI, &self.instance);
        }
        set.put_u16(tags::COMMAND_FIELD, self.field);
        set.put_u16(tags::DATA_SET_TYPE, if self.data { 1 } else { NONE });
        if self.is_response() {
            set.put_u16(tags::MESSAGE_ID_RESPONDED_TO, self.responded);
            set.put_u16(tags::STATUS, self.status.code);
            if !self.status.comment.is_empty() {
                let plain = self.status.comment.chars().take(64);
                let plain: String = plain
                    .map(|one| {
                        if matches!(one, ' '..='~') && one != '\\' {
                            one
                        } else {
                            '?'
                        }
                    })
                    .collect();
                set.put_text(tags::ERROR_COMMENT, Vr::LO, &plain);
            }
        } else {
            set.put_u16(tags::MESSAGE_ID, self.message);
            if matches!(self.operation(), Operation::Store | Operation::Find) {
                set.put_u16(tags::PRIORITY, 0);
            }
        }
        let mut body = Vec::new();
        data::write(&set, Encoding::ImplicitLittle, &mut body);
        let mut bytes = vec![0, 0, 0, 0, 4, 0, 0, 0];
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.append(&mut body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_back_as_they_were() {
        let mut asked = Command::request(Operation::Set, 7, crate::uid::PERFORMED_STEP, true);
        asked.instance = "1.2.3".into();
        let read = Command::read(&asked.bytes()).unwrap();
        assert_eq!(
            (read.operation(), read.message, read.data),
            (Operation::Set, 7, true)
        );
        assert_eq!(read.instance, "1.2.3");
        let answer = read.response(Status::no_such_instance(), false);
        let read = Command::read(&answer.bytes()).unwrap();
        assert!(read.is_response() && !read.data);
        assert_eq!((read.responded, read.status.code), (7, 0x0112));
    }
}
