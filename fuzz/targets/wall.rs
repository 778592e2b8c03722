//! Commands on the wall socket: every accepted command is within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::sinks::Command;

fuzz_target!(|text: &str| {
    if let Ok(Command::Subscribe { options, .. }) = Command::parse(text) {
        assert!(
            options
                .max_fps
                .is_none_or(|fps| fps.is_finite() && fps > 0.0)
        );
    }
});
