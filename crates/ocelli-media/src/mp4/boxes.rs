//! The boxes of a fragmented file, written with `shiguredo_mp4`. Its own muxer is not used: it
//! keeps an index of all fragments, and a live stream has no end.

use bytes::{BufMut, Bytes, BytesMut};
use shiguredo_mp4::boxes::{
    Brand, DinfBox, FtypBox, HdlrBox, MdhdBox, MdiaBox, MfhdBox, MinfBox, MoofBox, MoovBox,
    MvexBox, MvhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox, StsdBox, StszBox, SttsBox,
    TfdtBox, TfhdBox, TkhdBox, TrafBox, TrakBox, TrexBox, TrunBox, TrunSample, VmhdBox,
};
use shiguredo_mp4::{Either, Encode, FixedPointNumber, Mp4FileTime, SampleFlags, Utf8String};
use std::num::NonZeroU32;

/// Ticks per second of all times: they are in µs, like capture times.
const TIMESCALE: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// The duration of a stream without end. With 0, the standard's other way to leave it open, a
/// `<video>` in Chromium takes the end of what it has received for the end of the stream: it has
/// ended when it reaches that, and starts again at the beginning when more arrives. Chromium
/// takes this number of µs for infinity.
const ENDLESS: u64 = i64::MAX as u64;

/// The flags of a picture at which a decoder can start: it depends on no other.
const KEY: SampleFlags = SampleFlags::new(0x0200_0000);
/// The flags of all other pictures: they depend on others, and no decoder starts at them.
const NOT_KEY: SampleFlags = SampleFlags::new(0x0101_0000);

/// The size of the header of a box.
const BOX_HEADER: usize = 8;

/// A track, as the beginning of the file describes it.
pub struct Track {
    /// Its number, from 1.
    pub number: u32,
    /// Its codec.
    pub entry: SampleEntry,
    /// What it holds.
    pub kind: TrackKind,
}

/// What a track holds.
#[derive(Clone, Copy)]
pub enum TrackKind {
    /// Pictures, with their width and height in pixels. Times are in µs.
    Video((u16, u16)),
    /// Sound, with the number of its samples per second, in which times are.
    Sound(NonZeroU32),
}

/// One sample of a track.
#[derive(Clone, Copy)]
pub struct Sample {
    /// The number of its track.
    pub track: u32,
    /// When it is decoded.
    pub decode: u64,
    /// How long after that it is shown.
    pub offset: u32,
    /// How long it lasts, probably.
    pub duration: u32,
    /// Whether a decoder can start at it.
    pub key: bool,
}

/// Returns the beginning of a file: its kind, and its tracks without samples.
pub fn header(tracks: &[Track]) -> Option<Bytes> {
    let kind = FtypBox {
        major_brand: Brand::ISO5,
        minor_version: 0,
        compatible_brands: vec![Brand::ISOM, Brand::ISO5, Brand::ISO6, Brand::MP41],
    };
    let last = tracks.iter().map(|track| track.number).max().unwrap_or(0);
    let movie = MoovBox {
        mvhd_box: MvhdBox {
            creation_time: Mp4FileTime::from_secs(0),
            modification_time: Mp4FileTime::from_secs(0),
            timescale: TIMESCALE,
            duration: 0,
            rate: MvhdBox::DEFAULT_RATE,
            volume: MvhdBox::DEFAULT_VOLUME,
            matrix: MvhdBox::DEFAULT_MATRIX,
            next_track_id: last + 1,
        },
        trak_boxes: tracks.iter().map(track_box).collect(),
        mvex_box: Some(MvexBox {
            mehd_box: None,
            trex_boxes: tracks.iter().map(track_defaults).collect(),
            unknown_boxes: Vec::new(),
        }),
        unknown_boxes: Vec::new(),
    };
    let mut bytes = kind.encode_to_vec().ok()?;
    bytes.extend(movie.encode_to_vec().ok()?);
    Some(bytes.into())
}

fn track_defaults(track: &Track) -> TrexBox {
    TrexBox {
        track_id: track.number,
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: SampleFlags::empty(),
    }
}

