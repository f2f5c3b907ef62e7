//! `wardline demo`: the example hospital on this machine, with simulated systems around it
//! and an outage in the middle, so that its promises can be watched being kept.

use super::demo_callers::Callers;
use super::demo_cases;
use super::reload::Asks;
use super::serve::{Running, wait_for_stop};
use crate::cli::Demo;
use crate::place::{Place, make_private_dir, read_served};
use crate::{exit, paint, table};
use anyhow::{Context as _, bail};
use include_dir::{Dir, include_dir};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_engine::{Balance, Desk, Plan};
use wardline_estate::model::{ConnectionKind, Listener};
use wardline_sim::{ApiReport, CleanReports, Ehr, EhrPlan, Fault, Feeds, Hospital, SimConfig};
use wardline_vault::FileProvider;

/// The example estate, for a binary that left its source tree.
static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/st-brigid");

/// When patient accounting goes down.
const OUTAGE_AT: Duration = Duration::from_secs(10);
/// How long to wait at the end until everything owed is delivered.
const SETTLE: Duration = Duration::from_secs(90);

pub(crate) async fn run(args: Demo) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::Builder::new()
        .prefix("wardline-demo-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let data = args
        .data
        .clone()
        .unwrap_or_else(|| scratch.path().join("data"));
    let (estate, callers) = if let Some(dir) = &args.estate {
        (dir.clone(), None)
    } else {
        let dir = scratch.path().join("st-brigid");
        example(&dir)?;
        let callers = Callers::introduce(&dir)?;
        (dir, Some(callers))
    };
    make_private_dir(&data)?;
    // The demo's keys live with its data: the example's own directory stays clean.
    FileProvider::init(&data.join("keys"))?;
    let place = Place::new(&estate, Some(&data));
    let (plan, front) = read_served(&estate, None)?;
    let mllp = intake_address(&plan)?;

    let clean_reports = internal(&plan).map(|listener| CleanReports {
        url: format!(
            "http://{}/in/housekeeping/clean-completed",
            listener.bind.value
        ),
        after: Duration::from_secs(3),
        token: None,
    });
    let hospital = Hospital::start(SimConfig {
        clean_reports,
        wardline: internal(&plan).map(|listener| format!("http://{}", listener.bind.value)),
        mllp: Some(mllp.clone()),
        feeds: feeds(&plan),
        ..SimConfig::default()
    })
    .await
    .context("cannot start the simulated systems: is another demo running?")?;
    let mut running = Running::start(place, Arc::clone(&plan), &front).await?;
    let desk = running.engine.desk();
    let mut asks = Asks::new(desk.reload_requests(), None)?;

    anstream::println!(
        "{}  {}",
        paint::strong("wardline demo"),
        plan.estate.title.as_deref().unwrap_or(&plan.estate.name)
    );
    anstream::println!(
        "  console   {}",
        running.console.as_deref().unwrap_or("none")
    );
    anstream::println!(
        "  messages  mllp {mllp}, {} a second from a simulated clinical record",
        args.rate
    );
    anstream::println!(
        "  systems   {}",
        hospital
            .services()
            .into_iter()
            .chain(hospital.erps())
            .map(wardline_sim::Service::name)
            .collect::<Vec<_>>()
            .join(", ")
    );
    if let Some(doors) = running.doors.as_ref().filter(|_| callers.is_some()) {
        let at: Vec<&str> = doors.places().map(|(_, at)| at.as_str()).collect();
        anstream::println!("  apis      {}, called now and then", at.join(", "));
    }
    anstream::println!(
        "  look      WARDLINE_ESTATE={} WARDLINE_DATA={} wardline status",
        estate.display(),
        data.display()
    );
    match args.duration {
        Some(time) => anstream::println!("  stops     by itself after {} s", time.as_secs()),
        None => anstream::println!("  stops     with Ctrl-C"),
    }
    anstream::println!();

    let ehr = Ehr::start(EhrPlan {
        rate: Some(args.rate),
        ..EhrPlan::to(mllp.clone())
    })
    .await?;
    let callers = callers.map(|callers| callers.begin(&plan)).transpose()?;
    let rehearses = args.estate.is_none();
    let approving = rehearses
        .then(|| demo_cases::begin(&hospital, Arc::clone(&desk)))
        .transpose()?;
    let began = Instant::now();
    let outcome = watch(&args, &hospital, &mut running, &mut asks, began).await;
    let sent = ehr.stop().await?;
    let calls = match callers {
        Some(callers) => Some(callers.stop().await?),
        None => None,
    };
    clear_line();
    outcome?;
    hospital.patient_accounting().heal();
    let as_said = !rehearses || demo_cases::end(&hospital, &desk).await?;
    drop(approving);
    let settled = settle(&desk).await?;
    clear_line();
    let balance = desk.balance().await?;
    let overview = desk.overview().await?;
    running.stop(Duration::from_secs(20)).await;
    let report = hospital.stop().await;
    let differences = report.differences(&sent);

    print_table(&balance, calls, began.elapsed());
    let mut well = settled && as_said && balance.holds() && balance.dead == 0;
    if let Some(calls) = calls.filter(|calls| calls.refused + calls.failed > 0) {
        well = false;
        anstream::println!(
            "{} of the calls of Apis {} were refused and {} failed",
            paint::bad("✕"),
            calls.refused,
            calls.failed
        );
    }
    for difference in &differences {
        well = false;
        anstream::println!("{} {difference}", paint::bad("✕"));
    }
    if !settled {
        anstream::println!(
            "{} {} deliveries were still open: {}",
            paint::bad("✕"),
            balance.open,
            overview.headline
        );
    }
    if well {
        anstream::println!(
            "{} counts in = counts out: {} messages acknowledged, {} effects at the receivers, each once and in order",
            paint::good("✓"),
            table::number(sent.accepted()),
            table::number(report.applied())
        );
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::from(exit::FINDINGS))
    }
}

