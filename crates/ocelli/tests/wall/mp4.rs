//! Fragmented MP4 over HTTP, with scripted cameras.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::device::Key;
use crate::support::http::{get, narrow, request};
use crate::support::hub::{OCELLI, keeping};
use crate::support::site::{Site, TestSource};
use crate::support::tempdir::Dir;
use ocelli_core::{Codec, FrameBuffer, Picture, Timestamp};
use ocelli_testkit::Hub;
use ocelli_testkit::jpeg::now_micros;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATH: &str = "/live/live/cam/stream.mp4";
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Written by x264: 640 × 480, without reordering.
const SEQUENCE: [u8; 24] = [
    0x67, 0x42, 0xC0, 0x16, 0xD9, 0x00, 0xA0, 0x3D, 0xB0, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x0A,
    0x0F, 0x16, 0x2E, 0x48,
];

/// A camera of this codec that takes a picture every 40 ms.
struct Camera<'a> {
    source: &'a TestSource,
    codec: Codec,
    taken: u64,
}

impl<'a> Camera<'a> {
    fn new(source: &'a TestSource) -> Self {
        Self {
            source,
            codec: Codec::H264,
            taken: now_micros(),
        }
    }

    async fn show(&mut self, key: bool, content: &[u8]) {
        self.taken += 40_000;
        let slice = [&[if key { 0x65 } else { 0x41 }, 0x88], content].concat();
        let units: &[&[u8]] = match key {
            true => &[&SEQUENCE, &[0x68, 0xCE, 1], &slice],
            false => &[&slice],
        };
        let units: Vec<u8> = units
            .iter()
            .flat_map(|unit| [&START_CODE, *unit].concat())
            .collect();
        let picture = Picture {
            codec: self.codec,
            key,
            captured: Timestamp(self.taken),
            size: Some((640, 480)),
            codec_string: Some("avc1.42c016".into()),
            buffer: FrameBuffer::copy_from(&units),
        };
        self.source.publish(picture).await;
    }
}

/// A viewer. It uses HTTP/1.0, so that the body is not chunked.
struct Viewer {
    stream: BufReader<TcpStream>,
    head: String,
}

/// A fragment: its decode time in µs, and the NAL units of its sample.
#[derive(Debug)]
struct Fragment {
    decode: u64,
    units: Vec<Vec<u8>>,
}

impl Fragment {
    /// What the camera was told to show.
    fn content(&self) -> &[u8] {
        &self.units.last().unwrap()[2..]
    }
}

