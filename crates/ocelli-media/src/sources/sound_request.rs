//! Whether a camera is asked for its sound. Some cameras fail when they are: these are played
//! without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A camera that sends sound but no picture for this long may be unable to send both.
const NO_PICTURE: Duration = Duration::from_secs(8);

/// The states: it is not asked; it is; it failed when it was, and is not asked until it is known
/// whether it plays without.
const OFF: u8 = 0;
const ON: u8 = 1;
const SUSPECTED: u8 = 2;

/// Whether a camera is asked for its sound. All clones are the same request.
#[derive(Clone, Debug, Default)]
pub struct SoundRequest(Arc<AtomicU8>);

impl SoundRequest {
    /// Creates a request that is on or off.
    pub fn new(on: bool) -> Self {
        Self(Arc::new(AtomicU8::new(if on { ON } else { OFF })))
    }

    /// Whether the camera is asked.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ON
    }

    /// Notes that the camera failed with sound. The next session is without.
    pub fn suspect(&self) {
        self.replace(ON, SUSPECTED);
    }

    fn replace(&self, from: u8, to: u8) {
        let _ = self
            .0
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Observes a session until the result is dropped.
    pub fn observe(&self, has_sound: bool) -> Trial<'_> {
        Trial {
            request: self,
            has_sound,
            began: Instant::now(),
            had_picture: false,
            has_failed: false,
        }
    }
}

/// Observation of one session: whether pictures arrive, with sound or without.
pub struct Trial<'a> {
    request: &'a SoundRequest,
    has_sound: bool,
    began: Instant,
    had_picture: bool,
    has_failed: bool,
}

impl Trial<'_> {
    /// Notes a picture.
    pub fn note_picture(&mut self) {
        if std::mem::replace(&mut self.had_picture, true) {
            return;
        }
        if !self.has_sound {
            // It plays without sound, so sound was the reason.
            self.request.replace(SUSPECTED, OFF);
        }
    }

    /// Notes that the session failed.
    pub fn note_failure(&mut self) {
        self.has_failed = true;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.had_picture {
            return;
        }
        if !self.has_sound {
            // It fails without sound too.
            self.request.replace(SUSPECTED, ON);
        } else if self.has_failed || self.began.elapsed() >= NO_PICTURE {
            self.request.suspect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_fails_only_with_sound_is_not_asked_again() {
        let request = SoundRequest::new(true);
        let mut trial = request.observe(true);
        trial.note_failure();
        drop(trial);
        assert!(!request.is_on(), "the next session is without sound");
        request.observe(false).note_picture();
        drop(request.observe(false));
        assert!(!request.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_fails_without_sound_too_is_asked_again() {
        let request = SoundRequest::new(true);
        drop(request.observe(true));
        assert!(request.is_on(), "a viewer that left at once");
        let trial = request.observe(true);
        advance(NO_PICTURE).await;
        drop(trial);
        assert!(!request.is_on());
        drop(request.observe(false));
        assert!(request.is_on());
        let mut trial = request.observe(true);
        trial.note_picture();
        trial.note_failure();
        drop(trial);
        assert!(request.is_on());
        assert!(!SoundRequest::default().is_on());
    }
}
