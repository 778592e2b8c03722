//! RTSP cameras against GStreamer's RTSP server, JPEG by the real ffmpeg.

mod support;

use ocelli_core::Codec;
use ocelli_testkit::{RtspAuth, RtspServer, RtspServerOptions};
use support::{Watched, shades};

fn server() -> RtspServer {
    RtspServer::start(RtspServerOptions::default())
}

fn with_password(auth: RtspAuth) -> RtspServer {
    RtspServer::start(RtspServerOptions {
        auth: Some(("viewer".into(), "p@ss:w/rd".into(), auth)),
        ..Default::default()
    })
}

#[tokio::test]
async fn every_codec_arrives_as_jpeg_in_its_size() {
    let server = server();
    let mounts = [
        ("h264", Codec::H264),
        ("h265", Codec::H265),
        ("mjpeg", Codec::Jpeg),
        ("oob", Codec::H264),
        ("bframes", Codec::H264),
        ("av", Codec::H264),
    ];
    for (mount, codec) in mounts {
        let watched = Watched::new(&server.url(mount));
        let mut viewer = watched.watch();
        assert_eq!(viewer.size().await, (320, 240), "{mount}");
        let first = viewer.frame().await;
        let second = viewer.frame().await;
        assert!(second.captured > first.captured, "{mount}");
        let status = watched.until(|status| status.state.name() == "live").await;
        assert_eq!((status.codec, status.size), (Some(codec), Some((320, 240))));
        let colours = shades(&second.payload());
        assert_ne!(
            colours.iter().min(),
            colours.iter().max(),
            "{mount}: a picture"
        );
    }
}