impl Viewer {
    async fn open(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap()).await
    }

    async fn on(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let request = format!("GET {PATH} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let line = timeout(TIMEOUT, stream.read_line(&mut head)).await;
            assert_ne!(line.expect("a head in time").unwrap(), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        Self { stream, head }
    }

    /// Returns the next box; `None` at the end of the response.
    async fn next_box(&mut self) -> Option<(String, Vec<u8>)> {
        let mut header = [0; 8];
        let read = timeout(TIMEOUT, self.stream.read_exact(&mut header)).await;
        read.expect("a box in time").ok()?;
        let (len, kind) = header.split_at(4);
        let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
        let mut payload = vec![0; len - 8];
        let read = timeout(TIMEOUT, self.stream.read_exact(&mut payload)).await;
        read.expect("a box in time").unwrap();
        Some((String::from_utf8_lossy(kind).into_owned(), payload))
    }

    async fn beginning(&mut self) {
        for expected in ["ftyp", "moov"] {
            assert_eq!(self.next_box().await.unwrap().0, expected);
        }
    }

    async fn fragment(&mut self) -> Option<Fragment> {
        let (kind, moof) = self.next_box().await?;
        assert_eq!(kind, "moof");
        let at = moof.windows(4).position(|at| at == b"tfdt").unwrap() + 8;
        let decode = u64::from_be_bytes(moof[at..at + 8].try_into().unwrap());
        let (kind, data) = self.next_box().await.unwrap();
        assert_eq!(kind, "mdat");
        let mut units = Vec::new();
        let mut rest = &data[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (unit, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            units.push(unit.to_vec());
            rest = after;
        }
        Some(Fragment { decode, units })
    }
}

async fn viewer(site: &Site) -> Viewer {
    let mut viewer = Viewer::open(site.address).await;
    viewer.beginning().await;
    viewer
}

#[tokio::test]
async fn the_stream_begins_with_the_newest_key_frame_and_continues_with_each_frame() {
    let (site, [source]) = Site::with(["cam"]).await;
    let mut cam = Camera::new(&source);
    let opening = viewer(&site);
    let showing = async {
        site.viewers("cam", 1).await;
        cam.show(true, b"a").await;
        cam.show(false, b"b").await;
    };
    let (mut first, ()) = tokio::join!(opening, showing);
    for expected in [
        "content-type: video/mp4\r\n",
        "cache-control: no-store\r\n",
        "200 ok\r\n",
    ] {
        assert!(first.head.contains(expected), "{}", first.head);
    }
    assert!(!first.head.contains("content-length"), "{}", first.head);
    let a = first.fragment().await.unwrap();
    assert_eq!((a.decode, a.content()), (0, &b"a"[..]));
    assert_eq!(a.units[0], SEQUENCE, "the parameter sets stay");
    let b = first.fragment().await.unwrap();
    assert_eq!((b.decode, b.content()), (40_000, &b"b"[..]));
    let mut second = viewer(&site).await;
    for content in [b"a", b"b"] {
        assert_eq!(second.fragment().await.unwrap().content(), content);
    }
    cam.show(false, b"c").await;
    for viewer in [&mut first, &mut second] {
        let c = viewer.fragment().await.unwrap();
        assert_eq!((c.decode, c.content()), (80_000, &b"c"[..]));
    }
    let metrics = get(site.address, "/metrics").await.body;
    let counted = r#"ocelli_sink_viewers{sink="mp4"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(source.starts(), 1);
    drop((first, second));
    site.viewers("cam", 0).await;
}

#[tokio::test]
async fn a_slow_reader_continues_at_the_newest_group_without_a_gap() {
    let (site, [source]) = Site::with(["cam"]).await;
    let mut cam = Camera::new(&source);
    source_started(&site, &mut cam).await;
    let mut slow = Viewer::on(narrow(site.address).await).await;
    slow.beginning().await;
    let mut fast = viewer(&site).await;
    let large = vec![7; 5_000];
    for number in 0..200u32 {
        let content = [&number.to_be_bytes()[..], &large].concat();
        cam.show(number % 10 == 0, &content).await;
        if number == 0 {
            // The rest of the first group.
            while fast.fragment().await.unwrap().content().len() < 5_000 {}
            continue;
        }
        let got = fast.fragment().await.unwrap();
        assert_eq!(
            got.content()[..4],
            number.to_be_bytes(),
            "the fast one gets all"
        );
    }
    let mut last: Option<(u32, u64)> = None;
    let mut taken = 0;
    let mut skipped = 0;
    while last.is_none_or(|(number, _)| number < 199) {
        let fragment = slow.fragment().await.unwrap();
        if fragment.content().len() < 5_000 {
            continue;
        }
        let number = u32::from_be_bytes(fragment.content()[..4].try_into().unwrap());
        if let Some((before, decode)) = last {
            assert_eq!(fragment.decode - decode, 40_000, "{before} to {number}");
            if number != before + 1 {
                assert_eq!(number, 190, "the newest group");
                skipped += 1;
            }
        }
        last = Some((number, fragment.decode));
        taken += 1;
    }
    assert_eq!(skipped, 1);
    // What was in the kernel's buffers, and the newest group.
    assert!(taken <= 15, "{taken} fragments were queued");
}

/// Shows a first key frame, so that streams can start at once.
async fn source_started(site: &Site, cam: &mut Camera<'_>) {
    let path = format!("{PATH}?stream=main");
    let starting = request(site.address, "HEAD", &path, &[]);
    let showing = async {
        site.viewers("cam", 1).await;
        cam.show(true, b"start").await;
    };
    let (response, ()) = tokio::join!(starting, showing);
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), "video/mp4");
    assert_eq!(response.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_restarted_camera_continues_one_interval_later() {
    let (site, [source]) = Site::with(["cam"]).await;
    let mut cam = Camera::new(&source);
    source_started(&site, &mut cam).await;
    let mut viewer = viewer(&site).await;
    for _ in 0..5 {
        cam.show(false, b"before").await;
    }
    let mut last = 0;
    for _ in 0..6 {
        last = viewer.fragment().await.unwrap().decode;
    }
    source.crash("switched off");
    source.started(2).await;
    cam.taken += 20_000_000;
    cam.show(true, b"after").await;
    let after = viewer.fragment().await.unwrap();
    assert_eq!(after.content(), b"after");
    assert_eq!(after.decode, last + 40_000);
}

#[tokio::test]
async fn the_response_ends_when_the_camera_changes_its_codec_or_is_deleted() {
    let (site, [other, jpeg, deleted]) = Site::with(["cam", "jpeg", "deleted"]).await;
    let open = async |room: &str, source: &TestSource| {
        let path = format!("/live/live/{room}/stream.mp4");
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        site.viewers(room, 1).await;
        Camera::new(source).show(true, b"key").await;
        let mut byte = [0];
        timeout(TIMEOUT, stream.read_exact(&mut byte))
            .await
            .unwrap()
            .unwrap();
        stream
    };
    let mut streams = [
        open("cam", &other).await,
        open("jpeg", &jpeg).await,
        open("deleted", &deleted).await,
    ];
    let mut h265 = Camera::new(&other);
    h265.codec = Codec::H265;
    h265.show(true, b"other").await;
    jpeg.show().await;
    site.remove("deleted");
    for stream in &mut streams {
        let mut rest = Vec::new();
        let read = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await;
        read.expect("an end in time").unwrap();
        let fragments = rest.windows(4).filter(|at| *at == b"moof").count();
        assert_eq!(fragments, 1);
    }
}

#[tokio::test]
async fn a_camera_that_sends_neither_codec_gets_406_with_what_plays_it() {
    let dir = Dir::new("mp4");
    let (site, [jpeg]) = Site::with(["cam"]).await;
    // While the codec is unknown, the response waits for it.
    let asking = get(site.address, PATH);
    let showing = async {
        site.viewers("cam", 1).await;
        jpeg.show().await;
    };
    let (first, ()) = tokio::join!(asking, showing);
    let again = get(site.address, PATH).await;
    for response in [first, again] {
        response.is_problem(406, "camera \"cam\" sends jpeg");
        response.is_problem(406, "/live/live/cam/mjpeg");
    }
    site.viewers("cam", 0).await;

    let hub = Hub::serve(OCELLI, ["test=pattern:?size=64x48"]);
    let pattern = get(hub.addr(), "/live/live/test/stream.mp4").await;
    pattern.is_problem(406, "/live/live/test/mjpeg");
    get(hub.addr(), "/live/live/none/stream.mp4")
        .await
        .is_problem(404, "none");
    let post = request(hub.addr(), "POST", "/live/live/test/stream.mp4", &[]).await;
    assert_eq!(post.status(), 405);

    let hub = keeping(&dir.0.join("kept"));
    Key::create(hub.addr(), "live", "board").await;
    let board = get(hub.addr(), "/live/live/board/stream.mp4").await;
    board.is_problem(406, "/live/live/board/mjpeg");
}

#[tokio::test]
async fn a_camera_that_does_not_start_gets_503_after_10_s() {
    let (site, [source]) = Site::with(["cam"]).await;
    let started = Instant::now();
    let asking = get(site.address, PATH);
    let pictures = async {
        source.started(1).await;
        // No file can begin without parameter sets.
        source
            .publish(Picture {
                codec: Codec::H264,
                key: true,
                captured: Timestamp::UNKNOWN,
                size: None,
                codec_string: None,
                buffer: FrameBuffer::copy_from(&[0, 0, 0, 1, 0x65, 0x88, 1]),
            })
            .await;
    };
    let (response, ()) = tokio::join!(asking, pictures);
    response.is_problem(503, "no picture within 10 s");
    assert!(started.elapsed() > Duration::from_millis(9_500));
}

#[tokio::test]
async fn a_private_camera_is_refused_and_a_stream_ends_when_its_app_turns_private() {
    let (site, [source]) = Site::with(["cam"]).await;
    let mut cam = Camera::new(&source);
    source_started(&site, &mut cam).await;
    let mut viewer = viewer(&site).await;
    assert!(viewer.fragment().await.is_some());
    site.app("live", "live-", false);
    assert!(viewer.next_box().await.is_none(), "the response ends");
    get(site.address, PATH).await.is_problem(401, "");
}

#[tokio::test]
async fn the_small_stream_is_sent_on_request() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let path = format!("{PATH}?stream=sub");
    let asking = request(site.address, "HEAD", &path, &[]);
    let showing = async {
        sub.started(1).await;
        Camera::new(&sub).show(true, b"small").await;
    };
    let (response, ()) = tokio::join!(asking, showing);
    assert_eq!(response.status(), 200);
    assert_eq!((main.starts(), sub.starts()), (0, 1));
    let wrong = get(site.address, &format!("{PATH}?stream=best")).await;
    wrong.is_problem(400, "best");
}
