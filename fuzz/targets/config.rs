//! The configuration file: any text is accepted, or rejected with a position inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::config::Config;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text)
        && let Some(span) = error.span
    {
        assert!(text.get(span).is_some(), "a position outside the text");
    }
});
