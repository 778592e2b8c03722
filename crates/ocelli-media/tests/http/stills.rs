//! Still pictures: one that ends early is not shown, and the reason is told.

use super::script::{Script, Watch};
use super::{picture, still};

const INTERVAL: &str = "interval = \"50ms\"";

#[tokio::test]
async fn a_still_that_ends_early_is_told_and_not_shown() {
    let whole = picture(1);
    let cut = &whole[..whole.len() - 10];
    let typed = |head: &str| format!("{head} 200 OK\r\nContent-Type: image/jpeg\r\n");
    let length = |length: usize| format!("{}Content-Length: {length}\r\n\r\n", typed("HTTP/1.1"));
    let len = cut.len();
    for (what, answer, reason) in [
        (
            "without length",
            [format!("{}\r\n", typed("HTTP/1.0")).as_bytes(), cut].concat(),
            format!("its picture ends early, after {len} bytes"),
        ),
        (
            "length too small",
            [length(len).as_bytes(), &whole].concat(),
            format!("its picture ends early, after {len} bytes"),
        ),
        (
            "closed early",
            [length(whole.len()).as_bytes(), cut].concat(),
            format!(
                "its picture ends early, after {len} bytes, because the camera closed the connection"
            ),
        ),
        (
            "chunked",
            [
                format!(
                    "{}Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n",
                    typed("HTTP/1.1")
                )
                .as_bytes(),
                cut,
                b"\r\n0\r\n\r\n",
            ]
            .concat(),
            format!("its picture ends early, after {len} bytes"),
        ),
        (
            "only headers",
            still(&[&whole[..100], b"\xff\xd9"].concat()),
            "its picture ends early, after 102 bytes".to_owned(),
        ),
        (
            "no scan",
            still(b"\xff\xd8\xff\xd9"),
            "it sends a JPEG without a picture in it".to_owned(),
        ),
        ("empty", still(b""), "it sends an empty picture".to_owned()),
        (
            "another format",
            still(b"GIF89a"),
            "the picture it sends is not a JPEG".to_owned(),
        ),
    ] {
        let script = Script::new().await;
        let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), INTERVAL);
        let (mut peer, _) = script.answer(&still(&whole)).await;
        watch.shows(&whole, what).await;
        peer.request().await.expect("the next request");
        peer.send(&answer).await;
        drop(peer);
        assert_eq!(watch.failure().await, reason, "{what}");
        let next = picture(2);
        script.answer(&still(&next)).await;
        watch.shows(&next, what).await;
        assert_eq!(watch.restarts(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_camera_without_whole_stills_fails_with_the_reason() {
    let whole = picture(1);
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", "", "/still.jpg"), INTERVAL);
    for _ in 0..3 {
        script.answer(&still(&whole[..1000])).await;
    }
    // The fourth request belongs to the next attempt.
    let _peer = script.accept().await;
    assert_eq!(watch.restarts(), 1);
    assert_eq!(
        watch.failure().await,
        "its picture ends early, after 1000 bytes"
    );
}

#[tokio::test]
async fn a_still_with_a_wrong_type_or_length_is_shown() {
    for (what, head) in [
        ("no type", "HTTP/1.1 200 OK\r\n\r\n"),
        ("an empty type", "HTTP/1.1 200 OK\r\nContent-Type:\r\n\r\n"),
        ("text", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n"),
        (
            "another format",
            "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n",
        ),
        (
            "a unit",
            "HTTP/1.1 200 OK\r\nContent-Length: 3001 bytes\r\n\r\n",
        ),
        (
            "too long",
            "HTTP/1.1 200 OK\r\nContent-Length: 15000000\r\n\r\n",
        ),
        (
            "no number",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        ),
        (
            "padding in front",
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n\r\n\r\n",
        ),
    ] {
        let script = Script::new().await;
        let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), INTERVAL);
        // After three stills in a row that are not whole, the attempt would fail.
        for _ in 0..4 {
            let whole = picture(1);
            let (peer, _) = script.answer(&[head.as_bytes(), &whole].concat()).await;
            drop(peer);
            watch.shows(&whole, what).await;
        }
        assert_eq!(watch.restarts(), 0, "{what}");
    }
}

#[tokio::test]
async fn other_formats_are_told_with_what_is_right() {
    for (kind, reason) in [
        ("image/png", "it answers with image/png, not with JPEG"),
        ("image/webp", "it answers with image/webp, not with JPEG"),
        (
            "video/mp4",
            "it answers with video/mp4, not with pictures: ffmpeg: in front of its address plays it",
        ),
        (
            "application/vnd.apple.mpegurl",
            "it answers with application/vnd.apple.mpegurl, not with pictures: ffmpeg: in front \
             of its address plays it",
        ),
    ] {
        let script = Script::new().await;
        let watch = Watch::new(&script.url("http", "", "/still"), "");
        let answer = format!(
            "HTTP/1.0 200 OK
Content-Type: {kind}

other"
        );
        drop(script.answer(answer.as_bytes()).await);
        assert_eq!(watch.failure().await, reason);
    }
}

#[tokio::test]
async fn a_still_is_shown_although_the_response_does_not_end() {
    let script = Script::new().await;
    let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), INTERVAL);
    let mut open = Vec::new();
    for number in 0..2 {
        let whole = picture(number);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            whole.len() + 3
        );
        open.push(script.answer(&[head.as_bytes(), &whole].concat()).await);
        watch.shows(&whole, "it is whole").await;
    }
    assert_eq!(watch.restarts(), 0);
}

#[tokio::test]
async fn the_last_of_two_pictures_in_a_still_stays() {
    let script = Script::new().await;
    let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), "interval = \"1h\"");
    let (old, new) = (picture(1), picture(2));
    script
        .answer(&still(&[&old[..], &new, &[0; 99]].concat()))
        .await;
    // Both are published in one step, so only the last one is seen.
    watch.shows(&new, "the last one").await;
}
