//! Source for inputs that only ffmpeg can read. H.264 and H.265 are passed on as they are;
//! anything else is transcoded to JPEG.
//!
//! Whether an input has to be transcoded is known only once ffmpeg has opened it. Then another
//! ffmpeg opens it again, and later attempts begin with that one.

mod playlist;

use super::transport::{self, Outcome, Writer};
use super::{Address, Credentials, Kind, SoundRequest};
use crate::ffmpeg::{self, SoundTask};
use crate::options::{JpegOptions, JpegRate};
use crate::supervise::{Child, Input as Stdin, Reaper};
use ocelli_config::{ConfigError, Section};
use ocelli_core::{Closed, Failure, FailureKind, Publisher, RunOnce, Source};
use playlist::{has_times, playlist, protocols, verifying};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep_until};
use url::Url;

/// The kind `ffmpeg`.
pub const KIND: Kind = Kind {
    name: "ffmpeg",
    schemes: &["ffmpeg", "rtmp", "rtmps", "srt", "udp", "rtp"],
    about: "Anything that the ffmpeg program can read: H.264 and H.265 as they are, anything else as JPEG.",
    example: "ffmpeg:rtsp://viewer:password@10.0.0.9/odd",
    options: &[
        (
            "transport",
            "for rtsp and rtsps: \"tcp\" (the default) or \"udp\"",
        ),
        (
            "input_format",
            "the format of the input if ffmpeg can't detect it, like \"v4l2\"",
        ),
        (
            "verify_tls",
            "false accepts any certificate, including self-signed ones; true by default",
        ),
        ("sound", "false leaves the sound out; true by default"),
    ],
    open,
};

/// A film that is shorter than this is not repeated at once: each repetition starts a program.
const SHORTEST_FILM: Duration = Duration::from_millis(500);

/// The end of ffmpeg's report that it can't go back to the beginning of a file.
const CAN_NOT_SEEK: &str = ": Operation not permitted";

/// ffmpeg's input.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    /// A network stream.
    Url {
        /// The address without credentials.
        bare: String,
        credentials: Option<Credentials>,
        transport: &'static str,
    },
    /// A filter graph that generates pictures.
    Lavfi(String),
    /// A file, played in a loop in real time.
    Loop(String),
    /// A device or a pipe on this machine.
    Local(String),
}

/// Verification of a network stream's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verification {
    On,
    Off,
    /// ffmpeg passes no TLS options to its RTSP client.
    Impossible,
}

/// What ffmpeg does with the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// It passes on H.264 and H.265, and does this with the sound.
    Copy(SoundTask),
    /// It makes JPEG.
    Transcode,
}

/// A source that ffmpeg reads.
#[derive(Debug)]
pub(super) struct Ffmpeg {
    input: Input,
    format: Option<String>,
    jpeg: JpegOptions,
    verification: Verification,
    /// Whether the input is known to have another codec than H.264 and H.265.
    must_transcode: AtomicBool,
    sound: SoundRequest,
    /// Whether the input is known to have sound in another codec than AAC and Opus.
    transcodes_sound: AtomicBool,
    reaper: Reaper,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    Ok(Arc::new(read(&address, options)?))
}

fn read(address: &Address, options: &mut Section<'_>) -> Result<Ffmpeg, ConfigError> {
    let format = options.string("input_format")?;
    let transport_span = options.span("transport");
    let transport = match options.string("transport")?.as_deref() {
        None | Some("tcp") => "tcp",
        Some("udp") => "udp",
        Some(_) => {
            let message = "`transport` is \"tcp\" or \"udp\"";
            return Err(ConfigError::new(message).at(transport_span));
        }
    };
    let verify_tls = options.boolean("verify_tls")?.unwrap_or(true);
    let sound = options.boolean("sound")?.unwrap_or(true);
    let jpeg = JpegOptions::of(options)?;
    let written = match address.scheme() {
        "ffmpeg" => address.rest(),
        _ => address.bare(),
    };
    // Each of these characters would end the line in the list and inject another one.
    if written.is_empty() || written.contains(['\n', '\r', '\0']) {
        let message = format!(
            "{:?} is not an input that ffmpeg can read",
            address.redacted()
        );
        return Err(ConfigError::new(message));
    }
    let is_rtsps = address.scheme() == "ffmpeg" && written.starts_with("rtsps:");
    let verification = match verify_tls {
        false => Verification::Off,
        true if is_rtsps => Verification::Impossible,
        true => Verification::On,
    };
    let input = if let Some(graph) = written.strip_prefix("lavfi:") {
        Input::Lavfi(graph.to_owned())
    } else if written.contains("://") && !written.starts_with("file:") {
        Input::Url {
            bare: written.to_owned(),
            credentials: address.credentials.clone(),
            transport,
        }
    } else {
        Input::Local(written.to_owned())
    };
    Ok(Ffmpeg {
        input,
        format,
        jpeg,
        verification,
        must_transcode: AtomicBool::new(false),
        sound: SoundRequest::new(sound),
        transcodes_sound: AtomicBool::new(false),
        reaper: Reaper::default(),
    })
}

