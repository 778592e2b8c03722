//! Process facts from /proc.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::Duration;

/// A process as it was observed once. It is distinct from a later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub pid: u32,
    /// Its program's name.
    pub name: String,
    /// Its command line, the arguments separated by spaces.
    pub command: String,
    started: u64,
}

impl Child {
    /// Sends it a signal, if it is still running.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid as i32).filter(|_| self.is_alive()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it is still running. A zombie does not count.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }
}

struct Stat {
    name: String,
    state: char,
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may itself contain some.
    let (head, tail) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    Some(Stat {
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Returns the running descendants of `pid`.
pub fn children_of(pid: u32) -> Vec<Child> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(stat) = stat(id) {
            all.push((id, stat));
        }
    }
    let mut family = vec![pid];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        at += 1;
        for (pid, stat) in all
            .iter()
            .filter(|(_, stat)| stat.parent == parent && stat.state != 'Z')
        {
            family.push(*pid);
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found.push(Child {
                pid: *pid,
                name: stat.name.clone(),
                command: String::from_utf8_lossy(&command)
                    .replace('\0', " ")
                    .trim_end()
                    .to_owned(),
                started: stat.started,
            });
        }
    }
    found
}

/// The number of open descriptors of `pid`.
pub fn descriptors_of(pid: u32) -> usize {
    count(&format!("/proc/{pid}/fd"))
}

/// The number of threads of `pid`.
pub fn threads_of(pid: u32) -> usize {
    count(&format!("/proc/{pid}/task"))
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

/// The CPU time of `pid`'s current threads, to the nanosecond. The time of a thread that has
/// ended is not included.
pub fn cpu_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The memory of `pid` as proportional set size: its private memory and its share of the rest.
pub fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
