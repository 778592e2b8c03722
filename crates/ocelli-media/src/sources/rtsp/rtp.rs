//! Headers of RTP packets (RFC 3550, 5.1), and the values that a track's packets should have.

/// Number of consecutive packets from another sender, or with another payload type, after which
/// these are accepted.
pub const FOREIGN_PACKETS: usize = 32;

/// The fields of an RTP packet that matter here.
pub struct Rtp<'a> {
    /// The marker bit.
    pub mark: bool,
    /// The payload type.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub stamp: u32,
    /// The sender's identifier (SSRC).
    pub sender: u32,
    /// What follows the header, without padding.
    pub payload: &'a [u8],
}

impl<'a> Rtp<'a> {
    /// Parses a packet.
    ///
    /// # Errors
    /// It is no valid RTP packet, with the reason.
    pub fn parse(packet: &'a [u8]) -> Result<Self, &'static str> {
        let &[
            first,
            second,
            s0,
            s1,
            t0,
            t1,
            t2,
            t3,
            f0,
            f1,
            f2,
            f3,
            ref rest @ ..,
        ] = packet
        else {
            return Err("too short");
        };
        if first >> 6 != 2 {
            return Err("packets that are not RTP version 2");
        }
        let sources = usize::from(first & 0x0F) * 4;
        let mut payload = rest.get(sources..).ok_or("too short")?;
        if first & 0x10 != 0 {
            let &[_, _, high, low, ref after @ ..] = payload else {
                return Err("too short");
            };
            let words = usize::from(u16::from_be_bytes([high, low]));
            payload = after.get(words * 4..).ok_or("too short")?;
        }
        // Some cameras set the padding bit without padding.
        if let (true, Some(&padding)) = (first & 0x20 != 0, payload.last()) {
            let len = payload.len().checked_sub(usize::from(padding));
            payload = &payload[..len.unwrap_or(payload.len())];
        }
        Ok(Self {
            mark: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            stamp: u32::from_be_bytes([t0, t1, t2, t3]),
            sender: u32::from_be_bytes([f0, f1, f2, f3]),
            payload,
        })
    }
}

/// A value that packets should have.
pub struct Preferred<T> {
    /// The value, once known.
    pub known: Option<T>,
    /// Another value, and the number of consecutive packets that have it.
    other: Option<(T, usize)>,
}

impl<T: Copy + PartialEq> Preferred<T> {
    /// Creates it with a value, or takes the first packet's.
    pub fn new(known: Option<T>) -> Self {
        Self { known, other: None }
    }

    /// Returns true if a packet with this value is accepted.
    pub fn accepts(&mut self, value: T) -> bool {
        if self.known.is_none_or(|known| known == value) {
            self.known = Some(value);
            self.other = None;
            return true;
        }
        let before = self.other.filter(|(other, _)| *other == value);
        let count = before.map_or(0, |(_, count)| count) + 1;
        self.other = Some((value, count));
        if count <= FOREIGN_PACKETS {
            return false;
        }
        *self = Self::new(Some(value));
        true
    }
}
