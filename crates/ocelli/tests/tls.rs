//! TLS: the hub's own authority and files that somebody else made, asked by curl,
//! openssl, and WebSocket and HTTP/2 clients that we did not write.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use http::{Request, StatusCode};
use ocelli::tls::authority::{Certificate, Names};
use ocelli::tls::files::{Files, Watch};
use ocelli::tls::keep::Keeper;
use ocelli_core::Timestamp;
use ocelli_testkit::jpeg::{self, Picture};
use rustix::process::Signal;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use support::PATIENCE;
use support::doctor::doctor_with;
use support::secure::{Local, Stream, connect, encrypt, text};
use support::site::{Hand, Site};
use support::tempdir::Dir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const HTTP_1: &[u8] = b"http/1.1";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A WebSocket over a connection.
async fn socket(stream: Stream, path: &str) -> WebSocketStream<Stream> {
    let port = stream.get_ref().0.peer_addr().unwrap().port();
    let opened = client_async(format!("wss://localhost:{port}{path}"), stream);
    let (socket, answer) = timeout(PATIENCE, opened).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    socket
}

/// The number of the next picture of a camera's socket.
async fn number(socket: &mut WebSocketStream<Stream>) -> u64 {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap();
        if let Message::Binary(picture) = message.unwrap().unwrap() {
            return jpeg::stamp(&picture).expect("a stamp").sequence;
        }
    }
}

fn picture(bytes: usize, sequence: u64) -> Vec<u8> {
    let size = Picture {
        bytes,
        ..Picture::QVGA
    };
    size.encode_now(sequence).to_vec()
}

/// The numbers of the pictures in what came of a multipart body.
fn numbers(body: &[u8]) -> Vec<u64> {
    let find = |part: &[u8]| body.windows(part.len()).position(|window| window == part);
    let Some(begin) = find(b"\r\n\r\n").map(|at| at + 4) else {
        return Vec::new();
    };
    let Some(end) = find(b"\r\n--frame\r\n").filter(|end| *end > begin) else {
        return Vec::new();
    };
    let mut all = vec![jpeg::stamp(&body[begin..end]).expect("a stamp").sequence];
    all.extend(numbers(&body[end + 2..]));
    all
}

#[tokio::test]
async fn pages_come_over_http_2_and_the_wall_over_wss() {
    let local = Local::start();
    assert!(local.hub.url("/").starts_with("https://127.0.0.1:"));
    for (version, wanted) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let told = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
        let page = local.curl(&[&[version][..], &told, &[&local.hub.url("/health")]].concat());
        assert_eq!(text(&page), wanted);
    }
    let still = local.curl(&[&local.hub.url("/live/live/cam1/frame.jpg")]);
    assert!(jpeg::is_whole(&still.stdout), "{}", text(&still));

    let mut wall = socket(local.connect("localhost", HTTP_1).await, "/ws/cameras").await;
    let subscribe = r#"{"cmd":"subscribe","cameras":["cam1"]}"#;
    wall.send(Message::text(subscribe)).await.unwrap();
    for _ in 0..5 {
        let message = timeout(PATIENCE, wall.next()).await.unwrap().unwrap();
        let message = message.unwrap().into_data();
        assert_eq!(&message[..5], b"\x04cam1");
        assert!(jpeg::is_whole(&message[5..]));
    }
}

