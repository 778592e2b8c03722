//! Heads of responses that deviate from HTTP, and TLS that is too old or missing.

use super::script::{Script, Watch};
use super::{picture, still};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use std::process::{Child, Command, Stdio};

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

/// `openssl s_server` with a self-signed certificate. It serves a picture at `/answer`.
struct OpenSsl(Child, u16);

impl OpenSsl {
    fn start(name: &str, arguments: &str) -> Self {
        let dir = format!("ocelli-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        let head = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n";
        std::fs::write(dir.join("answer"), [head, &picture(1)[..]].concat()).unwrap();
        let (key, certificate) = (dir.join("key.pem"), dir.join("cert.pem"));
        if !certificate.exists() {
            let made = Command::new("openssl")
                .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera".split(' '))
                .args(["-keyout".as_ref(), key.as_os_str()])
                .args(["-out".as_ref(), certificate.as_os_str()])
                .stderr(Stdio::null())
                .status();
            assert!(made.expect("openssl").success());
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-HTTP"])
            .current_dir(&dir)
            .args(arguments.split(' '))
            .args(["-key".as_ref(), key.as_os_str()])
            .args(["-cert".as_ref(), certificate.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self(child, port)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn old_tls_is_told_in_words() {
    let words = "its TLS is too old: it supports n";
    for arguments in [
        "-tls1 -cipher ALL:@SECLEVEL=0",
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1_2 -cipher AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0",
        "-tls1_2 -cipher DHE-RSA-AES128-SHA:@SECLEVEL=0",
    ] {
        let server = OpenSsl::start("old-tls", arguments);
        for lines in ["", "verify_tls = false"] {
            let url = format!("https://127.0.0.1:{}/", server.1);
            let reason = Watch::new(&url, lines).failure().await;
            assert!(reason.starts_with(words), "{arguments}: {reason}");
            assert!(
                reason.contains("ffmpeg: in front of its address plays it"),
                "{reason}"
            );
        }
    }
    // It asks for a certificate of the client.
    let server = OpenSsl::start("client", "-tls1_2 -Verify 1 -verify_return_error");
    let url = format!("https://127.0.0.1:{}/", server.1);
    let reason = Watch::new(&url, "verify_tls = false").failure().await;
    assert!(reason.contains("a client certificate"), "{reason}");
}

#[tokio::test]
async fn ffmpeg_verifies_certificates_and_plays_old_tls() {
    for arguments in ["-tls1_2", "-tls1 -cipher ALL:@SECLEVEL=0"] {
        let server = OpenSsl::start("ffmpeg", arguments);
        let url = format!("ffmpeg:https://127.0.0.1:{}/answer", server.1);
        let reason = Watch::new(&url, "").failure().await;
        assert_eq!(
            reason,
            "its certificate can't be verified; verify_tls = false accepts a self-signed one"
        );
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