impl Ffmpeg {
    /// Creates a source that plays a file in a loop.
    pub(super) fn looping(path: &str, sound: bool, jpeg: JpegOptions) -> Self {
        Self {
            input: Input::Loop(path.to_owned()),
            format: None,
            jpeg,
            verification: Verification::On,
            must_transcode: AtomicBool::new(false),
            sound: SoundRequest::new(sound),
            transcodes_sound: AtomicBool::new(false),
            reaper: Reaper::default(),
        }
    }

    /// Creates a source that plays an RTSP camera with another codec than H.264 and H.265. Its
    /// address is passed to [`Self::play`].
    pub(super) fn rtsp(jpeg: JpegOptions) -> Self {
        Self {
            input: Input::Url {
                bare: String::new(),
                credentials: None,
                transport: "tcp",
            },
            format: None,
            jpeg,
            verification: Verification::On,
            must_transcode: AtomicBool::new(false),
            sound: SoundRequest::default(),
            transcodes_sound: AtomicBool::new(false),
            reaper: Reaper::default(),
        }
    }

    /// Plays the camera at `url`.
    ///
    /// # Errors
    /// The stream ends, or ffmpeg can't play it.
    pub(super) async fn play(
        &self,
        url: &Url,
        credentials: Option<&Credentials>,
        publisher: &Publisher,
    ) -> Result<(), Failure> {
        let input = |transport| Input::Url {
            bare: url.to_string(),
            credentials: credentials.cloned(),
            transport,
        };
        match self.transcode(&input("tcp"), publisher).await {
            // 461: the camera refuses this transport.
            (false, Err(failure)) if failure.reason.contains("461") => {
                self.transcode(&input("udp"), publisher).await.1
            }
            (_, result) => result,
        }
    }

    /// Completes when no process of it is left.
    pub(super) async fn ended(&self) {
        self.reaper.idle().await;
    }

    /// Returns the command line and the text for standard input.
    fn command(&self, input: &Input, task: Task) -> (Vec<String>, Option<String>) {
        let mut arguments = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-threads", "1", "-flags", "low_delay"]);
        if task == Task::Transcode && self.jpeg.rate == JpegRate::KeyFrames {
            add(&["-skip_frame", "nokey"]);
        }
        let mut list = None;
        match input {
            Input::Url {
                bare,
                credentials,
                transport,
            } => {
                let protocols = format!("pipe,{}", protocols(bare));
                add(&["-protocol_whitelist", &protocols]);
                add(&["-f", "concat", "-safe", "0", "-i", "pipe:0"]);
                let times = task != Task::Transcode || has_times(bare);
                let mut text = playlist(bare, credentials.as_ref(), transport, times);
                if self.verification == Verification::On {
                    text.push_str(&verifying(bare));
                }
                list = Some(text);
            }
            Input::Lavfi(graph) => {
                add(&["-protocol_whitelist", "file", "-re"]);
                add(&["-f", "lavfi", "-i", graph]);
            }
            Input::Loop(path) => {
                add(&["-protocol_whitelist", "file", "-re"]);
                if task == Task::Transcode {
                    add(&["-stream_loop", "-1"]);
                }
                add(&["-i", &format!("file:{path}")]);
            }
            Input::Local(path) => {
                let format = match &self.format {
                    Some(format) => Some(format.as_str()),
                    None if path.starts_with("/dev/video") => Some("v4l2"),
                    None => None,
                };
                add(&["-protocol_whitelist", "file"]);
                // A pipe or a device sets the pace itself.
                let file = path.strip_prefix("file:").unwrap_or(path);
                if Path::new(file).is_file() {
                    add(&["-re"]);
                }
                if let Some(format) = format {
                    add(&["-f", format]);
                }
                add(&["-i", path]);
            }
        }
        arguments.extend(match task {
            Task::Copy(sound) => ffmpeg::to_copy(sound),
            Task::Transcode => ffmpeg::to_smjpeg(&self.jpeg, None, None),
        });
        (arguments, list)
    }

