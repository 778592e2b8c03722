//! `ocelli doctor` and cameras: GStreamer's RTSP server, unmodified and behind a corrupting
//! proxy, HTTP cameras, configured cameras; and this machine.

use crate::support::doctor::{Corruption, DoctorOutput, doctor, proxy, server};
use crate::support::http::get;
use crate::support::hub::{OCELLI, configured};
use crate::support::tempdir::Dir;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::rtsp_script::{Script, ScriptedCamera};
use ocelli_testkit::{RtspAuth, RtspServer, RtspServerOptions};
use std::process::Command;
use std::time::{Duration, Instant};

fn rtsp(auth: Option<RtspAuth>) -> RtspServer {
    RtspServer::start(RtspServerOptions {
        auth: auth.map(|auth| ("viewer".into(), "p@ss:w/rd".into(), auth)),
        ..Default::default()
    })
}

#[test]
fn an_rtsp_camera_is_described() {
    let mut server = rtsp(Some(RtspAuth::Digest));
    let output = doctor(&[&server.url_as("viewer", "p%40ss%3Aw%2Frd", "h264")]);
    output.passes();
    let says = |check: &str, words: &str| {
        let finding = output.finding("pass", check);
        assert!(finding.contains(words), "{words}: {finding}");
    };
    says("sign-in", "accepts this user");
    says("tracks", "video (H264)");
    says("codec", "every browser");
    says("pictures", "320 × 240, 15.0 per second");
    says("key frames", "every 1.0 s");
    says("parameters", "Parameter sets");
    says("sessions", "at least 5 viewers");
    assert_eq!(server.opened_of("h264"), 5);
    assert!(
        server.wait_sessions(0, crate::support::TIMEOUT),
        "they are closed again"
    );
}

#[test]
fn refusals_of_an_rtsp_camera_come_with_advice() {
    let server = rtsp(Some(RtspAuth::Basic));
    let output = doctor(&[&server.url_as("viewer", "hush-hush", "h264")]);
    output.fails("sign-in", &["401: wrong user or password", "%40"]);
    assert!(!output.all.contains("hush-hush"), "{}", output.all);
    let advice = "rtsp://user:password@host/";
    let words = &["401: user and password required", advice];
    doctor(&[&server.url("h264")]).fails("sign-in", words);

    let server = rtsp(None);
    doctor(&[&server.url("no/such")]).fails("address", &["no such stream", "manual"]);
    doctor(&[&server.url("audio")]).fails("tracks", &["offers no video", "m=audio"]);
    let output = doctor(&[&server.url("h265")]);
    output.warns("codec", &["H.265", "Firefox"]);
    assert_eq!(output.code, Some(0), "{}", output.all);
    let output = doctor(&[&server.url("vp8")]);
    output.warns("codec", &["VP8", "ffmpeg transcodes it"]);
    assert!(
        output
            .finding("pass", "pictures")
            .contains("jpeg, 320 × 240")
    );
    let output = doctor(&[&server.url("mjpeg")]);
    output.passes();
    assert!(output.finding("pass", "pictures").contains("320 × 240"));
}

/// Returns cameras that fail in different ways, with their addresses.
fn failing_cameras() -> (Vec<String>, Vec<ScriptedCamera>) {
    let answer = |status: &str| {
        let text = format!("RTSP/1.0 {status}\r\nCSeq: {{cseq}}\r\n\r\n");
        Script::new().answer("DESCRIBE", text)
    };
    let media = |lines: &str| {
        let sdp = format!("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n{lines}\r\n");
        Script::new().describe(&sdp)
    };
    let h264 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000";
    let cameras = [
        answer("404 Not Found"),
        answer("453 Not Enough Bandwidth"),
        answer("500 Internal Server Error"),
        answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\""),
        answer("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"x\""),
        answer("302 Moved\r\nLocation: http://10.0.0.7/live"),
        media("m=audio 0 RTP/AVP 0"),
        media(h264).play().close(),
        Script::new().run(|dialog| {
            dialog.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            dialog.read().map(|_| ())
        }),
    ];
    let cameras = cameras.map(Script::start);
    let mut addresses = Vec::new();
    for camera in &cameras {
        addresses.push(format!("rtsp://{}/live", camera.address()));
    }
    // With a password, and with TLS.
    addresses.push(cameras[4].url());
    addresses.push(addresses[8].replace("rtsp://", "rtsps://"));
    let picture = Picture::QVGA.encode_now(1);
    let cut = [
        &b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"[..],
        &picture[..picture.len() - 10],
    ];
    for answer in [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>".to_vec(),
        b"HTTP/1.0 404 Not Found\r\n\r\n".to_vec(),
        cut.concat(),
    ] {
        let address = server(move |_| answer.clone());
        addresses.push(address.replace("ws://", "http://"));
    }
    (addresses, cameras.into())
}

