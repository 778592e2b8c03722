//! The `ready` message reaches devices whose client library reads the socket once after the
//! upgrade and loses what came with the response.

use super::{shows, site};
use crate::support::TIMEOUT;
use crate::support::device::{Key, picture};
use crate::support::http::upgrade;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const READY: &[u8] = br#"{"type":"ready","room":"live-cam1""#;

/// Connects a device and sends its request.
async fn request(hub: SocketAddr, key: &Key) -> TcpStream {
    let path = format!("{}&key={}", key.path, key.secret);
    let mut device = TcpStream::connect(hub).await.unwrap();
    let request = upgrade(hub, &path);
    device.write_all(request.as_bytes()).await.unwrap();
    device
}

/// Reads the socket once.
async fn read(device: &mut TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let read = timeout(TIMEOUT, device.read(&mut buffer)).await;
    let len = read.expect("in time").unwrap();
    assert!(len > 0, "an open socket");
    buffer.truncate(len);
    buffer
}

fn has_ready(bytes: &[u8]) -> bool {
    bytes.windows(READY.len()).any(|at| at == READY)
}

/// Sends a message of a device, masked with zeroes.
async fn send(device: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let mut frame = vec![0x80 | opcode, 0xFE];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    device.write_all(&frame).await.unwrap();
}

#[tokio::test]
async fn the_message_does_not_share_a_packet_with_the_response() {
    let (site, _dir) = site().await;
    let key = Key::create(site.address, "live", "cam1").await;
    for _ in 0..5 {
        let mut device = request(site.address, &key).await;
        let response = read(&mut device).await;
        let received = Instant::now();
        assert!(response.starts_with(b"HTTP/1.1 101"));
        assert!(response.ends_with(b"\r\n\r\n"), "only the response");
        assert!(has_ready(&read(&mut device).await));
        let pause = received.elapsed();
        assert!(pause > Duration::from_millis(100), "{pause:?}");
    }
}

#[tokio::test]
async fn a_lost_message_is_sent_again_until_the_device_sends() {
    let (site, _dir) = site().await;
    let key = Key::create(site.address, "live", "cam1").await;
    let mut device = request(site.address, &key).await;
    // A slow device: everything has arrived before it reads once and keeps only the response.
    let mut arrived = vec![0; 4096];
    let all = async {
        loop {
            let len = device.peek(&mut arrived).await.unwrap();
            if has_ready(&arrived[..len]) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, all).await.expect("a message");
    assert!(has_ready(&read(&mut device).await));
    for _ in 0..2 {
        let again = read(&mut device).await;
        assert!(has_ready(&again), "{}", String::from_utf8_lossy(&again));
    }
    let jpeg = picture(1);
    send(&mut device, 2, &jpeg).await;
    shows(site.address, "cam1", &jpeg).await;
    let more = timeout(Duration::from_millis(2500), device.read(&mut arrived)).await;
    assert!(more.is_err(), "it goes on: {more:?}");
}
