//! RTSP cameras with unusual behaviour: the hub must play them.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::rtsp::{Camera, H264, JPEG, Peer};
use crate::support::{Watched, eventually};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// RTP/JPEG: a picture of 320 × 240 in one packet.
const PICTURE: [u8; 12] = [0, 0, 0, 0, 1, 50, 40, 30, 1, 2, 3, 4];

impl Peer {
    /// Sends a complete picture.
    fn picture(&mut self) -> io::Result<()> {
        let mut packet = self.packet(26, &PICTURE);
        packet[5] |= 0x80;
        self.write(&packet)
    }

    fn challenge(&mut self, request: &str, challenge: &str) -> io::Result<()> {
        let sequence = request.lines().find_map(|line| line.strip_prefix("CSeq: "));
        let response = format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {}\r\nWWW-Authenticate: {challenge}\r\n\r\n",
            sequence.unwrap_or("0")
        );
        self.write(response.as_bytes())
    }
}

fn plays(camera: &Camera) -> Watched {
    Watched::new(&format!("rtsp://viewer:secret@{}/x", camera.address))
}

#[tokio::test]
async fn requests_from_the_camera_in_mid_stream_are_answered() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let own = answers.clone();
    let camera = Camera::start(move |peer| {
        peer.play(JPEG)?;
        peer.picture()?;
        for method in [
            "OPTIONS",
            "ANNOUNCE",
            "SET_PARAMETER",
            "GET_PARAMETER",
            "RECORD",
        ] {
            let request = format!(
                "{method} rtsp://hub/ RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 3\r\n\r\na=b"
            );
            peer.write(request.as_bytes())?;
            let response = peer.request()?;
            assert!(
                response.contains("CSeq: 77\r\n") && response.contains("Session: 7\r\n"),
                "{response}"
            );
            let status = response.split(' ').nth(1).unwrap_or_default().to_owned();
            own.lock().unwrap().push(status);
        }
        peer.picture()?;
        peer.request()?;
        Ok(())
    });
    let watched = plays(&camera);
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (320, 240));
    viewer.frame().await;
    assert_eq!(
        *answers.lock().unwrap(),
        ["200", "200", "200", "200", "501"]
    );
}

#[tokio::test]
async fn every_attempt_ends_its_session() {
    let ended = Arc::new(AtomicUsize::new(0));
    let started = Arc::new(AtomicUsize::new(0));
    let at_once = Arc::new(AtomicBool::new(false));
    let (count, open, both) = (ended.clone(), started.clone(), at_once.clone());
    let camera = Camera::start(move |peer| {
        peer.play(JPEG)?;
        // Records whether a previous session has not ended yet.
        both.fetch_or(
            open.fetch_add(1, Ordering::SeqCst) > count.load(Ordering::SeqCst),
            Ordering::SeqCst,
        );
        peer.picture()?;
        let request = peer.request()?;
        assert!(
            request.starts_with("TEARDOWN ") && request.contains("Session: 7\r\n"),
            "{request}"
        );
        count.fetch_add(1, Ordering::SeqCst);
        peer.answer(&request, "", "")
    });
    let watched = plays(&camera);
    watched.watch().frame().await;
    watched.hub.stop();
    eventually("the camera gets TEARDOWN", || {
        ended.load(Ordering::SeqCst) == 1
    })
    .await;

    let watched = plays(&camera);
    let mut viewer = watched.watch();
    viewer.frame().await;
    // Nothing more arrives, so the attempt is given up and retried.
    watched.until(|status| status.restarts > 0).await;
    viewer.frame_with(|frame| frame.discontinuity).await;
    assert!(!at_once.load(Ordering::SeqCst), "two sessions at once");
}