#[tokio::test]
async fn the_doctor_names_the_cause_that_the_api_names() {
    let (addresses, _cameras) = failing_cameras();
    let entries = addresses.iter().enumerate().map(|(at, address)| {
        format!("[[camera]]\nid = \"cam{at}\"\nsource = \"{address}\"\nkeep = true\n")
    });
    let entries = entries.collect::<String>();
    let dir = Dir::new("doctor-api");
    let hub = configured(&dir, &format!("listen = \"127.0.0.1:0\"\n{entries}")).start();
    let until = Instant::now() + crate::support::TIMEOUT;
    let reasons = loop {
        let listed = get(hub.addr(), "/api/v1/cameras").await.json();
        let listed = listed["data"].as_array().expect("a list").iter();
        let reasons: Vec<_> = listed
            .filter_map(|camera| {
                let reason = camera["lastFailure"]["reason"].as_str()?;
                let at = camera["room"].as_str()?.strip_prefix("cam")?;
                Some((at.parse::<usize>().ok()?, reason.to_owned()))
            })
            .collect();
        if reasons.len() == addresses.len() {
            break reasons;
        }
        assert!(Instant::now() < until, "{reasons:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    drop(hub);
    let mut causes: Vec<_> = reasons.iter().map(|(_, reason)| reason).collect();
    causes.sort();
    causes.dedup();
    assert!(
        causes.len() >= 12,
        "they fail in different ways: {causes:#?}"
    );
    std::thread::scope(|scope| {
        for (at, reason) in &reasons {
            let address = &addresses[*at];
            scope.spawn(move || {
                let output = doctor(&[address]);
                let text = output.text.to_lowercase();
                assert!(
                    text.contains(&reason.to_lowercase()),
                    "{address}: {reason:?} is not in:\n{}",
                    output.all
                );
                assert_eq!(output.code, Some(1), "{}", output.all);
            });
        }
    });
}

#[test]
fn a_camera_without_tcp_is_described() {
    let server = RtspServer::start(RtspServerOptions {
        udp: true,
        ..Default::default()
    });
    let output = doctor(&[&server.url("h264")]);
    output.warns("transport", &["over UDP"]);
    assert!(output.finding("pass", "pictures").contains("320 × 240"));
}

#[test]
fn the_doctor_accepts_the_addresses_that_the_hub_accepts() {
    // The password contains characters that should be escaped.
    let server = rtsp(Some(RtspAuth::Digest));
    let address = format!("rtsp://viewer:p@ss:w/rd@127.0.0.1:{}/h264", server.port());
    let output = doctor(&[&address]);
    assert_eq!(output.code, Some(2), "{}", output.all);
    assert!(
        output.all.contains("write @ as %40, / as %2F"),
        "{}",
        output.all
    );
    assert!(!output.all.contains("w/rd"), "{}", output.all);
    let output = doctor(&["rtsp://u:p@ss/w#rd@127.0.0.1:1/x"]);
    assert_eq!(output.code, Some(1), "{}", output.all);
    assert!(output.all.contains("127.0.0.1:1"), "{}", output.all);
    assert!(!output.all.contains("w#rd"), "{}", output.all);
    for odd in [
        "rtsp:",
        "rtsp://",
        "rtsp://@",
        "rtsp://:@:/",
        "rtsps://[::1",
        "rtsp:x@y",
        "rtsp://u:p@",
    ] {
        let output = doctor(&[odd]);
        assert!(matches!(output.code, Some(1 | 2)), "{odd}: {}", output.all);
    }
}

#[test]
fn an_undecodable_camera_is_named() {
    // The proxy corrupts the name of the SDP attribute with the parameter sets, and turns the
    // parameter sets in the stream into filler data: NAL unit type 12 instead of 7.
    let server = rtsp(None);
    let corruption: Corruption = &[(b"sprop-parameter-sets=", b'x'), (b"\x67\x42\xc0", 0x6C)];
    let port = proxy(server.port(), corruption, usize::MAX);
    let output = doctor(&[&format!("rtsp://127.0.0.1:{port}/h264")]);
    output.fails("parameters", &["no parameter sets", "firmware"]);
    output.finding("pass", "key frames");
}

#[test]
fn the_number_of_sessions_a_camera_allows_is_reported() {
    let server = rtsp(None);
    // The first connection only checks that something listens.
    let port = proxy(server.port(), &[], 1 + 1);
    let output = doctor(&[&format!("rtsp://127.0.0.1:{port}/h264")]);
    output.warns(
        "sessions",
        &["one viewer at a time", "close apps and recorders"],
    );
    assert_eq!(output.code, Some(0), "{}", output.all);

    let port = proxy(server.port(), &[], 1 + 3);
    let output = doctor(&[&format!("rtsp://127.0.0.1:{port}/h264")]);
    output.passes();
    assert!(
        output
            .finding("pass", "sessions")
            .contains("serves 3 viewers at once")
    );

    let port = proxy(server.port(), &[], 1);
    let output = doctor(&[&format!("rtsp://127.0.0.1:{port}/h264")]);
    output.fails("sessions", &["busy", "Close other apps"]);
}

#[test]
fn a_configured_camera_is_found_by_its_id() {
    let server = rtsp(Some(RtspAuth::Digest));
    let dir = Dir::new("doctor");
    let text = format!(
        "[[camera]]\nid = \"door\"\nsource = \"{}\"\nuser = \"viewer\"\npassword = \"p@ss:w/rd\"\n\
         [[camera]]\nid = \"yard\"\nsource = \"pattern:?size=64x48\"\n",
        server.url("h264")
    );
    let file = dir.write("ocelli.toml", &text);
    let file = file.to_str().expect("a path");
    let output = doctor(&["door", "--config", file]);
    output.passes();
    assert!(
        output
            .finding("pass", "sign-in")
            .contains("accepts this user")
    );
    doctor(&["yard", "--config", file]).passes();
    doctor(&["yard=pattern:?size=64x48"]).passes();
    let output = doctor(&["dor", "--config", file]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.all.contains("did you mean \"door\"?"),
        "{}",
        output.all
    );
}

#[test]
fn an_http_camera_that_requires_a_password_is_named() {
    let address = server(|_| {
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\n\
          Content-Length: 0\r\nConnection: close\r\n\r\n"
            .to_vec()
    });
    let address = address.replace("ws://", "http://");
    let advice = "http://user:password@host/";
    doctor(&[&address]).fails("pictures", &["401: user and password required", advice]);
    let output = doctor(&[&address.replace("http://", "http://viewer:hush-hush@")]);
    output.fails("pictures", &["401", "Check both"]);
    assert!(!output.all.contains("hush-hush"), "{}", output.all);
}

#[test]
fn a_server_that_opens_no_websocket_is_read_as_a_camera() {
    let jpeg = Picture::QVGA.encode_now(1);
    let picture = move |head: &str| {
        let mut response = format!("{head}\r\n\r\n").into_bytes();
        response.extend_from_slice(&jpeg);
        response
    };
    let plays = move |head: &'static str| {
        let picture = picture.clone();
        let address = server(move |_| picture(head)).replace("ws://", "http://");
        let output = doctor(&[&address]);
        output.passes();
        let finding = output.finding("pass", "pictures");
        assert!(finding.contains("320 × 240"), "{finding}");
    };
    plays("HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream");
    plays("HTTP/1.0 200 OK\r\nContent-Type: text/plain");
    plays("HTTP/1.0 200 OK");
    plays("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Type: image/jpeg");

    let refuses = |answer: &'static str, words: &[&str]| {
        let address = server(|_| answer.into()).replace("ws://", "http://");
        doctor(&[&address]).fails("pictures", words);
    };
    refuses("HTTP/1.0 404 Not Found\r\n\r\n", &["404"]);
    refuses("HTTP/1.0 503 Busy\r\n\r\n", &["503"]);
}

