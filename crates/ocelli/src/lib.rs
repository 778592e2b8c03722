//! Ocelli: every camera, one socket.
//!
//! The program: it shows the cameras of `ocelli_media` to any number of viewers, over the
//! connections of `ocelli_net`.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line and its tools |
//! | [`launch`], [`server`] | from a configuration to a running hub; the one port |
//! | [`config`] | the configuration file and the command line's sources |
//! | [`catalog`] | the service through which apps, cameras, keys, links and users change |
//! | [`ingest`] | cameras that push |
//! | [`sinks`] | the kinds of sink, one file or folder each |
//! | [`telemetry`] | series of samples: who writes them, who looks, what is kept |
//! | [`auth`], [`visitor`] | secrets, roles and permissions; who asks, and whether they may stay |
//! | [`store`] | what outlives the hub |
//! | [`api`], [`answer`], [`pages`] | the HTTP interface, its answers, the browser's pages |
//! | [`metrics`], [`log`] | `/metrics`; the log |
//! | [`urls`] | the URLs that the hub gives out |
//!
//! Everything on the frame path runs on one current-thread runtime; what takes
//! long (encoding a test picture, resolving a name) goes to blocking threads.

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
