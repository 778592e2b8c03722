//! What the cameras of a hub may cost: the largest picture that is taken, and how many
//! renditions run at a time.
//!
//! A picture of a few hundred bytes can take gigabytes to decode, and a viewer that
//! asks for a rendition starts a child process. Both are decided here, for every source
//! and every rendition.
//!
//! What does not belong here: how a child process is confined, and what one peer may
//! send.

use crate::demand::Derived;
use crate::frame::{Codec, Picture};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pixels across and down of a picture, as its bytes tell them.
pub type Size = (u32, u32);

/// Finds the size in the bytes of a picture. A hub that is given none believes its
/// sources.
pub type Measure = fn(Codec, &[u8]) -> Option<Size>;

/// A coded picture may be larger than the picture shown by a part of a block, which is
/// at most this many pixels wide and high.
const LARGEST_BLOCK: u64 = 64;

/// The largest picture that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Millions of pixels in all.
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
    /// Whether a picture of this size is taken.
    ///
    /// # Errors
    /// It is too large.
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

    /// Pixels in all.
    pub fn pixels(&self) -> u64 {
        u64::from(self.megapixels) * 1_000_000
    }

    /// Pixels in all of a coded picture, which is padded to whole blocks.
    pub fn coded_pixels(&self) -> u64 {
        let sides = u64::from(self.width) + u64::from(self.height);
        self.pixels() + LARGEST_BLOCK * (sides + LARGEST_BLOCK)
    }
}

/// A picture is larger than the hub takes.
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

/// What the cameras of a hub may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLimits {
    /// The largest picture that is taken.
    pub picture: PictureLimits,
    /// How long a decoder may take over one picture.
    pub picture_time: Duration,
    /// JPEG renditions that run at a time.
    pub jpeg_renditions: usize,
    /// MPEG-1 renditions that run at a time.
    pub mpeg1_renditions: usize,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            picture: PictureLimits::default(),
            picture_time: Duration::from_secs(10),
            // 64 cameras, each with a small stream for tiles and a main one.
            jpeg_renditions: 128,
            // An encoder takes up to a fifth of a core and 66 MB, and anybody who may
            // watch can start it: eight leave a machine with two cores and 1 GB usable.
            mpeg1_renditions: 8,
        }
    }
}

/// The limits of a hub, and what of them is in use.
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
    /// Nothing is in use yet.
    pub fn new(limits: MediaLimits, measure: Measure) -> Self {
        Self {
            jpeg: Permits::new(limits.jpeg_renditions, Derived::Jpeg),
            mpeg1: Permits::new(limits.mpeg1_renditions, Derived::Mpeg1),
            oversized: AtomicU64::new(0),
            limits,
            measure,
        }
    }

    /// The limits.
    pub fn limits(&self) -> &MediaLimits {
        &self.limits
    }

    /// The JPEG renditions.
    pub fn jpeg_renditions(&self) -> &Permits {
        &self.jpeg
    }

    /// The MPEG-1 renditions.
    pub fn mpeg1_renditions(&self) -> &Permits {
        &self.mpeg1
    }

    pub(crate) fn permits(&self, derived: Derived) -> &Permits {
        match derived {
            Derived::Jpeg => &self.jpeg,
            Derived::Mpeg1 => &self.mpeg1,
        }
    }

    /// Pictures that were refused for their size.
    pub fn oversized(&self) -> u64 {
        self.oversized.load(Relaxed)
    }

    /// Whether a picture of this size is taken; one that is not is counted.
    ///
    /// # Errors
    /// It is too large.
    pub fn check(&self, size: Size) -> Result<(), TooLarge> {
        self.limits.picture.check(size).inspect_err(|_| {
            self.oversized.fetch_add(1, Relaxed);
        })
    }

    /// Whether a picture is taken. Its size is what its bytes say: a stream can change
    /// its size without its source noticing.
    pub(crate) fn admit(&self, picture: &mut Picture) -> Result<(), TooLarge> {
        let told = picture
            .size
            .map(|(width, height)| (width.into(), height.into()));
        let measured = match picture.codec {
            // Their sources read the size of each picture from its bytes.
            Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p if told.is_some() => None,
            codec => (self.measure)(codec, picture.buffer.payload()),
        };
        for size in [told, measured].into_iter().flatten() {
            self.check(size)?;
        }
        if let Some((width, height)) = measured.filter(|_| told.is_none()) {
            picture.size = width.try_into().ok().zip(height.try_into().ok());
        }
        Ok(())
    }
}

/// How many renditions of one kind run, and how many may.
#[derive(Debug)]
pub struct Permits {
    free: Arc<Semaphore>,
    most: usize,
    derived: Derived,
    refused: AtomicU64,
}

impl Permits {
    fn new(most: usize, derived: Derived) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most,
            derived,
            refused: AtomicU64::new(0),
        }
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    /// How many may run at a time.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How often one was asked for while as many ran as may.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Why no more can run now.
    pub(crate) fn refuse(&self) -> String {
        self.refused.fetch_add(1, Relaxed);
        let (most, name) = (self.most, self.derived.name());
        let key = match self.derived {
            Derived::Jpeg => "jpeg_renditions",
            Derived::Mpeg1 => "mpeg1_renditions",
        };
        format!(
            "as many {name} renditions run as may, {most} ({key} in [limits]); one must end first"
        )
    }

    /// Leave for one to run, if there is any.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Leave for one to run, as soon as there is any. Who waited longest gets it.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }
}

/// Held by a rendition that runs; says so while it does.
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
    fn the_largest_picture_is_taken_and_no_larger() {
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
        // What is coded in blocks of 64 is decoded all the same.
        assert!(limits.coded_pixels() >= 8192 * 4928);
    }

    #[test]
    fn a_stream_is_measured_whatever_its_source_says() {
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
    async fn a_permit_that_is_given_back_goes_to_who_waits() {
        let limits = MediaLimits {
            mpeg1_renditions: 1,
            ..MediaLimits::default()
        };
        let capacity = Capacity::new(limits, |_, _| None);
        let permits = capacity.mpeg1_renditions();
        let running = Arc::<AtomicBool>::default();
        let first = Permit::new(permits.try_acquire().expect("one"), running.clone());
        assert!(running.load(Relaxed) && permits.is_exhausted());
        assert_eq!((permits.running(), permits.most()), (1, 1));
        assert!(permits.try_acquire().is_none());
        assert_eq!(capacity.jpeg_renditions().running(), 0);
        let (second, ()) = tokio::join!(permits.acquire(), async { drop(first) });
        assert!(second.is_some() && !running.load(Relaxed));
        assert_eq!(permits.running(), 1);
        drop(second);
        assert_eq!((permits.running(), permits.refused()), (0, 0));
    }
}
