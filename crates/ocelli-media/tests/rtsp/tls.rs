//! Cameras with TLS.

use crate::support::{H264, Rtp, Script, client, play_with, three_pictures};
use ocelli_testkit::link::self_signed;

fn playing() -> Script {
    let packets = Rtp::new(96).h264();
    Script::new().describe(H264).play().packets(0, &packets)
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_unless_that_is_allowed() {
    let camera = playing().tls(self_signed().unwrap()).start();
    let url = format!(
        "rtsps://viewer:secret@localhost:{}/live",
        camera.address().port()
    );
    let reason = play_with(client(&url), 1).await.unwrap_err();
    assert_eq!(
        reason,
        "its certificate can't be verified; verify_tls = false accepts a self-signed one"
    );
    assert!(camera.requests().is_empty());
    let mut lenient = client(&url);
    lenient.verify_tls = false;
    assert_eq!(play_with(lenient, 3).await.unwrap(), three_pictures());
    assert!(camera.requests()[1].starts_with("DESCRIBE rtsps://localhost:"));
}

#[tokio::test]
async fn a_redirect_to_tls_keeps_the_password_and_one_away_from_it_does_not() {
    let challenge = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\
         WWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
    let moved = |target: String| {
        format!("RTSP/1.0 301 Moved\r\nCSeq: {{cseq}}\r\nLocation: {target}\r\n\r\n")
    };
    let secured = Script::new()
        .answer("DESCRIBE", challenge)
        .describe(H264)
        .play()
        .packets(0, &Rtp::new(96).h264())
        .tls(self_signed().unwrap())
        .start();
    let target = format!("rtsps://{}/y", secured.address());
    let camera = Script::new().answer("DESCRIBE", moved(target)).start();
    let mut lenient = client(&camera.url());
    lenient.verify_tls = false;
    assert_eq!(play_with(lenient, 3).await.unwrap(), three_pictures());

    let plain = Script::new().answer("DESCRIBE", challenge).start();
    let target = format!("rtsp://{}/y", plain.address());
    let camera = Script::new()
        .answer("DESCRIBE", moved(target))
        .tls(self_signed().unwrap())
        .start();
    let mut lenient = client(&camera.url().replace("rtsp://", "rtsps://"));
    lenient.verify_tls = false;
    let reason = play_with(lenient, 1).await.unwrap_err();
    assert!(
        reason.contains("the password is not sent there"),
        "{reason}"
    );
    let requests = plain.requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.contains("Authorization"))
    );
}

#[tokio::test]
async fn a_camera_without_tls_is_named() {
    let camera = Script::new()
        .run(|dialog| {
            dialog.send(b"RTSP/1.0 400 Bad Request\r\n\r\n")?;
            dialog.read().map(|_| ())
        })
        .start();
    let url = camera.url().replace("rtsp://", "rtsps://");
    let reason = play_with(client(&url), 1).await.unwrap_err();
    let expected = "it does not speak TLS on this port: write rtsp:// in place of rtsps://, or use \
         its RTSPS port";
    assert_eq!(reason, expected);
}