#[tokio::test]
async fn a_new_challenge_at_every_request_is_answered() {
    let camera = Camera::start(|peer| {
        let mut nonce = 0;
        loop {
            let request = peer.request()?;
            let fresh = format!("nonce=\"{nonce}\"");
            if nonce == 0 || !request.contains(&fresh) {
                nonce += 1;
                let challenge =
                    format!("Digest realm=\"x\", nonce=\"{nonce}\", qop=\"auth,auth-int\"");
                peer.challenge(&request, &challenge)?;
                continue;
            }
            // Each nonce is valid for one request.
            nonce += 1;
            peer.answer_as_usual(&request, JPEG)?;
            if request.starts_with("PLAY") {
                peer.picture()?;
                peer.request()?;
                return Ok(());
            }
        }
    });
    assert_eq!(plays(&camera).watch().size().await, (320, 240));
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let requested = Arc::new(AtomicUsize::new(0));
    let count = requested.clone();
    let camera = Camera::start(move |peer| {
        loop {
            let request = peer.request()?;
            let nth = count.fetch_add(
                usize::from(request.contains("Authorization")),
                Ordering::SeqCst,
            );
            peer.challenge(&request, &format!("Digest realm=\"x\", nonce=\"{nth}\""))?;
        }
    });
    let watched = plays(&camera);
    assert_eq!(watched.failure().await, "401: wrong user or password");
    assert_eq!(
        requested.load(Ordering::SeqCst),
        3,
        "once in each of three attempts"
    );
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_password() {
    let leaked = Arc::new(AtomicBool::new(false));
    let seen = leaked.clone();
    let elsewhere = Camera::start(move |peer| {
        loop {
            let request = peer.request()?;
            seen.fetch_or(request.contains("Authorization"), Ordering::SeqCst);
            peer.answer_as_usual(&request, JPEG)?;
            if request.starts_with("PLAY") {
                peer.picture()?;
            }
        }
    });
    for step in ["DESCRIBE", "SETUP"] {
        let target = elsewhere.address;
        let camera = Camera::start(move |peer| {
            let request = peer.until(step, H264)?;
            if step == "DESCRIBE" && !request.contains("Authorization") {
                peer.challenge(&request, "Basic realm=\"x\"")?;
                peer.request()?;
            }
            let moved = format!("RTSP/1.0 302 Moved\r\nLocation: rtsp://{target}/y\r\n\r\n");
            peer.write(moved.as_bytes())
        });
        assert_eq!(plays(&camera).watch().size().await, (320, 240), "{step}");
    }
    assert!(
        !leaked.load(Ordering::SeqCst),
        "the password was sent to another host"
    );

    let around = Camera::start(|peer| {
        peer.request()?;
        peer.write(b"RTSP/1.0 302 Moved\r\nLocation: /again\r\n\r\n")
    });
    assert_eq!(plays(&around).failure().await, "too many redirects");
}

#[tokio::test]
async fn unambiguous_protocol_deviations_are_accepted() {
    let camera = Camera::start(|peer| {
        peer.request()?;
        let sdp = "\u{FEFF}v=0\nc=IN IP4 '&\nm=video -1 RTP/AVP 26\na=control:t\njunk\n";
        let described = format!(
            "\nRTSP/1.0   200\nServer\nX-Odd: \u{e9}\nContent-Type: application/sdp;charset=utf-8\n\
             CSeq: 9\nCSeq: 1\nContent-Length: {}\n\n{sdp}",
            sdp.len()
        );
        peer.write(described.as_bytes())?;
        peer.request()?;
        peer.write(
            b"RTSP/1.0 200 OK\nSession:  7 ; x=1;timeout = 90\n\
              Transport: RTP/AVP/TCP; unicast; ssrc=1234567890; source=; interleaved = 3-4\n\n",
        )?;
        peer.request()?;
        // An RTCP report before the response, and another channel's packet.
        peer.write(b"$\x04\0\x04\x80\xc8\0\0$\x09\0\x02ab")?;
        peer.write(b"RTSP/1.0 200 OK\nRTP-Info: url=x;seq=9;rtptime=1\nCSeq: 1\n\n")?;
        let mut picture = peer.packet(26, &PICTURE);
        (picture[1], picture[5]) = (3, picture[5] | 0x80);
        peer.write(&picture)?;
        peer.request()?;
        Ok(())
    });
    assert_eq!(plays(&camera).watch().size().await, (320, 240));
}
