//! MPEG transport streams: the streams and access units are the same however the input is split,
//! units come only after their stream was announced, and no byte is in two units.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::Codec;
use ocelli_media::mpegts::{Demuxer, Event, SoundKind};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (padding_ends, cut, bytes) = (input.0, usize::from(input.1) + 1, input.2);
    let whole = events(padding_ends, &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
    assert_eq!(whole, events(padding_ends, &pieces));
    let mut announced = None;
    let mut total = 0;
    for event in &whole {
        match event {
            Found::Streams(video, _) => announced = *video,
            Found::Unit(_, unit) => {
                assert!(announced.is_some() && !unit.is_empty());
                total += unit.len();
            }
            Found::Sound(_, unit) => {
                assert!(!unit.is_empty());
                total += unit.len();
            }
        }
    }
    assert!(total <= bytes.len());
});

/// An event with bytes of its own.
#[derive(Debug, PartialEq)]
enum Found {
    Streams(Option<Codec>, Option<SoundKind>),
    Unit(Option<i64>, Vec<u8>),
    Sound(Option<i64>, Vec<u8>),
}

fn events(padding_ends: bool, pieces: &[&[u8]]) -> Vec<Found> {
    let mut demuxer = Demuxer::new(padding_ends);
    let mut events = Vec::new();
    for piece in pieces {
        demuxer.push(piece);
        while let Some(event) = demuxer.next_event() {
            events.push(match event {
                Event::Streams { video, sound } => Found::Streams(video, sound),
                Event::Sound { stamp, bytes } => Found::Sound(stamp, bytes.to_vec()),
                Event::Unit { stamp, bytes } => Found::Unit(stamp, bytes.to_vec()),
            });
        }
    }
    events
}
