//! A substitute for the Raspberry Pi's camera program that runs on any machine.

/// The script's path. It writes raw YUV frames with a clock in the picture.
pub const FAKE_PI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fake_pi.py");

/// Decodes the clock of one of the script's pictures (ms since the epoch modulo 2^32) from its
/// luma plane, one byte per pixel.
pub fn clock_of(luma: &[u8], width: usize) -> u32 {
    let height = luma.len() / width;
    let row = &luma[(height - height / 24 - 1) * width..][..width];
    (0..32).fold(0, |value, block| {
        let x = (2 * block + 1) * width / 64;
        value << 1 | u32::from(row[x] > 128)
    })
}
