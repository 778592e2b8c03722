//! HTTP cameras that never send a picture, or far too many.

use super::attack::{Attack, MEGABYTE, Over};
use super::cameras::{Usage, next_head, run};
use super::flood::flood;
use super::progress::{Pace, Progress};
use crate::Result;
use crate::jpeg::Picture;
use crate::link::{Link, self_signed};
use std::io::Write;

/// Bytes per second of each camera.
const RATE: f64 = 40.0 * MEGABYTE as f64;
/// The number of cameras.
const CAMERAS: usize = 4;
/// Pictures per second of each camera.
const PICTURES: f64 = 50_000.0;

/// What the camera sends.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    /// Endless interim responses, and never a final one.
    Interim,
    Headers,
    /// A chunked body with one byte in each chunk.
    Chunks,
    /// Empty parts.
    Parts,
    /// A part whose headers never end.
    PartHeaders,
    Pictures,
}

pub fn attacks() -> Vec<Attack> {
    let behaviours = [
        ("endless 103 responses", Behaviour::Interim),
        ("endless headers", Behaviour::Headers),
        ("chunks of one byte", Behaviour::Chunks),
        ("empty parts", Behaviour::Parts),
        ("endless headers of a part", Behaviour::PartHeaders),
        ("50,000 tiny pictures per second", Behaviour::Pictures),
    ];
    let usages = [
        ("http", Usage::Watched(CAMERAS)),
        ("https", Usage::Watched(CAMERAS)),
        ("http", Usage::Tested),
    ];
    let all = usages
        .into_iter()
        .flat_map(|usage| behaviours.map(|one| (usage, one)));
    all.filter(|((_, usage), (_, behaviour))| {
        // A test ends at the first picture.
        *usage != Usage::Tested || *behaviour != Behaviour::Pictures
    })
    .map(|((scheme, usage), (name, behaviour))| {
        let how = if usage == Usage::Tested {
            "tested"
        } else {
            "watched"
        };
        let name = format!("{CAMERAS} {scheme} cameras, {how}: {name}");
        let attack = Attack::new("http", name, move |target, progress| {
            let answer = |link, progress: &Progress| answer(link, behaviour, progress);
            let certificate = (scheme == "https").then(self_signed).transpose()?;
            run(
                scheme,
                usage,
                certificate.as_ref(),
                answer,
                target,
                progress,
            )
        });
        use Behaviour::{Interim, PartHeaders, Pictures};
        let short = match (scheme, usage) {
            ("https", _) => matches!(behaviour, Interim | Pictures),
            (_, Usage::Tested) => behaviour == Interim,
            _ => behaviour != PartHeaders,
        };
        let attack = attack.over(Over::Plain);
        let attack = if short { attack } else { attack.short(None) };
        match (scheme, behaviour) {
            ("http", Interim) if usage != Usage::Tested => attack.ends(),
            _ => attack,
        }
    })
    .collect()
}

const MULTIPART: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n";

fn answer(mut link: Link, behaviour: Behaviour, progress: &Progress) -> Result<()> {
    next_head(&mut link)?;
    let many = |one: &[u8]| one.repeat(16_000 / one.len());
    let part = "--frame\r\nContent-Type: image/jpeg\r\n";
    let picture = Picture {
        width: 8,
        height: 8,
        bytes: 0,
        ..Picture::default()
    }
    .encode_now(0);
    let one = [format!("{part}\r\n").as_bytes(), &picture, b"\r\n"].concat();
    let mut rate = RATE;
    let (begin, more) = match behaviour {
        Behaviour::Interim => (String::new(), many(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
        Behaviour::Headers => ("HTTP/1.1 200 OK\r\n".to_owned(), many(b"X: y\r\n")),
        Behaviour::Chunks => {
            let head = format!("{MULTIPART}Transfer-Encoding: chunked\r\n\r\n");
            let part = format!("{head}{:x}\r\n{part}\r\n\r\n", part.len() + 2);
            (part, many(b"1\r\na\r\n"))
        }
        Behaviour::Parts => (format!("{MULTIPART}\r\n"), many(b"--frame\r\n\r\n\r\n")),
        Behaviour::PartHeaders => (format!("{MULTIPART}\r\n--frame\r\n"), many(b"X: y\r\n")),
        Behaviour::Pictures => {
            rate = PICTURES * one.len() as f64;
            (format!("{MULTIPART}\r\n"), many(&one))
        }
    };
    link.write_all(begin.as_bytes())?;
    link.flush()?;
    let ended = flood(
        &mut link,
        progress,
        &mut Pace::new(rate),
        || more.clone(),
        |_| {},
    );
    if let Some(how) = ended {
        progress.ended(format!("the hub disconnected: {how}"));
    }
    Ok(())
}
