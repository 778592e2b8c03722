//! A viewer's subscription to the sound of one camera.

use bytes::Bytes;
use ocelli_core::{Camera, Ready, SoundSubscription, Token};
use std::sync::Arc;

/// The number of units of sound that may be sent in a row while pictures wait. It lets a second of
/// sound pass, and a camera that floods the hub with sound can't hold up the pictures.
const MAX_IN_A_ROW: u32 = 64;

/// The sound that a viewer asked for, if it did.
#[derive(Default)]
pub struct Sound {
    wanted: Option<Wanted>,
    in_a_row: u32,
}

struct Wanted {
    camera: Arc<Camera>,
    /// `None` while the camera has no sound.
    subscription: Option<SoundSubscription>,
}

impl Sound {
    /// Starts with the sound of this camera, in place of any other; it continues if it is the same.
    pub fn start(&mut self, camera: Arc<Camera>, ready: &Arc<Ready>, token: Token) {
        if !self.is_of(&camera) {
            self.wanted = Some(Wanted {
                camera,
                subscription: None,
            });
        }
        self.follow(ready, token);
    }

    /// Ends the sound of the camera with this id.
    pub fn end(&mut self, id: &str) {
        if self.id() == Some(id) {
            self.wanted = None;
        }
    }

    /// The id of the camera whose sound the viewer asked for.
    pub fn id(&self) -> Option<&str> {
        let wanted = self.wanted.as_ref()?;
        Some(wanted.camera.id().as_str())
    }

    fn is_of(&self, camera: &Arc<Camera>) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_some_and(|wanted| Arc::ptr_eq(&wanted.camera, camera))
    }

    /// Subscribes anew if the camera has other sound now.
    pub fn follow(&mut self, ready: &Arc<Ready>, token: Token) {
        let Some(wanted) = &mut self.wanted else {
            return;
        };
        let subscription = wanted.subscription.as_ref();
        let is_current = subscription.is_some_and(|own| wanted.camera.is_current_sound(own));
        if !is_current {
            wanted.subscription = wanted.camera.listen(ready.clone(), token);
        }
    }

    /// The message with the next unit of sound. `None` also when pictures must have their turn.
    pub fn take(&mut self) -> Option<Bytes> {
        let subscription = self.wanted.as_mut()?.subscription.as_mut()?;
        if self.in_a_row >= MAX_IN_A_ROW {
            self.in_a_row = 0;
            return None;
        }
        let unit = subscription.take();
        self.in_a_row = if unit.is_some() { self.in_a_row + 1 } else { 0 };
        unit.map(ocelli_core::SoundUnit::into_message)
    }
}
