//! The machine that figures belong to, and what this process takes of it. Read from `/proc`
//! (proc(5)); zero where the system does not tell.

use crate::BenchError;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a bench ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// Name of the system and its kernel.
    pub os: String,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn read() -> Self {
        let memory = text("/proc/meminfo")
            .lines()
            .find_map(|line| kilobytes(line, "MemTotal:"))
            .unwrap_or(0);
        let release = text("/etc/os-release");
        let name = release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map_or(std::env::consts::OS, |name| name.trim_matches('"'))
            .to_owned();
        let kernel = text("/proc/sys/kernel/osrelease");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory * 1_024,
            os: format!("{name}, {}", kernel.trim())
                .trim_end_matches(", ")
                .to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory as f64 / f64::from(1 << 30);
        let plural = if self.cores == 1 { "" } else { "s" };
        write!(f, "{} core{plural}, {gib:.1} GiB, {}", self.cores, self.os)
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn kilobytes(line: &str, name: &str) -> Option<u64> {
    line.strip_prefix(name)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn of_status(process: &str, name: &str) -> u64 {
    text(&format!("/proc/{process}/status"))
        .lines()
        .find_map(|line| kilobytes(line, name))
        .unwrap_or(0)
        * 1_024
}

/// Resident memory of this process now, in bytes.
pub(crate) fn resident() -> u64 {
    of_status("self", "VmRSS:")
}

/// Resident memory of another process now, in bytes.
pub(crate) fn resident_of(process: u32) -> u64 {
    of_status(&process.to_string(), "VmRSS:")
}

/// The highest it was since [`forget_peak`], in bytes.
pub(crate) fn peak_resident() -> u64 {
    of_status("self", "VmHWM:")
}

/// Starts the peak anew; says whether the system allowed it. Where it does not, the peak stays
/// that of the whole process, which is only ever too high.
pub(crate) fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Processor time of this process so far, to a hundredth of a second. On a shared machine the
/// only figure that can be compared between runs.
pub(crate) fn processor_time() -> Duration {
    of_stat("self")
}

/// The same of another process.
pub(crate) fn processor_time_of(process: u32) -> Duration {
    of_stat(&process.to_string())
}

/// A child of a process, if it has one.
pub(crate) fn child_of(process: u32) -> Option<u32> {
    text(&format!("/proc/{process}/task/{process}/children"))
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn of_stat(process: &str) -> Duration {
    let stat = text(&format!("/proc/{process}/stat"));
    // utime and stime are fields 14 and 15, counted after the name in parentheses; Linux counts
    // them in hundredths for user space whatever the kernel's own tick is.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2);
    Duration::from_millis(
        10 * fields
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>(),
    )
}

/// Processor time of the calling thread so far.
pub(crate) fn thread_time() -> Duration {
    let stat = text("/proc/thread-self/schedstat");
    Duration::from_nanos(
        stat.split_whitespace()
            .next()
            .and_then(|field| field.parse().ok())
            .unwrap_or(0),
    )
}

/// A directory on a disk in which the stores of a bench are made.
pub(crate) fn place(asked: Option<&Path>) -> Result<PathBuf, BenchError> {
    let path = match asked {
        Some(path) => path.to_owned(),
        // On many systems /tmp is memory; /var/tmp must outlive a restart (hier(7)).
        None => Some(PathBuf::from("/var/tmp"))
            .filter(|path| path.is_dir())
            .unwrap_or_else(std::env::temp_dir),
    };
    let path = path.canonicalize().map_err(|source| BenchError::File {
        doing: "open",
        path,
        source,
    })?;
    let kind = file_system(&path, &text("/proc/self/mountinfo"));
    match kind.as_deref() {
        Some(kind @ ("tmpfs" | "ramfs")) => Err(BenchError::NotADisk {
            path,
            kind: kind.to_owned(),
        }),
        _ => Ok(path),
    }
}

/// Type of the file system that holds `path`, from the text of mountinfo: the deepest mount
/// point wins, and of several on one point the last.
fn file_system(path: &Path, mounts: &str) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?.replace("\\040", " ");
        let deep = Path::new(&point).components().count();
        if path.starts_with(&point) && best.is_none_or(|(depth, _)| deep >= depth) {
            best = Some((deep, kind.split(' ').next()?));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Machine, file_system, forget_peak, peak_resident, resident, thread_time};
    use std::path::Path;

    #[test]
    fn the_file_system_is_that_of_the_deepest_mount() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      30 22 0:25 / /tmp rw,nosuid - tmpfs tmpfs rw\n\
                      31 30 8:2 / /tmp/big\\040disk rw - xfs /dev/sdb rw\n\
                      32 22 0:26 / /dev/shm rw shared:3 - tmpfs tmpfs rw\n";
        let of = |path: &str| file_system(Path::new(path), mounts).unwrap();
        assert_eq!(of("/var/tmp"), "ext4");
        assert_eq!(of("/tmp/wardline"), "tmpfs");
        assert_eq!(of("/tmp/big disk/x"), "xfs");
        assert_eq!(of("/tmporary"), "ext4");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen() {
        let machine = Machine::read();
        assert!(machine.cores > 0 && machine.memory > 0 && !machine.os.is_empty());
        forget_peak();
        let before = resident();
        let block = std::hint::black_box(vec![7_u8; 64 << 20]);
        assert!(
            peak_resident() >= before + (60 << 20),
            "{before} {}",
            peak_resident()
        );
        drop(block);
        assert!(!thread_time().is_zero());
    }
}
