//! RTSP cameras that follow a script: exact bytes in, pictures or a reason out.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod auth;
mod makers;
mod media;
mod pacing;
mod protocol;
mod redirects;
mod support;
mod tls;
mod udp;
