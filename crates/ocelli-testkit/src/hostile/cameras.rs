//! A scripted TCP or TLS server, shared by the hostile cameras.

use super::flood::{Frames, listen};
use super::progress::{BEAT, Progress};
use super::target::Target;
use crate::Result;
use crate::link::Link;
use rustls::ServerConfig;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Connections that are served at the same time; further ones wait.
const CONNECTIONS: usize = 8;

/// How the hub is made to connect to the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// This many cameras are added and watched.
    Watched(usize),
    /// One camera is added and watched as MPEG-1.
    Encoded,
    /// An operator tests it repeatedly, with as many parallel tests as the hub allows.
    Tested,
}

/// Runs a hostile camera until the attack is over. `answer` serves each connection that
/// the hub makes.
pub fn run(
    scheme: &str,
    usage: Usage,
    secure: Option<&Arc<ServerConfig>>,
    response: impl Fn(Link, &Progress) -> Result<()> + Sync,
    target: &Target,
    progress: &Progress,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("{scheme}://{}/hostile", listener.local_addr()?);
    thread::scope(|scope| {
        scope.spawn(|| serve(&listener, secure, &response, progress));
        match usage {
            Usage::Watched(count) => {
                let watched = (1..=count).map(|number| {
                    let url = &url;
                    scope.spawn(move || -> std::result::Result<(), String> {
                        let camera = target.add_camera(&format!("hostile-{number}"), url);
                        let watched = camera.and_then(|camera| camera.watch(progress));
                        watched.map_err(|error| error.to_string())
                    })
                });
                let watched: Vec<_> = watched.collect();
                for watched in watched {
                    watched.join().map_err(|_| "a watcher panicked")??;
                }
                Ok(())
            }
            Usage::Encoded => {
                let camera = target.add_camera("hostile", &url)?;
                watch(target, &camera.room, progress)?;
                // Stay until the end of the attack, even if the viewer was disconnected.
                while progress.is_running() {
                    progress.sleep(BEAT);
                }
                Ok(())
            }
            Usage::Tested => {
                for _ in 0..TRIALS {
                    scope.spawn(|| test(&url, target, progress));
                }
                Ok(())
            }
        }
    })
}

/// Watches a camera as MPEG-1 until the attack is over or the hub ends it.
pub fn watch(target: &Target, room: &str, progress: &Progress) -> Result<()> {
    let path = format!("/live/jsmpeg?app=live&room={room}");
    let mut socket = target.socket(target.new_address(), &path, "")?;
    let mut frames = Frames::default();
    if let Some(how) = listen(socket.link(), progress, |bytes| frames.take(bytes)) {
        progress.ended(format!("the viewer: {}", frames.ending(how)));
    }
    Ok(())
}

/// How many tests the hub runs in parallel.
const TRIALS: usize = 4;

fn serve(
    listener: &TcpListener,
    secure: Option<&Arc<ServerConfig>>,
    answer: &(impl Fn(Link, &Progress) -> Result<()> + Sync),
    progress: &Progress,
) {
    thread::scope(|scope| {
        let mut open: Vec<thread::ScopedJoinHandle<'_, ()>> = Vec::new();
        while progress.is_running() {
            open.retain(|thread| !thread.is_finished());
            match listener.accept() {
                Ok((stream, _)) if open.len() < CONNECTIONS => open.push(scope.spawn(move || {
                    progress.connected();
                    let link = Link::new(stream).and_then(|link| match secure {
                        Some(config) => link.accept(config),
                        None => Ok(link),
                    });
                    let answered = link
                        .map_err(Into::into)
                        .and_then(|link| answer(link, progress));
                    if let Err(error) = answered {
                        progress.ended(error);
                    }
                })),
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    });
}

/// Tests the camera repeatedly and counts the results that the operator gets.
fn test(url: &str, target: &Target, progress: &Progress) {
    let insecure = url.starts_with("https").then_some(r#","verifyTls":false"#);
    let body = format!(r#"{{"source":"{url}"{}}}"#, insecure.unwrap_or_default());
    let from = target.new_address();
    while progress.is_running() {
        let response = target.call(from, "POST /api/v1/cameras/test", &target.operator, &body);
        match response {
            Ok((200, response)) => {
                let reason = super::target::field(&response, "reason").unwrap_or(response);
                progress.ended(format!("reported to the operator: {reason}"));
            }
            Ok((status, _)) => progress.ended(format!("reported to the operator: {status}")),
            Err(error) => progress.ended(error),
        }
        progress.sleep(BEAT);
    }
}

/// Reads the next request's head, and no further.
pub fn next_head(link: &mut Link) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if link.read(&mut byte)? == 0 || head.len() > 64 * 1024 {
            return Err("the hub disconnected".into());
        }
        head.push(byte[0]);
        // RTCP packets may arrive between requests.
        if head[0] == b'$' && head.len() == 4 {
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            link.read_exact(&mut packet)?;
            head.clear();
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Returns the local address.
pub fn address(link: &Link) -> Result<SocketAddr> {
    Ok(link.stream().local_addr()?)
}
