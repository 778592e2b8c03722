//! Pictures without Huffman tables, which many decoders refuse, from each kind of source. A stream
//! over HTTP is in `multipart`.

use super::script::{Script, Watch};
use super::{still, without_tables};
use std::io::Write;
use std::process::{Command, Stdio};

/// Returns the pixels of a picture as ffmpeg decodes it.
fn pixels(picture: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args("-v error -f mjpeg -i pipe:0 -f rawvideo -pix_fmt rgb24 pipe:1".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(picture).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test]
async fn missing_huffman_tables_are_added_for_each_kind_of_source() {
    let (complete, bare) = without_tables();
    let shown = ocelli_media::jpeg::picture(&bare).unwrap();
    let shown = shown.buffer.payload();
    // All four tables, which the encoder writes in one segment each.
    assert_eq!(shown.len() + 3 * 4, complete.len());
    assert!(!bare.windows(2).any(|two| two == [0xFF, 0xC4]));
    let expected = pixels(&complete);
    assert_eq!(expected.len(), 64 * 64 * 3);
    assert!(pixels(shown) == expected);

    let dir = std::env::temp_dir().join(format!("ocelli-tables-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str| {
        let path = dir.join(name);
        std::fs::write(&path, &bare).unwrap();
        path.display().to_string()
    };
    let program = format!(
        "exec = [\"sh\", \"-c\", \"cat {}; sleep 60\"]\nformat = \"mjpeg\"",
        file("output.jpg")
    );
    for (address, lines) in [
        (format!("file:{}", file("still.jpg")), ""),
        (format!("file:{}", file("several.mjpeg")), ""),
        ("exec:".to_owned(), &*program),
    ] {
        Watch::new(&address, lines).shows(shown, &address).await;
    }
    let script = Script::new().await;
    let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
    let (_peer, _) = script.answer(&still(&bare)).await;
    watch.shows(shown, "a still over HTTP").await;
    let _ = std::fs::remove_dir_all(&dir);
}