#[test]
fn a_camera_that_the_hub_is_watching_may_be_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // It serves one viewer, and closes all other connections.
    let (connected, first) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if held.is_empty() {
                held.push(stream);
                let _ = connected.send(());
            }
        }
    });
    let dir = Dir::new("doctor-taken");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[[camera]]\nid = \"door\"\nsource = \"rtsp://{address}/x\"\n\
         keep = true\n"
    );
    let hub = configured(&dir, &text).start();
    first.recv().expect("the hub connects");
    let words = &["It may be taken: this hub is watching it"];
    doctor(&[&format!("rtsp://{address}/x")]).fails("rtsp", words);
    doctor(&[&format!("http://{address}/x")]).fails("pictures", words);
    drop(hub);
}

#[test]
fn this_machine_is_checked() {
    let doctor_output = doctor(&[]);
    assert!(
        doctor_output
            .finding("pass", "ffmpeg")
            .contains("is installed")
    );
    assert!(
        doctor_output
            .finding("pass", "codecs")
            .contains("every encoder")
    );
    assert!(
        doctor_output.text.contains("127.0.0.1:8080"),
        "{}",
        doctor_output.text
    );
    assert!(
        doctor_output.text.contains("descriptors open"),
        "{}",
        doctor_output.text
    );
    assert_eq!(doctor_output.code, Some(0), "{}", doctor_output.all);

    let output = Command::new(OCELLI)
        .arg("doctor")
        .env("PATH", "/nowhere")
        .output();
    let doctor_output = DoctorOutput::of(&output.expect("the program runs"));
    doctor_output.fails("ffmpeg", &["not installed", "apt install ffmpeg"]);

    // The port check uses the address from the configuration.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = held.local_addr().expect("its address");
    let dir = Dir::new("doctor");
    let config = dir.0.join("ocelli.toml");
    let path = config.to_str().expect("a UTF-8 path");
    std::fs::write(&config, format!("listen = \"{taken}\"\n")).expect("the file is written");
    let doctor_output = doctor(&["--config", path]);
    let words = format!("Another program already listens on {taken}");
    doctor_output.warns("port", &[&words]);
    std::fs::write(&config, "lisen = 1\n").expect("the file is written");
    doctor(&["--config", path]).fails("configuration", &["lisen"]);
}
