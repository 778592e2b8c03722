//! Test picture with a running clock, drawn and encoded in this process. It needs no camera,
//! and its picture shows its own age.
//!
//! The bottom twelfth of the picture is a strip of 32 blocks of equal width. They encode the
//! capture time in milliseconds since the Unix epoch modulo 2³²: most significant bit on the left,
//! white for 1, black for 0. Programs can read the time back from the pixels.

use super::{Address, Kind};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use ocelli_config::{ConfigError, Section, parse_size};
use ocelli_core::{
    Failure, FailureKind, FrameBuffer, Picture, Publisher, RunOnce, Source, Timestamp,
};
use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

/// The kind `pattern`.
pub const KIND: Kind = Kind {
    name: "pattern",
    schemes: &["pattern"],
    about: "A test picture with a running clock, made by the hub itself.",
    example: "pattern:?size=640x360&fps=10",
    options: &[
        ("size", "width and height in pixels, \"640x360\" by default"),
        ("fps", "pictures a second, 0.1 to 60, 10 by default"),
    ],
    open,
};

/// Number of blocks in the strip that encodes the time.
const STRIP_BITS: usize = 32;
const QUALITY: u8 = 75;

struct Pattern {
    width: u16,
    height: u16,
    fps: f64,
    /// Colour that distinguishes this pattern camera from others.
    hue: u8,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let size_span = options.span("size");
    let mut size = options.string("size")?;
    let mut fps = options.number("fps", 0.1..=60.0)?;
    let query = address.rest().trim_start_matches('?');
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "size" => size = Some(value.into_owned()),
            "fps" => fps = Some(parse_fps(&value)?),
            // Any other parameter only changes the picture's colour.
            _ => {}
        }
    }
    let (width, height) = match &size {
        None => (640, 360),
        Some(text) => parse_size(text).ok_or_else(|| {
            let message = format!(
                "{text:?} is not a size; write width x height, like \"640x360\", each from 16 to \
                8192"
            );
            ConfigError::new(message).at(size_span)
        })?,
    };
    let hue = address.rest().bytes().fold(17, |hash: u8, byte| {
        hash.wrapping_mul(31).wrapping_add(byte)
    });
    Ok(Arc::new(Pattern {
        width,
        height,
        fps: fps.unwrap_or(10.0),
        hue,
    }))
}

fn parse_fps(text: &str) -> Result<f64, ConfigError> {
    let fps = text.parse().ok().filter(|fps| (0.1..=60.0).contains(fps));
    fps.ok_or_else(|| ConfigError::new(format!("fps={text}: fps is a number from 0.1 to 60")))
}

/// Limit on the pictures that this process encodes at the same time, for all pattern cameras
/// together. One processor is left free, so that demo cameras do not delay real ones.
static ENCODERS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    Semaphore::new(processors.saturating_sub(1).max(1))
});

impl Source for Pattern {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let mut ticks = interval(Duration::from_secs_f64(1.0 / self.fps));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let turn = ENCODERS.acquire().await;
                let captured = publisher.now();
                let pattern = self.clone();
                // Encoding takes milliseconds, so it must not run on the frame path's thread.
                let encoded = tokio::task::spawn_blocking(move || pattern.encode(captured)).await;
                drop(turn);
                let jpeg = encoded.ok().flatten().ok_or_else(|| {
                    Failure::new(
                        FailureKind::Unsupported,
                        "pictures of this size can't be encoded",
                    )
                })?;
                let size = Some((self.width, self.height));
                let mut picture = Picture::jpeg(FrameBuffer::copy_from(&jpeg), size);
                picture.captured = captured;
                publisher.publish(picture);
            }
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10).max(Duration::from_secs_f64(2.0 / self.fps))
    }
}

