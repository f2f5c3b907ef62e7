//! DICOM objects received by C-STORE: many of the size of a CT image, and large ones.
//!
//! One sender of ours sends the same to Wardline, which answers when object and message are on stable
//! storage, and to dcmtk's `storescp` where it is installed, which answers without synchronising. The
//! limit is the same bytes written into as many files, each synchronised, one after the other.

use crate::intake::mb;
use crate::report::Row;
use crate::site::{File, Running, SINKS, Site, scratch};
use crate::{BenchError, Options, machine};
use bytes::Bytes;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wardline_dicom::net::{Client, NetError, Proposal, Terms};
use wardline_dicom::{DataSet, Encoding, Head, Tag, Vr, data, uid};

const FILES: [File; 2] = [
    (
        "systems/imaging.yaml",
        include_str!("../../estate/systems/imaging.yaml"),
    ),
    (
        "flows/imaging.yaml",
        include_str!("../../estate/flows/imaging.yaml"),
    ),
];
const PEER: &str = "storescp";
const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
/// Bytes and number of objects: those of a CT study, and a few that are large.
const SETS: [(&str, usize, usize); 2] = [("ct", 512 << 10, 200), ("large", 256 << 20, 2)];
/// How long the peer may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

fn wrong(what: impl std::fmt::Display) -> BenchError {
    BenchError::Sums {
        what: format!("dicom: {what}"),
    }
}

pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, BenchError> {
    let directory = options.directory.as_deref();
    let mut rows = Vec::new();
    for (name, size, count) in SETS {
        options.say(&format!(
            "dicom: {count} objects of {:.1} MB",
            mb(size as u64)
        ));
        let bytes = Bytes::from(object(size));
        let all = (bytes.len() * count) as f64 / 1e6;
        let limit = all / written(directory, &bytes, count)?.as_secs_f64();
        // The discharges of every bench's estate want somebody who hears of them.
        let site = Site::build(directory, &[SINKS, FILES].concat(), &[])?;
        let running = site.start(site.store()?).await?;
        machine::forget_peak();
        let before = machine::resident();
        let took = send(listening(&running)?, &bytes, count).await?;
        let grown = machine::peak_resident().saturating_sub(before);
        running.delivered(count as u64).await?;
        let balance = running.engine.desk().balance().await?;
        running.stop().await;
        drop(site);
        if balance.accepted != count as u64 {
            return Err(wrong(format!("{} accepted of {count}", balance.accepted)));
        }
        let theirs = peer(options, &bytes, count).await?;
        let with_peer = |row: Row, per: f64| match theirs {
            Some(took) => row.peer(PEER, per / took.as_secs_f64()),
            None => row,
        };
        let rate = all / took.as_secs_f64();
        let row = Row::new(format!("dicom_{name}_store_mb_per_s"), rate, "MB/s").limit(limit);
        rows.push(with_peer(row, all));
        if size < 1 << 20 {
            let rate = count as f64 / took.as_secs_f64();
            let row = Row::new(format!("dicom_{name}_store_per_s"), rate, "objects/s");
            rows.push(with_peer(row, count as f64));
        } else {
            rows.push(Row::new(format!("dicom_{name}_store_mb"), mb(grown), "MB"));
        }
    }
    Ok(rows)
}

/// The data set of an object, the last attribute of which is its pixels.
fn object(size: usize) -> Vec<u8> {
    let mut set = DataSet::new();
    for (name, text) in [
        ("SOPClassUID", CLASS),
        ("StudyInstanceUID", "1.2.77"),
        ("PatientName", "Roe^Jane"),
        ("PatientID", "4711"),
        ("Modality", "CT"),
    ] {
        if let Some(tag) = Tag::named(name) {
            set.put_text(tag, tag.vr(), text);
        }
    }
    // Its name is put in for each, so it has always the same length.
    set.put_text(data::tags::SOP_INSTANCE, Vr::UI, &instance(0));
    let mut bytes = Vec::with_capacity(size + 1024);
    data::write(&set, Encoding::ExplicitLittle, &mut bytes);
    bytes.extend_from_slice(&[0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0]);
    bytes.extend_from_slice(&(size as u32).to_le_bytes());
    bytes.resize(bytes.len() + size, 7);
    bytes
}

fn instance(n: usize) -> String {
    format!("1.2.3.{}", 100_000 + n)
}

