//! System calls that need `unsafe`; no other module has any. Their callers, `supervise` and
//! `heap`, decide when to make them.

#![allow(unsafe_code)]

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, nice, setrlimit};
use std::io;
use tokio::process::Command;

/// Resource limits of a child program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// Bytes of address space; unlimited if `None`.
    pub address_space: Option<u64>,
    /// Increment to this process's nice value.
    pub niceness: i32,
}

/// Makes a program end with the thread that starts it, and applies its resource limits.
#[cfg(target_os = "linux")]
pub(crate) fn confine(command: &mut Command, confinement: Confinement) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec the closure makes only async-signal-safe system calls and
    // allocates nothing.
    unsafe {
        command.pre_exec(move || {
            die_with(parent)?;
            limit(confinement)
        });
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the parent died before the line above, no signal is sent.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::Interrupted.into())
    }
}

/// Sets this process's limits, which the program executed next inherits.
#[cfg(target_os = "linux")]
fn limit(confinement: Confinement) -> io::Result<()> {
    if let Some(wanted) = confinement.address_space {
        // If this process has a lower limit, that one applies.
        let own = getrlimit(Resource::As).maximum;
        let most = Some(own.map_or(wanted, |own| own.min(wanted)));
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(Resource::As, limit)?;
    }
    if confinement.niceness > 0 {
        nice(confinement.niceness)?;
    }
    Ok(())
}

/// Makes glibc place each allocation of at least this many bytes in a separate mapping, which is
/// returned to the system when it is freed. By default glibc raises this threshold to the
/// largest allocation ever freed. Other C libraries are not changed.
pub fn set_mmap_threshold(bytes: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number, and may be called at any time.
    if unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) } == 0 {
        tracing::debug!("the allocator refused the mmap threshold");
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Returns free memory inside the heaps to the system, which glibc does not do by itself.
pub fn trim_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's locks and releases only free pages.
    unsafe {
        libc::malloc_trim(0);
    }
}
