//! Sender reports of RTCP (RFC 3550, 6.4.1), which relate the clocks of a camera's tracks.

/// The packet type of a sender report.
const SENDER_REPORT: u8 = 200;

/// A time of the camera's clock, and the timestamp of a track at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The time in µs. The camera's clock may be set to any time.
    pub time: i64,
    /// The RTP timestamp.
    pub stamp: u32,
}

impl SenderReport {
    /// Returns the sender report in a compound packet, if it has one with a time.
    pub fn parse(mut packet: &[u8]) -> Option<Self> {
        loop {
            let (&[first, kind, high, low], rest) = packet.split_first_chunk::<4>()?;
            if first >> 6 != 2 {
                return None;
            }
            let len = usize::from(u16::from_be_bytes([high, low])) * 4;
            if kind != SENDER_REPORT {
                packet = rest.get(len..)?;
                continue;
            }
            let word = |at: usize| {
                let bytes = rest.get(at..)?.first_chunk::<4>()?;
                Some(u32::from_be_bytes(*bytes))
            };
            let (seconds, fraction) = (i64::from(word(4)?), i64::from(word(8)?));
            return (seconds != 0).then_some(Self {
                time: seconds * 1_000_000 + ((fraction * 1_000_000) >> 32),
                stamp: word(12)?,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_report_in_a_compound_packet_is_found() {
        let mut packet = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
        packet.extend(100u32.to_be_bytes());
        packet.extend(0x8000_0000u32.to_be_bytes());
        packet.extend(90_000u32.to_be_bytes());
        packet.extend([0; 8]);
        let expected = Some(SenderReport {
            time: 100_500_000,
            stamp: 90_000,
        });
        assert_eq!(SenderReport::parse(&packet), expected);
        let description = [&[0x81, 202, 0, 1, 0, 0, 0, 7], &packet[..]].concat();
        assert_eq!(SenderReport::parse(&description), expected);
        for len in 0..20 {
            assert_eq!(SenderReport::parse(&packet[..len]), None, "{len}");
        }
        packet[8..12].fill(0);
        assert_eq!(SenderReport::parse(&packet), None, "its clock is not set");
        assert_eq!(SenderReport::parse(&[0x81, 202, 0, 9, 0, 0, 0, 7]), None);
    }
}
