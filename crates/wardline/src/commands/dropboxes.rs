//! Where clients bring and fetch files over SFTP: the server of an estate's drop boxes, and the
//! audit log's word on who came.

use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_connect::Network;
use wardline_connect::sftp::server::{
    BoxConfig, Boxes, DropBox, Event, HostSecret, Server, ServerConfig, Sink, What,
};
use wardline_engine::{Engine, Inputs, Recorder, Renewals, Wiring};
use wardline_estate::model::{self, DropBoxes, Estate};
use wardline_estate::said;
use wardline_vault::{AuditEntry, Secrets};

/// The drop boxes of a running estate.
pub(crate) struct OpenBoxes {
    /// What the server, without its boxes, was made of.
    mark: String,
    address: SocketAddr,
    server: Served,
    boxes: Arc<ArcSwap<Boxes>>,
    recorder: Arc<Recorder>,
    recording: JoinHandle<()>,
    stop_recording: CancellationToken,
}

/// A server that runs.
struct Served {
    stop: CancellationToken,
    task: JoinHandle<()>,
    socket: wardline_connect::door::Socket,
    bind: String,
}

/// The drop boxes of another estate, ready.
pub(crate) struct NextBoxes {
    boxes: Boxes,
    inputs: Inputs,
    /// `None` where the server stays.
    server: Option<(String, String, Server)>,
}

impl OpenBoxes {
    /// Opens the boxes of an estate; `None` where it has none.
    pub(crate) async fn open(
        estate: &Arc<Estate>,
        engine: &Engine,
        secrets: &Secrets,
    ) -> anyhow::Result<Option<Self>> {
        let Some(declared) = &estate.dropboxes else {
            return Ok(None);
        };
        let recorder = Recorder::new(engine.desk());
        let (made, inputs) = made(estate, declared)?;
        let boxes = Arc::new(ArcSwap::from_pointee(made));
        let config = config(estate, declared, secrets)?;
        let bind = config.bind.clone();
        let server = Server::bind(config, Arc::clone(&boxes), sink(&recorder))
            .await
            .context("the drop boxes cannot be opened")?;
        keep(engine.renewals(), estate, &boxes, inputs);
        let address = server.address();
        let stop_recording = CancellationToken::new();
        let recording = tokio::spawn(Arc::clone(&recorder).run(stop_recording.clone()));
        Ok(Some(Self {
            mark: mark(declared),
            address,
            server: run(server, bind),
            boxes,
            recorder,
            recording,
            stop_recording,
        }))
    }

    /// Each box and where it is.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        let boxes = self.boxes.load();
        let place = |client: &Arc<str>| {
            let at = self.address;
            (
                format!("drop box {client}"),
                format!("sftp://{client}@{at}/"),
            )
        };
        boxes.keys().map(place).collect()
    }

    /// Makes another estate's boxes ready.
    pub(super) async fn prepare(
        &self,
        estate: &Arc<Estate>,
        secrets: &Secrets,
    ) -> anyhow::Result<Option<NextBoxes>> {
        let Some(declared) = &estate.dropboxes else {
            return Ok(None);
        };
        let (boxes, inputs) = made(estate, declared)?;
        let fresh = mark(declared);
        let server = if fresh == self.mark {
            None
        } else {
            let config = config(estate, declared, secrets)?;
            let bind = config.bind.clone();
            let (all, sink) = (Arc::clone(&self.boxes), sink(&self.recorder));
            let server = if bind == self.server.bind {
                Server::over(self.server.socket.clone(), config, all, sink)
            } else {
                Server::bind(config, all, sink).await
            };
            Some((
                fresh,
                bind,
                server.context("the drop boxes cannot be opened")?,
            ))
        };
        Ok(Some(NextBoxes {
            boxes,
            inputs,
            server,
        }))
    }

    /// Opens what was made ready. Who is logged in goes on in the box that it found.
    pub(super) fn apply(&mut self, estate: &Arc<Estate>, engine: &Engine, next: NextBoxes) {
        self.boxes.store(Arc::new(next.boxes));
        keep(engine.renewals(), estate, &self.boxes, next.inputs);
        if let Some((mark, bind, server)) = next.server {
            self.mark = mark;
            self.address = server.address();
            let before = std::mem::replace(&mut self.server, run(server, bind));
            before.stop.cancel();
        }
    }

    /// Takes leave of who is there, and writes down the last of what they did.
    pub(crate) async fn close(self) {
        self.server.stop.cancel();
        if let Err(error) = self.server.task.await {
            tracing::error!(%error, "the drop boxes ended abnormally");
        }
        self.stop_recording.cancel();
        if let Err(error) = self.recording.await {
            tracing::error!(%error, "writing the audit log ended abnormally");
        }
    }
}

