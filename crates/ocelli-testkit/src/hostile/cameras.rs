//! A server whose every answer is written by the attack: what hostile cameras share.

use super::{BEAT, Progress, Target};
use crate::Result;
use crate::link::Link;
use rustls::ServerConfig;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Connections that are answered at a time; more wait.
const CONNECTIONS: usize = 8;

/// How a hub is brought to a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// So many were added, and are watched.
    Watched(usize),
    /// It was added, and is watched as MPEG-1.
    Encoded,
    /// An operator has it tested again and again, as often at once as is allowed.
    Tested,
}

/// Runs a hostile camera for the length of an attack. `answer` gets each connection, as
/// soon as the hub has made it.
pub fn run(
    scheme: &str,
    way: Way,
    secure: Option<&Arc<ServerConfig>>,
    answer: impl Fn(Link, &Progress) -> Result<()> + Sync,
    target: &Target,
    progress: &Progress,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("{scheme}://{}/hostile", listener.local_addr()?);
    thread::scope(|scope| {
        scope.spawn(|| serve(&listener, secure, &answer, progress));
        match way {
            Way::Watched(count) => {
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
            Way::Encoded => {
                let camera = target.add_camera("hostile", &url)?;
                super::pictures::watch(target, &camera.room, progress)?;
                // Until the end, even if the viewer was turned out.
                while progress.goes_on() {
                    progress.rest(BEAT);
                }
                Ok(())
            }
            Way::Tested => {
                for _ in 0..TRIALS {
                    scope.spawn(|| test(&url, target, progress));
                }
                Ok(())
            }
        }
    })
}

/// How many trials there may be at a time.
const TRIALS: usize = 4;

fn serve(
    listener: &TcpListener,
    secure: Option<&Arc<ServerConfig>>,
    answer: &(impl Fn(Link, &Progress) -> Result<()> + Sync),
    progress: &Progress,
) {
    thread::scope(|scope| {
        let mut open: Vec<thread::ScopedJoinHandle<'_, ()>> = Vec::new();
        while progress.goes_on() {
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

/// Has the camera tested, over and over, and notes what the operator is told.
fn test(url: &str, target: &Target, progress: &Progress) {
    let insecure = url.starts_with("https").then_some(r#","verifyTls":false"#);
    let body = format!(r#"{{"source":"{url}"{}}}"#, insecure.unwrap_or_default());
    let from = target.new_address();
    while progress.goes_on() {
        let told = target.call(from, "POST /api/v1/cameras/test", &target.operator, &body);
        match told {
            Ok((200, told)) => {
                let reason = super::target::field(&told, "reason").unwrap_or(told);
                progress.ended(format!("told the operator: {reason}"));
            }
            Ok((status, _)) => progress.ended(format!("told the operator: {status}")),
            Err(error) => progress.ended(error),
        }
        progress.rest(BEAT);
    }
}

/// The next head of a request; what follows it stays unread.
pub fn next_head(link: &mut Link) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if link.read(&mut byte)? == 0 || head.len() > 64 * 1024 {
            return Err("the hub hung up".into());
        }
        head.push(byte[0]);
        // Packets of its own, between requests.
        if head[0] == b'$' && head.len() == 4 {
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            link.read_exact(&mut packet)?;
            head.clear();
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Where a peer is.
pub fn address(link: &Link) -> Result<SocketAddr> {
    Ok(link.stream().local_addr()?)
}
