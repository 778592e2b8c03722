//! Multipart streams: pictures are found whatever the headers say.

use super::script::{Peer, Script, Watch};
use super::{picture, without_tables};
use ocelli_testkit::jpeg::Picture;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n";

async fn stream(head: &str) -> (Watch, Peer) {
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", "", "/mjpeg"), "");
    let (peer, _) = script.answer(head.as_bytes()).await;
    (watch, peer)
}

/// Sends each picture in a part made by `part`, and expects it at once, without the next one.
async fn all_arrive(what: &str, head: &str, part: impl Fn(usize, &[u8]) -> Vec<u8>) {
    let (mut watch, mut peer) = stream(head).await;
    for number in 0..5 {
        let picture = picture(number as u64);
        peer.send(part(number, &picture)).await;
        watch
            .shows(&picture, &format!("{what}, picture {number}"))
            .await;
    }
    assert_eq!(watch.restarts(), 0, "{what}");
}

fn part(length: impl std::fmt::Display, picture: &[u8]) -> Vec<u8> {
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), picture, b"\r\n"].concat()
}

#[tokio::test]
async fn a_wrong_length_of_a_part_costs_no_picture() {
    for wrong in [
        -5_000i64, -3_000, -100, -10, -1, 0, 1, 3, 100, 20_000, 15_000_000,
    ] {
        all_arrive(&format!("length {wrong:+}"), HEAD, |_, picture| {
            part((picture.len() as i64 + wrong).max(0), picture)
        })
        .await;
    }
    for length in [
        "",
        "900 bytes",
        "-1",
        "x",
        "0x2000",
        "99999999999999999999",
        "9000, 9000",
    ] {
        all_arrive(length, HEAD, |_, picture| part(length, picture)).await;
    }
}

