//! Messages to the wall socket that violate RFC 6455 or the contract's limits: each closes only
//! that socket, with its code.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::site::Site;
use crate::support::wall::{WALL, Wall};
use ocelli_testkit::websocket::{Frame, RawSocket, plain_message};
use std::time::Duration;

/// The longest accepted text message.
const LIMIT: usize = 64 * 1024;

async fn raw(site: &Site) -> RawSocket {
    RawSocket::open(site.address, WALL, None).await
}

/// Returns a subscribe command padded with spaces to this length.
fn subscription(length: usize) -> Vec<u8> {
    let mut text = br#"{"cmd":"subscribe","cameras":["cam"]}"#.to_vec();
    text.resize(length, b' ');
    text
}

fn part(opcode: u8, fin: bool, payload: &[u8]) -> Frame {
    Frame {
        fin,
        ..Frame::client(opcode, payload)
    }
}

/// Sends these frames on a new socket; returns its close code.
async fn closed(site: &Site, frames: &[Frame]) -> Option<u16> {
    let mut socket = raw(site).await;
    for frame in frames {
        socket.send(frame).await;
    }
    let code = socket.close_code(TIMEOUT).await;
    // A browser answers the close, and then the connection ends.
    socket
        .send(&Frame::client(8, &code.unwrap_or(1000).to_be_bytes()))
        .await;
    let end = socket.next(Duration::from_secs(3)).await;
    assert!(end.is_err(), "the connection ends: {end:?}");
    code
}

/// Sends these valid frames and checks that the camera is subscribed.
async fn assert_accepted(site: &Site, camera: &crate::support::site::TestSource, frames: &[Frame]) {
    let mut socket = raw(site).await;
    for frame in frames {
        socket.send(frame).await;
    }
    site.viewers("cam", 1).await;
    camera.show().await;
    let message = socket.binary(TIMEOUT).await.expect("a picture");
    assert_eq!(plain_message(&message).expect("a message").0, "cam");
    drop(socket);
    site.viewers("cam", 0).await;
}

#[tokio::test]
async fn text_of_64_kib_is_accepted_and_one_byte_more_closes_with_1009() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let (exact, over) = (subscription(LIMIT), subscription(LIMIT + 1));
    assert_accepted(&site, &cam, &[Frame::client(1, &exact)]).await;
    assert_eq!(closed(&site, &[Frame::client(1, &over)]).await, Some(1009));
    let large = subscription(5_000_000);
    assert_eq!(closed(&site, &[Frame::client(1, &large)]).await, Some(1009));
}

#[tokio::test]
async fn the_limit_applies_to_the_sum_of_fragments() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let cut = |text: &[u8], size: usize| -> Vec<Frame> {
        let last = text.chunks(size).count() - 1;
        let pieces = text.chunks(size).enumerate();
        pieces
            .map(|(at, piece)| part(u8::from(at == 0), at == last, piece))
            .collect()
    };
    assert_accepted(&site, &cam, &cut(&subscription(60), 7)).await;
    assert_accepted(&site, &cam, &cut(&subscription(LIMIT), 10_000)).await;
    let over = cut(&subscription(LIMIT + 1), 10_000);
    assert_eq!(closed(&site, &over).await, Some(1009));
    let far_over = cut(&subscription(1_000_000), 60_000);
    assert_eq!(closed(&site, &far_over).await, Some(1009));
}

#[tokio::test]
async fn a_ping_between_fragments_is_answered_without_splitting_the_message() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let text = subscription(50);
    let mut socket = raw(&site).await;
    socket.send(&part(1, false, &text[..20])).await;
    socket.send(&Frame::client(9, b"still there?")).await;
    let pong = socket
        .next(TIMEOUT)
        .await
        .expect("a socket")
        .expect("a pong");
    assert_eq!((pong.opcode, &pong.payload[..]), (10, &b"still there?"[..]));
    assert!(!pong.masked);
    socket.send(&part(0, true, &text[20..])).await;
    site.viewers("cam", 1).await;
    cam.show().await;
    assert!(socket.binary(TIMEOUT).await.is_some());
}

#[tokio::test]
async fn binary_of_any_length_closes_with_1003() {
    let (site, _cam) = Site::with(["cam"]).await;
    for size in [0, 1, 1_000, 70_000, 250_000] {
        let code = closed(&site, &[Frame::binary(&vec![7; size])]).await;
        assert_eq!(code, Some(1003), "{size} bytes");
    }
    let pieces = [part(2, false, &[1; 50_000]), part(0, true, &[1; 50_000])];
    assert_eq!(closed(&site, &pieces).await, Some(1003));
}

#[tokio::test]
async fn a_protocol_violation_closes_with_1002() {
    let (site, _cam) = Site::with(["cam"]).await;
    let unmasked = Frame {
        masked: false,
        ..Frame::text("{}")
    };
    let reserved = Frame::client(0x41, b"{}");
    let unknown = Frame::client(3, b"");
    let stray = part(0, true, b"{}");
    let long_ping = Frame::client(9, &[0; 126]);
    let cut_ping = part(9, false, b"");
    let interleaved = [part(1, false, b"{"), part(1, true, b"}")];
    for (what, frames) in [
        ("unmasked", &[unmasked][..]),
        ("a reserved bit", &[reserved]),
        ("an undefined opcode", &[unknown]),
        ("a continuation without a first frame", &[stray]),
        ("a ping of 126 bytes", &[long_ping]),
        ("a ping in fragments", &[cut_ping]),
        (
            "a text frame between the fragments of another text",
            &interleaved,
        ),
    ] {
        assert_eq!(closed(&site, frames).await, Some(1002), "{what}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let bad = Frame::client(1, b"{\"cmd\":\"subscribe\",\"cameras\":[\"\xff\xfe\"]}");
    assert_eq!(closed(&site, &[bad]).await, Some(1007));
    // A fragment boundary may split a character.
    let text = "{\"cmd\":\"subscribe\",\"cameras\":[\"cam\",\"Tür\"]}".as_bytes();
    let inside = text.iter().position(|&byte| byte == 0xc3).unwrap() + 1;
    let pieces = [
        part(1, false, &text[..inside]),
        part(0, true, &text[inside..]),
    ];
    assert_accepted(&site, &cam, &pieces).await;
    let pieces = [part(1, false, b"\xc3"), part(0, true, b"x")];
    assert_eq!(closed(&site, &pieces).await, Some(1007));
}

#[tokio::test]
async fn a_declared_length_allocates_no_memory() {
    let (site, _cam) = Site::with(["cam"]).await;
    let mut socket = raw(&site).await;
    let mut header = vec![0x81, 0xff];
    header.extend((1u64 << 62).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    socket.send_raw(&header).await;
    assert_eq!(socket.close_code(TIMEOUT).await, Some(1009));
}

#[tokio::test]
async fn one_viewers_violation_does_not_affect_others() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["cam"]).await;
    site.viewers("cam", 1).await;
    for expected in 0..5 {
        assert_eq!(closed(&site, &[Frame::binary(b"x")]).await, Some(1003));
        cam.show().await;
        assert_eq!(wall.numbered().await.1, expected);
    }
    assert_eq!(cam.starts(), 1);
}
