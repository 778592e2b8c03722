//! Opus: the duration of packets (RFC 6716, 3.1), and packets in MPEG transport streams (ETSI TS
//! 103 491). Audio is not decoded.

use ocelli_core::{SoundCodec, SoundFormat};

/// Sampling rate of Opus, whatever the input's was.
pub const RATE: u32 = 48_000;

/// The first bits of the header in front of a packet in a transport stream.
const PREFIX: u16 = 0x7FE0;
const PREFIX_MASK: u16 = 0xFFE0;
/// Flags behind it: the fields that follow the length.
const START_TRIM: u16 = 0x10;
const END_TRIM: u16 = 0x08;
const EXTENSION: u16 = 0x04;

/// Returns the description for viewers.
pub fn format(channels: u8) -> SoundFormat {
    SoundFormat {
        codec: SoundCodec::Opus,
        codec_string: "opus".to_owned(),
        rate: RATE,
        channels,
        config: Vec::new(),
    }
}

/// Returns how long a packet lasts, in samples.
pub fn duration(packet: &[u8]) -> u32 {
    let Some(&toc) = packet.first() else {
        return 0;
    };
    // In units of 2.5 ms.
    let frame = match toc >> 3 {
        config @ 0..12 => [4, 8, 16, 24][usize::from(config & 3)],
        config @ 12..16 => [4, 8][usize::from(config & 1)],
        config => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1).unwrap_or(&0) & 0x3F),
    };
    frames * frame * (RATE / 400)
}

/// Returns the first packet of an elementary stream, and what follows it. Returns `None` if there
/// is no complete valid one.
pub fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&header, mut rest) = bytes.split_first_chunk::<2>()?;
    let header = u16::from_be_bytes(header);
    if header & PREFIX_MASK != PREFIX {
        return None;
    }
    let mut len = 0;
    loop {
        let (&part, after) = rest.split_first()?;
        (len, rest) = (len + usize::from(part), after);
        if part < 0xFF {
            break;
        }
    }
    for flag in [START_TRIM, END_TRIM] {
        if header & flag != 0 {
            rest = rest.get(2..)?;
        }
    }
    if header & EXTENSION != 0 {
        let (&extension, after) = rest.split_first()?;
        rest = after.get(usize::from(extension)..)?;
    }
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_from_the_first_bytes() {
        for (packet, millis) in [
            (&[0x08][..], 20.0),
            (&[0x18], 60.0),
            (&[0x60], 10.0),
            (&[0x80], 2.5),
            (&[0xFC], 20.0),
            (&[0xFD], 40.0),
            (&[0xFF, 0x03], 60.0),
            (&[0xFF], 0.0),
            (&[], 0.0),
        ] {
            let samples = f64::from(duration(packet));
            assert_eq!(samples / f64::from(RATE) * 1000.0, millis, "{packet:x?}");
        }
    }

    #[test]
    fn packets_are_split() {
        let mut stream = vec![0x7F, 0xE0, 3];
        stream.extend(b"one");
        stream.extend([0x7F, 0xFC, 0xFF, 1, 9, 9, 9, 9, 2, 8, 8]);
        stream.extend([b'x'; 256]);
        let (first, rest) = split_packet(&stream).expect("a packet");
        assert_eq!(first, b"one");
        let (second, rest) = split_packet(rest).expect("a packet");
        assert_eq!((second, rest), (&[b'x'; 256][..], &[][..]));
        for len in 0..6 {
            assert_eq!(split_packet(&stream[..len]), None, "{len}");
        }
        assert_eq!(split_packet(&stream[1..]), None);
    }
}
