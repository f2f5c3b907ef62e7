//! Another estate takes the place of the one that runs: asked for by `wardline reload`, by
//! SIGHUP, or by files that changed under `serve --watch`.
//!
//! All that can fail comes first: reading, checking and compiling, then addresses, secrets and
//! routes, then the record in the journal. Only then gateway, clients and engine change, one
//! after the other without waiting in between. Where anything is wrong nothing has changed.

use super::doors::{Doors, Ways};
use super::dropboxes::OpenBoxes;
use super::serve::Running;
use super::{actor, print_json};
use crate::cli::Reload;
use crate::place::{Place, Read, read};
use crate::remote::RemoteDesk;
use crate::{exit, paint, table};
use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context, SHA256};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wardline_console::ConsoleDesk as _;
use wardline_engine::view::{AppliedView, ReloadOutcome, ReloadView};
use wardline_engine::{ReloadRequest, needs_restart};
use wardline_estate::SourceMap;

/// Files must rest for so long: an editor or `git` writes several.
const SETTLE: Duration = Duration::from_millis(300);

/// `wardline reload`: asks the server that runs.
pub(crate) async fn run(args: Reload) -> anyhow::Result<ExitCode> {
    let place = Place::new(&args.estate, args.data.as_deref());
    let Some(server) = RemoteDesk::of(&place)? else {
        bail!(
            "no server runs with the data in {}: `wardline serve` reads the estate when it starts",
            place.data.display()
        );
    };
    let view = server.reload(args.reason, &actor()).await?;
    let code = match view.outcome {
        ReloadOutcome::Refused => ExitCode::from(exit::FINDINGS),
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => ExitCode::SUCCESS,
    };
    if args.json {
        print_json(&view)?;
        return Ok(code);
    }
    anstream::eprint!("{}", view.diagnostics);
    for change in &view.changes {
        anstream::println!("  {change}");
    }
    let summary = match view.outcome {
        ReloadOutcome::Refused => paint::bad(&view.summary),
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => paint::good(&view.summary),
    };
    anstream::println!("{summary}");
    Ok(code)
}

/// An applied estate in one line.
pub(crate) fn told(applied: &AppliedView) -> String {
    let AppliedView {
        number,
        hash,
        at,
        actor,
        reason,
    } = applied;
    let short = hash.get(..12).unwrap_or(hash);
    format!("estate version {number} ({short}) since {at}, applied by {actor}: {reason}")
}

