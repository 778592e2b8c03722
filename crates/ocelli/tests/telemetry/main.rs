//! Telemetry: series of samples, metrics, health and logs.

mod monitoring;
mod series;
#[path = "../support/mod.rs"]
mod support;
