//! The side that is called: associations are negotiated, operations handed to a [`Service`].

use std::pin::pin;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Terms;
use super::command::{Command, Operation};
use super::link::{Link, NetError};
use super::messages::{Agreed, Begun, Messages};
use super::pdu::{self, Associate, Context, Pdu};
use super::status::{Rejection, Status};
use crate::data::DataSet;
use crate::file::Head;
use crate::uid;

/// Does what peers ask.
#[async_trait]
pub trait Service: Send + Sync {
    /// Whether a caller may speak to whom it calls.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, called: &str, calling: &str) -> Result<(), Rejection>;

    /// Whether anything is done for a class. C-ECHO is answered in any case.
    fn offers(&self, class: &str) -> bool;

    /// An object begins to arrive.
    ///
    /// # Errors
    /// Why it is not taken; its bytes are then passed over.
    async fn store(&self, incoming: Incoming<'_>) -> Result<Box<dyn Sink>, Status>;

    /// Entries of the worklist that answer a query, as they are to be told.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn find(&self, calling: &str, query: &DataSet) -> Result<Vec<DataSet>, Status>;

    /// A modality tells of a step that it performs.
    async fn performed(&self, step: Performed<'_>) -> Status;
}

/// Takes an object's data set as it comes. Dropped before [`Sink::finish`], nothing was taken.
#[async_trait]
pub trait Sink: Send {
    /// The next bytes.
    ///
    /// # Errors
    /// Why the object is not taken; the rest is then passed over.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Status>;

    /// It is whole. What this returns is the answer.
    async fn finish(self: Box<Self>) -> Status;
}

/// An object that begins to arrive.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Who sends it.
    pub calling: &'a str,
    /// Whom it called.
    pub called: &'a str,
    /// What it says the object is: the head of the file to be written. Names are valid UIDs.
    pub head: Head,
}

/// What a modality tells of a step.
#[derive(Debug)]
pub struct Performed<'a> {
    /// Who tells.
    pub calling: &'a str,
    /// Whom it called.
    pub called: &'a str,
    /// Whether the step begins; else something of it changes.
    pub begins: bool,
    /// The step's name, a valid UID.
    pub instance: &'a str,
    /// What is told.
    pub data: &'a DataSet,
}

/// Serves one association from its request to its end. When `stop` comes, the operation in hand is
/// finished and answered, and the association aborted.
///
/// # Errors
/// [`NetError`] where it did not end by a release.
pub async fn serve<S>(
    stream: S,
    terms: Terms,
    service: &dyn Service,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), NetError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut link = Link::new(stream, terms.max_pdu, terms.stall);
    let mut stop = pin!(stop);
    let request = tokio::select! {
        () = &mut stop => return Err(NetError::Stopping),
        first = link.read(terms.stall) => match first {
            Ok(Pdu::Request(request)) => request,
            Ok(Pdu::Abort) => return Err(NetError::Aborted),
            other => {
                let error = other.err().unwrap_or(NetError::Protocol("no association was asked for"));
                return Err(give_up(&mut link, error).await);
            }
        },
    };
    if let Err(rejection) = service.admit(&request.called, &request.calling) {
        link.write(&pdu::reject(rejection.bytes())).await?;
        link.close().await;
        return Err(NetError::Refused(rejection));
    }
    let (answer, agreed) = negotiate(&request, terms, service);
    link.write(&pdu::encode_associate(&answer, true)).await?;
    let mut session = Session {
        messages: Messages::new(link, agreed, terms, request.max_pdu),
        service,
        called: request.called,
        calling: request.calling,
    };
    loop {
        let begun = tokio::select! {
            biased;
            () = &mut stop => Err(NetError::Stopping),
            begun = session.messages.command(terms.idle) => begun,
        };
        let done = match begun {
            Ok(Begun::Release) => {
                let link = &mut session.messages.link;
                link.write(&pdu::release()).await?;
                link.close().await;
                return Ok(());
            }
            Ok(Begun::Command(agreed, command)) => session.operation(&agreed, &command).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            return Err(give_up(&mut session.messages.link, error).await);
        }
    }
}

/// Tells the peer that it is over, where it may still hear.
async fn give_up<S>(link: &mut Link<S>, error: NetError) -> NetError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reason = match error {
        NetError::Closed | NetError::Io(_) | NetError::Aborted => return error,
        NetError::Protocol(_) | NetError::TooLong { .. } => 6,
        _ => 0,
    };
    if link.write(&pdu::abort(reason)).await.is_ok() {
        link.close().await;
    }
    error
}

fn negotiate(request: &Associate, terms: Terms, service: &dyn Service) -> (Associate, Vec<Agreed>) {
    let mut agreed: Vec<Agreed> = Vec::new();
    let contexts = request.contexts.iter().map(|asked| {
        let known = asked.class == uid::VERIFICATION || service.offers(&asked.class);
        let chosen = choose(asked);
        // 3: nobody does this; 4: nobody reads that.
        let result = match (known, chosen) {
            (false, _) => 3,
            (true, None) => 4,
            (true, Some(_)) => 0,
        };
        let transfer = chosen.unwrap_or(uid::IMPLICIT_LITTLE);
        if result == 0 && !agreed.iter().any(|one| one.id == asked.id) {
            agreed.push(Agreed {
                id: asked.id,
                class: asked.class.clone(),
                transfer: transfer.to_owned(),
            });
        }
        Context {
            id: asked.id,
            result,
            class: String::new(),
            transfers: vec![transfer.to_owned()],
        }
    });
    let answer = Associate {
        called: request.called.clone(),
        calling: request.calling.clone(),
        contexts: contexts.collect(),
        max_pdu: terms.max_pdu,
    };
    (answer, agreed)
}

