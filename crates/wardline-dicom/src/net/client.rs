//! The side that calls.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::Terms;
use super::command::{Command, Operation};
use super::link::{Link, NetError};
use super::messages::{Agreed, Begun, Messages};
use super::pdu::{self, Associate, Context, Pdu};
use super::status::Status;
use crate::data::DataSet;
use crate::file::Head;
use crate::uid;

/// What an association is opened for.
#[derive(Debug, Clone)]
pub struct Proposal<'a> {
    /// Who is called.
    pub called: &'a str,
    /// Who calls.
    pub calling: &'a str,
    /// Classes, each with the transfer syntaxes in which it is spoken.
    pub classes: Vec<(&'a str, Vec<&'a str>)>,
}

/// An open association.
pub struct Client<S> {
    messages: Messages<S>,
    message: u16,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Opens an association over a connected stream.
    ///
    /// # Errors
    /// [`NetError::Rejected`] where the peer refuses it.
    pub async fn open(stream: S, proposal: &Proposal<'_>, terms: Terms) -> Result<Self, NetError> {
        let mut link = Link::new(stream, terms.max_pdu, terms.stall);
        let contexts = proposal.classes.iter().zip((1..=255).step_by(2));
        let request = Associate {
            called: proposal.called.to_owned(),
            calling: proposal.calling.to_owned(),
            contexts: contexts
                .map(|((class, transfers), id)| Context {
                    id,
                    result: 0,
                    class: (*class).to_owned(),
                    transfers: transfers.iter().map(|one| (*one).to_owned()).collect(),
                })
                .collect(),
            max_pdu: terms.max_pdu,
        };
        link.write(&pdu::encode_associate(&request, false)).await?;
        let answer = match link.read(terms.stall).await? {
            Pdu::Accept(answer) => answer,
            Pdu::Reject(reason) => return Err(NetError::Rejected(reason_of(reason))),
            Pdu::Abort => return Err(NetError::Aborted),
            _ => {
                return Err(NetError::Protocol(
                    "a request was answered with something else",
                ));
            }
        };
        let agreed = answer.contexts.iter().filter(|context| context.result == 0);
        let agreed = agreed
            .filter_map(|context| {
                let asked = request.contexts.iter().find(|one| one.id == context.id)?;
                let transfer = context.transfers.first()?;
                // What was not offered cannot be agreed on.
                asked.transfers.contains(transfer).then(|| Agreed {
                    id: context.id,
                    class: asked.class.clone(),
                    transfer: transfer.clone(),
                })
            })
            .collect();
        Ok(Self {
            messages: Messages::new(link, agreed, terms, answer.max_pdu),
            message: 0,
        })
    }

    fn agreed(&self, class: &str, transfer: Option<&str>) -> Result<Agreed, NetError> {
        let mut all = self.messages.agreed.iter();
        let found = all.find(|one| {
            one.class == class && transfer.is_none_or(|transfer| one.transfer == transfer)
        });
        found.cloned().ok_or(NetError::NotAccepted)
    }

    fn request(&mut self, operation: Operation, class: &str, data: bool) -> Command {
        self.message = self.message.wrapping_add(1);
        Command::request(operation, self.message, class, data)
    }

    async fn answer(&mut self, asked: &Command) -> Result<(Agreed, Command), NetError> {
        match self.messages.command(self.messages.terms.idle).await? {
            Begun::Command(agreed, answer)
                if answer.is_response() && answer.responded == asked.message =>
            {
                Ok((agreed, answer))
            }
            _ => Err(NetError::Protocol("the answer to another question came")),
        }
    }

    /// Whether anybody is there.
    ///
    /// # Errors
    /// [`NetError`] where the association broke.
    pub async fn echo(&mut self) -> Result<Status, NetError> {
        let agreed = self.agreed(uid::VERIFICATION, None)?;
        let command = self.request(Operation::Echo, uid::VERIFICATION, false);
        self.messages.send(&agreed, &command, None).await?;
        Ok(self.answer(&command).await?.1.status)
    }

