//! Cameras that push: the outside connects and sends, the hub accepts. What it
//! sends over is no business of this file (`ingest`); who sits at the camera's
//! place, so that there is one at a time, is.

use ocelli_core::{Picture, Publisher, RunOnce, Source, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of this kind in listings.
pub const KIND: &str = "push";

/// The source of one camera that pushes: a seat for whoever sends its pictures.
pub struct Push<T> {
    seat: Mutex<Seat<T>>,
}

struct Seat<T> {
    /// Where pictures go; none until the upstream has begun.
    publisher: Option<Publisher>,
    holder: Option<Arc<T>>,
}

impl<T> Default for Push<T> {
    fn default() -> Self {
        Self {
            seat: Mutex::new(Seat {
                publisher: None,
                holder: None,
            }),
        }
    }
}

impl<T> Push<T> {
    fn lock(&self) -> MutexGuard<'_, Seat<T>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who sends its pictures now.
    pub fn holder(&self) -> Option<Arc<T>> {
        self.lock().holder.clone()
    }

    /// Seats a newcomer; whoever sat there before publishes nothing more. Viewers
    /// notice nothing of such a change.
    pub fn seat(&self, newcomer: Arc<T>) -> Option<Arc<T>> {
        let mut seat = self.lock();
        let before = seat.holder.replace(newcomer);
        if before.is_none()
            && let Some(publisher) = &seat.publisher
        {
            publisher.interrupt();
            publisher.set_state(State::Starting);
        }
        before
    }

    /// Leaves the seat; whether it was still `holder`'s. The last picture stays.
    pub fn leave(&self, holder: &Arc<T>) -> bool {
        let mut seat = self.lock();
        if !seat.holds(holder) {
            return false;
        }
        seat.holder = None;
        if let Some(publisher) = &seat.publisher {
            publisher.interrupt();
            publisher.set_state(State::Idle);
        }
        true
    }

    /// Shows a picture of `holder`'s; false, and nothing is shown, if the seat is
    /// another's by now.
    pub fn publish(&self, holder: &Arc<T>, picture: Picture) -> bool {
        let seat = self.lock();
        if !seat.holds(holder) {
            return false;
        }
        if let Some(publisher) = &seat.publisher {
            publisher.publish(picture);
        }
        true
    }

    /// Says that `holder` is there but sends no pictures.
    pub fn stall(&self, holder: &Arc<T>) {
        let seat = self.lock();
        if seat.holds(holder)
            && let Some(publisher) = &seat.publisher
        {
            publisher.set_state(State::Stalled(None));
        }
    }
}

impl<T> Seat<T> {
    fn holds(&self, holder: &Arc<T>) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, holder))
    }
}

impl<T: Send + Sync + 'static> Source for Push<T> {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        let mut seat = self.lock();
        if seat.holder.is_some() {
            publisher.set_state(State::Starting);
        }
        seat.publisher = Some(publisher);
        drop(seat);
        Box::pin(std::future::pending())
    }

    fn is_ingest(&self) -> bool {
        true
    }
}
