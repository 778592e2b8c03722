//! Supervision of child processes. It does not interpret a program's arguments or output.
//!
//! Each child leads its own process group, inherits almost nothing of this process's
//! environment, and is killed with its whole group when its [`Child`] is dropped. If
//! this process dies without dropping it, the kernel kills the child.
//!
//! The kernel sends that signal when the *thread* that started the child ends. So
//! [`spawn`] must be called on the runtime's long-lived threads, never from
//! `spawn_blocking`.

#[cfg(target_os = "linux")]
use crate::system;
pub(crate) use crate::system::Confinement;
use ocelli_core::{Failure, FailureKind};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// Number of a child's last standard-error lines that are kept, and the maximum length of each.
const MAX_LINES: usize = 20;
const MAX_LINE_BYTES: u64 = 400;

/// Bytes of standard error that are read before a pause, and the length of that pause. A child
/// that prints without end must not use up this process's time.
const READ_BYTES_PER_PAUSE: usize = 64 << 10;
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Timeout for the exit of a child whose pipes have closed. On a busy machine, the system needs a
/// moment for it.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for the last lines of standard error of a child that has exited.
const STDERR_TIMEOUT: Duration = Duration::from_millis(500);

/// Reaps killed children in the background. Clones share the same set of children.
#[derive(Clone, Debug)]
pub struct Reaper(TaskTracker);

/// All killed children of this process that have not exited yet.
static REAPER: LazyLock<Reaper> = LazyLock::new(Reaper::default);

impl Default for Reaper {
    fn default() -> Self {
        let tasks = TaskTracker::new();
        tasks.close();
        Self(tasks)
    }
}

impl Reaper {
    /// Waits until every killed child has exited, which can take a moment on a busy machine.
    pub async fn idle(&self) {
        self.0.wait().await;
    }

    fn collect(&self, mut process: tokio::process::Child) {
        // Without a runtime this process is exiting, and the system reaps the child.
        if let Ok(runtime) = Handle::try_current() {
            let wait = async move { drop(process.wait().await) };
            let wait = REAPER.0.track_future(self.0.track_future(wait));
            runtime.spawn(wait);
        }
    }
}

/// Waits until every child that this process has killed has exited.
pub async fn all_ended() {
    REAPER.idle().await;
}

/// A child's standard input.
#[derive(Debug)]
pub enum Input {
    /// Nothing.
    None,
    /// The bytes written to [`Child::stdin`].
    Piped,
}

/// A running program. Dropping it kills the program and everything the program started.
pub struct Child {
    process: Option<tokio::process::Child>,
    group: Option<Pid>,
    /// Standard input, if [`Input::Piped`] was requested.
    pub stdin: Option<ChildStdin>,
    /// Standard output.
    pub stdout: Option<ChildStdout>,
    /// Reaps the child after it was killed.
    pub reaper: Reaper,
    stderr_tail: Arc<Mutex<VecDeque<String>>>,
    stderr_task: Option<JoinHandle<()>>,
}

/// Starts a program configured by the user, without resource limits.
///
/// # Errors
/// The program does not exist or can't be started.
pub fn spawn<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: Input,
) -> Result<Child, Failure> {
    spawn_confined(program, arguments, input, Confinement::default())
}

