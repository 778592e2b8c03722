//! Traffic over TLS: pages, sockets, and connections that do not use TLS.

use super::{HTTP_1, socket};
use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::hub::OCELLI;
use crate::support::secure::{Local, Stream, encrypt, text};
use crate::support::site::Site;
use crate::support::tempdir::Dir;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::{SinkExt, StreamExt};
use http::Request;
use ocelli_net::tls::authority::Certificate;
use ocelli_testkit::jpeg;
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn pages_come_over_http_2_and_the_wall_over_wss() {
    let local = Local::start();
    assert!(local.hub.url("/").starts_with("https://127.0.0.1:"));
    for (version, wanted) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let options = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
        let page = local.curl(&[&[version][..], &options, &[&local.hub.url("/health")]].concat());
        assert_eq!(text(&page), wanted);
    }
    let still = local.curl(&[&local.hub.url("/live/live/cam1/frame.jpg")]);
    assert!(jpeg::is_whole(&still.stdout), "{}", text(&still));

    let mut wall = socket(local.connect("localhost", HTTP_1).await, "/ws/cameras").await;
    let subscribe = r#"{"cmd":"subscribe","cameras":["cam1"]}"#;
    wall.send(Message::text(subscribe)).await.unwrap();
    for _ in 0..5 {
        let message = timeout(TIMEOUT, wall.next()).await.unwrap().unwrap();
        let message = message.unwrap().into_data();
        assert_eq!(&message[..5], b"\x04cam1");
        assert!(jpeg::is_whole(&message[5..]));
    }
}

#[tokio::test]
async fn a_socket_over_http_2_gets_an_explanation() {
    let local = Local::start();
    let url = local.hub.url("/ws/cameras");
    let response = text(&local.curl(&["--http2", "-i", &url]));
    assert!(response.contains("HTTP/2 505"), "{response}");
    assert!(response.contains("HTTP/1.1"), "{response}");
}

#[tokio::test]
async fn the_certificate_covers_every_name_and_is_short_lived() {
    let local = Local::start();
    let output_text = local.openssl(&["-alpn", "h2", "-verify_ip", "127.0.0.1"]);
    for words in ["Verify return code: 0 (ok)", "ALPN protocol: h2", "TLSv1.3"] {
        assert!(output_text.contains(words), "{words}: {output_text}");
    }
    for name in ["localhost", "cams.lan"] {
        let output_text =
            local.openssl(&["-verify_hostname", name, "-servername", name, "-tls1_2"]);
        assert!(
            output_text.contains("Verify return code: 0"),
            "{output_text}"
        );
    }
    let output_text = local.openssl(&["-verify_hostname", "evil.example"]);
    assert!(output_text.contains("ostname mismatch"), "{output_text}");
    // The names in the configuration are also valid for the Host policy.
    let (port, resolve) = (local.port(), format!("cams.lan:{}:127.0.0.1", local.port()));
    let url = format!("https://cams.lan:{port}/health");
    let page = text(&local.curl(&["--resolve", &resolve, &url]));
    assert!(page.contains("\"ok\""), "{page}");
}

#[tokio::test]
async fn a_foreign_host_is_refused_over_http_2_too() {
    let local = Local::start();
    let port = local.port();
    for version in ["--http2", "--http1.1"] {
        // As in DNS rebinding: the attacker's name with the hub's address.
        let resolve = format!("evil.example:{port}:127.0.0.1");
        let url = format!("https://evil.example:{port}/health");
        let output_text = local.curl(&["-k", version, "-i", "--resolve", &resolve, &url]);
        let output_text = text(&output_text);
        assert!(output_text.contains(" 403"), "{output_text}");
        assert!(output_text.contains("allowed_hosts"), "{output_text}");
        let own = local.hub.url("/health");
        let output_text = text(&local.curl(&[version, "-i", "-H", "Host: evil.example", &own]));
        assert!(output_text.contains(" 403"), "{output_text}");
    }
}

