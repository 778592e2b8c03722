//! Passwords and redirects.

use super::script::{Script, Watch};
use super::{picture, still};

const USER: &str = "viewer:s3cret@";

fn refusal(challenges: &[&str]) -> String {
    let challenges = challenges
        .iter()
        .map(|challenge| format!("WWW-Authenticate: {challenge}\r\n"));
    let challenges: String = challenges.collect();
    format!("HTTP/1.1 401 Unauthorized\r\n{challenges}Content-Length: 0\r\n\r\n")
}

fn redirect(status: &str, location: &str) -> String {
    format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// Returns the `Authorization` header of a request.
fn authorization(request: &str) -> Option<&str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix("Authorization: "))
}

#[tokio::test]
async fn each_form_of_challenge_is_answered() {
    for (challenges, expected) in [
        (&["Basic realm=\"x\""][..], "Basic dmlld2VyOnMzY3JldA=="),
        (&["basic"], "Basic "),
        (&["Basic realm=IP Camera"], "Basic "),
        (&["Negotiate", "NTLM", "Basic realm=\"x\""], "Basic "),
        (&["Negotiate, Basic realm=\"x\""], "Basic "),
        (&[], "Basic "),
        (
            &["Digest realm=\"x\", nonce=\"1\", qop=\"auth,auth-int\""],
            "qop=auth,",
        ),
        (
            &["Digest realm=\"x\", nonce=\"1\", qop=\"auth-int, auth\""],
            "qop=auth,",
        ),
        (
            &["Digest realm=\"x\",nonce=\"1\",qop=auth-int"],
            "qop=auth-int,",
        ),
        (
            &["Digest realm=\"x\", nonce=\"1\", qop=\"\""],
            "nonce=\"1\"",
        ),
        (&["Digest realm=\"x\" nonce=\"1\""], "nonce=\"1\""),
        (&["Digest realm=\"Гараж\", nonce=\"1\""], "realm=\"Гараж\""),
        (
            &[
                "Digest realm=\"x\", nonce=\"1\", algorithm=SHA-256, qop=\"auth\"",
                "Basic realm=\"x\"",
            ],
            "algorithm=SHA-256",
        ),
        (
            &[
                "Digest realm=\"x\", nonce=\"1\", algorithm=SHA3",
                "Basic realm=\"x\"",
            ],
            "Basic ",
        ),
    ] {
        let script = Script::new().await;
        let mut watch = Watch::new(&script.url("http", USER, "/still.jpg"), "");
        let (mut peer, first) = script.answer(refusal(challenges).as_bytes()).await;
        assert_eq!(authorization(&first), None);
        let second = peer.request().await.expect("a second request");
        let answer = authorization(&second).unwrap_or_default();
        assert!(answer.contains(expected), "{challenges:?}: {answer}");
        let whole = picture(1);
        peer.send(still(&whole)).await;
        watch.shows(&whole, &challenges.join(", ")).await;
    }
}

