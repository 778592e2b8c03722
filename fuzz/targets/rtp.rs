//! RTP packets of every codec: they give pictures, sound or an error, and never panic.
//!
//! The first byte selects the codec, the second is the length of its parameters, which
//! follow. Then come the packets, each preceded by its length and a byte of flags: whether it has the
//! marker bit, begins a picture, follows a gap, or includes its own header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::sources::rtsp::pictures;

fuzz_target!(|bytes: &[u8]| {
    let [codec, length, rest @ ..] = bytes else {
        return;
    };
    let (parameters, mut rest) = rest.split_at(usize::from(*length).min(rest.len()));
    let parameters = String::from_utf8_lossy(parameters);
    let encodings = ["h264", "h265", "jpeg", "mpeg4-generic", "pcma"];
    let encoding = encodings[usize::from(codec % 5)];
    let (mut packets, mut sequence, mut stamp) = (Vec::new(), 0u16, 0u32);
    while let [len, how, after @ ..] = rest {
        let len = usize::from(*len).min(after.len());
        let payload = &after[..len];
        rest = &after[len..];
        sequence = sequence.wrapping_add(1 + u16::from(how >> 4));
        stamp = stamp.wrapping_add(3000 * u32::from(how >> 1 & 1));
        let mut packet = Vec::new();
        if how & 4 == 0 {
            packet.extend([0x80, 96 | (how & 1) << 7]);
            packet.extend(sequence.to_be_bytes());
            packet.extend(stamp.to_be_bytes());
            packet.extend([0, 0, 0, 7]);
        }
        packet.extend(payload);
        packets.push(packet);
    }
    let _ = pictures(encoding, Some(&parameters), &packets);
});
