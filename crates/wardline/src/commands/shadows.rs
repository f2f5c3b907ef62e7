//! What systems in the shadow would have answered: kept beside the journal, and reported.
//!
//! Differences hold no values and are no record that anybody relies on, so they are kept in a file
//! of their own, a few seconds behind; what a crash loses of them is made up by the next requests.

use crate::cli::{ShadowCommand, ShadowReport};
use crate::place::Place;
use crate::{paint, table};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_gateway::shadow::ledger::{Ledger, Report};

/// How far behind the file is at most.
const EVERY: Duration = Duration::from_secs(2);
/// The file is never larger than this by far.
const LARGEST: u64 = 256 << 20;

/// The file of differences.
pub(crate) struct Shadows {
    ledger: Arc<Ledger>,
    path: PathBuf,
}

fn path(data: &Path) -> PathBuf {
    data.join("shadows.json")
}

fn kept(path: &Path) -> anyhow::Result<Option<Ledger>> {
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if about.len() > LARGEST {
        bail!("it is larger than anything this program writes");
    }
    Ok(Some(Ledger::restore(&std::fs::read(path)?)?))
}

impl Shadows {
    /// What was kept by the last run.
    pub(crate) fn open(data: &Path) -> Self {
        let path = path(data);
        let ledger = kept(&path).unwrap_or_else(|error| {
            // Nobody is refused for it, and what cannot be read is not overwritten.
            let aside = path.with_extension("unreadable.json");
            let moved = std::fs::rename(&path, &aside);
            tracing::warn!(%error, file = %path.display(), moved = moved.is_ok(), "earlier differences of systems in the shadow cannot be read");
            None
        });
        Self {
            ledger: Arc::new(ledger.unwrap_or_default()),
            path,
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Writes down what changed, now and then, until it is told to stop.
    pub(crate) async fn keep(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.flush().await;
        }
    }

    /// Writes down what changed.
    pub(crate) async fn flush(&self) {
        let written = match self.ledger.kept() {
            Ok(None) => return,
            Ok(Some(text)) => {
                let path = self.path.clone();
                let writing = tokio::task::spawn_blocking(move || write(&path, &text));
                writing.await.map_err(anyhow::Error::from).flatten()
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.path.display(), "differences of systems in the shadow cannot be kept");
        }
    }
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    std::io::Write::write_all(&mut file, text)?;
    file.persist(path)?;
    Ok(())
}

pub(crate) fn run(command: ShadowCommand) -> anyhow::Result<ExitCode> {
    let ShadowCommand::Report(args) = command;
    report(&args)
}

fn report(args: &ShadowReport) -> anyhow::Result<ExitCode> {
    let place = Place::of(&args.place);
    let file = path(&place.data);
    let ledger = kept(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let reports = ledger
        .unwrap_or_default()
        .report(args.api.as_deref(), args.since);
    if args.place.json {
        super::print_json(&json!({ "schema": "wardline.shadow/1", "operations": reports }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if reports.is_empty() {
        anstream::println!(
            "nothing was compared yet: declare `shadow` in an Api, and let requests come"
        );
    }
    for report in &reports {
        show(report);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(report: &Report) {
    let (pair, totals) = (&report.pair, &report.totals);
    anstream::println!(
        "{}  {} serves, {} in the shadow",
        paint::strong(&format!("{}.{}", pair.api, pair.operation)),
        pair.serving,
        pair.shadow
    );
    let share = |count: u64| match totals.compared {
        0 => "-".to_owned(),
        all => format!("{:.1} %", count as f64 * 100.0 / all as f64),
    };
    let agree = format!(
        "{} the same ({})",
        table::number(totals.same),
        share(totals.same)
    );
    anstream::println!(
        "  {} compared: {}, {}; {} failed, {} skipped",
        table::number(totals.compared),
        if totals.differ == 0 {
            paint::good(&agree)
        } else {
            agree
        },
        if totals.differ == 0 {
            "none differs".to_owned()
        } else {
            paint::bad(&format!("{} differ", table::number(totals.differ)))
        },
        table::number(totals.failed),
        table::number(totals.skipped)
    );
    if let Some(mean) = totals.serving_micros.checked_div(totals.compared) {
        let shadow = totals.shadow_micros / totals.compared.max(1);
        anstream::println!(
            "  {:.1} ms serving, {:.1} ms in the shadow on average; at most {:.1} ms slower",
            mean as f64 / 1e3,
            shadow as f64 / 1e3,
            totals.slowest_micros as f64 / 1e3
        );
    }
    if totals.other_status > 0 {
        let count = table::number(totals.other_status);
        anstream::println!("  {} with another status", paint::bad(&count));
    }
    if !totals.fields.is_empty() {
        let rows: Vec<Vec<String>> = totals
            .fields
            .iter()
            .map(|field| {
                let shapes = field.shapes.iter().take(2);
                let shapes: Vec<String> = shapes.map(|(shape, _)| shape.clone()).collect();
                vec![
                    format!(
                        "  {}",
                        if field.field.is_empty() {
                            "(all)"
                        } else {
                            &field.field
                        }
                    ),
                    field.how.clone(),
                    table::number(field.count),
                    shapes.join(", "),
                    Timestamp(field.last).to_string(),
                    field.samples.first().cloned().unwrap_or_default(),
                ]
            })
            .collect();
        let head = [
            "  attribute",
            "how",
            "times",
            "shapes",
            "last",
            "correlation id",
        ];
        anstream::print!("{}", table::render(&head, &rows, &[2]));
    }
    if totals.more > 0 {
        anstream::println!("  {} of further attributes", table::number(totals.more));
    }
}
