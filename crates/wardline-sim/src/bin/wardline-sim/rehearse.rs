//! `list`, `run`, `pick` and `status`: rehearsing with simulators that run already.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wardline_sim::{Group, Rehearse, Remote, Scenario};

/// How often a report is looked at while waiting.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum Rehearsing {
    /// List the scenarios, by group
    List(List),
    /// Begin scenarios with simulators that run (`wardline-sim serve`)
    Run(Run),
    /// Pick how suppliers, payers and the like answer
    Pick(Pick),
    /// Say how everything that was begun stands
    Status(Status),
    /// Answer what Wardline asks of people, as the scenarios say, until Ctrl-C
    Answer(Answer),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this group
    group: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Admin {
    /// Admin listener of the simulators
    #[arg(long, default_value = "http://127.0.0.1:18080")]
    admin: String,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scenarios: `supply/backorder`, or `backorder` where only one group has it; a group's name stands for all of its
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// So many of each
    #[arg(long, short, default_value_t = 1)]
    count: u64,
    /// Where: north or south
    #[arg(long, default_value = "north")]
    facility: String,
    /// Tell what follows in another order than it happened (supply)
    #[arg(long)]
    shuffled: bool,
    /// Wait so many seconds for all of them to end as said
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Pick {
    /// A scenario, or `mixed` with the name of a group, as in `mixed supply`
    scenario: String,
    /// An order or its requisition, a claim, a payroll run; for everybody of the group where absent
    about: Option<String>,
    /// Tell what follows in another order than it happened (supply)
    #[arg(long)]
    shuffled: bool,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// Wardline's console
    #[arg(long, default_value = "http://127.0.0.1:8420")]
    console: String,
    /// File with the console's admin token: `admin.token` in the data directory
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// Stop after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Wait so many seconds for everything to end as said
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: Admin,
}

impl Rehearsing {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.print(),
            Self::Run(run) => run.begin().await,
            Self::Pick(pick) => pick.send().await,
            Self::Status(status) => status.print().await,
            Self::Answer(answer) => answer.stand_in().await,
        }
    }
}

fn group(name: &str) -> anyhow::Result<Group> {
    let mut all = Group::ALL.into_iter();
    let found = all.find(|group| group.as_str() == name);
    found.with_context(|| {
        let names: Vec<&str> = Group::ALL.iter().map(|group| group.as_str()).collect();
        format!("there is no group `{name}`; there are {}", names.join(", "))
    })
}

