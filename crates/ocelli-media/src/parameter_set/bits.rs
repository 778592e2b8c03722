//! Reads and writes the bits of NAL units (ISO/IEC 14496-10, 7.2 and 7.4.1).

/// Bit reader for a NAL unit that skips emulation prevention bytes.
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// Position of the next byte.
    at: usize,
    /// Number of zero bytes directly before it.
    zeros: u8,
    byte: u8,
    /// Unread bits of `byte`.
    left: u32,
    /// Number of bits read.
    read: usize,
}

impl<'a> Bits<'a> {
    /// Starts at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            zeros: 0,
            byte: 0,
            left: 0,
            read: 0,
        }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let mut byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if self.zeros == 2 && byte == 3 {
            self.zeros = 0;
            byte = *self.bytes.get(self.at)?;
            self.at += 1;
        }
        self.zeros = if byte == 0 {
            (self.zeros + 1).min(2)
        } else {
            0
        };
        Some(byte)
    }

    /// Returns the number of bits read, without those of emulation prevention bytes.
    pub fn position(&self) -> usize {
        self.read
    }

    /// Reads one bit.
    pub fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        self.read += 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    /// Reads at most 32 bits.
    pub fn take(&mut self, bits: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..bits {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Skips bits.
    pub fn skip(&mut self, bits: u32) -> Option<()> {
        for _ in 0..bits {
            self.flag()?;
        }
        Some(())
    }

    /// Reads an unsigned Exp-Golomb number.
    pub fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }

    /// Reads a signed Exp-Golomb number.
    pub fn signed(&mut self) -> Option<i64> {
        let number = i64::from(self.number()?);
        Some(if number % 2 == 1 {
            number / 2 + 1
        } else {
            -(number / 2)
        })
    }
}

/// Bits to write, without emulation prevention bytes.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Number of bits in the last byte; 0 if it is full.
    used: u32,
}

impl BitWriter {
    /// Copies the first bits of a NAL unit.
    pub fn copy(unit: &[u8], bits: usize) -> Option<Self> {
        let mut reader = Bits::new(unit);
        let mut writer = Self::default();
        for _ in 0..bits {
            writer.flag(reader.flag()?);
        }
        Some(writer)
    }

    /// Writes one bit.
    pub fn flag(&mut self, flag: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(flag) << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }

    /// Writes an unsigned Exp-Golomb number.
    pub fn number(&mut self, number: u32) {
        let number = u64::from(number) + 1;
        let bits = 64 - number.leading_zeros();
        (1..bits).for_each(|_| self.flag(false));
        (0..bits)
            .rev()
            .for_each(|bit| self.flag(number >> bit & 1 == 1));
    }

    /// Ends the unit. Returns its bytes with emulation prevention bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.flag(true);
        let mut escaped = Vec::with_capacity(self.bytes.len() + 8);
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros == 2 && byte <= 3 {
                escaped.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            escaped.push(byte);
        }
        escaped
    }
}
