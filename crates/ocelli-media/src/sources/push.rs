//! Cameras that push: the outside connects and sends, the hub accepts. What it
//! sends over is no business of this file (`ingest`); who sits at the camera's
//! place, so that there is one at a time, is.

use ocelli_core::{Picture, Publisher, RunOnce, Source, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of this kind in listings.
pub const KIND: &str = "push";

/// The source of one camera that pushes: a seat for whoever sends its pictures.
pub struct Push<T> {
    current: Mutex<Current<T>>,
}

struct Current<T> {
    /// Where pictures go; none until the upstream has begun.
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

    /// Who sends its pictures now.
    pub fn holder(&self) -> Option<Arc<T>> {
        self.lock().holder.clone()
    }

    /// Seats a newcomer; whoever sat there before publishes nothing more. Viewers
    /// notice nothing of such a change.
    pub fn connect(&self, newcomer: Arc<T>) -> Option<Arc<T>> {
        let mut current = self.lock();
        let before = current.holder.replace(newcomer);
        if before.is_none()
            && let Some(publisher) = &current.publisher
        {
            publisher.interrupt();
            publisher.set_state(State::Starting);
        }
        before
    }

    /// Leaves the seat, because of a fault if one is given; whether it was still
    /// `holder`'s. The last picture stays.
    pub fn leave(&self, holder: &Arc<T>, fault: Option<&str>) -> bool {
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

    /// Shows a picture of `holder`'s; false, and nothing is shown, if the seat is
    /// another's by now.
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

    /// Says that `holder` is there but sends no pictures, for so long now.
    pub fn stall(&self, holder: &Arc<T>, quiet: Duration) {
        let current = self.lock();
        if current.holds(holder)
            && let Some(publisher) = &current.publisher
        {
            let reason = format!("no picture for {} s", quiet.as_secs());
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

    const STALL: Duration = Duration::from_secs(3);

    #[tokio::test]
    async fn only_who_sits_there_is_seen() {
        let hub = Hub::default();
        let id = hub.resolve("live", "cam").expect("a name");
        let place = Arc::<Push<u8>>::default();
        let upstream = hub.upstream(&id, place.clone(), Renditions::default());
        let camera = Camera::new(id, String::new(), KIND, upstream, None, true);
        let camera = hub.add(camera).expect("a free room");
        let mut follower = camera.follow(Quality::Main);
        let jpeg = |byte| Picture::jpeg(FrameBuffer::copy_from(&[byte]), None);
        // The upstream begins when this task lets it.
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
        assert_eq!(camera.status().state, State::Live, "nobody notices");
        // Late: neither seen, nor does it stall or end the other's.
        assert!(!place.publish(&old, jpeg(9)));
        place.stall(&old, STALL);
        assert!(!place.leave(&old, Some("late")));
        assert_eq!(follower.next().await.payload()[0], 1);
        assert!(follower.try_next().is_none());
        assert_eq!(camera.status().state, State::Live);
        assert!(place.publish(&new, jpeg(2)));
        assert_eq!(follower.next().await.payload()[0], 2);
        place.stall(&new, STALL);
        let state = camera.status().state;
        assert_eq!(state, State::Stalled("no picture for 3 s".to_owned()));
        assert!(place.publish(&new, jpeg(2)));
        assert_eq!(camera.status().last_failure, None);
        assert!(place.leave(&new, Some("it broke the protocol")));
        let status = camera.status();
        assert_eq!(status.state, State::Idle);
        let failure = status.last_failure.map(|last| last.reason);
        assert_eq!(failure.as_deref(), Some("it broke the protocol"));
        let last = camera.follow(Quality::Main).next().await;
        assert_eq!(last.payload()[0], 2, "the last picture stays");
    }
}
