//! Too many connections, slow connections, and connections that send invalid data, on every port.

use super::attackers::{Attackers, HUB, PORTS, THREADS, TIMEOUT};
use ocelli_testkit::socket::{Socket, garbage};
use ocelli_testkit::wire;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const IDLE: usize = 10_000;

/// An attack: its name, and the function that each thread runs until it ends.
pub type Pattern = (&'static str, fn(usize, &Attackers));

pub const ATTACKS: [Pattern; 6] = [
    ("10,000 idle connections", idle),
    ("slow-loris: a byte per second", slow_loris),
    ("a flood of handshakes", handshakes),
    ("huge headers", huge_headers),
    ("invalid WebSocket frames", odd_frames),
    ("random bytes on every port", random_bytes),
];

fn idle(thread: usize, attackers: &Attackers) {
    let mut held = Vec::new();
    while attackers.is_running() {
        if held.len() >= IDLE / THREADS {
            thread::sleep(Duration::from_millis(100));
            continue;
        }
        let number = held.len() * THREADS + thread;
        // From two hundred addresses, spread evenly over all ports.
        match attackers.connect(PORTS[number % PORTS.len()], number % 200) {
            Some(stream) => held.push(stream),
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn slow_loris(thread: usize, attackers: &Attackers) {
    const MAX_CONNECTIONS: usize = 500;
    let mut held: Vec<TcpStream> = Vec::new();
    let mut next = 0;
    while attackers.is_running() {
        let round = Instant::now();
        while held.len() < MAX_CONNECTIONS && attackers.is_running() {
            next += 1;
            let Some(mut stream) = attackers.connect(PORTS[0], next % 200 + thread * 200) else {
                break;
            };
            let _ = stream.write_all(b"GET /live/live/cam1/mjpeg HTTP/1.1\r\nX-Slow: ");
            held.push(stream);
        }
        let before = held.len();
        held.retain_mut(|stream| stream.write_all(b"a").is_ok());
        let gone = (before - held.len()) as u64;
        attackers.ended.fetch_add(gone, Ordering::Relaxed);
        thread::sleep(Duration::from_secs(1).saturating_sub(round.elapsed()));
    }
}

fn handshakes(thread: usize, attackers: &Attackers) {
    let paths = [
        "/ws/cameras",
        "/ingest/ws?app=live&room=cam9&key=wsk_wrong",
        "/live/ws?app=live&room=cam1",
        "/ws/series",
    ];
    let address = SocketAddr::from((HUB, PORTS[0]));
    let mut number = thread;
    while attackers.is_running() {
        number += THREADS;
        let Some(mut stream) = attackers.connect(PORTS[0], number % 5000) else {
            continue;
        };
        let path = paths[number % paths.len()];
        let request = wire::request(address, path, "");
        let _ = stream.write_all(request.as_bytes());
        // Half of them read the response.
        if number.is_multiple_of(2) {
            let _ = stream.read(&mut [0; 512]);
        }
    }
}

fn huge_headers(thread: usize, attackers: &Attackers) {
    let line = format!("X-Long: {}\r\n", "a".repeat(8000));
    let mut number = thread;
    while attackers.is_running() {
        number += THREADS;
        let port = [PORTS[0], PORTS[2], PORTS[3], PORTS[4]][number / THREADS % 4];
        let Some(mut stream) = attackers.connect(port, number % 5000) else {
            continue;
        };
        let started = match number % 3 {
            0 => stream.write_all(format!("GET /{} HTTP/1.1\r\n", "a".repeat(200_000)).as_bytes()),
            1 => stream.write_all(b"GET / HTTP/1.1\r\n"),
            _ => stream
                .write_all(format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(20_000)).as_bytes()),
        };
        let mut lines = 0;
        while started.is_ok() && lines < 200 && stream.write_all(line.as_bytes()).is_ok() {
            lines += 1;
        }
        attackers
            .ended
            .fetch_add(u64::from(lines < 200), Ordering::Relaxed);
    }
}

/// Sends WebSocket frames of impossible length, unmasked frames, endless fragments and endless
/// commands.
fn odd_frames(thread: usize, attackers: &Attackers) {
    let address = SocketAddr::from((HUB, PORTS[0]));
    let mut number = thread;
    while attackers.is_running() {
        number += THREADS;
        let path = ["/ws/cameras", "/live/ws?app=live&room=cam1", "/ws/series"][number / 4 % 3];
        let Ok(mut socket) = Socket::open(address, path, "", TIMEOUT) else {
            attackers.ended.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        attackers.made.fetch_add(1, Ordering::Relaxed);
        let many = vec![b'['; 60_000];
        for _ in 0..100 {
            let sent = match number % 4 {
                0 => socket.raw(&[0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
                1 => socket.raw(&[0x81, 0x05, b'h', b'e', b'l', b'l', b'o']),
                2 => socket.send(0x01, b"{"),
                _ => socket.send(0x81, &many),
            };
            if sent.is_err() {
                attackers.ended.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
}

fn random_bytes(thread: usize, attackers: &Attackers) {
    let mut number = thread;
    while attackers.is_running() {
        number += THREADS;
        let port = PORTS[number / THREADS % PORTS.len()];
        let Some(mut stream) = attackers.connect(port, number % 5000) else {
            continue;
        };
        let Ok(bytes) = garbage(1 + number % 20_000) else {
            return;
        };
        if stream.write_all(&bytes).is_err() {
            attackers.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}