#[tokio::test]
async fn a_socket_over_http_2_is_told_what_to_do() {
    let local = Local::start();
    let url = local.hub.url("/ws/cameras");
    let answer = text(&local.curl(&["--http2", "-i", &url]));
    assert!(answer.contains("HTTP/2 505"), "{answer}");
    assert!(answer.contains("HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn the_certificate_is_for_every_name_and_short_lived() {
    let local = Local::start();
    let told = local.openssl(&["-alpn", "h2", "-verify_ip", "127.0.0.1"]);
    for words in ["Verify return code: 0 (ok)", "ALPN protocol: h2", "TLSv1.3"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    for name in ["localhost", "cams.lan"] {
        let told = local.openssl(&["-verify_hostname", name, "-servername", name, "-tls1_2"]);
        assert!(told.contains("Verify return code: 0"), "{told}");
    }
    let told = local.openssl(&["-verify_hostname", "evil.example"]);
    assert!(told.contains("ostname mismatch"), "{told}");
    // The names of the configuration are those of the Host rule too.
    let (port, resolve) = (local.port(), format!("cams.lan:{}:127.0.0.1", local.port()));
    let url = format!("https://cams.lan:{port}/health");
    let page = text(&local.curl(&["--resolve", &resolve, &url]));
    assert!(page.contains("\"ok\""), "{page}");
}

#[tokio::test]
async fn a_foreign_host_is_refused_over_http_2_too() {
    let local = Local::start();
    let port = local.port();
    for version in ["--http2", "--http1.1"] {
        // As DNS rebinding does it: the name is theirs, the address ours.
        let resolve = format!("evil.example:{port}:127.0.0.1");
        let url = format!("https://evil.example:{port}/health");
        let told = local.curl(&["-k", version, "-i", "--resolve", &resolve, &url]);
        let told = text(&told);
        assert!(told.contains(" 403"), "{told}");
        assert!(told.contains("allowed_hosts"), "{told}");
        let own = local.hub.url("/health");
        let told = text(&local.curl(&[version, "-i", "-H", "Host: evil.example", &own]));
        assert!(told.contains(" 403"), "{told}");
    }
}

#[tokio::test]
async fn plain_http_is_shown_the_way_and_the_authority() {
    let local = Local::start();
    let plain = format!("http://{}", local.hub.addr());
    let told = text(&local.curl(&["-i", &format!("{plain}/play/live/cam1?x=1")]));
    assert!(told.starts_with("HTTP/1.1 307"), "{told}");
    let there = format!("location: {}\r\n", local.hub.url("/play/live/cam1?x=1"));
    assert!(told.contains(&there), "{told}");
    let followed = text(&local.curl(&["-L", &format!("{plain}/health")]));
    assert!(followed.contains("\"ok\""), "{followed}");
    for refused in [
        &["-X", "POST"][..],
        &["-H", "Upgrade: websocket", "-H", "Connection: Upgrade"],
        &["--http1.0", "-H", "Host:"],
    ] {
        let arguments = [refused, &["-i", &plain]].concat();
        let told = text(&local.curl(&arguments));
        assert!(told.contains(" 400 "), "{told}");
        assert!(told.contains("https:// and wss://"), "{told}");
    }
    let foreign = local.curl(&["-i", "-H", "Host: evil.example", &plain]);
    assert!(text(&foreign).contains(" 403 "), "{}", text(&foreign));

    let kept = std::fs::read(local.authority()).unwrap();
    for base in [&plain, &format!("https://{}", local.hub.addr())] {
        assert_eq!(local.curl(&[&format!("{base}/ca.pem")]).stdout, kept);
        let page = text(&local.curl(&["-i", &format!("{base}/ca")]));
        let certificate = Certificate::read(&local.dir.0.join("kept"))
            .unwrap()
            .unwrap();
        let print = ocelli::tls::fingerprint(&certificate.der);
        assert!(page.contains(&print) && page.contains("iPhone"), "{page}");
        assert!(page.contains("frame-ancestors 'self'"), "{page}");
        let crt = local.curl(&[&format!("{base}/ca.crt")]);
        assert_eq!(crt.stdout, certificate.der.to_vec());
    }
    let header = local.curl(&[&format!("{plain}/ca.h")]).stdout;
    let header = local.dir.write("ca.h", &String::from_utf8(header).unwrap());
    let program = "#include <stdio.h>\n#include \"ca.h\"\nint main(void){fputs(OCELLI_CA,stdout);}";
    let (source, out) = (local.dir.write("ca.c", program), local.dir.0.join("ca"));
    let made = Command::new("cc").arg(&source).arg("-o").arg(&out).output();
    assert!(
        header.exists() && made.as_ref().unwrap().status.success(),
        "{made:?}"
    );
    assert_eq!(Command::new(out).output().unwrap().stdout, kept);
}

#[tokio::test]
async fn without_an_authority_its_addresses_say_so() {
    let site = Site::start().await;
    for path in ["/ca", "/ca.pem", "/ca.crt", "/ca.h"] {
        support::http::get(site.address, path)
            .await
            .is_problem(404, "--tls local");
    }
}

#[tokio::test]
async fn who_does_not_finish_a_handshake_hinders_nobody_and_is_dropped() {
    let local = Local::start();
    let mut silent = Vec::new();
    for begun in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"G",
    ] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(local.hub.addr()).await.unwrap();
            stream.write_all(begun).await.unwrap();
            silent.push(stream);
        }
    }
    // One that has shaken hands and then asks nothing.
    let mut mute = local.connect("localhost", b"h2").await;
    let page = text(&local.curl(&[&local.hub.url("/health")]));
    assert!(page.contains("\"ok\""), "{page}");
    // Rubbish is answered with nothing, at once.
    let mut rubbish = TcpStream::connect(local.hub.addr()).await.unwrap();
    rubbish.write_all(&[0, 1, 2, 3]).await.unwrap();
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), rubbish.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "{ended:?} {rest:?}");
    for stream in &mut silent {
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a handshake takes for ever");
    }
    let ended = timeout(PATIENCE, mute.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "a silent client stays for ever");
}

