//! The measured scenarios: numbers of viewers and cameras, and the transports.

use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::video::Video;
use std::time::Duration;

/// The version of go2rtc in the comparison.
pub const GO2RTC: &str = "1.9.14";

/// Credit that a browser keeps outstanding for native video at 15 fps and a short round trip.
pub const NATIVE_CREDIT: u32 = 10;
/// The units whose credit it returns in one message.
pub const NATIVE_BATCH: u32 = 6;

/// The transport of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The bare loop.
    Floor,
    /// The wall socket, plain protocol.
    Plain,
    /// `ocelli.v2` with this much credit outstanding.
    V2 { credit: u32 },
    /// The same with H.264 as the camera sends it.
    Native { credit: u32 },
    /// Multipart over HTTP.
    Mjpeg,
    /// Multipart over HTTP from go2rtc.
    Go2rtc,
    /// MPEG-1 for JSMpeg.
    Jsmpeg,
}

impl Sink {
    pub fn name(self) -> String {
        match self {
            Self::Floor => "floor".into(),
            Self::Plain => "wall, plain".into(),
            Self::V2 { credit } => format!("wall, v2, credit {credit}"),
            Self::Native { credit } => format!("wall, v2, H.264, credit {credit}"),
            Self::Mjpeg => "MJPEG".into(),
            Self::Go2rtc => format!("go2rtc {GO2RTC}, MJPEG"),
            Self::Jsmpeg => "JSMpeg".into(),
        }
    }
}

/// The cameras of a scenario, and what they send.
#[derive(Clone, Copy)]
pub enum Media {
    Jpeg(Feed),
    H264 { cameras: usize, video: Video },
}

impl Media {
    pub fn cameras(&self) -> usize {
        match self {
            Self::Jpeg(feed) => feed.cameras,
            Self::H264 { cameras, .. } => *cameras,
        }
    }

    /// Rounds a time up to whole groups, because key frames cost more than other pictures.
    pub fn whole_groups(&self, time: Duration) -> Duration {
        match self {
            Self::Jpeg(_) => time,
            Self::H264 { video, .. } => {
                let group = Duration::from_secs(u64::from(video.group)) / video.fps;
                group * time.div_duration_f64(group).ceil() as u32
            }
        }
    }
}

/// A number of viewers of a number of cameras.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    /// Target for the CPU, as a multiple of the floor's.
    pub aim: f64,
    /// The same for JPEG with credit, whose messages the hub must read.
    pub credit_aim: Option<f64>,
    pub viewers: usize,
    pub media: Media,
}

pub const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "1x50",
        title: "1 camera × 50 viewers, VGA 27 kB at 10 fps",
        aim: 1.25,
        credit_aim: Some(1.7),
        viewers: 50,
        media: Media::Jpeg(Feed {
            cameras: 1,
            fps: 10,
            picture: Picture::VGA,
        }),
    },
    Scenario {
        name: "20x100",
        title: "20 cameras × 100 viewers, VGA 27 kB at 10 fps",
        aim: 1.6,
        credit_aim: Some(1.7),
        viewers: 100,
        media: Media::Jpeg(Feed {
            cameras: 20,
            fps: 10,
            picture: Picture::VGA,
        }),
    },
    Scenario {
        name: "100x500",
        title: "100 cameras × 500 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        credit_aim: None,
        viewers: 500,
        media: Media::Jpeg(Feed {
            cameras: 100,
            fps: 8,
            picture: Picture::QVGA,
        }),
    },
    Scenario {
        name: "600x600",
        title: "600 cameras × 600 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        credit_aim: None,
        viewers: 600,
        media: Media::Jpeg(Feed {
            cameras: 600,
            fps: 8,
            picture: Picture::QVGA,
        }),
    },
    Scenario {
        name: "1x2000",
        title: "1 camera × 2000 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        credit_aim: Some(1.7),
        viewers: 2000,
        media: Media::Jpeg(Feed {
            cameras: 1,
            fps: 8,
            picture: Picture::QVGA,
        }),
    },
    Scenario {
        name: "native-1x50",
        title: "1 camera × 50 viewers, H.264 1080p at 15 fps, 4 Mbit/s",
        aim: 1.4,
        credit_aim: None,
        viewers: 50,
        media: Media::H264 {
            cameras: 1,
            video: Video::FULL_HD,
        },
    },
    Scenario {
        name: "native-16x64",
        title: "16 cameras × 64 viewers, H.264 1080p at 15 fps, 4 Mbit/s",
        aim: 1.4,
        credit_aim: None,
        viewers: 64,
        media: Media::H264 {
            cameras: 16,
            video: Video::FULL_HD,
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_groups_of_native_video_are_counted() {
        let media = Media::H264 {
            cameras: 1,
            video: Video::FULL_HD,
        };
        for (wanted, counted) in [(1, 2), (2, 2), (5, 6)] {
            let wanted = Duration::from_secs(wanted);
            assert_eq!(media.whole_groups(wanted).as_secs(), counted);
        }
    }
}
