//! Heads of responses that deviate from HTTP, and TLS that is too old or missing.

use super::script::{Script, Watch};
use super::{picture, still};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use ocelli_testkit::OpenSsl;

#[tokio::test]
async fn heads_that_browsers_and_curl_accept_are_accepted() {
    let typed = "Content-Type: image/jpeg\r\n";
    for head in [
        format!("HTTP/1.1 200 OK\r\nServer\r\n{typed}\r\n"),
        format!("HTTP/1.1 200 OK\r\nMy Camera: 7\r\n: x\r\n{typed}\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Type : image/jpeg\r\n\r\n".to_owned(),
        format!("HTTP/1.1  200  OK\r\n{typed}\r\n"),
        format!("HTTP/1.1 200\r\n{typed}\r\n"),
        format!("HTTP/1.1 200 \r\n{typed}\r\n"),
        format!("HTTP/1.1\t200\tOK\r\n{typed}\r\n"),
        format!("HTTP/1.1 200 Всё\x01 хорошо\r\n{typed}\r\n"),
        format!("http/1.1 200 OK\r\n{typed}\r\n"),
        format!("HTTP/1.0 200 OK\n{}\n", typed.replace('\r', "")),
        format!("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\n{typed}\r\n"),
        format!("HTTP/1.1 200 OK\r\nX: \x01\x7f\r\n{typed}\r\n"),
        format!("HTTP/1.1 200 OK\r\n{typed}Content-Type: image/jpeg\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{typed}Content-Length: 3001 bytes\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{typed}Content-Length: 3001\r\nContent-Length: 9\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{typed}Transfer-Encoding: identity\r\n\r\n"),
        format!("ICY 200 OK\r\n{typed}\r\n"),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
    ] {
        let script = Script::new().await;
        let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
        let whole = picture(1);
        let (peer, _) = script.answer(&[head.as_bytes(), &whole].concat()).await;
        drop(peer);
        watch.shows(&whole, &head).await;
    }
}

#[tokio::test]
async fn plain_text_on_an_https_port_is_told() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"<html>",
        &still(&picture(1)),
    ] {
        let script = Script::new().await;
        let watch = Watch::new(&script.url("https", "", "/still.jpg"), "");
        let mut peer = script.accept().await;
        peer.send(answer).await;
        let reason = watch.failure().await;
        assert!(
            reason.starts_with("it does not speak TLS on this port: write http://"),
            "{reason}"
        );
    }
    let script = Script::new().await;
    let watch = Watch::new(&script.url("https", "", "/still.jpg"), "");
    drop(script.accept().await);
    let reason = watch.failure().await;
    assert!(reason.starts_with("the camera close"), "{reason}");
}

#[tokio::test]
async fn a_port_that_expects_tls_is_told() {
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
    script.answer(b"\x15\x03\x01\x00\x02\x02\x46").await;
    let reason = "it speaks TLS on this port: write https:// in place of http://";
    assert_eq!(watch.failure().await, reason);
}

#[tokio::test]
async fn old_tls_is_told_in_words() {
    let too_old = |cause: &str| {
        format!("its TLS is too old: it supports {cause}; ffmpeg: in front of its address plays it")
    };
    let version = too_old("neither TLS 1.2 nor 1.3");
    let ciphers = too_old("no key exchange and cipher that are still considered secure");
    for (arguments, expected) in [
        ("-tls1 -cipher ALL:@SECLEVEL=0", &version),
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", &version),
        (
            "-tls1_2 -cipher AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0",
            &ciphers,
        ),
        ("-tls1_2 -cipher DHE-RSA-AES128-SHA:@SECLEVEL=0", &ciphers),
    ] {
        let server = OpenSsl::start(arguments);
        for lines in ["", "verify_tls = false"] {
            let url = format!("https://127.0.0.1:{}/", server.port());
            let reason = Watch::new(&url, lines).failure().await;
            assert_eq!(&reason, expected, "{arguments}");
        }
    }
}