/// A viewer of MJPEG over HTTP/2.
struct Streamed {
    body: h2::RecvStream,
    read: Vec<u8>,
}

impl Streamed {
    async fn open(client: &mut SendRequest<Bytes>, address: SocketAddr) -> Self {
        let url = format!("https://localhost:{}/live/live/cam/mjpeg", address.port());
        let request = Request::get(url).body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Self {
            body: answer.into_body(),
            read: Vec::new(),
        }
    }

    /// Reads the next piece.
    async fn read_on(&mut self) {
        let piece = timeout(PATIENCE, self.body.data()).await;
        let piece = piece.expect("a picture in time").unwrap().unwrap();
        let _ = self.body.flow_control().release_capacity(piece.len());
        self.read.extend_from_slice(&piece);
    }

    /// Reads on until this picture has come.
    async fn until(&mut self, wanted: u64) {
        while !numbers(&self.read).contains(&wanted) {
            self.read_on().await;
        }
    }
}

#[tokio::test]
async fn a_slow_stream_of_http_2_skips_and_hinders_no_other_on_its_connection() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let stream = connect(site.address, site.authority.as_ref().unwrap(), b"h2").await;
    // The slow one is to use up its own window, not everybody's.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let (mut client, connection) = builder.handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut slow = Streamed::open(&mut client, site.address).await;
    let mut fast = Streamed::open(&mut client, site.address).await;
    let mut other = Streamed::open(&mut client, site.address).await;
    for sequence in 0..200 {
        cam.show_picture(&picture(5_000, sequence), Timestamp::UNKNOWN)
            .await;
        tokio::join!(fast.until(sequence), other.until(sequence));
        for viewer in [&mut fast, &mut other] {
            viewer.read = b"--frame\r\n".to_vec();
        }
    }
    slow.until(199).await;
    let taken = numbers(&slow.read).len();
    // A window of 64 KiB, and one on its way.
    assert!(taken <= 17, "{taken} pictures waited");
    driving.abort();
}

