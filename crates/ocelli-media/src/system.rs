//! Calls to the system that need `unsafe`: the only module of this program that has any.
//!
//! What does not belong here: when they are made. That is `supervise` and `heap`.

#![allow(unsafe_code)]

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, nice, setrlimit};
use std::io;
use tokio::process::Command;

/// What a program may take of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// Bytes of address space; as many as it likes if none.
    pub address_space: Option<u64>,
    /// How much less urgent it is than this process.
    pub niceness: i32,
}

/// Has a program end with the thread that starts it, and holds it to its confinement.
#[cfg(target_os = "linux")]
pub(crate) fn confine(command: &mut Command, confinement: Confinement) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only system calls are made, which are
    // async-signal-safe, and nothing is allocated.
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
    // The parent may have died before the line above: then no signal comes.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::Interrupted.into())
    }
}

/// Takes effect on the program that is executed next.
#[cfg(target_os = "linux")]
fn limit(confinement: Confinement) -> io::Result<()> {
    if let Some(wanted) = confinement.address_space {
        // A lower limit that this process has itself stays.
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

/// Has each allocation of this many bytes and more be a mapping of its own, which goes back
/// to the system when it is freed. Left alone, glibc raises the number to the largest that was
/// ever freed. Other C libraries are left as they are.
pub fn keep_apart(bytes: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number, and may be called at any time.
    if unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) } == 0 {
        tracing::debug!("the allocator takes no threshold");
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Gives free memory in the middle of the heaps back to the system, which glibc does not do by
/// itself.
pub fn trim_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and releases free pages alone.
    unsafe {
        libc::malloc_trim(0);
    }
}
