//! How a connection ended, as reported in the log, in the stream's row and to the device.

use super::{newest_stream, streams};
use crate::support::TIMEOUT;
use crate::support::device::Key;
use crate::support::hub::keeping;
use crate::support::tempdir::Dir;
use ocelli_testkit::websocket::RawSocket;
use serde_json::Value;

/// The last action of a device, and how it is reported.
struct Case {
    name: &'static str,
    last: Vec<u8>,
    /// The close code and reason that the device gets; `None` if it gets neither.
    response: Option<(u16, &'static str)>,
    /// A part of the reason in the log and in the stream's row.
    reason: &'static str,
}

/// A frame with an all-zero mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u8;
    let mut bytes = match length {
        0..126 => vec![first, 0x80 | length],
        _ => vec![first, 0x80 | 126, 0, length],
    };
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn cases() -> Vec<Case> {
    let fault = |name, last, code, reason| Case {
        name,
        last,
        response: Some((code, "protocol_error")),
        reason,
    };
    let end = |name, last, reason| Case {
        name,
        last,
        response: None,
        reason,
    };
    vec![
        fault("unmasked", vec![0x82, 1, 7], 1002, "is not masked"),
        fault("reserved bits", frame(0xC2, b"x"), 1002, "reserved bits"),
        fault("unknown opcode", frame(0x83, b"x"), 1002, "unknown opcode"),
        fault(
            "no first fragment",
            frame(0x80, b"x"),
            1002,
            "unknown opcode",
        ),
        fault("half a ping", frame(0x09, b"x"), 1002, "fragmented"),
        fault("long ping", frame(0x89, &[7; 130]), 1002, "125 bytes"),
        fault("close code", frame(0x88, &[3, 0xEC]), 1002, "close frame"),
        fault("not UTF-8", frame(0x81, &[0xFF]), 1007, "UTF-8"),
        end("close 1000", frame(0x88, &[3, 0xE8]), "it disconnected"),
        end("close without code", frame(0x88, &[]), "it disconnected"),
        end("close 1011", frame(0x88, &[3, 0xF3]), "code 1011"),
        end("nothing", vec![], "without a close"),
        end("half a frame", vec![0x82], "in the middle of a frame"),
    ]
}

#[tokio::test]
async fn a_disconnect_reason_is_in_the_log_the_stream_row_and_the_close_frame() {
    let dir = Dir::new("ended");
    let hub = keeping(&dir.0.join("data"));
    let address = hub.addr();
    for Case {
        name,
        last,
        response,
        reason,
    } in cases()
    {
        let key = Key::create(address, "live", &name.replace(' ', "-")).await;
        let path = format!("{}&key={}", key.path, key.secret);
        let mut socket = RawSocket::open(address, &path, None).await;
        socket.text(TIMEOUT).await.expect("ready");
        socket.send_raw(&last).await;
        match response {
            Some((code, word)) => {
                let text = socket.text(TIMEOUT).await.expect(name);
                let text: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(text["code"], word, "{name}");
                let message = text["message"].as_str().unwrap();
                assert!(message.contains(reason), "{name}: {message}");
                assert_eq!(socket.close_code(TIMEOUT).await, Some(code), "{name}");
            }
            None => drop(socket),
        }
        let stream = newest_stream(address, "ended").await;
        let kept = stream["endReason"].as_str().unwrap();
        assert!(kept.contains(reason), "{name}: {kept}");
        let line = hub.wait_stderr(kept, TIMEOUT).expect(name);
        assert!(line.contains("stopped pushing"), "{name}: {line}");
    }
    let ended = streams(address).await;
    assert!(ended.iter().all(|stream| stream["endReason"].is_string()));
}
