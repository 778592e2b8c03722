//! Compact lossless encoding of samples.
//!
//! The two columns are encoded separately. Sensors and clocks write decimal numbers with
//! few places, so a column is first tried as integers over a power of ten: it is then
//! stored as differences, or differences of differences, in blocks of 64 with as many bits
//! as the largest needs. A regular clock then costs an eighth of a bit per sample. Columns
//! that are not short decimals are stored as the bits in which each number differs from the
//! previous one, like Gorilla (Pelkonen et al., VLDB 2015, 4.1.2).

use crate::Sample;

/// Maximum number of decimal places that are tried; 10^12 and all lower powers are exact.
const PLACES: u8 = 12;
/// Integers below this are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Number of differences that share a bit width.
const BLOCK: usize = 64;
/// Marks a column stored as differing bits.
const BITS: u8 = 0xff;
/// Marks a column stored as differences of differences; the lower bits are the decimal
/// places.
const SECOND: u8 = 0x10;

/// The bytes are not valid output of [`pack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Encodes samples.
pub fn pack(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(samples.len() * 3);
    put_varint(&mut bytes, samples.len() as u64);
    let mut column: Vec<f64> = samples.iter().map(|sample| sample.0).collect();
    pack_column(&mut bytes, &column);
    column.clear();
    column.extend(samples.iter().map(|sample| sample.1));
    pack_column(&mut bytes, &column);
    bytes.shrink_to_fit();
    bytes
}

/// Decodes samples and appends them to `samples`, at most `limit`.
///
/// # Errors
/// Returns an error if the bytes are damaged or hold more samples; `samples` is then
/// unchanged.
pub fn unpack(mut bytes: &[u8], limit: usize, samples: &mut Vec<Sample>) -> Result<(), Damaged> {
    let count = usize::try_from(take_varint(&mut bytes)?).map_err(|_| Damaged)?;
    if count > limit {
        return Err(Damaged);
    }
    let (mut xs, mut ys) = (Vec::with_capacity(count), Vec::with_capacity(count));
    unpack_column(&mut bytes, count, &mut xs)?;
    unpack_column(&mut bytes, count, &mut ys)?;
    if !bytes.is_empty() || xs.iter().chain(&ys).any(|number| !number.is_finite()) {
        return Err(Damaged);
    }
    samples.extend(xs.into_iter().zip(ys));
    Ok(())
}

fn pack_column(bytes: &mut Vec<u8>, column: &[f64]) {
    let Some((places, whole)) = as_decimals(column) else {
        bytes.push(BITS);
        return pack_bits(bytes, column);
    };
    let start = whole.first().copied().unwrap_or_default();
    let mut first = differences(&whole, start);
    let slope = first.get(1).copied().unwrap_or_default();
    let cost = |differences: &[i64]| -> u32 { differences.chunks(BLOCK).map(width).sum() };
    let as_first = cost(&first);
    // The first difference is set to the slope, as if the column had started one step
    // earlier.
    if let Some(before) = first.first_mut() {
        *before = slope;
    }
    let second = differences(&first, slope);
    let least = if cost(&second) < as_first {
        bytes.push(SECOND | places);
        put_varint(bytes, zigzag(start - slope));
        put_varint(bytes, zigzag(slope));
        second
    } else {
        bytes.push(places);
        put_varint(bytes, zigzag(start));
        if let Some(before) = first.first_mut() {
            *before = 0;
        }
        first
    };
    for block in least.chunks(BLOCK) {
        let width = width(block);
        bytes.push(width as u8);
        let mut writer = BitWriter::new(bytes);
        for &difference in block {
            writer.put(zigzag(difference), width);
        }
        writer.finish();
    }
}