    async fn run(&self, input: &Input, publisher: &Publisher) -> Result<(), Failure> {
        if self.verification == Verification::Impossible {
            let reason = "ffmpeg can't verify the certificate of an rtsps camera; \
                          verify_tls = false accepts any certificate";
            return Err(Failure::new(FailureKind::Unsupported, reason));
        }
        if self.may_copy(input) && !self.must_transcode.load(Ordering::Relaxed) {
            let has_other_codec = self.copy(input, publisher).await?;
            self.must_transcode
                .store(has_other_codec, Ordering::Relaxed);
        }
        let (had_pictures, result) = self.transcode(input, publisher).await;
        if !had_pictures {
            self.must_transcode.store(false, Ordering::Relaxed);
        }
        result
    }

    /// Publishes the input's own pictures. Returns if it has none that can be copied: true if its
    /// codec is another one.
    ///
    /// Each repetition of a film is read by another ffmpeg. It would repeat the film itself, but
    /// does not find the first key frame of some formats again.
    async fn copy(&self, input: &Input, publisher: &Publisher) -> Result<bool, Failure> {
        loop {
            let started = Instant::now();
            let sound = self.sound_task();
            let mut trial = self.sound.observe(sound != SoundTask::Drop);
            let mut child = self.start(input, Task::Copy(sound), publisher).await?;
            let stream = output(&mut child);
            let mut on_picture = || trial.note_picture();
            let outcome = transport::publish(stream, Writer::Ffmpeg, publisher, &mut on_picture);
            let had_pictures = match outcome.await? {
                Outcome::Ended { had_pictures } => had_pictures,
                outcome => {
                    // A camera may refuse a second connection while the first one is open.
                    child.wait_or_kill().await;
                    if outcome == Outcome::NotNative {
                        return Ok(true);
                    }
                    self.transcodes_sound.store(true, Ordering::Relaxed);
                    continue;
                }
            };
            let status = child.wait_or_kill().await;
            let is_whole = status.is_some_and(|status| status.success());
            if is_whole && had_pictures && matches!(input, Input::Loop(_)) {
                publisher.interrupt();
                sleep_until(started + SHORTEST_FILM).await;
                continue;
            }
            let failure = self.failure(input, &mut child, publisher).await;
            let is_unplayable =
                matches!(failure.kind, FailureKind::Ended | FailureKind::Unsupported);
            if !had_pictures && is_unplayable && sound != SoundTask::Drop {
                // The sound may be the reason.
                trial.note_failure();
                continue;
            }
            match failure.kind {
                // It may have a format from which ffmpeg can decode but not copy, or the stream is
                // only about to begin.
                FailureKind::Ended | FailureKind::Unsupported if !had_pictures => return Ok(false),
                _ => return Err(failure),
            }
        }
    }

    fn sound_task(&self) -> SoundTask {
        match (
            self.sound.is_on(),
            self.transcodes_sound.load(Ordering::Relaxed),
        ) {
            (false, _) => SoundTask::Drop,
            (true, false) => SoundTask::Copy,
            (true, true) => SoundTask::Aac,
        }
    }

    /// Whether the input may have H.264 or H.265. Devices are opened in the format that they have.
    fn may_copy(&self, input: &Input) -> bool {
        match input {
            Input::Lavfi(_) => false,
            Input::Local(path) => !path.starts_with("/dev/") && self.format.is_none(),
            Input::Url { .. } | Input::Loop(_) => true,
        }
    }

    /// Publishes the input as JPEG. Returns whether there were pictures, and how it ended.
    ///
    /// ffmpeg can't go back to the beginning of some files, such as elementary streams. Each
    /// repetition of these is read by another one.
    async fn transcode(&self, input: &Input, publisher: &Publisher) -> (bool, Result<(), Failure>) {
        loop {
            let started = Instant::now();
            let mut child = match self.start(input, Task::Transcode, publisher).await {
                Ok(child) => child,
                Err(failure) => return (false, Err(failure)),
            };
            let had_pictures = match ffmpeg::publish(output(&mut child), publisher).await {
                Ok(had_pictures) => had_pictures,
                Err(failure) => return (true, Err(failure)),
            };
            let failure = self.failure(input, &mut child, publisher).await;
            let is_over = failure.reason.ends_with(CAN_NOT_SEEK);
            if !is_over || !had_pictures || !matches!(input, Input::Loop(_)) {
                return (had_pictures, Err(failure));
            }
            publisher.interrupt();
            sleep_until(started + SHORTEST_FILM).await;
        }
    }

