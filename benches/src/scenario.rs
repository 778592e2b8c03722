//! The measured scenarios: numbers of viewers and cameras, and the transports.

use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;

/// The version of go2rtc in the comparison.
const GO2RTC: &str = "1.9.14";

/// The transport of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The bare loop.
    Floor,
    /// The wall socket, plain protocol.
    Plain,
    /// `ocelli.v2` with this much credit outstanding.
    V2 { credit: u32 },
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
            Self::Mjpeg => "MJPEG".into(),
            Self::Go2rtc => format!("go2rtc {GO2RTC}, MJPEG"),
            Self::Jsmpeg => "JSMpeg".into(),
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
    pub viewers: usize,
    pub feed: Feed,
}

pub const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "1x50",
        title: "1 camera × 50 viewers, VGA 27 kB at 10 fps",
        aim: 1.25,
        viewers: 50,
        feed: Feed {
            cameras: 1,
            fps: 10,
            picture: Picture::VGA,
        },
    },
    Scenario {
        name: "20x100",
        title: "20 cameras × 100 viewers, VGA 27 kB at 10 fps",
        aim: 1.6,
        viewers: 100,
        feed: Feed {
            cameras: 20,
            fps: 10,
            picture: Picture::VGA,
        },
    },
    Scenario {
        name: "100x500",
        title: "100 cameras × 500 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        viewers: 500,
        feed: Feed {
            cameras: 100,
            fps: 8,
            picture: Picture::QVGA,
        },
    },
    Scenario {
        name: "600x600",
        title: "600 cameras × 600 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        viewers: 600,
        feed: Feed {
            cameras: 600,
            fps: 8,
            picture: Picture::QVGA,
        },
    },
    Scenario {
        name: "1x2000",
        title: "1 camera × 2000 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        viewers: 2000,
        feed: Feed {
            cameras: 1,
            fps: 8,
            picture: Picture::QVGA,
        },
    },
];
