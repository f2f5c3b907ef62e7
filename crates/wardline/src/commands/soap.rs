//! `wardline soap`: looking at descriptions of services.

use crate::cli::SoapCommand;
use crate::{exit, paint};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use wardline_soap::source::Directory;
use wardline_soap::wsdl::{Definitions, Message, Operation, WsdlError};

pub(crate) fn run(command: SoapCommand) -> anyhow::Result<ExitCode> {
    match command {
        SoapCommand::Show { file, root, json } => show(&file, root.as_deref(), json),
        SoapCommand::Check { files, json } => {
            let mut bad = false;
            for file in &files {
                bad |= !check(file, json)?;
            }
            Ok(if bad {
                ExitCode::from(exit::FINDINGS)
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

fn read(file: &Path, root: Option<&Path>) -> anyhow::Result<Result<Definitions, WsdlError>> {
    let own = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let root = root.or(own).unwrap_or_else(|| Path::new("."));
    let inside = match own {
        Some(own) if own != root => {
            let (own, root) = (own.canonicalize(), root.canonicalize());
            let (own, root) = (
                own.context("no such directory")?,
                root.context("no such directory")?,
            );
            let below = own.strip_prefix(&root);
            below
                .with_context(|| format!("{} is not below {}", file.display(), root.display()))?
                .to_owned()
        }
        _ => Path::new("").to_owned(),
    };
    let name = inside.join(file.file_name().unwrap_or_default());
    let name = name.to_str().context("the file's name is not UTF-8")?;
    Ok(Definitions::read(&Directory::new(root), name))
}

fn check(file: &Path, as_json: bool) -> anyhow::Result<bool> {
    let read = read(file, None)?;
    if as_json {
        let line = match &read {
            Ok(read) => {
                json!({ "file": file, "ok": true, "operations": count(read), "notes": read.notes })
            }
            Err(error) => json!({ "file": file, "ok": false, "problem": error.to_string() }),
        };
        println!("{line}");
        return Ok(read.is_ok());
    }
    match &read {
        Ok(read) => {
            let many = count(read);
            let word = if many == 1 { "operation" } else { "operations" };
            anstream::println!("{} {}  {many} {word}", paint::good("✓"), file.display());
            for note in &read.notes {
                anstream::println!("    {}", paint::faint(&format!("not taken: {note}")));
            }
        }
        Err(error) => anstream::println!("{} {}: {error}", paint::bad("✕"), file.display()),
    }
    Ok(read.is_ok())
}

fn count(read: &Definitions) -> usize {
    let ports = read.services.iter().flat_map(|service| &service.ports);
    ports.map(|port| port.operations.len()).sum()
}

fn show(file: &Path, root: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let read = match read(file, root)? {
        Ok(read) => read,
        Err(error) => {
            anstream::eprintln!("{} {}: {error}", paint::bad("refused"), file.display());
            return Ok(ExitCode::from(exit::FINDINGS));
        }
    };
    if as_json {
        let services: Vec<Value> = read
            .services
            .iter()
            .map(|service| {
                let ports: Vec<Value> = service
                    .ports
                    .iter()
                    .map(|port| {
                        json!({
                            "port": port.name,
                            "soap": port.version.to_string(),
                            "address": port.address,
                            "operations": port.operations.iter().map(|one| operation(&read, one)).collect::<Vec<_>>(),
                        })
                    })
                    .collect();
                json!({ "service": service.name, "ports": ports })
            })
            .collect();
        let whole = json!({ "services": services, "notes": read.notes });
        println!("{whole:#}");
        return Ok(ExitCode::SUCCESS);
    }
    for service in &read.services {
        for port in &service.ports {
            anstream::println!(
                "{} {}  {}",
                paint::strong(&format!("{}.{}", service.name, port.name)),
                paint::faint(&format!("SOAP {}", port.version)),
                port.address
            );
            for one in &port.operations {
                anstream::println!(
                    "  {}  {}",
                    paint::good(&one.name),
                    paint::faint(&one.action)
                );
                for line in lines(&read, one) {
                    anstream::println!("    {line}");
                }
            }
        }
    }
    for note in &read.notes {
        anstream::println!("{}", paint::faint(&format!("not taken: {note}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(read: &Definitions, one: &Operation) -> Vec<String> {
    let mut lines = vec![format!("takes   {}", shape(read, &one.input))];
    if let Some(output) = &one.output {
        lines.push(format!("answers {}", shape(read, output)));
    }
    for fault in &one.faults {
        let shape = wardline_soap::typed::outline(&read.schemas, fault.element);
        lines.push(format!("fault   {} {shape}", fault.name));
    }
    lines
}

fn operation(read: &Definitions, one: &Operation) -> Value {
    let faults: serde_json::Map<String, Value> = one
        .faults
        .iter()
        .map(|fault| {
            let shape = wardline_soap::typed::outline(&read.schemas, fault.element);
            (fault.name.clone(), shape)
        })
        .collect();
    json!({
        "operation": one.name,
        "action": one.action,
        "takes": shape(read, &one.input),
        "answers": one.output.as_ref().map(|output| shape(read, output)),
        "faults": faults,
    })
}

/// What a message looks like as JSON: its keys, with the name of a type for each value.
fn shape(read: &Definitions, message: &Message) -> Value {
    message.outline(&read.schemas)
}
