//! Ocelli: every camera, one socket.
//!
//! The program around `ocelli_core` and `ocelli_media`: it shows cameras to any number of
//! viewers over HTTP and WebSocket.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration file and the command line's sources |
//! | [`added`] | cameras that were added over HTTP |
//! | [`ingest`] | cameras that push |
//! | [`sinks`] | the kinds of sink, one file each |
//! | [`server`], [`site`] | the one port: accepting, routing, stopping; what every route has at hand |
//! | [`conversation`] | what is settled for each request before it reaches a route |
//! | [`connection`], [`websocket`] | one connection; one WebSocket |
//! | `frames` | counts a WebSocket's frames |
//! | [`outgoing`] | answers that clients have not taken yet |
//! | [`bell`] | what wakes a task for something rare |
//! | [`gate`], [`limits`] | the Host and Origin rules; how much clients may take |
//! | [`proxy`] | what reverse proxies in front say of their clients |
//! | [`tls`] | encryption on the way in, and who vouches for the hub |
//! | [`counts`], [`metrics`], [`log`] | what is counted, how it is told, what is logged |
//! | [`auth`] | tokens, passwords and roles, and what they grant |
//! | [`visitor`] | who asks, and whether they may stay |
//! | [`store`] | what outlives the hub |
//! | [`telemetry`] | series of samples: who writes them, who looks, what is kept |
//! | [`api`], [`answer`], [`ui`] | the HTTP interface, its answers, the pages |
//! | [`urls`] | the URLs that the hub gives out |
//! | [`reference`] | the reference page, made from the lists in the code |
//! | [`simulate`] | a fleet of devices that push |
//! | [`doctor`] | what is wrong with a server, a camera or this machine |
//! | [`launch`] | from a configuration to a running hub |
//! | `heap` | freed memory goes back to the system |
//!
//! Everything on the frame path runs on one current-thread runtime; what takes
//! long (encoding a test picture, resolving a name) goes to blocking threads.

pub mod added;
pub mod answer;
pub mod api;
pub mod auth;
pub mod config;
pub mod doctor;
mod heap;
pub mod ingest;
pub mod launch;
pub mod log;
pub mod metrics;
pub mod reference;
pub mod server;
pub mod simulate;
pub mod sinks;
pub mod site;
pub mod store;
pub mod telemetry;
pub mod trust;
pub mod ui;
pub mod urls;
pub mod visitor;
