//! A viewer's subscription to a camera: to the stream as the camera sends it if the viewer can
//! decode that, otherwise to JPEG.
//!
//! A native stream is leased first, and a JPEG rendition only once the camera's codec is known
//! and the viewer can't decode it. A newcomer to a group whose beginning is no longer cached
//! gets JPEG until the next key frame, if there is a rendition.

use crate::demand::Want;
use crate::frame::{Codec, Frame};
use crate::listener::Role;
use crate::ready::{Ready, Token};
use crate::subscription::Subscription;
use crate::upstream::Upstream;
use std::sync::Arc;

/// The most credit that a viewer can have for JPEG. More would only be pictures in transit.
const JPEG_CREDIT: u32 = 8;
/// The same for native video, where a decoder can hold back pictures before its first output, and
/// credit must cover a round trip at the camera's full rate.
const NATIVE_CREDIT: u32 = 64;

/// The codecs that a viewer can decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decodable {
    /// H.264.
    pub h264: bool,
    /// H.265.
    pub h265: bool,
    /// JPEG, while there is no key frame to start from. A camera in a codec that the viewer can't
    /// decode is sent as JPEG in any case.
    pub jpeg: bool,
}

impl Decodable {
    fn includes(self, codec: Codec) -> bool {
        match codec {
            Codec::H264 => self.h264,
            Codec::H265 => self.h265,
            Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => false,
        }
    }

    fn is_native(self) -> bool {
        self.h264 || self.h265
    }
}

/// What a viewer wants of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delivery {
    /// The codecs that it can decode.
    pub decodable: Decodable,
    /// Whether it wants only key frames of native video.
    pub only_key_frames: bool,
    /// The number of frames it may be sent; `None` if only its socket sets the pace.
    pub credit: Option<u32>,
    /// Whether JPEG may be written directly. Not with a pace of its own.
    pub direct_jpeg: bool,
}

/// One viewer's subscription to one stream of a camera, in the codec that suits the viewer.
pub struct CameraSubscription {
    upstream: Arc<Upstream>,
    ready: Arc<Ready>,
    token: Token,
    delivery: Delivery,
    native: Option<Subscription>,
    jpeg: Option<Subscription>,
    /// Whether the next frame comes from another slot than the last one.
    is_switched: bool,
    /// Frames taken and dropped in subscriptions that ended.
    past: (u64, u64),
}

