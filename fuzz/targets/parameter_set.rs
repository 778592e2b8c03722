//! H.264 and H.265: the size of an access unit is the size in one of its parameter sets, and is
//! found whatever data surrounds the set. The declaration that pictures are not reordered does not
//! change it, and is added only once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::Codec;
use ocelli_media::annexb;
use ocelli_media::parameter_set;

fuzz_target!(|input: (bool, &[u8])| {
    let (is_h265, bytes) = input;
    let codec = if is_h265 { Codec::H265 } else { Codec::H264 };
    let size = parameter_set::size(codec, bytes);
    let _ = parameter_set::codec_string(codec, bytes);
    let _ = parameter_set::format(codec, bytes);
    if let Some(declared) = parameter_set::without_reordering(codec, bytes) {
        assert_eq!(parameter_set::size(codec, &declared), size);
        assert_eq!(
            parameter_set::codec_string(codec, &declared),
            parameter_set::codec_string(codec, bytes)
        );
        assert_eq!(parameter_set::without_reordering(codec, &declared), None);
        let format = parameter_set::format(codec, &declared);
        assert!(format.is_none_or(|format| format.reordered == Some(0)));
    }
    let measured = parameter_set::measure(codec, bytes);
    let mut sets = annexb::sequence_parameter_sets(codec, bytes);
    assert_eq!(
        measured.is_some(),
        sets.any(|set| parameter_set::size(codec, set).is_some())
    );
});
