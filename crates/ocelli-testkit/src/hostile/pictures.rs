//! Small files that decode to huge pictures, and more MPEG-1 viewers than the hub's limit of
//! encoders.

use super::attack::{Attack, Bounds, MEGABYTE, Over, Transport};
use super::cameras::{Usage, next_head, run, watch};
use super::devices::ready;
use super::flood::{Frames, send};
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::jpeg::Picture;
use crate::link::Link;
use crate::wire::frame;
use std::io::Write;
use std::thread;
use std::time::Duration;

/// The number of viewers, each of a different camera.
const VIEWERS: usize = 60;
/// The most child processes that are acceptable with these viewers.
const ENCODERS: usize = 16;
const BINARY: u8 = 0x82;
/// The interval between pictures.
const EACH: Duration = Duration::from_millis(250);
const RETRY_DELAY: Duration = Duration::from_millis(200);

type Make = fn() -> Vec<u8>;

pub fn attacks() -> Vec<Attack> {
    let bombs: [(&str, Make); 3] = [
        ("16,000 × 16,000", || bomb(16_000, 16_000)),
        ("65,535 × 65,535", || bomb(65_535, 65_535)),
        ("a thousand scans", scans),
    ];
    let bounds = Bounds {
        children: 4,
        children_bytes: 512 * MEGABYTE,
        ..Bounds::default()
    };
    let pushed = bombs.into_iter().map(|(name, make)| {
        let name = format!("a device and a JSMpeg viewer: pictures of {name}");
        let run = move |target: &Target, progress: &Progress| push(target, progress, &make());
        Attack::new("pictures", name, run).seconds(2.0, 6.0)
    });
    let sent = bombs.into_iter().map(|(name, make)| {
        let title = format!("an HTTP camera and a JSMpeg viewer: pictures of {name}");
        Attack::new("pictures", title, move |target, progress| {
            let response = |link, progress: &Progress| parts(link, &make(), progress);
            run("http", Usage::Encoded, None, response, target, progress)
        })
        .over(Over::Plain)
        .short(name.starts_with("16").then_some(Transport::Plain))
        .seconds(2.0, 6.0)
    });
    let attacks = pushed.chain(sent).map(|attack| attack.bounds(bounds));
    let name = format!("{VIEWERS} JSMpeg viewers of as many cameras");
    let viewers = Attack::new("pictures", name, encoders)
        .seconds(2.0, 6.0)
        .bounds(Bounds {
            children: ENCODERS,
            children_bytes: 1_200 * MEGABYTE,
            ..Bounds::default()
        });
    attacks.chain([viewers]).collect()
}

/// A few hundred bytes that declare a picture of this size. ffmpeg refuses a baseline picture
/// with too little data, but for a progressive one it allocates all coefficients.
fn bomb(width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = progressive(width, height, 3);
    jpeg.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);
    jpeg.extend([0; 256]);
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

/// A picture of 36 megapixels with a thousand empty scans; in each, the decoder visits all
/// blocks.
fn scans() -> Vec<u8> {
    const SIDE: u16 = 6_000;
    let blocks = usize::from(SIDE / 8) * usize::from(SIDE / 8);
    let mut jpeg = progressive(SIDE, SIDE, 1);
    // The AC table has one code, "0", for EOB14: an end-of-band run of 16,384 blocks plus a
    // number in 14 further bits.
    jpeg.extend([0xFF, 0xC4, 0, 20, 0x10]);
    jpeg.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xE0]);
    // The first scan has the DC differences, all 0, one bit each.
    jpeg.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]);
    jpeg.extend(vec![0; blocks / 8 + 1]);
    for number in 0..1_000 {
        let band = 1 + (number % 63) as u8;
        jpeg.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, band, band, 0]);
        // 15 bits per run of 16,384 blocks.
        jpeg.extend(vec![0; blocks / 16_384 * 2 + 3]);
    }
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

/// The beginning of a progressive picture, up to and including its DC table.
fn progressive(width: u16, height: u16, components: u8) -> Vec<u8> {
    let small = tiny();
    let (before, _) = split(&small);
    let mut jpeg = before.to_vec();
    jpeg.extend([0xFF, 0xC2, 0, 8 + 3 * components, 8]);
    jpeg.extend(height.to_be_bytes());
    jpeg.extend(width.to_be_bytes());
    jpeg.push(components);
    for component in 1..=components {
        jpeg.extend([component, 0x11, 0]);
    }
    jpeg.extend(huffman_tables());
    jpeg
}

