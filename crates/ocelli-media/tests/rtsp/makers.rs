//! Cameras of common makers.

use crate::support::{Rtp, assert_plays};
use ocelli_testkit::rtsp_makers::MAKERS;
use std::process::{Command, Stdio};

#[tokio::test]
async fn cameras_of_common_makers_play() {
    for maker in MAKERS {
        let packets = Rtp::new(maker.payload_type).h264();
        let script = maker.script().packets(maker.channel, &packets);
        assert_plays(script, maker.name).await;
    }
}

/// The scripts are realistic: ffmpeg plays them too.
#[test]
fn ffmpeg_plays_the_same_cameras() {
    let started = MAKERS.iter().map(|maker| {
        let mut rtp = Rtp::new(maker.payload_type);
        let groups: Vec<_> = (0..60).flat_map(|_| rtp.h264()).collect();
        let camera = maker
            .script()
            .packets(maker.channel, &groups)
            .close()
            .start();
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-rtsp_transport", "tcp"])
            .args(["-allowed_media_types", "video", "-i", &camera.url()])
            .args(["-an", "-frames:v", "3", "-f", "rawvideo", "-"])
            .stdin(Stdio::null());
        let output = std::thread::spawn(move || command.output().expect("ffmpeg"));
        (maker.name, camera, output)
    });
    for (name, _camera, output) in started.collect::<Vec<_>>() {
        let output = output.join().expect("ffmpeg");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout.len(), 3 * 64 * 48 * 3 / 2, "{name}: {words}");
    }
}
