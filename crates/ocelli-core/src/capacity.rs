//! Limits on media processing: the largest picture, and the number of concurrent
//! renditions.
//!
//! A picture of a few hundred bytes can take gigabytes to decode, and a viewer that
//! requests a rendition starts a child process. Both are limited here, for every source and
//! every rendition.
//!
//! The confinement of child processes and the limits of what one peer may send are
//! elsewhere.

use crate::demand::Derived;
use crate::frame::{Codec, Picture};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Width and height of a picture, as encoded in its bytes.
pub type Size = (u32, u32);

/// Reads the size of a picture from its bytes. Without it, the hub relies on the size that
/// sources report.
pub type Measure = fn(Codec, &[u8]) -> Option<Size>;

/// A coded picture can be larger than the displayed picture by part of a block, which has
/// at most this width and height in pixels.
const LARGEST_BLOCK: u64 = 64;

/// The largest accepted picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Total size in megapixels.
    pub megapixels: u32,
}

impl Default for PictureLimits {
    fn default() -> Self {
        Self {
            width: 8192,
            height: 8192,
            megapixels: 40,
        }
    }
}

impl PictureLimits {
    /// Checks that a picture of this size is accepted.
    ///
    /// # Errors
    /// Returns an error if it is too large.
    pub fn check(&self, size: Size) -> Result<(), TooLarge> {
        let (width, height) = size;
        let pixels = u64::from(width) * u64::from(height);
        let within = width <= self.width && height <= self.height && pixels <= self.pixels();
        match within {
            true => Ok(()),
            false => Err(TooLarge {
                size,
                limits: *self,
            }),
        }
    }

    /// Returns the largest number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.megapixels) * 1_000_000
    }

    /// Returns the largest number of pixels of a coded picture, which is padded to whole
    /// blocks.
    pub fn coded_pixels(&self) -> u64 {
        let sides = u64::from(self.width) + u64::from(self.height);
        self.pixels() + LARGEST_BLOCK * (sides + LARGEST_BLOCK)
    }
}

/// A picture exceeds the hub's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The picture's size.
    pub size: Size,
    limits: PictureLimits,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        let limits = &self.limits;
        write!(f, "its picture is {width}x{height}, and ")?;
        if width > limits.width || height > limits.height {
            let (width, height) = (limits.width, limits.height);
            write!(f, "the limit is {width}x{height}: picture_size in [limits]")
        } else {
            let megapixels = limits.megapixels;
            write!(
                f,
                "the limit is {megapixels} megapixels: picture_megapixels in [limits]"
            )
        }
    }
}

impl std::error::Error for TooLarge {}

/// Limits on media processing in a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLimits {
    /// The largest accepted picture.
    pub picture: PictureLimits,
    /// Maximum time to decode one picture.
    pub picture_time: Duration,
    /// Maximum number of concurrent JPEG renditions.
    pub jpeg_renditions: usize,
    /// Maximum number of concurrent MPEG-1 renditions.
    pub mpeg1_renditions: usize,
    /// Memory in bytes for the cached groups of all cameras.
    pub group_memory: usize,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            picture: PictureLimits::default(),
            picture_time: Duration::from_secs(10),
            // 64 cameras, each with a substream for tiles and a main stream.
            jpeg_renditions: 128,
            // An encoder uses up to a fifth of a core and 66 MB, and every client that may
            // watch can start it: eight leave a machine with two cores and 1 GB usable.
            mpeg1_renditions: 8,
            // 64 cameras with 4 Mbit/s and a key frame every 8 s.
            group_memory: 256 << 20,
        }
    }
}

/// The limits of a hub, and their current use.
#[derive(Debug)]
pub struct Capacity {
    limits: MediaLimits,
    measure: Measure,
    jpeg: Permits,
    mpeg1: Permits,
    oversized: AtomicU64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self::new(MediaLimits::default(), |_, _| None)
    }
}

impl Capacity {
    /// Creates a capacity with nothing in use.
    pub fn new(limits: MediaLimits, measure: Measure) -> Self {
        Self {
            jpeg: Permits::new(limits.jpeg_renditions, Derived::Jpeg),
            mpeg1: Permits::new(limits.mpeg1_renditions, Derived::Mpeg1),
            oversized: AtomicU64::new(0),
            limits,
            measure,
        }
    }

    /// Returns the limits.
    pub fn limits(&self) -> &MediaLimits {
        &self.limits
    }

    /// Returns the permits for JPEG renditions.
    pub fn jpeg_renditions(&self) -> &Permits {
        &self.jpeg
    }

    /// Returns the permits for MPEG-1 renditions.
    pub fn mpeg1_renditions(&self) -> &Permits {
        &self.mpeg1
    }

    pub(crate) fn permits(&self, derived: Derived) -> &Permits {
        match derived {
            Derived::Jpeg => &self.jpeg,
            Derived::Mpeg1 => &self.mpeg1,
        }
    }

    /// Returns the number of pictures rejected for their size.
    pub fn oversized(&self) -> u64 {
        self.oversized.load(Relaxed)
    }

    /// Checks that a picture of this size is accepted. A rejected picture is counted.
    ///
    /// # Errors
    /// Returns an error if it is too large.
    pub fn check(&self, size: Size) -> Result<(), TooLarge> {
        self.limits.picture.check(size).inspect_err(|_| {
            self.oversized.fetch_add(1, Relaxed);
        })
    }

