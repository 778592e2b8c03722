//! The Raspberry Pi's camera program, as a program that needs no Raspberry Pi.

/// The script: raw YUV frames with a clock in them.
pub const FAKE_PI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fake_pi.py");

/// The time in a picture of the script (ms since the epoch modulo 2^32), from its
/// lightness, a byte for each pixel.
pub fn clock_of(luma: &[u8], width: usize) -> u32 {
    let height = luma.len() / width;
    let row = &luma[(height - height / 24 - 1) * width..][..width];
    (0..32).fold(0, |value, block| {
        let x = (2 * block + 1) * width / 64;
        value << 1 | u32::from(row[x] > 128)
    })
}
