//! `explain`, `schema`, `completions`: what the product says about itself.

use crate::cli::{Cli, Explain, Schema};
use crate::exit;
use crate::place::read;
use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use std::process::ExitCode;
use wardline_estate::shape::{self, Kind};

pub(crate) fn explain(args: &Explain) -> anyhow::Result<ExitCode> {
    let what = args.what.trim();
    if what.len() == 5
        && what.starts_with(['W', 'w'])
        && what[1..].bytes().all(|b| b.is_ascii_digit())
    {
        let code = what.to_ascii_uppercase();
        if let Some(found) = wardline_estate::codes::explain(&code) {
            println!("{code}: {}\n\n{}", found.title, found.text);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some((title, text)) = wardline_engine::codes::all().get(code.as_str()) {
            println!("{code}: {title}\n\n{text}");
            return Ok(ExitCode::SUCCESS);
        }
        let contracts = wardline_contract::codes::ALL.iter();
        let mut beyond = contracts
            .map(|found| (found.code, found.title, found.text))
            .chain(wardline_gateway::EXPLANATIONS.iter().copied())
            .chain(wardline_console::EXPLANATIONS.iter().copied());
        if let Some((_, title, text)) = beyond.find(|(found, ..)| found.0 == code) {
            println!("{code}: {title}\n\n{text}");
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("{code} is described in docs/reference/errors.md");
        return Ok(ExitCode::from(exit::FINDINGS));
    }
    let read = read(&args.estate, None);
    let Some(plan) = read.plan else {
        anstream::eprint!(
            "{}",
            read.diagnostics.render(&read.sources, crate::paint::on())
        );
        bail!("the estate cannot be read");
    };
    let text = plan.estate.origins.explain(what, &plan.estate.sources);
    if text.is_empty() {
        eprintln!(
            "no setting `{what}`: try `flows.NAME`, `systems.NAME` or a part of a path that `wardline explain ''` lists"
        );
        return Ok(ExitCode::from(exit::FINDINGS));
    }
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn schema(args: &Schema) -> anyhow::Result<ExitCode> {
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for kind in Kind::ALL {
            let path = dir.join(format!("{}.json", kind.word()));
            std::fs::write(&path, format!("{:#}\n", shape::schema(kind)))
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
        let path = dir.join("layout.json");
        std::fs::write(
            &path,
            format!("{:#}\n", wardline_edi::flat::Layout::schema()),
        )
        .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if args.kind.as_deref() == Some("layout") {
        println!("{:#}", wardline_edi::flat::Layout::schema());
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = Kind::ALL.iter().map(|kind| kind.word());
    let words: Vec<&str> = kinds.chain(["layout"]).collect();
    let Some(kind) = args.kind.as_deref().and_then(Kind::from_word) else {
        let text = format!(
            "name a kind of file ({}) or a directory with --out",
            words.join(", ")
        );
        Cli::command()
            .error(clap::error::ErrorKind::InvalidValue, text)
            .exit();
    };
    println!("{:#}", shape::schema(kind));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn completions(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(
        shell,
        &mut Cli::command(),
        "wardline",
        &mut std::io::stdout(),
    );
    ExitCode::SUCCESS
}
