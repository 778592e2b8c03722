//! Redirects.

use crate::support::{H264, Rtp, Script, play, play_at, three_pictures};
use std::net::Ipv4Addr;

fn moved(target: &str) -> String {
    format!("RTSP/1.0 302 Moved\r\nCSeq: {{cseq}}\r\nLocation: {target}\r\n\r\n")
}

fn playing() -> Script {
    Script::new()
        .describe(H264)
        .play()
        .packets(0, &Rtp::new(96).h264())
}

const CHALLENGE: &str = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\
     WWW-Authenticate: Basic realm=\"x\"\r\n\r\n";

#[tokio::test]
async fn a_redirect_is_followed_without_the_password_to_another_host() {
    for step in ["DESCRIBE", "SETUP"] {
        let elsewhere = playing().start_at(Ipv4Addr::new(127, 0, 0, 2));
        let target = format!("rtsp://other:hush@{}/y", elsewhere.address());
        let script = Script::new().answer("DESCRIBE", CHALLENGE);
        let script = match step {
            "SETUP" => script.describe(H264),
            _ => script,
        };
        let camera = script.answer(step, moved(&target)).start();
        assert_eq!(
            play(&camera, 3).await.as_deref(),
            Ok(&three_pictures()[..]),
            "{step}"
        );
        for request in elsewhere.requests() {
            assert!(
                !request.contains("Authorization") && !request.contains("hush"),
                "{request}"
            );
        }
    }
}

#[tokio::test]
async fn the_password_goes_to_another_port_of_the_same_host() {
    let elsewhere = Script::new()
        .answer("DESCRIBE", CHALLENGE)
        .describe(H264)
        .play()
        .packets(0, &Rtp::new(96).h264())
        .start();
    let target = format!("rtsp://{}/y", elsewhere.address());
    let camera = Script::new().answer("DESCRIBE", moved(&target)).start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    assert!(elsewhere.requests()[2].contains("Authorization: Basic "));
}

#[tokio::test]
async fn redirects_that_lead_nowhere_are_explained() {
    let around = Script::new().answer("DESCRIBE", moved("/again")).start();
    assert_eq!(play(&around, 1).await, Err("too many redirects".into()));
    let secured = Script::new()
        .answer("DESCRIBE", CHALLENGE)
        .start_at(Ipv4Addr::new(127, 0, 0, 2));
    let target = format!("rtsp://{}/y?token=hush", secured.address());
    let camera = Script::new().answer("DESCRIBE", moved(&target)).start();
    let expected = format!(
        "401: it redirects to rtsp://{}/y?token=***; the password is not sent there: enter that \
         address",
        secured.address()
    );
    assert_eq!(play(&camera, 1).await, Err(expected));
    for (target, expected) in [
        ("", "302: its redirect has no address"),
        (
            "http://h/",
            "it redirects to an address that is not an RTSP address",
        ),
        (
            "rtsp://",
            "it redirects to an address that is not an RTSP address",
        ),
    ] {
        let camera = Script::new().answer("DESCRIBE", moved(target)).start();
        assert_eq!(play(&camera, 1).await, Err(expected.into()), "{target}");
    }
}

#[tokio::test]
async fn the_ssrf_guard_checks_the_target_of_a_redirect() {
    let elsewhere = playing().start();
    let target = format!("rtsp://{}/y", elsewhere.address());
    let mut client = crate::support::client("rtsp://10.0.0.7/x");
    client.ssrf_guard = Some(ocelli_media::sources::SsrfGuard::new(1));
    client.follow(&target).unwrap();
    let reason = crate::support::play_with(client, 1).await.unwrap_err();
    assert_eq!(reason, ocelli_media::sources::REFUSED);
    assert!(elsewhere.requests().is_empty());
    assert!(play_at(&target, 3).await.is_ok());
}
