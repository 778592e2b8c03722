//! Unusual requests, responses and session descriptions.

use crate::support::{H264, Rtp, SPROP, Script, assert_plays, failure, play, three_pictures};

/// Returns the packets of three pictures.
fn pictures() -> Vec<Vec<u8>> {
    Rtp::new(96).h264()
}

#[tokio::test]
async fn requests_of_the_camera_in_mid_stream_are_answered() {
    let packets = pictures();
    let mut script = Script::new()
        .describe(H264)
        .play()
        .packets(0, &packets[..1]);
    let methods = [
        "OPTIONS",
        "ANNOUNCE",
        "SET_PARAMETER",
        "GET_PARAMETER",
        "REDIRECT",
    ];
    for method in methods {
        script = script
            .send(format!(
                "{method} rtsp://hub/ RTSP/1.0\r\nCSeq: 77\r\nContent-Length: 3\r\n\r\na=b"
            ))
            .run(|dialog| dialog.read().map(|_| ()));
    }
    let camera = script.packets(0, &packets[1..]).start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    let answers: Vec<_> = camera
        .requests()
        .into_iter()
        .skip(4)
        .take(methods.len())
        .collect();
    let statuses: Vec<_> = answers.iter().map(|answer| &answer[9..12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "501"]);
    for answer in answers {
        assert!(
            answer.contains("CSeq: 77\r\n") && answer.contains("Session: 7\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn requests_of_the_camera_before_a_response_are_answered() {
    let script = Script::new()
        .expect("DESCRIBE")
        .send("OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\nRTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n")
        .run(|dialog| dialog.read().map(|_| ()))
        .reply(format!(
            "RTSP/1.0 200 OK\r\nContent-Length: {{length}}\r\n\r\n{H264}"
        ))
        .play()
        .packets(0, &pictures());
    assert_plays(script, "OPTIONS before the response to DESCRIBE").await;
}

/// Describes and plays.
fn playing() -> Script {
    Script::new().describe(H264).play().packets(0, &pictures())
}

#[tokio::test]
async fn a_camera_that_wants_options_first_plays() {
    for (what, answer) in [
        (
            "200",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nPublic: DESCRIBE\r\n\r\n",
        ),
        ("404", "RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n"),
        (
            "302",
            "RTSP/1.0 302 Moved\r\nLocation: rtsp://10.9.9.9/\r\n\r\n",
        ),
        ("501", "RTSP/1.0 501 Not Implemented\r\n\r\n"),
        (
            "a challenge that is not supported",
            "RTSP/1.0 401 Unauthorized\r\n\r\n",
        ),
    ] {
        let script = playing().before(move |dialog| {
            if !dialog.read()?.starts_with("OPTIONS ") {
                dialog.reply("RTSP/1.0 455 Method Not Valid in This State\r\n\r\n")?;
                return Err("no OPTIONS".into());
            }
            dialog.reply(answer)
        });
        assert_plays(script, what).await;
    }
}

#[tokio::test]
async fn a_camera_that_hangs_up_at_options_plays_without_it() {
    for answer in [
        "",
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nConnection: close\r\n\r\n",
    ] {
        let camera = playing()
            .before(move |dialog| match dialog.peek()?.starts_with("OPTIONS ") {
                true => {
                    dialog.reply(answer)?;
                    Err("closed".into())
                }
                false => Ok(()),
            })
            .start();
        assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
        let asked = |method: &str| {
            let all = camera.requests();
            all.iter()
                .filter(|request| request.starts_with(method))
                .count()
        };
        assert_eq!(asked("OPTIONS "), 1);
        assert!(asked("DESCRIBE ") <= 2);
    }
}

#[tokio::test]
async fn a_camera_that_does_not_answer_options_plays_without_it() {
    let script = playing().before(|dialog| match dialog.peek()?.starts_with("OPTIONS ") {
        true => dialog.read().map(|_| ()),
        false => Ok(()),
    });
    assert_plays(script, "no answer to OPTIONS").await;
}

#[tokio::test]
async fn unusual_responses_are_accepted() {
    let set_up = |lines: &str| format!("RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\n{lines}\r\n");
    let tcp = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    for (lines, channel) in [
        (format!("Session: 7;timeout=60;a=b; c\r\n{tcp}"), 0),
        (
            format!("Session:7\r\nSession: 8\r\nNothing\r\nEmpty:\r\n: x\r\n{tcp}"),
            0,
        ),
        (format!("X-Odd: \u{e9}\u{fffd}\r\nCSeq: 99\r\n{tcp}"), 0),
        (
            "Transport: RTP/AVP/TCP; unicast; ssrc=4294967295; source=; interleaved = 4 - 5\r\n"
                .into(),
            4,
        ),
        (
            "Transport:RTP/AVP/TCP;interleaved=9;ssrc=0x1;server_port=0-0;destination=\r\n".into(),
            9,
        ),
        ("Session: 7\r\n".into(), 0),
    ] {
        let script = Script::new()
            .describe(H264)
            .answer("SETUP", set_up(&lines))
            .answer(
                "PLAY",
                "RTSP/1.0 200 OK\r\nRTP-Info: url=x;seq=;rtptime=-1\r\n\r\n",
            )
            .packets(channel, &pictures());
        assert_plays(script, &lines).await;
    }
    // Line feeds only, missing and wrong numbers, blanks, and another content type.
    let script = Script::new()
        .answer(
            "DESCRIBE",
            format!(
                "\n\nRTSP/1.0   200\nContent-Type: application/sdp;charset=utf-8\nCSeq: 1\nCSeq: 4\n\
                 Content-length : {{length}}\n\n{H264}"
            ),
        )
        .answer("SETUP", "RTSP/1.0 200 OK\nCSeq: 77\nSession: 7\n\n")
        .answer("PLAY", "\r\n\r\nRTSP/1.0 200 OK\r\n\r\n")
        .packets(0, &pictures());
    assert_plays(script, "line feeds only").await;
}

#[tokio::test]
async fn unusual_session_descriptions_are_accepted() {
    let video = format!(
        "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets={SPROP}\n"
    );
    for sdp in [
        format!("v=0\nc=IN \n{video}"),
        format!("v=0\no=-\ns=\nc=IN IP4 '&…\nb=AS:\nb=AS:x\nt=0\njunk\n=\n{video}c=\n"),
        format!("\u{feff}v=0\r\n\r\n  {video}"),
        video.replace("video 0", "video -1"),
        video.replace("video 0 RTP/AVP", "VIDEO 65537/2 RTP/AVP/TCP"),
        video.replace('\n', "\r"),
        format!(
            "m=audio 0 RTP/AVP 0\nm=application 0 RTP/AVP smart/1/90000\n{video}m=video 0 RTP/AVP 26\n"
        ),
        format!("{video}a=control:\na=framerate:0S\na=range:npt=0-\n"),
        format!("{video}a=control:rtsp://10.9.9.9/elsewhere/track1\n"),
        video.replace("a=rtpmap:96 H264/90000\n", ""),
        video.replace("90000", "90000/1/2"),
        video.replace("Z0", "!!,Z0"),
    ] {
        let script = Script::new().describe(&sdp).play().packets(0, &pictures());
        assert_plays(script, &sdp).await;
    }
}

#[tokio::test]
async fn parameter_sets_of_the_session_description_precede_the_key_frame() {
    for sprop in [SPROP.to_owned(), SPROP.trim_end_matches('=').to_owned()] {
        let sdp = format!("{H264}a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n");
        // The packets of the parameter sets are missing.
        let packets: Vec<_> = pictures().split_off(2);
        let script = Script::new().describe(&sdp).play().packets(0, &packets);
        assert_plays(script, &sprop).await;
    }
}

#[tokio::test]
async fn a_description_without_usable_video_is_quoted() {
    for (sdp, line) in [
        ("v=0\r\nm=audio 0 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP 0"),
        (
            "m=video 0 RTP/AVP\r\nm=audio 0 RTP/AVP 0\r\n",
            "m=video 0 RTP/AVP",
        ),
        ("<html><body>\r\n", "<html><body>"),
    ] {
        let reason = failure(Script::new().describe(sdp)).await;
        let expected =
            format!("the camera offers no video; its session description has only {line:?}");
        assert_eq!(reason, expected);
    }
    let reason = failure(Script::new().describe("")).await;
    assert_eq!(
        reason,
        "the camera offers no video; its session description is empty"
    );
    let other = "m=video 0 RTP/AVP 97\r\na=rtpmap:97 MP4V-ES/90000\r\n";
    let reason = failure(Script::new().describe(other)).await;
    assert!(
        reason.starts_with("its video is MP4V-ES; it should be H.264"),
        "{reason}"
    );
}

#[tokio::test]
async fn other_protocols_and_refusals_are_reported_exactly() {
    let reply = |text: &str| Script::new().answer("DESCRIBE", text);
    for (script, expected) in [
        (
            reply("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "the server at this address does not speak RTSP; it answers \"HTTP/1.1 400 Bad Request\"",
        ),
        (
            reply("SSH-2.0-OpenSSH_9.2\r\n"),
            "the server at this address does not speak RTSP; it answers \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (
            reply("\u{1}\u{2}\u{3}\r\n"),
            "the server at this address does not speak RTSP",
        ),
        (
            reply("RTSP/1.0 404 Not Found\r\n\r\n"),
            "404: no such stream at this address",
        ),
        (
            reply("RTSP/1.0 418 Teapot\r\n\r\n"),
            "418: the camera rejects DESCRIBE",
        ),
        (
            reply("RTSP/1.0 503 Busy\r\n\r\n"),
            "503: the camera is busy; it may have reached its limit of viewers",
        ),
        (
            Script::new().expect("DESCRIBE").close(),
            "the camera closed the connection",
        ),
        (
            Script::new()
                .expect("DESCRIBE")
                .send([0x15, 3, 1, 0, 2, 2, 70]),
            "the server at this address requires TLS; write rtsps:// instead of rtsp://",
        ),
    ] {
        assert_eq!(failure(script).await, expected);
    }
}

#[tokio::test]
async fn an_answer_of_any_server_is_not_shown_to_everyone_who_may_add_cameras() {
    let camera = Script::new()
        .answer("DESCRIBE", "-ERR secret banner\r\n")
        .start();
    let mut client = crate::support::client(&camera.url());
    client.ssrf_guard = Some(ocelli_media::sources::SsrfGuard::disabled());
    let reason = crate::support::play_with(client, 1).await.unwrap_err();
    assert_eq!(reason, "the server at this address does not speak RTSP");
}

#[tokio::test]
async fn keep_alives_that_are_refused_or_not_answered_do_not_end_the_session() {
    let set_up = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7;timeout=1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n";
    for reply in [
        "RTSP/1.0 400 Bad Request\r\nCSeq: 3\r\n\r\n",
        "RTSP/1.0 454 Session Not Found\r\nCSeq: {cseq}\r\n\r\n",
        "RTSP/1.0 200 OK\r\nCSeq: 2\r\nPublic: GET_PARAMETER\r\n\r\n",
        "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\r\n",
        "",
    ] {
        let packets = pictures();
        let camera = Script::new()
            .describe(H264)
            .answer("SETUP", set_up)
            .answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
            .packets(0, &packets[..4])
            .run(|dialog| dialog.read().map(|_| ()))
            .reply(reply)
            .run(|dialog| dialog.read().map(|_| ()))
            .packets(0, &packets[4..])
            .start();
        assert_eq!(
            play(&camera, 3).await.as_deref(),
            Ok(&three_pictures()[..]),
            "{reply}"
        );
        let requests = camera.requests();
        let expected = if reply.contains("GET_P") {
            "GET_PARAMETER "
        } else {
            "OPTIONS "
        };
        assert!(
            requests[5].starts_with(expected),
            "{reply}: {}",
            requests[5]
        );
    }
}

#[tokio::test]
async fn every_session_is_ended() {
    let camera = Script::new()
        .describe(H264)
        .play()
        .packets(0, &pictures())
        .start();
    play(&camera, 1).await.unwrap();
    let requests = tokio::task::spawn_blocking(move || camera.wait(|all| all.len() > 4));
    let teardown = requests.await.unwrap().pop().unwrap();
    assert!(
        teardown.starts_with("TEARDOWN ") && teardown.contains("Session: 7\r\n"),
        "{teardown}"
    );
}
