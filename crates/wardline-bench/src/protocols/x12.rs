//! X12 as a stream: one interchange of many orders, made here.
//!
//! The limit is one `memchr` pass over the same bytes for the ends of segments. The peer is `pyx12` where the tests'
//! peers are installed: it reads a hundredth of the same interchange with its envelope checks, and must find as many segments.

use crate::intake::mb;
use crate::report::Row;
use crate::{BenchError, Options, machine};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use wardline_edi::x12::{Exam, Guides, Interchange, Reader, X12Error};

/// Bytes of the interchange that is read.
const SIZE: usize = 32 << 20;
/// Segments of the one whose memory is measured.
const SEGMENTS: u64 = 10_000_000;
const PEER: &str = "pyx12";
const SECONDS: u64 = 1;

/// Reads a file twice and prints the seconds of the second time, and its segments.
const SCRIPT: &str = "import sys, time, logging
logging.disable(logging.CRITICAL)
import pyx12.x12file
for _ in range(2):
    began, segments = time.perf_counter(), 0
    reader = pyx12.x12file.X12Reader(sys.argv[1])
    for segment in reader:
        segments += 1
        segment.get_value('01')
    reader.cleanup()
    taken = time.perf_counter() - began
print(taken, segments)
";

pub(super) fn measure(options: &Options) -> Result<Vec<Row>, BenchError> {
    let bytes = sample(SIZE);
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let wrong = |what: String| BenchError::Sums { what };
    let expected = memchr::memchr_iter(b'~', &bytes).count();
    let count = elements(&bytes)
        .map_err(|error| wrong(error.to_string()))?
        .0;
    if count != expected {
        return Err(wrong(format!("{count} segments read of {expected}")));
    }
    let rate = |what: &str, once: &mut dyn FnMut() -> usize| {
        options.say(&format!("x12: {what}"));
        let began = Instant::now();
        let mut best = f64::MAX;
        while began.elapsed() < time || best > 1e9 {
            let start = Instant::now();
            black_box(once());
            best = best.min(start.elapsed().as_secs_f64());
        }
        bytes.len() as f64 / best / 1e6
    };
    let limit = rate("memchr over the same bytes", &mut || {
        memchr::memchr_iter(b'~', black_box(&bytes)).count()
    });
    let read = rate("every element", &mut || {
        elements(black_box(&bytes)).map_or(0, |(_, length)| length)
    });
    let exam = rate("envelopes examined", &mut || examine(&bytes[..], false).0);
    let guided = rate("held against its guide", &mut || {
        examine(&bytes[..], true).0
    });
    let indexed = rate("indexed in memory", &mut || {
        Interchange::parse(bytes.clone()).map_or(0, |all| all.len())
    });
    let theirs = peer(options)?;
    let with_peer = |row: Row| match theirs {
        Some(theirs) => row.peer(PEER, theirs),
        None => row,
    };
    options.say("x12: an interchange of ten million segments");
    machine::forget_peak();
    let before = machine::resident();
    let (segments, refused) = examine(Endless::new(SEGMENTS), false);
    if segments as u64 != SEGMENTS + 7 || refused {
        return Err(wrong(format!(
            "{segments} segments of a large interchange, refused: {refused}"
        )));
    }
    let grown = machine::peak_resident().saturating_sub(before);
    Ok(vec![
        with_peer(Row::new("x12_read_mb_per_s", read, "MB/s").limit(limit)),
        with_peer(Row::new("x12_examined_mb_per_s", exam, "MB/s").limit(limit)),
        Row::new("x12_guide_mb_per_s", guided, "MB/s").limit(limit),
        Row::new("x12_indexed_mb_per_s", indexed, "MB/s").limit(limit),
        Row::new("x12_ten_million_segments_mb", mb(grown), "MB"),
    ])
}

/// Segments, and bytes of all elements so that none can be left unread.
fn elements(bytes: &[u8]) -> Result<(usize, usize), X12Error> {
    let mut reader = Reader::new(bytes);
    let (mut segments, mut length) = (0, 0);
    while let Some(segment) = reader.next_segment()? {
        segments += 1;
        length += segment
            .elements()
            .map(|element| element.bytes().len())
            .sum::<usize>();
    }
    Ok((segments, length))
}

