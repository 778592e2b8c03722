//! `ocelli doctor` against servers with one deliberate fault each, written on a raw socket,
//! and against the hub, which has none.

use crate::support::doctor::{DoctorOutput, doctor, header, right, server};
use crate::support::hub::OCELLI;
use ocelli_testkit::Hub;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use tokio_tungstenite::tungstenite;

const WRONG_GUID: &str = "258EAFA5-E914-47DA-95CA-5AB5F43F86A2";
/// A complete close frame.
const PLAIN_CLOSE: &[u8] = &[0x88, 2, 0x03, 0xE8];

/// A server whose response is correct except for one replacement in its text, and that then
/// sends `frames`.
fn nearly(from: &'static str, to: &'static str, frames: &'static [u8]) -> DoctorOutput {
    let address = server(move |request| {
        let text = right(request);
        assert!(text.contains(from), "{from:?} in {text:?}");
        [text.replacen(from, to, 1).as_bytes(), frames].concat()
    });
    doctor(&[&address])
}

fn sha1_base64(text: &str) -> String {
    let mut child = Command::new("sh")
        .args(["-c", "openssl dgst -sha1 -binary | openssl base64"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("openssl reads its input");
    let output = child.wait_with_output().expect("openssl exits");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_wrong_guid_is_named() {
    let address = server(|request| {
        let key = header(request, "Sec-WebSocket-Key");
        let wrong = sha1_base64(&format!("{key}{WRONG_GUID}"));
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {wrong}\r\n\r\n"
        )
        .into_bytes()
    });
    let output = doctor(&[&address]);
    let right = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    output.fails(
        "accept",
        &["wrong GUID", WRONG_GUID, right, "expected: ", "received: "],
    );
    output.finding("pass", "upgrade");
}

#[test]
fn other_mistakes_with_the_key_are_named() {
    type Answer = fn(&str) -> String;
    let cases: [(Answer, &str); 4] = [
        (
            |key| sha1_base64(&format!("{key}258eafa5-e914-47da-95ca-c5ab0dc85b11")),
            "lower case",
        ),
        (
            |_| sha1_base64("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
            "without the key",
        ),
        (|key| key.to_owned(), "sends the key back"),
        (
            |_| "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
            "not one of the known mistakes",
        ),
    ];
    for (make, words) in cases {
        let address = server(move |request| {
            let accept = make(header(request, "Sec-WebSocket-Key"));
            format!(
                "HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .into_bytes()
        });
        doctor(&[&address]).fails("accept", &[words, "1006"]);
    }
}

#[test]
fn http_1_0_cannot_open_a_socket() {
    let output = nearly("HTTP/1.1", "HTTP/1.0", PLAIN_CLOSE);
    output.fails(
        "http",
        &["expected: HTTP/1.1", "received: HTTP/1.0", "proxy"],
    );
}

#[test]
fn each_missing_header_is_named() {
    let output = nearly("Upgrade: websocket\r\n", "", PLAIN_CLOSE);
    output.fails("upgrade", &["lacks the header Upgrade: websocket"]);
    let output = nearly("Connection: Upgrade\r\n", "", PLAIN_CLOSE);
    output.fails("connection", &["lacks the header Connection: Upgrade"]);
    let output = nearly("Sec-WebSocket-Accept", "X-Accept", PLAIN_CLOSE);
    output.fails(
        "accept",
        &["lacks the header Sec-WebSocket-Accept", "received: nothing"],
    );
}

#[test]
fn wrong_headers_are_shown_beside_right_ones() {
    let output = nearly("Upgrade: websocket", "Upgrade: h2c", PLAIN_CLOSE);
    output.fails(
        "upgrade",
        &["expected: Upgrade: websocket", "received: Upgrade: h2c"],
    );
    let output = nearly("Connection: Upgrade", "Connection: close", PLAIN_CLOSE);
    output.fails("connection", &["received: Connection: close"]);
}

#[test]
fn unrequested_headers_are_named() {
    let more = "Connection: Upgrade\r\nSec-WebSocket-Protocol: arduino\r\n";
    let output = nearly("Connection: Upgrade\r\n", more, PLAIN_CLOSE);
    output.fails("subprotocol", &["not requested", "received: arduino"]);

    let more = "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let output = nearly("Connection: Upgrade\r\n", more, PLAIN_CLOSE);
    output.fails(
        "extensions",
        &["not requested", "received: permessage-deflate"],
    );
}

#[test]
fn a_missing_requested_subprotocol_is_named() {
    let address = server(|request| right(request).into_bytes());
    let output = doctor(&[&address, "--protocol", "ocelli.v2"]);
    output.fails("subprotocol", &["does not select", "expected: ocelli.v2"]);
}

#[test]
fn masked_server_frames_are_named() {
    let output = nearly("", "", &[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
    output.fails("masking", &["masks its frames", "1002"]);
}

#[test]
fn malformed_frames_are_named() {
    nearly("", "", &[0xC1, 1, b'x']).fails("frames", &["reserved bit"]);
    nearly("", "", &[0x81, 2, 0xFF, 0xD8]).fails("frames", &["not UTF-8", "binary"]);
    nearly("", "", &[0x82, 127, 9, 0, 0, 0, 0, 0, 0, 0]).fails("close", &["byte order"]);
}

#[test]
fn a_close_right_after_the_handshake_is_explained() {
    let output = nearly("", "", b"");
    output.fails("close", &["drops the connection right after", "1006"]);
    output.only(&["close"]);

    let output = nearly("", "", b"\x88\x0a\x11\x31who \x1b[2J");
    output.fails(
        "close",
        &["with 4401", "token is missing", "Its reason: who"],
    );
    assert!(
        !output.text.contains('\x1b'),
        "foreign control characters are removed"
    );
}

#[test]
fn pages_in_place_of_a_socket_are_explained() {
    let answer = |status: &'static str| {
        let address = server(move |_| format!("HTTP/1.1 {status}\r\n\r\n").into_bytes());
        doctor(&[&address])
    };
    answer("200 OK").fails("status", &["an ordinary page", "proxy", "received: 200"]);
    answer("301 Moved\r\nLocation: wss://u:hush@elsewhere/")
        .fails("status", &["wss://***@elsewhere/"]);
    answer("404 Not Found").fails("status", &["nothing at this path"]);
    answer("502 Bad Gateway").fails("status", &["server behind it does not"]);
    let text = "426 Upgrade Required\r\nContent-Type: text/plain\r\n\r\nupgrade, please";
    answer(text).fails(
        "status",
        &["drops the Upgrade header", "Its message: upgrade, please"],
    );
}

#[test]
fn invalid_responses_are_named() {
    let address = server(|_| b"RTSP/1.0 400 Bad Request\r\n\r\n".to_vec());
    doctor(&[&address]).fails("http", &["does not speak HTTP"]);
    let address = server(|_| Vec::new());
    doctor(&[&address]).fails("http", &["closes it without a response"]);
    let address = server(|_| b"HTTP/1.1 101 Switching Protocols\r\n".to_vec());
    doctor(&[&address]).fails("http", &["the empty line"]);
    let address = server(|_| vec![0x15, 3, 1, 0, 2, 2, 40]);
    doctor(&[&address]).fails("http", &["speaks TLS", "wss://"]);
}

#[test]
fn a_server_that_never_answers_is_named() {
    // Its connections wait in the system's accept queue.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let output = doctor(&[&format!("ws://{address}/")]);
    output.fails("http", &["never responds", "wss://"]);
}

#[test]
fn a_refused_connection_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let output = doctor(&[&format!("ws://{address}/")]);
    output.fails("tcp", &["Nothing listens", "running"]);
    let output = doctor(&["ws://no-such-host.invalid/"]);
    assert_eq!(output.code, Some(1));
    assert!(output.text.contains("FAIL  dns"), "{}", output.text);
}

#[test]
fn a_missing_origin_check_is_a_warning() {
    // A correct server that accepts every origin.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else {
                    return;
                };
                while socket.read().is_ok() {}
            });
        }
    });
    let output = doctor(&[&format!("ws://{address}/")]);
    output.warns(
        "origin",
        &["Any web page may open this socket", "Origin header"],
    );
    assert_eq!(output.code, Some(0), "{}", output.all);
    assert!(
        output.text.contains("1 with a warning (origin)"),
        "{}",
        output.text
    );

    // The same with an address that is not known to be local to this machine.
    let output = doctor(&[&format!("ws://0.0.0.0:{}/", address.port())]);
    output.warns("tls", &["not encrypted", "mixed"]);
    assert_eq!(output.code, Some(0), "{}", output.all);
}

