//! The newest group of a stream: a key frame and the frames that depend on it, and the memory
//! that the groups of all cameras use.

use crate::frame::Frame;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Limits for a group that a camera never ends. Beyond either limit the oldest frames are
/// dropped, and new viewers wait for the next key frame.
pub(crate) const MAX_FRAMES: usize = 900;
const MAX_BYTES: usize = 16 << 20;

/// Memory of the groups of all cameras. A camera whose group exceeds its share drops its oldest
/// frames while the limit is exceeded, so that no camera can take the memory of the others.
#[derive(Debug)]
pub struct GroupMemory {
    limit: usize,
    used: AtomicUsize,
    groups: AtomicUsize,
}

impl GroupMemory {
    /// Creates the memory with a limit in bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::default(),
            groups: AtomicUsize::default(),
        })
    }

    /// Returns the payload bytes of all groups.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Returns the limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a group of this size must drop frames.
    fn is_exceeded_by(&self, bytes: usize) -> bool {
        let groups = self.groups.load(Relaxed).max(1);
        self.used() > self.limit && bytes > self.limit / groups
    }
}

/// The newest group of one stream.
pub(crate) struct Group {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Number of frames dropped from the front.
    dropped: usize,
    memory: Arc<GroupMemory>,
}

impl Group {
    /// Creates an empty group.
    pub fn new(memory: Arc<GroupMemory>) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            memory,
        }
    }

    /// Discards all frames.
    pub fn clear(&mut self) {
        if !self.frames.is_empty() {
            self.memory.groups.fetch_sub(1, Relaxed);
            self.memory.used.fetch_sub(self.bytes, Relaxed);
        }
        self.frames.clear();
        self.bytes = 0;
        self.dropped = 0;
    }

    /// Appends a frame. Drops the oldest frames if the limits require that.
    pub fn push(&mut self, frame: Frame) {
        if self.frames.is_empty() {
            self.memory.groups.fetch_add(1, Relaxed);
        }
        self.bytes += frame.payload_len();
        self.memory.used.fetch_add(frame.payload_len(), Relaxed);
        self.frames.push_back(frame);
        while self.frames.len() > 1
            && (self.frames.len() > MAX_FRAMES
                || self.bytes > MAX_BYTES
                || self.memory.is_exceeded_by(self.bytes))
        {
            if let Some(old) = self.frames.pop_front() {
                self.bytes -= old.payload_len();
                self.memory.used.fetch_sub(old.payload_len(), Relaxed);
                self.dropped += 1;
            }
        }
    }

    /// Returns its number; `None` if it is empty.
    pub fn number(&self) -> Option<u32> {
        Some(self.frames.front()?.group)
    }

    /// Returns the newest frame.
    pub fn newest(&self) -> Option<&Frame> {
        self.frames.back()
    }

    /// Returns the index that the next frame will have, counted from the key frame.
    pub fn end(&self) -> usize {
        self.dropped + self.frames.len()
    }

    /// Whether the frame at `index` was dropped.
    pub fn has_dropped(&self, index: usize) -> bool {
        index < self.dropped
    }

    /// Returns the frame at `index`, counted from the key frame.
    pub fn get(&self, index: usize) -> Option<&Frame> {
        self.frames.get(index.checked_sub(self.dropped)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.clear();
    }
}