/// Segments, and whether anything was refused.
fn examine(from: impl Read, guided: bool) -> (usize, bool) {
    let mut reader = Reader::new(from);
    let mut exam = Exam::new(guided.then(Guides::shipped));
    while let Ok(Some(segment)) = reader.next_segment() {
        exam.feed(&segment);
    }
    let segments = exam.segments() as usize;
    let (_, problems) = exam.finish();
    (segments, problems.iter().any(|problem| problem.refuses))
}

/// What pyx12 reads a second, where it is installed.
fn peer(options: &Options) -> Result<Option<f64>, BenchError> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let there = Command::new(&python).args(["-c", "import pyx12"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        options.say("x12: pyx12 is not installed (`cargo xtask peers`); no peer");
        return Ok(None);
    }
    options.say("x12: the same by the peer");
    let wrong = |what: String| BenchError::Sums { what };
    let bytes = sample(SIZE / 100);
    let file = std::env::temp_dir().join(format!("wardline-bench-{}.x12", std::process::id()));
    std::fs::write(&file, &bytes)
        .map_err(|error| wrong(format!("the sample cannot be written: {error}")))?;
    let output = Command::new(&python)
        .arg("-c")
        .arg(SCRIPT)
        .arg(&file)
        .output();
    let removed = std::fs::remove_file(&file);
    let output = output.map_err(|error| wrong(error.to_string()))?;
    removed.map_err(|error| wrong(format!("the sample cannot be removed: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = said.split_whitespace();
    let seconds = words.next().and_then(|word| word.parse::<f64>().ok());
    let segments = words.next().and_then(|word| word.parse::<usize>().ok());
    let expected = memchr::memchr_iter(b'~', &bytes).count();
    match (seconds, segments) {
        (Some(seconds), Some(segments)) if segments == expected && seconds > 0.0 => {
            Ok(Some(bytes.len() as f64 / seconds / 1e6))
        }
        _ => Err(wrong(format!(
            "{PEER} read {segments:?} segments of {expected}"
        ))),
    }
}

const HEAD: &str = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~\nGS*PO*A*B*20260101*1200*1*X*004010~\n";

/// Orders of twenty lines, as many as the size asks for.
fn sample(size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 4_096);
    text.push_str(HEAD);
    let mut sets = 0;
    while text.len() < size {
        sets += 1;
        let mut set =
            format!("ST*850*{sets:06}~\nBEG*00*SA*{sets}**20260101~\nN1*ST*North*92*N1~\n");
        for line in 1..=20 {
            set.push_str(&format!(
                "PO1*{line}*2*EA*3.5000**IN*7700{line}*VN*GLV-{line}~\nPID*F****Gloves, nitrile, medium~\n"
            ));
        }
        text.push_str(&set);
        text.push_str(&format!("CTT*20~\nSE*45*{sets:06}~\n"));
    }
    text.push_str(&format!("GE*{sets}*1~\nIEA*1*000000001~\n"));
    text.into_bytes()
}

/// One set with so many lines, made while it is read.
struct Endless {
    left: u64,
    all: u64,
    pending: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Endless {
    fn new(all: u64) -> Self {
        Self {
            left: all,
            all,
            pending: format!("{HEAD}ST*850*0001~BEG*00*SA*1**20260101~").into_bytes(),
            at: 0,
            ended: false,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.pending.len() && !self.ended {
            self.pending.clear();
            self.at = 0;
            let batch = self.left.min(1_000);
            self.left -= batch;
            for _ in 0..batch {
                self.pending.extend_from_slice(b"PO1*1*2*EA*3.50**IN*77~");
            }
            if batch == 0 {
                self.ended = true;
                self.pending =
                    format!("SE*{}*0001~GE*1*1~IEA*1*000000001~", self.all + 3).into_bytes();
            }
        }
        let rest = &self.pending[self.at..];
        let count = into.len().min(rest.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endless, elements, examine, sample};

    #[test]
    fn the_samples_are_good() {
        let bytes = sample(20_000);
        assert!(elements(&bytes).is_ok_and(|(segments, _)| segments > 100));
        assert!(!examine(&bytes[..], true).1);
        assert_eq!(examine(Endless::new(10), true), (17, false));
    }
}