#[tokio::test]
async fn a_challenge_that_is_not_supported_is_told() {
    for (challenges, offer) in [
        (&["Negotiate", "NTLM"][..], "negotiate and ntlm"),
        (&["Bearer realm=\"x\""], "bearer"),
        (
            &["Digest realm=\"x\", nonce=\"1\", algorithm=SHA3-256"],
            "digest with SHA3-256",
        ),
        (&["X-\u{1b}[31m<b>, Y"], "x- and 31m and b and y"),
        (
            &["Digest realm=\"x\", nonce=\"1\", algorithm=\"\u{1b}[31m<b>\""],
            "digest with 31mb",
        ),
    ] {
        for user in [USER, ""] {
            let script = Script::new().await;
            let watch = Watch::new(&script.url("http", user, "/still.jpg"), "");
            let (_peer, _) = script.answer(refusal(challenges).as_bytes()).await;
            let reason = watch.failure().await;
            let expected = format!("401: the camera offers only {offer} to sign in, which is not");
            assert!(reason.starts_with(&expected), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_in_an_attempt() {
    let digest = |nonce: u32| format!("Digest realm=\"x\", nonce=\"{nonce}\"");
    for challenges in [
        vec!["Basic realm=\"x\"".to_owned(); 2],
        vec![digest(1), digest(2)],
        vec![digest(1), "Basic realm=\"x\"".to_owned()],
    ] {
        let script = Script::new().await;
        let watch = Watch::new(&script.url("http", USER, "/still.jpg"), "");
        let (mut peer, _) = script.answer(refusal(&[&challenges[0]]).as_bytes()).await;
        assert!(authorization(&peer.request().await.unwrap()).is_some());
        peer.send(refusal(&[&challenges[1]])).await;
        assert_eq!(peer.request().await, None, "the hub closes the connection");
        assert_eq!(watch.failure().await, "401: wrong user or password");
    }
    // Without a challenge the password may be right, so the reason says more.
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", USER, "/still.jpg"), "");
    let (mut peer, _) = script.answer(refusal(&[]).as_bytes()).await;
    peer.request().await.unwrap();
    peer.send(refusal(&[])).await;
    assert!(watch.failure().await.contains("no WWW-Authenticate header"));
    let watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
    let (_peer, _) = script.answer(refusal(&[]).as_bytes()).await;
    let reason = watch.failure().await;
    assert!(
        reason.starts_with("401: user and password required"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_nonce_may_expire_at_any_time() {
    let script = Script::new().await;
    let url = script.url("http", USER, "/still.jpg");
    let mut watch = Watch::new(&url, "interval = \"50ms\"");
    let digest = |nonce: u32, more: &str| format!("Digest realm=\"x\", nonce=\"{nonce}\"{more}");
    let (mut peer, _) = script.answer(refusal(&[&digest(1, "")]).as_bytes()).await;
    peer.request().await.unwrap();
    // Stale before it was accepted, then renewed for each picture, without a word.
    peer.send(refusal(&[&digest(2, ", stale=TRUE")])).await;
    for number in 0..4 {
        let request = peer.request().await.expect("a request");
        let nonce = format!("nonce=\"{}\"", number + 2);
        assert!(
            authorization(&request).unwrap().contains(&nonce),
            "{request}"
        );
        let whole = picture(number);
        peer.send(still(&whole)).await;
        watch.shows(&whole, "signed in").await;
        peer.request().await.expect("a request with the old nonce");
        peer.send(refusal(&[&digest(number as u32 + 3, "")])).await;
    }
    assert_eq!(watch.restarts(), 0);
}

#[tokio::test]
async fn a_nonce_that_is_always_stale_ends_the_attempt() {
    let script = Script::new().await;
    let watch = Watch::new(&script.url("http", USER, "/still.jpg"), "");
    let digest = |nonce: u32| format!("Digest realm=\"x\", nonce=\"{nonce}\", stale=true");
    let (mut peer, _) = script.answer(refusal(&[&digest(0)]).as_bytes()).await;
    for nonce in 1..=2 {
        assert!(authorization(&peer.request().await.expect("a request")).is_some());
        peer.send(refusal(&[&digest(nonce)])).await;
    }
    assert_eq!(peer.request().await, None, "the hub closes the connection");
    assert_eq!(watch.failure().await, "401: wrong user or password");
}

#[tokio::test]
async fn redirects_are_followed_but_passwords_are_not_sent_elsewhere() {
    for status in ["300 X", "301 X", "302 Found", "303 X", "307 X", "308 X"] {
        let (script, other) = (Script::new().await, Script::new().await);
        let mut watch = Watch::new(&script.url("http", USER, "/a"), "");
        let to = other.url("http", "", "/b c/ü");
        let (_peer, _) = script.answer(redirect(status, &to).as_bytes()).await;
        let whole = picture(1);
        let (_peer, request) = other.answer(&still(&whole)).await;
        assert!(request.starts_with("GET /b%20c/%C3%BC "), "{request}");
        watch.shows(&whole, status).await;
    }
    // The other camera wants a password.
    for (user, told) in [
        (USER, "; the password is not sent there: enter that address"),
        (
            "",
            ", which requires a user and a password: enter that address, with both",
        ),
    ] {
        let (script, other) = (Script::new().await, Script::new().await);
        let watch = Watch::new(&script.url("http", user, "/a"), "");
        let to = other.url("http", "u:hush@", "/b?token=hush");
        let (_peer, _) = script.answer(redirect("302 Found", &to).as_bytes()).await;
        let (mut peer, request) = other
            .answer(refusal(&["Basic realm=\"x\""]).as_bytes())
            .await;
        assert_eq!(authorization(&request), None);
        let reason = watch.failure().await;
        let shown = other.url("http", "***@", "/b?token=***");
        assert!(
            reason.contains(&format!("it redirects to {shown}{told}")),
            "{reason}"
        );
        assert_eq!(peer.request().await, None, "nothing more is sent");
    }
}

#[tokio::test]
async fn redirects_that_lead_nowhere_are_told() {
    for (location, user, reason) in [
        (
            "rtsp://10.0.0.7/live?key=hush",
            USER,
            "it redirects to rtsp://10.0.0.7/live?key=***; the password is not sent there: enter \
             that address",
        ),
        (
            "rtsp://10.0.0.7/live",
            "",
            "it redirects to rtsp://10.0.0.7/live: enter that address",
        ),
        ("", "", "302: its redirect has no valid address"),
        ("http://[", "", "302: its redirect has no valid address"),
        ("/a", "", "too many redirects"),
    ] {
        let script = Script::new().await;
        let watch = Watch::new(&script.url("http", user, "/a"), "");
        let answer = redirect("302 Found", location);
        let (mut peer, _) = script.answer(answer.as_bytes()).await;
        let served = tokio::spawn(async move {
            while peer.request().await.is_some() {
                peer.send(&answer).await;
            }
        });
        assert_eq!(watch.failure().await, reason);
        served.abort();
    }
}

#[tokio::test]
async fn a_cookie_that_comes_with_a_redirect_is_sent_back() {
    let script = Script::new().await;
    let mut watch = Watch::new(&script.url("http", "", "/still.jpg"), "");
    let moved = redirect("302 Found", "/still.jpg").replacen(
        "\r\n",
        "\r\nSet-Cookie: sid=1; path=/\r\n",
        1,
    );
    let (mut peer, first) = script.answer(moved.as_bytes()).await;
    assert!(!first.contains("Cookie"));
    let second = peer.request().await.expect("a second request");
    assert!(second.contains("\r\nCookie: sid=1\r\n"), "{second}");
    let whole = picture(1);
    peer.send(still(&whole)).await;
    watch.shows(&whole, "with a cookie").await;
}
