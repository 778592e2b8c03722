//! Entry points for `make fuzz`.

use super::super::Credentials;
use super::auth::Signer;
use super::client::Client;
use super::message::Message;
use super::sound_packets::SoundPackets;
use super::{answers, input, sdp, unpacker};
use url::Url;

/// Parses a camera's bytes that arrive in these pieces, and returns a text for each item. A
/// fault ends the list. Responses are interpreted as a session interprets them.
pub fn items(pieces: &[&[u8]]) -> Vec<String> {
    let mut parser = input::Input::default();
    let mut items = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let free_part = parser.free_part();
            assert!(!free_part.is_empty(), "the buffer is full");
            let len = free_part.len().min(rest.len());
            free_part[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            parser.advance(len);
            loop {
                match parser.next() {
                    Ok(Some(input::Item::Packet(channel, packet))) => {
                        items.push(format!("{channel}: {:?}", parser.bytes(packet)));
                    }
                    Ok(Some(input::Item::Message(message))) => {
                        items.push(format!("{message:?} {}", interpret(&message)));
                    }
                    Ok(Some(input::Item::Datagram(..))) => {
                        unreachable!("datagrams do not pass through the parser")
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        items.push(fault.to_string());
                        return items;
                    }
                }
            }
        }
    }
    items
}

/// Returns the number of pictures or units of sound in a track's packets.
///
/// # Errors
/// The track is given up, with the reason.
pub fn pictures(
    encoding: &str,
    parameters: Option<&str>,
    packets: &[Vec<u8>],
) -> Result<usize, String> {
    let is_sound = matches!(encoding, "mpeg4-generic" | "pcma");
    let track = sdp::Track {
        media: if is_sound { "audio" } else { "video" }.to_owned(),
        encoding: encoding.to_owned(),
        payload_type: 96,
        clock_rate: if is_sound { 16_000 } else { 90_000 },
        channels: None,
        parameters: parameters.map(str::to_owned),
        dimensions: None,
        control: None,
    };
    if is_sound {
        let Some(mut sound) = SoundPackets::new(&track) else {
            return Ok(0);
        };
        let units = packets.iter().map(|packet| {
            sound.push(packet);
            std::iter::from_fn(|| sound.pull()).count()
        });
        return Ok(units.sum());
    }
    let describe = |broken| format!("{broken:?}");
    let Some(mut unpacker) = unpacker::Unpacker::new(&track).map_err(describe)? else {
        return Ok(0);
    };
    let mut count = 0;
    for packet in packets {
        unpacker.push(packet).map_err(describe)?;
        while unpacker.pull().map_err(describe)?.is_some() {
            count += 1;
        }
    }
    Ok(count)
}

/// Returns a text with everything that a session reads from a message.
fn interpret(message: &Message) -> String {
    let Ok(requested) = Url::parse("rtsp://10.0.0.7/stream1") else {
        return String::new();
    };
    let base = answers::base(message, &requested);
    let description = sdp::Description::read(&message.body);
    let controls = description
        .tracks
        .iter()
        .filter_map(|track| track.control.as_deref());
    let controls: Vec<_> = controls
        .map(|control| answers::join(&base, control))
        .collect();
    let mut client = Client::new(requested, None, "fuzz");
    let moved = message
        .header("Location")
        .map(|target| client.follow(target).is_ok());
    let mut signer = Signer::new(Some(Credentials {
        user: "viewer".to_owned(),
        password: "password".to_owned(),
    }));
    let signed = signer.challenged(message, false).is_ok()
        && signer.authorization("PLAY", base.as_str()).is_some();
    let session = message.header("Session").map(answers::session_and_timeout);
    let transport = message.header("Transport").unwrap_or_default();
    let (channel, ports) = (
        answers::channel(transport, 0),
        answers::server_ports(transport),
    );
    let (source, group) = (answers::source(transport), answers::group(transport));
    format!(
        "{base} {description:?} {controls:?} {moved:?} {signed} {session:?} {channel:?} {ports:?} \
         {source:?} {group:?}"
    )
}
