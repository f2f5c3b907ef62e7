//! `wardline audit`: reading, verifying, proving, witnessing and handing out the audit log.
//!
//! Proofs are made and checked here, from records as they are stored: the server is only
//! asked for those, and is not trusted with the answer.

use super::{Open, print_json};
use crate::cli::{AuditCommand, AuditCosign, AuditFormat, AuditVerify, Where};
use crate::{exit, paint, table};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use wardline_console::ConsoleDesk;
use wardline_core::{Clock as _, RealClock, Timestamp};
use wardline_engine::StartError;
use wardline_engine::view::{AuditRecordView, AuditStateView};
use wardline_vault::audit::{
    AuditKey, Break, Checkpoint, FhirSource, Prover, Verified, Verifier, Witness, WitnessKey,
    leaf_hash, to_fhir, verify_consistency,
};
use wardline_vault::{AuditEntry, AuditRecord, Secret};

/// Records asked for at a time.
const PAGE: usize = 1_000;
/// No checkpoint, key or proof is larger.
const MAX_FILE: u64 = 64 << 10;

pub(crate) async fn run(command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::List { limit, place } => list(limit, &place).await,
        AuditCommand::Verify(args) => verify(args).await,
        AuditCommand::Proof {
            sequence,
            size,
            place,
        } => prove(Ask::Inclusion(sequence), size, &place).await,
        AuditCommand::Consistency { old, new, place } => {
            prove(Ask::Consistency(old), new, &place).await
        }
        AuditCommand::Checkpoint { place } => checkpoint(&place).await,
        AuditCommand::Witness { name, out } => witness(&name, &out),
        AuditCommand::Cosign(args) => cosign(&args),
        AuditCommand::Export {
            format,
            from,
            until,
            place,
        } => export(format, from, until.unwrap_or(u64::MAX), &place).await,
    }
}

async fn list(limit: usize, place: &Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let lines = open.desk.audit(None, limit).await?;
    if place.json {
        print_json(&lines)?;
    } else {
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|line| {
                vec![
                    line.sequence.to_string(),
                    line.at.to_string(),
                    line.actor.clone(),
                    line.act.clone(),
                    line.target.clone(),
                    line.reason.clone(),
                ]
            })
            .collect();
        anstream::print!(
            "{}",
            table::render(&["no", "at (UTC)", "who", "what", "on", "why"], &rows, &[0])
        );
    }
    open.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Calls `take` with every record from `from` on, in order, until it says enough.
