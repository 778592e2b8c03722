//! The sound track: AAC.

use super::boxes::{Sample, Track, TrackKind};
use crate::aac;
use ocelli_core::{SoundCodec, SoundFormat};
use shiguredo_mp4::boxes::{AudioSampleEntryFields, EsdsBox, Mp4aBox, SampleEntry};
use shiguredo_mp4::descriptors::{
    DecoderConfigDescriptor, DecoderSpecificInfo, EsDescriptor, SlConfigDescriptor,
};
use shiguredo_mp4::{FixedPointNumber, Uint};
use std::num::NonZeroU32;

/// The number of the sound track.
pub const TRACK: u32 = 2;

/// Units follow each other without a gap unless their times differ by more, in milliseconds:
/// players do not like small gaps, and hear larger ones.
const MAX_DEVIATION: i64 = 60;

/// The sound of one viewer.
pub struct Sound {
    format: SoundFormat,
    /// Ticks a second, and in each access unit.
    rate: NonZeroU32,
    duration: u32,
    /// When the next unit begins, in ticks.
    next: Option<i64>,
}

impl Sound {
    /// Creates the track for a format; `None` if that is not AAC.
    pub fn new(format: &SoundFormat) -> Option<(Self, Track)> {
        if format.codec != SoundCodec::Aac {
            return None;
        }
        let config = aac::Config::parse(&format.config)?;
        let rate = NonZeroU32::new(config.core_rate)?;
        let sound = Self {
            format: format.clone(),
            rate,
            duration: config.frame_len,
            next: None,
        };
        let track = Track {
            number: TRACK,
            entry: SampleEntry::Mp4a(entry(format)),
            kind: TrackKind::Sound(rate),
        };
        Some((sound, track))
    }

    /// Whether units in this format belong to the track.
    pub fn continues_with(&self, format: &SoundFormat) -> bool {
        self.format == *format
    }

    /// Places the next unit, which begins at this time of the stream in µs. Returns `None` for a
    /// unit that is too late.
    pub fn place(&mut self, begins: i64) -> Option<Sample> {
        let rate = i64::from(self.rate.get());
        let begins = (i128::from(begins) * i128::from(rate) / 1_000_000) as i64;
        let deviation = begins - self.next.unwrap_or(begins);
        let most = MAX_DEVIATION * rate / 1000;
        let begins = match self.next {
            _ if deviation < -most => return None,
            Some(next) if deviation <= most => next,
            _ => begins,
        };
        let decode = u64::try_from(begins).ok()?;
        self.next = Some(begins.saturating_add(self.duration.into()));
        Some(Sample {
            track: TRACK,
            decode,
            offset: 0,
            duration: self.duration,
            key: true,
        })
    }
}

fn entry(format: &SoundFormat) -> Mp4aBox {
    Mp4aBox {
        audio: AudioSampleEntryFields {
            data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
            channelcount: format.channels.into(),
            samplesize: AudioSampleEntryFields::DEFAULT_SAMPLESIZE,
            // Higher rates do not fit, and are in the configuration.
            samplerate: FixedPointNumber::new(u16::try_from(format.rate).unwrap_or(0), 0),
        },
        esds_box: EsdsBox {
            es: EsDescriptor {
                es_id: EsDescriptor::MIN_ES_ID,
                stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
                depends_on_es_id: None,
                url_string: None,
                ocr_es_id: None,
                dec_config_descr: DecoderConfigDescriptor {
                    object_type_indication:
                        DecoderConfigDescriptor::OBJECT_TYPE_INDICATION_AUDIO_ISO_IEC_14496_3,
                    stream_type: DecoderConfigDescriptor::STREAM_TYPE_AUDIO,
                    up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
                    buffer_size_db: Uint::new(0),
                    max_bitrate: 0,
                    avg_bitrate: 0,
                    dec_specific_info: Some(DecoderSpecificInfo {
                        payload: format.config.clone(),
                    }),
                },
                sl_config_descr: SlConfigDescriptor,
            },
        },
        unknown_boxes: Vec::new(),
    }
}
