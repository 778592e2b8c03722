//! What viewers send on the wall socket.

use crate::sinks::playback::Stream;
use ocelli_core::{Codec, Decodable};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The id that means every camera.
pub const ALL: &str = "*";

/// The pace and the stream that a viewer requests for a camera.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct StreamOptions {
    /// At most this many frames a second.
    #[serde(default, rename = "maxFps")]
    pub max_fps: Option<f64>,
    /// Frames that may be sent before the viewer gives more credit.
    #[serde(default)]
    pub credit: Option<u32>,
    /// Which stream; the small one by default.
    #[serde(default = "small")]
    pub stream: Stream,
    /// The codecs that the viewer can decode. Without any, everything is sent as JPEG.
    #[serde(default, deserialize_with = "decodable")]
    pub codecs: Decodable,
    /// Whether only key frames of native video are sent.
    #[serde(default, rename = "keyOnly")]
    pub key_only: bool,
    /// Whether the camera's sound is sent.
    #[serde(default)]
    pub sound: bool,
}

/// Reads a list of codecs. Unknown ones are ignored, because a viewer may support codecs that
/// the hub does not.
fn decodable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decodable, D::Error> {
    let names = Vec::<Cow<'de, str>>::deserialize(deserializer)?;
    let lists = |codec: Codec| names.iter().any(|name| *name == codec.name());
    Ok(Decodable {
        h264: lists(Codec::H264),
        h265: lists(Codec::H265),
        jpeg: lists(Codec::Jpeg),
    })
}

fn small() -> Stream {
    Stream::Sub
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            max_fps: None,
            credit: None,
            stream: small(),
            codecs: Decodable::default(),
            key_only: false,
            sound: false,
        }
    }
}

/// A viewer's command. Ids are sets, so repeated ids cost nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub enum Command {
    /// Send these cameras, or all for `*`.
    Subscribe {
        /// Ids.
        cameras: BTreeSet<String>,
        /// The pace and the stream.
        #[serde(flatten)]
        options: StreamOptions,
    },
    /// Stop sending these cameras.
    Unsubscribe {
        /// Ids.
        cameras: BTreeSet<String>,
    },
    /// Allow further frames.
    Credit {
        /// The number of frames by id.
        add: BTreeMap<String, u32>,
    },
    /// Retry these failed cameras now.
    Retry {
        /// Ids.
        cameras: BTreeSet<String>,
    },
    /// Reply with the hub's time.
    Ping {
        /// Echoed unchanged.
        t: serde_json::Number,
    },
}

impl Command {
    /// Parses a command.
    ///
    /// # Errors
    /// The message states what is wrong with the command.
    pub fn parse(text: &str) -> Result<Self, String> {
        let command: Command = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Command::Subscribe { cameras, options } = &command {
            if let Some(fps) = options.max_fps
                && !(fps.is_finite() && fps > 0.0)
            {
                return Err(format!("maxFps must be a number above 0, not {fps}"));
            }
            if options.sound && (cameras.len() != 1 || cameras.contains(ALL)) {
                return Err(format!(
                    "sound is for one camera at a time: list exactly one id with \"sound\":true, \
                     and not {ALL:?}"
                ));
            }
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_contract_are_parsed() {
        let subscribe = Command::parse(r#"{"cmd":"subscribe","cameras":["a","b"]}"#);
        let expected = Command::Subscribe {
            cameras: ["a".into(), "b".into()].into(),
            options: StreamOptions::default(),
        };
        assert_eq!(subscribe, Ok(expected));
        let paced = r#"{"cmd":"subscribe","cameras":["*"],"maxFps":5,"credit":2,"later":1}"#;
        let Ok(Command::Subscribe { options, .. }) = Command::parse(paced) else {
            panic!("a subscription");
        };
        assert_eq!((options.max_fps, options.credit), (Some(5.0), Some(2)));
        for good in [
            r#"{"cmd":"unsubscribe","cameras":["a"]}"#,
            r#"{"cmd":"credit","add":{"cam1":1,"cam2":1}}"#,
            r#"{"cmd":"retry","cameras":["a"]}"#,
            r#"{"cmd":"ping","t":123.4}"#,
        ] {
            assert!(Command::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_listed_codecs_are_read_and_unknown_ones_ignored() {
        let native =
            r#"{"cmd":"subscribe","cameras":["a"],"codecs":["av1","h264","jpeg"],"keyOnly":true}"#;
        let Ok(Command::Subscribe { options, .. }) = Command::parse(native) else {
            panic!("a subscription");
        };
        let codecs = Decodable {
            h264: true,
            h265: false,
            jpeg: true,
        };
        assert_eq!((options.codecs, options.key_only), (codecs, true));
    }

    #[test]
    fn sound_is_for_one_camera() {
        let one = r#"{"cmd":"subscribe","cameras":["a","a"],"sound":true}"#;
        let Ok(Command::Subscribe { options, .. }) = Command::parse(one) else {
            panic!("a subscription");
        };
        assert!(options.sound);
        for cameras in [r#"["a","b"]"#, r#"["*"]"#, r#"["a","*"]"#, "[]"] {
            let text = format!(r#"{{"cmd":"subscribe","cameras":{cameras},"sound":true}}"#);
            let message = Command::parse(&text).expect_err("a refusal");
            assert!(message.contains("list exactly one id"), "{message}");
            let silent = text.replace("true", "false");
            assert!(Command::parse(&silent).is_ok(), "{silent}");
        }
    }

    #[test]
    fn repeated_ids_count_once() {
        let stars = vec![r#""*""#; 10_000].join(",");
        let text = format!(r#"{{"cmd":"subscribe","cameras":[{stars}]}}"#);
        let Ok(Command::Subscribe { cameras, .. }) = Command::parse(&text) else {
            panic!("a subscription");
        };
        assert_eq!(cameras.len(), 1);
    }

    #[test]
    fn malformed_commands_are_refused() {
        for bad in [
            "",
            "null",
            "{}",
            r#"{"cmd":"dance"}"#,
            r#"{"cmd":"subscribe"}"#,
            r#"{"cmd":"subscribe","cameras":"a"}"#,
            r#"{"cmd":"subscribe","cameras":["a"],"maxFps":0}"#,
            r#"{"cmd":"subscribe","cameras":["a"],"credit":-1}"#,
            r#"{"cmd":"subscribe","cameras":["a"],"codecs":"h264"}"#,
            r#"{"cmd":"subscribe","cameras":["a"],"keyOnly":1}"#,
            r#"{"cmd":"credit","add":{"a":"x"}}"#,
        ] {
            assert!(Command::parse(bad).is_err(), "{bad}");
        }
    }
}
