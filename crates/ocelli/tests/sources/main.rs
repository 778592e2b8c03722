//! Sources of pictures: cameras that the hub reads, and devices that push.

mod copy;
mod ffmpeg;
mod http;
mod ingest;
mod ingest_story;
mod mp4;
mod native;
mod program;
mod rtsp;
#[path = "../support/mod.rs"]
mod support;
