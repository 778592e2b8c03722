//! Checks for any source, connected in the same way as the hub connects.

use super::report::{Report, sentence};
use crate::config::{CameraConfig, Config};
use crate::launch;
use ocelli_core::{Quality, State};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Time limit for the first picture.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long pictures are counted.
const COUNT_TIME: Duration = Duration::from_secs(3);

/// Watches a camera briefly.
pub async fn diagnose(camera: CameraConfig, report: &mut Report) {
    let kind = camera.kind;
    let mut config = Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let (app, room) = (camera.app.clone(), camera.room.clone());
    if let Ok(known) = ocelli_core::App::new(&app) {
        config.apps.push(known);
    }
    config.cameras.push(camera);
    let found = launch::hub(&config).ok().and_then(|hub| {
        let camera = hub.find(&app, &room)?;
        Some((hub, camera))
    });
    let Some((hub, camera)) = found else {
        return report.fail(
            "camera",
            "This camera can't be created from its configuration.",
        );
    };
    let mut viewer = camera.follow(Quality::Main);
    let mut changes = hub.changes();
    let until = Instant::now() + FIRST_PICTURE_TIMEOUT;
    let first = loop {
        if let State::Failed(reason) = camera.status().state {
            break Err(reason);
        }
        tokio::select! {
            frame = viewer.next() => break Ok(frame),
            _ = changes.changed() => {}
            () = sleep_until(until) => {
                let status = camera.status();
                let last = status.last_failure.map(|last| last.reason);
                let reason = status.state.reason().map(str::to_owned).or(last);
                break Err(reason.unwrap_or_else(|| "no picture arrived in time".to_owned()));
            }
        }
    };
    match first {
        Ok(_) => {
            let until = Instant::now() + COUNT_TIME;
            let (mut count, mut bytes, started) = (0, 0, Instant::now());
            while let Ok(frame) = timeout_at(until, viewer.next()).await {
                count += 1;
                bytes += frame.payload_len();
            }
            let seconds = started.elapsed().as_secs_f64();
            let status = camera.status();
            let codec = status
                .codec
                .map_or("an unknown codec", ocelli_core::Codec::name);
            let size = match status.size {
                Some((width, height)) => format!("{width} × {height}"),
                None => "unknown size".to_owned(),
            };
            let rate = match count {
                0 => format!("no second one within {seconds:.0} s"),
                _ => format!(
                    "{:.1} JPEGs a second of about {} kB",
                    count as f64 / seconds,
                    bytes / count / 1000
                ),
            };
            report.pass(
                "pictures",
                format!("The source ({kind}) delivers pictures: {codec}, {size}, {rate}."),
            );
        }
        Err(reason) => {
            let message = format!(
                "The source ({kind}) delivers no pictures: {} {}",
                sentence(&reason),
                advice(kind, &reason)
            );
            report.fail("pictures", message.trim_end());
        }
    }
    hub.stop();
}

/// Advice for the hub's message about a failure.
fn advice(kind: &str, reason: &str) -> &'static str {
    let has = |part: &str| reason.contains(part);
    if has("401") && !has("wrong") {
        "Add them: http://user:password@host/…, or `user` and `password_file` in the configuration."
    } else if has("401") {
        "Check both in the camera's own settings; write @ in a password as %40."
    } else if has("404") || has("no such") || has("does not support this protocol") {
        "Check the address: its path, and its spelling."
    } else if has("connection refused") || has("no answer") || has("no route") {
        "Check that the camera is switched on and on this network, and that its address has not changed."
    } else if has("ffmpeg is not installed") {
        "Install it: apt install ffmpeg."
    } else if matches!(kind, "file" | "exec" | "pipe" | "v4l2") {
        ""
    } else {
        "Open the address in a browser or in VLC to see whether the camera itself works."
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn only_addresses_are_to_be_opened_elsewhere() {
        let reason = "its output is MPEG-TS, not H.264";
        for kind in ["file", "exec", "pipe", "v4l2"] {
            assert_eq!(advice(kind, reason), "", "{kind}");
        }
        assert!(advice("http", reason).starts_with("Open the address in a browser"));
    }
}
