//! Authentication at any moment of a session.

use crate::support::{H264, Rtp, Script, play, three_pictures};
use ocelli_testkit::DigestCheck;
use ocelli_testkit::rtsp_script::Dialog;
use std::sync::{Arc, Mutex};

/// Requires a digest for each request. `renew` states whether a nonce is valid for only one
/// request.
fn guarded(challenge: &'static str, realm: &'static str, renew: bool) -> Script {
    let algorithms = ["SHA-256", "MD5-sess"];
    let algorithm = algorithms.into_iter().find(|name| challenge.contains(name));
    let count = Arc::new(Mutex::new(0));
    let check = move |dialog: &mut Dialog, method: &str| loop {
        dialog.expect(method)?;
        let mut count = count.lock().unwrap();
        let nonce = count.to_string();
        let digest = DigestCheck {
            realm: realm.as_bytes(),
            nonce: &nonce,
            algorithm: algorithm.unwrap_or("MD5"),
        };
        let authorization = dialog.header("Authorization").unwrap_or_default();
        let method = dialog.method_and_uri().0;
        let fits = digest.fits(authorization, method, "viewer", "secret");
        *count += u32::from(renew || !fits);
        if fits {
            return Ok(());
        }
        let challenge = challenge.replace("{nonce}", &count.to_string());
        let head = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: ";
        dialog.reply(&format!("{head}{challenge}\r\n\r\n"))?;
    };
    let check = Arc::new(check);
    let (first, second, third) = (check.clone(), check.clone(), check);
    let head = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n";
    Script::new()
        .run(move |dialog| first(dialog, "DESCRIBE"))
        .reply(format!("{head}Content-Length: {{length}}\r\n\r\n{H264}"))
        .run(move |dialog| second(dialog, "SETUP"))
        .reply(format!(
            "{head}Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
        ))
        .run(move |dialog| third(dialog, "PLAY"))
        .reply(format!("{head}\r\n"))
        .packets(0, &Rtp::new(96).h264())
}

/// Challenges, with the realm that they contain.
const FORMS: [(&str, &str); 13] = [
    ("Digest realm=\"x\", nonce=\"{nonce}\"", "x"),
    ("Digest realm=\"x\", nonce=\"{nonce}\", stale=TRUE", "x"),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", stale=\"true\", algorithm=\"MD5\"",
        "x",
    ),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", qop=\"auth,auth-int\"",
        "x",
    ),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", qop=\"auth-int\"",
        "x",
    ),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", qop=auth, algorithm=SHA-256, opaque=\"o\"",
        "x",
    ),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", algorithm=SHA-256",
        "x",
    ),
    (
        "Digest realm=\"x\", nonce=\"{nonce}\", algorithm=MD5-sess, qop=\"auth\"",
        "x",
    ),
    (
        "Digest realm=\"Гараж – 車庫\", nonce=\"{nonce}\", qop=\"auth\"",
        "Гараж – 車庫",
    ),
    (
        "Digest realm=IP Camera, nonce={nonce}, qop=auth",
        "IP Camera",
    ),
    (
        "Digest realm=\"my \"cam\"\" nonce=\"{nonce}\"",
        "my \"cam\"",
    ),
    ("Digest realm=\"a\\\"b\\\\\", nonce=\"{nonce}\"", "a\"b\\"),
    (
        "Basic realm=\"y\", Digest realm=\"x\",nonce=\"{nonce}\",",
        "x",
    ),
];

#[tokio::test]
async fn every_form_of_digest_is_answered_with_lasting_and_one_time_nonces() {
    for (challenge, realm) in FORMS {
        for renew in [false, true] {
            let camera = guarded(challenge, realm, renew).start();
            let played = play(&camera, 3).await;
            assert_eq!(
                played.as_deref(),
                Ok(&three_pictures()[..]),
                "{challenge} {renew}"
            );
        }
    }
}

#[tokio::test]
async fn a_realm_in_another_character_set_is_hashed_as_it_is() {
    // "摄像机" in GBK, which is not UTF-8.
    let camera = Script::new()
        .expect("DESCRIBE")
        .send(b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"".to_vec())
        .send([0xC9, 0xE3, 0xCF, 0xF1, 0xBB, 0xFA])
        .send(b"\", nonce=\"1\"\r\n\r\n".to_vec())
        .expect("DESCRIBE")
        .run(|dialog| {
            let digest = DigestCheck {
                realm: &[0xC9, 0xE3, 0xCF, 0xF1, 0xBB, 0xFA],
                nonce: "1",
                algorithm: "MD5",
            };
            let answer = dialog.header("Authorization").unwrap_or_default();
            match digest.fits(answer, "DESCRIBE", "viewer", "secret") {
                true => Ok(()),
                false => Err("wrong".into()),
            }
        })
        .reply(format!(
            "RTSP/1.0 200 OK\r\nContent-Length: {{length}}\r\n\r\n{H264}"
        ))
        .play()
        .packets(0, &Rtp::new(96).h264())
        .start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
}

