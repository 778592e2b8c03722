//! The configuration file: any text is read, or refused at a place that is in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::config::Config;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text)
        && let Some(span) = error.span
    {
        assert!(text.get(span).is_some(), "a place outside of the text");
    }
});