async fn each_record(
    desk: &dyn ConsoleDesk,
    mut from: u64,
    mut take: impl FnMut(&AuditRecordView) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    loop {
        let page = desk.audit_records(from, PAGE).await?;
        for record in &page {
            if !take(record)? {
                return Ok(());
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
        from += page.len() as u64;
    }
}

fn body(record: &AuditRecordView) -> anyhow::Result<Vec<u8>> {
    STANDARD
        .decode(&record.body)
        .with_context(|| format!("the body of entry {} is not base64", record.sequence))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

fn small_file(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// A public key, given itself or as the file that holds it.
fn public_key<K>(given: &str) -> anyhow::Result<K>
where
    K: std::str::FromStr,
    K::Err: std::error::Error + Send + Sync + 'static,
{
    match given.parse() {
        Ok(key) => Ok(key),
        Err(_) if Path::new(given).is_file() => small_file(Path::new(given))?
            .trim()
            .parse()
            .with_context(|| format!("{given} holds no such key")),
        Err(error) => Err(error).with_context(|| format!("`{given}` is neither key nor file")),
    }
}

fn read_checkpoint(path: &Path) -> anyhow::Result<Checkpoint> {
    small_file(path)?
        .parse()
        .with_context(|| format!("{} cannot be used", path.display()))
}

async fn verify(args: AuditVerify) -> anyhow::Result<ExitCode> {
    let open = match Open::at(&args.place).await {
        Ok(open) => open,
        // A log that was cut short is noticed before it is read, and is a finding too.
        Err(error) => {
            return match error.downcast_ref::<StartError>() {
                Some(StartError::Audit(broken)) => Ok(breaks(&broken.to_string())),
                _ => Err(error),
            };
        }
    };
    // Nothing is signed here: a signature made now would vouch for whatever is found.
    let state = open.desk.audit_state(false).await?;
    let key: AuditKey = match &args.key {
        Some(given) => public_key(given)?,
        None => state.key.parse().context("the log's key")?,
    };
    let witness: Option<WitnessKey> = args.witness.as_deref().map(public_key).transpose()?;
    let mut checkpoints = Vec::new();
    for path in &args.checkpoint {
        let checkpoint = read_checkpoint(path)?;
        if let Some(witness) = &witness
            && witness.cosigned(&checkpoint).is_none()
        {
            open.close().await?;
            return Ok(breaks(&format!(
                "{} is not cosigned by {}",
                path.display(),
                witness.name()
            )));
        }
        checkpoints.push(checkpoint);
    }
    if let Some(text) = &state.checkpoint {
        checkpoints.push(text.parse().context("the stored checkpoint")?);
    }
    let mut unreadable = 0u64;
    let result = read_all(&*open.desk, &checkpoints, &key, &mut unreadable).await?;
    open.close().await?;
    match result {
        Ok(verified) => {
            anstream::println!(
                "{} {} entries, no gap; the first {} are covered by a signed checkpoint",
                paint::good("✓"),
                table::number(verified.count),
                table::number(verified.signed)
            );
            if let Some(witness) = &witness {
                println!("cosigned by {}", witness.name());
            }
            if unreadable > 0 {
                println!(
                    "{} of them cannot be read any more: their keys were destroyed",
                    table::number(unreadable)
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => Ok(breaks(&broken.to_string())),
    }
}

async fn read_all(
    desk: &dyn ConsoleDesk,
    checkpoints: &[Checkpoint],
    key: &AuditKey,
    unreadable: &mut u64,
) -> anyhow::Result<Result<Verified, Break>> {
    let mut verifier = match Verifier::new(checkpoints, key) {
        Ok(verifier) => verifier,
        Err(broken) => return Ok(Err(broken)),
    };
    let mut found = None;
    each_record(desk, 0, |record| {
        *unreadable += u64::from(record.entry.is_none());
        let record = AuditRecord {
            sequence: record.sequence,
            at: Timestamp(record.at_us),
            body: body(record)?,
            hash: unhex(&record.hash).context("a hash is not 64 hexadecimal digits")?,
        };
        found = verifier.read(&record).err();
        Ok(found.is_none())
    })
    .await?;
    Ok(match found {
        Some(broken) => Err(broken),
        None => verifier.finish(),
    })
}

fn breaks(how: &str) -> ExitCode {
    anstream::println!("{} {how}", paint::bad("✕"));
    ExitCode::from(exit::FINDINGS)
}

#[derive(Clone, Copy)]
enum Ask {
    Inclusion(u64),
    Consistency(u64),
}

/// What `audit proof` prints.
#[derive(Serialize)]
struct InclusionJson {
    kind: &'static str,
    algorithm: &'static str,
    leaf_index: u64,
    tree_size: u64,
    leaf_hash: String,
    root_hash: String,
    path: Vec<String>,
    /// The stored bytes in base64, whose hash behind a zero byte is the leaf.
    leaf: String,
    entry: serde_json::Value,
    /// Signs `root_hash`, where one of this size was at hand.
    checkpoint: Option<String>,
}

/// What `audit consistency` prints and `audit cosign` reads.
#[derive(Serialize, Deserialize)]
struct ConsistencyJson {
    kind: String,
    algorithm: String,
    old_size: u64,
    new_size: u64,
    old_root: String,
    new_root: String,
    path: Vec<String>,
    checkpoint: Option<String>,
}

const ALGORITHM: &str = "RFC 9162 SHA-256: leaf 00, node 01";

async fn prove(ask: Ask, size: Option<u64>, place: &Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let state = open.desk.audit_state(false).await?;
    let signed = signed_size(&state);
    let (Ask::Inclusion(least) | Ask::Consistency(least)) = ask;
    let covered = signed.filter(|signed| *signed > least);
    let size = size.unwrap_or(covered.unwrap_or(state.size));
    if size > state.size {
        bail!("the log has {} entries, not {size}", state.size);
    }
    let mut prover = match ask {
        Ask::Inclusion(index) => Prover::inclusion(index, size)
            .with_context(|| format!("entry {index} is not among the first {size}"))?,
        Ask::Consistency(old) => Prover::consistency(old, size)
            .with_context(|| format!("a log of {old} entries is no beginning of one of {size}"))?,
    };
    let mut wanted = None;
    if size > 0 {
        each_record(&*open.desk, 0, |record| {
            let bytes = body(record)?;
            prover.read(&bytes);
            if matches!(ask, Ask::Inclusion(index) if index == record.sequence) {
                wanted = Some((bytes, record.entry.clone()));
            }
            Ok(prover.needs() > 0)
        })
        .await?;
    }
    open.close().await?;
    let proof = prover
        .finish()
        .context("the log ended before the entries that the proof is about")?;
    let path = proof.path.iter().map(hex).collect();
    let checkpoint = state.checkpoint.filter(|_| signed == Some(size));
    match ask {
        Ask::Inclusion(index) => {
            let (leaf, entry) = wanted.context("the entry was not found")?;
            print_json(&InclusionJson {
                kind: "inclusion",
                algorithm: ALGORITHM,
                leaf_index: index,
                tree_size: size,
                leaf_hash: hex(&leaf_hash(&leaf)),
                root_hash: hex(&proof.root),
                path,
                leaf: STANDARD.encode(leaf),
                entry: serde_json::to_value(entry)?,
                checkpoint,
            })?;
        }
        Ask::Consistency(old) => print_json(&ConsistencyJson {
            kind: "consistency".to_owned(),
            algorithm: ALGORITHM.to_owned(),
            old_size: old,
            new_size: size,
            old_root: hex(&proof.subject),
            new_root: hex(&proof.root),
            path,
            checkpoint,
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

fn signed_size(state: &AuditStateView) -> Option<u64> {
    let checkpoint: Checkpoint = state.checkpoint.as_deref()?.parse().ok()?;
    Some(checkpoint.size())
}

async fn checkpoint(place: &Where) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let state = open.desk.audit_state(true).await?;
    open.close().await?;
    let Some(note) = state.checkpoint else {
        bail!("the audit log is empty: there is nothing to sign yet");
    };
    if place.json {
        let checkpoint: Checkpoint = note.parse().context("the stored checkpoint")?;
        print_json(&json!({
            "size": checkpoint.size(),
            "root_hash": hex(&checkpoint.root()),
            "at": checkpoint.at().to_string(),
            "key": state.key,
            "note": note,
        }))?;
    } else {
        print!("{note}");
        eprintln!("its public key: {}", state.key);
    }
    Ok(ExitCode::SUCCESS)
}

fn witness(name: &str, out: &Path) -> anyhow::Result<ExitCode> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let witness = Witness::generate(name)?;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .and_then(|mut file| {
            file.write_all(witness.to_secret().expose())?;
            file.sync_all()
        })
        .with_context(|| format!("cannot make {}", out.display()))?;
    println!("{}", witness.key());
    Ok(ExitCode::SUCCESS)
}

fn cosign(args: &AuditCosign) -> anyhow::Result<ExitCode> {
    let log: AuditKey = public_key(&args.log)?;
    let secret = Secret::new(small_file(&args.key)?.into_bytes());
    let witness = Witness::from_secret(&secret)?;
    let mut checkpoint = read_checkpoint(&args.file)?;
    if !log.verifies(&checkpoint) {
        return Ok(breaks(&format!(
            "{} is not signed by the log {log}",
            args.file.display()
        )));
    }
    if let Some(path) = &args.previous {
        let previous = read_checkpoint(path)?;
        if !log.verifies(&previous) || witness.key().cosigned(&previous).is_none() {
            return Ok(breaks(&format!(
                "{} is not a checkpoint of this log that this witness signed",
                path.display()
            )));
        }
        let proof = match &args.proof {
            None => Vec::new(),
            Some(path) => {
                let proof: ConsistencyJson = serde_json::from_str(&small_file(path)?)
                    .with_context(|| format!("{} is not a proof", path.display()))?;
                let hashes = proof.path.iter().map(|text| unhex(text));
                hashes
                    .collect::<Option<Vec<_>>>()
                    .with_context(|| format!("{} holds no hashes", path.display()))?
            }
        };
        // Sizes and roots are those of the two notes; of the proof only its hashes are taken.
        if !verify_consistency(
            previous.size(),
            checkpoint.size(),
            &previous.root(),
            &checkpoint.root(),
            &proof,
        ) {
            return Ok(breaks(&format!(
                "the log of {} entries is not shown to begin with the {} that this witness signed: ask for \
                 `wardline audit consistency {} {}`; if that does not help either, history was rewritten",
                checkpoint.size(),
                previous.size(),
                previous.size(),
                checkpoint.size()
            )));
        }
    }
    witness.cosign(&mut checkpoint, RealClock.now());
    print!("{checkpoint}");
    Ok(ExitCode::SUCCESS)
}

async fn export(
    format: AuditFormat,
    from: u64,
    until: u64,
    place: &Where,
) -> anyhow::Result<ExitCode> {
    let open = Open::at(place).await?;
    let estate = open.desk.audit_state(false).await?.estate;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = each_record(&*open.desk, from, |record| {
        if record.sequence >= until {
            return Ok(false);
        }
        match format {
            AuditFormat::Ndjson => serde_json::to_writer(&mut out, record)?,
            AuditFormat::Fhir => serde_json::to_writer(&mut out, &event(record, &estate))?,
        }
        writeln!(out)?;
        Ok(true)
    })
    .await;
    let flushed = out.flush();
    drop(out);
    open.close().await?;
    written?;
    flushed?;
    Ok(ExitCode::SUCCESS)
}

fn event(record: &AuditRecordView, estate: &str) -> serde_json::Value {
    let at = Timestamp(record.at_us);
    let entry = record.entry.as_ref().map(|view| AuditEntry {
        actor: view.actor.clone(),
        act: view.act.clone(),
        target: view.target.clone(),
        reason: view.reason.clone(),
        detail: view.detail.clone(),
    });
    to_fhir(record.sequence, at, entry.as_ref(), FhirSource { estate })
}
