//! The simulators as a program of their own: the systems of `examples/st-brigid`, its EHR, rehearsals, or sample messages.
#![allow(clippy::print_stdout)]

mod rehearse;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_sim::{
    Bed, CleanReports, Dice, EhrPlan, Event, FIRST_PORT, Feeds, Hospital, Mix, Patient, Ports,
    Record, Run, Sequence, SimConfig, Trigger, run_ehr,
};

/// A hospital's other systems, with faults on demand.
#[derive(Debug, Parser)]
#[command(name = "wardline-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hospital's systems until Ctrl-C: clinical operations, two ERPs, and the back office
    Serve(Serve),
    /// Send ADT messages over MLLP and report what was acknowledged
    Ehr(SendAdt),
    /// Write sample messages, one file each
    Messages(Messages),
    #[command(flatten)]
    Rehearse(rehearse::Rehearsing),
}

#[derive(Debug, Args)]
struct Serve {
    /// Address to listen on; nothing here asks who is calling
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Admin listener; the systems take the five ports that follow, the ERPs the eleventh and twelfth, the back office the
    /// twentieth to the fifty-ninth
    #[arg(long, default_value_t = FIRST_PORT)]
    first_port: u16,
    /// Where housekeeping reports finished cleans; `none` never reports
    #[arg(
        long,
        default_value = "http://127.0.0.1:8421/in/housekeeping/clean-completed"
    )]
    clean_reports: String,
    /// Seconds from a clean request to a clean bed
    #[arg(long, default_value_t = 5.0)]
    clean_after: f64,
    /// Wardline's internal listener, which the back office tells what happens; `none` tells nobody
    #[arg(long, default_value = "http://127.0.0.1:8421")]
    wardline: String,
    /// Wardline's MLLP listener, which hears of rehearsed stays
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2575")]
    mllp: String,
    /// Wardline's MLLP listener for orders of examinations; `none` tells nobody
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2576")]
    orders: String,
    /// Wardline's MLLP listener for results of the laboratory
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2577")]
    results: String,
    /// Wardline's MLLP listener for documents
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2578")]
    documents: String,
    /// Wardline's DICOM listener for devices
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:11104")]
    modalities: String,
    /// How fast suppliers, HR and payers act: 10 is ten times as fast
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// How often the rehearsed systems tell each thing; more than once shows that a repeat has no second effect
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
    /// Seed of everything left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run an EHR too, sending to this MLLP listener
    #[arg(long, value_name = "HOST:PORT")]
    ehr: Option<String>,
    /// Messages a second of that EHR
    #[arg(long, default_value_t = 20.0, requires = "ehr")]
    rate: f64,
}

#[derive(Debug, Args)]
struct SendAdt {
    /// MLLP listener, host:port
    #[arg(default_value = "127.0.0.1:2575")]
    target: String,
    /// Connections
    #[arg(long, short, default_value_t = 4)]
    connections: usize,
    /// Messages a second over all connections; as fast as acknowledgements come where absent
    #[arg(long)]
    rate: Option<f64>,
    /// Messages under way per connection
    #[arg(long, default_value_t = 1)]
    window: usize,
    /// Stop after so many messages
    #[arg(long)]
    messages: Option<u64>,
    /// Stop after so many patients
    #[arg(long)]
    patients: Option<u64>,
    /// Stop after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Seed of everything left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only A01 and A03: no transfers, updates, cancellations, duplicates or noise
    #[arg(long)]
    plain: bool,
    /// Ask for enhanced-mode acknowledgements
    #[arg(long)]
    enhanced: bool,
}

#[derive(Debug, Args)]
struct Messages {
    /// Directory to write to
    directory: PathBuf,
    /// Patients; each gives one message of every kind
    #[arg(long, default_value_t = 1)]
    patients: u64,
    /// Seed of everything left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().command {
        Command::Serve(serve) => run_systems(serve).await?,
        Command::Ehr(send) => send_adt(send).await?,
        Command::Messages(messages) => write_messages(&messages)?,
        Command::Rehearse(rehearse) => return rehearse.run().await,
    }
    Ok(ExitCode::SUCCESS)
}

