//! One bench without the rest of Wardline, for profiling:
//! `cargo run --release -p wardline-bench --example bench -- intake [SECONDS] [CONNECTIONS] [WINDOW]`
//! (for `deliver`: `-- deliver [BACKLOG]`).

use std::sync::Arc;
use wardline_bench::{Bench, Options, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bench: Bench = arguments
        .next()
        .ok_or("which bench? hl7, intake, deliver or in-out")?
        .parse()?;
    let mut number = || arguments.next().map(|text| text.parse::<u64>()).transpose();
    let mut options = Options {
        progress: Some(Arc::new(|text: &str| eprintln!("{text}"))),
        ..Options::default()
    };
    if bench == Bench::Deliver {
        options.backlog = number()?;
    } else {
        options.seconds = number()?;
        options
            .connections
            .extend(number()?.map(|count| count as usize));
        options.window = number()?.map(|count| count as usize);
    }
    print!("{}", run(bench, options).await?.to_text());
    Ok(())
}
