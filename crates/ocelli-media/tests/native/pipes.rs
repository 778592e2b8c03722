//! A named pipe that a shell holds open while the programs that write to it come and go: the
//! source sees no end of its input. The clock is paused, and only the tests advance it.

use super::support::{Dir, Native};
use ocelli_core::{CameraStatus, Frame, raw_len};
use ocelli_testkit::hold_clock;
use ocelli_testkit::jpeg::Picture;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{advance, timeout};

/// A named pipe, and the shell that holds it open.
struct Pipe {
    dir: Dir,
    path: PathBuf,
    shell: Child,
}

impl Pipe {
    fn new(name: &str) -> Self {
        let dir = Dir::new(name);
        let path = dir.0.join("pipe");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut shell = Command::new("sh")
            .args(["-c", "exec 9<>\"$1\"; echo held; read -r _", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = shell.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self { dir, path, shell }
    }

    fn open(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }

    /// Starts a program that writes these bytes to the pipe and then waits.
    fn writer(&self, bytes: &[u8]) -> Writer {
        let file = self.dir.0.join("bytes");
        fs::write(&file, bytes).unwrap();
        let child = Command::new("cat")
            .args([file.as_os_str(), "-".as_ref()])
            .stdin(Stdio::piped())
            .stdout(self.open())
            .spawn();
        Writer(child.unwrap())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// A running program; dropping it kills it.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `wanted` accepts the status.
async fn until(native: &Native, wanted: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
    let mut changes = native.changes();
    loop {
        let status = native.camera.status();
        if wanted(&status) {
            return status;
        }
        let changed = timeout(Duration::from_secs(60), changes.changed()).await;
        assert!(matches!(changed, Ok(Ok(()))), "{status:?}");
    }
}

/// Lets the source read what is in the pipe, and then time pass.
async fn pause(time: Duration) {
    for _ in 0..20 {
        yield_now().await;
    }
    advance(time).await;
}

/// A format: its configuration, whole pictures, and an incomplete one.
struct Format {
    is_raw: bool,
    lines: &'static str,
    whole: [Vec<u8>; 3],
    cut: Vec<u8>,
}

/// Raw pictures of a scene in which little changes.
fn raw() -> Format {
    let len = raw_len(64, 48);
    let picture = |number: usize| (0..len).map(|at| (at / 16 % 200 + number) as u8).collect();
    let mut cut: Vec<u8> = picture(0);
    cut.truncate(len / 2);
    Format {
        is_raw: true,
        lines: "format = \"yuv420p\"\nsize = \"64x48\"\nfps = 25",
        whole: [1, 2, 3].map(picture),
        cut,
    }
}

/// JPEGs, of which the incomplete one ends in its scan.
fn mjpeg() -> Format {
    let picture = |number| Picture::QVGA.encode_now(number).to_vec();
    let mut cut = picture(0);
    cut.truncate(cut.len() - 20);
    Format {
        is_raw: false,
        lines: "format = \"mjpeg\"",
        whole: [1, 2, 3].map(picture),
        cut,
    }
}

/// Returns the next picture. Raw ones are seen where they are transcoded.
async fn shown(native: &mut Native, is_raw: bool) -> Frame {
    match is_raw {
        true => native.frame().await,
        false => native.viewed().await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_a_killed_program_has_not_completed_is_not_shown() {
    for format in [raw(), mjpeg()] {
        let Format {
            is_raw,
            lines,
            whole,
            cut,
        } = format;
        let pipe = Pipe::new("pipe");
        let held = hold_clock();
        let address = format!("pipe:{}", pipe.path.display());
        let mut native = Native::watch_with(&address, lines);
        let writer = pipe.writer(&[&whole[0][..], &cut].concat());
        let first = shown(&mut native, is_raw).await;
        assert!(first.payload() == whole[0], "{lines}");
        // The program is killed, and started again soon.
        drop(writer);
        pause(Duration::from_secs(2)).await;
        let writer = pipe.writer(&[&whole[1][..], &cut].concat());
        let second = shown(&mut native, is_raw).await;
        assert!(second.payload() == whole[1], "{lines}");
        assert_eq!(second.sequence, first.sequence + 1, "{lines}");
        assert_eq!(native.camera.status().restarts, 0, "{lines}");
        // The program is killed for good.
        drop(writer);
        pause(Duration::ZERO).await;
        drop(held);
        let status = until(&native, |status| status.restarts > 0).await;
        let last = status.last_failure.map(|last| last.reason);
        let last = last.unwrap_or_default();
        assert!(last.starts_with("no picture for "), "{lines}: {last}");
        // The source starts again, and another program comes.
        let _held = hold_clock();
        pause(Duration::from_secs(1)).await;
        let _writer = pipe.writer(&whole[2]);
        let mut third = shown(&mut native, is_raw).await;
        if third.sequence == second.sequence {
            // The last picture is transcoded again after the restart.
            third = shown(&mut native, is_raw).await;
        }
        assert!(third.payload() == whole[2], "{lines}");
        assert_eq!(third.sequence, second.sequence + 1, "{lines}");
    }
}