#[tokio::test]
async fn plain_http_is_redirected_and_can_fetch_the_authority() {
    let local = Local::start();
    let plain = format!("http://{}", local.hub.addr());
    let output_text = text(&local.curl(&["-i", &format!("{plain}/play/live/cam1?x=1")]));
    assert!(output_text.starts_with("HTTP/1.1 307"), "{output_text}");
    let there = format!("location: {}\r\n", local.hub.url("/play/live/cam1?x=1"));
    assert!(output_text.contains(&there), "{output_text}");
    let followed = text(&local.curl(&["-L", &format!("{plain}/health")]));
    assert!(followed.contains("\"ok\""), "{followed}");
    for refused in [
        &["-X", "POST"][..],
        &["-H", "Upgrade: websocket", "-H", "Connection: Upgrade"],
        &["--http1.0", "-H", "Host:"],
    ] {
        let arguments = [refused, &["-i", &plain]].concat();
        let output_text = text(&local.curl(&arguments));
        assert!(output_text.contains(" 400 "), "{output_text}");
        assert!(output_text.contains("https:// and wss://"), "{output_text}");
    }
    let foreign = local.curl(&["-i", "-H", "Host: evil.example", &plain]);
    assert!(text(&foreign).contains(" 403 "), "{}", text(&foreign));

    let kept = std::fs::read(local.authority()).unwrap();
    for base in [&plain, &format!("https://{}", local.hub.addr())] {
        assert_eq!(local.curl(&[&format!("{base}/ca.pem")]).stdout, kept);
        let page = text(&local.curl(&["-i", &format!("{base}/ca")]));
        let certificate = Certificate::read(&local.dir.0.join("kept"))
            .unwrap()
            .unwrap();
        let digest = digest(&SHA256, &certificate.der);
        let print: Vec<_> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        let print = print.join(":");
        assert!(page.contains(&print) && page.contains("iPhone"), "{page}");
        assert!(page.contains("frame-ancestors 'self'"), "{page}");
        let crt = local.curl(&[&format!("{base}/ca.crt")]);
        assert_eq!(crt.stdout, certificate.der.to_vec());
    }
    let header = local.curl(&[&format!("{plain}/ca.h")]).stdout;
    let header = local.dir.write("ca.h", &String::from_utf8(header).unwrap());
    let program = "#include <stdio.h>\n#include \"ca.h\"\nint main(void){fputs(OCELLI_CA,stdout);}";
    let (source, out) = (local.dir.write("ca.c", program), local.dir.0.join("ca"));
    let made = Command::new("cc").arg(&source).arg("-o").arg(&out).output();
    assert!(
        header.exists() && made.as_ref().unwrap().status.success(),
        "{made:?}"
    );
    assert_eq!(Command::new(out).output().unwrap().stdout, kept);
}

#[tokio::test]
async fn without_an_authority_the_ca_urls_explain_the_setting() {
    let site = Site::start().await;
    for path in ["/ca", "/ca.pem", "/ca.crt", "/ca.h"] {
        crate::support::http::get(site.address, path)
            .await
            .is_problem(404, "--tls local");
    }
}

