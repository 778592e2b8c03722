//! Process metrics from the system, under the standard names of Prometheus clients:
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use super::writer::MetricsWriter;
use std::fmt;
use std::fs;

/// Statistics of this process from `/proc`; unavailable ones have no row.
struct Process {
    /// CPU seconds in user and kernel mode.
    cpu: Option<f64>,
    /// Resident memory in bytes.
    resident: Option<u64>,
    open_descriptors: Option<usize>,
    most_descriptors: Option<u64>,
}

impl Process {
    fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let memory = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = memory
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse().ok());
        let page = rustix::param::page_size() as u64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            cpu: ticks(&stat)
                .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64),
            resident: pages.map(|pages: u64| pages * page),
            // Reading the directory opens a descriptor itself.
            open_descriptors: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|open| open.count().saturating_sub(1)),
            most_descriptors: limit.current,
        }
    }
}

/// Clock ticks of a process from its stat line (proc_pid_stat(5)): fields 14 and 15. Field 2, the
/// name, may contain spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_ascii_whitespace().skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Adds the rows of this process.
pub(super) fn write(writer: &mut MetricsWriter<'_>) -> fmt::Result {
    let process = Process::read();
    if let Some(seconds) = process.cpu {
        writer.counter("process_cpu_seconds", "CPU time used.", seconds)?;
    }
    let rows = [
        (
            "process_resident_memory_bytes",
            "Resident memory.",
            process.resident.map(|bytes| bytes as f64),
        ),
        (
            "process_open_fds",
            "Open file descriptors.",
            process.open_descriptors.map(|open| open as f64),
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            process.most_descriptors.map(|most| most as f64),
        ),
    ];
    for (name, help, value) in rows {
        if let Some(value) = value {
            writer.gauge(name, help, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_contain_any_character() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 400 25 0";
        assert_eq!(ticks(&format!("7 (ocelli) {rest}")), Some(425));
        assert_eq!(ticks(&format!("7 (a) b) ( c) {rest}")), Some(425));
        assert_eq!(ticks(""), None);
        assert!(
            Process::read()
                .open_descriptors
                .is_some_and(|open| open > 0)
        );
    }
}
