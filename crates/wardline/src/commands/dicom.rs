//! `wardline dicom`: looking at files and peers.

use crate::cli::{DicomCommand, DicomPeer};
use crate::{exit, paint};
use anyhow::Context as _;
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wardline_dicom::net::{Client, Proposal, Terms};
use wardline_dicom::{
    DataSet, Head, Limits, Object, Tag, Value, Vr, examine, head_of, to_json, uid,
};

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Entries of a worklist that are shown.
const MOST: usize = 10_000;

pub(crate) async fn run(command: DicomCommand) -> anyhow::Result<ExitCode> {
    let well = match command {
        DicomCommand::Show { file, json } => show(&file, json)?,
        DicomCommand::Check { files, json } => {
            let mut well = true;
            for file in &files {
                well &= check(file, json);
            }
            well
        }
        DicomCommand::Echo { peer } => echo(&peer).await?,
        DicomCommand::Send { peer, files } => {
            let mut well = true;
            for file in &files {
                well &= send(&peer, file).await?;
            }
            well
        }
        DicomCommand::Worklist {
            peer,
            modality,
            date,
        } => worklist(&peer, &modality, &date).await?,
    };
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FINDINGS)
    })
}

fn read(file: &Path) -> anyhow::Result<Result<Object, wardline_dicom::FileError>> {
    let open = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(examine(open, Limits::default()))
}

fn show(file: &Path, json: bool) -> anyhow::Result<bool> {
    let object = match read(file)? {
        Ok(object) => object,
        Err(error) => {
            anstream::eprintln!("{} {}: {error}", paint::bad("refused"), file.display());
            return Ok(false);
        }
    };
    if json {
        let shown = json!({ "object": described(&object), "data": to_json(&object.data) });
        anstream::println!("{shown:#}");
        return Ok(true);
    }
    let head = &object.head;
    let named = |uid: &str, name: Option<&str>| match name {
        Some(name) => format!("{name} ({uid})"),
        None => uid.to_owned(),
    };
    anstream::println!("{}", named(&head.class, uid::class_name(&head.class)));
    anstream::println!("  object          {}", head.instance);
    let syntax = named(
        &head.transfer_syntax,
        uid::syntax_name(&head.transfer_syntax),
    );
    anstream::println!("  transfer syntax {syntax}");
    anstream::println!("  bytes           {}\n", object.size);
    print_set(&object.data, &to_json(&object.data), 0);
    if object.data.cut {
        anstream::println!("{}", paint::faint("there is more than is shown"));
    }
    Ok(true)
}

fn described(object: &Object) -> Json {
    json!({
        "sop_class_uid": object.head.class,
        "sop_class": uid::class_name(&object.head.class),
        "sop_instance_uid": object.head.instance,
        "transfer_syntax_uid": object.head.transfer_syntax,
        "size": object.size,
    })
}

fn print_set(set: &DataSet, shown: &serde_json::Map<String, Json>, depth: usize) {
    for (tag, element) in set.iter() {
        let keyword = tag
            .keyword()
            .map_or_else(|| hexadecimal(tag), str::to_owned);
        let begin = format!(
            "{:indent$}{tag} {} {keyword}",
            "",
            element.vr.as_str(),
            indent = depth * 2
        );
        match (&element.value, shown.get(&keyword)) {
            (Value::Items(items), Some(Json::Array(all))) => {
                anstream::println!("{begin}");
                for (at, (item, shown)) in items.iter().zip(all).enumerate() {
                    anstream::println!(
                        "{:indent$}{}",
                        "",
                        paint::faint(&format!("item {at}")),
                        indent = depth * 2 + 1
                    );
                    if let Json::Object(shown) = shown {
                        print_set(item, shown, depth + 1);
                    }
                }
            }
            (Value::Left(length), _) => {
                let length = length.map_or_else(
                    || "fragments".to_owned(),
                    |length| format!("{length} bytes"),
                );
                anstream::println!("{begin} {}", paint::faint(&length));
            }
            (Value::Bytes(_), None) if element.vr == Vr::CS => {
                anstream::println!("{begin} {}", set.ascii(tag).unwrap_or_default());
            }
            (Value::Bytes(bytes), None) => {
                anstream::println!(
                    "{begin} {}",
                    paint::faint(&format!("{} bytes", bytes.len()))
                );
            }
            (_, Some(value)) => anstream::println!("{begin} {}", plain(value)),
            (_, None) => anstream::println!("{begin}"),
        }
    }
}

fn hexadecimal(tag: Tag) -> String {
    format!("{:04x}{:04x}", tag.0, tag.1)
}

/// A value on one line; nothing in it steers a terminal.
fn plain(value: &Json) -> String {
    let text = match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" \\ "),
        other => other.to_string(),
    };
    text.chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

