//! How fast X12 is read: `cargo run --release -p wardline-edi --example x12_speed [FILE]`.
//!
//! Without a file, of an interchange of 64 MB that is made here. `wardline bench protocols` measures the same beside a peer.

use std::hint::black_box;
use std::time::Instant;
use wardline_edi::x12::{Exam, Guides, Interchange, Reader};

fn sample() -> Vec<u8> {
    let mut text = String::from(
        "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~\nGS*PO*A*B*20260101*1200*1*X*004010~\n",
    );
    let mut sets = 0;
    while text.len() < 64 << 20 {
        sets += 1;
        text.push_str(&format!(
            "ST*850*{sets:06}~\nBEG*00*SA*{sets}**20260101~\nN1*ST*North*92*N1~\n"
        ));
        for line in 1..=20 {
            text.push_str(&format!("PO1*{line}*2*EA*3.5000**IN*7700{line}*VN*GLV-{line}~\nPID*F****Gloves, nitrile, medium~\n"));
        }
        text.push_str(&format!("CTT*20~\nSE*45*{sets:06}~\n"));
    }
    text.push_str(&format!("GE*{sets}*1~\nIEA*1*000000001~\n"));
    text.into_bytes()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = match std::env::args().nth(1) {
        Some(file) => std::fs::read(file)?,
        None => sample(),
    };
    let size = bytes.len() as f64 / 1e6;
    let time = |what: &str, act: &mut dyn FnMut() -> usize| {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            black_box(act());
            best = best.min(began.elapsed().as_secs_f64());
        }
        println!("{what:<28} {:>8.0} MB/s", size / best);
    };
    time("memchr for terminators", &mut || {
        memchr::memchr_iter(b'~', &bytes).count()
    });
    time("segments, streamed", &mut || {
        let mut reader = Reader::new(bytes.as_slice());
        let mut count = 0;
        while let Ok(Some(segment)) = reader.next_segment() {
            count += segment.tag().len();
        }
        count
    });
    time("every element, streamed", &mut || {
        let mut reader = Reader::new(bytes.as_slice());
        let mut count = 0;
        while let Ok(Some(segment)) = reader.next_segment() {
            count += segment
                .elements()
                .map(|element| element.bytes().len())
                .sum::<usize>();
        }
        count
    });
    time("envelopes examined", &mut || {
        let mut reader = Reader::new(bytes.as_slice());
        let mut exam = Exam::new(None);
        while let Ok(Some(segment)) = reader.next_segment() {
            exam.feed(&segment);
        }
        exam.finish().0.len()
    });
    time("held against its guide", &mut || {
        let mut reader = Reader::new(bytes.as_slice());
        let mut exam = Exam::new(Some(Guides::shipped()));
        while let Ok(Some(segment)) = reader.next_segment() {
            exam.feed(&segment);
        }
        exam.finish().0.len()
    });
    time("indexed in memory", &mut || {
        Interchange::parse(bytes.clone()).map_or(0, |all| all.len())
    });
    Ok(())
}