#[test]
fn refusing_its_own_origin_is_a_failure() {
    let address = server(|request| {
        if header(request, "Origin").is_empty() {
            return right(request).into_bytes();
        }
        b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec()
    });
    let output = doctor(&[&address]);
    output.fails("origin", &["origin policy refuses", "http://127.0.0.1"]);
}

#[test]
fn our_own_hub_passes() {
    let hub = Hub::serve(OCELLI, ["pattern:?size=64x48&fps=20"]);
    doctor(&[&hub.ws_url("/ws/cameras")]).passes();
    doctor(&[&hub.ws_url("/ws/cameras"), "--protocol", "ocelli.v2"]).passes();
    let output = doctor(&[&hub.ws_url("/live/ws?app=live&room=cam1")]);
    output.passes();
    assert!(
        output
            .finding("pass", "first message")
            .contains("a JPEG of 64 × 48")
    );
    doctor(&[&hub.url("/")]).passes();
    let output = doctor(&[&hub.url("/live/live/cam1/mjpeg")]);
    output.passes();
    assert!(output.finding("pass", "pictures").contains("64 × 48"));
}

#[test]
fn json_output_is_an_array_of_findings() {
    let address = server(|_| b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let output = doctor(&[&address, "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&output.text).expect("JSON");
    let findings = findings.as_array().expect("an array");
    let status = findings.iter().find(|finding| finding["check"] == "status");
    let status = status.expect("the status");
    assert_eq!(status["result"], "fail");
    assert_eq!(status["received"], "200");
    assert!(
        status["message"]
            .as_str()
            .is_some_and(|text| text.contains("page"))
    );
    assert!(
        findings[0].get("expected").is_none(),
        "absent if nothing was compared"
    );
    assert_eq!(output.code, Some(1));
}

#[test]
fn no_secret_is_repeated() {
    let address = server(|request| {
        let line = request.lines().next().unwrap_or_default();
        format!("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n{line}").into_bytes()
    });
    for flags in [&[][..], &["--json"]] {
        let target = format!(
            "{}?token=hush-hush",
            address.replace("ws://", "ws://user:whisper@")
        );
        let output = doctor(&[&[target.as_str()][..], flags].concat());
        assert_eq!(output.code, Some(1));
        assert!(output.all.contains("Its message: GET"), "{}", output.all);
        for secret in ["hush-hush", "whisper"] {
            assert!(!output.all.contains(secret), "{}", output.all);
        }
    }
}

#[test]
fn an_invalid_target_is_wrong_usage() {
    for target in ["gopher://h/", "ws://", "wss://[nonsense/"] {
        let output = doctor(&[target]);
        assert_eq!(output.code, Some(2), "{}", output.all);
    }
    let output = doctor(&["wsss://h/"]);
    assert!(output.all.contains("did you mean `ws"), "{}", output.all);
    let output = doctor(&["viewer:hush-hush@10.0.0.7"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.all.contains("begins with one of ws:"),
        "{}",
        output.all
    );
    assert!(!output.all.contains("hush-hush"), "{}", output.all);
}
