//! What is done for a peer in an association: objects become files and messages, steps become
//! messages, queries are answered from the worklist.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wardline_core::Timestamp;
use wardline_dicom::data::{tags, write};
use wardline_dicom::net::{Incoming, Performed, Rejection, Service, Sink, Status};
use wardline_dicom::{DataSet, Encoding, to_json, uid};

use super::config::InboundConfig;
use super::entries;
use super::objects::{Arriving, NotPlaced, Objects, Placed};
use super::steps::{Known, Steps};
use crate::{ContentType, Counters, Intake, Received, Verdict};

/// Fragments are gathered to this before they are written.
const GATHERED: usize = 1 << 20;

/// What all associations of a listener share.
pub(super) struct Handler {
    pub(super) config: InboundConfig,
    pub(super) objects: Option<Arc<Objects>>,
    pub(super) steps: Option<Steps>,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) counters: Arc<Counters>,
}

/// One association's.
pub(super) struct ForPeer {
    handler: Arc<Handler>,
    peer: SocketAddr,
}

impl Handler {
    pub(super) fn for_peer(self: &Arc<Self>, peer: SocketAddr) -> ForPeer {
        ForPeer {
            handler: Arc::clone(self),
            peer,
        }
    }

    /// Hands a message in; success only where it, or the very same before, is on stable storage.
    async fn accept(&self, body: &Value, once: String, peer: SocketAddr) -> Result<(), Status> {
        let received = Received {
            source: Arc::clone(&self.config.source),
            content_type: ContentType::Json,
            body: body.to_string().into(),
            received: Timestamp::now(),
            peer: Some(peer),
            headers: Vec::new(),
            answer: Bytes::new(),
            once: Some(once),
            fault: None,
        };
        let until = Instant::now() + self.config.busy_limit;
        loop {
            match self.intake.accept(received.clone()).await {
                Verdict::Accepted { .. } => {
                    self.counters.accepted(1);
                    return Ok(());
                }
                Verdict::Duplicate { .. } => {
                    self.counters.duplicates(1);
                    return Ok(());
                }
                Verdict::Refused {
                    code, permanent, ..
                } => {
                    self.counters.refused(1);
                    let comment = format!("refused ({code})");
                    return Err(if permanent {
                        Status::cannot_understand(comment)
                    } else {
                        Status::processing_failure(comment)
                    });
                }
                Verdict::Busy { retry_after, .. } => {
                    self.counters.busy(1);
                    if Instant::now() + retry_after >= until {
                        return Err(Status::out_of_resources("too much to do: come later"));
                    }
                    tokio::time::sleep(retry_after).await;
                }
            }
        }
    }
}

fn from(event: &str, calling: &str, called: &str) -> Value {
    json!({ "event": event, "calling": calling, "called": called })
}

#[async_trait]
impl Service for ForPeer {
    fn admit(&self, called: &str, calling: &str) -> Result<(), Rejection> {
        let config = &self.handler.config;
        if called != config.title {
            return Err(Rejection::CalledUnknown);
        }
        if !config.callers.iter().any(|one| one == calling) {
            return Err(Rejection::CallingUnknown);
        }
        Ok(())
    }

    fn offers(&self, class: &str) -> bool {
        match class {
            uid::WORKLIST_FIND => self.handler.config.worklist.is_some(),
            uid::PERFORMED_STEP => self.handler.steps.is_some(),
            class => self.handler.objects.is_some() && uid::is_storage(class),
        }
    }

    async fn store(&self, incoming: Incoming<'_>) -> Result<Box<dyn Sink>, Status> {
        let Some(objects) = self.handler.objects.clone() else {
            return Err(Status::class_not_supported());
        };
        let opened = {
            let (objects, head, calling) = (
                Arc::clone(&objects),
                incoming.head,
                incoming.calling.to_owned(),
            );
            blocking(move || objects.begin(head, &calling)).await
        };
        Ok(Box::new(Storing {
            state: State::Idle(opened.map_err(|error| not_written(&error))?),
            gathered: Vec::with_capacity(GATHERED),
            objects,
            handler: Arc::clone(&self.handler),
            peer: self.peer,
            from: from("stored", incoming.calling, incoming.called),
        }))
    }

    async fn find(&self, _: &str, query: &DataSet) -> Result<Vec<DataSet>, Status> {
        let Some(directory) = self.handler.config.worklist.clone() else {
            return Err(Status::class_not_supported());
        };
        let query = query.clone();
        tokio::task::spawn_blocking(move || entries::answers(&*directory, &query))
            .await
            .unwrap_or_else(|_| Err(Status::processing_failure("the worklist cannot be read")))
    }

    async fn performed(&self, step: Performed<'_>) -> Status {
        match self.step(&step).await {
            Ok(()) => Status::success(),
            Err(status) => status,
        }
    }
}