    /// Checks that a picture is accepted. Its size is read from its bytes: a stream can
    /// change its size without its source noticing.
    pub(crate) fn admit(&self, picture: &mut Picture) -> Result<(), TooLarge> {
        let reported = picture
            .size
            .map(|(width, height)| (width.into(), height.into()));
        let measured = match picture.codec {
            // The reported size is exact: sources read it from the bytes, or split raw
            // pictures by it.
            Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p if reported.is_some() => None,
            codec => (self.measure)(codec, picture.buffer.payload()),
        };
        for size in [reported, measured].into_iter().flatten() {
            self.check(size)?;
        }
        if let Some((width, height)) = measured.filter(|_| reported.is_none()) {
            picture.size = width.try_into().ok().zip(height.try_into().ok());
        }
        Ok(())
    }
}

/// Limits the number of concurrent renditions of one kind.
#[derive(Debug)]
pub struct Permits {
    free: Arc<Semaphore>,
    max: usize,
    derived: Derived,
    refused: AtomicU64,
}

impl Permits {
    fn new(max: usize, derived: Derived) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            max,
            derived,
            refused: AtomicU64::new(0),
        }
    }

    /// Returns the number of running renditions.
    pub fn running(&self) -> usize {
        self.max.saturating_sub(self.free.available_permits())
    }

    /// Returns the maximum number of concurrent renditions.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Returns how often a rendition was requested while the limit was reached.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Counts a refusal. Returns its reason.
    pub(crate) fn refuse(&self) -> String {
        self.refused.fetch_add(1, Relaxed);
        let (max, name) = (self.max, self.derived.name());
        let key = match self.derived {
            Derived::Jpeg => "jpeg_renditions",
            Derived::Mpeg1 => "mpeg1_renditions",
        };
        format!(
            "the limit of {max} {name} renditions is reached ({key} in [limits]); one must end first"
        )
    }

    /// Returns a permit for a rendition, if one is available.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Waits for a permit. Waiting renditions are served in order.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }
}

/// Permit of a running rendition; sets `running` until it is dropped.
pub(crate) struct Permit {
    _held: OwnedSemaphorePermit,
    running: Arc<AtomicBool>,
}

impl Permit {
    pub(crate) fn new(held: OwnedSemaphorePermit, running: Arc<AtomicBool>) -> Self {
        running.store(true, Relaxed);
        Self {
            _held: held,
            running,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameBuffer;

    #[test]
    fn a_picture_at_the_limit_is_accepted_and_a_larger_one_is_not() {
        let limits = PictureLimits::default();
        for size in [(8192, 4882), (4882, 8192), (8192, 1), (6324, 6324), (1, 1)] {
            assert_eq!(limits.check(size), Ok(()), "{size:?}");
        }
        for (size, reason) in [
            (
                (16_000, 16_000),
                "its picture is 16000x16000, and the limit is 8192x8192: picture_size in [limits]",
            ),
            (
                (1, 8193),
                "its picture is 1x8193, and the limit is 8192x8192: picture_size in [limits]",
            ),
            (
                (8192, 8192),
                "its picture is 8192x8192, and the limit is 40 megapixels: picture_megapixels in [limits]",
            ),
            (
                (u32::MAX, u32::MAX),
                "its picture is 4294967295x4294967295, and the limit is 8192x8192: picture_size in [limits]",
            ),
        ] {
            let refused = limits.check(size).expect_err("refused");
            assert_eq!(refused.to_string(), reason);
        }
        // A picture coded in blocks of 64 is still decoded.
        assert!(limits.coded_pixels() >= 8192 * 4928);
    }

    #[test]
    fn a_stream_is_measured_whatever_its_source_reports() {
        let capacity = Capacity::new(MediaLimits::default(), |_, bytes| {
            Some((u32::from(bytes[0]) * 100, 100))
        });
        let admit = |codec, byte, size| {
            let mut picture = Picture::jpeg(FrameBuffer::copy_from(&[byte]), size);
            picture.codec = codec;
            capacity.admit(&mut picture).map(|()| picture.size)
        };
        assert_eq!(admit(Codec::H264, 80, None), Ok(Some((8000, 100))));
        assert_eq!(
            admit(Codec::H264, 80, Some((7990, 90))),
            Ok(Some((7990, 90)))
        );
        assert!(admit(Codec::H264, 90, Some((640, 480))).is_err());
        assert!(admit(Codec::H265, 90, None).is_err());
        assert!(admit(Codec::Jpeg, 1, Some((16_000, 16_000))).is_err());
        assert!(admit(Codec::Jpeg, 90, None).is_err());
        assert_eq!(
            admit(Codec::Jpeg, 90, Some((640, 480))),
            Ok(Some((640, 480)))
        );
        assert_eq!(capacity.oversized(), 4);
    }

    #[tokio::test]
    async fn a_released_permit_goes_to_the_waiting_rendition() {
        let limits = MediaLimits {
            mpeg1_renditions: 1,
            ..MediaLimits::default()
        };
        let capacity = Capacity::new(limits, |_, _| None);
        let permits = capacity.mpeg1_renditions();
        let running = Arc::<AtomicBool>::default();
        let first = Permit::new(permits.try_acquire().expect("one"), running.clone());
        assert!(running.load(Relaxed) && permits.is_exhausted());
        assert_eq!((permits.running(), permits.max()), (1, 1));
        assert!(permits.try_acquire().is_none());
        assert_eq!(capacity.jpeg_renditions().running(), 0);
        let (second, ()) = tokio::join!(permits.acquire(), async { drop(first) });
        assert!(second.is_some() && !running.load(Relaxed));
        assert_eq!(permits.running(), 1);
        drop(second);
        assert_eq!((permits.running(), permits.refused()), (0, 0));
    }
}