#[tokio::test]
async fn parts_need_neither_correct_boundaries_nor_headers() {
    let typed = |boundary: &str| {
        let head = format!("{boundary}Content-Type: image/jpeg\r\n\r\n");
        move |_: usize, picture: &[u8]| [head.as_bytes(), picture, b"\r\n"].concat()
    };
    let with_length = |boundary: &str, picture: &[u8]| {
        let headers = format!(
            "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            picture.len()
        );
        [boundary.as_bytes(), headers.as_bytes(), picture, b"\r\n"].concat()
    };
    all_arrive("another boundary", HEAD, typed("--other\r\n")).await;
    all_arrive("a boundary without dashes", HEAD, typed("frame\r\n")).await;
    all_arrive("four dashes", HEAD, typed("----frame\r\n")).await;
    all_arrive("a boundary with blanks", HEAD, typed("--frame  \r\n")).await;
    all_arrive("a final boundary each time", HEAD, typed("--frame--\r\n")).await;
    all_arrive("headers only", HEAD, typed("")).await;
    all_arrive("no text at all", HEAD, |_, picture| picture.to_vec()).await;
    all_arrive("no line end after a picture", HEAD, |_, picture| {
        [b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", picture].concat()
    })
    .await;
    all_arrive(
        "a blank line in place of the boundary",
        HEAD,
        |number, picture| {
            let boundary = if number == 1 { "\r\n" } else { "--frame\r\n" };
            with_length(boundary, picture)
        },
    )
    .await;
    all_arrive(
        "no boundary before the first part",
        HEAD,
        |number, picture| {
            let boundary = if number == 0 { "" } else { "--frame\r\n" };
            with_length(boundary, picture)
        },
    )
    .await;
    all_arrive("no blank line after the headers", HEAD, |_, picture| {
        [b"--frame\r\nContent-Type: image/jpeg\r\n", picture, b"\r\n"].concat()
    })
    .await;
    all_arrive("lines without a colon", HEAD, |_, picture| {
        let headers = "--frame\r\nImage 7\r\nContent-Length : 5\r\n\r\n";
        [headers.as_bytes(), picture, b"\r\n"].concat()
    })
    .await;
    all_arrive("another type of part", HEAD, |_, picture| {
        let headers = "--frame\r\nContent-Type: text/plain\r\n\r\n";
        [headers.as_bytes(), picture, b"\r\n"].concat()
    })
    .await;
}

#[tokio::test]
async fn unusual_content_types_are_streams() {
    for content_type in [
        "Content-Type: multipart/x-mixed-replace\r\n",
        "Content-Type: multipart/x-mixed-replace; boundary=\r\n",
        "Content-Type: multipart/x-mixed-replace; boundary=\"frame\r\n",
        "Content-type:Multipart/X-Mixed-Replace ; boundary = frame\r\n",
        "Content-Type : multipart/mixed; boundary=--frame\r\n",
        "content-type: text/html\r\n",
        "Content-Type: application/octet-stream\r\n",
        "Content-Type: video/x-motion-jpeg\r\n",
        "Content-Type: \r\n",
        "",
    ] {
        let head = format!("HTTP/1.0 200 OK\r\n{content_type}\r\n");
        all_arrive(content_type, &head, |_, picture| {
            part(picture.len(), picture)
        })
        .await;
    }
    // Pictures without anything between them.
    let head = "HTTP/1.0 200 OK\r\nContent-Type: video/x-mjpeg\r\n\r\n";
    all_arrive("bare pictures", head, |_, picture| picture.to_vec()).await;
}

#[tokio::test]
async fn a_picture_that_is_cut_off_is_not_shown_and_costs_no_other() {
    let (mut watch, mut peer) = stream(HEAD).await;
    let whole = picture(7);
    let scan = whole.len() - 200;
    for (number, len) in [10, 150, 1_000, scan, whole.len() - 2, whole.len() - 1]
        .into_iter()
        .enumerate()
    {
        for length in [len, whole.len()] {
            peer.send(part(length, &whole[..len])).await;
            let next = picture(number as u64);
            peer.send(part(next.len(), &next)).await;
            watch
                .shows(&next, &format!("{len} bytes, length {length}"))
                .await;
        }
    }
    assert_eq!(watch.restarts(), 0);
}

#[tokio::test]
async fn padding_is_trimmed_and_missing_tables_are_added() {
    let (mut watch, mut peer) = stream(HEAD).await;
    let whole = picture(1);
    for padding in [&[0; 5_000][..], &[0xFF; 100], b"\0\r\n"] {
        let padded = [&whole[..], padding].concat();
        peer.send(part(padded.len(), &padded)).await;
        watch.shows(&whole, "a padded picture").await;
    }
    let (complete, bare) = without_tables();
    peer.send(part(bare.len(), &bare)).await;
    let expected = ocelli_media::jpeg::picture(&bare).unwrap();
    assert_eq!(expected.buffer.len() + 3 * 4, complete.len());
    watch
        .shows(expected.buffer.payload(), "tables are added")
        .await;
}

#[tokio::test]
async fn streams_without_whole_pictures_are_explained() {
    let whole = picture(1);
    let cut = part(whole.len(), &whole[..whole.len() - 2]);
    let empty = part(4, b"\xff\xd8\xff\xd9");
    let other = |kind: &str| {
        format!("--frame\r\nContent-Type: {kind}\r\nContent-Length: 5\r\n\r\nhello\r\n")
            .into_bytes()
    };
    for (part, reason) in [
        (
            cut,
            "none of the last 10 pictures in its stream is whole: the last one is a JPEG without an end",
        ),
        (
            empty,
            "none of the last 10 pictures in its stream is whole: the last one is a JPEG without a \
             picture in it",
        ),
        (
            other("image/png"),
            "the parts of its stream are not JPEG pictures, but image/png",
        ),
        (
            other("<b>"),
            "the parts of its stream are not JPEG pictures",
        ),
    ] {
        let (watch, mut peer) = stream(HEAD).await;
        peer.send(part.repeat(12)).await;
        assert_eq!(watch.failure().await, reason);
    }
}

#[tokio::test]
async fn large_and_small_pictures_arrive_in_any_pieces() {
    let (mut watch, mut peer) = stream(HEAD).await;
    for (number, bytes) in [0, 1_000_000, 2_000, 33_000, 4_096].into_iter().enumerate() {
        let picture = Picture {
            bytes,
            ..Picture::QVGA
        };
        let picture = picture.encode_now(number as u64);
        for piece in part(picture.len(), &picture).chunks(7_777) {
            peer.send(piece).await;
        }
        watch.shows(&picture, &format!("{bytes} bytes")).await;
    }
}

#[tokio::test]
async fn parts_in_base64_are_told() {
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", "", "/mjpeg"), "");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n";
    let part = "--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                /9j/4AAQSkZJRgABAQ\r\n";
    let (_peer, _) = script
        .answer((head.to_owned() + &part.repeat(12)).as_bytes())
        .await;
    assert_eq!(
        watch.failure().await,
        "the parts of its stream are base64 text; they should be the JPEG pictures themselves"
    );
}