impl ForPeer {
    async fn step(&self, step: &Performed<'_>) -> Result<(), Status> {
        let handler = &self.handler;
        let Some(steps) = &handler.steps else {
            return Err(Status::class_not_supported());
        };
        let failed = |error: io::Error| {
            tracing::warn!(source = %handler.config.source, %error, "the state of a step cannot be kept");
            Status::processing_failure("the state of the step cannot be kept now")
        };
        let state = step.data.ascii(tags::PERFORMED_STATUS).unwrap_or_default();
        let over = matches!(state, "COMPLETED" | "DISCONTINUED");
        let mut bytes = Vec::new();
        write(step.data, Encoding::ExplicitLittle, &mut bytes);
        let told: String = digest(&SHA256, &bytes).as_ref()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match (
            step.begins,
            steps.known(step.instance).await.map_err(failed)?,
        ) {
            // An answer may have been lost: the message itself is known by what it says.
            (true, Known::No | Known::Open) | (false, Known::Open) => {}
            (true, Known::Over(_)) => return Err(Status::duplicate_instance()),
            (false, Known::No) => return Err(Status::no_such_instance()),
            (false, Known::Over(by)) if by == told => return Ok(()),
            (false, Known::Over(_)) => {
                return Err(Status::processing_failure(
                    "the step is over and may not change",
                ));
            }
        }
        if step.begins && state != "IN PROGRESS" {
            return Err(Status::processing_failure("a step begins IN PROGRESS"));
        }
        let event = if step.begins {
            "step-begun"
        } else {
            "step-changed"
        };
        let body = json!({
            "dicom": from(event, step.calling, step.called),
            "step": step.instance,
            "data": to_json(step.data),
        });
        let once = format!("step\0{}\0{event}\0{told}", step.instance);
        handler.accept(&body, once, self.peer).await?;
        let over = over.then_some(told.as_str());
        if step.begins || over.is_some() {
            steps.note(step.instance, over).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// An object on its way into its file: what came is written while more comes.
struct Storing {
    state: State,
    gathered: Vec<u8>,
    objects: Arc<Objects>,
    handler: Arc<Handler>,
    peer: SocketAddr,
    from: Value,
}

enum State {
    Idle(Arriving),
    Writing(JoinHandle<io::Result<Arriving>>),
    Broken,
}

impl Storing {
    /// The file, when what was being written is written.
    async fn idle(&mut self) -> io::Result<Arriving> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(arriving) => Ok(arriving),
            State::Writing(task) => task.await.map_err(io::Error::other)?,
            State::Broken => Err(io::Error::other("the object was given up")),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut arriving = self.idle().await?;
        let bytes = std::mem::replace(&mut self.gathered, Vec::with_capacity(GATHERED));
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            arriving.write(&bytes)?;
            Ok(arriving)
        }));
        Ok(())
    }

    async fn placed(&mut self) -> Result<Placed, NotPlaced> {
        self.flush().await?;
        let arriving = self.idle().await?;
        let turn = self.objects.turn(&arriving.head).await;
        let objects = Arc::clone(&self.objects);
        tokio::task::spawn_blocking(move || objects.place(arriving, turn))
            .await
            .map_err(io::Error::other)?
    }
}

#[async_trait]
impl Sink for Storing {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Status> {
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= GATHERED {
            self.flush().await.map_err(|error| not_written(&error))?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Status {
        let placed = match self.placed().await {
            Ok(placed) => placed,
            Err(NotPlaced::Io(error)) => return not_written(&error),
            Err(NotPlaced::Other) => {
                self.handler.counters.refused(1);
                return Status::class_mismatch("the object is not the one that was named");
            }
            Err(NotPlaced::Malformed(error)) => {
                self.handler.counters.refused(1);
                return Status::cannot_understand(error.to_string());
            }
        };
        let body = self.message(&placed);
        let once = format!("object\0{}", placed.name);
        let Err(status) = self.handler.accept(&body, once, self.peer).await else {
            return Status::success();
        };
        let withdrawn = blocking(move || placed.withdraw()).await;
        if let Err(error) = withdrawn {
            tracing::warn!(source = %self.handler.config.source, %error, "an object that was refused stays in its place");
        }
        status
    }
}

impl Storing {
    fn message(&self, placed: &Placed) -> Value {
        let head = &placed.object.head;
        let mut object = Map::new();
        object.insert("file".into(), placed.name.as_str().into());
        object.insert("size".into(), placed.object.size.into());
        object.insert("sop_class_uid".into(), head.class.as_str().into());
        if let Some(name) = uid::class_name(&head.class) {
            object.insert("sop_class".into(), name.into());
        }
        object.insert("sop_instance_uid".into(), head.instance.as_str().into());
        object.insert(
            "transfer_syntax_uid".into(),
            head.transfer_syntax.as_str().into(),
        );
        if placed.object.data.cut {
            object.insert("cut".into(), true.into());
        }
        json!({ "dicom": self.from, "object": object, "data": to_json(&placed.object.data) })
    }
}

/// For the peer: that there is no room, or that it failed. The reason is for our log.
fn not_written(error: &io::Error) -> Status {
    tracing::warn!(%error, "an object cannot be written");
    if error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded {
        Status::out_of_resources("no room for the object")
    } else {
        Status::out_of_resources("the object cannot be written now")
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