/// A token that Ctrl-C cancels.
fn on_ctrl_c() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard; stopping now");
        }
        cancel.cancel();
    });
    token
}

async fn run_systems(serve: Serve) -> anyhow::Result<()> {
    let stop = on_ctrl_c();
    let clean_reports = (serve.clean_reports != "none").then_some(CleanReports {
        url: serve.clean_reports,
        after: Duration::try_from_secs_f64(serve.clean_after)
            .context("--clean-after must be a number of seconds")?,
        token: None,
    });
    let named = |address: String| (address != "none").then_some(address);
    let config = SimConfig {
        feeds: Feeds {
            orders: named(serve.orders),
            results: named(serve.results),
            documents: named(serve.documents),
            modalities: named(serve.modalities),
        },
        host: serve.host,
        ports: Ports::From(serve.first_port),
        clean_reports,
        wardline: (serve.wardline != "none").then_some(serve.wardline),
        mllp: (serve.mllp != "none").then_some(serve.mllp),
        speed: serve.speed,
        times: serve.times,
        seed: serve.seed,
        ..SimConfig::default()
    };
    let hospital = Hospital::start(config).await?;
    let first = hospital.services().into_iter().chain(hospital.erps());
    for service in first.chain(hospital.offices()) {
        println!("{:<20}{}", service.name(), service.address());
    }
    println!(
        "{:<20}http://{}  (POST /SYSTEM/_fault, GET /SYSTEM/_report, GET /_rehearsal)",
        "admin",
        hospital.admin()
    );
    match serve.ehr {
        Some(target) => {
            let plan = EhrPlan {
                rate: Some(serve.rate),
                ..EhrPlan::to(target)
            };
            println!("{}", run_ehr(plan, &stop).await?);
        }
        None => stop.cancelled().await,
    }
    let rehearsal = hospital.rehearsal();
    print!("{}", hospital.stop().await);
    if !rehearsal.cases.is_empty() {
        print!("{rehearsal}");
    }
    Ok(())
}

async fn send_adt(send: SendAdt) -> anyhow::Result<()> {
    let duration = send
        .seconds
        .map(Duration::try_from_secs_f64)
        .transpose()
        .context("--for must be a number of seconds")?;
    let plan = EhrPlan {
        messages: send.messages,
        patients: send.patients,
        duration,
        mix: if send.plain {
            Mix::plain()
        } else {
            Mix::default()
        },
        seed: send.seed,
        enhanced: send.enhanced,
        record: Record::Counts,
        ..EhrPlan::to(send.target).at_full_speed(send.connections, send.window)
    };
    let plan = EhrPlan {
        rate: send.rate,
        ..plan
    };
    let report = run_ehr(plan, &on_ctrl_c()).await?;
    println!("{report}");
    ensure!(
        report.unanswered + report.given_up == 0,
        "some messages were never acknowledged"
    );
    Ok(())
}

fn write_messages(messages: &Messages) -> anyhow::Result<()> {
    let directory = &messages.directory;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let run = Run::from_number(messages.seed);
    let mut number = 0;
    for serial in 1..=messages.patients {
        let mut dice = Dice::new(messages.seed).fork(serial);
        let patient = Patient::invent(&mut dice, &run.to_string(), serial);
        for trigger in Trigger::ALL {
            number += 1;
            let mut text = Vec::new();
            Event {
                trigger,
                sequence: Sequence { run, number },
                patient: &patient,
                bed: Bed::numbered(serial as u32 * 2),
                prior_bed: (trigger == Trigger::A02)
                    .then_some(Bed::numbered(serial as u32 * 2 + 1)),
                now: jiff::Timestamp::now(),
                disposition: "01",
                enhanced: false,
            }
            .write(&mut text);
            let path = directory.join(format!(
                "{serial:04}-{}.hl7",
                trigger.as_str().to_ascii_lowercase()
            ));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    println!("{number} messages in {}", directory.display());
    Ok(())
}
