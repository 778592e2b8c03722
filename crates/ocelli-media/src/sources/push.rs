//! Source for cameras that push: a device connects and sends pictures. This module makes sure
//! that each camera has one connection at a time. The transport is in `ingest`.

use ocelli_core::{Picture, Publisher, RunOnce, Source, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of this kind in listings.
pub const KIND: &str = "push";

/// Source of one camera that pushes. At most one holder sends its pictures.
pub struct Push<T> {
    current: Mutex<Current<T>>,
}

struct Current<T> {
    /// Destination of the pictures; `None` until the upstream has started.
    publisher: Option<Publisher>,
    holder: Option<Arc<T>>,
}

impl<T> Default for Push<T> {
    fn default() -> Self {
        Self {
            current: Mutex::new(Current {
                publisher: None,
                holder: None,
            }),
        }
    }
}

impl<T> Push<T> {
    fn lock(&self) -> MutexGuard<'_, Current<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection that sends the camera's pictures now.
    pub fn holder(&self) -> Option<Arc<T>> {
        self.lock().holder.clone()
    }

    /// Makes `new_holder` the holder and returns the previous holder, which can no longer publish.
    /// Viewers do not notice the change.
    pub fn connect(&self, new_holder: Arc<T>) -> Option<Arc<T>> {
        let mut current = self.lock();
        let before = current.holder.replace(new_holder);
        if before.is_none()
            && let Some(publisher) = &current.publisher
        {
            publisher.interrupt();
            publisher.set_state(State::Starting);
        }
        before
    }

    /// Releases the camera. A `fault`, if given, is recorded as the camera's last failure. Returns
    /// false, and changes nothing, if `holder` no longer holds the camera. The last picture stays.
    pub fn disconnect(&self, holder: &Arc<T>, fault: Option<&str>) -> bool {
        let mut current = self.lock();
        if !current.holds(holder) {
            return false;
        }
        current.holder = None;
        if let Some(publisher) = &current.publisher {
            publisher.interrupt();
            if let Some(fault) = fault {
                publisher.note_failure(fault);
            }
            publisher.set_state(State::Idle);
        }
        true
    }

    /// Publishes a picture from `holder`. Returns false, and publishes nothing, if `holder` no
    /// longer holds the camera.
    pub fn publish(&self, holder: &Arc<T>, picture: Picture) -> bool {
        let current = self.lock();
        if !current.holds(holder) {
            return false;
        }
        if let Some(publisher) = &current.publisher {
            publisher.publish(picture);
        }
        true
    }

    /// Marks the camera as stalled if `holder`, which has sent no picture for `quiet`, has been
    /// sending them at shorter intervals.
    pub fn note_silence(&self, holder: &Arc<T>, quiet: Duration) {
        let current = self.lock();
        if current.holds(holder)
            && let Some(publisher) = &current.publisher
            && let timeout = publisher.stall_timeout()
            && quiet >= timeout
        {
            let reason = format!("no picture for {} s", timeout.as_secs());
            publisher.set_state(State::Stalled(reason));
        }
    }
}

impl<T> Current<T> {
    fn holds(&self, holder: &Arc<T>) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, holder))
    }
}

impl<T: Send + Sync + 'static> Source for Push<T> {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        let mut current = self.lock();
        if current.holder.is_some() {
            publisher.set_state(State::Starting);
        }
        current.publisher = Some(publisher);
        drop(current);
        Box::pin(std::future::pending())
    }

    fn is_ingest(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_core::{Camera, FrameBuffer, Hub, Quality, Renditions};

    const SILENCE: Duration = Duration::from_secs(3);

    #[tokio::test]
    async fn only_the_holder_can_publish() {
        let hub = Hub::default();
        let id = hub.resolve("live", "cam").expect("a name");
        let place = Arc::<Push<u8>>::default();
        let upstream = hub.upstream(&id, place.clone(), Renditions::default());
        let camera = Camera::new(id, String::new(), KIND, upstream, None, true);
        let camera = hub.add(camera).expect("a free room");
        let mut follower = camera.follow(Quality::Main);
        let jpeg = |byte| Picture::jpeg(FrameBuffer::copy_from(&[byte]), None);
        // The upstream starts when this task yields.
        while place.lock().publisher.is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(camera.status().state, State::Idle);
        let (old, new) = (Arc::new(1), Arc::new(2));
        assert!(place.connect(old.clone()).is_none());
        assert_eq!(camera.status().state, State::Starting);
        assert!(place.publish(&old, jpeg(1)));
        assert_eq!(camera.status().state, State::Live);
        assert_eq!(place.connect(new.clone()), Some(old.clone()));
        assert_eq!(camera.status().state, State::Live, "viewers do not notice");
        // The old holder can no longer publish, stall the camera or end the new hold.
        assert!(!place.publish(&old, jpeg(9)));
        place.note_silence(&old, SILENCE);
        assert!(!place.disconnect(&old, Some("late")));
        assert_eq!(follower.next().await.payload()[0], 1);
        assert!(follower.try_next().is_none());
        assert_eq!(camera.status().state, State::Live);
        assert!(place.publish(&new, jpeg(2)));
        assert_eq!(follower.next().await.payload()[0], 2);
        place.note_silence(&new, SILENCE / 2);
        assert_eq!(camera.status().state, State::Live);
        place.note_silence(&new, SILENCE);
        let state = camera.status().state;
        assert_eq!(state, State::Stalled("no picture for 3 s".to_owned()));
        assert!(place.publish(&new, jpeg(2)));
        assert_eq!(camera.status().last_failure, None);
        assert!(place.disconnect(&new, Some("it broke the protocol")));
        let status = camera.status();
        assert_eq!(status.state, State::Idle);
        let failure = status.last_failure.map(|last| last.reason);
        assert_eq!(failure.as_deref(), Some("it broke the protocol"));
        let last = camera.follow(Quality::Main).next().await;
        assert_eq!(last.payload()[0], 2, "the last picture stays");
    }
}
