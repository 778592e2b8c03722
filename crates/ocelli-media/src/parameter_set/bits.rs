//! Bits of a NAL unit, read and written with emulation prevention bytes.

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
    /// Number of bits read, without those of emulation prevention bytes.
    position: usize,
}

impl<'a> Bits<'a> {
    /// Creates a reader for the bytes after a unit's header.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            zeros: 0,
            byte: 0,
            left: 0,
            position: 0,
        }
    }

    /// Returns the number of bits read, without those of emulation prevention bytes.
    pub fn position(&self) -> usize {
        self.position
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

    /// Reads one bit.
    pub fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        self.position += 1;
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

/// Writes the bits of a NAL unit.
#[derive(Default)]
pub struct BitWriter {
    /// The bytes without emulation prevention.
    bytes: Vec<u8>,
    /// Unused bits of the last byte.
    free: u32,
}

impl BitWriter {
    /// Appends one bit.
    pub fn flag(&mut self, bit: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << self.free;
        }
    }

    /// Appends an unsigned Exp-Golomb number.
    pub fn number(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let len = u64::BITS - code.leading_zeros();
        for _ in 1..len {
            self.flag(false);
        }
        for bit in (0..len).rev() {
            self.flag(code >> bit & 1 == 1);
        }
    }

    /// Appends the stop bit. Returns `header` and the bytes, with emulation prevention.
    pub fn finish(mut self, header: &[u8]) -> Vec<u8> {
        self.flag(true);
        let mut unit = header.to_vec();
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros == 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            unit.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        unit
    }
}
