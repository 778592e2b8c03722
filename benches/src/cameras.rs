//! The cameras of a scenario, and the H.264 that they send.

use crate::scenario::Media;
use ocelli_testkit::video::{Recording, Video};
use ocelli_testkit::video_feed::VideoCameras;
use ocelli_testkit::{Result, feed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Recordings by their parameters. Each is encoded once, when it is first needed.
#[derive(Default)]
pub struct Recordings(BTreeMap<Video, Arc<Recording>>);

impl Recordings {
    pub fn get(&mut self, video: Video) -> Result<Arc<Recording>> {
        if let Some(recording) = self.0.get(&video) {
            return Ok(recording.clone());
        }
        let Video { width, height, .. } = video;
        eprintln!(
            "encoding {width} × {height}, {} pictures per group",
            video.group
        );
        let recording = Arc::new(Recording::encode(video)?);
        self.0.insert(video, recording.clone());
        Ok(recording)
    }

    /// Returns what these cameras send; `None` if it is JPEG.
    pub fn of(&mut self, media: &Media) -> Result<Option<Arc<Recording>>> {
        match media {
            Media::Jpeg(_) => Ok(None),
            Media::H264 { video, .. } => self.get(*video).map(Some),
        }
    }
}

/// Running cameras.
pub enum Cameras {
    Jpeg(feed::Cameras),
    H264(VideoCameras),
}

impl Cameras {
    pub fn start(media: &Media, recording: Option<&Arc<Recording>>) -> Result<Self> {
        match (media, recording) {
            (Media::Jpeg(feed), _) => feed::Cameras::start(*feed).map(Self::Jpeg),
            (Media::H264 { cameras, .. }, Some(recording)) => {
                VideoCameras::start(*cameras, recording.clone()).map(Self::H264)
            }
            (Media::H264 { .. }, None) => Err("cameras of H.264 need a recording".into()),
        }
    }

    /// Returns the sources to pass to a server.
    pub fn sources(&self, count: usize) -> Vec<String> {
        match self {
            Self::Jpeg(cameras) => cameras.sources(count),
            Self::H264(cameras) => cameras.sources(count),
        }
    }
}