fn tiny() -> Vec<u8> {
    let tiny = Picture {
        width: 8,
        height: 8,
        bytes: 0,
        ..Picture::default()
    };
    tiny.encode_now(0).to_vec()
}

/// Splits a baseline picture before its frame header.
fn split(jpeg: &[u8]) -> (&[u8], &[u8]) {
    let at = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]);
    jpeg.split_at(at.unwrap_or(jpeg.len()))
}

/// Returns the Huffman tables of the testkit's own pictures.
fn huffman_tables() -> Vec<u8> {
    let small = tiny();
    let (_, rest) = split(&small);
    let find = |marker: u8| rest.windows(2).position(|two| two == [0xFF, marker]);
    match (find(0xC4), find(0xDA)) {
        (Some(from), Some(to)) => rest[from..to].to_vec(),
        _ => Vec::new(),
    }
}

/// Pushes the picture repeatedly to a camera that is watched as MPEG-1.
fn push(target: &Target, progress: &Progress, picture: &[u8]) -> Result<()> {
    let key = target.create_key("hostile-picture")?;
    let mut device = ready(target, &key.path)?;
    device.send(BINARY, &tiny())?;
    thread::scope(|scope| {
        scope.spawn(|| {
            while progress.is_running() {
                if let Err(error) = watch(target, &key.room, progress) {
                    progress.ended(error);
                }
                progress.sleep(RETRY_DELAY);
            }
        });
        let mut next = Some(device);
        while progress.is_running() {
            let once = next.take().map_or_else(|| ready(target, &key.path), Ok);
            let once = once.map(|mut device| {
                progress.connected();
                let (mut pace, mut frames) = (Pace::new(f64::INFINITY), Frames::default());
                let message = frame(BINARY, picture);
                let mut ended = None;
                while progress.is_running() && ended.is_none() {
                    let taken = |bytes: &[u8]| frames.take(bytes);
                    ended = send(device.link(), progress, &mut pace, &message, taken);
                    progress.sleep(EACH);
                }
                frames.ending(ended.unwrap_or_default())
            });
            progress.ended(once.unwrap_or_else(|error| error.to_string()));
            progress.sleep(RETRY_DELAY);
        }
    });
    Ok(())
}

/// An HTTP camera that sends the picture repeatedly.
fn parts(mut link: Link, picture: &[u8], progress: &Progress) -> Result<()> {
    next_head(&mut link)?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
    link.write_all(head.as_bytes())?;
    let mut show = |picture: &[u8]| {
        let length = picture.len();
        let head =
            format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        link.write_all(&[head.as_bytes(), picture, b"\r\n"].concat())
    };
    show(&tiny())?;
    while progress.is_running() {
        show(picture)?;
        progress.sleep(EACH);
    }
    Ok(())
}

/// Opens an MPEG-1 viewer for each of many cameras. Refused viewers must get a reason.
fn encoders(target: &Target, progress: &Progress) -> Result<()> {
    let cameras = (0..VIEWERS).map(|number| {
        let source = format!(
            "http://{}/cam/{}",
            target.honest,
            1 + number % target.cameras
        );
        target.add_camera(&format!("many-{number}"), &source)
    });
    let cameras: Vec<_> = cameras.collect::<Result<_>>()?;
    let mut open = Vec::new();
    for camera in &cameras {
        let path = format!("/live/jsmpeg?app=live&room={}", camera.room);
        match target.socket(target.new_address(), &path, "") {
            Ok(socket) => open.push((socket, Frames::default())),
            // An HTTP response is a refusal with a reason.
            Err(error) => progress.ended(error),
        }
        progress.connected();
    }
    while progress.is_running() {
        open.retain_mut(|(socket, frames)| {
            let how = match socket.link().pump(&[], |bytes| frames.take(bytes)) {
                Ok(Some(_)) => return true,
                Ok(None) => frames.ending("closed".to_owned()),
                Err(error) => frames.ending(super::flood::describe_error(&error)),
            };
            if !how.starts_with(|first: char| first.is_ascii_digit()) {
                progress.fault(format!("a viewer was disconnected without a reason: {how}"));
            }
            progress.ended(how);
            false
        });
        progress.sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decompression_bomb_is_small_and_looks_like_a_jpeg() {
        let bomb = bomb(16_000, 16_000);
        assert!(bomb.len() < 600, "{}", bomb.len());
        assert!(crate::jpeg::is_whole(&bomb) && crate::jpeg::is_whole(&scans()));
        let size = [0x3E, 0x80, 0x3E, 0x80];
        assert!(bomb.windows(4).any(|four| four == size));
    }
}