/// What identifies an estate's files: SHA-256 over the path and text of each, in the order of
/// paths, every part led by its length.
pub(crate) fn hash(sources: &SourceMap) -> String {
    let mut files: Vec<_> = sources.files().map(|(_, file)| file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut context = Context::new(&SHA256);
    for file in files {
        for part in [file.path.to_string_lossy().as_bytes(), file.text.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Who wants the estate read again.
pub(crate) enum Ask {
    /// Somebody who waits for an answer.
    Request(ReloadRequest),
    /// SIGHUP.
    Hangup,
    /// Files changed and came to rest.
    Files,
}

/// Everything that may ask for the estate to be read again.
pub(crate) struct Asks {
    requests: mpsc::Receiver<ReloadRequest>,
    hangup: Signal,
    files: Option<Files>,
    /// When changed files will have rested.
    due: Option<Instant>,
}

struct Files {
    watcher: RecommendedWatcher,
    changed: mpsc::Receiver<()>,
    place: Place,
}

impl Asks {
    /// Listens for requests and SIGHUP, and to the files of `watched`.
    pub(crate) fn new(
        requests: mpsc::Receiver<ReloadRequest>,
        watched: Option<&Place>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            requests,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
            files: watched.map(Files::watch).transpose()?,
            due: None,
        })
    }

    /// The next that asks. Nothing is lost where it is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Ask {
        loop {
            let due = self.due;
            let rested = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let files = &mut self.files;
            let changed = async {
                match files {
                    Some(files) => files.changed.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(request) = self.requests.recv() => return Ask::Request(request),
                Some(()) = self.hangup.recv() => return Ask::Hangup,
                Some(()) = changed => self.due = Some(Instant::now() + SETTLE),
                () = rested => {
                    self.due = None;
                    if let Some(files) = &mut self.files {
                        files.follow();
                    }
                    return Ask::Files;
                }
            }
        }
    }
}

impl Files {
    fn watch(place: &Place) -> anyhow::Result<Self> {
        let (tell, changed) = mpsc::channel(1);
        let data = absolute(&place.data);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let written =
                event.kind.is_modify() || event.kind.is_create() || event.kind.is_remove();
            let ours = |path: &PathBuf| !path.starts_with(&data);
            if written && event.paths.iter().any(ours) {
                // One that waits already says the same.
                let _one_waits_already = tell.try_send(());
            }
        })
        .context("cannot watch files")?;
        let mut files = Self {
            watcher,
            changed,
            place: place.clone(),
        };
        let root = absolute(&place.estate);
        files
            .watcher
            .watch(&root, RecursiveMode::NonRecursive)
            .with_context(|| format!("cannot watch {}", root.display()))?;
        files.follow();
        Ok(files)
    }

    /// Watches every directory of the estate but the data, whose files change all the time.
    fn follow(&mut self) {
        let root = absolute(&self.place.estate);
        let data = absolute(&self.place.data);
        let entries = std::fs::read_dir(&root).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir()
                && !path.starts_with(&data)
                && let Err(error) = self.watcher.watch(&path, RecursiveMode::Recursive)
            {
                tracing::warn!(directory = %path.display(), %error, "changes in this directory are not noticed");
            }
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// Why an estate was not put in force.
struct Refusal {
    summary: String,
    read: Option<Read>,
}

impl Refusal {
    fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            read: None,
        }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl Running {
    /// Reads the estate again for whoever asks, and tells them and the log what came of it.
    pub(crate) async fn answer(&mut self, ask: Ask) {
        let (reason, who, answer) = match ask {
            Ask::Request(request) => (request.reason, request.actor, Some(request.answer)),
            Ask::Hangup => ("SIGHUP".to_owned(), actor(), None),
            Ask::Files => ("its files changed".to_owned(), actor(), None),
        };
        let view = self.reload(&reason, &who).await;
        match view.outcome {
            ReloadOutcome::Refused if answer.is_none() => {
                anstream::eprint!("{}", view.diagnostics);
                anstream::println!("wardline not reloaded: {}", view.summary);
            }
            ReloadOutcome::Refused => tracing::warn!(summary = %view.summary, "not reloaded"),
            ReloadOutcome::Unchanged => tracing::debug!("reloaded; the estate says the same"),
            ReloadOutcome::Applied => {
                for change in &view.changes {
                    tracing::info!(%change, "reloaded");
                }
                anstream::println!("wardline reloaded: {}", view.summary);
            }
        }
        if let Some(answer) = answer
            && answer.send(view).is_err()
        {
            tracing::debug!("whoever asked for the reload has gone; it was done all the same");
        }
    }

    async fn reload(&mut self, reason: &str, who: &str) -> ReloadView {
        let began = Instant::now();
        let outcome = self.exchange(reason, who).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(mut view) => {
                view.took_ms = took_ms;
                view
            }
            Err(Refusal { summary, read }) => {
                let (diagnostics, found) = read.as_ref().map(shown).unwrap_or_default();
                ReloadView {
                    outcome: ReloadOutcome::Refused,
                    summary: format!("{summary}; what ran before goes on"),
                    applied: self.engine.desk().applied().await.ok().flatten(),
                    changes: Vec::new(),
                    diagnostics,
                    found,
                    took_ms,
                }
            }
        }
    }

    /// The exchange itself.
    async fn exchange(&mut self, reason: &str, who: &str) -> Result<ReloadView, Refusal> {
        let began = Instant::now();
        let place = self.place.clone();
        // With secrets of its own: reading must not change where those that are in use come from.
        let again = Place::new(&place.estate, Some(&place.data));
        // Not on the runtime: many maps take a while to compile.
        let reading = tokio::task::spawn_blocking(move || {
            let secrets = again.secrets();
            read(&again.estate, (!again.own_keys).then_some(&secrets))
        });
        let mut read = match reading.await {
            Ok(read) => read,
            Err(panicked) => {
                tracing::error!(error = %panicked, "reading the estate ended abnormally");
                return Err(Refusal::new("reading the estate ended abnormally"));
            }
        };
        let (Some(plan), Some(front)) = (read.plan.take(), read.front.take()) else {
            return Err(Refusal {
                summary: format!("the estate cannot run: {}", read.diagnostics.summary()),
                read: Some(read),
            });
        };
        let waits = needs_restart(&self.engine.plan().estate, &plan.estate);
        if !waits.is_empty() {
            return Err(Refusal {
                summary: format!(
                    "{} cannot change while the server runs: restart `wardline serve`, or take the change back",
                    waits.join("; ")
                ),
                read: Some(read),
            });
        }
        let prepared = self
            .engine
            .prepare(Arc::clone(&plan))
            .await
            .map_err(|error| Refusal::new(error.to_string()))?;
        let ways = Ways {
            inlets: prepared.inlets(),
            gates: prepared.gates(),
        };
        let doors = match &self.doors {
            Some(doors) => Some(
                doors
                    .prepare(&front, &plan.estate, &place, &self.engine, ways)
                    .await?,
            ),
            None => None,
        };
        // The first Api of this estate: its doors open beside what runs.
        let opened = match &self.doors {
            Some(_) => None,
            None => Doors::open(&front, &place, &plan.estate, &self.engine, ways).await?,
        };
        let secrets = place.secrets();
        let boxes = match &self.dropboxes {
            Some(open) => open.prepare(&plan.estate, &secrets).await,
            None => Ok(None),
        };
        let opened_boxes = match (&boxes, &self.dropboxes) {
            (Ok(_), None) => OpenBoxes::open(&plan.estate, &self.engine, &secrets).await,
            _ => Ok(None),
        };
        let (boxes, opened_boxes) = match (boxes, opened_boxes) {
            (Ok(boxes), Ok(opened)) => (boxes, opened),
            (Err(error), _) | (_, Err(error)) => {
                if let Some(opened) = opened {
                    opened.close().await;
                }
                return Err(error.into());
            }
        };
        let hash = hash(&read.sources);
        let desk = self.engine.desk();
        let before = desk.applied().await.ok().flatten();
        let recorded = desk
            .record_applied(&hash, prepared.changes(), reason, who)
            .await;
        let applied = match recorded {
            Ok(applied) => applied,
            Err(error) => {
                if let Some(opened) = opened {
                    opened.close().await;
                }
                if let Some(opened) = opened_boxes {
                    opened.close().await;
                }
                return Err(Refusal::new(format!(
                    "the change could not be recorded in the journal: {error}"
                )));
            }
        };
        let mut changes: Vec<String> = prepared.changes().iter().map(ToString::to_string).collect();
        if opened.as_ref().is_some_and(|_| self.console.is_some()) {
            changes.push(
                "the first Api: the console shows who calls it after a restart of `wardline serve`"
                    .to_owned(),
            );
        }
        self.engine.apply(prepared);
        self.policies.store(Arc::clone(front.policies()));
        if let (Some(doors), Some(next)) = (&self.doors, doors) {
            doors.apply(&front, &plan.estate, &self.engine, next).await;
        }
        self.doors = opened.or_else(|| self.doors.take());
        match (self.dropboxes.take(), boxes) {
            (Some(mut open), Some(next)) => {
                open.apply(&plan.estate, &self.engine, next);
                self.dropboxes = Some(open);
            }
            (Some(gone), None) => gone.close().await,
            (None, _) => self.dropboxes = opened_boxes,
        }
        let same = before.is_some_and(|before| before.hash == hash) && changes.is_empty();
        let (diagnostics, found) = shown(&read);
        Ok(ReloadView {
            outcome: if same {
                ReloadOutcome::Unchanged
            } else {
                ReloadOutcome::Applied
            },
            summary: if same {
                format!("version {} is in force already", applied.number)
            } else {
                format!(
                    "version {} is in force with {}, in {} ms",
                    applied.number,
                    table::counted(changes.len(), "change", "changes"),
                    began.elapsed().as_millis()
                )
            },
            applied: Some(applied),
            changes,
            diagnostics,
            found,
            took_ms: 0,
        })
    }
}

fn shown(read: &Read) -> (String, serde_json::Value) {
    (
        read.diagnostics.render(&read.sources, false),
        read.diagnostics.to_json(&read.sources),
    )
}
