//! Video4Linux cameras attached to this machine, mostly USB cameras.
//!
//! If the device makes JPEG, it is passed on unchanged. Otherwise raw pictures are read and
//! encoded. Which of the two applies is known only when ffmpeg opens the device.

use super::{Address, Kind};
use crate::ffmpeg;
use crate::options::{JpegOptions, JpegRate};
use crate::supervise::{Input, Reaper};
use ocelli_config::{ConfigError, Section, parse_size};
use ocelli_core::{Closed, Failure, FailureKind, Publisher, RunOnce, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The kind `v4l2`.
pub const KIND: Kind = Kind {
    name: "v4l2",
    schemes: &["v4l2"],
    about: "A camera attached to this machine, such as a USB camera. If it makes JPEG, that is \
           used.",
    example: "v4l2:/dev/video0",
    options: &[
        ("size", "the requested picture size, like \"1280x720\""),
        ("fps", "the requested number of pictures a second"),
    ],
    open,
};

/// ffmpeg's error message for a device that makes no JPEG.
const NO_JPEG: &str = "Cannot find a proper format for codec 'mjpeg'";

#[derive(Debug)]
struct Device {
    path: String,
    size: Option<(u16, u16)>,
    fps: Option<f64>,
    jpeg: JpegOptions,
    /// Whether the device was found to make no JPEG.
    raw: AtomicBool,
    reaper: Reaper,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    Ok(Arc::new(read(&address, options)?))
}

fn read(address: &Address, options: &mut Section<'_>) -> Result<Device, ConfigError> {
    let path = address.rest();
    if !path.starts_with("/dev/") || path.contains(['\0', '\n']) {
        let message = format!("{path:?} is not a device; write it like \"v4l2:/dev/video0\"");
        return Err(ConfigError::new(message));
    }
    let span = options.span("size");
    let size = match options.string("size")? {
        Some(written) => Some(
            parse_size(&written)
                .ok_or_else(|| ConfigError::new("`size` is written like \"1280x720\"").at(span))?,
        ),
        None => None,
    };
    let fps = options.number("fps", 0.1..=240.0)?;
    let mut jpeg = JpegOptions::of(options)?;
    if options.span("jpeg").is_none() {
        // Without JPEG options, use the requested rate, and do not scale raw pictures down.
        jpeg.rate = JpegRate::Fps(fps.unwrap_or(30.0));
        jpeg.width = size.map_or(jpeg.width, |(width, _)| width.max(64));
    }
    Ok(Device {
        path: path.to_owned(),
        size,
        fps,
        jpeg,
        raw: AtomicBool::new(false),
        reaper: Reaper::default(),
    })
}

impl Source for Device {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            if !self.raw.load(Ordering::Relaxed) {
                let failure = self.run(false, &publisher).await;
                match failure {
                    Some(failure) => return Err(failure),
                    None => self.raw.store(true, Ordering::Relaxed),
                }
            }
            Err(self.run(true, &publisher).await.unwrap_or_else(|| {
                Failure::new(FailureKind::Unsupported, "the device makes no pictures")
            }))
        })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move { self.reaper.idle().await })
    }
}

impl Device {
    fn arguments(&self, raw: bool) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-threads", "1", "-flags", "low_delay"]);
        add(&["-protocol_whitelist", "file", "-f", "v4l2"]);
        if !raw {
            add(&["-input_format", "mjpeg"]);
        }
        if let Some((width, height)) = self.size {
            add(&["-video_size", &format!("{width}x{height}")]);
        }
        if let Some(fps) = self.fps {
            add(&["-framerate", &fps.to_string()]);
        }
        add(&["-i", &self.path]);
        if raw {
            arguments.extend(ffmpeg::to_smjpeg(&self.jpeg, None, None));
        } else {
            add(&["-an", "-c:v", "copy", "-flush_packets", "1"]);
            add(&["-f", "smjpeg", "pipe:1"]);
        }
        arguments
    }

    /// Publishes until ffmpeg ends. Returns its failure, or `None` for a device that makes no
    /// JPEG.
    async fn run(&self, raw: bool, publisher: &Publisher) -> Option<Failure> {
        let limits = &publisher.capacity().limits().picture;
        let mut child = match ffmpeg::start(self.arguments(raw), Input::None, limits) {
            Ok(child) => child,
            Err(failure) => return Some(failure),
        };
        child.reaper = self.reaper.clone();
        let Some(stdout) = child.stdout.take() else {
            unreachable!("standard output is always a pipe");
        };
        if let Err(failure) = ffmpeg::publish(stdout, publisher).await {
            return Some(failure);
        }
        let failure = ffmpeg::exit_failure(&mut child, limits).await;
        let unfit = !raw
            && child
                .stderr_tail()
                .iter()
                .any(|line| line.contains(NO_JPEG));
        (!unfit).then(|| ffmpeg::name_file(failure, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_own_jpeg_is_tried_first() {
        let device = read(
            &Address::new("v4l2:/dev/video7"),
            &mut Section::empty("a test"),
        );
        let device = device.expect("a device");
        let line = device.arguments(false).join(" ");
        assert!(
            line.contains("-f v4l2 -input_format mjpeg -i /dev/video7 -an -c:v copy"),
            "{line}"
        );
        let line = device.arguments(true).join(" ");
        assert!(line.contains("-f v4l2 -i /dev/video7 -vf"), "{line}");
        assert!(line.contains("-c:v mjpeg"), "{line}");
    }

    #[test]
    fn a_path_outside_dev_is_refused() {
        for bad in ["v4l2:", "v4l2:/etc/passwd", "v4l2:video0"] {
            assert!(
                read(&Address::new(bad), &mut Section::empty("a test")).is_err(),
                "{bad}"
            );
        }
    }
}
