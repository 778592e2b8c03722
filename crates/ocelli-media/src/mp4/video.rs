//! The video track: its description from parameter sets, and access units with lengths instead of
//! start codes (ISO/IEC 14496-15).

use super::boxes::{self, Track, TrackKind};
use crate::annexb;
use crate::parameter_set::{self, Format, Profile};
use bytes::{BufMut, BytesMut};
use ocelli_core::Codec;
use shiguredo_mp4::boxes::{
    Avc1Box, AvccBox, Hev1Box, HvccBox, HvccNalUintArray, SampleEntry, UnknownBox,
    VisualSampleEntryFields,
};
use shiguredo_mp4::{BoxSize, BoxType, Encode, Uint};

/// The number of the video track.
pub const TRACK: u32 = 1;

/// The length of each NAL unit is stored in this many bytes, and the same minus 1.
const LENGTH_BYTES: usize = 4;
const LENGTH_SIZE: u8 = 3;

/// The type of H.264's sequence parameter sets; the picture parameter sets have the other one.
const H264_SEQUENCE: u8 = 7;

/// The video track of a stream.
pub struct Description {
    pub track: Track,
    /// See [`Format::reordered`].
    pub reordered: Option<u8>,
}

/// Returns the track that the parameter sets before a key frame describe; `None` if one is
/// missing.
pub fn describe(codec: Codec, payload: &[u8]) -> Option<Description> {
    let sequence = annexb::sequence_parameter_sets(codec, payload).next()?;
    let format = parameter_set::format(codec, sequence)?;
    let (width, height) = parameter_set::size(codec, sequence)?;
    let size = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    let sets: Vec<&[u8]> = annexb::all_parameter_sets(codec, payload).collect();
    let entry = match codec {
        Codec::H264 => h264(size, sequence, &sets, &format)?,
        Codec::H265 => SampleEntry::Hev1(h265(size, &sets, &format)?),
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => return None,
    };
    Some(Description {
        track: Track {
            number: TRACK,
            entry,
            kind: TrackKind::Video(size),
        },
        reordered: format.reordered,
    })
}

/// Returns how far pictures are reordered, if a key frame declares it.
pub fn reordered(codec: Codec, payload: &[u8]) -> Option<u8> {
    let sequence = annexb::sequence_parameter_sets(codec, payload).next()?;
    parameter_set::format(codec, sequence)?.reordered
}

/// The data of a sample: an access unit with lengths instead of start codes.
pub struct SampleData<'a>(Vec<&'a [u8]>);

impl<'a> SampleData<'a> {
    /// Finds the units of an access unit in Annex B format.
    pub fn of(payload: &'a [u8]) -> Self {
        Self(annexb::units(payload).collect())
    }
}

impl boxes::Data for SampleData<'_> {
    fn len(&self) -> usize {
        let lens = self.0.iter().map(|unit| LENGTH_BYTES + unit.len());
        lens.sum()
    }

    fn write(&self, bytes: &mut BytesMut) {
        for unit in &self.0 {
            // An access unit is far shorter than 4 GiB.
            bytes.put_u32(unit.len() as u32);
            bytes.put_slice(unit);
        }
    }
}

fn fields((width, height): (u16, u16)) -> VisualSampleEntryFields {
    VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width,
        height,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    }
}

fn h264(size: (u16, u16), sequence: &[u8], sets: &[&[u8]], format: &Format) -> Option<SampleEntry> {
    let is_sequence = |unit: &&[u8]| unit.first().map(|first| first & 0x1F) == Some(H264_SEQUENCE);
    let (sps, pps): (Vec<&[u8]>, Vec<&[u8]>) = sets.iter().partition(|unit| is_sequence(unit));
    let &[profile, compatible, level] = sequence.get(1..4)? else {
        return None;
    };
    if pps.is_empty() {
        return None;
    }
    let avc1 = Avc1Box {
        visual: fields(size),
        avcc_box: AvccBox {
            avc_profile_indication: profile,
            profile_compatibility: compatible,
            avc_level_indication: level,
            length_size_minus_one: Uint::new(LENGTH_SIZE),
            sps_list: sps.into_iter().map(<[u8]>::to_vec).collect(),
            pps_list: pps.into_iter().map(<[u8]>::to_vec).collect(),
            chroma_format: Some(Uint::new(format.chroma & 3)),
            bit_depth_luma_minus8: Some(Uint::new(format.extra_depth.0 & 7)),
            bit_depth_chroma_minus8: Some(Uint::new(format.extra_depth.1 & 7)),
            sps_ext_list: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    };
    // The crate has no `avc3`, which only differs in its name.
    let avc1 = avc1.encode_to_vec().ok()?;
    let payload = avc1.get(8..)?.to_vec();
    let box_type = BoxType::Normal(*b"avc3");
    Some(SampleEntry::Unknown(UnknownBox {
        box_type,
        box_size: BoxSize::with_payload_size(box_type, payload.len() as u64),
        payload,
    }))
}

fn h265(size: (u16, u16), sets: &[&[u8]], format: &Format) -> Option<Hev1Box> {
    let Profile {
        bytes,
        temporal_layers,
        nested,
    } = format.profile?;
    let kinds = [32, 33, 34].map(|kind| (kind, of_kind(sets, kind)));
    if kinds.iter().any(|(_, units)| units.is_empty()) {
        return None;
    }
    let [head, c0, c1, c2, c3, f0, f1, f2, f3, f4, f5, level] = bytes;
    Some(Hev1Box {
        visual: fields(size),
        hvcc_box: HvccBox {
            general_profile_space: Uint::new(head >> 6),
            general_tier_flag: Uint::new(head >> 5 & 1),
            general_profile_idc: Uint::new(head & 0x1F),
            general_profile_compatibility_flags: u32::from_be_bytes([c0, c1, c2, c3]),
            general_constraint_indicator_flags: Uint::new(u64::from_be_bytes([
                0, 0, f0, f1, f2, f3, f4, f5,
            ])),
            general_level_idc: level,
            // Not stated.
            min_spatial_segmentation_idc: Uint::new(0),
            parallelism_type: Uint::new(0),
            chroma_format_idc: Uint::new(format.chroma & 3),
            bit_depth_luma_minus8: Uint::new(format.extra_depth.0 & 7),
            bit_depth_chroma_minus8: Uint::new(format.extra_depth.1 & 7),
            avg_frame_rate: 0,
            constant_frame_rate: Uint::new(0),
            num_temporal_layers: Uint::new(temporal_layers & 7),
            temporal_id_nested: Uint::from(nested),
            length_size_minus_one: Uint::new(LENGTH_SIZE),
            // There are more of them in the pictures.
            nalu_arrays: kinds
                .into_iter()
                .map(|(kind, nalus)| HvccNalUintArray {
                    array_completeness: Uint::from(false),
                    nal_unit_type: Uint::new(kind),
                    nalus,
                })
                .collect(),
        },
        unknown_boxes: Vec::new(),
    })
}

fn of_kind(sets: &[&[u8]], kind: u8) -> Vec<Vec<u8>> {
    let units = sets.iter();
    units
        .filter(|unit| unit.first().map(|first| first >> 1 & 0x3F) == Some(kind))
        .map(|unit| unit.to_vec())
        .collect()
}
