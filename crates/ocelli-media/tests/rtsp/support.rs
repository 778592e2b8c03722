//! Playing a scripted camera.

use ocelli_media::sources::Address;
use ocelli_media::sources::rtsp::Client;
pub use ocelli_testkit::rtsp_media::{JPEG, KEY, PPS, Rtp, SECOND, SPROP, SPS, THIRD};
pub use ocelli_testkit::rtsp_script::{Script, ScriptedCamera};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// How long a test waits for pictures.
const PATIENCE: Duration = Duration::from_secs(20);

/// An SDP with H.264, without parameter sets.
pub const H264: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
     a=rtpmap:96 H264/90000\r\na=control:track1\r\n";

/// Returns the client for an address as a user writes it.
pub fn client(address: &str) -> Client {
    let address = Address::new(address);
    let url = Url::parse(address.bare()).unwrap();
    Client::new(url, address.credentials, "ocelli")
}

/// Plays the camera until it has sent this many pictures. Returns them, or the reason for the
/// failure.
pub async fn play_with(mut client: Client, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let playing = async {
        let mut session = client.open(|| None).await?;
        session.play().await?;
        let mut pictures = Vec::new();
        while pictures.len() < count {
            let picture = session.picture().await?;
            pictures.push(picture.unit.buffer.payload().to_vec());
        }
        Ok(pictures)
    };
    let played = timeout(PATIENCE, playing).await;
    let played = played.unwrap_or_else(|_| panic!("no picture in time"));
    played.map_err(|fault| client.explain(&fault).reason)
}

/// Plays a camera at this address, see [`play_with`].
pub async fn play_at(address: &str, count: usize) -> Result<Vec<Vec<u8>>, String> {
    play_with(client(address), count).await
}

/// Plays a camera, see [`play_with`].
pub async fn play(camera: &ScriptedCamera, count: usize) -> Result<Vec<Vec<u8>>, String> {
    play_at(&camera.url(), count).await
}

/// Returns the units in Annex B format.
pub fn annexb(units: &[&[u8]]) -> Vec<u8> {
    let coded = units.iter().map(|unit| [&[0, 0, 0, 1], *unit].concat());
    coded.collect::<Vec<_>>().concat()
}

/// Returns the pictures of [`Rtp::h264`].
pub fn three_pictures() -> Vec<Vec<u8>> {
    vec![
        annexb(&[SPS, PPS, KEY]),
        annexb(&[SECOND]),
        annexb(&[THIRD]),
    ]
}

/// Asserts that a camera plays these three pictures.
pub async fn assert_plays(script: Script, what: &str) {
    let camera = script.start();
    let played = play(&camera, 3).await;
    assert_eq!(played.as_deref(), Ok(&three_pictures()[..]), "{what}");
}

/// Returns the reason why a camera does not play.
pub async fn failure(script: Script) -> String {
    play(&script.start(), 1).await.expect_err("a failure")
}
