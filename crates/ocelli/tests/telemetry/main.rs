//! Numbers over time: series of samples, and what monitoring systems read.

mod monitoring;
mod series;
#[path = "../support/mod.rs"]
mod support;