fn run(server: Server, bind: String) -> Served {
    let stop = CancellationToken::new();
    Served {
        socket: server.socket(),
        task: tokio::spawn(server.run(stop.clone())),
        stop,
        bind,
    }
}

/// What the server is made of; its boxes are replaced without it.
fn mark(declared: &DropBoxes) -> String {
    let mut bare = declared.clone();
    bare.boxes.clear();
    said(&bare)
}

fn networks(declared: &[model::Network]) -> Vec<Network> {
    let read = |one: &model::Network| format!("{}/{}", one.address, one.prefix).parse().ok();
    declared.iter().filter_map(read).collect()
}

fn config(
    estate: &Estate,
    declared: &DropBoxes,
    secrets: &Secrets,
) -> anyhow::Result<ServerConfig> {
    let wiring = Wiring::new(estate, secrets);
    let key = |reference| -> anyhow::Result<HostSecret> {
        Ok(HostSecret::read(&wiring.secret(reference)?)?)
    };
    let host_keys = declared.host_keys.iter().map(key);
    Ok(ServerConfig {
        name: "dropboxes".into(),
        bind: declared.bind.value.to_string(),
        host_keys: host_keys
            .collect::<anyhow::Result<_>>()
            .context("`host_key` of `dropboxes`")?,
        allow: networks(&declared.allow),
        max_connections: declared.max_connections as usize,
        idle: declared.idle_timeout,
    })
}

/// The boxes, and the files of keys that they were made of. Clients that are refused have none.
fn made(estate: &Estate, declared: &DropBoxes) -> anyhow::Result<(Boxes, Inputs)> {
    let mut inputs = Inputs::default();
    let mut all = Boxes::new();
    for (name, dropbox) in &declared.boxes {
        let Some(client) = estate.clients.get(name).filter(|client| !client.disabled) else {
            continue;
        };
        let Some(file) = &client.auth.ssh else {
            continue;
        };
        let path = estate.root.join(&file.path);
        inputs.note_file(&path);
        let keys = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let name: Arc<str> = name.as_str().into();
        let made = DropBox::new(BoxConfig {
            client: Arc::clone(&name),
            keys,
            addresses: networks(&client.addresses),
            expires: client.expires.as_ref().map(|end| end.value),
            directory: estate.root.join(&dropbox.directory.value),
            quota: dropbox.quota,
            files: dropbox.files as usize,
            sessions: dropbox.sessions as usize,
        })?;
        all.insert(name, Arc::new(made));
    }
    Ok((all, inputs))
}

/// Keys that change in a file open the box from then on, and those that are gone no longer do.
fn keep(renewals: &Renewals, estate: &Arc<Estate>, boxes: &Arc<ArcSwap<Boxes>>, inputs: Inputs) {
    let estate = Arc::clone(estate);
    let boxes = Arc::downgrade(boxes);
    renewals.add("drop boxes", inputs, move || {
        let (Some(boxes), Some(declared)) = (boxes.upgrade(), &estate.dropboxes) else {
            return Ok(None);
        };
        let (fresh, inputs) = made(&estate, declared).map_err(|error| format!("{error:#}"))?;
        boxes.store(Arc::new(fresh));
        Ok(Some(inputs))
    });
}

fn sink(recorder: &Arc<Recorder>) -> Sink {
    let recorder = Arc::clone(recorder);
    Arc::new(move |event| recorder.tell(entry(&event)))
}

/// Names of files are the client's own; what is in them is told nowhere.
fn entry(event: &Event) -> AuditEntry {
    let address = event.peer.ip().to_string();
    let actor = match &event.client {
        Some(client) => format!("client:{client}"),
        None => format!("address:{address}"),
    };
    let on = |act: &str, target: &str| AuditEntry::new(actor, act, target);
    let entry = match &event.what {
        What::LoggedIn(key) => on("dropbox.login", "dropboxes").with("key", key.as_str()),
        What::Refused(why) => on("dropbox.refuse", "dropboxes").because(*why),
        What::Stored(name, size) => on("dropbox.store", name).with("bytes", *size),
        What::Fetched(name, size) => on("dropbox.fetch", name).with("bytes", *size),
        What::Removed(name) => on("dropbox.remove", name),
        What::Renamed(from, to) => on("dropbox.rename", from).with("to", to.as_str()),
    };
    entry.with("address", address)
}