    async fn start(
        &self,
        input: &Input,
        task: Task,
        publisher: &Publisher,
    ) -> Result<Child, Failure> {
        let (arguments, list) = self.command(input, task);
        let stdin = match list {
            Some(_) => Stdin::Piped,
            None => Stdin::None,
        };
        let limits = &publisher.capacity().limits().picture;
        let mut child = ffmpeg::start(arguments, stdin, limits)?;
        child.reaper = self.reaper.clone();
        if let (Some(mut stdin), Some(list)) = (child.stdin.take(), list) {
            // The list fits into the pipe, so this does not block. If ffmpeg has already exited,
            // its standard error has the reason.
            let _ = stdin.write_all(list.as_bytes()).await;
        }
        Ok(child)
    }

    /// Returns the failure of an ffmpeg whose output has ended.
    async fn failure(&self, input: &Input, child: &mut Child, publisher: &Publisher) -> Failure {
        let limits = &publisher.capacity().limits().picture;
        let failure = ffmpeg::exit_failure(child, limits).await;
        // ffmpeg made pictures until it ended without an error.
        if failure.reason == "ffmpeg ended" {
            return Failure::new(FailureKind::Ended, "the stream ended");
        }
        match input {
            Input::Loop(path) | Input::Local(path) => ffmpeg::name_file(failure, path),
            Input::Url { .. } | Input::Lavfi(_) => failure,
        }
    }
}

/// Returns the output of an ffmpeg.
fn output(child: &mut Child) -> ChildStdout {
    let Some(stdout) = child.stdout.take() else {
        unreachable!("standard output is always a pipe");
    };
    stdout
}

impl Source for Ffmpeg {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&self.input, &publisher).await })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move { self.ended().await })
    }

    fn patience(&self) -> Duration {
        // Pictures are the only sign that the stream is alive, even if they are rare.
        let between = match self.jpeg.rate {
            JpegRate::Fps(fps) => 3.0 / fps,
            JpegRate::KeyFrames => 30.0,
        };
        Duration::from_secs(10).max(Duration::from_secs_f64(between))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(written: &str) -> (Vec<String>, Option<String>) {
        let mut options = Section::empty("a test");
        let source = read(&Address::new(written), &mut options);
        let source = source.expect("a source");
        source.command(&source.input, Task::Transcode)
    }

    #[test]
    fn the_address_is_not_on_the_command_line() {
        let (arguments, list) = made("ffmpeg:rtsp://viewer:p'w@10.0.0.7/a'b?x=1");
        let line = arguments.join(" ");
        assert!(
            !line.contains("10.0.0.7") && !line.contains("viewer"),
            "{line}"
        );
        assert!(line.contains("-protocol_whitelist pipe,rtsp,rtp,tcp,udp "));
        let list = list.expect("a list");
        assert!(
            list.contains("file 'rtsp://viewer:p%27w@10.0.0.7/a'\\''b?x=1'\n"),
            "{list}"
        );
    }

    #[test]
    fn certificates_are_verified_unless_that_is_turned_off() {
        for (address, is_verified) in [
            ("ffmpeg:https://h/a.m3u8", true),
            ("rtmps://h/a/b", true),
            ("ffmpeg:http://h/a.m3u8", false),
            ("ffmpeg:rtsp://h/a", false),
        ] {
            let (_, list) = made(address);
            let verifies = list.expect("a list").contains("\noption tls_verify 1\n");
            assert_eq!(verifies, is_verified, "{address}");
        }
        let rtsps = Address::new("ffmpeg:rtsps://h/a");
        let source = read(&rtsps, &mut Section::empty("a test")).expect("a source");
        assert_eq!(source.verification, Verification::Impossible);
    }

    #[test]
    fn an_address_cannot_inject_lines() {
        for bad in ["ffmpeg:", "ffmpeg:http://h/\nfile 'x'", "ffmpeg:a\0b"] {
            let mut options = Section::empty("a test");
            assert!(open(Address::new(bad), &mut options).is_err(), "{bad:?}");
        }
    }
}