impl CameraSubscription {
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        delivery: Delivery,
        ready: Arc<Ready>,
        token: Token,
    ) -> Self {
        let mut subscription = Self {
            upstream,
            ready,
            token,
            delivery,
            native: None,
            jpeg: None,
            is_switched: false,
            past: (0, 0),
        };
        subscription.start(delivery.credit);
        subscription
    }

    /// Whether native video is sent, or will be as soon as the camera sends it.
    pub fn is_native(&self) -> bool {
        self.jpeg.is_none()
    }

    /// Whether it would send the same stream with these codecs.
    pub fn suits(&self, decodable: Decodable) -> bool {
        self.wants_native(decodable) == self.native.is_some()
    }

    /// Whether what it sends can be decoded by a viewer with these codecs.
    pub fn is_decodable_by(&self, decodable: Decodable) -> bool {
        self.native.is_none() || self.wants_native(decodable)
    }

    /// Marks that the next frame does not continue from the last one that the viewer got.
    pub fn mark_switched(&mut self) {
        self.is_switched = true;
    }

    /// Changes what is sent, as far as that is possible without another stream: see
    /// [`Self::suits`]. Credit starts anew.
    pub fn change(&mut self, delivery: Delivery) {
        self.delivery = Delivery {
            decodable: match self.suits(delivery.decodable) {
                true => delivery.decodable,
                false => self.delivery.decodable,
            },
            ..delivery
        };
        if let Some(jpeg) = &mut self.jpeg {
            jpeg.allow_direct(delivery.direct_jpeg);
        }
        if let Some(native) = &mut self.native {
            native.set_only_key_frames(delivery.only_key_frames);
        }
        self.set_credit(delivery.credit);
    }

    /// Chooses the stream anew, after the camera has changed.
    pub fn follow_camera(&mut self) {
        if !self.suits(self.delivery.decodable) {
            let credit = self.credit();
            self.start(credit);
        }
    }

    /// Adds credit, up to a limit. Has no effect on a subscription that is not limited by credit.
    pub fn add_credit(&mut self, more: u32) {
        let limit = self.credit_limit();
        if let Some(current) = self.current() {
            current.add_credit(more, limit);
        }
        // A key frame may have come while there was no credit for it.
        if self.jpeg.is_some() && self.native.is_some() {
            self.ready.enqueue(self.token);
        }
    }

    /// Takes the next frame for this viewer.
    pub fn take(&mut self) -> Option<Frame> {
        let mut frame = self.take_next()?;
        frame.discontinuity |= std::mem::take(&mut self.is_switched);
        Some(frame)
    }

    fn take_next(&mut self) -> Option<Frame> {
        let decodable = self.delivery.decodable;
        let Some(native) = &mut self.native else {
            return self.jpeg.as_mut()?.take();
        };
        if let Some(jpeg) = &mut self.jpeg {
            // JPEG until the next key frame. The credit is that of JPEG.
            let credit = jpeg.credit();
            if credit == Some(0) {
                return None;
            }
            let Some(frame) = native.take_if(|codec| decodable.includes(codec)) else {
                return jpeg.take();
            };
            native.set_credit(credit.map(|credit| credit.saturating_sub(1)));
            self.is_switched |= jpeg.taken() > 0;
            self.end_jpeg();
            return Some(frame);
        }
        let frame = native.take_if(|codec| decodable.includes(codec));
        // A rendition that starts now would have to wait for the same key frame.
        let has_jpeg = || self.upstream.streams().jpeg.is_running();
        if frame.is_none() && decodable.jpeg && native.awaits_first_key() && has_jpeg() {
            let credit = native.credit();
            native.set_credit(None);
            self.start_jpeg(credit, Role::CountedElsewhere);
        }
        frame
    }

    /// Returns the number of frames that this viewer took.
    pub fn taken(&self) -> u64 {
        let current = self.parts().map(Subscription::taken);
        self.past.0 + current.sum::<u64>()
    }

    /// Returns the number of frames superseded before this viewer took them.
    pub fn dropped(&self) -> u64 {
        let current = self.parts().map(Subscription::dropped);
        self.past.1 + current.sum::<u64>()
    }

    /// Returns whether the viewer fell too far behind in a group since the last call, or still
    /// gets nothing because of it.
    pub fn has_lagged(&mut self) -> bool {
        self.native.as_mut().is_some_and(Subscription::has_lagged)
    }

    fn parts(&self) -> impl Iterator<Item = &Subscription> {
        self.native.iter().chain(&self.jpeg)
    }

    /// Returns how many frames may be taken; `None` for any number.
    pub fn credit(&self) -> Option<u32> {
        let current = self.jpeg.as_ref().or(self.native.as_ref());
        current.and_then(Subscription::credit)
    }

    /// Sets how many frames may be taken, up to a limit; `None` for any number.
    pub fn set_credit(&mut self, credit: Option<u32>) {
        let limit = self.credit_limit();
        if let Some(current) = self.current() {
            current.set_credit(credit.map(|credit| credit.min(limit)));
        }
    }

    /// The part that has the credit.
    fn current(&mut self) -> Option<&mut Subscription> {
        self.jpeg.as_mut().or(self.native.as_mut())
    }

    fn credit_limit(&self) -> u32 {
        match self.native {
            Some(_) => NATIVE_CREDIT,
            None => JPEG_CREDIT,
        }
    }

    fn wants_native(&self, decodable: Decodable) -> bool {
        match self.upstream.streams().codec() {
            Some(codec) => decodable.includes(codec),
            None => decodable.is_native(),
        }
    }

    /// Starts the stream that suits the viewer, and ends the others. The new one is leased first,
    /// so that the camera is not disconnected in between.
    fn start(&mut self, credit: Option<u32>) {
        self.is_switched |= self.taken() > 0;
        let ended = [self.jpeg.take(), self.native.take()];
        if self.wants_native(self.delivery.decodable) {
            self.start_native();
            self.set_credit(credit);
        } else {
            self.start_jpeg(credit, Role::Viewer);
        }
        let ended = ended.into_iter().flatten();
        ended.for_each(|part| self.count(&part));
    }

    fn start_native(&mut self) {
        let lease = self.upstream.lease(Want::Native);
        let slot = self.upstream.streams().native.clone();
        let mut native = Subscription::new(slot, Some(lease), self.ready.clone(), self.token);
        native.set_only_key_frames(self.delivery.only_key_frames);
        self.native = Some(native);
    }

    fn start_jpeg(&mut self, credit: Option<u32>, role: Role) {
        let lease = self.upstream.lease(Want::Jpeg);
        let slot = self.upstream.streams().jpeg.slot.clone();
        let ready = self.ready.clone();
        let mut jpeg = Subscription::of(slot, Some(lease), ready, self.token, role);
        jpeg.allow_direct(self.delivery.direct_jpeg);
        self.jpeg = Some(jpeg);
        self.set_credit(credit);
    }

    fn end_jpeg(&mut self) {
        if let Some(jpeg) = self.jpeg.take() {
            self.count(&jpeg);
        }
    }

    fn count(&mut self, ended: &Subscription) {
        self.past.0 += ended.taken();
        self.past.1 += ended.dropped();
    }
}