/// Objects are kept as they come, so the sender's first choice is as good as any, but that plain
/// explicit is read by everybody. What is answered with data sets speaks little-endian.
fn choose(asked: &Context) -> Option<&str> {
    let offered = || {
        asked
            .transfers
            .iter()
            .map(String::as_str)
            .filter(|one| uid::is_valid(one))
    };
    let plain = offered().find(|one| *one == uid::EXPLICIT_LITTLE);
    if uid::is_storage(&asked.class) {
        return plain.or_else(|| offered().next());
    }
    plain.or_else(|| offered().find(|one| *one == uid::IMPLICIT_LITTLE))
}

struct Session<'a, S> {
    messages: Messages<S>,
    service: &'a dyn Service,
    called: String,
    calling: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<'_, S> {
    async fn operation(&mut self, agreed: &Agreed, command: &Command) -> Result<(), NetError> {
        if command.is_response() {
            return Err(NetError::Protocol("an answer came that nobody asked for"));
        }
        match command.operation() {
            // Answers are sent at once, so whatever it means to cancel is over.
            Operation::Cancel => Ok(()),
            Operation::Echo => self.answer(agreed, command, Status::success()).await,
            Operation::Store if uid::is_storage(&agreed.class) => self.store(agreed, command).await,
            Operation::Find if agreed.class == uid::WORKLIST_FIND => {
                self.find(agreed, command).await
            }
            Operation::Create | Operation::Set if agreed.class == uid::PERFORMED_STEP => {
                self.performed(agreed, command).await
            }
            _ => {
                self.pass_over(agreed, command).await?;
                self.answer(agreed, command, Status::unrecognized_operation())
                    .await
            }
        }
    }

    async fn answer(
        &mut self,
        agreed: &Agreed,
        command: &Command,
        status: Status,
    ) -> Result<(), NetError> {
        let response = command.response(status, false);
        self.messages.send(agreed, &response, None).await
    }

    async fn pass_over(&mut self, agreed: &Agreed, command: &Command) -> Result<(), NetError> {
        let mut last = !command.data;
        while !last {
            last = self.messages.fragment(agreed.id).await?.1;
        }
        Ok(())
    }

    async fn store(&mut self, agreed: &Agreed, command: &Command) -> Result<(), NetError> {
        if !command.data {
            let status = Status::cannot_understand("there is no object");
            return self.answer(agreed, command, status).await;
        }
        let begun = if command.class != agreed.class {
            Err(Status::class_mismatch("the class is not the context's"))
        } else if !uid::is_valid(&command.instance) || !uid::is_valid(&command.class) {
            Err(Status::cannot_understand("the object's name is no UID"))
        } else {
            let incoming = Incoming {
                calling: &self.calling,
                called: &self.called,
                head: Head {
                    class: command.class.clone(),
                    instance: command.instance.clone(),
                    transfer_syntax: agreed.transfer.clone(),
                },
            };
            self.service.store(incoming).await
        };
        let (mut sink, mut failed) = match begun {
            Ok(sink) => (Some(sink), None),
            Err(status) => (None, Some(status)),
        };
        let mut size = 0;
        loop {
            let (data, last) = self.messages.fragment(agreed.id).await?;
            size += data.len() as u64;
            if size > self.messages.terms.max_object && failed.is_none() {
                let most = self.messages.terms.max_object;
                failed = Some(Status::out_of_resources(format!(
                    "objects may have {most} bytes"
                )));
            } else if let Some(open) = &mut sink
                && failed.is_none()
                && let Err(status) = open.write(data).await
            {
                failed = Some(status);
            }
            if failed.is_some() {
                sink = None;
            }
            if last {
                break;
            }
        }
        let status = match (failed, sink) {
            (None, Some(sink)) => sink.finish().await,
            (failed, _) => failed.unwrap_or_else(|| Status::processing_failure("")),
        };
        self.answer(agreed, command, status).await
    }

    async fn find(&mut self, agreed: &Agreed, command: &Command) -> Result<(), NetError> {
        let query = if command.data {
            self.messages.data_set(agreed).await?
        } else {
            None
        };
        let found = match query {
            Some(query) => self.service.find(&self.calling, &query).await,
            None => Err(Status::cannot_understand("the query cannot be read")),
        };
        match found {
            Err(status) => self.answer(agreed, command, status).await,
            Ok(found) => {
                for entry in found {
                    let response = command.response(Status::bare(0xff00), true);
                    self.messages.send(agreed, &response, Some(&entry)).await?;
                }
                self.answer(agreed, command, Status::success()).await
            }
        }
    }

    async fn performed(&mut self, agreed: &Agreed, command: &Command) -> Result<(), NetError> {
        let data = if command.data {
            self.messages.data_set(agreed).await?
        } else {
            None
        };
        let status = match data {
            _ if !uid::is_valid(&command.instance) => {
                Status::processing_failure("the step's name is missing or no UID")
            }
            None => Status::processing_failure("what is told of the step cannot be read"),
            Some(data) => {
                let step = Performed {
                    calling: &self.calling,
                    called: &self.called,
                    begins: command.operation() == Operation::Create,
                    instance: &command.instance,
                    data: &data,
                };
                self.service.performed(step).await
            }
        };
        self.answer(agreed, command, status).await
    }
}
