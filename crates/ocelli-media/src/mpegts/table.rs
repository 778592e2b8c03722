//! The tables of a transport stream: its programs, and the streams of one.

use ocelli_core::Codec;

/// What a stream of sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundKind {
    /// AAC in ADTS frames.
    Aac,
    /// Opus with this number of channels.
    Opus(u8),
    /// Another codec.
    Other,
}

/// Descriptors (ISO/IEC 13818-1, 2.6; EN 300 468, 6.4): the identifier of a private stream, and
/// the one of DVB extensions with its first byte for Opus.
const REGISTRATION: u8 = 0x05;
const EXTENSION: u8 = 0x7F;
const OPUS_CHANNELS: u8 = 0x80;

/// A stream and where it is.
type At<T> = Option<(u16, T)>;

/// Returns the content of a section with this table id that begins in this packet.
pub fn section(payload: &[u8], begins: bool, table: u8) -> Option<&[u8]> {
    if !begins {
        return None;
    }
    let (&skipped, rest) = payload.split_first()?;
    let rest = rest.get(usize::from(skipped)..)?;
    let ([id, high, low], rest) = rest.split_first_chunk::<3>()?;
    let len = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
    // A longer section continues in the next packet. What is needed comes first.
    let content = &rest[..len.min(rest.len())];
    // Number, version and position in front; a checksum behind.
    let end = if len <= rest.len() {
        len.checked_sub(4)?
    } else {
        content.len()
    };
    (*id == table).then(|| content.get(5..end)).flatten()
}

/// Returns the packets with the table of streams of the first program.
pub fn first_program(section: &[u8]) -> Option<u16> {
    let mut programs = section.chunks_exact(4);
    let program = programs.find(|program| program[..2] != [0, 0])?;
    Some(u16::from_be_bytes([program[2] & 0x1F, program[3]]))
}

/// Returns the packets of the first H.264 or H.265 stream, and those of the sound: of the first
/// stream in AAC or Opus, or else of the first in another codec. Returns `None` if the table is not
/// valid.
pub fn streams(section: &[u8]) -> Option<(At<Codec>, At<SoundKind>)> {
    let (head, rest) = section.split_first_chunk::<4>()?;
    let skipped = usize::from(u16::from_be_bytes([head[2] & 0x0F, head[3]]));
    let mut rest = rest.get(skipped..)?;
    let (mut video, mut sound) = (None, None);
    while let Some(([kind, a, b, c, d], after)) = rest.split_first_chunk::<5>() {
        let number = u16::from_be_bytes([a & 0x1F, *b]);
        let len = usize::from(u16::from_be_bytes([c & 0x0F, *d]));
        let descriptors = after.get(..len).unwrap_or_default();
        match kind {
            0x1B => video = video.or(Some((number, Codec::H264))),
            0x24 => video = video.or(Some((number, Codec::H265))),
            _ => {
                let better = |kind| match sound {
                    None => true,
                    Some((_, known)) => known == SoundKind::Other && kind != SoundKind::Other,
                };
                if let Some(found) = sound_kind(*kind, descriptors).filter(|kind| better(*kind)) {
                    sound = Some((number, found));
                }
            }
        }
        rest = after.get(len..).unwrap_or_default();
    }
    Some((video, sound))
}

fn sound_kind(kind: u8, descriptors: &[u8]) -> Option<SoundKind> {
    match kind {
        0x0F => Some(SoundKind::Aac),
        // Private data: Opus, or what has no type of its own.
        0x06 => Some(opus_channels(descriptors).map_or(SoundKind::Other, SoundKind::Opus)),
        // MPEG-1, MPEG-2, LATM, AC-3 and E-AC-3.
        0x03 | 0x04 | 0x11 | 0x81 | 0x87 => Some(SoundKind::Other),
        _ => None,
    }
}

/// Returns the number of channels if the descriptors are those of Opus in one or two channels.
fn opus_channels(mut descriptors: &[u8]) -> Option<u8> {
    let (mut is_opus, mut channels) = (false, 2);
    while let Some(([tag, len], after)) = descriptors.split_first_chunk::<2>() {
        let (content, after) = after.split_at_checked(usize::from(*len))?;
        match (*tag, content) {
            (REGISTRATION, b"Opus") => is_opus = true,
            (EXTENSION, [OPUS_CHANNELS, code, ..]) => channels = *code,
            _ => {}
        }
        descriptors = after;
    }
    // 0 means two independent channels.
    let channels = if channels == 0 { 2 } else { channels };
    (is_opus && channels <= 2).then_some(channels)
}
