//! Messages from devices: JPEG headers and statistics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    if let Ok(picture) = ocelli_media::jpeg::picture(message) {
        let (width, height) = picture.size.expect("a size");
        assert!(width > 0 && height > 0, "a picture without pixels");
        assert!(picture.buffer.payload().starts_with(&[0xFF, 0xD8]));
    }
    if let Ok(text) = std::str::from_utf8(message)
        && let Some(numbers) = ocelli::ingest::read_stats(text)
    {
        assert!(numbers.len() <= 16);
        assert!(numbers.values().all(serde_json::Value::is_number));
    }
});