#[tokio::test]
async fn a_camera_that_requires_a_client_certificate_is_told() {
    for version in ["-tls1_2", "-tls1_3"] {
        let server = OpenSsl::start(&format!("{version} -Verify 1"));
        for scheme in ["https", "rtsps"] {
            let url = format!("{scheme}://127.0.0.1:{}/", server.port());
            let reason = Watch::new(&url, "verify_tls = false").failure().await;
            let expected = "it requires a client certificate, which is not supported";
            assert_eq!(reason, expected, "{scheme} {version}");
        }
    }
}

#[tokio::test]
async fn ffmpeg_verifies_certificates_and_plays_old_tls() {
    for arguments in ["-tls1_2", "-tls1 -cipher ALL:@SECLEVEL=0"] {
        let server = OpenSsl::start(arguments);
        let url = format!("ffmpeg:https://127.0.0.1:{}/answer", server.port());
        let reason = Watch::new(&url, "").failure().await;
        let expected = "its certificate can't be verified: it has expired, or is not signed by an \
             authority that this machine trusts; verify_tls = false accepts any certificate";
        assert_eq!(reason, expected);
        let mut watch = Watch::new(&url, "verify_tls = false");
        watch.shows_any(arguments).await;
    }
    let reason = Watch::new("ffmpeg:rtsps://127.0.0.1/", "").failure().await;
    assert!(reason.contains("verify_tls = false"), "{reason}");
}

#[tokio::test]
async fn compressed_pictures_are_decoded() {
    let whole = picture(1);
    let body = compress_to_vec(&whole, 6);
    let gzip = [&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3][..], &body, &[0; 8]].concat();
    for (coding, body) in [
        ("gzip", &gzip),
        ("x-gzip", &gzip),
        ("deflate", &compress_to_vec_zlib(&whole, 6)),
        ("deflate", &body),
        ("identity", &whole),
        // As some servers say it without doing it.
        ("gzip", &whole),
    ] {
        let script = Script::new().await;
        let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Encoding: {coding}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let (_peer, _) = script.answer(&[head.as_bytes(), body].concat()).await;
        watch.shows(&whole, coding).await;
    }
}

#[tokio::test]
async fn a_compressed_stream_shows_each_picture_when_it_comes() {
    let script = Script::new().await;
    let mut watch = Watch::new(&script.url("http", "", "/mjpeg"), "");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\
                Content-Encoding: gzip\r\n\r\n";
    let (mut peer, _) = script.answer(head.as_bytes()).await;
    for number in 1..4 {
        let whole = picture(number);
        let part = [
            &b"--b\r\nContent-Type: image/jpeg\r\n\r\n"[..],
            &whole,
            b"\r\n",
        ]
        .concat();
        let body = compress_to_vec(&part, 6);
        peer.send([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]).await;
        peer.send(&body).await;
        peer.send([0; 8]).await;
        watch.shows(&whole, "a member for each part").await;
    }
}

#[tokio::test]
async fn compressed_bodies_that_can_not_be_decoded_are_told() {
    // Many zeroes in few bytes, which are no picture.
    let bomb = compress_to_vec(&vec![0; 64 << 20], 9);
    assert!(bomb.len() < 100 << 10);
    for (coding, body, expected) in [
        (
            "br",
            &b"x"[..],
            "it compresses its pictures with br, which is not supported",
        ),
        (
            "gzip",
            &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 7, 7, 7],
            "it says that its pictures are",
        ),
        ("deflate", &bomb, "it "),
    ] {
        let script = Script::new().await;
        let watch = Watch::new(&script.url("http", "", "/mjpeg"), "");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\
             Content-Encoding: {coding}\r\n\r\n"
        );
        let (_peer, _) = script.answer(&[head.as_bytes(), body].concat()).await;
        let reason = watch.failure().await;
        assert!(reason.starts_with(expected), "{coding}: {reason}");
    }
}

#[tokio::test]
async fn a_transport_stream_without_a_type_of_its_own_gets_advice() {
    let packet = [&[0x47, 0x40, 0x11, 0x10][..], &[0xFF; 184]].concat();
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", "", "/live"), "");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
    let (_peer, _) = script
        .answer(&[head.as_bytes(), &packet.repeat(20)].concat())
        .await;
    assert_eq!(
        watch.failure().await,
        "it answers with an MPEG transport stream, not with pictures: ffmpeg: in front of its \
         address plays it"
    );
}
