//! The raw WebSocket client, against a hand-written peer.

use ocelli_testkit::websocket::{Frame, RawSocket, V2, plain_message};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn frames_are_sent_and_received_unchanged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("the request"));
        }
        let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                      Sec-WebSocket-Protocol: ocelli.v2\r\n\r\n";
        stream
            .write_all(response.as_bytes())
            .await
            .expect("the response is sent");
        let mut hello = [0; 2 + 4 + 5];
        stream.read_exact(&mut hello).await.expect("a message");
        assert_eq!(hello[..2], [0x81, 0x85]);
        let unmasked: Vec<u8> = (0..5).map(|at| hello[6 + at] ^ hello[2 + at % 4]).collect();
        assert_eq!(unmasked, b"hello");
        let mut long = [0; 4 + 200];
        stream
            .read_exact(&mut long)
            .await
            .expect("an unmasked message");
        assert_eq!(long[..4], [0x02, 126, 0, 200]);
        let bytes = b"\x89\x00\x81\x02hi\x82\x04\x01aJP\x88\x02\x03\xF1";
        stream.write_all(bytes).await.expect("the frames are sent");
    });
    let mut socket = RawSocket::open(address, "/ws/cameras", Some("ocelli.v2")).await;
    socket.send_text("hello").await;
    let against_the_rules = Frame {
        fin: false,
        opcode: 2,
        masked: false,
        payload: vec![7; 200],
    };
    socket.send(&against_the_rules).await;
    let ping = socket
        .next(LIMIT)
        .await
        .expect("a frame")
        .expect("a frame in time");
    assert_eq!((ping.opcode, ping.masked), (9, false));
    assert_eq!(socket.text(LIMIT).await.as_deref(), Some("hi"));
    let message = socket.binary(LIMIT).await.expect("a binary message");
    assert_eq!(plain_message(&message), Some(("a".into(), &b"JP"[..])));
    assert_eq!(socket.close_code(LIMIT).await, Some(1009));
    peer.await.expect("the peer succeeded");
}

#[test]
fn a_v2_message_is_parsed_by_the_contracts_table() {
    let mut message = vec![2, 1, 1, 3, 0, 0, 0, 4, 0, 0, 0, 5];
    message.extend(6u64.to_be_bytes());
    message.extend(7u64.to_be_bytes());
    message.extend(b"\x04doorJPEG");
    let parsed = V2::parse(&message).expect("a complete message");
    assert_eq!((parsed.kind, parsed.codec, parsed.flags), (1, 1, 3));
    assert_eq!((parsed.group, parsed.sequence), (4, 5));
    assert_eq!((parsed.captured, parsed.received), (6, 7));
    assert_eq!(
        (parsed.id.as_str(), &parsed.payload[..]),
        ("door", &b"JPEG"[..])
    );
    assert_eq!(V2::parse(&message[..30]), None);
    message[0] = 1;
    assert_eq!(V2::parse(&message), None);
}