#[tokio::test]
async fn an_unfinished_handshake_is_dropped_without_delaying_others() {
    let local = Local::start();
    let mut silent = Vec::new();
    for started in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"G",
    ] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(local.hub.addr()).await.unwrap();
            stream.write_all(started).await.unwrap();
            silent.push(stream);
        }
    }
    // A client that completes the handshake and then sends no request.
    let mut idle = local.connect("localhost", b"h2").await;
    let page = text(&local.curl(&[&local.hub.url("/health")]));
    assert!(page.contains("\"ok\""), "{page}");
    // Garbage is closed at once, without an answer.
    let mut garbage = TcpStream::connect(local.hub.addr()).await.unwrap();
    garbage.write_all(&[0, 1, 2, 3]).await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), garbage.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "{ended:?} {rest:?}");
    for stream in &mut silent {
        let ended = timeout(TIMEOUT, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the handshake does not time out");
    }
    let ended = timeout(TIMEOUT, idle.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the silent client is not dropped");
}

#[tokio::test]
async fn the_hub_ends_in_time_with_any_connections_open() {
    let Local { mut hub, dir } = Local::start();
    let address = hub.addr();
    let pem = dir.0.join("kept/ca.pem");
    let tcp = async || TcpStream::connect(address).await.unwrap();
    let mut half = tcp().await;
    half.write_all(b"\x16\x03\x01").await.unwrap();
    let silent = tcp().await;
    let mut wall = socket(
        encrypt(tcp().await, &pem, "localhost", HTTP_1).await,
        "/live/ws?app=live&room=cam1",
    )
    .await;
    number_of_any(&mut wall).await;
    let stream = encrypt(tcp().await, &pem, "localhost", b"h2").await;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::get(format!(
        "https://localhost:{}/live/live/cam1/mjpeg",
        address.port()
    ));
    let (response, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let mut stuck = timeout(TIMEOUT, response)
        .await
        .unwrap()
        .unwrap()
        .into_body();
    timeout(TIMEOUT, stuck.data())
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    let close_code = tokio::spawn(async move {
        loop {
            match wall.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    });
    let started = Instant::now();
    hub.signal(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || (hub.wait(Duration::from_secs(5)), hub));
    let (status, _hub) = ended.await.unwrap();
    let took = started.elapsed();
    assert_eq!(status.expect("the hub exits").code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(close_code.await.unwrap(), Some(1001_u16), "going away");
    driving.abort();
    drop((half, silent, stuck));
}

async fn number_of_any(socket: &mut WebSocketStream<Stream>) {
    let message = timeout(TIMEOUT, socket.next()).await.unwrap();
    message.unwrap().unwrap();
}

#[tokio::test]
async fn devices_push_over_wss_to_an_authority_they_trust() {
    let dir = Dir::new("fleet");
    let builder = Local::builder(&dir, "").env("OCELLI_ADMIN_TOKEN", ADMIN);
    let local = Local {
        hub: builder.start(),
        dir,
    };
    let fleet = |authority: &Path| {
        let mut command = Command::new(OCELLI);
        command
            .args(["simulate", "--cameras", "3", "--seconds", "2", "--url"])
            .arg(format!("https://localhost:{}", local.port()))
            .env("OCELLI_TOKEN", ADMIN)
            .env("SSL_CERT_FILE", authority)
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.code(), text(&output))
    };
    let (code, output_text) = fleet(&local.authority());
    assert_eq!(code, Some(0), "{output_text}");
    assert!(output_text.contains("connected   3 of 3"), "{output_text}");
    let (code, output_text) = fleet(&local.dir.write("none.pem", ""));
    assert_eq!(code, Some(1), "{output_text}");
    assert!(output_text.contains("can't reach the hub"), "{output_text}");
}

/// Open requests continue, and the client is told to open another connection.
#[tokio::test]
async fn an_http_2_connection_is_limited_in_requests() {
    let local = Local::with("[limits]\nrequests_per_connection = 3");
    let stream = local.connect("localhost", b"h2").await;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let port = local.port();
    let request = |path: &str| {
        let request = Request::get(format!("https://localhost:{port}{path}"));
        request.body(()).unwrap()
    };
    let (response, _) = client
        .send_request(request("/live/live/cam1/mjpeg"), true)
        .unwrap();
    let mut pictures = timeout(TIMEOUT, response)
        .await
        .unwrap()
        .unwrap()
        .into_body();
    for _ in 0..2 {
        let (response, _) = client.send_request(request("/health"), true).unwrap();
        let response = timeout(TIMEOUT, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
    }
    // The GOAWAY arrives a moment later.
    let refused = async {
        loop {
            let Ok(mut ready) = client.clone().ready().await else {
                return;
            };
            let Ok((response, _)) = ready.send_request(request("/health"), true) else {
                return;
            };
            if response.await.is_err() {
                return;
            }
        }
    };
    timeout(TIMEOUT, refused)
        .await
        .expect("the connection refuses new requests");
    for _ in 0..5 {
        let piece = timeout(TIMEOUT, pictures.data()).await.unwrap();
        let piece = piece.expect("the stream continues").unwrap();
        let _ = pictures.flow_control().release_capacity(piece.len());
    }
    drop((client, pictures));
    timeout(TIMEOUT, ended)
        .await
        .expect("the connection is closed")
        .ok();
    let page = text(&local.curl(&[&local.hub.url("/health")]));
    assert!(page.contains("\"ok\""), "{page}");
}

/// The client gets no message, because a handshake would cost more than the refusal saves;
/// instead, the metrics and the log record it.
#[tokio::test]
async fn a_connection_above_the_limit_is_closed_and_counted() {
    let local = Local::with("[limits]\nconnections = 2");
    let mut first = local.connect("localhost", HTTP_1).await;
    let second = local.connect("localhost", HTTP_1).await;
    for _ in 0..3 {
        let mut third = TcpStream::connect(local.hub.addr()).await.unwrap();
        let mut received = Vec::new();
        let closed = timeout(TIMEOUT, third.read_to_end(&mut received)).await;
        assert!(
            closed.is_ok() && received.is_empty(),
            "{closed:?} {received:?}"
        );
    }
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    first.write_all(request.as_bytes()).await.unwrap();
    let mut metrics = String::new();
    let whole = timeout(TIMEOUT, first.read_to_string(&mut metrics)).await;
    assert!(whole.is_ok(), "{whole:?}");
    let row = "ocelli_refused_total{reason=\"connections\"} 3\n";
    assert!(metrics.contains(row), "{metrics}");
    let line = local.hub.wait_stderr("refused a connection", TIMEOUT);
    assert!(line.unwrap().contains("peer=127.0.0.1:"));
    drop(second);
}