fn track_box(track: &Track) -> TrakBox {
    let side = |pixels: u16| FixedPointNumber::new(i16::try_from(pixels).unwrap_or(i16::MAX), 0);
    let (size, timescale, handler_type, media, volume) = match track.kind {
        TrackKind::Video(size) => (
            size,
            TIMESCALE,
            HdlrBox::HANDLER_TYPE_VIDE,
            Either::B(VmhdBox::default()),
            TkhdBox::DEFAULT_VIDEO_VOLUME,
        ),
        TrackKind::Sound(rate) => (
            (0, 0),
            rate,
            HdlrBox::HANDLER_TYPE_SOUN,
            Either::A(SmhdBox {
                balance: SmhdBox::DEFAULT_BALANCE,
            }),
            TkhdBox::DEFAULT_AUDIO_VOLUME,
        ),
    };
    TrakBox {
        tkhd_box: TkhdBox {
            flag_track_enabled: true,
            flag_track_in_movie: true,
            flag_track_in_preview: false,
            flag_track_size_is_aspect_ratio: false,
            creation_time: Mp4FileTime::from_secs(0),
            modification_time: Mp4FileTime::from_secs(0),
            track_id: track.number,
            duration: 0,
            layer: TkhdBox::DEFAULT_LAYER,
            alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
            volume,
            matrix: TkhdBox::DEFAULT_MATRIX,
            width: side(size.0),
            height: side(size.1),
        },
        edts_box: None,
        mdia_box: MdiaBox {
            mdhd_box: MdhdBox {
                creation_time: Mp4FileTime::from_secs(0),
                modification_time: Mp4FileTime::from_secs(0),
                timescale,
                duration: ENDLESS,
                language: MdhdBox::LANGUAGE_UNDEFINED,
            },
            hdlr_box: HdlrBox {
                handler_type,
                name: Utf8String::EMPTY.into_null_terminated_bytes(),
            },
            minf_box: MinfBox {
                smhd_or_vmhd_box: Some(media),
                dinf_box: DinfBox::LOCAL_FILE,
                stbl_box: no_samples(track.entry.clone()),
                unknown_boxes: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    }
}

/// A table without samples, because they are in the fragments.
fn no_samples(entry: SampleEntry) -> StblBox {
    StblBox {
        stsd_box: StsdBox {
            entries: vec![entry],
        },
        stts_box: SttsBox {
            entries: Vec::new(),
        },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox {
            entries: Vec::new(),
        },
        stsz_box: StszBox::Variable {
            entry_sizes: Vec::new(),
        },
        stco_or_co64_box: Either::A(StcoBox {
            chunk_offsets: Vec::new(),
        }),
        stss_box: None,
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    }
}

/// The data of a sample, which is written into its fragment without another copy.
pub trait Data {
    /// Returns its number of bytes.
    fn len(&self) -> usize;

    /// Appends it.
    fn write(&self, bytes: &mut BytesMut);
}

impl Data for &[u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn write(&self, bytes: &mut BytesMut) {
        bytes.put_slice(self);
    }
}

/// Returns a fragment with one sample. `number` counts the fragments of the file.
pub fn fragment(number: u32, sample: Sample, data: &impl Data) -> Option<Bytes> {
    let size = u32::try_from(data.len()).ok()?;
    let mut fragment = MoofBox {
        mfhd_box: MfhdBox {
            sequence_number: number,
        },
        traf_boxes: vec![TrafBox {
            tfhd_box: TfhdBox {
                track_id: sample.track,
                base_data_offset: None,
                sample_description_index: None,
                default_sample_duration: None,
                default_sample_size: None,
                default_sample_flags: None,
                duration_is_empty: false,
                default_base_is_moof: true,
            },
            tfdt_box: Some(TfdtBox {
                version: 1,
                base_media_decode_time: sample.decode,
            }),
            trun_boxes: vec![TrunBox {
                data_offset: Some(0),
                first_sample_flags: None,
                samples: vec![TrunSample {
                    duration: Some(sample.duration),
                    size: Some(size),
                    flags: Some(if sample.key { KEY } else { NOT_KEY }),
                    composition_time_offset: Some(i32::try_from(sample.offset).ok()?),
                }],
            }],
            unknown_boxes: Vec::new(),
        }],
        unknown_boxes: Vec::new(),
    };
    // The data begins after the header of its box; the size of the fragment does not depend on
    // that number.
    let len = fragment.encode_to_vec().ok()?.len();
    let offset = i32::try_from(len + BOX_HEADER).ok()?;
    fragment.traf_boxes[0].trun_boxes[0].data_offset = Some(offset);
    let head = fragment.encode_to_vec().ok()?;
    let mut bytes = BytesMut::with_capacity(head.len() + BOX_HEADER + data.len());
    bytes.put_slice(&head);
    bytes.put_u32(size.checked_add(BOX_HEADER as u32)?);
    bytes.put_slice(b"mdat");
    data.write(&mut bytes);
    Some(bytes.freeze())
}