    /// Sends an object whose data set comes in chunks, as it lies in its file.
    ///
    /// # Errors
    /// [`NetError::NotAccepted`] where the peer does not take it as it lies; nothing was sent then.
    /// [`NetError::Object`] where it could not be read to its end: the association is over.
    pub async fn store(
        &mut self,
        head: &Head,
        mut chunks: mpsc::Receiver<std::io::Result<Bytes>>,
    ) -> Result<Status, NetError> {
        let agreed = self.agreed(&head.class, Some(&head.transfer_syntax))?;
        let mut command = self.request(Operation::Store, &head.class, true);
        command.instance.clone_from(&head.instance);
        self.messages.send(&agreed, &command, None).await?;
        let mut held: Option<Bytes> = None;
        while let Some(chunk) = chunks.recv().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.abort().await;
                    return Err(NetError::Object(error));
                }
            };
            if let Some(before) = held.replace(chunk) {
                self.messages
                    .send_fragment(agreed.id, &before, false)
                    .await?;
            }
        }
        let last = held.unwrap_or_default();
        self.messages.send_fragment(agreed.id, &last, true).await?;
        Ok(self.answer(&command).await?.1.status)
    }

    /// Asks for entries of a worklist, at most so many.
    ///
    /// # Errors
    /// [`NetError`] where the association broke, or more than so many came.
    pub async fn find(
        &mut self,
        query: &DataSet,
        most: usize,
    ) -> Result<(Vec<DataSet>, Status), NetError> {
        let agreed = self.agreed(uid::WORKLIST_FIND, None)?;
        let command = self.request(Operation::Find, uid::WORKLIST_FIND, true);
        self.messages.send(&agreed, &command, Some(query)).await?;
        let mut found = Vec::new();
        loop {
            let (agreed, answer) = self.answer(&command).await?;
            if answer.data {
                let entry = self.messages.data_set(&agreed).await?;
                let entry = entry.ok_or(NetError::Protocol("an entry cannot be read"))?;
                if found.len() == most {
                    self.abort().await;
                    return Err(NetError::Protocol("more entries came than were asked for"));
                }
                found.push(entry);
            }
            if !answer.status.is_pending() {
                return Ok((found, answer.status));
            }
        }
    }

    /// Tells of a step that is performed.
    ///
    /// # Errors
    /// [`NetError`] where the association broke.
    pub async fn perform(
        &mut self,
        begins: bool,
        instance: &str,
        data: &DataSet,
    ) -> Result<Status, NetError> {
        let agreed = self.agreed(uid::PERFORMED_STEP, None)?;
        let operation = if begins {
            Operation::Create
        } else {
            Operation::Set
        };
        let mut command = self.request(operation, uid::PERFORMED_STEP, true);
        instance.clone_into(&mut command.instance);
        self.messages.send(&agreed, &command, Some(data)).await?;
        let (agreed, answer) = self.answer(&command).await?;
        if answer.data {
            self.messages.data_set(&agreed).await?;
        }
        Ok(answer.status)
    }

    /// Ends the association as it should be ended.
    ///
    /// # Errors
    /// [`NetError`] where the peer does not agree.
    pub async fn release(mut self) -> Result<(), NetError> {
        let stall = self.messages.terms.stall;
        let link = &mut self.messages.link;
        link.write(&pdu::release_request()).await?;
        match link.read(stall).await? {
            Pdu::Release | Pdu::ReleaseRequest => {
                link.close().await;
                Ok(())
            }
            _ => Err(NetError::Protocol(
                "a release was answered with something else",
            )),
        }
    }

    /// Gives the association up.
    pub async fn abort(&mut self) {
        let link = &mut self.messages.link;
        if link.write(&pdu::abort(0)).await.is_ok() {
            link.close().await;
        }
    }
}

fn reason_of([result, source, reason]: [u8; 3]) -> &'static str {
    match (result, source, reason) {
        (_, 1, 3) => "it does not know the calling AE title",
        (_, 1, 7) => "it does not know the called AE title",
        (_, 1, 2) => "it speaks another application",
        (2, 3, 1 | 2) => "it has too much to do now",
        (2, ..) => "it cannot for now",
        _ => "it gives no reason",
    }
}
