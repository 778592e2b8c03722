//! The Huffman tables that ITU-T T.81, Annex K.3, lists as typical. Many webcams and cheap
//! encoders leave them out, as AVI files of Motion JPEG do, and some decoders then fail.

use super::format::HUFFMAN_TABLES;
use ocelli_core::FrameBuffer;

/// A set of Huffman tables, as a bit mask. Only the two tables of each class that Annex K
/// defines are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSet(u8);

impl TableSet {
    /// All tables that Annex K defines.
    pub(super) const STANDARD: Self = Self(0b1111);

    /// Adds the table with this class (0 for DC, 1 for AC) and identifier.
    pub(super) fn add(&mut self, class: u8, id: u8) {
        if class <= 1 && id <= 1 {
            self.0 |= 1 << (class * 2 + id);
        }
    }

    /// Adds all tables of another set.
    pub(super) fn add_all(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Returns the tables of this set that are not in `other`.
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Parses the tables of a DHT segment. A damaged segment counts as all tables, because
    /// adding tables would not repair it.
    pub(super) fn defined(mut segment: &[u8]) -> Self {
        let mut set = Self::default();
        while let [table, rest @ ..] = segment {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Self::STANDARD;
            };
            let values = counts.iter().copied().map(usize::from).sum();
            let Some(rest) = rest.get(values..) else {
                return Self::STANDARD;
            };
            set.add(table >> 4, table & 15);
            segment = rest;
        }
        set
    }

    /// Parses the tables that a scan uses from its SOS segment.
    pub(super) fn used(segment: &[u8]) -> Self {
        let mut set = Self::default();
        let Some((count, rest)) = segment.split_first() else {
            return set;
        };
        for component in rest.chunks_exact(2).take(usize::from(*count)) {
            set.add(0, component[1] >> 4);
            set.add(1, component[1] & 15);
        }
        set
    }

    /// Appends a DHT segment with these tables.
    fn write(self, into: &mut FrameBuffer) {
        let tables = TABLES.iter().enumerate();
        let chosen = tables.filter(|(at, _)| self.0 & (1 << at) != 0);
        let chosen: Vec<_> = chosen.map(|(_, table)| table).collect();
        let len: usize = chosen.iter().map(|(_, _, values)| 17 + values.len()).sum();
        into.extend_from_slice(&[0xFF, HUFFMAN_TABLES]);
        into.extend_from_slice(&(len as u16 + 2).to_be_bytes());
        for (id, counts, values) in chosen {
            into.extend_from_slice(&[*id]);
            into.extend_from_slice(counts);
            into.extend_from_slice(values);
        }
    }
}

/// Returns a copy of `picture` with tables added at these positions, which are in ascending
/// order.
pub(super) fn with_tables(picture: &[u8], missing: &[(usize, TableSet)]) -> FrameBuffer {
    let mut buffer = FrameBuffer::with_capacity(picture.len() + missing.len() * ALL_TABLES);
    let mut copied = 0;
    for (at, tables) in missing {
        buffer.extend_from_slice(&picture[copied..*at]);
        tables.write(&mut buffer);
        copied = *at;
    }
    buffer.extend_from_slice(&picture[copied..]);
    buffer
}

/// Length of a DHT segment with all tables.
const ALL_TABLES: usize = 4 + 2 * (17 + 12) + 2 * (17 + 162);

/// Class and identifier, the number of codes of each length, and the values, in the order of
/// the bits in [`TableSet`].
const TABLES: [(u8, [u8; 16], &[u8]); 4] = [
    (
        0x00,
        [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ),
    (
        0x01,
        [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ),
    (
        0x10,
        [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        b"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\
          \x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\
          \x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37\
          \x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59\
          \x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\
          \x84\x85\x86\x87\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\
          \xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\
          \xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\
          \xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
    ),
    (
        0x11,
        [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        b"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\
          \x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\
          \x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36\
          \x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\
          \x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\
          \x82\x83\x84\x85\x86\x87\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\
          \xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\
          \xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\
          \xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_that_encoders_use() {
        let mut all = FrameBuffer::with_capacity(ALL_TABLES);
        TableSet::STANDARD.write(&mut all);
        assert_eq!(all.len(), ALL_TABLES);
        assert_eq!(TableSet::defined(&all.payload()[4..]), TableSet::STANDARD);
        for (_, counts, values) in TABLES {
            let sum: usize = counts.iter().copied().map(usize::from).sum();
            assert_eq!(sum, values.len());
        }
    }

    #[test]
    fn a_damaged_segment_defines_all_tables() {
        for damaged in [&[0][..], &[0; 16], &[1; 18]] {
            assert_eq!(TableSet::defined(damaged), TableSet::STANDARD);
        }
        assert!(TableSet::defined(&[]).is_empty());
    }
}
