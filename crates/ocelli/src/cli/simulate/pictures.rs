//! The pictures of simulated devices: a moving bar on a noisy background, drawn once and
//! shared by all devices.

use bytes::Bytes;
use clap::ValueEnum;
use jpeg_encoder::{ColorType, Encoder};

/// The size of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// 320 × 240, about 6 kB.
    Qvga,
    /// 640 × 480, about 25 kB.
    Vga,
}

/// The number of pictures in the loop.
const COUNT: usize = 16;
/// With this background, the quality that makes pictures as large as those of boards.
const QUALITY: u8 = 62;

/// Draws the pictures.
pub fn draw(size: Size) -> Vec<Bytes> {
    let (width, height) = match size {
        Size::Qvga => (320, 240),
        Size::Vga => (640, 480),
    };
    (0..COUNT).map(|at| picture(width, height, at)).collect()
}

fn picture(width: u16, height: u16, at: usize) -> Bytes {
    let (across, down) = (usize::from(width), usize::from(height));
    let bar = across * at / COUNT;
    let mut noise = 0x9E37_79B9u32;
    let mut pixels = Vec::with_capacity(across * down);
    for y in 0..down {
        for x in 0..across {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let ground = 64 + (x * 96 / across) + (y * 48 / down) + (noise % 21) as usize;
            let in_bar = (bar..bar + across / COUNT).contains(&x);
            pixels.push(if in_bar { 250 } else { ground as u8 });
        }
    }
    let mut jpeg = Vec::new();
    // Can't fail: the size is within the limits of the format.
    let drawn = Encoder::new(&mut jpeg, QUALITY).encode(&pixels, width, height, ColorType::Luma);
    drawn.map_or_else(|_| Bytes::new(), |()| jpeg.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_as_large_as_those_of_boards() {
        for (size, expected) in [(Size::Qvga, 6_000..13_000), (Size::Vga, 20_000..45_000)] {
            for jpeg in draw(size) {
                assert!(ocelli_media::jpeg::picture(&jpeg).is_ok());
                assert!(expected.contains(&jpeg.len()), "{size:?}: {}", jpeg.len());
            }
        }
    }
}