fn unpack_column(bytes: &mut &[u8], count: usize, column: &mut Vec<f64>) -> Result<(), Damaged> {
    let kind = take(bytes, 1)?[0];
    if kind == BITS {
        return unpack_bits(bytes, count, column);
    }
    let (second, places) = (kind & SECOND != 0, kind & !SECOND);
    if places > PLACES {
        return Err(Damaged);
    }
    let scale = 10_f64.powi(i32::from(places));
    let mut value = unzigzag(take_varint(bytes)?);
    let mut slope = if second {
        unzigzag(take_varint(bytes)?)
    } else {
        0
    };
    let mut left = count;
    while left > 0 {
        let block = left.min(BLOCK);
        let width = u32::from(take(bytes, 1)?[0]);
        if width > 64 {
            return Err(Damaged);
        }
        let packed = take(bytes, (block * width as usize).div_ceil(8))?;
        let mut reader = BitReader::new(packed);
        for _ in 0..block {
            let difference = unzigzag(reader.get(width)?);
            slope = if second {
                slope.wrapping_add(difference)
            } else {
                difference
            };
            value = value.wrapping_add(slope);
            column.push(value as f64 / scale);
        }
        left -= block;
    }
    Ok(())
}

/// Returns the numbers as integers over a power of ten, if each is exactly that.
fn as_decimals(column: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut whole = Vec::with_capacity(column.len());
    'places: for places in 0..=PLACES {
        let scale = 10_f64.powi(i32::from(places));
        whole.clear();
        for &number in column {
            let scaled = (number * scale).round();
            if scaled.abs() >= EXACT {
                // More places would only make the number larger.
                return None;
            }
            // Compared as it will be decoded: negative zero is not representable.
            let rounded = scaled as i64;
            if (rounded as f64 / scale).to_bits() != number.to_bits() {
                continue 'places;
            }
            whole.push(rounded);
        }
        return Some((places, whole));
    }
    None
}

/// Returns each number's difference from the previous one; for the first, from `before`.
fn differences(numbers: &[i64], mut before: i64) -> Vec<i64> {
    let step = |&number: &i64| number - std::mem::replace(&mut before, number);
    numbers.iter().map(step).collect()
}

/// Returns the number of bits that the largest number of the block needs.
fn width(block: &[i64]) -> u32 {
    let all = block.iter().fold(0, |all, &number| all | zigzag(number));
    64 - all.leading_zeros()
}

/// Maps small numbers of either sign to small unsigned ones.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

fn pack_bits(bytes: &mut Vec<u8>, column: &[f64]) {
    let mut writer = BitWriter::new(bytes);
    let (mut before, mut window) = (0_u64, None::<(u32, u32)>);
    for number in column {
        let bits = number.to_bits();
        let differs = bits ^ before;
        before = bits;
        if differs == 0 {
            writer.put(0, 1);
            continue;
        }
        let (lead, trail) = (differs.leading_zeros().min(31), differs.trailing_zeros());
        match window {
            Some((old_lead, old_trail)) if lead >= old_lead && trail >= old_trail => {
                writer.put(0b01, 2);
                writer.put(differs >> old_trail, 64 - old_lead - old_trail);
            }
            _ => {
                let length = 64 - lead - trail;
                writer.put(0b11, 2);
                writer.put(u64::from(lead), 5);
                writer.put(u64::from(length - 1), 6);
                writer.put(differs >> trail, length);
                window = Some((lead, trail));
            }
        }
    }
    writer.finish();
}

fn unpack_bits(bytes: &mut &[u8], count: usize, column: &mut Vec<f64>) -> Result<(), Damaged> {
    let mut reader = BitReader::new(bytes);
    let (mut before, mut window) = (0_u64, None::<(u32, u32)>);
    for _ in 0..count {
        if reader.get(1)? == 1 {
            if reader.get(1)? == 1 {
                let lead = reader.get(5)? as u32;
                let length = reader.get(6)? as u32 + 1;
                let trail = 64_u32.checked_sub(lead + length).ok_or(Damaged)?;
                window = Some((lead, trail));
            }
            let (lead, trail) = window.ok_or(Damaged)?;
            before ^= reader.get(64 - lead - trail)? << trail;
        }
        column.push(f64::from_bits(before));
    }
    let used = reader.used();
    *bytes = &bytes[used..];
    Ok(())
}

/// Writes bits, least significant first.
struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    waiting: u128,
    count: u32,
}

