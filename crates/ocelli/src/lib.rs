//! Ocelli: every camera, one socket.
//!
//! The application crate: shows the cameras of `ocelli_media` to any number of viewers,
//! over the connections of `ocelli_net`.
//!
//! # Layout
//!
//! | module | contents |
//! |---|---|
//! | [`cli`] | the command line and its tools |
//! | [`launch`], [`server`] | starting a hub from a configuration; the main port |
//! | [`config`] | the configuration file and the command line's sources |
//! | [`catalog`] | the service through which apps, cameras, keys, links and users change |
//! | [`ingest`] | devices that push their pictures |
//! | [`sinks`] | the kinds of sink, one file or folder each |
//! | [`telemetry`] | series of samples: sources, viewers, storage |
//! | [`auth`], [`visitor`] | secrets, roles and permissions; authentication and re-authorization of clients |
//! | [`store`] | persistent state |
//! | [`api`], [`answer`], [`pages`] | the HTTP interface, its responses, the browser's pages |
//! | [`metrics`], [`log`] | `/metrics`; the log |
//! | [`urls`] | the URLs that the hub gives out |
//!
//! Everything on the frame path runs on one current-thread runtime. Slow work (encoding a
//! test picture, resolving a name) runs on blocking threads.

mod answer;
pub mod api;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod ingest;
pub mod launch;
mod log;
mod metrics;
mod pages;
pub mod server;
#[cfg(fuzzing)]
pub mod sinks;
#[cfg(not(fuzzing))]
mod sinks;
pub mod store;
pub mod telemetry;
mod urls;
pub mod visitor;