#[tokio::test]
async fn a_nonce_that_is_renewed_at_the_keep_alive_does_not_interrupt_playback() {
    let challenge = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\
         WWW-Authenticate: Digest realm=\"x\", nonce=\"{n}\", qop=\"auth\"\r\n\r\n";
    let packets = Rtp::new(96).h264();
    let camera = Script::new()
        .answer("DESCRIBE", challenge.replace("{n}", "1"))
        .describe(H264)
        .answer(
            "SETUP",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7;timeout=1\r\n\
             Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
        )
        .answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
        .packets(0, &packets[..4])
        .run(|dialog| dialog.read().map(|_| ()))
        .reply(challenge.replace("{n}", "2"))
        .run(|dialog| dialog.read().map(|_| ()))
        .packets(0, &packets[4..])
        .start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    let again = &camera.requests()[6];
    assert!(
        again.starts_with("OPTIONS ") && again.contains("nonce=\"2\""),
        "{again}"
    );
}

#[tokio::test]
async fn the_announced_next_nonce_is_used() {
    let camera = Script::new()
        .answer(
            "DESCRIBE",
            "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n\r\n",
        )
        .answer(
            "DESCRIBE",
            format!(
                "RTSP/1.0 200 OK\r\nAuthentication-Info: nextnonce=\"2\"\r\n\
                 Content-Length: {{length}}\r\n\r\n{H264}"
            ),
        )
        .play()
        .packets(0, &Rtp::new(96).h264())
        .start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    assert!(camera.requests()[3].contains("nonce=\"2\""));
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    for challenge in ["Digest realm=\"x\", nonce=\"1\"", "Basic realm=\"x\""] {
        let refusal = format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {{cseq}}\r\nWWW-Authenticate: {challenge}\r\n\r\n"
        );
        let camera = Script::new()
            .answer("DESCRIBE", refusal.clone())
            .answer("DESCRIBE", refusal.clone())
            .answer("DESCRIBE", refusal)
            .start();
        assert_eq!(
            play(&camera, 1).await,
            Err("401: wrong user or password".into())
        );
        assert_eq!(camera.requests().len(), 3);
    }
    // Even a camera that never accepts it gets only a few answers to stale challenges.
    let stale = "Digest realm=\"x\", nonce=\"n{nonce}\", stale=true";
    let camera = guarded(stale, "x", false).start();
    assert_eq!(
        play(&camera, 1).await,
        Err("401: wrong user or password".into())
    );
    assert_eq!(camera.requests().len(), 5);
}

#[tokio::test]
async fn a_challenge_to_options_is_answered_with_describe() {
    let digest = "Digest realm=\"x\", nonce=\"1\"";
    let refusal = format!(
        "RTSP/1.0 401 Unauthorized\r\nCSeq: {{cseq}}\r\nWWW-Authenticate: {digest}\r\n\r\n"
    );
    let challenged = |script: Script| {
        let refusal = refusal.clone();
        script.before(move |dialog| match dialog.peek()?.starts_with("OPTIONS ") {
            true => {
                dialog.read()?;
                dialog.reply(&refusal)
            }
            false => Ok(()),
        })
    };
    let methods = |requests: Vec<String>| -> Vec<String> {
        let signed = |request: &str| request.contains("\r\nAuthorization: ");
        let name = |request: &String| {
            let method = request.split(' ').next().unwrap_or_default();
            format!("{method} {}", signed(request))
        };
        requests.iter().map(name).collect()
    };
    let script = Script::new().describe(H264).play();
    let camera = challenged(script.packets(0, &Rtp::new(96).h264())).start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    let first = methods(camera.requests());
    assert_eq!(first[..3], ["OPTIONS false", "DESCRIBE true", "SETUP true"]);

    // A wrong password is sent once, also if the camera hangs up then.
    for script in [
        Script::new().answer("DESCRIBE", refusal.clone()),
        Script::new().expect("DESCRIBE").close(),
    ] {
        let camera = challenged(script).start();
        play(&camera, 1).await.unwrap_err();
        let all = methods(camera.requests());
        assert_eq!(all, ["OPTIONS false", "DESCRIBE true"]);
    }
}

#[tokio::test]
async fn schemes_that_are_not_supported_are_named() {
    for (challenge, expected) in [
        ("WWW-Authenticate: NTLM\r\n", "(ntlm)"),
        (
            "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", algorithm=SHA3\r\n",
            "(digest with SHA3)",
        ),
        ("", "names no authentication scheme"),
    ] {
        let text = format!("RTSP/1.0 401 Unauthorized\r\n{challenge}\r\n");
        let reason = play(&Script::new().answer("DESCRIBE", text).start(), 1).await;
        assert!(
            reason
                .as_ref()
                .is_err_and(|reason| reason.contains(expected)),
            "{reason:?}"
        );
    }
}