impl<'a> BitWriter<'a> {
    fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self {
            bytes,
            waiting: 0,
            count: 0,
        }
    }

    /// Writes the lowest `width` bits of a number.
    fn put(&mut self, bits: u64, width: u32) {
        let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
        self.waiting |= u128::from(bits & mask) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.push(self.waiting as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    fn finish(self) {
        if self.count > 0 {
            self.bytes.push(self.waiting as u8);
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    next: usize,
    waiting: u128,
    count: u32,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            next: 0,
            waiting: 0,
            count: 0,
        }
    }

    fn get(&mut self, width: u32) -> Result<u64, Damaged> {
        while self.count < width {
            let byte = *self.bytes.get(self.next).ok_or(Damaged)?;
            self.waiting |= u128::from(byte) << self.count;
            self.next += 1;
            self.count += 8;
        }
        let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
        let bits = self.waiting as u64 & mask;
        self.waiting >>= width;
        self.count -= width;
        Ok(bits)
    }

    /// Returns the number of bytes that were read, including a partial one.
    fn used(&self) -> usize {
        self.next
    }
}

/// Writes an integer, seven bits per byte, least significant first.
pub fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads what [`put_varint`] wrote.
///
/// # Errors
/// Returns an error if the bytes end or the number is too large.
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

/// Takes `count` bytes from the front.
///
/// # Errors
/// Returns an error if there are fewer.
pub fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Result<&'b [u8], Damaged> {
    let (front, rest) = bytes.split_at_checked(count).ok_or(Damaged)?;
    *bytes = rest;
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(samples: &[Sample]) -> usize {
        let packed = pack(samples);
        let mut back = Vec::new();
        assert_eq!(unpack(&packed, samples.len(), &mut back), Ok(()));
        let bits = |samples: &[Sample]| -> Vec<(u64, u64)> {
            let bits = samples.iter().map(|(x, y)| (x.to_bits(), y.to_bits()));
            bits.collect()
        };
        assert_eq!(bits(&back), bits(samples));
        packed.len()
    }

    #[test]
    fn a_regular_series_takes_less_than_four_bytes_a_sample() {
        // A thermometer: regular intervals, a slow wave, two decimal places.
        let even: Vec<Sample> = (0..512)
            .map(|i| {
                (
                    1.7e12 + f64::from(i) * 1000.0,
                    (2150.0 + 300.0 * (f64::from(i) / 40.0).sin()).round() / 100.0,
                )
            })
            .collect();
        assert!(round(&even) < 512 * 2, "{}", round(&even));
        // A clock with a few ms of jitter, and noise in the last decimal place.
        let jitter: Vec<Sample> = (0..512_i32)
            .map(|i| {
                let noise = f64::from((i * 7919) % 13);
                (
                    1.7e12 + f64::from(i) * 1000.0 + noise,
                    (2150.0 + noise * 3.0) / 100.0,
                )
            })
            .collect();
        assert!(round(&jitter) < 512 * 3, "{}", round(&jitter));
        // Times of a clock with microsecond resolution.
        let fine: Vec<Sample> = (0..512_i32)
            .map(|i| (1.7e12 + f64::from(i) * 0.25, f64::from(i % 3)))
            .collect();
        assert!(round(&fine) < 512, "{}", round(&fine));
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let packed = pack(&[(1.0, 2.5), (2.0, 1e300), (3.0, -0.0)]);
        let mut none = Vec::new();
        for end in 0..packed.len() {
            assert_eq!(
                unpack(&packed[..end], 512, &mut none),
                Err(Damaged),
                "{end}"
            );
        }
        assert_eq!(unpack(&packed, 2, &mut none), Err(Damaged));
        assert!(none.is_empty());
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |number| number.is_finite()),
            (-1_000_000_i32..1_000_000, 0_i32..7)
                .prop_map(|(n, places)| f64::from(n) / 10_f64.powi(places)),
            (0_u32..10_000_000).prop_map(|n| 1.7e12 + f64::from(n)),
            Just(-0.0),
            Just(f64::MAX),
            Just(f64::MIN_POSITIVE / 8.0),
        ]
    }

    proptest! {
        #[test]
        fn encoding_is_lossless(samples in prop::collection::vec((number(), number()), 0..200)) {
            round(&samples);
        }

        #[test]
        fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes, 512, &mut Vec::new());
        }
    }
}