/// The same bytes as so many synchronised files.
fn written(directory: Option<&Path>, bytes: &[u8], count: usize) -> Result<Duration, BenchError> {
    let place = scratch(directory)?;
    let began = Instant::now();
    for n in 0..count {
        let path = place.path().join(n.to_string());
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| BenchError::File {
            doing: "write",
            path: path.clone(),
            source,
        })?;
    }
    Ok(began.elapsed())
}

fn listening(running: &Running) -> Result<SocketAddr, BenchError> {
    let place = running.engine.places().get("imaging.modalities");
    place
        .and_then(|words| words.split(' ').find_map(|word| word.parse().ok()))
        .ok_or_else(|| wrong("there is no listener"))
}

/// Sends so many over one association.
async fn send(to: SocketAddr, bytes: &Bytes, count: usize) -> Result<Duration, BenchError> {
    let mut client = open(to).await.map_err(wrong)?;
    let place = instance(0);
    let at = bytes
        .windows(place.len())
        .position(|window| window == place.as_bytes())
        .ok_or_else(|| wrong("the object has no name"))?;
    let began = Instant::now();
    for n in 0..count {
        let head = Head {
            class: CLASS.into(),
            instance: instance(n),
            transfer_syntax: uid::EXPLICIT_LITTLE.into(),
        };
        let (give, pieces) = mpsc::channel(4);
        let (bytes, name) = (bytes.clone(), head.instance.clone());
        let giving = tokio::spawn(async move {
            // The name stands in the first piece.
            let mut first = bytes[..1024].to_vec();
            first[at..at + name.len()].copy_from_slice(name.as_bytes());
            let mut sent = give.send(Ok(first.into())).await;
            let mut from = 1024;
            while from < bytes.len() && sent.is_ok() {
                let to = bytes.len().min(from + (256 << 10));
                sent = give.send(Ok(bytes.slice(from..to))).await;
                from = to;
            }
        });
        let status = client.store(&head, pieces).await.map_err(wrong)?;
        giving.await.map_err(wrong)?;
        if !status.is_good() {
            return Err(wrong(format!("an object was answered {:04X}", status.code)));
        }
    }
    let took = began.elapsed();
    client.release().await.map_err(wrong)?;
    Ok(took)
}

async fn open(to: SocketAddr) -> Result<Client<TcpStream>, NetError> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let proposal = Proposal {
        called: "WARDLINE",
        calling: "BENCH",
        classes: vec![(CLASS, vec![uid::EXPLICIT_LITTLE])],
    };
    Client::open(stream, &proposal, Terms::default()).await
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// How long `storescp` takes for the same, where it is installed.
async fn peer(
    options: &Options,
    bytes: &Bytes,
    count: usize,
) -> Result<Option<Duration>, BenchError> {
    let there = Command::new(PEER).arg("--version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        options.say("dicom: dcmtk is not installed (`cargo xtask peers`); no peer");
        return Ok(None);
    }
    options.say("dicom: the same by the peer");
    let place = scratch(options.directory.as_deref())?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let port = port.map_err(wrong)?.port();
    let child = Command::new(PEER)
        // The longest PDUs it knows, as are ours.
        .args(["-aet", "WARDLINE", "-pdu", "131072", "-od"])
        .arg(place.path())
        .arg(port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(wrong)?;
    let _ended = Ended(child);
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(to).await.is_err() {
        if Instant::now() > until {
            return Err(wrong("the peer does not listen"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = send(to, bytes, count).await?;
    let files = fs::read_dir(place.path()).map_err(wrong)?.count();
    if files != count {
        return Err(wrong(format!("the peer has {files} objects of {count}")));
    }
    Ok(Some(took))
}

#[cfg(test)]
mod tests {
    use super::{Head, instance, object, uid};
    use std::io::Cursor;
    use wardline_dicom::{Limits, examine, file_head};

    #[test]
    fn the_sample_is_good() {
        let head = Head {
            class: super::CLASS.into(),
            instance: instance(0),
            transfer_syntax: uid::EXPLICIT_LITTLE.into(),
        };
        let file = [file_head(&head, None), object(4096)].concat();
        let read = examine(Cursor::new(file), Limits::default()).expect("an object");
        assert!(read.findings().is_empty(), "{:?}", read.findings());
    }
}