impl List {
    fn print(self) -> anyhow::Result<ExitCode> {
        let only = self.group.as_deref().map(group).transpose()?;
        let all: Vec<&Scenario> = Scenario::ALL
            .iter()
            .filter(|one| only.is_none_or(|group| one.group == group))
            .collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(ExitCode::SUCCESS);
        }
        let mut last = None;
        for one in all {
            if last != Some(one.group) {
                if last.is_some() {
                    println!();
                }
                println!("{}", one.group);
                last = Some(one.group);
            }
            println!("  {:<20}{}: {}", one.name, one.does, one.ends);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The scenarios of this name: one, or all of a group.
fn named(name: &str) -> anyhow::Result<Vec<&'static Scenario>> {
    // `charges` is a group and the name of a stay: the group is meant.
    if let Ok(group) = group(name) {
        return Ok(Scenario::of(group).collect());
    }
    if let Some(one) = Scenario::named(name) {
        return Ok(vec![one]);
    }
    let several: Vec<String> = Scenario::ALL
        .iter()
        .filter(|one| one.name == name)
        .map(ToString::to_string)
        .collect();
    if several.is_empty() {
        bail!("there is no scenario `{name}`; `wardline-sim list` shows them all");
    }
    bail!(
        "`{name}` is the name of several scenarios: say {}",
        several.join(" or ")
    )
}

impl Run {
    async fn begin(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::at(&self.admin.admin);
        let mut all = Vec::new();
        for name in &self.scenarios {
            all.extend(named(name)?);
        }
        for scenario in all {
            let begun = remote
                .begin(&Rehearse {
                    scenario,
                    count: self.count,
                    facility: self.facility.clone(),
                    shuffled: self.shuffled,
                })
                .await?;
            let about = begun["about"].as_array().into_iter().flatten();
            let about: Vec<&str> = about.filter_map(Value::as_str).collect();
            println!("{:<34}{}", scenario.to_string(), about.join(" "));
        }
        match self.wait {
            None => Ok(ExitCode::SUCCESS),
            Some(seconds) => wait(&remote, seconds, false).await,
        }
    }
}

impl Pick {
    async fn send(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::at(&self.admin.admin);
        if self.scenario == "mixed" {
            let name = self.about.context("say of which group: `mixed supply`")?;
            remote.mix(group(&name)?).await?;
            println!("{name}: drawn by the seed for each");
            return Ok(ExitCode::SUCCESS);
        }
        let [scenario] = named(&self.scenario)?[..] else {
            bail!("pick one scenario, not a group");
        };
        remote
            .pick(scenario, self.about.as_deref(), self.shuffled)
            .await?;
        println!(
            "{}: {scenario}",
            self.about.as_deref().unwrap_or("everybody")
        );
        Ok(ExitCode::SUCCESS)
    }
}

impl Answer {
    /// Looks for questions again and again. What is not accepted (a second approval by the same person) is said once and left.
    async fn stand_in(self) -> anyhow::Result<ExitCode> {
        let token = std::fs::read_to_string(&self.token)
            .with_context(|| format!("cannot read {}", self.token.display()))?;
        let wardline = Remote::console(&self.console, token.trim());
        let systems = Remote::at(&self.admin.admin);
        let until = self
            .seconds
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut left = BTreeSet::new();
        while until.is_none_or(|until| Instant::now() < until) {
            let cases = systems.cases().await?;
            for (id, question) in wardline.questions().await? {
                let Some(choice) = question.answer(&cases).filter(|_| !left.contains(&id)) else {
                    continue;
                };
                match wardline.answer(&id, choice).await {
                    Ok(()) => println!("{:<24}{choice:<20}{}", question.role, question.ask),
                    Err(error) => {
                        println!(
                            "{:<24}{:<20}{}: {error}",
                            question.role, "not accepted", question.ask
                        );
                        left.insert(id);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                stopped = tokio::signal::ctrl_c() => {
                    stopped?;
                    break;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Status {
    async fn print(self) -> anyhow::Result<ExitCode> {
        wait(
            &Remote::at(&self.admin.admin),
            self.wait.unwrap_or(0),
            self.json,
        )
        .await
    }
}

/// Looks until all is well or the time is over, then says how it stands. 0 where every case ended as said, else 1.
async fn wait(remote: &Remote, seconds: u64, json: bool) -> anyhow::Result<ExitCode> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let report = loop {
        let report = remote.report().await?;
        if is_well(&report) || Instant::now() >= until {
            break report;
        }
        tokio::time::sleep(LOOK).await;
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if is_well(&report) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn cases(report: &Value) -> impl Iterator<Item = &Value> {
    report["cases"].as_array().into_iter().flatten()
}

fn is_well(report: &Value) -> bool {
    let sent = &report["sent"];
    cases(report).all(|case| case["ended"] == "as-said")
        && sent["waiting"] == 0
        && sent["refused"] == 0
}

fn print(report: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut counts = [("as-said", 0), ("open", 0), ("wrong", 0)];
    for case in cases(report) {
        let why = case["why"].as_array().into_iter().flatten();
        let why: Vec<String> = why.map(text).collect();
        let ended = text(&case["ended"]);
        let line = format!(
            "{ended:<9}{:<34}{:<28}{}",
            text(&case["scenario"]),
            text(&case["about"]),
            why.join("; ")
        );
        println!("{}", line.trim_end());
        for (name, count) in &mut counts {
            *count += usize::from(*name == ended);
        }
    }
    let [(_, said), (_, open), (_, wrong)] = counts;
    let sent = &report["sent"];
    println!(
        "{said} ended as said, {open} open, {wrong} wrong; told {}, waiting {}, refused {}, called off {}, told nobody {}",
        sent["accepted"], sent["waiting"], sent["refused"], sent["withdrawn"], sent["untold"]
    );
}
