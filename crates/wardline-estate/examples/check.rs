//! Checks an estate and prints what it finds: `cargo run -p wardline-estate --example check DIR [--explain PATH]`.

use std::process::ExitCode;
use wardline_estate::{LoadOptions, load};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(directory) = arguments.first() else {
        eprintln!("usage: check DIR [--explain PATH]");
        return ExitCode::from(2);
    };
    let loaded = load(directory.as_ref(), &LoadOptions::default());
    print!("{}", loaded.diagnostics.render(&loaded.sources, false));
    let Some(estate) = loaded.estate else {
        return ExitCode::from(1);
    };
    if let [_, flag, path] = arguments.as_slice()
        && flag == "--explain"
    {
        print!("{}", estate.origins.explain(path, &estate.sources));
    }
    ExitCode::SUCCESS
}