#[tokio::test]
async fn a_slow_connection_of_http_2_has_little_waiting_in_the_hub() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let dir = site.authority.as_ref().unwrap();
    let mut fast = socket(
        connect(site.address, dir, HTTP_1).await,
        "/live/ws?app=live&room=cam",
    )
    .await;
    let narrow = TcpSocket::new_v4().unwrap();
    narrow.set_recv_buffer_size(8 * 1024).unwrap();
    let narrow = narrow.connect(site.address).await.unwrap();
    let narrow = encrypt(narrow, &dir.0.join("ca.pem"), "localhost", b"h2").await;
    // Windows as wide as browsers open them: only TCP holds anything back.
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(16 << 20)
        .initial_connection_window_size(16 << 20);
    let (mut client, connection) = builder.handshake(narrow).await.unwrap();
    let mut connection = Box::pin(connection);
    let opening = async {
        let first = Streamed::open(&mut client, site.address).await;
        (first, Streamed::open(&mut client, site.address).await)
    };
    let mut viewers = tokio::select! {
        (first, second) = opening => [first, second],
        _ = &mut connection => panic!("the connection ended"),
    };
    site.viewers("cam", 3).await;
    for sequence in 0..50 {
        cam.show_picture(&picture(100_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(number(&mut fast).await, sequence, "the other has every one");
        // Each takes a sixth of what is shown.
        for viewer in &mut viewers {
            tokio::select! {
                () = viewer.read_on() => {}
                _ = &mut connection => panic!("the connection ended"),
            }
        }
    }
    let driving = tokio::spawn(connection);
    for mut slow in viewers {
        let before = numbers(&slow.read).len();
        slow.until(49).await;
        let waited = &numbers(&slow.read)[before..];
        assert!(waited.len() <= 3, "{waited:?} waited");
    }
    driving.abort();
}

/// What a slow reader of this address gets while 300 pictures are shown; all are
/// shown before it has read a tenth of them.
async fn slow_curl(site: &Site, cam: &Hand, version: &str) -> Vec<u64> {
    let dir = site.authority.as_ref().unwrap();
    let port = site.address.port();
    let mut slow = tokio::process::Command::new("curl")
        .args(["-sSN", version, "--limit-rate", "150k", "--cacert"])
        .arg(dir.0.join("ca.pem"))
        .arg(format!("https://localhost:{port}/live/live/cam/mjpeg"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stream = connect(site.address, dir, HTTP_1).await;
    let mut fast = socket(stream, "/live/ws?app=live&room=cam").await;
    site.viewers("cam", 2).await;
    for sequence in 0..300 {
        cam.show_picture(&picture(20_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(number(&mut fast).await, sequence, "the other has every one");
    }
    let (mut body, mut read) = (slow.stdout.take().unwrap(), Vec::new());
    while numbers(&read).last() != Some(&299) {
        let got = timeout(PATIENCE, body.read_buf(&mut read)).await.unwrap();
        assert_ne!(got.unwrap(), 0, "curl ended");
    }
    slow.kill().await.unwrap();
    numbers(&read)
}

#[tokio::test]
async fn a_slow_reader_over_tls_gets_a_recent_picture() {
    for version in ["--http2", "--http1.1"] {
        let site = Site::start_secure().await;
        let cam = site.camera("cam");
        let taken = slow_curl(&site, &cam, version).await.len();
        // What the kernel of the reader holds.
        assert!(taken <= 20, "{version}: {taken} pictures waited");
    }
}

#[tokio::test]
async fn a_slow_socket_over_tls_skips() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let dir = site.authority.as_ref().unwrap();
    let narrow = TcpSocket::new_v4().unwrap();
    narrow.set_recv_buffer_size(8 * 1024).unwrap();
    let narrow = narrow.connect(site.address).await.unwrap();
    let narrow = encrypt(narrow, &dir.0.join("ca.pem"), "localhost", HTTP_1).await;
    let path = "/live/ws?app=live&room=cam";
    let mut slow = socket(narrow, path).await;
    let mut fast = socket(connect(site.address, dir, HTTP_1).await, path).await;
    site.viewers("cam", 2).await;
    for sequence in 0..200 {
        cam.show_picture(&picture(5_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(number(&mut fast).await, sequence, "the other has every one");
    }
    let mut taken = 0;
    while number(&mut slow).await < 199 {
        taken += 1;
    }
    // As without TLS: what the kernels hold, and one on its way.
    assert!(taken <= 5, "{taken} pictures waited");
}

/// The certificate that a server shows to who trusts this authority.
async fn shown(keeper: &Keeper, authority: &Path) -> (Vec<u8>, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = keeper.server().clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (connection, _) = ocelli::connection::Connection::new(stream).unwrap();
        let Ok(ocelli::tls::Opened::Http1(mut connection)) = server.open(connection).await else {
            panic!("no HTTP/1.1");
        };
        let mut byte = [0];
        while connection.read_exact(&mut byte).await.is_ok() {
            connection.write_all(&byte).await.unwrap();
            connection.flush().await.unwrap();
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = encrypt(stream, authority, "localhost", HTTP_1).await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    (chain[0].to_vec(), stream)
}

#[tokio::test]
async fn it_is_renewed_in_time_and_when_addresses_change() {
    let dir = Dir::new("renewal");
    let pem = dir.0.join("ca.pem");
    let mut names = Names::default();
    names.add("LocalHost");
    let home: [IpAddr; 2] = ["192.168.7.7".parse().unwrap(), "fe80::1".parse().unwrap()];
    let now = SystemTime::now();
    let (mut keeper, _) = Keeper::of_authority(&dir.0, names, &home, now).unwrap();
    let (first, mut open) = shown(&keeper, &pem).await;

    assert!(!keeper.look(now, &home), "nothing has changed");
    assert!(!keeper.look(now + 59 * DAY, &home), "it is young");
    // An address that means something on one link alone is nobody's.
    assert!(!keeper.look(now, &home[..1]));
    let moved: [IpAddr; 1] = ["10.0.0.9".parse().unwrap()];
    assert!(keeper.look(now, &moved));
    assert!(!keeper.look(now, &moved));
    let (second, _) = shown(&keeper, &pem).await;
    assert_ne!(first, second);
    assert!(
        keeper.look(now + 61 * DAY, &moved),
        "a month before its end"
    );
    assert!(!keeper.look(now + 62 * DAY, &moved));
    // The clock was wrong, and is set right.
    assert!(keeper.look(now, &moved));
    let (third, _) = shown(&keeper, &pem).await;
    assert_ne!(second, third);
    // Who was connected still is.
    open.write_all(b"x").await.unwrap();
    let mut echo = [0];
    timeout(PATIENCE, open.read_exact(&mut echo))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&echo, b"x");
}

#[tokio::test]
async fn the_authority_stays_and_its_key_is_private() {
    let dir = Dir::new("kept");
    let start = || Local::builder(&dir, "").start();
    let read = |name: &str| std::fs::read_to_string(dir.0.join("kept").join(name));
    drop(start());
    let (pem, key) = (read("ca.pem").unwrap(), read("ca.key").unwrap());
    let mode = std::fs::metadata(dir.0.join("kept/ca.key"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(key.contains("PRIVATE KEY"), "it is where it is looked for");
    let hub = start();
    assert_eq!(
        (read("ca.pem").unwrap(), read("ca.key").unwrap()),
        (pem.clone(), key.clone())
    );
    let said = [hub.stdout(), hub.stderr()].concat().join("\n");
    assert!(!said.contains("PRIVATE"), "{said}");
    drop(hub);

    let refused = |words: &str| {
        let output = Command::new("timeout")
            .args(["20", env!("CARGO_BIN_EXE_ocelli"), "serve", "--listen"])
            .args(["127.0.0.1:0", "--tls", "local", "--data"])
            .arg(dir.0.join("kept"))
            .output()
            .unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains(key.lines().nth(1).unwrap()), "{said}");
    };
    let write = |name: &str, text: &str| std::fs::write(dir.0.join("kept").join(name), text);
    write("ca.key", "").unwrap();
    refused("ca.key can't be used: it is gone");
    write("ca.key", "rubbish").unwrap();
    refused("ca.key can't be used: it is no private key");
    let foreign = rcgen::KeyPair::generate().unwrap().serialize_pem();
    write("ca.key", &foreign).unwrap();
    refused("ca.pem can't be used");
    write("ca.key", &key).unwrap();
    write("ca.pem", "rubbish").unwrap();
    refused("ca.pem can't be used: it is no certificate");
    // A start that broke off before the certificate was written.
    std::fs::remove_file(dir.0.join("kept/ca.pem")).unwrap();
    drop(start());
    assert!(read("ca.pem").unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(read("ca.key").unwrap(), key);
}

/// Writes a pair of an own authority; the certificate's bytes.
fn write_pair(cert: &Path, key: &Path, parts: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    if parts.contains("cert") {
        std::fs::write(cert, made.cert.pem()).unwrap();
    }
    if parts.contains("key") {
        std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    }
    made.cert.der().to_vec()
}

#[tokio::test]
async fn files_are_read_again_and_a_bad_pair_keeps_the_old_one() {
    let dir = Dir::new("files");
    let (live, one, two) = (dir.0.join("live"), dir.0.join("one"), dir.0.join("two"));
    for folder in [&live, &one, &two] {
        std::fs::create_dir(folder).unwrap();
    }
    let pair = |folder: &Path| [folder.join("fullchain.pem"), folder.join("privkey.pem")];
    let first = {
        let [cert, key] = pair(&one);
        write_pair(&cert, &key, "cert key")
    };
    let point = |to: &Path, parts: &[usize]| {
        for part in parts {
            let (link, target) = (&pair(&live)[*part], &pair(to)[*part]);
            let _ = std::fs::remove_file(link);
            symlink(target, link).unwrap();
        }
    };
    // As certbot does it: links that are turned one after the other.
    point(&one, &[0, 1]);
    let [cert, key] = pair(&live);
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[tls]\nmode = \"files\"\ncert = '{}'\nkey = '{}'\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=320x240&fps=10\"\n",
        cert.display(),
        key.display()
    );
    let config = dir.write("ocelli.toml", &config);
    let builder = ocelli_testkit::Hub::builder(env!("CARGO_BIN_EXE_ocelli"));
    let hub = builder.args(["serve", "--config"]).arg(config).start();
    let now_shown = async |authority: &Path| {
        let stream = TcpStream::connect(hub.addr()).await.unwrap();
        let stream = encrypt(stream, authority, "localhost", HTTP_1).await;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        (chain[0].to_vec(), stream)
    };
    let (seen, stream) = now_shown(&pair(&one)[0]).await;
    assert_eq!(seen, first);
    let mut open = socket(stream, "/live/ws?app=live&room=cam1").await;

    let [new_cert, new_key] = pair(&two);
    let second = write_pair(&new_cert, &new_key, "cert key");
    point(&two, &[0]);
    let line = hub
        .wait_stderr("it is not the key of", PATIENCE)
        .expect("it is told");
    assert!(line.contains("goes on being shown"), "{line}");
    assert_eq!(now_shown(&pair(&one)[0]).await.0, first);
    point(&two, &[1]);
    hub.wait_stderr("read again", PATIENCE)
        .expect("the pair is whole");
    assert_eq!(now_shown(&new_cert).await.0, second);
    let told = hub
        .stderr()
        .iter()
        .filter(|line| line.contains("not the key"))
        .count();
    assert_eq!(told, 1, "told once");
    // Who was connected still is.
    let message = timeout(PATIENCE, open.next()).await.unwrap();
    message.expect("pictures").unwrap();
    let page = support::secure::curl(&pair(&one)[0], &["-I", "http://localhost:1"]);
    assert!(!page.status.success());
    // It is no authority of ours.
    let ca = support::secure::curl(
        &new_cert,
        &[
            "-i",
            &format!("https://localhost:{}/ca.pem", hub.addr().port()),
        ],
    );
    assert!(text(&ca).contains("404"), "{}", text(&ca));
}

#[test]
fn a_pair_that_is_bad_is_named_and_looked_at_again_when_it_changes() {
    let dir = Dir::new("pair");
    let (cert, key) = (dir.0.join("cert.pem"), dir.0.join("key.pem"));
    let files = Files {
        cert: cert.clone(),
        key: key.clone(),
    };
    let refused = |words: &str| {
        let error = Watch::begin(files.clone())
            .err()
            .expect("refused")
            .to_string();
        assert!(error.contains(words), "{error}");
    };
    refused("cert.pem can't be used: No such file");
    write_pair(&cert, &key, "cert");
    refused("key.pem can't be used: No such file");
    write_pair(&cert, &key, "key");
    refused("it is not the key of");
    std::fs::write(&key, "rubbish").unwrap();
    refused("key.pem can't be used: it holds nothing of the kind");
    std::fs::write(&cert, "").unwrap();
    refused("cert.pem can't be used: it holds no certificate");

    write_pair(&cert, &key, "cert key");
    let (mut watch, _) = Watch::begin(files).unwrap();
    assert!(watch.look().is_none(), "nothing has changed");
    for _ in 0..2 {
        let mut told = |words: &str| {
            let looks: Vec<_> = (0..4).map(|_| watch.look()).collect();
            let told: Vec<_> = looks.iter().flatten().collect();
            // At the second look, for it might have been whole by then; and once.
            assert!(looks[0].is_none() && told.len() == 1, "{words}");
            let error = told[0].as_ref().expect_err("a fault").to_string();
            assert!(error.contains(words), "{error}");
        };
        write_pair(&cert, &key, "cert");
        told("it is not the key of");
        std::fs::remove_file(&key).unwrap();
        told("No such file");
        write_pair(&cert, &key, "cert key");
        assert!(watch.look().is_some_and(|look| look.is_ok()), "a good one");
        assert!(watch.look().is_none());
    }
}

fn ocelli(arguments: &[&str], environment: &[(&str, &Path)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
    command.envs(environment.iter().copied()).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.success(), text(&output))
}

#[tokio::test]
async fn the_authority_is_shown_and_made_known_on_this_machine() {
    let local = Local::start();
    let data = local.dir.0.join("kept");
    let place = ["--data", data.to_str().unwrap()];
    let (good, shown) = ocelli(&[&["ca", "show"][..], &place].concat(), &[]);
    let facts = Command::new("openssl")
        .args([
            "x509",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-dateopt",
            "iso_8601",
            "-enddate",
            "-in",
        ])
        .arg(local.authority())
        .output()
        .unwrap();
    let facts = text(&facts);
    let fact = |name: &str| {
        let line = facts.lines().find_map(|line| {
            line.split_once('=')
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        });
        line.unwrap_or_else(|| panic!("{name}: {facts}"))
            .1
            .to_owned()
    };
    assert!(
        good && shown.contains(&fact("sha256 Fingerprint")),
        "{shown}"
    );
    assert!(shown.contains(&fact("notAfter")[..10]), "{facts}{shown}");
    assert!(shown.contains(&std::fs::read_to_string(local.authority()).unwrap()));
    assert!(!shown.contains("PRIVATE"), "{shown}");
    // What it prints is PEM to whoever reads PEM.
    let whole = local.dir.write("shown.txt", &shown);
    let page = support::secure::curl(&whole, &[&local.hub.url("/health")]);
    assert!(text(&page).contains("\"ok\""), "{}", text(&page));

    // A machine that has certutil and no store of the system's.
    let (home, programs) = (local.dir.0.join("home"), local.dir.0.join("programs"));
    for folder in [&home, &programs] {
        std::fs::create_dir(folder).unwrap();
    }
    let certutil = "/usr/bin/certutil";
    symlink(certutil, programs.join("certutil")).unwrap();
    let install = [&["ca", "install"][..], &place].concat();
    let environment = [("HOME", home.as_path()), ("PATH", programs.as_path())];
    let (good, dry) = ocelli(&[&install[..], &["--dry-run"]].concat(), &environment);
    assert!(good && dry.contains("-A -t 'C,,'"), "{dry}");
    assert!(
        std::fs::read_dir(&home).unwrap().next().is_none(),
        "nothing was done"
    );
    for _ in 0..2 {
        let (good, said) = ocelli(&install, &environment);
        assert!(good && said.contains("Done."), "{said}");
    }
    let database = format!("sql:{}", home.join(".pki/nssdb").display());
    let list = Command::new(certutil)
        .args(["-L", "-d", &database])
        .output();
    let list = text(&list.unwrap());
    assert_eq!(list.matches("C,,").count(), 1, "{list}");

    let empty = [("HOME", home.as_path()), ("PATH", home.as_path())];
    let (good, said) = ocelli(&install, &empty);
    assert!(!good && said.contains("libnss3-tools"), "{said}");
    let (good, said) = ocelli(&["ca", "show", "--data", home.to_str().unwrap()], &[]);
    assert!(!good && said.contains("--tls local"), "{said}");
}

#[tokio::test]
async fn the_doctor_finds_it_well_where_the_authority_is_known() {
    let local = Local::start();
    let target = format!("wss://localhost:{}/ws/cameras", local.port());
    let known = local.authority();
    let environment = [
        ("SSL_CERT_FILE", known.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let verdict = doctor_with(&[&target], &environment);
    assert_eq!(verdict.code, Some(0), "{}", verdict.all);
    verdict.finding("pass", "certificate");
    verdict.finding("pass", "accept");
    let nothing = local.dir.write("nothing.pem", "");
    let stranger = [
        ("SSL_CERT_FILE", nothing.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let verdict = doctor_with(&[&target], &stranger);
    assert_eq!(verdict.code, Some(1), "{}", verdict.all);
}

#[tokio::test]
async fn it_ends_in_time_whatever_connections_stay_open() {
    let Local { mut hub, dir } = Local::start();
    let address = hub.addr();
    let pem = dir.0.join("kept/ca.pem");
    let tcp = async || TcpStream::connect(address).await.unwrap();
    let mut half = tcp().await;
    half.write_all(b"\x16\x03\x01").await.unwrap();
    let silent = tcp().await;
    let mut wall = socket(
        encrypt(tcp().await, &pem, "localhost", HTTP_1).await,
        "/live/ws?app=live&room=cam1",
    )
    .await;
    number_of_any(&mut wall).await;
    let stream = encrypt(tcp().await, &pem, "localhost", b"h2").await;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::get(format!(
        "https://localhost:{}/live/live/cam1/mjpeg",
        address.port()
    ));
    let (answer, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let mut stuck = timeout(PATIENCE, answer)
        .await
        .unwrap()
        .unwrap()
        .into_body();
    timeout(PATIENCE, stuck.data())
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    let told = tokio::spawn(async move {
        loop {
            match wall.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    });
    let begun = Instant::now();
    hub.signal(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || (hub.wait(Duration::from_secs(5)), hub));
    let (status, _hub) = ended.await.unwrap();
    let took = begun.elapsed();
    assert_eq!(status.expect("it ends").code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(told.await.unwrap(), Some(1001_u16), "going away");
    driving.abort();
    drop((half, silent, stuck));
}

async fn number_of_any(socket: &mut WebSocketStream<Stream>) {
    let message = timeout(PATIENCE, socket.next()).await.unwrap();
    message.unwrap().unwrap();
}