impl Pattern {
    fn encode(&self, captured: Timestamp) -> Option<Vec<u8>> {
        let pixels = self.draw(captured.0 / 1000);
        let mut jpeg = Vec::with_capacity(pixels.len() / 10);
        let mut encoder = Encoder::new(&mut jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder
            .encode(&pixels, self.width, self.height, ColorType::Rgb)
            .ok()?;
        Some(jpeg)
    }

    fn draw(&self, millis: u64) -> Vec<u8> {
        let mut canvas = Canvas::new(usize::from(self.width), usize::from(self.height));
        let (width, height) = (canvas.width, canvas.height);
        let strip = (height / 12).max(1);
        let above = height - strip;
        for band in 0..8 {
            let colour = hue_colour(self.hue.wrapping_add(band * 9), 70 + 8 * band);
            let (left, right) = (
                usize::from(band) * width / 8,
                (usize::from(band) + 1) * width / 8,
            );
            canvas.fill(left, 0, right, above, colour);
        }
        // A bar that crosses the picture in two seconds, to make motion visible.
        let bar = (millis % 2000) as usize * width / 2000;
        canvas.fill(bar, 0, bar + (width / 80).max(2), above, [235, 235, 235]);

        let seconds = millis / 1000;
        let clock = format!(
            "{:02}:{:02}:{:02}.{:03}",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            millis % 1000
        );
        let scale = (width / (clock.len() * 5)).max(1);
        let text_width = clock.len() * 4 * scale;
        let (x, y) = (width.saturating_sub(text_width) / 2, above * 2 / 3);
        canvas.fill(
            x.saturating_sub(2 * scale),
            y.saturating_sub(2 * scale),
            x + text_width + scale,
            (y + 7 * scale).min(above),
            [16, 18, 22],
        );
        canvas.text(x, y, scale, &clock, [245, 245, 245]);

        for bit in 0..STRIP_BITS {
            let one = (millis as u32) >> (STRIP_BITS - 1 - bit) & 1 == 1;
            let colour = if one { [255; 3] } else { [0; 3] };
            let (left, right) = (bit * width / STRIP_BITS, (bit + 1) * width / STRIP_BITS);
            canvas.fill(left, above, right, height, colour);
        }
        canvas.pixels
    }
}

/// Returns a colour of the colour wheel (hue 0–255) at a brightness.
fn hue_colour(hue: u8, brightness: u8) -> [u8; 3] {
    let position = u16::from(hue) * 6;
    let rising = (position % 256) as u8;
    let (top, low) = (255, 90);
    let up = low + (u16::from(rising) * u16::from(top - low) / 255) as u8;
    let down = top - (up - low);
    let [r, g, b] = match position / 256 {
        0 => [top, up, low],
        1 => [down, top, low],
        2 => [low, top, up],
        3 => [low, down, top],
        4 => [up, low, top],
        _ => [top, low, down],
    };
    [r, g, b].map(|channel| (u16::from(channel) * u16::from(brightness) / 255) as u8)
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let pixels = vec![0; width * height * 3];
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Fills a rectangle, clipped at the picture's edges.
    fn fill(&mut self, left: usize, top: usize, right: usize, bottom: usize, colour: [u8; 3]) {
        let (right, bottom) = (right.min(self.width), bottom.min(self.height));
        if left >= right || top >= bottom {
            return;
        }
        let line = colour.repeat(right - left);
        for y in top..bottom {
            let start = (y * self.width + left) * 3;
            self.pixels[start..start + line.len()].copy_from_slice(&line);
        }
    }

    fn text(&mut self, left: usize, top: usize, scale: usize, text: &str, colour: [u8; 3]) {
        for (index, character) in text.chars().enumerate() {
            let glyph = glyph(character);
            for (row, bits) in glyph.iter().enumerate() {
                for column in 0..3 {
                    if bits >> (2 - column) & 1 == 1 {
                        let x = left + (index * 4 + column) * scale;
                        let y = top + row * scale;
                        self.fill(x, y, x + scale, y + scale, colour);
                    }
                }
            }
        }
    }
}

/// Returns the bitmap of a clock's character: three columns by five rows.
fn glyph(character: char) -> [u8; 5] {
    match character {
        '0' => [7, 5, 5, 5, 7],
        '1' => [2, 6, 2, 2, 7],
        '2' => [7, 1, 7, 4, 7],
        '3' => [7, 1, 7, 1, 7],
        '4' => [5, 5, 7, 1, 1],
        '5' => [7, 4, 7, 1, 7],
        '6' => [7, 4, 7, 5, 7],
        '7' => [7, 1, 1, 2, 2],
        '8' => [7, 5, 7, 5, 7],
        '9' => [7, 5, 7, 1, 7],
        ':' => [0, 2, 0, 2, 0],
        '.' => [0, 0, 0, 0, 2],
        _ => [0; 5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_can_be_read_from_the_strip() {
        let pattern = Pattern {
            width: 320,
            height: 240,
            fps: 8.0,
            hue: 3,
        };
        let millis = 1_700_000_123_456;
        let pixels = pattern.draw(millis);
        let y = 240 - 10;
        let read = (0..STRIP_BITS).fold(0u32, |bits, block| {
            let x = block * 10 + 5;
            bits << 1 | u32::from(pixels[(y * 320 + x) * 3] > 128)
        });
        assert_eq!(read, millis as u32);
    }

    #[test]
    fn every_size_the_configuration_accepts_can_be_drawn_and_encoded() {
        for (width, height) in [(16, 16), (17, 19), (640, 360), (1920, 1080)] {
            let pattern = Pattern {
                width,
                height,
                fps: 1.0,
                hue: 0,
            };
            let jpeg = pattern.encode(Timestamp(1)).expect("a picture");
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        }
    }
}
