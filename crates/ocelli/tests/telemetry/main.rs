//! Telemetry: series of samples, metrics, health and logs.

mod camera_health;
mod monitoring;
mod series;
#[path = "../support/mod.rs"]
mod support;
