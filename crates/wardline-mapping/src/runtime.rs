//! What a thread needs to run programs: reused state and limits.

use std::fmt;

use vrl::compiler::TimeZone;
use vrl::compiler::conversion::Conversion;
use vrl::value::Value;

/// Limits of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many expressions a run may evaluate. One that reads 17 fields takes about 50.
    pub steps: u64,
    /// How large its result may be as JSON or HL7, in bytes.
    pub output: usize,
}

impl Default for Limits {
    /// Five million steps (a few seconds at worst), 64 MiB.
    fn default() -> Self {
        Self {
            steps: 5_000_000,
            output: 64 << 20,
        }
    }
}

/// Runs programs, one after another; keep one on each thread.
#[derive(Default)]
pub struct Runtime {
    pub(crate) vrl: vrl::compiler::runtime::Runtime,
    pub(crate) limits: Limits,
    pub(crate) now: Option<Value>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables of the last run may hold values of a message.
        f.debug_struct("Runtime")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Stops the clock that `now()` reads at that instant (RFC 3339), for tests; `false` where
    /// the text is no instant, which leaves the clock as it was.
    pub fn stop_clock_at(&mut self, instant: &str) -> bool {
        let conversion = Conversion::timestamp("%+", TimeZone::parse("UTC").unwrap_or_default());
        match conversion.convert::<Value>(bytes::Bytes::copy_from_slice(instant.as_bytes())) {
            Ok(now @ Value::Timestamp(_)) => {
                self.now = Some(now);
                true
            }
            _ => false,
        }
    }
}