/// The example estate, from the source tree or the one built in, as a copy: its clients get keys of this run.
fn example(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    EXAMPLE
        .extract(dir)
        .context("cannot unpack the example estate")?;
    let here = Path::new("examples/st-brigid");
    if here.join("wardline.yaml").is_file() {
        copy(here, dir).context("cannot copy the example estate")?;
    }
    Ok(())
}

/// Copies an estate's files, without what a run left there.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if ["data", "keys", "secrets"].iter().any(|own| name == *own) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(name))?;
        } else {
            std::fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

fn intake_address(plan: &Plan) -> anyhow::Result<String> {
    for (_, connection) in plan.estate.connections() {
        if let ConnectionKind::MllpListen(listen) = &connection.kind {
            return Ok(listen.bind.value.to_string());
        }
    }
    bail!("the estate has no MLLP listener to send to")
}

/// Where departments reach Wardline, by the names of the example's connections.
fn feeds(plan: &Plan) -> Feeds {
    let at = |name: &str| {
        let (_, connection) = plan.estate.connection(name)?;
        match &connection.kind {
            ConnectionKind::MllpListen(listen) => Some(listen.bind.value.to_string()),
            ConnectionKind::DicomIn(listen) => Some(listen.bind.value.to_string()),
            _ => None,
        }
    };
    Feeds {
        orders: at("ehr.orders"),
        results: at("laboratory.results"),
        documents: at("ehr.documents"),
        modalities: at("imaging.modalities"),
    }
}

fn internal(plan: &Plan) -> Option<&Listener> {
    plan.estate
        .listeners
        .values()
        .find(|listener| listener.zone == wardline_core::Zone::Internal)
}

/// One line a second until the time is over or somebody stops it.
async fn watch(
    args: &Demo,
    hospital: &Hospital,
    running: &mut Running,
    asks: &mut Asks,
    began: Instant,
) -> anyhow::Result<()> {
    let desk = running.engine.desk();
    let terminal = std::io::stderr().is_terminal();
    let mut outage = args.outage > 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut stop = std::pin::pin!(wait_for_stop());
    let mut printed = Instant::now();
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            ask = asks.next() => running.answer(ask).await,
            _ = tick.tick() => {}
        }
        if args.duration.is_some_and(|time| began.elapsed() >= time) {
            return Ok(());
        }
        if outage && began.elapsed() >= OUTAGE_AT {
            outage = false;
            let down = Duration::from_secs(args.outage);
            hospital
                .patient_accounting()
                .set_fault(Fault::down().lasting(down))?;
            clear_line();
            anstream::eprintln!(
                "{}",
                paint::wait(&format!(
                    "patient accounting goes down for {} s: its keys wait, everyone else flows",
                    args.outage
                ))
            );
        }
        let overview = desk.overview().await?;
        let (mut waiting, mut retrying, mut held, mut dead, mut delivered) = (0, 0, 0, 0, 0);
        let mut trouble = Vec::new();
        for one in &overview.destinations {
            waiting += one.waiting;
            retrying += one.retrying;
            held += one.held;
            dead += one.dead;
            delivered += one.delivered;
            if one.state == "down" {
                trouble.push(format!(
                    "{} down, {} waiting",
                    one.name,
                    one.waiting + one.retrying
                ));
            }
        }
        let line = format!(
            "{:>4} s  accepted {}  delivered {}  waiting {waiting}  retrying {retrying}  held {held}  dead {dead}  {}",
            began.elapsed().as_secs(),
            table::number(overview.accepted),
            table::number(delivered),
            trouble.join("; ")
        );
        if terminal {
            let mut out = std::io::stderr().lock();
            write!(
                out,
                "\r\x1b[2K{}",
                line.chars().take(150).collect::<String>()
            )?;
            out.flush()?;
        } else if printed.elapsed() >= Duration::from_secs(10) {
            printed = Instant::now();
            eprintln!("{line}");
        }
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K");
    }
}

/// Waits until nothing is owed any more.
async fn settle(desk: &Desk) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut quiet = 0;
    while began.elapsed() < SETTLE {
        let balance = desk.balance().await?;
        if balance.open == 0 {
            // Housekeeping reports cleans a moment after it was asked: wait for those too.
            quiet += 1;
            if quiet >= 10 {
                return Ok(true);
            }
        } else {
            quiet = 0;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(false)
}

fn print_table(balance: &Balance, calls: Option<ApiReport>, ran: Duration) {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("accepted", table::number(balance.accepted)),
        row("duplicates", table::number(balance.duplicates)),
        row("events", table::number(balance.events)),
        row("filtered", table::number(balance.filtered)),
        row("deliveries", table::number(balance.owed)),
        row("  delivered", table::number(balance.delivered)),
        row("  open", table::number(balance.open)),
        row("  dead", table::number(balance.dead)),
        row("  cancelled", table::number(balance.cancelled)),
        row("failed attempts", table::number(balance.failed_attempts)),
        row(
            "p50 (slowest system)",
            balance.p50_us.map(table::micros).unwrap_or_default(),
        ),
        row(
            "p99 (slowest system)",
            balance.p99_us.map(table::micros).unwrap_or_default(),
        ),
    ];
    if let Some(calls) = calls {
        rows.push(row("Api calls answered", table::number(calls.answered)));
    }
    rows.push(row("ran", format!("{} s", ran.as_secs())));
    anstream::print!("{}", table::render(&["", "count"], &rows, &[1]));
}