fn check(file: &Path, json: bool) -> bool {
    let read = read(file).map_err(|error| format!("{error:#}"));
    let read = read.and_then(|read| read.map_err(|error| error.to_string()));
    let (state, findings, object) = match read {
        Err(error) => ("refused", vec![error], None),
        Ok(object) => {
            let findings = object.findings();
            let state = if findings.is_empty() {
                "good"
            } else {
                "doubtful"
            };
            (state, findings, Some(object))
        }
    };
    if json {
        let line = json!({
            "file": file.display().to_string(),
            "state": state,
            "findings": findings,
            "object": object.as_ref().map(described),
        });
        anstream::println!("{line}");
    } else {
        let word = match state {
            "good" => paint::good(state),
            _ => paint::bad(state),
        };
        anstream::println!("{word} {}", file.display());
        for finding in &findings {
            anstream::println!("  {finding}");
        }
    }
    state == "good"
}

async fn open(
    peer: &DicomPeer,
    class: &str,
    transfers: Vec<&str>,
) -> anyhow::Result<Client<TcpStream>> {
    let connect = tokio::time::timeout(PATIENCE, TcpStream::connect(&peer.address));
    let stream = connect
        .await
        .with_context(|| format!("{} did not answer", peer.address))?
        .with_context(|| format!("cannot connect to {}", peer.address))?;
    let proposal = Proposal {
        called: &peer.called,
        calling: &peer.calling,
        classes: vec![(class, transfers)],
    };
    let terms = Terms {
        stall: PATIENCE,
        ..Terms::default()
    };
    Client::open(stream, &proposal, terms)
        .await
        .with_context(|| format!("{} takes no association", peer.address))
}

fn tell(what: &str, status: &wardline_dicom::net::Status) -> bool {
    let code = format!("{:04X}", status.code);
    if status.is_good() {
        anstream::println!("{} {what}", paint::good(&code));
    } else {
        anstream::println!("{} {what} {}", paint::bad(&code), status.comment);
    }
    status.is_good()
}

async fn echo(peer: &DicomPeer) -> anyhow::Result<bool> {
    let mut client = open(peer, uid::VERIFICATION, vec![uid::IMPLICIT_LITTLE]).await?;
    let status = client.echo().await?;
    client.release().await?;
    Ok(tell(&peer.address, &status))
}

async fn send(peer: &DicomPeer, file: &Path) -> anyhow::Result<bool> {
    let cannot = || format!("cannot read {}", file.display());
    let mut reader = BufReader::with_capacity(256 << 10, File::open(file).with_context(cannot)?);
    let head: Head = head_of(&mut reader).with_context(cannot)?;
    let mut client = open(peer, &head.class, vec![&head.transfer_syntax]).await?;
    let (give, chunks) = mpsc::channel(2);
    let reading = tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; 256 << 10];
            let read = reader.read(&mut chunk).map(|bytes| {
                chunk.truncate(bytes);
                bytes::Bytes::from(chunk)
            });
            if matches!(&read, Ok(chunk) if chunk.is_empty()) {
                break;
            }
            let failed = read.is_err();
            if give.blocking_send(read).is_err() || failed {
                break;
            }
        }
    });
    let status = client.store(&head, chunks).await?;
    reading.await?;
    client.release().await?;
    Ok(tell(&file.display().to_string(), &status))
}

async fn worklist(peer: &DicomPeer, modality: &str, date: &str) -> anyhow::Result<bool> {
    let mut client = open(
        peer,
        uid::WORKLIST_FIND,
        vec![uid::EXPLICIT_LITTLE, uid::IMPLICIT_LITTLE],
    )
    .await?;
    let keyed = |pairs: &[(&str, &str)]| -> anyhow::Result<DataSet> {
        let mut set = DataSet::new();
        for (name, text) in pairs {
            let tag = Tag::named(name).with_context(|| format!("{name} is no attribute"))?;
            set.put_text(tag, tag.vr(), text);
        }
        Ok(set)
    };
    let mut query = keyed(&[
        ("PatientName", ""),
        ("PatientID", ""),
        ("PatientBirthDate", ""),
        ("AccessionNumber", ""),
        ("RequestedProcedureDescription", ""),
        ("StudyInstanceUID", ""),
    ])?;
    let step = keyed(&[
        ("Modality", modality),
        ("ScheduledStationAETitle", ""),
        ("ScheduledProcedureStepStartDate", date),
        ("ScheduledProcedureStepStartTime", ""),
        ("ScheduledProcedureStepDescription", ""),
    ])?;
    if let Some(tag) = Tag::named("ScheduledProcedureStepSequence") {
        query.put(tag, tag.vr(), Value::Items(vec![step]));
    }
    let (found, status) = client.find(&query, MOST).await?;
    client.release().await?;
    for entry in &found {
        anstream::println!("{}", Json::Object(to_json(entry)));
    }
    anstream::eprintln!("{} entries", found.len());
    if status.is_good() {
        return Ok(true);
    }
    Ok(tell(&peer.address, &status))
}
