//! Cameras that send RTP only over UDP.

use crate::support::{H264, Rtp, Script, client, play, play_at, three_pictures};
use ocelli_media::sources::SsrfGuard;
use ocelli_media::sources::rtsp::Delivery;
use ocelli_testkit::{RtspServer, RtspServerOptions};
use std::net::UdpSocket;

const REFUSALS: [&str; 5] = [
    "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n",
    "RTSP/1.0 400 Bad Request\r\nCSeq: {cseq}\r\n\r\n",
    "RTSP/1.0 500 Internal Server Error\r\nCSeq: {cseq}\r\n\r\n",
    "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n\
     Transport: RTP/AVP;unicast;client_port=0-1;server_port=9-10\r\n\r\n",
    // Closes the connection.
    "",
];

/// Refuses TCP in this way, and answers SETUP for UDP.
fn udp_only(refusal: &'static str) -> Script {
    Script::new()
        .describe(H264)
        .expect("SETUP")
        .run(move |dialog| {
            if dialog.client_ports().is_some() {
                return dialog.set_up_udp();
            }
            if refusal.is_empty() {
                return Err("closed".into());
            }
            dialog.reply(refusal)?;
            if dialog.read()?.starts_with("SETUP ") {
                return dialog.set_up_udp();
            }
            dialog.reply("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")?;
            Err("closed".into())
        })
}

fn playing(refusal: &'static str) -> Script {
    udp_only(refusal).answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
}

#[tokio::test]
async fn a_camera_that_refuses_tcp_plays_over_udp() {
    for refusal in REFUSALS {
        let camera = playing(refusal).datagrams(Rtp::new(96).h264()).start();
        assert_eq!(
            play(&camera, 3).await.as_deref(),
            Ok(&three_pictures()[..]),
            "{refusal}"
        );
        let set_up: Vec<_> = camera.requests();
        let set_up = set_up
            .iter()
            .filter(|request| request.starts_with("SETUP"))
            .count();
        assert_eq!(set_up, 2, "{refusal}");
    }
}

#[tokio::test]
async fn swapped_duplicate_and_foreign_packets_lose_no_picture() {
    let packets = Rtp::new(96).h264();
    let mut swapped = packets.clone();
    swapped.swap(1, 3);
    swapped.push(packets[1].clone());
    let foreign = Rtp::new(96).h264();
    let camera = playing(REFUSALS[0])
        .run(move |dialog| {
            for packet in &foreign {
                dialog.foreign_datagram([127, 0, 0, 3].into(), packet)?;
            }
            Ok(())
        })
        .datagrams(swapped)
        .start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
}

/// Sends the packets over UDP from another address, which the answer to SETUP names or not.
fn from_elsewhere(named: bool) -> Script {
    let elsewhere = [127, 0, 0, 2];
    Script::new()
        .describe(H264)
        .answer(
            "SETUP",
            "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n",
        )
        .expect("SETUP")
        .run(move |dialog| dialog.set_up_udp_from(elsewhere.into(), named))
        .answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
        .datagrams((0..40).flat_map(|_| Rtp::new(96).h264()).collect())
}

#[tokio::test]
async fn packets_of_the_source_that_the_camera_names_are_accepted() {
    let camera = from_elsewhere(true).start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
}

#[tokio::test]
async fn packets_of_another_source_are_told() {
    let reason =
        "it accepts playback over UDP, but packets arrive from 127.0.0.2, not from the camera";
    assert_eq!(
        play(&from_elsewhere(false).start(), 1).await,
        Err(reason.into())
    );
}

/// Sends only by multicast.
fn multicast_only() -> Script {
    let refuse = "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n";
    Script::new()
        .describe(H264)
        .answer("SETUP", refuse)
        .answer("SETUP", refuse)
        .expect("SETUP")
        .run(|dialog| dialog.set_up_multicast([239, 255, 77, 7].into()))
        .answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
        .datagrams(Rtp::new(96).h264())
}

#[tokio::test]
async fn a_camera_that_sends_only_by_multicast_plays() {
    let camera = multicast_only().start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
}

#[tokio::test]
async fn a_camera_added_over_http_names_no_address_of_its_own() {
    // The guard would also refuse the test's camera itself, so it is handed to the session.
    for (script, expected) in [
        (
            multicast_only(),
            "it sends RTP only by multicast: a camera that is added over HTTP",
        ),
        (
            from_elsewhere(true),
            "it accepts playback over UDP, but packets arrive from 127.0.0.2",
        ),
    ] {
        let camera = script.start();
        let mut client = client(&camera.url());
        let mut session = client.describe(|| None).await.unwrap();
        session.restrict(SsrfGuard::new(0));
        let mut played = session.set_up(Delivery::Tcp).await;
        for delivery in [Delivery::Udp, Delivery::Multicast] {
            if played.is_err() {
                played = session.set_up(delivery).await;
            }
        }
        let fault = async {
            played?;
            session.play().await?;
            session.picture().await
        };
        let reason = client.explain(&fault.await.unwrap_err()).reason;
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[tokio::test]
async fn loss_costs_only_the_pictures_it_affects() {
    let mut rtp = Rtp::new(96);
    let mut packets = rtp.h264();
    // The second picture.
    packets.remove(3);
    packets.extend(rtp.h264());
    let camera = playing(REFUSALS[0]).datagrams(packets).start();
    let played = play(&camera, 5).await.unwrap();
    let three = three_pictures();
    let expected = [&three[0], &three[2], &three[0], &three[1], &three[2]];
    assert_eq!(played.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn packets_of_the_hub_open_the_way_and_its_ports_are_given_back() {
    let camera = udp_only(REFUSALS[0])
        .run(|dialog| {
            let punched = dialog.received_datagram()?;
            if punched.len() != 12 || punched[..2] != [0x80, 127] {
                return Err("not the packet that opens the way".into());
            }
            let report = dialog.received_datagram()?;
            if report[..2] != [0x80, 201] {
                return Err("not a receiver report".into());
            }
            Ok(())
        })
        .answer("PLAY", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")
        .datagrams(Rtp::new(96).h264())
        .start();
    assert_eq!(play(&camera, 3).await.unwrap(), three_pictures());
    let requests = tokio::task::spawn_blocking(move || {
        camera.wait(|all| all.iter().any(|request| request.starts_with("TEARDOWN ")))
    });
    let requests = requests.await.unwrap();
    let ports = requests
        .iter()
        .find_map(|request| request.split_once("client_port="));
    let (first, second) = ports
        .unwrap()
        .1
        .split_once("\r\n")
        .unwrap()
        .0
        .split_once('-')
        .unwrap();
    for port in [first, second] {
        let port: u16 = port.parse().unwrap();
        UdpSocket::bind(("127.0.0.1", port)).unwrap_or_else(|error| panic!("{port}: {error}"));
    }
}

#[tokio::test]
async fn a_camera_that_refuses_both_is_explained() {
    let refuse = "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n";
    let camera = Script::new()
        .describe(H264)
        .answer("SETUP", refuse)
        .answer("SETUP", refuse)
        .start();
    let expected = "461: it sends RTP neither over TCP nor over UDP";
    assert_eq!(play(&camera, 1).await, Err(expected.into()));
}

#[tokio::test]
async fn gstreamers_server_plays_over_udp() {
    let server = RtspServer::start(RtspServerOptions {
        udp: true,
        ..Default::default()
    });
    for mount in ["h264", "h265", "mjpeg"] {
        assert_eq!(
            play_at(&server.url(mount), 20).await.unwrap().len(),
            20,
            "{mount}"
        );
    }
}
