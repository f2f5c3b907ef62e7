//! What was logged. All tests of this program share it, so look for names that only one uses.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let to = lines.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || to.clone())
            .init();
        lines
    })
}

/// Begins to keep what is logged.
pub(crate) fn keep() {
    lines();
}

/// Logged lines that hold all of `words`.
pub(crate) fn with(words: &[&str]) -> Vec<String> {
    let text = String::from_utf8_lossy(&lines().0.lock().unwrap()).into_owned();
    text.lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .map(str::to_owned)
        .collect()
}