/// Starts a program. Standard output is a pipe; the last lines of standard error are kept.
///
/// # Errors
/// The program does not exist or can't be started.
pub fn spawn_confined<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: Input,
    confinement: Confinement,
) -> Result<Child, Failure> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("LANG", "C")
        .stdin(match input {
            Input::None => Stdio::null(),
            Input::Piped => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    #[cfg(target_os = "linux")]
    {
        if confinement.address_space.is_some() {
            // glibc would reserve another 64 MiB of address space for each thread.
            command.env("MALLOC_ARENA_MAX", "1");
        }
        system::confine(&mut command, confinement);
    }
    let mut process = command.spawn().map_err(|error| failure(program, &error))?;
    let stderr_tail = Arc::default();
    let stderr_task = process
        .stderr
        .take()
        .map(|stderr| tokio::spawn(read_stderr(stderr, Arc::clone(&stderr_tail))));
    Ok(Child {
        group: process.id().and_then(|id| Pid::from_raw(id as i32)),
        stdin: process.stdin.take(),
        stdout: process.stdout.take(),
        reaper: Reaper::default(),
        process: Some(process),
        stderr_tail,
        stderr_task,
    })
}

fn failure(program: &str, error: &io::Error) -> Failure {
    let reason = match (error.kind(), program) {
        (io::ErrorKind::NotFound, "ffmpeg") => {
            "ffmpeg is not installed: apt install ffmpeg".to_owned()
        }
        (io::ErrorKind::NotFound, _) => format!("{program} is not installed"),
        (io::ErrorKind::PermissionDenied, _) => {
            format!("no permission to run {program}")
        }
        _ => format!("{program} can't be started: {error}"),
    };
    Failure::new(FailureKind::Missing, reason)
}

/// Stores the last lines of a child's standard error.
async fn read_stderr(stderr: ChildStderr, stderr_tail: Arc<Mutex<VecDeque<String>>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut bytes_read = 0;
    loop {
        bytes_read += line.len();
        if bytes_read >= READ_BYTES_PER_PAUSE {
            sleep(READ_PAUSE).await;
            bytes_read = 0;
        }
        line.clear();
        // A line without an end must not grow without bound.
        let mut limited = (&mut stderr).take(MAX_LINE_BYTES);
        if !matches!(limited.read_until(b'\n', &mut line).await, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let mut stderr_tail = stderr_tail.lock().unwrap_or_else(PoisonError::into_inner);
        if stderr_tail.len() == MAX_LINES {
            stderr_tail.pop_front();
        }
        stderr_tail.push_back(text.to_owned());
    }
}

impl Child {
    /// Returns the last lines that it has written to standard error so far.
    pub fn stderr_tail(&self) -> Vec<String> {
        let stderr_tail = self
            .stderr_tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stderr_tail.iter().cloned().collect()
    }

    /// Waits a moment for a child whose pipes have closed, and for its last standard-error lines,
    /// which may arrive a moment later. Returns its status. Kills it with its group and returns
    /// `None` if it has not exited by then.
    pub async fn wait_or_kill(&mut self) -> Option<ExitStatus> {
        let exited = async {
            match &mut self.process {
                Some(process) => process.wait().await.ok(),
                None => None,
            }
        };
        let Ok(status) = timeout(EXIT_TIMEOUT, exited).await else {
            self.kill();
            return None;
        };
        if let Some(stderr_task) = self.stderr_task.take() {
            // A process that it started may hold the pipe open: don't wait for that.
            let _ = timeout(STDERR_TIMEOUT, stderr_task).await;
        }
        status
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // The group may outlive its leader. If the group is empty, the signal has no
            // effect.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let Some(mut process) = self.process.take() else {
            return;
        };
        if !matches!(process.try_wait(), Ok(Some(_))) {
            self.reaper.collect(process);
        }
    }
}

/// Describes a program's exit in words.
pub fn exit_message(program: &str, status: Option<ExitStatus>) -> String {
    match status {
        Some(status) => match (status.code(), status.signal()) {
            (Some(0), _) => format!("{program} ended"),
            (Some(code), _) => format!("{program} ended with exit code {code}"),
            (_, Some(signal)) => format!("{program} was killed (signal {signal})"),
            _ => format!("{program} ended"),
        },
        None => format!("{program} stopped working"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn shell(script: &str, input: Input) -> Child {
        spawn("sh", ["-c", script], input).expect("a shell")
    }

    async fn first_line(child: &mut Child) -> String {
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .await
            .expect("a line");
        line.trim().to_owned()
    }

    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        state.is_some_and(|state| state != b'Z')
    }

    #[tokio::test]
    async fn dropping_a_child_kills_its_process_group_and_leaves_no_zombie() {
        let mut child = shell("sleep 60 & echo $!; wait", Input::None);
        let leader = child
            .process
            .as_ref()
            .and_then(|process| process.id())
            .expect("running");
        let grandchild = first_line(&mut child).await;
        assert!(runs(&grandchild));
        drop(child);
        let gone = async {
            while runs(&grandchild) || std::path::Path::new(&format!("/proc/{leader}")).exists() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(5), gone)
            .await
            .expect("killed with its group, and reaped");
    }

    #[tokio::test]
    async fn the_exit_of_a_killed_child_can_be_awaited() {
        // The system needs a while to free its mapped memory.
        let mut child = shell(
            "echo on; head -c 300000000 /dev/zero | tail -c 299999999",
            Input::None,
        );
        first_line(&mut child).await;
        let leader = child
            .process
            .as_ref()
            .and_then(|process| process.id())
            .expect("running");
        let reaper = child.reaper.clone();
        drop(child);
        assert!(std::path::Path::new(&format!("/proc/{leader}")).exists());
        timeout(Duration::from_secs(5), reaper.idle())
            .await
            .expect("ended");
        assert!(!std::path::Path::new(&format!("/proc/{leader}")).exists());
    }

    #[tokio::test]
    async fn the_last_lines_of_standard_error_are_kept() {
        let mut child = shell("cat >&2; seq 1 100 >&2; exit 3", Input::Piped);
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"first").await.expect("taken");
        drop(stdin);
        let status = child.wait_or_kill().await;
        assert_eq!(exit_message("sh", status), "sh ended with exit code 3");
        let stderr_tail = child.stderr_tail();
        assert_eq!(stderr_tail.len(), MAX_LINES);
        assert_eq!(stderr_tail.last().map(String::as_str), Some("100"));
    }

    #[tokio::test]
    async fn the_status_of_a_child_is_known_while_its_standard_error_is_held_open() {
        let mut child = shell("sleep 60 >/dev/null & echo last >&2; exit 3", Input::None);
        let status = child.wait_or_kill().await;
        assert_eq!(exit_message("sh", status), "sh ended with exit code 3");
        assert_eq!(child.stderr_tail(), ["last"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_truncated() {
        let mut child = shell("head -c 1000000 /dev/zero | tr '\\0' x >&2", Input::None);
        child.wait_or_kill().await;
        let longest = child.stderr_tail().iter().map(String::len).max();
        assert!(longest <= Some(MAX_LINE_BYTES as usize), "{longest:?}");
    }

    #[tokio::test]
    async fn the_environment_is_clean() {
        let mut child = shell("env | cut -d= -f1 | sort | tr '\\n' ' '", Input::None);
        let names = first_line(&mut child).await;
        for name in names.split_whitespace() {
            assert!(
                ["HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name),
                "{names}"
            );
        }
    }

    #[tokio::test]
    async fn only_a_confined_program_has_limits() {
        let own = std::fs::read_to_string("/proc/self/limits").expect("limits");
        let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
        let niceness = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(16));
        let niceness: i32 = niceness.expect("its niceness").parse().expect("a number");
        let script = "grep 'address space' /proc/self/limits; cut -d' ' -f19 /proc/self/stat; \
                      head -c 400000000 /dev/zero | tail -c 399999999 | wc -c";
        let confinement = Confinement {
            address_space: Some(200 << 20),
            niceness: 5,
        };
        let arguments = ["-c", script];
        let confined = spawn_confined("sh", arguments, Input::None, confinement);
        let mut child = confined.expect("a shell");
        let mut stderr_tail = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut stderr_tail).await.expect("read");
        let lines: Vec<_> = stderr_tail.lines().collect();
        assert!(
            lines[0].contains("209715200            209715200"),
            "{stderr_tail}"
        );
        let expected = (niceness + 5).min(19).to_string();
        assert_eq!(
            lines[1..],
            [expected.as_str(), "0"],
            "tail runs out of memory and writes nothing"
        );
        child.wait_or_kill().await;
        let stderr_tail = child.stderr_tail();
        assert!(
            stderr_tail.iter().any(|line| line.contains("memory")),
            "{stderr_tail:?}"
        );

        let mut child = shell(script, Input::None);
        let line = first_line(&mut child).await;
        let unconfined = own.lines().find(|line| line.contains("address space"));
        assert_eq!(Some(line.as_str()), unconfined.map(str::trim));
    }

    #[tokio::test]
    async fn a_missing_program_is_reported_with_how_to_install_it() {
        let missing = spawn("no-such-program", [""; 0], Input::None);
        let failure = missing.err().expect("refused");
        assert_eq!(failure.kind, FailureKind::Missing);
        assert_eq!(failure.reason, "no-such-program is not installed");
        let failure = super::failure("ffmpeg", &io::ErrorKind::NotFound.into());
        assert_eq!(
            failure.reason,
            "ffmpeg is not installed: apt install ffmpeg"
        );
    }
}
