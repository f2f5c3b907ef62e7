//! `gateway`: about 1 KB of JSON through the front door, beside nginx and beside no proxy at all.
//!
//! In one run and with the same generator and the same system behind: the system alone, nginx as
//! a plain reverse proxy with one worker, an Api with one plain binding, and an Api with all that
//! a partner's call goes through (token, policies, rate limit, contract, audit, correlation).
//! Wardline and nginx are programs of their own, so that the processor time that each takes can
//! be told from that of the generator; on a shared machine it is the figure that can be compared.

mod parties;
mod web;

use crate::report::Row;
use crate::{BenchError, Options};
use parties::{House, Nginx, Party};
use std::time::Duration;
use web::{Load, System};

const SECONDS: u64 = 12;
const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 4;

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let connections = options.connections.first().copied().unwrap_or(CONNECTIONS);
    let system = System::start()?;
    let house = House::start(options, system.address())?;
    let nginx = Nginx::start(options, system.address())?;
    if nginx.is_none() {
        options.say("gateway: nginx is not installed; its rows are absent (Debian: nginx-light)");
    }
    let load = |what: &str, target: &web::Target| {
        options.say(&format!("gateway: {what}, {connections} connections"));
        Load {
            target: target.clone(),
            connections,
            warm_up: WARM_UP,
            time,
            per_s: None,
        }
    };
    let direct = system.target();
    let direct_all = web::send(load("the system alone", &direct)).await?;
    // In rounds, one after the other: a machine that becomes slower for a while is slower for all.
    let (mut plain, mut full) = (Measured::default(), Measured::default());
    let mut peer = nginx
        .as_ref()
        .map(|nginx| (Measured::default(), nginx.target()));
    for round in 1..=ROUNDS {
        let load = |what: &str, target: &web::Target| Load {
            time: time / ROUNDS,
            ..load(&format!("{what}, round {round}"), target)
        };
        if let (Some(nginx), Some((peer, target))) = (&nginx, &mut peer) {
            peer.add(nginx, load("nginx", target)).await?;
        }
        plain
            .add(&house, load("a plain binding", &house.plain()))
            .await?;
        full.add(&house, load("everything", &house.full())).await?;
    }

    // At half of what each reaches, its answers' times beside those of the system alone.
    let mut rows = Vec::new();
    let named = [
        ("plain", &plain, house.plain()),
        ("full", &full, house.full()),
    ];
    for (name, one, target) in named {
        let mut row = Row::new(format!("{name}_per_cpu_s"), one.per_cpu_s(), "requests/s");
        if let Some((peer, _)) = &peer {
            row = row.peer("nginx", peer.per_cpu_s());
        }
        rows.push(row);
        let mut row =
            Row::new(format!("{name}_per_s"), one.per_s(), "requests/s").limit(direct_all.per_s());
        if let Some((peer, _)) = &peer {
            row = row.peer("nginx", peer.per_s());
        }
        rows.push(row);
        let half = one.per_s() / 2.0;
        let at_half = |what: &str, target: &web::Target| Load {
            per_s: Some(half),
            ..load(what, target)
        };
        let alone = web::send(at_half("the system alone at half that rate", &direct)).await?;
        let through = web::send(at_half("and through Wardline", &target)).await?;
        let mut row =
            Row::new(format!("{name}_p99_ms"), through.ms(0.99), "ms").limit(alone.ms(0.99));
        if let Some((_, target)) = &peer {
            let nginx = web::send(at_half("and through nginx", target)).await?;
            row = row.peer("nginx", nginx.ms(0.99));
        }
        rows.push(row);
        rows.push(Row::new(
            format!("{name}_added_p99_ms"),
            (through.ms(0.99) - alone.ms(0.99)).max(0.0),
            "ms",
        ));
        rows.push(Row::new(
            format!("{name}_processor_us"),
            1e6 / one.per_cpu_s().max(1.0),
            "µs/request",
        ));
    }
    if let Some((peer, _)) = &peer {
        rows.push(Row::new(
            "nginx_processor_us",
            1e6 / peer.per_cpu_s().max(1.0),
            "µs/request",
        ));
    }
    // One connection: what a hop adds where nothing waits.
    let mut single = Vec::new();
    let mut targets = vec![
        ("direct", direct),
        ("plain", house.plain()),
        ("full", house.full()),
    ];
    targets.extend(peer.map(|(_, target)| ("nginx", target)));
    for (name, target) in targets {
        let one = Load {
            connections: 1,
            ..load(&format!("{name}, one at a time"), &target)
        };
        single.push((name, web::send(one).await?.ms(0.5)));
    }
    let (_, alone) = single[0];
    for (name, p50) in single.iter().skip(1) {
        rows.push(Row::new(
            format!("{name}_added_p50_us_c1"),
            (p50 - alone).max(0.0) * 1e3,
            "µs",
        ));
    }
    rows.push(Row::new("direct_per_s", direct_all.per_s(), "requests/s"));
    rows.push(Row::new("resident_mb", house.resident() as f64 / 1e6, "MB"));
    if let Some(nginx) = nginx {
        nginx.stop();
    }
    house.stop()?;
    Ok(rows)
}

/// What went through a program, and the processor time that it took.
#[derive(Default)]
struct Measured {
    counted: u64,
    elapsed: Duration,
    took: Duration,
}

impl Measured {
    async fn add(&mut self, party: &impl Party, load: Load) -> Result<(), BenchError> {
        // The warm-up takes processor time that does not count, so the program's time is read
        // when the counted time begins and when it ends.
        let (begins, ends) = (load.warm_up, load.time);
        let watch = async {
            tokio::time::sleep(begins).await;
            let before = party.processor_time();
            tokio::time::sleep(ends).await;
            party.processor_time().saturating_sub(before)
        };
        let (seen, took) = tokio::join!(web::send(load), watch);
        self.counted += seen?.counted;
        self.elapsed += ends;
        self.took += took;
        Ok(())
    }

    fn per_s(&self) -> f64 {
        self.counted as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    fn per_cpu_s(&self) -> f64 {
        self.counted as f64 / self.took.as_secs_f64().max(0.001)
    }
}
